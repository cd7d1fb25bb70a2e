//! A Zarr in a zip, read by ranges: the directory from the end, entries one by one.
//!
//! Layout: APPNOTE.TXT 6.3.10, 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16 (its end,
//! with 64 bits too).

use super::source::too_large;
use crate::error::{Context as _, Error, Kind, Result};
use crate::location::Location;
use crate::store::{StoreHandle, Stores};
use crate::task::Control;
use bytes::Bytes;
use object_store::{GetOptions, GetRange};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::Range;
use std::sync::Arc;

/// Bytes read from the end first.
const TAIL: u64 = 64 << 10;
/// Bytes of the directory that are read.
const MOST_DIRECTORY: u64 = 128 << 20;
/// A local header without its name and extra field.
const LOCAL: u64 = 30;
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

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    header: u64,
    packed: u64,
    size: u64,
    method: u16,
    encrypted: bool,
}

impl Archive {
    pub(super) async fn open(stores: &Stores, at: &Location, control: &Control) -> Result<Self> {
        let handle = stores.open(at, &control.meter).await?;
        let path = handle.path(at.key());
        let options = GetOptions::new().with_range(Some(GetRange::Suffix(TAIL)));
        let got = handle.object_store().get_opts(&path, options).await.context(|| format!("reading {at}"))?;
        let size = got.meta.size;
        let tail = got.bytes().await.context(|| format!("reading {at}"))?;
        let end = find_end(&tail, size).context(|| at.to_string())?;
        let (start, length) = (end.start, end.length);
        if length > MOST_DIRECTORY {
            return Err(too_large(&format!("the directory of {at}"), length, MOST_DIRECTORY));
        }
        if start.checked_add(length).is_none_or(|stop| stop > size) {
            return Err(damaged().context(at.to_string()));
        }
        let before = size - tail.len() as u64;
        let directory = match start.checked_sub(before) {
            Some(from) => tail.slice(from as usize..(from + length) as usize),
            None => handle.read_range(at, start..start + length).await?,
        };
        let entries = control.blocking(move |_| read_directory(&directory)).await.context(|| at.to_string())?;
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
        let Some(&entry) = self.entries.get(key) else { return Ok(None) };
        if entry.size.max(entry.packed) > most {
            return Err(too_large(&format!("`{key}` in the zip"), entry.size.max(entry.packed), most));
        }
        // The header's length is guessed, so that one request is enough.
        let wished = LOCAL + key.len() as u64 + EXTRA + entry.packed;
        let end = entry.header.saturating_add(wished).min(self.size);
        let bytes = self.handle.read_range(&self.at, entry.header..end).await?;
        let start = local_length(&bytes)?;
        let packed = if start + entry.packed <= bytes.len() as u64 {
            bytes.slice(start as usize..(start + entry.packed) as usize)
        } else {
            let from = entry.header.saturating_add(start);
            self.handle.read_range(&self.at, from..from.saturating_add(entry.packed)).await?
        };
        let name = key.to_owned();
        let control = Control::default();
        control.blocking(move |_| unpack(packed, entry, &name)).await.map(Some)
    }

    pub(super) async fn range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>> {
        let Some(&entry) = self.entries.get(key) else { return Ok(None) };
        if range.end > entry.size {
            return Err(Error::invalid(format!("`{key}` in the zip ends before what was asked for")));
        }
        if entry.method != 0 {
            let whole = self.get(key, 512 << 20).await?;
            return Ok(whole.map(|bytes| bytes.slice(range.start as usize..range.end as usize)));
        }
        let header = self.handle.read_range(&self.at, entry.header..(entry.header + LOCAL).min(self.size)).await?;
        let start = entry.header + local_length(&header)?;
        let part = start.saturating_add(range.start)..start.saturating_add(range.end);
        self.handle.read_range(&self.at, part).await.map(Some)
    }
}

fn damaged() -> Error {
    Error::invalid("not a zip archive, or one that is damaged or cut off")
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    let two = bytes.get(at..at + 2).and_then(|b| b.try_into().ok());
    two.map(u16::from_le_bytes).ok_or_else(damaged)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    let four = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    four.map(u32::from_le_bytes).ok_or_else(damaged)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    let eight = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
    eight.map(u64::from_le_bytes).ok_or_else(damaged)
}

/// Where the directory lies.
struct End {
    start: u64,
    length: u64,
}

/// Finds it from the end of the archive, of which `tail` are the last bytes.
fn find_end(tail: &[u8], size: u64) -> Result<End> {
    let at = memchr::memmem::rfind(tail, b"PK\x05\x06").ok_or_else(damaged)?;
    let (length, start) = (u32_at(tail, at + 12)?, u32_at(tail, at + 16)?);
    let locator = at.checked_sub(20).filter(|from| tail[*from..].starts_with(b"PK\x06\x07"));
    let Some(locator) = locator else { return Ok(End { start: start.into(), length: length.into() }) };
    let before = size - tail.len() as u64;
    let large = u64_at(tail, locator + 8)?.checked_sub(before).and_then(|at| usize::try_from(at).ok());
    let large = large.filter(|at| tail.get(*at..).is_some_and(|rest| rest.starts_with(b"PK\x06\x06")));
    let large = large.ok_or_else(damaged)?;
    Ok(End { start: u64_at(tail, large + 48)?, length: u64_at(tail, large + 40)? })
}

