//! Sentinel-2-like scenes: one large one, a series of six dates as COGs, and the same series as Zarr.

use super::landscape::{BANDS, Landscape, SIDE, Sky, Window};
use super::noise::quantile;
use super::sink::{About, COG, Sink, gdal};
use super::zarr;
use crate::error::{Error, Result};
use gdal::DriverManager;
use gdal::Metadata as _;
use gdal::raster::{Buffer, RasterCreationOptions};
use gdal::spatial_ref::SpatialRef;
use image::{ImageFormat, Rgb, RgbImage};

/// Pixels along each side of the scenes of the series.
pub(super) const SERIES: Window = Window { x: 180, y: 180, side: 600 };
/// All of the landscape.
pub(super) const WHOLE: Window = Window { x: 0, y: 0, side: SIDE };

/// One acquisition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    /// Month of 2024.
    pub(super) month: u32,
    /// Day of the month.
    pub(super) day: u32,
    /// What it shows.
    pub(super) window: Window,
    /// The sky.
    pub(super) sky: Sky,
}

const fn june(day: u32, clouds: f64, bloom: f32, edge: bool) -> Scene {
    let sky = Sky { day: 152.0 + day as f32, clouds, seed: 9000 + day, bloom, edge };
    Scene { month: 6, day, window: SERIES, sky }
}

/// The six dates that the benchmark reads, and last the scene that is shown first.
pub(super) const SCENES: [Scene; 7] = [
    june(3, 0.05, 0.0, false),
    june(8, 0.45, 0.1, false),
    june(13, 0.12, 0.2, true),
    june(18, 0.78, 0.3, false),
    june(23, 0.0, 0.5, false),
    june(28, 0.25, 0.8, false),
    Scene {
        month: 7,
        day: 13,
        window: WHOLE,
        sky: Sky { day: 195.0, clouds: 0.055, seed: 77, bloom: 1.0, edge: false },
    },
];

impl Scene {
    /// `S2A_35VLH_20240603_0_L1C`.
    pub(super) fn id(&self) -> String {
        format!("S2A_35VLH_2024{:02}{:02}_0_L1C", self.month, self.day)
    }

    /// The folder of its files, ending in `/`.
    pub(super) fn folder(&self) -> String {
        format!("s2/35VLH/2024/{:02}/{}/", self.month, self.id())
    }

    /// The key of its COG.
    pub(super) fn cog(&self) -> String {
        format!("{}B02_B03_B04_B08.tif", self.folder())
    }

    /// The key of its thumbnail.
    pub(super) fn thumbnail(&self) -> String {
        format!("{}thumbnail.png", self.folder())
    }

    /// When the satellite passed.
    pub(super) fn datetime(&self) -> String {
        format!("2024-{:02}-{:02}T09:50:31Z", self.month, self.day)
    }

    /// Seconds since 1970.
    pub(super) fn seconds(&self) -> i64 {
        chrono::DateTime::parse_from_rfc3339(&self.datetime()).map_or(0, |t| t.timestamp())
    }

    /// Whether it belongs to the series of six.
    pub(super) fn in_series(&self) -> bool {
        self.window.side == SERIES.side
    }
}

/// Writes the large scene.
pub(super) fn write_whole(sink: &Sink, land: &Landscape) -> Result<()> {
    for scene in SCENES.iter().filter(|s| !s.in_series()) {
        write_scene(sink, scene, &land.scene(scene.window, &scene.sky))?;
    }
    Ok(())
}

/// Writes the series as COGs, then the same pixels as Zarr.
pub(super) fn write_series(sink: &Sink, land: &Landscape) -> Result<()> {
    let mut stack = Vec::new();
    for scene in SCENES.iter().filter(|s| s.in_series()) {
        sink.control.check()?;
        let pixels = land.scene(scene.window, &scene.sky);
        write_scene(sink, scene, &pixels)?;
        stack.extend_from_slice(&pixels);
    }
    zarr::write(sink, &stack)
}

