//! Which blocks of a TIFF its first picture will need, told from its first bytes alone: they are asked for while GDAL
//! still opens it ([`Mount::ask_ahead`]), and decoded when they are there ([`super::quick`]).
//!
//! ```text
//!  first bytes ──┬── directories, level, blocks ── second request ──────┐
//!                └── GDAL opens, information in words ──────────────────┴── decoding
//! ```
//!
//! The level is chosen, and what costs too much refused, by the very rules of [`view`]; so GDAL asks for the same
//! ranges. Nothing is asked ahead where that is not certain: strips, pages, directories or places of blocks behind the
//! first bytes, overviews in another file, bands whose meaning only GDAL tells.

use super::color::default_bands;
use super::info::{BandInfo, Info, Interpretation};
use super::quick::Tiles;
use super::report::{Directory, DirectoryKind};
use super::tiff::{End, Image, TILE_OFFSETS, TILE_SIZES, Tiff};
use super::view::{self, Plan, View};
use crate::store::gdal::Mount;
use bytes::Bytes;
use std::ops::Range;

/// Bands of a raster that is looked at here.
const MOST_BANDS: u64 = 1024;

/// Overviews that GDAL looks at.
const MOST_OVERVIEWS: usize = 30;

/// Tags: what the values of a pixel are as colours, further values (opacity), and GDAL's own.
const PHOTOMETRIC: u64 = 262;
const EXTRA_SAMPLES: u64 = 338;
const GDAL_METADATA: u64 = 42_112;
const GDAL_NODATA: u64 = 42_113;

/// What the first picture of a raster will show of it: all of it.
#[derive(Clone, Debug)]
pub struct First {
    /// Bands, one-based; `None` for those that [`default_bands`] chooses.
    pub bands: Option<Vec<usize>>,
    /// Pixels across and down not to be exceeded.
    pub pixels: (u32, u32),
}

/// What is known of a first picture before GDAL knows anything.
pub(super) struct Ahead {
    /// The ranges of the blocks that it will need.
    pub(super) ranges: Vec<Range<u64>>,
    /// Its tiles, where they need no GDAL to be decoded.
    pub(super) tiles: Option<Tiles>,
}

/// What `first` will need of a file of so many bytes that begins with `head`; `None` where that is not certain. `name`
/// is that of the file, `limit` the bytes that a picture may read.
pub(super) fn look(head: &Bytes, size: u64, first: &First, name: &str, limit: u64) -> Option<Ahead> {
    let mut get = |range: Range<u64>| {
        let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        (start <= end && end <= head.len()).then(|| head.slice(start..end))
    };
    let mut tiff = Tiff::new(&mut get)?;
    let (images, end) = tiff.images();
    let levels = Levels::of(&images).filter(|_| end == End::Whole)?;
    let info = info(&mut tiff, &levels, size)?;
    let bands = match &first.bands {
        Some(bands) => bands.clone(),
        None if levels.main.directory.interleaved || is_plain(&mut tiff, levels.main) => default_bands(&info, name),
        None => return None,
    };
    let view = View { bands, window: None, pixels: first.pixels };
    let plan = view::planned(&info, &view, limit).ok()?;
    let level = plan.overview.map_or(Some(levels.main), |index| levels.overviews.get(index).copied())?;
    let mut places = Vec::new();
    let mut count = 0;
    let planes = if level.directory.interleaved { vec![0] } else { planes(&info, &view) };
    for plane in planes {
        let tiles = tiles(&mut tiff, level, plane, &plan, count)?;
        count += tiles.len();
        places.push(tiles);
    }
    let mask = if plan.overview.is_none() { levels.mask } else { levels.mask_of(level) };
    let mask = match mask.filter(|_| view::masked(&info, &view).is_some()) {
        Some(mask) => tiles(&mut tiff, mask, 0, &plan, count)?,
        None => Vec::new(),
    };
    let all = places.iter().flatten().chain(&mask);
    let ranges = all.map(|place| Mount::block(place.start, place.end - place.start)).collect();
    let tiles = Tiles::of(&mut tiff, level, &info, &view, &plan, places);
    Some(Ahead { ranges, tiles })
}

