//! Writing: one put or several parts, with everything a server keeps beside the bytes.

use super::{Backend, Link, Method, StoreHandle, local, memory, rawkey};
use crate::entry::Stat;
use crate::error::{Error, Kind, Result};
use bytes::Bytes;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What is kept beside an object's bytes. A local disk keeps none of it, memory no tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct UploadMeta {
    /// `Content-Type`; the server's default where absent.
    pub content_type: Option<String>,
    /// User metadata, keys without `x-amz-meta-`: `fairease.catalog.mediatype` = `COG`.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Storage class; the bucket's default where absent.
    pub storage_class: Option<String>,
    /// `Content-Encoding`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Cache-Control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Expires`, as it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

impl UploadMeta {
    /// What an object has, for another that shall have the same.
    pub fn of(stat: &Stat) -> Self {
        let detail = &stat.detail;
        Self {
            content_type: stat.content_type.clone(),
            metadata: stat.metadata.clone(),
            tags: stat.tags.clone(),
            storage_class: stat.storage_class.clone(),
            content_encoding: detail.content_encoding.clone(),
            content_language: detail.content_language.clone(),
            content_disposition: detail.content_disposition.clone(),
            cache_control: detail.cache_control.clone(),
            expires: detail.expires.clone(),
        }
    }

    /// Its rarer headers: name and value.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("content-encoding", &self.content_encoding),
            ("content-language", &self.content_language),
            ("content-disposition", &self.content_disposition),
            ("cache-control", &self.cache_control),
            ("expires", &self.expires),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

impl StoreHandle {
    pub(super) fn writable(&self, key: &str) -> Result<()> {
        self.lock.check(|| self.site.address(key))
    }

    fn no_parts(&self) -> Error {
        Error::unsupported(format!("uploads in parts to {}:// are not offered", self.id.scheme.as_str()))
    }

    /// Runs work on the local disk or in memory as a request that is counted and limited.
    pub(super) async fn counted<T>(&self, out: u64, work: impl Future<Output = Result<T>>) -> Result<T> {
        let _permit = self.traffic.permit().await;
        let request = self.traffic.meter.request();
        let value = work.await?;
        self.traffic.meter.sent(out);
        request.done();
        Ok(value)
    }

    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        key: &str,
        out: u64,
        work: impl FnOnce(&std::path::Path) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = PathBuf::from(key);
        self.counted(out, async move {
            let result = local::blocking(path, work).await;
            result.map_err(|err| super::cause(&err).unwrap_or_else(|| err.into()))
        })
        .await
    }

    /// Starts an upload in parts and returns its id. Nothing is visible at `key` before
    /// [`StoreHandle::complete_upload`].
    pub async fn create_upload(&self, key: &str, meta: &UploadMeta) -> Result<String> {
        self.writable(key)?;
        match &self.backend {
            Backend::S3(s3) => s3.create_upload(Some(&self.traffic), key, meta).await,
            Backend::Local => self.on_disk(key, 0, local::create_upload).await,
            Backend::Memory(memory) => self.counted(0, async { Ok(memory.create_upload(meta)) }).await,
            Backend::Other => Err(self.no_parts()),
        }
    }

    /// Sends part `number` (from 1; all but the last at least 5 MiB on S3) and returns its `ETag`.
    /// Parts may be sent at once and in any order; sent again, a part replaces the former.
    pub async fn put_part(&self, key: &str, upload_id: &str, number: u32, body: Bytes) -> Result<String> {
        self.writable(key)?;
        let out = body.len() as u64;
        match &self.backend {
            Backend::S3(s3) => s3.put_part(Some(&self.traffic), key, upload_id, number, body).await,
            Backend::Local => {
                let id = upload_id.to_owned();
                self.on_disk(key, out, move |path| local::put_part(path, &id, number, &body)).await
            }
            Backend::Memory(memory) => self.counted(out, async { memory.put_part(upload_id, number, body) }).await,
            Backend::Other => Err(self.no_parts()),
        }
    }

