//! The tiles of a first picture, decoded while GDAL is still on its way: its library takes longer to load than most
//! tiles to arrive, and it decodes one after the other.
//!
//! ```text
//!  second request ── tiles arrive ── decoded here, by several threads ──┐
//!  GDAL is loaded, opens, tells what the raster is ─────────────────────┴── GDAL resamples what was decoded
//! ```
//!
//! Only what is plain is decoded here: whole tiles of numbers of 8 to 64 bits, packed as [`packing`] knows. All else,
//! and whatever is not as it should be, is left to GDAL, which then says what is wrong; so are pixels under a mask. What
//! is decoded GDAL resamples where it lies, so that a picture is the same, bit by bit, whoever decoded it.

use super::info::Info;
use super::tiff::{Image, Tiff};
use super::view::{self, Plan, View};
use crate::store::gdal::{self as vsi, Mount};
use crate::task::threads;
use bytes::Bytes;
use gdal::raster::GdalDataType;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::oneshot;

mod packing;

use packing::Packing;

/// Decoded bytes of a level that are kept for its picture.
const LARGEST_LEVEL: usize = 64 << 20;
/// Decoded bytes of a tile, of which each thread has one.
const LARGEST_TILE: usize = 16 << 20;

/// Tags: what a value is as a colour, in which order bits are filled.
const PHOTOMETRIC: u64 = 262;
const FILL_ORDER: u64 = 266;

/// The number of a row of tiles, and the part of each band that it fills.
type Row<'a> = (usize, Vec<&'a mut [u8]>);

/// The tiles of a level that will be shown whole.
#[derive(Debug)]
pub(super) struct Tiles {
    plan: Plan,
    /// The bands of the picture, from 1.
    bands: Vec<usize>,
    /// Pixels across and down: of the level, of a tile.
    size: (usize, usize),
    tile: (usize, usize),
    packing: Packing,
    /// Where the tiles are, row by row: once, or for each band of the picture where these lie apart.
    places: Vec<Vec<Range<u64>>>,
}

impl Tiles {
    /// Those of a level; nothing where GDAL has to decode them. `places` are those of the planes of `view.bands`, if
    /// these lie apart, else of the only one.
    pub(super) fn of(
        tiff: &mut Tiff<'_>,
        level: &Image,
        info: &Info,
        view: &View,
        plan: &Plan,
        places: Vec<Vec<Range<u64>>>,
    ) -> Option<Self> {
        let known = &level.directory;
        let mut number = |tag: u64, otherwise: u64| match level.entries.get(&tag) {
            Some(entry) => tiff.value(entry, 0),
            None => Some(otherwise),
        };
        // Grey from either end, colours, indices: no other colours are converted by GDAL.
        let is_plain = number(PHOTOMETRIC, 1)? <= 3 && number(FILL_ORDER, 1)? == 1;
        if !is_plain || view::masked(info, view).is_some() || view.window.is_some() {
            return None;
        }
        let packing = Packing::of(known, tiff.little)?;
        let pair = |(across, down): (u64, u64)| Some((usize::try_from(across).ok()?, usize::try_from(down).ok()?));
        let (size, tile) = (pair(known.size)?, pair(known.block)?);
        let bytes = |(across, down): (usize, usize), of_each: usize| {
            across.checked_mul(down)?.checked_mul(of_each)?.checked_mul(packing.width)
        };
        if bytes(size, view.bands.len())? > LARGEST_LEVEL || bytes(tile, packing.samples)? > LARGEST_TILE {
            return None;
        }
        let each = size.0.div_ceil(tile.0) * size.1.div_ceil(tile.1);
        let is_whole = places.len() == if known.interleaved { 1 } else { view.bands.len() }
            && places.iter().all(|places| places.len() == each);
        is_whole.then(|| Self { plan: *plan, bands: view.bands.clone(), size, tile, packing, places })
    }

    /// Decodes all tiles as they arrive, on threads that may block. To be called where there is a runtime.
    pub(super) fn coming(self, mount: &Mount) -> Coming {
        let (give, take) = oneshot::channel();
        let (tiles, arriving) = (Arc::new(self), mount.arriving());
        let decoding = tiles.clone();
        tokio::task::spawn_blocking(move || {
            // Nobody waits for it where the picture is not wanted any more.
            let _ = give.send(decoding.decoded(arriving));
        });
        Coming { tiles, decoded: take }
    }

