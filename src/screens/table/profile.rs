//! The profile of a column: what the statistics of the file tell at once, then all of it, exactly.
//!
//! ```text
//!  h_mean  f64 m                                       exact, 7,600,000 rows
//!
//!  min         -12.31    p1      -2.02       ▂▅█▇▅▃▂▁
//!  max         4031.2    p25     118.4
//! ```

use super::layout::LayoutView;
use super::sheet::Sheet;
use crate::error::Result;
use crate::job::{JobId, State as JobState};
use crate::jobs::profile::Profile as ProfileJob;
use crate::location::Location;
use crate::screen::Cx;
use crate::table::profile::{self, Distinct, Histogram, Profile, rounded};
use crate::task::{Control, Pending};
use crate::text;
use crate::theme::Role;
use crate::widgets::{gauge, sparkline};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use std::collections::HashMap;

/// A column that takes no more bytes is read without asking.
const CHEAP: u64 = 32 << 20;

/// How far a column is.
enum Stage {
    /// Read at once, because it is small.
    Here(Pending<Profile>, Control),
    /// Read by a job.
    Job(JobId),
    Done(Box<Profile>),
    Failed(String),
    Stopped,
}

/// Profiles of the columns of a sheet, kept as long as the table is open.
#[derive(Default)]
pub(super) struct Profiles {
    /// By the column's place in the file.
    stages: HashMap<usize, Stage>,
    /// Columns whose size was looked at.
    asked: HashMap<usize, bool>,
}

impl Drop for Profiles {
    fn drop(&mut self) {
        self.stages.values().for_each(|stage| {
            if let Stage::Here(_, control) = stage {
                control.cancel();
            }
        });
    }
}

impl Profiles {
    /// Reads the column under the cursor where that is cheap, once its size is known. `size`: of the file.
    pub(super) fn look(&mut self, sheet: &Sheet, layout: &LayoutView, size: Option<u64>, cx: &Cx) {
        let Some(id) = sheet.columns.id(sheet.at) else { return };
        if layout.is_loading() || self.asked.contains_key(&id) {
            return;
        }
        let bytes = column_bytes(sheet, layout, id).or(size);
        let is_cheap = bytes.is_some_and(|bytes| bytes <= CHEAP);
        self.asked.insert(id, is_cheap);
        if is_cheap && !self.stages.contains_key(&id) {
            self.read_here(sheet, id, cx);
        }
    }

    fn read_here(&mut self, sheet: &Sheet, id: usize, cx: &Cx) {
        let Some(column) = sheet.columns.by_id(id).map(|c| c.about.name.clone()) else { return };
        let (rows, control) = (sheet.data.rows().clone(), Control::new(cx.stores.meter().child()));
        let own = control.clone();
        let pending = Pending::spawn(&cx.waker, async move { profile::over(&rows, &column, &own).await });
        self.stages.insert(id, Stage::Here(pending, control));
    }

    /// Reads the column under the cursor, all of it: as a job where `source` is the whole table.
    pub(super) fn start(&mut self, sheet: &Sheet, source: Option<&Location>, cx: &mut Cx) {
        let Some(id) = sheet.columns.id(sheet.at) else { return };
        if matches!(self.stages.get(&id), Some(Stage::Here(..) | Stage::Job(_) | Stage::Done(_))) {
            return;
        }
        let Some(source) = source else { return self.read_here(sheet, id, cx) };
        let Some(column) = sheet.columns.by_id(id).map(|c| c.about.name.clone()) else { return };
        let job = ProfileJob { source: source.clone(), column, rows: Some(sheet.data.rows().clone()) };
        match cx.jobs.start(Box::new(job)) {
            Ok(job) => drop(self.stages.insert(id, Stage::Job(job))),
            Err(err) => cx.fail(&err),
        }
    }

