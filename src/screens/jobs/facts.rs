//! The numbers of a job: a column where there is room, else three lines.

use super::paint::Paint;
use super::words;
use crate::job::{JobView, State};
use crate::text::{bytes, count, duration, fit, rate, width};
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// A fact: label, value, role of the value. A label of `\n` begins a line.
pub(super) type Fact = (&'static str, String, Role);

/// Seconds over which the rate of now is taken.
const NOW: f64 = 5.0;

fn mean(view: &JobView) -> f64 {
    let seconds = view.elapsed.as_secs_f64();
    let c = view.counts;
    if seconds > 0.0 { c.bytes_in.saturating_add(c.bytes_out) as f64 / seconds } else { 0.0 }
}

fn troubles(view: &JobView) -> [Fact; 2] {
    let c = view.counts;
    [
        ("errors", count(c.errors), if c.errors > 0 { Role::Bad } else { Role::Number }),
        ("retries", count(c.retries), if c.retries > 0 { Role::Warn } else { Role::Number }),
    ]
}

/// All of them, in groups.
pub(super) fn facts(view: &JobView, unicode: bool) -> Vec<Fact> {
    let c = view.counts;
    let gap = || ("", String::new(), Role::Text);
    let mut out: Vec<Fact> = vec![
        ("done", join(&[words::amount(view), words::percent(view)]), Role::Number),
        ("elapsed", duration(view.elapsed), Role::Number),
    ];
    if let Some(eta) = words::to_go(view, unicode) {
        out.push(("eta", eta, Role::Number));
    }
    if view.attempt > 1 {
        out.push(("attempt", count(u64::from(view.attempt)), Role::Number));
    }
    out.push(gap());
    if view.state == State::Running {
        out.push(("now", rate(view.throughput.recent(NOW)), Role::Number));
    }
    out.push(("mean", rate(mean(view)), Role::Number));
    out.push(("sent", bytes(c.bytes_out), Role::Number));
    out.push(("received", bytes(c.bytes_in), Role::Number));
    out.push(gap());
    if view.state.is_active() {
        out.push(("in flight", count(view.in_flight), Role::Number));
    }
    out.push(("requests", count(c.requests), Role::Number));
    out.extend(troubles(view));
    if let Some([p50, p90, p99, max]) = view.latency {
        out.push(gap());
        for (label, us) in [("p50", p50), ("p90", p90), ("p99", p99), ("max", max)] {
            out.push((label, words::micros(us), Role::Number));
        }
    }
    out
}

/// The same in three lines at 80 columns.
pub(super) fn compact(view: &JobView, unicode: bool) -> Vec<Fact> {
    let break_line = || ("\n", String::new(), Role::Text);
    let mut out: Vec<Fact> = vec![("done", join(&[words::percent(view), words::amount(view)]), Role::Number)];
    if view.state == State::Running {
        if let Some(eta) = words::to_go(view, unicode) {
            out.push(("eta", eta, Role::Number));
        }
        out.push(("now", rate(view.throughput.recent(NOW)), Role::Number));
    } else if mean(view) >= 1.0 {
        out.push(("mean", rate(mean(view)), Role::Number));
    }
    out.push(("in", duration(view.elapsed), Role::Number));
    out.push(break_line());
    out.push(("requests", count(view.counts.requests), Role::Number));
    if view.state.is_active() {
        out.push(("in flight", count(view.in_flight), Role::Number));
    }
    out.extend(troubles(view));
    if let Some([p50, p90, p99, max]) = view.latency {
        out.push(break_line());
        out.push(("latency", String::new(), Role::Dim));
        for (label, us) in [("p50", p50), ("p90", p90), ("p99", p99), ("max", max)] {
            out.push((label, words::micros(us), Role::Number));
        }
    }
    out
}

fn join(parts: &[String]) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|p| !p.is_empty()).collect();
    if parts.is_empty() { "–".to_owned() } else { parts.join("  ") }
}

/// One below the other.
pub(super) fn column(facts: &[Fact], area: Rect, buf: &mut Buffer, paint: Paint) {
    // Groups lose the line between them before anything is lost.
    let tight = facts.len() > usize::from(area.height);
    let shown = facts.iter().filter(|f| !(tight && f.0.is_empty()));
    for (i, (label, value, role)) in shown.take(usize::from(area.height)).enumerate() {
        let y = area.y + i as u16;
        buf.set_stringn(area.x, y, label, usize::from(area.width), paint.style(Role::Dim));
        if area.width > 12 {
            let room = usize::from(area.width) - 11;
            buf.set_stringn(area.x + 11, y, fit(value, room), room, paint.style(*role));
        }
    }
}

/// One behind the other, in lines of at most `columns`.
pub(super) fn flow(facts: &[Fact], columns: usize, paint: Paint) -> Vec<Line<'static>> {
    let mut lines: Vec<Vec<Span<'static>>> = vec![vec![Span::raw("   ")]];
    let mut used = 3;
    for (label, value, role) in facts {
        let needs = width(label) + width(value) + 4;
        if *label == "\n" || used + needs > columns + 3 {
            lines.push(vec![Span::raw("   ")]);
            used = 3;
        }
        if *label == "\n" {
            continue;
        }
        used += needs;
        if let Some(line) = lines.last_mut() {
            line.push(Span::styled(format!("{label} "), paint.style(Role::Dim)));
            let gap = if value.is_empty() { "" } else { "   " };
            line.push(Span::styled(format!("{value}{gap}"), paint.style(*role)));
        }
    }
    lines.into_iter().map(Line::from).collect()
}
