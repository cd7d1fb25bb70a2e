//! Zip archives read by ranges: their directory from the end, of an entry only what is wanted from its start.
//!
//! Layout: APPNOTE.TXT 6.3.10, sections 4.3.7 (local file header) and 4.3.12 (central directory).

use super::object::{Gate, Object, Pace, Stop, Stream, explain};
use crate::error::{Error, Kind, Result};
use crate::text;
use bytes::Bytes;
use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use zip::{CompressionMethod, ZipArchive};

/// Bytes read from the end first: the directory of most archives.
pub(super) const TAIL: u64 = 64 << 10;
/// Bytes of a directory that are read at most, with what is looked for on the way.
const MOST_DIRECTORY: u64 = 64 << 20;
/// Entries looked at in an archive.
const MOST_ENTRIES: usize = 200_000;
/// Length of a local file header without its name and extra field.
const LOCAL: usize = 30;
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
    index: usize,
    header: u64,
    packed: u64,
    crc: u32,
    method: CompressionMethod,
    /// The directory, for methods that the library unpacks.
    tail: Bytes,
}

/// Reads the directory and chooses: the entry called `wanted`, else the largest that `suits`. Blocks.
pub(super) fn choose(
    object: &Object,
    tail: &Bytes,
    wanted: Option<&str>,
    suits: &dyn Fn(&str) -> bool,
    stop: &Stop,
) -> Result<Entry> {
    let archive = directory(object, tail, stop)?;
    if archive.len() > MOST_ENTRIES {
        let entries = text::count(archive.len() as u64);
        return Err(Error::new(Kind::Limit, format!("the zip holds {entries} entries, more than are looked at")));
    }
    let mut found: Vec<(usize, String, u64)> = Vec::new();
    for index in 0..archive.len() {
        let Ok(entry) = archive.by_index_data(index) else { continue };
        let Ok(name) = entry.name().map(std::borrow::Cow::into_owned) else { continue };
        let is_file = !name.ends_with('/') && !name.starts_with("__MACOSX/");
        if is_file && wanted.map_or_else(|| suits(&name), |wanted| wanted == name || is_last(wanted, &name)) {
            found.push((index, name, entry.size()));
        }
    }
    found.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.1.cmp(&b.1)));
    if found.is_empty() {
        return Err(nothing(&archive, wanted));
    }
    let (index, name, size) = found.remove(0);
    let entry = archive.by_index_data(index).map_err(not_zip)?;
    if entry.encrypted() {
        return Err(Error::unsupported(format!("the entry `{name}` of the zip is encrypted"))
            .with_hint("unpack it with its password first"));
    }
    let method = entry.compression();
    if !zip::SUPPORTED_COMPRESSION_METHODS.contains(&method) {
        return Err(Error::unsupported(format!("the compression of `{name}` in the zip ({method}) is not known here"))
            .with_hint("unpack it first"));
    }
    let others = found.into_iter().map(|(_, name, size)| (name, size)).collect();
    let (header, packed, crc) = (entry.header_start(), entry.compressed_size(), entry.crc32());
    if header.saturating_add(packed) > object.size {
        return Err(Error::invalid(format!("the zip says that `{name}` goes on behind its end: it is cut short")));
    }
    Ok(Entry { name, size, others, index, header, packed, crc, method, tail: tail.clone() })
}

fn is_last(wanted: &str, name: &str) -> bool {
    name.rsplit('/').next() == Some(wanted)
}

fn nothing(archive: &ZipArchive<Seeker>, wanted: Option<&str>) -> Error {
    let names: Vec<String> = archive.file_names().filter_map(|n| Some(n.ok()?.into_owned())).take(5).collect();
    let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let why = match wanted {
        Some(wanted) => format!("the zip has no entry `{wanted}`"),
        None => "the zip holds no table that is known".to_owned(),
    };
    Error::new(if wanted.is_some() { Kind::NotFound } else { Kind::Invalid }, why)
        .with_hint(format!("it holds {there}{}", if archive.len() > names.len() { ", …" } else { "" }))
}

fn not_zip(err: zip::result::ZipError) -> Error {
    match err {
        zip::result::ZipError::Io(err) => explain(err, "the entries in the zip's directory"),
        other => Error::invalid(format!("not a zip archive, or one that is damaged or cut off: {other}")),
    }
}

fn directory(object: &Object, tail: &Bytes, stop: &Stop) -> Result<ZipArchive<Seeker>> {
    ZipArchive::new(Seeker::new(object, tail, stop)).map_err(not_zip)
}

