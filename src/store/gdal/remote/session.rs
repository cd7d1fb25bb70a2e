//! What all virtual files of one mount share.

use super::super::cache::Cache;
use super::super::lock;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::StoreHandle;
use crate::task::Control;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// What the reads of one call into GDAL listen to.
struct Call {
    control: Control,
    abandoned: CancellationToken,
}

/// What all virtual files of one mount share: the store, the limit, the first error.
pub(in crate::store::gdal) struct Session {
    pub(super) handle: StoreHandle,
    /// Where the members of a VRT may lie; see [`super::super::vrt`].
    pub(super) home: Location,
    pub(super) cache: Arc<Cache>,
    /// Whether others that open the same objects may use what was fetched.
    pub(super) shares: bool,
    limit: u64,
    spent: AtomicU64,
    call: Mutex<Call>,
    error: Mutex<Option<Error>>,
    pub(super) runtime: tokio::runtime::Handle,
    /// Names of all its files, until it is unmounted.
    pub(in crate::store::gdal) mounted: Mutex<Vec<u64>>,
}

impl Session {
    /// For the calling runtime, which will run its requests. Reads fail once more than `limit` bytes came.
    pub(in crate::store::gdal) fn new(
        handle: StoreHandle,
        home: Location,
        cache: Arc<Cache>,
        control: &Control,
        limit: u64,
    ) -> Self {
        Self {
            handle,
            home,
            cache,
            // Who measures reading wants no bytes that were read before.
            shares: limit < u64::MAX,
            limit,
            spent: AtomicU64::new(0),
            call: Mutex::new(Call { control: control.clone(), abandoned: CancellationToken::new() }),
            error: Mutex::new(None),
            runtime: tokio::runtime::Handle::current(),
            mounted: Mutex::default(),
        }
    }

    /// A new use: what it listens to, no error yet, nothing spent.
    pub(in crate::store::gdal) fn begin(&self, control: &Control, abandoned: CancellationToken) {
        *lock(&self.call) = Call { control: control.clone(), abandoned };
        *lock(&self.error) = None;
        self.spent.store(0, Relaxed);
    }

    /// Bytes that a use may read.
    pub(in crate::store::gdal) fn limit(&self) -> u64 {
        self.limit
    }

    /// The error that a read met since the last look.
    pub(in crate::store::gdal) fn take_error(&self) -> Option<Error> {
        lock(&self.error).take()
    }

    pub(in crate::store::gdal) fn check(&self) -> Result<()> {
        let call = lock(&self.call);
        call.control.check()?;
        if call.abandoned.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }

    pub(super) fn listens_to(&self) -> (Control, CancellationToken) {
        let call = lock(&self.call);
        (call.control.clone(), call.abandoned.clone())
    }

    /// Waits for a fetch on this thread, which is one of the runtime's for blocking work.
    pub(in crate::store::gdal) fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let (control, abandoned) = self.listens_to();
        self.runtime.block_on(control.race(async {
            tokio::select! {
                biased;
                () = abandoned.cancelled() => Err(Error::cancelled()),
                result = future => result,
            }
        }))
    }

    pub(super) fn spend(&self, bytes: u64) -> Result<()> {
        if self.spent.fetch_add(bytes, Relaxed).saturating_add(bytes) > self.limit {
            let limit = crate::text::bytes(self.limit);
            return Err(Error::new(Kind::Limit, format!("it needs more than {limit}, the limit for looking at it")));
        }
        Ok(())
    }

    /// Runs a read. After a failure GDAL goes on with the next block: then everything fails at once.
    pub(in crate::store::gdal) fn attempt<T>(&self, read: impl FnOnce() -> Result<T>) -> Option<T> {
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
