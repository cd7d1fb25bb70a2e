//! Stored bytes (as they came, compressed) that all objects mounted from the same `Stores` share: a raster that is opened again costs
//! nothing as long as its parts are here.
//!
//! Pieces are kept by the file they are of: address, `ETag` and size, so that a changed object is another file.
//! What was used longest ago goes first once there are more than [`MOST`] bytes.

use super::lock;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Bytes kept for all files together.
const MOST: usize = 64 << 20;

/// Names a file: see the top of this page.
pub(super) type Name = Arc<str>;

/// See the top of this page.
#[derive(Default)]
pub(in crate::store) struct Cache(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    files: HashMap<Name, BTreeMap<u64, Piece>>,
    /// Pieces by their last use.
    uses: BTreeMap<u64, (Name, u64)>,
    clock: u64,
    bytes: usize,
}

struct Piece {
    bytes: Bytes,
    used: u64,
}

impl Cache {
    /// What is there of the bytes from `at` on.
    pub(super) fn from(&self, name: &Name, at: u64) -> Option<Bytes> {
        let mut inner = lock(&self.0);
        let inner = &mut *inner;
        let (&start, piece) = inner.files.get_mut(name)?.range_mut(..=at).next_back()?;
        let skip = usize::try_from(at - start).ok().filter(|&n| n < piece.bytes.len())?;
        inner.clock += 1;
        if let Some(place) = inner.uses.remove(&piece.used) {
            inner.uses.insert(inner.clock, place);
        }
        piece.used = inner.clock;
        Some(piece.bytes.slice(skip..))
    }

    /// All of a range, where it is there.
    pub(super) fn get(&self, name: &Name, range: &Range<u64>) -> Option<Bytes> {
        let wanted = usize::try_from(range.end.saturating_sub(range.start)).ok()?;
        if wanted == 0 {
            return Some(Bytes::new());
        }
        let first = self.from(name, range.start)?;
        if first.len() >= wanted {
            return Some(first.slice(..wanted));
        }
        let mut out = Vec::with_capacity(wanted);
        out.extend_from_slice(&first);
        while out.len() < wanted {
            let next = self.from(name, range.start + out.len() as u64)?;
            out.extend_from_slice(&next[..next.len().min(wanted - out.len())]);
        }
        Some(out.into())
    }

    /// Keeps a piece. One that starts where another does takes its place if it is longer.
    pub(super) fn keep(&self, name: &Name, start: u64, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let mut inner = lock(&self.0);
        let inner = &mut *inner;
        let pieces = inner.files.entry(name.clone()).or_default();
        if let Some(known) = pieces.get(&start) {
            if known.bytes.len() >= bytes.len() {
                return;
            }
            inner.bytes -= known.bytes.len();
            inner.uses.remove(&known.used);
        }
        inner.clock += 1;
        inner.bytes += bytes.len();
        inner.uses.insert(inner.clock, (name.clone(), start));
        pieces.insert(start, Piece { bytes, used: inner.clock });
        while inner.bytes > MOST {
            let Some((_, (name, start))) = inner.uses.pop_first() else { break };
            let Some(pieces) = inner.files.get_mut(&name) else { continue };
            inner.bytes -= pieces.remove(&start).map_or(0, |p| p.bytes.len());
            if pieces.is_empty() {
                inner.files.remove(&name);
            }
        }
    }

    /// Lets go of a file that nobody can open again.
    pub(super) fn forget(&self, name: &Name) {
        let mut inner = lock(&self.0);
        for piece in inner.files.remove(name).unwrap_or_default().into_values() {
            inner.bytes -= piece.bytes.len();
            inner.uses.remove(&piece.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(n: usize) -> Bytes {
        vec![7; n].into()
    }

    #[test]
    fn a_range_is_put_together_from_neighbours() {
        let (cache, name): (Cache, Name) = (Cache::default(), "a".into());
        cache.keep(&name, 0, Bytes::from_static(b"0123"));
        cache.keep(&name, 4, Bytes::from_static(b"4567"));
        cache.keep(&name, 10, Bytes::from_static(b"ab"));
        assert_eq!(cache.get(&name, &(2..7)).as_deref(), Some(&b"23456"[..]));
        assert_eq!(cache.get(&name, &(2..9)), None);
        assert_eq!(cache.get(&"b".into(), &(0..1)), None);
        cache.forget(&name);
        assert_eq!(cache.from(&name, 0), None);
        assert_eq!(cache.0.lock().expect("lock").bytes, 0);
    }

    #[test]
    fn it_is_bounded_and_what_is_used_stays() {
        let (cache, name): (Cache, Name) = (Cache::default(), "a".into());
        let piece = MOST / 8;
        for i in 0..40 {
            cache.keep(&name, (i * piece) as u64, bytes(piece));
            assert!(cache.from(&name, 0).is_some(), "the first is used again and again");
            assert!(cache.0.lock().expect("lock").bytes <= MOST);
        }
        assert!(cache.from(&name, piece as u64).is_none());
        let inner = cache.0.lock().expect("lock");
        assert_eq!(inner.uses.len(), inner.files.values().map(BTreeMap::len).sum::<usize>());
    }
}
