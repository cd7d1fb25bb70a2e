//! The job under the cursor: what it does or how it ended, its chart, its numbers, its log.

use super::facts::{column, compact, facts, flow};
use super::paint::Paint;
use super::{JobsScreen, Show, report, words};
use crate::job::{JobView, State};
use crate::screen::Cx;
use crate::screens::popup::wrapped;
use crate::text::{clean, duration, fit};
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// From this width on the numbers stand beside the chart.
const WIDE: u16 = 110;

impl JobsScreen {
    pub(super) fn draw_detail(&self, area: Rect, buf: &mut Buffer, paint: Paint, cx: &Cx) {
        let Some(view) = self.current() else { return };
        let rule = Rect { height: 1, ..area };
        paint.rule(rule, buf, &view.title, &self.tabs(paint, area.width));
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        let body = self.notice(view, body, buf, paint, cx);
        if self.show == Show::Log {
            self.draw_log(view, body, buf, paint);
            return;
        }
        let log_rows = match body.height {
            34.. => 10,
            18..34 => 6,
            12..18 => 3,
            9..12 => 2,
            _ => 0,
        };
        let log_rows = log_rows.min(view.log.len() as u16);
        let log_height = if log_rows > 0 { log_rows + u16::from(body.height >= 18) } else { 0 };
        let main = Rect { height: body.height - log_height, ..body };
        if body.width >= WIDE {
            let side = 44.min(main.width / 3);
            let chart = Rect { width: main.width - side - 3, ..main };
            self.draw_picture(view, chart, buf, paint);
            column(&facts(view, paint.unicode), Rect { x: chart.right() + 3, width: side, ..main }, buf, paint);
        } else {
            let lines = flow(&compact(view, paint.unicode), usize::from(main.width), paint);
            let most = if main.height >= 8 { main.height - 5 } else { main.height.min(1) };
            let height = (lines.len() as u16).min(most);
            for (i, line) in lines.iter().take(usize::from(height)).enumerate() {
                buf.set_line(main.x, main.y + i as u16, line, main.width);
            }
            let chart = Rect { y: main.y + height, height: main.height - height, ..main };
            self.draw_picture(view, chart, buf, paint);
        }
        if log_height > 0 {
            let mut log = Rect { y: main.bottom(), height: log_height, ..body };
            if log_height > log_rows {
                paint.rule(Rect { height: 1, ..log }, buf, "log", &Line::default());
                log = Rect { y: log.y + 1, height: log_rows, ..log };
            }
            self.draw_log(view, log, buf, paint);
        }
    }

