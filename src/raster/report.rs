//! Whether a TIFF is laid out as a cloud-optimised `GeoTIFF`, and why not.
//!
//! The checks are those of GDAL's `validate_cloud_optimized_geotiff.py` (which rio-cogeo follows): tiled, overviews
//! inside, directories before data and in order, data of the smallest overview first; and what the ghost area behind
//! the header declares. Read from the directories alone, TIFF 6.0 and `BigTIFF`
//! (<https://docs.ogc.org/is/21-026/21-026.html>, <https://gdal.org/drivers/raster/cog.html>).

use bytes::Bytes;

/// Directories of a file that are looked at.
const MOST_DIRECTORIES: usize = 256;
/// Entries of a directory.
const MOST_ENTRIES: u64 = 4096;
/// Rasters up to this size need neither tiles nor overviews.
const SMALL: u64 = 512;
/// Directories behind the header may begin so late before it is worth a word.
const LATE: u64 = 300;

const GHOST: &[u8] = b"GDAL_STRUCTURAL_METADATA_SIZE=";
/// Bytes of the first line of the ghost area: `GDAL_STRUCTURAL_METADATA_SIZE=000140 bytes\n`.
const GHOST_LINE: u64 = 43;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What keeps it from being cloud-optimised.
    pub errors: Vec<String>,
    /// What could be better.
    pub warnings: Vec<String>,
    /// What the ghost area declares, as it stands there: `BLOCK_ORDER` and `ROW_MAJOR`.
    pub declared: Vec<(String, String)>,
    /// Its directories in the order of the file.
    pub directories: Vec<Directory>,
    /// Whether offsets are of 64 bits.
    pub big: bool,
    /// Whether all that is checked was at hand; else it says less than it could.
    pub complete: bool,
}

/// One image of a TIFF.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Directory {
    /// What it is.
    pub kind: DirectoryKind,
    /// Pixels across and down.
    pub size: (u64, u64),
    /// Pixels across and down of a tile or strip.
    pub block: (u64, u64),
    /// Whether it is made of tiles.
    pub tiled: bool,
    /// Name of the codec: `DEFLATE`.
    pub codec: String,
    /// What is done before it is packed: 1 nothing, 2 differences, 3 of floating-point values.
    pub predictor: u64,
    /// Bits of a value, and of how many there are.
    pub bits: u64,
    /// Values of a pixel.
    pub samples: u64,
    /// Whether values of a pixel lie together.
    pub interleaved: bool,
    /// Where the directory begins.
    pub offset: u64,
    /// Where its first block begins; `None` where there is none, or it was not looked at.
    pub data: Option<u64>,
    /// Tiles or strips.
    pub blocks: u64,
}

/// What an image of a TIFF is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirectoryKind {
    /// The raster itself, or a further page.
    #[default]
    Main,
    /// The same with fewer pixels.
    Overview,
    /// A mask of the raster.
    Mask,
    /// A mask with fewer pixels.
    MaskOverview,
}

impl DirectoryKind {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "image",
            Self::Overview => "overview",
            Self::Mask => "mask",
            Self::MaskOverview => "mask overview",
        }
    }
}

impl Report {
    /// Whether it is a cloud-optimised `GeoTIFF`.
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }

    /// In a line: `valid`, `not valid: it is not tiled`.
    pub fn verdict(&self) -> String {
        let more = |n: usize, what: &str| if n > 1 { format!(" (and {} more {what})", n - 1) } else { String::new() };
        match (self.errors.first(), self.warnings.first()) {
            (Some(error), _) => format!("not valid: {error}{}", more(self.errors.len(), "reasons")),
            (None, Some(warning)) => format!("valid, but {warning}{}", more(self.warnings.len(), "remarks")),
            (None, None) if self.complete => "valid".to_owned(),
            (None, None) => "valid, as far as the header tells".to_owned(),
        }
    }
}

/// Reads numbers of a file in its byte order. `get` gives a range, or nothing where it is not at hand.
struct Tiff<'a> {
    get: &'a mut dyn FnMut(std::ops::Range<u64>) -> Option<Bytes>,
    little: bool,
    big: bool,
}

