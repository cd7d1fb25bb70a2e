//! A zip of a product: its files by their names.

use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::StoreHandle;
use crate::store::gdal::Content;
use crate::store::zip::{self, Entry, LOCAL, damaged};
use crate::task::Control;
use bytes::Bytes;
use std::collections::HashMap;
use std::io::Read as _;

/// Bytes read from the end: a directory of some hundred entries with the record behind it.
const TAIL: u64 = 128 << 10;

/// Bytes of one entry that is unpacked in memory.
const LARGEST_ENTRY: u64 = 512 << 20;

/// Room for what follows the fixed part of a local header: the name and extra fields.
const LOCAL_ROOM: u64 = 512;

/// An archive whose directory was read.
pub(super) struct Archive {
    location: Location,
    handle: StoreHandle,
    size: u64,
    entries: HashMap<String, Entry>,
}

impl Archive {
    /// Reads the directory: one request, two where the directory is large.
    pub(super) async fn open(
        handle: StoreHandle,
        location: &Location,
        size: Option<u64>,
        control: &Control,
    ) -> Result<Self> {
        let (tail, size) = control.race(zip::tail(&handle, location, size, TAIL)).await?;
        let entries = zip::directory(tail, size, control, |range| handle.read_range(location, range)).await?;
        let entries = entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        Ok(Self { location: location.clone(), handle, size, entries })
    }

    /// Names of all entries.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        let missing =
            || Error::new(Kind::NotFound, format!("there is no {} in it", name.rsplit('/').next().unwrap_or(name)));
        let entry = self.entries.get(name).ok_or_else(missing)?;
        // What is stored is read by ranges.
        entry.check(if entry.method == 0 { u64::MAX } else { LARGEST_ENTRY })?;
        Ok(entry)
    }

    /// Where an entry's bytes begin and end: its local header is read, or guessed with room to spare.
    async fn extent(&self, name: &str, control: &Control) -> Result<std::ops::Range<u64>> {
        let entry = self.entry(name)?;
        let end = (entry.header + LOCAL + LOCAL_ROOM).min(self.size);
        let header = control.race(self.handle.read_range(&self.location, entry.header..end)).await?;
        self.placed(entry, &header)
    }

    fn placed(&self, entry: &Entry, header: &[u8]) -> Result<std::ops::Range<u64>> {
        let start = entry.header + zip::local_length(header)?;
        let end = start.checked_add(entry.packed).filter(|&end| end <= self.size).ok_or_else(damaged)?;
        Ok(start..end)
    }

    /// An entry that GDAL can open, by one small request.
    pub(super) async fn content(&self, name: &str, control: &Control) -> Result<Content> {
        let part = self.extent(name, control).await?;
        let (location, entry) = (self.location.clone(), self.entry(name)?);
        Ok(match entry.method {
            0 => Content::Object { location, part: Some(part) },
            _ => Content::Deflated { location, part, size: entry.size },
        })
    }

    /// The bytes of an entry, at most the first `limit` of what it holds, by one request.
    pub(super) async fn read(&self, name: &str, limit: u64, control: &Control) -> Result<Bytes> {
        let entry = self.entry(name)?;
        let end = entry.header.saturating_add(LOCAL + LOCAL_ROOM + entry.packed.min(limit)).min(self.size);
        let got = control.race(self.handle.read_range(&self.location, entry.header..end)).await?;
        let part = self.placed(entry, &got)?;
        let from = (part.start - entry.header) as usize;
        let to = got.len().min((part.end - entry.header) as usize);
        let packed = got.get(from..to).ok_or_else(damaged)?;
        if entry.method == 0 {
            return Ok(got.slice(from..to.min(from + limit as usize)));
        }
        let mut out = Vec::new();
        let read = flate2::read::DeflateDecoder::new(packed).take(limit).read_to_end(&mut out);
        // Of what was read in part, the beginning is whole.
        if read.is_err() && (out.is_empty() || (part.end - part.start) <= packed.len() as u64) {
            return Err(damaged());
        }
        Ok(out.into())
    }
}
