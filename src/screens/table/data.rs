//! Cells around the cursor: read in the background in blocks of rows, kept bounded, formatted once.

use crate::error::{Error, Result};
use crate::table::{About, Rows, Window, format_cell, with_wkt};
use crate::task::{Pending, Waker};
use crate::text;
use arrow::array::{Array, ArrayRef, RecordBatch};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// Rows of a block.
pub(super) const BLOCK: u64 = 128;
/// Reads under way at once: the newest wish, and one before it that may still be looked at.
const FLIGHTS: usize = 2;
/// Bytes of cells that are kept beyond those that are looked at.
const KEPT: usize = 48 << 20;
/// Characters of a cell that are formatted; its full form is another thing.
const MOST: usize = 240;
/// A null.
pub(super) const NULL: &str = "∅";

/// Rows and columns that are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// Numbers of rows.
    pub(super) rows: Range<u64>,
    /// Columns by their place in the file.
    pub(super) columns: Vec<usize>,
}

/// A block of a column.
struct Piece {
    texts: Vec<Box<str>>,
    bytes: usize,
}

/// What a read has brought.
struct Fetched {
    /// Rows that came.
    rows: u64,
    pieces: Vec<((usize, u64), Piece)>,
}

/// A read under way.
struct Flight {
    wish: Wish,
    pending: Pending<Fetched>,
}

/// The cells of an open table.
pub(super) struct Data {
    rows: Arc<dyn Rows>,
    about: Arc<About>,
    pieces: HashMap<(usize, u64), Piece>,
    /// Keys of `pieces`, the oldest first.
    ages: VecDeque<(usize, u64)>,
    bytes: usize,
    flights: Vec<Flight>,
    /// What could not be read, and why; read again once something else is wished for.
    failed: Option<(Wish, Error)>,
    /// Where a read has found the end.
    end: Option<u64>,
}

impl Data {
    pub(super) fn new(rows: Arc<dyn Rows>) -> Self {
        let about = rows.about();
        Self {
            rows,
            about,
            pieces: HashMap::new(),
            ages: VecDeque::new(),
            bytes: 0,
            flights: Vec::new(),
            failed: None,
            end: None,
        }
    }

    pub(super) fn rows(&self) -> &Arc<dyn Rows> {
        &self.rows
    }

    pub(super) fn about(&self) -> &Arc<About> {
        &self.about
    }

    /// Rows in the table, where its end is known.
    pub(super) fn total(&self) -> Option<u64> {
        self.about.total_rows.or(self.end)
    }

    /// There will be so many rows, although the table does not know yet.
    pub(super) fn expect(&mut self, total: u64) {
        self.end = Some(total);
    }

    /// Takes over what is known of the table now.
    pub(super) fn renew(&mut self) {
        self.about = self.rows.about();
    }

    /// Rows that are known to be there.
    pub(super) fn seen(&self) -> u64 {
        self.total().unwrap_or(self.about.seen_rows)
    }

    pub(super) fn is_loading(&self) -> bool {
        !self.flights.is_empty()
    }

    pub(super) fn error(&self) -> Option<&Error> {
        self.failed.as_ref().map(|(_, error)| error)
    }

    /// Lets go what failed, so that it is read again.
    pub(super) fn forgive(&mut self) {
        self.failed = None;
    }

    /// The text of a cell; `None` while it is not there.
    pub(super) fn cell(&self, row: u64, column: usize) -> Option<&str> {
        let piece = self.pieces.get(&(column, row / BLOCK))?;
        piece.texts.get((row % BLOCK) as usize).map(AsRef::as_ref)
    }

    /// All texts of a column that are there, of the blocks in `rows`.
    pub(super) fn texts(&self, column: usize, rows: &Range<u64>) -> impl Iterator<Item = &str> {
        let blocks = rows.start / BLOCK..rows.end.div_ceil(BLOCK);
        let pieces = blocks.filter_map(move |block| self.pieces.get(&(column, block)));
        pieces.flat_map(|piece| piece.texts.iter().map(AsRef::as_ref))
    }

    /// Has what is wished for read, unless it is there or on its way; then what is likely to be wished
    /// for next, once there is nothing else to do. Never waits.
    pub(super) fn want(&mut self, wish: &Wish, next: Option<&Wish>, waker: &Waker) {
        if let Some(missing) = self.missing(wish) {
            if self.failed.as_ref().is_some_and(|(failed, _)| covers(failed, &missing)) {
                return;
            }
            if self.flights.len() >= FLIGHTS {
                // The oldest is for rows that were passed by since.
                self.flights.remove(0);
            }
            self.fly(missing, waker);
        } else if let Some(missing) = next.filter(|_| self.flights.is_empty()).and_then(|next| self.missing(next))
            && self.failed.is_none()
        {
            self.fly(missing, waker);
        }
    }

    /// What of `wish` is neither there nor on its way, in whole blocks.
    fn missing(&self, wish: &Wish) -> Option<Wish> {
        let end = self.total().unwrap_or(u64::MAX).min(wish.rows.end);
        let blocks = wish.rows.start / BLOCK..end.div_ceil(BLOCK);
        let (mut rows, mut columns) = (None::<Range<u64>>, BTreeSet::new());
        for block in blocks {
            for &column in &wish.columns {
                let at = block * BLOCK;
                let flies = |f: &Flight| f.wish.rows.contains(&at) && f.wish.columns.contains(&column);
                if self.pieces.contains_key(&(column, block)) || self.flights.iter().any(flies) {
                    continue;
                }
                columns.insert(column);
                let start = rows.as_ref().map_or(at, |r| r.start);
                rows = Some(start..at + BLOCK);
            }
        }
        Some(Wish { rows: rows?, columns: wish.columns.iter().copied().filter(|c| columns.contains(c)).collect() })
    }

