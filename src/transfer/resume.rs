//! What an interrupted upload left behind, told by the events it recorded.
//!
//! | event | fields |
//! |---|---|
//! | `intent` | `path`, `location`, `size`, `mtime`, `at` (Unix milliseconds): from now on something may stand there, or an upload may have begun, that no other event tells of |
//! | `begun` | `path`, `location`, `upload_id`, `size`, `mtime`, `part_size`, `keeps` (`crc32c`, `sha256` or null) |
//! | `part` | `upload_id`, `part`, `size`, `etag`, `crc32c`, `sha256` (Base64 or null) |
//! | `aborted` | `upload_id` |
//! | `file` | `path`, `location`, `size`, `mtime`, `etag`, `proof`: it is whole and proved |
//! | `for-all` | `verdict`: an answer of the user that holds for the rest |
//!
//! A source counts as the same if its size and time are; and before an upload in parts goes on, each part that
//! was sent is read from the file again and its CRC-32C compared, so that two states of a file with the same
//! size and time are never mixed.

use super::digest::{Digests, Proof};
use super::exists::Verdict;
use super::source::{File, Stamp};
use crate::location::Location;
use crate::store::Kept;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Sink = Box<dyn Fn(Value) + Send + Sync>;

/// What is known of former attempts, and where this one's events go. Clones share.
#[derive(Clone, Default)]
pub struct Resume(Arc<Inner>);

#[derive(Default)]
struct Inner {
    unfinished: HashMap<String, Unfinished>,
    finished: HashMap<PathBuf, Finished>,
    intents: HashMap<PathBuf, Intent>,
    for_all: Option<Verdict>,
    /// Whether there was an attempt before.
    again: bool,
    record: Option<Sink>,
}

/// A part that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) etag: String,
    pub(super) digests: Digests,
}

/// An upload in parts that was neither completed nor aborted.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    pub(super) upload_id: String,
    pub(super) path: PathBuf,
    pub(super) location: Location,
    stamp: Stamp,
    part_size: u64,
    pub(super) keeps: Option<Kept>,
    pub(super) parts: BTreeMap<u32, Known>,
}

#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) location: Location,
    stamp: Stamp,
    pub(super) etag: Option<String>,
    pub(super) proof: Proof,
}

/// Something that was going to be written.
#[derive(Clone, Debug)]
pub(super) struct Intent {
    pub(super) location: Location,
    stamp: Stamp,
    /// Unix milliseconds.
    pub(super) at: i64,
    /// Whether the upload that it led to is known.
    begun: bool,
}

