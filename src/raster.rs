//! Rasters, read by GDAL through our store: what previews, the benchmark and the viewer share.
//! Knows nothing of screens.
//!
//! ```text
//! open -> Raster -> info()              size, bands, CRS, bounds, overviews, codec
//!                -> view(View)          a decimated window: values and transparency
//!                -> read_window_u16(..) a window as it is stored
//! color::paint(pixels)                  values to colours
//! write_cog(path, &Grid)                arrays to a file on the local disk
//! ```

use crate::error::{Context, Error, Kind, Result};
use crate::location::Location;
use crate::store::gdal::{self as vsi, Mount};
use crate::store::{Head, Stores};
use crate::task::Control;
use gdal::{Dataset, Metadata};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

pub mod color;
mod info;
mod place;
mod view;
mod write;

pub use info::{BandInfo, Info, Interpretation, short_type};
pub use place::Details;
pub use view::{Pixels, View, Window};
pub use write::{Grid, Samples, write_cog, write_jp2, write_tiff};

/// No limit to what may be read: for the benchmark.
pub const NO_LIMIT: u64 = u64::MAX;

/// Bytes that a window at full resolution may take in memory.
const LARGEST_WINDOW: u64 = 4 << 30;

/// Bytes of one decoded block that are still read: a header can claim any size.
const LARGEST_BLOCK: u64 = 256 << 20;

/// An open raster. Clones share it; calls wait for each other.
#[derive(Clone)]
pub struct Raster {
    inner: Arc<Mutex<Inner>>,
    info: Arc<Info>,
    location: Location,
    limit: u64,
}

struct Inner {
    /// Closed before its object is unmounted.
    dataset: Dataset,
    mount: Mount,
}

/// Opens a raster: one request for most formats. Each later call fails with [`Kind::Limit`] once it
/// has read more than `limit` bytes (see [`NO_LIMIT`]).
pub async fn open(stores: &Stores, location: &Location, control: &Control, limit: u64) -> Result<Raster> {
    open_with_head(stores, location, control, limit, None).await
}

/// [`open`] without a request, when the first bytes were read before.
pub async fn open_with_head(
    stores: &Stores,
    location: &Location,
    control: &Control,
    limit: u64,
    head: Option<Head>,
) -> Result<Raster> {
    let what = || format!("opening {location}");
    let mount = Mount::new(stores, location, control, limit, head).await.context(what)?;
    let abandoned = CancellationToken::new();
    let _stops = abandoned.clone().drop_guard();
    let place = location.clone();
    let (inner, info) = control
        .blocking(move |control| {
            mount.begin(&control, abandoned);
            let (dataset, part) = open_first(&mount, &place)?;
            let mut info = mount.call(|| Ok(info::read(&dataset)))??;
            info.file_size = mount.size();
            info.part = part;
            Ok((Inner { dataset, mount }, info))
        })
        .await
        .context(what)?;
    Ok(Raster { inner: Arc::new(Mutex::new(inner)), info: Arc::new(info), location: location.clone(), limit })
}

/// Opens the object; of a container of several rasters its first.
fn open_first(mount: &Mount, location: &Location) -> Result<(Dataset, Option<String>)> {
    let dataset = vsi::open(mount, location, None)?;
    if dataset.raster_count() > 0 {
        return Ok((dataset, None));
    }
    let parts: Vec<String> = dataset
        .metadata_domain("SUBDATASETS")
        .unwrap_or_default()
        .into_iter()
        .filter_map(|line| line.split_once("_NAME=").map(|(_, name)| name.to_owned()))
        // Made by the driver from the name it was given: nothing else is followed.
        .filter(|name| {
            name.contains(mount.path()) || location.to_path().is_some_and(|p| name.contains(&*p.to_string_lossy()))
        })
        .collect();
    let Some(first) = parts.first() else {
        return Err(Error::unsupported("it holds no raster"));
    };
    let name = first.rsplit(':').next().unwrap_or_default().trim_matches('/');
    let shown = format!("{name} (1 of {})", parts.len());
    Ok((vsi::open(mount, location, Some(first))?, Some(shown)))
}

impl Raster {
    /// What it is.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Runs `f` on a thread for blocking work. Dropping the future stops the reads of `f`.
    async fn run<T: Send + 'static>(
        &self,
        control: &Control,
        what: &'static str,
        f: impl FnOnce(&Inner, &Info) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let abandoned = CancellationToken::new();
        let _stops = abandoned.clone().drop_guard();
        let (inner, info) = (self.inner.clone(), self.info.clone());
        control
            .blocking(move |control| {
                let inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
                control.check()?;
                inner.mount.begin(&control, abandoned);
                f(&inner, &info)
            })
            .await
            .context(|| format!("{what} {}", self.location))
    }

    /// Reads a decimated window from the overview that suits it.
    pub async fn view(&self, control: &Control, view: View) -> Result<Pixels> {
        let limit = self.limit;
        self.run(control, "reading", move |inner, info| view::read(&inner.mount, &inner.dataset, info, &view, limit))
            .await
    }

    /// Reads a window of all bands as it is stored: band after band, each `width * height` values,
    /// row by row. Other types are rounded and clamped to 16 bits.
    pub async fn read_window_u16(
        &self,
        control: &Control,
        x: usize,
        y: usize,
        width: usize,
        height: usize,
    ) -> Result<Vec<u16>> {
        self.run(control, "reading", move |inner, info| {
            let inside = |start: usize, len: usize, end: u64| {
                len > 0 && start.checked_add(len).is_some_and(|stop| stop as u64 <= end)
            };
            if !inside(x, width, info.size.0) || !inside(y, height, info.size.1) {
                return Err(Error::usage(format!(
                    "the window {width}×{height} at {x},{y} is not inside {}×{}",
                    info.size.0, info.size.1
                )));
            }
            let bytes = [width, height, info.bands.len(), 2].iter().fold(1_u64, |n, &f| n.saturating_mul(f as u64));
            if bytes > LARGEST_WINDOW {
                return Err(Error::new(
                    Kind::Limit,
                    format!("the window takes {} of memory", crate::text::bytes(bytes)),
                ));
            }
            refuse_giant_blocks(info)?;
            vsi::read_all::<u16>(&inner.mount, &inner.dataset, [x, y, width, height])
        })
        .await
    }
}

/// A header can claim a block that no memory holds.
fn refuse_giant_blocks(info: &Info) -> Result<()> {
    let bytes = info.block_bytes();
    if bytes > LARGEST_BLOCK {
        let size = crate::text::bytes(bytes);
        return Err(Error::new(Kind::Limit, format!("one block of it takes {size} of memory"))
            .with_hint("convert it to a cloud-optimised GeoTIFF, whose blocks are small"));
    }
    Ok(())
}
