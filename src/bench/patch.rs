//! Pixels of one patch over all dates, and where they lie.

use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

/// A rectangle of pixels: column and row of its upper left corner, width and height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Column of the left edge.
    pub x: u64,
    /// Row of the upper edge.
    pub y: u64,
    /// Columns.
    pub w: u64,
    /// Rows.
    pub h: u64,
}

/// How large a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Images in time.
    pub dates: u64,
    /// Bands of each.
    pub bands: u64,
    /// Rows.
    pub height: u64,
    /// Columns.
    pub width: u64,
}

/// Most that one patch may take in memory; `verify` holds two.
const MOST_BYTES: u64 = 8 << 30;

impl Extent {
    /// Values of one date of a patch; refuses what no memory holds.
    pub(super) fn plane_len(&self, window: Window) -> Result<usize> {
        let values = window.w.checked_mul(window.h).and_then(|n| n.checked_mul(self.bands));
        // Two bytes a value, and what is kept for each date beside them.
        let plane = values.and_then(|n| n.checked_mul(2)).and_then(|n| n.checked_add(1024));
        let bytes = plane.and_then(|n| n.checked_mul(self.dates));
        match (values.map(usize::try_from), bytes) {
            (Some(Ok(len)), Some(bytes)) if bytes <= MOST_BYTES => Ok(len),
            _ => Err(Error::new(
                Kind::Limit,
                format!(
                    "a patch of {} x {} pixels over {} dates and {} bands takes more than {}",
                    window.w,
                    window.h,
                    self.dates,
                    self.bands,
                    crate::text::bytes(MOST_BYTES)
                ),
            )
            .with_hint("choose a smaller patch")),
        }
    }
}

/// The pixels of a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pixels {
    /// One for each date: (band, y, x), x fastest.
    pub(super) dates: Vec<Vec<u16>>,
    pub(super) window: Window,
}

/// Where two patches differ first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) date: usize,
    pub(super) band: usize,
    /// In the whole image.
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) values: (u16, u16),
    /// How many values differ in all.
    pub(super) count: u64,
}

impl Pixels {
    /// FNV-1a over the values (each as one 16-bit unit, 64-bit state), in the order date, band, y, x.
    pub(super) fn checksum(&self) -> String {
        let mut state: u64 = 0xcbf2_9ce4_8422_2325;
        for &value in self.dates.iter().flatten() {
            state = (state ^ u64::from(value)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        format!("{state:016x}")
    }

    /// The first value that differs from `other`'s, which has the same shape.
    pub(super) fn difference(&self, other: &Self) -> Option<Difference> {
        let (w, h) = (self.window.w.max(1) as usize, self.window.h.max(1) as usize);
        let mut found: Option<Difference> = None;
        for (date, (mine, theirs)) in self.dates.iter().zip(&other.dates).enumerate() {
            if mine == theirs {
                continue;
            }
            for (i, (&a, &b)) in mine.iter().zip(theirs).enumerate().filter(|(_, (a, b))| a != b) {
                let first = found.get_or_insert_with(|| Difference {
                    date,
                    band: i / (w * h),
                    x: self.window.x + (i % w) as u64,
                    y: self.window.y + (i / w % h) as u64,
                    values: (a, b),
                    count: 0,
                });
                first.count += 1;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_found_in_the_whole_image() {
        let window = Window { x: 10, y: 20, w: 3, h: 2 };
        let one = Pixels { dates: vec![(0..12).collect(), (0..12).collect()], window };
        let mut other = one.clone();
        assert_eq!(one.difference(&other), None);
        assert_eq!(one.checksum(), other.checksum());
        other.dates[1][6 + 3 + 2] = 99;
        other.dates[1][6 + 3 + 1] = 98;
        let found = one.difference(&other).expect("differs");
        assert_eq!(found, Difference { date: 1, band: 1, x: 11, y: 21, values: (10, 98), count: 2 });
        assert_ne!(one.checksum(), other.checksum());
    }

    #[test]
    fn a_patch_that_no_memory_holds_is_refused() {
        let extent = Extent { dates: u64::MAX, bands: 4, height: 10, width: 10 };
        let window = Window { x: 0, y: 0, w: u64::MAX, h: 2 };
        assert_eq!(extent.plane_len(window).map_err(|e| e.kind()), Err(Kind::Limit));
    }
}
