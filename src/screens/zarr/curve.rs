//! How a plot looks: a line in braille, gaps where nothing is, every dot column from its smallest to its largest
//! value; round numbers and dates at the axes; sliders below.

use super::draw::{bar, error_lines, plain};
use super::plot::Plot;
use crate::action::Action;
use crate::quantity::plain as number;
use crate::screen::{Cx, Screen as _};
use crate::screens::popup;
use crate::text;
use crate::theme::Role;
use crate::widgets::map::dots::{line, point};
use crate::widgets::map::{Canvas, DOTS, Look, Map, Tick};
use crate::zarr::{Date, Encoding, Ruler, Series};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Inks of the ground: lines of the grid, and the cursor's.
const GRID: u8 = 1;
const CURSOR: u8 = 2;
/// Cells between labels.
const APART: u16 = 14;

/// The number of the year, month, day, … that a date lies in: another one begins where it changes.
type Key = fn(&Date) -> i64;
/// From fine to coarse, with the letters of a date that tell of them.
const STEPS: [(Key, usize); 14] = [
    (|d| d.year * 8_928 + i64::from(d.month) * 744 + i64::from(d.day) * 24 + i64::from(d.ms / 3_600_000), 16),
    (|d| d.year * 2_232 + i64::from(d.month) * 186 + i64::from(d.day) * 6 + i64::from(d.ms / 21_600_000), 16),
    (|d| d.year * 372 + i64::from(d.month) * 31 + i64::from(d.day), 10),
    (|d| d.year * 72 + i64::from(d.month) * 6 + i64::from((d.day - 1) / 5).min(5), 10),
    (|d| d.year * 24 + i64::from(d.month) * 2 + i64::from((d.day - 1) / 15).min(1), 10),
    (|d| d.year * 12 + i64::from(d.month) - 1, 7),
    (|d| (d.year * 12 + i64::from(d.month) - 1).div_euclid(3), 7),
    (|d| (d.year * 12 + i64::from(d.month) - 1).div_euclid(6), 7),
    (|d| d.year, 4),
    (|d| d.year.div_euclid(2), 4),
    (|d| d.year.div_euclid(5), 4),
    (|d| d.year.div_euclid(10), 4),
    (|d| d.year.div_euclid(50), 4),
    (|d| d.year.div_euclid(200), 4),
];

/// A line that was drawn, and for what.
pub(super) struct Curve {
    canvas: Canvas,
    beside: Vec<Tick>,
    below: Vec<Tick>,
    key: (Rect, (u64, u64), u64),
}

pub(super) fn draw(plot: &mut Plot, frame: &mut Frame, area: Rect, cx: &Cx) {
    let sliders = plot.rulers.len().saturating_sub(1).min(6) as u16;
    let below = if area.height > 8 + sliders { sliders } else { 0 };
    let [header, body, cursor, held, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(below),
        Constraint::Length(1),
    ])
    .areas(area);
    let name = text::clean(plot.path.last().map_or("array", String::as_str)).into_owned();
    bar(&name, &about(plot), &plot.control.0, frame, header, cx);
    draw_body(plot, frame, body, cx);
    draw_cursor_line(plot, frame, cursor, cx);
    draw_sliders(plot, frame, held, cx);
    draw_footer(plot, frame, footer, cx);
}

/// `Air temperature, in K · along time`.
fn about(plot: &Plot) -> String {
    let Ok(array) = &plot.array else { return String::new() };
    let encoding = array.encoding();
    let unit = if encoding.unit.is_empty() || encoding.times.is_some() {
        String::new()
    } else {
        format!("in {}", encoding.unit)
    };
    let mut parts: Vec<String> = [encoding.about.clone(), unit].into_iter().filter(|p| !p.is_empty()).collect();
    if plot.rulers.len() > 1 {
        parts.push(format!("along {}", plot.rulers[plot.along].name));
    }
    if let Some(series) = plot.series.as_ref().filter(|series| series.is_thinned()) {
        parts.push(format!("{} of {} values", text::count(series.span.count), text::count(series.span.len)));
    }
    parts.join(" · ")
}

