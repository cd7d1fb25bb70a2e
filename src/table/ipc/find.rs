//! Where the batches and dictionaries of a file or stream are.

use super::corrupt;
use crate::error::{Error, Result};
use crate::probe::Probe;
use crate::store::Stores;
use crate::table::text::{Object, Stop};
use crate::task::Control;
use arrow::datatypes::SchemaRef;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::read_footer_length;
use arrow::ipc::{
    CompressionType, Endianness, Message, MessageHeader, MetadataVersion, root_as_footer, root_as_message,
};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes read first: of a file its end, of a stream its start.
const FIRST: u64 = 64 << 10;
/// Bytes of a footer or of a message without its body.
const MOST_HEAD: u64 = 64 << 20;
/// Batches of a file whose messages are read in one go.
const AT_ONCE: usize = 64;
/// Bytes of messages that are kept.
const KEPT: usize = 64 << 10;
/// Stands before each message since version 0.15.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// What a file starts and ends with.
const MAGIC: &[u8] = b"ARROW1";

/// The object with its first and, for a file, its last bytes.
pub(super) struct Opened {
    pub(super) object: Object,
    head: Bytes,
    tail: Bytes,
}

/// Reads the end of what may be a file; where it is none, the start.
pub(super) async fn open_head(stores: &Stores, probe: &Probe, control: &Control) -> Result<Opened> {
    let (object, tail) = Object::open_tail(stores, &probe.location, probe.size, FIRST, control).await?;
    if tail.ends_with(MAGIC) {
        return Ok(Opened { object, head: Bytes::new(), tail });
    }
    if tail.len() as u64 == object.size {
        return Ok(Opened { object, head: tail, tail: Bytes::new() });
    }
    let (object, head) = Object::open_head(stores, &probe.location, FIRST, control).await?;
    Ok(Opened { object, head, tail: Bytes::new() })
}

/// Where a message is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    at: u64,
    /// Bytes of the message with what stands before it.
    pub(super) head: u32,
    /// Bytes of its body, which follows.
    pub(super) body: u64,
    /// The message, where it was kept.
    kept: Option<Bytes>,
}

/// A record batch.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) place: Place,
    /// Rows in it.
    pub(super) rows: u64,
    /// Number of its first row.
    pub(super) first_row: u64,
    /// Dictionary batches that come before it.
    pub(super) dictionaries: usize,
}

/// What was found so far.
pub(super) struct Batches {
    pub(super) version: MetadataVersion,
    pub(super) list: Vec<Found>,
    pub(super) dictionaries: Vec<(i64, Place)>,
    /// Rows in the batches found.
    pub(super) rows: u64,
    pub(super) ended: bool,
    /// How bodies are compressed, by the first.
    pub(super) codec: Option<&'static str>,
    rest: Rest,
}

/// How further batches are found.
enum Rest {
    /// Blocks that the footer tells.
    File(VecDeque<Place>),
    /// The next message; and a piece of the stream with its offset.
    Stream(u64, (u64, Bytes)),
}

/// What the first read tells.
pub(super) struct Head {
    pub(super) schema: SchemaRef,
    pub(super) batches: Batches,
    pub(super) title: &'static str,
}

impl Head {
    /// Reads the footer of a file or the schema of a stream.
    pub(super) fn read(opened: &Opened, stop: &Stop) -> Result<Self> {
        if opened.tail.is_empty() { Self::of_stream(opened, stop) } else { Self::of_file(opened, stop) }
    }

