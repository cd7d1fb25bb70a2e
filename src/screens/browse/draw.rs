//! How [`super::Browse`] is drawn: three panes that fold to two and one.

use super::pane::Pane;
use super::prompt::Prompt;
use super::row::{self, Emphasis, Place};
use super::{ABOVE, Browse, LIST, RIGHT, header};
use crate::action::Action;
use crate::du::{Size, Tally};
use crate::entry::EntryKind;
use crate::screen::{Cx, Target};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};

/// Below this width there is no pane for the container above.
const THREE: u16 = 110;
/// Below this width there is only the list.
const TWO: u16 = 60;
/// Entries of the list that stay in sight whatever else is to be said.
const LEAST: u16 = 3;

pub(super) fn draw(browse: &mut Browse, frame: &mut Frame, area: Rect, cx: &Cx) {
    let [header, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
    header::draw(browse, frame, header, cx);
    let constraints: &[Constraint] = match area.width {
        w if w >= THREE && browse.parent.is_some() => &[Constraint::Max(30), Constraint::Fill(4), Constraint::Fill(5)],
        w if w >= TWO => &[Constraint::Fill(1), Constraint::Fill(1)],
        _ => &[Constraint::Fill(1)],
    };
    let columns = Layout::horizontal(constraints).split(body);
    let list = if columns.len() == 3 {
        if let Some(parent) = &mut browse.parent {
            let inner = framed(frame, columns[0], Role::Border, cx);
            cx.hits.add(inner, Target::Pane(ABOVE));
            draw_list(parent, frame, inner, cx, Side::Above, &Emphasis::none());
        }
        columns[1]
    } else {
        columns[0]
    };
    let edge = if browse.in_look { Role::Focus } else { Role::Border };
    let list = if columns.len() > 1 { framed(frame, list, edge, cx) } else { list };
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

fn draw_main(browse: &mut Browse, frame: &mut Frame, area: Rect, cx: &Cx) {
    let below = below(browse, area.width, cx);
    let lines = (below.len() as u16).min(area.height.saturating_sub(LEAST));
    let [list, foot] = Layout::vertical([Constraint::Min(1), Constraint::Length(lines)]).areas(area);
    browse.height = list.height as usize;
    cx.hits.add(list, Target::Pane(LIST));
    let emphasis = Emphasis::new(browse.needle.as_ref(), &browse.pane.arrangement.filter);
    draw_list(&mut browse.pane, frame, list, cx, Side::Here { has_keys: !browse.in_look }, &emphasis);
    for (line, y) in below.into_iter().zip(foot.y..foot.bottom()) {
        let at = Rect { y, height: 1, ..foot };
        frame.render_widget(Paragraph::new(line).style(cx.theme.style(Role::Bar)), at);
    }
}

/// The lines below the list, the most important first: what is typed, what is selected, what is counted.
fn below<'a>(browse: &Browse, width: u16, cx: &Cx) -> Vec<Line<'a>> {
    let mut out: Vec<Line> = Vec::new();
    out.extend(browse.prompt.as_ref().map(|prompt| prompt_line(prompt, width, cx)));
    out.extend(search_line(browse, width, cx));
    out.extend(selection_line(browse, width, cx));
    out.extend(count_line(browse, width, cx));
    if out.is_empty() {
        out.extend(table_line(browse, width, cx));
    }
    out
}

/// That the folder can be opened as one table.
fn table_line<'a>(browse: &Browse, width: u16, cx: &Cx) -> Option<Line<'a>> {
    let folder = browse.folder_of_tables()?;
    let key = cx.keymap.label(&["browse", "list", "global"], Action::OpenTable);
    let room = usize::from(width).saturating_sub(text::width(&key) + 24);
    let name = text::fit_middle(&text::clean(folder.name()), room).into_owned();
    let dim = cx.theme.style(Role::Dim);
    let spans = vec![
        Span::styled(format!(" {key}"), cx.theme.style(Role::Key)),
        Span::styled(" opens ", dim),
        Span::styled(name, cx.theme.style(Role::Container)),
        Span::styled(" as one table", dim),
    ];
    (!key.is_empty() && room > 3).then(|| Line::from(spans))
}

/// A line of words, then a key and what it does where there is room.
fn hinted<'a>(spans: Vec<Span<'a>>, action: Action, does: &str, width: u16, cx: &Cx) -> Line<'a> {
    let key = cx.keymap.label(&["browse", "list", "global"], action);
    let mut line = Line::from(spans);
    let room = usize::from(width).saturating_sub(line.width());
    if !key.is_empty() && text::width(&key) + does.len() + 4 <= room {
        line.push_span(Span::raw("   "));
        line.push_span(Span::styled(key, cx.theme.style(Role::Key)));
        line.push_span(Span::styled(format!(" {does}"), cx.theme.style(Role::Dim)));
    }
    line
}

