//! Rasters, read by GDAL through our store: what previews, the benchmark and the viewer share.
//! Knows nothing of screens.
//!
//! ```text
//! open -> Raster -> info()              size, bands, CRS, bounds, overviews, codec, parts
//!                -> view(View)          a decimated window: values and transparency
//!                -> report()            whether a TIFF is cloud-optimised, and why not
//!                -> read_window_u16(..) a window as it is stored
//! color::paint(pixels)                  values to colours
//! safe::open -> Safe -> raster(part)    a Sentinel-2 product: its bands by resolution, its pictures
//! write_cog(path, &Grid)                arrays to a file on the local disk
//! Output::new(place) -> finish()        what GDAL writes, to any place
//! ```

use crate::error::{Context, Error, Kind, Result};
use crate::location::Location;
use crate::store::gdal::{self as vsi, Mount};
use crate::store::{Head, Stores};
use crate::task::Control;
use gdal::Dataset;
use gdal::spatial_ref::SpatialRef;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

mod ahead;
pub mod color;
mod info;
mod place;
mod quick;
pub mod report;
pub mod safe;
mod tiff;
mod view;
pub(crate) mod world;
mod write;

pub use crate::store::gdal::Output;
pub use ahead::First;
pub use info::{Attributes, BandInfo, Info, Interpretation, Part, short_type};
pub use place::Details;
pub use report::Report;
pub(crate) use view::check_bands;
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
    /// The tiles of the first picture, until that is made.
    coming: Option<quick::Coming>,
    /// Closed before its object is unmounted.
    dataset: Dataset,
    /// The same once more, for threads that decode at the same time.
    hands: Vec<Dataset>,
    mount: Mount,
    /// The reference system as WKT, where GDAL does not know it.
    reference: Option<String>,
}

impl Inner {
    fn reference(&self) -> Option<SpatialRef> {
        self.dataset.spatial_ref().ok().or_else(|| SpatialRef::from_wkt(self.reference.as_deref()?).ok())
    }
}

/// So many handles of a raster. Its directories were read when it was opened: nothing is asked for.
fn open_hands<'a>(
    hands: &'a mut Vec<Dataset>,
    count: usize,
    mount: &Mount,
    location: &Location,
) -> Result<&'a mut [Dataset]> {
    while hands.len() < count {
        hands.push(vsi::open(mount, location, None)?);
    }
    Ok(&mut hands[..count])
}

/// Opens a raster: one request for most formats. Each later call fails with [`Kind::Limit`] once it
/// has read more than `limit` bytes (see [`NO_LIMIT`]).
///
/// The address may name a part of an object that holds several rasters: see [`split`]. Without one, the first is
/// opened, and [`Info::parts`] names them all.
pub async fn open(stores: &Stores, location: &Location, control: &Control, limit: u64) -> Result<Raster> {
    open_with_head(stores, location, control, limit, None, None).await
}

/// [`open`] without a request, when the first bytes were read before. Where only size and `ETag` are known (a head
/// without bytes), none is needed either if the object was looked at a moment ago.
///
/// What its `first` picture needs is asked for as soon as the first bytes tell where it is.
pub async fn open_with_head(
    stores: &Stores,
    location: &Location,
    control: &Control,
    limit: u64,
    head: Option<Head>,
    first: Option<First>,
) -> Result<Raster> {
    let what = || format!("opening {location}");
    let (place, part) = split(location);
    if safe::is_product(&place) {
        let size = head.map(|h| h.size);
        let product = safe::open(stores, &place, size, control).await.context(what)?;
        let part = part.as_deref().unwrap_or(safe::DEFAULT);
        let raster = product.raster(stores, part, control, limit).await.context(what)?;
        return Ok(Raster { location: location.clone(), ..raster });
    }
    let first = first.filter(|_| part.is_none());
    let mounting = async {
        let mount = Mount::new(stores, &place, control, limit, head).await?;
        let head = mount.held(&(0..vsi::HEAD));
        let coming = first.zip(head).and_then(|(first, head)| {
            let ahead = ahead::look(&head, mount.size(), &first, place.name(), limit)?;
            mount.ask_ahead(control, ahead.ranges);
            Some(ahead.tiles?.coming(&mount))
        });
        let placed = world::find(stores, &place, control).await;
        Ok(Mounted { mount, placed, coming })
    };
    let raster = finish(mounting, &place, part, control, limit).await.context(what)?;
    Ok(Raster { location: location.clone(), ..raster })
}

/// An object on its way to be opened.
struct Mounted {
    mount: Mount,
    /// Where it lies, as a file beside it tells.
    placed: Option<world::Placed>,
    coming: Option<quick::Coming>,
}