fn draw_body(plot: &mut Plot, frame: &mut Frame, area: Rect, cx: &Cx) {
    let error = plot.array.as_ref().err().or(plot.error.as_ref());
    let inside = Rect { x: area.x + 2.min(area.width), width: area.width.saturating_sub(4), ..area };
    if let Some(err) = error {
        let mut lines = vec![Line::raw("")];
        lines.extend(error_lines(err, usize::from(inside.width), cx));
        frame.render_widget(Paragraph::new(lines), inside);
        return;
    }
    let (Some(series), Ok(array)) = (&plot.series, &plot.array) else {
        let dim = plain(cx.theme.style(Role::Dim));
        frame.render_widget(Paragraph::new(vec![Line::raw(""), Line::styled("reading…", dim)]), inside);
        return;
    };
    let encoding = array.encoding().clone();
    let Some(range) = range(series, plot.window) else {
        let words = "nothing is stored here: every value is missing";
        let warn = plain(cx.theme.style(Role::Warn));
        frame.render_widget(Paragraph::new(vec![Line::raw(""), Line::styled(words, warn)]), inside);
        return;
    };
    let marks = beside_marks(range, &encoding, area.height);
    let gutter = marks.iter().map(|(_, label)| text::width(label)).max().unwrap_or(3).clamp(3, 22) as u16 + 1;
    let area = Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(1),
    };
    let inner = Map::inner(area, gutter);
    if inner.is_empty() {
        return;
    }
    plot.columns = inner.width;
    let column = column_of(plot.at[plot.along], plot.window, inner.width);
    let key = (inner, plot.window, plot.at[plot.along]);
    if plot.curve.as_ref().is_none_or(|curve| curve.key != key) {
        let ruler = &plot.rulers[plot.along];
        let row = |value: f64| row_of(value, range, inner.height * DOTS.1);
        let beside: Vec<Tick> = marks
            .into_iter()
            .map(|(value, label)| Tick { at: (row(value) / f64::from(DOTS.1)) as u16, label })
            .collect();
        let below = below_marks(ruler, plot.window, inner.width);
        let mut canvas = Canvas::new(inner.width, inner.height);
        let right = f64::from(inner.width * DOTS.0) - 1.0;
        for tick in &beside {
            let y = f64::from(tick.at * DOTS.1) + 1.5;
            dashed(&mut canvas, y, right);
        }
        let x = f64::from(column * DOTS.0);
        line(&mut canvas.ground(), [x, 0.0], [x, f64::from(inner.height * DOTS.1) - 1.0], CURSOR);
        trace(&mut canvas, series, plot.window, range, (inner.width * DOTS.0, inner.height * DOTS.1));
        plot.curve = Some(Curve { canvas, beside, below, key });
    }
    let Some(curve) = &plot.curve else { return };
    let theme = &cx.theme;
    let style = |role| plain(theme.style(role));
    let look = Look {
        inks: vec![theme.chart(0)],
        marks: (!cx.unicode).then(|| vec!['*']),
        ground: vec![style(Role::Faint), style(Role::Dim)],
        frame: style(Role::Border),
        label: style(Role::Dim),
        cursor: style(Role::Accent),
        chosen: style(Role::Accent),
    };
    let widget = Map {
        canvas: Some(&curve.canvas),
        below: &curve.below,
        beside: &curve.beside,
        gutter,
        cursor: None,
        chosen: None,
        look: &look,
    };
    frame.render_widget(widget, area);
}

/// Every sixth dot, so that the grid stays behind the data.
fn dashed(canvas: &mut Canvas, y: f64, right: f64) {
    let mut x = 0.0;
    while x <= right {
        point(&mut canvas.ground(), [x, y], GRID);
        x += 4.0;
    }
}

/// The finite values in sight, with some room above and below.
fn range(series: &Series, window: (u64, u64)) -> Option<(f64, f64)> {
    let seen = visible(series, window);
    let finite = seen.filter_map(|(_, v)| v.is_finite().then_some(v));
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return None;
    }
    let span = high - low;
    let room = if span > 0.0 { span * 0.04 } else { low.abs().max(1.0) * 0.1 };
    Some((low - room, high + room))
}

