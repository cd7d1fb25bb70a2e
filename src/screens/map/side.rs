//! Beside the map: how much of the table it shows, the true extent, the legend, the row under the cursor.

use super::MapScreen;
use super::ink::{self, Means};
use super::work::Built;
use crate::map::graticule::degrees;
use crate::map::sample::Want;
use crate::map::{Extent, Plane, Scale, View, draw_world, short};
use crate::screen::Cx;
use crate::table::format_cell;
use crate::text;
use crate::theme::Role;
use crate::widgets::map::{Canvas, DOTS, Look, Map};
use arrow::array::Array as _;
use chrono::DateTime;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Lines of the world in small, which shows where what is seen lies.
const WORLD: u16 = 10;
/// It is shown where so many lines are left.
const ROOM: usize = 20;
/// Heights of a histogram's columns.
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn draw(map: &MapScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let width = usize::from(area.width);
    let mut lines = Vec::new();
    if let Some(built) = &map.built {
        counts(map, built, width, cx, &mut lines);
        extent(map, built, width, cx, &mut lines);
        legend(map, built, width, cx, &mut lines);
    }
    if let Some(err) = map.error.as_ref().filter(|_| map.built.is_some()) {
        let bad = ink::plain(cx.theme.style(Role::Bad));
        let rows = crate::screens::wrapped(&err.to_string(), width);
        lines.extend(rows.into_iter().map(|row| Line::styled(row, bad)));
        lines.push(Line::raw(""));
    }
    let used = lines.len();
    let height = usize::from(area.height);
    let with_world = map.built.is_some() && height > used + ROOM && seen_is_small(map);
    let below = if with_world { usize::from(WORLD) + 1 } else { 0 };
    under_cursor(map, width, height.saturating_sub(used + below), cx, &mut lines);
    frame.render_widget(Paragraph::new(lines), area);
    if with_world {
        let at = Rect { y: area.bottom().saturating_sub(WORLD), height: WORLD, ..area };
        draw_locator(map, frame, at, cx);
    }
}

fn styled<'a>(text: impl Into<String>, role: Role, cx: &Cx) -> Span<'a> {
    Span::styled(text.into(), ink::plain(cx.theme.style(role)))
}

/// A line that begins with a title and is filled with a rule.
fn title<'a>(words: &str, width: usize, cx: &Cx) -> Line<'a> {
    let words = text::fit(&text::clean(words), width.saturating_sub(2)).into_owned();
    let rest = width.saturating_sub(text::width(&words) + 1);
    Line::from(vec![styled(format!("{words} "), Role::Title, cx), styled("─".repeat(rest), Role::Border, cx)])
}

/// Name at the left, value at the right.
fn pair<'a>(name: &str, value: &str, width: usize, role: Role, cx: &Cx) -> Line<'a> {
    let (name, value) = (text::clean(name), text::clean(value));
    // The value goes first, but for two fifths that the name may need.
    let kept = text::width(&name).min(width * 2 / 5);
    let value = text::fit(&value, width.saturating_sub(kept + 1)).into_owned();
    let room = width.saturating_sub(text::width(&value) + 1);
    let name = text::fit(&name, room).into_owned();
    let gap = width.saturating_sub(text::width(&name) + text::width(&value));
    Line::from(vec![styled(name, Role::Dim, cx), Span::raw(" ".repeat(gap)), styled(value, role, cx)])
}

/// How many features of how many rows.
fn counts(map: &MapScreen, built: &Built, width: usize, cx: &Cx, lines: &mut Vec<Line<'_>>) {
    let Some(loaded) = &map.loaded else { return };
    let shown = built.scene.count as u64;
    let of = loaded.total.map_or_else(|| "?".to_owned(), text::count);
    let first = vec![
        styled(text::count(shown), Role::Number, cx),
        styled(" of ", Role::Dim, cx),
        styled(of, Role::Number, cx),
        styled(" rows", Role::Dim, cx),
    ];
    lines.push(Line::from(first));
    let how = match (map.want, loaded.whole) {
        _ if loaded.full => "as many as can be held".to_owned(),
        (Want::All, true) => "all that have a place".to_owned(),
        (Want::Sample(n), true) if loaded.features.len() as u64 <= n => "all that have a place".to_owned(),
        (Want::Sample(_), true) => "a random sample".to_owned(),
        (Want::Sample(_), false) if loaded.total.is_none() => "its first rows".to_owned(),
        (Want::Sample(_), false) => "a sample in 32 runs".to_owned(),
        (Want::All, false) => "reading all…".to_owned(),
    };
    lines.push(Line::from(styled(text::fit(&how, width).into_owned(), Role::Dim, cx)));
    if loaded.features.without > 0 {
        let words = format!("{} without a place", text::count(loaded.features.without));
        lines.push(Line::from(styled(text::fit(&words, width).into_owned(), Role::Warn, cx)));
    }
    lines.push(Line::raw(""));
}

