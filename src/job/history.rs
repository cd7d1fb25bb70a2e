//! Reading run directories: what is known of runs of the past, and of those that other programs run now.

use super::journal::{self, Header};
use super::{JobView, Outcome, State};
use crate::error::{Context as _, Result};
use crate::meter::{Counts, Latencies, Sample, Throughput, latency_histogram};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Of a longer events file only this much of its start and of its end is read.
const HALF: u64 = 4 << 20;
/// An `end` line is looked for in so many bytes.
const TAIL: u64 = 64 << 10;
/// Runs that are kept, and for how long.
const KEPT: usize = 1_000;
const KEPT_DAYS: i64 = 90;
/// So many are removed at one start, so that it stays short.
const PRUNED: usize = 200;
/// Samples kept of a run of the past.
const SERIES: usize = 240;
/// What a job recorded that is kept of a run of the past.
const RECORDED: usize = 5_000;

/// A run found in the state folder.
pub(super) struct Past {
    pub(super) header: Header,
    pub(super) view: JobView,
    pub(super) rank: String,
}

/// The names of the runs in `runs`, newest first.
pub(super) fn newest(runs: &Path) -> Vec<String> {
    let Ok(dirs) = std::fs::read_dir(runs) else { return Vec::new() };
    let mut ids: Vec<String> = dirs
        .flatten()
        .filter_map(|dir| dir.file_name().into_string().ok())
        .filter(|name| ulid::Ulid::from_string(name).is_ok())
        .collect();
    // ULIDs sort by time.
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids
}

/// Reads one run. What cannot be read of its events is left out: a crash ends files anywhere.
pub(super) fn read(dir: &Path) -> Result<Past> {
    let text = std::fs::read(dir.join(journal::SPEC)).context(|| dir.display().to_string())?;
    let header: Header = serde_json::from_slice(&text).context(|| dir.display().to_string())?;
    let attempt = journal::last_attempt(dir);
    let mut reading = Reading::new(&header);
    for past in 1..attempt {
        let lines = lines(&journal::events_file(dir, past));
        reading.recorded.extend(lines.iter().filter_map(recorded));
    }
    for line in lines(&journal::events_file(dir, attempt)) {
        reading.line(&line);
    }
    let elsewhere = !reading.ended && journal::is_held(dir);
    let rank = journal::rank(dir).unwrap_or_else(|| header.id.clone());
    Ok(Past { view: reading.finish(elsewhere, attempt), header, rank })
}

/// Whether the last attempt of a run has its end on disk: from the last bytes of its file alone.
pub(super) fn has_ended(dir: &Path) -> bool {
    let attempt = journal::last_attempt(dir);
    let tail = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(journal::events_file(dir, attempt))?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // An end is longer than that only with an outcome of many lines: then the run is read whole.
    let tail = tail().unwrap_or_default();
    let last = tail.strip_suffix(b"\n").unwrap_or(&tail).rsplit(|b| *b == b'\n').next().unwrap_or_default();
    serde_json::from_slice::<Value>(last).is_ok_and(|line| line["event"] == "end")
}

/// Removes runs that ended long ago, and those beyond the newest thousand, unless they can be resumed: what was
/// interrupted, and what has failed after it had recorded something. `newest` are all runs, newest first.
pub(super) fn prune(runs: &Path, newest: &[String]) {
    let oldest = Utc::now().timestamp_millis() - KEPT_DAYS * 24 * 3600 * 1000;
    let is_old = |id: &str| ulid::Ulid::from_string(id).is_ok_and(|id| (id.timestamp_ms() as i64) < oldest);
    let over = newest.iter().enumerate().filter(|(age, id)| *age >= KEPT || is_old(id));
    for (_, id) in over.take(PRUNED) {
        let dir = runs.join(id);
        let Ok(past) = read(&dir) else { continue };
        let is_over = match past.view.state {
            State::Done | State::Cancelled => true,
            State::Failed(_) => past.view.events.is_empty(),
            _ => false,
        };
        // Held while it is removed, so that nobody begins it meanwhile.
        if is_over && let Ok(_held) = journal::RunDir::reopen(runs, id) {
            // Half removed, it is no run any more: the next start removes nothing of it twice.
            let _ = std::fs::remove_file(dir.join(journal::SPEC));
            let _ = std::fs::remove_dir_all(&dir);
        }
    }
}