/// The images of a raster, as GDAL's driver sorts them.
struct Levels<'a> {
    main: &'a Image,
    mask: Option<&'a Image>,
    overviews: Vec<&'a Image>,
    masks: Vec<&'a Image>,
}

impl<'a> Levels<'a> {
    /// Of one raster with its overviews; nothing for several pages.
    fn of(images: &'a [Image]) -> Option<Self> {
        let (main, rest) = images.split_first()?;
        let kind = |kind| rest.iter().filter(move |image| image.directory.kind == kind);
        let samples = main.directory.samples;
        // Codecs can have overviews of their own where the file has none.
        let hidden = main.directory.codec == "JPEG" && kind(DirectoryKind::Overview).next().is_none();
        if main.directory.kind != DirectoryKind::Main || kind(DirectoryKind::Main).next().is_some() || hidden {
            return None;
        }
        let overviews: Vec<_> =
            kind(DirectoryKind::Overview).filter(|o| o.directory.samples == samples).take(MOST_OVERVIEWS + 1).collect();
        (overviews.len() <= MOST_OVERVIEWS).then(|| Self {
            main,
            mask: kind(DirectoryKind::Mask).next(),
            overviews,
            masks: kind(DirectoryKind::MaskOverview).collect(),
        })
    }

    fn mask_of(&self, overview: &Image) -> Option<&'a Image> {
        self.masks.iter().find(|mask| mask.directory.size == overview.directory.size).copied()
    }
}

/// As much of what GDAL will say as the choice of a level and of bands needs.
fn info(tiff: &mut Tiff<'_>, levels: &Levels<'_>, file_size: u64) -> Option<Info> {
    let main = levels.main;
    let Directory { size, block, samples, bits, interleaved, .. } = main.directory;
    if !(1..=MOST_BANDS).contains(&samples) || size.0 == 0 || size.1 == 0 {
        return None;
    }
    // It may name another file for the overviews, and must not be followed there.
    if let Some(text) = main.entries.get(&GDAL_METADATA) {
        let text = tiff.raw(text)?;
        if memchr::memmem::find(&text, b"OVERVIEW_FILE").is_some() {
            return None;
        }
    }
    let rgb = value(tiff, main, PHOTOMETRIC, 0) == Some(2);
    let nodata = main.entries.contains_key(&GDAL_NODATA).then_some(0.0);
    let extras = main.entries.get(&EXTRA_SAMPLES).map_or(0, |entry| entry.count).min(samples);
    let mut bands = Vec::new();
    for index in 0..samples {
        let extra = index.checked_sub(samples - extras);
        let is_alpha = extra.is_some_and(|at| matches!(value(tiff, main, EXTRA_SAMPLES, at), Some(1 | 2)));
        let interpretation = match index {
            _ if is_alpha => Interpretation::Alpha,
            0 if rgb => Interpretation::Red,
            1 if rgb => Interpretation::Green,
            2 if rgb => Interpretation::Blue,
            _ => Interpretation::Gray,
        };
        bands.push(BandInfo { bytes: bits.div_ceil(8).clamp(1, 16), nodata, interpretation, ..BandInfo::default() });
    }
    // GDAL takes the last band for opacity where there are two or four.
    let alpha = matches!(samples, 2 | 4) && bands.last().is_some_and(|b| b.interpretation == Interpretation::Alpha);
    for band in &mut bands {
        band.all_valid = levels.mask.is_none() && !alpha;
    }
    Some(Info {
        driver: "GTiff".to_owned(),
        size,
        overviews: levels.overviews.iter().map(|image| image.directory.size).collect(),
        block,
        pixel_interleaved: samples > 1 && interleaved,
        bands,
        file_size,
        ..Info::default()
    })
}

fn value(tiff: &mut Tiff<'_>, image: &Image, tag: u64, index: u64) -> Option<u64> {
    image.entries.get(&tag).and_then(|entry| tiff.value(entry, index))
}

/// Whether the tags alone tell what the bands mean: gray or colours, and no names.
fn is_plain(tiff: &mut Tiff<'_>, main: &Image) -> bool {
    matches!(value(tiff, main, PHOTOMETRIC, 0), Some(1 | 2)) && !main.entries.contains_key(&GDAL_METADATA)
}