    fn fly(&mut self, wish: Wish, waker: &Waker) {
        let (rows, about, asked) = (self.rows.clone(), self.about.clone(), wish.clone());
        let pending = Pending::spawn(waker, async move {
            let names = asked.columns.iter().filter_map(|c| about.columns.get(*c)).map(|c| c.name.clone());
            let window = Window {
                rows: (asked.rows.end - asked.rows.start) as usize,
                offset: asked.rows.start,
                columns: Some(names.collect()),
            };
            let batch = rows.window(window).await?;
            let shown = with_wkt(&batch, &about.geo);
            Ok(tokio::task::spawn_blocking(move || pieces(&asked, &batch, &shown))
                .await
                .unwrap_or_else(|_| Fetched { rows: 0, pieces: Vec::new() }))
        });
        self.flights.push(Flight { wish, pending });
    }

    /// Takes what has arrived; tells whether anything has.
    pub(super) fn poll(&mut self, looked_at: &Wish) -> bool {
        let mut any = false;
        let mut at = 0;
        while at < self.flights.len() {
            let Some(result) = self.flights[at].pending.take() else {
                at += 1;
                continue;
            };
            let Flight { wish, .. } = self.flights.remove(at);
            any = true;
            self.land(wish, result);
        }
        if any {
            self.about = self.rows.about();
            self.drop_oldest(looked_at);
        }
        any
    }

    fn land(&mut self, wish: Wish, result: Result<Fetched>) {
        let fetched = match result {
            Ok(fetched) => fetched,
            Err(error) => {
                self.failed = Some((wish, error));
                return;
            }
        };
        self.failed = None;
        if fetched.rows < wish.rows.end - wish.rows.start && !wish.columns.is_empty() {
            // No row at all tells only that the end lies before.
            let end = wish.rows.start + fetched.rows;
            if fetched.rows > 0 || wish.rows.start == 0 {
                self.end = Some(end);
            } else {
                self.end = Some(self.end.map_or(end, |known| known.min(end)).min(self.rows.about().seen_rows));
            }
        }
        // What was asked for and did not come is not asked for again and again.
        let blocks = wish.rows.start / BLOCK..wish.rows.end / BLOCK;
        for key in blocks.flat_map(|block| wish.columns.iter().map(move |column| (*column, block))) {
            if let std::collections::hash_map::Entry::Vacant(free) = self.pieces.entry(key) {
                free.insert(Piece { texts: Vec::new(), bytes: 0 });
                self.ages.push_back(key);
            }
        }
        for (key, piece) in fetched.pieces {
            self.bytes += piece.bytes;
            if let Some(old) = self.pieces.insert(key, piece) {
                self.bytes -= old.bytes;
            } else {
                self.ages.push_back(key);
            }
        }
    }

    fn drop_oldest(&mut self, looked_at: &Wish) {
        let needed = |(column, block): &(usize, u64)| {
            let start = block * BLOCK;
            start < looked_at.rows.end && start + BLOCK > looked_at.rows.start && looked_at.columns.contains(column)
        };
        let mut left = self.ages.len();
        while self.bytes > KEPT && left > 0 {
            left -= 1;
            let Some(key) = self.ages.pop_front() else { return };
            if needed(&key) {
                self.ages.push_back(key);
            } else if let Some(piece) = self.pieces.remove(&key) {
                self.bytes -= piece.bytes;
            }
        }
    }
}

/// Whether a wish that failed holds all of another.
fn covers(failed: &Wish, other: &Wish) -> bool {
    failed.rows.start <= other.rows.start
        && failed.rows.end >= other.rows.end
        && other.columns.iter().all(|c| failed.columns.contains(c))
}

/// The blocks of a batch, formatted. `shown` is the batch with geometry as text.
fn pieces(wish: &Wish, batch: &RecordBatch, shown: &RecordBatch) -> Fetched {
    let rows = batch.num_rows() as u64;
    let mut out = Vec::new();
    for (i, column) in wish.columns.iter().enumerate().take(batch.num_columns()) {
        let mut start = 0;
        while start < rows {
            let len = BLOCK.min(rows - start);
            let texts: Vec<Box<str>> =
                (start..start + len).map(|row| short(shown, row as usize, i).into_boxed_str()).collect();
            let bytes = texts.iter().map(|t| t.len() + size_of::<Box<str>>()).sum::<usize>() + 64;
            out.push(((*column, (wish.rows.start + start) / BLOCK), Piece { texts, bytes }));
            start += BLOCK;
        }
    }
    Fetched { rows, pieces: out }
}

/// A cell in one harmless line, cut.
fn short(batch: &RecordBatch, row: usize, column: usize) -> String {
    let array: &ArrayRef = batch.column(column);
    if array.is_null(row) {
        return NULL.to_owned();
    }
    let whole = format_cell(batch, row, column);
    let cut = whole.char_indices().nth(MOST).map_or(&*whole, |(at, _)| &whole[..at]);
    text::clean(cut).into_owned()
}
