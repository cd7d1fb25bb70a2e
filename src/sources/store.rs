//! Buckets, prefixes and folders: whatever a store lists itself.

use crate::source::Source;

/// Lists one level of a store.
pub(super) const SOURCE: Source =
    Source { name: "store", matches: |_| true, list: |stores, location| stores.list(&location) };
