//! A digital elevation model: worn mountains around a lake that has no data.

use super::noise::{fbm, quantile, rows, step};
use super::sink::{COG, Sink, gdal};
use crate::error::Result;
use gdal::raster::{Buffer, RasterCreationOptions};
use gdal::spatial_ref::SpatialRef;
use gdal::{DriverManager, Metadata as _};
use std::path::Path;

/// Its key.
pub(super) const KEY: &str = "dem/secchi-dem.tif";
/// Pixels along each side.
pub(super) const SIDE: usize = 1280;
/// GDAL's geotransform, EPSG:3067, 10 m pixels.
pub(super) const TRANSFORM: [f64; 6] = [372_000.0, 10.0, 0.0, 7_660_000.0, 0.0, -10.0];
/// Where the lake is.
const NODATA: f32 = -9999.0;

/// Writes it as a COG.
pub(super) fn write(sink: &Sink) -> Result<()> {
    sink.control.step(KEY);
    let heights = heights();
    sink.control.check()?;
    let scratch = sink.scratch("dem.tif");
    write_cog(&scratch, heights).map_err(gdal)?;
    sink.adopt(KEY, &scratch, COG)?;
    sink.control.advance(1);
    Ok(())
}

fn heights() -> Vec<f32> {
    let mut cells = vec![0.0_f32; SIDE * SIDE];
    rows(&mut cells, SIDE, |y, line| {
        for (x, cell) in line.iter_mut().enumerate() {
            *cell = relief(x as f32, y as f32);
        }
    });
    let shore = quantile(cells.iter().copied().step_by(61).collect(), 0.11);
    for cell in &mut cells {
        // Quarter centimetres are less than any survey sees, and compress well.
        *cell = if *cell < shore { NODATA } else { ((118.6 + (*cell - shore) * 905.0) * 64.0).round() / 64.0 };
    }
    cells
}

/// Ridges where warped noise crosses its middle, valleys worn flat: 0..1.
fn relief(x: f32, y: f32) -> f32 {
    let warp = fbm(x / 300.0, y / 300.0, 3, 101) - 0.5;
    let broad = fbm(x / 620.0 + warp, y / 620.0 - warp, 4, 103);
    let fold = 1.0 - (fbm(x / 270.0 + warp * 1.4, y / 270.0, 6, 107) - 0.5).abs() * 4.0;
    let ridge = fold.clamp(0.0, 1.0).powi(2);
    let plain = step(0.32, 0.72, broad);
    0.25 * broad + 0.75 * plain * (0.35 + 0.65 * ridge) + 0.05 * fbm(x / 40.0, y / 40.0, 4, 109)
}

fn write_cog(path: &Path, heights: Vec<f32>) -> gdal::errors::Result<()> {
    let memory = DriverManager::get_driver_by_name("MEM")?;
    let mut image = memory.create_with_band_type::<f32, _>("", SIDE, SIDE, 1)?;
    image.set_spatial_ref(&SpatialRef::from_epsg(3067)?)?;
    image.set_geo_transform(&TRANSFORM)?;
    let mut band = image.rasterband(1)?;
    band.write((0, 0), (SIDE, SIDE), &mut Buffer::new((SIDE, SIDE), heights))?;
    band.set_no_data_value(Some(f64::from(NODATA)))?;
    band.set_description("height")?;
    band.set_metadata_item("LONG_NAME", "height above the N2000 datum, metres; an invented place", "")?;
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
