//! The table of formats that can be looked at. A new one: a file here and a line below.

use crate::error::Result;
use crate::preview::{Ask, Loaded, Previewer, Probe};
use crate::store::Stores;

mod csv;
mod hex;
mod image;
mod parquet;
mod raster;
mod stac;
mod text;
mod zarr;

/// The formats, most particular first. The first whose `matches` says yes loads: asked with the
/// name alone, then, when none claimed it, with the first bytes.
#[rustfmt::skip] // a line for each
pub const PREVIEWERS: &[Previewer] = &[
    image::PREVIEWER,
    raster::PREVIEWER,
    parquet::PREVIEWER,
    csv::PREVIEWER,
    stac::PREVIEWER,
    zarr::PREVIEWER,
    text::PREVIEWER,
    hex::PREVIEWER,
];

/// Bytes read to recognise what no format claimed by its name.
const HEAD: u64 = 32 << 10;

/// Whether a format claims this thing by its name alone: a folder that is a Zarr, say.
pub fn claims(probe: &Probe) -> bool {
    PREVIEWERS.iter().any(|p| (p.matches)(probe))
}

/// Loads a preview of what was asked for, and says what it cost.
pub async fn load(stores: Stores, mut ask: Ask) -> Result<Loaded> {
    let mut chosen = PREVIEWERS.iter().find(|p| (p.matches)(&ask.probe));
    if chosen.is_none() && !ask.probe.location.is_container() {
        let handle = stores.open(&ask.probe.location, &ask.control.meter).await?;
        let head = ask.control.race(handle.read_head(&ask.probe.location, HEAD)).await?;
        ask.probe.size = Some(head.size);
        ask.probe.etag = head.etag;
        ask.probe.head = Some(head.bytes);
        chosen = PREVIEWERS.iter().find(|p| (p.matches)(&ask.probe));
    }
    let chosen = chosen.ok_or_else(|| crate::error::Error::unsupported("there is no preview of this"))?;
    let control = ask.control.clone();
    let preview = control.race((chosen.load)(stores, ask)).await?;
    Ok(Loaded { format: chosen.name, preview, cost: control.meter.cost() })
}
