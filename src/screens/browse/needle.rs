//! What is searched in names: as it is typed, case-blind unless it holds a capital.

use crate::listing::Listing;
use std::ops::Range;
use std::sync::Arc;

/// A piece of a name that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needle {
    text: String,
    /// Capitals and small letters are the same.
    fold: bool,
    /// Only at the start of a name.
    at_start: bool,
}

impl Needle {
    pub(super) fn new(text: &str, at_start: bool) -> Self {
        let fold = !text.chars().any(char::is_uppercase);
        Self { text: text.to_owned(), fold, at_start }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where it stands first in `name`.
    pub(super) fn find_in(&self, name: &str) -> Option<Range<usize>> {
        if self.text.is_empty() {
            return None;
        }
        if !self.fold {
            let at = if self.at_start { name.starts_with(&self.text).then_some(0) } else { name.find(&self.text) };
            return at.map(|at| at..at + self.text.len());
        }
        let mut starts = name.char_indices().map(|(at, _)| at);
        if self.at_start {
            return starts.next().and_then(|at| self.folded_at(name, at));
        }
        let first = self.text.as_bytes()[0];
        if first.is_ascii() {
            // Most names begin nowhere as the needle does: bytes tell that fastest.
            let mut from = 0;
            while let Some(at) = name.as_bytes()[from..].iter().position(|b| b.eq_ignore_ascii_case(&first)) {
                if let Some(found) = self.folded_at(name, from + at) {
                    return Some(found);
                }
                from += at + 1;
            }
            return None;
        }
        starts.find_map(|at| self.folded_at(name, at))
    }

    /// The range of `name` from `at` that reads as the needle.
    fn folded_at(&self, name: &str, at: usize) -> Option<Range<usize>> {
        let mut wanted = self.text.chars();
        let mut end = at;
        for c in name.get(at..)?.chars() {
            let Some(next) = wanted.next() else { break };
            if c != next && !c.to_lowercase().eq(next.to_lowercase()) {
                return None;
            }
            end += c.len_utf8();
        }
        wanted.next().is_none().then_some(at..end)
    }
}

/// Rows in the order shown: `None` stands for the order in which they came.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) listing: Listing,
    pub(super) order: Option<Arc<Vec<u32>>>,
}

impl Shown {
    fn len(&self) -> usize {
        self.order.as_ref().map_or(self.listing.len(), |order| order.len())
    }

    fn name(&self, at: usize) -> Option<&str> {
        let index = self.order.as_ref().map_or(Some(at), |order| order.get(at).map(|i| *i as usize))?;
        self.listing.get(index).map(|row| row.name())
    }

    /// Indices into the listing of the rows whose names are such.
    pub(super) fn matching(&self, is: impl Fn(&str) -> bool) -> Vec<u32> {
        let index = |at: usize| self.order.as_ref().map_or(at as u32, |order| order[at]);
        (0..self.len()).filter(|at| self.name(*at).is_some_and(&is)).map(index).collect()
    }

    /// The next row from `from` (it too, where `itself`), going round, in which the needle stands.
    pub(super) fn seek(&self, needle: &Needle, from: usize, forward: bool, itself: bool) -> Option<usize> {
        let n = self.len();
        if n == 0 {
            return None;
        }
        let from = from.min(n - 1);
        (usize::from(!itself)..=n)
            .map(|d| if forward { (from + d) % n } else { (from + n - d) % n })
            .find(|at| self.name(*at).is_some_and(|name| needle.find_in(name).is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, EntryKind};
    use proptest::prelude::*;

    #[test]
    fn small_letters_find_both_and_capitals_themselves() {
        let find = |needle: &str, name: &str| Needle::new(needle, false).find_in(name);
        assert_eq!(find("b02", "x_B02.tif"), Some(2..5));
        assert_eq!(find("B02", "b02 B02"), Some(4..7));
        assert_eq!(find("ä", "JÄRVI"), Some(1..3));
        assert_eq!(find("x", "abc"), None);
        assert_eq!(find("", "abc"), None);
        assert_eq!(find("bb", "abab"), None);
        assert_eq!(Needle::new("b", true).find_in("ab"), None);
        assert_eq!(Needle::new("a", true).find_in("Ab"), Some(0..1));
    }

    #[test]
    fn seeking_goes_round_both_ways() {
        let mut listing = Listing::new();
        listing.push(["a1", "b", "a2", "c"].map(|n| Entry::new(EntryKind::Object, n)).to_vec());
        let shown = Shown { listing, order: None };
        let a = Needle::new("a", false);
        assert_eq!(shown.seek(&a, 0, true, false), Some(2));
        assert_eq!(shown.seek(&a, 2, true, false), Some(0));
        assert_eq!(shown.seek(&a, 0, false, false), Some(2));
        assert_eq!(shown.seek(&a, 0, true, true), Some(0));
        assert_eq!(shown.seek(&Needle::new("q", false), 9, true, false), None);
        let none = Shown { listing: Listing::new(), order: None };
        assert_eq!(none.seek(&a, 3, true, true), None);
    }

    proptest! {
        #[test]
        fn any_text_is_found_where_it_stands(before in ".{0,10}", needle in ".{1,6}", after in ".{0,10}") {
            let name = format!("{before}{needle}{after}");
            let found = Needle::new(&needle, false).find_in(&name).expect("it stands there");
            prop_assert!(found.start <= before.len());
            prop_assert!(name.get(found).is_some());
        }
    }
}
