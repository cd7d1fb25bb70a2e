//! Where the keys of a Zarr are read: a folder of any store, a zip that is read by ranges, or
//! Kerchunk's references into other files. Everything through the stores: metered and limited.

use super::records::is_records;
use super::refs::References;
use super::zip::Archive;
use crate::entry::EntryKind;
use crate::error::{Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::{StoreHandle, Stores};
use crate::task::Control;
use crate::text;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::{GetOptions, GetRange};
use std::ops::Range;

/// Entries of a level that are looked through.
const LISTED: usize = 10_000;

/// Reads keys. A key has no `/` at its start: `temp/c/0/0`.
#[derive(Clone)]
pub struct Source {
    location: Location,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Folder { handle: StoreHandle, base: Location },
    Zip(Archive),
    References(References),
}

/// What a listing delivers: keys below what was listed, relative to it, with their sizes.
pub(super) type Keys = BoxStream<'static, Result<Vec<(String, u64)>>>;

/// Whether a name is that of a zip which holds a Zarr.
pub(super) fn is_zip(name: &str) -> bool {
    ends(name, &[".zarr.zip"])
}

/// Whether a name is one that is given to references: those of Kerchunk have no suffix of their own.
pub(super) fn is_references(name: &str) -> bool {
    let names = ["reference.json", "references.json"];
    names.iter().any(|n| name.eq_ignore_ascii_case(n))
        || ends(name, &[".zarr.json", ".kerchunk.json", "_kerchunk.json", ".refs.json", "_refs.json"])
}

fn ends(name: &str, any: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    any.iter().any(|end| name.len() > end.len() && name.ends_with(end))
}

impl Source {
    /// Opens what lies at `location`: a file that is called `….zarr.zip` or like references, else a folder.
    pub async fn open(stores: &Stores, location: &Location, control: &Control) -> Result<Self> {
        let place = if !location.is_container() && is_zip(location.name()) {
            Place::Zip(control.race(Archive::open(stores, location, control)).await?)
        } else if (!location.is_container() && is_references(location.name()))
            || (location.is_container() && is_records(location.name()))
        {
            Place::References(control.race(References::open(stores, location, control)).await?)
        } else {
            let base = location.as_container();
            Place::Folder { handle: stores.open(&base, &control.meter).await?, base }
        };
        let location = if let Place::Folder { base, .. } = &place { base.clone() } else { location.clone() };
        Ok(Self { location, place })
    }

    /// What it was opened for; a folder ends in `/`.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Where a member lies, if it has an address of its own.
    pub fn member(&self, path: &[String]) -> Option<Location> {
        let Place::Folder { base, .. } = &self.place else { return None };
        Some(path.iter().fold(base.clone(), |at, name| at.child(&format!("{name}/"))))
    }

    /// What kind of store it is, in a word; empty for a folder.
    pub fn kind(&self) -> &'static str {
        match &self.place {
            Place::Folder { .. } => "",
            Place::Zip(_) => "zip",
            Place::References(_) => "references",
        }
    }

    /// Whether keys can be listed without asking a server for each.
    pub fn lists_for_free(&self) -> bool {
        !matches!(self.place, Place::Folder { .. })
    }

    /// Whether keys can be listed at all: web servers tell nothing.
    pub fn can_list(&self) -> bool {
        if let Place::References(references) = &self.place {
            return references.can_list();
        }
        !matches!(&self.place, Place::Folder { base, .. } if matches!(base.scheme(), Scheme::Http | Scheme::Https))
    }

    /// Reads a key whole, in one request; `None` where there is none. More than `most` bytes are refused.
    pub async fn get(&self, key: &str, most: u64) -> Result<Option<Bytes>> {
        match &self.place {
            Place::Folder { handle, base } => {
                let at = base.child(key);
                let head = match handle.read_head(&at, most).await {
                    Ok(head) => head,
                    Err(err) if err.kind() == Kind::NotFound => return Ok(None),
                    Err(err) => return Err(err.context(format!("reading {at}"))),
                };
                if head.size > most {
                    return Err(too_large(&at.to_string(), head.size, most));
                }
                Ok(Some(head.bytes))
            }
            Place::Zip(archive) => archive.get(key, most).await,
            Place::References(references) => references.get(key, most).await,
        }
    }

    /// Reads a part of a key; `None` where there is no such key.
    pub async fn range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>> {
        match &self.place {
            Place::Folder { handle, base } => none_if_missing(handle.read_range(&base.child(key), range).await),
            Place::Zip(archive) => archive.range(key, range).await,
            Place::References(references) => references.range(key, range).await,
        }
    }

    /// Reads the last `n` bytes of a key and tells its size; `None` where there is no such key.
    pub async fn tail(&self, key: &str, n: u64) -> Result<Option<(Bytes, u64)>> {
        match &self.place {
            Place::Folder { handle, base } => {
                let options = GetOptions::new().with_range(Some(GetRange::Suffix(n)));
                let path = handle.path(base.child(key).key());
                let read = async {
                    let got = handle.object_store().get_opts(&path, options).await?;
                    let size = got.meta.size;
                    Ok((got.bytes().await?, size))
                };
                none_if_missing(read.await)
            }
            Place::Zip(archive) => {
                let Some(size) = archive.size(key) else { return Ok(None) };
                Ok(archive.range(key, size.saturating_sub(n)..size).await?.map(|bytes| (bytes, size)))
            }
            Place::References(references) => {
                let Some(bytes) = references.get(key, MOST_WHOLE).await? else { return Ok(None) };
                let size = bytes.len() as u64;
                Ok(Some((bytes.slice(size.saturating_sub(n) as usize..), size)))
            }
        }
    }

    /// All keys below a folder (`temp/c/`, or nothing for all), in pages.
    pub(super) fn list(&self, folder: &str) -> Keys {
        match &self.place {
            Place::Folder { handle, base } => {
                let at = if folder.is_empty() { base.clone() } else { base.child(folder) };
                let pages = handle.list_all(&at);
                pages
                    .map(|page| {
                        let block = page?.into_block();
                        let file = |row: &crate::listing::Row<'_>| row.kind() == EntryKind::Object;
                        let key = |row: crate::listing::Row<'_>| (row.name().to_owned(), row.size().unwrap_or(0));
                        Ok(block.rows().filter(file).map(key).collect())
                    })
                    .boxed()
            }
            Place::Zip(archive) => below(archive.keys(), folder),
            Place::References(references) => below(references.keys(), folder),
        }
    }

    /// The folders in a folder, one more than there is room for at most, and why not all.
    pub async fn folders(&self, path: &[String], room: usize) -> (Vec<String>, Option<Error>) {
        let folder: String = path.iter().flat_map(|name| [name.as_str(), "/"]).collect();
        let (mut folders, error) = match &self.place {
            Place::Folder { handle, .. } => self.listed_folders(handle, path, room).await,
            Place::Zip(archive) => (first_parts(archive.keys(), &folder), None),
            Place::References(references) => (first_parts(references.keys(), &folder), None),
        };
        // A local folder is listed in no order: which members are left out must not be chance.
        folders.sort();
        folders.dedup();
        folders.truncate(room.saturating_add(1));
        (folders, error)
    }

    async fn listed_folders(&self, handle: &StoreHandle, path: &[String], room: usize) -> (Vec<String>, Option<Error>) {
        let at = self.member(path).unwrap_or_else(|| self.location.clone());
        let mut pages = handle.list(&at);
        let (mut folders, mut seen) = (Vec::new(), 0);
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page.into_block(),
                Err(err) => return (folders, Some(err)),
            };
            seen += page.len();
            let names = page.rows().filter(|e| e.kind() == EntryKind::Prefix).map(|e| e.name().trim_end_matches('/'));
            folders.extend(names.filter(|name| is_name(name)).map(str::to_owned));
            if folders.len() > room || seen > LISTED {
                break;
            }
        }
        (folders, None)
    }
}

