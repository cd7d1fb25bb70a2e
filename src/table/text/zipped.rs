//! Zip archives read by ranges: their directory from the end, of an entry only what is wanted from its start.

use super::object::{Gate, Object, Pace, Stop, Stream};
use crate::error::{Error, Kind, Result};
use crate::store::zip::{self as archive, LOCAL, Span};
use crate::text;
use bytes::Bytes;
use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes read from the end first: the directory of most archives.
pub(super) const TAIL: u64 = 64 << 10;
/// Entries looked at in an archive.
const MOST_ENTRIES: usize = 200_000;
/// Ways to pack that can be undone: not packed, deflate, deflate64, bzip2, zstd.
const METHODS: [u16; 5] = [STORED, DEFLATED, 9, 12, 93];
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Unpacked bytes that a thread hands on in one go.
const PIECE: usize = 64 << 10;

/// An entry of an archive.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its name.
    pub(super) name: String,
    /// Bytes unpacked, as the directory tells.
    pub(super) size: u64,
    /// Names and sizes of the others that could have been chosen, the largest first.
    pub(super) others: Vec<(String, u64)>,
    header: u64,
    packed: u64,
    crc: u32,
    method: u16,
}

/// Reads the directory and chooses: the entry called `wanted`, else the largest that `suits`. Blocks.
pub(super) fn choose(
    object: &Object,
    tail: &Bytes,
    wanted: Option<&str>,
    suits: &dyn Fn(&str) -> bool,
    stop: &Stop,
) -> Result<Entry> {
    let all = directory(object, tail, stop)?;
    if all.len() > MOST_ENTRIES {
        let entries = text::count(all.len() as u64);
        return Err(Error::new(Kind::Limit, format!("the zip holds {entries} entries, more than are looked at")));
    }
    let is_meant = |name: &str| wanted.map_or_else(|| suits(name), |wanted| wanted == name || is_last(wanted, name));
    let mut found: Vec<&archive::Entry> =
        all.iter().filter(|e| !e.name.starts_with("__MACOSX/") && is_meant(&e.name)).collect();
    found.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
    let Some((entry, others)) = found.split_first() else { return Err(nothing(&all, wanted)) };
    let archive::Entry { name, header, packed, size, method, crc, encrypted } = (*entry).clone();
    if encrypted {
        return Err(Error::unsupported(format!("the entry `{name}` of the zip is encrypted"))
            .with_hint("unpack it with its password first"));
    }
    if !METHODS.contains(&method) {
        return Err(Error::unsupported(format!(
            "the compression of `{name}` in the zip (method {method}) is not known here"
        ))
        .with_hint("unpack it first"));
    }
    let others = others.iter().map(|other| (other.name.clone(), other.size)).collect();
    Ok(Entry { name, size, others, header, packed, crc, method })
}

fn is_last(wanted: &str, name: &str) -> bool {
    name.rsplit('/').next() == Some(wanted)
}

fn nothing(all: &[archive::Entry], wanted: Option<&str>) -> Error {
    let names: Vec<&str> = all.iter().map(|entry| entry.name.as_str()).take(5).collect();
    let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let why = match wanted {
        Some(wanted) => format!("the zip has no entry `{wanted}`"),
        None => "the zip holds no table that is known".to_owned(),
    };
    Error::new(if wanted.is_some() { Kind::NotFound } else { Kind::Invalid }, why)
        .with_hint(format!("it holds {there}{}", if all.len() > names.len() { ", …" } else { "" }))
}

fn directory(object: &Object, tail: &Bytes, stop: &Stop) -> Result<Vec<archive::Entry>> {
    let span = Span::find(tail, object.size)?;
    let bytes = match span.within(tail) {
        Some(bytes) => bytes,
        None => object.fetch(span.range.clone(), stop)?,
    };
    span.entries(&bytes)
}

impl Entry {
    /// Its bytes, unpacked; the end proves the checksum.
    pub(super) fn unpacked(self: &Arc<Self>, object: &Object, gate: &Arc<Gate>, pace: Pace) -> Box<dyn Read + Send> {
        // The header's name and extra field may be longer than the directory's.
        let end = self.header.saturating_add(self.packed).saturating_add(LOCAL + 2 * 65_535);
        let range = self.header..end.min(object.size);
        let by_thread = !matches!(self.method, STORED | DEFLATED);
        // A thread reads ahead of those who come and go.
        let of = if by_thread { Gate::new(gate.stop_now().lasting()) } else { gate.clone() };
        let stream = Stream::new(object, &of, range, &Bytes::new(), pace);
        let counts = by_thread.then(|| gate.clone());
        let body = Body { stream, left: self.packed, header: Vec::new(), begun: false, counts };
        let inner: Box<dyn Read + Send> = match self.method {
            STORED => Box::new(body),
            DEFLATED => Box::new(DeflateDecoder::new(body)),
            _ => Box::new(Threaded::start(self.local_header(), body)),
        };
        Box::new(Proven { inner, crc: Crc::new(), expected: self.crc, size: self.size })
    }
}

