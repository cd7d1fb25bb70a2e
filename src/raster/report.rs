//! Whether a TIFF is laid out as a cloud-optimised `GeoTIFF`, and why not.
//!
//! The checks are those of GDAL's `validate_cloud_optimized_geotiff.py` (which rio-cogeo follows): tiled, overviews
//! inside, directories before data and in order, data of the smallest overview first; and what the ghost area behind
//! the header declares. Read from the directories alone, TIFF 6.0 and `BigTIFF`
//! (<https://docs.ogc.org/is/21-026/21-026.html>, <https://gdal.org/drivers/raster/cog.html>).

use super::tiff::{End, Tiff};
use bytes::Bytes;

pub use super::tiff::{Directory, DirectoryKind};

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

/// Looks at a TIFF; `None` for anything else, or where not even the first directory is at hand.
pub(super) fn look(mut get: impl FnMut(std::ops::Range<u64>) -> Option<Bytes>) -> Option<Report> {
    let mut tiff = Tiff::new(&mut get)?;
    let mut report = Report { big: tiff.big, complete: true, ..Report::default() };
    let ghost = ghost(&mut tiff, &mut report);
    let (images, end) = tiff.images();
    match end {
        End::Whole => {}
        End::Circle => report.errors.push("its directories lead in a circle".to_owned()),
        End::Missing => report.complete = false,
    }
    for image in images {
        report.complete &= image.first_known;
        report.directories.push(image.directory);
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
    let Some(line) = tiff.bytes(start..start + GHOST_LINE) else { return start };
    let Some(rest) = line.strip_prefix(GHOST) else { return start };
    let size: Option<u64> = rest.get(..6).and_then(|d| std::str::from_utf8(d).ok()?.parse().ok());
    let Some(size) = size.filter(|&n| n <= 4096) else { return start };
    let from = start + GHOST_LINE;
    if let Some(text) = tiff.bytes(from..from + size) {
        let text = String::from_utf8_lossy(&text).into_owned();
        let pairs = text.lines().filter_map(|line| line.trim_matches(['\0', ' ']).split_once('='));
        report.declared = pairs.map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())).collect();
    }
    from + size
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
