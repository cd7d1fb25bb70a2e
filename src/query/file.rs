//! A Parquet file as `DataFusion` reads it: its footer by one request, its bytes through our stores, so that they are
//! counted, limited and stopped as everything else.

use super::faults::Faults;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::probe::Probe;
use crate::store::{StoreHandle, Stores};
use crate::task::{Control, caught};
use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use object_store::{GetOptions, GetRange, ObjectStoreExt as _, coalesce_ranges};
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    FileMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder, ParquetMetaDataReader,
};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// Bytes read from the end in the first request: the footer of most files and their page index.
const TAIL: u64 = 128 << 10;
/// Gaps that are read with what lies around them, to save a request.
const GAP: u64 = 512 << 10;
/// A footer larger than this is taken for garbage.
const LARGEST_FOOTER: u64 = 256 << 20;
/// A footer of a server is taken to be true for so long.
const FRESH: Duration = Duration::from_mins(1);
/// Footers kept, in bytes of memory.
const KEPT: usize = 128 << 20;

/// What the end of a file told.
pub(super) struct Footer {
    /// Bytes of the file.
    pub(super) size: u64,
    etag: Option<String>,
    /// The last bytes, and where they begin.
    start: u64,
    tail: Bytes,
    /// Without its page index.
    pub(super) metadata: Arc<ParquetMetaData>,
    /// With it, once it was asked for.
    indexed: tokio::sync::OnceCell<Arc<ParquetMetaData>>,
    read: Instant,
}

/// Where the schema that Arrow's writers add beside Parquet's is broken, its decoder fails or panics each time that the
/// file is opened: then it is left out.
fn without_broken_schema(metadata: ParquetMetaData) -> ParquetMetaData {
    const KEY: &str = "ARROW:schema";
    let file = metadata.file_metadata();
    let Some(pairs) = file.key_value_metadata().filter(|pairs| pairs.iter().any(|kv| kv.key == KEY)) else {
        return metadata;
    };
    let decode = || parquet_to_arrow_schema(file.schema_descr(), Some(pairs)).map_err(|err| not_parquet(&err));
    if caught(decode).is_ok() {
        return metadata;
    }
    let others = pairs.iter().filter(|kv| kv.key != KEY).cloned().collect();
    let created_by = file.created_by().map(str::to_owned);
    let (schema, orders) = (file.schema_descr_ptr(), file.column_orders().cloned());
    let file = FileMetaData::new(file.version(), file.num_rows(), created_by, Some(others), schema, orders);
    ParquetMetaData::new(file, metadata.row_groups().to_vec())
}

/// Footers of this session, by their location.
#[derive(Clone, Default)]
pub(super) struct Footers(Arc<Mutex<HashMap<Location, Arc<Footer>>>>);

impl Footers {
    fn get(&self, location: &Location) -> Option<Arc<Footer>> {
        // What lies on this computer is read again in no time, and may be another file by now.
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(location).cloned()?;
        (location.to_path().is_none() && kept.read.elapsed() < FRESH).then_some(kept)
    }

    fn put(&self, location: &Location, footer: &Arc<Footer>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = |footer: &Footer| footer.metadata.memory_size() + footer.tail.len();
        if kept.values().map(|f| size(f)).sum::<usize>() + size(footer) > KEPT {
            kept.clear();
        }
        kept.insert(location.clone(), footer.clone());
    }

    /// Forgets them: what was read may have changed.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// One file of a table, read for one query.
pub(super) struct File {
    pub(super) location: Location,
    handle: StoreHandle,
    known_size: Option<u64>,
    control: Control,
    io: Handle,
    faults: Faults,
    footers: Footers,
    footer: tokio::sync::OnceCell<Arc<Footer>>,
    /// Row groups of which something was read.
    touched: Mutex<BTreeSet<usize>>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("location", &self.location).finish_non_exhaustive()
    }
}

impl File {
    /// A file of which nothing is read yet. Must be called where the stores' requests shall run.
    pub(super) async fn new(
        stores: &Stores,
        probe: &Probe,
        control: &Control,
        footers: &Footers,
        faults: &Faults,
    ) -> Result<Self> {
        Ok(Self {
            location: probe.location.clone(),
            handle: control.race(stores.open(&probe.location, &control.meter)).await?,
            known_size: probe.size,
            control: control.clone(),
            io: Handle::current(),
            faults: faults.clone(),
            footers: footers.clone(),
            footer: tokio::sync::OnceCell::new(),
            touched: Mutex::default(),
        })
    }

    /// Its footer, if it was read.
    pub(super) fn footer_now(&self) -> Option<&Arc<Footer>> {
        self.footer.get()
    }

