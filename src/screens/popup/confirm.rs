//! Leave although jobs run?

use super::framed;
use crate::action::Action;
use crate::screen::{Cx, Flow, Screen};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Leave although jobs run?
#[derive(Default)]
pub(in crate::screens) struct ConfirmQuit {
    yes: bool,
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
        match action {
            Action::NextPane | Action::PrevPane => {
                self.yes = !self.yes;
                Flow::Done
            }
            Action::Yes => {
                cx.confirmed_quit = true;
                Flow::Quit
            }
            Action::Enter if self.yes => {
                cx.confirmed_quit = true;
                Flow::Quit
            }
            Action::No | Action::Back | Action::Enter => Flow::Close,
            _ => Flow::Ignored,
        }
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let running = cx.jobs.active_views();
        let inner = framed(frame, area, 72, running.len().clamp(1, 8) as u16 + 6, "Jobs are running", cx);
        let mut lines: Vec<Line> = running
            .iter()
            .take(8)
            .map(|v| {
                let done =
                    (v.done.saturating_mul(100)).checked_div(v.total).map_or_else(String::new, |p| format!("  {p} %"));
                let title =
                    text::fit_middle(&text::clean(&v.title), inner.width.saturating_sub(8) as usize).into_owned();
                Line::from(vec![Span::raw(title), Span::styled(done, theme.style(Role::Number))])
            })
            .collect();
        let words = if running.is_empty() {
            lines.push(Line::raw("They have all ended by now."));
            ""
        } else {
            "They stop now; the next start offers to resume them."
        };
        lines.push(Line::raw(""));
        lines.push(Line::styled(words, theme.style(Role::Dim)));
        lines.push(Line::raw(""));
        let button = |label: &str, on: bool| {
            Span::styled(format!(" {label} "), if on { theme.style(Role::Cursor) } else { theme.style(Role::Bar) })
        };
        lines.push(Line::from(vec![button("Stay (n)", !self.yes), Span::raw("   "), button("Quit (y)", self.yes)]));
        frame.render_widget(Paragraph::new(lines), inner);
    }
}
