//! How a file is stored: its row groups, column chunks and, where an index tells them, pages.

use super::about::codec;
use super::header::Pages;
use super::reader::extent;
use super::text::value;
use super::thrift::Reader;
use crate::error::Result;
use crate::table::ranged::View;
use crate::table::{Chunk, Group, Layout, Page};
use ::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use ::parquet::file::statistics::Statistics;
use ::parquet::schema::types::ColumnDescriptor;
use std::ops::Range;

/// Bytes of page indexes that are read for a layout; beyond that only chunks are told.
const MOST_INDEX: u64 = 32 << 20;

/// Reads the indexes in one round.
pub(super) async fn layout(metadata: &ParquetMetaData, view: &View) -> Result<Layout> {
    let chunks = || metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    let ranges: Vec<Range<u64>> = chunks().flat_map(|c| [offset_index(c), column_index(c)]).flatten().collect();
    let indexed = ranges.iter().map(|r| r.end.saturating_sub(r.start)).fold(0, u64::saturating_add) <= MOST_INDEX;
    if indexed {
        view.fetch(&ranges).await?;
    }
    let groups = metadata.row_groups().iter().map(|group| {
        let rows = super::rows_of(group);
        let chunks: Vec<Chunk> = group.columns().iter().map(|c| chunk(c, rows, view, indexed)).collect();
        Group { rows, stored: chunks.iter().map(|c| c.stored).fold(0, u64::saturating_add), chunks }
    });
    Ok(Layout { groups: groups.collect() })
}

fn offset_index(chunk: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let start = u64::try_from(chunk.offset_index_offset()?).ok()?;
    Some(start..start.checked_add(u64::try_from(chunk.offset_index_length()?).ok()?)?)
}

fn column_index(chunk: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let start = u64::try_from(chunk.column_index_offset()?).ok()?;
    Some(start..start.checked_add(u64::try_from(chunk.column_index_length()?).ok()?)?)
}

fn chunk(meta: &ColumnChunkMetaData, rows: u64, view: &View, indexed: bool) -> Chunk {
    let column = meta.column_descr();
    let statistics = meta.statistics();
    let text = |bytes: Option<&[u8]>| bytes.and_then(|bytes| value(bytes, column));
    Chunk {
        column: column.path().string(),
        kind: kind(column),
        encodings: encodings(meta),
        codec: codec(&meta.compression().to_string()),
        stored: u64::try_from(meta.compressed_size()).unwrap_or(0),
        plain: u64::try_from(meta.uncompressed_size()).unwrap_or(0),
        nulls: statistics.and_then(Statistics::null_count_opt),
        distinct: statistics.and_then(Statistics::distinct_count_opt),
        min: text(statistics.and_then(|s| s.min_bytes_opt())),
        max: text(statistics.and_then(|s| s.max_bytes_opt())),
        bloom: meta.bloom_filter_offset().is_some(),
        pages: if indexed { pages(meta, rows, view) } else { Vec::new() },
    }
}

/// `BYTE_ARRAY (String)`, `FIXED_LEN_BYTE_ARRAY(16) (Uuid)`.
fn kind(column: &ColumnDescriptor) -> String {
    let mut out = column.physical_type().to_string();
    if column.physical_type() == ::parquet::basic::Type::FIXED_LEN_BYTE_ARRAY {
        out = format!("{out}({})", column.type_length());
    }
    if let Some(logical) = column.logical_type_ref() {
        let words = format!("{logical:?}");
        let short = words.split([' ', '(', '{']).next().unwrap_or_default();
        out = format!("{out} ({short})");
    }
    out
}

fn encodings(meta: &ColumnChunkMetaData) -> String {
    let names: Vec<String> = meta.encodings().map(|e| e.to_string()).collect();
    names.join(", ")
}

/// What a column index tells of each page.
struct Told<'a> {
    empty: Vec<bool>,
    min: Vec<&'a [u8]>,
    max: Vec<&'a [u8]>,
    nulls: Vec<i64>,
}

fn told(bytes: &[u8]) -> Option<Told<'_>> {
    let mut told = Told { empty: Vec::new(), min: Vec::new(), max: Vec::new(), nulls: Vec::new() };
    Reader::new(bytes).structure(|r, field| {
        match field.id {
            1 => told.empty = r.booleans()?,
            2 => told.min = r.binaries()?,
            3 => told.max = r.binaries()?,
            5 => told.nulls = r.integers()?,
            _ => return Some(false),
        }
        Some(true)
    })?;
    Some(told)
}

fn pages(meta: &ColumnChunkMetaData, rows: u64, view: &View) -> Vec<Page> {
    let Some(pages) = offset_index(meta)
        .zip(extent(meta))
        .and_then(|(range, extent)| Pages::from_index(&view.at_hand(&range), rows, &extent))
    else {
        return Vec::new();
    };
    let bytes = column_index(meta).map(|range| view.at_hand(&range)).unwrap_or_default();
    let told = told(&bytes);
    let column = meta.column_descr();
    let page = |(i, page): (usize, super::header::PageAt)| {
        let told = told.as_ref();
        let filled = told.is_some_and(|t| t.empty.get(i) == Some(&false));
        let text = |of: Option<&&[u8]>| of.filter(|_| filled).and_then(|bytes| value(bytes, column));
        Page {
            first_row: page.rows.start,
            offset: page.offset,
            stored: page.size,
            nulls: told.and_then(|t| u64::try_from(*t.nulls.get(i)?).ok()),
            min: text(told.and_then(|t| t.min.get(i))),
            max: text(told.and_then(|t| t.max.get(i))),
        }
    };
    pages.data.into_iter().enumerate().map(page).collect()
}
