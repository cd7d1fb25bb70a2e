//! Beside the picture: the legend below the histogram, statistics, values under the cursor, the world in small.

use super::draw::plain;
use super::layer::{Composed, Layer, Level};
use super::{RasterScreen, locate, status};
use crate::action::Action;
use crate::map::graticule::degrees;
use crate::map::short;
use crate::raster::color::{Summary, Tally, share, steps};
use crate::screen::{Cx, Screen as _};
use crate::terminal::Colours as Depth;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Heights of a histogram's columns.
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const BLOCKS_ASCII: [char; 9] = [' ', '.', '.', ':', ':', '=', '=', '#', '#'];
/// From little to much, without colours.
const RAMP: &[u8; 10] = b" .:-=+*#%@";
/// Lines of a histogram.
const TALL: usize = 4;
/// Columns that a label of the legend takes.
const LABEL: usize = 9;
/// Values under the cursor that stand before coordinates.
const MOST_VALUES: usize = 8;
/// Lines of the world in small, and those that must be left for it.
const WORLD: u16 = 9;
/// Letter and colour; strong enough to stay what they are among sixteen.
const CHANNELS: [(&str, Color); 3] =
    [("R", Color::Rgb(236, 72, 72)), ("G", Color::Rgb(60, 190, 70)), ("B", Color::Rgb(96, 150, 240))];

pub(super) fn draw(screen: &RasterScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let second = screen.compare.layer.as_ref().filter(|_| screen.compare.shows_second());
    let Some(layer) = second.or(screen.layer.as_ref()) else { return };
    let width = usize::from(area.width);
    let mut lines = Vec::new();
    if let Some(composed) = &layer.composed {
        if layer.is_classes() {
            classes(layer, composed, width, usize::from(area.height) / 2, cx, &mut lines);
        } else if layer.bands.len() > 1 {
            channels(screen, layer, composed, width, cx, &mut lines);
        } else {
            single(screen, layer, composed, width, cx, &mut lines);
        }
    }
    let outline = &layer.scene.about().outline;
    let world = screen.world.as_ref().filter(|_| !outline.is_empty());
    let height = usize::from(area.height);
    if screen.has_cursor {
        let room = height.saturating_sub(lines.len());
        under_cursor(screen, layer, width, room, cx, &mut lines);
    }
    if let Some(composed) = &layer.composed {
        statistics(screen, layer, composed, width, cx, &mut lines);
    }
    let used = lines.len() as u16;
    frame.render_widget(Paragraph::new(lines), area);
    if let Some(world) = world.filter(|_| area.height >= used + WORLD) {
        let at = Rect { y: area.bottom() - WORLD, height: WORLD, ..area };
        locate::draw_small(outline, world, frame, at, cx);
    }
}

fn styled<'a>(text: impl Into<String>, role: Role, cx: &Cx) -> Span<'a> {
    Span::styled(text.into(), plain(cx.theme.style(role)))
}

/// A line that begins with a title and is filled with a rule.
fn title<'a>(words: &str, width: usize, cx: &Cx) -> Line<'a> {
    let words = text::fit(&text::clean(words), width.saturating_sub(2)).into_owned();
    let rest = width.saturating_sub(text::width(&words) + 1);
    let rule = if cx.unicode { "─" } else { "-" };
    Line::from(vec![styled(format!("{words} "), Role::Title, cx), styled(rule.repeat(rest), Role::Border, cx)])
}

/// Name at the left, value at the right.
fn pair<'a>(name: &str, value: &str, width: usize, role: Role, cx: &Cx) -> Line<'a> {
    let (name, value) = (text::clean(name), text::clean(value));
    let kept = text::width(&name).min(width * 2 / 5);
    let value = text::fit(&value, width.saturating_sub(kept + 1)).into_owned();
    let name = text::fit(&name, width.saturating_sub(text::width(&value) + 1)).into_owned();
    let gap = width.saturating_sub(text::width(&name) + text::width(&value));
    Line::from(vec![styled(name, Role::Dim, cx), Span::raw(" ".repeat(gap)), styled(value, role, cx)])
}

