//! Copying and moving objects and everything below prefixes, between any two places.
//!
//! | file of `copy/` | what it knows |
//! |---|---|
//! | `plan` | what goes where, what is refused, the listing as it streams |
//! | `item` | one object: what stands there already, the proof, the deletion of what was moved |
//! | `send` | its bytes: within the server, on the disk, or through this computer |
//! | `parts` | large ones, in parts that are journalled |
//! | `prove` | whether what was read in parts is what the source has |
//! | `record` | what former attempts left |
//!
//! A server that holds both ends copies by itself. What goes through this computer is read on condition that it is
//! still the same, and each piece is sent with its MD5. A move is a copy, proved by what the server then says of
//! both ends, and only then a deletion, on condition that the source is still what was copied: whatever ends the
//! program in between, there is at least one of them.

use super::exists::{Conflicts, IfExists};
use super::pace::Pace;
use super::together::Together;
use crate::entry::Stat;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::Stores;
use crate::task::Control;
use crate::text;
use futures::stream::{FuturesUnordered, StreamExt as _};
use item::{End, Item};
use plan::Listed;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

mod item;
mod parts;
mod plan;
mod prove;
mod record;
mod send;

pub use record::CopyRecord;

/// The largest object that servers copy in one request: S3's limit.
const WHOLE: u64 = 5 << 30;
/// Objects under way at once; their requests take their turns at the pace.
const OBJECTS: usize = 48;
/// Large objects under way at once: each finishes sooner, and less is unfinished.
const LARGE: usize = 3;
/// So many objects may fail while others go on; fewer where none succeeds.
const FAILURES: u64 = 100;
const FAILURES_AT_FIRST: u64 = 8;
/// Addresses of what was written that the outcome holds.
const TOLD: usize = 1_000;

fn whole() -> u64 {
    WHOLE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_whole(size: &u64) -> bool {
    *size == WHOLE
}

fn yes() -> bool {
    true
}

/// What to copy, where to, and how. Holds no secret.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CopySpec {
    /// Objects and containers. Of a container (its key ends in `/`), all that lies below.
    pub sources: Vec<Location>,
    /// The container into which all go under their names (where it ends in `/`, or there are several); else the
    /// very key of the one object, or the prefix that the one container becomes.
    pub destination: Location,
    /// Whether the sources are deleted, each once its copy is proved.
    #[serde(default, rename = "move")]
    pub moves: bool,
    /// Whether a name without an object is looked for as a container.
    #[serde(default = "yes")]
    pub recursive: bool,
    /// What happens where something stands already.
    #[serde(default)]
    pub if_exists: IfExists,
    /// Larger objects are copied in parts within a server, in bytes; 5 GiB is what S3 copies in one request.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub whole: u64,
    /// Bytes of such a part, at least 5 MiB; 0: by the size of the object.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub part: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl CopySpec {
    /// Where a source goes.
    pub fn target_of(&self, from: &Location) -> Location {
        let into = self.sources.len() > 1 || self.destination.is_container();
        let to = if into { plan::below(&self.destination, from) } else { self.destination.clone() };
        if from.is_container() { to.as_container() } else { to }
    }

    /// A copy of `sources` that replaces nothing.
    pub fn new(sources: Vec<Location>, destination: Location) -> Self {
        Self { sources, destination, moves: false, recursive: true, if_exists: IfExists::Fail, whole: WHOLE, part: 0 }
    }
}

/// What was done, with what former attempts did.
#[derive(Clone, Debug, Default)]
pub struct CopyReport {
    /// Objects copied or moved.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were left out, since something stands there.
    pub skipped: u64,
    /// How many of them no byte of which went through this computer.
    pub within: u64,
    /// Where they stand now: the first thousand.
    pub written: Vec<Location>,
    /// What the server says of one of them: the proof.
    pub stat: Option<Stat>,
}

/// Copies or moves what `spec` names. An object that fails does not keep the others from being copied, unless all
/// would fail alike; the error then tells of the first. What is done stays, and `record` tells the next attempt.
pub async fn copy(stores: &Stores, spec: &CopySpec, control: &Control, record: &CopyRecord) -> Result<CopyReport> {
    control.step("looking at the sources");
    let roots = plan::roots(stores, spec, control, record).await?;
    let listed = Arc::new(Listed::default());
    let mut items = plan::list(&roots, &listed, control);
    let work = Work {
        stores,
        spec,
        control,
        record,
        conflicts: Conflicts::new(spec.if_exists),
        pace: Pace::new(stores.concurrency()).watching(&control.meter),
        large: Semaphore::new(LARGE),
        memory: Arc::new(Semaphore::new(parts::MEMORY_MIB)),
        together: Together::default(),
        stop: CancellationToken::new(),
        stopped_by: Mutex::new(None),
        retried: AtomicBool::new(false),
        noted: Mutex::default(),
        single: roots.len() == 1 && !roots[0].tree,
    };
    let mut tally = Tally::new(record);
    let mut running = FuturesUnordered::new();
    let mut open = true;
    loop {
        // A listing that is ahead must not keep the ended ones waiting, nor they it.
        tokio::select! {
            biased;
            Some((item, end)) = running.next(), if !running.is_empty() => {
                if let Some(fatal) = tally.take(&item, end, control) {
                    work.halt(fatal);
                }
                tally.tell(&listed, &work);
            }
            next = items.next(), if open && running.len() < OBJECTS && !work.stop.is_cancelled() => match next {
                Some(Ok(item)) => running.push(work.one(item)),
                Some(Err(err)) => {
                    work.halt(err.kind());
                    tally.fail(err);
                }
                None => open = false,
            },
            _ = control.race(std::future::pending::<Result<()>>()), if open && !work.stop.is_cancelled() => {
                work.halt(Kind::Cancelled);
            }
            else => break,
        }
    }
    drop(running);
    control.check()?;
    if tally.is_whole() {
        work.tidy_up(&roots, &tally.emptied).await;
    }
    tally.report(record, &listed)
}

