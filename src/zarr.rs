//! Zarr, versions 2 and 3, wherever a location leads: folders of any store, zips read by ranges, Kerchunk's
//! references. Icechunk repositories are recognised and told of: the crate that reads them is no part of
//! this program.
//!
//! | file of `zarr/` | what it knows |
//! |---|---|
//! | `document`, `member`, `hierarchy` | metadata: JSON as Python writes it, one member, all of them |
//! | `source`, `zip`, `refs`, `records` | where keys are read: folders, zips, references as JSON and as Parquet |
//! | `codec`, `nested`, `values` | chunks and shards from their bytes, numbers from chunks |
//! | `array`, `fetch`, `read` | an open array; one chunk of it; which chunks a part needs, and how many are affordable |
//! | `cf`, [`crate::calendar`], [`crate::quantity`], `ruler`, `grid` | what numbers mean: packed, missing, times, coordinates of one and two dimensions |
//! | `plane`, `pyramid`, `series` | two dimensions of an array as a [`crate::scene::Scene`] with its coarser levels, one as a list of values |
//! | `stored` | which chunks exist |

use crate::error::Result;
use crate::location::Location;
use crate::store::Stores;
use crate::task::Control;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

mod array;
mod cf;
mod codec;
mod document;
mod fetch;
mod grid;
mod hierarchy;
mod member;
mod nested;
mod plane;
mod pyramid;
mod read;
mod records;
mod refs;
mod ruler;
mod series;
mod source;
mod stored;
mod values;
mod zip;

pub use crate::calendar::{Calendar, Date, Times};
pub use array::Array;
pub use cf::Encoding;
pub use grid::Grid;
pub use hierarchy::{Hierarchy, Path};
pub use member::{About, Form, Member, VALUE, sides};
pub use plane::{Choice, Plane};
pub use read::{Afford, Span, Values};
pub use ruler::Ruler;
pub use series::Series;
pub use source::Source;
pub use stored::{Stored, stored};

/// Documents that stand in the folder of a group or an array.
const DOCUMENTS: &[&str] = &["zarr.json", ".zgroup", ".zarray", ".zmetadata"];

/// Arrays of coordinates that are kept open.
const MOST_COORDINATES: usize = 32;

/// An open Zarr: what is in it. Clones share.
#[derive(Clone)]
pub struct Zarr(Arc<Inner>);

struct Inner {
    source: Source,
    hierarchy: Hierarchy,
    /// Arrays of coordinates: many others share them, and they are read once.
    coordinates: Mutex<HashMap<Path, Array>>,
}

impl Zarr {
    /// Opens the Zarr at `location` and reads what is in it; documents of more than `max_bytes` are refused.
    pub async fn open(stores: &Stores, location: &Location, control: &Control, max_bytes: u64) -> Result<Self> {
        let source = Source::open(stores, location, control).await?;
        let hierarchy = Hierarchy::read(&source, control, max_bytes).await?;
        Ok(Self(Arc::new(Inner { source, hierarchy, coordinates: Mutex::default() })))
    }

    /// Opens the Zarr that a location lies in: also its root, and the path to what the location leads to. Where the
    /// folder that is called so holds none, the location is one itself.
    pub async fn find(
        stores: &Stores,
        location: &Location,
        control: &Control,
        max_bytes: u64,
    ) -> Result<(Self, Location, Path)> {
        let (root, path) = root_of(location);
        match Self::open(stores, &root, control, max_bytes).await {
            Err(err) if err.kind() == crate::error::Kind::NotFound && !path.is_empty() => {
                let own = home(location);
                let zarr = Self::open(stores, &own, control, max_bytes).await.map_err(|_| err)?;
                Ok((zarr, own, Path::new()))
            }
            other => Ok((other?, root, path)),
        }
    }

    /// Where its keys are read.
    pub fn source(&self) -> &Source {
        &self.0.source
    }

