//! Words and marks for jobs: states, amounts, times.

use crate::job::{JobView, State};
use crate::text;
use crate::theme::Role;
use std::time::Duration;

/// Mark, mark in ASCII, word and role of a job's state.
pub(in crate::screens) fn state(view: &JobView) -> (&'static str, &'static str, &'static str, Role) {
    if view.state.is_active() && view.question.is_some() {
        return ("?", "?", "asks", Role::Warn);
    }
    match view.state {
        State::Queued => ("○", ".", "waits", Role::Dim),
        State::Running => ("▶", ">", "running", Role::Accent),
        State::Paused => ("‖", "|", "paused", Role::Warn),
        State::Done => ("✓", "+", "done", Role::Good),
        State::Failed(_) => ("✗", "x", "failed", Role::Bad),
        State::Cancelled => ("⊘", "-", "cancelled", Role::Warn),
        State::Interrupted => ("↯", "!", "interrupted", Role::Warn),
    }
}

/// The mark of a kind of job.
pub(in crate::screens) fn kind(kind: &str, unicode: bool) -> &'static str {
    match (kind, unicode) {
        ("upload", true) => "↑",
        ("upload", false) => "^",
        ("download", true) => "↓",
        ("download", false) => "v",
        ("copy", true) => "→",
        ("copy", false) => ">",
        ("delete" | "abort-uploads", true) => "✂",
        ("delete" | "abort-uploads", false) => "%",
        ("sync", true) => "⇄",
        ("sync", false) => "&",
        ("bench", true) => "≡",
        ("bench", false) => "=",
        (_, true) => "⟳",
        (_, false) => "~",
    }
}

/// The title without the verb that the mark says.
pub(in crate::screens) fn name(view: &JobView) -> &str {
    let title = view.title.as_str();
    title.strip_prefix(view.kind.as_str()).map_or(title, |rest| rest.trim_start_matches([':', ' ']))
}

/// Whether what is done is counted in bytes.
fn in_bytes(view: &JobView) -> bool {
    matches!(view.kind.as_str(), "upload" | "download" | "copy" | "sync" | "convert")
}

/// `131.4 of 212.0 MiB`, `3 of 12`, `1,204`.
pub(super) fn amount(view: &JobView) -> String {
    let words = |n| if in_bytes(view) { text::bytes(n) } else { text::count(n) };
    match (view.done, view.total) {
        (0, 0) => String::new(),
        (done, 0) => words(done),
        (done, total) => {
            let (done, total) = (words(done), words(total));
            // The unit once where it is the same.
            match (done.rsplit_once(' '), total.rsplit_once(' ')) {
                (Some((n, a)), Some((_, b))) if a == b => format!("{n} of {total}"),
                _ => format!("{done} of {total}"),
            }
        }
    }
}

/// `62 %`, or `3/12` of what is no bytes, for where there is little room.
pub(super) fn share(view: &JobView) -> String {
    if in_bytes(view) || view.total == 0 || view.total > 9_999 {
        percent(view)
    } else {
        format!("{}/{}", view.done, view.total)
    }
}

/// How much of the whole is done, 0 to 1; `None` where the whole is not known.
pub(super) fn fraction(view: &JobView) -> Option<f64> {
    (view.total > 0).then(|| (view.done as f64 / view.total as f64).clamp(0.0, 1.0))
}

/// ` 62 %`: never 100 before it is all done.
pub(in crate::screens) fn percent(view: &JobView) -> String {
    fraction(view).map_or_else(String::new, |f| {
        let shown = if view.done < view.total { (f * 100.0).floor().min(99.0) } else { 100.0 };
        format!("{shown:.0} %")
    })
}

/// How time to go is counted: seconds of a unit, its name, and the steps that one can trust.
fn unit_of(seconds: f64) -> (f64, &'static str, f64) {
    match seconds {
        s if s < 10.0 => (1.0, "s", 1.0),
        s if s < 55.0 => (1.0, "s", 5.0),
        s if s < 600.0 => (60.0, "min", 1.0),
        s if s < 5400.0 => (60.0, "min", 5.0),
        s if s < 36.0 * 3600.0 => (3600.0, "h", 0.5),
        _ => (86_400.0, "d", 1.0),
    }
}