fn text(event: &Value, name: &str) -> Option<String> {
    event.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn number(event: &Value, name: &str) -> Option<u64> {
    event.get(name).and_then(Value::as_u64)
}

fn stamp(event: &Value) -> Option<Stamp> {
    Some(Stamp { size: number(event, "size")?, mtime: event.get("mtime").and_then(Value::as_i64)? })
}

fn place(event: &Value) -> Option<(PathBuf, Location)> {
    Some((PathBuf::from(text(event, "path")?), Location::parse(&text(event, "location")?).ok()?))
}

fn proof_of(event: &Value) -> Proof {
    let known = [Proof::Crc32c, Proof::Sha256, Proof::Md5, Proof::ReadBack];
    let told = event.get("proof");
    known.into_iter().find(|proof| told == Some(&json!(proof))).unwrap_or(Proof::Size)
}

impl Inner {
    fn learn(&mut self, event: &Value) -> Option<()> {
        match text(event, "event")?.as_str() {
            "intent" => {
                let ((path, location), stamp) = (place(event)?, stamp(event)?);
                let at = event.get("at").and_then(Value::as_i64)?;
                self.intents.insert(path, Intent { location, stamp, at, begun: false });
            }
            "begun" => {
                let ((path, location), upload_id) = (place(event)?, text(event, "upload_id")?);
                let keeps = match event.get("keeps").and_then(Value::as_str) {
                    Some("crc32c") => Some(Kept::Crc32c),
                    Some("sha256") => Some(Kept::Sha256),
                    _ => None,
                };
                if let Some(intent) = self.intents.get_mut(&path) {
                    intent.begun = true;
                }
                let (stamp, part_size, parts) = (stamp(event)?, number(event, "part_size")?, BTreeMap::new());
                let begun = Unfinished { upload_id: upload_id.clone(), path, location, stamp, part_size, keeps, parts };
                self.unfinished.insert(upload_id, begun);
            }
            "part" => {
                let (part, etag) = (u32::try_from(number(event, "part")?).ok()?, text(event, "etag")?);
                let crc32c = u32::try_from(number(event, "crc32c")?).ok()?;
                let sha256 = text(event, "sha256").and_then(|t| BASE64_STANDARD.decode(t).ok()?.try_into().ok());
                let digests = Digests { crc32c, md5: None, sha256 };
                self.unfinished.get_mut(&text(event, "upload_id")?)?.parts.insert(part, Known { etag, digests });
            }
            "aborted" => {
                self.unfinished.remove(&text(event, "upload_id")?);
            }
            "file" => {
                let ((path, location), stamp) = (place(event)?, stamp(event)?);
                self.unfinished.retain(|_, u| u.location != location);
                self.intents.remove(&path);
                let (etag, proof) = (text(event, "etag"), proof_of(event));
                self.finished.insert(path, Finished { location, stamp, etag, proof });
            }
            "for-all" => self.for_all = serde_json::from_value(event.get("verdict")?.clone()).ok(),
            _ => {}
        }
        Some(())
    }
}

impl Resume {
    /// What former attempts recorded, and a sink for what this one records.
    pub fn new(earlier: &[Value], record: impl Fn(Value) + Send + Sync + 'static) -> Self {
        let again = !earlier.is_empty();
        let mut inner = Inner { again, record: Some(Box::new(record)), ..Inner::default() };
        for event in earlier {
            // An event that is not ours, or cut by a crash, tells nothing.
            let _ = inner.learn(event);
        }
        Self(Arc::new(inner))
    }

    /// Whether somebody keeps what is recorded, so that the upload can be resumed.
    pub(super) fn is_recorded(&self) -> bool {
        self.0.record.is_some()
    }

    /// Whether an attempt before may have written what no event tells of: the last ones may be lost.
    pub(super) fn is_again(&self) -> bool {
        self.0.again
    }

    /// The upload of this very file that can go on.
    pub(super) fn unfinished(&self, file: &File, part_size: u64) -> Option<&Unfinished> {
        let goes_on = |u: &&Unfinished| u.path == file.path && u.stamp == file.stamp && u.part_size == part_size;
        self.0.unfinished.values().filter(goes_on).max_by_key(|u| u.parts.len())
    }

    /// The uploads that will not go on, with `keep` those that will.
    pub(super) fn stale(&self, keep: &[&str]) -> Vec<Unfinished> {
        self.0.unfinished.values().filter(|u| !keep.contains(&u.upload_id.as_str())).cloned().collect()
    }

    /// Where this very file was written to already.
    pub(super) fn finished(&self, file: &File) -> Option<&Finished> {
        self.0.finished.get(&file.path).filter(|f| f.stamp == file.stamp)
    }

    /// Where this very file was going to be written to, when a former attempt was ended.
    pub(super) fn intent(&self, file: &File) -> Option<&Intent> {
        self.0.intents.get(&file.path).filter(|intent| intent.stamp == file.stamp)
    }

    /// What was going to be written in parts when a former attempt was ended, where no upload is known of it: there
    /// may be one on the server. `in_parts`: the size from which files go in parts.
    pub(super) fn strays(&self, in_parts: u64) -> impl Iterator<Item = &Intent> {
        self.0.intents.values().filter(move |intent| !intent.begun && intent.stamp.size >= in_parts)
    }

    /// The user's answer that holds for all.
    pub(super) fn answer(&self) -> Option<Verdict> {
        self.0.for_all
    }

    fn record(&self, event: Value) {
        if let Some(record) = &self.0.record {
            record(event);
        }
    }

    pub(super) fn intend(&self, file: &File, location: &Location) {
        self.record(json!({
            "event": "intent", "path": utf8(&file.path), "location": location,
            "size": file.stamp.size, "mtime": file.stamp.mtime, "at": chrono::Utc::now().timestamp_millis(),
        }));
    }

    pub(super) fn begun(&self, file: &File, location: &Location, id: &str, part_size: u64, keeps: Option<Kept>) {
        let keeps = keeps.map(|kept| match kept {
            Kept::Crc32c => "crc32c",
            Kept::Sha256 => "sha256",
        });
        self.record(json!({
            "event": "begun", "path": utf8(&file.path), "location": location, "upload_id": id,
            "size": file.stamp.size, "mtime": file.stamp.mtime, "part_size": part_size, "keeps": keeps,
        }));
    }

    pub(super) fn part(&self, upload_id: &str, part: u32, size: u64, known: &Known) {
        self.record(json!({
            "event": "part", "upload_id": upload_id, "part": part, "size": size, "etag": known.etag,
            "crc32c": known.digests.crc32c, "sha256": known.digests.sha256.map(|sum| BASE64_STANDARD.encode(sum)),
        }));
    }

    pub(super) fn aborted(&self, upload_id: &str) {
        self.record(json!({ "event": "aborted", "upload_id": upload_id }));
    }

    pub(super) fn file(&self, file: &File, location: &Location, etag: Option<&str>, proof: Proof) {
        self.record(json!({
            "event": "file", "path": utf8(&file.path), "location": location,
            "size": file.stamp.size, "mtime": file.stamp.mtime, "etag": etag, "proof": proof,
        }));
    }

    pub(super) fn for_all(&self, verdict: Verdict) {
        self.record(json!({ "event": "for-all", "verdict": verdict }));
    }
}

/// Paths were made of UTF-8 names when they were walked.
fn utf8(path: &Path) -> std::borrow::Cow<'_, str> {
    path.to_string_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn events_tell_what_is_left_to_do() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let first = Resume::new(&[], move |event| sink.lock().expect("lock").push(event));
        let location = Location::parse("s3://p@b/a//x.tif").expect("location");
        let file = File { path: "/d/x.tif".into(), location: location.clone(), stamp: Stamp { size: 40, mtime: 7 } };
        let other = File { path: "/d/y.tif".into(), ..file.clone() };
        let known = Known { etag: "\"e2\"".into(), digests: Digests { crc32c: 7, md5: None, sha256: Some([3; 32]) } };
        first.intend(&file, &location);
        first.begun(&file, &location, "one", 8, Some(Kept::Crc32c));
        first.part("one", 2, 8, &known);
        first.begun(&other, &location.with_key("y"), "two", 8, None);
        first.begun(&other, &location.with_key("z"), "three", 8, None);
        first.aborted("three");
        first.intend(&other, &location.with_key("w"));
        first.for_all(Verdict::Rename);
        let events = seen.lock().expect("lock").clone();
        let again = Resume::new(&events, |_| {});
        let found = again.unfinished(&file, 8).expect("goes on");
        assert_eq!((found.upload_id.as_str(), &found.location), ("one", &location));
        assert_eq!((found.keeps, &found.parts), (Some(Kept::Crc32c), &BTreeMap::from([(2, known)])));
        assert!(again.unfinished(&file, 16).is_none(), "parts of another size");
        let touched = File { stamp: Stamp { size: 40, mtime: 8 }, ..file.clone() };
        assert!(again.unfinished(&touched, 8).is_none(), "the file has changed");
        assert_eq!(again.stale(&["one"]).iter().map(|u| u.upload_id.as_str()).collect::<Vec<_>>(), ["two"]);
        assert_eq!(again.strays(16).map(|i| i.location.key()).collect::<Vec<_>>(), ["w"], "its upload is not known");
        assert_eq!(again.answer(), Some(Verdict::Rename));

        again.record(Value::Null);
        first.file(&file, &location, None, Proof::Md5);
        let done = Resume::new(&seen.lock().expect("lock"), |_| {});
        assert!(done.unfinished(&file, 8).is_none() && done.intent(&file).is_none());
        assert_eq!(done.finished(&file).map(|f| f.proof), Some(Proof::Md5));
        assert!(done.finished(&touched).is_none());
    }
}
