//! First rows of a Parquet file by ranged reads: the footer in one request, then of the columns shown
//! only the pages that the rows need; with an offset index exactly those, without one as far into each
//! column chunk as its first pages are expected to reach.

use super::geo::{Encoding, Geo};
use super::ranged::Ranged;
use super::{About, Column, Window, display};
use crate::error::{Context as _, Error, Result};
use crate::facts::Facts;
use crate::task::Control;
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use ::parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use ::parquet::file::page_index::offset_index::OffsetIndexMetaData;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::Schema;
use std::collections::BTreeSet;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Bytes read from the end in the first request: the footer of most files, often the page index too.
pub(crate) const TAIL: u64 = 64 << 10;
/// Columns shown when none were asked for.
const MOST_COLUMNS: usize = 50;
/// Rows of one preview, whatever is asked for.
const MOST_ROWS: usize = 100_000;
/// An offset index larger than this is left alone.
const MOST_INDEX: u64 = 4 << 20;
/// Writers end a page at this size before compression.
const PAGE: u64 = 1 << 20;

/// A Parquet file whose footer was read.
#[derive(Clone)]
pub(crate) struct File {
    file: Ranged,
    metadata: Arc<ParquetMetaData>,
    reader: ArrowReaderMetadata,
    geo: Geo,
}

/// Bytes that are not Parquet give a sentence, also where they make the decoder panic.
fn caught<T>(decode: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        Err(Error::invalid("its bytes make no sense to the decoder: corrupt, or of a form that it does not know"))
    })
}

impl File {
    /// Reads the footer. Blocks.
    pub(crate) fn open(file: Ranged) -> Result<Self> {
        caught(move || {
            let metadata = metadata(&file)?;
            let reader = arrow_metadata(&metadata).map_err(|err| file.explain(err)).context(|| "its schema".into())?;
            let geo = Geo::read(metadata.file_metadata(), reader.schema());
            Ok(Self { file, metadata, reader, geo })
        })
    }

    /// What the footer tells.
    pub(crate) fn about(&self) -> About {
        let schema = self.reader.schema();
        let columns = schema.fields().iter().enumerate().map(|(root, field)| {
            let known = self.geo.column(field.name());
            Column {
                name: field.name().clone(),
                kind: known.map_or_else(|| display::type_name(field.data_type()), |g| g.kind().to_owned()),
                nulls: nulls(&self.metadata, root),
                numeric: known.is_none() && field.data_type().is_numeric(),
                unit: None,
            }
        });
        let pairs = self.metadata.file_metadata().key_value_metadata().into_iter().flatten();
        let total = u64::try_from(self.metadata.file_metadata().num_rows()).ok();
        About {
            facts: facts(&self.metadata, schema, &self.geo),
            columns: columns.collect(),
            schema: schema.clone(),
            geo: self.geo.clone(),
            total_rows: total,
            seen_rows: total.unwrap_or(0),
            pairs: pairs.map(|kv| (kv.key.clone(), kv.value.clone().unwrap_or_default())).collect(),
        }
    }

    /// Reads a window of rows. Blocks.
    pub(crate) fn read(&self, window: &Window, control: &Control) -> Result<RecordBatch> {
        caught(|| self.decode(window, control))
    }

    fn decode(&self, window: &Window, control: &Control) -> Result<RecordBatch> {
        let Self { file, metadata, reader, geo } = self;
        let roots = choose(reader.schema(), geo, window.columns.as_deref())?;
        let mask = ProjectionMask::roots(reader.parquet_schema(), roots.iter().copied());
        let plan = Plan::new(metadata, window);
        file.prefetch(&plan.ranges(metadata, &mask, file.budget() / 2)?)?;
        let rows = plan.rows;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), reader.clone())
            .with_projection(mask)
            .with_row_groups(plan.groups.iter().map(|g| g.index).collect())
            .with_batch_size(rows.clamp(1, 8192))
            .with_offset(plan.skip)
            .with_limit(rows);
        let reader = builder.build().map_err(|err| file.explain(err))?;
        let read_schema = ::arrow::array::RecordBatchReader::schema(&reader);
        let mut batches = Vec::new();
        for batch in reader {
            control.check()?;
            batches.push(batch.map_err(|err| file.explain(err))?);
        }
        let batch = concat_batches(&read_schema, &batches).map_err(|err| file.explain(err))?;
        // The decoder gives columns in the file's order.
        let mut file_order = roots.clone();
        file_order.sort_unstable();
        let order: Vec<usize> = roots.iter().filter_map(|root| file_order.binary_search(root).ok()).collect();
        batch.project(&order).map_err(|err| file.explain(err))
    }
}

