//! Reading a window at the resolution of a screen.

use super::{BandInfo, Info, refuse_giant_blocks};
use crate::error::{Error, Kind, Result};
use crate::store::gdal::Mount;
use crate::task::threads;
use gdal::Dataset;
use gdal::raster::{RasterBand, ResampleAlg};
use std::ops::Range;

/// Decoded bytes that a view may need, as a multiple of the bytes it may read: what a page of
/// zeros expands to costs time and memory, too.
const DECODED: u64 = 16;

/// Pixels of a view: what a screen can show, and more.
const MOST_PIXELS: u64 = 16 << 20;

/// A window in pixels of the whole raster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Left edge.
    pub x: u64,
    /// Top edge.
    pub y: u64,
    /// Pixels across.
    pub width: u64,
    /// Pixels down.
    pub height: u64,
}

impl Window {
    /// Whether it has pixels, all of them within so many across and down.
    pub fn is_inside(&self, size: (u64, u64)) -> bool {
        let inside = |start: u64, len: u64, end: u64| len > 0 && start.checked_add(len).is_some_and(|stop| stop <= end);
        inside(self.x, self.width, size.0) && inside(self.y, self.height, size.1)
    }

    /// Fails where it is not inside.
    pub(crate) fn check(&self, size: (u64, u64)) -> Result<()> {
        if self.is_inside(size) { Ok(()) } else { Err(Error::usage("the window is not inside the raster")) }
    }
}

/// Fails where one of the bands, counted from 1, is not there.
pub(crate) fn check_bands(bands: &[usize], count: usize) -> Result<()> {
    match bands.iter().find(|&&band| band == 0 || band > count) {
        Some(band) => Err(Error::usage(format!("there is no band {band}; it has {count}"))),
        None => Ok(()),
    }
}

/// What is wished to be seen.
#[derive(Clone, Debug)]
pub struct View {
    /// Bands, one-based, in the order wished.
    pub bands: Vec<usize>,
    /// Part of the raster; `None` for all of it.
    pub window: Option<Window>,
    /// Pixels across and down not to be exceeded. The shape of the window is kept, and nothing is
    /// enlarged.
    pub pixels: (u32, u32),
}

/// Values of a decimated window.
#[derive(Clone, Debug)]
pub struct Pixels {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// The bands read, one-based.
    pub bands: Vec<usize>,
    /// Values of each band, `width * height`, row by row; NaN where there are none.
    pub values: Vec<Vec<f32>>,
    /// Opacity, where an alpha band or a mask tells.
    pub alpha: Option<Vec<u8>>,
    /// The overview read, from 0; `None` for full resolution.
    pub overview: Option<usize>,
}

/// The level to read from, and the part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// The overview, from 0; `None` for full resolution.
    pub(super) overview: Option<usize>,
    /// Its pixels across and down, and those of them that are read.
    pub(super) level: (u64, u64),
    pub(super) window: Window,
    /// Pixels to make of them.
    pub(super) target: (usize, usize),
}

/// How many handles more than one decode at once: one for each band of a TIFF whose bands lie apart. Of one where they
/// lie together, each would decode all of them.
pub(super) fn other_hands(info: &Info, view: &View) -> usize {
    if info.driver != "GTiff" || info.part.is_some() || info.pixel_interleaved {
        return 0;
    }
    view.bands.len().min(threads::most()).saturating_sub(1)
}

/// Chooses what to read of which level; refuses what would take much more than `limit` bytes.
pub(super) fn planned(info: &Info, view: &View, limit: u64) -> Result<Plan> {
    check_bands(&view.bands, info.bands.len())?;
    let plan = plan(info, view)?;
    afford(info, view, &plan, limit)?;
    Ok(plan)
}

