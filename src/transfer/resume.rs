//! What an interrupted upload left behind, told by the events it recorded.
//!
//! | event | fields |
//! |---|---|
//! | `begun` | `path`, `location`, `upload_id`, `size`, `mtime`, `part_size` |
//! | `part` | `upload_id`, `part`, `size`, `etag` |
//! | `aborted` | `upload_id` |
//! | `file` | `path`, `location`, `size`, `mtime`, `etag`: it is whole and proved |

use super::source::{File, Stamp};
use crate::location::Location;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// What is known of former attempts, and where this one's events go.
#[derive(Default)]
pub struct Resume {
    unfinished: HashMap<String, Unfinished>,
    finished: HashMap<PathBuf, Finished>,
    record: Option<Box<dyn Fn(Value) + Send + Sync>>,
}

/// An upload in parts that was neither completed nor aborted.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    pub(super) upload_id: String,
    pub(super) path: PathBuf,
    pub(super) location: Location,
    stamp: Stamp,
    part_size: u64,
    /// `ETag`s by part number.
    pub(super) parts: BTreeMap<u32, String>,
}

#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) location: Location,
    stamp: Stamp,
    pub(super) etag: Option<String>,
}

impl Resume {
    /// What former attempts recorded, and a sink for what this one records.
    pub fn new(earlier: &[Value], record: impl Fn(Value) + Send + Sync + 'static) -> Self {
        let mut resume = Self { record: Some(Box::new(record)), ..Self::default() };
        for event in earlier {
            // An event that is not ours, or cut by a crash, tells nothing.
            let _ = resume.learn(event);
        }
        resume
    }

    fn learn(&mut self, event: &Value) -> Option<()> {
        let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| event.get(name).and_then(Value::as_u64);
        let place = || Some((PathBuf::from(text("path")?), Location::parse(&text("location")?).ok()?));
        let stamp = || Some(Stamp { size: number("size")?, mtime: event.get("mtime").and_then(Value::as_i64)? });
        match text("event")?.as_str() {
            "begun" => {
                let ((path, location), upload_id) = (place()?, text("upload_id")?);
                let (stamp, part_size, parts) = (stamp()?, number("part_size")?, BTreeMap::new());
                let begun = Unfinished { upload_id: upload_id.clone(), path, location, stamp, part_size, parts };
                self.unfinished.insert(upload_id, begun);
            }
            "part" => {
                let (part, etag) = (u32::try_from(number("part")?).ok()?, text("etag")?);
                self.unfinished.get_mut(&text("upload_id")?)?.parts.insert(part, etag);
            }
            "aborted" => {
                self.unfinished.remove(&text("upload_id")?);
            }
            "file" => {
                let ((path, location), stamp) = (place()?, stamp()?);
                self.unfinished.retain(|_, u| u.location != location);
                self.finished.insert(path, Finished { location, stamp, etag: text("etag") });
            }
            _ => {}
        }
        Some(())
    }

    /// Whether somebody keeps what is recorded, so that the upload can be resumed.
    pub(super) fn is_recorded(&self) -> bool {
        self.record.is_some()
    }

    /// The upload of this very file that can go on.
    pub(super) fn unfinished(&self, file: &File, part_size: u64) -> Option<&Unfinished> {
        let goes_on = |u: &&Unfinished| u.path == file.path && u.stamp == file.stamp && u.part_size == part_size;
        self.unfinished.values().filter(goes_on).max_by_key(|u| u.parts.len())
    }

    /// The uploads that will not go on, with `keep` those that will.
    pub(super) fn stale(&self, keep: &[&str]) -> Vec<Unfinished> {
        self.unfinished.values().filter(|u| !keep.contains(&u.upload_id.as_str())).cloned().collect()
    }

    /// Where this very file was written to already.
    pub(super) fn finished(&self, file: &File) -> Option<&Finished> {
        self.finished.get(&file.path).filter(|f| f.stamp == file.stamp)
    }

    fn record(&self, event: Value) {
        if let Some(record) = &self.record {
            record(event);
        }
    }

    pub(super) fn begun(&self, file: &File, location: &Location, upload_id: &str, part_size: u64) {
        self.record(json!({
            "event": "begun", "path": utf8(&file.path), "location": location, "upload_id": upload_id,
            "size": file.stamp.size, "mtime": file.stamp.mtime, "part_size": part_size,
        }));
    }

    pub(super) fn part(&self, upload_id: &str, part: u32, size: u64, etag: &str) {
        self.record(json!({ "event": "part", "upload_id": upload_id, "part": part, "size": size, "etag": etag }));
    }

    pub(super) fn aborted(&self, upload_id: &str) {
        self.record(json!({ "event": "aborted", "upload_id": upload_id }));
    }

    pub(super) fn file(&self, file: &File, location: &Location, etag: Option<&str>) {
        self.record(json!({
            "event": "file", "path": utf8(&file.path), "location": location,
            "size": file.stamp.size, "mtime": file.stamp.mtime, "etag": etag,
        }));
    }
}

/// Paths were made of UTF-8 names when they were walked.
fn utf8(path: &Path) -> std::borrow::Cow<'_, str> {
    path.to_string_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn events_tell_what_is_left_to_do() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let first = Resume::new(&[], move |event| sink.lock().expect("lock").push(event));
        let location = Location::parse("s3://p@b/a//x.tif").expect("location");
        let file = File { path: "/d/x.tif".into(), location: location.clone(), stamp: Stamp { size: 40, mtime: 7 } };
        let other = File { path: "/d/y.tif".into(), ..file.clone() };
        first.begun(&file, &location, "one", 8);
        first.part("one", 2, 8, "\"e2\"");
        first.begun(&other, &location.with_key("y"), "two", 8);
        first.begun(&other, &location.with_key("z"), "three", 8);
        first.aborted("three");
        let events = seen.lock().expect("lock").clone();
        let again = Resume::new(&events, |_| {});
        let found = again.unfinished(&file, 8).expect("goes on");
        assert_eq!((found.upload_id.as_str(), &found.location), ("one", &location));
        assert_eq!(found.parts, BTreeMap::from([(2, "\"e2\"".to_owned())]));
        assert!(again.unfinished(&file, 16).is_none(), "parts of another size");
        let touched = File { stamp: Stamp { size: 40, mtime: 8 }, ..file.clone() };
        assert!(again.unfinished(&touched, 8).is_none(), "the file has changed");
        assert_eq!(again.stale(&["one"]).iter().map(|u| u.upload_id.as_str()).collect::<Vec<_>>(), ["two"]);

        again.record.as_ref().expect("records")(Value::Null);
        first.file(&file, &location, None);
        let done = Resume::new(&seen.lock().expect("lock"), |_| {});
        assert!(done.unfinished(&file, 8).is_none());
        assert!(done.finished(&file).is_some() && done.finished(&touched).is_none());
    }
}
