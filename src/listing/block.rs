//! One page of a listing: names in one string, facts in columns.

use crate::entry::{Entry, EntryKind, More};
use chrono::{DateTime, Utc};

/// In place of a size that is not known.
const NO_SIZE: u64 = u64::MAX;
/// In place of a time that is not known.
const NO_TIME: i64 = i64::MIN;

/// Texts one after the other in one string.
#[derive(Clone, Debug, Default)]
struct Texts {
    text: String,
    ends: Vec<u32>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
    }

    fn get(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.text[start..self.ends[i] as usize]
    }

    fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// Entries held compactly: 21 bytes each besides the name, and 40 for an `ETag` while those are kept.
/// A block of more than 4 GiB of names cannot be made: pages are small.
#[derive(Clone, Debug, Default)]
pub struct Block {
    names: Texts,
    kinds: Vec<EntryKind>,
    /// [`NO_SIZE`] where unknown.
    sizes: Vec<u64>,
    /// Milliseconds since 1970; [`NO_TIME`] where unknown.
    times: Vec<i64>,
    /// Empty, or one for each entry up to the last that has one; an empty text is none.
    etags: Texts,
    /// Empty, or for each entry up to the last that has one: 0, or one more than its place in
    /// `class_names`.
    classes: Vec<u8>,
    class_names: Vec<Box<str>>,
    more: Vec<(u32, Box<More>)>,
    is_unsorted: bool,
    is_foreign: bool,
}

impl Block {
    /// An empty one with room for so many entries, and so many bytes of their names.
    pub fn with_capacity(entries: usize, bytes: usize) -> Self {
        Self {
            names: Texts { text: String::with_capacity(bytes), ends: Vec::with_capacity(entries) },
            kinds: Vec::with_capacity(entries),
            sizes: Vec::with_capacity(entries),
            times: Vec::with_capacity(entries),
            ..Self::default()
        }
    }

    /// Adds an entry; the `put_` functions add to the last one.
    pub fn push(&mut self, kind: EntryKind, name: &str) {
        if let Some(last) = self.len().checked_sub(1) {
            self.is_unsorted |= self.name(last) > name;
        }
        self.is_foreign |= !name.is_ascii();
        self.names.push(name);
        self.kinds.push(kind);
        self.sizes.push(NO_SIZE);
        self.times.push(NO_TIME);
    }

    /// Adds an entry of another block.
    pub fn push_row(&mut self, row: &Row<'_>) {
        self.push(row.kind(), row.name());
        self.put_size(row.size().unwrap_or(NO_SIZE));
        self.put_modified(row.modified_ms().unwrap_or(NO_TIME));
        if let Some(etag) = row.etag() {
            self.put_etag(etag);
        }
        if let Some(class) = row.storage_class() {
            self.put_class(class);
        }
        if let Some(more) = row.more() {
            self.put_more(more.clone());
        }
    }

    /// The bytes of the last entry.
    pub fn put_size(&mut self, size: u64) {
        if let Some(last) = self.sizes.last_mut() {
            *last = size;
        }
    }

    /// The last modification of the last entry, in milliseconds since 1970.
    pub fn put_modified(&mut self, ms: i64) {
        if let Some(last) = self.times.last_mut() {
            *last = ms;
        }
    }

    /// The `ETag` of the last entry, with its quotes.
    pub fn put_etag(&mut self, etag: &str) {
        while self.etags.ends.len() + 1 < self.len() {
            self.etags.push("");
        }
        if self.etags.ends.len() < self.len() {
            self.etags.push(etag);
        }
    }

    /// The storage class of the last entry; `STANDARD` is none.
    pub fn put_class(&mut self, class: &str) {
        if class == "STANDARD" || class.is_empty() || self.is_empty() {
            return;
        }
        let known = self.class_names.iter().position(|c| **c == *class);
        let place = known.unwrap_or_else(|| {
            self.class_names.push(class.into());
            self.class_names.len() - 1
        });
        // There are about ten classes; a server that makes up hundreds is not believed.
        if let Ok(place) = u8::try_from(place + 1) {
            self.classes.resize(self.len() - 1, 0);
            self.classes.push(place);
        }
    }

    /// The rarer facts of the last entry. Its storage class goes to [`Block::put_class`].
    pub fn put_more(&mut self, mut more: More) {
        if let Some(class) = more.storage_class.take() {
            self.put_class(&class);
        }
        if let Some(last) = self.len().checked_sub(1)
            && more != More::default()
        {
            self.more.push((last as u32, Box::new(more)));
        }
    }

    /// Gives back what was reserved and not used; `ETags` too unless they are to be kept.
    pub(super) fn shrink(&mut self, keep_etags: bool) {
        if !keep_etags {
            self.etags = Texts::default();
        }
        self.names.shrink();
        self.kinds.shrink_to_fit();
        self.sizes.shrink_to_fit();
        self.times.shrink_to_fit();
        self.etags.shrink();
        self.classes.shrink_to_fit();
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The `i`th entry. Panics beyond the end, as a slice does.
    pub fn row(&self, i: usize) -> Row<'_> {
        assert!(i < self.len(), "entry {i} of {}", self.len());
        Row { block: self, i }
    }

