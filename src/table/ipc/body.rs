//! The buffers of a batch: which of them belong to which column, and only those that are wanted.

use super::corrupt;
use super::find::{Place, message};
use crate::error::{Error, Kind, Result};
use crate::table::text::{Object, Stop};
use crate::table::{Chunk, type_name};
use crate::text;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, SchemaRef, UnionMode};
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::{Block, CompressionType, MetadataVersion, RecordBatch};
use std::collections::HashSet;
use std::ops::Range;

/// Bytes of columns of one batch, unpacked.
const MOST_PLAIN: u64 = 1 << 30;
/// Bytes of a body.
const MOST_BODY: u64 = 16 << 30;
/// Types nested deeper than this are taken for garbage.
const MOST_DEPTH: usize = 64;

/// Why a batch is not read.
pub(super) fn is_too_large(wanted: u64, limit: u64) -> Error {
    let (wanted, limit) = (text::bytes(wanted), text::bytes(limit));
    Error::new(
        Kind::Limit,
        format!("the batch that holds these rows has {wanted} of these columns; {limit} may be read"),
    )
    .with_hint("ask for fewer columns")
}

/// The parts of a batch that are of a root column: its nodes and buffers, by number.
struct Part {
    nodes: Range<usize>,
    buffers: Range<usize>,
}

/// Counts nodes and buffers as they follow each other.
struct Walk<'a> {
    nodes: usize,
    buffers: usize,
    variadic: &'a mut dyn Iterator<Item = i64>,
    version: MetadataVersion,
}

impl Walk<'_> {
    fn step(&mut self, field: &Field, depth: usize) -> Result<()> {
        if depth > MOST_DEPTH {
            return Err(Error::invalid("its types are nested too deep"));
        }
        self.nodes += 1;
        match field.data_type() {
            DataType::Null => {}
            DataType::Utf8 | DataType::Binary | DataType::LargeBinary | DataType::LargeUtf8 => self.buffers += 3,
            DataType::Utf8View | DataType::BinaryView => {
                let count = self.variadic.next().and_then(|n| usize::try_from(n).ok()).filter(|n| *n < 1 << 24);
                self.buffers += 2 + count.ok_or_else(|| Error::invalid("a column of views lacks its buffers"))?;
            }
            DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => {
                self.buffers += 2;
                self.step(item, depth + 1)?;
            }
            DataType::ListView(item) | DataType::LargeListView(item) => {
                self.buffers += 3;
                self.step(item, depth + 1)?;
            }
            DataType::FixedSizeList(item, _) => {
                self.buffers += 1;
                self.step(item, depth + 1)?;
            }
            DataType::Struct(fields) => {
                self.buffers += 1;
                fields.iter().try_for_each(|f| self.step(f, depth + 1))?;
            }
            DataType::RunEndEncoded(ends, values) => {
                self.step(ends, depth + 1)?;
                self.step(values, depth + 1)?;
            }
            DataType::Union(fields, mode) => {
                self.buffers +=
                    1 + usize::from(self.version < MetadataVersion::V5) + usize::from(*mode == UnionMode::Dense);
                fields.iter().try_for_each(|(_, f)| self.step(f, depth + 1))?;
            }
            _ => self.buffers += 2,
        }
        Ok(())
    }
}

/// What a batch is made of, by root column. Fails where its message has other nodes or buffers than its columns need.
fn parts(batch: &RecordBatch<'_>, schema: &SchemaRef, version: MetadataVersion) -> Result<Vec<Part>> {
    let mut counts = batch.variadicBufferCounts().into_iter().flatten();
    let mut walk = Walk { nodes: 0, buffers: 0, variadic: &mut counts, version };
    let mut out = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let (nodes, buffers) = (walk.nodes, walk.buffers);
        walk.step(field, 0)?;
        out.push(Part { nodes: nodes..walk.nodes, buffers: buffers..walk.buffers });
    }
    let (nodes, buffers) = (walk.nodes, walk.buffers);
    let told = (batch.nodes().map_or(0, |n| n.len()), batch.buffers().map_or(0, |b| b.len()));
    if told != (nodes, buffers) || counts.next().is_some() {
        return Err(Error::invalid("a batch is made of other buffers than its columns need"));
    }
    Ok(out)
}