fn prompt_line<'a>(prompt: &Prompt, width: u16, cx: &Cx) -> Line<'a> {
    let theme = &cx.theme;
    let (before, after) = prompt.input.split();
    let mark = format!(" {} ", prompt.ask.mark());
    let note = if prompt.note.is_empty() { String::new() } else { format!("  {}", text::clean(&prompt.note)) };
    // The end of what is typed stays in sight.
    let room = usize::from(width).saturating_sub(text::width(&mark) + 2);
    let before = text::clean(before).into_owned();
    let mut start = 0;
    while text::width(&before[start..]) > room {
        start += before[start..].chars().next().map_or(1, char::len_utf8);
    }
    Line::from(vec![
        Span::styled(mark, theme.style(Role::Key)),
        Span::raw(before[start..].to_owned()),
        Span::styled(if cx.unicode { "▏" } else { "_" }, theme.style(Role::Focus)),
        Span::raw(text::clean(after).into_owned()),
        Span::styled(note, theme.style(Role::Dim)),
    ])
}

/// What filters the list or is searched in it, after it was typed.
fn search_line<'a>(browse: &Browse, width: u16, cx: &Cx) -> Option<Line<'a>> {
    if browse.prompt.is_some() {
        return None;
    }
    let (mark, text, does) = match (&browse.needle, browse.pane.arrangement.filter.as_str()) {
        (Some(needle), _) => (" find ", needle.text(), "ends the search"),
        (None, "") => return None,
        (None, filter) => (" / ", filter, "shows all"),
    };
    let text = text::fit(&text::clean(text), usize::from(width).saturating_sub(mark.len() + 1)).into_owned();
    let searching = if browse.pane.is_seeking() { "…" } else { "" };
    let spans = vec![Span::styled(mark, cx.theme.style(Role::Key)), Span::raw(text), Span::raw(searching.to_owned())];
    Some(hinted(spans, Action::Back, does, width, cx))
}

/// `● 14 selected · 3.2 GiB · in 3 folders`, and the range under way.
fn selection_line<'a>(browse: &Browse, width: u16, cx: &Cx) -> Option<Line<'a>> {
    let (theme, total) = (&cx.theme, cx.basket.total());
    let dot = if cx.unicode { " ●" } else { " *" };
    if let Some(lines) = browse.pane.range() {
        let n = text::count((lines.end() + 1 - lines.start()) as u64);
        let words = format!("{dot} range of {n}");
        let line = vec![Span::styled(words, theme.style(Role::Selected))];
        return Some(hinted(line, Action::SelectRange, "selects it", width, cx));
    }
    if total.count == 0 {
        return None;
    }
    let n = text::count(total.count as u64);
    let unsized_n = text::count(total.unsized_count as u64);
    let s = if total.unsized_count == 1 { "" } else { "es" };
    let (bytes, and_more) = match total.unsized_count {
        0 => (format!(" · {}", text::bytes(total.bytes)), String::new()),
        n if n == total.count => (String::new(), String::new()),
        _ => (format!(" · {}", text::bytes(total.bytes)), format!(" + {unsized_n} prefix{s}")),
    };
    let (long, short) = match cx.basket.folders().len() {
        1 if cx.basket.folder(&browse.pane.location).is_none() => {
            (" · in another folder".into(), " · elsewhere".into())
        }
        1 => (String::new(), String::new()),
        n => (format!(" · in {} folders", text::count(n as u64)), format!(" · {} folders", text::count(n as u64))),
    };
    let ways = [
        format!("{dot} {n} selected{bytes}{and_more}{long}"),
        format!("{dot} {n} selected{bytes}{and_more}{short}"),
        format!("{dot} {n} selected{bytes}{short}"),
        format!("{dot} {n} selected{bytes}"),
    ];
    let words = ways.iter().find(|words| text::width(words) <= usize::from(width)).unwrap_or(&ways[3]);
    let words = text::fit(words, width.into()).into_owned();
    Some(hinted(vec![Span::styled(words, theme.style(Role::Selected))], Action::Basket, "lists", width, cx))
}

