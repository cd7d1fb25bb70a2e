//! Downloads: objects, and all below prefixes, into a folder of this computer.
//!
//! A file is written under a hidden name in its own folder, checked, brought to the disk and then given its name,
//! which replaces nothing that the user did not give away. A small object takes one request. A large one is read in
//! ranges at once, all of one version (`If-Match`), each written to its place and noted in the journal with its
//! CRC32C; after an interruption those that are still as they were noted are not read again.
//!
//! | file | what it knows |
//! |---|---|
//! | `plan` | which objects, and which paths |
//! | `names` | the rule by which a key becomes a path |
//! | `target` | the folder: never through a link, never over something |
//! | `small`, `large` | one request; ranges |
//! | `order` | how a large object is cut, and what is read first |
//! | `read`, `sink`, `disk` | one version of an object; where its bytes go, and the memory they go through |
//! | `check`, `prove`, `hash`, `feed`, `kept` | what proves that the bytes are right |
//! | `trail` | what the journal keeps |

use super::exists::{Conflicts, IfExists, Verdict};
use super::pace::Pace;
use crate::entry::{Detail, Stat};
use crate::error::{Context as _, Error, Kind, Result};
use crate::location::Location;
use crate::store::Stores;
use crate::task::Control;
use crate::text;
use disk::Disk;
use futures::stream::{FuturesUnordered, StreamExt as _};
use names::Places;
use plan::Item;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use target::{Standing, Target};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use trail::Done;

pub(super) mod check;
mod disk;
mod feed;
mod hash;
mod kept;
mod large;
mod names;
mod order;
mod plan;
mod prove;
mod read;
mod sink;
mod small;
mod target;
mod trail;

pub use check::Check;
pub(super) use check::part_sizes;
pub use names::Why;
pub use trail::Trail;

/// Requests for bytes that may be under way at once, at most.
const AT_ONCE: usize = 32;
/// Files that are under way at once.
const FILES: usize = 32;
/// Files that may fail before the rest is not tried any more.
const FAILURES: usize = 20;
/// A body that is silent for so long is asked for again.
const SILENCE: Duration = Duration::from_secs(30);

/// What to download, where to, and how. Holds no secret but what stands in a signed web address.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DownloadSpec {
    /// Objects, versions of them, and prefixes, of which everything below is meant.
    pub sources: Vec<Location>,
    /// A folder of this computer; for a single object, the file.
    pub destination: Location,
    /// What happens where something stands already.
    #[serde(default)]
    pub if_exists: IfExists,
    /// Whether the bytes are compared with what the server tells of them.
    #[serde(default = "yes")]
    pub check: bool,
}

fn yes() -> bool {
    true
}

/// A file that was downloaded, or left as it is.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Downloaded {
    /// The object.
    pub location: Location,
    /// Where it lies now.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Something stood there and was left.
    pub skipped: bool,
    /// By what the bytes were compared; `None` where nothing was read.
    pub check: Option<Check>,
    /// Why the file is not called as the object is.
    pub renamed: Option<Why>,
}

/// An object that cannot be written under any name here.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Refused {
    /// The object.
    pub location: Location,
    /// A sentence.
    pub why: String,
}

/// What a download has made.
#[derive(Clone, Debug, Default)]
pub struct Downloads {
    /// In the order they were named and listed.
    pub files: Vec<Downloaded>,
    /// Those that could not be written.
    pub refused: Vec<Refused>,
}

