//! Commands by name.

use super::{Cursor, framed, input_line};
use crate::action::Action;
use crate::screen::{Cx, Flow, Screen};
use crate::text;
use crate::theme::Role;
use crate::widgets::input::{Edit, Input};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Commands by name.
pub(in crate::screens) struct Palette {
    contexts: &'static [&'static str],
    input: Input,
    cursor: Cursor,
    found: Vec<Action>,
    choice: Option<Action>,
}

impl Palette {
    pub(in crate::screens) fn open(contexts: &'static [&'static str], cx: &Cx) -> Self {
        let mut palette =
            Self { contexts, input: Input::default(), cursor: Cursor::default(), found: Vec::new(), choice: None };
        palette.find(cx);
        palette
    }

    fn find(&mut self, cx: &Cx) {
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(self.input.text(), CaseMatching::Ignore, Normalization::Smart);
        let mut buffer = Vec::new();
        let mut found: Vec<(u32, Action)> = cx
            .keymap
            .list(self.contexts)
            .into_iter()
            .filter_map(|(action, _)| {
                let words = format!("{} {}", action.name(), action.about());
                pattern.score(Utf32Str::new(&words, &mut buffer), &mut matcher).map(|score| (score, action))
            })
            .collect();
        found.sort_by_key(|(score, action)| (std::cmp::Reverse(*score), *action));
        self.found = found.into_iter().map(|(_, action)| action).collect();
        self.cursor = Cursor::default();
    }
}

impl Screen for Palette {
    fn contexts(&self) -> &'static [&'static str] {
        &["prompt"]
    }
    fn title(&self) -> String {
        "commands".into()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        true
    }
    fn update(&mut self, action: Action, _cx: &mut Cx) -> Flow {
        if self.cursor.update(action, self.found.len(), 10) {
            return Flow::Done;
        }
        match action {
            Action::Enter => {
                self.choice = self.found.get(self.cursor.at).copied();
                Flow::Close
            }
            _ => Flow::Ignored,
        }
    }
    fn edit(&mut self, edit: &Edit, cx: &mut Cx) -> Flow {
        if self.input.apply(edit) {
            self.find(cx);
        }
        Flow::Done
    }
    fn take_choice(&mut self) -> Option<Action> {
        self.choice.take()
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let inner = framed(frame, area, 84, 18, "Commands", cx);
        frame.render_widget(Paragraph::new(input_line(&self.input, inner.width, ":", cx)), inner);
        let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
        let top = self.cursor.window(list.height as usize);
        for (i, action) in self.found.iter().enumerate().skip(top).take(list.height as usize) {
            let style = if i == self.cursor.at { theme.style(Role::Cursor) } else { Style::default() };
            let key = cx.keymap.label(self.contexts, *action);
            let about = text::fit(action.about(), list.width.saturating_sub(32) as usize).into_owned();
            let line = Line::from(vec![
                Span::raw(format!(" {:<16} ", action.name())),
                Span::styled(format!("{key:>10}  "), theme.style(Role::Key)),
                Span::styled(about, if i == self.cursor.at { Style::default() } else { theme.style(Role::Dim) }),
            ]);
            let at = Rect { y: list.y + (i - top) as u16, height: 1, ..list };
            frame.render_widget(Paragraph::new(line).style(style), at);
        }
    }
}