/// The schema as Arrow's. Some writers add Arrow's own beside Parquet's: where that is broken (its
/// decoder may panic then), the file is read without it.
fn arrow_metadata(metadata: &Arc<ParquetMetaData>) -> ::parquet::errors::Result<ArrowReaderMetadata> {
    let load = |skip| {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(skip);
        ArrowReaderMetadata::try_new(metadata.clone(), options)
    };
    match catch_unwind(AssertUnwindSafe(|| load(false))) {
        Ok(Ok(reader)) => Ok(reader),
        _ => load(true),
    }
}

/// Footer and, where it is small, the offset index.
fn metadata(file: &Ranged) -> Result<Arc<ParquetMetaData>> {
    use ::parquet::file::reader::ChunkReader as _;
    let size = file.size();
    if size < 12 {
        return Err(Error::invalid(format!("not a Parquet file: it has only {size} bytes")));
    }
    let magic = file.get_bytes(size - 4, 4).map_err(|err| file.explain(err))?;
    match magic.as_ref() {
        b"PAR1" => {}
        b"PARE" => return Err(Error::unsupported("its footer is encrypted")),
        _ => {
            let start = file.get_bytes(0, 4).map_err(|err| file.explain(err))?;
            return Err(if start.as_ref() == b"PAR1" {
                Error::invalid("the Parquet file is cut short: its footer is missing")
                    .with_hint("copy or download it again")
            } else {
                Error::invalid("not a Parquet file: it does not start and end with PAR1")
            });
        }
    }
    let plain = ParquetMetaDataReader::new()
        .with_column_index_policy(PageIndexPolicy::Skip)
        .with_offset_index_policy(PageIndexPolicy::Skip)
        .parse_and_finish(file)
        .map_err(|err| file.explain(err))
        .context(|| "its footer".into())?;
    let Some(extent) = index_extent(&plain) else { return Ok(Arc::new(plain)) };
    if extent.end - extent.start > MOST_INDEX {
        return Ok(Arc::new(plain));
    }
    let mut reader = ParquetMetaDataReader::new_with_metadata(plain.clone())
        .with_column_index_policy(PageIndexPolicy::Skip)
        .with_offset_index_policy(PageIndexPolicy::Optional);
    // A broken index is no reason not to read the rows.
    let indexed = reader.read_page_indexes(file).and_then(|()| reader.finish());
    Ok(Arc::new(indexed.unwrap_or_else(|_| {
        file.forget_fault();
        plain
    })))
}

/// Where the offset indexes of all columns lie, if all have one.
fn index_extent(metadata: &ParquetMetaData) -> Option<Range<u64>> {
    let mut extent: Option<Range<u64>> = None;
    for column in metadata.row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let start = u64::try_from(column.offset_index_offset()?).ok()?;
        let end = start.checked_add(u64::try_from(column.offset_index_length()?).ok()?)?;
        extent = Some(extent.map_or(start..end, |e| e.start.min(start)..e.end.max(end)));
    }
    extent
}