impl Entry {
    /// A local header for the library that says what the directory does: that of the archive may leave it open.
    fn local_header(&self) -> Vec<u8> {
        let mut out = b"PK\x03\x04\x3f\0\0\0".to_vec();
        out.extend(self.method.to_le_bytes());
        // Midnight of 1980-01-01.
        out.extend([0, 0, 0x21, 0]);
        out.extend(self.crc.to_le_bytes());
        // Both sizes stand in the extra field, with 64 bits.
        out.extend([0xff; 8]);
        out.extend([1, 0, 20, 0]);
        out.push(b'x');
        out.extend([1, 0, 16, 0]);
        out.extend(self.size.to_le_bytes());
        out.extend(self.packed.to_le_bytes());
        out
    }
}

/// The packed bytes of an entry: its local header is read over.
struct Body {
    stream: Stream,
    left: u64,
    header: Vec<u8>,
    begun: bool,
    /// Counts what is read, where the stream's own gate is another.
    counts: Option<Arc<Gate>>,
}

impl Body {
    fn begin(&mut self) -> std::io::Result<()> {
        let mut byte = [0; 1];
        loop {
            let header = &self.header;
            let u16_at = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
            if header.len() as u64 == LOCAL && !header.starts_with(b"PK\x03\x04") {
                return Err(bad("no entry where the zip's directory says"));
            }
            if header.len() as u64 >= LOCAL && header.len() == LOCAL as usize + u16_at(26) + u16_at(28) {
                self.begun = true;
                return Ok(());
            }
            if self.stream.read(&mut byte)? == 0 {
                return Err(bad("the zip ends before its data do"));
            }
            self.header.push(byte[0]);
        }
    }
}

fn bad(why: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_owned())
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if !self.begun {
            self.begin()?;
        }
        let n = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.stream.read(&mut buf[..n])?;
        if read == 0 && n > 0 {
            return Err(bad("the zip ends before its data do"));
        }
        self.left -= read as u64;
        if let Some(gate) = &self.counts {
            gate.count(read as u64);
        }
        Ok(read)
    }
}

/// Fails at the end where what was read is not what was packed.
struct Proven {
    inner: Box<dyn Read + Send>,
    crc: Crc,
    expected: u32,
    size: u64,
}

impl Read for Proven {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.crc.update(&buf[..read]);
        // The sum counts bytes modulo 2³².
        if read == 0 && !buf.is_empty() && (self.crc.sum() != self.expected || self.crc.amount() != self.size as u32) {
            return Err(bad("their checksum or length is another"));
        }
        Ok(read)
    }
}

/// What the library unpacks, on a thread of its own: its readers borrow what they read from. The thread is a
/// few pieces ahead, and ends when nobody reads any more.
struct Threaded {
    pieces: Receiver<std::io::Result<Vec<u8>>>,
    now: Vec<u8>,
    at: usize,
    failed: bool,
}

impl Threaded {
    fn start(header: Vec<u8>, body: Body) -> Self {
        let (to, pieces) = sync_channel(2);
        std::thread::spawn(move || {
            if let Err(err) = hand_on(header, body, &to) {
                let _ = to.send(Err(err));
            }
        });
        Self { pieces, now: Vec::new(), at: 0, failed: false }
    }
}

fn hand_on(header: Vec<u8>, body: Body, to: &SyncSender<std::io::Result<Vec<u8>>>) -> std::io::Result<()> {
    let mut from = std::io::Cursor::new(header).chain(body);
    let file = zip::read::read_zipfile_from_stream(&mut from).map_err(std::io::Error::other)?;
    let mut file = file.ok_or_else(|| bad("no entry where the zip's directory says"))?;
    loop {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece)?;
        piece.truncate(read);
        if to.send(Ok(piece)).is_err() || read == 0 {
            return Ok(());
        }
    }
}

impl Read for Threaded {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.failed {
            return Err(bad("they could not be unpacked"));
        }
        if self.at == self.now.len() {
            self.at = 0;
            self.now = match self.pieces.recv() {
                Ok(piece) => piece.inspect_err(|_| self.failed = true)?,
                Err(_) => Vec::new(),
            };
        }
        let n = buf.len().min(self.now.len() - self.at);
        buf[..n].copy_from_slice(&self.now[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
