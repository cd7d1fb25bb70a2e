//! A sample, or all, of a table that is open.

use super::extent::Extent;
use super::features::Features;
use super::read::{Plan, Reader};
use super::sample::{self, Want};
use crate::error::Result;
use crate::table::{Rows, Scan, settled};
use crate::task::Control;
use futures::StreamExt as _;
use std::ops::Range;
use std::sync::Arc;

/// Rows up to which a table is read whole where that costs next to nothing, and shown in part.
const WHOLE_ROWS: u64 = 3_000_000;
/// Bytes up to which a file is read whole from a disk, and over a network.
const WHOLE_NEAR: u64 = 512 << 20;
/// See [`WHOLE_NEAR`].
const WHOLE_FAR: u64 = 4 << 20;
/// The first rows of a table of unknown length over a network: more would mean reading it all.
const FIRST_ROWS: u64 = 20_000;

/// What is read.
#[derive(Clone)]
pub struct Ask {
    /// The table.
    pub rows: Arc<dyn Rows>,
    /// What of it.
    pub plan: Plan,
    /// How much.
    pub want: Want,
    /// Whether it lies on this computer, so that reading costs no requests.
    pub near: bool,
    /// Bytes of the whole file, where known.
    pub size: Option<u64>,
    /// Chooses the sample.
    pub seed: u64,
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The features.
    pub features: Arc<Features>,
    /// Rows of the table, where known.
    pub total: Option<u64>,
    /// Rows that were read for it.
    pub rows: u64,
    /// Whether that was all of the table.
    pub whole: bool,
    /// Whether more could not be held.
    pub full: bool,
    /// Their true bounds: the table's, where it was read whole.
    pub extent: Option<Extent>,
    /// Whether positions are longitude and latitude.
    pub earth: bool,
}

impl Ask {
    /// The rows that are read; `None` for all.
    fn ranges(&self, total: Option<u64>) -> Option<Vec<Range<u64>>> {
        let Want::Sample(wanted) = self.want else { return None };
        let bytes = if self.near { WHOLE_NEAR } else { WHOLE_FAR };
        let small = self.size.map_or(self.near, |size| size <= bytes);
        match total {
            Some(total) if small && total <= WHOLE_ROWS => None,
            Some(total) if wanted >= total => None,
            Some(total) => Some(sample::runs(total, wanted, self.seed)),
            None if small => None,
            None => Some(std::iter::once(0..FIRST_ROWS.max(wanted)).collect()),
        }
    }
}

/// Reads it. `control` counts, stops, and is told how many rows are done of how many.
pub async fn load(ask: Ask, control: Control) -> Result<Loaded> {
    settled(&ask.rows, || once(ask.clone(), control.clone())).await
}

async fn once(ask: Ask, control: Control) -> Result<Loaded> {
    let total = ask.rows.about().total_rows;
    let ranges = ask.ranges(total);
    let expected = ranges.as_ref().map_or(total, |ranges| Some(ranges.iter().map(|r| r.end - r.start).sum()));
    control.set_total(expected.unwrap_or(0));
    let scan = Scan { columns: Some(ask.plan.columns()), rows: ranges.clone() };
    let mut batches = ask.rows.scan(scan, &control);
    let earth = ask.plan.reference.is_earth();
    let mut whole = ranges.is_none();
    let mut reader = Reader::new(ask.plan, ranges);
    while let Some(batch) = control.race(async { batches.next().await.transpose() }).await? {
        reader = control
            .blocking(move |control| {
                control.check()?;
                reader.add(&batch)?;
                Ok(reader)
            })
            .await?;
        control.set_done(reader.rows);
        if reader.is_full() {
            break;
        }
    }
    drop(batches);
    let about = ask.rows.about();
    let total = about.total_rows.or(whole.then_some(reader.rows));
    let (rows, full) = (reader.rows, reader.is_full());
    whole = !full && total.is_some_and(|total| rows >= total);
    control
        .blocking(move |_| {
            let features = Arc::new(reader.finish());
            let extent = Extent::of(&features, earth);
            Ok(Loaded { features, total, rows, whole, full, extent, earth })
        })
        .await
}
