//! What former attempts of a copy recorded, and where this one's events go.
//!
//! | event | fields | means |
//! |---|---|---|
//! | `intent` | `from`, `to`, `etag`, `size` | nothing stood at `to`, and it is written now |
//! | `begun` | as `intent`, `upload_id`, `part_size` | an upload in parts was begun for it |
//! | `part` | `upload_id`, `part`, `size`, `etag` | a part of it is there |
//! | `aborted` | `upload_id` | it is gone |
//! | `copied` | as `intent`, `to_etag` | of a move: the copy is whole and proved, the source may be deleted |
//! | `file` | as `intent` | it is done |

use super::item::{Copied, Item};
use crate::location::Location;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

/// See the top of this file.
#[derive(Default)]
pub struct CopyRecord {
    intended: HashMap<String, Mark>,
    unfinished: Mutex<HashMap<String, Unfinished>>,
    /// Copied, and perhaps not deleted.
    copied: Mutex<HashMap<String, Mark>>,
    finished: HashMap<String, Mark>,
    is_resumed: bool,
    record: Option<Box<dyn Fn(Value) + Send + Sync>>,
}

/// A source as it was, and where it went.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) to: Location,
    pub(super) size: u64,
    /// Of the source.
    pub(super) etag: Option<String>,
    /// Of the copy.
    pub(super) to_etag: Option<String>,
}

/// An upload in parts that was neither completed nor aborted.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    pub(super) upload_id: String,
    pub(super) mark: Mark,
    from: String,
    pub(super) part_size: u64,
    /// `ETag`s by part number.
    pub(super) parts: BTreeMap<u32, String>,
}

impl CopyRecord {
    /// What former attempts recorded, and a sink for what this one records.
    pub fn new(earlier: &[Value], record: impl Fn(Value) + Send + Sync + 'static) -> Self {
        let mut all = Self { record: Some(Box::new(record)), is_resumed: !earlier.is_empty(), ..Self::default() };
        for event in earlier {
            // An event that is not ours, or cut by a crash, tells nothing.
            let _ = all.learn(event);
        }
        all
    }

    fn learn(&mut self, event: &Value) -> Option<()> {
        let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| event.get(name).and_then(Value::as_u64);
        let mark = || {
            let to = Location::parse(&text("to")?).ok()?;
            Some(Mark { to, size: number("size")?, etag: text("etag"), to_etag: text("to_etag") })
        };
        let unfinished = self.unfinished.get_mut().unwrap_or_else(PoisonError::into_inner);
        let copied = self.copied.get_mut().unwrap_or_else(PoisonError::into_inner);
        match text("event")?.as_str() {
            "intent" => drop(self.intended.insert(text("from")?, mark()?)),
            "begun" => {
                let (from, upload_id, part_size) = (text("from")?, text("upload_id")?, number("part_size")?);
                self.intended.insert(from.clone(), mark()?);
                let begun = Unfinished { upload_id, mark: mark()?, from, part_size, parts: BTreeMap::new() };
                unfinished.insert(begun.upload_id.clone(), begun);
            }
            "part" => {
                let (part, etag) = (u32::try_from(number("part")?).ok()?, text("etag")?);
                unfinished.get_mut(&text("upload_id")?)?.parts.insert(part, etag);
            }
            "aborted" => drop(unfinished.remove(&text("upload_id")?)),
            "copied" => {
                let (from, mark) = (text("from")?, mark()?);
                unfinished.retain(|_, u| u.from != from);
                copied.insert(from, mark);
            }
            "file" => {
                let (from, mark) = (text("from")?, mark()?);
                unfinished.retain(|_, u| u.from != from);
                copied.remove(&from);
                self.intended.remove(&from);
                self.finished.insert(from, mark);
            }
            _ => {}
        }
        Some(())
    }

    /// Whether somebody keeps what is recorded, so that the copy can be resumed.
    pub(super) fn is_recorded(&self) -> bool {
        self.record.is_some()
    }

    /// Whether there was an attempt before.
    pub(super) fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// What former attempts did with a source that is gone by now.
    pub(super) fn of_gone(&self, from: &Location) -> Option<Mark> {
        let from = from.to_string();
        let copied = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
        self.finished.get(&from).or_else(|| copied.get(&from)).or_else(|| self.intended.get(&from)).cloned()
    }