    /// The values of each band, row by row, in the order of bytes of this machine.
    fn decoded(&self, get: impl Fn(Range<u64>) -> Option<Bytes> + Sync) -> Option<Vec<Vec<u8>>> {
        let across = self.size.0 * self.packing.width;
        let mut bands = vec![vec![0; across * self.size.1]; self.bands.len()];
        // The parts of all bands that a row of tiles fills.
        let mut rows: Vec<Vec<&mut [u8]>> = Vec::new();
        rows.resize_with(self.size.1.div_ceil(self.tile.1), Vec::new);
        for band in &mut bands {
            rows.iter_mut().zip(band.chunks_mut(across * self.tile.1)).for_each(|(row, part)| row.push(part));
        }
        let mut shares: Vec<Vec<Row<'_>>> = Vec::new();
        shares.resize_with(threads::most().min(rows.len()), Vec::new);
        let count = shares.len();
        for (index, row) in rows.into_iter().enumerate() {
            shares[index % count].push((index, row));
        }
        let decoded = threads::at_once(shares, |share| {
            let mut values = vec![0; self.tile.0 * self.tile.1 * self.packing.samples * self.packing.width];
            share.into_iter().try_for_each(|(index, mut row)| self.decode_row(index, &mut row, &mut values, &get))
        });
        decoded.into_iter().collect::<Option<()>>()?;
        Some(bands)
    }

    /// Decodes a row of tiles into its part of each band, by way of the values of a tile.
    fn decode_row(
        &self,
        row: usize,
        bands: &mut [&mut [u8]],
        values: &mut [u8],
        get: impl Fn(Range<u64>) -> Option<Bytes>,
    ) -> Option<()> {
        let columns = self.size.0.div_ceil(self.tile.0);
        let Packing { width, samples, .. } = self.packing;
        let line = self.tile.0 * samples * width;
        for (plane, places) in self.places.iter().enumerate() {
            for (column, place) in places[row * columns..(row + 1) * columns].iter().enumerate() {
                self.packing.unpack(&get(place.clone())?, line, values)?;
                if samples == 1 && self.places.len() == bands.len() {
                    self.place(values, column, 0, bands[plane]);
                } else {
                    bands.iter_mut().zip(&self.bands).for_each(|(band, n)| self.place(values, column, n - 1, band));
                }
            }
        }
        Some(())
    }

    /// Puts one of the values of each pixel of a tile to its place in a row of tiles of a band.
    fn place(&self, values: &[u8], column: usize, sample: usize, band: &mut [u8]) {
        let Packing { width, samples, .. } = self.packing;
        let left = column * self.tile.0 * width;
        let lines = values.chunks_exact(self.tile.0 * samples * width);
        for (from, to) in lines.zip(band.chunks_exact_mut(self.size.0 * width)) {
            let to = &mut to[left..];
            match (samples, width) {
                (1, _) => {
                    let n = to.len().min(from.len());
                    to[..n].copy_from_slice(&from[..n]);
                }
                (_, 1) => pick::<1>(from, samples, sample, to),
                (_, 2) => pick::<2>(from, samples, sample, to),
                (_, 4) => pick::<4>(from, samples, sample, to),
                _ => pick::<8>(from, samples, sample, to),
            }
        }
    }
}

/// One of the values of each pixel.
fn pick<const N: usize>(from: &[u8], samples: usize, sample: usize, to: &mut [u8]) {
    let values = from.as_chunks::<N>().0.iter().skip(sample).step_by(samples);
    to.as_chunks_mut::<N>().0.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
}

/// Tiles that are being decoded, for one picture.
pub(super) struct Coming {
    tiles: Arc<Tiles>,
    decoded: oneshot::Receiver<Option<Vec<Vec<u8>>>>,
}