    /// Its footer: one request, or none where it was read a moment ago.
    pub(super) async fn footer(&self) -> Result<&Arc<Footer>> {
        self.footer
            .get_or_try_init(|| async {
                if let Some(kept) = self.footers.get(&self.location) {
                    return Ok(kept);
                }
                let read = self.read_footer().await;
                let footer = read.map_err(|err| err.context(format!("opening {}", self.location)))?;
                let footer = Arc::new(footer);
                self.footers.put(&self.location, &footer);
                Ok(footer)
            })
            .await
    }

    async fn read_footer(&self) -> Result<Footer> {
        // Not every server knows suffix ranges; where the size is known a plain one does.
        let range = match self.known_size {
            Some(size) if size > 0 => GetRange::Bounded(size.saturating_sub(TAIL)..size),
            _ => GetRange::Suffix(TAIL),
        };
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        let path = self.handle.path(self.location.key());
        let store = self.handle.object_store();
        let got = match self.control.race(store.get_opts(&path, options)).await {
            Ok(got) => got,
            // No range fits into an empty object: servers answer 416.
            Err(err) if matches!(err.kind(), Kind::Invalid | Kind::Failed) => {
                return match self.control.race(store.head(&path)).await {
                    Ok(meta) if meta.size == 0 => Err(Error::invalid("it is empty: it has 0 bytes")),
                    _ => Err(err),
                };
            }
            Err(err) => return Err(err),
        };
        let (size, start, etag) = (got.meta.size, got.range.start, got.meta.e_tag.clone());
        let tail = self.control.race(got.bytes()).await?;
        let mut decoder = ParquetMetaDataPushDecoder::try_new(size)
            .map_err(|err| not_parquet(&err))?
            .with_page_index_policy(PageIndexPolicy::Skip);
        let whole = start..start + tail.len() as u64;
        decoder.push_ranges(vec![whole], vec![tail.clone()]).map_err(|err| not_parquet(&err))?;
        let metadata = loop {
            match decoder.try_decode().map_err(|err| not_parquet(&err))? {
                DecodeResult::Data(metadata) => break metadata,
                DecodeResult::NeedsData(ranges) => {
                    if ranges.iter().map(|r| r.end.saturating_sub(r.start)).sum::<u64>() > LARGEST_FOOTER {
                        return Err(Error::invalid("its footer claims to be larger than 256 MiB"));
                    }
                    let store = &store;
                    let read = ranges.iter().map(|range| {
                        let (path, range) = (path.clone(), range.clone());
                        async move { store.get_range(&path, range).await }
                    });
                    let bytes = self.control.race(futures::future::try_join_all(read)).await?;
                    decoder.push_ranges(ranges, bytes).map_err(|err| not_parquet(&err))?;
                }
                DecodeResult::Finished => return Err(Error::invalid("it has no footer")),
            }
        };
        let metadata = Arc::new(without_broken_schema(metadata));
        let indexed = tokio::sync::OnceCell::new();
        Ok(Footer { size, etag, start, tail, metadata, indexed, read: Instant::now() })
    }

    /// Its metadata with the page index, where it has one: a request more, unless the tail held it.
    pub(super) async fn indexed(self: &Arc<Self>) -> Result<Arc<ParquetMetaData>> {
        let footer = self.footer().await?.clone();
        let has_index = footer.metadata.row_groups().iter().any(|group| {
            group.columns().iter().any(|c| c.column_index_offset().is_some() || c.offset_index_offset().is_some())
        });
        if !has_index {
            return Ok(footer.metadata.clone());
        }
        let load = || async {
            let mut reader = ParquetMetaDataReader::new_with_metadata(ParquetMetaData::clone(&footer.metadata))
                .with_page_index_policy(PageIndexPolicy::Optional);
            let fetch = Fetch(self.clone());
            reader
                .load_page_index(fetch)
                .await
                .map_err(|err| self.faults.take().unwrap_or_else(|| not_parquet(&err)))?;
            reader.finish().map(Arc::new).map_err(|err| not_parquet(&err))
        };
        footer.indexed.get_or_try_init(load).await.cloned()
    }

    /// Reads ranges, those close to each other in one request; what the tail holds costs nothing.
    async fn read(self: Arc<Self>, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let footer = self.footer().await?.clone();
        let outside: Vec<Range<u64>> = ranges.iter().filter(|r| footer.kept(r).is_none()).cloned().collect();
        let fetch = |range: Range<u64>| {
            let (file, footer) = (self.clone(), footer.clone());
            async move { file.fetch(range, &footer).await }
        };
        let mut got = if outside.is_empty() {
            Vec::new()
        } else {
            self.control.race(coalesce_ranges(&outside, fetch, GAP)).await?
        }
        .into_iter();
        ranges
            .iter()
            .map(|range| footer.kept(range).or_else(|| got.next()))
            .map(|bytes| bytes.ok_or_else(|| Error::invalid("the server sent less than was asked for")))
            .collect()
    }

