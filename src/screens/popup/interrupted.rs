//! Resume what was interrupted?

use super::framed;
use crate::action::Action;
use crate::job::JobView;
use crate::screen::{Cx, Flow, Open, Screen};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Jobs that are named.
const NAMED: usize = 8;

/// Resume what was interrupted?
///
/// ```text
/// ╭ Jobs were interrupted ──────────────────────────────────────────╮
/// │ upload glodap.csv.zip → lake                   62 %   3 h ago    │
/// │ download 2024/ from lake                  not begun   3 h ago    │
/// │                                                                  │
/// │ What was done is not done again.                                 │
/// │                                                                  │
/// │  Resume all (y)     Look (w)     Not now (n)                     │
/// ╰──────────────────────────────────────────────────────────────────╯
/// ```
pub(in crate::screens) struct Interrupted {
    views: Vec<JobView>,
    /// The button under the cursor.
    at: usize,
}

impl Interrupted {
    pub(in crate::screens) fn open(cx: &Cx) -> Self {
        Self { views: cx.jobs.interrupted(), at: 0 }
    }

    fn resume(&self, cx: &mut Cx) -> Flow {
        let mut resumed = 0;
        let mut refused = None;
        for view in &self.views {
            match cx.resume(&view.id) {
                Ok(_) => resumed += 1,
                Err(err) => refused = refused.or(Some(err.context(&*text::clean(&view.title)))),
            }
        }
        match (resumed, refused) {
            (1, None) => cx.toast("one job goes on"),
            (n, None) => cx.toast(format!("{n} jobs go on")),
            (_, Some(err)) => cx.fail(&err),
        }
        Flow::Close
    }

    fn look(&self) -> Flow {
        Flow::Replace(Open::Jobs(self.views.first().map(|view| view.id.clone())))
    }
}

impl Screen for Interrupted {
    fn contexts(&self) -> &'static [&'static str] {
        &["confirm", "global"]
    }

    fn title(&self) -> String {
        "interrupted jobs".into()
    }

    fn is_popup(&self) -> bool {
        true
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        match (action, self.at) {
            (Action::NextPane | Action::Right, at) => self.at = (at + 1) % 3,
            (Action::PrevPane | Action::Left, at) => self.at = (at + 2) % 3,
            (Action::Yes, _) | (Action::Enter, 0) => return self.resume(cx),
            (Action::Jobs, _) | (Action::Enter, 1) => return self.look(),
            (Action::No | Action::Back | Action::Close | Action::Enter, _) => return Flow::Close,
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let more = self.views.len().saturating_sub(NAMED);
        let height = self.views.len().min(NAMED) + usize::from(more > 0) + 7;
        let title = if self.views.len() == 1 { "A job was interrupted" } else { "Jobs were interrupted" };
        let inner = framed(frame, area, 72, height as u16, title, cx);
        let mut lines: Vec<Line> =
            self.views.iter().take(NAMED).map(|view| line(view, usize::from(inner.width), cx)).collect();
        if more > 0 {
            lines.push(Line::styled(format!("and {more} more"), theme.style(Role::Dim)));
        }
        lines.extend([
            Line::raw(""),
            Line::styled("Their program was ended, or its session was lost.", theme.style(Role::Dim)),
            Line::styled("What was done is kept, and is not done again.", theme.style(Role::Dim)),
            Line::raw(""),
        ]);
        let key = |action| cx.keymap.label(self.contexts(), action);
        let labels = [
            format!(" {} ({}) ", if self.views.len() == 1 { "Resume" } else { "Resume all" }, key(Action::Yes)),
            format!(" Look ({}) ", key(Action::Jobs)),
            format!(" Not now ({}) ", key(Action::No)),
        ];
        let mut buttons = Vec::new();
        for (i, label) in labels.into_iter().enumerate() {
            buttons.push(Span::styled(label, theme.style(if i == self.at { Role::Cursor } else { Role::Bar })));
            buttons.push(Span::raw("   "));
        }
        lines.push(Line::from(buttons));
        frame.render_widget(Paragraph::new(lines), inner);
    }
}

/// A job with how far it was and when it began.
fn line<'a>(view: &JobView, width: usize, cx: &Cx) -> Line<'a> {
    let done = match (view.attempt, view.done.saturating_mul(100).checked_div(view.total)) {
        (0, _) => "not begun".to_owned(),
        (_, Some(percent)) => format!("{} %", percent.min(100)),
        (_, None) => String::new(),
    };
    let ago = ago((chrono::Utc::now() - view.started).num_minutes());
    let room = width.saturating_sub(24);
    let title = text::fit_middle(&text::clean(&view.title), room).into_owned();
    let gap = " ".repeat(room.saturating_sub(text::width(&title)));
    Line::from(vec![
        Span::raw(title),
        Span::raw(gap),
        Span::styled(format!("{done:>10}"), cx.theme.style(Role::Number)),
        Span::styled(format!("{ago:>13}"), cx.theme.style(Role::Dim)),
    ])
}

fn ago(minutes: i64) -> String {
    match minutes {
        ..1 => "just now".to_owned(),
        1..60 => format!("{minutes} min ago"),
        60..2_880 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1_440),
    }
}