    fn of_file(opened: &Opened, stop: &Stop) -> Result<Self> {
        let (size, tail) = (opened.object.size, &opened.tail);
        let end: [u8; 10] = tail
            .len()
            .checked_sub(10)
            .and_then(|at| tail.get(at..)?.try_into().ok())
            .ok_or_else(|| Error::invalid(format!("it is {size} bytes long, too short for an Arrow file")))?;
        let length = read_footer_length(end).map_err(|err| corrupt(&err))? as u64;
        if length > MOST_HEAD || length + 10 > size {
            return Err(Error::invalid(format!("its footer is said to be {length} bytes long: cut short or corrupt")));
        }
        let all = if length + 10 > tail.len() as u64 {
            opened.object.fetch(size - length - 10..size, stop)?
        } else {
            tail.slice(tail.len() - length as usize - 10..)
        };
        let footer = root_as_footer(&all[..length as usize])
            .map_err(|err| Error::invalid(format!("its footer is corrupt: {err}")))?;
        let schema = footer.schema().ok_or_else(|| Error::invalid("its footer names no columns"))?;
        check_order(schema.endianness())?;
        let place = |block: &arrow::ipc::Block| {
            Place::new(block.offset(), block.metaDataLength().into(), block.bodyLength(), size)
        };
        let blocks: Vec<Place> = footer.recordBatches().iter().flatten().map(place).collect::<Result<_>>()?;
        let places: Vec<Place> = footer.dictionaries().iter().flatten().map(place).collect::<Result<_>>()?;
        let mut dictionaries = Vec::with_capacity(places.len());
        for (mut place, bytes) in places.iter().cloned().zip(heads(&places, &opened.object, stop)?) {
            let id = dictionary_id(&message(&bytes)?.1)?;
            place.keep(&bytes);
            dictionaries.push((id, place));
        }
        let batches = Batches {
            version: footer.version(),
            list: Vec::new(),
            dictionaries,
            rows: 0,
            ended: false,
            codec: None,
            rest: Rest::File(blocks.into()),
        };
        Ok(Self { schema: Arc::new(fb_to_schema(schema)), batches, title: "Arrow IPC file" })
    }

    fn of_stream(opened: &Opened, stop: &Stop) -> Result<Self> {
        let mut piece = (0, opened.head.clone());
        if opened.head.starts_with(MAGIC) {
            return Err(Error::invalid("it starts as an Arrow file but does not end as one: it is cut short"));
        }
        let none = || Error::invalid("not Arrow IPC: it starts with no schema");
        let (place, bytes) = next_message(0, &mut piece, &opened.object, stop).map_err(|_| none())?.ok_or_else(none)?;
        let (_, first) = message(&bytes).map_err(|_| none())?;
        let schema = first.header_as_schema().ok_or_else(none)?;
        check_order(schema.endianness())?;
        let batches = Batches {
            version: first.version(),
            list: Vec::new(),
            dictionaries: Vec::new(),
            rows: 0,
            ended: false,
            codec: None,
            rest: Rest::Stream(place.end(), piece),
        };
        Ok(Self { schema: Arc::new(fb_to_schema(schema)), batches, title: "Arrow IPC stream" })
    }
}

fn check_order(order: Endianness) -> Result<()> {
    if order == Endianness::Little { Ok(()) } else { Err(Error::unsupported("its numbers are big-endian")) }
}

fn dictionary_id(message: &Message<'_>) -> Result<i64> {
    let batch = message.header_as_dictionary_batch();
    let batch = batch.filter(|batch| batch.data().is_some());
    batch.map(|batch| batch.id()).ok_or_else(|| Error::invalid("there is no dictionary where one should be"))
}

/// Bytes before a message, and the message.
pub(super) fn message(bytes: &[u8]) -> Result<(usize, Message<'_>)> {
    let before = if bytes.starts_with(&CONTINUATION) { 8 } else { 4 };
    let message = root_as_message(bytes.get(before..).unwrap_or_default());
    Ok((before, message.map_err(|err| Error::invalid(format!("a message is corrupt: {err}")))?))
}

/// The messages at these places.
fn heads(places: &[Place], object: &Object, stop: &Stop) -> Result<Vec<Bytes>> {
    let ranges: Vec<_> = places.iter().map(|p| p.at..p.at + u64::from(p.head)).collect();
    if ranges.is_empty() { Ok(Vec::new()) } else { object.fetch_all(&ranges, stop) }
}

/// The message at `at` of a stream; `None` where it ends.
fn next_message(at: u64, piece: &mut (u64, Bytes), object: &Object, stop: &Stop) -> Result<Option<(Place, Bytes)>> {
    if at + 4 > object.size {
        return Ok(None);
    }
    let start = peek(at, 8.min(object.size - at), piece, object, stop)?;
    let continued = start.starts_with(&CONTINUATION);
    let word = start.get(if continued { 4..8 } else { 0..4 }).and_then(|b| b.try_into().ok());
    let length = i32::from_le_bytes(word.ok_or_else(|| Error::invalid("the stream ends within a message"))?);
    if length == 0 {
        return Ok(None);
    }
    let head = u64::try_from(length).ok().map(|n| n + if continued { 8 } else { 4 });
    let head = head.filter(|n| *n <= MOST_HEAD && at + n <= object.size);
    let head = head.ok_or_else(|| Error::invalid("the stream is cut short within a message, or corrupt"))?;
    let bytes = peek(at, head, piece, object, stop)?;
    let body = message(&bytes)?.1.bodyLength();
    Ok(Some((Place::new(at as i64, head as i64, body, object.size)?, bytes)))
}

