//! The object behind a table, read in pieces by blocking code, with some pieces on their way beforehand.

use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::{Pinned, StoreHandle, Stores};
use crate::task::Control;
use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectStoreExt as _};
use std::collections::VecDeque;
use std::io::Read;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Says when to stop: the work was cancelled, or nobody waits for its answer any more.
#[derive(Clone)]
pub(crate) struct Stop {
    control: Control,
    dropped: CancellationToken,
}

impl Stop {
    /// Heard by whoever holds `control`, and by dropping what is given beside it.
    pub(crate) fn new(control: &Control) -> (Self, tokio_util::sync::DropGuard) {
        let dropped = CancellationToken::new();
        (Self { control: control.clone(), dropped: dropped.clone() }, dropped.drop_guard())
    }

    /// For what goes on between two that wait for it.
    pub(super) fn lasting(&self) -> Self {
        Self { control: self.control.clone(), dropped: CancellationToken::new() }
    }

    /// Fails once it is time to stop.
    pub(crate) fn check(&self) -> Result<()> {
        if self.dropped.is_cancelled() { Err(Error::cancelled()) } else { self.control.check() }
    }

    async fn race<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.dropped.cancelled() => Err(Error::cancelled()),
            got = self.control.race(future) => got,
        }
    }
}

/// Runs blocking code that ends soon after the future was dropped.
pub(crate) async fn blocking<T: Send + 'static>(
    control: &Control,
    f: impl FnOnce(Stop) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (stop, _guard) = Stop::new(control);
    control.blocking(move |_| f(stop)).await
}

/// An object of known size, still the same as when it was opened.
#[derive(Clone)]
pub(crate) struct Object {
    handle: StoreHandle,
    location: Location,
    etag: Option<String>,
    runtime: Handle,
    /// Bytes.
    pub(crate) size: u64,
}

impl Object {
    /// Opens it with one request for its first bytes.
    pub(crate) async fn open_head(
        stores: &Stores,
        location: &Location,
        first: u64,
        control: &Control,
    ) -> Result<(Self, Bytes)> {
        let handle = control.race(stores.open(location, &control.meter)).await?;
        let head = control.race(handle.read_head(location, first)).await?;
        let runtime = Handle::current();
        Ok((Self { handle, location: location.clone(), etag: head.etag, runtime, size: head.size }, head.bytes))
    }

    /// Opens it with one request for its last bytes.
    pub(crate) async fn open_tail(
        stores: &Stores,
        location: &Location,
        size: Option<u64>,
        last: u64,
        control: &Control,
    ) -> Result<(Self, Bytes)> {
        let handle = control.race(stores.open(location, &control.meter)).await?;
        let range = match size {
            Some(size) if size > 0 => GetRange::Bounded(size.saturating_sub(last)..size),
            _ => GetRange::Suffix(last),
        };
        let (path, store) = (handle.path(location.key()), handle.object_store());
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        let got = match control.race(store.get_opts(&path, options)).await {
            Ok(got) => got,
            // No range fits into an empty object.
            Err(err) => match control.race(store.head(&path)).await {
                Ok(meta) if meta.size == 0 => return Err(Error::invalid("it is empty: it has 0 bytes")),
                _ => return Err(err),
            },
        };
        let (size, etag) = (got.meta.size, got.meta.e_tag.clone());
        let bytes = control.race(got.bytes()).await?;
        Ok((Self { handle, location: location.clone(), etag, runtime: Handle::current(), size }, bytes))
    }

    /// The same object, counted by another piece of work.
    pub(crate) async fn counted_by(&self, stores: &Stores, control: &Control) -> Result<Self> {
        let handle = control.race(stores.open(&self.location, &control.meter)).await?;
        Ok(Self { handle, ..self.clone() })
    }

    async fn get(self, range: Range<u64>) -> Result<Bytes> {
        let pinned = Pinned { location: &self.location, size: self.size, etag: self.etag.as_deref() };
        self.handle.read_pinned(pinned, range).await
    }

    /// Reads a range. Blocks: only for threads of [`blocking`].
    pub(crate) fn fetch(&self, range: Range<u64>, stop: &Stop) -> Result<Bytes> {
        self.runtime.block_on(stop.race(self.clone().get(range)))
    }

