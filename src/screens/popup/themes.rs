//! Choosing the colours: they show while the cursor moves.

use super::{Cursor, framed, hints};
use crate::action::Action;
use crate::config::{Config, lines};
use crate::error::Result;
use crate::screen::{Cx, Flow, Screen};
use crate::task::{Pending, poll_slot};
use crate::text;
use crate::theme::{Role, Theme};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use std::sync::Arc;

/// The popup.
pub(in crate::screens) struct Themes {
    all: Vec<(String, Result<Arc<Theme>>)>,
    before: Arc<Theme>,
    cursor: Cursor,
    /// The choice on its way into the configuration file.
    saving: Option<Pending<()>>,
    is_over: bool,
}

impl Themes {
    /// Reads the folder of the user's themes.
    pub(in crate::screens) fn open(cx: &Cx) -> Self {
        let own = cx.folders.config.join("themes");
        let all: Vec<(String, Result<Arc<Theme>>)> =
            Theme::all(&own).into_iter().map(|(name, theme)| (name, theme.map(Arc::new))).collect();
        let at = all.iter().position(|(name, _)| name == cx.theme.name()).unwrap_or(0);
        Self { all, before: cx.theme.clone(), cursor: Cursor { at, top: 0 }, saving: None, is_over: false }
    }

    fn keep(&mut self, cx: &mut Cx) -> Flow {
        let Some((name, Ok(theme))) = self.all.get(self.cursor.at) else { return Flow::Done };
        cx.theme = theme.clone();
        let file = cx.config.file.clone();
        if file.as_os_str().is_empty() {
            return Flow::Close;
        }
        let name = toml::Value::String(name.clone()).to_string();
        self.saving = Some(Pending::spawn(&cx.waker, async move {
            let write = move || Config::rewrite(&file, |text| lines::set(text, None, "theme", Some(&name)));
            tokio::task::spawn_blocking(write).await.unwrap_or(Ok(()))
        }));
        Flow::Done
    }
}

impl Screen for Themes {
    fn contexts(&self) -> &'static [&'static str] {
        &["menu"]
    }
    fn title(&self) -> String {
        "themes".into()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn is_over(&self) -> bool {
        self.is_over
    }
    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if self.cursor.update(action, self.all.len(), 5) {
            if let Some((_, Ok(theme))) = self.all.get(self.cursor.at) {
                cx.theme = theme.clone();
            }
            return Flow::Done;
        }
        match action {
            Action::Enter => self.keep(cx),
            Action::Close | Action::Back => {
                cx.theme = self.before.clone();
                Flow::Close
            }
            Action::Quit | Action::Help => Flow::Ignored,
            _ => Flow::Done,
        }
    }
    fn poll(&mut self, cx: &mut Cx) {
        match poll_slot(&mut self.saving) {
            Some(Ok(())) => {
                cx.toast(format!("theme {}: remembered in {}", cx.theme.name(), cx.config.file.display()));
                self.is_over = true;
            }
            Some(Err(err)) => {
                cx.fail(&err);
                self.is_over = true;
            }
            None => {}
        }
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let error = match self.all.get(self.cursor.at) {
            Some((_, Err(err))) => Some(err.to_string()),
            _ => None,
        };
        let inner = framed(frame, area, 64, self.all.len() as u16 + 4, "Themes", cx);
        let list = Rect { height: inner.height.saturating_sub(2), ..inner };
        let top = self.cursor.window(usize::from(list.height.max(1)));
        for (i, (name, theme)) in self.all.iter().enumerate().skip(top).take(usize::from(list.height)) {
            let at = Rect { y: list.y + (i - top) as u16, height: 1, ..list };
            let style = if i == self.cursor.at { cx.theme.style(Role::Cursor) } else { Style::default() };
            let name = text::clean(name).into_owned();
            let mut spans = vec![Span::raw(format!(" {:<14}", text::fit(&name, 14)))];
            match theme {
                Ok(theme) => {
                    spans.push(Span::raw(if theme.is_dark() { "dark   " } else { "light  " }));
                    spans.extend(sample(theme));
                }
                Err(_) => spans.push(Span::styled("cannot be read", cx.theme.style(Role::Bad))),
            }
            frame.render_widget(Paragraph::new(Line::from(spans)).style(style), at);
        }
        let foot = Rect { y: inner.bottom().saturating_sub(1), height: 1.min(inner.height), ..inner };
        let line = if let Some(error) = error {
            let error = text::clean(&error).into_owned();
            Line::styled(text::fit_middle(&error, usize::from(foot.width)).into_owned(), cx.theme.style(Role::Bad))
        } else {
            let label = |action| cx.keymap.label(self.contexts(), action);
            hints(&[(label(Action::Enter), "keeps it"), (label(Action::Back), "back as it was")], foot.width, cx)
        };
        frame.render_widget(Paragraph::new(line), foot);
    }
}

/// A few words in a theme's own colours, on its own ground.
fn sample(theme: &Theme) -> Vec<Span<'static>> {
    let ground = theme.style(Role::Text);
    let of = |role, word| Span::styled(word, ground.patch(theme.style(role)));
    vec![
        of(Role::Title, " lake"),
        of(Role::Container, " 2024/"),
        of(Role::Number, " 312"),
        of(Role::Good, " done"),
        of(Role::Warn, " waits"),
        of(Role::Bad, " failed "),
    ]
}
