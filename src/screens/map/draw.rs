//! The map, what stands above and below it.

use super::ink::{self, Means};
use super::{MapScreen, side};
use crate::action::Action;
use crate::map::graticule::{Graticule, Mark, degrees, scale_bar};
use crate::map::sample::Want;
use crate::map::{Plane, Scale, View, draw_features, draw_world};
use crate::screen::{Cx, Screen as _};
use crate::screens::popup;
use crate::text;
use crate::theme::Role;
use crate::widgets::map::{Canvas, DOTS, Map, Tick};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};
use std::sync::Arc;

/// Narrower than this there is nothing beside the map.
const FOLDS: u16 = 64;
/// Cells between labels, across and down.
const APART: [u16; 2] = [13, 5];
/// Columns for labels beside the map, until it is known how long they are.
pub(super) const GUTTER: u16 = 5;
/// Inks of the ground.
const GRID: u8 = 1;
const BORDER: u8 = 2;
const COAST: u8 = 3;

pub(super) fn draw(map: &mut MapScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(area);
    let width = side_width(body.width);
    let [left, gap, right] =
        Layout::horizontal([Constraint::Min(1), Constraint::Length(u16::from(width > 0)), Constraint::Length(width)])
            .areas(body);
    if map.built.is_some() {
        draw_map(map, frame, left, cx);
    } else {
        map.inner = Map::inner(left, map.gutter);
        draw_waiting(map, frame, left, cx);
    }
    if width > 0 {
        let line = Block::default()
            .borders(ratatui::widgets::Borders::LEFT)
            .border_style(ink::plain(cx.theme.style(Role::Border)));
        frame.render_widget(line, Rect { width: 1, ..gap });
        let inner = Rect { x: right.x + 1, width: right.width.saturating_sub(2), ..right };
        side::draw(map, frame, inner, cx);
    }
    // What is seen is known now.
    draw_header(map, frame, header, cx);
    draw_footer(map, frame, footer, cx);
}

fn side_width(width: u16) -> u16 {
    match width {
        0..FOLDS => 0,
        FOLDS..110 => 27,
        110..160 => 34,
        _ => 44,
    }
}