    /// Stops reading the column under the cursor.
    pub(super) fn cancel(&mut self, sheet: &Sheet, cx: &Cx) {
        let Some(id) = sheet.columns.id(sheet.at) else { return };
        match self.stages.get(&id) {
            Some(Stage::Here(_, control)) => {
                control.cancel();
                self.stages.insert(id, Stage::Stopped);
            }
            Some(Stage::Job(job)) => cx.jobs.cancel(job),
            _ => {}
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.stages.values().any(|stage| matches!(stage, Stage::Here(..) | Stage::Job(_)))
    }

    pub(super) fn poll(&mut self, cx: &Cx) {
        for stage in self.stages.values_mut() {
            let next = match stage {
                Stage::Here(pending, _) => pending.take().map(ended),
                Stage::Job(job) => job_stage(job, cx),
                _ => None,
            };
            if let Some(next) = next {
                *stage = next;
            }
        }
    }

    /// The profile of the column under the cursor as JSON, and what it is called.
    pub(super) fn copy(&self, sheet: &Sheet) -> Option<(String, String)> {
        match self.stages.get(&sheet.columns.id(sheet.at)?)? {
            Stage::Done(profile) => {
                Some((format!("profile of {}", profile.column), serde_json::to_string_pretty(profile).ok()?))
            }
            _ => None,
        }
    }

    pub(super) fn draw(&self, sheet: &Sheet, layout: &LayoutView, frame: &mut Frame, area: Rect, cx: &Cx) {
        let Some((id, column)) = sheet.columns.id(sheet.at).zip(sheet.columns.get(sheet.at)) else { return };
        let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        let stage = self.stages.get(&id);
        let statistics =
            layout.known().and_then(|layout| profile::from_layout(&column.about.name, sheet.data.about(), layout));
        let shown = match stage {
            Some(Stage::Done(profile)) => Some(profile.as_ref().clone()),
            _ => statistics,
        };
        let theme = &cx.theme;
        let mut title = vec![
            Span::styled(column.heads[0].clone(), theme.style(Role::Title)),
            Span::styled(format!("  {}", column.heads[1]), theme.style(Role::Dim)),
        ];
        let words = words(id, stage, shown.as_ref(), sheet, layout, cx);
        let room = usize::from(area.width).saturating_sub(title.iter().map(Span::width).sum());
        let side = area.width >= 70;
        if side {
            let width: usize = words.iter().map(Span::width).sum();
            title.push(Span::raw(" ".repeat(room.saturating_sub(width))));
            title.extend(words.clone());
        }
        frame.render_widget(Paragraph::new(Line::from(title)), Rect { height: 1.min(area.height), ..area });
        let mut y = area.y + 1;
        if !side {
            frame.render_widget(Paragraph::new(Line::from(words)), row(area, y));
            y += 1;
        }
        y += u16::from(area.height >= 12);
        if let Some(profile) = shown {
            let body = Rect { y, height: area.bottom().saturating_sub(y), ..area };
            draw_profile(&profile, frame, body, cx);
        }
    }
}

/// Where the reading is.
fn words<'a>(
    id: usize,
    stage: Option<&Stage>,
    shown: Option<&Profile>,
    sheet: &Sheet,
    layout: &LayoutView,
    cx: &Cx,
) -> Vec<Span<'a>> {
    let theme = &cx.theme;
    let dim = |words: String| Span::styled(words, theme.style(Role::Dim));
    let progress = |(done, total): (u64, u64)| {
        let fraction = (total > 0).then(|| done as f64 / total as f64);
        let [full, rest] = gauge::spans(fraction, 12, cx.unicode, theme.style(Role::Accent), theme.style(Role::Faint));
        vec![full, rest, dim(format!("  {} rows read", text::count(done)))]
    };
    match stage {
        Some(Stage::Here(_, control)) => progress(control.progress()),
        Some(Stage::Job(job)) => {
            let view = cx.jobs.view(job);
            match view.as_ref().map(|v| &v.state) {
                Some(JobState::Queued) => vec![dim("waits for another job".to_owned())],
                Some(JobState::Paused) => vec![dim("paused".to_owned())],
                _ => progress(view.map_or((0, 0), |v| (v.done, v.total))),
            }
        }
        Some(Stage::Done(profile)) => {
            vec![Span::styled("exact", theme.style(Role::Good)), dim(format!(", {} rows", text::count(profile.rows)))]
        }
        Some(Stage::Failed(why)) => vec![Span::styled(text::clean(why).into_owned(), theme.style(Role::Bad))],
        None | Some(Stage::Stopped) => {
            if layout.is_loading() {
                return vec![dim("reading…".to_owned())];
            }
            let cost = column_bytes(sheet, layout, id).map_or_else(String::new, |b| format!(", {}", text::bytes(b)));
            let source = if shown.is_some() { "from the file's statistics · " } else { "" };
            let key = cx.keymap.label(&["profile", "list"], crate::action::Action::Enter);
            vec![
                dim(source.to_owned()),
                Span::styled(key, theme.style(Role::Key)),
                dim(format!(" reads all rows{cost}")),
            ]
        }
    }
}

