//! Tables about the scene: layout, bands, overviews, reference system, metadata.

use crate::action::Action;
use crate::scene::Sheet;
use crate::screen::Cx;
use crate::screen::popup::moved;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Widest cell.
const WIDEST: usize = 60;
/// Widest name of a list.
const NAME: usize = 34;

/// Which table is shown, and from which line on.
#[derive(Default)]
pub(super) struct Sheets {
    at: usize,
    top: usize,
    lines: usize,
    height: usize,
}

impl Sheets {
    /// Scrolls, or goes to another of `n` tables; tells whether the action means something here.
    pub(super) fn update(&mut self, action: Action, n: usize) -> bool {
        match action {
            Action::NextPane | Action::Right => return self.turn(1, n),
            Action::PrevPane | Action::Left => return self.turn(n.saturating_sub(1), n),
            _ => {}
        }
        let page = self.height.max(2) - 1;
        // Places where the window may begin.
        let tops = self.lines.saturating_sub(self.height) + 1;
        let Some(top) = moved(self.top, action, tops, page, page / 2) else { return false };
        self.top = top;
        true
    }

    fn turn(&mut self, by: usize, n: usize) -> bool {
        self.at = (self.at + by) % n.max(1);
        self.top = 0;
        true
    }

    pub(super) fn draw(&mut self, sheets: &[Sheet], frame: &mut Frame, area: Rect, cx: &Cx) {
        let [tabs, _, body] =
            Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(1)]).areas(area);
        self.at = self.at.min(sheets.len().saturating_sub(1));
        frame.render_widget(Paragraph::new(self.tabs(sheets, cx)), tabs);
        let Some(sheet) = sheets.get(self.at) else { return };
        let lines = if sheet.columns.is_empty() {
            list(sheet, usize::from(body.width), cx)
        } else {
            table(sheet, usize::from(body.width), cx)
        };
        (self.lines, self.height) = (lines.len(), usize::from(body.height));
        self.top = self.top.min(self.lines.saturating_sub(self.height));
        let shown: Vec<Line<'_>> = lines.into_iter().skip(self.top).take(self.height).collect();
        frame.render_widget(Paragraph::new(shown), body);
    }

    fn tabs<'a>(&self, sheets: &[Sheet], cx: &Cx) -> Line<'a> {
        let mut spans = Vec::new();
        for (i, sheet) in sheets.iter().enumerate() {
            let role = if i == self.at { Role::Selected } else { Role::Dim };
            let role = if i == self.at && sheets.len() == 1 { Role::Title } else { role };
            spans.push(Span::styled(format!(" {} ", text::clean(&sheet.title)), cx.theme.style(role)));
            spans.push(Span::raw(" "));
        }
        Line::from(spans)
    }
}

fn list<'a>(sheet: &Sheet, width: usize, cx: &Cx) -> Vec<Line<'a>> {
    let theme = &cx.theme;
    let names = sheet.rows.iter().filter(|r| r.len() > 1).map(|r| text::width(&r[0])).max().unwrap_or(0).min(NAME);
    let mut lines: Vec<Line<'a>> = Vec::new();
    for row in &sheet.rows {
        let name = row.first().map_or("", String::as_str);
        let Some(value) = row.get(1) else {
            let is_deep = name.starts_with(' ');
            // A heading; indented lines are text as it is, such as WKT.
            let is_code = is_deep || name.contains('[');
            let role = if is_code { Role::Text } else { Role::Title };
            if !is_code && !lines.is_empty() {
                lines.push(Line::raw(""));
            }
            lines.extend(
                crate::screens::wrapped(name, width.max(8)).into_iter().map(|l| Line::styled(l, theme.style(role))),
            );
            continue;
        };
        let name = text::fit(&text::clean(name), names).into_owned();
        let pad = " ".repeat(names.saturating_sub(text::width(&name)) + 2);
        let room = width.saturating_sub(names + 2).max(8);
        for (i, part) in crate::screens::wrapped(value, room).into_iter().enumerate() {
            let head = if i == 0 { format!("{name}{pad}") } else { " ".repeat(names + 2) };
            lines.push(Line::from(vec![
                Span::styled(head, theme.style(Role::Dim)),
                Span::styled(part, theme.style(Role::Text)),
            ]));
        }
    }
    lines
}

fn table<'a>(sheet: &Sheet, width: usize, cx: &Cx) -> Vec<Line<'a>> {
    let theme = &cx.theme;
    let cell = |row: &Vec<String>, i: usize| row.get(i).map_or("", String::as_str).to_owned();
    let widths: Vec<usize> = (0..sheet.columns.len())
        .map(|i| {
            let cells = sheet.rows.iter().map(|row| text::width(&cell(row, i)));
            cells.chain([text::width(&sheet.columns[i])]).max().unwrap_or(0).min(WIDEST)
        })
        .collect();
    let is_empty: Vec<bool> = (0..widths.len()).map(|i| sheet.rows.iter().all(|row| cell(row, i).is_empty())).collect();
    let is_number: Vec<bool> = (0..widths.len())
        .map(|i| sheet.rows.iter().all(|row| cell(row, i).replace([',', ' ', '×'], "").parse::<f64>().is_ok()))
        .collect();
    let line = |cells: &Vec<String>, role: Role| {
        let mut words = String::new();
        for (i, &w) in widths.iter().enumerate().filter(|(i, _)| !is_empty[*i]) {
            let value = text::fit(&text::clean(&cell(cells, i)), w).into_owned();
            let pad = " ".repeat(w.saturating_sub(text::width(&value)));
            let (before, after) = if is_number[i] { (pad.as_str(), "") } else { ("", pad.as_str()) };
            words.extend([before, &value, after, "  "]);
        }
        Line::styled(text::fit(words.trim_end(), width).into_owned(), theme.style(role))
    };
    let head = line(&sheet.columns, Role::Title);
    std::iter::once(head).chain(sheet.rows.iter().map(|row| line(row, Role::Text))).collect()
}
