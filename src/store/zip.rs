//! The directory of a zip archive that is read by ranges: found from its last bytes, one request more where it is
//! larger than these. What it says is checked, as far as that goes without its entries.
//!
//! Layout: APPNOTE.TXT 6.3.10, 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16 (its end, with
//! 64 bits too), 4.5.3 (sizes of 64 bits), appendix D (names).

use super::StoreHandle;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::task::Control;
use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectStore as _};
use std::io::Read as _;
use std::ops::Range;

/// Bytes of a directory that are read.
const MOST_DIRECTORY: u64 = 128 << 20;

/// A local header without its name and extra field.
pub(crate) const LOCAL: u64 = 30;

/// Bytes that deflate makes of one at most.
const DENSEST: u64 = 1032;

/// What the directory says of a file in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    /// Its name; folders are no entries.
    pub(crate) name: String,
    /// Where its local header begins.
    pub(crate) header: u64,
    /// Bytes of it in the archive, and unpacked.
    pub(crate) packed: u64,
    /// See `packed`.
    pub(crate) size: u64,
    /// How it is packed: 0 not at all, 8 deflate.
    pub(crate) method: u16,
    /// CRC-32 of what is unpacked.
    pub(crate) crc: u32,
    /// Whether a password is needed.
    pub(crate) encrypted: bool,
}

