//! A small series twice: `GeoTIFF` scenes, and a Zarr array of the same pixels.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of it")]

use gdal::DriverManager;
use gdal::raster::{Buffer, RasterCreationOptions};
use std::path::Path;
use std::sync::Arc;
use zarrs::array::{ArrayBuilder, ArraySubset, data_type};

/// Scenes of the series.
pub const DATES: u64 = 3;
pub const BANDS: u64 = 4;
pub const SIDE: u64 = 600;

/// A value that differs from its neighbours in every dimension.
pub fn pixel(date: u64, band: u64, y: u64, x: u64) -> u16 {
    ((date * 7919 + band * 104_729 + y * 613 + x * 17 + (x * y) % 251) % 60_000) as u16
}

fn band_of(date: u64, band: u64) -> Vec<u16> {
    (0..SIDE * SIDE).map(|i| pixel(date, band, i / SIDE, i % SIDE)).collect()
}

/// Scenes `20240103.tif` and so on, tiled, with pixels of 10 m.
pub fn write_cogs(folder: &Path) {
    std::fs::create_dir_all(folder).expect("folder");
    let memory = DriverManager::get_driver_by_name("MEM").expect("MEM");
    let cog = DriverManager::get_driver_by_name("COG").expect("COG");
    for date in 0..DATES {
        let (side, bands) = (SIDE as usize, BANDS as usize);
        let mut scene = memory.create_with_band_type::<u16, _>("", side, side, bands).expect("scene");
        scene.set_geo_transform(&[500_000.0, 10.0, 0.0, 7_000_000.0, 0.0, -10.0]).expect("transform");
        for band in 0..BANDS {
            let mut to = scene.rasterband(band as usize + 1).expect("band");
            to.write((0, 0), (side, side), &mut Buffer::new((side, side), band_of(date, band))).expect("written");
        }
        let options = RasterCreationOptions::from_iter(["COMPRESS=DEFLATE", "BLOCKSIZE=256", "OVERVIEWS=NONE"]);
        // Satellites A and B in turn: sorted by name they are not in the order of time.
        let name = format!("S2{}_2024010{}.tif", if date % 2 == 0 { "B" } else { "A" }, date + 1);
        scene.create_copy(&cog, folder.join(name), &options).expect("a COG");
    }
}

/// An array `data` with chunks of 2 dates; of shards where `inner` tells the chunks within them.
/// `altered` adds one to a value.
pub fn write_zarr(folder: &Path, inner: Option<Vec<u64>>, altered: Option<[u64; 4]>) {
    let store = Arc::new(zarrs::filesystem::FilesystemStore::new(folder).expect("store"));
    let chunk = vec![2, BANDS, 256, 256];
    let mut builder = ArrayBuilder::new(vec![DATES, BANDS, SIDE, SIDE], chunk, data_type::uint16(), 0_u16);
    builder.dimension_names(["time", "band", "y", "x"].into());
    builder.bytes_to_bytes_codecs(vec![Arc::new(zarrs::array::codec::ZstdCodec::new(1, false))]);
    builder.subchunk_shape(inner);
    let array = builder.build(store, "/data").expect("array");
    array.store_metadata().expect("metadata");
    let mut values: Vec<u16> =
        (0..DATES).flat_map(|date| (0..BANDS).flat_map(move |band| band_of(date, band))).collect();
    if let Some([date, band, y, x]) = altered {
        values[(((date * BANDS + band) * SIDE + y) * SIDE + x) as usize] += 1;
    }
    array.store_array_subset(&array.subset_all(), &values).expect("stored");
    assert_eq!(array.subset_all(), ArraySubset::new_with_shape(vec![DATES, BANDS, SIDE, SIDE]));
}
