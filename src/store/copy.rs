//! What copies and moves are made of: copies within a server, reads of what must not change meanwhile, deletion of
//! what is still the same.

use super::{Backend, StoreHandle, UploadMeta, local};
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use bytes::Bytes;
use object_store::{GetOptions, ObjectStore as _, ObjectStoreExt as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is copied, and how it is known to be still the same.
#[derive(Clone, Copy, Debug)]
pub struct Pinned<'a> {
    /// Where it stands, with its version where an old one is meant.
    pub location: &'a Location,
    /// Bytes.
    pub size: u64,
    /// The `ETag` it must still have; `None` where none is known.
    pub etag: Option<&'a str>,
}

impl StoreHandle {
    /// Fails where writing is refused: by the program's start, or by a read-only place.
    pub fn check_writable(&self, key: &str) -> Result<()> {
        self.writable(key)
    }

    /// Whether it is surely the bucket, disk or memory that `other` is: the same address with the same
    /// credentials.
    pub fn is_same_store(&self, other: &Self) -> bool {
        self.id == other.id || (self.id.authority == other.id.authority && self.shares_account(other))
    }

    /// Whether it may be the bucket that `other` is under another address, so that equal keys may be one object.
    pub fn may_be_same_store(&self, other: &Self) -> bool {
        self.id.scheme == other.id.scheme && self.id.authority == other.id.authority
    }

    fn shares_account(&self, other: &Self) -> bool {
        matches!((&self.backend, &other.backend), (Backend::S3(one), Backend::S3(two)) if one.shares_account(two))
    }

    /// Whether this server can copy from `source` by itself: it is the same one, reached with the same credentials.
    pub async fn can_copy_from(&self, source: &Self) -> bool {
        match (&self.backend, &source.backend) {
            (Backend::S3(one), Backend::S3(two)) => one.shares_account(two) || one.shares_keys(two).await,
            _ => false,
        }
    }

    /// Copies an object within the server, with all that stands beside its bytes; gives the copy's `ETag`, empty
    /// where the server tells none. [`Kind::Changed`] where the source is another by now, [`Kind::Exists`] where
    /// something stands at `key` and `if_absent` keeps it.
    pub async fn copy_object(
        &self,
        source: &Self,
        from: Pinned<'_>,
        key: &str,
        class: Option<&str>,
        if_absent: bool,
    ) -> Result<String> {
        self.writable(key)?;
        match (&self.backend, &source.backend) {
            (Backend::S3(s3), Backend::S3(source)) => {
                s3.copy_from(&self.traffic, source, from, key, class, if_absent).await
            }
            _ => Err(self.cannot_copy()),
        }
    }

    /// Copies a range of an object, within the server, as part `number` of an upload; gives its `ETag`. Not every
    /// server looks whether the source is still the same: whoever completes the upload does.
    pub async fn copy_part(
        &self,
        source: &Self,
        from: Pinned<'_>,
        range: std::ops::Range<u64>,
        key: &str,
        upload_id: &str,
        number: u32,
    ) -> Result<String> {
        self.writable(key)?;
        match (&self.backend, &source.backend) {
            (Backend::S3(s3), Backend::S3(source)) => {
                s3.copy_part(&self.traffic, source, from, range, key, upload_id, number).await
            }
            _ => Err(self.cannot_copy()),
        }
    }

    fn cannot_copy(&self) -> Error {
        Error::unsupported(format!("{}:// does not copy by itself", self.id.scheme.as_str()))
    }

    /// Reads a range of an object on condition that it is still the same: else [`Kind::Changed`].
    pub async fn read_pinned(&self, from: Pinned<'_>, range: std::ops::Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let length = range.end - range.start;
        let options = GetOptions::new().with_range(Some(range)).with_if_match(from.etag.map(str::to_owned));
        let got = self.store.get_opts(&self.path(from.location.key()), options).await?;
        // A server that knows no conditions tells the ETag all the same.
        if let (Some(now), Some(etag)) = (&got.meta.e_tag, from.etag)
            && now.trim_matches('"') != etag.trim_matches('"')
        {
            return Err(changed(from.location));
        }
        let bytes = got.bytes().await?;
        if bytes.len() as u64 != length {
            return Err(Error::invalid(format!("{} ends before the bytes that were asked for", from.location)));
        }
        Ok(bytes)
    }

    /// Deletes an object on condition that it is still the same: else [`Kind::Changed`]. One that is gone already
    /// is no error.
    pub async fn delete_unchanged(&self, key: &str, etag: &str) -> Result<()> {
        self.writable(key)?;
        if let Backend::S3(s3) = &self.backend {
            return s3.delete_unchanged(&self.traffic, key, etag).await;
        }
        match self.store.head(&self.path(key)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(()),
            Err(err) => return Err(err.into()),
            Ok(now) if now.e_tag.as_deref().is_some_and(|now| now.trim_matches('"') != etag.trim_matches('"')) => {
                return Err(changed(&Location::new(self.id.scheme, self.id.profile.clone(), &self.id.authority, key)));
            }
            Ok(_) => {}
        }
        self.delete(key).await
    }

    /// Gives a local file another name; `None` where that takes a copy.
    pub async fn rename_file(&self, from: &str, to: &str, if_absent: bool) -> Result<Option<String>> {
        self.writable(from)?;
        let source = PathBuf::from(from);
        self.on_disk(to, 0, move |to| local::rename(&source, to, if_absent)).await
    }

    /// Copies a local file on the disk, under the name of an upload that was created for it; `tell` is told of
    /// bytes that are copied, and may stop it.
    pub async fn copy_file(
        &self,
        from: &str,
        to: &str,
        upload_id: &str,
        if_absent: bool,
        tell: impl Fn(u64) -> Result<()> + Send + Sync + 'static,
    ) -> Result<String> {
        self.writable(to)?;
        let (source, id) = (PathBuf::from(from), upload_id.to_owned());
        let stopped: Arc<std::sync::Mutex<Option<Error>>> = Arc::default();
        let why = stopped.clone();
        let copied = self.on_disk(to, 0, move |to| {
            let tell = |bytes| {
                tell(bytes).map_err(|err| {
                    *why.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(err);
                    io::Error::other("stopped")
                })
            };
            local::copy_whole(&source, to, &id, if_absent, &tell)
        });
        let copied = copied.await;
        let stopped = stopped.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        stopped.map_or(copied, Err)
    }

    /// Removes a local folder if nothing is in it, and tells whether it did.
    pub async fn remove_empty_folder(&self, key: &str) -> Result<bool> {
        self.writable(key)?;
        self.on_disk(key, 0, |path: &Path| Ok(std::fs::remove_dir(path).is_ok())).await
    }

    /// What of `meta` this store cannot keep, in words; `None` where it keeps all.
    pub fn loses(&self, meta: &UploadMeta) -> Option<&'static str> {
        match &self.backend {
            Backend::Local if !meta.metadata.is_empty() || !meta.tags.is_empty() => {
                Some("a local folder keeps no metadata, tags or content types")
            }
            Backend::Memory(_) | Backend::Other if !meta.tags.is_empty() => Some("this store keeps no tags"),
            _ => None,
        }
    }
}

/// The error for an object that is not what it was.
pub(super) fn changed(location: &Location) -> Error {
    Error::new(Kind::Changed, format!("{location} changed while it was copied"))
        .with_hint("nothing was written in its place; try again when nobody writes it")
}