/// The planes to read, from 0, where each band has its own: with that of opacity.
fn planes(info: &Info, view: &View) -> Vec<u64> {
    let mut planes: Vec<u64> = view.bands.iter().map(|&band| band as u64 - 1).collect();
    let alpha = info.bands.iter().position(|band| band.interpretation == Interpretation::Alpha);
    if view::masked(info, view).is_some() {
        planes.extend(alpha.map(|index| index as u64));
    }
    planes
}

/// Where the tiles of an image are below the window of a plan, row by row; without those of which nothing is stored.
/// `others` will be asked for with them.
fn tiles(tiff: &mut Tiff<'_>, image: &Image, plane: u64, plan: &Plan, others: usize) -> Option<Vec<Range<u64>>> {
    let (offsets, sizes) = (image.entries.get(&TILE_OFFSETS)?, image.entries.get(&TILE_SIZES)?);
    let Directory { size, block, tiled, .. } = image.directory;
    if !tiled || block.0 == 0 || block.1 == 0 || size != plan.level {
        return None;
    }
    let (across, down) = (size.0.div_ceil(block.0), size.1.div_ceil(block.1));
    let w = plan.window;
    let (columns, rows) = Mount::below([w.x, w.y, w.width, w.height], block, others)?;
    let first = plane.checked_mul(across.checked_mul(down)?)?;
    let mut out = Vec::new();
    for row in rows {
        for column in columns.clone() {
            let index = row.checked_mul(across)?.checked_add(column)?.checked_add(first)?;
            let (offset, size) = (tiff.value(offsets, index)?, tiff.value(sizes, index)?);
            if offset != 0 && size != 0 {
                out.push(offset..offset.saturating_add(size));
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::location::Location;
    use crate::raster::{Grid, NO_LIMIT, Samples, open, write_cog, write_tiff};
    use crate::store::{Options, Stores};
    use crate::task::Control;
    use std::path::{Path, PathBuf};

    const LIMIT: u64 = 64 << 20;

    /// Numbers in one of the four forms.
    #[derive(Clone, Copy)]
    struct Form {
        little: bool,
        big: bool,
    }

    const FORMS: [Form; 4] = [
        Form { little: true, big: false },
        Form { little: false, big: false },
        Form { little: true, big: true },
        Form { little: false, big: true },
    ];

    impl Form {
        fn put(self, out: &mut Vec<u8>, value: u64, width: usize) {
            let bytes = value.to_be_bytes();
            let start = out.len();
            out.extend(&bytes[8 - width..]);
            if self.little {
                out[start..].reverse();
            }
        }

        /// A TIFF of square images `(subfile, side)` in tiles of 256, one byte for each pixel. The blocks of image
        /// `i` are said to begin at `(i + 1) * 100_000`, each 1000 bytes behind the one before and 900 long.
        fn tiff(self, images: &[(u64, u64)]) -> Vec<u8> {
            let (count, offset) = if self.big { (8, 8) } else { (2, 4) };
            let mut out = Vec::from(if self.little { *b"II" } else { *b"MM" });
            self.put(&mut out, if self.big { 43 } else { 42 }, 2);
            if self.big {
                self.put(&mut out, 8, 2);
                self.put(&mut out, 0, 2);
            }
            let first = out.len() + offset;
            self.put(&mut out, first as u64, offset);
            for (index, &(subfile, side)) in images.iter().enumerate() {
                let tiles = side.div_ceil(256) * side.div_ceil(256);
                let places: Vec<u64> = (0..tiles).map(|t| (index as u64 + 1) * 100_000 + t * 1000).collect();
                let tags: [(u64, Vec<u64>); 8] = [
                    (254, vec![subfile]),
                    (256, vec![side]),
                    (257, vec![side]),
                    (258, vec![8]),
                    (322, vec![256]),
                    (323, vec![256]),
                    (TILE_OFFSETS, places),
                    (TILE_SIZES, vec![900; tiles as usize]),
                ];
                self.put(&mut out, tags.len() as u64, count);
                let mut arrays: Vec<u8> = Vec::new();
                let arrays_at = out.len() + tags.len() * (4 + 2 * offset) + offset;
                for (tag, values) in &tags {
                    self.put(&mut out, *tag, 2);
                    self.put(&mut out, 4, 2);
                    self.put(&mut out, values.len() as u64, offset);
                    if values.len() * 4 <= offset {
                        let start = out.len();
                        for value in values {
                            self.put(&mut out, *value, 4);
                        }
                        out.resize(start + offset, 0);
                    } else {
                        self.put(&mut out, (arrays_at + arrays.len()) as u64, offset);
                        for value in values {
                            self.put(&mut arrays, *value, 4);
                        }
                    }
                }
                let next = if index + 1 < images.len() { arrays_at + arrays.len() } else { 0 };
                self.put(&mut out, next as u64, offset);
                out.extend(arrays);
            }
            out
        }
    }

    fn of(bytes: &[u8], pixels: u32) -> Option<Vec<Range<u64>>> {
        let first = First { bands: None, pixels: (pixels, pixels) };
        look(&Bytes::copy_from_slice(bytes), 10 << 20, &first, "a.tif", LIMIT).map(|ahead| ahead.ranges)
    }

    fn tiles(image: u64, count: u64) -> Vec<Range<u64>> {
        let start = |tile: u64| (image + 1) * 100_000 + tile * 1000;
        (0..count).map(|tile| start(tile) - 4..start(tile) + 904).collect()
    }

    #[test]
    fn blocks_of_the_level_that_suits_are_found_in_every_form() {
        for form in FORMS {
            let file = form.tiff(&[(0, 1000), (1, 500), (1, 250), (4, 1000), (5, 500)]);
            assert_eq!(of(&file, 200), Some(tiles(2, 1)));
            let with_mask: Vec<_> = tiles(1, 4).into_iter().chain(tiles(4, 4)).collect();
            assert_eq!(of(&file, 500), Some(with_mask));
            let with_mask: Vec<_> = tiles(0, 16).into_iter().chain(tiles(3, 16)).collect();
            assert_eq!(of(&file, 1000), Some(with_mask));
        }
    }

    #[test]
    fn what_is_cut_off_asks_for_nothing_or_the_same() {
        for form in FORMS {
            let file = form.tiff(&[(0, 1000), (1, 500)]);
            let whole = of(&file, 500);
            assert_eq!(whole, Some(tiles(1, 4)));
            for cut in 0..file.len() {
                let found = of(&file[..cut], 500);
                assert!(found.is_none() || found == whole, "cut at {cut}: {found:?}");
            }
            // Any byte may be anything.
            for at in 0..file.len() {
                for value in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut file = file.clone();
                    file[at] = value;
                    let found = of(&file, 500).unwrap_or_default();
                    assert!(found.len() <= Mount::MOST_BLOCKS);
                }
            }
        }
    }

    #[test]
    fn circles_pages_and_giants_ask_for_nothing() {
        for form in FORMS {
            let mut circle = form.tiff(&[(0, 1000)]);
            let (header, count, entry, offset) = if form.big { (16, 8, 20, 8) } else { (8, 2, 12, 4) };
            let mut next = Vec::new();
            form.put(&mut next, header as u64, offset);
            let at = header + count + 8 * entry;
            circle[at..at + offset].copy_from_slice(&next);
            assert_eq!(of(&circle, 500), None);
            assert_eq!(of(&form.tiff(&[(0, 1000), (0, 1000)]), 500), None, "pages");
            assert_eq!(of(&form.tiff(&[(1, 1000)]), 500), None, "an overview of nothing");
            // So many tiles as it says would be needed, and few are there.
            let mut giant = form.tiff(&[(0, 1000), (1, 500)]);
            for entry_at in [header + count + entry, header + count + 2 * entry] {
                let mut side = Vec::new();
                form.put(&mut side, 1_000_000, 4);
                let at = entry_at + entry - offset;
                giant[at..at + 4].copy_from_slice(&side);
            }
            assert_eq!(of(&giant, 500), Some(tiles(1, 4)), "its overview is small");
            assert_eq!(of(&giant, 1_000_000), None);
        }
    }

    fn grid(side: usize, bands: usize, epsg: Option<u32>) -> Grid {
        let value = |i: usize| (i % 7919 + i / side) as u16;
        Grid {
            width: side,
            height: side,
            samples: Samples::U16((0..side * side * bands).map(value).collect()),
            names: Vec::new(),
            epsg,
            transform: Some([300_000.0, 10.0, 0.0, 6_800_040.0, 0.0, -10.0]),
            nodata: None,
            rgb: false,
            block: 256,
        }
    }

    /// What is asked ahead of a file, and what GDAL says that the same picture needs.
    async fn both(path: &Path, first: &First) -> Result<(Option<Vec<Range<u64>>>, Vec<Range<u64>>)> {
        let (stores, control) = (Stores::new(Options::default()), Control::default());
        let location = Location::file(path);
        let file = std::fs::read(path).expect("reads");
        let head = Bytes::copy_from_slice(&file[..file.len().min(crate::store::gdal::HEAD as usize)]);
        let ahead = look(&head, file.len() as u64, first, location.name(), LIMIT).map(|ahead| ahead.ranges);
        let raster = open(&stores, &location, &control, NO_LIMIT).await?;
        let bands = first.bands.clone().unwrap_or_else(|| default_bands(raster.info(), location.name()));
        let view = View { bands, window: None, pixels: first.pixels };
        let gdal = raster.run(&control, "looking", move |inner, info| {
            let plan = view::planned(info, &view, LIMIT)?;
            view::blocks(&inner.mount, &inner.dataset, info, &view, &plan)
        });
        let gdal = gdal.await?;
        let size = file.len() as u64;
        let ahead = ahead.map(|mut ranges| {
            for range in &mut ranges {
                range.end = range.end.min(size);
            }
            ranges.sort_by_key(|r| (r.start, r.end));
            ranges.dedup();
            ranges
        });
        Ok((ahead, gdal))
    }

    #[tokio::test]
    async fn it_is_what_gdal_will_ask_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| -> PathBuf { folder.path().join(name) };
        write_cog(&at("stack.tif"), &grid(1500, 4, Some(32635))).expect("a COG");
        write_cog(&at("B02_B03_B04_B08.tif"), &grid(1100, 4, None)).expect("a COG");
        write_cog(&at("nodata.tif"), &Grid { nodata: Some(7.0), ..grid(1100, 1, Some(4326)) }).expect("a COG");
        let planar = [("INTERLEAVE", "BAND"), ("TILED", "YES")];
        write_tiff(&at("planar.tif"), &grid(700, 3, None), &planar).expect("a TIFF");
        let opaque = [("INTERLEAVE", "BAND"), ("TILED", "YES"), ("ALPHA", "YES")];
        write_tiff(&at("opaque.tif"), &grid(700, 4, None), &opaque).expect("a TIFF");
        let big = [("TILED", "YES"), ("BIGTIFF", "YES"), ("ENDIANNESS", "BIG"), ("COMPRESS", "LZW")];
        write_tiff(&at("big.tif"), &grid(700, 2, None), &big).expect("a TIFF");
        for entry in std::fs::read_dir(folder.path()).expect("lists").flatten() {
            for (bands, pixels) in [(None, 100), (None, 512), (Some(vec![1]), 300), (None, 1500)] {
                let first = First { bands, pixels: (pixels, pixels) };
                let (ahead, gdal) = both(&entry.path(), &first).await.expect("opens");
                assert_eq!(ahead.expect("certain"), gdal, "{:?} {first:?}", entry.path());
            }
        }
    }

    #[tokio::test]
    async fn it_is_what_gdal_will_ask_for_of_real_files() {
        let Some(data) = std::env::var_os("SECCHI_DATA").map(PathBuf::from) else { return };
        let mut asked = 0;
        for entry in std::fs::read_dir(data.join("raster")).expect("lists").flatten() {
            let path = entry.path();
            if !path.extension().is_some_and(|suffix| suffix == "tif" || suffix == "tiff") {
                continue;
            }
            for pixels in [64, 256, 512, 1024] {
                let first = First { bands: None, pixels: (pixels, pixels) };
                let Ok((Some(ahead), gdal)) = both(&path, &first).await else { continue };
                assert_eq!(ahead, gdal, "{path:?} {first:?}");
                asked += 1;
            }
        }
        assert!(asked > 0, "of no file");
    }
}
