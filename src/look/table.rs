//! Rows and columns: as many columns as fit, numbers to the right.

use crate::preview::Table;
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// A column is at most so wide; its cells are cut.
const WIDEST: usize = 34;

pub(super) fn draw(table: &Table, scroll: (usize, usize), frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    let height = area.height.saturating_sub(3) as usize;
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
        let room = (area.width as usize - used).min(WIDEST);
        let width = widest.unwrap_or(1).clamp(1, room);
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
    let mut all = vec![Line::from(heads), Line::from(kinds), Line::from(nulls)];
    all.extend(lines.into_iter().map(Line::from));
    frame.render_widget(Paragraph::new(all), area);
}

/// How a null is shown.
const NULL: &str = "∅";

fn cell(table: &Table, row: usize, column: usize) -> String {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    let Some(array) = table.batch.columns().get(column) else { return String::new() };
    if array.is_null(row) {
        return NULL.to_owned();
    }
    let text = ArrayFormatter::try_new(array, &FormatOptions::default())
        .map_or_else(|_| "?".to_owned(), |f| f.value(row).to_string());
    text::clean(&text).into_owned()
}