fn ended(result: Result<Profile>) -> Stage {
    match result {
        Ok(profile) => Stage::Done(Box::new(profile)),
        Err(err) if err.kind() == crate::error::Kind::Cancelled => Stage::Stopped,
        Err(err) => Stage::Failed(super::words(&err)),
    }
}

/// What has become of a job, once it has ended.
fn job_stage(job: &str, cx: &Cx) -> Option<Stage> {
    let view = cx.jobs.view(job)?;
    match view.state {
        JobState::Done => {
            let data = view.outcome.map(|outcome| outcome.data).unwrap_or_default();
            Some(
                serde_json::from_value(data)
                    .map_or_else(|err| Stage::Failed(err.to_string()), |profile| Stage::Done(Box::new(profile))),
            )
        }
        JobState::Failed(why) => Some(Stage::Failed(why)),
        JobState::Cancelled | JobState::Interrupted => Some(Stage::Stopped),
        _ => None,
    }
}

/// Bytes of a column in the file, where its layout tells.
fn column_bytes(sheet: &Sheet, layout: &LayoutView, id: usize) -> Option<u64> {
    let name = &sheet.columns.by_id(id)?.about.name;
    let of = |leaf: &str| leaf.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let chunks = layout.known()?.groups.iter().flat_map(|g| &g.chunks);
    Some(chunks.filter(|c| of(&c.column)).map(|c| c.stored).sum())
}

fn row(area: Rect, y: u16) -> Rect {
    Rect { y: y.min(area.bottom().saturating_sub(1)), height: u16::from(y < area.bottom()), ..area }
}

/// Names and values in two columns, the histogram, frequent values.
fn draw_profile(profile: &Profile, frame: &mut Frame, area: Rect, cx: &Cx) {
    let facts = profile.facts();
    let columns = if area.width >= 64 { 2 } else { 1 };
    let lines = facts.len().div_ceil(columns) as u16;
    let half = area.width / columns as u16;
    for (i, (name, value)) in facts.iter().enumerate() {
        let (column, line) = (i as u16 / lines.max(1), i as u16 % lines.max(1));
        let at = row(area, area.y + line);
        let at = Rect { x: at.x + column * half, width: half.saturating_sub(1), ..at };
        let value = text::fit(&text::clean(value), usize::from(at.width).saturating_sub(12)).into_owned();
        let spans = vec![
            Span::styled(format!("{name:<12}"), cx.theme.style(Role::Dim)),
            Span::styled(value, cx.theme.style(Role::Number)),
        ];
        frame.render_widget(Paragraph::new(Line::from(spans)), at);
    }
    let below = Rect { y: area.y + lines, height: area.height.saturating_sub(lines), ..area };
    let mut rest = below;
    if let Some(histogram) = profile.histogram.as_ref().filter(|h| h.counts.len() > 1) {
        // What is left is shared with frequent values.
        let most = if profile.top.is_empty() { below.height } else { (below.height * 3 / 5).max(5) };
        let high = most.saturating_sub(3).min(12);
        if high >= 2 {
            draw_histogram(histogram, frame, Rect { y: below.y + 1, height: high + 1, ..below }, cx);
            let used = high + 2;
            rest = Rect { y: below.y + used, height: below.height.saturating_sub(used), ..below };
        }
    }
    draw_top(profile, frame, rest, cx);
}