/// Downloads all that `spec` names. What fails does not stop the others, unless it would stop them too; what is
/// whole stays, and `trail` tells the next attempt of it and of what was begun.
pub async fn download(stores: &Stores, spec: &DownloadSpec, control: &Control, trail: &Trail) -> Result<Downloads> {
    if spec.sources.is_empty() {
        return Err(Error::usage("nothing is named to download"));
    }
    control.step("listing what is there");
    let mut items = plan::expand(stores, &spec.sources, control).await?;
    let target = plan::open(plan::root(spec, &mut items)?, control).await?;
    let (items, places, refused) = arranged(items, &target, trail, control)?;
    for one in refused.iter().take(100) {
        control.note(format!("{} is left out: {}", trail::address(&one.location), one.why));
    }
    if items.is_empty()
        && let Some(one) = refused.first()
    {
        return Err(Error::new(Kind::Usage, one.why.clone()).context(trail::address(&one.location)));
    }
    if spec.if_exists == IfExists::Fail && !trail.is_again() {
        plan::refuse_standing(&items, &target)?;
    }
    let work = Work {
        stores,
        spec,
        control,
        trail,
        target: target.clone(),
        places: Mutex::new(places),
        conflicts: Conflicts::new(spec.if_exists),
        pace: Pace::new(AT_ONCE).watching(&control.meter),
        silence: stores.options().silence.unwrap_or(SILENCE),
        kept: Arc::new(Semaphore::new(kept::ROOM)),
        disk: Disk::default(),
        files: items.len(),
        finished: AtomicUsize::new(0),
        failed: AtomicUsize::new(0),
        stop: CancellationToken::new(),
    };
    // Small files that a former attempt was killed at stand in no journal; their hidden names are known.
    let again = trail.is_again().then(|| items.iter().map(|item| item.path.clone()).collect::<Vec<_>>());
    control.set_total(items.iter().fold(0, |sum, item| sum.saturating_add(item.size)));
    work.check_room(&items).await?;
    let done = work.all(items).await;
    if control.is_cancelled() {
        work.remove_hidden(again.unwrap_or_default()).await;
    }
    let synced = target.clone();
    // Also what was done before it was cancelled.
    let _ = tokio::task::spawn_blocking(move || synced.sync()).await;
    Ok(Downloads { files: done?, refused })
}

fn arranged(
    items: Vec<Item>,
    target: &Arc<Target>,
    trail: &Trail,
    control: &Control,
) -> Result<(Vec<Item>, Places, Vec<Refused>)> {
    control.check()?;
    // It looks at every path: a network disk takes its time, so the other work of this thread goes elsewhere.
    if tokio::runtime::Handle::current().runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread {
        tokio::task::block_in_place(|| plan::arrange(items, target, trail, control))
    } else {
        plan::arrange(items, target, trail, control)
    }
}

/// A download under way.
struct Work<'a> {
    stores: &'a Stores,
    spec: &'a DownloadSpec,
    control: &'a Control,
    trail: &'a Trail,
    target: Arc<Target>,
    places: Mutex<Places>,
    conflicts: Conflicts,
    pace: Pace,
    silence: Duration,
    /// Room for bytes that wait in memory to be summed up.
    kept: Arc<Semaphore>,
    disk: Disk,
    /// How many files there are.
    files: usize,
    finished: AtomicUsize,
    failed: AtomicUsize,
    /// Set when the rest is not worth trying.
    stop: CancellationToken,
}

/// A file that is whole, under its hidden name or its own.
struct Whole {
    size: u64,
    check: Check,
    modified: Option<SystemTime>,
}

