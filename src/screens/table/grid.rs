//! The rows on the screen: heads, a rule, cells, the cursor.
//!
//! ```text
//!          segment_id  │ time                     h_mean
//!                 u32  │ timestamp[ns]             f64 m
//!                      │                         12 null
//!  ────────────────────┼────────────────────────────────
//!       1     612,083  │ 2019-10-04T22:00:36     1843.25
//! ```

use super::data::NULL;
use super::sheet::Sheet;
use crate::screen::{Cx, Target};
use crate::table::Column;
use crate::text;
use crate::theme::{Role, Theme};
use crate::widgets::grid::{GAP, Places, Side, paint};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Below this height there is neither a rule nor a line for nulls.
const ROOMY: u16 = 12;
/// Cells of a row that can be clicked, at most.
pub(super) const CLICKS: usize = 4096;

/// Lines of the heads.
fn head_lines(sheet: &Sheet, height: u16) -> u16 {
    let roomy = height >= ROOMY;
    2 + u16::from(roomy && sheet.columns.has_nulls()) + u16::from(roomy)
}

/// The style of a role without its ground, so that the line under the cursor shows through.
fn ink(theme: &Theme, role: Role) -> Style {
    Style { bg: None, ..theme.style(role) }
}

/// Draws rows and heads; what is in sight follows from the area.
pub(super) fn draw(sheet: &mut Sheet, frame: &mut Frame, area: Rect, cx: &Cx) {
    let heads = head_lines(sheet, area.height).min(area.height);
    let body = Rect { y: area.y + heads, height: area.height - heads, ..area };
    if sheet.resize(area.width, body.height) {
        // What is in sight now is read at the next look.
        cx.waker.wake();
    }
    let places = sheet.places();
    draw_heads(sheet, &places, frame, Rect { height: heads, ..area }, cx);
    for (row, y) in sheet.window().zip(body.y..body.bottom()) {
        draw_row(sheet, &places, row, frame, Rect { y, height: 1, ..body }, cx);
    }
}

fn draw_heads(sheet: &Sheet, places: &Places, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    let roomy = area.height > 2;
    let nulls = roomy && sheet.columns.has_nulls();
    let buffer = frame.buffer_mut();
    if roomy {
        let (line, cross) = if cx.unicode { ("─", "┼") } else { ("-", "+") };
        let y = area.bottom() - 1;
        for x in area.x + 1..area.right().saturating_sub(1) {
            let symbol = if places.rule == Some(x - area.x) { cross } else { line };
            buffer.set_string(x, y, symbol, theme.style(Role::Border));
        }
    }
    for place in &places.columns {
        let Some(column) = sheet.columns.get(place.index) else { continue };
        let side = if column.about.numeric { Side::Right } else { Side::Left };
        let partition = column.about.partition;
        let name = match (place.index == sheet.at, partition) {
            (true, _) => Role::Accent,
            (false, true) => Role::Container,
            (false, false) => Role::Name,
        };
        let roles = [name, Role::Dim, if partition { Role::Dim } else { Role::Warn }];
        let mark = column.sorted.map(|sorted| sorted.mark(cx.unicode));
        for (i, (head, role)) in column.heads.iter().zip(roles).enumerate().take(if nulls { 3 } else { 2 }) {
            if i as u16 >= area.height {
                break;
            }
            let mut style = ink(theme, role);
            if i == 0 {
                style = style.add_modifier(ratatui::style::Modifier::BOLD);
            }
            let at = (area.x + place.x, area.y + i as u16);
            match mark.as_ref().filter(|_| i == 0) {
                Some(mark) => {
                    let room = usize::from(place.width).saturating_sub(text::width(mark) + 1);
                    let head = format!("{} {mark}", text::fit(head, room));
                    paint(buffer, at, place.width, &head, side, style);
                }
                None => paint(buffer, at, place.width, head, side, style),
            }
        }
    }
    if let Some(x) = places.rule {
        let lines = area.height - u16::from(roomy);
        rule(buffer, area.x + x, area.y..area.y + lines, cx);
    }
}

fn rule(buffer: &mut ratatui::buffer::Buffer, x: u16, lines: std::ops::Range<u16>, cx: &Cx) {
    let mark = if cx.unicode { "│" } else { "|" };
    for y in lines {
        buffer.set_string(x, y, mark, ink(&cx.theme, Role::Border));
    }
}

fn draw_row(sheet: &Sheet, places: &Places, row: u64, frame: &mut Frame, line: Rect, cx: &Cx) {
    let theme = &cx.theme;
    let is_at = row == sheet.row;
    let buffer = frame.buffer_mut();
    if is_at {
        buffer.set_style(line, theme.style(Role::CursorDim));
    }
    let digits = sheet.number_width();
    let role = if is_at { Role::Accent } else { Role::Faint };
    paint(buffer, (line.x + 1, line.y), digits, &(row + 1).to_string(), Side::Right, ink(theme, role));
    for place in &places.columns {
        let Some((id, column)) = sheet.columns.id(place.index).zip(sheet.columns.get(place.index)) else { continue };
        let here = is_at && place.index == sheet.at;
        let at = Rect { x: line.x + place.x, width: place.width, ..line };
        if here {
            // A cell is a little wider than its text.
            let wide = Rect { x: at.x.saturating_sub(1), width: (at.width + GAP).min(line.right() - at.x + 1), ..at };
            buffer.set_style(wide, theme.style(Role::Cursor));
        }
        let waiting = if cx.unicode { "·" } else { "." };
        let text = sheet.data.cell(row, id).unwrap_or(waiting);
        let missing = sheet.data.cell(row, id).is_none();
        let style = if here {
            theme.style(Role::Cursor)
        } else {
            ink(theme, if missing || text == NULL { Role::Faint } else { role_of(&column.about) })
        };
        paint(buffer, (at.x, at.y), place.width, text, column.side(), style);
        if cx.mouse && place.index < CLICKS {
            let from_top = (row - sheet.top) as usize;
            cx.hits.add(at, Target::Row(from_top * CLICKS + place.index));
        }
    }
    if let Some(x) = places.rule {
        rule(buffer, line.x + x, line.y..line.y + 1, cx);
    }
}

/// How the values of a column look.
pub(super) fn role_of(column: &Column) -> Role {
    match column.kind.as_str() {
        _ if column.numeric => Role::Number,
        "geometry" | "geography" | "binary" => Role::Dim,
        kind if kind.starts_with(['l', 's', 'm']) && kind.contains('<') => Role::Dim,
        _ => Role::Text,
    }
}
