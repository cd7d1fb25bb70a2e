//! Restoring and undeleting: asked first, done in the background, said afterwards.

use super::rows::wrap;
use super::stamp;
use crate::action::Action;
use crate::entry::Version;
use crate::location::Location;
use crate::screen::Cx;
use crate::task::{Pending, poll_slot};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Clear, Paragraph};

/// What is to be done.
#[derive(Clone)]
pub(super) enum What {
    /// Makes an old version the current one.
    Restore {
        /// Which.
        version: Box<Version>,
        /// Id of what was current when the user looked.
        seen: Option<String>,
        /// What is lost by it.
        warning: Option<String>,
    },
    /// Removes the marks of deletion on top of an object.
    Undelete {
        /// The object.
        at: Location,
    },
}

/// A question, and the work that it led to.
#[derive(Default)]
pub(super) struct Act {
    asked: Option<(What, bool)>,
    work: Option<Pending<String>>,
}

impl Act {
    /// Asks whether it shall be done.
    pub(super) fn ask(&mut self, what: What) {
        self.asked = Some((what, false));
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    pub(super) fn is_working(&self) -> bool {
        self.work.is_some()
    }

    /// Takes the answer.
    pub(super) fn update(&mut self, action: Action, cx: &Cx) {
        let Some((_, yes)) = &mut self.asked else { return };
        match action {
            Action::NextPane | Action::PrevPane => *yes = !*yes,
            Action::Yes => self.start(cx),
            Action::Enter if *yes => self.start(cx),
            Action::No | Action::Back | Action::Close | Action::Enter => self.asked = None,
            _ => {}
        }
    }

    fn start(&mut self, cx: &Cx) {
        let Some((what, _)) = self.asked.take() else { return };
        let stores = cx.stores.clone();
        self.work = Some(Pending::spawn(&cx.waker, async move {
            match what {
                What::Restore { version, seen, .. } => {
                    let at = &version.location;
                    let handle = stores.open(&at.with_version(None), stores.meter()).await?;
                    let now = handle.restore(at.key(), &version.id, seen.as_deref()).await?;
                    Ok(format!("restored: {} is the version of {} again", now.location.name(), stamp(version.modified)))
                }
                What::Undelete { at } => {
                    let handle = stores.open(&at, stores.meter()).await?;
                    let n = handle.undelete(at.key()).await?;
                    let marks = if n == 1 { "mark of deletion" } else { "marks of deletion" };
                    Ok(format!("{} is back: {n} {marks} removed", at.name()))
                }
            }
        }));
    }

    /// Says how it went; tells whether something may have changed.
    pub(super) fn poll(&mut self, cx: &mut Cx) -> bool {
        match poll_slot(&mut self.work) {
            Some(Ok(words)) => cx.toast(text::clean(&words).into_owned()),
            Some(Err(err)) => cx.fail(&err),
            None => return false,
        }
        true
    }

    /// The question, in the middle of the screen.
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let Some((what, yes)) = &self.asked else { return };
        let theme = &cx.theme;
        let (title, verb, key, words, warning) = match what {
            What::Restore { version, warning, .. } => (
                "Restore this version?",
                "Restore",
                version.location.key(),
                format!(
                    "The version of {} ({}) is copied on top of it within the server, with metadata and tags. \
                     What is current now stays as an old version.",
                    stamp(version.modified),
                    text::bytes(version.size.unwrap_or_default()),
                ),
                warning.clone(),
            ),
            What::Undelete { at } => (
                "Undelete it?",
                "Undelete",
                at.key(),
                "The marks of deletion on top of it are removed, and the version below is current again.".to_owned(),
                None,
            ),
        };
        let words =
            if warning.is_some() { words.replace(" What is current now stays as an old version.", "") } else { words };
        let width = area.width.min(72);
        let room = usize::from(width.saturating_sub(4)).max(1);
        let mut lines =
            vec![Line::styled(text::fit_middle(&text::clean(key), room).into_owned(), theme.style(Role::Name))];
        lines.extend(wrap(&words, room).into_iter().map(Line::raw));
        if let Some(warning) = &warning {
            lines.push(Line::raw(""));
            lines.extend(wrap(warning, room).into_iter().map(|line| Line::styled(line, theme.style(Role::Bad))));
        }
        let height = (lines.len() as u16 + 4).min(area.height);
        let rect = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
        let block = Block::default()
            .borders(Borders::ALL)
            .border_type(if cx.unicode { BorderType::Rounded } else { BorderType::Plain })
            .border_style(theme.style(Role::Focus))
            .style(theme.style(Role::Text))
            .title(Span::styled(format!(" {title} "), theme.style(Role::Title)));
        let inner = block.inner(rect);
        frame.render_widget(Clear, rect);
        frame.render_widget(block, rect);
        let inner = Rect { x: inner.x + 1.min(inner.width), width: inner.width.saturating_sub(2), ..inner };
        let [text_area, buttons] = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(inner);
        frame.render_widget(Paragraph::new(lines), text_area);
        let button = |label: String, on: bool| {
            Span::styled(format!(" {label} "), if on { theme.style(Role::Cursor) } else { theme.style(Role::Bar) })
        };
        let key = |action| cx.keymap.label(&["confirm"], action);
        let line = Line::from(vec![
            button(format!("Leave it ({})", key(Action::No)), !yes),
            Span::raw("   "),
            button(format!("{verb} ({})", key(Action::Yes)), *yes),
        ]);
        frame.render_widget(Paragraph::new(line), buttons);
    }
}
