//! Series of `GeoTIFF` scenes, one file for each date.

use super::patch::{Extent, Pixels, Window};
use super::spec::Series;
use crate::entry::EntryKind;
use crate::error::{Context as _, Error, Kind, Result};
use crate::location::Location;
use crate::meter::Meter;
use crate::store::Stores;
use crate::task::Control;
use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _};
use std::time::{Duration, Instant};

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
        for entry in page? {
            if entry.kind == EntryKind::Object && is_scene(&entry.name, series.suffix.as_deref()) {
                found.push(entry.location(&folder));
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
        let len = self.extent.plane_len(window)?;
        let read = |file: &'a Location| -> BoxFuture<'a, Result<(Vec<u16>, Duration)>> {
            Box::pin(async move {
                read_file(file, self.extent, window, len, stores, meter, control)
                    .await
                    .context(|| format!("reading {file}"))
            })
        };
        let reads: Vec<_> = self.files.iter().map(read).collect();
        let planes: Vec<(Vec<u16>, Duration)> =
            control.race(futures::stream::iter(reads).buffered(concurrency).try_collect::<Vec<_>>()).await?;
        let opening = planes.iter().map(|(_, took)| *took).sum();
        Ok((Pixels { dates: planes.into_iter().map(|(plane, _)| plane).collect(), window }, opening))
    }
}

/// What opening one scene tells.
struct SceneFacts {
    extent: Extent,
    pixel: Option<f64>,
    layout: String,
}

async fn inspect(file: &Location, stores: &Stores, control: &Control) -> Result<SceneFacts> {
    let path = local(file, stores)?;
    control.blocking(move |_| facts_of(&open_scene(&path)?)).await
}

/// One scene's window of all bands, (band, y, x), and the time spent on opening it.
async fn read_file(
    file: &Location,
    expected: Extent,
    window: Window,
    len: usize,
    stores: &Stores,
    _meter: &Meter,
    control: &Control,
) -> Result<(Vec<u16>, Duration)> {
    let path = local(file, stores)?;
    control
        .blocking(move |control| {
            control.check()?;
            let started = Instant::now();
            let scene = open_scene(&path)?;
            let opening = started.elapsed();
            check_extent(&scene, expected)?;
            let mut plane = Vec::with_capacity(len);
            for band in 1..=expected.bands as usize {
                control.check()?;
                let (at, size) = ((window.x as isize, window.y as isize), (window.w as usize, window.h as usize));
                let buffer = scene.rasterband(band).and_then(|b| b.read_as::<u16>(at, size, size, None));
                plane.extend_from_slice(buffer.map_err(|err| unreadable(&err))?.data());
            }
            Ok((plane, opening))
        })
        .await
}

fn local(file: &Location, _stores: &Stores) -> Result<std::path::PathBuf> {
    file.to_path().ok_or_else(|| Error::unsupported("only local files as yet"))
}

fn open_scene(path: &std::path::Path) -> Result<gdal::Dataset> {
    gdal::Dataset::open(path).map_err(|err| unreadable(&err))
}

fn unreadable(err: &gdal::errors::GdalError) -> Error {
    Error::invalid(format!("GDAL cannot read it: {err}"))
}

fn facts_of(scene: &gdal::Dataset) -> Result<SceneFacts> {
    let (width, height) = scene.raster_size();
    let bands = scene.raster_count();
    let (bw, bh) = scene.rasterband(1).map_err(|err| unreadable(&err))?.block_size();
    let pixel = scene.geo_transform().ok().map(|t| t[1].abs());
    let extent = Extent { dates: 1, bands: bands as u64, height: height as u64, width: width as u64 };
    Ok(SceneFacts { extent, pixel, layout: format!("blocks {bh} x {bw}") })
}

fn check_extent(scene: &gdal::Dataset, expected: Extent) -> Result<()> {
    let found = facts_of(scene)?.extent;
    if (found.bands, found.height, found.width) == (expected.bands, expected.height, expected.width) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "it has {} bands of {} x {} pixels, but the first date has {} of {} x {}",
        found.bands, found.width, found.height, expected.bands, expected.width, expected.height
    )))
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
