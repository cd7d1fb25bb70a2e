//! Parquet by ranged reads: the footer in one request, then of the columns looked at only the pages that
//! hold the rows, and of their dictionaries no more than the rows ask for.
//!
//! | file of `parquet/` | what it knows |
//! |---|---|
//! | `footer` | the last bytes: what the file says of itself, and lies that are not believed |
//! | `thrift`, `header` | headers of pages, the offset index |
//! | `plan` | which bytes hold some rows of some columns, fetched in as few rounds as can be |
//! | `prefix`, `reader` | pages for the decoder; beginnings of dictionaries |
//! | `scan` | rows from end to end, ahead of who takes them |
//! | `int96` | times of 96 bits, beyond the year 2262 |
//! | `about`, `layout` | what is shown of a file; how it is stored; statistics as text |

mod about;
mod footer;
mod header;
mod int96;
mod layout;
mod plan;
mod prefix;
mod reader;
mod scan;
mod text;
mod thrift;

pub(crate) use int96::with_micros;

use super::geo::Geo;
use super::ranged::Ranged;
use super::{About, Layout, Scan, Window};
use crate::error::{Error, Kind, Result};
use crate::probe::Probe;
use crate::store::Stores;
use crate::task::{Control, caught};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, RowSelection, RowSelector};
use ::parquet::arrow::parquet_to_arrow_field_levels;
use ::parquet::file::metadata::ParquetMetaData;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Schema};
use futures::stream::BoxStream;
use header::Pages;
use plan::{Part, rows_of};
use reader::Source;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Columns shown when none were asked for.
const MOST_COLUMNS: usize = 50;
/// Rows of one window, whatever is asked for.
const MOST_ROWS: usize = 100_000;
/// Bytes that the rows of one window may take unpacked.
const MOST_MEMORY: usize = 512 << 20;
/// Rows that are decoded at once: memory is looked at in between.
const BATCH: usize = 1024;
/// Pages whose place is remembered, some 32 bytes each.
const MOST_PAGES: usize = 2 << 20;

/// A Parquet file whose footer was read. Clones share what was fetched and learned.
#[derive(Clone)]
pub(crate) struct File {
    ranged: Ranged,
    metadata: Arc<ParquetMetaData>,
    reader: ArrowReaderMetadata,
    geo: Geo,
    /// By leaf column: whether it is read as an Arrow dictionary.
    dictionaries: Arc<[bool]>,
    pages: Arc<Mutex<Learned>>,
    /// Bytes that one window may cost.
    limit: u64,
}

/// Where pages lie, by row group and leaf column.
#[derive(Default)]
struct Learned {
    chunks: HashMap<(usize, usize), Arc<Pages>>,
    /// Pages of all of them.
    known: usize,
}

impl File {
    /// Reads the footer. A window may cost `limit` bytes; at most `kept` bytes are kept for later ones.
    pub(crate) async fn open(stores: &Stores, probe: &Probe, control: &Control, limit: u64, kept: u64) -> Result<Self> {
        let tail = footer::tail(probe.size);
        let ranged = Ranged::open_tail(stores, &probe.location, probe.size, tail, kept, control).await?;
        let (view, _open) = ranged.view(control, limit, true).await?;
        let (metadata, reader) = footer::read(&view).await?;
        let geo = Geo::read(metadata.file_metadata(), reader.schema());
        let descr = metadata.file_metadata().schema_descr();
        let fields = reader.schema().fields();
        let is_dictionary =
            |leaf: usize| fields.get(descr.get_column_root_idx(leaf)).is_some_and(|f| holds_dictionary(f.data_type()));
        let dictionaries = (0..descr.num_columns()).map(is_dictionary).collect();
        Ok(Self { ranged, metadata, reader, geo, dictionaries, pages: Arc::default(), limit })
    }

    /// What the footer tells.
    pub(crate) fn about(&self) -> About {
        about::about(&self.metadata, self.reader.schema(), &self.geo)
    }

