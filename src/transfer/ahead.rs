//! Small files read ahead, many at once: one change of threads for all of them, and their MD5s side by side.

use super::digest::{self, Digests, Piece, Want};
use super::lanes;
use super::source::{File, changed};
use super::upload::Transfer;
use crate::task::Control;
use bytes::Bytes;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Files up to this size are read ahead.
const SMALL: u64 = 256 << 10;
/// Groups that are read while others are sent.
const GROUPS: usize = 2;

/// What was read of small files, until they are sent.
type Read = Vec<(PathBuf, (Bytes, Digests))>;

/// A file and its place among all.
type Indexed = (usize, File);

/// Files in their order, the small ones among them read.
pub(super) struct Ahead {
    transfer: Arc<Transfer>,
    waiting: std::iter::Peekable<std::vec::IntoIter<Indexed>>,
    reading: VecDeque<(Vec<Indexed>, JoinHandle<Read>)>,
    ready: VecDeque<Indexed>,
}

impl Ahead {
    pub(super) fn new(transfer: Arc<Transfer>, waiting: std::iter::Peekable<std::vec::IntoIter<Indexed>>) -> Self {
        Self { transfer, waiting, reading: VecDeque::new(), ready: VecDeque::new() }
    }

    /// The next file.
    pub(super) async fn next(&mut self) -> Option<Indexed> {
        if let Some(file) = self.ready.pop_front() {
            return Some(file);
        }
        // Where it is looked first what stands there, it may be read for nothing; what is being read is sent all the
        // same.
        if let Some(want) = self.transfer.sends_blindly() {
            while self.reading.len() <= GROUPS && self.begin(want) {}
        }
        let Some((group, reading)) = self.reading.pop_front() else { return self.waiting.next() };
        // What could not be read is read again when it is sent, which then says why.
        self.transfer.keep_read(reading.await.unwrap_or_default());
        self.ready = group.into();
        self.ready.pop_front()
    }

    /// Has the next small files read; `false` where the next one is not.
    fn begin(&mut self, want: Want) -> bool {
        let mut group = Vec::new();
        while group.len() < lanes::LANES
            && let Some(next) = self.waiting.next_if(|(_, file)| file.stamp.size <= SMALL)
        {
            group.push(next);
        }
        if group.is_empty() {
            return false;
        }
        let files: Vec<File> = group.iter().map(|(_, file)| file.clone()).collect();
        let control = self.transfer.control.clone();
        self.reading.push_back((group, tokio::task::spawn_blocking(move || read(files, want, &control))));
        true
    }
}

/// Reads files as they were looked at, those that still are. Blocks.
fn read(files: Vec<File>, want: Want, control: &Control) -> Read {
    let alone = Want { md5: false, ..want };
    let mut read: Read = files
        .into_iter()
        .take_while(|_| control.check().is_ok())
        .filter_map(|file| {
            let piece = digest::read(&file.path, 0, file.stamp.size, alone, || changed(&file.path)).ok()?;
            // What was read is whole only if the file is still the same.
            file.stamp.check(&file.path).ok()?;
            Some((file.path, piece))
        })
        .collect();
    if want.md5 {
        let bodies: Vec<&[u8]> = read.iter().map(|(_, (body, _))| body.as_ref()).collect();
        let sums = lanes::sums(&bodies);
        for ((_, (_, digests)), sum) in read.iter_mut().zip(sums) {
            digests.md5 = Some(sum);
        }
    }
    read
}

impl Transfer {
    /// What is to be computed of a small file, where such files are sent without a look at what stands there.
    fn sends_blindly(&self) -> Option<Want> {
        self.is_blind().then(|| self.method.want(Piece::Whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;
    use crate::transfer::source::Stamp;
    use md5::{Digest as _, Md5};

    #[test]
    fn what_is_read_together_is_what_each_file_holds() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = |n: usize| {
            let path = dir.path().join(n.to_string());
            std::fs::write(&path, vec![n as u8; n * 100]).expect("writes");
            let stamp = Stamp::of(&path).expect("a stamp");
            File { path, location: Location::parse("memory:///a").expect("an address"), stamp }
        };
        let mut files: Vec<File> = (0..20).map(file).collect();
        files[3].stamp.mtime += 1;
        std::fs::remove_file(&files[5].path).expect("removes");
        let read = read(files, Want { md5: true, sha256: false }, &Control::default());
        assert_eq!(read.len(), 18, "neither the one that changed nor the one that is gone");
        for (path, (body, digests)) in &read {
            assert_eq!(std::fs::read(path).expect("reads"), body.as_ref());
            assert_eq!(digests.md5, Some(Md5::digest(body).into()));
        }
    }
}
