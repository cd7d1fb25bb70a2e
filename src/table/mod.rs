//! Tables read from anywhere, a piece at a time. The contract of a table that stays open while it is
//! looked at ([`Rows`]), of a format that opens one ([`Format`], their table is [`crate::tables`]), and
//! what the formats share: ranged reads, geometry, cells as text and JSON.

mod coordinates;
pub(crate) mod csv;
mod display;
pub(crate) mod geo;
pub(crate) mod ipc;
pub(crate) mod json;
pub(crate) mod keys;
pub(crate) mod parquet;
mod pieces;
pub mod profile;
pub(crate) mod ranged;
mod settle;
pub(crate) mod shape;
mod show;
pub(crate) mod text;
mod widen;
pub(crate) mod wkt;
mod written;

pub(crate) use coordinates::{Coordinates, coordinates};
pub(crate) use display::cell_json;
pub use display::{format_cell, json_rows, to_json_rows, type_name};
pub use geo::{Covering, Encoding, Geo, GeoColumn};
pub(crate) use settle::{MOST_TRIES, settled};
pub use show::with_wkt;
pub(crate) use show::{shown, with_full_wkt};
pub(crate) use widen::{widened, wider};

use crate::error::Result;
use crate::facts::Facts;
use crate::probe::Probe;
use crate::store::Stores;
use crate::task::Control;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::ops::Range;
use std::sync::Arc;

/// A format of tables.
pub struct Format {
    /// Its name: `parquet`.
    pub name: &'static str,
    /// Whether it is for this thing. Asked first with the name alone, then with the first bytes.
    pub matches: fn(&Probe) -> bool,
    /// Opens it: reads what tells columns and rows (a footer, the first lines), in as few requests as
    /// can be.
    pub open: fn(Stores, Open) -> Opening,
}

/// A table that is being opened.
pub type Opening = BoxFuture<'static, Result<Arc<dyn Rows>>>;

/// What is opened, and how its reading is counted and stopped.
#[derive(Clone)]
pub struct Open {
    /// The thing.
    pub probe: Probe,
    /// Counts requests and bytes for as long as the table is open; cancelling it ends all reading.
    pub control: Control,
    /// Bytes that one window may cost before it fails with [`crate::error::Kind::Limit`].
    pub max_bytes: u64,
}

/// A table that stays open while it is looked at. What was read is kept, bounded in bytes, and read
/// again where it was let go. Dropping a future or stream that it gave stops the reading behind it.
pub trait Rows: Send + Sync + std::fmt::Debug {
    /// What is known of it now. A CSV learns its length while it is read.
    fn about(&self) -> Arc<About>;

    /// Rows of some columns, as they are stored (geometry as WKB or native arrays), the columns in the
    /// order asked for. Fewer rows than asked for only at the end.
    fn window(&self, window: Window) -> BoxFuture<'_, Result<RecordBatch>>;

    /// Rows from end to end in batches, or only some ranges of them: for profiles, maps, SQL and
    /// conversions. Reads ahead; keeps nothing. Stops when `control` says so; its meter counts. Fails with
    /// [`crate::error::Kind::Changed`] where a value is wider than its column was taken for: [`Rows::about`] knows
    /// it then, and the scan is to be begun again ([`settled`]).
    fn scan(&self, scan: Scan, control: &Control) -> BoxStream<'static, Result<RecordBatch>>;

    /// How it is stored: row groups, column chunks, pages. `None` where the format has no such thing.
    /// May read (a page index).
    fn layout(&self) -> BoxFuture<'_, Result<Option<Layout>>> {
        Box::pin(async { Ok(None) })
    }
}

/// Which rows and columns are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows wanted.
    pub rows: usize,
    /// Rows to skip first.
    pub offset: u64,
    /// Root columns by name, in the order wanted; `None` for the first so many.
    pub columns: Option<Vec<String>>,
}

/// Which rows and columns are read from end to end.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Root columns by name; `None` for all. None at all (`Some(vec![])`) gives batches that only count.
    pub columns: Option<Vec<String>>,
    /// Ranges of row numbers, ascending, not overlapping; `None` for all rows.
    pub rows: Option<Vec<Range<u64>>>,
}

/// What is known of a table.
#[derive(Clone, Debug)]
pub struct About {
    /// Format, rows, columns, compression: what stands above the rows.
    pub facts: Facts,
    /// All root columns as they are stored and read.
    pub schema: SchemaRef,
    /// The same columns in words.
    pub columns: Vec<Column>,
    /// Which of them are geometry.
    pub geo: Geo,
    /// Rows in the whole table, where known.
    pub total_rows: Option<u64>,
    /// Rows that are there at least: what was seen of a table whose length is not known yet.
    pub seen_rows: u64,
    /// Key-value metadata of the file, as it gives them: `geo`, `pandas`, `ARROW:schema`, `sliderule`.
    pub pairs: Vec<(String, String)>,
}

/// How a table is stored.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Its row groups (batches of an IPC file), in order.
    pub groups: Vec<Group>,
}

/// A row group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Rows in it.
    pub rows: u64,
    /// Bytes it takes in the file.
    pub stored: u64,
    /// Its column chunks, a leaf column each.
    pub chunks: Vec<Chunk>,
}

/// A column chunk.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// Path of its leaf column: `bbox.xmin`.
    pub column: String,
    /// Type as the format names it: `BYTE_ARRAY (String)`.
    pub kind: String,
    /// Encodings: `RLE_DICTIONARY, PLAIN`.
    pub encodings: String,
    /// `zstd`.
    pub codec: String,
    /// Bytes in the file.
    pub stored: u64,
    /// Bytes unpacked.
    pub plain: u64,
    /// Nulls, where told.
    pub nulls: Option<u64>,
    /// Distinct values, where told.
    pub distinct: Option<u64>,
    /// Smallest and largest value as text, where told.
    pub min: Option<String>,
    /// See `min`.
    pub max: Option<String>,
    /// Whether it has a bloom filter.
    pub bloom: bool,
    /// Its data pages, where an index tells them.
    pub pages: Vec<Page>,
}

/// A data page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its first row, counted within the group.
    pub first_row: u64,
    /// Where it starts in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub stored: u64,
    /// Nulls, where told.
    pub nulls: Option<u64>,
    /// Smallest and largest value as text, where told.
    pub min: Option<String>,
    /// See `min`.
    pub max: Option<String>,
}

/// Rows of a table, ready to be shown.
#[derive(Clone, Debug)]
pub struct Table {
    /// Format, rows, columns, compression: what stands above the rows.
    pub facts: Facts,
    /// The columns of `batch`, in its order.
    pub columns: Vec<Column>,
    /// The rows, ready to be shown: geometry is WKT in a string column.
    pub batch: RecordBatch,
    /// Number of the first row of `batch`.
    pub offset: u64,
    /// Rows in the whole table, where known.
    pub total_rows: Option<u64>,
    /// Columns in the whole table (more than `columns` where only some were read).
    pub total_columns: usize,
    /// The table, still open, where its format can be read on.
    pub rows: Option<Arc<dyn Rows>>,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in words: `f64`, `timestamp[ns]`, `geometry`.
    pub kind: String,
    /// Nulls in the whole table, where its statistics tell.
    pub nulls: Option<u64>,
    /// Whether it is a number (drawn to the right).
    pub numeric: bool,
    /// Unit, where the metadata tell: `m`, `degC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Whether its values stand in the names of folders and not in files.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partition: bool,
}
