//! S3 as an `ObjectStore` that knows every key: those that `object_store` cannot spell go through
//! the SDK, which sends a path as it is. See [`crate::store::rawkey`].

use super::blank::spelled;
use super::pages::{self, Found};
use super::{S3, time};
use crate::error::{Error, Kind};
use crate::location::Scheme;
use crate::store::UploadMeta;
use crate::store::errors::Doing;
use crate::store::metered::{Traffic, not_supported};
use crate::store::rawkey;
use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, RenameOptions, Result, UploadPart, coalesce_ranges,
};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Deletions under way at once.
const DELETIONS: usize = 8;

/// See the top of this file.
#[derive(Clone)]
pub(in crate::store) struct AnyKey(pub(in crate::store) Arc<S3>);

fn key_of(path: &Path) -> String {
    rawkey::to_key(Scheme::S3, path)
}

/// A prefix of `object_store` ends at a boundary; a key's own trailing slash is one.
fn prefix_of(path: Option<&Path>) -> String {
    let mut prefix = path.map(key_of).unwrap_or_default();
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    prefix
}

/// Our error in the variant that libraries act on.
fn outer(err: Error, path: &str) -> object_store::Error {
    let path = path.to_owned();
    let kind = err.kind();
    let source = Box::new(err);
    match kind {
        Kind::NotFound => object_store::Error::NotFound { path, source },
        Kind::Exists => object_store::Error::AlreadyExists { path, source },
        Kind::Changed => object_store::Error::Precondition { path, source },
        Kind::Denied => object_store::Error::PermissionDenied { path, source },
        Kind::Unsupported => object_store::Error::NotSupported { source },
        _ => object_store::Error::Generic { store: "S3", source },
    }
}

fn meta_of(found: Found) -> ObjectMeta {
    ObjectMeta {
        location: rawkey::to_path(Scheme::S3, &found.key),
        last_modified: found.modified.unwrap_or_default(),
        size: found.size,
        e_tag: found.etag,
        version: None,
    }
}

fn upload_meta(attributes: &Attributes) -> UploadMeta {
    let mut meta = UploadMeta::default();
    for (name, value) in attributes {
        match name {
            Attribute::ContentType => meta.content_type = Some(value.as_ref().to_owned()),
            Attribute::StorageClass => meta.storage_class = Some(value.as_ref().to_owned()),
            Attribute::Metadata(key) => {
                meta.metadata.insert(key.to_string(), value.as_ref().to_owned());
            }
            _ => {}
        }
    }
    meta
}

fn sdk_time(at: DateTime<Utc>) -> aws_sdk_s3::primitives::DateTime {
    aws_sdk_s3::primitives::DateTime::from_secs(at.timestamp())
}

fn body_stream(body: ByteStream) -> BoxStream<'static, Result<Bytes>> {
    futures::stream::unfold(body, |mut body| async move {
        let item = body.next().await?;
        Some((item.map_err(|err| object_store::Error::Generic { store: "S3", source: Box::new(err) }), body))
    })
    .boxed()
}

impl AnyKey {
    fn data(&self) -> Result<&object_store::aws::AmazonS3> {
        self.0.data().map_err(not_supported)
    }

