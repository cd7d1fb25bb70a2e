//! The decorator around every store: counts requests, bytes and latencies on the meter of whoever
//! opened it, holds the limit on requests under way, refuses writes in read-only mode, and turns
//! errors into sentences.

use super::errors::{Doing, Fault, Site};
use super::pulse::Waits;
use super::rawkey;
use super::throttle::Throttle;
use crate::error::{Error, Kind};
use crate::meter::{Meter, Request};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
    coalesce_ranges,
};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One request is counted for so many entries of a listing: the page size of S3.
const PAGE: usize = 1000;

/// Bytes read from a local file at once.
const CHUNK: u64 = 1 << 20;

/// The meter and the common limits, carried by everything that sends requests.
#[derive(Clone)]
pub(super) struct Traffic {
    pub(super) meter: Meter,
    pub(super) gate: Arc<Semaphore>,
    /// Where bodies go over a network.
    pub(super) throttle: Arc<Throttle>,
    pub(super) waits: Waits,
}

impl Traffic {
    /// Waits for a place among the requests under way. The gate is never closed.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        self.gate.clone().acquire_owned().await.ok()
    }
}

/// See the top of this file.
pub(super) struct Metered {
    inner: Arc<dyn ObjectStore>,
    traffic: Traffic,
    site: Arc<Site>,
    lock: Lock,
}

impl Metered {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, traffic: Traffic, site: Arc<Site>, lock: Lock) -> Self {
        Self { inner, traffic, site, lock }
    }

    fn key(&self, path: &Path) -> String {
        rawkey::to_key(self.site.scheme, path)
    }

    fn told(&self, err: object_store::Error, doing: Doing, path: &Path) -> object_store::Error {
        told(&self.site, err, doing, &self.key(path))
    }

    fn writable(&self, path: &Path) -> Result<()> {
        self.lock.check(|| self.site.address(&self.key(path))).map_err(not_supported)
    }

    async fn counted<T>(
        &self,
        doing: Doing,
        path: &Path,
        out: u64,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let _permit = self.traffic.permit().await;
        let request = self.traffic.meter.request();
        let result = answered(request, future.await);
        let (result, request) = result.map_err(|err| self.told(err, doing, path))?;
        self.traffic.meter.sent(out);
        request.done();
        Ok(result)
    }

    /// A ranged read keeps its place under the limit until its last byte.
    async fn range(&self, path: &Path, range: Range<u64>) -> Result<Bytes> {
        let _permit = self.traffic.permit().await;
        let result = self.fetch(path, GetOptions::new().with_range(Some(range))).await?;
        result.bytes().await
    }

    async fn fetch(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let request = self.traffic.meter.request();
        let head = options.head;
        let result = answered(request, self.inner.get_opts(location, options).await);
        let (result, request) = result.map_err(|err| self.told(err, Doing::Read, location))?;
        if head {
            request.done();
            return Ok(result);
        }
        Ok(self.body(result, request, location))
    }

    fn body(&self, result: GetResult, request: Request, path: &Path) -> GetResult {
        let GetResult { payload, meta, range, attributes } = result;
        let inner = match payload {
            GetResultPayload::File(file, _) => file_stream(file, range.clone()),
            GetResultPayload::Stream(stream) => stream,
        };
        let body = Body {
            inner,
            request: Some(request),
            traffic: self.traffic.clone(),
            site: self.site.clone(),
            key: self.key(path),
        };
        // Readers of an empty body ask once more after its end.
        let stream = futures::stream::unfold(body, Body::next).fuse().boxed();
        GetResult { payload: GetResultPayload::Stream(stream), meta, range, attributes }
    }

    fn pages<T: Send + 'static>(
        &self,
        prefix: Option<&Path>,
        list: impl FnOnce(Arc<dyn ObjectStore>) -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let (inner, traffic, site) = (self.inner.clone(), self.traffic.clone(), self.site.clone());
        let key = prefix.map(|p| self.key(p)).unwrap_or_default();
        futures::stream::once(async move {
            let _permit = traffic.permit().await;
            let mut seen = 0;
            let mut request = Some(traffic.meter.request());
            list(inner).map(move |item| {
                seen += 1;
                match item {
                    Ok(item) => {
                        if seen % PAGE == 1
                            && let Some(request) = request.take()
                        {
                            request.done();
                        }
                        if seen % PAGE == 0 {
                            request = Some(traffic.meter.request());
                        }
                        Ok(item)
                    }
                    Err(err) => Err(told(&site, err, Doing::List, &key)),
                }
            })
        })
        .flatten()
        .boxed()
    }
}

