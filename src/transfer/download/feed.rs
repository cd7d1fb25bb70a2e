//! The next bytes of a sum, as slices: of what is in memory without copying it, of what is in the file through a
//! buffer, through which also goes what lies across two chunks.

use super::kept::Piece;
use crate::error::{Context as _, Error, Kind, Result};
use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// Bytes read from the file at once: those of all lanes stay in the processor's cache.
pub(super) const STRIDE: usize = 32 << 10;

/// See the top of this file.
#[derive(Default)]
pub(super) struct Feed {
    /// What comes behind the buffer, and where that begins in the file.
    pieces: VecDeque<Piece>,
    at: u64,
    buffer: Vec<u8>,
    /// What of the buffer comes next.
    buffered: Range<usize>,
}

impl Feed {
    /// Begins with what is at `at` of the file. Keeps only the memory of its buffer.
    pub(super) fn begin(&mut self, at: u64, pieces: VecDeque<Piece>) {
        (self.at, self.pieces, self.buffered) = (at, pieces, 0..0);
    }

    /// The next bytes: after [`Feed::fill`] at least as many as were asked for.
    pub(super) fn next(&self) -> &[u8] {
        match self.pieces.front() {
            _ if !self.buffered.is_empty() => &self.buffer[self.buffered.clone()],
            Some(Piece::Memory(chunk)) => chunk.bytes(),
            _ => &[],
        }
    }

    /// Has at least `least` bytes ready, at most [`STRIDE`], of which there have to be so many. Blocks.
    pub(super) fn fill(&mut self, file: &File, least: usize) -> Result<()> {
        if self.next().len() >= least {
            return Ok(());
        }
        self.buffer.resize(STRIDE, 0);
        self.buffer.copy_within(self.buffered.clone(), 0);
        self.buffered = 0..self.buffered.len();
        while self.buffered.end < least {
            let room = &mut self.buffer[self.buffered.end..];
            let n = match self.pieces.front() {
                Some(Piece::Memory(chunk)) => {
                    // No more than has to be: the rest goes without copying.
                    let n = chunk.bytes().len().min(least - self.buffered.end);
                    room[..n].copy_from_slice(&chunk.bytes()[..n]);
                    n
                }
                Some(Piece::File(left)) => {
                    let n = room.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    file.read_exact_at(&mut room[..n], self.at).context(|| "reading what was written".into())?;
                    n
                }
                None => return Err(Error::new(Kind::Failed, "a sum was asked for more than there is")),
            };
            self.buffered.end += n;
            self.leave(n);
        }
        Ok(())
    }

    /// The next `n` bytes are done with: no more than are ready.
    pub(super) fn pass(&mut self, n: usize) {
        if self.buffered.is_empty() {
            self.leave(n);
        } else {
            self.buffered.start += n;
        }
    }

    /// The next `n` bytes of the first piece are done with.
    fn leave(&mut self, n: usize) {
        self.at += n as u64;
        let is_empty = match self.pieces.front_mut() {
            Some(Piece::Memory(chunk)) => {
                chunk.pass(n);
                chunk.bytes().is_empty()
            }
            Some(Piece::File(left)) => {
                *left -= n as u64;
                *left == 0
            }
            None => false,
        };
        if is_empty {
            self.pieces.pop_front();
        }
    }
}