    async fn get_raw(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let key = key_of(location);
        let version = options.version.clone().or_else(|| rawkey::version_of(location));
        let range = options.range.as_ref().map(|range| match range {
            GetRange::Bounded(r) => format!("bytes={}-{}", r.start, r.end.saturating_sub(1)),
            GetRange::Offset(start) => format!("bytes={start}-"),
            GetRange::Suffix(n) => format!("bytes=-{n}"),
        });
        // A single byte tells as much as a HEAD, and its refusal has a body; but none of an empty object.
        if options.head {
            return self.head_raw(location, &key, version.as_deref()).await;
        }
        let s3 = &self.0;
        let answer = s3.call(None, 0, |tap| {
            s3.client
                .get_object()
                .bucket(s3.bucket())
                .key(spelled(&key))
                .set_range(range.clone())
                .set_if_match(options.if_match.clone())
                .set_if_none_match(options.if_none_match.clone())
                .set_if_modified_since(options.if_modified_since.map(sdk_time))
                .set_if_unmodified_since(options.if_unmodified_since.map(sdk_time))
                .set_version_id(version.clone())
                .customize()
                .interceptor(tap)
                .send()
        });
        let answer = answer.await.map_err(|failure| outer(s3.sentence(&failure, Doing::Read, &key), &key))?;
        let length = answer.content_length().unwrap_or_default().max(0).unsigned_abs();
        let (start, size) = answer
            .content_range()
            .and_then(|text| {
                let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
                Some((range.split_once('-')?.0.parse().ok()?, size.parse().ok()?))
            })
            .unwrap_or((0_u64, length));
        let mut attributes = Attributes::default();
        if let Some(kind) = answer.content_type() {
            attributes.insert(Attribute::ContentType, kind.to_owned().into());
        }
        for (key, value) in answer.metadata().into_iter().flatten() {
            attributes.insert(Attribute::Metadata(key.clone().into()), value.clone().into());
        }
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: answer.last_modified().and_then(time).unwrap_or_default(),
            size,
            e_tag: answer.e_tag().map(str::to_owned),
            version: answer.version_id().map(str::to_owned),
        };
        let range = start..start.saturating_add(length);
        Ok(GetResult { payload: GetResultPayload::Stream(body_stream(answer.body)), meta, range, attributes })
    }

    async fn head_raw(&self, location: &Path, key: &str, version: Option<&str>) -> Result<GetResult> {
        // Counted by the decorator above; this meter is thrown away.
        let stat = self.0.stat(&uncounted(), key, version).await.map_err(|err| outer(err, key))?;
        let mut attributes = Attributes::default();
        if let Some(kind) = stat.content_type {
            attributes.insert(Attribute::ContentType, kind.into());
        }
        for (key, value) in stat.metadata {
            attributes.insert(Attribute::Metadata(key.into()), value.into());
        }
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: stat.modified.unwrap_or_default(),
            size: stat.size,
            e_tag: stat.etag,
            version: stat.version,
        };
        let payload = GetResultPayload::Stream(futures::stream::empty().boxed());
        Ok(GetResult { payload, range: 0..meta.size, meta, attributes })
    }

    fn listed(&self, prefix: String, after: Option<String>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        futures::stream::try_unfold(Some(None::<String>), move |state| {
            let (store, prefix, after) = (store.clone(), prefix.clone(), after.clone());
            async move {
                let Some(token) = state else { return Ok::<_, object_store::Error>(None) };
                let page =
                    pages::page(&store.0, &prefix, false, token, after).await.map_err(|err| outer(err, &prefix))?;
                let metas = futures::stream::iter(page.objects.into_iter().map(|f| Ok(meta_of(f))));
                Ok(Some((metas, page.next.map(Some))))
            }
        })
        .try_flatten()
        .boxed()
    }
}

/// An old version is there to be read: what would change it changed the current one.
fn not_an_old_version(path: &Path) -> Result<()> {
    match rawkey::version_of(path) {
        Some(_) => Err(not_supported(Error::unsupported("an old version cannot be written or deleted"))),
        None => Ok(()),
    }
}

fn uncounted() -> Traffic {
    Traffic {
        meter: crate::meter::Meter::new(),
        gate: Arc::new(tokio::sync::Semaphore::new(2)),
        throttle: Arc::default(),
        waits: crate::store::pulse::Waits::default(),
    }
}

impl fmt::Display for AnyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3({})", self.0.site.bucket)
    }
}