    /// What is in it.
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.0.hierarchy
    }

    /// Opens one of its arrays; nothing is read.
    pub fn array(&self, path: &[String]) -> Result<Array> {
        let (member, _) = self.0.hierarchy.array(path).ok_or_else(|| {
            let name = path.join("/");
            crate::error::Error::new(crate::error::Kind::NotFound, format!("there is no array `{name}` in it"))
        })?;
        Array::open(&self.0.source, path, member)
    }

    /// The array of a dimension's coordinates: always the same, so that what was read of it serves all.
    fn coordinate(&self, path: &[String]) -> Result<Array> {
        let mut known = self.0.coordinates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(array) = known.get(path) {
            return Ok(array.clone());
        }
        let array = self.array(path)?;
        if known.len() >= MOST_COORDINATES {
            known.clear();
        }
        known.insert(path.to_vec(), array.clone());
        Ok(array)
    }
}

/// Whether this is the address of a Zarr, by its name: a folder `….zarr`, a document in one, a zip of one,
/// references; or of a member of one.
pub fn claims(location: &Location) -> bool {
    let is_document = !location.is_container() && DOCUMENTS.contains(&location.name());
    is_root(location) || is_document || is_member(location)
}

/// Whether it is a folder in a Zarr, and none that chunks are kept in.
pub fn is_member(location: &Location) -> bool {
    let is_chunk = |name: &str| name == "c" || name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let (_, path) = root_of(location);
    location.is_container() && !path.is_empty() && !path.iter().any(|name| is_chunk(name))
}

/// Whether it is opened as a Zarr: the address of a whole one, by its name.
pub fn is_root(location: &Location) -> bool {
    let name = location.name().trim_end_matches('/');
    let file = !location.is_container();
    let is_listed = if file { source::is_references(name) } else { records::is_records(name) };
    is_zarr(name) || is_listed || (file && source::is_zip(name))
}

/// What a location stands for: the folder that a document lies in, else itself.
pub fn home(location: &Location) -> Location {
    match location.parent() {
        Some(parent) if !location.is_container() && DOCUMENTS.contains(&location.name()) => parent,
        _ => location.clone(),
    }
}

fn is_zarr(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, end)| !stem.is_empty() && end.eq_ignore_ascii_case("zarr"))
}

/// The root of the Zarr that a location lies in, and the path to what it leads to: `x.zarr/temp/` is `temp`
/// in `x.zarr/`. A location without a `….zarr` above it is a root itself.
pub fn root_of(location: &Location) -> (Location, Path) {
    if !location.is_container() && (source::is_zip(location.name()) || source::is_references(location.name())) {
        return (location.clone(), Path::new());
    }
    let mut at = match location.parent() {
        Some(parent) if DOCUMENTS.contains(&location.name()) => parent,
        _ => location.as_container(),
    };
    let first = at.clone();
    let mut path = Path::new();
    loop {
        let name = at.name().trim_end_matches('/').to_owned();
        if is_zarr(&name) {
            path.reverse();
            return (at, path);
        }
        path.push(name);
        match at.parent() {
            Some(above) if !above.is_account() && !above.key().is_empty() => at = above,
            _ => return (first, Path::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zarr_is_known_by_its_name_and_found_from_within() {
        let at = |text: &str| Location::parse(text).expect(text);
        for (text, claimed) in [
            ("s3://b/x.zarr/", true),
            ("s3://b/x.ZARR", true),
            ("s3://b/x.zarr.zip", true),
            ("s3://b/x/zarr.json", true),
            ("s3://b/x/references.json", true),
            ("s3://b/.zarr/", false),
            ("s3://b/x/", false),
            ("s3://b/x.json", false),
        ] {
            assert_eq!(claims(&at(text)), claimed, "{text}");
        }
        let (root, path) = root_of(&at("s3://b/d/x.zarr/a/temp/"));
        assert_eq!((root, path), (at("s3://b/d/x.zarr/"), vec!["a".to_owned(), "temp".to_owned()]));
        let (root, path) = root_of(&at("s3://b/d/x.zarr/a/.zarray"));
        assert_eq!((root, path), (at("s3://b/d/x.zarr/"), vec!["a".to_owned()]));
        assert_eq!(root_of(&at("s3://b/d/plain/")), (at("s3://b/d/plain/"), Path::new()));
        assert_eq!(root_of(&at("/tmp/x.zarr")), (at("/tmp/x.zarr/"), Path::new()));
    }
}