    async fn fetch(&self, range: Range<u64>, footer: &Footer) -> Result<Bytes> {
        let changed = || Error::new(Kind::Changed, format!("{} changed while it was read", self.location));
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let got = self.handle.object_store().get_opts(&self.handle.path(self.location.key()), options).await?;
        if got.meta.size != footer.size || (footer.etag.is_some() && got.meta.e_tag != footer.etag) {
            self.footers.clear();
            return Err(changed());
        }
        let bytes = got.bytes().await?;
        if bytes.len() as u64 == range.end - range.start { Ok(bytes) } else { Err(changed()) }
    }

    /// How many row groups something was read of.
    pub(super) fn groups_read(&self) -> usize {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Says that its first rows are read otherwise.
    pub(super) fn touch_first(&self, rows: u64) {
        let Some(footer) = self.footer.get() else { return };
        let mut before = 0;
        for (i, group) in footer.metadata.row_groups().iter().enumerate() {
            if before < rows {
                self.touched.lock().unwrap_or_else(PoisonError::into_inner).insert(i);
            }
            before += group.num_rows().max(0).unsigned_abs();
        }
    }

    fn touch(&self, ranges: &[Range<u64>]) {
        let Some(footer) = self.footer.get() else { return };
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        for (i, group) in footer.metadata.row_groups().iter().enumerate() {
            let chunks = group.columns().iter().map(parquet::file::metadata::ColumnChunkMetaData::byte_range);
            let (start, end) = chunks.fold((u64::MAX, 0), |(s, e), (at, n)| (s.min(at), e.max(at + n)));
            if ranges.iter().any(|r| r.start < end && r.end > start) {
                touched.insert(i);
            }
        }
    }

    /// The same from any thread: the requests run where the file was made.
    fn read_there(
        self: &Arc<Self>,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'static, parquet::errors::Result<Vec<Bytes>>> {
        let (file, faults) = (self.clone(), self.faults.clone());
        let task = AbortOnDropHandle::new(self.io.spawn(async move { file.read(ranges).await }));
        async move {
            match task.await {
                Ok(Ok(bytes)) => Ok(bytes),
                Ok(Err(err)) => Err(ParquetError::External(Box::new(faults.keep(err)))),
                Err(err) => Err(ParquetError::External(Box::new(err))),
            }
        }
        .boxed()
    }
}

impl Footer {
    /// A range of which all was read with the footer.
    fn kept(&self, range: &Range<u64>) -> Option<Bytes> {
        let from = range.start.checked_sub(self.start)? as usize;
        let to = range.end.checked_sub(self.start)? as usize;
        (from <= to && to <= self.tail.len()).then(|| self.tail.slice(from..to))
    }
}

fn not_parquet(err: &ParquetError) -> Error {
    let text = err.to_string();
    let why = text.split_once(": ").map_or(text.as_str(), |(_, why)| why);
    Error::invalid(format!("it is not whole, or not Parquet: {why}"))
}

/// Reads for the page index.
struct Fetch(Arc<File>);

impl parquet::arrow::async_reader::MetadataFetch for Fetch {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        let read = self.0.read_there(vec![range]);
        async move { read.await?.pop().ok_or_else(|| ParquetError::EOF("nothing was read".into())) }.boxed()
    }
}

/// Opens files for `DataFusion`: those that stand beside them in [`PartitionedFile`].
#[derive(Debug)]
pub(super) struct Opener;

impl ParquetFileReaderFactory for Opener {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::error::Result<Box<dyn AsyncFileReader + Send>> {
        let ours = file.extension::<Arc<File>>().cloned();
        let ours = ours.ok_or_else(|| DataFusionError::Internal("a file that nobody opened".to_owned()))?;
        let metrics = ParquetFileMetrics::new(partition, file.object_meta.location.as_ref(), metrics);
        Ok(Box::new(Reader { file: ours, metrics }))
    }
}

struct Reader {
    file: Arc<File>,
    metrics: ParquetFileMetrics,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        let read = self.get_byte_ranges(vec![range]);
        async move { read.await?.pop().ok_or_else(|| ParquetError::EOF("nothing was read".into())) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        let bytes: u64 = ranges.iter().map(|r| r.end.saturating_sub(r.start)).sum();
        self.metrics.bytes_scanned.add(bytes as usize);
        self.file.touch(&ranges);
        self.file.read_there(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let wants_index = options.is_some_and(|o| o.column_index_policy() != PageIndexPolicy::Skip);
        let file = self.file.clone();
        let task = AbortOnDropHandle::new(self.file.io.spawn(async move {
            if wants_index { file.indexed().await } else { file.footer().await.map(|f| f.metadata.clone()) }
        }));
        let faults = self.file.faults.clone();
        async move {
            match task.await {
                Ok(Ok(metadata)) => Ok(metadata),
                Ok(Err(err)) => Err(ParquetError::External(Box::new(faults.keep(err)))),
                Err(err) => Err(ParquetError::External(Box::new(err))),
            }
        }
        .boxed()
    }
}
