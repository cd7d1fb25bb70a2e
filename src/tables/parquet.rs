//! Parquet and `GeoParquet`: the footer, then of the columns wanted the pages that hold the rows.

use crate::error::Result;
use crate::probe::Probe;
use crate::store::Stores;
use crate::table::parquet::File;
use crate::table::ranged::KEPT;
use crate::table::{About, Format, Layout, Open, Rows, Scan, Window};
use crate::task::Control;
use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::sync::Arc;

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
}

impl std::fmt::Debug for Parquet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parquet").field("title", &self.about.facts.title).finish_non_exhaustive()
    }
}

async fn load(stores: Stores, open: Open) -> Result<Arc<dyn Rows>> {
    let Open { probe, control, max_bytes } = open;
    let file = File::open(&stores, &probe, &control, max_bytes, KEPT).await?;
    let about = Arc::new(file.about());
    Ok(Arc::new(Parquet { file, about, control }))
}

impl Rows for Parquet {
    fn about(&self) -> Arc<About> {
        self.about.clone()
    }

    fn window(&self, window: Window) -> BoxFuture<'_, Result<RecordBatch>> {
        Box::pin(async move { self.file.window(&window, &self.control).await })
    }

    fn scan(&self, scan: Scan, control: &Control) -> BoxStream<'static, Result<RecordBatch>> {
        self.file.scan(scan, control)
    }

    fn layout(&self) -> BoxFuture<'_, Result<Option<Layout>>> {
        Box::pin(async move { self.file.layout(&self.control).await.map(Some) })
    }
}
