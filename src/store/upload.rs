//! Writing: one put or several parts, with everything a server keeps beside the bytes.

use super::{Backend, Link, Method, StoreHandle, local, memory, rawkey};
use crate::entry::Stat;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How long the clean-up of an upload may take when the user waits for it.
pub const CLEAN_UP: Duration = Duration::from_secs(15);

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
    /// How the server encrypts it: `AES256`, `aws:kms`; as the bucket has it where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
    /// Id of the key, with a key service; the bucket's own where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<String>,
    /// A canned access control list: `public-read`; private where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<String>,
}

/// The access control lists that S3 knows by name.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl>
pub const CANNED_ACLS: [&str; 7] = [
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];

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
            // The destination has its own.
            encryption: None,
            encryption_key: None,
            acl: None,
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

/// What is sent beside bytes, so that the server can tell whether they arrived as they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// `Content-MD5`.
    pub md5: Option<[u8; 16]>,
    /// `x-amz-checksum-crc32c`.
    pub crc32c: Option<u32>,
    /// `x-amz-checksum-sha256`.
    pub sha256: Option<[u8; 32]>,
}

/// An algorithm whose checksums some servers keep with the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// CRC-32C (Castagnoli), of the parts where there are some.
    Crc32c,
    /// SHA-256, of the parts where there are some.
    Sha256,
}

/// What a server answered to bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// `ETag` with its quotes; some servers tell none.
    pub etag: String,
    /// The CRC-32C that it keeps, Base64; with `-N` behind it where it is of N parts' checksums.
    pub crc32c: Option<String>,
    /// The SHA-256 that it keeps, likewise.
    pub sha256: Option<String>,
}

/// A part that the server has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartSent {
    /// From 1.
    pub number: u32,
    /// Bytes; 0 where that does not matter.
    pub size: u64,
    /// Its `ETag`.
    pub etag: String,
    /// What it was sent with, where the upload was begun for keeping that.
    pub sums: Sums,
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

    /// Like [`StoreHandle::abort_upload`], until it succeeds or [`CLEAN_UP`] is over: a part that was on its way
    /// can make it fail at first. The error says which upload is left.
    pub async fn discard_upload(&self, key: &str, upload_id: &str) -> Result<()> {
        let is_passing = |kind| matches!(kind, Kind::Unreachable | Kind::Failed | Kind::Limit);
        let persist = async {
            let mut pause = Duration::from_millis(50);
            loop {
                match self.abort_upload(key, upload_id).await {
                    Err(err) if is_passing(err.kind()) && pause < Duration::from_secs(2) => {
                        tokio::time::sleep(pause).await;
                        pause *= 2;
                    }
                    other => return other,
                }
            }
        };
        let late = |_| Error::new(Kind::Unreachable, "it took too long");
        let discarded = tokio::time::timeout(CLEAN_UP, persist).await.map_err(late).flatten();
        discarded.map_err(|err| err.context(format!("the unfinished upload {upload_id} could not be removed")))
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

    /// Whether writes that are to replace nothing are obeyed; `None` where only trying tells.
    pub fn obeys_conditions(&self) -> Option<bool> {
        match &self.backend {
            Backend::S3(s3) => s3.is_amazon().then_some(true),
            Backend::Local | Backend::Memory(_) | Backend::Other => Some(true),
        }
    }

    /// Like [`StoreHandle::put_object`], in a single request: nothing is asked before or after it, so that
    /// `if_absent` holds as far as the server obeys it. `sums` travel along; the answer has what it keeps.
    pub async fn send_object(
        &self,
        key: &str,
        body: Bytes,
        meta: &UploadMeta,
        if_absent: bool,
        sums: &Sums,
    ) -> Result<Taken> {
        match &self.backend {
            Backend::S3(s3) => {
                self.writable(key)?;
                s3.send_object(&self.traffic, key, body, meta, if_absent, sums).await
            }
            _ => self.put_object(key, body, meta, if_absent).await.map(|etag| Taken { etag, ..Taken::default() }),
        }
    }

    /// Like [`StoreHandle::create_upload`]; also whether the server says that it will keep checksums of this kind.
    pub async fn begin_upload(&self, key: &str, meta: &UploadMeta, keep: Option<Kept>) -> Result<(String, bool)> {
        match &self.backend {
            Backend::S3(s3) => {
                self.writable(key)?;
                s3.begin_upload(Some(&self.traffic), key, meta, keep).await
            }
            _ => Ok((self.create_upload(key, meta).await?, false)),
        }
    }

    /// Like [`StoreHandle::put_part`], with checksums.
    pub async fn send_part(&self, key: &str, id: &str, number: u32, body: Bytes, sums: &Sums) -> Result<Taken> {
        match &self.backend {
            Backend::S3(s3) => {
                self.writable(key)?;
                s3.send_part(Some(&self.traffic), key, id, number, body, sums).await
            }
            _ => self.put_part(key, id, number, body).await.map(|etag| Taken { etag, ..Taken::default() }),
        }
    }

    /// Like [`StoreHandle::complete_upload`], with checksums.
    pub async fn finish_upload(&self, key: &str, id: &str, parts: &[PartSent], if_absent: bool) -> Result<Taken> {
        if let Backend::S3(s3) = &self.backend {
            self.writable(key)?;
            return s3.finish_upload(&self.traffic, key, id, parts, if_absent).await;
        }
        let parts: Vec<(u32, String)> = parts.iter().map(|part| (part.number, part.etag.clone())).collect();
        let etag = self.complete_upload(key, id, &parts, if_absent).await?;
        Ok(Taken { etag, ..Taken::default() })
    }

    /// The parts of an unfinished upload that the server has; [`crate::error::Kind::Unsupported`] where it does
    /// not tell, [`crate::error::Kind::NotFound`] where the upload is gone.
    pub async fn parts_sent(&self, key: &str, id: &str) -> Result<Vec<PartSent>> {
        match &self.backend {
            Backend::S3(s3) => s3.parts_sent(&self.traffic, key, id).await,
            _ => Err(Error::unsupported("parts are only listed on S3")),
        }
    }

    /// Unfinished uploads of this very key, with the time at which each was begun.
    pub async fn uploads_of(&self, key: &str) -> Result<Vec<(String, Option<DateTime<Utc>>)>> {
        match &self.backend {
            Backend::S3(s3) => s3.uploads_of(&self.traffic, key).await,
            _ => Ok(Vec::new()),
        }
    }

    /// What stands at `location`, in one request and without tags; `None` where nothing does.
    pub async fn find(&self, location: &Location) -> Result<Option<Stat>> {
        let found = match &self.backend {
            Backend::S3(s3) => return s3.find(&self.traffic, location.key()).await,
            _ => self.stat(location).await,
        };
        match found {
            Err(err) if err.kind() == Kind::NotFound => Ok(None),
            other => other.map(Some),
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
