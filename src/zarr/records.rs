//! Kerchunk's references in Parquet: a folder with one document of all metadata, and for each array tables of its
//! chunks, of which only those are read that are asked for.
//!
//! <https://fsspec.github.io/kerchunk/spec.html#parquet-references>, as `LazyReferenceMapper` of fsspec reads them:
//! `.zmetadata` holds `metadata` and `record_size`. Chunk `n` of the array `a`, counted with the last dimension
//! fastest, is row `n % record_size` of `a/refs.{n / record_size}.parq`. Its columns are `path`, `offset`, `size`
//! and `raw`: bytes that lie in the table itself; a path with neither offset nor size is a whole file, and without a
//! path nothing is stored.

use super::document;
use super::refs::Reference;
use super::source::too_large;
use crate::error::{Context as _, Error, Kind, Result};
use crate::location::Location;
use crate::store::{StoreHandle, Stores};
use crate::task::Control;
use crate::text;
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Bytes of the metadata, and of one table.
const MOST: u64 = 64 << 20;
/// Rows of one table, and of all that are kept.
const MOST_ROWS: usize = 2 << 20;
/// Tables that are kept.
const KEPT: usize = 16;

/// The rows of a table; `None` for a table that does not exist.
type Rows = Option<Arc<[Option<Reference>]>>;
type Table = Arc<OnceCell<Rows>>;

/// The folder.
pub(super) struct Records {
    handle: StoreHandle,
    base: Location,
    /// Documents by their keys.
    documents: BTreeMap<String, Bytes>,
    /// Chunks along each dimension, by the array.
    grids: HashMap<String, Vec<u64>>,
    /// Rows of a table.
    size: u64,
    tables: Mutex<HashMap<(String, u64), Table>>,
}

/// Whether a folder is called as such are.
pub(super) fn is_records(name: &str) -> bool {
    let stem = name.trim_end_matches('/').to_ascii_lowercase();
    stem.strip_suffix(".parq").is_some_and(|stem| !stem.is_empty())
}

impl Records {
    pub(super) async fn open(stores: &Stores, at: &Location, control: &Control) -> Result<Self> {
        let base = at.as_container();
        let handle = stores.open(&base, &control.meter).await?;
        let all = base.child(".zmetadata");
        let head = handle.read_head(&all, MOST).await.map_err(|err| match err.kind() {
            Kind::NotFound => {
                Error::new(Kind::NotFound, format!("{base} holds no references: it has no .zmetadata")).with_source(err)
            }
            _ => err,
        })?;
        if head.size > MOST {
            return Err(too_large(&all.to_string(), head.size, MOST));
        }
        let whole = document::parse(&head.bytes).context(|| all.to_string())?;
        let size = whole.get("record_size").and_then(Value::as_u64).filter(|n| *n > 0);
        let size =
            size.ok_or_else(|| Error::invalid(format!("{all} tells no `record_size`: it is none of references")))?;
        let metadata = whole.get("metadata").and_then(Value::as_object);
        let metadata = metadata.ok_or_else(|| Error::invalid(format!("{all} holds no `metadata`")))?;
        let mut documents = BTreeMap::from([(".zmetadata".to_owned(), head.bytes.clone())]);
        for (key, value) in metadata {
            documents.insert(key.clone(), serde_json::to_vec(value)?.into());
        }
        let grid = |(key, value): (&String, &Value)| Some((key.strip_suffix("/.zarray")?.to_owned(), grid(value)?));
        let grids = metadata.iter().filter_map(grid).collect();
        Ok(Self { handle, base, documents, grids, size, tables: Mutex::default() })
    }

    /// The keys of its documents, with their sizes: what the tables hold is known only when they are read.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, u64)> {
        self.documents.iter().map(|(key, bytes)| (key.as_str(), bytes.len() as u64))
    }

    /// What a key stands for.
    pub(super) async fn find(&self, key: &str, control: &Control) -> Result<Option<Reference>> {
        if let Some(bytes) = self.documents.get(key) {
            return Ok(Some(Reference::Inline(bytes.clone())));
        }
        let Some((array, number)) = self.chunk(key) else { return Ok(None) };
        let (table, row) = (number / self.size, (number % self.size) as usize);
        let rows = self.rows(array, table, control).await?;
        Ok(rows.and_then(|rows| rows.get(row).cloned().flatten()))
    }

    /// The array that a key of a chunk is of, and the chunk's number.
    fn chunk<'a>(&self, key: &'a str) -> Option<(&'a str, u64)> {
        // Where dimensions are kept apart by `/`, the array's name is shorter.
        let (array, index, grid) = key.match_indices('/').rev().find_map(|(at, _)| {
            let (array, index) = (&key[..at], &key[at + 1..]);
            self.grids.get(array).map(|grid| (array, index, grid))
        })?;
        let index: Option<Vec<u64>> = index.split(['.', '/']).map(|n| n.parse().ok()).collect();
        let index = index.filter(|index| index.len() == grid.len().max(1))?;
        let number = index.iter().zip(grid).try_fold(0_u64, |number, (at, count)| {
            (at < count).then(|| number.checked_mul(*count)?.checked_add(*at)).flatten()
        });
        Some((array, number?))
    }

    async fn rows(&self, array: &str, number: u64, control: &Control) -> Result<Rows> {
        let table = self.table(array, number);
        let read = table.get_or_try_init(|| async {
            let at = self.base.child(&format!("{array}/refs.{number}.parq"));
            let head = match control.race(self.handle.read_head(&at, MOST)).await {
                Ok(head) => head,
                Err(err) if err.kind() == Kind::NotFound => return Ok(None),
                Err(err) => return Err(err),
            };
            if head.size > MOST {
                return Err(too_large(&at.to_string(), head.size, MOST));
            }
            let base = self.base.clone();
            let rows = control.blocking(move |control| decode(head.bytes, &base, &control)).await;
            Ok::<_, Error>(Some(rows.context(|| format!("the references in {at}"))?.into()))
        });
        Ok(read.await?.clone())
    }

    /// Where a table is kept, once it was read.
    fn table(&self, array: &str, number: u64) -> Table {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (array.to_owned(), number);
        if !tables.contains_key(&key) {
            let held = |table: &Table| table.get().and_then(|rows| rows.as_ref().map(|r| r.len())).unwrap_or(0);
            if tables.len() >= KEPT || tables.values().map(held).sum::<usize>() > MOST_ROWS {
                tables.clear();
            }
        }
        tables.entry(key).or_default().clone()
    }
}

