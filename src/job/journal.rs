//! Writing a run directory: the spec before the work, then events as they come.

use super::{JobId, JobSpec};
use crate::error::{Context as _, Error, Kind, Result};
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
const RANK: &str = "rank";
/// Lines that wait for room on a full disk take at most so much memory; beyond it they are lost.
const BACKLOG: usize = 8 << 20;
/// Resume points are on disk after this at the latest: all that come in between share one sync.
const SYNC: Duration = Duration::from_millis(200);

/// What another program wants of the one that works on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Cancel,
    Pause,
    GoOn,
}

impl Wish {
    const ALL: [Self; 3] = [Self::Cancel, Self::Pause, Self::GoOn];

    fn file(self) -> &'static str {
        match self {
            Self::Cancel => "CANCEL",
            Self::Pause => "PAUSE",
            Self::GoOn => "GO-ON",
        }
    }
}

/// Leaves a wish in the directory of a run; the last one counts.
pub(super) fn wish(dir: &Path, wish: Wish) {
    for other in Wish::ALL.into_iter().filter(|other| *other != wish && *other != Wish::Cancel) {
        let _ = std::fs::remove_file(dir.join(other.file()));
    }
    // It is only a wish; the other program may have gone, with its directory.
    let _ = std::fs::write(dir.join(wish.file()), b"");
}

/// Takes a wish out of the directory of a run.
pub(super) fn take_wish(dir: &Path) -> Option<Wish> {
    Wish::ALL.into_iter().find(|wish| std::fs::remove_file(dir.join(wish.file())).is_ok())
}

/// The rank that a run was given, where that is not its name.
pub(super) fn rank(dir: &Path) -> Option<String> {
    let rank = std::fs::read_to_string(dir.join(RANK)).ok()?;
    ulid::Ulid::from_string(rank.trim()).ok().map(|rank| rank.to_string())
}

/// Keeps the rank of a run. What cannot be written is only an order.
pub(super) fn keep_rank(dir: &Path, new: &str) {
    let is_name = dir.file_name().is_some_and(|name| name == new);
    if rank(dir).as_deref() == Some(new) || (is_name && !dir.join(RANK).exists()) {
        return;
    }
    let partial = dir.join("rank.part");
    let _ = std::fs::write(&partial, new).and_then(|()| std::fs::rename(&partial, dir.join(RANK)));
}

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
        // Wishes were meant for the attempt that is over.
        while take_wish(&path).is_some() {}
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
    /// A line, and whether it is a resume point: then it must soon be on disk.
    Line(Value, bool),
    /// Look whether another program wishes something.
    Look,
}

/// What the writer tells.
#[derive(Default)]
struct Told {
    wish: Option<Wish>,
    problem: Option<String>,
}

/// The events of one attempt. Writing happens on a thread of its own, because a state folder may lie on
/// a slow shared disk. Dropping it writes what is left and lets go of the run.
pub(super) struct Journal {
    to: mpsc::Sender<Message>,
    writer: std::thread::JoinHandle<()>,
    told: Arc<Mutex<Told>>,
    attempt: u32,
    began: Instant,
    seq: u64,
}

impl Journal {
    /// Begins the next attempt in `dir`.
    pub(super) fn open(dir: RunDir) -> Result<Self> {
        let attempt = last_attempt(dir.path()).saturating_add(1);
        let path = events_file(dir.path(), attempt);
        let file =
            OpenOptions::new().append(true).create_new(true).open(&path).context(|| path.display().to_string())?;
        // Its name too must outlive a power cut.
        sync_dir(&dir.path().join(EVENTS));
        let (to, from) = mpsc::channel();
        let told = Arc::new(Mutex::default());
        let (sync, wanted) = mpsc::sync_channel(1);
        let same = file.try_clone().context(|| path.display().to_string())?;
        std::thread::Builder::new().name("secchi-sync".into()).spawn(move || sync_all(&same, &wanted))?;
        let mut lines = Lines { dir, file, told: told.clone(), length: 0, waiting: Vec::new(), broken: false, sync };
        let writer = std::thread::Builder::new().name("secchi-journal".into()).spawn(move || lines.write_all(&from))?;
        Ok(Self { to, writer, told, attempt, began: Instant::now(), seq: 0 })
    }

