//! Rows of one open table with a cursor in them: what is in sight, and what therefore has to be read.

use super::columns::Columns;
use super::data::{BLOCK, Data, Wish};
use crate::action::Action;
use crate::query::Order;
use crate::table::Rows;
use crate::task::Waker;
use crate::widgets::grid::{self, Places};
use std::ops::Range;
use std::sync::Arc;

/// Columns read beyond those in sight, to either side.
const BESIDE: usize = 3;

/// The rows, and where one is in them.
pub(super) struct Sheet {
    pub(super) data: Data,
    pub(super) columns: Columns,
    /// The row under the cursor, from 0.
    pub(super) row: u64,
    /// The first row in sight.
    pub(super) top: u64,
    /// The column under the cursor, by its place on the screen.
    pub(super) at: usize,
    /// The first column in sight that is not frozen, likewise.
    left: usize,
    /// Cells that the rows have, set by the last frame: width and height.
    size: (u16, u16),
    /// Which way the cursor went last.
    down: bool,
}

impl Sheet {
    pub(super) fn new(rows: Arc<dyn Rows>) -> Self {
        let data = Data::new(rows);
        let columns = Columns::new(data.about());
        Self { data, columns, row: 0, top: 0, at: 0, left: 0, size: (80, 20), down: true }
    }

    /// The last row that the cursor can stand on. Where the end is not known, any.
    fn last(&self) -> u64 {
        self.data.total().map_or(u64::MAX / 2, |total| total.saturating_sub(1))
    }

    /// To a row, counted from 0, or the last before it.
    pub(super) fn go_to(&mut self, row: u64) {
        self.down = row >= self.row;
        self.row = row.min(self.last());
        // In the middle, so that one sees where one has come to; unless it is in sight.
        let height = u64::from(self.size.1.max(1));
        if self.row < self.top || self.row >= self.top + height {
            self.top = self.row.saturating_sub(height / 2);
        }
        self.data.forgive();
        self.follow();
    }

    /// To a column of the file.
    pub(super) fn go_to_column(&mut self, id: usize) {
        if let Some(at) = self.columns.reveal(id) {
            self.at = at;
            self.data.forgive();
            self.follow();
        }
    }

    /// To a column by its place on the screen.
    pub(super) fn go_to_place(&mut self, at: usize) {
        self.sideways(at);
    }

    /// Shows the columns as another sheet of the same table does, as far as they are there.
    pub(super) fn take_after(&mut self, other: &Self) {
        if self.columns.take_after(&other.columns) {
            self.at = other.at;
            self.left = other.left;
        }
    }

    /// Says how the rows are sorted, and how many there are where that is known before they are read.
    pub(super) fn sort(&mut self, order: &[Order], total: Option<u64>) {
        self.columns.sort(order);
        if let Some(total) = total {
            self.data.expect(total);
        }
    }

    /// Takes over what is known of the table since.
    pub(super) fn renew(&mut self) {
        self.data.renew();
        self.follow();
    }

    fn step(&mut self, by: i64) {
        self.down = by >= 0;
        // Beyond what was seen one goes no faster than it is read.
        let last = if self.data.total().is_some() { self.last() } else { self.data.seen().saturating_sub(1) };
        self.row = self.row.saturating_add_signed(by).min(last.max(self.row.min(self.last())));
        self.data.forgive();
        self.follow();
    }

    fn page(&mut self, pages: i64, parts: i64) {
        let by = pages * (i64::from(self.size.1.max(2)) - 1) / parts;
        // The screen moves with the cursor.
        self.top = self.top.saturating_add_signed(by).min(self.last());
        self.step(by);
    }

    fn sideways(&mut self, to: usize) {
        self.at = to.min(self.columns.len().saturating_sub(1));
        self.data.forgive();
        self.follow();
    }

    /// Does what moves the cursor or changes columns; tells whether it was that.
    pub(super) fn update(&mut self, action: Action) -> bool {
        match action {
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::PageUp => self.page(-1, 1),
            Action::PageDown => self.page(1, 1),
            Action::HalfUp => self.page(-1, 2),
            Action::HalfDown => self.page(1, 2),
            Action::Top => self.go_to(0),
            Action::Bottom => self.go_to(self.last()),
            Action::Left => self.sideways(self.at.saturating_sub(1)),
            Action::Right => self.sideways(self.at + 1),
            Action::FirstColumn => self.sideways(0),
            Action::LastColumn => self.sideways(usize::MAX),
            Action::FreezeColumns => {
                self.columns.freeze(self.at);
                let frozen = self.columns.frozen();
                let fit = self.places().columns.iter().filter(|p| p.index < frozen).count();
                self.columns.keep_frozen(fit);
                self.left = self.left.max(self.columns.frozen());
            }
            Action::HideColumn => {
                self.columns.hide(self.at);
                self.sideways(self.at);
            }
            Action::ShowColumns => {
                let id = self.columns.id(self.at);
                self.columns.show_all();
                if let Some(id) = id {
                    self.go_to_column(id);
                }
            }
            Action::ColumnLeft | Action::ColumnRight => {
                self.at = self.columns.shift(self.at, action == Action::ColumnRight);
                self.follow();
            }
            Action::Wider | Action::Narrower => self.columns.widen(self.at, action == Action::Wider),
            Action::FitWidth => self.columns.fit(self.at),
            _ => return false,
        }
        true
    }

