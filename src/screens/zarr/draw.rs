//! How the tree and what stands beside it look.

use super::{ZarrScreen, mark};
use crate::action::Action;
use crate::map::graticule::degrees;
use crate::screen::{Cx, Screen as _};
use crate::screens::popup;
use crate::text;
use crate::theme::Role;
use crate::zarr::{About, Form, Member, Zarr};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

/// Narrower than this the details stand below the tree.
const FOLDS: u16 = 70;
/// Columns of the names of facts.
const NAMES: usize = 13;

pub(super) fn draw(screen: &mut ZarrScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(area);
    draw_header(screen, frame, header, cx);
    draw_footer(screen, frame, footer, cx);
    if screen.zarr.is_none() {
        draw_waiting(screen, frame, body, cx);
        return;
    }
    let edge = cx.theme.style(if screen.in_details { Role::Focus } else { Role::Border });
    let (tree, details) = if area.width >= FOLDS {
        let [tree, details] = Layout::horizontal([Constraint::Percentage(48), Constraint::Fill(1)]).areas(body);
        let block = Block::default().borders(Borders::RIGHT).border_style(plain(edge));
        let inner = block.inner(tree);
        frame.render_widget(block, tree);
        (inner, Rect { x: details.x + 1, width: details.width.saturating_sub(2), ..details })
    } else {
        let [tree, details] = Layout::vertical([Constraint::Fill(2), Constraint::Fill(3)]).areas(body);
        let block = Block::default().borders(Borders::TOP).border_style(plain(edge));
        let inner = block.inner(details);
        frame.render_widget(block, details);
        (tree, Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner })
    };
    screen.height = usize::from(tree.height);
    draw_tree(screen, frame, tree, cx);
    let lines = details_of(screen, usize::from(details.width), cx);
    screen.scroll = screen.scroll.min(lines.len().saturating_sub(usize::from(details.height)));
    let lines: Vec<Line<'_>> = lines.into_iter().skip(screen.scroll).take(usize::from(details.height)).collect();
    frame.render_widget(Paragraph::new(lines), details);
}

/// Without its ground: rules and labels stand on that of the screen.
pub(super) fn plain(style: Style) -> Style {
    Style { bg: None, ..style }
}

/// Name and kind at the left, what it cost at the right.
pub(super) fn draw_header(screen: &ZarrScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let name = text::clean(screen.location.name().trim_end_matches('/')).into_owned();
    let about = screen.zarr.as_ref().map(summary).unwrap_or_default();
    bar(&name, &about, &screen.control.0, frame, area, cx);
}

/// A bar with a name, words about it, and what reading has cost.
pub(super) fn bar(name: &str, about: &str, control: &crate::task::Control, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    frame.render_widget(Block::default().style(theme.style(Role::Bar)), area);
    let dim = plain(theme.style(Role::Dim));
    let counts = control.meter.counts();
    let dot = if cx.unicode { "·" } else { "-" };
    let s = if counts.requests == 1 { "" } else { "s" };
    let cost = format!("{} request{s} {dot} {} ", text::count(counts.requests), text::bytes(counts.bytes_in));
    let cost = if counts.requests == 0 { String::new() } else { cost };
    let room = usize::from(area.width).saturating_sub(text::width(&cost) + 3);
    let name = text::fit_middle(name, room).into_owned();
    let left = room.saturating_sub(text::width(&name) + 3);
    let about = if cx.unicode { about.to_owned() } else { about.replace('·', "-").replace('×', "x") };
    let about = text::fit(&about, left).into_owned();
    let line = Line::from(vec![
        Span::raw(" "),
        Span::styled(name, plain(theme.style(Role::Title))),
        Span::raw("   "),
        Span::styled(about, dim),
    ]);
    frame.render_widget(Paragraph::new(line), area);
    frame.render_widget(Paragraph::new(Line::styled(cost, dim)).alignment(Alignment::Right), area);
}

