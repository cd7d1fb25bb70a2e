//! Watching one run: a few samples a second for the screen, a line a second for the journal.

use super::engine::Engine;
use super::journal::{self, Journal};
use super::{JobId, Outcome, State, history};
use crate::error::{Error, Kind, Result};
use crate::meter::{Counts, Sample, latency_histogram};
use crate::task::Control;
use chrono::Utc;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a running job is looked at.
pub(super) const PERIOD: Duration = Duration::from_millis(200);
/// Log lines kept of a job.
pub(super) const LOG: usize = 1_000;
/// What a job recorded that is kept for the screen; the journal keeps all.
const RECORDED: usize = 50_000;
/// The time to go is told from the rate of this many seconds.
const RECENT: f64 = 15.0;

/// The eye on one attempt.
pub(super) struct Watch {
    engine: Arc<Engine>,
    id: JobId,
    control: Control,
    journal: Option<Journal>,
    began: Instant,
    /// `(seconds, done)`, for the time to go.
    progress: VecDeque<(f64, u64)>,
    seen: Seen,
    written: Seen,
    /// When the last progress line was written, in seconds since the start.
    wrote: f64,
    /// The latencies at that time.
    latency: Histogram<u64>,
    recorded: Vec<Value>,
    notes: Vec<String>,
    paused: bool,
}

/// What is compared to tell whether anything changed.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    counts: Counts,
    progress: (u64, u64),
    step: String,
    second: u64,
    asks: bool,
}

impl Watch {
    pub(super) fn new(engine: Arc<Engine>, id: JobId, control: Control, journal: Option<Journal>) -> Self {
        Self {
            engine,
            id,
            control,
            journal,
            began: Instant::now(),
            progress: VecDeque::new(),
            seen: Seen::default(),
            written: Seen::default(),
            wrote: 0.0,
            latency: latency_histogram(),
            recorded: Vec::new(),
            notes: Vec::new(),
            paused: false,
        }
    }

