//! Writing a run directory: the spec before the work, then events as they come.

use super::{JobId, JobSpec};
use crate::error::{Context as _, Error, Kind, Result};
use crate::task::Control;
use base64::Engine as _;
use chrono::{DateTime, SecondsFormat, Utc};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

pub(super) const SPEC: &str = "spec.json";
pub(super) const LOCK: &str = "lock";
pub(super) const EVENTS: &str = "ev";
pub(super) const CANCEL: &str = "CANCEL";

/// What stands in `spec.json`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Header {
    /// The run.
    pub(super) id: JobId,
    /// What to run.
    #[serde(flatten)]
    pub(super) spec: JobSpec,
    /// A few words.
    pub(super) title: String,
    /// The command line that does the same.
    pub(super) command: Vec<String>,
    /// When it was queued.
    pub(super) created: DateTime<Utc>,
    /// The version of this program that wrote it.
    pub(super) version: String,
}

/// A run directory that this program holds; dropping it lets go.
pub(super) struct RunDir {
    path: PathBuf,
    _lock: File,
}

impl RunDir {
    /// Makes the directory of a new run: locked, its spec on disk before this returns.
    pub(super) fn create(runs: &Path, header: &Header) -> Result<Self> {
        let path = runs.join(&header.id);
        make_private_dir(runs)?;
        make_private_dir(&path)?;
        let lock = lock(&path)?;
        std::fs::create_dir_all(path.join(EVENTS))?;
        let mut text = serde_json::to_vec_pretty(header)?;
        text.push(b'\n');
        let partial = path.join("spec.json.part");
        let mut file = File::create(&partial)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&partial, path.join(SPEC))?;
        // The names must be on disk too, or the run is lost with its spec.
        sync_dir(&path);
        sync_dir(runs);
        Ok(Self { path, _lock: lock })
    }

    /// Takes hold of a run that was left.
    pub(super) fn reopen(runs: &Path, id: &str) -> Result<Self> {
        let path = runs.join(id);
        let lock = lock(&path)?;
        std::fs::create_dir_all(path.join(EVENTS))?;
        // A wish to cancel was meant for the attempt that is over.
        let _ = std::fs::remove_file(path.join(CANCEL));
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether another program works on the run in `dir`.
pub(super) fn is_held(dir: &Path) -> bool {
    // A shared lock, so that two programs that look at the same time do not see each other.
    OpenOptions::new()
        .write(true)
        .open(dir.join(LOCK))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn lock(dir: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join(LOCK))
        .context(|| format!("opening the lock of {}", dir.display()))?;
    for patience in (0..5).rev() {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // Another program may only have looked whether it is held: that takes microseconds.
            Err(TryLockError::WouldBlock) if patience > 0 => std::thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(Kind::Exists, "another program works on this job")
                    .with_hint("wait until it has ended there, or cancel it"));
            }
            // Some network file systems have no locks; one user with two programs is then on their own.
            Err(TryLockError::Error(err)) if err.kind() == std::io::ErrorKind::Unsupported => return Ok(file),
            Err(TryLockError::Error(err)) => return Err(Error::from(err).context("locking the run directory")),
        }
    }
    Ok(file)
}

/// Run directories tell what a user works on: nobody else's business on a shared machine.
fn make_private_dir(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).context(|| format!("making {}", path.display()))
}

fn sync_dir(path: &Path) {
    // Some file systems cannot sync a folder; there is nothing better to do there.
    let _ = File::open(path).and_then(|dir| dir.sync_all());
}

/// The number of the last attempt in `dir`; 0 where there was none.
pub(super) fn last_attempt(dir: &Path) -> u32 {
    let Ok(files) = std::fs::read_dir(dir.join(EVENTS)) else { return 0 };
    files.flatten().filter_map(|f| attempt_of(&f.file_name().to_string_lossy())).max().unwrap_or(0)
}

/// `0.3.ndjson` -> 3.
fn attempt_of(name: &str) -> Option<u32> {
    name.strip_prefix("0.")?.strip_suffix(".ndjson")?.parse().ok()
}

/// The events file of an attempt.
pub(super) fn events_file(dir: &Path, attempt: u32) -> PathBuf {
    dir.join(EVENTS).join(format!("0.{attempt}.ndjson"))
}

enum Message {
    Line(Value),
    /// Look whether another program wants the run to stop.
    Look,
}

/// The events of one attempt. Writing happens on a thread of its own, because a state folder may lie on
/// a slow shared disk. Dropping it writes what is left and lets go of the run.
pub(super) struct Journal {
    to: mpsc::Sender<Message>,
    writer: std::thread::JoinHandle<()>,
    problem: Arc<Mutex<Option<String>>>,
    began: Instant,
    seq: u64,
}

