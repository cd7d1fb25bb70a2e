//! All that is known of a job: to read, and as a file.

use super::words;
use crate::error::{Context as _, Error, Kind, Result};
use crate::job::JobView;
use crate::text::{self, clean};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Lines of a job's result that are shown; the file has all.
const RESULT: usize = 200;
/// Numbers tried for a free name.
const NUMBERS: u32 = 1_000;

/// What proves that a job has done what it says, a sentence each: where it wrote, and what the server says
/// that it has. Jobs put sentences of their own under `proof` of their outcome's data.
pub(super) fn proof(view: &JobView) -> Vec<String> {
    let Some(outcome) = &view.outcome else { return Vec::new() };
    let mut out = Vec::new();
    match outcome.written.as_slice() {
        [] => {}
        [one] => out.push(format!("at {one}")),
        [one, rest @ ..] => out.push(format!("at {one} and {} more", text::count(rest.len() as u64))),
    }
    match outcome.data.get("proof") {
        Some(Value::String(text)) => out.push(text.clone()),
        Some(Value::Array(all)) => out.extend(all.iter().filter_map(Value::as_str).map(str::to_owned)),
        _ => out.extend(head(&outcome.data)),
    }
    out
}

/// What a HEAD after the work said: size, `ETag`, content type, checksums.
fn head(data: &Value) -> Option<String> {
    let stat = data.get("stat")?.as_object()?;
    let mut parts: Vec<String> = Vec::new();
    parts.extend(stat.get("size").and_then(Value::as_u64).map(text::bytes));
    for (name, label) in [("etag", "ETag "), ("content_type", ""), ("storage_class", "")] {
        parts.extend(stat.get(name).and_then(Value::as_str).map(|v| format!("{label}{v}")));
    }
    for (name, value) in stat.iter().filter(|(name, _)| name.starts_with("checksum")) {
        parts.extend(value.as_str().map(|v| format!("{} {v}", name.replace('_', " "))));
    }
    (!parts.is_empty()).then(|| format!("the server has it: {}", parts.join(", ")))
}

/// Line by line, for reading.
pub(super) fn lines(view: &JobView, retry: &str, run: &Path) -> Vec<String> {
    let (_, _, word, _) = words::state(view);
    let attempt = if view.attempt > 1 { format!(", attempt {}", view.attempt) } else { String::new() };
    let mut lines = vec![
        format!("{} {word}, began {}{attempt}", view.kind, view.started.format("%Y-%m-%d %H:%M:%S UTC")),
        text::command_line(&view.command),
    ];
    let end = words::ending(view, retry);
    if !end.is_empty() {
        lines.extend([String::new(), end]);
    }
    if let Some(err) = &view.failure {
        lines.extend(err.hint().map(str::to_owned));
        lines.extend(err.request_id().map(|id| format!("request id {id}")));
    }
    lines.extend(proof(view));
    lines.extend([String::new(), numbers(view)]);
    lines.extend(view.latency.map(|[p50, p90, p99, max]| {
        let [p50, p90, p99, max] = [p50, p90, p99, max].map(words::micros);
        format!("latency p50 {p50}, p90 {p90}, p99 {p99}, max {max}")
    }));
    lines.push(format!("raw samples: {}", run.join("ev").display()));
    if !view.log.is_empty() {
        lines.extend([String::new(), "log".to_owned()]);
        lines.extend(view.log.iter().map(|(t, line)| format!("  {}  {line}", words::since(view, *t))));
    }
    if let Some(outcome) = &view.outcome {
        if outcome.written.len() > 1 {
            lines.extend([String::new(), "written".to_owned()]);
            lines.extend(outcome.written.iter().take(RESULT).map(|l| format!("  {l}")));
        }
        if !outcome.data.is_null() {
            let json = serde_json::to_string_pretty(&outcome.data).unwrap_or_default();
            lines.extend([String::new(), "result".to_owned()]);
            lines.extend(json.lines().take(RESULT).map(|l| format!("  {l}")));
        }
    }
    lines.into_iter().map(|l| clean(&l).into_owned()).collect()
}