/// Chunks along each dimension; none for an array without dimensions, which has one.
fn grid(array: &Value) -> Option<Vec<u64>> {
    let sides = |name: &str| -> Option<Vec<u64>> { array.get(name)?.as_array()?.iter().map(Value::as_u64).collect() };
    let (shape, chunks) = (sides("shape")?, sides("chunks")?);
    let count = |(side, chunk): (&u64, &u64)| (*chunk > 0).then(|| side.div_ceil(*chunk));
    let counts: Option<Vec<u64>> = shape.iter().zip(&chunks).map(count).collect();
    counts.filter(|_| shape.len() == chunks.len()).map(|counts| if counts.is_empty() { vec![1] } else { counts })
}

fn bad(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid(format!("this is no table of references: {}", text::clean(&err.to_string()))).with_source(err)
}

/// The rows of a table. Blocks.
fn decode(bytes: Bytes, base: &Location, control: &Control) -> Result<Vec<Option<Reference>>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(bad)?;
    let total = builder.metadata().file_metadata().num_rows();
    if total > MOST_ROWS as i64 {
        return Err(Error::new(Kind::Limit, format!("a table of {total} references is more than is held")));
    }
    let (mut rows, mut files) = (Vec::new(), HashMap::new());
    for batch in builder.build().map_err(bad)? {
        control.check()?;
        take(&batch.map_err(bad)?, base, &mut files, &mut rows)?;
    }
    Ok(rows)
}

fn take(
    batch: &RecordBatch,
    base: &Location,
    files: &mut HashMap<String, Arc<Location>>,
    rows: &mut Vec<Option<Reference>>,
) -> Result<()> {
    let column = |name: &str, dtype: &DataType| {
        batch.column_by_name(name).map(|column| cast(column, dtype).map_err(bad)).transpose()
    };
    let (path, raw) = (column("path", &DataType::Utf8)?, column("raw", &DataType::Binary)?);
    let (offset, size) = (column("offset", &DataType::Int64)?, column("size", &DataType::Int64)?);
    let number = |column: &Option<arrow::array::ArrayRef>, row: usize| match column {
        Some(column) if column.is_valid(row) => column.as_primitive::<Int64Type>().value(row),
        _ => 0,
    };
    for row in 0..batch.num_rows() {
        if let Some(raw) = raw.as_ref().filter(|raw| raw.is_valid(row)) {
            let bytes = raw.as_binary::<i32>().value(row);
            rows.push(Some(Reference::Inline(Bytes::copy_from_slice(bytes))));
            continue;
        }
        let Some(path) = path.as_ref().filter(|path| path.is_valid(row)) else {
            rows.push(None);
            continue;
        };
        let path = path.as_string::<i32>().value(row);
        let file = if let Some(file) = files.get(path) {
            file.clone()
        } else {
            let file = Arc::new(base.resolve(path)?);
            files.insert(path.to_owned(), file.clone());
            file
        };
        let part = (u64::try_from(number(&offset, row)), u64::try_from(number(&size, row)));
        rows.push(Some(match part {
            (Ok(0), Ok(0)) => Reference::Whole(file),
            (Ok(offset), Ok(size)) => Reference::Part(file, offset, size),
            _ => return Err(Error::invalid("a reference has a negative offset or size")),
        }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn folders_of_references_are_known_by_their_names() {
        assert!(is_records("combined.parq/") && is_records("X.PARQ"));
        assert!(!is_records(".parq/") && !is_records("x.parquet/") && !is_records("x.zarr/"));
    }

    #[test]
    fn chunks_are_counted_with_the_last_dimension_fastest() {
        assert_eq!(grid(&json!({ "shape": [10, 7], "chunks": [4, 7] })), Some(vec![3, 1]));
        assert_eq!(grid(&json!({ "shape": [], "chunks": [] })), Some(vec![1]));
        assert_eq!(grid(&json!({ "shape": [10], "chunks": [0] })), None);
    }

    #[test]
    fn what_is_no_table_says_so() {
        let base = Location::parse("s3://b/d.parq/").expect("an address");
        let err = decode(Bytes::from_static(b"no table"), &base, &Control::default()).expect_err("refused");
        assert!(err.to_string().contains("no table of references"), "{err}");
    }
}
