//! In which order a listing is shown, and what of it.

use super::Listing;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use std::cmp::Ordering;

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
    /// Only names that match, fuzzily; empty for all.
    pub filter: String,
}

impl Arrangement {
    /// Whether `listing` can be shown just as it came.
    pub fn is_plain(&self, listing: &Listing) -> bool {
        self.filter.is_empty() && self.by == SortBy::Name && !self.reverse && listing.sorted
    }

    /// Indices into `listing` in the order to be shown. With a filter and sorting by name, better
    /// matches stand first. O(n log n): run it on another thread for large listings.
    pub fn apply(&self, listing: &Listing) -> Vec<u32> {
        let mut order: Vec<u32> = (0..listing.len() as u32).collect();
        if !self.filter.is_empty() {
            let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
            let pattern = Pattern::parse(&self.filter, CaseMatching::Smart, Normalization::Smart);
            let mut buffer = Vec::new();
            let mut scored: Vec<(u32, u32)> = order
                .into_iter()
                .filter_map(|i| {
                    let name = Utf32Str::new(listing.row(i as usize).name(), &mut buffer);
                    pattern.score(name, &mut matcher).map(|score| (score, i))
                })
                .collect();
            scored.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            order = scored.into_iter().map(|(_, i)| i).collect();
            if self.by == SortBy::Name {
                if self.reverse {
                    order.reverse();
                }
                return order;
            }
        }
        let compare = |a: &u32, b: &u32| -> Ordering {
            let (a, b) = (listing.row(*a as usize), listing.row(*b as usize));
            let by = match self.by {
                SortBy::Name => Ordering::Equal,
                SortBy::Size => a.size().cmp(&b.size()),
                SortBy::Time => a.modified().cmp(&b.modified()),
            };
            by.then_with(|| a.name().cmp(b.name()))
        };
        order.sort_unstable_by(|a, b| if self.reverse { compare(b, a) } else { compare(a, b) });
        order
    }
}
