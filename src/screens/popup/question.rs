//! What a job wants to know before it goes on.

use super::{framed, hints, wrapped};
use crate::action::Action;
use crate::job::{JobId, JobView};
use crate::screen::{Cx, Flow, Screen};
use crate::task::{Choice, Question as Asked};
use crate::text;
use crate::theme::Role;
use crate::widgets::input::Edit;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use std::time::{Duration, Instant};

/// What is typed in the first moments after the popup came by itself was meant for what stood there before.
const GRACE: Duration = Duration::from_millis(400);

/// The popup. It goes when the question does.
pub(in crate::screens) struct Question {
    job: JobId,
    asked: Option<(JobView, Asked)>,
    at: usize,
    /// When it came by itself.
    since: Option<Instant>,
}

impl Question {
    /// Of this job, or of the one that has waited longest.
    pub(in crate::screens) fn open(job: Option<JobId>, by_itself: bool, cx: &Cx) -> Self {
        let mut views = cx.jobs.active_views();
        views.reverse();
        let of = |v: &JobView| v.question.is_some() && job.as_ref().is_none_or(|id| *id == v.id);
        let view = views.into_iter().find(of);
        let asked = view.and_then(|view| Some((view.question.clone()?, view))).map(|(asked, view)| (view, asked));
        let job = asked.as_ref().map(|(view, _)| view.id.clone()).or(job).unwrap_or_default();
        Self { job, asked, at: 0, since: by_itself.then(Instant::now) }
    }

    fn choices(&self) -> &[Choice] {
        self.asked.as_ref().map_or(&[], |(_, asked)| asked.choices.as_slice())
    }

    fn answer(&self, at: usize, cx: &mut Cx) -> Flow {
        if self.since.is_some_and(|since| since.elapsed() < GRACE) {
            return Flow::Done;
        }
        if let Some(choice) = self.choices().get(at) {
            cx.jobs.answer(&self.job, choice.name);
        }
        Flow::Close
    }
}

impl Screen for Question {
    fn contexts(&self) -> &'static [&'static str] {
        &["question"]
    }

    fn title(&self) -> String {
        "question".into()
    }

    fn is_popup(&self) -> bool {
        true
    }

    /// The keys of the choices are the asker's.
    fn wants_text(&self) -> bool {
        true
    }

    fn edit(&mut self, edit: &Edit, cx: &mut Cx) -> Flow {
        let Edit::Insert(typed) = edit else { return Flow::Done };
        let at = self.choices().iter().position(|choice| typed.chars().eq([choice.key]));
        at.map_or(Flow::Done, |at| self.answer(at, cx))
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let n = self.choices().len().max(1);
        match action {
            Action::Up => self.at = (self.at + n - 1) % n,
            Action::Down => self.at = (self.at + 1) % n,
            Action::Enter => return self.answer(self.at, cx),
            Action::Back => return Flow::Close,
            Action::Cancel => {
                cx.jobs.cancel(&self.job);
                return Flow::Close;
            }
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    /// Answered elsewhere, or the job has ended.
    fn is_over(&self) -> bool {
        self.asked.is_none()
    }

    fn poll(&mut self, cx: &mut Cx) {
        let now = cx.jobs.view(&self.job).and_then(|view| view.question);
        if now.as_ref() != self.asked.as_ref().map(|(_, asked)| asked) {
            self.asked = None;
        }
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let Some((view, asked)) = &self.asked else { return };
        let theme = &cx.theme;
        let width = area.width.min(76);
        let rows = wrapped(&asked.text, usize::from(width.saturating_sub(4)));
        let n = asked.choices.len() as u16;
        let wanted = rows.len() as u16 + n + 3;
        let title = format!("{} asks", view.title);
        let inner = framed(frame, area, width, wanted + 2, &text::fit_middle(&title, usize::from(width) - 6), cx);
        let roomy = inner.height >= wanted;
        // Where it is tight the text is cut, not the choices; but something of it stays.
        let spare = inner.height.saturating_sub(n + if roomy { 3 } else { 0 });
        let head = spare.min(rows.len() as u16).max(u16::from(inner.height > n));
        let mut lines: Vec<Line> = rows.into_iter().take(usize::from(head)).map(Line::raw).collect();
        if roomy {
            lines.push(Line::raw(""));
        }
        for (i, choice) in asked.choices.iter().enumerate() {
            let on = i == self.at;
            let name = format!(" {}  {:<15}", choice.key, choice.name.replace('-', " "));
            let words = text::fit(&choice.words, usize::from(inner.width).saturating_sub(name.len() + 1)).into_owned();
            let pad = usize::from(inner.width).saturating_sub(text::width(&name) + text::width(&words));
            let style = if on { theme.style(Role::Cursor) } else { Style::default() };
            let dim = if on { style } else { theme.style(Role::Dim) };
            let line = vec![Span::styled(name, style), Span::styled(format!("{words}{}", " ".repeat(pad)), dim)];
            lines.push(Line::from(line));
        }
        if roomy {
            lines.push(Line::raw(""));
            let label = |action| cx.keymap.label(self.contexts(), action);
            let pairs = [
                (label(Action::Enter), "chooses"),
                (label(Action::Back), "later: the job waits"),
                (label(Action::Cancel), "cancels the job"),
            ];
            lines.push(hints(&pairs, inner.width, cx));
        }
        frame.render_widget(Paragraph::new(lines), inner);
    }
}