/// The true extent, and in what reference system the table has it.
fn extent(map: &MapScreen, built: &Built, width: usize, cx: &Cx, lines: &mut Vec<Line<'_>>) {
    let (Some(loaded), Some(plan)) = (&map.loaded, &map.plan) else { return };
    let Some(extent) = loaded.extent.or(built.scene.extent) else { return };
    lines.push(title(if loaded.whole { "extent of all rows" } else { "extent of the sample" }, width, cx));
    let [first, second] = in_words(&extent, loaded.earth);
    for row in [first, second] {
        lines.push(Line::from(styled(text::fit(&row, width).into_owned(), Role::Text, cx)));
    }
    let words = if loaded.earth { plan.reference.words.clone() } else { "reference system not known".to_owned() };
    let role = if loaded.earth { Role::Dim } else { Role::Warn };
    lines.push(Line::from(styled(text::fit(&text::clean(&words), width).into_owned(), role, cx)));
    if plan.reference.is_projected() {
        lines.push(Line::from(styled("shown in degrees", Role::Dim, cx)));
    }
    lines.push(Line::raw(""));
}

fn in_words(extent: &Extent, earth: bool) -> [String; 2] {
    if !earth {
        let range = |a: f64, b: f64| format!("{} – {}", short(a), short(b));
        return [range(extent.west, extent.east), range(extent.south, extent.north)];
    }
    let size = extent.width().max(extent.north - extent.south).max(1e-6);
    let places = (2.0 - size.log10()).ceil().clamp(0.0, 6.0) as usize;
    let range = |a: f64, b: f64, longitude: bool| {
        format!("{} – {}", degrees(a, longitude, places), degrees(b, longitude, places))
    };
    if extent.width() >= 359.99 {
        return ["180°W – 180°E".to_owned(), range(extent.south, extent.north, false)];
    }
    [range(extent.west, extent.east, true), range(extent.south, extent.north, false)]
}

/// What the colours mean.
fn legend(map: &MapScreen, built: &Built, width: usize, cx: &Cx, lines: &mut Vec<Line<'_>>) {
    let means = Means::of(cx);
    let styles = ink::styles(&built.scale, means, cx);
    let marks = ink::marks(&built.scale, means, cx.unicode);
    let name = map.plan.as_ref().and_then(|plan| plan.colour.clone());
    lines.push(title(name.as_deref().unwrap_or("one colour"), width, cx));
    let missing = match &built.scale {
        Scale::Plain => 0,
        Scale::Numbers { between, extremes, steps, missing } => {
            let steps = usize::from(*steps);
            lines.push(histogram(&built.counts, steps, width, &styles));
            lines.push(gradient(steps, width, &styles, marks.as_deref()));
            let say = |v: f64| if map.is_time() { time(v) } else { short(v) };
            let mark = |beyond: bool, sign: &str, v: f64| format!("{}{}", if beyond { sign } else { "" }, say(v));
            let (less, more) = if cx.unicode { ("≤ ", "≥ ") } else { ("<= ", ">= ") };
            let low = mark(extremes.0 < between.0, less, between.0);
            let high = mark(extremes.1 > between.1, more, between.1);
            let gap = width.saturating_sub(text::width(&low) + text::width(&high)).max(1);
            lines.push(Line::from(styled(format!("{low}{}{high}", " ".repeat(gap)), Role::Dim, cx)));
            *missing
        }
        Scale::Words { entries, missing, .. } => {
            for entry in entries {
                let at = usize::from(entry.ink) - 1;
                let sign = marks.as_ref().and_then(|m| m.get(at)).copied().unwrap_or('●');
                let style = styles.get(at).copied().unwrap_or_default();
                let word = entry.word.clone().unwrap_or_else(|| format!("{} others", text::count(entry.words as u64)));
                let word = if word.is_empty() { "(empty)".to_owned() } else { word };
                let role = if entry.word.is_some() { Role::Text } else { Role::Dim };
                let n = text::count(built.counts.get(usize::from(entry.ink)).copied().unwrap_or(0));
                let mut line = pair(&word, &n, width.saturating_sub(2), Role::Number, cx);
                if let Some(span) = line.spans.first_mut() {
                    span.style = ink::plain(cx.theme.style(role));
                }
                line.spans.insert(0, Span::styled(format!("{sign} "), style));
                lines.push(line);
            }
            *missing
        }
    };
    if missing > 0 {
        let at = usize::from(built.scale.missing()) - 1;
        let sign = marks.as_ref().and_then(|m| m.get(at)).copied().unwrap_or('●');
        let shown = built.counts.get(at + 1).copied().unwrap_or(0);
        let mut line = pair("no value", &text::count(shown), width.saturating_sub(2), Role::Dim, cx);
        line.spans.insert(0, Span::styled(format!("{sign} "), styles.get(at).copied().unwrap_or_default()));
        lines.push(line);
    }
    lines.push(Line::raw(""));
}

/// How many features each step has, over its colours.
fn histogram<'a>(counts: &[u64], steps: usize, width: usize, styles: &[Style]) -> Line<'a> {
    let most = counts.iter().skip(1).take(steps).copied().max().unwrap_or(0).max(1);
    let column = |x: usize| {
        let step = x * steps / width.max(1);
        let count = counts.get(step + 1).copied().unwrap_or(0);
        let height = (count * 8).div_ceil(most).min(8) as usize;
        Span::styled(BLOCKS[height].to_string(), styles.get(step).copied().unwrap_or_default())
    };
    Line::from((0..width).map(column).collect::<Vec<_>>())
}

