//! The two rasters that are looked at, made once.

use gdal::raster::{Buffer, RasterCreationOptions};
use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, DriverManager};
use std::path::{Path, PathBuf};

const DEM: usize = 3600;
const STACK: usize = 10_980;
const FLOAT: usize = 5_490;
/// Rows written at once.
const ROWS: usize = 180;

/// `dem.tif` and `B02_B03_B04_B08.tif` in this folder.
pub(crate) fn files(folder: &Path) -> [PathBuf; 2] {
    let files = ["dem.tif", "B02_B03_B04_B08.tif"].map(|name| folder.join(name));
    if !files[0].exists() {
        let transform = [6.0, 1.0 / 3600.0, 0.0, 1.0, 0.0, -1.0 / 3600.0];
        make::<f32>(&files[0], DEM, 1, (4326, transform), ("1024", "3"), |_, x, y| height(x, y));
    }
    if !files[1].exists() {
        let transform = [300_000.0, 10.0, 0.0, 6_800_040.0, 0.0, -10.0];
        make::<u16>(&files[1], STACK, 4, (32635, transform), ("512", "2"), |band, x, y| {
            (1000.0 + height(x + 500 * band, y) + f64::from(noise(band, x, y) & 63) as f32) as u16
        });
    }
    files
}

/// `float.tif` in this folder: a field of a satellite's tile.
pub(crate) fn float(folder: &Path) -> PathBuf {
    let file = folder.join("float.tif");
    if !file.exists() {
        let transform = [300_000.0, 20.0, 0.0, 6_800_040.0, 0.0, -20.0];
        make::<f32>(&file, FLOAT, 1, (32635, transform), ("512", "3"), |_, x, y| height(x, y));
    }
    file
}

/// Hills, and in them what no codec packs away.
fn height(x: usize, y: usize) -> f32 {
    let (a, b) = (x as f32, y as f32);
    let hills = (a / 210.0).sin() * 300.0 + (b / 170.0).cos() * 260.0 + ((a + b) / 37.0).sin() * 25.0 + 600.0;
    hills + (noise(9, x, y) & 255) as f32 / 64.0
}

fn noise(band: usize, x: usize, y: usize) -> u32 {
    let mut n = (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77) ^ (band as u32) << 7;
    n = (n ^ n >> 15).wrapping_mul(0x2c1b_3c6d);
    n ^ n >> 13
}

fn make<T: gdal::raster::GdalType + Copy>(
    path: &Path,
    side: usize,
    bands: usize,
    (epsg, transform): (u32, [f64; 6]),
    (block, predictor): (&str, &str),
    value: impl Fn(usize, usize, usize) -> T,
) {
    let plain = path.with_extension("plain.tif");
    let driver = DriverManager::get_driver_by_name("GTiff").expect("GTiff");
    let options = options(&[("INTERLEAVE", "BAND"), ("BIGTIFF", "IF_SAFER")]);
    let mut source =
        driver.create_with_band_type_with_options::<T, _>(&plain, side, side, bands, &options).expect("a file");
    source.set_geo_transform(&transform).expect("placed");
    source.set_spatial_ref(&SpatialRef::from_epsg(epsg).expect("a CRS")).expect("placed");
    for number in 0..bands {
        let mut band = source.rasterband(number + 1).expect("a band");
        for first in (0..side).step_by(ROWS) {
            let rows = ROWS.min(side - first);
            let values = (0..rows * side).map(|i| value(number, i % side, first + i / side)).collect();
            let mut buffer = Buffer::new((side, rows), values);
            band.write((0, first as isize), (side, rows), &mut buffer).expect("written");
        }
    }
    source.close().expect("closed");
    let source = Dataset::open(&plain).expect("opens");
    let cog = DriverManager::get_driver_by_name("COG").expect("COG");
    let given = [
        ("COMPRESS", "DEFLATE"),
        ("PREDICTOR", predictor),
        ("BLOCKSIZE", block),
        ("OVERVIEW_RESAMPLING", "AVERAGE"),
        ("NUM_THREADS", "ALL_CPUS"),
        ("BIGTIFF", "IF_SAFER"),
    ];
    let unfinished = path.with_extension("part.tif");
    source.create_copy(&cog, &unfinished, &self::options(&given)).expect("a COG").close().expect("closed");
    std::fs::rename(&unfinished, path).expect("renamed");
    std::fs::remove_file(&plain).expect("removed");
}

fn options(pairs: &[(&str, &str)]) -> RasterCreationOptions {
    let mut out = RasterCreationOptions::new();
    for (key, value) in pairs {
        // The COG driver calls predictors by other names than TIFF.
        let value = match (*key, *value) {
            ("PREDICTOR", "2") => "STANDARD",
            ("PREDICTOR", "3") => "FLOATING_POINT",
            (_, value) => value,
        };
        out.set_name_value(key, value).expect("an option");
    }
    out
}
