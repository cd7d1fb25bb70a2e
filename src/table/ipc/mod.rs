//! Arrow IPC as an open table: files (Feather 2) by their footer, streams by walking over their messages. Of a
//! record batch only the buffers of the columns wanted are read.
//!
//! Format: Arrow Columnar Format 1.5, "Serialization and Interprocess Communication".

mod body;
mod find;

use self::body::{Columns, decoder, is_too_large, layout_of};
use self::find::{Batches, Found, Head, open_head};
use crate::error::{Error, Kind, Result};
use crate::facts::Facts;
use crate::store::Stores;
use crate::table::text::{Object, Stop, blocking, projected};
use crate::table::{About, Column, Geo, Group, Layout, Open, Rows, Scan, Window, type_name};
use crate::task::{Control, caught};
use crate::text;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::FileDecoder;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Columns shown where none are named.
const MOST_COLUMNS: usize = 500;
/// Columns of a table that is one.
const MOST_FIELDS: usize = 50_000;
/// Bytes of decoded batches that are kept for those who scroll.
const KEPT: usize = 64 << 20;
/// All rows.
const ALL: std::ops::Range<u64> = 0..u64::MAX;
/// Batches that a scan decodes at once.
const AHEAD: usize = 2;

/// What a decoder said.
fn corrupt(err: &arrow::error::ArrowError) -> Error {
    Error::invalid(format!("corrupt, or of a form that the decoder does not know: {err}"))
}

/// Opens a file or stream.
pub(crate) async fn open_ipc(stores: Stores, asked: Open) -> Result<Arc<dyn Rows>> {
    let Open { probe, control, max_bytes } = asked;
    let opened = open_head(&stores, &probe, &control).await?;
    let inner = blocking(&control.clone(), move |stop| {
        caught(|| {
            let head = Head::read(&opened, &stop)?;
            let fields = head.schema.fields().len();
            if fields > MOST_FIELDS {
                let limit = text::count(MOST_FIELDS as u64);
                return Err(Error::new(Kind::Limit, format!("it has {fields} columns; {limit} are looked at")));
            }
            let geo = Geo::of_file(&head.schema);
            let about = About {
                facts: Facts::default(),
                columns: columns_of(&head.schema, &geo),
                geo,
                total_rows: None,
                seen_rows: 0,
                pairs: pairs_of(&head.schema),
                schema: head.schema.clone(),
            };
            let inner = Inner {
                stores,
                object: opened.object.clone(),
                control,
                max_bytes,
                schema: head.schema.clone(),
                title: head.title,
                state: Mutex::new(State { found: head.batches, kept: VecDeque::new(), decoder: None }),
                about: Mutex::new(Arc::new(about)),
            };
            let mut state = inner.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.found.go_on(&inner.object, &stop)?;
            inner.learn(&state);
            drop(state);
            Ok(inner)
        })
    })
    .await?;
    Ok(Arc::new(Ipc(Arc::new(inner))))
}

fn columns_of(schema: &SchemaRef, geo: &Geo) -> Vec<Column> {
    let column = |field: &arrow::datatypes::FieldRef| {
        let known = geo.column(field.name());
        Column {
            name: field.name().clone(),
            kind: known.map_or_else(|| type_name(field.data_type()), |g| g.kind().to_owned()),
            numeric: known.is_none() && field.data_type().is_numeric(),
            ..Column::default()
        }
    };
    schema.fields().iter().map(column).collect()
}

fn pairs_of(schema: &SchemaRef) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = schema.metadata().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    pairs.sort();
    pairs
}

/// An open file or stream.
struct Ipc(Arc<Inner>);

struct Inner {
    stores: Stores,
    object: Object,
    control: Control,
    max_bytes: u64,
    schema: SchemaRef,
    title: &'static str,
    state: Mutex<State>,
    about: Mutex<Arc<About>>,
}