fn batch_of(bytes: &[u8]) -> Result<(RecordBatch<'_>, MetadataVersion)> {
    let (_, message) = message(bytes)?;
    let version = message.version();
    let batch = message.header_as_record_batch();
    let batch = batch.or_else(|| message.header_as_dictionary_batch().and_then(|d| d.data()));
    Ok((batch.ok_or_else(|| Error::invalid("there is no batch where one should be"))?, version))
}

/// Where a buffer is in the body.
fn within(buffer: &arrow::ipc::Buffer, body: u64) -> Result<Range<u64>> {
    let wrong = || Error::invalid("a buffer lies outside of its batch: corrupt");
    let start = u64::try_from(buffer.offset()).map_err(|_| wrong())?;
    let end = u64::try_from(buffer.length()).ok().and_then(|n| start.checked_add(n)).ok_or_else(wrong)?;
    if end > body { Err(wrong()) } else { Ok(start..end) }
}

/// The buffers of some columns.
pub(super) struct Columns {
    wanted: Vec<Range<u64>>,
    all: bool,
    compressed: bool,
    rows: u64,
}

impl Columns {
    /// Of the batch that `bytes` tells.
    pub(super) fn of(bytes: &[u8], schema: &SchemaRef, columns: &[usize], body: u64) -> Result<Self> {
        let (batch, version) = batch_of(bytes)?;
        let parts = parts(&batch, schema, version)?;
        let buffers = batch.buffers().ok_or_else(|| Error::invalid("a batch tells no buffers"))?;
        let mut wanted = Vec::new();
        for part in columns.iter().filter_map(|c| parts.get(*c)) {
            for i in part.buffers.clone() {
                wanted.push(within(buffers.get(i), body)?);
            }
        }
        for i in 0..buffers.len() {
            within(buffers.get(i), body)?;
        }
        let all = columns.len() == parts.len();
        let rows = u64::try_from(batch.length()).unwrap_or(0);
        Ok(Self { wanted, all, compressed: batch.compression().is_some(), rows })
    }

    fn of_dictionary(bytes: &[u8], body: u64) -> Result<Self> {
        let (batch, _) = batch_of(bytes)?;
        let buffers = batch.buffers().ok_or_else(|| Error::invalid("a dictionary tells no buffers"))?;
        let wanted = (0..buffers.len()).map(|i| within(buffers.get(i), body)).collect::<Result<_>>()?;
        let rows = u64::try_from(batch.length()).unwrap_or(0);
        Ok(Self { wanted, all: true, compressed: batch.compression().is_some(), rows })
    }

    /// Bytes to be read.
    pub(super) fn bytes(&self) -> u64 {
        self.wanted.iter().map(|r| r.end - r.start).sum()
    }

    /// Message and body as the decoder wants them; zeros where nothing was wanted, which take no memory.
    pub(super) fn fetch(self, bytes: &[u8], place: &Place, object: &Object, stop: &Stop) -> Result<(Block, Buffer)> {
        if place.body > MOST_BODY {
            return Err(is_too_large(place.body, MOST_BODY));
        }
        let head = bytes.len();
        let mut out = vec![0; head + place.body as usize];
        out[..head].copy_from_slice(bytes);
        let whole = 0..place.body;
        let wanted = if self.all { std::slice::from_ref(&whole) } else { &self.wanted[..] };
        let ranges: Vec<Range<u64>> = wanted.iter().filter(|r| !r.is_empty()).cloned().collect();
        let from = place.body_at();
        let asked: Vec<Range<u64>> = ranges.iter().map(|r| from + r.start..from + r.end).collect();
        if !asked.is_empty() {
            for (range, got) in ranges.iter().zip(object.fetch_all(&asked, stop)?) {
                out[head + range.start as usize..head + range.end as usize].copy_from_slice(&got);
            }
        }
        self.check_plain(&out[head..])?;
        let block = Block::new(0, head as i32, place.body as i64);
        Ok((block, Buffer::from_vec(out)))
    }

