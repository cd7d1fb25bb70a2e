//! How a large file goes to the disk: by few threads at a time, from early on, and out of the system's memory again.
//!
//! What is written stays there, in place of what others work with, until the system wants that memory for something
//! else. Here it is let go of as soon as nobody reads it again and the disk has had time for it: what is written next
//! goes into the same memory. On a virtual machine, where memory that was not used for a while has to be had from the
//! host, page by page, this takes a gigabyte from seconds of processor time to a third of one.

use bytes::Bytes;
use std::collections::VecDeque;
use std::fs::File;
use std::io::IoSlice;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that stay in memory after they were of use: the disk still has to take them.
const BEHIND: u64 = 48 << 20;
/// Threads that write to one file. ext4 and XFS let one write at a time, and who waits for it there keeps a core busy.
const WRITERS: usize = 2;
/// The system keeps what was written at once together, up to so many bytes, and lets go of it together.
const TOGETHER: u64 = BLOCK;
/// Bytes that are written at once.
pub(super) const BLOCK: u64 = 1 << 20;
/// Pieces that a system takes at once (`IOV_MAX`).
const MOST_PIECES: usize = 1024;

/// What the files of a transfer have in the system's memory and nobody needs there. Clones share it.
#[derive(Clone)]
pub(super) struct Disk {
    passed: Arc<Mutex<Passed>>,
    behind: u64,
}

#[derive(Default)]
struct Passed {
    /// In the order in which they were of use last. A file that is closed meanwhile is not kept open for this.
    pieces: VecDeque<(Weak<File>, Range<u64>)>,
    bytes: u64,
}

impl Default for Disk {
    fn default() -> Self {
        Self { passed: Arc::default(), behind: BEHIND }
    }
}

impl Disk {
    /// Nobody here reads this piece of a file again.
    fn passed(&self, file: &Arc<File>, piece: Range<u64>) {
        for (file, piece) in self.due(file, piece) {
            if let Some(file) = file.upgrade() {
                clear(&file, piece);
            }
        }
    }

    /// The pieces that have waited for long enough, once another one waits.
    fn due(&self, file: &Arc<File>, piece: Range<u64>) -> Vec<(Weak<File>, Range<u64>)> {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        passed.bytes += piece.end - piece.start;
        passed.pieces.push_back((Arc::downgrade(file), piece));
        let mut due = Vec::new();
        while passed.bytes > self.behind
            && let Some(first) = passed.pieces.pop_front()
        {
            passed.bytes -= first.1.end - first.1.start;
            due.push(first);
        }
        due
    }
}

/// A large file that is written, and perhaps read while it is. Clones share it.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) file: Arc<File>,
    writers: Arc<Semaphore>,
    disk: Disk,
}

impl Draft {
    pub(super) fn new(file: Arc<File>, disk: &Disk) -> Self {
        Self { file, writers: Arc::new(Semaphore::new(WRITERS)), disk: disk.clone() }
    }

    /// Waits until it may be written to. `None` never comes: nobody closes it.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.writers.clone().acquire_owned().await.ok()
    }

    /// Writes a block at its place, and lets others do so. Blocks.
    pub(super) fn write(&self, turn: Option<OwnedSemaphorePermit>, block: &[Bytes], at: u64) -> std::io::Result<()> {
        let written = write_all(&self.file, block, at);
        drop(turn);
        written
    }

    /// Has the disk begin with a piece, and does not wait for it.
    pub(super) fn begin(&self, piece: Range<u64>) {
        clear(&self.file, piece);
    }

    /// Nobody here reads this piece again: it need not stay in memory.
    pub(super) fn passed(&self, piece: Range<u64>) {
        self.disk.passed(&self.file, piece);
    }
}

/// Writes pieces one behind the other.
fn write_all(file: &File, pieces: &[Bytes], mut at: u64) -> std::io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        let n = match rustix::io::pwritev(file, &left[..left.len().min(MOST_PIECES)], at) {
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(n) => n,
            Err(rustix::io::Errno::INTR) => continue,
            Err(err) => return Err(err.into()),
        };
        IoSlice::advance_slices(&mut left, n);
        at += n as u64;
    }
    Ok(())
}

/// Has the system begin to write to the disk what of a piece is not there yet, and lets go of all that is
/// (`generic_fadvise` of Linux). Other systems do both in their own time.
#[cfg_attr(not(target_os = "linux"), allow(unused_variables, reason = "only Linux has such a call"))]
fn clear(file: &File, piece: Range<u64>) {
    // A part of them is not let go of. At the beginning that is what was of use before.
    let start = piece.start / TOGETHER * TOGETHER;
    #[cfg(target_os = "linux")]
    let _ =
        rustix::fs::fadvise(file, start, std::num::NonZeroU64::new(piece.end - start), rustix::fs::Advice::DontNeed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt as _;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_was_of_use_waits_for_the_disk_and_is_let_go_of_in_order() {
        let disk = Disk { behind: 10, ..Disk::default() };
        let file = Arc::new(tempfile::tempfile().expect("a file"));
        let mut due = Vec::new();
        for piece in [0..4, 20..24, 4..6, 6..9, 100..200] {
            due.push(disk.due(&file, piece).into_iter().map(|(_, piece)| piece.start).collect::<Vec<_>>());
        }
        assert_eq!(due, [vec![], vec![], vec![], vec![0], vec![20, 4, 6, 100]]);
        let closed = disk.due(&Arc::new(tempfile::tempfile().expect("a file")), 0..11);
        assert!(closed[0].0.upgrade().is_none(), "a file is kept open for nothing");
    }

    /// Whether a page is in the system's memory; `None` where a file system does not tell.
    #[cfg(target_os = "linux")]
    fn is_in_memory(file: &File, at: u64) -> Option<bool> {
        use rustix::io::{Errno, ReadWriteFlags, preadv2};
        let mut byte = [0];
        match preadv2(file, &mut [std::io::IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT) {
            Ok(_) => Some(true),
            Err(Errno::AGAIN) => Some(false),
            Err(_) => None,
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn memory_is_let_go_of_and_the_bytes_stay() {
        let file = Arc::new(tempfile::tempfile().expect("a file"));
        let draft = Draft::new(file.clone(), &Disk { behind: 2 * MIB, ..Disk::default() });
        let block = Bytes::from(vec![7; MIB as usize]);
        for n in 0..8 {
            draft.write(draft.turn().await, std::slice::from_ref(&block), n * MIB).expect("writes");
        }
        file.sync_all().expect("syncs");
        // One that lives in memory does not tell, and has nothing to let go of.
        let Some(true) = is_in_memory(&file, 0) else { return };
        // Pieces that end within what the system keeps together.
        for n in 0..80 {
            draft.passed(n * MIB / 10..(n + 1) * MIB / 10);
        }
        let mut back = vec![0; MIB as usize];
        let found = [0, MIB / 10, MIB, 5 * MIB, 8 * MIB - 1].map(|at| is_in_memory(&file, at));
        file.read_exact_at(&mut back, MIB / 2).expect("reads");
        assert_eq!(back, block);
        assert_eq!(found, [false, false, false, false, true].map(Some));
    }
}