struct State {
    found: Batches,
    /// Decoded batches: number, columns, rows; used last stands last.
    kept: VecDeque<(usize, Vec<usize>, RecordBatch)>,
    /// The decoder of the last batch: columns and how many dictionaries it has read.
    decoder: Option<(Vec<usize>, usize, Arc<FileDecoder>)>,
}

impl std::fmt::Debug for Ipc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ipc").field("title", &self.0.title).finish_non_exhaustive()
    }
}

impl Rows for Ipc {
    fn about(&self) -> Arc<About> {
        self.0.about.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn window(&self, window: Window) -> BoxFuture<'_, Result<RecordBatch>> {
        let inner = self.0.clone();
        Box::pin(async move { blocking(&self.0.control, move |stop| caught(|| inner.window(&window, &stop))).await })
    }

    fn scan(&self, scan: Scan, control: &Control) -> BoxStream<'static, Result<RecordBatch>> {
        let (inner, control) = (self.0.clone(), control.clone());
        let begin = async move {
            let columns = match &scan.columns {
                Some(names) => projected(&inner.schema, names)?,
                None => (0..inner.schema.fields().len()).collect(),
            };
            let object = inner.object.counted_by(&inner.stores, &control).await?;
            let (stop, guard) = Stop::new(&control);
            let ranges = scan.rows.unwrap_or_else(|| vec![ALL]);
            let walk = Arc::new(Walk { inner, object, columns, ranges, stop });
            let numbers = futures::stream::unfold(0_usize, {
                let (walk, control) = (walk.clone(), control.clone());
                move |number| {
                    let (walk, control) = (walk.clone(), control.clone());
                    async move {
                        let more = control.blocking(move |_| walk.is_there(number)).await;
                        match more {
                            Ok(true) => Some((Ok(number), number + 1)),
                            Ok(false) => None,
                            Err(err) => Some((Err(err), usize::MAX)),
                        }
                    }
                }
            });
            let batches = numbers
                .map(move |number| {
                    let (walk, control) = (walk.clone(), control.clone());
                    async move {
                        let number = number?;
                        control.blocking(move |_| caught(|| walk.batches(number))).await
                    }
                })
                .buffered(AHEAD)
                .map(move |batches: Result<Vec<RecordBatch>>| {
                    let _stops_reading = &guard;
                    match batches {
                        Ok(batches) => futures::stream::iter(batches.into_iter().map(Ok).collect::<Vec<_>>()),
                        Err(err) => futures::stream::iter(vec![Err(err)]),
                    }
                })
                .flatten();
            Ok::<_, Error>(batches)
        };
        futures::stream::once(begin).try_flatten().boxed()
    }

    fn layout(&self) -> BoxFuture<'_, Result<Option<Layout>>> {
        let inner = self.0.clone();
        Box::pin(async move { blocking(&self.0.control, move |stop| caught(|| inner.layout(&stop).map(Some))).await })
    }
}

/// A scan.
struct Walk {
    inner: Arc<Inner>,
    object: Object,
    columns: Vec<usize>,
    ranges: Vec<std::ops::Range<u64>>,
    stop: Stop,
}

impl Walk {
    /// Whether there is a batch of this number that may hold rows wanted.
    fn is_there(&self, number: usize) -> Result<bool> {
        if number == usize::MAX {
            return Ok(false);
        }
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.found.list.len() <= number && !state.found.ended {
            let found = &mut state.found;
            caught(|| found.go_on(&self.object, &self.stop))?;
        }
        self.inner.learn(&state);
        let last = self.ranges.last().map_or(0, |r| r.end);
        Ok(state.found.list.get(number).is_some_and(|found| found.first_row < last))
    }

    /// The rows wanted of a batch.
    fn batches(&self, number: usize) -> Result<Vec<RecordBatch>> {
        self.stop.check()?;
        let found = self.inner.batch(number)?;
        let (first, end) = (found.first_row, found.first_row + found.rows);
        let wanted: Vec<_> =
            self.ranges.iter().map(|r| r.start.max(first)..r.end.min(end)).filter(|r| !r.is_empty()).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let batch = self.inner.decode(number, &self.columns, &self.object, u64::MAX, &self.stop)?;
        wanted.into_iter().map(|r| cut(&batch, r.start - first, r.end - r.start)).collect()
    }
}

