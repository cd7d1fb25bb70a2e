//! The lines below the bar: the condition as it is typed, with what completes it or what is wrong with it; the
//! filter at work; what is filtered and sorted, how many rows that has left, and what it has cost.
//!
//! ```text
//!  / h_mean > 18▏
//!    a condition in SQL   Enter filters  Tab completes  ↑ ↓ earlier  Esc closes
//! ```
//! ```text
//!  / h_mean > 1800  ↑ time           1,204 of 7,600,000 rows · 14 requests, 3.1 MiB
//! ```

use super::columns::Sorted;
use super::filter::{Asked, Line as Typed, Outcome, Work};
use super::{Grid, Layer, Over, View};
use crate::action::Action;
use crate::screen::{Cx, Screen as _};
use crate::screens::popup;
use crate::text;
use crate::theme::Role;
use ratatui::text::{Line, Span};

/// Lines of a condition in sight.
const TYPED: usize = 3;
/// Lines of what is wrong with it.
const WRONG: usize = 4;
/// Below this width cost has no place.
const ROOMY: u16 = 64;
/// Below this width less is told of work.
const WIDE: u16 = 100;
/// Cells before a condition: ` / `.
const MARK: usize = 3;
/// Cells that a condition keeps whatever else is to be said.
const LEAST: usize = 12;

impl Grid {
    /// The lines, none where all rows are shown as they stand in the file.
    pub(super) fn strip<'a>(&self, width: u16, cx: &Cx) -> Vec<Line<'a>> {
        if let Some(Over::Condition(typed)) = &self.over {
            return self.typed(typed, width, cx);
        }
        if let Some(work) = &self.filter.work {
            return vec![self.working(work, width, cx)];
        }
        let layer = self.layers.last();
        let outcome = layer.and_then(|layer| Some((layer, layer.outcome.as_ref()?)));
        outcome.map(|(layer, outcome)| self.shown(layer, outcome, width, cx)).into_iter().collect()
    }

    /// The condition, and below it what is to be said of it.
    fn typed<'a>(&self, typed: &Typed, width: u16, cx: &Cx) -> Vec<Line<'a>> {
        let theme = &cx.theme;
        let (lines, at) = typed.editor.lines(width.saturating_sub(MARK as u16 + 1), true, cx);
        let first = (at + 1).saturating_sub(TYPED);
        let mut out = Vec::new();
        for (i, line) in lines.into_iter().enumerate().skip(first).take(TYPED) {
            let mark = if i == 0 { Span::styled(mark(cx), theme.style(Role::Key)) } else { Span::raw("   ") };
            out.push(Line::from([vec![mark], line.spans].concat()));
        }
        let room = width.saturating_sub(MARK as u16 + 1);
        let indented = |line: Line<'a>| Line::from([vec![Span::raw("   ")], line.spans].concat());
        if let Some(err) = &typed.error {
            let rows = |words: &str, role| {
                let rows = popup::wrapped(words, room.into()).into_iter();
                rows.map(move |row| Line::from(Span::styled(row, theme.style(role)))).collect::<Vec<_>>()
            };
            let hint = err.hint().map(|hint| rows(hint, Role::Dim)).unwrap_or_default();
            let said = rows(&err.to_string(), Role::Bad).into_iter().chain(hint);
            out.extend(said.take(WRONG).map(indented));
            return out;
        }
        out.push(indented(self.below(typed, room, cx)));
        out
    }

    /// What is offered for what is typed, or what goes on.
    fn below<'a>(&self, typed: &Typed, width: u16, cx: &Cx) -> Line<'a> {
        let theme = &cx.theme;
        if let Some(work) = &self.filter.work {
            return self.working(work, width, cx);
        }
        if let Some(about) = typed.editor.about() {
            let words = text::fit(&text::clean(about), width.into()).into_owned();
            return Line::from(Span::styled(words, theme.style(Role::Accent)));
        }
        let offers = typed.editor.offers(width, theme);
        if !offers.spans.is_empty() {
            return offers;
        }
        let label = |action| cx.keymap.label(self.contexts(), action);
        let does = if typed.editor.text().trim().is_empty() { "shows all" } else { "filters" };
        let pairs = [
            (label(Action::Enter), does),
            (label(Action::Complete), "completes"),
            (format!("{} {}", label(Action::Up), label(Action::Down)), "earlier"),
            (label(Action::Back), "closes"),
        ];
        let example = "a condition in SQL: depth > 3 AND lake LIKE 'L%'   ";
        let example = if usize::from(width) >= text::width(example) + 50 { example } else { "a condition in SQL   " };
        let mut spans = vec![Span::styled(example, theme.style(Role::Dim))];
        spans.extend(popup::hints(&pairs, width.saturating_sub(text::width(example) as u16), cx).spans);
        Line::from(spans)
    }

