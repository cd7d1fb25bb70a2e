//! The frame around the views: a bar with the name and the views, a line that tells where one is and
//! what it has cost.

use super::{Grid, Layer, Over, View};
use crate::action::Action;
use crate::look;
use crate::screen::{Cx, Screen as _};
use crate::screens::popup;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

/// Cells of "12 requests · 212.0 KiB".
const COST: usize = 23;

impl Grid {
    pub(super) fn draw_all(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let strip = self.strip(area.width, cx);
        // Rows stay in sight whatever is to be said.
        let lines = (strip.len() as u16).min(area.height / 2);
        let [bar, top, body, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(lines),
            Constraint::Min(1),
            Constraint::Length(1),
        ])
        .areas(area);
        frame.render_widget(Block::default().style(cx.theme.style(Role::Bar)), bar);
        frame.render_widget(Paragraph::new(self.bar(bar.width, cx)), bar);
        frame.render_widget(Paragraph::new(strip), top);
        self.height = usize::from(body.height.max(1));
        let layer = if self.is_stored_view() { self.layers.first_mut() } else { self.layers.last_mut() };
        let Some(layer) = layer else {
            return self.draw_nothing(frame, body, cx);
        };
        match &mut self.view {
            View::Rows => super::grid::draw(&mut layer.sheet, frame, body, cx),
            View::Record(record) => record.draw(&layer.sheet, frame, body, cx),
            View::Profile => layer.profiles.draw(&layer.sheet, &layer.layout, frame, body, cx),
            View::Layout => layer.layout.draw(frame, body, cx),
            View::Metadata => layer.meta.draw(frame, body, cx),
            View::Facts => {
                let about = layer.sheet.data.about();
                layer.facts = layer.facts.min(about.facts.rows.len().saturating_sub(self.height));
                let inner = Rect { x: body.x + 1, width: body.width.saturating_sub(2), ..body };
                look::draw_facts(&about.facts, layer.facts, frame, inner, cx);
            }
        }
        frame.render_widget(Paragraph::new(self.foot(foot.width, cx)), foot);
        self.draw_over(frame, area, cx);
    }

    fn draw_nothing(&self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        let Some(error) = &self.error else {
            let words = Paragraph::new(vec![Line::raw(""), Line::styled("reading…", theme.style(Role::Dim))]);
            return frame.render_widget(words, inner);
        };
        let mut lines = vec![Line::raw("")];
        let rows = |text: &str| popup::wrapped(text, inner.width.into());
        lines.extend(rows(&error.to_string()).into_iter().map(|row| Line::styled(row, theme.style(Role::Bad))));
        if let Some(hint) = error.hint() {
            lines.push(Line::raw(""));
            lines.extend(rows(hint).into_iter().map(Line::raw));
        }
        let label = |action| cx.keymap.label(self.contexts(), action);
        let is_folder = self.probe.as_ref().is_some_and(|probe| probe.location.is_container());
        let other = if is_folder { String::new() } else { label(Action::Enter) };
        let pairs = [
            (other, "shows what else can be seen of it"),
            (label(Action::Refresh), "tries again"),
            (label(Action::Back), "goes back"),
        ];
        lines.extend([Line::raw(""), popup::hints(&pairs, inner.width, cx)]);
        frame.render_widget(Paragraph::new(lines), inner);
    }

    fn draw_over(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let contexts = self.contexts();
        let label = |action| cx.keymap.label(contexts, action);
        let Some(layer) = self.layers.last() else { return };
        match &mut self.over {
            Some(Over::Find(find)) => find.draw(&layer.sheet, frame, area, cx),
            Some(Over::Cell(cell)) => {
                let pairs = [
                    (label(Action::Yank), "copy"),
                    (format!("{} {}", label(Action::Down), label(Action::Up)), "scroll"),
                    (label(Action::Back), "close"),
                ];
                cell.draw(frame, area, &pairs, cx);
            }
            Some(Over::Row(_) | Over::Condition(_)) | None => {}
        }
    }

    /// The name, what of it is shown, the views.
    fn bar<'a>(&self, width: u16, cx: &Cx) -> Line<'a> {
        let theme = &cx.theme;
        let views = self.views(width, cx);
        let right: usize = views.iter().map(Span::width).sum();
        let room = usize::from(width).saturating_sub(right + 3);
        let name = text::clean(&self.title).into_owned();
        let name = text::fit_middle(&name, room).into_owned();
        let mut spans = vec![Span::raw(" "), Span::styled(name, theme.style(Role::Title))];
        let used: usize = spans.iter().map(Span::width).sum();
        // What it is, where there is room for it.
        if let Some(about) = self.layers.first().map(|layer| layer.sheet.data.about()) {
            let title = text::clean(&about.facts.title).into_owned();
            if !title.is_empty() && used + 2 + text::width(&title) < room {
                spans.push(Span::styled(format!("  {title}"), theme.style(Role::Dim)));
            }
        }
        let used: usize = spans.iter().map(Span::width).sum();
        spans.push(Span::raw(" ".repeat(usize::from(width).saturating_sub(used + right + 1))));
        spans.extend(views);
        Line::from(spans)
    }

    fn views<'a>(&self, width: u16, cx: &Cx) -> Vec<Span<'a>> {
        let theme = &cx.theme;
        let at = match self.view {
            View::Rows => "rows",
            View::Record(_) => "row",
            View::Profile => "profile",
            View::Layout => "layout",
            View::Metadata => "metadata",
            View::Facts => "facts",
        };
        let is_main = !matches!(self.view, View::Record(_) | View::Profile);
        if width < 60 || !is_main {
            return vec![Span::styled(format!(" {at} "), theme.style(Role::Cursor))];
        }
        let key = cx.keymap.label(&["table"], Action::ViewNext);
        let mut spans = vec![Span::styled(format!("{key} "), theme.style(Role::Key))];
        for name in ["rows", "layout", "metadata", "facts"] {
            let role = if name == at { Role::Cursor } else { Role::Bar };
            spans.push(Span::styled(format!(" {name} "), theme.style(role)));
        }
        spans
    }

    /// Where one is, keys, what it has cost.
    fn foot<'a>(&self, width: u16, cx: &Cx) -> Line<'a> {
        let theme = &cx.theme;
        if let Some(Over::Row(input)) = &self.over {
            let mut line = popup::input_line(input, width.saturating_sub(12), " row", cx);
            line.spans.push(Span::styled("   a number, or 50%", theme.style(Role::Faint)));
            return line;
        }
        let Some(layer) = self.viewed() else { return Line::raw("") };
        // Where one is goes before what it has cost.
        let cost = if width < 64 { String::new() } else { self.cost(cx) };
        // As much as it usually takes, so that nothing beside it moves while it counts.
        let right = if cost.is_empty() { 0 } else { text::width(&cost).max(COST) };
        let room = usize::from(width).saturating_sub(right + 2);
        if let Some(err) = layer.sheet.data.error() {
            let key = cx.keymap.label(self.contexts(), Action::Refresh);
            let words = text::clean(&super::words(err)).into_owned();
            let fit = text::fit(&words, room.saturating_sub(text::width(&key) + 16)).into_owned();
            return Line::from(vec![
                Span::styled(format!(" {fit}  "), theme.style(Role::Bad)),
                Span::styled(key, theme.style(Role::Key)),
                Span::styled(" reads again", theme.style(Role::Dim)),
            ]);
        }
        let place = text::fit(&self.place(layer, width, cx), room).into_owned();
        let mut spans = vec![Span::styled(place, theme.style(Role::Text))];
        let used: usize = spans.iter().map(Span::width).sum();
        let hints = popup::hints(&self.hints(cx), (room.saturating_sub(used + 4)) as u16, cx);
        spans.push(Span::raw(" ".repeat(3.min(room.saturating_sub(used)))));
        spans.extend(hints.spans);
        let used: usize = spans.iter().map(Span::width).sum();
        spans.push(Span::raw(" ".repeat((usize::from(width)).saturating_sub(used + text::width(&cost) + 1))));
        spans.push(Span::styled(cost, theme.style(Role::Dim)));
        Line::from(spans)
    }

    /// `3 requests · 212.0 KiB`.
    fn cost(&self, cx: &Cx) -> String {
        let Some(control) = &self.control else { return String::new() };
        control.meter.counts().received(super::strip::dot(cx))
    }

    /// `row 1,234 of 7,600,000 · column 3 of 21`.
    fn place(&self, layer: &Layer, width: u16, cx: &Cx) -> String {
        let (sheet, dot) = (&layer.sheet, if cx.unicode { "·" } else { "-" });
        let total = match sheet.data.total() {
            Some(total) => text::count(total),
            None => format!("{} seen", text::count(sheet.data.seen())),
        };
        let row = if sheet.data.total() == Some(0) { 0 } else { sheet.row + 1 };
        let at = if let View::Record(record) = &self.view { record.at } else { sheet.at };
        let hidden = match sheet.columns.hidden() {
            0 => String::new(),
            n => format!(" {dot} {n} hidden"),
        };
        let columns = text::count(sheet.columns.len() as u64);
        let column = text::count(at as u64 + 1);
        match self.view {
            View::Layout | View::Metadata | View::Facts => format!(" {total} rows {dot} {columns} columns"),
            _ if width < 50 => format!(" row {} of {total} {dot} column {column}", text::count(row)),
            _ => format!(" row {} of {total} {dot} column {column} of {columns}{hidden}", text::count(row)),
        }
    }

    fn hints<'a>(&self, cx: &Cx) -> Vec<(String, &'a str)> {
        let contexts = self.contexts();
        let label = |action| cx.keymap.label(contexts, action);
        match &self.view {
            View::Rows => vec![
                (label(Action::Enter), "cell"),
                (label(Action::FilterRows), "filter"),
                (label(Action::SortRows), "sort"),
                (label(Action::Record), "row"),
                (label(Action::Profile), "profile"),
                (label(Action::Map), "map"),
                (label(Action::FindColumn), "column"),
                (label(Action::GoToRow), "go to"),
                (label(Action::FreezeColumns), "freeze"),
                (label(Action::HideColumn), "hide"),
            ],
            View::Record(_) => vec![
                (format!("{} {}", label(Action::Left), label(Action::Right)), "row before, after"),
                (label(Action::Enter), "value"),
                (label(Action::Yank), "copy"),
            ],
            View::Profile => vec![
                (format!("{} {}", label(Action::Left), label(Action::Right)), "column before, after"),
                (label(Action::Cancel), "stop"),
                (label(Action::Yank), "copy"),
            ],
            View::Layout | View::Metadata => vec![(label(Action::Enter), "open, fold"), (label(Action::Yank), "copy")],
            View::Facts => Vec::new(),
        }
    }
}
