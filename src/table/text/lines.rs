//! A text that stays open while its rows are looked at.
//!
//! It is read from its start as far as was looked at; a mark each few hundred kilobytes tells where to read
//! again. What is plain is read again from there; what is packed is unpacked from its start once more, without
//! looking at it, when somebody goes back beyond what is kept.

use super::form::{Fail, Form, Split as _, projected};
use super::index::{Index, Mark};
use super::object::{Gate, Object, Pace, Stop, blocking};
use super::opened::{Opened, PIECE};
use super::packing::{Packing, read_up_to};
use crate::error::{Context as _, Error, Kind, Result};
use crate::facts::Facts;
use crate::store::Stores;
use crate::table::{About, MOST_TRIES, Rows, Scan, Window};
use crate::task::Control;
use crate::text;
use arrow::array::{Array as _, RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

/// A record longer than this is none.
pub(super) const MOST_RECORD: usize = 64 << 20;
/// Text of the rows of one window.
const MOST_WINDOW: u64 = 256 << 20;
/// Unpacked text that is gone through for one window, for each byte that it may read.
const MOST_UNPACKED: u64 = 64;
/// Columns shown where none are named; the table tells how many there are.
const MOST_COLUMNS: usize = 500;

impl Opened {
    /// The open table: records start at byte `start` of the text, and are cut by `split`.
    pub(crate) async fn lines<F: Form>(
        mut self,
        form: F,
        split: F::Split,
        start: u64,
        title: String,
        facts: Vec<(String, String)>,
    ) -> Result<Arc<dyn Rows>> {
        let head = self.encoding.stored(self.sample.get(..start as usize).unwrap_or_default());
        let mark = Mark { row: 0, at: start, stored: head };
        let about = About {
            facts: Facts::default(),
            schema: form.schema(),
            columns: Vec::new(),
            geo: form.geo(),
            total_rows: None,
            seen_rows: 0,
            pairs: Vec::new(),
        };
        let reader = self.reader.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let (reader, gate) = reader.map_or((None, None), |(reader, gate)| (Some(reader), Some(gate)));
        let state = State {
            index: Index::new(mark),
            reader,
            behind: Vec::new(),
            split: split.clone(),
            ended: false,
            again: None,
            gate,
        };
        let (complete, control) = (self.complete, self.control.clone());
        let shared = Shared {
            text: self,
            form,
            title,
            facts,
            start: mark,
            split,
            state: Mutex::new(state),
            about: Mutex::new(Arc::new(about)),
            nulls: Mutex::new(Vec::new()),
        };
        let lines = Lines(Arc::new(shared));
        let inner = lines.0.clone();
        blocking(&control, move |stop| {
            // The first rows are there already: what is short is known whole.
            inner.look_around(complete, &stop)
        })
        .await?;
        Ok(Arc::new(lines))
    }
}

/// A text that stays open.
pub(crate) struct Lines<F: Form>(pub(super) Arc<Shared<F>>);

pub(super) struct Shared<F: Form> {
    pub(super) text: Opened,
    pub(super) form: F,
    title: String,
    facts: Vec<(String, String)>,
    pub(super) start: Mark,
    /// How the text is cut from `start`, and from every mark on.
    pub(super) split: F::Split,
    state: Mutex<State<F::Split>>,
    about: Mutex<Arc<About>>,
    /// Nulls of each column, where all rows were seen at once.
    nulls: Mutex<Vec<u64>>,
}

struct State<S> {
    index: Index,
    /// Reads on from `behind`.
    reader: Option<Box<dyn Read + Send>>,
    /// Text behind the last mark: a record that does not end yet.
    behind: Vec<u8>,
    split: S,
    ended: bool,
    /// Reads a packed text once more, and where it stands.
    again: Option<(Box<dyn Read + Send>, u64)>,
    gate: Option<Arc<Gate>>,
}

impl<F: Form> std::fmt::Debug for Lines<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("title", &self.0.title).finish_non_exhaustive()
    }
}

impl<F: Form> Rows for Lines<F> {
    fn about(&self) -> Arc<About> {
        self.0.about.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn window(&self, window: Window) -> BoxFuture<'_, Result<RecordBatch>> {
        let shared = self.0.clone();
        Box::pin(async move { blocking(&self.0.text.control, move |stop| shared.window(&window, &stop)).await })
    }