/// The name of a band and its unit.
fn named(layer: &Layer, i: usize) -> String {
    let Some(band) = layer.band(i) else { return String::new() };
    let unit = band.unit.as_ref().map(|u| format!(" ({u})")).unwrap_or_default();
    format!("{}{unit}", band.name)
}

fn how(screen: &RasterScreen) -> String {
    let of = if screen.ink.visible { "in sight" } else { "of all" };
    format!("{} {of}", screen.ink.stretch.name())
}

/// One band: its histogram above the colours, their values below.
fn single(screen: &RasterScreen, layer: &Layer, composed: &Composed, width: usize, cx: &Cx, lines: &mut Vec<Line<'_>>) {
    lines.push(title(&named(layer, 0), width, cx));
    let (Some(limits), Some(summary)) = (composed.limits.each.first(), composed.visible.first()) else { return };
    let colors = screen.ink.map.colors(screen.ink.inverted);
    let counts = summary.histogram(*limits, width);
    let style = |column: usize| {
        let [r, g, b] = colors[column * 255 / width.saturating_sub(1).max(1)];
        Style::default().fg(Color::Rgb(r, g, b))
    };
    lines.extend(histogram(&counts, TALL, style, cx));
    lines.push(gradient(screen, width, cx));
    lines.push(labels(layer, *limits, width, cx));
    let turned = if screen.ink.inverted { ", turned round" } else { "" };
    for words in [format!("{}{turned}", screen.ink.map.name()), how(screen)] {
        lines.push(Line::from(styled(text::fit(&dots(&words, cx), width).into_owned(), Role::Dim, cx)));
    }
    lines.push(Line::raw(""));
}

fn dots(words: &str, cx: &Cx) -> String {
    if cx.unicode {
        words.to_owned()
    } else {
        words.replace(" · ", " - ").replace('–', "-").replace('±', "+-").replace('σ', "sd")
    }
}

/// Columns of a histogram, `tall` lines high; its highest column fills them.
fn histogram<'a>(counts: &[u64], tall: usize, style: impl Fn(usize) -> Style, cx: &Cx) -> Vec<Line<'a>> {
    let blocks = if cx.unicode { BLOCKS } else { BLOCKS_ASCII };
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let eighths = |n: u64| {
        let high = (n as f64 / most as f64 * (tall * 8) as f64).round() as usize;
        // What is there is seen.
        if n > 0 { high.max(1) } else { 0 }
    };
    let line = |row: usize| {
        let floor = (tall - 1 - row) * 8;
        let column = |(i, n): (usize, &u64)| {
            let part = eighths(*n).saturating_sub(floor).min(8);
            Span::styled(blocks[part].to_string(), style(i))
        };
        Line::from(counts.iter().enumerate().map(column).collect::<Vec<_>>())
    };
    (0..tall).map(line).collect()
}

/// The colours from the first to the last.
fn gradient<'a>(screen: &RasterScreen, width: usize, cx: &Cx) -> Line<'a> {
    let colors = screen.ink.map.colors(screen.ink.inverted);
    let (_, depth) = cx.gallery.shows();
    let shown = (0..width).map(|i| colors[i * 255 / width.saturating_sub(1).max(1)]);
    if depth == Depth::None {
        let level = |color: [u8; 3]| usize::from(color.iter().copied().max().unwrap_or(0)) * 9 / 255;
        return Line::from(shown.map(|color| char::from(RAMP[level(color)])).collect::<String>());
    }
    let cells = cx.gallery.swatches(shown).into_iter();
    Line::from(cells.map(|(glyph, style)| Span::styled(glyph.to_string(), style)).collect::<Vec<_>>())
}

/// A round value with as many digits as tell it from the next.
fn round(value: f64, apart: f64) -> String {
    if value != 0.0 && !(1e-4..1e6).contains(&value.abs()) {
        return short(value);
    }
    // Steps of 2.5 need one digit more than their size tells.
    let digits = (-apart.log10().floor()).clamp(0.0, 6.0) as usize;
    let is_round = (apart * 10_f64.powi(digits as i32)).fract().abs() < 1e-6;
    format!("{value:.*}", digits + usize::from(!is_round))
}

