//! What is known of a thing before it is opened.

use crate::location::Location;
use bytes::Bytes;

/// What is known of a thing before it is previewed: from its listing, and, once no format claimed
/// it by name, from its first bytes.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Where it is. A container (`…/`) for things that are folders: Zarr, SAFE.
    pub location: Location,
    /// Bytes, where the listing told.
    pub size: Option<u64>,
    /// `ETag`, where the listing told.
    pub etag: Option<String>,
    /// Media type, where a catalog told.
    pub media_type: Option<String>,
    /// The first bytes (at most 32 KiB), once they were read.
    pub head: Option<Bytes>,
}

impl Probe {
    /// A probe of which only the address is known.
    pub fn new(location: Location) -> Self {
        Self { location, size: None, etag: None, media_type: None, head: None }
    }

    /// Whether the name has one of these suffixes (lower case, no dot).
    pub fn has_extension(&self, any: &[&str]) -> bool {
        any.contains(&self.location.extension().as_str())
    }

    /// Whether the first bytes were read and start so.
    pub fn starts_with(&self, magic: &[u8]) -> bool {
        self.head.as_ref().is_some_and(|h| h.starts_with(magic))
    }
}