impl Coming {
    /// The values of each band of the picture, as GDAL reads them; nothing where it has to do all of it, or another
    /// picture is wanted. Blocks until all is decoded, or nobody wants it any more.
    pub(super) fn values(self, mount: &Mount, info: &Info, view: &View, plan: &Plan) -> Option<Vec<Vec<f32>>> {
        let Self { tiles, decoded } = self;
        if tiles.plan != *plan || tiles.bands != view.bands || view::masked(info, view).is_some() {
            return None;
        }
        let decoded = mount.wait(decoded).ok()?.ok()??;
        let plan = Plan { overview: None, ..*plan };
        let read = |(number, bytes): (&usize, &Vec<u8>)| {
            let known = info.bands.get(number - 1)?;
            let kind = match (known.dtype.as_str(), tiles.packing.width) {
                ("UInt8", 1) => GdalDataType::UInt8,
                ("UInt16", 2) => GdalDataType::UInt16,
                ("Int16", 2) => GdalDataType::Int16,
                ("UInt32", 4) => GdalDataType::UInt32,
                ("Int32", 4) => GdalDataType::Int32,
                ("Float32", 4) => GdalDataType::Float32,
                ("Float64", 8) => GdalDataType::Float64,
                _ => return None,
            };
            let read = |method| {
                mount.call(|| {
                    vsi::with_band(bytes, tiles.size, kind, known.nodata, |band| view::read_band(band, &plan, method))
                })
            };
            view::values_of(known, read).ok()
        };
        threads::at_once(view.bands.iter().zip(&decoded), read).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::location::Location;
    use crate::raster::{First, Raster, open_with_head};
    use crate::store::{Options, Stores};
    use crate::task::Control;
    use gdal::raster::{Buffer, GdalType, RasterCreationOptions};
    use gdal::{Dataset, DriverManager};
    use std::path::Path;

    const LIMIT: u64 = 64 << 20;
    /// Not a multiple of a tile.
    const SIZE: (usize, usize) = (600, 430);

    /// A tiled TIFF with overviews, whose directories are all at its beginning.
    fn write<T: GdalType + Copy + From<u8>>(path: &Path, bands: usize, options: &[(&str, &str)], nodata: Option<f64>) {
        let memory = DriverManager::get_driver_by_name("MEM").expect("a driver");
        let mut dataset = memory.create_with_band_type::<T, _>("", SIZE.0, SIZE.1, bands).expect("a raster");
        for number in 1..=bands {
            let value = |n: usize| T::from(((n * 7 + n / 600 * 31 + number * 3) % 251) as u8);
            let values: Vec<T> = (0..SIZE.0 * SIZE.1).map(value).collect();
            let mut band = dataset.rasterband(number).expect("a band");
            band.write((0, 0), SIZE, &mut Buffer::new(SIZE, values)).expect("writes");
            band.set_no_data_value(nodata).expect("a value");
        }
        dataset.build_overviews("AVERAGE", &[2, 4], &[]).expect("overviews");
        copy(&dataset, path, &[&[("COPY_SRC_OVERVIEWS", "YES")], options].concat());
    }

    fn copy(dataset: &Dataset, path: &Path, options: &[(&str, &str)]) {
        let mut given = RasterCreationOptions::new();
        for (key, value) in [("TILED", "YES"), ("BLOCKXSIZE", "128"), ("BLOCKYSIZE", "128")].iter().chain(options) {
            given.set_name_value(key, value).expect("an option");
        }
        let driver = DriverManager::get_driver_by_name("GTiff").expect("a driver");
        dataset.create_copy(&driver, path, &given).expect("copies").close().expect("writes");
    }

    async fn open(path: &Path, first: First) -> (Raster, Control) {
        let (stores, control) = (Stores::new(Options::default()), Control::default());
        let location = Location::file(path);
        let opened = open_with_head(&stores, &location, &control, LIMIT, None, Some(first)).await;
        (opened.expect("opens"), control)
    }

    /// The values that were decoded here, and those that GDAL reads.
    async fn both(path: &Path, bands: &[usize], pixels: (u32, u32)) -> (Option<Vec<Vec<f32>>>, Vec<Vec<f32>>) {
        let (raster, control) = open(path, First { bands: Some(bands.to_vec()), pixels }).await;
        let view = View { bands: bands.to_vec(), window: None, pixels };
        let wanted = view.clone();
        let here = raster.run(&control, "looking", move |inner, info| {
            let plan = view::planned(info, &wanted, LIMIT)?;
            Ok(inner.coming.take().and_then(|coming| coming.values(&inner.mount, info, &wanted, &plan)))
        });
        let here = here.await.expect("looks");
        (here, raster.view(&control, view).await.expect("reads").values)
    }

    async fn assert_same<T: GdalType + Copy + From<u8>>(
        folder: &Path,
        bands: usize,
        options: &[(&str, &str)],
        nodata: Option<f64>,
    ) {
        let path = folder.join("made.tif");
        write::<T>(&path, bands, options, nodata);
        let wished: Vec<usize> = (1..=bands).rev().take(3).collect();
        // Every level, as it is and shrunk.
        for pixels in [(600, 600), (500, 500), (300, 300), (111, 150), (64, 64)] {
            let what = format!("{} {options:?} {nodata:?} {pixels:?}", std::any::type_name::<T>());
            let (here, gdal) = both(&path, &wished, pixels).await;
            let here = here.unwrap_or_else(|| panic!("not decoded: {what}"));
            let bits = |bands: &[Vec<f32>]| bands.iter().flatten().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert!(bits(&here) == bits(&gdal), "{what}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_what_gdal_decodes() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        // The first call sets GDAL up, without which a driver lacks.
        crate::store::gdal::load().expect("GDAL");
        crate::store::gdal::set_up();
        for order in ["LITTLE", "BIG"] {
            for (codec, predictor) in [("NONE", "1"), ("DEFLATE", "1"), ("DEFLATE", "2"), ("LZW", "2"), ("ZSTD", "2")] {
                let options = [("COMPRESS", codec), ("PREDICTOR", predictor), ("ENDIANNESS", order)];
                assert_same::<u8>(folder, 3, &options, None).await;
                assert_same::<u16>(folder, 4, &options, Some(20.0)).await;
                assert_same::<i16>(folder, 1, &options, Some(20.0)).await;
                assert_same::<u32>(folder, 2, &options, None).await;
                assert_same::<i32>(folder, 1, &options, None).await;
                let apart = [options[0], options[1], options[2], ("INTERLEAVE", "BAND")];
                assert_same::<u16>(folder, 3, &apart, None).await;
            }
            for (codec, predictor) in [("NONE", "1"), ("LZW", "3"), ("ZSTD", "3"), ("DEFLATE", "1")] {
                let options = [("COMPRESS", codec), ("PREDICTOR", predictor), ("ENDIANNESS", order)];
                assert_same::<f32>(folder, 3, &options, Some(20.0)).await;
                assert_same::<f64>(folder, 1, &options, None).await;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_damaged_or_masked_is_left_to_gdal() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("made.tif");
        crate::store::gdal::load().expect("GDAL");
        crate::store::gdal::set_up();
        for (codec, predictor) in [("DEFLATE", "2"), ("LZW", "1"), ("ZSTD", "2")] {
            write::<u16>(&path, 1, &[("COMPRESS", codec), ("PREDICTOR", predictor)], None);
            let first = First { bands: Some(vec![1]), pixels: (600, 600) };
            let (raster, _) = open(&path, first.clone()).await;
            let place =
                raster.info().report.as_ref().and_then(|r| r.directories.first()?.data).expect("a place") as usize;
            let mut bytes = std::fs::read(&path).expect("reads");
            bytes[place..place + 60].fill(0xff);
            std::fs::write(&path, bytes).expect("writes");
            let (raster, control) = open(&path, first).await;
            assert!(raster.inner.lock().expect("lock").coming.is_some(), "{codec}");
            let view = View { bands: vec![1], window: None, pixels: (600, 600) };
            let read = raster.view(&control, view).await;
            assert_eq!(read.map(drop).map_err(|err| err.kind()), Err(Kind::Invalid), "{codec}");
        }
        write::<u8>(&path, 4, &[("ALPHA", "YES")], None);
        assert_eq!(both(&path, &[3, 2, 1], (300, 300)).await.0, None);
        let dataset = Dataset::open(&path).expect("opens");
        let other = folder.path().join("jpeg.tif");
        copy(&dataset, &other, &[("COMPRESS", "JPEG")]);
        assert_eq!(both(&other, &[1], (300, 300)).await.0, None);
    }
}
