//! Where the bytes of one range go: they are gathered into blocks, which a thread that may block writes at their
//! place and sums up, while the next block arrives. They stay where the connection has put them: a block is a list of
//! pieces, and nothing is copied before it is written.

use super::disk::{BLOCK, Draft};
use super::hash::Teller;
use crate::error::{Context as _, Error, Kind, Result};
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use tokio::task::JoinHandle;

/// Bytes after which the disk begins with them, so that little is left for the end, where they have to be on it.
const FLUSH: u64 = 8 << 20;

/// CRC32C, by which the journal knows a range again.
pub(super) const CRC32C: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;

/// The sums of a range: CRC32C, and another one where the server keeps that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) crc32c: u32,
    pub(super) other: Option<u64>,
}

/// Sums under way.
pub(super) struct Summing {
    crc32c: Digest,
    other: Option<Digest>,
}

impl Summing {
    pub(super) fn new(other: Option<CrcAlgorithm>) -> Self {
        Self { crc32c: Digest::new(CRC32C), other: other.filter(|a| *a != CRC32C).map(Digest::new) }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.crc32c.update(bytes);
        if let Some(other) = &mut self.other {
            other.update(bytes);
        }
    }

    pub(super) fn sums(&self) -> Sums {
        Sums { crc32c: self.crc32c.finalize() as u32, other: self.other.as_ref().map(Digest::finalize) }
    }
}

/// What is done with the bytes.
#[derive(Clone)]
pub(super) enum To {
    /// Written there, each at its place.
    File(Draft),
    /// Only summed up.
    Nowhere,
}

/// See the top of this file. Dropped, it leaves what was written.
pub(super) struct Sink {
    to: To,
    /// Where the range ends.
    end: u64,
    /// Where the block begins that is being filled.
    block_at: u64,
    block: Vec<Bytes>,
    /// Bytes in it.
    length: u64,
    /// Up to here the disk was told to begin.
    flushed: u64,
    summing: Option<Summing>,
    busy: Option<JoinHandle<Result<Summing>>>,
    teller: Option<Teller>,
}

impl Sink {
    pub(super) fn new(to: To, range: Range<u64>, other: Option<CrcAlgorithm>) -> Self {
        Self {
            to,
            end: range.end,
            block_at: range.start,
            block: Vec::new(),
            length: 0,
            flushed: range.start,
            summing: Some(Summing::new(other)),
            busy: None,
            teller: None,
        }
    }

    /// Tells of every block that has been written.
    pub(super) fn telling(self, teller: Option<Teller>) -> Self {
        Self { teller, ..self }
    }

    /// Where the next byte belongs.
    pub(super) fn at(&self) -> u64 {
        self.block_at + self.length
    }

    /// What is missing.
    pub(super) fn rest(&self) -> Range<u64> {
        self.at()..self.end
    }

    /// Whether these bytes belong here: a server that sends more than it was asked for sends something else.
    pub(super) fn takes(&self, bytes: &Bytes) -> bool {
        bytes.len() as u64 <= self.end - self.at()
    }

    /// Takes the next bytes. An error is one of the disk.
    pub(super) async fn push(&mut self, mut bytes: Bytes) -> Result<()> {
        while !bytes.is_empty() {
            let room = usize::try_from(BLOCK - self.length).unwrap_or(usize::MAX);
            let piece = bytes.split_to(bytes.len().min(room));
            self.length += piece.len() as u64;
            self.block.push(piece);
            if self.length == BLOCK || self.at() == self.end {
                self.write().await?;
            }
        }
        Ok(())
    }

    /// Waits for the block before, and gives this one away, if there is one.
    async fn write(&mut self) -> Result<()> {
        self.settle().await?;
        let (to, at) = (self.to.clone(), self.block_at..self.at());
        let block = std::mem::take(&mut self.block);
        if block.is_empty() {
            return Ok(());
        }
        (self.block_at, self.length) = (at.end, 0);
        let teller = self.teller.clone();
        let flush = (at.end - self.flushed >= FLUSH || at.end == self.end).then_some(self.flushed..at.end);
        self.flushed = flush.as_ref().map_or(self.flushed, |flush| flush.end);
        let turn = if let To::File(draft) = &to { draft.turn().await } else { None };
        let Some(mut summing) = self.summing.take() else { return Err(lost()) };
        self.busy = Some(tokio::task::spawn_blocking(move || {
            if let To::File(draft) = &to {
                draft.write(turn, &block, at.start)?;
                if let Some(flush) = flush {
                    draft.begin(flush.clone());
                    if teller.is_none() {
                        draft.passed(flush);
                    }
                }
            }
            for piece in &block {
                summing.update(piece);
            }
            if let Some(teller) = teller {
                teller.written(at, block);
            }
            Ok(summing)
        }));
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        if let Some(busy) = self.busy.take() {
            self.summing = Some(busy.await.map_err(|_| lost())??);
        }
        Ok(())
    }

    /// The sums, once the last byte has been written.
    pub(super) async fn finish(mut self) -> Result<Sums> {
        self.write().await?;
        self.settle().await?;
        self.summing.map(|summing| summing.sums()).ok_or_else(lost)
    }
}

fn lost() -> Error {
    Error::new(Kind::Failed, "a writing thread failed")
}

/// The sums of a piece of a file, read in blocks; `check` may stop it. Blocks.
pub(super) fn sums_of(
    file: &File,
    range: Range<u64>,
    other: Option<CrcAlgorithm>,
    check: impl Fn() -> Result<()>,
) -> Result<Sums> {
    let mut summing = Summing::new(other);
    let mut buffer = vec![0; BLOCK.min(range.end - range.start) as usize];
    let mut at = range.start;
    while at < range.end {
        check()?;
        let n = (range.end - at).min(buffer.len() as u64) as usize;
        file.read_exact_at(&mut buffer[..n], at).context(|| "reading what was written".into())?;
        summing.update(&buffer[..n]);
        at += n as u64;
    }
    Ok(summing.sums())
}

#[cfg(test)]
mod tests {
    use super::super::disk::Disk;
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn bytes_come_to_their_place_and_are_summed_up() {
        let file = Arc::new(tempfile::tempfile().expect("a file"));
        let body: Vec<u8> = (0..3_000_001_u32).map(|i| (i * 7 % 251) as u8).collect();
        let end = 5 + body.len() as u64;
        let other = Some(CrcAlgorithm::Crc64Nvme);
        let draft = Draft::new(file.clone(), &Disk::default());
        let mut sink = Sink::new(To::File(draft), 5..end, other);
        for chunk in body.chunks(70_001) {
            let bytes = Bytes::copy_from_slice(chunk);
            assert!(sink.takes(&bytes));
            sink.push(bytes).await.expect("writes");
        }
        assert!(!sink.takes(&Bytes::from_static(b"x")) && sink.rest().is_empty());
        let sums = sink.finish().await.expect("sums");
        assert_eq!(u64::from(sums.crc32c), crc_fast::checksum(CRC32C, &body));
        assert_eq!(sums.other, Some(crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &body)));
        assert_eq!(sums_of(&file, 5..end, other, || Ok(())).expect("reads"), sums);
        let mut nowhere = Sink::new(To::Nowhere, 5..end, other);
        nowhere.push(body.into()).await.expect("takes");
        assert_eq!(nowhere.finish().await.expect("sums"), sums);
    }
}