/// Some rows of a batch, which may hold fewer than it says.
fn cut(batch: &RecordBatch, from: u64, rows: u64) -> Result<RecordBatch> {
    if from.saturating_add(rows) > batch.num_rows() as u64 {
        return Err(Error::invalid("a batch holds fewer rows than it says"));
    }
    Ok(batch.slice(from as usize, rows as usize))
}

impl Inner {
    fn batch(&self, number: usize) -> Result<Found> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.found.list.get(number).cloned().ok_or_else(|| Error::invalid("there is no such batch"))
    }

    fn window(&self, window: &Window, stop: &Stop) -> Result<RecordBatch> {
        let end = window.offset.saturating_add(window.rows as u64);
        let found = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            while state.found.rows < end && !state.found.ended {
                state.found.go_on(&self.object, stop)?;
            }
            self.learn(&state);
            let list = &state.found.list;
            let from = list.partition_point(|b| b.first_row + b.rows <= window.offset);
            let to = list.partition_point(|b| b.first_row < end);
            (from..to.max(from)).filter_map(|n| Some((n, list.get(n)?.clone()))).collect::<Vec<_>>()
        };
        let columns = self.chosen(window.columns.as_deref())?;
        let mut budget = self.max_bytes;
        let mut batches = Vec::new();
        for (number, found) in found.iter().filter(|(_, found)| found.rows > 0) {
            stop.check()?;
            let kept = self.kept(*number, &columns);
            let batch = if let Some(batch) = kept {
                batch
            } else {
                let batch = self.decode(*number, &columns, &self.object, budget, stop)?;
                budget = budget.saturating_sub(batch.get_array_memory_size() as u64);
                self.keep(*number, &columns, &batch);
                batch
            };
            let from = window.offset.saturating_sub(found.first_row);
            let to = found.rows.min(end - found.first_row);
            batches.push(cut(&batch, from, to - from)?);
        }
        let schema = Arc::new(self.schema.project(&columns).map_err(|err| corrupt(&err))?);
        match &batches[..] {
            [one] => Ok(one.clone()),
            [] => Ok(RecordBatch::new_empty(schema)),
            many if columns.is_empty() => {
                let rows = many.iter().map(RecordBatch::num_rows).sum();
                let options = RecordBatchOptions::new().with_row_count(Some(rows));
                RecordBatch::try_new_with_options(schema, Vec::new(), &options).map_err(|err| corrupt(&err))
            }
            many => arrow::compute::concat_batches(&schema, many).map_err(|err| corrupt(&err)),
        }
    }

    fn chosen(&self, names: Option<&[String]>) -> Result<Vec<usize>> {
        if let Some(names) = names {
            return projected(&self.schema, names);
        }
        let all = self.schema.fields().len();
        let mut first: Vec<usize> = (0..all.min(MOST_COLUMNS)).collect();
        let about = self.about.lock().unwrap_or_else(PoisonError::into_inner).clone();
        first.extend((first.len()..all).filter(|i| about.geo.column(self.schema.field(*i).name()).is_some()));
        Ok(first)
    }

    fn kept(&self, number: usize, columns: &[usize]) -> Option<RecordBatch> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at = state.kept.iter().position(|(n, c, _)| *n == number && c == columns)?;
        let found = state.kept.remove(at)?;
        let batch = found.2.clone();
        state.kept.push_back(found);
        Some(batch)
    }

    fn keep(&self, number: usize, columns: &[usize], batch: &RecordBatch) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.kept.push_back((number, columns.to_vec(), batch.clone()));
        let bytes = |kept: &VecDeque<(usize, Vec<usize>, RecordBatch)>| -> usize {
            kept.iter().map(|(_, _, batch)| batch.get_array_memory_size()).sum()
        };
        while state.kept.len() > 1 && bytes(&state.kept) > KEPT {
            state.kept.pop_front();
        }
        if bytes(&state.kept) > KEPT {
            state.kept.clear();
        }
    }

    /// Decodes some columns of a batch; `budget` is in bytes of the object.
    fn decode(
        &self,
        number: usize,
        columns: &[usize],
        object: &Object,
        budget: u64,
        stop: &Stop,
    ) -> Result<RecordBatch> {
        let found = self.batch(number)?;
        let decoder = self.decoder(&found, columns, object, budget, stop)?;
        let message = found.place.message(object, stop)?;
        let wanted = Columns::of(&message, &self.schema, columns, found.place.body)?;
        if wanted.bytes() > budget {
            return Err(is_too_large(wanted.bytes(), budget));
        }
        let (block, buffer) = wanted.fetch(&message, &found.place, object, stop)?;
        let batch = decoder.read_record_batch(&block, &buffer).map_err(|err| corrupt(&err))?;
        batch.ok_or_else(|| Error::invalid("a batch has no rows at all"))
    }

    /// A decoder with the dictionaries that hold where this batch stands.
    fn decoder(
        &self,
        found: &Found,
        columns: &[usize],
        object: &Object,
        budget: u64,
        stop: &Stop,
    ) -> Result<Arc<FileDecoder>> {
        let dictionaries = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((for_columns, read, decoder)) = &state.decoder
                && for_columns == columns
                && *read == found.dictionaries
            {
                return Ok(decoder.clone());
            }
            state.found.dictionaries.get(..found.dictionaries).unwrap_or_default().to_vec()
        };
        let version = self.state.lock().unwrap_or_else(PoisonError::into_inner).found.version;
        let made = decoder(&self.schema, version, columns, &dictionaries, object, budget, stop)?;
        let made = Arc::new(made);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.decoder = Some((columns.to_vec(), found.dictionaries, made.clone()));
        Ok(made)
    }

    fn layout(&self, stop: &Stop) -> Result<Layout> {
        let list = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            while !state.found.ended {
                state.found.go_on(&self.object, stop)?;
            }
            self.learn(&state);
            state.found.list.clone()
        };
        let group = |found: &Found| {
            let message = found.place.message(&self.object, stop)?;
            let chunks = layout_of(&message, &self.schema, found.place.body)?;
            Ok(Group { rows: found.rows, stored: found.place.body + u64::from(found.place.head), chunks })
        };
        Ok(Layout { groups: list.iter().map(group).collect::<Result<_>>()? })
    }

    /// Takes over what was learnt of the length.
    fn learn(&self, state: &State) {
        let found = &state.found;
        let total = found.ended.then_some(found.rows);
        let mut about = self.about.lock().unwrap_or_else(PoisonError::into_inner);
        if about.total_rows == total && about.seen_rows == found.rows && !about.facts.title.is_empty() {
            return;
        }
        let mut new = (**about).clone();
        let columns = self.schema.fields().len();
        let s = if columns == 1 { "" } else { "s" };
        let mut title = format!("{} · {columns} column{s}", self.title);
        if let Some(rows) = total {
            title = format!("{} · {} rows × {columns} column{s}", self.title, text::count(rows));
        }
        if let Some(codec) = found.codec {
            title.extend([" · ", codec]);
        }
        let mut rows = vec![
            ("size".to_owned(), text::bytes(self.object.size)),
            ("batches".to_owned(), text::count(found.list.len() as u64) + if found.ended { "" } else { " or more" }),
        ];
        if !found.dictionaries.is_empty() {
            rows.push(("dictionaries".to_owned(), text::count(found.dictionaries.len() as u64)));
        }
        for geo in &new.geo.columns {
            rows.push(("geometry".to_owned(), geo.name.clone()));
            rows.push(("CRS".to_owned(), geo.crs.clone()));
        }
        new.facts = Facts { title, rows };
        new.total_rows = total;
        new.seen_rows = found.rows;
        *about = Arc::new(new);
    }
}
