//! In which order a listing is shown, and what of it.

use super::Listing;
use super::filter::{Filter, RANKS};
use std::cmp::Ordering;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Entries that a thread works on before it asks whether that is still wanted.
const CHUNK: usize = 16_384;
/// Threads that filter at once, at most.
const THREADS: usize = 8;
/// What was found until then is shown first, if it fills a screen; and later whatever it is.
const FIRST: Duration = Duration::from_millis(2);
const FIRST_AT_ALL: Duration = Duration::from_millis(6);
const SCREENFUL: usize = 200;

/// What an arrangement sorts by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// By name, in the order of bytes, as S3 lists.
    #[default]
    Name,
    /// By size.
    Size,
    /// By time of modification.
    Time,
}

impl SortBy {
    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Name => Self::Size,
            Self::Size => Self::Time,
            Self::Time => Self::Name,
        }
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Time => "time",
        }
    }
}

/// How a listing is to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrangement {
    /// Sorted by.
    pub by: SortBy,
    /// The other way round.
    pub reverse: bool,
    /// Only names that match, see the table at [`Arrangement::run`]; empty for all.
    pub filter: String,
}

/// What a filter let through: the next one, a letter longer, only has to look at that, and pages that
/// came since are added to it.
#[derive(Debug)]
pub struct Sieve {
    filter: Filter,
    /// Entries that were looked at.
    len: usize,
    /// Indices by rank, the best first, each in the order of the listing.
    ranks: Vec<Vec<u32>>,
}

impl Sieve {
    fn order(&self) -> Vec<u32> {
        self.ranks.concat()
    }

    fn len_found(&self) -> usize {
        self.ranks.iter().map(Vec::len).sum()
    }
}

impl Arrangement {
    /// Whether `listing` can be shown just as it came.
    pub fn is_plain(&self, listing: &Listing) -> bool {
        self.filter.is_empty() && self.by == SortBy::Name && !self.reverse && listing.sorted
    }

    /// Indices into `listing` in the order to be shown; see [`Arrangement::run`].
    pub fn apply(&self, listing: &Listing) -> Vec<u32> {
        self.run(listing, None, &|| true, &mut |_| {}).map(|(order, _)| order).unwrap_or_default()
    }

    /// Indices into `listing` in the order to be shown. With a filter and sorting by name, better
    /// matches stand first.
    ///
    /// Works on several threads; to be run on another than the one that draws. A large listing gives what it
    /// has found after a few milliseconds to `first`, and is then done in tens of them. `before` is what
    /// the last run gave for the same listing. `None` as soon as it `is_wanted` no more.
    ///
    /// A filter holds words: `word` its letters in this order, `'word` together, `^word` at the beginning,
    /// `word$` at the end, `!word` without it. Capitals and accents count where the filter has some.
    pub fn run(
        &self,
        listing: &Listing,
        before: Option<&Sieve>,
        is_wanted: &(dyn Fn() -> bool + Sync),
        first: &mut dyn FnMut(Vec<u32>),
    ) -> Option<(Vec<u32>, Option<Sieve>)> {
        if self.filter.is_empty() {
            let all = (0..listing.len() as u32).collect();
            return Some((self.sorted(listing, all), None));
        }
        let by_rank = self.by == SortBy::Name;
        let sieve = sift(&Filter::new(&self.filter), listing, before, is_wanted, &mut |sieve| {
            if by_rank && !self.reverse {
                first(sieve.order());
            }
        })?;
        let mut order = sieve.order();
        if !by_rank {
            order.sort_unstable();
            order = self.sorted(listing, order);
        } else if self.reverse {
            order.reverse();
        }
        Some((order, Some(sieve)))
    }

    /// `order`, which stands in the order of the listing, as it is to be shown.
    fn sorted(&self, listing: &Listing, mut order: Vec<u32>) -> Vec<u32> {
        let by_name = |a: u32, b: u32| -> Ordering {
            // Indices of a sorted listing are in the order of its names.
            let names = || listing.row(a as usize).name().cmp(listing.row(b as usize).name());
            if listing.sorted { a.cmp(&b) } else { names().then(a.cmp(&b)) }
        };
        if self.by == SortBy::Name {
            if !listing.sorted {
                order.sort_by(|a, b| by_name(*a, *b));
            }
        } else {
            let mut keyed: Vec<(u64, u32)> = order.iter().map(|i| (self.key(listing, *i), *i)).collect();
            keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| by_name(a.1, b.1)));
            order = keyed.into_iter().map(|(_, i)| i).collect();
        }
        if self.reverse {
            order.reverse();
        }
        order
    }

    /// A number that sorts as the size or time does, what is unknown first.
    fn key(&self, listing: &Listing, i: u32) -> u64 {
        let (block, i) = listing.place(i as usize);
        match self.by {
            SortBy::Size => block.raw_size(i).map_or(0, |size| size.saturating_add(1)),
            // Negative numbers before positive ones.
            _ => block.raw_time(i).cast_unsigned() ^ (1 << 63),
        }
    }
}

/// Indices by rank that one thread found in one chunk.
type Found = Vec<Vec<u32>>;