/// What it is a map of, where one looks, and what it costs.
fn draw_header(map: &MapScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    frame.render_widget(Block::default().style(theme.style(Role::Bar)), area);
    let dim = ink::plain(theme.style(Role::Dim));
    let state = state(map, cx);
    let state = text::fit(&state, usize::from(area.width / 2)).into_owned();
    let right = Line::from(vec![Span::styled(format!("{state} "), dim)]);
    let room = usize::from(area.width).saturating_sub(right.width() + 2);
    let mut spans = vec![Span::raw(" ")];
    let name = text::clean(map.probe.location.name()).into_owned();
    let place = place(map).map(|p| format!("   {p}")).unwrap_or_default();
    let name = text::fit_middle(&name, room.saturating_sub(6)).into_owned();
    let mut left = room.saturating_sub(text::width(&name) + 6);
    spans.push(Span::styled(name, ink::plain(theme.style(Role::Title))));
    spans.push(Span::styled(if cx.unicode { " ▸ map" } else { " > map" }, dim));
    if text::width(&place) > left {
        left = 0;
    }
    if left > 0 {
        spans.push(Span::styled(place, ink::plain(theme.style(Role::Accent))));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
    frame.render_widget(Paragraph::new(right).alignment(Alignment::Right), area);
}

/// The country in the middle of what is seen; a word where that is much of the world.
fn place(map: &MapScreen) -> Option<String> {
    let (view, built) = (map.view?, map.built.as_ref()?);
    if !view.plane.is_earth() {
        return Some("own coordinates".to_owned());
    }
    let across = view.kilometres()?;
    if across > 15_000.0 && view.plane == Plane::Degrees {
        return Some("World".to_owned());
    }
    match view.plane {
        Plane::North if across > 4_000.0 => return Some("Arctic".to_owned()),
        Plane::South if across > 4_000.0 => return Some("Antarctic".to_owned()),
        _ => {}
    }
    let middle = view.plane.locate(view.centre)?;
    built.world.country(middle).map(str::to_owned)
}

/// `reading 40,000 of 328,557 rows`, or what it took.
fn state(map: &MapScreen, cx: &Cx) -> String {
    if let Some(reading) = &map.reading {
        let (done, total) = reading.control.0.progress();
        let key = cx.keymap.label(map.contexts(), Action::Cancel);
        let stop = if map.loaded.is_some() { format!("   {key} stop") } else { String::new() };
        return match total {
            0 => format!("reading… {} rows{stop}", text::count(done)),
            total => format!("reading {} of {} rows{stop}", text::count(done), text::count(total)),
        };
    }
    if map.opening.is_some() {
        return "opening…".to_owned();
    }
    if map.building.is_some() {
        return "arranging…".to_owned();
    }
    map.control.0.meter.counts().received(if cx.unicode { " · " } else { " - " })
}

/// What is said before there is a map, or instead of one.
fn draw_waiting(map: &MapScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let area = Rect { x: area.x + 2.min(area.width), width: area.width.saturating_sub(4), ..area };
    let mut lines = vec![Line::raw("")];
    if let Some(err) = &map.error {
        let width = usize::from(area.width);
        let wrapped = |text: &str| popup::wrapped(text, width);
        let bad = ink::plain(cx.theme.style(Role::Bad));
        lines.extend(wrapped(&err.to_string()).into_iter().map(|row| Line::styled(row, bad)));
        if let Some(hint) = err.hint() {
            lines.push(Line::raw(""));
            lines.extend(wrapped(hint).into_iter().map(Line::raw));
        }
    } else if map.is_busy() {
        lines.push(Line::styled("reading…", ink::plain(cx.theme.style(Role::Dim))));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_map(map: &mut MapScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let Some(built) = &map.built else { return };
    let (scene, world, means) = (built.scene.clone(), built.world.clone(), Means::of(cx));
    let look = ink::look(&built.scale, means, cx);
    let area = Rect { x: area.x + 1.min(area.width), width: area.width.saturating_sub(1), ..area };
    // Labels need a gutter, whose width changes what is seen, and so the labels: it only grows.
    arrange(map, Map::inner(area, map.gutter));
    let Some(mut view) = map.view else { return };
    let graticule = |view: &View| {
        let apart = [APART[0] * DOTS.0, APART[1] * DOTS.1].map(f64::from);
        Graticule::new(view, apart)
    };
    let widest = |marks: &[Mark]| marks.iter().map(|m| text::width(&m.label)).max().unwrap_or(3) as u16;
    map.gutter = (widest(&graticule(&view).beside(&view)) + 1).clamp(map.gutter, 12);
    let gutter = map.gutter;
    let inner = Map::inner(area, gutter);
    if inner.is_empty() {
        return;
    }
    arrange(map, inner);
    view = map.view.unwrap_or(view);
    let lines = graticule(&view);
    let tick = |marks: Vec<Mark>, dots: u16| -> Vec<Tick> {
        marks.into_iter().map(|m| Tick { at: (m.dot / f64::from(dots)) as u16, label: m.label }).collect()
    };
    let (below, beside) = (tick(lines.below(&view), DOTS.0), tick(lines.beside(&view), DOTS.1));
    let cell = |at: [f64; 2]| {
        let dot = view.dot(at);
        let cell = |v: f64, dots: u16, most: u16| (v / f64::from(dots)).clamp(0.0, f64::from(most.max(1) - 1)) as u16;
        (cell(dot[0], DOTS.0, inner.width), cell(dot[1], DOTS.1, inner.height))
    };
    let chosen = map.corner.map(|corner| [cell(corner), map.cursor]);
    let pictured = map.is_pictured(cx).then_some(map.painted.as_ref()).flatten();
    let is_drawn = map.drawn.as_ref().is_some_and(|(v, s, _)| *v == view && Arc::ptr_eq(s, &scene));
    if pictured.is_none() && !is_drawn {
        let mut canvas = Canvas::new(inner.width, inner.height);
        lines.draw(&view, &mut canvas.ground(), GRID);
        draw_world(&world, &view, &mut canvas.ground(), BORDER, COAST);
        draw_features(&scene, &view, &mut canvas.data());
        map.drawn = Some((view, scene, canvas));
    }
    let canvas = pictured.is_none().then(|| map.drawn.as_ref().map(|(_, _, canvas)| canvas)).flatten();
    let widget = Map { canvas, below: &below, beside: &beside, gutter, cursor: Some(map.cursor), chosen, look: &look };
    frame.render_widget(widget, area);
    if let Some(painted) = pictured {
        cx.gallery.place(frame.buffer_mut(), inner, 0, &painted.picture);
    }
}

/// Fits the view to where the map is drawn.
fn arrange(map: &mut MapScreen, inner: Rect) {
    map.inner = inner;
    let dots = (u32::from(inner.width * DOTS.0), u32::from(inner.height * DOTS.1));
    match map.view.filter(|view| view.dots != dots) {
        Some(view) if !map.is_fitted => map.view = Some(view.resized(dots)),
        None if map.view.is_some() => {}
        _ => map.fit(),
    }
    map.cursor.0 = map.cursor.0.min(inner.width.saturating_sub(1));
    map.cursor.1 = map.cursor.1.min(inner.height.saturating_sub(1));
}

/// Where the cursor is, how long a kilometre is, and what can be done.
fn draw_footer(map: &MapScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    let mut spans = vec![Span::raw(" ")];
    if let (Some(view), Some([x, y])) = (map.view, map.cursor_place()) {
        let places = (-view.unit.log10()).ceil().clamp(0.0, 6.0) as usize + 1;
        let words = if view.plane.is_earth() {
            format!("{} {}", degrees(y, false, places), degrees(x, true, places))
        } else {
            format!("{x:.places$} {y:.places$}")
        };
        spans.push(Span::styled(words, ink::plain(theme.style(Role::Number))));
        spans.push(Span::raw("   "));
    }
    if let Some((km, dots)) = map.view.and_then(|view| scale_bar(&view, f64::from(12 * DOTS.0))) {
        let cells = ((dots / f64::from(DOTS.0)).round() as usize).max(2);
        let bar = format!("├{}┤", "─".repeat(cells - 2));
        let words =
            if km < 1.0 { format!(" {} m", (km * 1_000.0).round()) } else { format!(" {} km", text::count(km as u64)) };
        spans.push(Span::styled(bar, ink::plain(theme.style(Role::Dim))));
        spans.push(Span::styled(words, ink::plain(theme.style(Role::Dim))));
        spans.push(Span::raw("   "));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    let mut line = Line::from(spans);
    line.spans.extend(popup::hints(&pairs(map, cx), area.width.saturating_sub(used as u16 + 1), cx).spans);
    frame.render_widget(Paragraph::new(line), area);
}

fn pairs(map: &MapScreen, cx: &Cx) -> Vec<(String, &'static str)> {
    let key = |action| cx.keymap.label(map.contexts(), action);
    if map.built.is_none() {
        return vec![(key(Action::Leave), "back")];
    }
    if map.corner.is_some() {
        return vec![(key(Action::ChooseBox), "copy the box"), (key(Action::Back), "no box")];
    }
    let both = |a, b| format!("{}{}", key(a), key(b));
    let mut pairs = vec![(both(Action::ZoomIn, Action::ZoomOut), "zoom"), (key(Action::ZoomAll), "all of it")];
    if map.want != Want::All {
        pairs.push((both(Action::MoreRows, Action::FewerRows), "rows"));
    }
    if map.built.as_ref().is_some_and(|b| b.scale != Scale::Plain) || !map.choices.is_empty() {
        pairs.push((key(Action::ColourNext), "colour"));
    }
    pairs.push((both(Action::PanLeft, Action::PanRight), "pan"));
    pairs.push((key(Action::AllRows), "all rows"));
    pairs.push((key(Action::ChooseBox), "box"));
    pairs.push((key(Action::Projection), "projection"));
    pairs.push((key(Action::Drawing), "picture"));
    pairs
}
