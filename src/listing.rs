//! A listing held compactly: per page one [`Block`] of names in one string and columns of facts, not
//! a `String` and a struct each. Pure.
//!
//! An entry takes 21 bytes besides its name, and 4 to 8 more while it is sorted otherwise or let through
//! by a filter. A million objects with names of 17 bytes take 38 MB, of 40 bytes 61 MB. A screen stops
//! reading at [`MOST`] entries and says so: a listing is bounded at 350 MB for such names. `ETags` are
//! kept for the first [`KEEP_ETAGS`] only, which are 0.8 MB.
//!
//! Blocks are immutable and shared, so that filtering and sorting run on another thread while more
//! pages arrive.

use crate::entry::Entry;
use crate::error::Result;
use futures::stream::BoxStream;
use std::sync::Arc;

mod arrange;
mod block;
mod filter;

pub use arrange::{Arrangement, Sieve, SortBy};
pub use block::{Block, Row};

/// What a listing delivers.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a note is rare, and a page holds a thousand entries")]
pub enum Page {
    /// Entries, in the order of the server.
    Entries(Block),
    /// Why nothing comes just now, in a sentence: "the server reset the connection; second try in 2 s".
    /// The next entries end it.
    Note(String),
}

impl Page {
    /// The entries; a note holds none.
    pub fn into_block(self) -> Block {
        match self {
            Self::Entries(block) => block,
            Self::Note(_) => Block::default(),
        }
    }
}

impl From<Block> for Page {
    fn from(entries: Block) -> Self {
        Self::Entries(entries)
    }
}

impl From<Vec<Entry>> for Page {
    fn from(entries: Vec<Entry>) -> Self {
        Self::Entries(entries.into())
    }
}

/// Pages of a listing, in the order of the server. Dropping it stops the listing.
pub type Pages = BoxStream<'static, Result<Page>>;

/// Entries that a screen reads of one listing at most.
pub const MOST: usize = 5_000_000;

/// Entries in the order they came.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    blocks: Vec<Arc<Block>>,
    /// Index of the first entry of each block.
    starts: Vec<u32>,
    len: usize,
    bytes: u64,
    sorted: bool,
    /// Shared by all copies of one listing, and by no other.
    origin: Arc<()>,
}

/// `ETags` are kept for the first so many entries only: beyond, memory counts more, and a HEAD tells.
const KEEP_ETAGS: usize = 20_000;

impl Listing {
    /// An empty one.
    pub fn new() -> Self {
        Self { sorted: true, ..Self::default() }
    }

    /// Adds a page.
    pub fn push(&mut self, page: impl Into<Block>) {
        let mut block = page.into();
        if block.is_empty() {
            return;
        }
        block.shrink(self.len < KEEP_ETAGS);
        let last = self.len.checked_sub(1).map(|i| self.row(i).name());
        let in_order = block.is_sorted() && last.is_none_or(|last| last <= block.name(0));
        self.sorted &= in_order;
        self.starts.push(self.len as u32);
        self.len += block.len();
        self.bytes = self.bytes.saturating_add(block.bytes());
        self.blocks.push(Arc::new(block));
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of all whose size is known.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The `i`th entry. Panics beyond the end, as a slice does.
    pub fn row(&self, i: usize) -> Row<'_> {
        let (block, i) = self.place(i);
        block.row(i)
    }

    /// The block that holds the `i`th entry, and its place there.
    fn place(&self, i: usize) -> (&Block, usize) {
        let at = self.starts.partition_point(|s| *s as usize <= i) - 1;
        (&self.blocks[at], i - self.starts[at] as usize)
    }

