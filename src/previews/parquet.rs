//! Parquet and `GeoParquet`: first rows by ranged reads.

use crate::error::{Context as _, Result};
use crate::preview::{Ask, Preview, Previewer, Probe};
use crate::store::Stores;
use crate::table::parquet::{TAIL, Window, read};
use crate::table::ranged::Ranged;

/// Files named `.parquet` (`.geoparquet`, `.pq`), or that start with `PAR1`.
pub(super) const PREVIEWER: Previewer =
    Previewer { name: "parquet", matches, load: |stores, ask| Box::pin(load(stores, ask)) };

fn matches(probe: &Probe) -> bool {
    if probe.location.is_container() {
        return false;
    }
    let media = probe.media_type.as_deref().unwrap_or_default();
    probe.has_extension(&["parquet", "geoparquet", "pq", "parq"])
        || media.contains("parquet")
        || probe.starts_with(b"PAR1")
}

async fn load(stores: Stores, ask: Ask) -> Result<Preview> {
    let Ask { probe, rows, offset, columns, max_bytes, control, .. } = ask;
    let opened = Ranged::open_tail(&stores, &probe.location, probe.size, TAIL, max_bytes, &control).await;
    // The guard stops the decoder's thread when this future is dropped.
    let (file, _guard) = opened.context(|| format!("opening {}", probe.location))?;
    let window = Window { rows, offset, columns };
    let table = control.blocking(move |control| read(&file, &window, &control)).await;
    Ok(Preview::Table(table.context(|| format!("reading {}", probe.location))?))
}