/// Round values where they belong below the colours; the limits themselves where there is no room for those.
fn labels<'a>(layer: &Layer, limits: (f64, f64), width: usize, cx: &Cx) -> Line<'a> {
    let band = layer.band(0).cloned().unwrap_or_default();
    let (a, b) = (band.physical(limits.0), band.physical(limits.1));
    let (low, high) = (a.min(b), a.max(b));
    let mut cells = vec![' '; width];
    let mut free = 0;
    let mut set = 0;
    let values = steps((low, high), (width / LABEL).max(1));
    let apart = values.windows(2).map(|w| w[1] - w[0]).next().unwrap_or(1.0);
    for value in values {
        let label: Vec<char> = round(value, apart).chars().collect();
        let place = share(value, (low, high));
        let place = if a <= b { place } else { 1.0 - place };
        let middle = (place * width.saturating_sub(1) as f64).round() as usize;
        let start = middle.saturating_sub(label.len() / 2).min(width.saturating_sub(label.len()));
        if start < free || start + label.len() > width {
            continue;
        }
        cells.splice(start..start + label.len(), label.iter().copied());
        free = start + label.len() + 1;
        set += 1;
    }
    if set < 2 {
        let (a, b) = (short(a), short(b));
        let gap = width.saturating_sub(text::width(&a) + text::width(&b)).max(1);
        return Line::from(styled(
            text::fit(&format!("{a}{}{b}", " ".repeat(gap)), width).into_owned(),
            Role::Number,
            cx,
        ));
    }
    Line::from(styled(cells.into_iter().collect::<String>(), Role::Number, cx))
}

/// Three bands: each with its histogram and limits.
fn channels(
    screen: &RasterScreen,
    layer: &Layer,
    composed: &Composed,
    width: usize,
    cx: &Cx,
    lines: &mut Vec<Line<'_>>,
) {
    lines.push(title("red, green, blue", width, cx));
    for (i, (letter, color)) in CHANNELS.into_iter().enumerate() {
        let (Some(limits), Some(summary)) = (composed.limits.each.get(i), composed.visible.get(i)) else { continue };
        let band = layer.band(i).cloned().unwrap_or_default();
        let range = format!("{} – {}", short(band.physical(limits.0)), short(band.physical(limits.1)));
        // The unit gives way before the numbers do.
        let (range, room) = (dots(&range, cx), width.saturating_sub(2));
        let full = named(layer, i);
        let name = if text::width(&full) + text::width(&range) < room { full } else { band.name.clone() };
        let mut line = pair(&name, &range, room, Role::Number, cx);
        line.spans.insert(0, Span::styled(format!("{letter} "), Style::default().fg(color)));
        lines.push(line);
        let counts = summary.histogram(*limits, width);
        lines.extend(histogram(&counts, 2, |_| Style::default().fg(color), cx));
    }
    let is_picture = layer.is_picture() && screen.ink.stretch == crate::raster::color::Stretch::Percentile;
    let mut words = if is_picture { "as stored".to_owned() } else { how(screen) };
    if composed.limits.gamma < 1.0 {
        words = format!("{words} · brightened γ {:.2}", composed.limits.gamma);
    }
    lines.push(Line::from(styled(text::fit(&dots(&words, cx), width).into_owned(), Role::Dim, cx)));
    lines.push(Line::raw(""));
}

/// Values that are names: those in sight, the most frequent first.
fn classes(layer: &Layer, composed: &Composed, width: usize, most: usize, cx: &Cx, lines: &mut Vec<Line<'_>>) {
    lines.push(title(&named(layer, 0), width, cx));
    let Some(summary) = composed.visible.first() else { return };
    let (counts, known) = (summary.frequent(), &layer.band(0).map(|b| b.classes.clone()).unwrap_or_default());
    let total: u64 = counts.iter().map(|(_, n)| n).sum::<u64>().max(1);
    let room = most.max(4);
    for (value, n) in counts.iter().take(room) {
        let class = known.iter().find(|c| (c.value - value).abs() < 0.5);
        let name = class.and_then(|c| c.name.clone()).unwrap_or_else(|| short(*value));
        let [r, g, b, _] = class.map_or([0; 4], |c| c.color);
        let part = format!("{:.1} %", *n as f64 * 100.0 / total as f64);
        let mut line = pair(&name, &part, width.saturating_sub(3), Role::Number, cx);
        line.spans
            .insert(0, Span::styled(if cx.unicode { "██ " } else { "## " }, Style::default().fg(Color::Rgb(r, g, b))));
        lines.push(line);
    }
    if counts.len() > room {
        lines.push(Line::from(styled(format!("and {} more in sight", counts.len() - room), Role::Faint, cx)));
    }
    lines.push(Line::raw(""));
}

