//! The store in this process: what tests and dry runs write to.

use super::UploadMeta;
use crate::error::{Error, Kind, Result};
use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStore as _, PutMode, PutOptions, PutPayload, TagSet};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Parts that wait to be put together.
#[derive(Default)]
struct Waiting {
    meta: UploadMeta,
    parts: BTreeMap<u32, Bytes>,
}

/// Objects, and uploads under way. Tags are not kept.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) store: Arc<InMemory>,
    uploads: Mutex<HashMap<String, Waiting>>,
}

/// What `object_store` keeps beside the bytes.
pub(super) fn put_options(meta: &UploadMeta, if_absent: bool) -> PutOptions {
    let mut attributes = Attributes::default();
    if let Some(kind) = &meta.content_type {
        attributes.insert(Attribute::ContentType, kind.clone().into());
    }
    if let Some(class) = &meta.storage_class {
        attributes.insert(Attribute::StorageClass, class.clone().into());
    }
    for (name, value) in [
        (Attribute::ContentEncoding, &meta.content_encoding),
        (Attribute::ContentLanguage, &meta.content_language),
        (Attribute::ContentDisposition, &meta.content_disposition),
        (Attribute::CacheControl, &meta.cache_control),
    ] {
        if let Some(value) = value {
            attributes.insert(name, value.clone().into());
        }
    }
    for (key, value) in &meta.metadata {
        attributes.insert(Attribute::Metadata(key.clone().into()), value.clone().into());
    }
    let mut tags = TagSet::default();
    for (key, value) in &meta.tags {
        tags.push(key, value);
    }
    let mode = if if_absent { PutMode::Create } else { PutMode::Overwrite };
    PutOptions { mode, tags, attributes, ..PutOptions::default() }
}

fn gone() -> Error {
    Error::new(Kind::NotFound, "the upload is gone").with_hint("start the upload again")
}

impl Memory {
    fn with<T>(&self, f: impl FnOnce(&mut HashMap<String, Waiting>) -> T) -> T {
        f(&mut self.uploads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn create_upload(&self, meta: &UploadMeta) -> String {
        let id = ulid::Ulid::new().to_string();
        self.with(|all| all.insert(id.clone(), Waiting { meta: meta.clone(), ..Waiting::default() }));
        id
    }

    pub(super) fn put_part(&self, id: &str, number: u32, body: Bytes) -> Result<String> {
        let etag = format!("\"{}-{number}\"", body.len());
        self.with(|all| {
            all.get_mut(id).ok_or_else(gone)?.parts.insert(number, body);
            Ok(etag)
        })
    }

    pub(super) async fn complete_upload(
        &self,
        path: &Path,
        id: &str,
        parts: &[(u32, String)],
        if_absent: bool,
    ) -> Result<String> {
        let (meta, whole) = self.with(|all| {
            let waiting = all.get(id).ok_or_else(gone)?;
            let mut whole = Vec::new();
            for (number, etag) in parts {
                let part = waiting.parts.get(number).filter(|p| *etag == format!("\"{}-{number}\"", p.len()));
                let part = part.ok_or_else(|| Error::new(Kind::Failed, format!("part {number} was not sent")))?;
                whole.push(part.clone());
            }
            Ok::<_, Error>((waiting.meta.clone(), PutPayload::from_iter(whole)))
        })?;
        let put = self.store.put_opts(path, whole, put_options(&meta, if_absent)).await?;
        self.abort_upload(id);
        Ok(put.e_tag.unwrap_or_default())
    }

    pub(super) fn abort_upload(&self, id: &str) {
        self.with(|all| all.remove(id));
    }
}