    /// Its columns.
    pub(crate) fn schema(&self) -> &arrow::datatypes::SchemaRef {
        self.reader.schema()
    }

    /// Rows in all.
    pub(crate) fn rows(&self) -> u64 {
        self.metadata.row_groups().iter().map(rows_of).fold(0, u64::saturating_add)
    }

    /// Reads a window of rows. Dropping the future ends its requests and its thread.
    pub(crate) async fn window(&self, window: &Window, control: &Control) -> Result<RecordBatch> {
        let (view, _open) = self.ranged.view(control, self.limit, true).await?;
        let roots = choose(self.reader.schema(), &self.geo, window.columns.as_deref())?;
        let parts = self.parts(window.offset, window.rows.min(MOST_ROWS) as u64);
        let mut sources = Vec::new();
        for part in &parts {
            let source = if roots.is_empty() {
                continue;
            } else {
                let leaves = self.leaves(&roots);
                self.prepare(&view, part, &leaves).await?
            };
            sources.push(source);
        }
        let file = self.clone();
        let sources = control
            .blocking(move |_| {
                caught(|| sources.into_iter().map(|s| Ok((s.lacking()?, s))).collect::<Result<Vec<_>>>())
            })
            .await?;
        let lacking: Vec<Range<u64>> = sources.iter().flat_map(|(lacking, _)| lacking.clone()).collect();
        view.fetch(&lacking).await?;
        let decode = move |_: Control| {
            caught(|| {
                let mut batches = Vec::new();
                let mut memory = 0;
                for ((_, source), part) in sources.iter().zip(&parts) {
                    for batch in file.batches(source, &roots, &part.rows, BATCH)? {
                        view.check()?;
                        let batch = batch.map_err(|err| view.explain(err))?;
                        memory += batch.get_array_memory_size();
                        if memory > MOST_MEMORY {
                            let most = crate::text::bytes(MOST_MEMORY as u64);
                            return Err(Error::new(
                                Kind::Limit,
                                format!("the rows asked for unpack to more than {most}"),
                            )
                            .with_hint("ask for fewer columns or rows"));
                        }
                        batches.push(batch);
                    }
                }
                let rows = parts.iter().flat_map(|part| &part.rows).map(|r| r.end - r.start).sum();
                file.together(&roots, &batches, rows)
            })
        };
        control.blocking(decode).await
    }