/// A request with its answer. That nothing is there is one too, not a failure.
fn answered<T>(request: Request, result: Result<T>) -> Result<(T, Request)> {
    match result {
        Ok(value) => Ok((value, request)),
        Err(err) => {
            if matches!(err, object_store::Error::NotFound { .. }) {
                request.done();
            }
            Err(err)
        }
    }
}

/// The sentence of read-only mode.
/// Whether a store may be written to, and who says that it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// It may.
    Open,
    /// The program was started read-only.
    Program,
    /// Its place in the configuration is read-only.
    Place,
}

impl Lock {
    /// The sentence for a write to what `address` gives, where it is refused.
    pub(super) fn check(self, address: impl FnOnce() -> String) -> std::result::Result<(), Error> {
        let refused = |why: &str, hint: &str| {
            Err(Error::new(Kind::Denied, format!("{} is not written to: {why}", address())).with_hint(hint))
        };
        match self {
            Self::Open => Ok(()),
            Self::Program => refused("secchi was started read-only", "start it without --read-only"),
            Self::Place => refused(
                "its place is read-only",
                "take out read_only of the place in config.toml, or unlock it on the screen",
            ),
        }
    }
}

pub(super) fn not_supported(err: Error) -> object_store::Error {
    object_store::Error::NotSupported { source: Box::new(err) }
}

/// The same variant, so that libraries can act on it, with our sentence inside.
fn told(site: &Site, err: object_store::Error, doing: Doing, key: &str) -> object_store::Error {
    use object_store::Error as E;
    if holds_ours(&err) {
        return err;
    }
    let ours = |err: E| -> Box<Error> { Box::new(site.sentence(&Fault::of_store(&err), doing, key).with_source(err)) };
    match err {
        E::Generic { store, .. } => E::Generic { store, source: ours(err) },
        E::NotFound { ref path, .. } => E::NotFound { path: path.clone(), source: ours(err) },
        E::AlreadyExists { ref path, .. } => E::AlreadyExists { path: path.clone(), source: ours(err) },
        E::Precondition { ref path, .. } => E::Precondition { path: path.clone(), source: ours(err) },
        E::NotModified { ref path, .. } => E::NotModified { path: path.clone(), source: ours(err) },
        E::PermissionDenied { ref path, .. } => E::PermissionDenied { path: path.clone(), source: ours(err) },
        E::Unauthenticated { ref path, .. } => E::Unauthenticated { path: path.clone(), source: ours(err) },
        other => other,
    }
}

fn holds_ours(err: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(err);
    while let Some(err) = next {
        if err.is::<Error>() {
            return true;
        }
        next = err.source();
    }
    false
}

/// A body under way. Its request counts as done at its end, or when the reader has had enough.
struct Body {
    inner: BoxStream<'static, Result<Bytes>>,
    request: Option<Request>,
    traffic: Traffic,
    site: Arc<Site>,
    key: String,
}

impl Body {
    async fn next(mut self) -> Option<(Result<Bytes>, Self)> {
        let item = match tokio::time::timeout(self.traffic.waits.answer(), self.inner.next()).await {
            Ok(item) => item?,
            Err(_) => Err(object_store::Error::Generic {
                store: "body",
                source: "timed out while the body was being read".into(),
            }),
        };
        let item = match item {
            Ok(bytes) => {
                self.traffic.meter.received(bytes.len() as u64);
                self.traffic.throttle.pass(bytes.len() as u64).await;
                Ok(bytes)
            }
            Err(err) => {
                // Dropped before it is done, the request counts as failed.
                drop(self.request.take());
                self.inner = futures::stream::empty().boxed();
                Err(told(&self.site, err, Doing::Read, &self.key))
            }
        };
        Some((item, self))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            request.done();
        }
    }
}