/// Opens what is mounted. While that is on its way, the thread that will open it sets GDAL up and has PROJ, which
/// keeps a database for each thread, open its own.
async fn finish(
    mounting: impl Future<Output = Result<Mounted>>,
    place: &Location,
    part: Option<String>,
    control: &Control,
    limit: u64,
) -> Result<Raster> {
    let abandoned = CancellationToken::new();
    let _stops = abandoned.clone().drop_guard();
    let (at, location) = (place.clone(), place.clone());
    let (give, take) = tokio::sync::oneshot::channel::<Mounted>();
    let opening = control.blocking(move |control| {
        info::warm();
        // Nothing comes where mounting failed, or is not wanted any more.
        let Mounted { mount, placed, coming } = take.blocking_recv().map_err(|_| Error::cancelled())?;
        mount.begin(&control, abandoned);
        let (dataset, parts, shown) = open_part(&mount, &at, part.as_deref())?;
        let mut info = mount.call(|| Ok(info::read(&dataset)))??;
        info.file_size = mount.size();
        info.part = shown;
        info.parts = parts;
        let found = match placed.filter(|_| info.transform.is_none()) {
            Some(placed) => info::place(&mut info, &placed),
            None => mount.call(|| Ok(info::refer_to_degrees(&dataset, &mut info)))?,
        };
        let reference = found.and_then(|srs| srs.to_wkt().ok());
        if info.driver == "GTiff" {
            info.report = report::look(|range| mount.held(&range));
        }
        Ok((Inner { coming, dataset, hands: Vec::new(), mount, reference }, info))
    });
    let mounting = async {
        // Where the other side is gone, it says itself why.
        drop(give.send(mounting.await?));
        Ok(())
    };
    let ((inner, info), ()) = tokio::try_join!(opening, mounting)?;
    Ok(Raster { inner: Arc::new(Mutex::new(inner)), info: Arc::new(info), location, limit })
}

/// Suffixes of what can hold several rasters.
const CONTAINERS: &[&str] = &["nc", "nc4", "h5", "hdf5", "he5", "hdf", "tif", "tiff"];

/// Splits an address into that of an object and the name of a part of it, written behind `#`: `x.nc#sst`,
/// `a.h5#grid/height`, `pages.tif#2`. Keys that hold a `#` of their own are left as they are.
pub fn split(location: &Location) -> (Location, Option<String>) {
    let key = location.key();
    if let Some((front, part)) = key.rsplit_once('#')
        && !part.is_empty()
    {
        let place = location.with_key(front);
        let place = if safe::is_folder(place.name()) { place.as_container() } else { place };
        if CONTAINERS.contains(&place.extension().as_str()) || safe::is_product(&place) {
            return (place, Some(part.to_owned()));
        }
    }
    (location.clone(), None)
}

/// The address of a part: see [`split`].
pub fn part_of(location: &Location, part: &str) -> Location {
    location.with_key(format!("{}#{part}", location.key()))
}

/// Opens the object, or a part of it: without a name, of a container of several rasters its first. With all parts,
/// and the name of the one that is shown.
fn open_part(mount: &Mount, location: &Location, wanted: Option<&str>) -> Result<(Dataset, Vec<Part>, Option<String>)> {
    let dataset = vsi::open(mount, location, None)?;
    let found = vsi::parts(mount, location, &dataset);
    let parts: Vec<Part> = found.iter().map(|p| Part { name: p.name.clone(), about: p.about.clone() }).collect();
    let chosen = match wanted {
        Some(name) => match found.iter().find(|part| part.name == name) {
            Some(part) => Some(part),
            None if found.is_empty() => return Err(Error::usage(format!("it has no parts, so no `{name}`"))),
            None => {
                let names: Vec<&str> = found.iter().take(12).map(|part| part.name.as_str()).collect();
                return Err(Error::usage(format!("it has no part `{name}`"))
                    .with_hint(format!("there are {}", names.join(", "))));
            }
        },
        None if dataset.raster_count() > 0 => return Ok((dataset, parts, None)),
        None => found.first(),
    };
    let Some(chosen) = chosen else {
        return Err(Error::unsupported("it holds no raster"));
    };
    let dataset = vsi::open(mount, location, Some(chosen))?;
    Ok((dataset, parts, Some(chosen.name.clone())))
}

impl Raster {
    /// What it is.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// How a TIFF is laid out, whatever that takes to read: [`Info::report`] says only what was at hand. `None` for
    /// other formats.
    pub async fn report(&self, control: &Control) -> Result<Option<Report>> {
        self.run(control, "looking through", |inner, info| {
            if info.driver != "GTiff" {
                return Ok(None);
            }
            let mut failed = None;
            let report = report::look(|range| inner.mount.bytes(range).map_err(|err| failed = Some(err)).ok());
            // What lies behind the end of the file is said by the report.
            match failed {
                Some(err) if err.kind() != Kind::Invalid => Err(err),
                _ => Ok(report),
            }
        })
        .await
    }

    /// Runs `f` on a thread for blocking work. Dropping the future stops the reads of `f`.
    async fn run<T: Send + 'static>(
        &self,
        control: &Control,
        what: &'static str,
        f: impl FnOnce(&mut Inner, &Info) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let abandoned = CancellationToken::new();
        let _stops = abandoned.clone().drop_guard();
        let (inner, info) = (self.inner.clone(), self.info.clone());
        control
            .blocking(move |control| {
                let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
                control.check()?;
                inner.mount.begin(&control, abandoned);
                f(&mut inner, &info)
            })
            .await
            .context(|| format!("{what} {}", self.location))
    }

    /// Reads a decimated window from the overview that suits it.
    pub async fn view(&self, control: &Control, view: View) -> Result<Pixels> {
        let (limit, location) = (self.limit, self.location.clone());
        self.run(control, "reading", move |inner, info| {
            let plan = view::planned(info, &view, limit)?;
            let Inner { coming, dataset, hands, mount, .. } = inner;
            if let Some(values) = coming.take().and_then(|coming| coming.values(mount, info, &view, &plan)) {
                return Ok(view::pixels(&view, &plan, values, None));
            }
            let others = open_hands(hands, view::other_hands(info, &view), mount, &location)?;
            view::read(mount, dataset, others, info, &view, &plan)
        })
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
            let window = Window { x: x as u64, y: y as u64, width: width as u64, height: height as u64 };
            if !window.is_inside(info.size) {
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