/// Reads a view as planned. `others` are the same raster as `dataset`, for as many threads more.
pub(super) fn read(
    mount: &Mount,
    dataset: &mut Dataset,
    others: &mut [Dataset],
    info: &Info,
    view: &View,
    plan: &Plan,
) -> Result<Pixels> {
    fetch_ahead(mount, dataset, info, view, plan)?;
    let values = all_bands(mount, dataset, others, info, view, plan)?;
    let alpha = match masked(info, view) {
        Some(number) => Some(mount.call(|| {
            let band = dataset.rasterband(number)?;
            at_level(&band, plan.overview, |level| {
                read_band::<u8>(&level.open_mask_band()?, plan, ResampleAlg::NearestNeighbour)
            })
        })?),
        _ => None,
    };
    Ok(pixels(view, plan, values, alpha))
}

/// The values of a view as planned.
pub(super) fn pixels(view: &View, plan: &Plan, values: Vec<Vec<f32>>, alpha: Option<Vec<u8>>) -> Pixels {
    let (width, height) = plan.target;
    Pixels { width, height, bands: view.bands.clone(), values, alpha, overview: plan.overview }
}

/// The values of every band of a view, each handle with a thread of its own.
fn all_bands(
    mount: &Mount,
    own: &mut Dataset,
    others: &mut [Dataset],
    info: &Info,
    view: &View,
    plan: &Plan,
) -> Result<Vec<Vec<f32>>> {
    let step = 1 + others.len();
    let hands = std::iter::once(own).chain(others).enumerate();
    let shares = threads::at_once(hands, |(first, dataset)| -> Result<Vec<Vec<f32>>> {
        let numbers = view.bands.iter().skip(first).step_by(step);
        numbers.map(|&number| one_band(mount, dataset, info, plan, number)).collect()
    });
    let mut bands = vec![Vec::new(); view.bands.len()];
    let mut failed: Option<Error> = None;
    for (first, share) in shares.into_iter().enumerate() {
        match share {
            Ok(read) => bands.iter_mut().skip(first).step_by(step).zip(read).for_each(|(band, read)| *band = read),
            // Whoever met the failure says why; of GDAL's own words the others have only that there was one.
            Err(err) if failed.as_ref().is_none_or(|failed| failed.kind() == Kind::Invalid) => failed = Some(err),
            Err(_) => {}
        }
    }
    failed.map_or(Ok(bands), Err)
}

/// The values of one band, numbered from 1.
fn one_band(mount: &Mount, dataset: &Dataset, info: &Info, plan: &Plan, number: usize) -> Result<Vec<f32>> {
    values_of(&info.bands[number - 1], |method| {
        mount.call(|| {
            let band = dataset.rasterband(number)?;
            at_level(&band, plan.overview, |level| read_band(level, plan, method))
        })
    })
}

/// The values of a band, NaN where there are none, read in the way that suits it.
pub(super) fn values_of(known: &BandInfo, read: impl FnOnce(ResampleAlg) -> Result<Vec<f32>>) -> Result<Vec<f32>> {
    // Averages of classes are no classes.
    let method = if known.palette.is_some() { ResampleAlg::NearestNeighbour } else { ResampleAlg::Average };
    let mut values = read(method)?;
    if let Some(nodata) = known.nodata {
        blank(&mut values, nodata);
    }
    Ok(values)
}

/// The band whose mask tells what is valid, if one does.
pub(super) fn masked(info: &Info, view: &View) -> Option<usize> {
    let first = *view.bands.first()?;
    let band = info.bands.get(first - 1)?;
    (!band.all_valid && band.nodata.is_none()).then_some(first)
}

/// The blocks of all bands and of the mask by one round of requests.
fn fetch_ahead(mount: &Mount, dataset: &Dataset, info: &Info, view: &View, plan: &Plan) -> Result<()> {
    let w = plan.window;
    if info.driver == "JP2OpenJPEG" || mount.is_assembled() {
        // Overview 0 is halved once. Those of an assembled one are chosen by GDAL for each member, and it can take
        // the next finer one.
        let halved = plan.overview.map_or(0, |index| index as u32 + u32::from(!mount.is_assembled()));
        let scale = |at: u64, level: u64, whole: u64| (at as f64 * whole as f64 / level as f64) as u64;
        let (x, y) = (scale(w.x, plan.level.0, info.size.0), scale(w.y, plan.level.1, info.size.1));
        let (right, bottom) =
            (scale(w.x + w.width, plan.level.0, info.size.0), scale(w.y + w.height, plan.level.1, info.size.1));
        return mount.fetch_pictures(&view.bands, halved, [x, y, right - x + 1, bottom - y + 1], info.size);
    }
    if info.driver != "GTiff" {
        return Ok(());
    }
    mount.fetch_ahead(&blocks(mount, dataset, info, view, plan)?)
}