    /// Reads several ranges at once. Blocks.
    pub(crate) fn fetch_all(&self, ranges: &[Range<u64>], stop: &Stop) -> Result<Vec<Bytes>> {
        if let [one] = ranges {
            return Ok(vec![self.fetch(one.clone(), stop)?]);
        }
        let (store, path) = (self.handle.object_store(), self.handle.path(self.location.key()));
        let all = async { store.get_ranges(&path, ranges).await.map_err(Error::from) };
        let got = self.runtime.block_on(stop.race(all))?;
        if got.iter().zip(ranges).any(|(bytes, range)| bytes.len() as u64 != range.end - range.start) {
            return Err(Error::invalid(format!("{} ends before the bytes that were asked for", self.location)));
        }
        Ok(got)
    }
}

/// For whom a [`Stream`] reads now, and how much it has read.
pub(crate) struct Gate {
    stop: Mutex<Stop>,
    read: AtomicU64,
}

impl Gate {
    pub(crate) fn new(stop: Stop) -> Arc<Self> {
        Arc::new(Self { stop: Mutex::new(stop), read: AtomicU64::new(0) })
    }

    /// From now on for this work.
    pub(crate) fn pass(&self, stop: &Stop) {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = stop.clone();
    }

    /// Bytes read from the object so far.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// Counts bytes read past a [`Stream`].
    pub(super) fn count(&self, bytes: u64) {
        self.read.fetch_add(bytes, Relaxed);
    }

    /// For whom it is now.
    pub(super) fn stop_now(&self) -> Stop {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How large the pieces are that a [`Stream`] fetches, and how many are under way at once.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// Bytes of the first piece; each further one is twice as large.
    pub(crate) first: u64,
    /// Bytes of the largest.
    pub(crate) most: u64,
    /// Pieces under way.
    pub(crate) ahead: usize,
}

impl Pace {
    /// For somebody who looks at rows: no more than is needed.
    pub(crate) const LOOK: Self = Self { first: 256 << 10, most: 4 << 20, ahead: 1 };
    /// For reading from end to end.
    pub(crate) const SCAN: Self = Self { first: 1 << 20, most: 4 << 20, ahead: 4 };
}

/// Bytes of an object one after the other. Where fetching fails nothing is lost: it can be read on later.
pub(crate) struct Stream {
    object: Object,
    gate: Arc<Gate>,
    pace: Pace,
    /// What is to be asked for next, and where it ends.
    next: u64,
    end: u64,
    step: u64,
    coming: VecDeque<AbortOnDropHandle<Result<Bytes>>>,
    now: Bytes,
}

impl Stream {
    /// Reads `range`, of which the first bytes are there already.
    pub(crate) fn new(object: &Object, gate: &Arc<Gate>, range: Range<u64>, there: &Bytes, pace: Pace) -> Self {
        let length = there.len().min(usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX));
        Self {
            object: object.clone(),
            gate: gate.clone(),
            pace,
            next: range.start + length as u64,
            end: range.end.min(object.size),
            step: pace.first,
            coming: VecDeque::new(),
            now: there.slice(..length),
        }
    }

    /// The next piece; empty at the end.
    fn fill(&mut self) -> Result<()> {
        while self.now.is_empty() && (self.next < self.end || !self.coming.is_empty()) {
            while self.coming.len() < self.pace.ahead && self.next < self.end {
                let range = self.next..self.end.min(self.next + self.step);
                self.next = range.end;
                self.step = (self.step * 2).min(self.pace.most);
                let task = self.object.runtime.spawn(self.object.clone().get(range));
                self.coming.push_back(AbortOnDropHandle::new(task));
            }
            let Some(first) = self.coming.front_mut() else { break };
            let stop = self.gate.stop_now();
            let joined = self.object.runtime.block_on(stop.race(async { Ok(first.await) }))?;
            let got = joined.map_err(|err| Error::invalid("a worker failed").with_source(err)).and_then(|got| got);
            let Ok(bytes) = got else {
                // The pieces after it are of no use before it.
                self.next = self.end;
                self.coming.clear();
                return got.map(drop);
            };
            self.coming.pop_front();
            self.gate.read.fetch_add(bytes.len() as u64, Relaxed);
            self.now = bytes;
        }
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.now.is_empty() {
            self.fill().map_err(std::io::Error::other)?;
        }
        let n = buf.len().min(self.now.len());
        buf[..n].copy_from_slice(&self.now.split_to(n));
        Ok(n)
    }
}

/// What failed below a decoder: one of ours, or bytes that are not what they claim to be.
pub(super) fn explain(err: std::io::Error, what: &str) -> Error {
    let text = err.to_string();
    match err.into_inner().map(<dyn std::error::Error + Send + Sync>::downcast::<Error>) {
        Some(Ok(ours)) => *ours,
        _ => Error::invalid(format!("{what} are damaged or cut off: {text}")),
    }
}
