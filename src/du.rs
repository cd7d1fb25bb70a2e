//! How much lies below a location: objects and bytes, counted by listing all of it. [`measure`] counts
//! one location; [`Sizes`] counts many behind a screen and remembers what it found.

use crate::entry::EntryKind;
use crate::error::{Error, Kind, Result};
use crate::listing::Pages;
use crate::location::{Location, Scheme};
use crate::store::Stores;
use crate::task::{Pending, Waker};
use futures::StreamExt as _;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Locations that are counted at once behind a screen. Each asks for one page after the other.
const AT_ONCE: usize = 4;

/// Objects and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// How many objects; what ends in `/` is one too, where it is an object.
    pub objects: u64,
    /// Their bytes together.
    pub bytes: u64,
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// The total so far of a count under way. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<(AtomicU64, AtomicU64)>);

impl Running {
    /// The total so far.
    pub fn tally(&self) -> Tally {
        Tally { objects: self.0.0.load(Relaxed), bytes: self.0.1.load(Relaxed) }
    }

    fn add(&self, tally: Tally) {
        self.0.0.fetch_add(tally.objects, Relaxed);
        self.0.1.fetch_add(tally.bytes, Relaxed);
    }
}

/// What was counted.
#[derive(Debug)]
pub struct Measured {
    /// All of it.
    pub tally: Tally,
    /// The same by prefix, relative to the location, down to the depth that was asked for.
    pub prefixes: BTreeMap<String, Tally>,
    /// Why it is not all: the listing failed on the way, or a part of it may not be read.
    pub error: Option<Error>,
}

/// Counts all objects below `location`, or the one object that it is. `depth`: so many levels of prefixes
/// are told apart. The total so far is in `running`; dropping the future stops the count.
///
/// An error in the middle does not lose what was counted: it is told beside it.
pub async fn measure(stores: &Stores, location: &Location, depth: usize, running: &Running) -> Measured {
    let mut found = Measured { tally: Tally::default(), prefixes: BTreeMap::new(), error: None };
    if location.is_account() {
        let mut buckets = stores.list(location);
        while let Some(page) = buckets.next().await {
            let Some(page) = found.keep(page) else { continue };
            for bucket in page.into_block().rows() {
                let pages = stores.list_all(&location.child(bucket.name()));
                found.count(pages, &format!("{}/", bucket.name()), depth, running).await;
            }
        }
        return found;
    }
    if !location.to_path().is_some_and(|path| path.is_file()) {
        found.count(stores.list_all(location), "", depth, running).await;
    }
    if found.tally.objects == 0 && found.error.is_none() && !location.key().is_empty() {
        found.count_one(stores, location, running).await;
    }
    found
}

impl Measured {
    /// The value, or nothing with the error kept; the first one tells most.
    fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|err| self.error.get_or_insert(err)).ok()
    }

    async fn count(&mut self, mut pages: Pages, above: &str, depth: usize, running: &Running) {
        while let Some(page) = pages.next().await {
            // A folder that may not be read is told between the pages of the others.
            let Some(page) = self.keep(page) else { continue };
            let mut tally = Tally::default();
            for row in page.into_block().rows().filter(|row| row.kind() == EntryKind::Object) {
                let one = Tally { objects: 1, bytes: row.size().unwrap_or(0) };
                tally.add(one);
                self.add_to_prefixes(above, row.name(), one, depth);
            }
            self.tally.add(tally);
            running.add(tally);
        }
    }

    fn add_to_prefixes(&mut self, above: &str, name: &str, one: Tally, depth: usize) {
        if depth == 0 {
            return;
        }
        let name = format!("{above}{name}");
        for (end, _) in name.match_indices('/').take(depth) {
            if let Some(known) = self.prefixes.get_mut(&name[..=end]) {
                known.add(one);
            } else {
                self.prefixes.insert(name[..=end].to_owned(), one);
            }
        }
    }

    /// Below it is nothing: it may be an object itself.
    async fn count_one(&mut self, stores: &Stores, location: &Location, running: &Running) {
        if location.scheme() == Scheme::File && location.to_path().is_some_and(|path| path.is_dir()) {
            return;
        }
        let stat = stores.stat(location, stores.meter()).await.map_err(|err| match err.kind() {
            Kind::NotFound => Error::new(Kind::NotFound, format!("there is nothing at or below {location}")),
            _ => err,
        });
        if let Some(stat) = self.keep(stat) {
            self.tally = Tally { objects: 1, bytes: stat.size };
            running.add(self.tally);
        }
    }
}

