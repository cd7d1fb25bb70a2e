//! What an interrupted download left behind, told by the events it recorded. Paths are relative to the target;
//! web addresses stand without their signatures.
//!
//! | event | fields |
//! |---|---|
//! | `run` | `run`: names the hidden files of this download |
//! | `begun` | `location`, `path`, `temp` (the hidden file), `inode`, `size`, `etag`, `modified` |
//! | `range` | `temp`, `at`, `size`, `crc32c`: those bytes are in the file |
//! | `dropped` | `temp` |
//! | `file` | `location`, `path`, `size`, `mtime` (ns), `check`: it has its name |

use super::check::Check;
use super::sink::Sums;
use crate::location::{Location, Scheme};
use crate::store::redacted;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// What is known of former attempts, and where this one's events go.
#[derive(Default)]
pub struct Trail {
    run: String,
    again: bool,
    left: HashMap<String, Left>,
    done: HashMap<String, Done>,
    /// Hidden files of this and former attempts that have neither been published nor removed: with their path.
    hidden: Mutex<BTreeMap<String, String>>,
    record: Option<Box<dyn Fn(Value) + Send + Sync>>,
}

/// A file that was not finished.
#[derive(Clone, Debug, Default)]
pub(super) struct Left {
    pub(super) path: String,
    pub(super) temp: String,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) etag: Option<String>,
    pub(super) modified: Option<DateTime<Utc>>,
    /// By offset: length and CRC32C.
    pub(super) ranges: BTreeMap<u64, (u64, u32)>,
}

/// A file that was.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) mtime: i64,
    pub(super) check: Check,
}

/// How an object is called in the journal.
pub(super) fn address(location: &Location) -> String {
    let text = location.to_string();
    match location.scheme() {
        Scheme::Http | Scheme::Https => redacted(&text),
        _ => text,
    }
}

