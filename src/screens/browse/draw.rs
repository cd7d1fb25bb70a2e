//! How [`super::Browse`] is drawn.

use super::pane::Pane;
use super::{Browse, mark};
use crate::action::Action;
use crate::entry::EntryKind;
use crate::listing::Row;
use crate::location::Location;
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};

/// Below this width there is no pane for the container above.
const THREE: u16 = 110;
/// Below this width there is only the list.
const TWO: u16 = 60;

pub(super) fn draw(browse: &mut Browse, frame: &mut Frame, area: Rect, cx: &Cx) {
    let [header, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
    draw_header(browse, frame, header, cx);
    let constraints: &[Constraint] = match area.width {
        w if w >= THREE && browse.parent.is_some() => &[Constraint::Max(30), Constraint::Fill(4), Constraint::Fill(5)],
        w if w >= TWO => &[Constraint::Fill(1), Constraint::Fill(1)],
        _ => &[Constraint::Fill(1)],
    };
    let columns = Layout::horizontal(constraints).split(body);
    let list = if columns.len() == 3 {
        if let Some(parent) = &mut browse.parent {
            let inner = framed(frame, columns[0], Role::Border, cx);
            draw_list(parent, frame, inner, cx, None);
        }
        columns[1]
    } else {
        columns[0]
    };
    let edge = if browse.in_look { Role::Focus } else { Role::Border };
    let list = if columns.len() > 1 { framed(frame, list, edge, cx) } else { list };
    browse.height = list.height as usize;
    draw_main(browse, frame, list, cx);
    if columns.len() > 1 {
        draw_right(browse, frame, columns[columns.len() - 1], cx);
    }
}

/// A rule at the right side of a pane; gives the rest.
fn framed(frame: &mut Frame, area: Rect, role: Role, cx: &Cx) -> Rect {
    let block = Block::default().borders(Borders::RIGHT).border_style(cx.theme.style(role));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

fn draw_header(browse: &Browse, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    frame.render_widget(Block::default().style(theme.style(Role::Bar)), area);
    // Where there is little room the order goes first, then the round trip; the count stays.
    let room = area.width * 2 / 3;
    let detail = (0..3).rev().find(|n| header_right(browse, *n, cx).width() <= usize::from(room)).unwrap_or(0);
    let right = header_right(browse, detail, cx);
    let right_width = (right.width() as u16).min(room);
    let left = Rect { width: area.width.saturating_sub(right_width), ..area };
    let crumbs = crumbs(&browse.pane.location, left.width.saturating_sub(2) as usize, cx);
    frame.render_widget(Paragraph::new(crumbs), left);
    let right_area = Rect { x: area.right() - right_width, width: right_width, ..area };
    frame.render_widget(Paragraph::new(right).alignment(Alignment::Right), right_area);
}

/// `detail`: 0 leaves out order and round trip, 1 the order.
fn header_right<'a>(browse: &Browse, detail: usize, cx: &Cx) -> Line<'a> {
    let theme = &cx.theme;
    let pane = &browse.pane;
    let mut spans = Vec::new();
    if !pane.selected.is_empty() {
        spans.push(Span::styled(
            format!("{} selected  ", text::count(pane.selected.len() as u64)),
            theme.style(Role::Selected),
        ));
    }
    if pane.in_range() {
        spans.push(Span::styled("range  ", theme.style(Role::Warn)));
    }
    let (word, role) = if browse.is_writable(cx) { ("writable", Role::Warn) } else { ("read-only", Role::Good) };
    spans.push(Span::styled(format!("{word}  "), theme.style(role)));
    if let Some(first) = pane.first.filter(|_| detail > 0) {
        spans.push(Span::styled(format!("rtt {}  ", text::duration(first)), theme.style(Role::Dim)));
    }
    let arrow = match (pane.arrangement.reverse, cx.unicode) {
        (false, true) => "↑",
        (true, true) => "↓",
        (false, false) => "^",
        (true, false) => "v",
    };
    if detail > 1 {
        spans.push(Span::styled(format!("{} {arrow}  ", pane.arrangement.by.word()), theme.style(Role::Dim)));
    }
    let total = text::count(pane.listing.len() as u64);
    let count = if pane.shown() == pane.listing.len() {
        total
    } else {
        format!("{} of {total}", text::count(pane.shown() as u64))
    };
    let more = if pane.is_loading() { "…" } else { "" };
    spans.push(Span::styled(format!("{count}{more} "), theme.style(Role::Number)));
    spans.push(Span::styled(if pane.listing.len() == 1 { "entry " } else { "entries " }, theme.style(Role::Dim)));
    Line::from(spans)
}

/// `demo ▸ lake ▸ s2`, cut at its start where there is no room.
fn crumbs<'a>(location: &Location, width: usize, cx: &Cx) -> Line<'a> {
    let arrow = if cx.unicode { " ▸ " } else { " > " };
    let mut parts: Vec<String> = Vec::new();
    match location.profile() {
        Some(profile) => parts.push(profile.to_owned()),
        None => parts.push(location.scheme().as_str().to_owned()),
    }
    if !location.bucket().is_empty() {
        parts.push(location.bucket().to_owned());
    }
    parts.extend(location.key().split('/').filter(|p| !p.is_empty()).map(str::to_owned));
    let parts: Vec<String> = parts.iter().map(|p| text::clean(p).into_owned()).collect();
    let mut first = 0;
    let width_from = |first: usize| parts[first..].iter().map(|p| text::width(p) + 3).sum::<usize>();
    while first + 1 < parts.len() && width_from(first) > width {
        first += 1;
    }
    let theme = &cx.theme;
    let mut spans = vec![Span::raw(" ")];
    if first > 0 {
        spans.push(Span::styled(if cx.unicode { "… ▸ " } else { "...> " }, theme.style(Role::Faint)));
    }
    for (i, part) in parts.iter().enumerate().skip(first) {
        let last = i + 1 == parts.len();
        let role = if last { Role::Title } else { Role::Container };
        let room = if last { width.saturating_sub(spans.iter().map(Span::width).sum()) } else { usize::MAX };
        spans.push(Span::styled(text::fit_middle(part, room.max(8)).into_owned(), theme.style(role)));
        if !last {
            spans.push(Span::styled(arrow, theme.style(Role::Faint)));
        }
    }
    Line::from(spans)
}

fn draw_main(browse: &mut Browse, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    let filtering = browse.filter.is_some() || !browse.pane.arrangement.filter.is_empty();
    let [list, filter] = Layout::vertical([Constraint::Min(1), Constraint::Length(u16::from(filtering))]).areas(area);
    browse.height = list.height as usize;
    draw_list(&mut browse.pane, frame, list, cx, Some(!browse.in_look));
    if !filtering {
        return;
    }
    let line = match &browse.filter {
        Some(input) => {
            let (before, after) = input.split();
            Line::from(vec![
                Span::styled(" / ", theme.style(Role::Key)),
                Span::raw(text::clean(before).into_owned()),
                Span::styled(if cx.unicode { "▏" } else { "_" }, theme.style(Role::Focus)),
                Span::raw(text::clean(after).into_owned()),
            ])
        }
        None => Line::from(vec![
            Span::styled(" / ", theme.style(Role::Key)),
            Span::raw(text::clean(&browse.pane.arrangement.filter).into_owned()),
            Span::styled("   Esc shows all", theme.style(Role::Dim)),
        ]),
    };
    frame.render_widget(Paragraph::new(line).style(theme.style(Role::Bar)), filter);
}

/// `keys`: `None` for a list at the side, else whether the keys move its cursor now.
fn draw_list(pane: &mut Pane, frame: &mut Frame, area: Rect, cx: &Cx, keys: Option<bool>) {
    let theme = &cx.theme;
    let (facts, has_keys) = (keys.is_some(), keys == Some(true));
    if pane.listing.is_empty() {
        draw_nothing(pane, frame, area, cx, facts);
        return;
    }
    let error_lines = match (&pane.error, &pane.note) {
        (Some(_), _) => 3.min(area.height),
        (None, Some(_)) if facts => 2.min(area.height),
        _ => 0,
    };
    let [area, errors] = Layout::vertical([Constraint::Min(1), Constraint::Length(error_lines)]).areas(area);
    if let Some(err) = &pane.error {
        let key = cx.keymap.label(&["browse", "global"], Action::Refresh);
        let text = format!("the list is not complete: {err}; {key} reads it again");
        frame.render_widget(Paragraph::new(text).style(theme.style(Role::Bad)).wrap(Wrap { trim: true }), errors);
    } else if let Some(note) = &pane.note {
        let text = Paragraph::new(text::clean(note)).style(theme.style(Role::Warn)).wrap(Wrap { trim: true });
        frame.render_widget(text, Rect { x: errors.x + 1, width: errors.width.saturating_sub(1), ..errors });
    }
    let top = pane.window(area.height as usize);
    let cursor = pane.cursor();
    for line in 0..area.height {
        let at = top + line as usize;
        let Some((index, row)) = pane.shown_row(at) else { break };
        let row_area = Rect { y: area.y + line, height: 1, ..area };
        let base = match (at == cursor, has_keys) {
            (true, true) => theme.style(Role::Cursor),
            (true, false) => theme.style(Role::CursorDim),
            _ => Style::default(),
        };
        let selected = pane.selected.contains(&index);
        let text = list_line(&row, row_area.width as usize, selected, at == cursor && has_keys, facts, cx);
        frame.render_widget(Paragraph::new(text).style(base), row_area);
    }
    if pane.shown() == 0 {
        frame.render_widget(Paragraph::new(" no name matches").style(theme.style(Role::Dim)), area);
    }
}

/// One entry: mark, name, detail, size, time, as wide as there is room.
fn list_line<'a>(row: &Row<'_>, width: usize, selected: bool, cursor: bool, facts: bool, cx: &Cx) -> Line<'a> {
    let theme = &cx.theme;
    let plain = |role: Role| if cursor { Style::default() } else { theme.style(role) };
    let size = match row.size() {
        Some(n) if facts && width >= 26 => format!("{:>10}", text::bytes(n)),
        _ if facts && width >= 26 && row.kind() == EntryKind::Object => " ".repeat(10),
        _ => String::new(),
    };
    let time = match row.modified() {
        Some(t) if facts && width >= 62 => t.format("  %Y-%m-%d %H:%M").to_string(),
        _ => String::new(),
    };
    let flag = match (selected, cursor, cx.unicode) {
        (true, _, true) => "●",
        (true, _, false) => "*",
        (false, true, true) => "▸",
        (false, true, false) => ">",
        _ => " ",
    };
    let kind = mark(row.kind(), cx.unicode);
    let room = width.saturating_sub(3 + text::width(kind) + size.len() + time.len());
    let name = text::clean(row.name());
    let (name, detail) = match row.more().and_then(|m| m.detail.as_deref()) {
        Some(detail) if facts && text::width(&name) + 4 < room => {
            let left = room - text::width(&name) - 2;
            (name.clone(), text::fit(&text::clean(detail), left).into_owned())
        }
        _ => (name, String::new()),
    };
    let name = text::fit_middle(&name, room).into_owned();
    let used = text::width(&name) + if detail.is_empty() { 0 } else { text::width(&detail) + 2 };
    let role = match row.kind() {
        EntryKind::Object | EntryKind::Asset => Role::Text,
        _ => Role::Container,
    };
    let name_style = if selected { plain(Role::Selected) } else { Style { bg: None, ..plain(role) } };
    let mut spans = vec![
        Span::styled(flag, plain(if selected { Role::Selected } else { Role::Accent })),
        Span::styled(kind, plain(Role::Accent)),
        Span::styled(name, name_style),
    ];
    if !detail.is_empty() {
        spans.push(Span::styled(format!("  {detail}"), plain(Role::Dim)));
    }
    spans.push(Span::raw(" ".repeat((room + 1).saturating_sub(used))));
    spans.push(Span::styled(size, plain(Role::Number)));
    spans.push(Span::styled(time, plain(Role::Dim)));
    Line::from(spans)
}

