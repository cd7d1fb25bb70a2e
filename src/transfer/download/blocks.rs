//! Blocks of memory for what arrives, used again and again. What the system hands out anew it clears first, page by
//! page, and what a connection reads into memory of its own is new every time: over a gigabyte that costs as much as a
//! digest. So a connection's bytes are copied from where they are still next to the processor, and it reads into the
//! same place again.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a block.
pub(super) const BLOCK: usize = 1 << 20;
/// Blocks that wait for their next use; more are given back to the system.
const MOST: usize = 64;

/// The blocks of a transfer.
#[derive(Clone, Default)]
pub(super) struct Blocks(Arc<Mutex<Vec<Vec<u8>>>>);

impl Blocks {
    /// An empty block.
    pub(super) fn take(&self) -> Block {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Block { bytes: bytes.unwrap_or_default(), home: self.clone() }
    }
}

/// A block that is being filled. Dropped, it is there for others again.
pub(super) struct Block {
    bytes: Vec<u8>,
    home: Blocks,
}

impl Block {
    /// Bytes in it.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes as many of `bytes` as there is room for, and leaves the rest. `end`: so many bytes will come in all.
    pub(super) fn fill(&mut self, bytes: &mut Bytes, end: u64) {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve_exact(BLOCK.min(usize::try_from(end).unwrap_or(BLOCK)));
        }
        let n = bytes.len().min(BLOCK - self.bytes.len());
        self.bytes.extend_from_slice(&bytes.split_to(n));
    }

    /// Its bytes, to be shared: it is there for others again when nobody has any of them.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut home = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.capacity() > 0 && home.len() < MOST {
            home.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_used_again_when_nobody_has_it() {
        let blocks = Blocks::default();
        let mut bytes = Bytes::from(vec![7; BLOCK + 3]);
        let mut block = blocks.take();
        block.fill(&mut bytes, u64::MAX);
        assert_eq!((block.len(), bytes.len()), (BLOCK, 3));
        let whole = block.freeze();
        let place = whole.as_ptr();
        let part = whole.slice(5..9);
        drop(whole);
        assert!(blocks.take().bytes.capacity() == 0, "somebody has a part of it");
        assert_eq!(&part[..], [7; 4]);
        drop(part);
        let mut block = blocks.take();
        assert!(block.len() == 0 && block.bytes.as_ptr() == place);
        block.fill(&mut bytes, 3);
        assert_eq!(&block.freeze()[..], [7; 3]);
        // What is never filled takes no memory.
        drop(Blocks::default().take());
    }

    #[test]
    fn no_more_wait_than_are_of_use() {
        let blocks = Blocks::default();
        let many: Vec<Block> = (0..MOST + 5)
            .map(|_| {
                let mut block = blocks.take();
                block.fill(&mut Bytes::from_static(b"x"), 1);
                block
            })
            .collect();
        drop(many);
        assert_eq!(blocks.0.lock().expect("lock").len(), MOST);
    }
}
