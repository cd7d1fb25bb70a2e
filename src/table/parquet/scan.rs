//! Rows from end to end: the next piece is fetched while one is decoded, and no more.

use super::plan::{Part, rows_of};
use super::reader::{Source, extent};
use super::{File, choose, counted, in_order};
use crate::error::{Error, Result};
use crate::table::Scan;
use crate::table::ranged::View;
use crate::task::{Control, caught};
use arrow::array::RecordBatch;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use std::collections::VecDeque;
use std::ops::Range;
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

/// Bytes of the file that are fetched at once; two such pieces are there at a time.
const PIECE: u64 = 48 << 20;
/// A piece of columns of lists without an index cannot be cut: more than this is refused.
const MOST_PIECE: u64 = 512 << 20;
/// Rows of a batch.
const BATCH: usize = 8192;
/// Rows of a batch without columns.
const COUNTED: u64 = 1 << 20;
/// Decoded batches that wait to be taken.
const AHEAD: usize = 2;

/// A piece that was fetched.
struct Ready {
    source: Source,
    view: View,
    part: Part,
}

/// See [`File::scan`].
pub(super) fn scan(file: File, scan: Scan, control: Control) -> BoxStream<'static, Result<RecordBatch>> {
    let (send, receive) = mpsc::channel(AHEAD);
    let start = async move {
        let task = tokio::spawn(async move {
            let failed = send.clone();
            if let Err(err) = run(file, scan, control, send).await {
                // Who took the batches may be gone: then nobody hears of it.
                let _ = failed.send(Err(err)).await;
            }
        });
        futures::stream::unfold((receive, Abort(task.abort_handle())), |(mut receive, abort)| async move {
            receive.recv().await.map(|batch| (batch, (receive, abort)))
        })
    };
    futures::stream::once(start).flatten().boxed()
}

/// Dropped with the stream, it ends the reading.
struct Abort(tokio::task::AbortHandle);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(file: File, scan: Scan, control: Control, send: mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
    let schema = file.reader.schema();
    let roots = match &scan.columns {
        Some(names) => choose(schema, &file.geo, Some(names))?,
        None => (0..schema.fields().len()).collect(),
    };
    let total = file.rows();
    let ranges: Vec<Range<u64>> = match scan.rows {
        Some(ranges) => tidy(ranges, total),
        None if total > 0 => std::iter::once(0..total).collect(),
        None => Vec::new(),
    };
    if roots.is_empty() {
        let mut left: u64 = ranges.iter().map(|r| r.end - r.start).sum();
        while left > 0 {
            control.check()?;
            let now = left.min(COUNTED);
            if send.send(counted(now)).await.is_err() {
                return Ok(());
            }
            left -= now;
        }
        return Ok(());
    }
    let leaves = file.leaves(&roots);
    let mut parts: VecDeque<Part> =
        file.parts_of(&ranges).into_iter().flat_map(|part| cut(&file, part, &leaves)).collect();
    let mut ready = match parts.pop_front() {
        Some(part) => Some(fetch(&file, part, &leaves, &control).await?),
        None => None,
    };
    // The guard stays here: dropped with this task, it ends the thread too.
    while let Some((now, _open)) = ready.take() {
        let (decoder, sender, columns) = (file.clone(), send.clone(), roots.clone());
        let decoding = control.blocking(move |control| caught(|| decode(&decoder, &now, &columns, &control, &sender)));
        let next = parts.pop_front();
        let fetching = async {
            match next {
                Some(part) => fetch(&file, part, &leaves, &control).await.map(Some),
                None => Ok(None),
            }
        };
        let (decoded, fetched) = tokio::join!(decoding, fetching);
        if !decoded? {
            return Ok(());
        }
        ready = fetched?;
    }
    Ok(())
}

/// Ranges in order, within the table, without overlaps.
fn tidy(mut ranges: Vec<Range<u64>>, total: u64) -> Vec<Range<u64>> {
    ranges.sort_by_key(|r| r.start);
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        let from = out.last().map_or(0, |last: &Range<u64>| last.end);
        let range = range.start.max(from)..range.end.min(total);
        if range.start >= range.end {
            continue;
        }
        match out.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => out.push(range),
        }
    }
    out
}

/// Rows of a row group in pieces that are not too large to be held.
fn cut(file: &File, part: Part, leaves: &[usize]) -> Vec<Part> {
    let Some(group) = file.metadata.row_groups().get(part.group) else { return Vec::new() };
    let chunks = || leaves.iter().filter_map(|leaf| group.columns().get(*leaf));
    let bytes: u64 = chunks().filter_map(extent).map(|e| e.end - e.start).fold(0, u64::saturating_add);
    let wanted: u64 = part.rows.iter().map(|r| r.end - r.start).sum();
    let rows = rows_of(group).max(1);
    let share = (bytes as f64 * (wanted as f64 / rows as f64)) as u64;
    let lists = chunks().any(|c| c.column_descr().max_rep_level() > 0 && c.offset_index_offset().is_none());
    if share <= PIECE || (lists && share <= MOST_PIECE) {
        return vec![part];
    }
    let step = (rows as f64 * PIECE as f64 / bytes as f64).max(1.0) as u64;
    let mut out: Vec<Part> = Vec::new();
    let mut held = step;
    for range in part.rows {
        let mut at = range.start;
        while at < range.end {
            if held >= step {
                out.push(Part { group: part.group, rows: Vec::new() });
                held = 0;
            }
            let end = range.end.min(at + (step - held));
            if let Some(last) = out.last_mut() {
                last.rows.push(at..end);
            }
            held += end - at;
            at = end;
        }
    }
    out
}

async fn fetch(file: &File, part: Part, leaves: &[usize], control: &Control) -> Result<(Ready, DropGuard)> {
    control.check()?;
    let (view, open) = file.ranged.view(control, MOST_PIECE, false).await?;
    let source = file.prepare(&view, &part, leaves).await?;
    Ok((Ready { source, view, part }, open))
}

/// Decodes a piece; false where nobody takes its batches any more.
fn decode(
    file: &File,
    piece: &Ready,
    roots: &[usize],
    control: &Control,
    send: &mpsc::Sender<Result<RecordBatch>>,
) -> Result<bool> {
    let mut left: u64 = piece.part.rows.iter().map(|r| r.end - r.start).sum();
    for batch in file.batches(&piece.source, roots, &piece.part.rows, BATCH)? {
        control.check()?;
        let batch = batch.map_err(|err| piece.view.explain(err))?;
        left = left.saturating_sub(batch.num_rows() as u64);
        if send.blocking_send(in_order(&batch, roots)).is_err() {
            return Ok(false);
        }
    }
    if left > 0 {
        return Err(Error::invalid("corrupt: a column ends before its last row"));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_put_in_order_without_overlaps() {
        let ranges = vec![50..60, 0..10, 5..12, 12..13, 90..200, 300..400];
        assert_eq!(tidy(ranges, 100), [0..13, 50..60, 90..100]);
    }
}
