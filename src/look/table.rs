//! Rows and columns: as many columns as fit, numbers to the right.

use crate::preview::Table;
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use arrow::array::Array as _;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// A column is at most so wide; its cells are cut.
const WIDEST: usize = 34;
/// A column that would be cut below this is not begun.
const NARROWEST: usize = 10;

pub(super) fn draw(table: &Table, scroll: (usize, usize), frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    // A line for nulls only where there are some.
    let has_nulls = table.columns.iter().any(|c| c.nulls.is_some_and(|n| n > 0));
    let head_lines = if has_nulls { 3 } else { 2 };
    let height = (area.height as usize).saturating_sub(head_lines);
    let rows: Vec<usize> = (scroll.0..table.batch.num_rows()).take(height).collect();
    let last = table.offset + rows.last().map_or(0, |r| *r as u64);
    let number_width = last.to_string().len();
    let mut used = number_width + 2;
    let blank = || Span::raw(" ".repeat(number_width + 2));
    let mut heads = vec![blank()];
    let mut kinds = vec![blank()];
    let mut nulls = vec![blank()];
    let mut lines: Vec<Vec<Span>> = rows
        .iter()
        .map(|r| vec![Span::styled(format!("{:>number_width$}  ", table.offset + *r as u64), theme.style(Role::Faint))])
        .collect();
    for (i, column) in table.columns.iter().enumerate().skip(scroll.1) {
        if used >= area.width as usize {
            break;
        }
        let cells: Vec<String> = rows.iter().map(|r| cell(table, *r, i)).collect();
        let nulls_known = column.nulls.filter(|n| *n > 0);
        let null_words = nulls_known.map_or_else(String::new, |n| format!("{} null", text::count(n)));
        let widest = cells.iter().chain([&column.name, &column.kind, &null_words]).map(|c| text::width(c)).max();
        let room = area.width as usize - used;
        let wish = widest.unwrap_or(1).clamp(1, WIDEST);
        if room < wish.min(NARROWEST) && i > scroll.1 {
            // A column of which only a sliver would show is better not begun.
            break;
        }
        let width = wish.min(room);
        let put = |text: &str, right: bool| {
            let cut = text::fit(text, width).into_owned();
            let pad = " ".repeat(width.saturating_sub(text::width(&cut)));
            if right { format!("{pad}{cut}  ") } else { format!("{cut}{pad}  ") }
        };
        heads.push(Span::styled(put(&text::clean(&column.name), column.numeric), theme.style(Role::Name)));
        kinds.push(Span::styled(put(&text::clean(&column.kind), column.numeric), theme.style(Role::Dim)));
        nulls.push(Span::styled(put(&null_words, column.numeric), theme.style(Role::Warn)));
        for (line, value) in lines.iter_mut().zip(&cells) {
            let role = match value.as_str() {
                NULL => Role::Faint,
                _ if column.numeric => Role::Number,
                _ => Role::Text,
            };
            let style = ratatui::style::Style { bg: None, ..theme.style(role) };
            line.push(Span::styled(put(value, column.numeric), style));
        }
        used += width + 2;
    }
    let mut all = vec![Line::from(heads), Line::from(kinds)];
    if has_nulls {
        all.push(Line::from(nulls));
    }
    all.extend(lines.into_iter().map(Line::from));
    frame.render_widget(Paragraph::new(all), area);
}

/// How a null is shown.
const NULL: &str = "∅";

fn cell(table: &Table, row: usize, column: usize) -> String {
    match table.batch.columns().get(column) {
        Some(array) if array.is_null(row) => NULL.to_owned(),
        Some(_) => text::clean(&crate::table::format_cell(&table.batch, row, column)).into_owned(),
        None => String::new(),
    }
}