    /// Makes the object of its parts (`(number, ETag)`, ascending) and returns the object's `ETag`.
    /// With `if_absent`, an object that stands at `key` is kept and [`crate::error::Kind::Exists`] is the answer.
    pub async fn complete_upload(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[(u32, String)],
        if_absent: bool,
    ) -> Result<String> {
        self.writable(key)?;
        match &self.backend {
            Backend::S3(s3) => s3.complete_upload(&self.traffic, key, upload_id, parts, if_absent).await,
            Backend::Local => {
                let (id, parts) = (upload_id.to_owned(), parts.to_vec());
                self.on_disk(key, 0, move |path| local::complete_upload(path, &id, &parts, if_absent)).await
            }
            Backend::Memory(memory) => {
                let path = self.path(key);
                self.counted(0, memory.complete_upload(&path, upload_id, parts, if_absent)).await
            }
            Backend::Other => Err(self.no_parts()),
        }
    }

    /// Drops an upload and its parts. One that is gone already is no error.
    pub async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<()> {
        self.writable(key)?;
        match &self.backend {
            Backend::S3(s3) => s3.abort_upload(Some(&self.traffic), key, upload_id).await,
            Backend::Local => {
                let id = upload_id.to_owned();
                self.on_disk(key, 0, move |path| local::abort_upload(path, &id)).await
            }
            Backend::Memory(memory) => {
                memory.abort_upload(upload_id);
                Ok(())
            }
            Backend::Other => Err(self.no_parts()),
        }
    }

    /// Writes a whole object in one request and returns its `ETag`. With `if_absent`, an object that
    /// stands at `key` is kept and [`crate::error::Kind::Exists`] is the answer.
    pub async fn put_object(&self, key: &str, body: Bytes, meta: &UploadMeta, if_absent: bool) -> Result<String> {
        self.writable(key)?;
        let out = body.len() as u64;
        match &self.backend {
            Backend::S3(s3) => s3.put_object(&self.traffic, key, body, meta, if_absent).await,
            Backend::Local => self.on_disk(key, out, move |path| local::write_whole(path, [&body], if_absent)).await,
            Backend::Memory(_) | Backend::Other => {
                let options = memory::put_options(meta, if_absent);
                let put = self.store.put_opts(&self.path(key), body.into(), options).await?;
                Ok(put.e_tag.unwrap_or_default())
            }
        }
    }

    /// Replaces the tags of an object.
    pub async fn set_tags(&self, key: &str, tags: &BTreeMap<String, String>) -> Result<()> {
        self.writable(key)?;
        match &self.backend {
            Backend::S3(s3) => s3.set_tags(&self.traffic, key, tags).await,
            _ => Err(Error::unsupported(format!("{} keeps no tags", self.site.address(key)))),
        }
    }

    /// Deletes an object. One that is not there is no error, as on S3.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.writable(key)?;
        if let Backend::S3(s3) = &self.backend {
            return s3.delete(Some(&self.traffic), key).await;
        }
        match self.store.delete(&rawkey::to_path(self.id.scheme, key)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Creates the bucket of this handle's location. One that is ours already is no error.
    pub async fn create_bucket(&self) -> Result<()> {
        self.writable("")?;
        match &self.backend {
            Backend::S3(s3) => s3.create_bucket(&self.traffic).await,
            // Folders come with the first file.
            Backend::Local | Backend::Memory(_) => Ok(()),
            Backend::Other => Err(Error::unsupported("buckets can only be created on S3")),
        }
    }

    /// A link to `key` that works without credentials until it ends: after `valid` (a second to 7 days),
    /// or with the credentials that sign it. Where writing is refused, so are links for it.
    pub async fn presign(&self, method: Method, key: &str, valid: Duration) -> Result<Link> {
        if method == Method::Put {
            self.writable(key)?;
        }
        match &self.backend {
            _ if key.is_empty() => Err(Error::usage("a link leads to an object: name a key")),
            Backend::S3(_) if self.site.anonymous => {
                Err(Error::new(Kind::Denied, "without credentials no link can be signed")
                    .with_hint("name a profile, or share the plain URL: this data is public"))
            }
            Backend::S3(s3) => s3.presign(method, key, valid).await,
            _ => Err(Error::unsupported(format!("{} cannot be signed: it is not on S3", self.site.address(key)))
                .with_hint("links are signed for s3:// places")),
        }
    }
}