    fn scan(&self, scan: Scan, control: &Control) -> BoxStream<'static, Result<RecordBatch>> {
        super::scan::scan(self.0.clone(), scan, control)
    }
}

/// What one window may cost.
struct Budget {
    until: u64,
    unpacked: u64,
}

impl<F: Form> Shared<F> {
    /// The object with its stores, for work that reads by itself.
    pub(super) fn object(&self) -> (&Stores, &Object, &Packing) {
        (&self.text.stores, &self.text.object, &self.text.packing)
    }

    /// The last mark known that is not behind row `row`, where reading can begin there.
    pub(super) fn mark_before(&self, row: u64) -> Mark {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(self.text.packing, Packing::Plain) { state.index.before(row) } else { self.start }
    }

    /// The text from a mark on: from the object's start where it is packed.
    pub(super) fn reader(
        &self,
        object: &Object,
        gate: &Arc<Gate>,
        from: Mark,
        pace: Pace,
    ) -> (Box<dyn Read + Send>, u64) {
        let text = &self.text;
        let plain = matches!(text.packing, Packing::Plain);
        let stored = if plain { from.stored } else { 0 };
        let there = usize::try_from(stored).ok().and_then(|at| (at < text.head.len()).then(|| text.head.slice(at..)));
        let raw = text.packing.unpacked(object, gate, stored, &there.unwrap_or_default(), pace);
        (text.encoding.decoded(raw), if plain { from.at } else { 0 })
    }