impl Journal {
    /// Begins the next attempt in `dir`; `control` is cancelled when another program asks for it.
    pub(super) fn open(dir: RunDir, control: &Control) -> Result<Self> {
        let attempt = last_attempt(dir.path()).saturating_add(1);
        let path = events_file(dir.path(), attempt);
        let file =
            OpenOptions::new().append(true).create_new(true).open(&path).context(|| path.display().to_string())?;
        let (to, from) = mpsc::channel();
        let problem = Arc::new(Mutex::new(None));
        let (report, control) = (problem.clone(), control.clone());
        let writer = std::thread::Builder::new()
            .name("secchi-journal".into())
            .spawn(move || write_lines(&dir, file, &from, &control, &report))?;
        Ok(Self { to, writer, problem, began: Instant::now(), seq: 0 })
    }

    /// Writes one line; `fields` is an object.
    pub(super) fn line(&mut self, event: &str, fields: Value) {
        let mut line = Map::new();
        line.insert("seq".into(), self.seq.into());
        line.insert("t".into(), Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true).into());
        line.insert("mono".into(), json!((self.began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0));
        line.insert("event".into(), event.into());
        if let Value::Object(fields) = fields {
            for (key, value) in fields {
                if !matches!(key.as_str(), "seq" | "t" | "mono" | "event") {
                    line.insert(key, value);
                }
            }
        }
        self.seq += 1;
        // The writer ends only after us.
        let _ = self.to.send(Message::Line(Value::Object(line)));
    }

    /// Writes what a job recorded.
    pub(super) fn recorded(&mut self, value: &Value) {
        match value.get("event").and_then(Value::as_str) {
            Some(name) if !is_reserved(name) => self.line(name, value.clone()),
            _ => self.line("sample", json!({ "data": value })),
        }
    }

    /// Has the writer look for a wish to cancel.
    pub(super) fn look(&self) {
        let _ = self.to.send(Message::Look);
    }

    /// Why it could not write, once.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits until all is on disk and the run is let go. Blocks.
    pub(super) fn close(self) {
        drop(self.to);
        let _ = self.writer.join();
    }
}

/// Names of events that only the engine writes.
pub(super) fn is_reserved(event: &str) -> bool {
    matches!(event, "start" | "progress" | "note" | "sample" | "end")
}

fn write_lines(
    dir: &RunDir,
    mut file: File,
    from: &mpsc::Receiver<Message>,
    control: &Control,
    report: &Mutex<Option<String>>,
) {
    let mut broken = false;
    while let Ok(message) = from.recv() {
        let line = match message {
            Message::Line(line) => line,
            Message::Look => {
                if dir.path().join(CANCEL).exists() {
                    control.cancel();
                }
                continue;
            }
        };
        if broken {
            continue;
        }
        let mut text = line.to_string();
        text.push('\n');
        if let Err(err) = file.write_all(text.as_bytes()) {
            broken = true;
            let why = Error::from(err).context("the journal of this job can no longer be written");
            *report.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_string());
        }
    }
    let _ = file.sync_all();
}

/// A latency histogram as it stands in the journal; `None` when it is empty.
pub(super) fn encode(histogram: &Histogram<u64>) -> Option<String> {
    if histogram.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    V2Serializer::new().serialize(histogram, &mut out).ok()?;
    Some(base64::engine::general_purpose::STANDARD.encode(out))
}

/// The reverse of [`encode`].
pub(super) fn decode(text: &str) -> Option<Histogram<u64>> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_survive_the_journal() {
        let mut histogram = crate::meter::latency_histogram();
        for us in [10, 1_000, 50_000] {
            histogram.saturating_record(us);
        }
        let text = encode(&histogram).expect("not empty");
        assert_eq!(decode(&text).expect("decodes"), histogram);
        assert!(decode("AAAA").is_none());
        assert!(text.len() < 20_000, "{}", text.len());
    }

    #[test]
    fn a_held_run_is_seen_and_cannot_be_taken() {
        let state = tempfile::tempdir().expect("folder");
        let header = Header {
            id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
            spec: JobSpec { kind: "test".into(), params: Value::Null },
            title: "t".into(),
            command: vec![],
            created: Utc::now(),
            version: "0".into(),
        };
        let dir = RunDir::create(state.path(), &header).expect("creates");
        assert!(is_held(dir.path()));
        assert_eq!(RunDir::reopen(state.path(), &header.id).map(|_| ()).map_err(|e| e.kind()), Err(Kind::Exists));
        let path = dir.path().to_owned();
        drop(dir);
        assert!(!is_held(&path));
        RunDir::reopen(state.path(), &header.id).expect("is free");
    }
}
