//! Unpacks what is fed to it, piece by piece: text as it is, gzip (also several members in a row), and zip
//! archives of one file, read from the front without their directory.
//!
//! Zip's layout: APPNOTE.TXT 6.3.10, sections 4.3.7 (local file header) and 4.3.9 (data descriptor).

use crate::error::{Error, Result};
use flate2::write::MultiGzDecoder;
use flate2::{Crc, Decompress, FlushDecompress, Status};
use std::io::Write as _;

/// Bytes of packed input unpacked in one go. Deflate makes at most a thousand times as much of it.
const SLICE: usize = 16 << 10;
/// Bytes after a zip's member that tell whether another follows.
const TAIL: usize = 256;
/// Length of a local file header without its name and extra field.
const LOCAL: usize = 30;

const LOCAL_MAGIC: &[u8] = b"PK\x03\x04";
const DESCRIPTOR_MAGIC: &[u8] = b"PK\x07\x08";

/// An unpacker; what the bytes are is told by the first of them.
pub(crate) struct Unpack(State);

enum State {
    /// The first bytes, as long as they tell nothing.
    Start(Vec<u8>),
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zip(Box<Zip>),
}

impl Unpack {
    /// For the start of a file.
    pub(crate) fn new() -> Self {
        Self(State::Start(Vec::new()))
    }

    /// Gives what `input` unpacks to, to `each`, in pieces of at most some 16 MiB.
    pub(crate) fn feed(&mut self, input: &[u8], mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let State::Start(first) = &mut self.0 {
            first.extend_from_slice(input);
            if first.len() < LOCAL_MAGIC.len() {
                return Ok(());
            }
            let first = std::mem::take(first);
            self.0 = State::of(&first);
            return self.0.feed(&first, &mut each);
        }
        self.0.feed(input, &mut each)
    }

    /// Says that the file ends here; fails where it may not.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        match &mut self.0 {
            State::Start(first) => {
                let first = std::mem::take(first);
                self.0 = State::Plain;
                if first.is_empty() { Ok(()) } else { each(&first) }
            }
            State::Plain => Ok(()),
            State::Gzip(decoder) => {
                decoder.try_finish().map_err(not_gzip)?;
                let out = std::mem::take(decoder.get_mut());
                if out.is_empty() { Ok(()) } else { each(&out) }
            }
            State::Zip(zip) => zip.finish(),
        }
    }
}

impl State {
    fn of(first: &[u8]) -> Self {
        if first.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))
        } else if first.starts_with(LOCAL_MAGIC) {
            Self::Zip(Box::default())
        } else {
            Self::Plain
        }
    }

    fn feed(&mut self, input: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        match self {
            Self::Start(_) | Self::Plain => each(input),
            Self::Gzip(decoder) => {
                for slice in input.chunks(SLICE) {
                    decoder.write_all(slice).map_err(not_gzip)?;
                    let out = decoder.get_mut();
                    if !out.is_empty() {
                        each(out)?;
                        out.clear();
                    }
                }
                Ok(())
            }
            Self::Zip(zip) => zip.feed(input, each),
        }
    }
}

fn not_gzip(err: std::io::Error) -> Error {
    Error::invalid(format!("the gzip data are damaged or cut off: {err}")).with_source(err)
}

/// A zip archive read from the front.
struct Zip {
    at: At,
    crc: Crc,
    /// The checksum in the header; without one it follows the data.
    expected: Option<u32>,
}

enum At {
    /// In a local header: what is there of it.
    Header(Vec<u8>),
    Deflated(Box<Decompress>),
    /// Bytes to come.
    Stored(u64),
    /// After the data: the next bytes.
    After(Vec<u8>),
}

impl Default for Zip {
    fn default() -> Self {
        Self { at: At::Header(Vec::new()), crc: Crc::new(), expected: None }
    }
}