/// `Zarr v3 · 5 arrays, 2 groups · consolidated`.
fn summary(zarr: &Zarr) -> String {
    let hierarchy = zarr.hierarchy();
    let (arrays, groups) = hierarchy.counts();
    let count = |n: usize, one: &str| format!("{} {one}{}", text::count(n as u64), if n == 1 { "" } else { "s" });
    let mut parts = vec![format!("Zarr v{}", hierarchy.version)];
    parts.push(if groups > 0 {
        format!("{}, {}", count(arrays, "array"), count(groups, "group"))
    } else {
        count(arrays, "array")
    });
    if !zarr.source().kind().is_empty() {
        parts.push(zarr.source().kind().to_owned());
    }
    if hierarchy.consolidated {
        parts.push("consolidated".to_owned());
    }
    parts.join(" · ")
}

fn draw_footer(screen: &ZarrScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let key = |action| cx.keymap.label(screen.contexts(), action);
    let mut pairs = Vec::new();
    match screen.array().map(|(_, about)| about) {
        Some(about) if about.is_number() && about.shape.len() > 1 => {
            pairs.push((key(Action::Enter), "picture"));
            pairs.push((key(Action::Plot), "plot"));
            pairs.push((key(Action::PlaneNext), "dimensions"));
            pairs.push((key(Action::PlaneTurn), "turn"));
            pairs.push((key(Action::ChunkMap), "chunks"));
        }
        Some(about) if about.is_number() && about.shape.len() == 1 => {
            pairs.push((key(Action::Enter), "plot"));
            pairs.push((key(Action::ChunkMap), "chunks"));
        }
        Some(about) if !about.shape.is_empty() => {
            if !about.is_compound() {
                pairs.push((key(Action::Enter), "names"));
            }
            pairs.push((key(Action::ChunkMap), "chunks"));
        }
        None if screen.zarr.is_some() => pairs.push((key(Action::Enter), "fold")),
        Some(_) | None => {}
    }
    pairs.extend([
        (key(Action::NextPane), "details"),
        (key(Action::ViewNext), "files"),
        (key(Action::Yank), "copy"),
        (key(Action::Leave), "back"),
    ]);
    let mut line = Line::raw(" ");
    line.spans.extend(popup::hints(&pairs, area.width.saturating_sub(2), cx).spans);
    frame.render_widget(Paragraph::new(line), area);
}