/// Nanoseconds since 1970; 0 where it is before or unknown.
pub(super) fn nanoseconds(at: Option<SystemTime>) -> i64 {
    let since = at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

impl Trail {
    /// What former attempts recorded, and a sink for what this one records.
    pub fn new(earlier: &[Value], record: impl Fn(Value) + Send + Sync + 'static) -> Self {
        let mut trail = Self { record: Some(Box::new(record)), ..Self::default() };
        for event in earlier {
            // An event that is not ours, or cut by a crash, tells nothing.
            let _ = trail.learn(event);
        }
        trail.again = !trail.run.is_empty();
        if !trail.again {
            ulid::Ulid::new().to_string()[16..].clone_into(&mut trail.run);
            trail.record(json!({ "event": "run", "run": trail.run }));
        }
        trail
    }

    fn learn(&mut self, event: &Value) -> Option<()> {
        let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| event.get(name).and_then(Value::as_u64);
        match text("event")?.as_str() {
            // It becomes a part of names.
            "run" => self.run = text("run").filter(|run| run.bytes().all(|b| b.is_ascii_alphanumeric()))?,
            "begun" => {
                let (path, temp) = (text("path")?, text("temp").filter(|temp| !temp.contains('/'))?);
                let left = Left {
                    path: path.clone(),
                    temp: temp.clone(),
                    inode: number("inode")?,
                    size: number("size")?,
                    etag: text("etag"),
                    modified: text("modified").and_then(|at| at.parse().ok()),
                    ranges: BTreeMap::new(),
                };
                self.left.insert(text("location")?, left);
                self.hidden().insert(temp, path);
            }
            "range" => {
                let temp = text("temp")?;
                let range = (number("at")?, (number("size")?, u32::try_from(number("crc32c")?).ok()?));
                self.left.values_mut().find(|left| left.temp == temp)?.ranges.insert(range.0, range.1);
            }
            "dropped" => {
                let temp = text("temp")?;
                self.left.retain(|_, left| left.temp != temp);
                self.hidden().remove(&temp);
            }
            "file" => {
                let location = text("location")?;
                if let Some(left) = self.left.remove(&location) {
                    self.hidden().remove(&left.temp);
                }
                let mtime = event.get("mtime").and_then(Value::as_i64)?;
                let check = serde_json::from_value(event.get("check")?.clone()).ok()?;
                self.done.insert(location, Done { path: text("path")?, size: number("size")?, mtime, check });
            }
            _ => {}
        }
        Some(())
    }

    fn hidden(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an attempt was made before.
    pub(super) fn is_again(&self) -> bool {
        self.again
    }

    /// Whether somebody keeps what is recorded, so that the download can be resumed.
    pub(super) fn is_recorded(&self) -> bool {
        self.record.is_some()
    }

    /// What the hidden files of this download have in their names.
    pub(super) fn run(&self) -> &str {
        if self.run.is_empty() { "once" } else { &self.run }
    }

    pub(super) fn left(&self, location: &Location) -> Option<&Left> {
        self.left.get(&address(location))
    }

    pub(super) fn done(&self, location: &Location) -> Option<&Done> {
        self.done.get(&address(location))
    }

    /// Whether any object is known, so that it is worth asking for each.
    pub(super) fn knows(&self) -> bool {
        !self.left.is_empty() || !self.done.is_empty()
    }

    /// Hidden files that stand somewhere, with the paths they would have become.
    pub(super) fn hidden_files(&self) -> Vec<(String, String)> {
        self.hidden().iter().map(|(temp, path)| (temp.clone(), path.clone())).collect()
    }

    fn record(&self, event: Value) {
        if let Some(record) = &self.record {
            record(event);
        }
    }

    pub(super) fn begun(&self, location: &Location, left: &Left) {
        self.hidden().insert(left.temp.clone(), left.path.clone());
        self.record(json!({
            "event": "begun", "location": address(location), "path": left.path, "temp": left.temp,
            "inode": left.inode, "size": left.size, "etag": left.etag, "modified": left.modified,
        }));
    }

    pub(super) fn range(&self, temp: &str, at: u64, size: u64, sums: Sums) {
        self.record(json!({ "event": "range", "temp": temp, "at": at, "size": size, "crc32c": sums.crc32c }));
    }

    pub(super) fn dropped(&self, temp: &str) {
        if self.hidden().remove(temp).is_some() {
            self.record(json!({ "event": "dropped", "temp": temp }));
        }
    }

    pub(super) fn file(&self, location: &Location, temp: Option<&str>, done: &Done) {
        if let Some(temp) = temp {
            self.hidden().remove(temp);
        }
        self.record(json!({
            "event": "file", "location": address(location), "path": done.path, "size": done.size,
            "mtime": done.mtime, "check": done.check,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn events_tell_what_is_left_to_do() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let first = Trail::new(&[], move |event| sink.lock().expect("lock").push(event));
        assert!(!first.is_again());
        let location = |text: &str| Location::parse(text).expect(text);
        let (one, two) = (location("s3://p@b/a//x.tif"), location("https://h/x?sig=secret&list-type=2"));
        let left = |path: &str, temp: &str| Left {
            path: path.into(),
            temp: temp.into(),
            inode: 7,
            size: 40,
            etag: Some("\"e\"".into()),
            ..Left::default()
        };
        first.begun(&one, &left("x.tif", ".x.part"));
        first.range(".x.part", 16, 8, Sums { crc32c: 5, other: None });
        first.begun(&two, &left("x", ".y.part"));
        first.dropped(".y.part");
        let events = seen.lock().expect("lock").clone();
        assert!(!format!("{events:?}").contains("secret"));
        let again = Trail::new(&events, |_| {});
        assert!(again.is_again() && again.run() == first.run());
        let found = again.left(&one).expect("goes on");
        assert_eq!((found.inode, found.ranges.get(&16)), (7, Some(&(8, 5))));
        assert!(again.left(&two).is_none());
        assert_eq!(again.hidden_files(), [(".x.part".to_owned(), "x.tif".to_owned())]);
        let done = Done { path: "x.tif".into(), size: 40, mtime: 1, check: Check::PartsMd5 };
        first.file(&one, Some(".x.part"), &done);
        let done = Trail::new(&seen.lock().expect("lock"), |_| {});
        assert!(done.left(&one).is_none() && done.hidden_files().is_empty());
        assert_eq!(done.done(&one).map(|d| d.check), Some(Check::PartsMd5));
    }
}