/// Writes an end for a run that nobody works on, with what is known of it.
pub(super) fn give_up(runs: &Path, id: &str, view: &JobView) -> Result<()> {
    let mut journal = journal::Journal::open(journal::RunDir::reopen(runs, id)?)?;
    let Counts { requests, errors, retries, bytes_in, bytes_out } = view.counts;
    journal.line(
        "end",
        serde_json::json!({
            "state": "cancelled", "done": view.done, "total": view.total, "step": view.step, "requests": requests,
            "errors": errors, "retries": retries, "bytes_in": bytes_in, "bytes_out": bytes_out,
        }),
    );
    let problem = journal.close();
    problem.map_or(Ok(()), |why| Err(crate::error::Error::new(crate::error::Kind::Failed, why)))
}

/// What the former attempts of a run recorded, oldest first.
pub(super) fn earlier(dir: &Path) -> Vec<Value> {
    (1..=journal::last_attempt(dir))
        .flat_map(|attempt| lines_below(&journal::events_file(dir, attempt), u64::MAX))
        .filter_map(|line| recorded(&line))
        .collect()
}

fn lines(path: &Path) -> Vec<Value> {
    lines_below(path, 2 * HALF)
}

/// The lines of a file that are whole; of one longer than `limit` bytes, those of its two ends.
fn lines_below(path: &Path, limit: u64) -> Vec<Value> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(path)?;
        let size = file.metadata()?.len();
        let mut bytes = Vec::new();
        if size <= limit {
            file.read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
        file.by_ref().take(limit / 2).read_to_end(&mut bytes)?;
        // The line cut here and the one cut at the seam are joined to one that does not parse.
        file.seek(SeekFrom::Start(size - limit / 2))?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    bytes.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// What the job gave to [`super::JobCx::event`], if the line holds that.
fn recorded(line: &Value) -> Option<Value> {
    let name = line.get("event")?.as_str()?;
    if name == "sample" {
        return line.get("data").cloned();
    }
    if journal::is_reserved(name) {
        return None;
    }
    let mut fields = line.as_object()?.clone();
    for ours in ["seq", "t", "mono"] {
        fields.shift_remove(ours);
    }
    Some(Value::Object(fields))
}

/// A view under construction, line by line.
struct Reading {
    view: JobView,
    recorded: Vec<Value>,
    log: Vec<(DateTime<Utc>, String)>,
    latency: hdrhistogram::Histogram<u64>,
    state: Option<State>,
    ended: bool,
    paused: bool,
}

impl Reading {
    fn new(header: &Header) -> Self {
        Self {
            view: blank(header, State::Interrupted),
            recorded: Vec::new(),
            log: Vec::new(),
            latency: latency_histogram(),
            state: None,
            ended: false,
            paused: false,
        }
    }

    fn line(&mut self, line: &Value) {
        let at = line
            .get("t")
            .and_then(Value::as_str)
            .and_then(|t| DateTime::parse_from_rfc3339(t).ok())
            .map_or(self.view.started, |t| t.with_timezone(&Utc));
        let mono = line.get("mono").and_then(Value::as_f64).filter(|m| m.is_finite() && *m >= 0.0).unwrap_or(0.0);
        self.view.elapsed = self.view.elapsed.max(Duration::try_from_secs_f64(mono).unwrap_or_default());
        match line.get("event").and_then(Value::as_str) {
            Some("start") => self.view.started = at,
            Some("pause") => self.paused = true,
            Some("go-on") => self.paused = false,
            Some("left") => self.log.push((at, "its program was told to end; it can be resumed".to_owned())),
            Some("note") => {
                if let Some(text) = line.get("text").and_then(Value::as_str) {
                    self.log.push((at, text.to_owned()));
                }
            }
            Some("progress") => {
                self.counters(line, mono);
                self.merge(line, Some(mono));
            }
            Some("end") => {
                self.counters(line, mono);
                // The end holds the whole attempt's latencies, not only those since the last line.
                self.latency.reset();
                self.merge(line, None);
                self.end(line);
            }
            _ => self.recorded.extend(recorded(line)),
        }
    }

    fn counters(&mut self, line: &Value, mono: f64) {
        let number = |name: &str| line.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.view.done = number("done");
        self.view.total = number("total");
        if let Some(step) = line.get("step").and_then(Value::as_str) {
            step.clone_into(&mut self.view.step);
        }
        self.view.counts = Counts {
            requests: number("requests"),
            errors: number("errors"),
            retries: number("retries"),
            bytes_in: number("bytes_in"),
            bytes_out: number("bytes_out"),
        };
        let bytes = self.view.counts.bytes_in.saturating_add(self.view.counts.bytes_out);
        let (requests, sent) = (self.view.counts.requests, self.view.counts.bytes_out);
        self.view.throughput.push(Sample { t: mono, bytes, requests, sent });
    }

    /// Takes the latencies of a line: those of an interval that ended then, or of the whole.
    fn merge(&mut self, line: &Value, interval: Option<f64>) {
        if let Some(part) = line.get("latency").and_then(Value::as_str).and_then(journal::decode) {
            if let (Some(t), Some(percentiles)) = (interval, percentiles(&part)) {
                self.view.latencies.push(t, percentiles);
            }
            // Of other bounds: then it cannot be merged, and is not ours.
            let _ = self.latency.add(part);
        }
    }

    fn end(&mut self, line: &Value) {
        self.ended = true;
        self.view.outcome = line.get("outcome").and_then(|o| serde_json::from_value::<Outcome>(o.clone()).ok());
        self.state = match line.get("state").and_then(Value::as_str) {
            Some("done") => Some(State::Done),
            Some("cancelled") => Some(State::Cancelled),
            _ => {
                let message = line.pointer("/error/message").and_then(Value::as_str);
                Some(State::Failed(message.unwrap_or("it failed").to_owned()))
            }
        };
    }

    fn finish(mut self, elsewhere: bool, attempt: u32) -> JobView {
        self.view.attempt = attempt;
        self.view.state = match self.state {
            Some(state) => state,
            // Its first events may be on their way to the file.
            None if elsewhere && attempt == 0 => State::Queued,
            None if elsewhere && self.paused => State::Paused,
            None if elsewhere => State::Running,
            None => State::Interrupted,
        };
        if elsewhere {
            self.view.step = "in another program".into();
        }
        self.view.latency = percentiles(&self.latency);
        self.log.drain(..self.log.len().saturating_sub(super::watch::LOG));
        self.recorded.drain(..self.recorded.len().saturating_sub(RECORDED));
        self.view.log = Arc::new(self.log);
        self.view.events = Arc::new(self.recorded);
        self.view
    }
}

/// A view of a run of which nothing but its spec is known.
pub(super) fn blank(header: &Header, state: State) -> JobView {
    JobView {
        id: header.id.clone(),
        kind: header.spec.kind.clone(),
        title: header.title.clone(),
        command: header.command.clone(),
        state,
        place: None,
        attempt: 0,
        question: None,
        journal: None,
        started: header.created,
        elapsed: Duration::ZERO,
        done: 0,
        total: 0,
        step: String::new(),
        counts: Counts::default(),
        in_flight: 0,
        throughput: Throughput::new(SERIES),
        latency: None,
        latencies: Latencies::new(SERIES),
        eta: None,
        eta_range: None,
        log: Arc::default(),
        events: Arc::default(),
        outcome: None,
        failure: None,
    }
}

/// p50, p90, p99 and maximum, in microseconds.
pub(super) fn percentiles(histogram: &hdrhistogram::Histogram<u64>) -> Option<[u64; 4]> {
    (!histogram.is_empty()).then(|| {
        [
            histogram.value_at_quantile(0.5),
            histogram.value_at_quantile(0.9),
            histogram.value_at_quantile(0.99),
            histogram.max(),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cut_anywhere_gives_its_whole_lines() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("x");
        let long = format!("{{\"event\":\"part\",\"pad\":\"{}\"}}\n", "x".repeat(100));
        std::fs::write(&path, format!("{{\"event\":\"start\"}}\n\u{0}\u{1}\n{}{{\"event\":\"en", long.repeat(50)))
            .expect("writes");
        assert_eq!(lines_below(&path, u64::MAX).len(), 51);
        let cut = lines_below(&path, 1_000);
        assert!((5..=9).contains(&cut.len()), "{}", cut.len());
        assert!(lines(&dir.path().join("absent")).is_empty());
    }

    /// A run whose ULID says that it began so many days ago, with these events.
    fn run(runs: &Path, days: u64, events: &[Value]) -> String {
        let at = std::time::SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        let id = ulid::Ulid::from_datetime(at).to_string();
        let dir = runs.join(&id);
        std::fs::create_dir_all(dir.join(journal::EVENTS)).expect("a folder");
        let spec = serde_json::json!({ "id": id, "kind": "test", "params": {}, "title": "t", "command": [],
            "created": Utc::now(), "version": "0" });
        std::fs::write(dir.join(journal::SPEC), spec.to_string()).expect("written");
        let lines: Vec<String> = events.iter().map(|event| format!("{event}\n")).collect();
        let lines = lines.concat();
        std::fs::write(journal::events_file(&dir, 1), lines).expect("written");
        id
    }

    #[test]
    fn old_runs_go_unless_they_can_be_resumed() {
        use serde_json::json;
        let runs = tempfile::tempdir().expect("a folder");
        let end = |state: &str| json!({ "event": "end", "state": state });
        let (start, part) = (json!({ "event": "start" }), json!({ "event": "part", "part": 1 }));
        let done = run(runs.path(), 100, &[start.clone(), end("done")]);
        let cancelled = run(runs.path(), 100, &[start.clone(), end("cancelled")]);
        let failed = run(runs.path(), 100, &[start.clone(), end("failed")]);
        let half = run(runs.path(), 100, &[start.clone(), part, end("failed")]);
        let interrupted = run(runs.path(), 100, std::slice::from_ref(&start));
        let held = run(runs.path(), 100, &[start.clone(), end("done")]);
        let recent = run(runs.path(), 10, &[start, end("done")]);
        let _held = journal::RunDir::reopen(runs.path(), &held).expect("is free");
        assert!(has_ended(&runs.path().join(&done)) && !has_ended(&runs.path().join(&interrupted)));

        prune(runs.path(), &newest(runs.path()));
        let mut left = newest(runs.path());
        left.sort();
        let mut kept = vec![half, interrupted, held, recent];
        kept.sort();
        assert_eq!(left, kept);
        assert!([done, cancelled, failed].iter().all(|id| !runs.path().join(id).exists()));
    }

    #[test]
    fn beyond_the_newest_thousand_only_what_can_be_resumed_stays() {
        use serde_json::json;
        let runs = tempfile::tempdir().expect("a folder");
        let oldest = run(runs.path(), 3, &[json!({ "event": "start" })]);
        let old = run(runs.path(), 2, &[json!({ "event": "end", "state": "done" })]);
        // As if a thousand newer ones stood before them.
        let mut names: Vec<String> = vec![String::new(); KEPT];
        names.extend([old.clone(), oldest.clone()]);
        prune(runs.path(), &names);
        assert_eq!(newest(runs.path()), [oldest]);
    }
}