/// A local file in chunks, read on threads that may block.
fn file_stream(file: std::fs::File, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
    use std::os::unix::fs::FileExt as _;
    let failed =
        |source: Box<dyn std::error::Error + Send + Sync>| object_store::Error::Generic { store: "file", source };
    futures::stream::unfold((Arc::new(file), range), move |(file, range)| async move {
        let length = range.end.saturating_sub(range.start).min(CHUNK);
        if length == 0 {
            return None;
        }
        let (reader, start) = (file.clone(), range.start);
        let read = tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; length as usize];
            reader.read_exact_at(&mut buffer, start).map(|()| Bytes::from(buffer))
        });
        match read.await {
            Ok(Ok(bytes)) => Some((Ok(bytes), (file, range.start + length..range.end))),
            Ok(Err(err)) => Some((Err(failed(Box::new(err))), (file, 0..0))),
            Err(err) => Some((Err(failed(Box::new(err))), (file, 0..0))),
        }
    })
    .boxed()
}

impl fmt::Display for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metered({})", self.inner)
    }
}

impl fmt::Debug for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Metered {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.writable(location)?;
        let out = payload.content_length() as u64;
        self.traffic.throttle.pass(out).await;
        self.counted(Doing::Write, location, out, self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.writable(location)?;
        let upload = self.counted(Doing::Write, location, 0, self.inner.put_multipart_opts(location, opts)).await?;
        Ok(Box::new(MeteredUpload {
            upload,
            traffic: self.traffic.clone(),
            site: self.site.clone(),
            key: self.key(location),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        // The place is given back with the head of the answer: who holds several bodies, or writes
        // what it reads, would lock itself out otherwise.
        let _permit = self.traffic.permit().await;
        self.fetch(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        // What is joined is cut apart again, which panics where a server has sent less than was asked for.
        let one = |joined: Range<u64>| async move {
            let inside = ranges.iter().filter(|r| joined.start <= r.start && r.end <= joined.end);
            let needed = inside.map(|r| r.start - joined.start).max().unwrap_or(0);
            let bytes = self.range(location, joined).await?;
            if (bytes.len() as u64) < needed {
                let address = self.site.address(&self.key(location));
                let ours = Error::invalid(format!("{address} ends before the bytes that were asked for"));
                return Err(object_store::Error::Generic { store: "body", source: Box::new(ours) });
            }
            Ok(bytes)
        };
        coalesce_ranges(ranges, one, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        if let Err(err) = self.lock.check(|| self.site.address("")) {
            return futures::stream::once(async move { Err(not_supported(err)) }).boxed();
        }
        let (traffic, site) = (self.traffic.clone(), self.site.clone());
        self.inner
            .delete_stream(locations)
            .map(move |item| {
                let request = traffic.meter.request();
                match item {
                    Ok(path) => {
                        request.done();
                        Ok(path)
                    }
                    Err(err) => Err(told(&site, err, Doing::Delete, "")),
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let own = prefix.cloned();
        self.pages(prefix, move |inner| inner.list(own.as_ref()))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let (own, offset) = (prefix.cloned(), offset.clone());
        self.pages(prefix, move |inner| inner.list_with_offset(own.as_ref(), &offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let root = Path::default();
        self.counted(Doing::List, prefix.unwrap_or(&root), 0, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.writable(to)?;
        self.counted(Doing::Write, to, 0, self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.writable(to)?;
        self.counted(Doing::Write, to, 0, self.inner.rename_opts(from, to, options)).await
    }
}

/// An upload in parts, counted.
struct MeteredUpload {
    upload: Box<dyn MultipartUpload>,
    traffic: Traffic,
    site: Arc<Site>,
    key: String,
}

impl fmt::Debug for MeteredUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeteredUpload({:?})", self.upload)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for MeteredUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let out = data.content_length() as u64;
        let part = self.upload.put_part(data);
        let (traffic, site, key) = (self.traffic.clone(), self.site.clone(), self.key.clone());
        Box::pin(async move {
            traffic.throttle.pass(out).await;
            let _permit = traffic.permit().await;
            let request = traffic.meter.request();
            part.await.map_err(|err| told(&site, err, Doing::Write, &key))?;
            traffic.meter.sent(out);
            request.done();
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let _permit = self.traffic.permit().await;
        let request = self.traffic.meter.request();
        let result = self.upload.complete().await.map_err(|err| told(&self.site, err, Doing::Write, &self.key))?;
        request.done();
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        let request = self.traffic.meter.request();
        self.upload.abort().await.map_err(|err| told(&self.site, err, Doing::Write, &self.key))?;
        request.done();
        Ok(())
    }
}