    /// Writes that work begins.
    pub(super) fn start(&mut self) {
        let fields = json!({ "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id() });
        self.journalled("start", fields);
        let t = self.began.elapsed().as_secs_f64();
        let attempt = self.journal.as_ref().map_or(1, Journal::attempt);
        self.engine.update(&self.id, |view| view.attempt = attempt);
        self.engine.update(&self.id, |view| view.throughput.push(Sample { t, ..Sample::default() }));
    }

    /// Adds a line to the log and the journal.
    pub(super) fn note(&mut self, text: String) {
        self.journalled("note", json!({ "text": text }));
        self.notes.push(text);
    }

    /// Says what is wrong with the journal, or right again.
    pub(super) fn problem(&mut self, text: String) {
        self.engine.update(&self.id, |view| view.journal = Some(text.clone()));
        self.note(text);
    }

    /// Takes what the job recorded.
    pub(super) fn record(&mut self, events: &mut Vec<Value>) {
        if let Some(journal) = &mut self.journal {
            for event in events.iter() {
                journal.recorded(event);
            }
        }
        self.recorded.append(events);
    }

    /// Looks at the run.
    pub(super) fn tick(&mut self) {
        if let Some(problem) = self.journal.as_ref().and_then(Journal::problem) {
            self.problem(problem);
        }
        if let Some(wish) = self.journal.as_ref().and_then(Journal::wish) {
            self.engine.obey(&self.id, wish);
        }
        if self.paused != self.control.is_paused() {
            self.paused = !self.paused;
            self.journalled(if self.paused { "pause" } else { "go-on" }, json!({}));
            // The rate before the pause tells nothing of the time after it.
            self.progress.clear();
        }
        for note in self.control.take_notes() {
            self.note(note);
        }
        let t = self.began.elapsed().as_secs_f64();
        let now = self.look(t);
        let second_passed = t - self.wrote >= 1.0;
        let mut percentiles = None;
        if second_passed {
            percentiles = self.progress_line(t, &now);
        }
        self.progress.push_back((t, now.progress.0));
        while self.progress.len() > 2 && self.progress.front().is_some_and(|(old, _)| t - old > RECENT) {
            self.progress.pop_front();
        }
        let changed = now != self.seen || !self.notes.is_empty() || !self.recorded.is_empty();
        self.seen = now;
        self.publish(t, percentiles);
        self.engine.changed(changed, false);
    }

    fn look(&self, t: f64) -> Seen {
        Seen {
            counts: self.control.meter.counts(),
            progress: self.control.progress(),
            step: self.control.current_step(),
            second: t as u64,
            asks: self.control.question().is_some(),
        }
    }

    fn publish(&mut self, t: f64, percentiles: Option<[u64; 4]>) {
        let (notes, recorded) = (std::mem::take(&mut self.notes), std::mem::take(&mut self.recorded));
        let eta = (!self.paused).then(|| time_to_go(&self.progress, self.seen.progress)).flatten();
        let counts = self.seen.counts;
        self.engine.update(&self.id, |view| {
            let bytes = counts.bytes_in.saturating_add(counts.bytes_out);
            view.throughput.push(Sample { t, bytes, requests: counts.requests, sent: counts.bytes_out });
            (view.eta, view.eta_range) = (eta.map(|e| e.likely), eta.and_then(|e| e.range));
            view.latency = percentiles.or(view.latency);
            if !notes.is_empty() {
                let log = Arc::make_mut(&mut view.log);
                log.extend(notes.into_iter().map(|line| (Utc::now(), line)));
                log.drain(..log.len().saturating_sub(LOG));
            }
            if !recorded.is_empty() {
                let events = Arc::make_mut(&mut view.events);
                events.extend(recorded);
                if events.len() > RECORDED {
                    events.drain(..events.len() - RECORDED / 2);
                }
            }
        });
    }

    /// Writes a progress line where there is progress; the latency percentiles so far.
    fn progress_line(&mut self, t: f64, now: &Seen) -> Option<[u64; 4]> {
        if let Some(journal) = &self.journal {
            journal.look();
        }
        self.wrote = t;
        let unchanged = self.written.counts == now.counts && self.written.progress == now.progress;
        if unchanged && self.written.step == now.step {
            return None;
        }
        self.written = now.clone();
        let latency = self.control.meter.latency();
        let mut interval = latency.clone();
        // The counts only grow, so this cannot fail; if it did, the interval would hold all so far.
        let _ = interval.subtract(&self.latency);
        let mut fields = counters(now);
        if let Some(text) = journal::encode(&interval) {
            fields["latency"] = text.into();
        }
        self.journalled("progress", fields);
        self.latency = latency;
        if let Some(percentiles) = history::percentiles(&interval) {
            self.engine.update(&self.id, |view| view.latencies.push(t, percentiles));
        }
        history::percentiles(&self.latency)
    }

    /// Writes the end, waits until it is on disk, and tells the screen.
    pub(super) async fn end(mut self, result: Result<Outcome>) {
        self.tick();
        let cancelled = self.control.is_cancelled();
        let state = match &result {
            Ok(_) => State::Done,
            Err(err) if cancelled && err.kind() == Kind::Cancelled => State::Cancelled,
            Err(err) => State::Failed(err.to_string()),
        };
        if let (State::Failed(sentence), Err(err)) = (&state, &result) {
            self.note(sentence.clone());
            for line in explain(err) {
                self.note(line);
            }
        }
        let elapsed = self.began.elapsed();
        let latency = self.control.meter.latency();
        let fields = end_fields(&state, &result, &self.seen, elapsed, &latency);
        self.journalled("end", fields);
        self.publish(elapsed.as_secs_f64(), history::percentiles(&latency));
        self.close().await;
        let (done, total) = self.seen.progress;
        let (step, counts) = (std::mem::take(&mut self.seen.step), self.seen.counts);
        self.engine.update(&self.id, |view| {
            (view.done, view.total, view.step, view.counts) = (done, total, step, counts);
            (view.elapsed, view.eta, view.eta_range, view.in_flight) = (elapsed, None, None, 0);
            view.state = state;
            match result {
                Ok(outcome) => view.outcome = Some(outcome),
                Err(err) => view.failure = Some(Arc::new(err)),
            }
        });
        self.engine.ended(&self.id);
    }

    /// This program ends before the work: the journal is brought to disk without an end, and the run let go.
    pub(super) async fn leave(mut self) {
        self.tick();
        let fields = counters(&self.seen);
        self.journalled("progress", fields);
        self.journalled("left", json!({}));
        self.close().await;
        let (done, total) = self.seen.progress;
        self.engine.update(&self.id, |view| {
            (view.done, view.total, view.counts) = (done, total, self.seen.counts);
            (view.eta, view.eta_range, view.in_flight) = (None, None, 0);
            view.state = State::Interrupted;
        });
        self.engine.ended(&self.id);
    }

    /// Waits until the journal is on disk; on a thread, since a slow disk must not hold up the others.
    async fn close(&mut self) {
        if let Some(journal) = self.journal.take()
            && let Ok(Some(problem)) = tokio::task::spawn_blocking(move || journal.close()).await
        {
            self.engine.update(&self.id, |view| view.journal = Some(problem.clone()));
            self.notes.push(problem);
            self.publish(self.began.elapsed().as_secs_f64(), None);
        }
    }

    fn journalled(&mut self, event: &str, fields: Value) {
        if let Some(journal) = &mut self.journal {
            journal.line(event, fields);
        }
    }
}

fn counters(now: &Seen) -> Value {
    let Counts { requests, errors, retries, bytes_in, bytes_out } = now.counts;
    json!({
        "done": now.progress.0, "total": now.progress.1, "step": now.step, "requests": requests, "errors": errors,
        "retries": retries, "bytes_in": bytes_in, "bytes_out": bytes_out,
    })
}

fn end_fields(
    state: &State,
    result: &Result<Outcome>,
    seen: &Seen,
    elapsed: Duration,
    latency: &Histogram<u64>,
) -> Value {
    let mut fields = counters(seen);
    fields["elapsed"] = json!(elapsed.as_secs_f64());
    fields["state"] = match state {
        State::Done => "done",
        State::Cancelled => "cancelled",
        _ => "failed",
    }
    .into();
    match result {
        Ok(outcome) => fields["outcome"] = serde_json::to_value(outcome).unwrap_or_default(),
        Err(err) => {
            fields["error"] = json!({
                "kind": format!("{:?}", err.kind()).to_lowercase(), "message": err.to_string(),
                "hint": err.hint(), "request_id": err.request_id(), "exit_code": err.exit_code(),
            });
        }
    }
    if let Some(text) = journal::encode(latency) {
        fields["latency"] = text.into();
    }
    fields
}

/// What the log says of a failure besides its sentence.
fn explain(err: &Error) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(err.hint().map(str::to_owned));
    let details = err.details();
    if !details.is_empty() {
        lines.push(format!("because: {details}"));
    }
    lines.extend(err.request_id().map(|id| format!("request id: {id}")));
    lines
}

/// Time to go.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Eta {
    likely: Duration,
    /// Between which the truth lies nine times of ten.
    range: Option<(Duration, Duration)>,
}