/// Indices of the root columns to read, in the order to be shown.
fn choose(schema: &Schema, geo: &Geo, wanted: Option<&[String]>) -> Result<Vec<usize>> {
    let Some(wanted) = wanted else {
        let mut roots: Vec<usize> = (0..schema.fields().len().min(MOST_COLUMNS)).collect();
        // The geometry is worth a place wherever it stands.
        let primary = geo.columns.first().and_then(|c| schema.index_of(&c.name).ok());
        if let (Some(primary), Some(last)) = (primary, roots.last_mut())
            && primary > *last
        {
            *last = primary;
        }
        return Ok(roots);
    };
    let mut roots = Vec::new();
    for name in wanted {
        let found = schema.fields().iter().position(|f| f.name() == name);
        let found = found.or_else(|| schema.fields().iter().position(|f| f.name().eq_ignore_ascii_case(name)));
        let root = found.ok_or_else(|| {
            let names: Vec<&str> = schema.fields().iter().take(20).map(|f| f.name().as_str()).collect();
            Error::usage(format!("there is no column `{name}`")).with_hint(format!("its columns: {}", names.join(", ")))
        })?;
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    Ok(roots)
}

/// Which rows of which row groups.
struct Plan {
    groups: Vec<Group>,
    /// Rows to skip in the first of them.
    skip: usize,
    /// Rows to read.
    rows: usize,
}

struct Group {
    index: usize,
    /// Rows needed, counted within the group.
    rows: Range<u64>,
}

fn rows_of(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or(0)
}

impl Plan {
    fn new(metadata: &ParquetMetaData, window: &Window) -> Self {
        let mut skip = window.offset;
        let mut left = window.rows.min(MOST_ROWS) as u64;
        let mut groups = Vec::new();
        let mut first_skip = 0;
        for (index, group) in metadata.row_groups().iter().enumerate() {
            let rows = rows_of(group);
            if skip >= rows {
                skip -= rows;
                continue;
            }
            if left == 0 {
                break;
            }
            let take = (rows - skip).min(left);
            if groups.is_empty() {
                first_skip = skip;
            }
            groups.push(Group { index, rows: skip..skip + take });
            left -= take;
            skip = 0;
        }
        let rows = groups.iter().map(|g| (g.rows.end - g.rows.start) as usize).sum();
        Self { groups, skip: usize::try_from(first_skip).unwrap_or(usize::MAX), rows }
    }

    /// What will be read, as far as it can be told beforehand; at most about `budget` bytes of guesses.
    fn ranges(&self, metadata: &ParquetMetaData, mask: &ProjectionMask, budget: u64) -> Result<Vec<Range<u64>>> {
        let (mut exact, mut guesses) = (Vec::new(), Vec::new());
        for group in &self.groups {
            let Some(meta) = metadata.row_groups().get(group.index) else { continue };
            for (leaf, chunk) in meta.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf)) {
                let extent = extent(chunk).ok_or_else(|| {
                    Error::invalid(format!("its footer is corrupt: column `{}` starts nowhere", chunk.column_path()))
                })?;
                let pages = metadata
                    .offset_index()
                    .and_then(|index| index.get(group.index)?.get(leaf))
                    .map(OffsetIndexMetaData::page_locations);
                match pages {
                    Some(pages) if !pages.is_empty() => {
                        let offset = |i: usize| pages.get(i).and_then(|p| u64::try_from(p.offset).ok());
                        if let Some(first) = offset(0).filter(|first| *first > extent.start) {
                            exact.push(extent.start..first.min(extent.end));
                        }
                        for (i, page) in pages.iter().enumerate() {
                            let row = |p: Option<i64>| p.and_then(|r| u64::try_from(r).ok());
                            let first = row(Some(page.first_row_index)).unwrap_or(0);
                            let end = row(pages.get(i + 1).map(|p| p.first_row_index)).unwrap_or(u64::MAX);
                            if first < group.rows.end && end > group.rows.start {
                                let start = offset(i).unwrap_or(extent.start);
                                let length = u64::try_from(page.compressed_page_size).unwrap_or(0);
                                exact.push(start..start.saturating_add(length).min(extent.end));
                            }
                        }
                    }
                    _ => guesses.push(first_pages(chunk, &extent)),
                }
            }
        }
        let total: u64 = guesses.iter().map(|r| r.end - r.start).sum();
        if total > budget {
            let share = budget / (guesses.len() as u64).max(1);
            for guess in &mut guesses {
                guess.end = guess.end.min(guess.start + share);
            }
        }
        exact.append(&mut guesses);
        Ok(exact)
    }
}

/// The bytes of a column chunk; `None` where its metadata are nonsense.
fn extent(chunk: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let start = u64::try_from(chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset())).ok()?;
    let end = start.checked_add(u64::try_from(chunk.compressed_size()).ok()?)?;
    Some(start..end)
}

/// Where the dictionary and the first data page of a chunk are expected to end.
fn first_pages(chunk: &ColumnChunkMetaData, extent: &Range<u64>) -> Range<u64> {
    let compressed = extent.end - extent.start;
    let plain = u64::try_from(chunk.uncompressed_size()).unwrap_or(0).max(1);
    let ratio = (compressed as f64 / plain as f64).min(1.1);
    let dictionary = chunk.dictionary_page_offset().and_then(|_| u64::try_from(chunk.data_page_offset()).ok());
    let end = match dictionary.filter(|data| extent.contains(data)) {
        // Indices into a dictionary are small: a page of them spans many rows.
        Some(data) => data.saturating_add(PAGE / 4),
        None => extent.start.saturating_add((PAGE as f64 * 1.1 * ratio) as u64 + (16 << 10)),
    };
    extent.start..end.min(extent.end)
}