fn read_directory(bytes: &[u8]) -> Result<BTreeMap<String, Entry>> {
    let (mut entries, mut at) = (BTreeMap::new(), 0);
    while bytes.get(at..at + 4) == Some(b"PK\x01\x02") {
        let (name, extra) = (usize::from(u16_at(bytes, at + 28)?), usize::from(u16_at(bytes, at + 30)?));
        let comment = usize::from(u16_at(bytes, at + 32)?);
        let mut entry = Entry {
            header: u32_at(bytes, at + 42)?.into(),
            packed: u32_at(bytes, at + 20)?.into(),
            size: u32_at(bytes, at + 24)?.into(),
            method: u16_at(bytes, at + 10)?,
            encrypted: u16_at(bytes, at + 8)? & 1 == 1,
        };
        let words = bytes.get(at + 46..at + 46 + name).ok_or_else(damaged)?;
        let more = bytes.get(at + 46 + name..at + 46 + name + extra).ok_or_else(damaged)?;
        entry.widen(more)?;
        let key = String::from_utf8_lossy(words).into_owned();
        if !key.ends_with('/') {
            entries.insert(key, entry);
        }
        at += 46 + name + extra + comment;
    }
    Ok(entries)
}

impl Entry {
    /// Sizes that do not fit into 32 bits stand in the extra field with the number 1.
    fn widen(&mut self, mut extra: &[u8]) -> Result<()> {
        while extra.len() >= 4 {
            let (id, length) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
            let field = extra.get(4..4 + length).ok_or_else(damaged)?;
            if id == 1 {
                let mut at = 0;
                for value in [&mut self.size, &mut self.packed, &mut self.header] {
                    if *value == u64::from(u32::MAX) {
                        *value = u64_at(field, at)?;
                        at += 8;
                    }
                }
            }
            extra = &extra[4 + length..];
        }
        Ok(())
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

/// Bytes of a local header with its name and extra field.
fn local_length(bytes: &[u8]) -> Result<u64> {
    if !bytes.starts_with(b"PK\x03\x04") {
        return Err(damaged());
    }
    Ok(LOCAL + u64::from(u16_at(bytes, 26)?) + u64::from(u16_at(bytes, 28)?))
}

/// An entry's bytes; never more than its directory says.
fn unpack(packed: Bytes, entry: Entry, key: &str) -> Result<Bytes> {
    if entry.encrypted {
        return Err(Error::unsupported(format!("`{key}` in the zip is encrypted")).with_hint("unpack the zip first"));
    }
    match entry.method {
        0 => Ok(packed),
        8 => {
            let mut out = Vec::new();
            let mut reader = flate2::read::DeflateDecoder::new(packed.as_ref()).take(entry.size + 1);
            reader
                .read_to_end(&mut out)
                .map_err(|err| Error::invalid(format!("`{key}` in the zip cannot be unpacked")).with_source(err))?;
            if out.len() as u64 != entry.size {
                return Err(Error::invalid(format!("`{key}` in the zip is not as large as its directory says")));
            }
            Ok(out.into())
        }
        other => Err(Error::new(Kind::Unsupported, format!("`{key}` in the zip is packed by method {other}"))
            .with_hint("Zarr in a zip is stored, or deflated: pack it again")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(size: u64, method: u16) -> Entry {
        Entry { header: 0, packed: 0, size, method, encrypted: false }
    }

    #[test]
    fn what_is_no_zip_is_refused() {
        assert!(find_end(b"nothing of the kind", 19).is_err());
        assert!(local_length(b"PK\x03\x04").is_err());
        assert!(read_directory(&[b"PK\x01\x02".as_slice(), &[0xff; 20]].concat()).is_err());
    }

    #[test]
    fn an_entry_that_is_larger_than_it_says_is_refused() {
        use std::io::Write as _;
        let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![0; 1 << 20]).expect("packed");
        let packed = Bytes::from(packer.finish().expect("packed"));
        let err = unpack(packed.clone(), entry(1000, 8), "k").expect_err("a bomb").to_string();
        assert!(err.contains("not as large"), "{err}");
        assert_eq!(unpack(packed.clone(), entry(1 << 20, 8), "k").expect("whole").len(), 1 << 20);
        assert!(unpack(packed, entry(1, 99), "k").expect_err("unknown").to_string().contains("method 99"));
    }

    #[test]
    fn a_zarr_in_a_folder_of_the_zip_is_found() {
        let entries = |keys: &[&str]| keys.iter().map(|k| ((*k).to_owned(), entry(0, 0))).collect::<BTreeMap<_, _>>();
        let found = rooted(entries(&["x.zarr/a/0", "x.zarr/zarr.json", "README"]));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a/0", "zarr.json"]);
    }
}