impl Tiff<'_> {
    fn number(&self, bytes: &[u8]) -> u64 {
        let fold = |n: u64, b: &u8| n << 8 | u64::from(*b);
        if self.little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) }
    }

    fn at(&mut self, offset: u64, length: u64) -> Option<u64> {
        let bytes = (self.get)(offset..offset.checked_add(length)?)?;
        (bytes.len() as u64 == length).then(|| self.number(&bytes))
    }

    /// Bytes of a count, an entry, an offset.
    fn widths(&self) -> (u64, u64, u64) {
        if self.big { (8, 20, 8) } else { (2, 12, 4) }
    }
}

/// An entry of a directory: how many values, and the bytes that hold them or say where they are.
struct Entry {
    width: u64,
    count: u64,
    inline: Bytes,
}

/// Looks at a TIFF; `None` for anything else, or where not even the first directory is at hand.
pub(super) fn look(mut get: impl FnMut(std::ops::Range<u64>) -> Option<Bytes>) -> Option<Report> {
    let head = get(0..16)?;
    let little = match head.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let mut tiff = Tiff { get: &mut get, little, big: false };
    let first = match tiff.number(head.get(2..4)?) {
        42 => tiff.number(&head[4..8]),
        43 => {
            tiff.big = true;
            tiff.number(head.get(8..16)?)
        }
        _ => return None,
    };
    let mut report = Report { big: tiff.big, complete: true, ..Report::default() };
    let ghost = ghost(&mut tiff, &mut report);
    let mut next = first;
    while next != 0 && report.directories.len() < MOST_DIRECTORIES {
        if report.directories.iter().any(|d| d.offset == next) {
            report.errors.push("its directories lead in a circle".to_owned());
            break;
        }
        let Some((directory, following)) = directory(&mut tiff, next, &mut report.complete) else {
            report.complete = false;
            break;
        };
        report.directories.push(directory);
        next = following;
    }
    if report.directories.is_empty() {
        return None;
    }
    judge(&mut report, ghost);
    Some(report)
}

/// What the ghost area declares; gives where it ends.
fn ghost(tiff: &mut Tiff<'_>, report: &mut Report) -> u64 {
    let start = if tiff.big { 16 } else { 8 };
    let Some(line) = (tiff.get)(start..start + GHOST_LINE) else { return start };
    let Some(rest) = line.strip_prefix(GHOST) else { return start };
    let size: Option<u64> = rest.get(..6).and_then(|d| std::str::from_utf8(d).ok()?.parse().ok());
    let Some(size) = size.filter(|&n| n <= 4096) else { return start };
    let from = start + GHOST_LINE;
    if let Some(text) = (tiff.get)(from..from + size) {
        let text = String::from_utf8_lossy(&text).into_owned();
        let pairs = text.lines().filter_map(|line| line.trim_matches(['\0', ' ']).split_once('='));
        report.declared = pairs.map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())).collect();
    }
    from + size
}

fn directory(tiff: &mut Tiff<'_>, offset: u64, complete: &mut bool) -> Option<(Directory, u64)> {
    let (count_width, entry_width, offset_width) = tiff.widths();
    let count = tiff.at(offset, count_width)?;
    if count == 0 || count > MOST_ENTRIES {
        return None;
    }
    let start = offset.checked_add(count_width)?;
    let end = start.checked_add(count * entry_width)?;
    let table = (tiff.get)(start..end.checked_add(offset_width)?)?;
    let mut out =
        Directory { offset, samples: 1, predictor: 1, interleaved: true, codec: codec(1), ..Directory::default() };
    let (mut subfile, mut tile, mut rows, mut blocks) = (0, None, None, None);
    for raw in table.get(..(count * entry_width) as usize)?.chunks_exact(entry_width as usize) {
        let values = if tiff.big { 12 } else { 8 };
        let entry = Entry {
            width: match tiff.number(&raw[2..4]) {
                3 | 8 => 2,
                4 | 9 | 13 => 4,
                16..=18 => 8,
                _ => 1,
            },
            count: tiff.number(&raw[4..values]),
            inline: Bytes::copy_from_slice(&raw[values..]),
        };
        let value = entry.inline.get(..entry.width as usize).map_or(0, |b| tiff.number(b));
        match tiff.number(&raw[..2]) {
            254 => subfile = value,
            256 => out.size.0 = value,
            257 => out.size.1 = value,
            258 => out.bits = first_of(tiff, &entry).unwrap_or(0),
            259 => out.codec = codec(value),
            277 => out.samples = value,
            278 => rows = Some(value),
            284 => out.interleaved = value != 2,
            317 => out.predictor = value,
            322 => tile = Some((value, 0)),
            323 => tile = tile.map(|(w, _)| (w, value)),
            273 | 324 => {
                out.blocks = entry.count;
                blocks = Some(first_of(tiff, &entry));
            }
            _ => {}
        }
    }
    out.tiled = tile.is_some();
    out.block = tile.unwrap_or((out.size.0, rows.unwrap_or(out.size.1).min(out.size.1)));
    out.kind = match (subfile & 1 != 0, subfile & 4 != 0) {
        (false, false) => DirectoryKind::Main,
        (true, false) => DirectoryKind::Overview,
        (false, true) => DirectoryKind::Mask,
        (true, true) => DirectoryKind::MaskOverview,
    };
    // 0 stands for a block that is not stored.
    out.data = blocks.flatten().filter(|&at| at != 0);
    *complete &= !matches!(blocks, Some(None));
    let next = tiff.number(table.get((count * entry_width) as usize..)?);
    Some((out, next))
}