    /// With a number before it: so many rows, or to that row.
    pub(super) fn update_counted(&mut self, action: Action, count: usize) -> bool {
        let n = i64::try_from(count).unwrap_or(i64::MAX);
        match action {
            Action::Down => self.step(n),
            Action::Up => self.step(-n),
            Action::Left => self.sideways(self.at.saturating_sub(count)),
            Action::Right => self.sideways(self.at.saturating_add(count)),
            Action::Bottom | Action::Top | Action::GoToRow => self.go_to((count as u64).saturating_sub(1)),
            Action::Percent => {
                let part = (count.min(100) as f64) / 100.0;
                self.go_to((self.data.seen().saturating_sub(1) as f64 * part).round() as u64);
            }
            _ => return false,
        }
        true
    }

    /// Cells of the row numbers.
    pub(super) fn number_width(&self) -> u16 {
        let last = (self.top + u64::from(self.size.1)).min(self.data.total().unwrap_or(u64::MAX));
        (last.max(1).ilog10() as u16 + 1).max(3)
    }

    /// Which columns stand where.
    pub(super) fn places(&self) -> Places {
        let start = self.number_width() + grid::GAP + 1;
        grid::place(self.size.0, start, self.columns.frozen(), self.left, self.columns.len(), |at| {
            self.columns.width(at)
        })
    }

    /// Rows in sight.
    pub(super) fn window(&self) -> Range<u64> {
        let end = (self.top + u64::from(self.size.1)).min(self.data.total().unwrap_or(u64::MAX));
        self.top..end.max(self.top)
    }

    /// Brings the cursor into sight.
    pub(super) fn follow(&mut self) {
        let height = u64::from(self.size.1.max(1));
        self.row = self.row.min(self.last());
        self.top = self.top.min(self.row).max((self.row + 1).saturating_sub(height));
        if let Some(total) = self.data.total() {
            // No gap at the bottom while there is more above.
            self.top = self.top.min(total.saturating_sub(height));
        }
        self.at = self.at.min(self.columns.len().saturating_sub(1));
        let frozen = self.columns.frozen();
        if self.at < frozen {
            return;
        }
        self.left = self.left.max(frozen).min(self.at);
        while self.left < self.at && !self.places().of(self.at).is_some_and(|p| p.whole) {
            // Far away it is found from the right; near it is a step or two.
            self.left = if self.at - self.left > 64 { self.at - 64 } else { self.left + 1 };
        }
    }

    /// The area has this size now; tells whether it is another than before.
    pub(super) fn resize(&mut self, width: u16, height: u16) -> bool {
        if self.size == (width, height) {
            return false;
        }
        self.size = (width, height);
        self.follow();
        true
    }

    fn wish(&self) -> Wish {
        let places = self.places();
        let (mut columns, free): (Vec<usize>, Vec<usize>) =
            places.columns.iter().map(|p| p.index).partition(|at| *at < self.columns.frozen());
        if let (Some(first), Some(last)) = (free.first(), free.last()) {
            columns.extend(first.saturating_sub(BESIDE).max(self.columns.frozen())..=last + BESIDE);
        }
        Wish { rows: self.window(), columns: columns.into_iter().filter_map(|at| self.columns.id(at)).collect() }
    }

    /// Has read what is in sight, then what comes next on the way.
    pub(super) fn ensure(&mut self, waker: &Waker) {
        let wish = self.wish();
        if wish.columns.is_empty() {
            return;
        }
        let next = if self.down {
            let end = wish.rows.end.div_ceil(BLOCK) * BLOCK;
            end..end + 1
        } else {
            let start = (wish.rows.start / BLOCK * BLOCK).saturating_sub(1);
            start..start + 1
        };
        let next = Wish { rows: next, columns: wish.columns.clone() };
        let useful = self.data.total().is_none_or(|total| next.rows.start < total);
        self.data.want(&wish, useful.then_some(&next), waker);
    }

    /// Takes what has arrived.
    pub(super) fn poll(&mut self, waker: &Waker) {
        let wish = self.wish();
        if self.data.poll(&wish) {
            for &id in &wish.columns {
                self.columns.see(id, self.data.texts(id, &wish.rows));
            }
            self.follow();
        }
        self.ensure(waker);
    }
}
