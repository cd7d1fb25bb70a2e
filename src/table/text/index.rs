//! Where rows are in a text: a mark each few hundred kilobytes, and the text of the last used pieces between
//! marks.

use bytes::Bytes;
use std::collections::BTreeMap;

/// Text that is kept, in bytes.
const KEPT: usize = 48 << 20;

/// The start of a piece: whole records from here to the next mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Number of its first row.
    pub(super) row: u64,
    /// Offset in the text, unpacked and in UTF-8.
    pub(super) at: u64,
    /// Offset in the object, where that can be read from any place.
    pub(super) stored: u64,
}

/// The pieces of a text that were found so far, from its first record on.
pub(super) struct Index {
    /// Starts of the pieces; the last is the end of what was seen.
    marks: Vec<Mark>,
    kept: BTreeMap<usize, (u64, Bytes)>,
    bytes: usize,
    clock: u64,
}

impl Index {
    pub(super) fn new(start: Mark) -> Self {
        Self { marks: vec![start], kept: BTreeMap::new(), bytes: 0, clock: 0 }
    }

    /// Where what was seen ends.
    pub(super) fn end(&self) -> Mark {
        self.marks.last().copied().unwrap_or_default()
    }

    /// Adds a piece behind the last.
    pub(super) fn push(&mut self, text: Bytes, rows: u64, stored: u64) {
        let end = self.end();
        let piece = self.marks.len() - 1;
        self.marks.push(Mark { row: end.row + rows, at: end.at + text.len() as u64, stored: end.stored + stored });
        self.keep(piece, text);
    }

    /// The pieces that hold rows `start..end`, as far as they were seen.
    pub(super) fn pieces(&self, start: u64, end: u64) -> std::ops::Range<usize> {
        let last = self.marks.len() - 1;
        if start >= end || start >= self.end().row {
            return last..last;
        }
        let first = self.marks.partition_point(|m| m.row <= start).saturating_sub(1);
        let behind = self.marks.partition_point(|m| m.row < end).min(last);
        first..behind.max(first)
    }

    /// The last mark that is not behind row `row`.
    pub(super) fn before(&self, row: u64) -> Mark {
        let behind = self.marks.partition_point(|m| m.row <= row);
        self.marks.get(behind.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Start and end of a piece.
    pub(super) fn bounds(&self, piece: usize) -> (Mark, Mark) {
        let at = |i: usize| self.marks.get(i).copied().unwrap_or_else(|| self.end());
        (at(piece), at(piece + 1))
    }

    /// The text of a piece, where it was kept.
    pub(super) fn text(&mut self, piece: usize) -> Option<Bytes> {
        self.clock += 1;
        let (used, text) = self.kept.get_mut(&piece)?;
        *used = self.clock;
        Some(text.clone())
    }

    /// Keeps the text of a piece; those that were not used for longest go.
    pub(super) fn keep(&mut self, piece: usize, text: Bytes) {
        self.clock += 1;
        self.bytes += text.len();
        if let Some((_, old)) = self.kept.insert(piece, (self.clock, text)) {
            self.bytes -= old.len();
        }
        while self.bytes > KEPT && self.kept.len() > 1 {
            let Some(oldest) = self.kept.iter().min_by_key(|(_, (used, _))| *used).map(|(piece, _)| *piece) else {
                break;
            };
            if let Some((_, text)) = self.kept.remove(&oldest) {
                self.bytes -= text.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_between_marks_and_what_is_kept_is_bounded() {
        let mut index = Index::new(Mark { row: 0, at: 10, stored: 10 });
        assert_eq!(index.pieces(0, 5), 0..0);
        for _ in 0..100 {
            index.push(Bytes::from(vec![b'x'; 1 << 20]), 10, 7);
        }
        assert_eq!(index.pieces(0, 1), 0..1);
        assert_eq!(index.pieces(9, 11), 0..2);
        assert_eq!(index.pieces(990, 5_000), 99..100);
        assert_eq!(index.pieces(1_000, 1_001), 100..100);
        assert_eq!(index.bounds(1).0, Mark { row: 10, at: 10 + (1 << 20), stored: 17 });
        assert!(index.text(99).is_some() && index.text(0).is_none());
        assert!(index.bytes <= KEPT);
    }
}
