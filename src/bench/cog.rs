//! Series of `GeoTIFF` scenes, one file for each date.

use super::patch::{Extent, Pixels, Window};
use super::spec::Series;
use crate::entry::EntryKind;
use crate::error::{Context as _, Error, Kind, Result};
use crate::location::Location;
use crate::meter::Meter;
use crate::raster;
use crate::store::Stores;
use crate::store::gdal::{self as vsi, Mount};
use crate::task::Control;
use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A series whose files are known.
#[derive(Clone, Debug)]
pub(super) struct CogSeries {
    /// One for each date, in order.
    files: Vec<Location>,
    pub(super) extent: Extent,
    /// Side of a pixel in the units of the coordinate system.
    pub(super) pixel: Option<f64>,
    pub(super) layout: String,
}

/// Finds the files and how large the first one is; the others are checked as they are read.
pub(super) async fn open(series: &Series, stores: &Stores, control: &Control) -> Result<CogSeries> {
    let files = if series.files.is_empty() {
        control.race(list(series, stores)).await?
    } else {
        let folder = series.location.as_container();
        series.files.iter().map(|href| folder.resolve(href)).collect::<Result<Vec<_>>>()?
    };
    let Some(first) = files.first() else {
        let suffix = series.suffix.as_deref().unwrap_or(".tif");
        return Err(Error::new(Kind::NotFound, format!("no file ends in `{suffix}` below {}", series.location)));
    };
    let facts = inspect(first, stores, control).await.context(|| format!("opening {first}"))?;
    let extent = Extent { dates: files.len() as u64, ..facts.extent };
    Ok(CogSeries { files, extent, pixel: facts.pixel, layout: facts.layout })
}

/// The files of a folder that are scenes, in the order of their dates where all names tell one,
/// else in the order of their names.
async fn list(series: &Series, stores: &Stores) -> Result<Vec<Location>> {
    let folder = series.location.as_container();
    let mut pages = stores.list_all(&folder);
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        for entry in page?.into_block().rows() {
            if entry.kind() == EntryKind::Object && is_scene(entry.name(), series.suffix.as_deref()) {
                found.push(entry.to_entry().location(&folder));
            }
        }
    }
    let dates: Option<Vec<u32>> = found.iter().map(|file| date_in(file.key())).collect();
    let mut keyed: Vec<(u32, Location)> = match dates {
        Some(dates) => dates.into_iter().zip(found).collect(),
        None => found.into_iter().map(|file| (0, file)).collect(),
    };
    keyed.sort();
    Ok(keyed.into_iter().map(|(_, file)| file).collect())
}

fn is_scene(name: &str, suffix: Option<&str>) -> bool {
    if let Some(suffix) = suffix {
        return name.ends_with(suffix);
    }
    name.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("tif") || end.eq_ignore_ascii_case("tiff"))
}

/// The first `yyyymmdd` of the last part of a key that has one: satellites A and B share a folder,
/// and their names sort by satellite before they sort by date.
fn date_in(key: &str) -> Option<u32> {
    key.rsplit('/').find_map(|part| part.split(|c: char| !c.is_ascii_digit()).find_map(date_of))
}

/// The date that a run of digits begins with, alone or with a time of day behind it.
fn date_of(digits: &str) -> Option<u32> {
    let date: u32 = digits.get(..8).filter(|_| matches!(digits.len(), 8 | 14))?.parse().ok()?;
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    ((1900..2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)).then_some(date)
}

impl CogSeries {
    /// The name of a date for a person: its file.
    pub(super) fn date_name(&self, date: usize) -> String {
        self.files.get(date).map_or_else(String::new, ToString::to_string)
    }

    /// Opens every file and reads the window of all bands; gives the time spent on opening, too.
    pub(super) async fn read<'a>(
        &'a self,
        window: Window,
        stores: &'a Stores,
        meter: &'a Meter,
        control: &'a Control,
        concurrency: usize,
    ) -> Result<(Pixels, Duration)> {
        // Refuses what no memory holds.
        self.extent.plane_len(window)?;
        // The same cancellation, counted apart.
        let mut counted = control.clone();
        counted.meter = meter.clone();
        let read = |(date, file): (usize, &'a Location)| {
            let control = counted.clone();
            let read = async move {
                let read = read_file(file, self.extent, window, stores, &control).await;
                read.map(|(plane, opening)| (date, plane, opening)).context(|| format!("reading {file}"))
            };
            Box::pin(read) as BoxFuture<'a, Result<(usize, Vec<u16>, Duration)>>
        };
        let reads: Vec<_> = self.files.iter().enumerate().map(read).collect();
        // As they come: a slow date must not keep the next ones from starting.
        let reads = futures::stream::iter(reads).buffer_unordered(concurrency).try_collect::<Vec<_>>();
        let mut planes = control.race(reads).await?;
        planes.sort_unstable_by_key(|(date, ..)| *date);
        let opening = planes.iter().map(|(.., took)| *took).sum();
        Ok((Pixels { dates: planes.into_iter().map(|(_, plane, _)| plane).collect(), window }, opening))
    }
}

