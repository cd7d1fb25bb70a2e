//! Writing: one put or several parts, with everything a server keeps beside the bytes.

use crate::error::{Error, Result};
use crate::store::StoreHandle;
use bytes::Bytes;
use std::collections::BTreeMap;

/// What is kept beside an object's bytes.
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
}

impl StoreHandle {
    /// Starts an upload in parts and returns its id. Nothing is visible at `key` before
    /// [`StoreHandle::complete_upload`].
    pub async fn create_upload(&self, key: &str, meta: &UploadMeta) -> Result<String> {
        let _ = (key, meta);
        Err(Error::unsupported("not there yet"))
    }

    /// Sends part `number` (from 1; all but the last at least 5 MiB on S3) and returns its `ETag`.
    /// Parts may be sent at once and in any order; sent again, a part replaces the former.
    pub async fn put_part(&self, key: &str, upload_id: &str, number: u32, body: Bytes) -> Result<String> {
        let _ = (key, upload_id, number, body);
        Err(Error::unsupported("not there yet"))
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
        let _ = (key, upload_id, parts, if_absent);
        Err(Error::unsupported("not there yet"))
    }

    /// Drops an upload and its parts. One that is gone already is no error.
    pub async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<()> {
        let _ = (key, upload_id);
        Err(Error::unsupported("not there yet"))
    }

    /// Writes a whole object in one request and returns its `ETag`. With `if_absent`, an object that
    /// stands at `key` is kept and [`crate::error::Kind::Exists`] is the answer.
    pub async fn put_object(&self, key: &str, body: Bytes, meta: &UploadMeta, if_absent: bool) -> Result<String> {
        let _ = (key, body, meta, if_absent);
        Err(Error::unsupported("not there yet"))
    }

    /// Deletes an object. One that is not there is no error, as on S3.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let _ = key;
        Err(Error::unsupported("not there yet"))
    }

    /// Creates the bucket of this handle's location. One that is ours already is no error.
    pub async fn create_bucket(&self) -> Result<()> {
        Err(Error::unsupported("not there yet"))
    }
}