    /// Compressed buffers tell their length, which is believed before they are unpacked.
    fn check_plain(&self, body: &[u8]) -> Result<()> {
        if !self.compressed {
            return Ok(());
        }
        let mut plain = 0_u64;
        for range in &self.wanted {
            let start = range.start as usize;
            let told = body.get(start..start + 8).filter(|_| range.end - range.start >= 8);
            let told = told.and_then(|b| b.try_into().ok()).map_or(0, i64::from_le_bytes);
            // -1: not compressed after all.
            plain = plain.saturating_add(if told < 0 { range.end - range.start } else { told as u64 });
        }
        let limit = MOST_PLAIN.max(self.rows.min(1 << 32));
        if plain > limit { Err(is_too_large(plain, limit)) } else { Ok(()) }
    }
}

/// A decoder for some columns that has read the dictionaries they need.
pub(super) fn decoder(
    schema: &SchemaRef,
    version: MetadataVersion,
    columns: &[usize],
    dictionaries: &[(i64, Place)],
    object: &Object,
    budget: u64,
    stop: &Stop,
) -> Result<FileDecoder> {
    let mut decoder = FileDecoder::new(schema.clone(), version).with_projection(columns.to_vec());
    let mut ids = HashSet::new();
    columns.iter().filter_map(|i| schema.fields().get(*i)).for_each(|field| dictionaries_of(field, &mut ids));
    let mut left = budget;
    for (_, place) in dictionaries.iter().filter(|(id, _)| ids.contains(id)) {
        stop.check()?;
        let bytes = place.message(object, stop)?;
        let wanted = Columns::of_dictionary(&bytes, place.body)?;
        left = left.checked_sub(wanted.bytes()).ok_or_else(|| is_too_large(wanted.bytes(), budget))?;
        let (block, buffer) = wanted.fetch(&bytes, place, object, stop)?;
        decoder.read_dictionary(&block, &buffer).map_err(|err| corrupt(&err))?;
    }
    Ok(decoder)
}

/// The dictionaries that a column needs, also deep in it.
fn dictionaries_of(field: &Field, ids: &mut HashSet<i64>) {
    #[allow(deprecated)] // the only way that the library tells it
    ids.extend(field.dict_id());
    let kind = if let DataType::Dictionary(_, values) = field.data_type() { values } else { field.data_type() };
    match kind {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => dictionaries_of(item, ids),
        DataType::Struct(fields) => fields.iter().for_each(|f| dictionaries_of(f, ids)),
        DataType::RunEndEncoded(ends, values) => {
            dictionaries_of(ends, ids);
            dictionaries_of(values, ids);
        }
        DataType::Union(fields, _) => fields.iter().for_each(|(_, f)| dictionaries_of(f, ids)),
        _ => {}
    }
}

/// The columns of a batch as chunks.
pub(super) fn layout_of(bytes: &[u8], schema: &SchemaRef, body: u64) -> Result<Vec<Chunk>> {
    let (batch, version) = batch_of(bytes)?;
    let parts = parts(&batch, schema, version)?;
    let (Some(nodes), Some(buffers)) = (batch.nodes(), batch.buffers()) else { return Ok(Vec::new()) };
    let codec = batch.compression().map_or("", |c| if c.codec() == CompressionType::ZSTD { "zstd" } else { "lz4" });
    schema
        .fields()
        .iter()
        .zip(&parts)
        .map(|(field, part)| {
            let mut stored = 0;
            for i in part.buffers.clone() {
                let range = within(buffers.get(i), body)?;
                stored += range.end - range.start;
            }
            let dictionary = matches!(field.data_type(), DataType::Dictionary(..));
            Ok(Chunk {
                column: field.name().clone(),
                kind: type_name(field.data_type()),
                encodings: if dictionary { "dictionary" } else { "plain" }.to_owned(),
                codec: codec.to_owned(),
                stored,
                plain: if codec.is_empty() { stored } else { 0 },
                nulls: u64::try_from(nodes.get(part.nodes.start).null_count()).ok(),
                ..Chunk::default()
            })
        })
        .collect()
}