/// What opening one scene tells.
struct SceneFacts {
    extent: Extent,
    pixel: Option<f64>,
    layout: String,
}

async fn inspect(file: &Location, stores: &Stores, control: &Control) -> Result<SceneFacts> {
    let scene = raster::open(stores, file, control, raster::NO_LIMIT).await?;
    let info = scene.info();
    if let Some(band) = info.bands.iter().find(|b| !is_read_exactly(&b.dtype)) {
        let why = format!("its values are {}; benchmarks read bytes and 16-bit integers without sign", band.dtype);
        return Err(Error::unsupported(why));
    }
    let extent = Extent { dates: 1, bands: info.bands.len() as u64, height: info.size.1, width: info.size.0 };
    let mut layout = format!("blocks {} x {}", info.block.1, info.block.0);
    if let Some(codec) = &info.compression {
        layout = format!("{layout}, {}", codec.to_ascii_lowercase());
    }
    Ok(SceneFacts { extent, pixel: info.transform.map(|t| t[1].abs()), layout })
}

/// Whether values of GDAL's type of this name are the same as 16-bit integers without sign.
fn is_read_exactly(dtype: &str) -> bool {
    matches!(dtype, "Byte" | "UInt8" | "UInt16")
}

/// One scene's window of all bands, (band, y, x), and the time spent on opening it.
///
/// Not by [`raster::open`], which learns more of a file than a reader of pixels wants to pay for,
/// such as its bounds in degrees.
async fn read_file(
    file: &Location,
    expected: Extent,
    window: Window,
    stores: &Stores,
    control: &Control,
) -> Result<(Vec<u16>, Duration)> {
    let started = Instant::now();
    let mount = Mount::new(stores, file, control, raster::NO_LIMIT, None).await?;
    let abandoned = CancellationToken::new();
    // Dropping this future stops GDAL's reads, which no one else could.
    let _stops = abandoned.clone().drop_guard();
    let file = file.clone();
    control
        .blocking(move |control| {
            control.check()?;
            mount.begin(&control, abandoned);
            let scene = vsi::open(&mount, &file, None)?;
            let opening = started.elapsed();
            check_shape(&mount, &scene, expected)?;
            let window = [window.x, window.y, window.w, window.h].map(|n| n as usize);
            Ok((vsi::read_all::<u16>(&mount, &scene, window)?, opening))
        })
        .await
}

/// All dates must be alike; what is read would else not be what was asked for.
fn check_shape(mount: &Mount, scene: &gdal::Dataset, expected: Extent) -> Result<()> {
    let (width, height) = scene.raster_size();
    let found = (scene.raster_count() as u64, width as u64, height as u64);
    if found != (expected.bands, expected.width, expected.height) {
        return Err(Error::invalid(format!(
            "it has {} bands of {} x {} pixels, but the first date has {} of {} x {}",
            found.0, found.1, found.2, expected.bands, expected.width, expected.height
        )));
    }
    let dtype = mount.call(|| scene.rasterband(1))?.band_type().name();
    if is_read_exactly(&dtype) { Ok(()) } else { Err(Error::invalid(format!("its values are {dtype}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_found_in_names() {
        for (key, date) in [
            ("35/V/LH/2024/01/S2B_35VLH_20240103_0_L1C/B02.tif", Some(20_240_103)),
            ("S2A_MSIL1C_20201031T021411_N0209_20201101T000000.tif", Some(20_201_031)),
            ("x_20201031021411.tif", Some(20_201_031)),
            ("20240103/99999999.tif", Some(20_240_103)),
            ("a.tif", None),
        ] {
            assert_eq!(date_in(key), date, "{key}");
        }
    }
}