/// What is known of the size of a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// It will be counted when others are done.
    Waiting,
    /// It is being counted: so much until now.
    Counting(Tally),
    /// It was counted.
    Known(Tally),
    /// It could not be counted to its end: so much until then, and why.
    Partial(Tally, String),
}

/// A prefix: the container that lists it, and its name there.
type Key = (Location, Box<str>);

struct Work {
    key: Key,
    running: Running,
    pending: Pending<Measured>,
}

/// Counts behind a screen, a few at once, and what they found in this session.
#[derive(Default)]
pub struct Sizes {
    known: HashMap<Location, HashMap<Box<str>, Size>>,
    waiting: VecDeque<(Key, Location)>,
    work: Vec<Work>,
    /// All that was found, in its order: who looks now and then sees what is new.
    found: Vec<(Key, u64)>,
}

impl Sizes {
    /// Wishes to know the size of `name` in `container`, which leads to `target`.
    pub fn ask(&mut self, container: &Location, name: &str, target: Location) {
        let under_way = self.get(container, name);
        if !matches!(under_way, Some(Size::Waiting | Size::Counting(_))) {
            let key: Key = (container.clone(), name.into());
            self.known.entry(key.0.clone()).or_default().insert(key.1.clone(), Size::Waiting);
            self.waiting.push_back((key, target));
        }
    }

    /// What is known of `name` in `container`.
    pub fn get(&self, container: &Location, name: &str) -> Option<Size> {
        let size = self.known.get(container)?.get(name)?;
        if *size == Size::Waiting
            && let Some(work) = self.work.iter().find(|w| w.key.0 == *container && *w.key.1 == *name)
        {
            return Some(Size::Counting(work.running.tally()));
        }
        Some(size.clone())
    }

    /// Whether anything is known of entries of `container`.
    pub fn knows(&self, container: &Location) -> bool {
        self.known.get(container).is_some_and(|known| !known.is_empty())
    }

    /// How many are counted or wait to be.
    pub fn under_way(&self) -> usize {
        self.work.len() + self.waiting.len()
    }

    /// Stops all counts; tells how many.
    pub fn stop(&mut self) -> usize {
        let stopped = self.under_way();
        self.waiting.clear();
        self.work.clear();
        for known in self.known.values_mut() {
            known.retain(|_, size| *size != Size::Waiting);
        }
        stopped
    }

    /// All that was found, in its order: container and name, bytes.
    pub fn found(&self) -> &[((Location, Box<str>), u64)] {
        &self.found
    }