/// Bars of eighths, each bin as wide as there is room for; its range below.
fn draw_histogram(histogram: &Histogram, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    let bins = histogram.counts.len() as u16;
    let wide = (area.width / bins.max(1)).clamp(1, 6);
    let counts: Vec<u64> = if bins > area.width {
        // Neighbours are put together where there is no room for all.
        let group = bins.div_ceil(area.width.max(1)) as usize;
        histogram.counts.chunks(group).map(|c| c.iter().sum()).collect()
    } else {
        histogram.counts.clone()
    };
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let high = area.height.saturating_sub(1);
    let style = theme.style(Role::Accent);
    for (i, count) in counts.iter().enumerate() {
        let eighths = (*count as f64 / most as f64 * f64::from(high) * 8.0).round() as usize;
        // What is there at all is seen.
        let eighths = if *count > 0 { eighths.max(1) } else { 0 };
        for line in 0..high {
            let left = eighths.saturating_sub(usize::from(line) * 8).min(8);
            if left == 0 {
                break;
            }
            let mark = sparkline::level(left - 1, cx.unicode).to_string();
            let x = area.x + i as u16 * wide;
            // A gap between bars where there is room for one.
            let cells = if wide > 2 { wide - 1 } else { wide };
            let at = (x, area.y + high - 1 - line);
            frame.buffer_mut().set_stringn(at.0, at.1, mark.repeat(cells.into()), cells.into(), style);
        }
    }
    let width = usize::from((counts.len() as u16 * wide).min(area.width)).max(30.min(area.width.into()));
    let end = |n: u64, word: &str| if n > 0 { format!("  {} {word}", text::count(n)) } else { String::new() };
    let from = format!("{}{}", axis(&histogram.from), end(histogram.below, "below"));
    let to = format!("{}{}", axis(&histogram.to), end(histogram.above, "above"));
    let gap = width.saturating_sub(text::width(&from) + text::width(&to)).max(2);
    let line = format!("{from}{}{to}", " ".repeat(gap));
    frame.buffer_mut().set_stringn(area.x, area.y + high, line, area.width.into(), theme.style(Role::Dim));
}

fn axis(value: &str) -> String {
    value.parse::<f64>().map_or_else(|_| text::clean(value).into_owned(), rounded)
}

/// Frequent values with bars, as many as have room.
fn draw_top(profile: &Profile, frame: &mut Frame, area: Rect, cx: &Cx) {
    let Some((_, most)) = profile.top.first() else { return };
    if area.height < 3 {
        return;
    }
    let theme = &cx.theme;
    let exact = matches!(profile.distinct, Some(Distinct::Exact(_)));
    let title = if exact { "frequent values" } else { "frequent values, at least so often" };
    frame.buffer_mut().set_stringn(area.x, area.y + 1, title, area.width.into(), theme.style(Role::Title));
    let names =
        profile.top.iter().map(|(v, _)| text::width(v)).max().unwrap_or(1).clamp(4, usize::from(area.width) / 3);
    let counts = text::count(*most).len();
    let bar = usize::from(area.width).saturating_sub(names + counts + 14).min(40);
    for ((value, n), y) in profile.top.iter().zip(area.y + 2..area.bottom()) {
        let value = text::fit(&text::clean(value), names).into_owned();
        let pad = " ".repeat(names.saturating_sub(text::width(&value)));
        let share = *n as f64 / profile.rows.max(1) as f64 * 100.0;
        let (full, _) = gauge::bar(Some(*n as f64 / *most as f64), bar, cx.unicode);
        let spans = vec![
            Span::styled(format!("{value}{pad}  "), Style { bg: None, ..theme.style(Role::Text) }),
            Span::styled(format!("{:>counts$}  ", text::count(*n)), theme.style(Role::Number)),
            Span::styled(format!("{share:>5.1} %  "), theme.style(Role::Dim)),
            Span::styled(full, theme.style(Role::Accent)),
        ];
        frame.render_widget(Paragraph::new(Line::from(spans)), row(area, y));
    }
}