/// Bytes of what has to be read whole although a part was wished.
const MOST_WHOLE: u64 = 512 << 20;

/// Whether a name leads down.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".."
}

/// The first parts of the keys below a folder that have more than one.
fn first_parts<'a>(keys: impl Iterator<Item = (&'a str, u64)>, folder: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (key, _) in keys {
        let Some((name, _)) = key.strip_prefix(folder).and_then(|rest| rest.split_once('/')) else { continue };
        if is_name(name) && names.last().is_none_or(|last| last != name) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    names.dedup();
    names
}

fn below<'a>(keys: impl Iterator<Item = (&'a str, u64)>, folder: &str) -> Keys {
    let found: Vec<_> = keys.filter_map(|(key, size)| Some((key.strip_prefix(folder)?.to_owned(), size))).collect();
    futures::stream::once(std::future::ready(Ok(found))).boxed()
}

fn none_if_missing<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(err) if err.kind() == Kind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

/// The sentence for what is larger than it may be.
pub(super) fn too_large(what: &str, size: u64, most: u64) -> Error {
    let (size, most) = (text::bytes(size), text::bytes(most));
    Error::new(Kind::Limit, format!("{what} has {size}, and at most {most} are read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        for name in ["x.zarr.zip", "X.ZARR.ZIP"] {
            assert!(is_zip(name), "{name}");
        }
        assert!(!is_zip(".zarr.zip") && !is_zip("x.zip"));
        for name in ["references.json", "a.zarr.json", "b_refs.json", "c.kerchunk.json"] {
            assert!(is_references(name), "{name}");
        }
        assert!(!is_references("zarr.json") && !is_references(".zarr.json") && !is_references("x.json"));
    }

    #[test]
    fn folders_are_told_from_keys() {
        let keys = [("a/.zarray", 1), ("a/0.0", 2), ("b/c/0", 3), (".zgroup", 4), ("../x", 5)];
        assert_eq!(first_parts(keys.into_iter(), ""), ["a", "b"]);
        assert_eq!(first_parts(keys.into_iter(), "b/"), ["c"]);
    }
}