fn objects(tally: Tally) -> String {
    let s = if tally.objects == 1 { "" } else { "s" };
    format!("{} object{s} · {}", text::count(tally.objects), text::bytes(tally.bytes))
}

/// What is being counted, or was counted of what is under the cursor.
fn count_line<'a>(browse: &Browse, width: u16, cx: &Cx) -> Option<Line<'a>> {
    let style = cx.theme.style(Role::Dim);
    let line = |words: String, action: Option<Action>| {
        let words = text::fit(&words, width.into()).into_owned();
        let spans = vec![Span::styled(words, style)];
        action.map_or_else(|| Line::from(spans.clone()), |action| hinted(spans.clone(), action, "stops", width, cx))
    };
    if let Some(deep) = &browse.deep {
        return Some(line(format!(" {}", text::clean(&deep.words())), Some(Action::MeasureStop)));
    }
    let row = browse.pane.row();
    let size = row.filter(|_| cx.sizes.knows(&browse.pane.location)).and_then(|row| {
        let name = text::clean(row.name()).into_owned();
        cx.sizes.get(&browse.pane.location, row.name()).map(|size| (name, size))
    });
    match size {
        Some((name, Size::Counting(tally))) => {
            Some(line(format!(" counting {name} {}", objects(tally)), Some(Action::MeasureStop)))
        }
        Some((name, Size::Known(tally))) => Some(line(format!(" {name} {}", objects(tally)), None)),
        Some((name, Size::Partial(tally, why))) => {
            Some(line(format!(" {name} {} at least: {}", objects(tally), text::clean(&why)), None))
        }
        _ => {
            let n = cx.sizes.under_way();
            let s = if n == 1 { "" } else { "es" };
            (n > 0).then(|| line(format!(" counting {} prefix{s}", text::count(n as u64)), Some(Action::MeasureStop)))
        }
    }
}

/// Which of the lists one is.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    /// The container above.
    Above,
    /// The one that is browsed; whether the keys move its cursor now.
    Here { has_keys: bool },
    /// What is in the container under the cursor.
    Inside,
}

fn draw_list(pane: &mut Pane, frame: &mut Frame, area: Rect, cx: &Cx, side: Side, emphasis: &Emphasis<'_>) {
    let theme = &cx.theme;
    if pane.listing.is_empty() {
        draw_nothing(pane, frame, area, cx, side);
        return;
    }
    let is_main = matches!(side, Side::Here { .. });
    let has_keys = side == Side::Here { has_keys: true };
    let area = draw_trouble(pane, frame, area, cx, is_main);
    let top = pane.window(area.height as usize);
    let (cursor, range) = (pane.cursor(), pane.range());
    let folder = cx.basket.folder(&pane.location);
    let sized = cx.sizes.knows(&pane.location);
    for line in 0..area.height {
        let at = top + line as usize;
        let Some((index, row)) = pane.shown_row(at) else { break };
        let row_area = Rect { y: area.y + line, height: 1, ..area };
        let base = match (at == cursor, has_keys) {
            (true, true) => theme.style(Role::Cursor),
            (true, false) => theme.style(Role::CursorDim),
            _ => Style::default(),
        };
        let in_range = range.as_ref().is_some_and(|range| range.contains(&at));
        let place = Place {
            width: row_area.width as usize,
            selected: in_range || folder.is_some_and(|folder| folder.contains(&pane.listing, index)),
            cursor: at == cursor && has_keys,
            facts: is_main,
            size: Some(row)
                .filter(|row| sized && matches!(row.kind(), EntryKind::Prefix | EntryKind::Bucket))
                .and_then(|row| cx.sizes.get(&pane.location, row.name())),
        };
        let text = row::line(&row, &place, emphasis, cx);
        frame.render_widget(Paragraph::new(text).style(base), row_area);
        match side {
            Side::Here { .. } => cx.hits.add(row_area, Target::Row(at)),
            Side::Above if cx.mouse && row.kind().is_container() => {
                cx.hits.add(row_area, Target::Place(crate::basket::location(&pane.location, &row)));
            }
            _ => {}
        }
    }
    if pane.shown() == 0 {
        frame.render_widget(Paragraph::new(" no name matches").style(theme.style(Role::Dim)), area);
    }
}

