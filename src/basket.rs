//! What is selected, over all folders, tabs and filters. Pure.
//!
//! A folder's selection is a set of bits over its listing, whose names are shared and not copied: a
//! million selected objects take 125 KB and are selected at once. A listing of the same folder that was
//! read again has other indices; there, names are looked up.

use crate::entry::{Entry, EntryKind};
use crate::listing::{Listing, Row};
use crate::location::Location;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::OnceLock;

/// A set of indices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    words: Vec<u64>,
    count: usize,
}

impl Marks {
    /// Whether `i` is in it.
    pub fn contains(&self, i: u32) -> bool {
        self.words.get(i as usize / 64).is_some_and(|word| word >> (i % 64) & 1 == 1)
    }

    /// Puts `i` in or takes it out; tells whether that changed anything.
    pub fn set(&mut self, i: u32, on: bool) -> bool {
        if self.contains(i) == on {
            return false;
        }
        let at = i as usize / 64;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        self.words[at] ^= 1 << (i % 64);
        if on {
            self.count += 1;
        } else {
            self.count -= 1;
        }
        true
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All, from the lowest.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                (left != 0).then(|| {
                    let bit = left.trailing_zeros();
                    left &= left - 1;
                    at as u32 * 64 + bit
                })
            })
        })
    }

    /// The `n`th of them, counted from 0.
    pub fn nth(&self, n: usize) -> Option<u32> {
        let mut left = n;
        for (at, word) in self.words.iter().enumerate() {
            let here = word.count_ones() as usize;
            if left < here {
                let word = (0..left).fold(*word, |word, _| word & (word - 1));
                return Some(at as u32 * 64 + word.trailing_zeros());
            }
            left -= here;
        }
        None
    }
}

/// How much is selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Objects and prefixes.
    pub count: usize,
    /// Bytes of those whose size is known.
    pub bytes: u64,
    /// Those whose size is not known: prefixes that were not measured.
    pub unsized_count: usize,
}

impl Total {
    fn replace(&mut self, old: Self, new: Self) {
        self.count = (self.count + new.count).saturating_sub(old.count);
        self.bytes = self.bytes.saturating_add(new.bytes).saturating_sub(old.bytes);
        self.unsized_count = (self.unsized_count + new.unsized_count).saturating_sub(old.unsized_count);
    }

    fn count_in(&mut self, row: &Row<'_>, on: bool) {
        let (bytes, unsized_count) = row.size().map_or((0, 1), |size| (size, 0));
        let (one, none) = (Self { count: 1, bytes, unsized_count }, Self::default());
        if on { self.replace(none, one) } else { self.replace(one, none) }
    }
}

/// What becomes of entries that are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They are selected.
    Add,
    /// They are not selected any more.
    Remove,
    /// Each becomes the other.
    Invert,
}

/// The selected entries of one listing of a folder.
#[derive(Clone, Debug, Default)]
struct Layer {
    listing: Listing,
    marks: Marks,
    total: Total,
    /// By the hash of their names, made when a listing with other indices asks.
    names: OnceLock<HashMap<u64, u32>>,
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

impl Layer {
    fn find(&self, name: &str) -> Option<u32> {
        if self.marks.is_empty() {
            return None;
        }
        let names = self
            .names
            .get_or_init(|| self.marks.iter().map(|i| (hash(self.listing.row(i as usize).name()), i)).collect());
        names.get(&hash(name)).copied().filter(|i| self.listing.row(*i as usize).name() == name)
    }

    fn set(&mut self, i: u32, on: bool) {
        if self.marks.set(i, on) {
            let row = self.listing.row(i as usize);
            self.total.count_in(&row, on);
            if let Some(names) = self.names.get_mut() {
                if on {
                    names.insert(hash(row.name()), i)
                } else {
                    names.remove(&hash(row.name()))
                };
            }
        }
    }
}

/// What is selected in one folder.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    layers: Vec<Layer>,
}

impl Folder {
    /// Whether the `i`th entry of this listing of the folder is selected.
    pub fn contains(&self, listing: &Listing, i: u32) -> bool {
        self.layers.iter().any(|layer| {
            if layer.listing.is_same(listing) {
                layer.marks.contains(i)
            } else {
                listing.get(i as usize).is_some_and(|row| layer.find(row.name()).is_some())
            }
        })
    }