    /// A source is gone, and its copy is there: it counts as done.
    pub(super) fn presume_moved(&self, from: &Location, mark: Mark) {
        let from = from.to_string();
        if !self.finished.contains_key(&from) {
            self.copied.lock().unwrap_or_else(PoisonError::into_inner).insert(from, mark);
        }
    }

    /// Whether they dealt with anything below it.
    pub(super) fn knows_below(&self, from: &Location) -> bool {
        let from = from.to_string();
        let copied = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
        self.finished.keys().chain(copied.keys()).chain(self.intended.keys()).any(|key| key.starts_with(&from))
    }

    /// Objects and bytes that were done.
    pub(super) fn done_before(&self) -> (u64, u64) {
        (self.finished.len() as u64, self.finished.values().map(|mark| mark.size).sum())
    }

    /// Objects and bytes that were copied, and whose source was not met any more: it was deleted too.
    pub(super) fn gone_before(&self) -> (u64, u64) {
        let copied = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
        (copied.len() as u64, copied.values().map(|mark| mark.size).sum())
    }

    pub(super) fn finished(&self, from: &Location) -> Option<&Mark> {
        // Most copies have no former attempt.
        if self.finished.is_empty() { None } else { self.finished.get(&from.to_string()) }
    }

    /// The copy of a source that was proved and perhaps not deleted; told once.
    pub(super) fn take_copied(&self, from: &Location) -> Option<Mark> {
        let mut copied = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
        if copied.is_empty() { None } else { copied.remove(&from.to_string()) }
    }

    /// Where a former attempt meant to write, having found it free.
    pub(super) fn intended(&self, from: &Location) -> Option<&Mark> {
        if self.intended.is_empty() { None } else { self.intended.get(&from.to_string()) }
    }

    /// The upload of this very object that can go on; told once.
    pub(super) fn take_unfinished(&self, item: &Item, to: &Location) -> Option<Unfinished> {
        let mut all = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_empty() {
            return None;
        }
        let from = item.from.to_string();
        let is_it = |u: &&Unfinished| {
            u.from == from && u.mark.to == *to && u.mark.size == item.size() && u.mark.etag.as_deref() == item.etag()
        };
        let id = all.values().filter(is_it).max_by_key(|u| u.parts.len())?.upload_id.clone();
        all.remove(&id)
    }

    /// The uploads that did not go on.
    pub(super) fn take_stale(&self) -> Vec<Unfinished> {
        let mut all = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all).into_values().collect()
    }

    /// Local folders out of which former attempts moved something.
    pub(super) fn emptied(&self) -> BTreeSet<Location> {
        let places = self.finished.keys().filter_map(|from| Location::parse(from).ok()?.parent());
        places.filter(|folder| folder.to_path().is_some()).collect()
    }

    fn record(&self, event: impl FnOnce() -> Value) {
        if let Some(record) = &self.record {
            record(event());
        }
    }

    fn marked(event: &str, item: &Item, to: &Location) -> Value {
        json!({ "event": event, "from": item.from, "to": to, "size": item.size(), "etag": item.etag() })
    }

    pub(super) fn intent(&self, item: &Item, to: &Location) {
        self.record(|| Self::marked("intent", item, to));
    }

    pub(super) fn begun(&self, item: &Item, to: &Location, upload_id: &str, part_size: u64) {
        self.record(|| {
            let mut event = Self::marked("begun", item, to);
            event["upload_id"] = json!(upload_id);
            event["part_size"] = json!(part_size);
            event
        });
    }

    pub(super) fn part(&self, upload_id: &str, part: u32, size: u64, etag: &str) {
        self.record(|| json!({ "event": "part", "upload_id": upload_id, "part": part, "size": size, "etag": etag }));
    }

    pub(super) fn aborted(&self, upload_id: &str) {
        self.record(|| json!({ "event": "aborted", "upload_id": upload_id }));
    }

    pub(super) fn copied(&self, item: &Item, copied: &Copied) {
        self.record(|| {
            let mut event = Self::marked("copied", item, &copied.to);
            event["to_etag"] = json!(copied.etag);
            event
        });
    }

    pub(super) fn file(&self, item: &Item, copied: &Copied) {
        self.record(|| Self::marked("file", item, &copied.to));
    }
}
