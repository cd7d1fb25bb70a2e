//! Work that goes on in the background: the contract of a [`Job`], and [`Jobs`] that run them.
//! The table of kinds is [`crate::jobs`].
//!
//! Every run leaves a directory `STATE/runs/<ulid>/`, which is all that survives a crash:
//!
//! | file | holds |
//! |---|---|
//! | `spec.json` | the [`JobSpec`] with its title, command line and time; written and synced before work starts |
//! | `lock` | locked by the program that works on it, so that two never do |
//! | `rank` | the run in whose place it waits, where it was moved or queued again; else its own name is its rank |
//! | `ev/0.<attempt>.ndjson` | whole lines, see below; `0` is the rank of the writer |
//! | `CANCEL`, `PAUSE`, `GO-ON` | written by another program that wants it to stop, to wait, to go on |
//!
//! A line holds `seq`, `t` (wall time, RFC 3339), `mono` (seconds since the attempt's start) and
//! `event`: `start`; `progress` (at most one a second: `done`, `total`, `step`, and cumulative `requests`, `errors`,
//! `retries`, `bytes_in`, `bytes_out`, with `latency`, the interval's request latencies in microseconds
//! as a base64 `HdrHistogram` V2); `note` (`text`); `pause` and `go-on`; `left`, when its program was told to end; `end`
//! (`state`, `outcome` or `error`, the counters, `elapsed`, and `latency` of the whole attempt). What a job records by
//! [`JobCx::event`] stands as it is when it names its own `event`, else as `sample` with `data`; it is on disk 200 ms
//! later at most. A run without an `end` that nobody holds is [`State::Interrupted`]. Runs that ended more than 90 days
//! ago, and those beyond the newest thousand, are removed at a start, unless they can be resumed.

use crate::error::Result;
use crate::location::Location;
use crate::store::Stores;
use crate::task::{Control, Question};
use futures::future::BoxFuture;
use serde_json::Value;

mod engine;
mod history;
mod journal;
mod queue;
mod supervise;
mod watch;

pub use engine::Jobs;

/// What a job is, complete enough to run it again elsewhere. Holds no secret.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct JobSpec {
    /// A name in the table of [`crate::jobs`]: `upload`.
    pub kind: String,
    /// Its own fields.
    pub params: Value,
}

/// What a job has made.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// One sentence: "3 files, 1.2 GiB, 41 s".
    pub summary: String,
    /// What it wrote, by address.
    pub written: Vec<Location>,
    /// Its result for machines: a benchmark's samples, a HEAD as proof.
    pub data: Value,
}

/// One piece of work that can be started, watched, cancelled and started again.
pub trait Job: Send + Sync {
    /// A few words for the list: "upload glodap.csv.zip".
    fn title(&self) -> String;
    /// What is written to its run directory before it starts.
    fn spec(&self) -> JobSpec;
    /// The command line that does the same, without the program's name: `["put", "x.tif", "s3://b/"]`.
    fn command(&self) -> Vec<String>;
    /// Where it writes or deletes: a screen asks whether that is allowed before it starts the job again. The
    /// `destination` of its spec, unless it knows better.
    fn writes(&self) -> Vec<Location> {
        let destination = self.spec().params.get("destination").cloned();
        destination.and_then(|place| serde_json::from_value(place).ok()).into_iter().collect()
    }
    /// Does it, or what [`JobCx::earlier`] says is left of it; one that cannot go on starts over. Progress, notes
    /// and cancellation go through the context.
    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<Outcome>>;
}

/// What a running job is given.
pub struct JobCx {
    /// The stores; all traffic of the job is opened with `control.meter`.
    pub stores: Stores,
    /// Progress, notes, cancellation, meter.
    pub control: Control,
    /// Where [`JobCx::event`] goes: the journal and the dashboard.
    pub events: tokio::sync::mpsc::UnboundedSender<Value>,
    /// What former attempts recorded by [`JobCx::event`], oldest first; empty on the first.
    pub earlier: Vec<Value>,
}

impl JobCx {
    /// Records something for the journal and the dashboard: one JSON object. No secrets.
    pub fn event(&self, event: Value) {
        // The engine may have gone at shutdown: then nobody is left to read it.
        let _ = self.events.send(event);
    }

    /// [`JobCx::event`] for work that keeps it.
    pub fn recorder(&self) -> impl Fn(Value) + Send + Sync + use<> {
        let events = self.events.clone();
        move |event| drop(events.send(event))
    }
}

/// The name of one run of a job: a ULID, also the name of its run directory.
pub type JobId = String;

/// Where a job is in its life.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for its turn.
    Queued,
    /// At work.
    Running,
    /// Told to wait.
    Paused,
    /// Finished; see its [`Outcome`].
    Done,
    /// Ended with this sentence.
    Failed(String),
    /// Stopped by the user.
    Cancelled,
    /// Its program ended before it did: it can be resumed.
    Interrupted,
}

impl State {
    /// Whether it holds a place among the running ones.
    pub fn is_active(&self) -> bool {
        matches!(self, Self::Queued | Self::Running | Self::Paused)
    }
}

/// A snapshot of a job for the screen, taken at most once a frame.
#[derive(Clone, Debug)]
pub struct JobView {
    /// Its run.
    pub id: JobId,
    /// Its kind: `upload`.
    pub kind: String,
    /// A few words.
    pub title: String,
    /// The command line that does the same.
    pub command: Vec<String>,
    /// Where it is.
    pub state: State,
    /// Its place among those that wait in this program: 0 is next.
    pub place: Option<usize>,
    /// How often it was begun.
    pub attempt: u32,
    /// What it wants to know before it goes on: see [`Jobs::answer`].
    pub question: Option<Question>,
    /// When it was started (or queued).
    pub started: chrono::DateTime<chrono::Utc>,
    /// Time at work so far, or in all.
    pub elapsed: std::time::Duration,
    /// Done of the total, in the job's unit (bytes, rows, steps).
    pub done: u64,
    /// 0: unknown.
    pub total: u64,
    /// What it does now.
    pub step: String,
    /// Requests (and how many of them failed or were sent again) and bytes so far.
    pub counts: crate::meter::Counts,
    /// Requests under way: parts in flight.
    pub in_flight: u64,
    /// Cumulative samples since its start.
    pub throughput: crate::meter::Throughput,
    /// Request latency p50, p90, p99, max in microseconds; `None` before the first request.
    pub latency: Option<[u64; 4]>,
    /// The same of each second.
    pub latencies: crate::meter::Latencies,
    /// Time to go, from the recent rate; `None` where it cannot be told.
    pub eta: Option<std::time::Duration>,
    /// Between which times to go the true one lies, nine times of ten, if the rate varies as it did lately.
    pub eta_range: Option<(std::time::Duration, std::time::Duration)>,
    /// Log lines with their times, oldest first, at most the last thousand.
    pub log: std::sync::Arc<Vec<(chrono::DateTime<chrono::Utc>, String)>>,
    /// What is wrong with writing its journal, so that it could not be resumed.
    pub journal: Option<String>,
    /// What the job recorded by [`JobCx::event`].
    pub events: std::sync::Arc<Vec<Value>>,
    /// Once done.
    pub outcome: Option<Outcome>,
    /// Once failed in this program: what failed, with its kind and what to do.
    pub failure: Option<std::sync::Arc<crate::error::Error>>,
}