fn numbers(view: &JobView) -> String {
    let c = view.counts;
    let seconds = view.elapsed.as_secs_f64();
    let mean = if seconds > 0.0 { (c.bytes_in + c.bytes_out) as f64 / seconds } else { 0.0 };
    format!(
        "{} sent, {} received in {} ({}), {} requests, {} errors, {} retries",
        text::bytes(c.bytes_out),
        text::bytes(c.bytes_in),
        text::duration(view.elapsed),
        text::rate(mean),
        text::count(c.requests),
        text::count(c.errors),
        text::count(c.retries),
    )
}

/// The same for machines, with the samples behind the charts.
fn as_json(view: &JobView) -> Value {
    let samples: Vec<Value> = view
        .throughput
        .samples()
        .map(|s| json!({ "t": s.t, "bytes_out": s.sent, "bytes_in": s.bytes.saturating_sub(s.sent), "requests": s.requests }))
        .collect();
    let latencies: Vec<Value> = view
        .latencies
        .points()
        .map(|(t, [p50, p90, p99, max])| json!({ "t": t, "p50": p50, "p90": p90, "p99": p99, "max": max }))
        .collect();
    let log: Vec<Value> = view.log.iter().map(|(t, line)| json!({ "t": t, "text": line })).collect();
    json!({
        "id": view.id, "kind": view.kind, "title": view.title, "command": view.command, "state": view.state,
        "attempt": view.attempt, "started": view.started, "elapsed_s": view.elapsed.as_secs_f64(),
        "done": view.done, "total": view.total, "counts": view.counts, "latency_us": view.latency,
        "outcome": view.outcome, "samples": samples, "latencies_us": latencies, "log": log, "events": *view.events,
    })
}

/// Writes `KIND-TIME.json` into `folder`, over nothing; returns its name.
pub(super) async fn write(view: JobView, folder: PathBuf) -> Result<String> {
    tokio::task::spawn_blocking(move || save(&view, &folder))
        .await
        .map_err(|err| Error::new(Kind::Failed, "saving failed").with_source(err))?
}

fn save(view: &JobView, folder: &Path) -> Result<String> {
    let text = serde_json::to_vec_pretty(&as_json(view))?;
    let began = view.started.format("%Y%m%d-%H%M%S");
    for n in 1..=NUMBERS {
        let name =
            if n == 1 { format!("{}-{began}.json", view.kind) } else { format!("{}-{began} ({n}).json", view.kind) };
        let path = folder.join(&name);
        if path.exists() {
            continue;
        }
        let write = || -> Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&text)?;
            file.persist_noclobber(&path).map_err(|err| Error::from(err.error))?;
            Ok(())
        };
        write().context(|| format!("saving {}", path.display()))?;
        return Ok(name);
    }
    Err(Error::new(Kind::Exists, "there are too many files of this name in this folder"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Jobs, Outcome};
    use crate::store::{Options, Stores};
    use crate::task::Waker;

    /// A job as the engine gives it.
    async fn view(folder: &Path) -> JobView {
        let jobs = Jobs::new(Stores::new(Options::default()), folder.to_owned(), Waker::new());
        let job = crate::jobs::from_spec(crate::job::JobSpec {
            kind: "convert".to_owned(),
            params: json!({ "source": "/no/such.csv", "destination": "/no/where.parquet" }),
        })
        .expect("a job");
        assert!(!job.title().is_empty());
        let id = jobs.start(job).expect("starts");
        jobs.wait(&id).await.expect("ends")
    }

    #[tokio::test]
    async fn a_job_is_saved_whole_and_over_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut view = view(folder.path()).await;
        let location = crate::location::Location::parse("s3://b/k").expect("a location");
        view.outcome = Some(Outcome {
            summary: "1 file".to_owned(),
            written: vec![location],
            data: json!({ "stat": { "size": 2048, "etag": "\"abc\"", "checksum_crc32c": "x==" } }),
        });
        assert_eq!(proof(&view), ["at s3://b/k", "the server has it: 2.0 KiB, ETag \"abc\", checksum crc32c x=="]);
        let names: Vec<String> =
            [view.clone(), view.clone()].iter().map(|v| save(v, folder.path()).expect("saved")).collect();
        assert_ne!(names[0], names[1]);
        let text = std::fs::read(folder.path().join(&names[0])).expect("read");
        let value: Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(value["id"], view.id.as_str());
        assert!(value["samples"].is_array() && value["log"].is_array());
    }
}
