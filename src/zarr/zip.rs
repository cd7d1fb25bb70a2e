//! A Zarr in a zip, read by ranges: the directory from the end, entries one by one.

use crate::error::{Context as _, Error, Result};
use crate::location::Location;
use crate::store::zip::{self, Entry, LOCAL};
use crate::store::{StoreHandle, Stores};
use crate::task::Control;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Bytes read from the end first.
const TAIL: u64 = 128 << 10;
/// Room for the extra field of a local header, whose length only it tells.
const EXTRA: u64 = 256;

/// An open archive. Clones share its directory.
#[derive(Clone)]
pub(super) struct Archive {
    handle: StoreHandle,
    at: Location,
    size: u64,
    entries: Arc<BTreeMap<String, Entry>>,
}

impl Archive {
    pub(super) async fn open(stores: &Stores, at: &Location, control: &Control) -> Result<Self> {
        let handle = stores.open(at, &control.meter).await?;
        let read = zip::tail(&handle, at, None, TAIL).await;
        let (tail, size) = read.context(|| format!("reading {at}"))?;
        let entries = zip::directory(tail, size, control, |range| handle.read_range(at, range)).await;
        let entries = entries.context(|| at.to_string())?;
        let entries = entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        Ok(Self { handle, at: at.clone(), size, entries: Arc::new(rooted(entries)) })
    }

    /// All keys with their packed sizes.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, u64)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry.packed))
    }

    pub(super) fn size(&self, key: &str) -> Option<u64> {
        self.entries.get(key).map(|entry| entry.size)
    }

    pub(super) async fn get(&self, key: &str, most: u64) -> Result<Option<Bytes>> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        entry.check(most)?;
        // The header's length is guessed, so that one request is enough.
        let wished = LOCAL + key.len() as u64 + EXTRA + entry.packed;
        let end = entry.header.saturating_add(wished).min(self.size);
        let bytes = self.handle.read_range(&self.at, entry.header..end).await?;
        let start = zip::local_length(&bytes)?;
        let packed = if start + entry.packed <= bytes.len() as u64 {
            bytes.slice(start as usize..(start + entry.packed) as usize)
        } else {
            let from = entry.header.saturating_add(start);
            self.handle.read_range(&self.at, from..from.saturating_add(entry.packed)).await?
        };
        let (entry, control) = (entry.clone(), Control::default());
        control.blocking(move |_| entry.unpack(packed)).await.map(Some)
    }

    pub(super) async fn range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        entry.check(u64::MAX)?;
        if range.end > entry.size {
            return Err(Error::invalid(format!("`{key}` in the zip ends before what was asked for")));
        }
        if entry.method != 0 {
            let whole = self.get(key, 512 << 20).await?;
            return Ok(whole.map(|bytes| bytes.slice(range.start as usize..range.end as usize)));
        }
        let header = self.handle.read_range(&self.at, entry.header..(entry.header + LOCAL).min(self.size)).await?;
        let start = entry.header + zip::local_length(&header)?;
        let part = start.saturating_add(range.start)..start.saturating_add(range.end);
        self.handle.read_range(&self.at, part).await.map(Some)
    }
}

/// Keys from where the Zarr begins: a zip may hold it in a folder.
fn rooted(entries: BTreeMap<String, Entry>) -> BTreeMap<String, Entry> {
    let marks = ["zarr.json", ".zgroup", ".zarray", ".zmetadata"];
    if marks.iter().any(|mark| entries.contains_key(*mark)) {
        return entries;
    }
    let top = entries.keys().find_map(|key| {
        let (folder, name) = key.split_once('/')?;
        marks.contains(&name).then(|| format!("{folder}/"))
    });
    let Some(top) = top else { return entries };
    entries.into_iter().filter_map(|(key, entry)| Some((key.strip_prefix(&top)?.to_owned(), entry))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zarr_in_a_folder_of_the_zip_is_found() {
        let entries = |keys: &[&str]| keys.iter().map(|k| ((*k).to_owned(), Entry::default())).collect();
        let found = rooted(entries(&["x.zarr/a/0", "x.zarr/zarr.json", "README"]));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a/0", "zarr.json"]);
    }
}