impl Work<'_> {
    /// Runs `future` unless the user, or a failure that holds for all, stops the work first.
    async fn race<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::cancelled()),
            result = self.control.race(future) => result,
        }
    }

    /// Runs code that blocks. Not raced: a thread cannot be taken back, and what it does must be known.
    async fn blocking<T: Send + 'static>(&self, f: impl FnOnce(&Target) -> Result<T> + Send + 'static) -> Result<T> {
        let target = self.target.clone();
        self.control.blocking(move |_| f(&target)).await
    }

    async fn check_room(&self, items: &[Item]) -> Result<()> {
        let is_new = |item: &&Item| {
            let location = item.location();
            self.trail.done(&location).is_none() && self.trail.left(&location).is_none()
        };
        let needed = if self.trail.knows() {
            items.iter().filter(is_new).fold(0_u64, |sum, item| sum.saturating_add(item.size))
        } else {
            items.iter().fold(0_u64, |sum, item| sum.saturating_add(item.size))
        };
        self.blocking(move |target| plan::check_room(needed, target)).await
    }

    /// Downloads all. The first failure is the one to tell.
    async fn all(&self, items: Vec<Item>) -> Result<Vec<Downloaded>> {
        let total = items.len();
        let mut waiting = items.into_iter().enumerate();
        let mut running = FuturesUnordered::new();
        let mut done = Vec::with_capacity(total);
        let mut failures: Vec<(usize, Error)> = Vec::new();
        loop {
            let room = FILES.saturating_sub(running.len());
            running.extend(waiting.by_ref().take(room).map(|(i, item)| async move { (i, self.one(item).await) }));
            let Some((index, ended)) = running.next().await else { break };
            match ended {
                Ok(Some(file)) => done.push((index, file)),
                Ok(None) => {}
                Err(err) => failures.push((index, err)),
            }
        }
        failures.sort_by_key(|(index, _)| *index);
        let told = failures.iter().position(|(_, err)| err.kind() != Kind::Cancelled);
        if let Some((_, err)) = told.map(|at| failures.swap_remove(at)).or_else(|| failures.pop()) {
            let n = failures.len() + 1;
            if self.control.is_cancelled() {
                return Err(Error::cancelled());
            }
            let is_one = n == 1 && total == 1;
            let words =
                || format!("{} of {} files were not downloaded", text::count(n as u64), text::count(total as u64));
            return Err(if is_one { err } else { err.context(words()) });
        }
        done.sort_by_key(|(index, _)| *index);
        Ok(done.into_iter().map(|(_, file)| file).collect())
    }

    async fn one(&self, item: Item) -> Result<Option<Downloaded>> {
        let address = trail::address(&item.location());
        let result = self.file(item).await.context(|| format!("downloading {address}"));
        if let Err(err) = &result {
            let is_for_all = matches!(err.kind(), Kind::Unreachable | Kind::Limit | Kind::Cancelled);
            if is_for_all || self.failed.fetch_add(1, Relaxed) + 1 >= FAILURES {
                self.stop.cancel();
            } else if self.files > 1 {
                self.control.note(err.to_string());
            }
        }
        let finished = self.finished.fetch_add(1, Relaxed) + 1;
        if self.files > 1 {
            self.control.step(format!("{} of {} files", text::count(finished as u64), text::count(self.files as u64)));
        }
        result
    }

    /// Downloads one file; `None` for what is only a folder.
    async fn file(&self, mut item: Item) -> Result<Option<Downloaded>> {
        self.race(self.control.turn()).await?;
        if item.is_folder {
            let path = item.path.clone();
            self.blocking(move |target| target.folder(&path, true).map(drop)).await?;
            return Ok(None);
        }
        let location = item.location();
        if self.trail.is_again()
            && let Some(file) = self.done_before(&item, &location).await?
        {
            return Ok(Some(file));
        }
        loop {
            let mut replace = self.spec.if_exists == IfExists::Overwrite;
            if let Some(standing) = item.standing {
                match self.decide(&item, &location, standing).await? {
                    Verdict::Skip => return Ok(Some(self.skipped(&item, location, standing))),
                    Verdict::Overwrite => replace = true,
                    Verdict::Rename => self.rename(&mut item).await?,
                }
            }
            match self.fetch(&mut item, &location, replace).await {
                // It came to stand there meanwhile.
                Err(err) if err.kind() == Kind::Exists => {
                    let path = item.path.clone();
                    item.standing = self.blocking(move |target| target.look(&path)).await?;
                    if item.standing.is_none() {
                        return Err(err);
                    }
                }
                Err(err) => return Err(err),
                Ok(whole) => return Ok(Some(self.downloaded(&item, location, &whole))),
            }
        }
    }

    async fn fetch(&self, item: &mut Item, location: &Location, replace: bool) -> Result<Whole> {
        if item.size <= small::MOST
            && let Some(whole) = self.small(item, location, replace).await?
        {
            return Ok(whole);
        }
        self.large(item, location, replace).await
    }

    async fn decide(&self, item: &Item, location: &Location, standing: Standing) -> Result<Verdict> {
        let to = Location::file(&self.target.path(&item.path));
        let stat = Stat {
            location: to.clone(),
            size: standing.size,
            etag: None,
            modified: standing.modified.map(Into::into),
            content_type: None,
            storage_class: None,
            version: None,
            metadata: std::collections::BTreeMap::new(),
            tags: std::collections::BTreeMap::new(),
            detail: Detail::default(),
        };
        let verdict = self.conflicts.decide(self.control, &to, Some(&stat), Some(item.size)).await?;
        if verdict == Verdict::Overwrite && standing.is_folder {
            return Err(Error::new(Kind::Exists, format!("{to} is a folder, and {} is not", location.name())));
        }
        Ok(verdict)
    }

    /// Finds another name for a file whose own is taken on the disk.
    async fn rename(&self, item: &mut Item) -> Result<()> {
        let first = item.path.clone();
        loop {
            let path = self.places.lock().unwrap_or_else(PoisonError::into_inner).another(&first);
            let looked = path.clone();
            if self.blocking(move |target| target.look(&looked)).await?.is_none() {
                (item.path, item.why, item.standing) = (path, Some(Why::Stood), None);
                return Ok(());
            }
        }
    }

    fn skipped(&self, item: &Item, location: Location, standing: Standing) -> Downloaded {
        self.control.advance(item.size);
        let path = self.target.path(&item.path);
        self.control.note(format!("{} exists already: left as it is", path.display()));
        Downloaded { location, path, size: standing.size, skipped: true, check: None, renamed: item.why }
    }

    fn downloaded(&self, item: &Item, location: Location, whole: &Whole) -> Downloaded {
        let path = self.target.path(&item.path);
        if let Some(why) = item.why {
            self.control.note(format!("{} is called {}: {}", trail::address(&location), path.display(), why.words()));
        }
        Downloaded { location, path, size: whole.size, skipped: false, check: Some(whole.check), renamed: item.why }
    }

    /// The file as a former attempt left it, if it still stands there.
    async fn done_before(&self, item: &Item, location: &Location) -> Result<Option<Downloaded>> {
        let Some(standing) = item.standing.filter(|standing| standing.is_file) else { return Ok(None) };
        let modified = trail::nanoseconds(standing.modified);
        let found = match self.trail.done(location) {
            Some(done) if done.size == standing.size && done.mtime == modified && done.path == item.path => {
                Some(done.check)
            }
            Some(_) => None,
            None => self.adopt(item, location, standing).await?,
        };
        let Some(check) = found else { return Ok(None) };
        self.control.advance(item.size);
        let whole = Whole { size: standing.size, check, modified: standing.modified };
        if self.trail.done(location).is_none() {
            self.record(item, location, None, &whole);
        }
        Ok(Some(self.downloaded(item, location.clone(), &whole)))
    }

    /// A file that has its name, although the journal was cut before it said so.
    async fn adopt(&self, item: &Item, location: &Location, standing: Standing) -> Result<Option<Check>> {
        if standing.size != item.size {
            return Ok(None);
        }
        let (path, size, proof) = (item.path.clone(), item.size, check::Proof::of_etag(item.etag.as_deref()));
        let left = self.trail.left(location).map(|left| left.temp.clone());
        let control = self.control.clone();
        self.blocking(move |target| {
            // Its hidden file is still there: then it never got its name.
            if left.is_some_and(|temp| target.look(&beside(&path, &temp)).is_ok_and(|found| found.is_some())) {
                return Ok(None);
            }
            prove::compare(&target.read(&path)?, size, &proof, &control)
        })
        .await
    }

    fn record(&self, item: &Item, location: &Location, temp: Option<&str>, whole: &Whole) {
        let (path, mtime) = (item.path.clone(), trail::nanoseconds(whole.modified));
        self.trail.file(location, temp, &Done { path, size: whole.size, mtime, check: whole.check });
    }

    /// Removes all hidden files of this and former attempts, when the user wants nothing to be left.
    async fn remove_hidden(&self, again: Vec<String>) {
        let (target, hidden) = (self.target.clone(), self.trail.hidden_files());
        let run = self.trail.run().to_owned();
        for (temp, _) in &hidden {
            self.trail.dropped(temp);
        }
        let remove = move || {
            for (temp, path) in &hidden {
                target.remove_hidden(path, temp);
            }
            for path in again {
                target.remove_hidden(&path, &names::temporary(path.rsplit('/').next().unwrap_or_default(), &run));
            }
        };
        let _ = tokio::task::spawn_blocking(remove).await;
    }
}

/// A name in the folder of a path.
fn beside(path: &str, name: &str) -> String {
    path.rsplit_once('/').map_or_else(|| name.to_owned(), |(folder, _)| format!("{folder}/{name}"))
}
