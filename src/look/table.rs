//! The first rows and columns of a table in a pane: as many columns as fit, drawn as the table screen
//! draws them.

use crate::preview::Table;
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use crate::widgets::grid::{self, GAP, Points, Side, paint};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// A column is at most so wide; its cells are cut.
const WIDEST: usize = 34;
/// How a null is shown.
const NULL: &str = "∅";

/// A column in sight.
struct Column {
    heads: [String; 3],
    cells: Vec<String>,
    side: Side,
    width: u16,
}

pub(super) fn draw(table: &Table, scroll: (usize, usize), frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    // A line for nulls only where there are some.
    let has_nulls = table.columns.iter().any(|c| c.nulls.is_some_and(|n| n > 0));
    let head_lines = if has_nulls { 3 } else { 2 };
    let height = (area.height as usize).saturating_sub(head_lines);
    let rows: Vec<usize> = (scroll.0..table.batch.num_rows()).take(height).collect();
    let last = table.offset + rows.last().map_or(0, |r| *r as u64) + 1;
    let digits = last.to_string().len() as u16;
    let ink = |role| Style { bg: None, ..theme.style(role) };
    // No more columns than can have room, however many there are.
    let most = scroll.1.saturating_add(usize::from(area.width) / usize::from(GAP + 1) + 1);
    let columns: Vec<Column> = (0..table.columns.len().min(most))
        .map(|i| if i < scroll.1 { Column::none() } else { Column::of(table, i, &rows) })
        .collect();
    let places = grid::place(area.width, digits + GAP, 0, scroll.1, columns.len(), |i| columns[i].width);
    let buffer = frame.buffer_mut();
    for (row, y) in rows.iter().zip(area.y + head_lines as u16..area.bottom()) {
        let number = (table.offset + *row as u64 + 1).to_string();
        paint(buffer, (area.x, y), digits.min(area.width), &number, Side::Right, ink(Role::Faint));
    }
    for place in &places.columns {
        let column = &columns[place.index];
        let numeric = table.columns[place.index].numeric;
        let side = if numeric { Side::Right } else { Side::Left };
        let roles = [Role::Name, Role::Dim, Role::Warn];
        for ((head, role), y) in column.heads.iter().zip(roles).take(head_lines).zip(area.y..area.bottom()) {
            paint(buffer, (area.x + place.x, y), place.width, head, side, ink(role));
        }
        for (cell, y) in column.cells.iter().zip(area.y + head_lines as u16..area.bottom()) {
            let role = match cell.as_str() {
                NULL => Role::Faint,
                _ if numeric => Role::Number,
                _ => Role::Text,
            };
            paint(buffer, (area.x + place.x, y), place.width, cell, column.side, ink(role));
        }
    }
}

impl Column {
    /// One that is out of sight.
    fn none() -> Self {
        Self { heads: [const { String::new() }; 3], cells: Vec::new(), side: Side::Left, width: 1 }
    }

    fn of(table: &Table, index: usize, rows: &[usize]) -> Self {
        let about = &table.columns[index];
        let cells: Vec<String> = rows.iter().map(|row| cell(table, *row, index)).collect();
        let nulls = about.nulls.filter(|n| *n > 0).map_or_else(String::new, |n| format!("{} null", text::count(n)));
        let heads = [text::clean(&about.name).into_owned(), text::clean(&about.kind).into_owned(), nulls];
        let mut points = Points::default();
        if about.numeric {
            for cell in &cells {
                points.see(cell);
            }
        }
        let widest = cells.iter().chain(&heads).map(|text| text::width(text)).max().unwrap_or(1);
        let width = widest.clamp(1, WIDEST).max(usize::from(points.width()).min(WIDEST)) as u16;
        let side = match (about.numeric, points.part > 0) {
            (true, true) => Side::Point(points),
            (true, false) => Side::Right,
            (false, _) => Side::Left,
        };
        Self { heads, cells, side, width }
    }
}

fn cell(table: &Table, row: usize, column: usize) -> String {
    use arrow::array::Array as _;
    match table.batch.columns().get(column) {
        Some(array) if array.is_null(row) => NULL.to_owned(),
        Some(_) => text::clean(&crate::table::format_cell(&table.batch, row, column)).into_owned(),
        None => String::new(),
    }
}
