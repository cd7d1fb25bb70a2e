//! The table of formats that can be looked at. A new one: a file here and a line below.

use crate::error::{Error, Kind, Result};
use crate::preview::{Ask, Loaded, Previewer, Probe};
use crate::store::Stores;
use crate::tables;

mod hex;
mod image;
mod raster;
mod stac;
mod table;
mod text;
mod zarr;

/// The formats, most particular first. The first whose `matches` says yes loads: asked with the
/// name alone, then, when none claimed it, with the first bytes.
#[rustfmt::skip] // a line for each
pub const PREVIEWERS: &[Previewer] = &[
    image::PREVIEWER,
    raster::PREVIEWER,
    table::PREVIEWER,
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

/// Whether this is a raster by what is known of it, so that the raster screen opens it.
pub fn is_raster(probe: &Probe) -> bool {
    PREVIEWERS.iter().find(|p| (p.matches)(probe)).is_some_and(|p| p.name == raster::PREVIEWER.name)
}

fn nothing() -> Error {
    Error::unsupported("there is no preview of this")
}

/// Loads a preview of what was asked for, and says what it cost.
pub async fn load(stores: Stores, mut ask: Ask) -> Result<Loaded> {
    let mut chosen = PREVIEWERS.iter().find(|p| (p.matches)(&ask.probe));
    // An object may be called like a folder; a folder of the disk is never more than that.
    let folder = ask.probe.location.is_container();
    if chosen.is_none() && !(folder && (ask.probe.location.to_path().is_some() || ask.probe.location.key().is_empty()))
    {
        let handle = stores.open(&ask.probe.location, &ask.control.meter).await?;
        let head = match ask.control.race(handle.read_head(&ask.probe.location, HEAD)).await {
            Err(err) if folder && err.kind() == Kind::NotFound => None,
            // Left by programs that show prefixes as folders.
            Ok(head) if folder && head.size == 0 => None,
            head => Some(head?),
        };
        if let Some(head) = head {
            ask.probe.size = Some(head.size);
            ask.probe.etag = head.etag;
            ask.probe.head = Some(head.bytes);
            chosen = PREVIEWERS.iter().find(|p| (p.matches)(&ask.probe));
        }
    }
    let chosen = match chosen {
        Some(chosen) => chosen,
        // Files of one table may lie in it.
        None if folder => &table::PREVIEWER,
        None => return Err(nothing()),
    };
    // Tables of every format have one previewer: the format is what a person calls it.
    let format = if chosen.name == table::PREVIEWER.name { tables::format_name(&ask.probe) } else { None };
    let format = format.unwrap_or(chosen.name);
    let control = ask.control.clone();
    let preview = control.race((chosen.load)(stores, ask)).await?;
    Ok(Loaded { format, preview, cost: control.meter.cost() })
}
