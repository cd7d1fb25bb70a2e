//! The statistics of a benchmark in a table, one line for each series.

use super::Paint;
use super::data::Data;
use super::words::{interval, ms, ratio};
use crate::bench::SeriesSummary;
use crate::text::{bytes, clean, fit_middle, rate, width};
use crate::theme::Role;
use crate::widgets::chart::mark;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// A column: title, width, what it shows, and the width of the screen from which on it is shown.
struct Column {
    title: &'static str,
    width: u16,
    from: u16,
    show: fn(&SeriesSummary) -> String,
    role: Role,
}

const COLUMNS: [Column; 12] = [
    Column { title: "n", width: 4, from: 0, show: |s| s.n.to_string(), role: Role::Dim },
    Column { title: "mean ms", width: 9, from: 0, show: |s| ms(s.mean), role: Role::Number },
    Column {
        title: "95 % of mean",
        width: 17,
        from: 76,
        show: |s| if s.n < 3 { String::new() } else { interval(s.mean_ci95) },
        role: Role::Dim,
    },
    Column { title: "median", width: 9, from: 40, show: |s| ms(s.median), role: Role::Number },
    Column { title: "p90", width: 8, from: 52, show: |s| ms(s.p90), role: Role::Number },
    Column { title: "p99", width: 8, from: 60, show: |s| ms(s.p99), role: Role::Number },
    Column { title: "min", width: 8, from: 126, show: |s| ms(s.min), role: Role::Dim },
    Column { title: "max", width: 8, from: 118, show: |s| ms(s.max), role: Role::Dim },
    Column { title: "open", width: 8, from: 150, show: |s| ms(s.open_mean), role: Role::Dim },
    Column { title: "requests", width: 10, from: 140, show: |s| format!("{:.1}", s.requests), role: Role::Dim },
    Column { title: "read", width: 12, from: 160, show: |s| bytes(s.bytes as u64), role: Role::Dim },
    Column { title: "rate", width: 14, from: 110, show: |s| rate(s.bytes_per_second), role: Role::Dim },
];

/// Lines that it takes.
pub(super) fn height(data: &Data) -> u16 {
    data.series.len().max(1) as u16 + 1
}

pub(super) fn draw(data: &Data, area: Rect, buf: &mut Buffer, paint: Paint) {
    let dim = paint.style(Role::Dim);
    let ratio_width = match area.width {
        100.. => 24,
        70..100 => 9,
        _ => 0,
    };
    let shown: Vec<&Column> = COLUMNS.iter().filter(|c| c.from <= area.width).collect();
    let numbers: u16 = shown.iter().map(|c| c.width).sum::<u16>() + ratio_width;
    let names = area.width.saturating_sub(numbers + 2).min(40);
    let right = |x: u16, w: u16, y: u16, text: &str, style, buf: &mut Buffer| {
        let pad = w.saturating_sub(width(text) as u16);
        buf.set_stringn(x + pad, y, text, usize::from(w), style);
    };
    buf.set_stringn(area.x + 3, area.y, "series", usize::from(names.saturating_sub(3)), dim);
    let mut x = area.x + names;
    for column in &shown {
        right(x, column.width, area.y, column.title, dim, buf);
        x += column.width;
    }
    if ratio_width > 0 {
        right(x, ratio_width, area.y, if ratio_width > 10 { "slower than the fastest" } else { "ratio" }, dim, buf);
    }
    let fastest = fastest(data);
    for (i, facts) in data.series.iter().enumerate() {
        let y = area.y + 1 + i as u16;
        if y >= area.bottom() {
            break;
        }
        let style = paint.theme.chart(i);
        let name = fit_middle(&clean(&facts.name), usize::from(names.saturating_sub(4))).into_owned();
        buf.set_stringn(area.x + 1, y, format!("{} {name}", mark(i, paint.unicode)), usize::from(names), style);
        let Some(summary) = data.summary.series.iter().find(|s| s.series == facts.name) else {
            buf.set_stringn(area.x + names + 1, y, paint.glyph("…", "..."), 3, dim);
            continue;
        };
        let mut x = area.x + names;
        for column in &shown {
            right(x, column.width, y, &(column.show)(summary), paint.style(column.role), buf);
            x += column.width;
        }
        if ratio_width > 0 && data.series.len() > 1 {
            let is_fastest = fastest == Some(facts.name.as_str());
            let text = against(data, &facts.name, fastest, ratio_width > 10);
            let role = if is_fastest { Role::Good } else { Role::Text };
            right(x, ratio_width, y, &text, paint.style(role), buf);
        }
    }
}

/// The series with the smallest mean.
fn fastest(data: &Data) -> Option<&str> {
    let least = data.summary.series.iter().min_by(|a, b| a.mean.total_cmp(&b.mean));
    least.map(|s| s.series.as_str())
}

fn against(data: &Data, name: &str, fastest: Option<&str>, with_interval: bool) -> String {
    if Some(name) == fastest {
        return "fastest".to_owned();
    }
    let found = data.summary.ratios.iter().find(|r| r.slow == name && Some(r.fast.as_str()) == fastest);
    let enough = data.summary.series.iter().all(|s| s.n >= 3);
    found.map_or_else(String::new, |r| {
        if with_interval && enough { ratio(r.means) } else { super::words::times(r.means.ratio) }
    })
}