    /// The views, the one shown marked, and how much of time is shown.
    fn tabs(&self, paint: Paint, columns: u16) -> Line<'static> {
        let mut spans = Vec::new();
        if self.frozen {
            let held = format!("{}held at {}  ", paint.glyph("‖ ", ""), seconds(self.rates.end));
            spans.push(Span::styled(held, paint.style(Role::Warn)));
        }
        if let Some(span) = self.span.filter(|_| self.show != Show::Log) {
            spans.push(Span::styled(format!("last {}  ", seconds(span)), paint.style(Role::Dim)));
        }
        for (show, name) in Show::ALL {
            if show == self.show {
                let (l, r) = if paint.unicode { ("‹", "›") } else { ("<", ">") };
                spans.push(Span::styled(format!("{l}{name}{r}"), paint.style(Role::Accent)));
            } else if columns >= if self.frozen { 90 } else { 70 } {
                spans.push(Span::styled(format!(" {name} "), paint.style(Role::Dim)));
            }
        }
        Line::from(spans)
    }

    /// What a job does now, or how it ended with its proof, and the command line that does the same. Returns
    /// what is left.
    fn notice(&self, view: &JobView, area: Rect, buf: &mut Buffer, paint: Paint, cx: &Cx) -> Rect {
        if area.height < 4 {
            return area;
        }
        let (mark, ascii, _, role) = words::state(view);
        let width = usize::from(area.width.saturating_sub(4));
        let sentences = self.sentences(view, role, paint, cx);
        // A picture of some lines is left, except to what has failed: then its reason matters more.
        let spare = if matches!(view.state, State::Failed(_)) { 4 } else { 8 };
        let most = usize::from(area.height.saturating_sub(spare).clamp(1, 7));
        let mut lines: Vec<(String, Style)> = Vec::new();
        for (text, style) in sentences {
            for line in wrapped(&text, width) {
                lines.push((line, style));
            }
        }
        if lines.is_empty() {
            return area;
        }
        let is_cut = lines.len() > most;
        lines.truncate(most);
        if is_cut && let Some(last) = lines.last_mut() {
            last.0 = fit(&format!("{} …", last.0.trim_end()), width).into_owned();
        }
        buf.set_stringn(area.x + 1, area.y, if paint.unicode { mark } else { ascii }, 2, paint.style(role));
        for (i, (line, style)) in lines.iter().enumerate() {
            buf.set_stringn(area.x + 3, area.y + i as u16, line, width, *style);
        }
        let used = lines.len() as u16;
        Rect { y: area.y + used, height: area.height - used, ..area }
    }

    /// What there is to say of a job, the most important first.
    fn sentences(&self, view: &JobView, role: Role, paint: Paint, cx: &Cx) -> Vec<(String, Style)> {
        let (state, dim) = (paint.style(role), paint.style(Role::Dim));
        let retry = &self.retry;
        let said = words::ending(view, retry);
        let mut out = Vec::new();
        let mut say = |text: String, style: Style| {
            if !text.is_empty() {
                out.push((text, style));
            }
        };
        match &view.state {
            _ if let Some(question) = &view.question => {
                let key = cx.keymap.label(&["global"], crate::action::Action::Answer);
                say(format!("{} — {key} answers", question.text), state);
            }
            State::Running => say(said, state),
            State::Paused => say(format!("paused; {} goes on", self.pause), state),
            State::Queued => say(queued(view), state),
            State::Failed(why) => {
                say(format!("failed: {why}"), state);
                if let Some(hint) = view.failure.as_ref().and_then(|err| err.hint()) {
                    say(hint.to_owned(), paint.style(Role::Text));
                }
                say(format!("{retry} runs it again, from where it was where it can"), dim);
            }
            State::Cancelled => say(format!("cancelled: {said}; {retry} runs it again"), state),
            State::Done => {
                say(format!("done: {said}"), state);
                for proof in report::proof(view) {
                    say(proof, paint.style(Role::Text));
                }
            }
            State::Interrupted => say(format!("interrupted: {said}"), state),
        }
        if !matches!(view.state, State::Running) || self.is_tall {
            say(crate::text::command_line(&view.command), dim);
        }
        out
    }

    fn draw_log(&self, view: &JobView, area: Rect, buf: &mut Buffer, paint: Paint) {
        let rows = usize::from(area.height);
        if rows == 0 {
            return;
        }
        if view.log.is_empty() {
            buf.set_stringn(area.x + 2, area.y, "nothing was noted", usize::from(area.width), paint.style(Role::Dim));
            return;
        }
        let back = if self.show == Show::Log { self.log_back.min(view.log.len().saturating_sub(rows)) } else { 0 };
        let end = view.log.len() - back;
        let lines = &view.log[end.saturating_sub(rows)..end];
        for (i, (t, line)) in lines.iter().enumerate() {
            let y = area.y + i as u16;
            let when = format!("{:>14}  ", words::since(view, *t));
            let (x, _) = buf.set_stringn(area.x, y, when, usize::from(area.width), paint.style(Role::Dim));
            let room = usize::from(area.right().saturating_sub(x));
            buf.set_stringn(x, y, fit(&clean(line), room), room, paint.style(Role::Text));
        }
    }
}

fn queued(view: &JobView) -> String {
    match view.place {
        Some(0) => "waits: it is next".to_owned(),
        Some(1) => "waits: one job is before it".to_owned(),
        Some(n) => format!("waits: {n} jobs are before it"),
        None => "waits for its turn".to_owned(),
    }
}

fn seconds(s: f64) -> String {
    duration(std::time::Duration::try_from_secs_f64(s).unwrap_or_default())
}