/// Positions and values of what was read and is seen.
fn visible(series: &Series, (start, len): (u64, u64)) -> impl Iterator<Item = (u64, f64)> {
    // What was read is evenly spaced: the part in sight is found without looking at all of it.
    let index = |position: u64| {
        let from = position.saturating_sub(series.span.start);
        (u128::from(from) * u128::from(series.span.count) / u128::from(series.span.len.max(1))) as u64
    };
    let last = index(start.saturating_add(len)).saturating_add(1).min(series.span.count);
    let first = index(start).min(last);
    (first..last).map(|i| (series.span.position(i), series.values[i as usize]))
}

fn column_of(position: u64, (start, len): (u64, u64), width: u16) -> u16 {
    let at = u128::from(position.saturating_sub(start)) * u128::from(width) / u128::from(len.max(1));
    (at as u16).min(width.saturating_sub(1))
}

/// The dot of a value, from the top.
fn row_of(value: f64, (low, high): (f64, f64), dots: u16) -> f64 {
    let share = (value - low) / (high - low);
    (1.0 - share.clamp(0.0, 1.0)) * (f64::from(dots) - 1.0)
}

/// Draws the values: neighbours are joined, nothing is drawn where there is none.
fn trace(canvas: &mut Canvas, series: &Series, window: (u64, u64), range: (f64, f64), size: (u16, u16)) {
    let mut before: Option<[f64; 2]> = None;
    let mut layer = canvas.data();
    for (position, value) in visible(series, window) {
        if !value.is_finite() {
            before = None;
            continue;
        }
        let x = (position as f64 + 0.5 - window.0 as f64) / window.1.max(1) as f64 * f64::from(size.0);
        let here = [x.clamp(0.0, f64::from(size.0) - 1.0), row_of(value, range, size.1)];
        match before {
            Some(from) => line(&mut layer, from, here, 1),
            None => point(&mut layer, here, 1),
        }
        before = Some(here);
    }
}

/// Round values within the range with their labels.
fn beside_marks((low, high): (f64, f64), encoding: &Encoding, height: u16) -> Vec<(f64, String)> {
    let most = f64::from((height / 4).clamp(2, 12));
    let raw = (high - low) / most;
    let magnitude = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * magnitude).find(|s| *s >= raw).unwrap_or(raw);
    if !step.is_finite() || step <= 0.0 {
        return vec![(low, number(low))];
    }
    let first = (low / step).ceil();
    let count = ((high / step).floor() - first).clamp(0.0, 20.0) as u32;
    (0..=count)
        .map(|i| {
            let value = (first + f64::from(i)) * step;
            // Sums of tenths are not quite tenths.
            let value = if value.abs() < step * 1e-6 { 0.0 } else { value };
            let label = encoding.date(value).map_or_else(|| number(value), |date| date.day());
            (value, label)
        })
        .collect()
}

/// Labels below: at round dates where these are times, else at round positions with their words.
fn below_marks(ruler: &Ruler, window: (u64, u64), width: u16) -> Vec<Tick> {
    let most = usize::from(width / APART).max(2);
    if ruler.is_time() {
        let dates = date_marks(ruler, window, width, most);
        if dates.len() > 1 {
            return dates;
        }
    }
    let raw = (window.1 / most as u64).max(1);
    let magnitude = 10_u64.pow(raw.ilog10());
    let step = [1, 2, 5, 10].into_iter().map(|m| m * magnitude).find(|s| *s >= raw).unwrap_or(raw);
    let first = window.0.div_ceil(step);
    (first..)
        .map_while(|i| i.checked_mul(step).filter(|at| *at < window.0 + window.1))
        .take(most + 2)
        .map(|at| Tick { at: column_of(at, window, width), label: ruler.words(at) })
        .collect()
}