fn gradient<'a>(steps: usize, width: usize, styles: &[Style], marks: Option<&[char]>) -> Line<'a> {
    let column = |x: usize| {
        let step = x * steps / width.max(1);
        let sign = marks.and_then(|m| m.get(step)).copied().unwrap_or('█');
        Span::styled(sign.to_string(), styles.get(step).copied().unwrap_or_default())
    };
    Line::from((0..width).map(column).collect::<Vec<_>>())
}

fn time(seconds: f64) -> String {
    let at = DateTime::from_timestamp(seconds as i64, 0);
    at.map_or_else(|| short(seconds), |at| at.format("%Y-%m-%d").to_string())
}

/// The nearest feature: its row, and as many of its values as there is room for.
fn under_cursor(map: &MapScreen, width: usize, room: usize, cx: &Cx, lines: &mut Vec<Line<'_>>) {
    let (Some(built), true) = (&map.built, room > 1) else { return };
    let Some(pick) = map.pick else {
        let words = if map.is_busy() { "" } else { "nothing under the cursor" };
        lines.push(Line::from(styled(words, Role::Faint, cx)));
        return;
    };
    let number = built.scene.features.row(pick.feature);
    lines.push(title(&format!("row {}", text::count(number)), width, cx));
    let Some(row) = map.row.as_ref().filter(|row| row.number == number) else {
        lines.push(Line::from(styled("…", Role::Faint, cx)));
        return;
    };
    let (batch, plan) = (&row.batch, map.plan.as_ref());
    // The column that colours first, geometry last.
    let mut order: Vec<usize> = (0..batch.num_columns()).collect();
    let rank = |at: &usize| {
        let name = batch.schema().field(*at).name().clone();
        let colours = plan.and_then(|plan| plan.colour.as_ref()) == Some(&name);
        let geometry = plan.is_some_and(|plan| plan.geometry().contains(&name));
        u8::from(!colours) + u8::from(geometry)
    };
    order.sort_by_key(rank);
    let (all, fit) = (order.len(), room - 1);
    let shown = if all > fit { fit.saturating_sub(1) } else { all };
    for at in order.into_iter().take(shown) {
        let array = batch.column(at);
        let (value, role) = if batch.num_rows() == 0 || array.is_null(0) {
            ("∅".to_owned(), Role::Faint)
        } else {
            let role = if array.data_type().is_numeric() { Role::Number } else { Role::Text };
            (format_cell(batch, 0, at), role)
        };
        lines.push(pair(batch.schema().field(at).name(), &value, width, role, cx));
    }
    if shown < all {
        lines.push(Line::from(styled(format!("… {} more columns", all - shown), Role::Faint, cx)));
    }
}

/// Whether so little of the earth is seen that a map of the world tells more.
fn seen_is_small(map: &MapScreen) -> bool {
    map.view.and_then(|view| view.kilometres()).is_some_and(|km| km < 8_000.0)
}

/// The world in small, and where in it the map looks.
fn draw_locator(map: &MapScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let (Some(view), Some(built)) = (map.view, &map.built) else { return };
    let Some(middle) = view.plane.locate(view.centre) else { return };
    let world = Extent { west: -180.0, south: -58.0, east: 180.0, north: 80.0 };
    let dots = (u32::from(area.width * DOTS.0), u32::from(area.height * DOTS.1));
    let small = View::fit(Plane::Degrees, &world, dots);
    let mut canvas = Canvas::new(area.width, area.height);
    // Borders would only be noise at this size.
    draw_world(&built.world, &small, &mut Coasts(canvas.ground()), 1, 2);
    let dot = small.dot(middle);
    let cell = |v: f64, dots: u16, most: u16| (v / f64::from(dots)).clamp(0.0, f64::from(most.max(1) - 1)) as u16;
    let at = (cell(dot[0], DOTS.0, area.width), cell(dot[1], DOTS.1, area.height));
    let look = Look { ground: vec![ink::plain(cx.theme.style(Role::Faint)); 2], ..Look::default() };
    let widget =
        Map { canvas: Some(&canvas), below: &[], beside: &[], gutter: 0, cursor: None, chosen: None, look: &look };
    widget.draw_only(area, frame.buffer_mut());
    if let Some(cell) = frame.buffer_mut().cell_mut((area.x + at.0, area.y + at.1)) {
        cell.set_char('◉').set_style(ink::plain(cx.theme.style(Role::Key)));
    }
}

/// Leaves out what is drawn with the ink of borders.
struct Coasts<'a>(crate::widgets::map::Layer<'a>);

impl crate::widgets::map::dots::Dots for Coasts<'_> {
    fn size(&self) -> (i32, i32) {
        self.0.size()
    }

    fn set(&mut self, x: i32, y: i32, ink: u8) {
        if ink > 1 {
            self.0.set(x, y, ink);
        }
    }
}