/// Where the blocks are that a view of a TIFF needs, as GDAL tells it.
pub(super) fn blocks(
    mount: &Mount,
    dataset: &Dataset,
    info: &Info,
    view: &View,
    plan: &Plan,
) -> Result<Vec<Range<u64>>> {
    let w = plan.window;
    mount.blocks([w.x, w.y, w.width, w.height], |note| {
        let bands = if info.pixel_interleaved { &view.bands[..1] } else { &view.bands[..] };
        for &number in bands {
            let band = dataset.rasterband(number)?;
            at_level(&band, plan.overview, |level| {
                note(level);
                Ok(())
            })?;
        }
        let Some(number) = masked(info, view) else { return Ok(()) };
        let band = dataset.rasterband(number)?;
        at_level(&band, plan.overview, |level| {
            note(&level.open_mask_band()?);
            Ok(())
        })
    })
}

fn at_level<T>(
    band: &RasterBand<'_>,
    overview: Option<usize>,
    f: impl FnOnce(&RasterBand<'_>) -> gdal::errors::Result<T>,
) -> gdal::errors::Result<T> {
    match overview {
        Some(index) => f(&band.overview(index)?),
        None => f(band),
    }
}

pub(super) fn read_band<T: gdal::raster::GdalType + Copy>(
    band: &RasterBand<'_>,
    plan: &Plan,
    method: ResampleAlg,
) -> gdal::errors::Result<Vec<T>> {
    let w = plan.window;
    let origin = (isize::try_from(w.x)?, isize::try_from(w.y)?);
    let size = (usize::try_from(w.width)?, usize::try_from(w.height)?);
    let method = if size == plan.target { ResampleAlg::NearestNeighbour } else { method };
    Ok(band.read_as::<T>(origin, size, plan.target, Some(method))?.into_shape_and_vec().1)
}

/// Makes nodata NaN. Values of 64 bits were clamped to 32 when they were read, and so is `nodata`.
fn blank(values: &mut [f32], nodata: f64) {
    let nodata = nodata.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
    for value in values {
        if value.to_bits() == nodata.to_bits() || (*value - nodata).abs() <= 0.0 {
            *value = f32::NAN;
        }
    }
}

/// Chooses the level: the smallest overview that has at least four fifths of the pixels wished
/// for. A little less sharpness often saves three quarters of the bytes.
fn plan(info: &Info, view: &View) -> Result<Plan> {
    let whole = Window { x: 0, y: 0, width: info.size.0, height: info.size.1 };
    let window = view.window.unwrap_or(whole);
    window.check(info.size)?;
    let (max_w, max_h) = (f64::from(view.pixels.0.max(1)), f64::from(view.pixels.1.max(1)));
    let shrink = (max_w / window.width as f64).min(max_h / window.height as f64).min(1.0);
    let enough = |level: (u64, u64)| {
        let scale = level.0 as f64 / info.size.0 as f64;
        level.0 > 0 && level.1 > 0 && scale >= shrink * 0.8
    };
    let found = info.overviews.iter().copied().enumerate().filter(|&(_, level)| enough(level));
    let (overview, level) =
        found.min_by_key(|&(_, level)| level.0).map_or((None, info.size), |(index, level)| (Some(index), level));
    let part = |start: u64, len: u64, level: u64, whole: u64| {
        let scale = level as f64 / whole as f64;
        let first = ((start as f64 * scale).floor() as u64).min(level - 1);
        let last = (((start + len) as f64 * scale).round() as u64).clamp(first + 1, level);
        (first, last - first)
    };
    let (x, width) = part(window.x, window.width, level.0, info.size.0);
    let (y, height) = part(window.y, window.height, level.1, info.size.1);
    let fit = |pixels: u64, whole: u64| ((whole as f64 * shrink).round() as u64).clamp(1, pixels) as usize;
    let target = (fit(width, window.width), fit(height, window.height));
    if (target.0 as u64).saturating_mul(target.1 as u64) > MOST_PIXELS {
        return Err(Error::new(Kind::Limit, "so many pixels are not shown at once"));
    }
    Ok(Plan { overview, level, window: Window { x, y, width, height }, target })
}

/// Refuses before a byte is read what would read or decode far too much.
fn afford(info: &Info, view: &View, plan: &Plan, limit: u64) -> Result<()> {
    refuse_giant_blocks(info)?;
    let bands = if info.pixel_interleaved { info.bands.len() } else { view.bands.len() } as u64;
    let value = info.bands.iter().map(|b| b.bytes).max().unwrap_or(1);
    // Blocks are read whole, at the left and right of the window too.
    let across = plan.window.width.saturating_add(2 * info.block.0.min(plan.level.0)).min(plan.level.0);
    let decoded = [plan.window.height, bands, value].iter().fold(across, |n, &f| n.saturating_mul(f));
    let share = plan.window.width as f64 * plan.window.height as f64 / (info.size.0 as f64 * info.size.1 as f64);
    let stored = (info.file_size as f64 * share * 1.5).min(info.file_size as f64) as u64;
    // Members of a VRT have overviews of their own; what is read of them is counted.
    if info.driver == "VRT" {
        return Ok(());
    }
    if decoded.min(stored) > limit || decoded > limit.saturating_mul(DECODED) {
        let needs = crate::text::bytes(if decoded.min(stored) > limit { decoded.min(stored) } else { decoded });
        let why = if plan.overview.is_none() { "it has no overviews: " } else { "" };
        let limit = crate::text::bytes(limit);
        return Err(Error::new(Kind::Limit, format!("{why}a picture of it needs {needs}, and the limit is {limit}"))
            .with_hint("convert it to a cloud-optimised GeoTIFF, which has overviews"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dem() -> Info {
        Info {
            size: (3600, 3600),
            overviews: vec![(1800, 1800), (900, 900), (450, 450)],
            block: (1024, 1024),
            bands: vec![BandInfo { bytes: 4, ..BandInfo::default() }],
            file_size: 40 << 20,
            ..Info::default()
        }
    }

    fn view(window: Option<Window>, pixels: (u32, u32)) -> View {
        View { bands: vec![1], window, pixels }
    }

    #[test]
    fn a_thumbnail_takes_the_overview_that_nearly_suffices() {
        let plan = plan(&dem(), &view(None, (512, 512))).expect("plan");
        assert_eq!((plan.overview, plan.target), (Some(2), (450, 450)));
        let plan = super::plan(&dem(), &view(None, (1000, 700))).expect("plan");
        assert_eq!((plan.overview, plan.target), (Some(1), (700, 700)));
        let plan = super::plan(&dem(), &view(None, (5000, 5000))).expect("plan");
        assert_eq!((plan.overview, plan.target), (None, (3600, 3600)));
    }

    #[test]
    fn a_window_is_mapped_to_its_level() {
        let window = Window { x: 1800, y: 0, width: 1800, height: 900 };
        let plan = plan(&dem(), &view(Some(window), (900, 900))).expect("plan");
        assert_eq!(plan.overview, Some(0));
        assert_eq!(plan.window, Window { x: 900, y: 0, width: 900, height: 450 });
        assert_eq!(plan.target, (900, 450));
        let outside = Window { x: u64::MAX, ..window };
        assert!(super::plan(&dem(), &view(Some(outside), (9, 9))).is_err());
    }

    #[test]
    fn what_has_no_overviews_must_be_small() {
        let mut info = dem();
        info.overviews.clear();
        let ask = view(None, (512, 512));
        let plan = plan(&info, &ask).expect("plan");
        assert!(afford(&info, &ask, &plan, 64 << 20).is_ok());
        let refused = afford(&info, &ask, &plan, 1 << 20).expect_err("too much");
        assert_eq!(refused.kind(), Kind::Limit);
        assert!(refused.to_string().contains("no overviews"), "{refused}");
    }
}
