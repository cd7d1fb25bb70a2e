//! One list: its entries as they stream in, how they are arranged, and the cursor in it.

use super::arranging::Arranging;
use crate::entry::Entry;
use crate::error::Error;
use crate::listing::{Arrangement, Listing, MOST, Page, Row, Sieve};
use crate::location::Location;
use crate::screen::Cx;
use crate::sources;
use crate::task::Feed;
use crate::text;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Entries that are arranged at once; more are arranged on another thread.
const INLINE: usize = 5_000;
/// Pages taken in one go, so that a frame never waits for a burst of them.
const PAGES_A_POLL: usize = 16;
/// Entries of a list that is read again that must be there before it takes the place of the old one.
const ENOUGH: usize = 1_000;

/// A list of one container.
pub(super) struct Pane {
    pub(super) location: Location,
    pub(super) listing: Listing,
    pub(super) error: Option<Error>,
    /// Why nothing comes just now, while more is to come.
    pub(super) note: Option<String>,
    pub(super) selected: BTreeSet<u32>,
    pub(super) arrangement: Arrangement,
    /// Time to the first page.
    pub(super) first: Option<Duration>,
    started: Instant,
    feed: Option<Feed<Page>>,
    /// Indices into the listing, in the order shown; `None`: as they came.
    order: Option<Vec<u32>>,
    /// What `order` was made of: the arrangement and how many entries there were.
    arranged: (Arrangement, usize),
    arranging: Option<Arranging>,
    /// What the next, longer filter may start from.
    sieve: Option<Arc<Sieve>>,
    cursor: usize,
    top: usize,
    /// Where a range selection began, in the order shown.
    range: Option<usize>,
    /// A name to put the cursor on once it is listed.
    wanted: Option<String>,
    /// No more pages are read beyond this many entries.
    limit: usize,
    /// The same container, read again.
    next: Option<Box<Pane>>,
}

impl Pane {
    /// Starts listing `location`; the cursor goes to `wanted` once that is listed.
    pub(super) fn open(location: Location, wanted: Option<String>, limit: usize, cx: &Cx) -> Self {
        let mut pane = Self {
            location,
            listing: Listing::new(),
            error: None,
            note: None,
            selected: BTreeSet::new(),
            arrangement: Arrangement::default(),
            first: None,
            started: Instant::now(),
            feed: None,
            order: None,
            arranged: (Arrangement::default(), 0),
            arranging: None,
            sieve: None,
            cursor: 0,
            top: 0,
            range: None,
            wanted,
            limit: limit.min(MOST),
            next: None,
        };
        match sources::of(&pane.location) {
            Ok(source) => {
                let pages = (source.list)(cx.stores.clone(), pane.location.clone());
                pane.feed = Some(Feed::spawn(&cx.waker, pages));
            }
            Err(err) => pane.error = Some(err),
        }
        pane
    }

    /// Reads it again; the cursor stays on its name.
    pub(super) fn refresh(&mut self, cx: &Cx) {
        let mut next = Self::open(self.location.clone(), None, self.limit, cx);
        next.arrangement = self.arrangement.clone();
        self.next = Some(Box::new(next));
    }

    /// Puts what is read again in the place of what is shown, once there is as much of it.
    fn take_next(&mut self, cx: &Cx) {
        let Some(next) = &mut self.next else { return };
        next.poll(cx);
        if next.is_loading() && next.listing.len() < self.listing.len().min(ENOUGH) {
            return;
        }
        // At the top it stays at the top: what is new there is what one wants to see.
        let wanted = self.row().filter(|_| self.cursor > 0).map(|r| r.name().to_owned());
        let (cursor, top) = (self.cursor, self.top);
        if let Some(mut next) = self.next.take() {
            next.wanted = wanted;
            next.cursor = cursor.min(next.shown().saturating_sub(1));
            next.top = top;
            next.find_wanted();
            *self = *next;
        }
    }

    /// Whether more may come.
    pub(super) fn is_loading(&self) -> bool {
        self.feed.is_some() || self.next.is_some()
    }

    /// Pulls what has arrived; tells whether the entry under the cursor may be another one.
    pub(super) fn poll(&mut self, cx: &Cx) -> bool {
        self.take_next(cx);
        let before = self.listing.len();
        if let Some(feed) = &mut self.feed {
            let mut pages = 0;
            while pages < PAGES_A_POLL {
                match feed.take() {
                    Some(Ok(Page::Note(note))) => self.note = Some(note),
                    Some(Ok(Page::Entries(page))) => {
                        self.note = None;
                        self.first.get_or_insert_with(|| self.started.elapsed());
                        self.listing.push(page);
                        pages += 1;
                    }
                    Some(Err(err)) => (self.note, self.error) = (None, Some(err)),
                    None => break,
                }
            }
            if pages == PAGES_A_POLL {
                cx.waker.wake();
            }
            let is_full = self.listing.len() >= self.limit;
            if feed.is_done() || is_full {
                self.feed = None;
                self.note = (is_full && self.limit == MOST).then(|| {
                    format!(
                        "only the first {} entries are shown: go to a folder below, or use `secchi ls`",
                        text::count(MOST as u64)
                    )
                });
            }
        }
        while let Some(outcome) = self.arranging.as_mut().and_then(Arranging::take) {
            let mut len = 0;
            if let Some(whole) = outcome.whole {
                (len, self.sieve) = whole;
                self.arranging = None;
            }
            self.set_order(Some(outcome.order), (outcome.arrangement, len));
        }
        self.arrange(cx);
        if self.wanted.is_some() && (self.listing.len() != before || self.feed.is_none()) {
            self.find_wanted();
        }
        self.listing.len() != before
    }

