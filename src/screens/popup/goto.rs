//! An address to type.

use super::{framed, input_line};
use crate::action::Action;
use crate::location::Location;
use crate::screen::{Cx, Flow, Screen};
use crate::screens::open_of;
use crate::text;
use crate::theme::Role;
use crate::widgets::input::{Edit, Input};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

/// An address being typed.
pub(in crate::screens) struct GoTo {
    input: Input,
    error: Option<String>,
}

impl GoTo {
    pub(in crate::screens) fn open() -> Self {
        Self { input: Input::default(), error: None }
    }
}

impl Screen for GoTo {
    fn contexts(&self) -> &'static [&'static str] {
        &["prompt"]
    }
    fn title(&self) -> String {
        "go to".into()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        true
    }
    fn update(&mut self, action: Action, _cx: &mut Cx) -> Flow {
        if action != Action::Enter {
            return Flow::Ignored;
        }
        match Location::parse(self.input.text().trim()) {
            Ok(location) => Flow::Replace(open_of(location)),
            Err(err) => {
                self.error = Some(err.to_string());
                Flow::Done
            }
        }
    }
    fn edit(&mut self, edit: &Edit, _cx: &mut Cx) -> Flow {
        self.input.apply(edit);
        self.error = None;
        Flow::Done
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let inner = framed(frame, area, 90, 5, "Go to", cx);
        let help = self
            .error
            .clone()
            .unwrap_or_else(|| "s3://bucket/prefix/   s3://profile@bucket/   https://…/catalog.json   ./folder".into());
        let role = if self.error.is_some() { Role::Bad } else { Role::Dim };
        let lines = vec![
            input_line(&self.input, inner.width, "→", cx),
            Line::raw(""),
            Line::styled(text::fit(&help, inner.width as usize).into_owned(), cx.theme.style(role)),
        ];
        frame.render_widget(Paragraph::new(lines), inner);
    }
}