    /// ` / depth > 3   filtering  Esc stops  3 requests, 1.2 MiB · spills to disk above 2.0 GiB`.
    fn working<'a>(&self, work: &Work, width: u16, cx: &Cx) -> Line<'a> {
        let theme = &cx.theme;
        let mut spans = vec![Span::raw(" ")];
        let condition = text::clean(&work.asked.condition).into_owned();
        if !condition.is_empty() && !matches!(self.over, Some(Over::Condition(_))) {
            let room = (usize::from(width) / 3).max(LEAST);
            spans = vec![Span::styled(mark(cx), theme.style(Role::Key))];
            spans.push(Span::styled(format!("{}   ", text::fit(&condition, room)), theme.style(Role::Dim)));
        }
        let sorted = text::clean(&order(&work.asked, cx)).into_owned();
        let sorted = text::fit(&sorted, (usize::from(width) / 4).max(LEAST)).into_owned();
        let doing = match (condition.is_empty(), sorted.is_empty()) {
            (false, true) => "filtering".to_owned(),
            (true, _) => format!("sorting by {sorted}"),
            (false, false) => format!("filtering, sorting by {sorted}"),
        };
        spans.push(Span::styled(format!("{doing}  "), theme.style(Role::Warn)));
        // Where it would do something else, it is not promised.
        if matches!(self.view, View::Rows) && matches!(self.over, None | Some(Over::Condition(_))) {
            spans.push(Span::styled(cx.keymap.label(self.contexts(), Action::Back), theme.style(Role::Key)));
            spans.push(Span::styled(" stops  ", theme.style(Role::Dim)));
        }
        let used: usize = spans.iter().map(Span::width).sum();
        let room = usize::from(width).saturating_sub(used);
        let words = text::fit(&self.progress(work, width < WIDE, cx), room).into_owned();
        spans.push(Span::styled(words, theme.style(Role::Dim)));
        Line::from(spans)
    }

    /// What there is room for, the more important first.
    fn progress(&self, work: &Work, narrow: bool, cx: &Cx) -> String {
        let counts = work.control.0.meter.counts();
        let step = text::clean(&work.control.0.current_step()).into_owned();
        let mut said: Vec<String> = Some(step).filter(|step| !step.is_empty()).into_iter().collect();
        let memory = self.memory().filter(|_| !work.asked.order.is_empty());
        said.extend(memory.map(|memory| format!("spills to disk above {}", text::bytes(memory))));
        if narrow && memory.is_some() {
            said.push(text::bytes(counts.bytes_in));
        } else {
            said.push(counts.received(", "));
        }
        if work.scanned() > 0 {
            said.push(format!("{} rows looked at", text::count(work.scanned())));
        }
        said.join(dot(cx))
    }

    /// What is shown, how many rows of how many, and what they have cost.
    fn shown<'a>(&self, layer: &Layer, outcome: &Outcome, width: u16, cx: &Cx) -> Line<'a> {
        let theme = &cx.theme;
        let facts = self.outcome_words(layer, outcome, width, cx);
        let sorted = order(&outcome.asked, cx);
        let right = text::width(&facts) + 1;
        let room = usize::from(width).saturating_sub(right + MARK + 2).max(LEAST);
        let mut spans = Vec::new();
        if outcome.asked.condition.is_empty() {
            spans.push(Span::styled(" sorted by ", theme.style(Role::Dim)));
        } else {
            let gap = if sorted.is_empty() { 0 } else { text::width(&sorted).min(room / 2) + 2 };
            let condition = text::clean(&outcome.asked.condition).into_owned();
            let condition = text::fit(&condition, room.saturating_sub(gap)).into_owned();
            spans.push(Span::styled(mark(cx), theme.style(Role::Key)));
            spans.push(Span::styled(format!("{condition}  "), theme.style(Role::Accent)));
        }
        let used: usize = spans.iter().map(Span::width).sum();
        let sorted = text::fit(&text::clean(&sorted), (room + MARK + 1).saturating_sub(used)).into_owned();
        spans.push(Span::styled(sorted, theme.style(Role::Accent)));
        let used: usize = spans.iter().map(Span::width).sum();
        spans.push(Span::raw(" ".repeat(usize::from(width).saturating_sub(used + right))));
        spans.push(Span::styled(facts, theme.style(Role::Dim)));
        Line::from(spans)
    }

    fn outcome_words(&self, layer: &Layer, outcome: &Outcome, width: u16, cx: &Cx) -> String {
        if self.is_stored_view() {
            return if width < ROOMY { "all rows here" } else { "this view is of the whole table" }.to_owned();
        }
        let data = &layer.sheet.data;
        let whole = self.layers.first().and_then(|whole| whole.sheet.data.total());
        let left = match data.total() {
            Some(total) => text::count(total),
            None => format!("{}+", text::count(data.seen())),
        };
        let rows = match whole.filter(|_| !outcome.asked.condition.is_empty()) {
            Some(whole) => format!("{left} of {} rows", text::count(whole)),
            None => format!("{left} rows"),
        };
        if width < ROOMY {
            return rows;
        }
        let counts = outcome.control.0.meter.counts();
        let mut said = vec![rows, counts.received(", ")];
        let spilled = outcome.answer.reading().spilled;
        if spilled > 0 {
            said.push(format!("{} on disk", text::bytes(spilled)));
        }
        if data.total().is_none() && !outcome.is_counting() && width >= WIDE {
            let key = cx.keymap.label(&["table", "list"], Action::Bottom);
            said.push(format!("{key} finds all"));
        }
        said.join(dot(cx))
    }
}

/// The key that opens the line, as it stands before a condition.
fn mark(cx: &Cx) -> String {
    let key = cx.keymap.label(&["table"], Action::FilterRows);
    if text::width(&key) == 1 { format!(" {key} ") } else { " / ".to_owned() }
}

pub(super) fn dot(cx: &Cx) -> &'static str {
    if cx.unicode { " · " } else { " - " }
}

/// `↑ time, ↓ depth`.
fn order(asked: &Asked, cx: &Cx) -> String {
    let one = |order: &crate::query::Order| {
        let mark = Sorted { descending: order.descending, place: None }.mark(cx.unicode);
        format!("{mark} {}", order.column)
    };
    asked.order.iter().map(one).collect::<Vec<_>>().join(", ")
}