/// Bytes of a stream, some more of which are kept.
fn peek(at: u64, n: u64, piece: &mut (u64, Bytes), object: &Object, stop: &Stop) -> Result<Bytes> {
    let within = |piece: &(u64, Bytes)| {
        let from = usize::try_from(at.checked_sub(piece.0)?).ok()?;
        let to = from.checked_add(n as usize)?;
        (to <= piece.1.len()).then(|| piece.1.slice(from..to))
    };
    if let Some(bytes) = within(piece) {
        return Ok(bytes);
    }
    let end = object.size.min(at + n.max(FIRST));
    *piece = (at, object.fetch(at..end, stop)?);
    within(piece).ok_or_else(|| Error::invalid("it ends before the bytes that were asked for"))
}

impl Place {
    fn new(at: i64, head: i64, body: i64, size: u64) -> Result<Self> {
        let wrong = || Error::invalid("it points behind its end: cut short or corrupt");
        let (Ok(at), Ok(head), Ok(body)) = (u64::try_from(at), u64::try_from(head), u64::try_from(body)) else {
            return Err(wrong());
        };
        let end = at.checked_add(head).and_then(|n| n.checked_add(body)).ok_or_else(wrong)?;
        if end > size || !(8..=MOST_HEAD).contains(&head) {
            return Err(wrong());
        }
        Ok(Self { at, head: head as u32, body, kept: None })
    }

    /// Where its body starts.
    pub(super) fn body_at(&self) -> u64 {
        self.at + u64::from(self.head)
    }

    fn end(&self) -> u64 {
        self.body_at() + self.body
    }

    fn keep(&mut self, bytes: &[u8]) {
        if bytes.len() <= KEPT {
            // Not the piece that it is part of.
            self.kept = Some(Bytes::copy_from_slice(bytes));
        }
    }

    /// The message with what stands before it.
    pub(super) fn message(&self, object: &Object, stop: &Stop) -> Result<Bytes> {
        match &self.kept {
            Some(bytes) => Ok(bytes.clone()),
            None => object.fetch(self.at..self.body_at(), stop),
        }
    }
}

impl Batches {
    /// Finds some batches more, or the end.
    pub(super) fn go_on(&mut self, object: &Object, stop: &Stop) -> Result<()> {
        stop.check()?;
        match &mut self.rest {
            Rest::File(blocks) => {
                let some: Vec<Place> = blocks.iter().take(AT_ONCE).cloned().collect();
                let bytes = heads(&some, object, stop)?;
                blocks.drain(..some.len());
                let last = blocks.is_empty();
                for (place, bytes) in some.into_iter().zip(bytes) {
                    self.add(place, &bytes)?;
                }
                self.ended = last;
            }
            Rest::Stream(at, piece) => match next_message(*at, piece, object, stop)? {
                None => self.ended = true,
                Some((place, bytes)) => {
                    *at = place.end();
                    self.add(place, &bytes)?;
                }
            },
        }
        Ok(())
    }

    fn add(&mut self, mut place: Place, bytes: &[u8]) -> Result<()> {
        let (_, message) = message(bytes)?;
        match message.header_type() {
            MessageHeader::DictionaryBatch => {
                let id = dictionary_id(&message)?;
                place.keep(bytes);
                self.dictionaries.push((id, place));
            }
            MessageHeader::RecordBatch => {
                let batch = message.header_as_record_batch().ok_or_else(|| Error::invalid("a batch is corrupt"))?;
                let rows = u64::try_from(batch.length()).ok().filter(|rows| *rows < 1 << 48);
                let rows = rows.ok_or_else(|| Error::invalid("a batch has a number of rows that cannot be"))?;
                self.codec =
                    batch.compression().map(|c| if c.codec() == CompressionType::ZSTD { "zstd" } else { "lz4" });
                let found = Found { place, rows, first_row: self.rows, dictionaries: self.dictionaries.len() };
                self.rows = self.rows.saturating_add(rows);
                self.list.push(found);
                if let Some(last) = self.list.last_mut() {
                    last.place.keep(bytes);
                }
            }
            other => {
                return Err(Error::unsupported(format!("it holds a message of a kind that is not read: {other:?}")));
            }
        }
        Ok(())
    }
}
