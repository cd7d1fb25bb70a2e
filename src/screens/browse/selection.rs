//! What is selected, in all folders: a popup in which entries can be dropped.

use crate::action::Action;
use crate::location::Location;
use crate::screen::{Cx, Flow, Open, Screen, Target};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Clear, Paragraph};

/// Widest it gets.
const WIDTH: u16 = 110;

/// The popup.
#[derive(Default)]
pub(crate) struct BasketList {
    cursor: usize,
    top: usize,
    height: usize,
}

/// The folder of the `at`th selected entry, and which of its own it is.
fn locate(cx: &Cx, at: usize) -> Option<(Location, usize)> {
    let mut left = at;
    for (container, folder) in cx.basket.folders() {
        let here = folder.total().count;
        if left < here {
            return Some((container.clone(), left));
        }
        left -= here;
    }
    None
}

impl BasketList {
    fn drop_entry(&mut self, cx: &mut Cx) {
        if let Some((container, n)) = locate(cx, self.cursor) {
            cx.basket.remove_nth(&container, n);
        }
        self.cursor = self.cursor.min(cx.basket.total().count.saturating_sub(1));
    }

    fn drop_folder(&mut self, cx: &mut Cx) {
        if let Some((container, n)) = locate(cx, self.cursor) {
            cx.basket.clear_folder(&container);
            self.cursor = self.cursor.saturating_sub(n).min(cx.basket.total().count.saturating_sub(1));
        }
    }

    /// `name   folder   size`
    fn line<'a>(&self, at: usize, width: usize, cx: &Cx) -> Option<Line<'a>> {
        let (container, n) = locate(cx, at)?;
        let row = cx.basket.folder(&container)?.nth(n)?;
        let theme = &cx.theme;
        let plain = |role: Role| if at == self.cursor { Style::default() } else { theme.style(role) };
        let size = row.size().map(text::bytes).unwrap_or_default();
        let room = width.saturating_sub(13);
        let name = text::fit_middle(&text::clean(row.name()), room).into_owned();
        let left = room.saturating_sub(text::width(&name) + 2);
        let place = if left >= 8 { container.to_string() } else { String::new() };
        let place = text::fit_middle(&text::clean(&place), left).into_owned();
        let pad = " ".repeat(room.saturating_sub(text::width(&name) + text::width(&place)));
        Some(Line::from(vec![
            Span::raw(" "),
            Span::styled(name, plain(Role::Selected)),
            Span::raw(pad),
            Span::styled(place, plain(Role::Dim)),
            Span::styled(format!(" {size:>10} "), plain(Role::Number)),
        ]))
    }
}

impl Screen for BasketList {
    fn contexts(&self) -> &'static [&'static str] {
        &["basket", "list", "global"]
    }

    fn title(&self) -> String {
        "selected".into()
    }

    fn is_popup(&self) -> bool {
        true
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let last = cx.basket.total().count.saturating_sub(1);
        let page = self.height.max(1);
        self.cursor = match action {
            Action::Up => self.cursor.saturating_sub(1),
            Action::Down => self.cursor + 1,
            Action::HalfUp | Action::PageUp => self.cursor.saturating_sub(page),
            Action::HalfDown | Action::PageDown => self.cursor + page,
            Action::Top => 0,
            Action::Bottom => last,
            Action::RemoveRow => {
                self.drop_entry(cx);
                self.cursor
            }
            Action::RemoveFolder => {
                self.drop_folder(cx);
                self.cursor
            }
            Action::SelectNone => {
                cx.basket.clear();
                return Flow::Close;
            }
            Action::Basket => return Flow::Close,
            Action::Enter | Action::Right => {
                return locate(cx, self.cursor).map_or(Flow::Close, |(place, _)| Flow::Replace(Open::Browse(place)));
            }
            _ => return Flow::Ignored,
        };
        self.cursor = self.cursor.min(cx.basket.total().count.saturating_sub(1));
        if cx.basket.is_empty() { Flow::Close } else { Flow::Done }
    }

    fn click(&mut self, target: &Target, _cx: &mut Cx) -> Flow {
        if let Target::Row(at) = target {
            self.cursor = *at;
        }
        Flow::Done
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let (theme, total) = (&cx.theme, cx.basket.total());
        let (width, height) = (area.width.min(WIDTH), (total.count.min(500) as u16 + 3).clamp(5, area.height.max(5)));
        let height = height.min(area.height);
        let rect = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
        let folders = cx.basket.folders().len();
        let s = if folders == 1 { "" } else { "s" };
        let title = format!(" {} selected · {} ", text::count(total.count as u64), text::bytes(total.bytes));
        let block = Block::default()
            .borders(Borders::ALL)
            .border_type(BorderType::Rounded)
            .border_style(theme.style(Role::Focus))
            .style(theme.style(Role::Text))
            .title(Span::styled(title, theme.style(Role::Title)))
            .title(Line::styled(format!(" {folders} folder{s} "), theme.style(Role::Dim)).right_aligned());
        // Where there is no room beside a name, its folder still stands below.
        let folder = locate(cx, self.cursor).map(|(container, _)| container.to_string()).unwrap_or_default();
        let folder = text::fit_middle(&text::clean(&folder), usize::from(width).saturating_sub(6)).into_owned();
        let block = block.title_bottom(Span::styled(format!(" {folder} "), theme.style(Role::Dim)));
        let inner = block.inner(rect);
        frame.render_widget(Clear, rect);
        frame.render_widget(block, rect);
        self.height = usize::from(inner.height).saturating_sub(1);
        self.top = self.top.min(self.cursor).max((self.cursor + 1).saturating_sub(self.height));
        self.top = self.top.min(total.count.saturating_sub(self.height));
        for (at, y) in (self.top..total.count).zip(inner.y..(inner.bottom().saturating_sub(1)).max(inner.y)) {
            let style = if at == self.cursor { theme.style(Role::Cursor) } else { Style::default() };
            let row = Rect { y, height: 1, ..inner };
            if let Some(line) = self.line(at, inner.width.into(), cx) {
                frame.render_widget(Paragraph::new(line).style(style), row);
                cx.hits.add(row, Target::Row(at));
            }
        }
        let hint = Rect { y: inner.bottom().saturating_sub(1).max(inner.y), height: 1.min(inner.height), ..inner };
        frame.render_widget(Paragraph::new(hints(self.contexts(), inner.width, cx)), hint);
    }
}

fn hints<'a>(contexts: &[&str], width: u16, cx: &Cx) -> Line<'a> {
    let mut line = Line::raw(" ");
    for (action, word) in [
        (Action::RemoveRow, "drops"),
        (Action::RemoveFolder, "drops its folder"),
        (Action::SelectNone, "drops all"),
        (Action::Enter, "goes there"),
    ] {
        let key = cx.keymap.label(contexts, action);
        if line.width() + text::width(&key) + word.len() + 3 <= usize::from(width) {
            line.push_span(Span::styled(key, cx.theme.style(Role::Key)));
            line.push_span(Span::styled(format!(" {word}  "), cx.theme.style(Role::Dim)));
        }
    }
    line
}