    /// Takes what has ended, and begins what waits.
    pub fn poll(&mut self, stores: &Stores, waker: &Waker) {
        let mut ended = Vec::new();
        self.work.retain_mut(|work| {
            let Some(result) = work.pending.take() else { return true };
            let tally = work.running.tally();
            let size = match result {
                Ok(Measured { tally, error: None, .. }) => Size::Known(tally),
                // It was listed, so it is there; what was below it has gone meanwhile, or it is an empty bucket.
                Ok(Measured { tally, error: Some(err), .. }) if err.kind() == Kind::NotFound && tally.objects == 0 => {
                    Size::Known(tally)
                }
                Ok(Measured { tally, error: Some(err), .. }) => Size::Partial(tally, err.to_string()),
                Err(err) => Size::Partial(tally, err.to_string()),
            };
            ended.push((work.key.clone(), size));
            false
        });
        for (key, size) in ended {
            if let Size::Known(tally) = size {
                self.found.push((key.clone(), tally.bytes));
            }
            self.known.entry(key.0).or_default().insert(key.1, size);
        }
        while self.work.len() < AT_ONCE
            && let Some((key, target)) = self.waiting.pop_front()
        {
            let (running, stores) = (Running::default(), stores.clone());
            let counted = running.clone();
            let pending = Pending::spawn(waker, async move { Ok(measure(&stores, &target, 0, &counted).await) });
            self.work.push(Work { key, running, pending });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Options, UploadMeta};

    fn at(text: &str) -> Location {
        Location::parse(text).expect(text)
    }

    async fn filled() -> Stores {
        let stores = Stores::new(Options::default());
        let handle = stores.open(&at("memory:///"), stores.meter()).await.expect("opens");
        for (key, size) in [("a/1", 10), ("a/b/2", 20), ("a/b/c/3", 30), ("ab", 40), ("z/4", 50)] {
            let bytes = vec![0; size].into();
            handle.put_object(key, bytes, &UploadMeta::default(), false).await.expect(key);
        }
        stores
    }

    fn tally(objects: u64, bytes: u64) -> Tally {
        Tally { objects, bytes }
    }

    #[tokio::test]
    async fn a_prefix_is_counted_with_its_levels() {
        let (stores, running) = (filled().await, Running::default());
        let found = measure(&stores, &at("memory:///a/"), 1, &running).await;
        assert!(found.error.is_none());
        assert_eq!((found.tally, running.tally()), (tally(3, 60), tally(3, 60)));
        assert_eq!(found.prefixes.into_iter().collect::<Vec<_>>(), [("b/".to_owned(), tally(2, 50))]);
        let all = measure(&stores, &at("memory:///"), 9, &Running::default()).await;
        assert_eq!(all.tally, tally(5, 150));
        let levels: Vec<_> = all.prefixes.keys().map(String::as_str).collect();
        assert_eq!(levels, ["a/", "a/b/", "a/b/c/", "z/"]);
    }

    #[tokio::test]
    async fn an_object_is_itself_and_nothing_is_an_error() {
        let stores = filled().await;
        let one = measure(&stores, &at("memory:///ab"), 0, &Running::default()).await;
        assert_eq!((one.tally, one.error.is_none()), (tally(1, 40), true));
        let none = measure(&stores, &at("memory:///nothing/"), 0, &Running::default()).await;
        assert_eq!(none.error.map(|err| err.kind()), Some(Kind::NotFound));
    }

    #[tokio::test]
    async fn an_empty_folder_is_empty_and_a_file_is_itself() {
        let dir = tempfile::tempdir().expect("a folder");
        let stores = Stores::new(Options::default());
        let folder = Location::file(dir.path()).as_container();
        let found = measure(&stores, &folder, 0, &Running::default()).await;
        assert_eq!((found.tally, found.error.is_none()), (tally(0, 0), true));
        std::fs::write(dir.path().join("x"), "12345").expect("a file");
        let found = measure(&stores, &folder.child("x"), 0, &Running::default()).await;
        assert_eq!((found.tally, found.error.is_none()), (tally(1, 5), true));
    }

    #[tokio::test]
    async fn many_are_counted_behind_a_screen_and_remembered() {
        let (stores, waker) = (filled().await, Waker::new());
        let (root, mut sizes) = (at("memory:///"), Sizes::default());
        for name in ["a/", "z/", "a/"] {
            sizes.ask(&root, name, root.child(name));
        }
        assert_eq!((sizes.under_way(), sizes.get(&root, "a/")), (2, Some(Size::Waiting)));
        while sizes.under_way() > 0 {
            sizes.poll(&stores, &waker);
            if sizes.under_way() > 0 {
                waker.woken().await;
            }
        }
        assert_eq!(sizes.get(&root, "a/"), Some(Size::Known(tally(3, 60))));
        assert_eq!(sizes.found().len(), 2);
        sizes.ask(&root, "nothing/", root.child("nothing/"));
        assert_eq!((sizes.stop(), sizes.get(&root, "nothing/")), (1, None));
        assert_eq!(sizes.get(&root, "z/"), Some(Size::Known(tally(1, 50))), "what was known is still known");
    }
}