/// Time to go, from the last [`RECENT`] seconds of `(seconds, done)`: what is left over the mean rate.
///
/// Its range is made of the spread `s` of the rates of single seconds around their mean `m`: the mean of `n` of
/// them is off by `u = 1.645 s / (m √(n / 2))` in nine of ten cases. It is `n / 2` because neighbouring seconds are
/// alike and count for less than `n` that are independent. So the time lies from `t / (1 + u)` to `t / (1 − u)`, with
/// `u` at most 0.9. Below four seconds there is none.
fn time_to_go(progress: &VecDeque<(f64, u64)>, (done, total): (u64, u64)) -> Option<Eta> {
    let ((t0, d0), (t1, d1)) = (*progress.front()?, *progress.back()?);
    let left = total.checked_sub(done).filter(|_| total > 0)?;
    let gained = d1.checked_sub(d0).filter(|g| *g > 0)?;
    // The first second of a transfer says little.
    if t1 - t0 < 1.0 {
        return None;
    }
    let mean = gained as f64 / (t1 - t0);
    let time = |rate: f64| Duration::try_from_secs_f64(left as f64 / rate).ok();
    let likely = time(mean)?;
    let rates = rates_of_seconds(progress);
    let n = rates.len() as f64;
    let range = (rates.len() >= 4).then(|| {
        let spread = (rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        let off = (1.645 * spread / (mean * (n / 2.0).sqrt())).min(0.9);
        Some((time(mean * (1.0 + off))?, time(mean * (1.0 - off))?))
    });
    Some(Eta { likely, range: range.flatten() })
}

/// What was done a second, for each whole second of `(seconds, done)`.
fn rates_of_seconds(progress: &VecDeque<(f64, u64)>) -> Vec<f64> {
    let mut rates = Vec::new();
    let Some(mut from) = progress.front().copied() else { return rates };
    for &(t, done) in progress {
        if t - from.0 >= 1.0 {
            rates.push(done.saturating_sub(from.1) as f64 / (t - from.0));
            from = (t, done);
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_go_follows_the_recent_rate() {
        let at = |points: &[(f64, u64)], of| time_to_go(&points.iter().copied().collect(), of).map(|eta| eta.likely);
        assert_eq!(at(&[(0.0, 0), (10.0, 100)], (100, 300)), Some(Duration::from_secs(20)));
        assert_eq!(at(&[(0.0, 0), (10.0, 100)], (100, 0)), None, "an unknown total");
        assert_eq!(at(&[(0.0, 50), (10.0, 50)], (50, 100)), None, "no progress");
        assert_eq!(at(&[(0.0, 90), (10.0, 50)], (50, 100)), None, "went back");
        assert_eq!(at(&[(0.0, 0), (0.2, 50)], (50, 100)), None, "too early");
        assert_eq!(at(&[], (0, 100)), None);
    }

    #[test]
    fn the_time_to_go_is_as_sure_as_the_rate_is_steady() {
        let range = |rate: fn(u32) -> u64| {
            let mut done = 0;
            let points = (0..=15).map(|second| {
                done += rate(second);
                (f64::from(second), done)
            });
            let points: VecDeque<(f64, u64)> = points.collect();
            let (low, high) = time_to_go(&points, (done, done + 1_500)).and_then(|eta| eta.range).expect("a range");
            (low.as_secs_f64(), high.as_secs_f64())
        };
        let (low, high) = range(|_| 100);
        assert!((low - 15.0).abs() < 0.01 && (high - 15.0).abs() < 0.01, "{low} {high}");
        // 50 and 150 in turn: s ≈ 51.6, m ≈ 96.7 over 15 seconds, u ≈ 0.32.
        let (low, high) = range(|second| if second % 2 == 0 { 50 } else { 150 });
        assert!((10.0..13.0).contains(&low) && (20.0..25.0).contains(&high), "{low} {high}");
        // Nothing but a burst: as unsure as it is allowed to be, and still a time.
        let (low, high) = range(|second| if second == 7 { 1_500 } else { 0 });
        assert!(low < 10.0 && high > 60.0 && high < 1_000.0, "{low} {high}");
    }
}
