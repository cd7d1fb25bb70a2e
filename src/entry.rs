//! What a listing is made of, and what is known of one object.

use crate::location::Location;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// The kind of a listed thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// Something to open on the start screen: a profile, an endpoint, a bookmark.
    Place,
    /// A bucket of an account.
    Bucket,
    /// A common prefix, or a local folder.
    Prefix,
    /// A STAC catalog.
    Catalog,
    /// A STAC collection.
    Collection,
    /// A STAC item.
    Item,
    /// An asset of a STAC item or collection.
    Asset,
    /// An object, or a local file.
    Object,
}

impl EntryKind {
    /// Whether entering it lists something, rather than previews it.
    pub fn is_container(self) -> bool {
        !matches!(self, Self::Object | Self::Asset)
    }
}

/// One line of a listing. Small: a million of them are held at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Its name below the listed container, as the server knows it; a prefix ends in `/`.
    pub name: Box<str>,
    /// Bytes, where known.
    pub size: Option<u64>,
    /// Last modification, where known.
    pub modified: Option<DateTime<Utc>>,
    /// Its `ETag`, with quotes as sent.
    pub etag: Option<Box<str>>,
    /// What only some listings know; `None` for plain objects and prefixes.
    pub more: Option<Box<More>>,
}

/// The rarer facts of an [`Entry`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct More {
    /// Where it leads, when that is not the container's child of its name.
    pub target: Option<Location>,
    /// Media type of an asset.
    pub media_type: Option<String>,
    /// A line beside its name: a title, a path, a date.
    pub detail: Option<String>,
    /// The group it stands in on the start screen: "AWS profiles".
    pub group: Option<&'static str>,
    /// Storage class of an object.
    pub storage_class: Option<String>,
}

impl Entry {
    /// An entry of which only the name is known.
    pub fn new(kind: EntryKind, name: impl Into<Box<str>>) -> Self {
        Self { kind, name: name.into(), size: None, modified: None, etag: None, more: None }
    }

    /// Where it leads, listed in `container`.
    pub fn location(&self, container: &Location) -> Location {
        match self.more.as_ref().and_then(|m| m.target.clone()) {
            Some(target) => target,
            None => container.child(&self.name),
        }
    }
}

/// What a server says of one object.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Stat {
    /// Its address.
    pub location: Location,
    /// Bytes.
    pub size: u64,
    /// `ETag` with its quotes.
    pub etag: Option<String>,
    /// Last modification.
    pub modified: Option<DateTime<Utc>>,
    /// Content type.
    pub content_type: Option<String>,
    /// Storage class; absent means STANDARD.
    pub storage_class: Option<String>,
    /// Version id.
    pub version: Option<String>,
    /// User metadata, keys without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Tags; empty where the server has none or does not offer them.
    pub tags: BTreeMap<String, String>,
    /// What only some objects and servers have.
    #[serde(flatten)]
    pub detail: Detail,
}

/// The rarer facts of a [`Stat`], each `None` where the server did not tell. Texts are the server's.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Detail {
    /// `Content-Encoding`: `gzip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Content-Disposition`: the name under which a browser saves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Cache-Control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Expires`, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Where a website of the bucket sends its readers instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website_redirect: Option<String>,
    /// How the server encrypts it: `AES256`, `aws:kms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
    /// Id of the key, with a key service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<String>,
    /// Checksums that the server keeps, Base64, by algorithm: `sha256`, `crc64nvme`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub checksums: BTreeMap<String, String>,
    /// Parts that it was uploaded in, where its `ETag` tells (`…-38`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
    /// How many tags it has, where its header tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_count: Option<u32>,
    /// Whether it is being, or was, brought back from an archive, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<String>,
    /// When a rule of the bucket deletes it, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<String>,
    /// Whether it was replicated: `COMPLETED`, `REPLICA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication: Option<String>,
    /// `GOVERNANCE` or `COMPLIANCE`, where it is locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_mode: Option<String>,
    /// Until when it is locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_until: Option<DateTime<Utc>>,
    /// `ON` where it is held for legal reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<String>,
}

/// One version of an object, or a mark that it was deleted.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Version {
    /// Its address, with the version.
    pub location: Location,
    /// Its id; `null` for what was written while the bucket kept no versions.
    pub id: String,
    /// Whether it is what a reader gets who names no version.
    pub current: bool,
    /// Whether it marks that the object was deleted: it has no bytes.
    pub deleted: bool,
    /// Bytes; `None` for a mark.
    pub size: Option<u64>,
    /// When it was written.
    pub modified: Option<DateTime<Utc>>,
    /// `ETag` with its quotes.
    pub etag: Option<String>,
    /// Storage class; absent means STANDARD.
    pub storage_class: Option<String>,
}
