//! Leave although jobs run?

use super::{framed, hints};
use crate::action::Action;
use crate::job::JobView;
use crate::screen::{Cx, Flow, Screen};
use crate::screens::jobs;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Jobs that are named.
const NAMED: usize = 8;

/// What can be chosen, the safest first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    Stay,
    Leave,
    Cancel,
}

const CHOICES: [Choice; 3] = [Choice::Stay, Choice::Leave, Choice::Cancel];

impl Choice {
    fn action(self) -> Action {
        match self {
            Self::Stay => Action::No,
            Self::Leave => Action::Yes,
            Self::Cancel => Action::Cancel,
        }
    }

    /// Name, and what comes of it.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Stay => ("stay", "nothing is stopped"),
            Self::Leave => ("leave", "they stop as they are; the next start offers to resume them"),
            Self::Cancel => ("cancel them", "they stop and clean up; then secchi ends"),
        }
    }
}

/// The popup.
#[derive(Default)]
pub(in crate::screens) struct ConfirmQuit {
    at: usize,
    /// The jobs were cancelled: the program ends once they have cleaned up.
    stopping: bool,
    stopped: bool,
}

impl ConfirmQuit {
    fn choose(&mut self, choice: Choice, cx: &mut Cx) -> Flow {
        match choice {
            Choice::Stay => Flow::Close,
            Choice::Leave => {
                cx.confirmed_quit = true;
                Flow::Quit
            }
            Choice::Cancel => {
                for view in cx.jobs.active_views() {
                    cx.jobs.cancel(&view.id);
                }
                self.stopping = true;
                self.at = 0;
                Flow::Done
            }
        }
    }

    /// While jobs clean up, they cannot be cancelled once more.
    fn choices(&self) -> &'static [Choice] {
        if self.stopping { &CHOICES[..2] } else { &CHOICES }
    }

    fn lines(&self, running: &[JobView], width: usize, cx: &Cx) -> Vec<Line<'static>> {
        let mut lines: Vec<Line> = running.iter().take(NAMED).map(|view| job(view, width, cx)).collect();
        if running.len() > NAMED {
            lines.push(Line::styled(format!("  and {} more", running.len() - NAMED), cx.theme.style(Role::Dim)));
        }
        if running.is_empty() {
            lines.push(Line::raw("They have all ended by now."));
        }
        lines.push(Line::raw(""));
        for (i, choice) in self.choices().iter().enumerate() {
            let key = cx.keymap.label(&["confirm"], choice.action());
            let (name, words) = match (choice, self.stopping) {
                (Choice::Stay, true) => ("stay", "they go on cleaning up"),
                (Choice::Leave, true) => ("leave now", "what is not cleaned up stays; the next start offers to resume"),
                _ => choice.words(),
            };
            let on = i == self.at;
            let style = if on { cx.theme.style(Role::Cursor) } else { Style::default() };
            let name = format!(" {key}  {name:<12}");
            let words = text::fit(words, width.saturating_sub(text::width(&name))).into_owned();
            let pad = " ".repeat(width.saturating_sub(text::width(&name) + text::width(&words)));
            let dim = if on { style } else { cx.theme.style(Role::Dim) };
            lines.push(Line::from(vec![Span::styled(name, style), Span::styled(format!("{words}{pad}"), dim)]));
        }
        lines
    }
}

/// `▶ running  upload x.tif   62 %`
fn job(view: &JobView, width: usize, cx: &Cx) -> Line<'static> {
    let state = jobs::mark(view, cx);
    let done = format!("{:>6}", jobs::percent(view));
    let room = width.saturating_sub(state.width() + text::width(&done) + 1);
    let title = text::fit_middle(&text::clean(&view.title), room).into_owned();
    let pad = " ".repeat(room.saturating_sub(text::width(&title)));
    let mut spans = vec![Span::styled(state.to_string(), state.style), Span::raw(format!(" {title}{pad}"))];
    spans.push(Span::styled(done, cx.theme.style(Role::Number)));
    Line::from(spans)
}

impl Screen for ConfirmQuit {
    fn contexts(&self) -> &'static [&'static str] {
        &["confirm"]
    }

    fn title(&self) -> String {
        "quit".into()
    }

    fn is_popup(&self) -> bool {
        true
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let n = self.choices().len();
        match action {
            Action::NextPane => self.at = (self.at + 1) % n,
            Action::PrevPane => self.at = (self.at + n - 1) % n,
            Action::Enter => return self.choose(self.choices()[self.at], cx),
            Action::Yes => return self.choose(Choice::Leave, cx),
            Action::Cancel if !self.stopping => return self.choose(Choice::Cancel, cx),
            Action::No | Action::Back => return self.choose(Choice::Stay, cx),
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn poll(&mut self, cx: &mut Cx) {
        if self.stopping && cx.jobs.active() == 0 {
            cx.confirmed_quit = true;
            self.stopped = true;
        }
    }

    fn is_over(&self) -> bool {
        self.stopped
    }

    fn take_choice(&mut self) -> Option<Action> {
        self.stopped.then_some(Action::Quit)
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let mut running = cx.jobs.active_views();
        running.reverse();
        let width = area.width.min(80);
        let title = if self.stopping { "Jobs clean up" } else { "Jobs are running" };
        let lines = self.lines(&running, usize::from(width.saturating_sub(4)), cx);
        let inner = framed(frame, area, width, lines.len() as u16 + 4, title, cx);
        // The choices must be seen, however low the terminal.
        let cut = lines.len().saturating_sub(usize::from(inner.height));
        let roomy = usize::from(inner.height) >= lines.len() + 2;
        frame.render_widget(Paragraph::new(lines.into_iter().skip(cut).collect::<Vec<_>>()), inner);
        if roomy {
            let label = |action| cx.keymap.label(&["confirm"], action);
            let pairs =
                [(label(Action::Enter), "chooses"), (label(Action::NextPane), "next"), (label(Action::Back), "stays")];
            let foot = Rect { y: inner.bottom() - 1, height: 1, ..inner };
            frame.render_widget(Paragraph::new(hints(&pairs, foot.width, cx)), foot);
        }
    }
}