impl Entry {
    /// Its bytes, unpacked; the end proves the checksum.
    pub(super) fn unpacked(self: &Arc<Self>, object: &Object, gate: &Arc<Gate>, pace: Pace) -> Box<dyn Read + Send> {
        if !matches!(self.method, CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Box::new(Threaded::start(self.clone(), object.clone(), gate.clone()));
        }
        // The header's name and extra field may be longer than the directory's.
        let end = self.header.saturating_add(self.packed).saturating_add((LOCAL + 2 * 65_535) as u64);
        let stream = Stream::new(object, gate, self.header..end.min(object.size), &Bytes::new(), pace);
        let body = Body { stream, left: self.packed, header: Vec::new(), begun: false };
        let inner: Box<dyn Read + Send> = match self.method {
            CompressionMethod::Stored => Box::new(body),
            _ => Box::new(DeflateDecoder::new(body)),
        };
        Box::new(Proven { inner, crc: Crc::new(), expected: self.crc, size: self.size })
    }
}

/// The packed bytes of an entry: its local header is read over.
struct Body {
    stream: Stream,
    left: u64,
    header: Vec<u8>,
    begun: bool,
}

impl Body {
    fn begin(&mut self) -> std::io::Result<()> {
        let mut byte = [0; 1];
        loop {
            let header = &self.header;
            let u16_at = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
            if header.len() == LOCAL && !header.starts_with(b"PK\x03\x04") {
                return Err(bad("no entry where the zip's directory says"));
            }
            if header.len() >= LOCAL && header.len() == LOCAL + u16_at(26) + u16_at(28) {
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
    fn start(entry: Arc<Entry>, object: Object, gate: Arc<Gate>) -> Self {
        let (to, pieces) = sync_channel(2);
        std::thread::spawn(move || {
            if let Err(err) = hand_on(&entry, &object, &gate, &to) {
                let _ = to.send(Err(err));
            }
        });
        Self { pieces, now: Vec::new(), at: 0, failed: false }
    }
}

fn hand_on(
    entry: &Entry,
    object: &Object,
    gate: &Arc<Gate>,
    to: &SyncSender<std::io::Result<Vec<u8>>>,
) -> std::io::Result<()> {
    // It reads ahead of those who come and go; without the last of them nothing is handed on.
    let mut seeker = Seeker::new(object, &entry.tail, &gate.stop_now().lasting());
    seeker.gate = Some(gate.clone());
    let mut archive = ZipArchive::new(seeker).map_err(std::io::Error::other)?;
    let mut file = archive.by_index(entry.index).map_err(std::io::Error::other)?;
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

/// The archive as the library wants it: its end is there, other parts are fetched as they are read.
struct Seeker {
    object: Object,
    tail: Bytes,
    stop: Stop,
    gate: Option<Arc<Gate>>,
    at: u64,
    /// A piece that was fetched, and where it starts.
    piece: (u64, Bytes),
    step: u64,
    left: u64,
}

impl Seeker {
    fn new(object: &Object, tail: &Bytes, stop: &Stop) -> Self {
        Self {
            object: object.clone(),
            tail: tail.clone(),
            stop: stop.clone(),
            gate: None,
            at: 0,
            piece: (0, Bytes::new()),
            step: TAIL,
            left: MOST_DIRECTORY,
        }
    }

    /// What is there from where it stands on.
    fn there(&self) -> Option<Bytes> {
        let within = |start: u64, bytes: &Bytes| {
            let from = usize::try_from(self.at.checked_sub(start)?).ok()?;
            (from < bytes.len()).then(|| bytes.slice(from..))
        };
        within(self.object.size - self.tail.len() as u64, &self.tail).or_else(|| within(self.piece.0, &self.piece.1))
    }
}

impl Read for Seeker {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.at >= self.object.size || buf.is_empty() {
            return Ok(0);
        }
        if self.there().is_none() {
            // The library looks for a directory that is not at the end by going back through the file.
            let (start, end) = (self.at - self.at % TAIL, self.object.size);
            let range = start..end.min(start + self.step);
            // Reading an entry knows no such limit.
            if self.gate.is_some() {
                self.step = (self.step * 2).min(4 << 20);
            } else {
                let wanted = range.end - range.start;
                self.left = self.left.checked_sub(wanted).ok_or_else(|| bad("it is too large to be looked at"))?;
            }
            let bytes = self.object.fetch(range.clone(), &self.stop).map_err(std::io::Error::other)?;
            if let Some(gate) = &self.gate {
                gate.count(bytes.len() as u64);
            }
            self.piece = (range.start, bytes);
        }
        let there = self.there().unwrap_or_default();
        let n = buf.len().min(there.len());
        buf[..n].copy_from_slice(&there[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Seeker {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.object.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| bad("an offset before the start"))?;
        Ok(self.at)
    }
}
