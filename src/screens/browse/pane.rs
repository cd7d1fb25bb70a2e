//! One list: its entries as they stream in, how they are arranged, and the cursor in it.

use super::arranging::Arranging;
use super::needle::{Needle, Shown};
use crate::basket::{self, Basket, Change, Folder};
use crate::error::{Error, Kind};
use crate::listing::{Arrangement, Listing, MOST, Page, Row, Sieve, SortBy};
use crate::location::Location;
use crate::screen::Cx;
use crate::sources;
use crate::task::{Feed, Pending, poll_slot};
use crate::text;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Entries that are arranged or searched at once; more of them on another thread.
const INLINE: usize = 5_000;
/// Pages taken in one go, so that a frame never waits for a burst of them.
const PAGES_A_POLL: usize = 16;
/// Entries of a list that is read again that must be there before it takes the place of the old one.
const ENOUGH: usize = 1_000;
/// Names around the cursor that are tried where its own is gone.
const NEIGHBOURS: usize = 64;

/// A list of one container.
pub(super) struct Pane {
    pub(super) location: Location,
    pub(super) listing: Listing,
    pub(super) error: Option<Error>,
    /// Why nothing comes just now, while more is to come.
    pub(super) note: Option<String>,
    pub(super) arrangement: Arrangement,
    /// Time to the first page.
    pub(super) first: Option<Duration>,
    started: Instant,
    feed: Option<Feed<Page>>,
    /// Indices into the listing, in the order shown; `None`: as they came.
    order: Option<Arc<Vec<u32>>>,
    /// What `order` was made of: the arrangement and how many entries there were.
    arranged: (Arrangement, usize),
    arranging: Option<Arranging>,
    /// What the next, longer filter may start from.
    sieve: Option<Arc<Sieve>>,
    cursor: usize,
    top: usize,
    /// Where a range selection began, in the order shown.
    range: Option<usize>,
    wanted: Option<Wanted>,
    /// No more pages are read beyond this many entries.
    limit: usize,
    /// The same container, read again.
    next: Option<Box<Pane>>,
    seeking: Option<Pending<Option<usize>>>,
    settling: Option<Pending<(u64, Folder)>>,
    /// How many of the session's sizes, and of the listing's entries, have met.
    sized: (usize, usize),
}

/// Where the cursor is to go once that is listed.
struct Wanted {
    /// The name itself, then those that will do when it is gone.
    names: Vec<String>,
    /// Entries that were looked at for the first of them.
    seen: usize,
    /// The line of the window that it stood on.
    line: Option<usize>,
}

/// Where `name` stands among the entries from `from` on. Sorted ones are all looked up, by halving.
fn position(listing: &Listing, name: &str, from: usize) -> Option<usize> {
    if !Arrangement::default().is_plain(listing) {
        return (from..listing.len()).find(|i| listing.row(*i).name() == name);
    }
    let (mut low, mut high) = (0, listing.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        if listing.row(middle).name() < name { low = middle + 1 } else { high = middle }
    }
    listing.get(low).is_some_and(|row| row.name() == name).then_some(low)
}