fn write_scene(sink: &Sink, scene: &Scene, pixels: &[u16]) -> Result<()> {
    sink.control.step(scene.id());
    sink.put(&scene.thumbnail(), &thumbnail(pixels, scene.window.side)?, About::of("image/png"))?;
    let scratch = sink.scratch(&format!("{}.tif", scene.id()));
    write_cog(&scratch, scene, pixels).map_err(gdal)?;
    sink.adopt(&scene.cog(), &scratch, COG)?;
    sink.control.advance(1);
    Ok(())
}

fn write_cog(path: &std::path::Path, scene: &Scene, pixels: &[u16]) -> gdal::errors::Result<()> {
    let side = scene.window.side;
    let memory = DriverManager::get_driver_by_name("MEM")?;
    let mut image = memory.create_with_band_type::<u16, _>("", side, side, BANDS.len())?;
    image.set_spatial_ref(&SpatialRef::from_epsg(32635)?)?;
    image.set_geo_transform(&scene.window.transform())?;
    image.set_metadata_item("TIFFTAG_DATETIME", &scene.datetime(), "")?;
    image.set_metadata_item("TIFFTAG_IMAGEDESCRIPTION", "An invented landscape: sample data of secchi", "")?;
    // Limits of the bands of Sentinel-2A, nanometres.
    let limits = [(459, 525), (541, 577), (650, 680), (780, 886)];
    for (i, (plane, (name, (from, to)))) in pixels.chunks_exact(side * side).zip(BANDS.iter().zip(limits)).enumerate() {
        let mut band = image.rasterband(i + 1)?;
        band.write((0, 0), (side, side), &mut Buffer::new((side, side), plane.to_vec()))?;
        band.set_no_data_value(Some(0.0))?;
        band.set_scale(0.0001)?;
        band.set_offset(-0.1)?;
        band.set_description(name)?;
        band.set_metadata_item("WAVELENGTH_UNIT", "nm", "")?;
        band.set_metadata_item("MIN_WAVELENGTH", &from.to_string(), "")?;
        band.set_metadata_item("MAX_WAVELENGTH", &to.to_string(), "")?;
    }
    let options = RasterCreationOptions::from_iter([
        "BLOCKSIZE=256",
        "COMPRESS=DEFLATE",
        "PREDICTOR=YES",
        "LEVEL=4",
        "NUM_THREADS=2",
        "OVERVIEW_RESAMPLING=AVERAGE",
    ]);
    image.create_copy(&DriverManager::get_driver_by_name("COG")?, path, &options)?.close()
}

/// True colour at about 240 pixels, each band stretched between its 2nd and 98th percentile, as PNG.
fn thumbnail(pixels: &[u16], side: usize) -> Result<Vec<u8>> {
    let factor = (side / 240).max(1);
    let small = side / factor;
    let plane = side * side;
    let sample = |band: usize, x: usize, y: usize| {
        pixels.get(band * plane + y * factor * side + x * factor).copied().unwrap_or_default()
    };
    let limits = [2, 1, 0].map(|band| {
        let lit = (0..small * small).step_by(3).map(|i| f32::from(sample(band, i % small, i / small)));
        let lit: Vec<f32> = lit.filter(|v| *v > 0.0).collect();
        (band, quantile(lit.clone(), 0.02), quantile(lit, 0.98))
    });
    let tone = |v: u16, low: f32, high: f32| {
        let t = ((f32::from(v) - low) / (high - low).max(1.0)).clamp(0.0, 1.0);
        (t.powf(0.8) * 255.0) as u8
    };
    let picture = RgbImage::from_fn(small as u32, small as u32, |x, y| {
        let (x, y) = (x as usize, y as usize);
        Rgb(limits.map(|(band, low, high)| tone(sample(band, x, y), low, high)))
    });
    encode(&image::DynamicImage::ImageRgb8(picture), ImageFormat::Png)
}

/// A picture in a file's format.
pub(super) fn encode(picture: &image::DynamicImage, format: ImageFormat) -> Result<Vec<u8>> {
    let mut out = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut out, format)
        .map_err(|err| Error::new(crate::error::Kind::Failed, "encoding a picture failed").with_source(err))?;
    Ok(out.into_inner())
}