    /// How much is selected in it.
    pub fn total(&self) -> Total {
        self.layers.iter().fold(Total::default(), |mut sum, layer| {
            sum.replace(Total::default(), layer.total);
            sum
        })
    }

    /// The selected entries.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.layers.iter().flat_map(|layer| layer.marks.iter().map(|i| layer.listing.row(i as usize)))
    }

    /// The `n`th of them.
    pub fn nth(&self, n: usize) -> Option<Row<'_>> {
        let mut left = n;
        for layer in &self.layers {
            if left < layer.marks.len() {
                return layer.marks.nth(left).map(|i| layer.listing.row(i as usize));
            }
            left -= layer.marks.len();
        }
        None
    }

    fn change(&mut self, listing: &Listing, rows: impl IntoIterator<Item = u32>, change: Change) {
        let at = self.layers.iter().position(|layer| layer.listing.is_same(listing)).unwrap_or_else(|| {
            self.layers.push(Layer { listing: listing.clone(), ..Layer::default() });
            self.layers.len() - 1
        });
        let mut own = self.layers.remove(at);
        if own.listing.len() < listing.len() {
            own.listing = listing.clone();
        }
        for i in rows {
            let Some(row) = listing.get(i as usize) else { continue };
            let elsewhere = self.layers.iter_mut().find_map(|layer| layer.find(row.name()).map(|i| (layer, i)));
            match (elsewhere, change) {
                (Some(_), Change::Add) => {}
                (Some((layer, i)), _) => layer.set(i, false),
                (None, _) => own.set(i, change == Change::Add || (change == Change::Invert && !own.marks.contains(i))),
            }
        }
        self.layers.push(own);
        self.layers.retain(|layer| !layer.marks.is_empty());
    }

    /// The same selection on a listing that was read to its end: what is not there any more is not
    /// selected any more. Takes as long as it takes to look at every name once.
    #[must_use]
    pub fn on(&self, listing: &Listing) -> Self {
        let mut layer = Layer { listing: listing.clone(), ..Layer::default() };
        for i in 0..listing.len() as u32 {
            if self.contains(listing, i) {
                layer.set(i, true);
            }
        }
        Self { layers: vec![layer] }
    }

    /// Whether [`Folder::on`] this listing would change nothing.
    pub fn is_on(&self, listing: &Listing) -> bool {
        self.layers.iter().all(|layer| layer.listing.is_same(listing))
    }
}

/// Everything that is selected.
#[derive(Clone, Debug, Default)]
pub struct Basket {
    folders: BTreeMap<Location, Folder>,
    total: Total,
    /// Counts changes, so that work in the background knows whether it is late.
    version: u64,
}

impl Basket {
    /// How much is selected.
    pub fn total(&self) -> Total {
        self.total
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.total.count == 0
    }

    /// Grows with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The folders in which something is selected.
    pub fn folders(&self) -> impl ExactSizeIterator<Item = (&Location, &Folder)> {
        self.folders.iter()
    }

    /// What is selected in `container`.
    pub fn folder(&self, container: &Location) -> Option<&Folder> {
        self.folders.get(container)
    }

    fn with<T>(&mut self, container: &Location, f: impl FnOnce(&mut Folder) -> T) -> T {
        let mut folder = self.folders.remove(container).unwrap_or_default();
        let before = folder.total();
        let out = f(&mut folder);
        let after = folder.total();
        self.total.replace(before, after);
        self.version += 1;
        if after.count > 0 {
            self.folders.insert(container.clone(), folder);
        }
        out
    }

    /// Changes the selection of `container`: `rows` are indices into this listing of it.
    pub fn change(
        &mut self,
        container: &Location,
        listing: &Listing,
        rows: impl IntoIterator<Item = u32>,
        change: Change,
    ) {
        self.with(container, |folder| folder.change(listing, rows, change));
    }

    /// Selects entries that no listing on the screen holds.
    pub fn add(&mut self, container: &Location, entries: Vec<Entry>) {
        let mut listing = Listing::new();
        listing.push(entries);
        let rows: Range<u32> = 0..listing.len() as u32;
        self.change(container, &listing, rows, Change::Add);
    }

    /// Selects all that `other` selects too.
    pub fn merge(&mut self, other: Self) {
        for (container, folder) in other.folders {
            for layer in folder.layers {
                self.change(&container, &layer.listing, layer.marks.iter(), Change::Add);
            }
        }
    }