/// Of what is in sight, approximately; of all, exactly, once that was counted.
fn statistics(
    screen: &RasterScreen,
    layer: &Layer,
    composed: &Composed,
    width: usize,
    cx: &Cx,
    lines: &mut Vec<Line<'_>>,
) {
    if layer.is_classes() {
        return;
    }
    let exact = screen.count.of(layer).filter(|_| !screen.compare.shows_second());
    let is_sharp = composed.made.view.scale <= 1.0 && composed.level == Level::Full;
    let words = match (exact, is_sharp) {
        (Some(_), _) => "all pixels, exact",
        (None, true) => "in sight",
        (None, false) => "in sight, about",
    };
    lines.push(title(words, width, cx));
    for i in 0..layer.bands.len() {
        let tally = exact.and_then(|tallies| tallies.get(i)).copied();
        let Some(tally) = tally.or_else(|| composed.visible.get(i).map(|s: &Summary| s.tally)) else { continue };
        if layer.bands.len() > 1 {
            let (letter, color) = CHANNELS[i.min(2)];
            let mut line = brief(layer, i, &tally, width.saturating_sub(2), cx);
            line.spans.insert(0, Span::styled(format!("{letter} "), Style::default().fg(color)));
            lines.push(line);
            continue;
        }
        lines.extend(full(layer, &tally, width, cx));
    }
    if let Some(done) = screen.count.progress() {
        let key = cx.keymap.label(screen.contexts(), Action::Cancel);
        let words = format!("counting… {:.0} %", done * 100.0);
        lines.push(pair(&words, &format!("{key} stops"), width, Role::Dim, cx));
    } else if exact.is_none() {
        let key = cx.keymap.label(screen.contexts(), Action::Statistics);
        lines.push(Line::from(vec![
            Span::styled(key, plain(cx.theme.style(Role::Key))),
            styled(" reads all pixels", Role::Dim, cx),
        ]));
    }
    lines.push(Line::raw(""));
}

fn full<'a>(layer: &Layer, tally: &Tally, width: usize, cx: &Cx) -> Vec<Line<'a>> {
    let band = layer.band(0).cloned().unwrap_or_default();
    let Some((min, max)) = tally.extremes() else {
        return vec![Line::from(styled("no values", Role::Dim, cx))];
    };
    let factor = band.scale.map_or(1.0, |(factor, _)| factor.abs());
    let number = |v: f64| short(band.physical(v));
    let mut rows = vec![
        ("least", number(min)),
        ("greatest", number(max)),
        ("mean", number(tally.mean)),
        ("deviation", short(tally.deviation() * factor)),
    ];
    if tally.empty > 0 {
        let all = (tally.empty + tally.count).max(1);
        rows.push(("no data", format!("{:.1} %", tally.empty as f64 * 100.0 / all as f64)));
    }
    rows.into_iter().map(|(name, value)| pair(name, &value, width, Role::Number, cx)).collect()
}

fn brief<'a>(layer: &Layer, i: usize, tally: &Tally, width: usize, cx: &Cx) -> Line<'a> {
    let band = layer.band(i).cloned().unwrap_or_default();
    let Some((min, max)) = tally.extremes() else { return Line::from(styled("no values", Role::Dim, cx)) };
    let number = |v: f64| short(band.physical(v));
    let range = dots(&format!("{} – {}", number(min), number(max)), cx);
    let mean = format!("mean {}", number(tally.mean));
    // Half a number would be another one: the limits stand above.
    let fits = text::width(&mean) + text::width(&range) < width;
    pair(&mean, if fits { &range } else { "" }, width, Role::Number, cx)
}