impl Zip {
    fn feed(&mut self, mut input: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while !input.is_empty() {
            match &mut self.at {
                At::Header(header) => {
                    let missing = header_length(header).unwrap_or(LOCAL).saturating_sub(header.len());
                    let (now, rest) = input.split_at(missing.min(input.len()));
                    header.extend_from_slice(now);
                    input = rest;
                    if header_length(header).is_some_and(|n| header.len() >= n) {
                        let header = std::mem::take(header);
                        self.begin(&header)?;
                    }
                }
                At::Deflated(inflate) => {
                    let mut out = vec![0; SLICE * 4];
                    let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
                    let status = inflate
                        .decompress(input, &mut out, FlushDecompress::None)
                        .map_err(|err| Error::invalid("the zip's data are damaged").with_source(err))?;
                    let read = usize::try_from(inflate.total_in() - before_in).unwrap_or(input.len());
                    let made = usize::try_from(inflate.total_out() - before_out).unwrap_or(out.len());
                    input = input.get(read..).unwrap_or_default();
                    let made_bytes = out.get(..made).unwrap_or_default();
                    self.crc.update(made_bytes);
                    if status == Status::StreamEnd {
                        self.at = At::After(Vec::new());
                    } else if read == 0 && made == 0 {
                        return Err(Error::invalid("the zip's data are damaged"));
                    }
                    each(made_bytes)?;
                }
                At::Stored(left) => {
                    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    let (now, rest) = input.split_at(n);
                    *left -= n as u64;
                    input = rest;
                    self.crc.update(now);
                    if *left == 0 {
                        self.at = At::After(Vec::new());
                    }
                    each(now)?;
                }
                At::After(next) => {
                    next.extend_from_slice(&input[..input.len().min(TAIL.saturating_sub(next.len()))]);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads a whole local header.
    fn begin(&mut self, header: &[u8]) -> Result<()> {
        if !header.starts_with(LOCAL_MAGIC) {
            return Err(Error::invalid("the zip holds no file"));
        }
        let (flags, method) = (u16_at(header, 6), u16_at(header, 8));
        let size = u32_at(header, 18);
        let described = flags & 8 != 0;
        let name = header.get(LOCAL..LOCAL + usize::from(u16_at(header, 26))).unwrap_or_default();
        if flags & 1 != 0 {
            return Err(Error::unsupported("the zip is encrypted").with_hint("unpack it first"));
        }
        if name.ends_with(b"/") && size == 0 {
            self.at = At::Header(Vec::new());
            return Ok(());
        }
        self.expected = (!described).then(|| u32_at(header, 14));
        self.at = match method {
            8 => At::Deflated(Box::new(Decompress::new(false))),
            0 if !described && size == 0 => At::After(Vec::new()),
            0 if !described && size != u32::MAX => At::Stored(u64::from(size)),
            _ => {
                return Err(Error::unsupported(format!("the zip's compression ({method}) is not known here"))
                    .with_hint("unpack it first"));
            }
        };
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let At::After(next) = &self.at else { return Err(Error::invalid("the zip ends before its data do")) };
        // The descriptor's signature is optional, its sizes have 4 or 8 bytes.
        let (crc, rest) = if let Some(crc) = self.expected {
            (crc, &next[..])
        } else {
            let body = next.strip_prefix(DESCRIPTOR_MAGIC).unwrap_or(next);
            let after = [12, 20].into_iter().filter_map(|n| body.get(n..)).find(|b| b.starts_with(b"PK"));
            (u32_at(body, 0), after.unwrap_or_default())
        };
        if crc != self.crc.sum() {
            return Err(Error::invalid("the zip's data are damaged: their checksum is another"));
        }
        // macOS puts a file of its own beside each.
        if rest.starts_with(LOCAL_MAGIC) && !rest.get(LOCAL..).unwrap_or_default().starts_with(b"__MACOSX/") {
            return Err(Error::unsupported("the zip holds more than one file").with_hint("unpack it first"));
        }
        Ok(())
    }
}

/// Length of a local header, once its fixed part is there.
fn header_length(header: &[u8]) -> Option<usize> {
    (header.len() >= LOCAL).then(|| LOCAL + usize::from(u16_at(header, 26)) + usize::from(u16_at(header, 28)))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(packed: &[u8], step: usize, whole: bool) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut unpack = Unpack::new();
        for piece in packed.chunks(step) {
            unpack.feed(piece, |text| {
                out.extend_from_slice(text);
                Ok(())
            })?;
        }
        if whole {
            unpack.finish(|text| {
                out.extend_from_slice(text);
                Ok(())
            })?;
        }
        Ok(out)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).expect("write");
        encoder.finish().expect("finish")
    }

    /// A zip of one file, with its sizes in the header or behind the data.
    fn zip(text: &[u8], described: bool, stored: bool) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).expect("write");
        let body = if stored { text.to_vec() } else { encoder.finish().expect("finish") };
        let mut crc = Crc::new();
        crc.update(text);
        let sizes = [crc.sum(), body.len() as u32, text.len() as u32].map(u32::to_le_bytes).concat();
        let mut out = LOCAL_MAGIC.to_vec();
        out.extend([20, 0, if described { 8 } else { 0 }, 0, if stored { 0 } else { 8 }, 0, 0, 0, 0, 0]);
        out.extend(if described { vec![0; 12] } else { sizes.clone() });
        out.extend([5, 0, 0, 0]);
        out.extend(b"a.csv");
        out.extend(body);
        if described {
            out.extend(DESCRIPTOR_MAGIC);
            out.extend(sizes);
        }
        out.extend(b"PK\x01\x02");
        out.extend([0; 60]);
        out
    }

    #[test]
    fn packed_text_comes_out_whole_in_any_pieces() {
        let text: Vec<u8> = (0..20_000).flat_map(|i| format!("{i},{}\n", i * 7919 % 10_007).into_bytes()).collect();
        let two = [gzip(&text[..1000]), gzip(&text[1000..])].concat();
        let all = [
            text.clone(),
            gzip(&text),
            two,
            zip(&text, false, false),
            zip(&text, true, false),
            zip(&text, false, true),
        ];
        for (i, packed) in all.iter().enumerate() {
            for step in [1, 7, 1000, usize::MAX] {
                assert!(unpack(packed, step, true).expect("unpacks") == text, "{i} in steps of {step}");
            }
        }
        assert_eq!(unpack(b"a", 1, true).expect("tiny"), b"a");
        assert_eq!(unpack(b"", 1, true).expect("empty"), b"");
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_named() {
        let text: Vec<u8> = (0..5_000).flat_map(|i| format!("{}\n", i * 7919 % 10_007).into_bytes()).collect();
        for packed in [gzip(&text), zip(&text, true, false)] {
            let half = &packed[..packed.len() / 2];
            assert!(unpack(half, 1000, true).is_err());
            let part = unpack(half, 1000, false).expect("what is there");
            assert!(part.len() > 1000 && text.starts_with(&part));
        }
        let mut bad = zip(&text, false, false);
        bad[14] ^= 1;
        assert!(unpack(&bad, 1000, true).is_err(), "another checksum");
        let two = [&zip(b"a,b\n", false, true)[..39], &zip(b"c", false, true)].concat();
        assert!(unpack(&two, 1000, true).is_err(), "two files");
    }
}