    fn find_wanted(&mut self) {
        let Some(index) = self.wanted.as_deref().and_then(|name| self.listing.position(name)) else { return };
        if let Some(at) = self.shown_position(index as u32) {
            self.cursor = at;
            self.wanted = None;
        }
    }

    fn shown_position(&self, index: u32) -> Option<usize> {
        match &self.order {
            None => Some(index as usize),
            Some(order) => order.iter().position(|i| *i == index),
        }
    }

    /// Changes how it is arranged.
    pub(super) fn arrange_as(&mut self, arrangement: Arrangement, cx: &Cx) {
        if arrangement != self.arrangement {
            self.arrangement = arrangement;
            self.arranging = None;
            self.arrange(cx);
        }
    }

    fn arrange(&mut self, cx: &Cx) {
        if self.arrangement.is_plain(&self.listing) {
            (self.arranging, self.sieve) = (None, None);
            if self.order.is_some() {
                self.set_order(None, (self.arrangement.clone(), self.listing.len()));
            }
            return;
        }
        let goal = (self.arrangement.clone(), self.listing.len());
        if self.arranged == goal || self.arranging.is_some() {
            return;
        }
        if self.listing.len() <= INLINE {
            let order = self.arrangement.apply(&self.listing);
            self.set_order(Some(order), goal);
            return;
        }
        self.arranging = Some(Arranging::start(goal.0, self.listing.clone(), self.sieve.clone(), &cx.waker));
    }

    fn set_order(&mut self, order: Option<Vec<u32>>, made_of: (Arrangement, usize)) {
        let filter_changed = self.arranged.0.filter != made_of.0.filter;
        let keep = self.cursor > 0 && (!filter_changed || made_of.0.filter.is_empty());
        let under = if keep { self.index() } else { None };
        self.order = order;
        self.arranged = made_of;
        self.range = None;
        self.cursor = under.and_then(|i| self.shown_position(i)).unwrap_or(0);
    }

    /// How many are shown.
    pub(super) fn shown(&self) -> usize {
        self.order.as_ref().map_or(self.listing.len(), Vec::len)
    }

    /// The `at`th shown.
    pub(super) fn shown_row(&self, at: usize) -> Option<(u32, Row<'_>)> {
        let index = match &self.order {
            None => at as u32,
            Some(order) => *order.get(at)?,
        };
        self.listing.get(index as usize).map(|row| (index, row))
    }

    /// Where the cursor is, in the order shown.
    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    fn index(&self) -> Option<u32> {
        self.shown_row(self.cursor).map(|(i, _)| i)
    }

    /// What is under the cursor.
    pub(super) fn row(&self) -> Option<Row<'_>> {
        self.shown_row(self.cursor).map(|(_, row)| row)
    }

    /// Moves the cursor by lines.
    pub(super) fn step(&mut self, by: isize) {
        self.jump(self.cursor.saturating_add_signed(by));
    }

    /// Moves the cursor to a line, or the last.
    pub(super) fn jump(&mut self, to: usize) {
        self.wanted = None;
        self.cursor = to.min(self.shown().saturating_sub(1));
        if let Some(from) = self.range {
            let (low, high) = (from.min(self.cursor), from.max(self.cursor));
            let indices: Vec<u32> = (low..=high).filter_map(|at| self.shown_row(at).map(|(i, _)| i)).collect();
            self.selected.extend(indices);
        }
    }

    /// Selects or unselects what is under the cursor, and advances.
    pub(super) fn toggle(&mut self) {
        if let Some(index) = self.index() {
            if !self.selected.remove(&index) {
                self.selected.insert(index);
            }
            self.step(1);
        }
    }

    /// Begins or ends a range selection at the cursor.
    pub(super) fn toggle_range(&mut self) {
        self.range = if self.range.is_some() { None } else { Some(self.cursor) };
        if self.range.is_some() {
            self.jump(self.cursor);
        }
    }

    /// Whether a range selection is under way.
    pub(super) fn in_range(&self) -> bool {
        self.range.is_some()
    }

    /// Selects all that is shown.
    pub(super) fn select_all(&mut self) {
        self.selected = (0..self.shown()).filter_map(|at| self.shown_row(at).map(|(i, _)| i)).collect();
    }

    /// Forgets the selection; tells whether there was one.
    pub(super) fn clear_selection(&mut self) -> bool {
        let had = !self.selected.is_empty() || self.range.is_some();
        self.selected.clear();
        self.range = None;
        had
    }

    /// The next name after the cursor (or before) that holds `needle`, case-blind, going round.
    pub(super) fn search(&mut self, needle: &str, forward: bool) -> bool {
        let (n, needle) = (self.shown(), needle.to_lowercase());
        let found = (1..=n)
            .map(|d| if forward { (self.cursor + d) % n } else { (self.cursor + n - d) % n })
            .find(|at| self.shown_row(*at).is_some_and(|(_, r)| r.name().to_lowercase().contains(&needle)));
        if let Some(at) = found {
            self.jump(at);
        }
        found.is_some()
    }

    /// What is selected, or else what is under the cursor.
    pub(super) fn chosen(&self) -> Vec<Entry> {
        if self.selected.is_empty() {
            return self.row().map(|r| r.to_entry()).into_iter().collect();
        }
        self.selected.iter().filter_map(|i| self.listing.get(*i as usize)).map(|r| r.to_entry()).collect()
    }

    /// First line shown in a window of `height` lines, moved as little as needed.
    pub(super) fn window(&mut self, height: usize) -> usize {
        let margin = 2.min(height.saturating_sub(1) / 2);
        self.top = self.top.min(self.cursor.saturating_sub(margin)).min(self.shown().saturating_sub(height));
        if self.cursor + margin >= self.top + height {
            self.top = (self.cursor + margin + 1).saturating_sub(height).min(self.shown().saturating_sub(height));
        }
        self.top
    }
}