impl Pane {
    /// Starts listing `location`; the cursor goes to `wanted` once that is listed.
    pub(super) fn open(location: Location, wanted: Option<String>, limit: usize, cx: &Cx) -> Self {
        let mut pane = Self {
            location,
            listing: Listing::new(),
            error: None,
            note: None,
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
            wanted: wanted.map(|name| Wanted { names: vec![name], seen: 0, line: None }),
            limit,
            next: None,
            seeking: None,
            settling: None,
            sized: (0, 0),
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

    /// Reads it again. What is shown stays until the new entries are there; the cursor stays on its name.
    pub(super) fn refresh(&mut self, cx: &Cx) {
        let mut next = Self::open(self.location.clone(), None, self.limit, cx);
        next.arrangement = self.arrangement.clone();
        self.next = Some(Box::new(next));
    }

    /// Puts what is read again in the place of what is shown, once the cursor's place in it is there.
    fn take_next(&mut self, cx: &mut Cx) {
        let Some(next) = &mut self.next else { return };
        next.poll(cx);
        // At the top it stays at the top: what is new there is what one wants to see.
        let name = self.row().filter(|_| self.cursor > 0).map(|r| r.name().to_owned());
        let Some(next) = &mut self.next else { return };
        if next.is_loading() {
            let enough = self.listing.len().min(ENOUGH);
            let there = match &name {
                None => next.listing.len() >= enough,
                Some(name) => {
                    let seen = next.sized.1.min(next.listing.len());
                    let plain = next.arrangement.is_plain(&next.listing);
                    plain && position(&next.listing, name, seen).is_some_and(|at| at + enough < next.listing.len())
                }
            };
            if !there {
                return;
            }
        }
        let Some(mut next) = self.next.take() else { return };
        if next.listing.is_empty() && next.error.is_some() {
            // Better the old entries, and why there are no new ones.
            self.error = next.error;
            return;
        }
        // A list that is seen from its top stays so; else the line under the eye stays where it is.
        let line = (self.top > 0).then(|| self.cursor.saturating_sub(self.top));
        next.cursor = self.cursor.min(next.shown().saturating_sub(1));
        next.top = self.top;
        next.wanted = name.map(|name| {
            let around = |at: usize| self.shown_row(at).map(|(_, row)| row.name().to_owned());
            let after = (self.cursor + 1..self.cursor + 1 + NEIGHBOURS).map_while(around);
            let before = (self.cursor.saturating_sub(NEIGHBOURS)..self.cursor).rev().map_while(around);
            Wanted { names: std::iter::once(name).chain(after).chain(before).collect(), seen: 0, line }
        });
        next.find_wanted();
        let anchor = self.range.and_then(|at| self.shown_row(at)).map(|(_, row)| row.name().to_owned());
        let anchor = anchor.and_then(|name| position(&next.listing, &name, 0));
        next.range = anchor.and_then(|index| next.shown_position(index as u32));
        *self = *next;
        self.settle(cx);
    }

    /// Whether more may come.
    pub(super) fn is_loading(&self) -> bool {
        self.feed.is_some() || self.next.is_some()
    }

    /// Whether a search goes on on another thread.
    pub(super) fn is_seeking(&self) -> bool {
        self.seeking.is_some()
    }

    /// Pulls what has arrived. Tells that a search has found nothing.
    pub(super) fn poll(&mut self, cx: &mut Cx) -> bool {
        self.take_next(cx);
        let before = self.listing.len();
        let was_loading = self.feed.is_some();
        self.pull(cx);
        self.take_sizes(cx);
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
        if was_loading && self.feed.is_none() {
            self.settle(cx);
        }
        if let Some(Ok((version, folder))) = poll_slot(&mut self.settling) {
            if version == cx.basket.version() {
                self.settled(folder, cx);
            } else {
                self.settle(cx);
            }
        }
        match poll_slot(&mut self.seeking) {
            Some(Ok(Some(at))) => {
                self.jump(at);
                false
            }
            Some(_) => true,
            None => false,
        }
    }

    fn pull(&mut self, cx: &Cx) {
        let Some(feed) = &mut self.feed else { return };
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
        let is_full = self.listing.len() >= self.limit.min(MOST);
        if feed.is_done() || is_full {
            self.feed = None;
            let most = text::count(MOST as u64);
            let note = || format!("only the first {most} entries are shown: go to a folder below, or use `secchi ls`");
            self.note = (is_full && self.limit > MOST).then(note);
        }
    }

    /// Prefixes that were counted get their size, so that it is shown and sorted by.
    fn take_sizes(&mut self, cx: &Cx) {
        let (found, listed) = (cx.sizes.found(), self.listing.len());
        let mut changed = false;
        if listed > self.sized.1 && cx.sizes.knows(&self.location) {
            for i in self.sized.1..listed {
                let row = self.listing.row(i);
                if basket::can_be_measured(&row)
                    && let Some(crate::du::Size::Known(tally)) = cx.sizes.get(&self.location, row.name())
                {
                    self.listing.set_size(i, tally.bytes);
                    changed = true;
                }
            }
        }
        for ((container, name), bytes) in &found[self.sized.0.min(found.len())..] {
            if *container == self.location
                && let Some(i) = position(&self.listing, name, 0)
            {
                self.listing.set_size(i, *bytes);
                changed = true;
            }
        }
        self.sized = (found.len(), listed);
        if changed && self.arrangement.by == SortBy::Size {
            // What was arranged was arranged by other sizes.
            self.arranged.1 = usize::MAX;
        }
    }

    /// The selection of a container that was read to its end again: what is gone is not selected any more.
    fn settle(&mut self, cx: &mut Cx) {
        let complete =
            !self.is_loading() && self.error.is_none() && self.limit == usize::MAX && self.listing.len() < MOST;
        let Some(folder) = cx.basket.folder(&self.location).filter(|folder| complete && !folder.is_on(&self.listing))
        else {
            return;
        };
        if self.listing.len() + folder.total().count <= INLINE {
            let folder = folder.on(&self.listing);
            self.settled(folder, cx);
            return;
        }
        let (folder, listing, version) = (folder.clone(), self.listing.clone(), cx.basket.version());
        self.settling = Some(Pending::spawn(&cx.waker, async move {
            let work = tokio::task::spawn_blocking(move || (version, folder.on(&listing)));
            work.await.map_err(|err| Error::new(Kind::Failed, "looking up the selection failed").with_source(err))
        }));
    }

    fn settled(&self, folder: Folder, cx: &mut Cx) {
        let gone = cx.basket.settle(&self.location, folder);
        match gone {
            0 => {}
            1 => cx.toast("one that was selected is not there any more"),
            n => cx.toast(format!("{} that were selected are not there any more", crate::text::count(n as u64))),
        }
    }

    /// Puts the cursor on this name, now or once it is listed.
    pub(super) fn want(&mut self, name: String) {
        self.wanted = Some(Wanted { names: vec![name], seen: 0, line: None });
        self.find_wanted();
    }

    fn find_wanted(&mut self) {
        let Some(wanted) = &mut self.wanted else { return };
        let mut index = wanted.names.first().and_then(|name| position(&self.listing, name, wanted.seen));
        wanted.seen = self.listing.len();
        if index.is_none() && self.feed.is_none() {
            index = wanted.names.iter().skip(1).find_map(|name| position(&self.listing, name, 0));
        }
        let line = wanted.line;
        if let Some(at) = index.and_then(|index| self.shown_position(index as u32)) {
            self.cursor = at;
            self.wanted = None;
            if let Some(line) = line {
                self.top = at.saturating_sub(line);
            }
        } else if index.is_some()
            && let Some(wanted) = &mut self.wanted
        {
            // It is listed and not yet arranged.
            wanted.seen = 0;
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
        if (self.arranged.1 == self.listing.len() && self.arranged.0 == self.arrangement) || self.arranging.is_some() {
            return;
        }
        let goal = (self.arrangement.clone(), self.listing.len());
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
        self.order = order.map(Arc::new);
        self.arranged = made_of;
        self.range = None;
        self.seeking = None;
        self.cursor = under.and_then(|i| self.shown_position(i)).unwrap_or(0);
    }

    /// How many are shown.
    pub(super) fn shown(&self) -> usize {
        self.order.as_ref().map_or(self.listing.len(), |order| order.len())
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
    }

    /// Scrolls what a window of `height` lines shows; the cursor stays in it.
    pub(super) fn scroll(&mut self, by: isize, height: usize) {
        let margin = margin(height);
        self.top = self.top.saturating_add_signed(by).min(self.shown().saturating_sub(height));
        let last = (self.top + height).saturating_sub(1 + margin).max(self.top);
        let low = if self.top == 0 { 0 } else { self.top + margin };
        let high = if self.top + height >= self.shown() { usize::MAX } else { last };
        self.jump(self.cursor.clamp(low.min(high), high));
    }

    /// The lines of a range selection under way.
    pub(super) fn range(&self) -> Option<RangeInclusive<usize>> {
        let from = self.range?;
        Some(from.min(self.cursor)..=from.max(self.cursor))
    }

    /// Begins a range selection at the cursor, or ends it by selecting what it covers.
    pub(super) fn toggle_range(&mut self, basket: &mut Basket) {
        if let Some(lines) = self.range() {
            self.range = None;
            self.change(lines, Change::Add, basket);
        } else if self.shown() > 0 {
            self.range = Some(self.cursor);
        }
    }

    /// Forgets a range selection; tells whether there was one.
    pub(super) fn drop_range(&mut self) -> bool {
        self.range.take().is_some()
    }

    /// Changes the selection of these lines.
    pub(super) fn change(&self, lines: impl IntoIterator<Item = usize>, change: Change, basket: &mut Basket) {
        let rows = lines.into_iter().filter_map(|at| self.shown_row(at).map(|(i, _)| i));
        basket.change(&self.location, &self.listing, rows, change);
    }

    /// What is shown, to be searched elsewhere.
    pub(super) fn snapshot(&self) -> Shown {
        Shown { listing: self.listing.clone(), order: self.order.clone() }
    }

    /// Goes to the next name from `from` that holds the needle, going round. Tells that there is none; on
    /// a long list [`Pane::poll`] tells it later.
    pub(super) fn seek(&mut self, needle: &Needle, from: usize, forward: bool, itself: bool, cx: &Cx) -> bool {
        self.seeking = None;
        let shown = self.snapshot();
        if self.shown() <= INLINE {
            let found = shown.seek(needle, from, forward, itself);
            if let Some(at) = found {
                self.jump(at);
            }
            return found.is_none();
        }
        let needle = needle.clone();
        self.seeking = Some(Pending::spawn(&cx.waker, async move {
            tokio::task::spawn_blocking(move || shown.seek(&needle, from, forward, itself))
                .await
                .map_err(|err| Error::new(Kind::Failed, "searching failed").with_source(err))
        }));
        false
    }

    /// First line shown in a window of `height` lines, moved as little as needed.
    pub(super) fn window(&mut self, height: usize) -> usize {
        let margin = margin(height);
        self.top = self.top.min(self.cursor.saturating_sub(margin)).min(self.shown().saturating_sub(height));
        if self.cursor + margin >= self.top + height {
            self.top = (self.cursor + margin + 1).saturating_sub(height).min(self.shown().saturating_sub(height));
        }
        self.top
    }
}

/// Lines that stay in sight beyond the cursor.
fn margin(height: usize) -> usize {
    2.min(height.saturating_sub(1) / 2)
}