/// Where years, months, days or hours begin: the finest of which not too many are in sight.
fn date_marks(ruler: &Ruler, window: (u64, u64), width: u16, most: usize) -> Vec<Tick> {
    let at = |column: u16| window.0 + (u128::from(column) * u128::from(window.1) / u128::from(width.max(1))) as u64;
    let dates: Vec<_> = (0..width)
        .map(|column| ruler.values.get(at(column) as usize).and_then(|value| ruler.encoding.date(*value)))
        .collect();
    for (key, letters) in STEPS {
        let begins = |pair: &[Option<Date>]| match (&pair[0], &pair[1]) {
            (Some(before), Some(here)) => key(before) != key(here),
            _ => false,
        };
        let columns: Vec<usize> = (1..dates.len()).filter(|at| begins(&dates[at - 1..=*at])).collect();
        if columns.len() <= most {
            let label = |at: &usize| {
                let words = dates[*at].as_ref().map(ToString::to_string).unwrap_or_default();
                words.chars().take(letters).collect::<String>()
            };
            return columns.iter().map(|at| Tick { at: *at as u16, label: label(at) }).collect();
        }
    }
    Vec::new()
}

/// Where the cursor is and what is there; smallest, largest and mean value at the right.
fn draw_cursor_line(plot: &Plot, frame: &mut Frame, area: Rect, cx: &Cx) {
    let (Some(ruler), Ok(array)) = (plot.rulers.get(plot.along), &plot.array) else { return };
    let theme = &cx.theme;
    let style = |role| plain(theme.style(role));
    let at = plot.at[plot.along];
    let mut spans = vec![Span::raw(" "), Span::styled(format!("{} ", ruler.name), style(Role::Name))];
    let place = format!("{} of {}", text::count(at + 1), text::count(ruler.len));
    spans.push(Span::styled(place, style(Role::Dim)));
    if ruler.range().is_some() {
        spans.push(Span::styled(format!("  {}", ruler.words(at)), style(Role::Text)));
    }
    if let Some(value) = plot.value() {
        let words = if value.is_nan() { "missing".to_owned() } else { array.encoding().words(value) };
        spans.push(Span::styled(format!("   {words}"), style(Role::Number)));
    }
    if plot.is_reading() && plot.series.is_some() {
        spans.push(Span::styled("   reading…", style(Role::Dim)));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
    let Some((low, high, mean, count)) = plot.series.as_ref().and_then(Series::statistics) else { return };
    let encoding = array.encoding();
    let words = |value: f64| encoding.date(value).map_or_else(|| number(value), |date| date.to_string());
    let missing = plot.series.as_ref().map_or(0, |series| series.values.len() - count);
    let mut told = vec![format!("min {}", words(low)), format!("max {}", words(high))];
    if missing > 0 {
        told.push(format!("{} missing", text::count(missing as u64)));
    }
    if encoding.times.is_none() {
        told.push(format!("mean {}", number(mean)));
    }
    // As much of it as there is room for.
    let room = usize::from(area.width).saturating_sub(used + 3);
    while told.iter().map(|words| text::width(words) + 2).sum::<usize>() > room + 2 {
        told.pop();
    }
    let line = Line::styled(format!("{} ", told.join("  ")), style(Role::Dim));
    let width = line.width().min(usize::from(area.width)) as u16;
    frame.render_widget(Paragraph::new(line), Rect { x: area.right() - width, width, ..area });
}

/// A line for each dimension that is held.
fn draw_sliders(plot: &Plot, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    let style = |role| plain(theme.style(role));
    let held: Vec<usize> = (0..plot.rulers.len()).filter(|at| *at != plot.along).collect();
    let names = held.iter().map(|at| text::width(&plot.rulers[*at].name)).max().unwrap_or(0).min(16);
    let length = usize::from(area.width / 3).clamp(6, 40);
    for (y, at) in (area.y..area.bottom()).zip(held) {
        let ruler = &plot.rulers[at];
        let is_chosen = at == plot.slider;
        let last = ruler.len.saturating_sub(1).max(1);
        let knob = (u128::from(plot.at[at]) * (length as u128 - 1) / u128::from(last)) as usize;
        let (rail, button, ends) = if cx.unicode { ("─", "●", ["├", "┤"]) } else { ("-", "o", ["|", "|"]) };
        let name = text::fit(&ruler.name, names).into_owned();
        let gap = " ".repeat(names.saturating_sub(text::width(&name)));
        let role = if is_chosen { Role::Accent } else { Role::Dim };
        let mark = if is_chosen && cx.unicode {
            "▸"
        } else if is_chosen {
            ">"
        } else {
            " "
        };
        let place = format!(" {} of {}", text::count(plot.at[at] + 1), text::count(ruler.len));
        let mut spans = vec![
            Span::styled(mark, style(Role::Accent)),
            Span::styled(name, style(if is_chosen { Role::Accent } else { Role::Name })),
            Span::raw(format!("{gap} ")),
            Span::styled(format!("{}{}", ends[0], rail.repeat(knob)), style(role)),
            Span::styled(button, style(if is_chosen { Role::Accent } else { Role::Text })),
            Span::styled(format!("{}{}", rail.repeat(length - 1 - knob), ends[1]), style(role)),
            Span::styled(place, style(Role::Dim)),
        ];
        if ruler.range().is_some() {
            spans.push(Span::styled(format!("  {}", ruler.words(plot.at[at])), style(Role::Text)));
        }
        frame.render_widget(Paragraph::new(Line::from(spans)), Rect { y, height: 1, ..area });
    }
}

fn draw_footer(plot: &Plot, frame: &mut Frame, area: Rect, cx: &Cx) {
    let key = |action| cx.keymap.label(plot.contexts(), action);
    let both = |a, b| format!("{}{}", key(a), key(b));
    let mut pairs =
        vec![(both(Action::Left, Action::Right), "cursor"), (both(Action::ZoomIn, Action::ZoomOut), "zoom")];
    if plot.rulers.len() > 1 {
        pairs.push((both(Action::StepBack, Action::StepForward), "move slider"));
        pairs.push((both(Action::Up, Action::Down), "other slider"));
        pairs.push((key(Action::PlaneNext), "other dimension"));
    }
    pairs.extend([
        (key(Action::ZoomAll), "all of it"),
        (key(Action::Yank), "copy value"),
        (key(Action::Leave), "back"),
    ]);
    let mut line = Line::raw(" ");
    line.spans.extend(popup::hints(&pairs, area.width.saturating_sub(2), cx).spans);
    frame.render_widget(Paragraph::new(line), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zarr::{Span as Positions, Times};

    #[test]
    fn round_values_stand_beside_a_plot() {
        let marks = beside_marks((-0.31, 0.42), &Encoding::default(), 20);
        let labels: Vec<_> = marks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["-0.2", "0", "0.2", "0.4"]);
        assert!(beside_marks((f64::MAX / -4.0, f64::MAX / 4.0), &Encoding::default(), 20).len() < 30);
    }

    #[test]
    fn years_months_or_days_are_told_below() {
        let times = Times::parse("days since 2000-01-01", None);
        let ruler = |days: usize| Ruler {
            len: days as u64,
            values: (0..days).map(|d| d as f64).collect(),
            encoding: Encoding { times, ..Encoding::default() },
            ..Ruler::default()
        };
        let labels = |days: usize| {
            let ticks = below_marks(&ruler(days), (0, days as u64), 70);
            ticks.into_iter().map(|tick| tick.label).collect::<Vec<_>>()
        };
        assert_eq!(labels(365 * 4), ["2001", "2002", "2003"]);
        assert_eq!(labels(120), ["2000-02", "2000-03", "2000-04"]);
        assert_eq!(labels(4), ["2000-01-02", "2000-01-03", "2000-01-04"]);
    }

    #[test]
    fn what_is_in_sight_of_a_thinned_series_is_found() {
        let span = Positions { start: 10, len: 1_000, count: 100 };
        let series = Series { span, values: (0..100).map(f64::from).collect() };
        let seen: Vec<_> = visible(&series, (110, 100)).collect();
        assert_eq!((seen.len(), seen[0]), (11, (115, 10.0)));
        assert_eq!(range(&series, (5_000, 10)), None);
    }
}
