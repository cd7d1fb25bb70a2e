//! The result of a query as a table that stays open: rows are made as they are looked at, and kept, in memory up to
//! a bound and beyond it in a file of the query's temporary folder.

use super::running::Running;
use super::tally::Reading;
use crate::error::{Context as _, Error, Kind, Result};
use crate::facts::Facts;
use crate::table::{About, Column, Geo, MOST_TRIES, Rows, Scan, Window, type_name};
use crate::task::Control;
use crate::text;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

/// A result. Dropping it stops the query and removes what it wrote.
pub struct Answer(Arc<Inner>);

struct Inner {
    /// Its columns may become wider as those of its tables do.
    about: Mutex<Arc<About>>,
    reading: Mutex<Reading>,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    kept: Vec<Kept>,
    rows: u64,
    memory: usize,
    file: Option<Arc<Mutex<std::fs::File>>>,
    written: u64,
    /// Times that it was run again.
    tries: usize,
    failed: Option<Error>,
}

/// Rows `start..start + rows` of the result.
#[derive(Clone)]
struct Kept {
    start: u64,
    rows: usize,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Memory(RecordBatch),
    /// Offset and length of an IPC stream in the file.
    Disk(u64, usize),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.about().schema).finish_non_exhaustive()
    }
}

impl Answer {
    pub(super) fn new(running: Running) -> Self {
        let reading = Mutex::new(running.reading());
        let about = Mutex::new(Arc::new(about_of(running.schema(), 0, false)));
        let state = tokio::sync::Mutex::new(State { running: Some(running), ..State::default() });
        Self(Arc::new(Inner { about, reading, state }))
    }

    /// What was read for it so far.
    pub fn reading(&self) -> Reading {
        *self.0.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn about_of(schema: &SchemaRef, rows: u64, done: bool) -> About {
    let geo = Geo::of_schema(schema);
    let column = |field: &FieldRef| {
        let shape = geo.column(field.name());
        Column {
            name: field.name().clone(),
            kind: shape.map_or_else(|| type_name(field.data_type()), |g| g.kind().to_owned()),
            numeric: field.data_type().is_numeric(),
            ..Column::default()
        }
    };
    let columns: Vec<Column> = schema.fields().iter().map(column).collect();
    let counted = if done { text::count(rows) } else { format!("{}+", text::count(rows)) };
    let title = format!("result · {counted} rows × {} columns", columns.len());
    let mut facts = Facts { title, rows: Vec::new() };
    for shape in &geo.columns {
        facts.rows.push((shape.name.clone(), format!("geometry · {}", shape.crs)));
    }
    About {
        facts,
        schema: schema.clone(),
        columns,
        geo,
        total_rows: done.then_some(rows),
        seen_rows: rows,
        pairs: Vec::new(),
    }
}

impl Inner {
    /// Takes rows until there are `wanted`, or no more.
    async fn pull(&self, state: &mut State, wanted: u64) -> Result<()> {
        while state.rows < wanted {
            if let Some(err) = &state.failed {
                return Err(err.again());
            }
            let Some(running) = &mut state.running else { return Ok(()) };
            let next = running.next().await;
            *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = running.reading();
            match next {
                Ok(Some(batch)) if batch.num_rows() == 0 => {}
                Ok(Some(batch)) => state.keep(batch).await?,
                Ok(None) => state.running = None,
                Err(err) if state.tries < MOST_TRIES && running.again(&err).await? => {
                    // What was kept is of the narrower types, and may be in use: it is not written over.
                    let (running, tries) = (state.running.take(), state.tries + 1);
                    *state = State { running, tries, ..State::default() };
                }
                Err(err) => {
                    // Told to stop, it can be asked again; anything else stays as it is.
                    if err.kind() != Kind::Cancelled {
                        state.failed = Some(err.again());
                        state.running = None;
                    }
                    return Err(err);
                }
            }
            let mut about = self.about.lock().unwrap_or_else(PoisonError::into_inner);
            let schema = state.running.as_ref().map_or_else(|| about.schema.clone(), |r| r.schema().clone());
            *about = Arc::new(about_of(&schema, state.rows, state.running.is_none()));
        }
        Ok(())
    }

    async fn window(&self, window: Window) -> Result<RecordBatch> {
        let end = window.offset.saturating_add(window.rows as u64);
        let mut state = self.state.lock().await;
        self.pull(&mut state, end).await?;
        let (pieces, file) = (state.between(window.offset, end), state.file.clone());
        let schema = self.about.lock().unwrap_or_else(PoisonError::into_inner).schema.clone();
        drop(state);
        let task = tokio::task::spawn_blocking(move || {
            let mut batches = Vec::with_capacity(pieces.len());
            for piece in &pieces {
                let batch = piece.read(file.as_ref())?;
                let from = window.offset.saturating_sub(piece.start) as usize;
                let to = (end - piece.start).min(piece.rows as u64) as usize;
                batches.push(batch.slice(from, to - from));
            }
            let all = concat_batches(&schema, &batches).map_err(misfit)?;
            match &window.columns {
                Some(names) => projected(&all, names),
                None => Ok(all),
            }
        });
        task.await.map_err(super::lost)?
    }
}

impl State {
    async fn keep(&mut self, batch: RecordBatch) -> Result<()> {
        let (start, rows) = (self.rows, batch.num_rows());
        let size = batch.get_array_memory_size();
        let room = self.running.as_ref().map_or(0, |r| r.settings().result) as usize;
        let place = if self.memory + size <= room {
            self.memory += size;
            Place::Memory(batch)
        } else {
            self.write(batch).await?
        };
        self.kept.push(Kept { start, rows, place });
        self.rows += rows as u64;
        Ok(())
    }

    async fn write(&mut self, batch: RecordBatch) -> Result<Place> {
        let what = || "keeping the result on disk".to_owned();
        if self.file.is_none()
            && let Some(running) = &self.running
        {
            let file = tempfile::tempfile_in(running.folder()?).context(what)?;
            self.file = Some(Arc::new(Mutex::new(file)));
        }
        let Some(file) = self.file.clone() else { return Ok(Place::Memory(batch)) };
        let at = self.written;
        let length = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).map_err(misfit)?;
            writer.write(&batch).and_then(|()| writer.finish()).map_err(misfit)?;
            drop(writer);
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(&bytes)).map_err(Error::from)?;
            Ok::<_, Error>(bytes.len())
        })
        .await
        .map_err(super::lost)?
        .context(what)?;
        self.written += length as u64;
        let limit = self.running.as_ref().map_or(u64::MAX, |r| r.settings().disk);
        if self.written > limit {
            let limit = text::bytes(limit);
            return Err(Error::new(Kind::Limit, format!("the result is larger than {limit}"))
                .with_hint("ask for fewer rows, or write the result to a file"));
        }
        Ok(Place::Disk(at, length))
    }

    /// What holds rows of `from..to`.
    fn between(&self, from: u64, to: u64) -> Vec<Kept> {
        let first = self.kept.partition_point(|k| k.start + k.rows as u64 <= from);
        self.kept[first..].iter().take_while(|k| k.start < to).cloned().collect()
    }
}

