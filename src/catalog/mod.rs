//! STAC catalogs (<https://stacspec.org>, 1.0 and 1.1, and what is near them), for reading.
//!
//! A [`Document`] is read leniently: whatever is there is shown, and where the document is not what
//! the specification asks for, [`Document::fault`] says so. Nothing here follows a link by itself.

mod document;

pub use document::{Asset, Child, Document, Link, Type, parse};

use crate::error::{Context, Error, Kind, Result};
use crate::location::Location;
use crate::meter::Meter;
use crate::store::Stores;

/// Bytes of a document at most: a collection that links 50,000 items has about 10 MB.
pub const MAX_BYTES: u64 = 32 << 20;

/// Reads the document at `location`, in one request.
pub async fn fetch(stores: &Stores, location: &Location, meter: &Meter) -> Result<Document> {
    let read = async {
        let head = stores.open(location, meter).await?.read_head(location, MAX_BYTES).await?;
        if head.size > MAX_BYTES {
            let size = crate::text::bytes(head.size);
            return Err(Error::new(Kind::Limit, format!("{size} are too much for one STAC document"))
                .with_hint("a catalog of this size should be split into several documents"));
        }
        parse(location, &head.bytes)
    };
    read.await.context(|| format!("reading {location}"))
}

/// Whether the name alone says that a STAC catalog or collection begins here.
pub fn is_entry_point(location: &Location) -> bool {
    let name = location.name();
    let name = name.split_once('?').map_or(name, |(path, _)| path);
    matches!(name, "catalog.json" | "collection.json")
}
