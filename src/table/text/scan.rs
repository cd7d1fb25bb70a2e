//! A text read from end to end: one thread unpacks it and cuts it into whole records, others make columns of
//! them, in order.

use super::form::{Fail, Form, Split as _};
use super::lines::{MOST_RECORD, Shared, only_count};
use super::object::{Gate, Object, Pace, Stop};
use super::packing::read_up_to;
use crate::error::{Error, Kind, Result};
use crate::table::{MOST_TRIES, Scan};
use crate::task::{Control, threads};
use crate::text;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::mpsc;

/// All rows.
const ALL: Range<u64> = 0..u64::MAX;
/// Text of a batch.
const PIECE: usize = 1 << 20;

/// Records that follow each other.
struct Piece {
    text: Bytes,
    /// Number of its first record.
    first: u64,
    /// Records of it that are wanted.
    wanted: Range<u64>,
}

/// What every batch is made by.
struct Plan<F: Form> {
    shared: Arc<Shared<F>>,
    schema: SchemaRef,
    columns: Vec<usize>,
    /// Also those that were not met yet: then the scan fails where it meets one.
    all: bool,
}

pub(super) fn scan<F: Form>(
    shared: Arc<Shared<F>>,
    scan: Scan,
    control: &Control,
) -> BoxStream<'static, Result<RecordBatch>> {
    let control = control.clone();
    futures::stream::once(async move { begin(shared, scan, control).await }).try_flatten().boxed()
}

async fn begin<F: Form>(
    shared: Arc<Shared<F>>,
    scan: Scan,
    control: Control,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let schema = shared.form.schema();
    let columns = match &scan.columns {
        Some(names) => super::form::projected(&schema, names)?,
        None => (0..schema.fields().len()).collect(),
    };
    let plan = Arc::new(Plan { shared: shared.clone(), schema, columns, all: scan.columns.is_none() });
    let (stores, object, _) = shared.object();
    let object = object.counted_by(stores, &control).await?;
    let (stop, guard) = Stop::new(&control);
    let (to, mut pieces) = mpsc::channel(2);
    let ranges = scan.rows.unwrap_or_else(|| vec![ALL]);
    let reading = control.clone();
    let reader = tokio::spawn(async move {
        let failed = to.clone();
        let outcome = reading.blocking(move |_| read(&shared, &object, &ranges, &stop, &to)).await;
        if let Err(err) = outcome {
            let _ = failed.send(Err(err)).await;
        }
    });
    let batches = futures::stream::poll_fn(move |cx| pieces.poll_recv(cx))
        .map(move |piece| {
            let (plan, control) = (plan.clone(), control.clone());
            async move {
                let piece = piece?;
                control.blocking(move |control| plan.parse(&piece, &control)).await
            }
        })
        .buffered(threads::most())
        .map(move |batch| {
            let (_stops_reading, _task) = (&guard, &reader);
            batch
        });
    Ok(batches.boxed())
}

impl<F: Form> Plan<F> {
    fn parse(&self, piece: &Piece, control: &Control) -> Result<RecordBatch> {
        control.check()?;
        let skip = usize::try_from(piece.wanted.start - piece.first).unwrap_or(usize::MAX);
        let take = usize::try_from(piece.wanted.end - piece.wanted.start).unwrap_or(usize::MAX);
        if self.columns.is_empty() && !self.all {
            return only_count(take);
        }
        let columns = (!self.all).then_some(&self.columns[..]);
        let mut wider = None;
        // All columns that became wider here are known before it is begun again.
        for _ in 0..MOST_TRIES {
            let text = std::slice::from_ref(&piece.text);
            match self.shared.form.parse(text, piece.first, skip, take, columns) {
                Ok(batch) if wider.is_none() && self.is_as_begun(&batch) => return Ok(batch),
                Ok(_) => break,
                Err(Fail::Widened(err)) => wider = wider.or(Some(err)),
                Err(Fail::Bad(err)) => return Err(err),
            }
            control.check()?;
        }
        self.shared.tell();
        Err(wider.unwrap_or_else(|| {
            Error::new(Kind::Changed, "a column became wider while the table was read")
                .with_hint("try again: it is known now")
        }))
    }

    /// Whether a batch has the types that the first had.
    fn is_as_begun(&self, batch: &RecordBatch) -> bool {
        let schema = batch.schema();
        schema.fields().len() == self.columns.len()
            && schema.fields().iter().zip(&self.columns).all(|(field, i)| {
                self.schema.fields().get(*i).is_some_and(|begun| begun.data_type() == field.data_type())
            })
    }
}

fn read<F: Form>(
    shared: &Shared<F>,
    object: &Object,
    ranges: &[Range<u64>],
    stop: &Stop,
    to: &mpsc::Sender<Result<Piece>>,
) -> Result<()> {
    let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Ok(()) };
    let packing = shared.object().2;
    let gate = Gate::new(stop.clone());
    let mark = shared.mark_before(first.start);
    let (mut reader, mut at) = shared.reader(object, &gate, mark, Pace::SCAN);
    shared.skip(reader.as_mut(), &mut at, mark.at, stop)?;
    let mut split = shared.split.clone();
    let (mut row, mut behind) = (mark.row, Vec::new());
    loop {
        stop.check()?;
        let had = behind.len();
        let ended = read_up_to(reader.as_mut(), PIECE, &mut behind, packing)
            .map_err(|err| if err.kind() == Kind::Invalid { err.context(behind_row(row)) } else { err })?;
        let (mut rows, cut) = split.feed(&behind[had..]);
        let mut cut = cut.map(|at| had + at);
        let over = ended || split.is_over();
        if over && !split.is_over() && split.finish() {
            rows += 1;
            cut = Some(behind.len());
        }
        if let Some(cut) = cut {
            let rest = behind.split_off(cut);
            let text = Bytes::from(std::mem::replace(&mut behind, rest));
            for range in ranges {
                let wanted = range.start.max(row)..range.end.min(row + rows);
                let piece = Piece { text: text.clone(), first: row, wanted };
                if !piece.wanted.is_empty() && to.blocking_send(Ok(piece)).is_err() {
                    return Ok(());
                }
            }
            row += rows;
        } else if behind.len() > MOST_RECORD {
            let limit = text::bytes(MOST_RECORD as u64);
            return Err(Error::new(Kind::Limit, format!("the record {} is longer than {limit}", behind_row(row)))
                .with_hint("it is no table, or a quote is not closed"));
        }
        if over || row >= last.end {
            return Ok(());
        }
    }
}

fn behind_row(row: u64) -> String {
    format!("behind row {}", text::count(row))
}