    /// The number of this attempt, from 1.
    pub(super) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Writes one line; `fields` is an object.
    pub(super) fn line(&mut self, event: &str, fields: Value) {
        self.write(event, fields, false);
    }

    fn write(&mut self, event: &str, fields: Value, is_point: bool) {
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
        let _ = self.to.send(Message::Line(Value::Object(line), is_point));
    }

    /// Writes what a job recorded: it may be what the next attempt goes on from.
    pub(super) fn recorded(&mut self, value: &Value) {
        match value.get("event").and_then(Value::as_str) {
            Some(name) if !is_reserved(name) => self.write(name, value.clone(), true),
            _ => self.write("sample", json!({ "data": value }), true),
        }
    }

    /// Has the writer look for wishes.
    pub(super) fn look(&self) {
        let _ = self.to.send(Message::Look);
    }

    /// What another program wished, once.
    pub(super) fn wish(&self) -> Option<Wish> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).wish.take()
    }

    /// What is wrong with writing it, or right again, once.
    pub(super) fn problem(&self) -> Option<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).problem.take()
    }

    /// Waits until all is on disk and the run is let go; tells what could not be written. Blocks.
    pub(super) fn close(self) -> Option<String> {
        drop(self.to);
        let _ = self.writer.join();
        self.told.lock().unwrap_or_else(PoisonError::into_inner).problem.take()
    }
}

/// Names of events that only the engine writes.
pub(super) fn is_reserved(event: &str) -> bool {
    matches!(event, "start" | "progress" | "note" | "sample" | "pause" | "go-on" | "left" | "end")
}

/// Has what was written put on disk when that is wanted: what comes in meanwhile shares the next sync. It does not
/// hold up the writer, so that a program that is killed leaves all that it did; a sync is for a machine that fails.
fn sync_all(file: &File, wanted: &mpsc::Receiver<()>) {
    while wanted.recv().is_ok() {
        // What the disk refuses to keep, the next write tells.
        let _ = file.sync_data();
        std::thread::sleep(SYNC);
    }
}

/// The file of an attempt, at its writer.
struct Lines {
    dir: RunDir,
    file: File,
    told: Arc<Mutex<Told>>,
    /// Of what stands whole in the file, in bytes.
    length: u64,
    /// Whole lines that are not in the file yet.
    waiting: Vec<u8>,
    /// The last try to write failed.
    broken: bool,
    /// Where a sync of what was written is asked for; one that has not begun yet is for all before it.
    sync: mpsc::SyncSender<()>,
}

impl Lines {
    fn write_all(&mut self, from: &mpsc::Receiver<Message>) {
        while let Ok(message) = from.recv() {
            let mut is_point = self.take(message);
            while let Ok(message) = from.try_recv() {
                is_point |= self.take(message);
            }
            self.flush();
            if is_point {
                let _ = self.sync.try_send(());
            }
        }
        self.flush();
        let _ = self.file.sync_data();
    }

    /// Takes a message; whether it is a resume point.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Line(line, is_point) => {
                let text = line.to_string();
                // Where nothing can be written, what was done counts more than how it went.
                if self.waiting.len() + text.len() < BACKLOG && (is_point || !self.broken || line["event"] == "end") {
                    self.waiting.extend_from_slice(text.as_bytes());
                    self.waiting.push(b'\n');
                }
                is_point
            }
            Message::Look => {
                if let Some(wish) = take_wish(self.dir.path()) {
                    self.told.lock().unwrap_or_else(PoisonError::into_inner).wish = Some(wish);
                }
                false
            }
        }
    }

    /// Writes what waits. On a full disk it goes on waiting: it is tried again with every message.
    fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let written = self.file.write_all(&self.waiting);
        let tell = |text: String| self.told.lock().unwrap_or_else(PoisonError::into_inner).problem = Some(text);
        match written {
            Ok(()) => {
                self.length += self.waiting.len() as u64;
                self.waiting.clear();
                if std::mem::take(&mut self.broken) {
                    tell("the journal of this job is written again; nothing that was done is missing".to_owned());
                }
            }
            Err(err) => {
                // Half a line is taken back, so that the next begins where one begins.
                let _ = self.file.set_len(self.length);
                if !std::mem::replace(&mut self.broken, true) {
                    let why = Error::from(err).context("the journal of this job cannot be written");
                    tell(format!("{why}; the work goes on, but what is done from now on could not be resumed"));
                }
            }
        }
    }
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
mod tests;