    /// The `i`th entry, if there is one.
    pub fn get(&self, i: usize) -> Option<Row<'_>> {
        (i < self.len).then(|| self.row(i))
    }

    /// Whether `other` is a copy of this one, earlier or later: what both hold has the same index in both.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.origin, &other.origin)
    }

    /// Sets the size of an entry: of a prefix that was measured. Copies that were made before keep theirs.
    pub fn set_size(&mut self, i: usize, size: u64) {
        if i >= self.len {
            return;
        }
        let at = self.starts.partition_point(|s| *s as usize <= i) - 1;
        let before = Arc::make_mut(&mut self.blocks[at]).set_size(i - self.starts[at] as usize, size);
        self.bytes = self.bytes.saturating_sub(before.unwrap_or(0)).saturating_add(size);
    }

    /// Where `name` stands, in the order they came.
    pub fn position(&self, name: &str) -> Option<usize> {
        if self.sorted {
            let (mut low, mut high) = (0, self.len);
            while low < high {
                let middle = low + (high - low) / 2;
                if self.row(middle).name() < name { low = middle + 1 } else { high = middle }
            }
            return self.get(low).filter(|row| row.name() == name).map(|_| low);
        }
        let mut base = 0;
        for block in &self.blocks {
            if let Some(i) = (0..block.len()).find(|i| block.name(*i) == name) {
                return Some(base + i);
            }
            base += block.len();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::EntryKind;

    fn entry(name: &str, size: u64) -> Entry {
        Entry { size: Some(size), ..Entry::new(EntryKind::Object, name) }
    }

    fn shown(listing: &Listing, arrangement: &Arrangement) -> Vec<String> {
        arrangement.apply(listing).into_iter().map(|i| listing.row(i as usize).name().to_owned()).collect()
    }

    #[test]
    fn pages_become_one_listing() {
        let mut listing = Listing::new();
        listing.push(vec![entry("a", 1), entry("b", 2)]);
        listing.push(Vec::new());
        listing.push(vec![entry("c", 3)]);
        assert_eq!((listing.len(), listing.bytes()), (3, 6));
        assert_eq!(listing.row(2).name(), "c");
        assert!(listing.get(3).is_none());
        assert_eq!(
            ["a", "b", "c", "d", ""].map(|name| listing.position(name)),
            [Some(0), Some(1), Some(2), None, None]
        );
        assert!(Arrangement::default().is_plain(&listing));
        listing.push(vec![entry("A", 3)]);
        assert!(!Arrangement::default().is_plain(&listing));
        assert_eq!((listing.position("A"), listing.position("b")), (Some(3), Some(1)));
        assert_eq!(listing.row(3).to_entry(), entry("A", 3));
    }

    #[test]
    fn a_measured_size_is_shown_by_later_copies_alone() {
        let mut listing = Listing::new();
        listing.push(vec![Entry::new(EntryKind::Prefix, "a/"), entry("b", 2)]);
        let before = listing.clone();
        listing.set_size(0, 7);
        listing.set_size(9, 7);
        assert_eq!((listing.row(0).size(), listing.bytes()), (Some(7), 9));
        assert_eq!((before.row(0).size(), before.bytes()), (None, 2));
        assert!(listing.is_same(&before) && !listing.is_same(&Listing::new()));
    }

    #[test]
    fn arranging_sorts_and_filters() {
        let mut listing = Listing::new();
        listing.push(vec![entry("B02.tif", 5), entry("MTD.xml", 9), entry("B03.tif", 7)]);
        let by = |by, reverse, filter: &str| Arrangement { by, reverse, filter: filter.into() };
        assert_eq!(shown(&listing, &by(SortBy::Name, false, "")), ["B02.tif", "B03.tif", "MTD.xml"]);
        assert_eq!(shown(&listing, &by(SortBy::Size, true, "")), ["MTD.xml", "B03.tif", "B02.tif"]);
        assert_eq!(shown(&listing, &by(SortBy::Name, false, "b3")), ["B03.tif"]);
        assert_eq!(shown(&listing, &by(SortBy::Size, false, "tif")), ["B02.tif", "B03.tif"]);
    }

    proptest::proptest! {
        #[test]
        fn any_names_come_back_whole(names in proptest::collection::vec(".*", 0..50), cut in 1_usize..7) {
            let mut listing = Listing::new();
            for page in names.chunks(cut) {
                listing.push(page.iter().map(|n| entry(n, 0)).collect::<Block>());
            }
            let back: Vec<_> = (0..listing.len()).map(|i| listing.row(i).name().to_owned()).collect();
            proptest::prop_assert_eq!(back, names);
        }
    }
}
