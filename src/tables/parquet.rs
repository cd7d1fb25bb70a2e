//! Parquet and `GeoParquet`: the footer, then of the columns wanted the pages that hold the rows.

use crate::error::Result;
use crate::probe::Probe;
use crate::store::Stores;
use crate::table::parquet::{File, TAIL};
use crate::table::ranged::Ranged;
use crate::table::{About, Format, Open, Rows, Scan, Window};
use crate::task::Control;
use arrow::record_batch::RecordBatch;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::sync::Arc;
use tokio_util::sync::DropGuard;

/// Files named `.parquet` (`.geoparquet`, `.pq`), or that start with `PAR1`.
pub(super) const FORMAT: Format =
    Format { name: "parquet", matches, open: |stores, open| Box::pin(load(stores, open)) };

fn matches(probe: &Probe) -> bool {
    if probe.location.is_container() {
        return false;
    }
    let media = probe.media_type.as_deref().unwrap_or_default();
    probe.has_extension(&["parquet", "geoparquet", "pq", "parq"])
        || media.contains("parquet")
        || probe.starts_with(b"PAR1")
}

struct Parquet {
    file: File,
    about: Arc<About>,
    control: Control,
    /// Stops the decoder's thread when the table is closed.
    _open: DropGuard,
}

impl std::fmt::Debug for Parquet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parquet").field("title", &self.about.facts.title).finish_non_exhaustive()
    }
}

async fn load(stores: Stores, open: Open) -> Result<Arc<dyn Rows>> {
    let Open { probe, control, max_bytes } = open;
    let (file, guard) = Ranged::open_tail(&stores, &probe.location, probe.size, TAIL, max_bytes, &control).await?;
    let file = control.blocking(move |_| File::open(file)).await?;
    let about = Arc::new(file.about());
    Ok(Arc::new(Parquet { file, about, control, _open: guard }))
}

impl Rows for Parquet {
    fn about(&self) -> Arc<About> {
        self.about.clone()
    }

    fn window(&self, window: Window) -> BoxFuture<'_, Result<RecordBatch>> {
        let file = self.file.clone();
        Box::pin(async move { self.control.blocking(move |control| file.read(&window, &control)).await })
    }

    fn scan(&self, scan: Scan, control: &Control) -> BoxStream<'static, Result<RecordBatch>> {
        let (file, control) = (self.file.clone(), control.clone());
        let total = self.about.total_rows.unwrap_or(0);
        let ranges = scan.rows.unwrap_or_else(|| vec![0..total]);
        let pieces: Vec<std::ops::Range<u64>> = ranges
            .into_iter()
            .flat_map(|r| (r.start..r.end).step_by(65_536).map(move |at| at..(at + 65_536).min(r.end)))
            .collect();
        let columns = scan.columns.unwrap_or_else(|| self.about.columns.iter().map(|c| c.name.clone()).collect());
        futures::stream::iter(pieces)
            .then(move |piece| {
                let (file, control, columns) = (file.clone(), control.clone(), columns.clone());
                async move {
                    let rows = (piece.end - piece.start) as usize;
                    let window = Window { rows, offset: piece.start, columns: Some(columns) };
                    control.blocking(move |control| file.read(&window, &control)).await
                }
            })
            .boxed()
    }
}