/// A copy under way.
struct Work<'a> {
    stores: &'a Stores,
    spec: &'a CopySpec,
    control: &'a Control,
    record: &'a CopyRecord,
    conflicts: Conflicts,
    pace: Pace,
    large: Semaphore,
    /// In MiB: bounds what parts on their way through this computer hold.
    memory: Arc<Semaphore>,
    /// Makes the MD5s of what is large.
    together: Together,
    /// Set when nothing new may begin and what is under way is to end.
    stop: CancellationToken,
    stopped_by: Mutex<Option<Kind>>,
    /// Whether a request was sent again: an object that then stands there may be ours.
    retried: AtomicBool,
    /// Notes that are made once.
    noted: Mutex<BTreeSet<String>>,
    /// Whether it is about one object.
    single: bool,
}

impl Work<'_> {
    fn halt(&self, why: Kind) {
        self.stopped_by.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.stop.cancel();
    }

    /// Runs `future` unless the user, or a failure that stops all, comes first.
    async fn race<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::cancelled()),
            result = self.control.race(future) => result,
        }
    }

    /// Says something once, however many objects it concerns.
    fn note_once(&self, note: String) {
        if self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(note.clone()) {
            self.control.note(note);
        }
    }
}

/// What has ended.
struct Tally {
    report: CopyReport,
    /// Local folders that something was moved out of.
    emptied: BTreeSet<Location>,
    failed: u64,
    first: Option<Error>,
    /// Something was left because all is to end.
    is_cut: bool,
}

impl Tally {
    fn new(record: &CopyRecord) -> Self {
        let (objects, bytes) = record.done_before();
        let report = CopyReport { objects, bytes, ..CopyReport::default() };
        Self { report, emptied: BTreeSet::new(), failed: 0, first: None, is_cut: false }
    }

    fn is_whole(&self) -> bool {
        self.first.is_none() && !self.is_cut
    }

    /// Counts the end of an item; gives why nothing more is to begin, where that is so.
    fn take(&mut self, item: &Item, end: Result<End>, control: &Control) -> Option<Kind> {
        let err = match end {
            Ok(End::Before) => return None,
            Ok(End::Skipped) => {
                self.report.skipped += 1;
                return None;
            }
            Ok(End::Done(copied)) => {
                self.report.objects += 1;
                self.report.bytes += copied.size;
                self.report.within += u64::from(copied.within);
                if self.report.written.len() < TOLD {
                    self.report.written.push(copied.to.clone());
                }
                if self.report.stat.is_none() {
                    self.report.stat = copied.stat;
                }
                if let Some(folder) = item.from.parent().filter(|_| item.root.tree && item.from.to_path().is_some()) {
                    self.emptied.insert(folder);
                }
                return None;
            }
            Err(err) => err,
        };
        let kind = err.kind();
        if kind == Kind::Cancelled {
            // The others are stopped by the first failure, or the user stops all.
            self.is_cut = true;
            return Some(kind);
        }
        self.failed += 1;
        if self.first.is_some() || item.root.tree {
            control.note(format!("not copied: {err}"));
        }
        self.fail(err);
        let most = if self.report.objects == 0 { FAILURES_AT_FIRST } else { FAILURES };
        let concerns_it_alone =
            matches!(kind, Kind::NotFound | Kind::Changed | Kind::Denied | Kind::Invalid | Kind::Failed | Kind::Usage);
        (!concerns_it_alone || self.failed >= most).then_some(kind)
    }

    fn fail(&mut self, err: Error) {
        self.first.get_or_insert(err);
    }

    fn tell(&self, listed: &Listed, work: &Work<'_>) {
        if work.single {
            return;
        }
        let ended = self.report.objects + self.report.skipped + self.failed;
        let (objects, bytes, is_all) = listed.so_far();
        let most = if is_all { "" } else { "more than " };
        work.control.step(format!("{} of {most}{} objects", text::count(ended), text::count(objects.max(ended))));
        if is_all {
            work.control.set_total(bytes);
        }
    }

    fn report(mut self, record: &CopyRecord, listed: &Listed) -> Result<CopyReport> {
        let (objects, bytes) = record.gone_before();
        self.report.objects += objects;
        self.report.bytes += bytes;
        let Some(first) = self.first else {
            return if self.is_cut { Err(Error::cancelled()) } else { Ok(self.report) };
        };
        if self.failed <= 1 && self.report.objects == 0 {
            return Err(first);
        }
        let all = listed.so_far().0.max(self.failed);
        let (failed, all) = (text::count(self.failed.max(1)), text::count(all));
        Err(first.context(format!("{failed} of {all} objects failed; the first")))
    }
}