    /// Takes the `n`th entry of a folder out.
    pub fn remove_nth(&mut self, container: &Location, n: usize) {
        let name = self.folder(container).and_then(|f| f.nth(n)).map(|row| row.name().to_owned());
        if let Some(name) = name {
            self.remove(container, |other| other == name);
        }
    }

    /// Takes all entries out whose names are such.
    pub fn remove(&mut self, container: &Location, is: impl Fn(&str) -> bool) {
        self.with(container, |folder| {
            for layer in &mut folder.layers {
                let found: Vec<u32> =
                    layer.marks.iter().filter(|i| is(layer.listing.row(*i as usize).name())).collect();
                for i in found {
                    layer.set(i, false);
                }
            }
            folder.layers.retain(|layer| !layer.marks.is_empty());
        });
    }

    /// Takes out all of a folder; tells whether there was any.
    pub fn clear_folder(&mut self, container: &Location) -> bool {
        let had = self.folders.contains_key(container);
        if had {
            self.with(container, |folder| folder.layers.clear());
        }
        had
    }

    /// Selects nothing any more.
    pub fn clear(&mut self) {
        *self = Self { version: self.version + 1, ..Self::default() };
    }

    /// Puts the selection of a folder in the place of what it was made of: see [`Folder::on`]. Tells how
    /// many are not there any more.
    pub fn settle(&mut self, container: &Location, folder: Folder) -> usize {
        self.with(container, |old| {
            let gone = old.total().count.saturating_sub(folder.total().count);
            *old = folder;
            gone
        })
    }

    /// A prefix was measured.
    pub fn measured(&mut self, container: &Location, name: &str, bytes: u64) {
        if !self.folders.contains_key(container) {
            return;
        }
        self.with(container, |folder| {
            for layer in &mut folder.layers {
                if let Some(i) = layer.find(name) {
                    let none = Total::default();
                    let of = |row: Row<'_>| {
                        row.size().map_or(Total { unsized_count: 1, ..none }, |bytes| Total { bytes, ..none })
                    };
                    let before = of(layer.listing.row(i as usize));
                    layer.listing.set_size(i as usize, bytes);
                    layer.total.replace(before, Total { bytes, ..none });
                }
            }
        });
    }

    /// The addresses of all that is selected.
    pub fn locations(&self) -> impl Iterator<Item = Location> + '_ {
        self.entries().map(|(container, row)| location(container, &row))
    }

    /// All that is selected, with the folders that hold it.
    pub fn entries(&self) -> impl Iterator<Item = (&Location, Row<'_>)> {
        self.folders.iter().flat_map(|(container, folder)| folder.rows().map(move |row| (container, row)))
    }
}

/// Where a listed entry leads.
pub fn location(container: &Location, row: &Row<'_>) -> Location {
    match row.more().and_then(|more| more.target.clone()) {
        Some(target) => target,
        None => container.child(row.name()),
    }
}