    fn look_around(&self, complete: bool, stop: &Stop) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.begin(&mut state, stop);
        state.behind = self.text.sample.get(self.start.at as usize..).unwrap_or_default().to_vec();
        self.take_in(&mut state, 0, complete)?;
        if complete {
            state.reader = None;
        }
        let (rows, ended) = (state.index.end().row, state.ended);
        drop(state);
        if ended {
            let window = Window { rows: rows as usize, offset: 0, columns: None };
            if let Ok(batch) = self.window(&window, stop)
                && batch.num_columns() == self.form.schema().fields().len()
            {
                let nulls = batch.columns().iter().map(|c| c.null_count() as u64).collect();
                *self.nulls.lock().unwrap_or_else(PoisonError::into_inner) = nulls;
            }
        }
        self.tell();
        Ok(())
    }

    fn begin(&self, state: &mut State<F::Split>, stop: &Stop) -> Budget {
        let gate = state.gate.get_or_insert_with(|| Gate::new(stop.clone()));
        gate.pass(stop);
        let max = self.text.max_bytes;
        Budget { until: gate.read().saturating_add(max), unpacked: max.saturating_mul(MOST_UNPACKED) }
    }

    fn spend(&self, state: &State<F::Split>, budget: &mut Budget, text: usize) -> Result<()> {
        budget.unpacked = budget.unpacked.saturating_sub(text as u64);
        let read = state.gate.as_ref().map_or(0, |gate| gate.read());
        if read > budget.until || budget.unpacked == 0 {
            let (seen, limit) = (text::count(state.index.end().row), text::bytes(self.text.max_bytes));
            return Err(Error::new(
                Kind::Limit,
                format!("these rows are more than {limit} further on: {seen} were seen"),
            )
            .with_hint("ask again to read on from there"));
        }
        Ok(())
    }

    /// Reads on: one piece more, or the end.
    fn extend(&self, state: &mut State<F::Split>, budget: &mut Budget, stop: &Stop) -> Result<()> {
        stop.check()?;
        self.spend(state, budget, 0)?;
        let gate = state.gate.get_or_insert_with(|| Gate::new(stop.clone())).clone();
        let mut reader = if let Some(reader) = state.reader.take() {
            reader
        } else {
            let end = state.index.end();
            let (mut reader, mut at) = self.reader(&self.text.object, &gate, end, Pace::LOOK);
            self.skip(reader.as_mut(), &mut at, end.at, stop)?;
            state.behind.clear();
            state.split = self.split.clone();
            reader
        };
        let had = state.behind.len();
        // What was read before a failure counts: it is not read again.
        let (ended, failed) = match read_up_to(reader.as_mut(), PIECE, &mut state.behind, &self.text.packing) {
            Ok(ended) => (ended, None),
            Err(err) => (false, Some(err)),
        };
        let read = state.behind.len() - had;
        self.take_in(state, had, ended)?;
        if !state.ended && failed.as_ref().is_none_or(may_go_on) {
            state.reader = Some(reader);
        }
        match failed {
            Some(err) => Err(Self::where_it_failed(state, err)),
            None => self.spend(state, budget, read),
        }
    }

    /// Takes in the text behind byte `had` of what stands behind the last mark.
    fn take_in(&self, state: &mut State<F::Split>, had: usize, ended: bool) -> Result<()> {
        let (mut rows, cut) = state.split.feed(&state.behind[had..]);
        let mut cut = cut.map(|at| had + at);
        let over = ended || state.split.is_over();
        if over {
            if !state.split.is_over() && state.split.finish() {
                rows += 1;
                cut = Some(state.behind.len());
            }
        } else if state.behind.len() - cut.unwrap_or(0) > MOST_RECORD {
            return Err(Self::too_long(state));
        }
        if let Some(cut) = cut {
            let rest = state.behind.split_off(cut);
            let text = std::mem::replace(&mut state.behind, rest);
            let stored = self.text.encoding.stored(&text);
            state.index.push(text.into(), rows, stored);
        }
        if over {
            state.ended = true;
            state.behind = Vec::new();
        }
        Ok(())
    }

    fn where_it_failed(state: &State<F::Split>, err: Error) -> Error {
        if err.kind() == Kind::Invalid {
            err.context(format!("behind row {}", text::count(state.index.end().row)))
        } else {
            err
        }
    }

    fn too_long(state: &State<F::Split>) -> Error {
        let (row, limit) = (text::count(state.index.end().row), text::bytes(MOST_RECORD as u64));
        Error::new(Kind::Limit, format!("the record behind row {row} is longer than {limit}"))
            .with_hint("it is no table, or a quote is not closed")
    }

    /// Reads up to `to` without looking.
    pub(super) fn skip(&self, reader: &mut dyn Read, at: &mut u64, to: u64, stop: &Stop) -> Result<()> {
        let mut buffer = Vec::new();
        while *at < to {
            stop.check()?;
            buffer.clear();
            let n = usize::try_from(to - *at).unwrap_or(PIECE).min(PIECE);
            let ended = read_up_to(reader, n, &mut buffer, &self.text.packing)?;
            *at += buffer.len() as u64;
            if ended && *at < to {
                return Err(Error::new(Kind::Changed, "the text became shorter while it was read"));
            }
        }
        Ok(())
    }

    /// The text of a piece that was seen before.
    fn text_of(&self, state: &mut State<F::Split>, piece: usize, budget: &mut Budget, stop: &Stop) -> Result<Bytes> {
        if let Some(text) = state.index.text(piece) {
            return Ok(text);
        }
        stop.check()?;
        let (from, to) = state.index.bounds(piece);
        let gate = state.gate.get_or_insert_with(|| Gate::new(stop.clone())).clone();
        let (mut reader, mut at) = match state.again.take() {
            Some((reader, at)) if at <= from.at => (reader, at),
            _ => self.reader(&self.text.object, &gate, from, Pace::LOOK),
        };
        // Unpacked once more: what it costs was allowed when it was seen first.
        self.skip(reader.as_mut(), &mut at, from.at, stop)?;
        let mut out = Vec::new();
        let length = usize::try_from(to.at - from.at).unwrap_or(usize::MAX);
        let ended = read_up_to(reader.as_mut(), length, &mut out, &self.text.packing)?;
        if ended && out.len() < length {
            return Err(Error::new(Kind::Changed, "the text became shorter while it was read"));
        }
        self.spend(state, budget, out.len())?;
        state.again = Some((reader, to.at));
        let text = Bytes::from(out);
        state.index.keep(piece, text.clone());
        Ok(text)
    }

    fn window(&self, window: &Window, stop: &Stop) -> Result<RecordBatch> {
        let (first, skip, texts) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let state = &mut *state;
            let mut budget = self.begin(state, stop);
            let end = window.offset.saturating_add(window.rows as u64);
            let outcome = loop {
                if state.index.end().row >= end || state.ended {
                    break Ok(());
                }
                match self.extend(state, &mut budget, stop) {
                    Err(err) if state.index.end().row < end => break Err(err),
                    _ => {}
                }
            };
            self.learn(state);
            outcome?;
            let pieces = state.index.pieces(window.offset, end);
            let (from, to) = (state.index.bounds(pieces.start).0, state.index.bounds(pieces.end).0);
            if to.at - from.at > MOST_WINDOW {
                let size = text::bytes(MOST_WINDOW);
                return Err(Error::new(Kind::Limit, format!("the rows asked for are more than {size} of text"))
                    .with_hint("ask for fewer rows"));
            }
            let texts: Result<Vec<Bytes>> = pieces.map(|piece| self.text_of(state, piece, &mut budget, stop)).collect();
            (from.row, usize::try_from(window.offset.saturating_sub(from.row)).unwrap_or(usize::MAX), texts?)
        };
        for _ in 0..MOST_TRIES {
            stop.check()?;
            let columns = self.chosen(window.columns.as_deref())?;
            let before = self.form.schema();
            // Where all are wanted, those that are met only now are too.
            let all = window.columns.is_none() && columns.len() == before.fields().len();
            let columns = (!all).then_some(&columns[..]);
            match self.form.parse(&texts, first, skip, window.rows, columns) {
                Ok(batch) => {
                    self.form.learn(&texts, first)?;
                    if !Arc::ptr_eq(&before, &self.form.schema()) {
                        self.tell();
                    }
                    return Ok(batch);
                }
                Err(Fail::Widened(_)) => self.tell(),
                Err(Fail::Bad(err)) => return Err(err),
            }
        }
        Err(Error::invalid("the types of its columns do not settle"))
    }

    /// Numbers of the columns asked for, else of the first so many.
    pub(super) fn chosen(&self, names: Option<&[String]>) -> Result<Vec<usize>> {
        let schema = self.form.schema();
        if let Some(names) = names {
            return projected(&schema, names);
        }
        let (geo, all) = (self.form.geo(), schema.fields().len());
        let mut first: Vec<usize> = (0..all.min(MOST_COLUMNS)).collect();
        // A geometry is always among them.
        let is_geometry = |i: &usize| geo.column(schema.field(*i).name()).is_some();
        let behind: Vec<usize> = (first.len()..all).filter(is_geometry).collect();
        first.truncate(MOST_COLUMNS.saturating_sub(behind.len()));
        first.extend(behind);
        Ok(first)
    }

    /// Takes over what was learnt of the length.
    fn learn(&self, state: &State<F::Split>) {
        let mut about = self.about.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, total) = (state.index.end().row, state.ended.then(|| state.index.end().row));
        if about.seen_rows != seen || about.total_rows != total {
            let mut new = (**about).clone();
            new.seen_rows = seen;
            new.total_rows = total;
            new.facts = self.facts_now(total);
            *about = Arc::new(new);
        }
    }

    /// Takes over what was learnt of columns.
    pub(super) fn tell(&self) {
        let mut columns = self.form.columns();
        for (column, nulls) in columns.iter_mut().zip(self.nulls.lock().unwrap_or_else(PoisonError::into_inner).iter())
        {
            column.nulls = Some(*nulls);
        }
        let mut about = self.about.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = (**about).clone();
        new.schema = self.form.schema();
        new.columns = columns;
        new.geo = self.form.geo();
        new.facts = self.facts_now(new.total_rows);
        *about = Arc::new(new);
    }

    fn facts_now(&self, total: Option<u64>) -> Facts {
        let columns = self.form.schema().fields().len();
        let s = if columns == 1 { "" } else { "s" };
        let mut title = format!("{} {columns} column{s}", self.title);
        if let Some(rows) = total {
            title.extend([" × ", &text::count(rows), " rows"]);
        }
        if !self.text.packing().is_empty() {
            title.extend([", ", self.text.packing()]);
        }
        Facts { title, rows: self.facts.clone() }
    }
}

/// Whether a decoder can be asked again: only what it reads from could not be fetched.
fn may_go_on(err: &Error) -> bool {
    matches!(err.kind(), Kind::Cancelled | Kind::Unreachable | Kind::Denied)
}

/// Rows without columns: only how many.
pub(super) fn only_count(rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(arrow::datatypes::Schema::empty()), Vec::new(), &options)
        .map_err(|err| Error::invalid("rows cannot be counted").with_source(err))
        .context(|| "counting".to_owned())
}