impl fmt::Debug for AnyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for AnyKey {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if !rawkey::is_marked(location) {
            return self.data()?.put_opts(location, payload, opts).await;
        }
        not_an_old_version(location)?;
        let key = key_of(location);
        let if_absent = match opts.mode {
            PutMode::Overwrite => false,
            PutMode::Create => true,
            PutMode::Update(_) => {
                return Err(not_supported(Error::unsupported("such a key cannot be updated on a condition")));
            }
        };
        let meta = upload_meta(&opts.attributes);
        let put = self.0.put_object(&uncounted(), &key, payload.into(), &meta, if_absent).await;
        put.map(|etag| PutResult { e_tag: Some(etag), version: None }).map_err(|err| outer(err, &key))
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        if !rawkey::is_marked(location) {
            return self.data()?.put_multipart_opts(location, opts).await;
        }
        not_an_old_version(location)?;
        let key = key_of(location);
        let id = self.0.create_upload(None, &key, &upload_meta(&opts.attributes)).await;
        let id = id.map_err(|err| outer(err, &key))?;
        Ok(Box::new(RawUpload { s3: self.0.clone(), key, id, next: 1, parts: Arc::default() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if rawkey::is_marked(location) {
            self.get_raw(location, options).await
        } else {
            let used = self.0.used().await;
            match self.data()?.get_opts(location, options.clone()).await {
                // Temporary keys end in the middle of work; most servers only say that they refuse.
                Err(object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. })
                    if self.0.renew(used.clone()).await =>
                {
                    self.data()?.get_opts(location, options).await
                }
                answer => answer,
            }
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let one =
            |range| async { self.get_opts(location, GetOptions::new().with_range(Some(range))).await?.bytes().await };
        coalesce_ranges(ranges, one, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .map(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    not_an_old_version(&location)?;
                    let key = key_of(&location);
                    store.0.delete(None, &key).await.map_err(|err| outer(err, &key))?;
                    Ok(location)
                }
            })
            .buffered(DELETIONS)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix_of(prefix), None)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix_of(prefix), Some(key_of(offset)))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix_of(prefix);
        let mut found = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
        let mut token = None;
        loop {
            let page = pages::page(&self.0, &prefix, true, token.clone(), None).await;
            let page = page.map_err(|err| outer(err, &prefix))?;
            let paths = page.prefixes.iter().map(|p| {
                let plain = p.strip_suffix('/').unwrap_or(p);
                rawkey::to_path(Scheme::S3, if plain.is_empty() || plain.ends_with('/') { p } else { plain })
            });
            found.common_prefixes.extend(paths);
            // The folder's own marker is not one of its objects.
            found.objects.extend(page.objects.into_iter().filter(|o| o.key != prefix).map(meta_of));
            token = page.next;
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        if !rawkey::is_marked(from) && !rawkey::is_marked(to) && options.mode == CopyMode::Overwrite {
            return self.data()?.copy_opts(from, to, options).await;
        }
        if options.mode == CopyMode::Create {
            return Err(not_supported(Error::unsupported("copying only where nothing stands is not offered by S3")));
        }
        not_an_old_version(to)?;
        let s3 = &self.0;
        let source = s3.copy_source(&key_of(from), rawkey::version_of(from).as_deref());
        let to = key_of(to);
        let answer = s3.call(None, 0, |tap| {
            let request = s3.client.copy_object().bucket(s3.bucket()).key(spelled(&to)).copy_source(&source);
            request.customize().interceptor(tap).send()
        });
        answer.await.map(drop).map_err(|failure| outer(s3.sentence(&failure, Doing::Write, &to), &to))
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let mode = match options.target_mode {
            object_store::RenameTargetMode::Overwrite => CopyMode::Overwrite,
            object_store::RenameTargetMode::Create => CopyMode::Create,
        };
        not_an_old_version(from)?;
        self.copy_opts(from, to, CopyOptions::new().with_mode(mode)).await?;
        let key = key_of(from);
        self.0.delete(None, &key).await.map_err(|err| outer(err, &key))
    }
}

/// An upload in parts to a key that `object_store` cannot spell.
struct RawUpload {
    s3: Arc<S3>,
    key: String,
    id: String,
    next: u32,
    parts: Arc<Mutex<Vec<(u32, String)>>>,
}

impl fmt::Debug for RawUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawUpload({})", crate::text::clean(&self.key))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for RawUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let number = self.next;
        self.next += 1;
        let (s3, key, id, parts) = (self.s3.clone(), self.key.clone(), self.id.clone(), self.parts.clone());
        Box::pin(async move {
            let etag = s3.put_part(None, &key, &id, number, data.into()).await.map_err(|err| outer(err, &key))?;
            parts.lock().unwrap_or_else(PoisonError::into_inner).push((number, etag));
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let mut parts = std::mem::take(&mut *self.parts.lock().unwrap_or_else(PoisonError::into_inner));
        parts.sort_unstable();
        let done = self.s3.complete_upload(&uncounted(), &self.key, &self.id, &parts, false).await;
        done.map(|etag| PutResult { e_tag: Some(etag), version: None }).map_err(|err| outer(err, &self.key))
    }

    async fn abort(&mut self) -> Result<()> {
        self.s3.abort_upload(None, &self.key, &self.id).await.map_err(|err| outer(err, &self.key))
    }
}
