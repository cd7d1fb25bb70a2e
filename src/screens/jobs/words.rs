//! Words and marks for jobs: states, amounts, times.

use crate::job::{JobView, State};
use crate::text;
use crate::theme::Role;
use std::time::Duration;

/// Mark, mark in ASCII, word and role of a state.
pub(super) fn state(state: &State) -> (&'static str, &'static str, &'static str, Role) {
    match state {
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
pub(super) fn kind(kind: &str, unicode: bool) -> &'static str {
    match (kind, unicode) {
        ("upload", true) => "↑",
        ("upload", false) => "^",
        ("download", true) => "↓",
        ("download", false) => "v",
        ("bench", true) => "≡",
        ("bench", false) => "=",
        (_, true) => "⟳",
        (_, false) => "~",
    }
}

/// The title without the verb that the mark says.
pub(super) fn name(view: &JobView) -> &str {
    view.title.strip_prefix(view.kind.as_str()).map_or(view.title.as_str(), |rest| rest.trim_start_matches([':', ' ']))
}

/// Whether what is done is counted in bytes.
fn in_bytes(view: &JobView) -> bool {
    matches!(view.kind.as_str(), "upload" | "download" | "copy" | "convert")
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

/// How much of the whole is done, 0 to 1; `None` where the whole is not known.
pub(super) fn fraction(view: &JobView) -> Option<f64> {
    (view.total > 0).then(|| (view.done as f64 / view.total as f64).clamp(0.0, 1.0))
}

/// ` 62 %`: never 100 before it is all done.
pub(super) fn percent(view: &JobView) -> String {
    fraction(view).map_or_else(String::new, |f| {
        let shown = if view.done < view.total { (f * 100.0).floor().min(99.0) } else { 100.0 };
        format!("{shown:.0} %")
    })
}

/// Time to go, in words that do not pretend: seconds in steps that one can trust.
pub(super) fn rough(d: Duration) -> String {
    let s = d.as_secs_f64().ceil() as u64;
    match s {
        0..=59 => format!("{s} s"),
        60..=599 => format!("{} min {:02} s", s / 60, s % 60 / 10 * 10),
        600..=3599 => format!("{} min", s.div_ceil(60)),
        3600..=86_399 => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// Time to go with how much the recent rate varied: `~12 s ± 3 s`.
pub(super) fn to_go(view: &JobView, rates: &[(f64, f64)]) -> Option<String> {
    let eta = view.eta.filter(|_| view.state.is_active())?;
    let recent = &rates[rates.len().saturating_sub(24)..];
    let n = recent.len() as f64;
    let mean = recent.iter().map(|r| r.1).sum::<f64>() / n.max(1.0);
    let spread = (recent.iter().map(|r| (r.1 - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
    let words = rough(eta);
    if recent.len() < 4 || mean <= 0.0 {
        return Some(format!("~{words}"));
    }
    // The mean of n rates varies less than one of them; neighbours are alike, so by half as many.
    let off = eta.mul_f64((spread / mean / (n / 2.0).sqrt()).clamp(0.0, 2.0));
    Some(if off.as_secs() == 0 { format!("~{words}") } else { format!("~{words} ± {}", rough(off)) })
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

/// What came of a job that has ended, in a sentence.
pub(super) fn ending(view: &JobView, retry: &str) -> String {
    match &view.state {
        State::Failed(why) => why.clone(),
        State::Interrupted => format!("its program ended before it; can be resumed: {retry}"),
        State::Cancelled => format!("stopped after {}", text::duration(view.elapsed)),
        State::Done => match &view.outcome {
            Some(outcome) if !outcome.summary.is_empty() => outcome.summary.clone(),
            _ => format!("took {}", text::duration(view.elapsed)),
        },
        State::Queued | State::Running | State::Paused => view.step.clone(),
    }
}

/// All that is known of a job, line by line.
pub(super) fn all(view: &JobView) -> Vec<String> {
    let (_, _, word, _) = state(&view.state);
    let mut lines = vec![
        format!("{} {word}, began {}", view.kind, view.started.format("%Y-%m-%d %H:%M:%S UTC")),
        String::new(),
        format!("secchi {}", view.command.join(" ")),
    ];
    let end = ending(view, "retry");
    if !end.is_empty() {
        lines.extend([String::new(), end]);
    }
    if let Some(outcome) = &view.outcome {
        if !outcome.written.is_empty() {
            lines.extend([String::new(), "written:".to_owned()]);
            lines.extend(outcome.written.iter().map(|l| format!("  {l}")));
        }
        if !outcome.data.is_null() {
            let json = serde_json::to_string_pretty(&outcome.data).unwrap_or_default();
            lines.extend([String::new(), "result:".to_owned()]);
            lines.extend(json.lines().take(200).map(|l| format!("  {l}")));
        }
    }
    if !view.log.is_empty() {
        lines.extend([String::new(), "log:".to_owned()]);
        lines.extend(view.log.iter().map(|(t, line)| format!("  {}  {line}", since(view, *t))));
    }
    lines.into_iter().map(|l| text::clean(&l).into_owned()).collect()
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