/// Looks at all entries, or where `before` is of use only at those that it leaves.
fn sift(
    filter: &Filter,
    listing: &Listing,
    before: Option<&Sieve>,
    is_wanted: &(dyn Fn() -> bool + Sync),
    first: &mut dyn FnMut(&Sieve),
) -> Option<Sieve> {
    let began = Instant::now();
    let before = before.filter(|sieve| sieve.len <= listing.len() && filter.narrows(&sieve.filter));
    let mut sieve = Sieve { filter: filter.clone(), len: listing.len(), ranks: vec![Vec::new(); RANKS] };
    let (mut start, mut left) = (0, None);
    match before {
        // The same filter: only what came since is new.
        Some(before) if *filter == before.filter => {
            start = before.len;
            sieve.ranks.clone_from(&before.ranks);
        }
        Some(before) => left = Some(Left::of(before)),
        None => {}
    }
    let work = |chunk: usize| {
        let mut found = vec![Vec::new(); RANKS];
        let from = start + chunk * CHUNK;
        look_through(filter, listing, left.as_ref(), from, (from + CHUNK).min(listing.len()), &mut found);
        found
    };
    gather((listing.len() - start).div_ceil(CHUNK), &work, is_wanted, &mut sieve, began, first)?;
    Some(sieve)
}

/// The entries that a former filter left, a bit each; all that came since.
struct Left {
    bits: Vec<u64>,
    len: usize,
}

impl Left {
    fn of(sieve: &Sieve) -> Self {
        let mut bits = vec![0; sieve.len.div_ceil(64)];
        for index in sieve.ranks.iter().flatten() {
            bits[*index as usize / 64] |= 1_u64 << (index % 64);
        }
        Self { bits, len: sieve.len }
    }

    #[inline]
    fn has(&self, index: usize) -> bool {
        index >= self.len || self.bits[index / 64] >> (index % 64) & 1 == 1
    }
}

/// Does the work on all chunks by several threads, and puts what they find together in order.
fn gather(
    chunks: usize,
    work: &(dyn Fn(usize) -> Found + Sync),
    is_wanted: &(dyn Fn() -> bool + Sync),
    sieve: &mut Sieve,
    began: Instant,
    first: &mut dyn FnMut(&Sieve),
) -> Option<()> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(THREADS).min(chunks);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::<Option<Found>>::new()));
    done.lock().unwrap_or_else(PoisonError::into_inner).resize_with(chunks, || None);
    let take = || Some(next.fetch_add(1, Relaxed)).filter(|chunk| *chunk < chunks && is_wanted());
    let keep = |chunk: usize, found: Found| {
        done.lock().unwrap_or_else(PoisonError::into_inner)[chunk] = Some(found);
    };
    let mut merged = 0;
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| {
                while let Some(chunk) = take() {
                    keep(chunk, work(chunk));
                }
            });
        }
        let mut shown = false;
        while let Some(chunk) = take() {
            keep(chunk, work(chunk));
            if shown || chunk + 1 >= chunks || began.elapsed() < FIRST {
                continue;
            }
            merged = merge(&done, merged, sieve);
            if sieve.len_found() >= SCREENFUL || began.elapsed() >= FIRST_AT_ALL {
                shown = true;
                first(sieve);
            }
        }
    });
    (merge(&done, merged, sieve) == chunks).then_some(())
}

/// Moves what is found in chunks from `merged` on, as far as they are done, to the sieve.
fn merge(done: &Mutex<Vec<Option<Found>>>, mut merged: usize, sieve: &mut Sieve) -> usize {
    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(found) = done.get_mut(merged).and_then(Option::take) {
        for (rank, indices) in sieve.ranks.iter_mut().zip(found) {
            rank.extend_from_slice(&indices);
        }
        merged += 1;
    }
    merged
}

/// Looks at the entries from one index up to another, those that are left.
fn look_through(filter: &Filter, listing: &Listing, left: Option<&Left>, from: usize, to: usize, found: &mut Found) {
    let mut folded = Vec::new();
    let mut at = from;
    while at < to {
        let (block, start) = listing.place(at);
        // The index of the block's first entry, and how far it is looked through.
        let (base, end) = (at - start, block.len().min(start + to - at));
        let (names, ends) = block.names();
        for i in start..end {
            if left.is_some_and(|left| !left.has(base + i)) {
                continue;
            }
            let from = if i == 0 { 0 } else { ends[i - 1] as usize };
            let rank = if block.is_ascii() {
                filter.rank_ascii(names.as_bytes(), from, ends[i] as usize)
            } else {
                filter.rank(block.name(i), &mut folded)
            };
            if let Some(rank) = rank {
                found[usize::from(rank)].push((base + i) as u32);
            }
        }
        at += end - start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, EntryKind};
    use crate::listing::Block;

    fn listing(n: usize) -> Listing {
        let mut listing = Listing::new();
        let entry = |i: usize| Entry::new(EntryKind::Object, format!("k{:07}.{}", i, ["tif", "nc", "Ätna"][i % 3]));
        for start in (0..n).step_by(1000) {
            listing.push((start..(start + 1000).min(n)).map(entry).collect::<Block>());
        }
        listing
    }

    fn run(filter: &str, listing: &Listing, before: Option<&Sieve>) -> (Vec<u32>, Sieve) {
        let arrangement = Arrangement { filter: filter.to_owned(), ..Arrangement::default() };
        let (order, sieve) = arrangement.run(listing, before, &|| true, &mut |_| {}).expect("wanted");
        (order, sieve.expect("a filter"))
    }

    #[test]
    fn a_longer_filter_and_more_pages_give_what_a_fresh_run_gives() {
        let (part, all) = (listing(40_000), listing(70_001));
        let mut before = run("1", &part, None).1;
        for filter in ["1", "17", "17t", "17ti", "17ti 3", "17ti 3 !99", "nc$", "Ä"] {
            let (order, sieve) = run(filter, &all, Some(&before));
            assert_eq!(order, run(filter, &all, None).0, "{filter}");
            assert!(!order.is_empty());
            before = sieve;
        }
    }

    #[test]
    fn what_is_wanted_no_more_ends() {
        let arrangement = Arrangement { filter: "k".to_owned(), ..Arrangement::default() };
        assert!(arrangement.run(&listing(50_000), None, &|| false, &mut |_| {}).is_none());
    }
}
