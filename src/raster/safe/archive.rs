//! The table of contents of a zip, read from its end (APPNOTE 4.3.12 to 4.3.16, with zip64).

use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::StoreHandle;
use crate::store::gdal::Content;
use crate::task::Control;
use bytes::Bytes;
use std::collections::HashMap;
use std::io::Read as _;

/// Bytes read from the end: a directory of some hundred entries with the record behind it.
const TAIL: u64 = 128 << 10;

/// Bytes of a directory, and of one entry that is unpacked in memory.
const LARGEST_DIRECTORY: u64 = 16 << 20;
const LARGEST_ENTRY: u64 = 512 << 20;

/// Deflate makes of a byte at most so many.
const DENSEST: u64 = 1032;

const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

/// Bytes of the fixed part of a local header, and room for what follows: the name and extra fields.
const LOCAL_BYTES: u64 = 30;
const LOCAL_ROOM: u64 = 512;

/// What the directory says of an entry.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    method: u16,
    packed: u64,
    size: u64,
    /// Where its local header begins.
    start: u64,
}

/// An archive whose directory was read.
pub(super) struct Archive {
    location: Location,
    handle: StoreHandle,
    size: u64,
    entries: HashMap<String, Entry>,
}

fn u16_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 2).map_or(0, |b| u64::from(u16::from_le_bytes([b[0], b[1]])))
}

fn u32_at(bytes: &[u8], at: usize) -> u64 {
    u16_at(bytes, at) | u16_at(bytes, at + 2) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u32_at(bytes, at) | u32_at(bytes, at + 4) << 32
}

fn damaged() -> Error {
    Error::invalid("the zip is damaged or cut off")
}

impl Archive {
    /// Reads the directory: one request, two where the size is not known yet or the directory is large.
    pub(super) async fn open(
        handle: StoreHandle,
        location: &Location,
        size: Option<u64>,
        control: &Control,
    ) -> Result<Self> {
        let size = if let Some(size) = size { size } else { control.race(handle.read_head(location, 1)).await?.size };
        let first = size.saturating_sub(TAIL);
        let tail = control.race(handle.read_range(location, first..size)).await?;
        let (start, length) = directory(&tail, first)?;
        let end = start.checked_add(length).filter(|&end| end <= size).ok_or_else(damaged)?;
        if length > LARGEST_DIRECTORY {
            return Err(Error::new(Kind::Limit, "the zip has too many entries"));
        }
        let table = if start >= first {
            tail.slice((start - first) as usize..(end - first) as usize)
        } else {
            control.race(handle.read_range(location, start..end)).await?
        };
        Ok(Self { location: location.clone(), handle, size, entries: entries(&table)? })
    }

    /// Names of all entries.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        let missing =
            || Error::new(Kind::NotFound, format!("there is no {} in it", name.rsplit('/').next().unwrap_or(name)));
        let entry = self.entries.get(name).ok_or_else(missing)?;
        let lies = entry.packed > self.size || entry.start > self.size;
        let bomb = entry.size > LARGEST_ENTRY || entry.size > entry.packed.saturating_mul(DENSEST);
        match entry.method {
            _ if lies => Err(damaged()),
            0 if entry.packed == entry.size => Ok(entry),
            8 if !bomb => Ok(entry),
            8 => Err(Error::new(Kind::Limit, format!("{name} would unpack to {}", crate::text::bytes(entry.size)))),
            _ => Err(Error::unsupported(format!("{name} is packed by a method that is not read here"))),
        }
    }

    /// Where an entry's bytes begin and end: its local header is read, or guessed with room to spare.
    async fn extent(&self, name: &str, control: &Control) -> Result<std::ops::Range<u64>> {
        let entry = self.entry(name)?;
        let end = (entry.start + LOCAL_BYTES + LOCAL_ROOM).min(self.size);
        let header = control.race(self.handle.read_range(&self.location, entry.start..end)).await?;
        self.placed(entry, &header)
    }

    fn placed(&self, entry: &Entry, header: &[u8]) -> Result<std::ops::Range<u64>> {
        if !header.starts_with(LOCAL) || (header.len() as u64) < LOCAL_BYTES {
            return Err(damaged());
        }
        let start = entry.start + LOCAL_BYTES + u16_at(header, 26) + u16_at(header, 28);
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
        let end = entry.start.saturating_add(LOCAL_BYTES + LOCAL_ROOM + entry.packed.min(limit)).min(self.size);
        let got = control.race(self.handle.read_range(&self.location, entry.start..end)).await?;
        let part = self.placed(entry, &got)?;
        let from = (part.start - entry.start) as usize;
        let to = got.len().min((part.end - entry.start) as usize);
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

/// Where the directory is and how long, from the end of an archive that begins at `first`.
fn directory(tail: &Bytes, first: u64) -> Result<(u64, u64)> {
    let end = memchr::memmem::rfind(tail, END).filter(|&at| at + 22 <= tail.len());
    let end = end.ok_or_else(|| Error::invalid("it is no zip, or cut off"))?;
    let (length, start) = (u32_at(tail, end + 12), u32_at(tail, end + 16));
    if start < u64::from(u32::MAX) && length < u64::from(u32::MAX) {
        return Ok((start, length));
    }
    let record = memchr::memmem::rfind(&tail[..end], END64).filter(|&at| at + 56 <= tail.len());
    let record = record.ok_or_else(damaged)?;
    let (length, start) = (u64_at(tail, record + 40), u64_at(tail, record + 48));
    if start.checked_add(length).is_none_or(|end| end > first + record as u64) {
        return Err(damaged());
    }
    Ok((start, length))
}

fn entries(table: &[u8]) -> Result<HashMap<String, Entry>> {
    let mut out = HashMap::new();
    let mut rest = table;
    while rest.starts_with(CENTRAL) && rest.len() >= 46 {
        let (name, extra, comment) = (u16_at(rest, 28) as usize, u16_at(rest, 30) as usize, u16_at(rest, 32) as usize);
        let text = rest.get(46..46 + name).ok_or_else(damaged)?;
        let fields = rest.get(46 + name..46 + name + extra).ok_or_else(damaged)?;
        let mut entry = Entry {
            method: u16_at(rest, 10) as u16,
            packed: u32_at(rest, 20),
            size: u32_at(rest, 24),
            start: u32_at(rest, 42),
        };
        widen(&mut entry, fields);
        // Flag bit 0: encrypted.
        if u16_at(rest, 8) & 1 == 0 {
            out.insert(String::from_utf8_lossy(text).into_owned(), entry);
        }
        rest = rest.get(46 + name + extra + comment..).unwrap_or_default();
    }
    if out.is_empty() { Err(damaged()) } else { Ok(out) }
}

/// Sizes that 32 bits do not hold stand in an extra field, in this order, those alone that are meant.
fn widen(entry: &mut Entry, mut fields: &[u8]) {
    while fields.len() >= 4 {
        let (id, length) = (u16_at(fields, 0), u16_at(fields, 2) as usize);
        let Some(data) = fields.get(4..4 + length) else { return };
        if id == 1 {
            let mut at = 0;
            for value in [&mut entry.size, &mut entry.packed, &mut entry.start] {
                if *value == u64::from(u32::MAX) && at + 8 <= data.len() {
                    *value = u64_at(data, at);
                    at += 8;
                }
            }
        }
        fields = &fields[4 + length..];
    }
}