/// Time to go as one can trust it: `2–3 min`, `~45 s` where the bounds are near, `under 1 min`.
pub(super) fn span([low, likely, high]: [Duration; 3], unicode: bool) -> String {
    let dash = if unicode { "–" } else { "-" };
    let (unit, name, step) = unit_of(high.as_secs_f64());
    let number = |v: f64| if v.fract() == 0.0 { format!("{v:.0}") } else { format!("{v:.1}") };
    let down = (low.as_secs_f64() / unit / step + 1e-9).floor() * step;
    let up = ((high.as_secs_f64() / unit / step - 1e-9).ceil() * step).max(step);
    if high.as_secs_f64() <= low.as_secs_f64() * 1.15 {
        let (unit, name, _) = unit_of(likely.as_secs_f64());
        // Known this well, it may be told a little finer than the steps.
        let step = if unit > 60.0 { 0.1 } else { 1.0 };
        let about = ((likely.as_secs_f64() / unit / step).round() * step).max(step);
        return format!("~{} {name}", number((about * 10.0).round() / 10.0));
    }
    if down <= 0.0 {
        format!("under {} {name}", number(up))
    } else {
        format!("{}{dash}{} {name}", number(down), number(up))
    }
}

/// Time to go of a job at work.
pub(super) fn to_go(view: &JobView, unicode: bool) -> Option<String> {
    let likely = view.eta.filter(|_| view.state == State::Running)?;
    let (low, high) = view.eta_range.unwrap_or((likely, likely));
    Some(span([low, likely, high], unicode))
}

/// A latency.
pub(super) fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", us / 1000),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

/// How long ago, in one unit.
pub(super) fn age(view: &JobView) -> String {
    let s = (chrono::Utc::now() - view.started).num_seconds().max(0);
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..86_400 => format!("{} h", s / 3600),
        _ => format!("{} d", s / 86_400),
    }
}

/// What came of a job that has ended, in a sentence; else what it does now.
pub(super) fn ending(view: &JobView, retry: &str) -> String {
    match &view.state {
        State::Failed(why) => why.clone(),
        State::Interrupted => {
            let far = percent(view);
            let far = if far.is_empty() { String::new() } else { format!(" at {far}") };
            format!("its program ended before it{far}; {retry} resumes it")
        }
        State::Cancelled => format!("stopped after {}", text::duration(view.elapsed)),
        State::Done => match &view.outcome {
            Some(outcome) if !outcome.summary.is_empty() => outcome.summary.clone(),
            _ => format!("took {}", text::duration(view.elapsed)),
        },
        State::Queued | State::Running | State::Paused => match &view.question {
            Some(question) => question.text.clone(),
            None => view.step.clone(),
        },
    }
}

/// When a line of the log was written, after the job's start.
pub(super) fn since(view: &JobView, t: chrono::DateTime<chrono::Utc>) -> String {
    let passed = (t - view.started).to_std().unwrap_or_default();
    if passed < Duration::from_mins(1) {
        format!("+{:.1} s", passed.as_secs_f64())
    } else {
        format!("+{}", text::duration(passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_to_go_does_not_pretend() {
        let words = |low: f64, likely: f64, high: f64| span([low, likely, high].map(Duration::from_secs_f64), true);
        assert_eq!(words(110.0, 130.0, 170.0), "1–3 min");
        assert_eq!(words(121.0, 150.0, 180.0), "2–3 min");
        assert_eq!(words(38.0, 44.0, 52.0), "35–55 s");
        assert_eq!(words(44.0, 45.0, 46.0), "~45 s");
        assert_eq!(words(2.0, 3.0, 9.0), "2–9 s");
        assert_eq!(words(0.2, 3.0, 9.0), "under 9 s");
        assert_eq!(words(20.0, 60.0, 300.0), "under 5 min");
        assert_eq!(words(3600.0, 4000.0, 5300.0), "60–90 min");
        assert_eq!(words(3600.0, 5000.0, 9000.0), "1–2.5 h");
        assert_eq!(words(9000.0, 9100.0, 9200.0), "~2.5 h");
        assert_eq!(words(90_000.0, 200_000.0, 300_000.0), "1–4 d");
        assert_eq!(words(0.0, 0.0, 0.0), "~1 s");
        assert_eq!(span([1, 2, 3].map(Duration::from_secs), false), "1-3 s");
    }
}