impl Kept {
    fn read(&self, file: Option<&Arc<Mutex<std::fs::File>>>) -> Result<RecordBatch> {
        let (at, length) = match (&self.place, file) {
            (Place::Memory(batch), _) => return Ok(batch.clone()),
            (Place::Disk(at, length), _) => (*at, *length),
        };
        let lost = || Error::new(Kind::Failed, "the result on disk is gone");
        let mut bytes = vec![0; length];
        let mut file = file.ok_or_else(lost)?.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))
            .and_then(|_| file.read_exact(&mut bytes))
            .context(|| "the result on disk".into())?;
        drop(file);
        let mut reader = StreamReader::try_new(bytes.as_slice(), None).map_err(misfit)?;
        reader.next().ok_or_else(lost)?.map_err(misfit)
    }
}

fn misfit(err: arrow::error::ArrowError) -> Error {
    Error::new(Kind::Failed, "the result cannot be kept").with_source(err)
}

fn projected(batch: &RecordBatch, names: &[String]) -> Result<RecordBatch> {
    let schema = batch.schema();
    let indices = names.iter().map(|name| {
        let at = schema.index_of(name).ok();
        at.ok_or_else(|| super::faults::no_column(name, schema.fields().iter().map(|f| f.name().as_str())))
    });
    let indices = indices.collect::<Result<Vec<_>>>()?;
    if indices.is_empty() {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let none = Arc::new(arrow::datatypes::Schema::empty());
        return RecordBatch::try_new_with_options(none, Vec::new(), &options).map_err(misfit);
    }
    batch.project(&indices).map_err(misfit)
}

impl Rows for Answer {
    fn about(&self) -> Arc<About> {
        self.0.about.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn window(&self, window: Window) -> BoxFuture<'_, Result<RecordBatch>> {
        Box::pin(self.0.window(window))
    }

    fn scan(&self, scan: Scan, control: &Control) -> BoxStream<'static, Result<RecordBatch>> {
        let ranges = scan.rows.unwrap_or_else(|| std::iter::once(0..u64::MAX).collect());
        let step = super::BATCH as u64;
        let state = (self.0.clone(), ranges, scan.columns, control.clone());
        futures::stream::try_unfold(state, move |(inner, mut ranges, columns, control)| async move {
            let Some(range) = ranges.first_mut().filter(|r| r.start < r.end) else { return Ok(None) };
            let rows = (range.end - range.start).min(step) as usize;
            let window = Window { rows, offset: range.start, columns: columns.clone() };
            let batch = control.race(inner.window(window)).await?;
            if batch.num_rows() == 0 {
                return Ok(None);
            }
            range.start += batch.num_rows() as u64;
            let is_last = batch.num_rows() < rows;
            ranges.retain(|r| r.start < r.end && !is_last);
            Ok(Some((batch, (inner, ranges, columns, control))))
        })
        .boxed()
    }
}