    /// All of them.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = Row<'_>> + ExactSizeIterator {
        (0..self.len()).map(|i| Row { block: self, i })
    }

    /// All as entries of their own.
    pub fn to_entries(&self) -> Vec<Entry> {
        self.rows().map(|row| row.to_entry()).collect()
    }

    /// Bytes of all whose size is known.
    pub fn bytes(&self) -> u64 {
        self.sizes.iter().filter(|s| **s != NO_SIZE).fold(0, |sum, size| sum.saturating_add(*size))
    }

    /// Whether the names stand in the order of their bytes.
    pub(super) fn is_sorted(&self) -> bool {
        !self.is_unsorted
    }

    /// Whether all names are ASCII.
    pub(super) fn is_ascii(&self) -> bool {
        !self.is_foreign
    }

    pub(super) fn name(&self, i: usize) -> &str {
        self.names.get(i)
    }

    /// All names one after the other, and where each ends.
    pub(super) fn names(&self) -> (&str, &[u32]) {
        (&self.names.text, &self.names.ends)
    }

    pub(super) fn raw_size(&self, i: usize) -> Option<u64> {
        Some(self.sizes[i]).filter(|s| *s != NO_SIZE)
    }

    /// Sets the size of the `i`th entry; gives what it was.
    pub(super) fn set_size(&mut self, i: usize, size: u64) -> Option<u64> {
        let before = self.raw_size(i);
        self.sizes[i] = size.min(NO_SIZE - 1);
        before
    }

    pub(super) fn raw_time(&self, i: usize) -> i64 {
        self.times[i]
    }

    /// Bytes of memory that it holds.
    pub fn memory(&self) -> usize {
        let texts = |t: &Texts| t.text.capacity() + 4 * t.ends.capacity();
        texts(&self.names)
            + texts(&self.etags)
            + self.kinds.capacity()
            + 8 * (self.sizes.capacity() + self.times.capacity())
            + self.classes.capacity()
            + self.more.capacity() * size_of::<(u32, Box<More>)>()
            + self.more.len() * size_of::<More>()
            + size_of::<Self>()
    }
}

impl From<Vec<Entry>> for Block {
    fn from(entries: Vec<Entry>) -> Self {
        let mut block = Self::with_capacity(entries.len(), entries.iter().map(|e| e.name.len()).sum());
        block.extend(entries);
        block
    }
}

impl Extend<Entry> for Block {
    fn extend<T: IntoIterator<Item = Entry>>(&mut self, entries: T) {
        for entry in entries {
            self.push(entry.kind, &entry.name);
            if let Some(size) = entry.size {
                self.put_size(size);
            }
            if let Some(at) = entry.modified {
                self.put_modified(at.timestamp_millis());
            }
            if let Some(etag) = &entry.etag {
                self.put_etag(etag);
            }
            if let Some(more) = entry.more {
                self.put_more(*more);
            }
        }
    }
}

impl FromIterator<Entry> for Block {
    fn from_iter<T: IntoIterator<Item = Entry>>(entries: T) -> Self {
        let mut block = Self::default();
        block.extend(entries);
        block
    }
}

/// An entry of a [`Block`], borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    block: &'a Block,
    i: usize,
}

impl<'a> Row<'a> {
    /// Its name below the listed container.
    pub fn name(&self) -> &'a str {
        self.block.name(self.i)
    }

    /// What it is.
    pub fn kind(&self) -> EntryKind {
        self.block.kinds[self.i]
    }

    /// Bytes, where known.
    pub fn size(&self) -> Option<u64> {
        self.block.raw_size(self.i)
    }

    /// Last modification, where known.
    pub fn modified(&self) -> Option<DateTime<Utc>> {
        self.modified_ms().and_then(DateTime::from_timestamp_millis)
    }

    /// Last modification in milliseconds since 1970, where known.
    pub fn modified_ms(&self) -> Option<i64> {
        Some(self.block.times[self.i]).filter(|ms| *ms != NO_TIME)
    }

    /// Its `ETag` with quotes, where known and kept.
    pub fn etag(&self) -> Option<&'a str> {
        (self.i < self.block.etags.ends.len()).then(|| self.block.etags.get(self.i)).filter(|e| !e.is_empty())
    }

    /// Its storage class, unless it is `STANDARD`.
    pub fn storage_class(&self) -> Option<&'a str> {
        let place = usize::from(*self.block.classes.get(self.i)?);
        self.block.class_names.get(place.checked_sub(1)?).map(|c| &**c)
    }

    /// The rarer facts, without the storage class.
    pub fn more(&self) -> Option<&'a More> {
        let at = self.block.more.binary_search_by_key(&(self.i as u32), |(n, _)| *n).ok()?;
        Some(&self.block.more[at].1)
    }

    /// The entry as it came.
    pub fn to_entry(&self) -> Entry {
        let mut more = self.more().cloned().map(Box::new);
        if let Some(class) = self.storage_class() {
            more.get_or_insert_default().storage_class = Some(class.to_owned());
        }
        Entry {
            kind: self.kind(),
            name: self.name().into(),
            size: self.size(),
            modified: self.modified(),
            etag: self.etag().map(Into::into),
            more,
        }
    }
}