/// What is said of anything that is wrong with an archive.
pub(crate) fn damaged() -> Error {
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

/// Where a directory lies.
#[derive(Debug, PartialEq)]
pub(crate) struct Span {
    /// Its bytes in the archive.
    pub(crate) range: Range<u64>,
    /// Entries, of which only the last bits may be told.
    count: u64,
    mask: u64,
    /// Bytes before the archive: of a program that unpacks it.
    before: u64,
    size: u64,
}

impl Span {
    /// Finds it from the last bytes of an archive of `size` bytes.
    pub(crate) fn find(tail: &[u8], size: u64) -> Result<Self> {
        let first = size.checked_sub(tail.len() as u64).ok_or_else(damaged)?;
        // The comment behind it may hold its mark, too: of the real one the length fits.
        let fits = |at: &usize| u16_at(tail, at + 20).is_ok_and(|n| at + 22 + usize::from(n) == tail.len());
        let marks: Vec<usize> = memchr::memmem::rfind_iter(tail, b"PK\x05\x06").take(64).collect();
        let at = marks
            .iter()
            .find(|at| fits(at))
            .or(marks.iter().find(|at| *at + 22 <= tail.len()))
            .copied()
            .ok_or_else(damaged)?;
        let (mut count, mut mask) = (u64::from(u16_at(tail, at + 10)?), u64::from(u16::MAX));
        let (mut length, mut start) = (u64::from(u32_at(tail, at + 12)?), u64::from(u32_at(tail, at + 16)?));
        let mut end = first + at as u64;
        let locator = at.checked_sub(20).filter(|from| tail[*from..].starts_with(b"PK\x06\x07"));
        if let Some(locator) = locator {
            let record = memchr::memmem::rfind(&tail[..locator], b"PK\x06\x06").ok_or_else(damaged)?;
            (count, mask) = (u64_at(tail, record + 32)?, u64::MAX);
            (length, start) = (u64_at(tail, record + 40)?, u64_at(tail, record + 48)?);
            end = first + record as u64;
        }
        if length > MOST_DIRECTORY {
            let (has, most) = (crate::text::bytes(length), crate::text::bytes(MOST_DIRECTORY));
            return Err(Error::new(Kind::Limit, format!("the zip's directory has {has}, and at most {most} are read")));
        }
        // It ends where its end is told of.
        let real = end.checked_sub(length).ok_or_else(damaged)?;
        let before = real.checked_sub(start).ok_or_else(damaged)?;
        Ok(Self { range: real..end, count, mask, before, size })
    }

    /// Its bytes, where they are among the last ones of the archive.
    pub(crate) fn within(&self, tail: &Bytes) -> Option<Bytes> {
        let first = self.size.checked_sub(tail.len() as u64)?;
        let from = self.range.start.checked_sub(first)?;
        Some(tail.slice(from as usize..(self.range.end - first) as usize))
    }

    /// Its entries, in their order.
    pub(crate) fn entries(&self, directory: &[u8]) -> Result<Vec<Entry>> {
        let (mut out, mut at, mut count) = (Vec::new(), 0, 0_u64);
        while directory.get(at..at + 4) == Some(b"PK\x01\x02") {
            let (entry, length) = self.entry(&directory[at..])?;
            count += 1;
            at += length;
            if !entry.name.ends_with('/') {
                out.push(entry);
            }
        }
        if count & self.mask == self.count { Ok(out) } else { Err(damaged()) }
    }

    /// An entry, and the bytes that are said of it.
    fn entry(&self, bytes: &[u8]) -> Result<(Entry, usize)> {
        let (name, extra) = (usize::from(u16_at(bytes, 28)?), usize::from(u16_at(bytes, 30)?));
        let comment = usize::from(u16_at(bytes, 32)?);
        let words = bytes.get(46..46 + name).ok_or_else(damaged)?;
        let mut entry = Entry {
            name: named(words),
            header: u32_at(bytes, 42)?.into(),
            packed: u32_at(bytes, 20)?.into(),
            size: u32_at(bytes, 24)?.into(),
            method: u16_at(bytes, 10)?,
            crc: u32_at(bytes, 16)?,
            encrypted: u16_at(bytes, 8)? & 1 == 1,
        };
        entry.widen(bytes.get(46 + name..46 + name + extra).ok_or_else(damaged)?)?;
        entry.header = entry.header.checked_add(self.before).ok_or_else(damaged)?;
        let end = entry.header.checked_add(LOCAL).and_then(|start| start.checked_add(entry.packed));
        if end.is_none_or(|end| end > self.size) {
            let name = crate::text::fit(&entry.name, 80).into_owned();
            return Err(Error::invalid(format!("the zip says that `{name}` goes on behind its end: it is cut short")));
        }
        Ok((entry, 46 + name + extra + comment))
    }
}

impl Entry {
    /// Sizes that do not fit into 32 bits stand in the extra field with the number 1, in this order.
    fn widen(&mut self, mut extra: &[u8]) -> Result<()> {
        while extra.len() >= 4 {
            let (id, length) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
            // What stands behind the fields is no matter of ours.
            let Some(field) = extra.get(4..4 + length) else { break };
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

    /// Fails where it cannot be unpacked in memory, to at most so many bytes.
    pub(crate) fn check(&self, most: u64) -> Result<()> {
        let name = crate::text::fit(&self.name, 80);
        if self.encrypted {
            return Err(
                Error::unsupported(format!("`{name}` in the zip is encrypted")).with_hint("unpack the zip first")
            );
        }
        if self.size.max(self.packed) > most {
            let (has, most) = (crate::text::bytes(self.size.max(self.packed)), crate::text::bytes(most));
            return Err(Error::new(Kind::Limit, format!("`{name}` in the zip has {has}, and at most {most} are read")));
        }
        match self.method {
            0 if self.packed == self.size => Ok(()),
            8 if self.size <= self.packed.saturating_mul(DENSEST) => Ok(()),
            0 | 8 => Err(self.lies()),
            other => Err(Error::unsupported(format!("`{name}` in the zip is packed by method {other}"))
                .with_hint("what is stored or deflated can be read: pack it again")),
        }
    }

    /// Its bytes of what is packed; never more than the directory says. Blocks a little.
    pub(crate) fn unpack(&self, packed: Bytes) -> Result<Bytes> {
        self.check(u64::MAX)?;
        if self.method == 0 {
            return Ok(packed);
        }
        let unpacked = inflate(&packed, self.size).map_err(|err| {
            Error::invalid(format!("`{}` in the zip cannot be unpacked", crate::text::fit(&self.name, 80)))
                .with_source(err)
        })?;
        unpacked.ok_or_else(|| self.lies())
    }

    fn lies(&self) -> Error {
        let name = crate::text::fit(&self.name, 80);
        Error::invalid(format!("`{name}` in the zip is not as large as its directory says"))
    }
}

/// What is deflated, where it has this many bytes unpacked; no more of it is unpacked. Blocks a little.
pub(crate) fn inflate(packed: &[u8], size: u64) -> std::io::Result<Option<Bytes>> {
    let mut out = Vec::new();
    flate2::read::DeflateDecoder::new(packed).take(size.saturating_add(1)).read_to_end(&mut out)?;
    Ok((out.len() as u64 == size).then(|| out.into()))
}

/// The last bytes of an object, at most so many, and its size, in one request.
pub(crate) async fn tail(handle: &StoreHandle, at: &Location, size: Option<u64>, most: u64) -> Result<(Bytes, u64)> {
    let size = if let Some(size) = size {
        size
    } else {
        let options = GetOptions::new().with_range(Some(GetRange::Suffix(most)));
        match handle.object_store().get_opts(&handle.path(at.key()), options).await {
            Ok(got) => {
                let size = got.meta.size;
                return Ok((got.bytes().await?, size));
            }
            // Azure counts from the start only.
            Err(object_store::Error::NotSupported { .. }) => handle.read_head(at, 1).await?.size,
            Err(err) => return Err(err.into()),
        }
    };
    Ok((handle.read_range(at, size.saturating_sub(most)..size).await?, size))
}

/// Reads the directory, of which `tail` are the last bytes or more; `fetch` gets what is missing.
pub(crate) async fn directory<F: Future<Output = Result<Bytes>>>(
    tail: Bytes,
    size: u64,
    control: &Control,
    fetch: impl FnOnce(Range<u64>) -> F,
) -> Result<Vec<Entry>> {
    let span = Span::find(&tail, size)?;
    let bytes = match span.within(&tail) {
        Some(bytes) => bytes,
        None => control.race(fetch(span.range.clone())).await?,
    };
    control.blocking(move |_| span.entries(&bytes)).await
}

/// Bytes of a local header, with its name and extra field: only it tells their lengths.
pub(crate) fn local_length(bytes: &[u8]) -> Result<u64> {
    if !bytes.starts_with(b"PK\x03\x04") {
        return Err(damaged());
    }
    Ok(LOCAL + u64::from(u16_at(bytes, 26)?) + u64::from(u16_at(bytes, 28)?))
}

/// UTF-8, whether that is declared or not; else the characters of the first PCs.
fn named(bytes: &[u8]) -> String {
    const UPPER: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
    let character = |byte: &u8| match byte.checked_sub(128) {
        None => char::from(*byte),
        Some(index) => UPPER.chars().nth(index.into()).unwrap_or(char::REPLACEMENT_CHARACTER),
    };
    std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().map(character).collect(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn archive(files: &[(&str, &[u8])], large: bool) -> Vec<u8> {
        let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().large_file(large);
        out.add_directory("folder", options).expect("a folder");
        for (name, bytes) in files {
            out.start_file(*name, options).expect("an entry");
            out.write_all(bytes).expect("written");
        }
        out.finish().expect("a zip").into_inner()
    }

    fn read(bytes: &[u8], tail: usize) -> Result<Vec<Entry>> {
        let span = Span::find(&bytes[bytes.len().saturating_sub(tail)..], bytes.len() as u64)?;
        span.entries(&bytes[span.range.start as usize..span.range.end as usize])
    }

    #[test]
    fn entries_are_found_wherever_the_directory_is() {
        let text = b"depth,temperature\n".repeat(50);
        let plain = archive(&[("a.csv", &text), ("folder/b", b"x")], false);
        let shifted = [&[7; 1000][..], &plain].concat();
        for (bytes, what) in [(&plain, "plain"), (&archive(&[("a.csv", &text), ("folder/b", b"x")], true), "large")] {
            let entries = read(bytes, 1 << 16).unwrap_or_else(|err| panic!("{what}: {err}"));
            let names: Vec<&str> = entries.iter().map(|e| e.name.as_str()).collect();
            assert_eq!(names, ["a.csv", "folder/b"], "{what}");
            // The last bytes do not hold all of it.
            assert_eq!(read(bytes, 60).ok(), Some(entries), "{what}");
        }
        for bytes in [&plain, &shifted] {
            let entry = &read(bytes, 1 << 16).expect("entries")[0];
            let start = entry.header + local_length(&bytes[entry.header as usize..]).expect("a header");
            let packed = Bytes::copy_from_slice(&bytes[start as usize..(start + entry.packed) as usize]);
            assert_eq!(entry.unpack(packed).expect("unpacked"), text);
        }
    }

    #[test]
    fn a_mark_in_the_comment_is_none() {
        let mut bytes = archive(&[("a", b"1")], false);
        let comment = b"PK\x05\x06 is how the end begins";
        let length = bytes.len() - 2;
        bytes[length..].copy_from_slice(&(comment.len() as u16).to_le_bytes());
        bytes.extend(comment);
        assert_eq!(read(&bytes, 1 << 16).expect("entries").len(), 1);
    }

    #[test]
    fn what_is_cut_or_lies_is_refused() {
        let bytes = archive(&[("a", b"12345"), ("b", b"678")], false);
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut], 1 << 16).is_err(), "cut at {cut}");
        }
        let central = memchr::memmem::find(&bytes, b"PK\x01\x02").expect("a directory");
        let end = memchr::memmem::rfind(&bytes, b"PK\x05\x06").expect("its end");
        // Counts, lengths, offsets and names that are not so.
        for (at, value) in
            [(end + 10, 9), (end + 12, 0xff), (end + 16, 0xff), (central + 28, 0xff), (central + 23, 0x7f)]
        {
            let mut lying = bytes.clone();
            lying[at] = value;
            assert!(read(&lying, 1 << 16).is_err(), "byte {at}");
        }
        let mut vast = bytes.clone();
        vast[end + 15] = 0x7f;
        assert_eq!(read(&vast, 1 << 16).expect_err("vast").kind(), Kind::Limit);
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![0; 1 << 20]).expect("packed");
        let packed = Bytes::from(packer.finish().expect("packed"));
        let entry = |size, method| Entry { packed: packed.len() as u64, size, method, ..Entry::default() };
        let said = entry(1000, 8).unpack(packed.clone()).expect_err("a bomb").to_string();
        assert!(said.contains("not as large"), "{said}");
        assert!(entry(1 << 40, 8).check(u64::MAX).is_err(), "no deflate is so dense");
        assert_eq!(entry(1 << 20, 8).check(1000).expect_err("too large").kind(), Kind::Limit);
        assert_eq!(entry(1 << 20, 8).unpack(packed.clone()).expect("whole").len(), 1 << 20);
        assert!(entry(1, 99).unpack(packed).expect_err("unknown").to_string().contains("method 99"));
    }

    #[test]
    fn names_of_old_archives_are_read() {
        assert_eq!(named(b"L\x84nder/\xe1.csv"), "Länder/ß.csv");
        assert_eq!(named("Länder".as_bytes()), "Länder");
    }
}
