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
}