/// Where the cursor is, and what lies there in all bands.
fn under_cursor(screen: &RasterScreen, layer: &Layer, width: usize, room: usize, cx: &Cx, lines: &mut Vec<Line<'_>>) {
    if room < 3 {
        return;
    }
    let about = layer.scene.about();
    let (x, y) = super::spot::pixel(screen.cursor);
    let known = screen.spot.of(screen.cursor, layer);
    let world = status::own_place(about, screen.cursor);
    let mut places = Vec::new();
    let degrees_here = known.and_then(|k| k.as_ref().ok()?.degrees).or(world.filter(|_| about.is_degrees));
    if let Some([lon, lat]) = degrees_here {
        places.push(pair("latitude", &degrees(lat, false, 6), width, Role::Accent, cx));
        places.push(pair("longitude", &degrees(lon, true, 6), width, Role::Accent, cx));
    }
    for i in 0..world.filter(|_| !about.is_degrees).map_or(0, |_| 2) {
        let words = status::direction(about, i, world.unwrap_or_default()[i], [x, y][i]);
        let (name, value) = words.split_once(' ').unwrap_or((&words, ""));
        places.push(pair(name, value, width, Role::Text, cx));
    }
    places.push(pair("column, row", &format!("{}, {}", text::count(x), text::count(y)), width, Role::Text, cx));
    lines.push(title("under the cursor", width, cx));
    if let Some(Ok(known)) = known {
        // Values go first; where there are many, the line below the picture tells the place.
        let left = room.saturating_sub(2 + places.len()).max(MOST_VALUES.min(room.saturating_sub(2)));
        let shown = if about.bands.len() > left { left.saturating_sub(1) } else { about.bands.len() };
        for (band, value) in about.bands.iter().zip(&known.values).take(shown) {
            let role = if value.is_nan() { Role::Faint } else { Role::Number };
            lines.push(pair(&band.name, &status::exact(band, *value), width, role, cx));
        }
        if shown < about.bands.len() {
            lines.push(Line::from(styled(format!("and {} more bands", about.bands.len() - shown), Role::Faint, cx)));
        }
    }
    lines.extend(places);
    lines.push(Line::raw(""));
}

/// The legend in one line, where nothing stands beside the picture.
pub(super) fn legend_line<'a>(screen: &RasterScreen, width: usize, cx: &Cx) -> Line<'a> {
    let second = screen.compare.layer.as_ref().filter(|_| screen.compare.shows_second());
    let Some((layer, composed)) = second.or(screen.layer.as_ref()).and_then(|l| Some((l, l.composed.as_ref()?))) else {
        return Line::raw("");
    };
    if layer.bands.len() > 1 || layer.is_classes() {
        let names: Vec<String> = (0..layer.bands.len()).map(|i| named(layer, i)).collect();
        let words =
            if layer.is_classes() { names.join(" ") } else { format!("{} · {}", names.join(", "), how(screen)) };
        let words = text::fit(&text::clean(&dots(&words, cx)), width.saturating_sub(2)).into_owned();
        return Line::from(vec![Span::raw(" "), styled(words, Role::Dim, cx)]);
    }
    let Some(limits) = composed.limits.each.first() else { return Line::raw("") };
    let band = layer.band(0).cloned().unwrap_or_default();
    let unit = band.unit.as_ref().map(|u| format!(" {u}")).unwrap_or_default();
    let (low, high) = (short(band.physical(limits.0)), format!("{}{unit}", short(band.physical(limits.1))));
    let bar = width.saturating_sub(text::width(&low) + text::width(&high) + 4).clamp(1, 40);
    let mut line = gradient(screen, bar, cx);
    line.spans.insert(0, styled(format!(" {low} "), Role::Number, cx));
    line.spans.push(styled(format!(" {} ", text::clean(&high)), Role::Number, cx));
    let rest = width.saturating_sub(line.width());
    let words = dots(&format!("{} · {}", screen.ink.map.name(), how(screen)), cx);
    if rest > text::width(&words) {
        line.spans.push(styled(words, Role::Dim, cx));
    }
    line
}
