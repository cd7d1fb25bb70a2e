//! One mounted object: what is held of it, and how the rest is fetched. No word of GDAL here.
#![deny(unsafe_code)]

use super::lock;
use crate::error::{Error, Kind, Result};
use crate::store::{Head, StoreHandle};
use crate::task::Control;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// Smallest and largest read ahead of what GDAL asked for. It doubles while reads are sequential.
const AHEAD: Range<u64> = (32 << 10)..(1 << 20);

/// Bytes of single reads that an object keeps. What GDAL decoded it keeps itself.
const KEPT: usize = 16 << 20;

/// What the reads of one call into GDAL listen to.
struct Call {
    control: Control,
    abandoned: CancellationToken,
}

pub(super) struct Remote {
    /// The whole name under which it is mounted.
    pub(super) path: String,
    store: Arc<dyn ObjectStore>,
    key: Path,
    pub(super) size: u64,
    etag: Option<String>,
    pub(super) head: Bytes,
    recent: Mutex<Recent>,
    limit: u64,
    spent: AtomicU64,
    call: Mutex<Call>,
    error: Mutex<Option<Error>>,
    runtime: tokio::runtime::Handle,
}

/// What single reads fetched, newest last, and where the next one would be sequential.
#[derive(Default)]
struct Recent {
    extents: VecDeque<(u64, Bytes)>,
    bytes: usize,
    next: u64,
    ahead: u64,
}

impl Remote {
    /// For the calling runtime, which will run its requests. Reads fail once more than `limit`
    /// bytes came.
    pub(super) fn new(
        path: String,
        handle: &StoreHandle,
        key: Path,
        head: Head,
        control: &Control,
        limit: u64,
    ) -> Self {
        Self {
            path,
            store: handle.object_store(),
            key,
            size: head.size,
            etag: head.etag,
            // A header that already holds the whole object, or the next bytes to be asked for.
            recent: Mutex::new(Recent { next: head.bytes.len() as u64, ahead: AHEAD.start, ..Recent::default() }),
            head: head.bytes,
            limit,
            spent: AtomicU64::new(0),
            call: Mutex::new(Call { control: control.clone(), abandoned: CancellationToken::new() }),
            error: Mutex::new(None),
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// A new use: what it listens to, no error yet, nothing spent.
    pub(super) fn begin(&self, control: &Control, abandoned: CancellationToken) {
        *lock(&self.call) = Call { control: control.clone(), abandoned };
        *lock(&self.error) = None;
        self.spent.store(0, Relaxed);
    }

    /// The error that a read met since the last look.
    pub(super) fn take_error(&self) -> Option<Error> {
        lock(&self.error).take()
    }

    pub(super) fn check(&self) -> Result<()> {
        let call = lock(&self.call);
        call.control.check()?;
        if call.abandoned.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// Waits for a fetch on this thread, which is one of the runtime's for blocking work.
    fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let (control, abandoned) = {
            let call = lock(&self.call);
            (call.control.clone(), call.abandoned.clone())
        };
        self.runtime.block_on(control.race(async {
            tokio::select! {
                biased;
                () = abandoned.cancelled() => Err(Error::cancelled()),
                result = future => result,
            }
        }))
    }

    async fn fetch(&self, range: Range<u64>) -> Result<Bytes> {
        let wanted = range.end - range.start;
        if self.spent.fetch_add(wanted, Relaxed).saturating_add(wanted) > self.limit {
            let limit = crate::text::bytes(self.limit);
            return Err(Error::new(Kind::Limit, format!("it needs more than {limit}, the limit for looking at it")));
        }
        // A weak tag never matches (RFC 9110, 13.1.1); it is compared below.
        let strong = self.etag.clone().filter(|tag| !tag.starts_with("W/"));
        let options = GetOptions { range: Some(GetRange::Bounded(range)), if_match: strong, ..GetOptions::default() };
        let got = self.store.get_opts(&self.key, options).await.map_err(store_error)?;
        if got.meta.size != self.size || got.meta.e_tag != self.etag {
            return Err(changed());
        }
        let bytes = got.bytes().await.map_err(store_error)?;
        if bytes.len() as u64 != wanted {
            return Err(Error::invalid("the server sent fewer bytes than it promised"));
        }
        Ok(bytes)
    }

    /// What is held of the bytes from `at` on.
    fn held(&self, at: u64) -> Option<Bytes> {
        let part = |start: u64, bytes: &Bytes| {
            let skip = usize::try_from(at.checked_sub(start)?).ok()?;
            (skip < bytes.len()).then(|| bytes.slice(skip..))
        };
        part(0, &self.head).or_else(|| lock(&self.recent).extents.iter().rev().find_map(|(s, b)| part(*s, b)))
    }

    /// The range to fetch when `wanted` bytes from `at` are missing.
    fn plan(&self, at: u64, wanted: u64) -> Range<u64> {
        let mut recent = lock(&self.recent);
        recent.ahead = if at == recent.next { (recent.ahead * 2).min(AHEAD.end) } else { AHEAD.start };
        let end = at.saturating_add(wanted.max(recent.ahead)).min(self.size);
        recent.next = end;
        at..end
    }

    fn keep(&self, start: u64, bytes: Bytes) {
        let mut recent = lock(&self.recent);
        recent.bytes += bytes.len();
        recent.extents.push_back((start, bytes));
        while recent.bytes > KEPT {
            let Some((_, old)) = recent.extents.pop_front() else { break };
            recent.bytes -= old.len();
        }
    }

    /// Fills `out` from `offset` on; fewer bytes only at the end of the object.
    pub(super) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = out.len().min(left);
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let bytes = if let Some(bytes) = self.held(at) {
                bytes
            } else {
                let range = self.plan(at, (len - done) as u64);
                let bytes = self.wait(self.fetch(range))?;
                self.keep(at, bytes.clone());
                bytes
            };
            let n = bytes.len().min(len - done);
            out[done..done + n].copy_from_slice(&bytes[..n]);
            done += n;
        }
        Ok(len)
    }