    /// Rows of some columns from end to end.
    pub(crate) fn scan(&self, scan: Scan, control: &Control) -> BoxStream<'static, Result<RecordBatch>> {
        scan::scan(self.clone(), scan, control.clone())
    }

    /// How it is stored; reads the column and offset indexes.
    pub(crate) async fn layout(&self, control: &Control) -> Result<Layout> {
        let (view, _open) = self.ranged.view(control, self.limit, false).await?;
        layout::layout(&self.metadata, &view).await
    }

    /// The leaf columns of root columns.
    fn leaves(&self, roots: &[usize]) -> Vec<usize> {
        let descr = self.metadata.file_metadata().schema_descr();
        (0..descr.num_columns()).filter(|leaf| roots.contains(&descr.get_column_root_idx(*leaf))).collect()
    }

    fn is_arrow_dictionary(&self, leaf: usize) -> bool {
        self.dictionaries.get(leaf).copied().unwrap_or(true)
    }

    fn learned(&self) -> std::sync::MutexGuard<'_, Learned> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the pages of a chunk.
    fn known(&self, group: usize, leaf: usize) -> Option<Arc<Pages>> {
        self.learned().chunks.get(&(group, leaf)).cloned()
    }

    fn learn(&self, group: usize, leaf: usize, pages: Pages) -> Arc<Pages> {
        let mut learned = self.learned();
        if learned.known > MOST_PAGES {
            *learned = Learned::default();
        }
        learned.known += pages.data.len();
        let pages = Arc::new(pages);
        learned.chunks.insert((group, leaf), pages.clone());
        pages
    }

    /// The row groups that hold rows `offset..offset + rows`.
    fn parts(&self, offset: u64, rows: u64) -> Vec<Part> {
        self.parts_of(std::slice::from_ref(&(offset..offset.saturating_add(rows))))
    }

    /// The row groups that hold these ranges of rows, which ascend.
    fn parts_of(&self, ranges: &[Range<u64>]) -> Vec<Part> {
        let mut parts = Vec::new();
        let (mut first, mut next) = (0_u64, 0);
        for (group, meta) in self.metadata.row_groups().iter().enumerate() {
            let end = first.saturating_add(rows_of(meta));
            let mut rows = Vec::new();
            while let Some(range) = ranges.get(next).filter(|range| range.start < end) {
                let inside = range.start.max(first)..range.end.min(end);
                if inside.start < inside.end {
                    rows.push(inside.start - first..inside.end - first);
                }
                if range.end > end {
                    break;
                }
                next += 1;
            }
            if !rows.is_empty() {
                parts.push(Part { group, rows });
            }
            first = end;
        }
        parts
    }

    /// Decodes rows of a row group. Blocks.
    fn batches(
        &self,
        source: &Source,
        roots: &[usize],
        rows: &[Range<u64>],
        batch: usize,
    ) -> Result<ParquetRecordBatchReader> {
        let explain = |err| source.view.explain(err);
        let descr = self.reader.parquet_schema();
        let mask = ProjectionMask::roots(descr, roots.iter().copied());
        let levels =
            parquet_to_arrow_field_levels(descr, mask, Some(self.reader.schema().fields())).map_err(explain)?;
        let mut selectors = Vec::new();
        let mut at = 0;
        for range in rows {
            if range.start > at {
                selectors.push(RowSelector::skip((range.start - at) as usize));
            }
            selectors.push(RowSelector::select((range.end - range.start) as usize));
            at = range.end;
        }
        let most = rows.iter().map(|r| r.end - r.start).sum::<u64>();
        let batch = batch.min(usize::try_from(most).unwrap_or(batch)).max(1);
        ParquetRecordBatchReader::try_new_with_row_groups(&levels, source, batch, Some(RowSelection::from(selectors)))
            .map_err(explain)
    }

    /// Batches as one, its columns in the order asked for.
    fn together(&self, roots: &[usize], batches: &[RecordBatch], rows: u64) -> Result<RecordBatch> {
        let explain = super::ranged::unknown_form;
        if roots.is_empty() {
            return counted(rows);
        }
        let mut file_order = roots.to_vec();
        file_order.sort_unstable();
        let schema = self.reader.schema().project(&file_order).map_err(explain)?;
        let schema = Arc::new(Schema::new(schema.fields));
        let batch = match batches.first() {
            Some(first) => concat_batches(&first.schema(), batches).map_err(explain)?,
            None => RecordBatch::new_empty(schema),
        };
        if (batch.num_rows() as u64) < rows {
            return Err(Error::invalid("corrupt: a column ends before its last row"));
        }
        in_order(&batch, roots)
    }
}

/// The decoder gives columns in the file's order: here they are in the order asked for.
fn in_order(batch: &RecordBatch, roots: &[usize]) -> Result<RecordBatch> {
    let mut file_order = roots.to_vec();
    file_order.sort_unstable();
    let order: Vec<usize> = roots.iter().filter_map(|root| file_order.binary_search(root).ok()).collect();
    batch.project(&order).map_err(super::ranged::unknown_form)
}

/// So many rows of no column.
fn counted(rows: u64) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(usize::try_from(rows).ok());
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
        .map_err(super::ranged::unknown_form)
}

fn holds_dictionary(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(..) => true,
        DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::Map(f, _) => {
            holds_dictionary(f.data_type())
        }
        DataType::Struct(fields) => fields.iter().any(|f| holds_dictionary(f.data_type())),
        _ => false,
    }
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