fn draw_nothing(pane: &Pane, frame: &mut Frame, area: Rect, cx: &Cx, has_keys: bool) {
    let theme = &cx.theme;
    let area = Rect { x: area.x + 1.min(area.width), width: area.width.saturating_sub(2), ..area };
    let lines = if let Some(err) = &pane.error {
        let mut lines = vec![Line::raw(""), Line::styled(err.to_string(), theme.style(Role::Bad))];
        if let Some(hint) = err.hint() {
            lines.push(Line::raw(""));
            lines.push(Line::styled(hint.to_owned(), theme.style(Role::Text)));
        }
        if let Some(id) = err.request_id() {
            lines.push(Line::styled(format!("request id {}", text::clean(id)), theme.style(Role::Dim)));
        }
        lines
    } else if pane.is_loading() {
        let mut lines = vec![Line::raw(""), Line::styled("listing…", theme.style(Role::Dim))];
        lines.extend(pane.note.as_ref().map(|note| Line::styled(text::clean(note), theme.style(Role::Warn))));
        lines
    } else {
        let mut lines = vec![Line::raw(""), Line::styled("nothing here", theme.style(Role::Dim))];
        if has_keys {
            let key = cx.keymap.label(&["browse"], Action::Upload);
            lines.push(Line::styled(format!("{key} uploads files to this place"), theme.style(Role::Dim)));
        }
        lines
    };
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
}

fn draw_right(browse: &mut Browse, frame: &mut Frame, area: Rect, cx: &Cx) {
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area };
    match &mut browse.peek {
        Some(peek) => draw_list(peek, frame, area, cx, None),
        None => browse.look.draw(frame, area, cx),
    }
}