/// The first value of an entry.
fn first_of(tiff: &mut Tiff<'_>, entry: &Entry) -> Option<u64> {
    let room = if tiff.big { 8 } else { 4 };
    if entry.count.checked_mul(entry.width)? <= room {
        return entry.inline.get(..entry.width as usize).map(|b| tiff.number(b));
    }
    let at = tiff.number(&entry.inline);
    tiff.at(at, entry.width)
}

/// Registered numbers of the tag Compression.
fn codec(number: u64) -> String {
    let name = match number {
        1 => "none",
        2..=4 => "CCITT",
        5 => "LZW",
        6 | 7 => "JPEG",
        8 | 32_946 => "DEFLATE",
        32_773 => "PackBits",
        34_712 => "JPEG 2000",
        34_887 => "LERC",
        34_925 => "LZMA",
        50_000 => "ZSTD",
        50_001 => "WebP",
        50_002 | 52_546 => "JPEG XL",
        other => return format!("codec {other}"),
    };
    name.to_owned()
}

/// The checks, in the order of GDAL's script.
fn judge(report: &mut Report, ghost_end: u64) {
    let Some(main) = report.directories.first().cloned() else { return };
    let overviews: Vec<Directory> =
        report.directories.iter().filter(|d| d.kind == DirectoryKind::Overview).cloned().collect();
    let large = main.size.0 > SMALL || main.size.1 > SMALL;
    if large && !main.tiled {
        report.errors.push("it is larger than 512 pixels and not tiled".to_owned());
    }
    if large && overviews.is_empty() && report.complete {
        report.warnings.push("it has no overviews: a small picture of it needs all of it".to_owned());
    }
    let header = if report.big { 16 } else { 8 };
    if main.offset != header && main.offset > ghost_end + LATE {
        report.errors.push(format!("its first directory begins at byte {}, not behind the header", main.offset));
    }
    let mut before = &main;
    for (index, overview) in overviews.iter().enumerate() {
        let number = index + 1;
        if overview.size.0 > before.size.0 || overview.size.1 > before.size.1 {
            report.errors.push(format!("overview {number} is larger than the one before it"));
        }
        if (overview.size.0 > SMALL || overview.size.1 > SMALL) && !overview.tiled {
            report.errors.push(format!("overview {number} is not tiled"));
        }
        if overview.offset < before.offset {
            report.errors.push(format!("the directory of overview {number} lies before that of a larger image"));
        }
        before = overview;
    }
    judge_data(report, &main, &overviews);
    let incompatible = report.declared.iter().any(|(k, v)| k == "KNOWN_INCOMPATIBLE_EDITION" && v == "YES");
    if incompatible {
        report.warnings.push("it was edited after it was written: its layout is broken in part".to_owned());
    }
    if large && let Some(last) = overviews.last().filter(|l| l.size.0 > 2 * SMALL && l.size.1 > 2 * SMALL) {
        let (w, h) = last.size;
        report.warnings.push(format!("its smallest overview still has {w}×{h} pixels"));
    }
}