/// Why the list is not complete, or what holds it up; gives the rest.
fn draw_trouble(pane: &Pane, frame: &mut Frame, area: Rect, cx: &Cx, is_main: bool) -> Rect {
    let lines = match (&pane.error, &pane.note) {
        (Some(_), _) => 3,
        (None, Some(_)) if is_main => 2,
        _ => 0,
    };
    let lines = area.height.saturating_sub(1).min(lines);
    let [rest, below] = Layout::vertical([Constraint::Min(1), Constraint::Length(lines)]).areas(area);
    let (words, role) = match (&pane.error, &pane.note) {
        (Some(err), _) => {
            let key = cx.keymap.label(&["browse", "list", "global"], Action::Refresh);
            (format!("the list is not complete: {err}; {key} reads it again"), Role::Bad)
        }
        (None, Some(note)) => (note.clone(), Role::Warn),
        (None, None) => return rest,
    };
    let text = Paragraph::new(text::clean(&words).into_owned()).wrap(Wrap { trim: true });
    let below = Rect { x: below.x + 1.min(below.width), width: below.width.saturating_sub(1), ..below };
    frame.render_widget(text.style(cx.theme.style(role)), below);
    rest
}

fn draw_nothing(pane: &Pane, frame: &mut Frame, area: Rect, cx: &Cx, side: Side) {
    let theme = &cx.theme;
    let area = Rect { x: area.x + 1.min(area.width), width: area.width.saturating_sub(2), ..area };
    let dim = theme.style(Role::Dim);
    let mut lines = vec![Line::raw("")];
    if let Some(err) = &pane.error {
        lines.push(Line::styled(text::clean(&err.to_string()).into_owned(), theme.style(Role::Bad)));
        if let Some(hint) = err.hint() {
            lines.push(Line::raw(""));
            lines.push(Line::styled(text::clean(hint).into_owned(), theme.style(Role::Text)));
        }
        if let Some(id) = err.request_id() {
            lines.push(Line::styled(format!("request id {}", text::clean(id)), dim));
        }
    } else if pane.is_loading() {
        lines.push(Line::styled("listing…", dim));
        let note = pane.note.as_ref().map(|note| text::clean(note).into_owned());
        lines.extend(note.map(|note| Line::styled(note, theme.style(Role::Warn))));
    } else {
        lines.push(Line::styled("nothing here", dim));
        if side != Side::Inside && side != Side::Above {
            let key = cx.keymap.label(&["browse"], Action::Upload);
            lines.push(Line::styled(format!("{key} uploads files to this place"), dim));
        }
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
}

fn draw_right(browse: &mut Browse, frame: &mut Frame, area: Rect, cx: &Cx) {
    let area = Rect { x: area.x + 1.min(area.width), width: area.width.saturating_sub(1), ..area };
    cx.hits.add(area, Target::Pane(RIGHT));
    if let Some(peek) = &mut browse.peek {
        draw_list(peek, frame, area, cx, Side::Inside, &Emphasis::none());
        cx.hits.add(area, Target::Act(Action::Right));
    } else {
        browse.look.focus(browse.in_look);
        browse.look.draw(frame, area, cx);
    }
}