/// Whether an entry can be measured: it is a prefix or a bucket of a store.
pub fn can_be_measured(row: &Row<'_>) -> bool {
    matches!(row.kind(), EntryKind::Prefix | EntryKind::Bucket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn at(text: &str) -> Location {
        Location::parse(text).expect(text)
    }

    fn listing(names: &[&str]) -> Listing {
        let mut listing = Listing::new();
        listing.push(
            names
                .iter()
                .map(|n| match n.strip_suffix('/') {
                    Some(_) => Entry::new(EntryKind::Prefix, *n),
                    None => Entry { size: Some(10), ..Entry::new(EntryKind::Object, *n) },
                })
                .collect::<crate::listing::Block>(),
        );
        listing
    }

    fn names(basket: &Basket) -> Vec<String> {
        basket.locations().map(|l| l.to_string()).collect()
    }

    #[test]
    fn a_selection_goes_over_folders_and_survives_reading_again() {
        let (a, b) = (at("s3://x/a/"), at("s3://x/b/"));
        let first = listing(&["1.tif", "2.tif", "sub/"]);
        let mut basket = Basket::default();
        basket.change(&a, &first, [0, 2], Change::Add);
        basket.change(&b, &listing(&["q"]), [0], Change::Add);
        assert_eq!(names(&basket), ["s3://x/a/1.tif", "s3://x/a/sub/", "s3://x/b/q"]);
        assert_eq!(basket.total(), Total { count: 3, bytes: 20, unsized_count: 1 });
        // Read again: another object stands before.
        let again = listing(&["0.tif", "1.tif", "2.tif", "sub/"]);
        let folder = basket.folder(&a).expect("a");
        let marked: Vec<bool> = (0..4).map(|i| folder.contains(&again, i)).collect();
        assert_eq!(marked, [false, true, false, true]);
        basket.change(&a, &again, [1, 2], Change::Invert);
        assert_eq!(names(&basket), ["s3://x/a/sub/", "s3://x/a/2.tif", "s3://x/b/q"]);
        // And again: one of them is gone.
        let later = listing(&["2.tif"]);
        let folder = basket.folder(&a).expect("a").on(&later);
        assert_eq!(basket.settle(&a, folder), 1);
        assert_eq!(names(&basket), ["s3://x/a/2.tif", "s3://x/b/q"]);
        assert_eq!(basket.total(), Total { count: 2, bytes: 20, unsized_count: 0 });
        assert!(basket.clear_folder(&a) && !basket.clear_folder(&a));
        basket.clear();
        assert!(basket.is_empty() && basket.total() == Total::default());
    }

    #[test]
    fn a_measured_prefix_counts() {
        let a = at("s3://x/a/");
        let mut basket = Basket::default();
        basket.change(&a, &listing(&["sub/", "z"]), [0, 1], Change::Add);
        basket.measured(&a, "sub/", 90);
        basket.measured(&a, "sub/", 100);
        basket.measured(&a, "other/", 7);
        assert_eq!(basket.total(), Total { count: 2, bytes: 110, unsized_count: 0 });
        basket.remove_nth(&a, 0);
        assert_eq!(basket.total(), Total { count: 1, bytes: 10, unsized_count: 0 });
    }

    #[test]
    fn a_million_are_selected_compactly() {
        let n = 1_000_000_u32;
        let mut all = Listing::new();
        for page in 0..1000 {
            all.push(
                (0..1000)
                    .map(|i| Entry::new(EntryKind::Object, format!("{page:04}-{i:04}")))
                    .collect::<crate::listing::Block>(),
            );
        }
        let place = at("s3://x/");
        let mut basket = Basket::default();
        basket.change(&place, &all, 0..n, Change::Add);
        let folder = basket.folder(&place).expect("selected");
        assert_eq!(folder.layers[0].marks.words.len() * 8, 125_000);
        assert_eq!(folder.nth(777_777).expect("there").name(), "0777-0777");
        basket.change(&place, &all, 0..n, Change::Invert);
        assert!(basket.is_empty());
    }

    proptest! {
        /// Against a plain set of names, with listings that are read again in between.
        #[test]
        fn it_is_a_set_of_names(steps in proptest::collection::vec((0_u8..3, 0_u32..12, 0_u32..12, any::<bool>()), 0..40)) {
            let place = at("s3://x/");
            let all: Vec<String> = (0..12).map(|i| if i % 4 == 0 { format!("{i:02}/") } else { format!("{i:02}") }).collect();
            let refs: Vec<&str> = all.iter().map(String::as_str).collect();
            let mut shown = listing(&refs);
            let (mut basket, mut plain) = (Basket::default(), BTreeSet::new());
            for (how, low, high, again) in steps {
                if again {
                    shown = listing(&refs);
                }
                let change = [Change::Add, Change::Remove, Change::Invert][usize::from(how)];
                basket.change(&place, &shown, low..high, change);
                for i in low..high {
                    let name = all[i as usize].clone();
                    match change {
                        Change::Add => drop(plain.insert(name)),
                        Change::Remove => drop(plain.remove(&name)),
                        Change::Invert => if !plain.remove(&name) { plain.insert(name); },
                    }
                }
                let own: BTreeSet<String> = basket.entries().map(|(_, row)| row.name().to_owned()).collect();
                prop_assert_eq!(&own, &plain);
                prop_assert_eq!(basket.total().count, plain.len());
                prop_assert_eq!(basket.total().unsized_count, plain.iter().filter(|n| n.ends_with('/')).count());
                for i in 0..12 {
                    let has = basket.folder(&place).is_some_and(|f| f.contains(&shown, i));
                    prop_assert_eq!(has, plain.contains(&all[i as usize]));
                }
            }
        }
    }
}