fn draw_waiting(screen: &ZarrScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let area = Rect { x: area.x + 2.min(area.width), width: area.width.saturating_sub(4), ..area };
    let mut lines = vec![Line::raw("")];
    match &screen.error {
        Some(err) => lines.extend(error_lines(err, usize::from(area.width), cx)),
        None => lines.push(Line::styled("reading…", plain(cx.theme.style(Role::Dim)))),
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// An error in words, and what can be done.
pub(super) fn error_lines<'a>(err: &crate::error::Error, width: usize, cx: &Cx) -> Vec<Line<'a>> {
    let bad = plain(cx.theme.style(Role::Bad));
    let rows = popup::wrapped(&err.to_string(), width);
    let mut lines: Vec<Line<'a>> = rows.into_iter().map(|row| Line::styled(row, bad)).collect();
    if let Some(hint) = err.hint() {
        lines.push(Line::raw(""));
        lines.extend(popup::wrapped(hint, width).into_iter().map(Line::raw));
    }
    lines
}

fn draw_tree(screen: &mut ZarrScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    screen.tree.keep(usize::from(area.height));
    let Some(zarr) = &screen.zarr else { return };
    let shown = screen.tree.shown();
    let lines = shown.iter().enumerate().skip(screen.tree.top).take(usize::from(area.height));
    let width = usize::from(area.width);
    for (y, (at, row)) in lines.enumerate() {
        let Some(member) = zarr.hierarchy().members.get(&row.path) else { continue };
        let fold = match (row.is_group, screen.tree.is_folded(&row.path), cx.unicode) {
            (false, _, unicode) => mark(&member.form, unicode),
            (true, true, true) => "▸ ",
            (true, false, true) => "▾ ",
            (true, true, false) => "+ ",
            (true, false, false) => "v ",
        };
        let line = tree_line(row.path.len(), row.path.last(), fold, member, width, cx);
        let here = Rect { y: area.y + y as u16, height: 1, ..area };
        let role = if screen.in_details { Role::CursorDim } else { Role::Cursor };
        let style = if at == screen.tree.cursor() { cx.theme.style(role) } else { Style::default() };
        frame.render_widget(Paragraph::new(line).style(style), here);
    }
}

/// `  ▦ tas          365×180×360 i16`.
fn tree_line<'a>(depth: usize, name: Option<&String>, fold: &str, member: &Member, width: usize, cx: &Cx) -> Line<'a> {
    let theme = &cx.theme;
    let indent = format!(" {}{fold}", "  ".repeat(depth.saturating_sub(1).min(8)));
    let (detail, role) = match &member.form {
        Form::Group => (String::new(), Role::Container),
        Form::Array(about) => (about.shape_and_type(), Role::Name),
        Form::Broken(_) => ("cannot be read".to_owned(), Role::Bad),
    };
    let detail = if cx.unicode { detail } else { detail.replace('×', "x") };
    let detail = text::fit(&detail, width / 2).into_owned();
    let room = width.saturating_sub(text::width(&indent) + text::width(&detail) + 2);
    let name = text::clean(name.map_or("(this array)", String::as_str)).into_owned();
    let name =
        text::fit(&format!("{name}{}", if matches!(member.form, Form::Group) { "/" } else { "" }), room).into_owned();
    let gap = width.saturating_sub(text::width(&indent) + text::width(&name) + text::width(&detail) + 1);
    Line::from(vec![
        Span::styled(indent, plain(theme.style(Role::Dim))),
        Span::styled(name, plain(theme.style(role))),
        Span::raw(" ".repeat(gap)),
        Span::styled(detail, plain(theme.style(Role::Dim))),
    ])
}

/// The lines about the member under the cursor.
fn details_of<'a>(screen: &ZarrScreen, width: usize, cx: &Cx) -> Vec<Line<'a>> {
    let (Some(path), Some(zarr)) = (screen.tree.path(), &screen.zarr) else { return Vec::new() };
    let Some(member) = zarr.hierarchy().members.get(&path) else { return Vec::new() };
    let theme = &cx.theme;
    let mut lines = Vec::new();
    let name = if path.is_empty() { screen.title() } else { path.join("/") };
    let name = text::fit_middle(&text::clean(&name), width).into_owned();
    lines.push(Line::styled(name, plain(theme.style(Role::Title)).add_modifier(Modifier::BOLD)));
    match &member.form {
        Form::Group => lines.push(Line::styled("group", plain(theme.style(Role::Dim)))),
        Form::Broken(why) => {
            let bad = plain(theme.style(Role::Bad));
            lines.extend(popup::wrapped(why, width).into_iter().map(|row| Line::styled(row, bad)));
        }
        Form::Array(about) => array_lines(screen, &path, member, about, width, cx, &mut lines),
    }
    let attributes = member.shown_attributes();
    if !attributes.is_empty() {
        lines.push(Line::raw(""));
        heading("Attributes", &mut lines, cx);
        for (name, value) in &attributes {
            pair(name, value, Role::Text, width, &mut lines, cx);
        }
    }
    if path.len() <= 1 {
        for note in zarr.hierarchy().notes.iter().take(5) {
            let warn = plain(theme.style(Role::Warn));
            lines.extend(popup::wrapped(note, width).into_iter().map(|row| Line::styled(row, warn)));
        }
        root_attributes(zarr, width, &mut lines, cx);
    }
    lines
}

/// What the root says of itself, below what its members say.
fn root_attributes(zarr: &Zarr, width: usize, lines: &mut Vec<Line<'_>>, cx: &Cx) {
    let Some(root) = zarr.hierarchy().root().filter(|root| matches!(root.form, Form::Group)) else { return };
    let attributes = root.shown_attributes();
    if !attributes.is_empty() && zarr.hierarchy().members.len() > 1 {
        lines.push(Line::raw(""));
        heading("The whole", lines, cx);
        for (name, value) in &attributes {
            pair(name, value, Role::Text, width, lines, cx);
        }
    }
}

fn array_lines(
    screen: &ZarrScreen,
    path: &crate::zarr::Path,
    member: &Member,
    about: &About,
    width: usize,
    cx: &Cx,
    lines: &mut Vec<Line<'_>>,
) {
    let named = member.words("long_name").or_else(|| member.words("standard_name"));
    let unit = member.words("units").filter(|unit| *unit != "1");
    let words = match (named, unit) {
        (Some(name), Some(unit)) => format!("{name}, in {unit}"),
        (Some(name), None) => name.to_owned(),
        (None, Some(unit)) => format!("in {unit}"),
        (None, None) => String::new(),
    };
    if !words.is_empty() {
        let words = text::fit(&text::clean(&words), width).into_owned();
        lines.push(Line::styled(words, plain(cx.theme.style(Role::Accent))));
    }
    lines.push(Line::raw(""));
    let detail = screen.details.get(path);
    if let Some(Ok(detail)) = detail {
        if let Some(value) = &detail.value {
            pair("Value", value, Role::Number, width, lines, cx);
        }
        if !detail.names.is_empty() {
            pair("Names", &format!("{}, …", detail.names.join(", ")), Role::String, width, lines, cx);
        }
    }
    if let Some(Err(err)) = detail {
        let bad = plain(cx.theme.style(Role::Bad));
        lines.extend(popup::wrapped(&err.to_string(), width).into_iter().map(|row| Line::styled(row, bad)));
        lines.push(Line::raw(""));
    }
    for (name, value) in about.facts() {
        let value = if cx.unicode { value } else { value.replace('×', "x") };
        pair(&name, &value, Role::Text, width, lines, cx);
    }
    if let Some(Ok(detail)) = detail
        && !detail.dimensions.is_empty()
    {
        lines.push(Line::raw(""));
        heading("Dimensions", lines, cx);
        let choice = screen.choice(path);
        for (at, (name, len, range)) in detail.dimensions.iter().enumerate() {
            let role = match choice {
                Some(choice) if choice.y == at => {
                    if cx.unicode {
                        "↓ "
                    } else {
                        "y "
                    }
                }
                Some(choice) if choice.x == at => {
                    if cx.unicode {
                        "→ "
                    } else {
                        "x "
                    }
                }
                _ => "  ",
            };
            let range = range.as_ref().map(|range| format!("   {range}")).unwrap_or_default();
            let range = if cx.unicode { range } else { range.replace('…', "..") };
            pair(&format!("{role}{name}"), &format!("{}{range}", text::count(*len)), Role::Number, width, lines, cx);
        }
        for (name, range) in edges(&detail.edges) {
            let range = if cx.unicode { range } else { range.replace('…', "..").replace('°', " ") };
            pair(&format!("  {name}"), &range, Role::Number, width, lines, cx);
        }
    }
}

/// Where the edges of a picture lie: `48.2°N … 65.9°N`.
fn edges(around: &[[f64; 2]]) -> Vec<(&'static str, String)> {
    let Some(extent) = crate::map::Extent::around(around) else { return Vec::new() };
    let words = |a: f64, b: f64, lon: bool| format!("{} … {}", degrees(a, lon, 2), degrees(b, lon, 2));
    vec![("latitude", words(extent.south, extent.north, false)), ("longitude", words(extent.west, extent.east, true))]
}

fn heading(words: &str, lines: &mut Vec<Line<'_>>, cx: &Cx) {
    lines.push(Line::styled(words.to_owned(), plain(cx.theme.style(Role::Title))));
}

/// `name        value`, the value in as many lines as it needs.
fn pair(name: &str, value: &str, role: Role, width: usize, lines: &mut Vec<Line<'_>>, cx: &Cx) {
    let names = NAMES.min(width / 2);
    let name = text::clean(name).into_owned();
    // A name that is longer takes its room from the value's first line.
    let taken = text::width(&name).max(names) + 1;
    let name = text::fit(&name, width.saturating_sub(8)).into_owned();
    let rows = popup::wrapped(value, width.saturating_sub(taken).max(8));
    for (at, row) in rows.into_iter().take(4).enumerate() {
        let lead = if at == 0 { name.clone() } else { String::new() };
        let gap = " ".repeat(taken.saturating_sub(text::width(&lead)));
        lines.push(Line::from(vec![
            Span::styled(lead, plain(cx.theme.style(Role::Dim))),
            Span::raw(gap),
            Span::styled(row, plain(cx.theme.style(role))),
        ]));
    }
}