/// Nulls of a root column that is one flat leaf, from the statistics of all row groups.
fn nulls(metadata: &ParquetMetaData, root: usize) -> Option<u64> {
    let schema = metadata.file_metadata().schema_descr();
    let mut leaves = (0..schema.num_columns()).filter(|leaf| schema.get_column_root_idx(*leaf) == root);
    let leaf = leaves.next()?;
    if leaves.next().is_some() || schema.column(leaf).max_rep_level() > 0 {
        return None;
    }
    if schema.column(leaf).max_def_level() == 0 {
        return Some(0);
    }
    metadata
        .row_groups()
        .iter()
        .map(|group| group.columns().get(leaf)?.statistics()?.null_count_opt())
        .try_fold(0_u64, |sum, nulls| sum.checked_add(nulls?))
}

fn facts(metadata: &ParquetMetaData, schema: &Schema, geo: &Geo) -> Facts {
    let file = metadata.file_metadata();
    let chunks = || metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    let codecs: BTreeSet<String> = chunks().map(|c| codec(&c.compression().to_string())).collect();
    let codecs = codecs.into_iter().collect::<Vec<_>>().join(", ");
    let n = u64::try_from(file.num_rows()).unwrap_or(0);
    let rows = crate::text::count(n);
    let width = schema.fields().len();
    let name = if geo.standard.is_empty() { "Parquet" } else { &geo.standard };
    let mut title = format!("{name} · {rows} rows × {width} columns");
    if !codecs.is_empty() {
        title.push_str(" · ");
        title.push_str(&codecs);
    }
    let mut out = vec![
        ("rows".to_owned(), rows),
        ("columns".to_owned(), crate::text::count(width as u64)),
        ("row groups".to_owned(), row_groups(metadata)),
    ];
    let stored: u64 = chunks().filter_map(|c| u64::try_from(c.compressed_size()).ok()).fold(0, u64::saturating_add);
    let plain: u64 = chunks().filter_map(|c| u64::try_from(c.uncompressed_size()).ok()).fold(0, u64::saturating_add);
    out.push((
        "compression".to_owned(),
        format!("{codecs}, {} of {}", crate::text::bytes(stored), crate::text::bytes(plain)),
    ));
    out.push(("page index".to_owned(), if index_extent(metadata).is_some() { "yes" } else { "no" }.to_owned()));
    if let Some(by) = file.created_by() {
        out.push(("created by".to_owned(), by.to_owned()));
    }
    for column in &geo.columns {
        out.push((format!("geometry `{}`", column.name), String::new()));
        out.push((
            "encoding".to_owned(),
            match &column.encoding {
                Encoding::Wkb => "WKB".to_owned(),
                Encoding::Wkt => "WKT".to_owned(),
                Encoding::Native(kind) => format!("native {kind}"),
            },
        ));
        if !column.types.is_empty() {
            out.push(("types".to_owned(), column.types.join(", ")));
        }
        out.push(("CRS".to_owned(), column.crs.clone()));
        if !column.bbox.is_empty() {
            let numbers: Vec<String> = column.bbox.iter().map(ToString::to_string).collect();
            out.push(("bbox".to_owned(), numbers.join(", ")));
        }
    }
    let keys: Vec<&str> = file.key_value_metadata().into_iter().flatten().map(|kv| kv.key.as_str()).collect();
    if !keys.is_empty() {
        out.push(("metadata keys".to_owned(), keys.join(", ")));
    }
    Facts { title, rows: out }
}

fn row_groups(metadata: &ParquetMetaData) -> String {
    let groups = metadata.row_groups();
    let most = groups.iter().map(rows_of).max().unwrap_or(0);
    match groups.len() {
        0 | 1 => groups.len().to_string(),
        n => format!("{} of at most {} rows", crate::text::count(n as u64), crate::text::count(most)),
    }
}

/// `ZSTD(ZstdLevel(1))` as `zstd`.
fn codec(name: &str) -> String {
    name.split('(').next().unwrap_or(name).to_ascii_lowercase()
}
