//! The line above the picture, and those below it: axes, a legend in one line, what lies under the cursor.

use super::draw::{plain, side_width};
use super::layer::{Layer, Level};
use super::{RasterScreen, Shows, side};
use crate::map::graticule::degrees;
use crate::map::short;
use crate::scene::{Axis, Band};
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

/// Bands whose values stand in the line of the cursor.
const MOST_BANDS: usize = 6;

/// What it is, how large it is seen, what it cost.
pub(super) fn draw_header(screen: &RasterScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    frame.render_widget(Block::default().style(theme.style(Role::Bar)), area);
    let (dim, accent) = (plain(theme.style(Role::Dim)), plain(theme.style(Role::Accent)));
    let width = usize::from(area.width);
    let mut right = Vec::new();
    let (zoom, overview) = (zoom(screen), overview(screen));
    if let Some(zoom) = zoom {
        right.push(Span::styled(zoom, accent));
    }
    right.extend(overview.filter(|_| width >= 60).map(|words| Span::styled(format!("  {words}"), dim)));
    right.push(Span::styled(format!("  {} ", cost(screen, width, cx)), dim));
    let right = Line::from(right);
    let room = width.saturating_sub(right.width() + 2);
    let name = shown_name(screen);
    let summary = screen.layer.as_ref().map(|l| text::clean(&l.scene.about().summary).into_owned()).unwrap_or_default();
    let name = text::fit_middle(&text::clean(&name), room).into_owned();
    let left = room.saturating_sub(text::width(&name) + 2);
    let mut spans = vec![Span::raw(" "), Span::styled(name, plain(theme.style(Role::Title)))];
    if left >= 12 {
        spans.push(Span::styled(format!("  {}", text::fit(&summary, left)), dim));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
    frame.render_widget(Paragraph::new(right).alignment(Alignment::Right), area);
}

/// The name of what is seen: of two in the same place that which is seen now.
fn shown_name(screen: &RasterScreen) -> String {
    let second = screen.compare.layer.as_ref().filter(|_| screen.compare.shows_second());
    match second {
        Some(second) => format!("▸ {}", second.scene.about().title),
        None if screen.compare.is_flicker() => format!("◂ {}", screen.name),
        None => screen.name.clone(),
    }
}

/// `1:16`: so many pixels to a dot; `4:1` the other way.
fn zoom(screen: &RasterScreen) -> Option<String> {
    let scale = screen.view?.scale;
    let digits =
        |v: f64| if v >= 9.95 { format!("{v:.0}") } else { format!("{v:.1}").trim_end_matches(".0").to_owned() };
    Some(if scale >= 1.0 { format!("1:{}", digits(scale)) } else { format!("{}:1", digits(1.0 / scale)) })
}

fn overview(screen: &RasterScreen) -> Option<String> {
    let layer = screen.layer.as_ref()?;
    let n = layer.scene.about().overviews.len();
    Some(match layer.composed.as_ref()?.level {
        Level::Nothing => return None,
        Level::Overview(index) => format!("overview {} of {n}", index + 1),
        // An array has none, and that is nothing to be told.
        Level::Full if n == 0 && !layer.scene.about().axes.is_empty() => return None,
        Level::Full if n == 0 => "no overviews".to_owned(),
        Level::Full => "full resolution".to_owned(),
    })
}

fn cost(screen: &RasterScreen, width: usize, cx: &Cx) -> String {
    if screen.opening.is_some() {
        return "opening…".to_owned();
    }
    let counts = screen.control.0.meter.counts();
    let dot = if cx.unicode { "·" } else { "-" };
    let s = if counts.requests == 1 { "" } else { "s" };
    let mut words = format!("{} request{s} {dot} {}", text::count(counts.requests), text::bytes(counts.bytes_in));
    let reads = screen.layer.as_ref().is_some_and(Layer::is_reading);
    if let Some(took) = screen.layer.as_ref().and_then(|l| l.took).filter(|_| !reads && width >= 100) {
        words = format!("{words} {dot} {}", text::duration(took));
    }
    match (reads, width) {
        (true, _) => format!("reading… {words}"),
        (false, 0..60) => text::bytes(counts.bytes_in),
        _ => words,
    }
}

/// The lines below the picture.
pub(super) fn below<'a>(screen: &RasterScreen, area: Rect, cx: &Cx) -> Vec<Line<'a>> {
    let Some(layer) = screen.layer.as_ref().filter(|_| matches!(screen.shows, Shows::Picture)) else {
        return Vec::new();
    };
    let width = usize::from(area.width);
    let mut lines = Vec::new();
    if screen.has_cursor {
        lines.push(cursor(screen, layer, width, cx));
    }
    if side_width(screen, area.width) == 0 {
        lines.push(side::legend_line(screen, width, cx));
    }
    // The axis with the keys is always in sight.
    let room = usize::from(area.height).saturating_sub(lines.len());
    let axes = &layer.scene.about().axes;
    let first = (screen.axis + 1).saturating_sub(room).min(axes.len().saturating_sub(room));
    let widest = |of: &dyn Fn(usize) -> String| (0..axes.len()).map(|i| text::width(&of(i))).max().unwrap_or(0);
    let at = |i: usize| layer.at.get(i).copied().unwrap_or(0);
    let words = |i: usize| text::fit(&text::clean(&axes[i].words.of(at(i))), (width / 3).max(10)).into_owned();
    let names = widest(&|i| text::clean(&axes[i].name).into_owned()).min(width / 4);
    let widths = [names, widest(&words), widest(&|i| count_of(&axes[i], at(i)))];
    let mut all: Vec<Line<'a>> =
        (first..axes.len()).take(room).map(|i| slider(&axes[i], at(i), i == screen.axis, widths, width, cx)).collect();
    all.extend(lines);
    all
}

fn count_of(axis: &Axis, at: u64) -> String {
    format!("{} of {}", text::count(at + 1), text::count(axis.len))
}

/// `time ─────●───────  2024-01-12  12 of 365`; the columns of all axes stand below each other.
fn slider<'a>(axis: &Axis, at: u64, has_keys: bool, widths: [usize; 3], width: usize, cx: &Cx) -> Line<'a> {
    let ink = |role| plain(cx.theme.style(role));
    let padded = |text: &str, columns: usize| {
        let text = text::fit(&text::clean(text), columns).into_owned();
        let pad = " ".repeat(columns.saturating_sub(text::width(&text)));
        format!("{text}{pad}")
    };
    let [names, words, counts] = widths;
    let used = names + words + counts + 7;
    let track = width.saturating_sub(used).clamp(6, 60);
    let last = axis.len.saturating_sub(1).max(1) as f64;
    let mark = ((((track - 1) as f64) * at as f64 / last).round() as usize).min(track - 1);
    let (line, knob) = if cx.unicode { ("─", "●") } else { ("-", "o") };
    let role = if has_keys { Role::Focus } else { Role::Border };
    Line::from(vec![
        Span::styled(format!(" {} ", padded(&axis.name, names)), ink(if has_keys { Role::Title } else { Role::Dim })),
        Span::styled(line.repeat(mark), ink(role)),
        Span::styled(knob, ink(if has_keys { Role::Key } else { Role::Dim })),
        Span::styled(line.repeat(track - 1 - mark), ink(role)),
        Span::styled(
            format!("  {}", padded(&axis.words.of(at), words)),
            ink(if has_keys { Role::Accent } else { Role::Text }),
        ),
        Span::styled(format!("  {}", count_of(axis, at)), ink(Role::Dim)),
    ])
}

/// A value as it is stored, with all its digits.
pub(super) fn exact(band: &Band, value: f64) -> String {
    if value.is_nan() {
        return "no data".to_owned();
    }
    let is_short = band.dtype == "f32" && band.scale.is_none();
    let number = |v: f64| if is_short { format!("{}", v as f32) } else { format!("{v}") };
    let unit = band.unit.as_ref().map(|u| format!(" {u}")).unwrap_or_default();
    let physical = band.physical(value);
    let class = band.classes.iter().find(|c| (c.value - value).abs() < 0.5).and_then(|c| c.name.clone());
    match (band.scale, class) {
        (_, Some(class)) => format!("{} {class}", number(value)),
        // What is stored is told too: that is what other programs show.
        (Some(_), None) => format!("{}{unit} (stored {value})", short(physical)),
        (None, None) => format!("{}{unit}", number(value)),
    }
}

/// Values, longitude and latitude, pixel, own coordinates: as many as fit.
fn cursor<'a>(screen: &RasterScreen, layer: &Layer, width: usize, cx: &Cx) -> Line<'a> {
    let ink = |role| plain(cx.theme.style(role));
    let about = layer.scene.about();
    let (x, y) = super::spot::pixel(screen.cursor);
    let known = screen.spot.of(screen.cursor, layer);
    let mut parts: Vec<Vec<Span<'a>>> = Vec::new();
    match known {
        Some(Err(err)) => {
            parts.push(vec![Span::styled(text::fit(&err.to_string(), width / 2).into_owned(), ink(Role::Bad))]);
        }
        Some(Ok(known)) => {
            for &number in layer.bands.iter().take(MOST_BANDS) {
                let (Some(band), Some(value)) = (about.bands.get(number - 1), known.values.get(number - 1)) else {
                    continue;
                };
                let mut part = Vec::new();
                if layer.bands.len() > 1 {
                    part.push(Span::styled(format!("{} ", text::fit(&text::clean(&band.name), 12)), ink(Role::Dim)));
                }
                part.push(Span::styled(text::clean(&exact(band, *value)).into_owned(), ink(Role::Number)));
                parts.push(part);
            }
        }
        None => {
            let near = layer.pieces.value(&layer.key(), screen.cursor);
            for (i, value) in near.into_iter().flatten().enumerate() {
                let Some(band) = layer.band(i) else { continue };
                let value = if value.is_nan() { "no data".to_owned() } else { short(band.physical(f64::from(value))) };
                parts.push(vec![Span::styled(
                    format!("{} {value}", if cx.unicode { "≈" } else { "~" }),
                    ink(Role::Dim),
                )]);
            }
        }
    }
    let own = if about.is_degrees { about.place.world(screen.cursor) } else { None };
    if let Some([lon, lat]) = known.and_then(|k| k.as_ref().ok()?.degrees).or(own) {
        parts.push(vec![Span::styled(
            format!("{} {}", degrees(lat, false, 5), degrees(lon, true, 5)),
            ink(Role::Accent),
        )]);
    }
    parts.push(vec![Span::styled(format!("column {} row {}", text::count(x), text::count(y)), ink(Role::Text))]);
    if let Some(world) = own_place(about, screen.cursor).filter(|_| !about.is_degrees) {
        let words = [0, 1].map(|i| direction(about, i, world[i], [x, y][i]));
        parts.push(vec![Span::styled(words.join(" "), ink(Role::Dim))]);
    }
    let mut line = vec![Span::raw(" ")];
    let mut used = 1;
    for part in parts {
        let wide: usize = part.iter().map(Span::width).sum();
        let gap = if used > 1 { 3 } else { 0 };
        if used + gap + wide > width {
            continue;
        }
        used += gap + wide;
        line.push(Span::raw(" ".repeat(gap)));
        line.extend(part);
    }
    Line::from(line)
}

/// `x 512340.5 m`, `time 2024-06-01`.
pub(super) fn direction(about: &crate::scene::About, i: usize, value: f64, position: u64) -> String {
    let direction = &about.directions[i];
    let name = text::clean(&direction.name).into_owned();
    if let Some(words) = &direction.words {
        return format!("{name} {}", text::clean(&words.of(position)));
    }
    let step = about.place.step(about.size).map_or(1.0, |s| s[i]);
    let places = (1.0 - step.abs().max(1e-12).log10()).ceil().clamp(0.0, 8.0) as usize;
    let unit = direction.unit.as_deref().map(|u| if u == "°" { u.to_owned() } else { format!(" {u}") });
    format!("{name} {value:.places$}{}", text::clean(&unit.unwrap_or_default()))
}

/// The own coordinates of a place, or something in their stead where words tell them.
pub(super) fn own_place(about: &crate::scene::About, at: [f64; 2]) -> Option<[f64; 2]> {
    let in_words = about.directions.iter().all(|d| d.words.is_some()).then_some(at);
    about.place.world(at).or(in_words)
}
