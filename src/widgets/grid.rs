//! A grid of cells: which columns have room, where they stand, and cells drawn to the left, to the
//! right, or with their decimal points below each other.
//!
//! ```text
//! |numbers|  |frozen|  |frozen| ┃ |free|  |free|  |fr…
//! ```

use crate::text;
use ratatui::buffer::Buffer;
use ratatui::style::Style;

/// Cells between two columns.
pub const GAP: u16 = 2;
/// Cells of the rule between frozen and free columns, its gaps included.
pub const RULE: u16 = 3;
/// A column that would be cut below this is not begun.
const NARROWEST: u16 = 10;

/// A column with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Which: the index into the widths that were given.
    pub index: usize,
    /// Its first cell, counted from the left edge of the grid.
    pub x: u16,
    /// Cells it takes.
    pub width: u16,
    /// Whether all of its width had room.
    pub whole: bool,
}

/// The columns that have room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// From left to right, the frozen ones first.
    pub columns: Vec<Placed>,
    /// Where the rule stands that parts frozen columns from the others.
    pub rule: Option<u16>,
}

impl Places {
    /// The place of a column.
    pub fn of(&self, index: usize) -> Option<&Placed> {
        self.columns.iter().find(|p| p.index == index)
    }
}

/// Places columns in `room` cells behind `start` of them: the first `frozen` always, then those from
/// `left` on, as many as have room. `width` tells how many cells a column of `n` wants. Frozen columns
/// leave at least a third of the room to the others.
pub fn place(room: u16, start: u16, frozen: usize, left: usize, n: usize, width: impl Fn(usize) -> u16) -> Places {
    let mut places = Places::default();
    let mut x = start;
    let frozen = frozen.min(n);
    let most = start + (room.saturating_sub(start)) * 2 / 3;
    for index in 0..frozen {
        let free = most.saturating_sub(x);
        let wish = width(index).max(1);
        if free < wish.min(NARROWEST) {
            break;
        }
        places.columns.push(Placed { index, x, width: wish.min(free), whole: wish <= free });
        x += wish.min(free) + GAP;
    }
    if !places.columns.is_empty() && frozen < n {
        places.rule = Some(x - GAP + 1);
        x = x - GAP + RULE;
    }
    let first = left.max(frozen);
    for index in first..n {
        let free = room.saturating_sub(x);
        let wish = width(index).max(1);
        if free == 0 || (free < wish.min(NARROWEST) && index > first) {
            break;
        }
        places.columns.push(Placed { index, x, width: wish.min(free), whole: wish <= free });
        x = x.saturating_add(wish.min(free) + GAP);
    }
    places
}

/// Which side of its column a cell keeps to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Text.
    #[default]
    Left,
    /// Whole numbers, and the heads above numbers.
    Right,
    /// Numbers, their decimal points below each other.
    Point(Points),
}

/// The widest part before and behind a decimal point, the point included behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Points {
    /// Cells before the point.
    pub whole: u16,
    /// The point and what stands behind it.
    pub part: u16,
}

impl Points {
    /// Takes a number into account; what has an exponent keeps to the right and is none.
    pub fn see(&mut self, number: &str) {
        if let Some((whole, part)) = parts(number) {
            self.whole = self.whole.max(whole);
            self.part = self.part.max(part);
        }
    }

    /// Cells of the whole column.
    pub fn width(self) -> u16 {
        self.whole + self.part
    }
}

/// Cells before, and from the decimal point on.
fn parts(number: &str) -> Option<(u16, u16)> {
    if !number.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+')) {
        return None;
    }
    let whole = number.find('.').unwrap_or(number.len());
    Some((whole as u16, (number.len() - whole) as u16))
}

/// Cells to leave free before `text` in a column of `width`.
fn indent(text: &str, width: u16, side: Side) -> u16 {
    let free = width.saturating_sub(text::width(text) as u16);
    match side {
        Side::Left => 0,
        Side::Right => free,
        Side::Point(points) => match parts(text) {
            Some((_, part)) if points.width() <= width => free.saturating_sub(points.part.saturating_sub(part)),
            _ => free,
        },
    }
}

/// Draws `text` at `x`, `y` into `width` cells, cut with `…` where it is longer. Numbers that are cut
/// lose their last digits, never their first.
pub fn paint(buffer: &mut Buffer, (x, y): (u16, u16), width: u16, text: &str, side: Side, style: Style) {
    let text = text::fit(text, width.into());
    buffer.set_stringn(x + indent(&text, width, side), y, &text, width.into(), style);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;

    fn line(cells: &[(&str, Side)]) -> Vec<String> {
        let paint_one = |(text, side): &(&str, Side)| {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
            paint(&mut buffer, (0, 0), 8, text, *side, Style::default());
            (0..8).map(|x| buffer[(x, 0)].symbol().to_owned()).collect()
        };
        cells.iter().map(paint_one).collect()
    }

    #[test]
    fn decimal_points_stand_below_each_other() {
        let mut points = Points::default();
        for number in ["-12.5", "3", "0.125", "1e300"] {
            points.see(number);
        }
        assert_eq!(points, Points { whole: 3, part: 4 });
        let side = Side::Point(points);
        let drawn = line(&[("-12.5", side), ("3", side), ("0.125", side), ("1e300", side), ("∅", side)]);
        assert_eq!(drawn, [" -12.5  ", "   3    ", "   0.125", "   1e300", "       ∅"]);
        assert_eq!(
            line(&[("ab", Side::Left), ("ab", Side::Right), ("123456789", Side::Right)]),
            ["ab      ", "      ab", "1234567…"]
        );
    }

    #[test]
    fn frozen_columns_stay_and_leave_room_for_the_others() {
        let widths = [8, 6, 20, 20, 20];
        let places = place(50, 5, 1, 3, 5, |i| widths[i]);
        let at: Vec<_> = places.columns.iter().map(|p| (p.index, p.x, p.width, p.whole)).collect();
        assert_eq!(at, [(0, 5, 8, true), (3, 16, 20, true), (4, 38, 12, false)]);
        assert_eq!(places.rule, Some(14));
        // Wide frozen columns are cut before they take everything.
        let places = place(30, 5, 2, 0, 5, |_| 40);
        assert_eq!(places.columns.iter().map(|p| p.index).collect::<Vec<_>>(), [0, 2]);
        assert!(place(3, 5, 0, 0, 5, |_| 4).columns.is_empty(), "no room at all");
        assert_eq!(place(9, 5, 0, 2, 5, |_| 40).columns.len(), 1, "a first column is always begun");
    }
}
