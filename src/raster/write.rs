//! Arrays to files on the local disk: for the demo's samples, tests and conversions.

use crate::error::{Error, Result};
use crate::store::gdal as vsi;
use gdal::raster::{Buffer, ColorInterpretation, GdalType, RasterCreationOptions};
use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, DriverManager, Metadata};
use std::path::Path;

/// Values with their place on Earth.
#[derive(Clone, Debug)]
pub struct Grid {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// All bands, one after the other, each `width * height`, row by row.
    pub samples: Samples,
    /// Descriptions of the bands; as many as wished.
    pub names: Vec<String>,
    /// Code of the CRS.
    pub epsg: Option<u32>,
    /// Affine geotransform in GDAL's order.
    pub transform: Option<[f64; 6]>,
    /// Value that means no data.
    pub nodata: Option<f64>,
    /// Whether the first three bands are red, green, blue.
    pub rgb: bool,
    /// Pixels across and down of a block; a multiple of 16.
    pub block: usize,
}

/// Values of one type.
#[derive(Clone, Debug)]
pub enum Samples {
    /// Bytes.
    U8(Vec<u8>),
    /// 16 bits, unsigned.
    U16(Vec<u16>),
    /// Floating point.
    F32(Vec<f32>),
}

impl Samples {
    fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::F32(v) => v.len(),
        }
    }
}

/// Writes a cloud-optimised `GeoTIFF`: deflate with the predictor of the type, overviews by average
/// down to a block.
pub fn write_cog(path: &Path, grid: &Grid) -> Result<()> {
    let block = grid.block.to_string();
    copy(
        path,
        grid,
        "COG",
        &[
            ("COMPRESS", "DEFLATE"),
            ("PREDICTOR", "YES"),
            ("BLOCKSIZE", &block),
            ("OVERVIEWS", "IGNORE_EXISTING"),
            ("OVERVIEW_RESAMPLING", "AVERAGE"),
            ("BIGTIFF", "IF_SAFER"),
        ],
    )
}

/// Writes a lossless JPEG 2000 as Sentinel-2 has them.
pub fn write_jp2(path: &Path, grid: &Grid) -> Result<()> {
    let block = grid.block.to_string();
    copy(
        path,
        grid,
        "JP2OpenJPEG",
        &[("REVERSIBLE", "YES"), ("QUALITY", "100"), ("BLOCKXSIZE", &block), ("BLOCKYSIZE", &block)],
    )
}

/// Writes a `GeoTIFF` with options of GDAL's driver: strips without compression if there are none.
pub fn write_tiff(path: &Path, grid: &Grid, options: &[(&str, &str)]) -> Result<()> {
    copy(path, grid, "GTiff", options)
}

fn copy(path: &Path, grid: &Grid, driver: &str, options: &[(&str, &str)]) -> Result<()> {
    let pixels = grid.width.checked_mul(grid.height).filter(|&n| n > 0);
    let Some(bands) = pixels.filter(|&n| grid.samples.len().is_multiple_of(n)).map(|n| grid.samples.len() / n) else {
        return Err(Error::usage("the values do not fill whole bands"));
    };
    vsi::call(|| {
        let dataset = match &grid.samples {
            Samples::U8(values) => in_memory(grid, bands, values),
            Samples::U16(values) => in_memory(grid, bands, values),
            Samples::F32(values) => in_memory(grid, bands, values),
        }?;
        let mut given = RasterCreationOptions::new();
        for (key, value) in options {
            given.set_name_value(key, value)?;
        }
        let written = dataset.create_copy(&DriverManager::get_driver_by_name(driver)?, path, &given)?;
        written.close()
    })
    .map_err(|err| err.context(format!("writing {}", path.display())))
}

fn in_memory<T: GdalType + Copy>(grid: &Grid, bands: usize, values: &[T]) -> gdal::errors::Result<Dataset> {
    let driver = DriverManager::get_driver_by_name("MEM")?;
    let mut dataset = driver.create_with_band_type::<T, _>("", grid.width, grid.height, bands)?;
    if let Some(transform) = &grid.transform {
        dataset.set_geo_transform(transform)?;
    }
    if let Some(epsg) = grid.epsg {
        dataset.set_spatial_ref(&SpatialRef::from_epsg(epsg)?)?;
    }
    let size = (grid.width, grid.height);
    for (index, plane) in values.chunks_exact(grid.width * grid.height).enumerate() {
        let mut band = dataset.rasterband(index + 1)?;
        band.write((0, 0), size, &mut Buffer::new(size, plane.to_vec()))?;
        band.set_no_data_value(grid.nodata)?;
        if let Some(name) = grid.names.get(index) {
            band.set_description(name)?;
        }
        let colors = [ColorInterpretation::RedBand, ColorInterpretation::GreenBand, ColorInterpretation::BlueBand];
        if let Some(color) = colors.into_iter().nth(index).filter(|_| grid.rgb) {
            band.set_color_interpretation(color)?;
        }
    }
    Ok(dataset)
}