/// Data: behind all directories, and the smallest overview first.
fn judge_data(report: &mut Report, main: &Directory, overviews: &[Directory]) {
    let images: Vec<(String, &Directory)> = std::iter::once(("the full resolution".to_owned(), main))
        .chain(overviews.iter().enumerate().map(|(i, o)| (format!("overview {}", i + 1), o)))
        .collect();
    let last_directory = images.iter().map(|(_, d)| d.offset).max().unwrap_or_default();
    for (name, image) in &images {
        if image.data.is_some_and(|data| data < last_directory) {
            report.errors.push(format!("data of {name} lie before a directory"));
        }
    }
    for pair in images.windows(2) {
        let [(larger_name, larger), (smaller_name, smaller)] = pair else { continue };
        if let (Some(large), Some(small)) = (larger.data, smaller.data)
            && small > large
        {
            report.errors.push(format!("data of {smaller_name} lie behind those of {larger_name}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Option<Report> {
        let bytes = Bytes::copy_from_slice(bytes);
        look(|r| {
            (r.start <= r.end && r.end <= bytes.len() as u64).then(|| bytes.slice(r.start as usize..r.end as usize))
        })
    }

    /// A classic TIFF of directories of `(subfile, side, tile, first block)`, one behind the other.
    fn tiff(directories: &[(u32, u32, Option<u32>, u32)]) -> Vec<u8> {
        let mut out = Vec::from(*b"II*\0\x08\0\0\0");
        for (index, &(subfile, side, tile, data)) in directories.iter().enumerate() {
            let mut tags = vec![(254_u16, subfile), (256, side), (257, side), (259, 8)];
            match tile {
                Some(tile) => tags.extend([(322, tile), (323, tile), (324, data)]),
                None => tags.extend([(273, data), (278, 16)]),
            }
            out.extend((tags.len() as u16).to_le_bytes());
            for (tag, value) in &tags {
                out.extend(tag.to_le_bytes());
                out.extend([4, 0, 1, 0, 0, 0]);
                out.extend(value.to_le_bytes());
            }
            let end = out.len() as u32 + 4;
            out.extend(if index + 1 < directories.len() { end } else { 0 }.to_le_bytes());
        }
        out.resize(out.len().max(64), 0);
        out
    }

    #[test]
    fn what_is_in_order_is_valid_and_what_is_not_says_why() {
        let good = of(&tiff(&[(0, 2048, Some(512), 9000), (1, 1024, Some(512), 6000), (1, 512, Some(512), 4000)]));
        let good = good.expect("a TIFF");
        assert_eq!((good.verdict().as_str(), good.directories.len()), ("valid", 3));
        assert_eq!(good.directories[1].kind, DirectoryKind::Overview);
        assert_eq!(good.directories[0].codec, "DEFLATE");
        for (directories, why) in [
            (vec![(0, 2048, None, 9000)], "not tiled"),
            (vec![(0, 2048, Some(512), 4000), (1, 1024, Some(512), 6000)], "lie behind those of the full resolution"),
            (vec![(0, 2048, Some(512), 20), (1, 1024, Some(512), 10)], "lie before a directory"),
            (vec![(0, 2048, Some(512), 9000), (1, 4096, Some(512), 6000)], "larger than the one before"),
        ] {
            let report = of(&tiff(&directories)).expect("a TIFF");
            assert!(report.errors.iter().any(|e| e.contains(why)), "{why}: {:?}", report.errors);
        }
        let flat = of(&tiff(&[(0, 2048, Some(512), 9000)])).expect("a TIFF");
        assert!(flat.is_valid() && flat.verdict().contains("no overviews"), "{}", flat.verdict());
    }

    #[test]
    fn cuts_and_circles_end() {
        let whole = tiff(&[(0, 2048, Some(512), 9000), (1, 1024, Some(512), 6000)]);
        for cut in 0..whole.len() {
            if let Some(report) = of(&whole[..cut]) {
                assert!(!report.complete || report.directories.len() == 2, "cut at {cut}");
            }
        }
        let mut circle = tiff(&[(0, 64, Some(64), 900)]);
        let next = 8 + 2 + 7 * 12;
        circle[next..next + 4].copy_from_slice(&8_u32.to_le_bytes());
        assert!(of(&circle).expect("a TIFF").errors[0].contains("circle"));
        assert_eq!(of(b"not a TIFF at all, whatever"), None);
    }
}