    /// Reads all `ranges`; what is not held is fetched in few parallel requests.
    pub(super) fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut found: Vec<Option<Bytes>> = ranges
            .iter()
            .map(|r| {
                let len = usize::try_from(r.end - r.start).ok()?;
                let bytes = if len == 0 { Bytes::new() } else { self.held(r.start)? };
                (bytes.len() >= len).then(|| bytes.slice(..len))
            })
            .collect();
        let missing: Vec<usize> = (0..ranges.len()).filter(|&i| found[i].is_none()).collect();
        let wanted: Vec<Range<u64>> = missing.iter().map(|&i| ranges[i].clone()).collect();
        if !wanted.is_empty() {
            let gap = object_store::OBJECT_STORE_COALESCE_DEFAULT;
            let fetched = self.wait(object_store::coalesce_ranges(&wanted, |r| self.fetch(r), gap))?;
            for (i, bytes) in missing.into_iter().zip(fetched) {
                found[i] = Some(bytes);
            }
        }
        Ok(found.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Runs a read. After a failure GDAL goes on with the next block: then everything fails at once.
    pub(super) fn attempt<T>(&self, read: impl FnOnce() -> Result<T>) -> Option<T> {
        if lock(&self.error).is_some() {
            return None;
        }
        match self.check().and_then(|()| read()) {
            Ok(value) => Some(value),
            Err(error) => {
                *lock(&self.error) = Some(error);
                None
            }
        }
    }
}

fn changed() -> Error {
    Error::new(Kind::Changed, "the object was changed while it was read")
}

fn store_error(err: object_store::Error) -> Error {
    use object_store::Error as E;
    let (kind, why) = match &err {
        E::Precondition { .. } => return changed().with_source(err),
        E::NotFound { .. } => (Kind::NotFound, "the object is gone".to_owned()),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => (Kind::Denied, "reading is denied".to_owned()),
        other => (Kind::Failed, format!("reading failed: {other}")),
    };
    Error::new(kind, why).with_source(err)
}
