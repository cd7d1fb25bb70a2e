//! Giving actions other keys: what is in the way is named before it is taken over.

use super::{Cursor, framed, hints, wrapped};
use crate::action::Action;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::keymap::{Binding, Change, Conflict, Key, Keymap};
use crate::screen::{Cx, Flow, Screen};
use crate::task::{Pending, poll_slot};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use std::sync::Arc;

/// The popup.
pub(in crate::screens) struct Keys {
    /// The sections that are looked through, first wins.
    sections: &'static [&'static str],
    rows: Vec<Binding>,
    cursor: Cursor,
    new: Option<New>,
    saving: Option<Pending<Keymap>>,
    /// What happened last, and whether it is bad.
    said: Option<(String, bool)>,
}

/// Keys being typed for the action under the cursor.
struct New {
    keys: Vec<Key>,
    /// Besides those it has.
    is_more: bool,
    /// What stands in the way, once that was told.
    told: Option<Vec<Conflict>>,
}

fn label(keys: &[Key]) -> String {
    keys.iter().map(ToString::to_string).collect()
}

impl Keys {
    pub(in crate::screens) fn open(sections: &'static [&'static str], cx: &Cx) -> Self {
        let rows = cx.keymap.bindings(sections);
        Self { sections, rows, cursor: Cursor::default(), new: None, saving: None, said: None }
    }

    /// Asks for the new key; what is in the way is told first, and taken over when asked again.
    fn submit(&mut self, cx: &mut Cx) {
        let (Some(new), Some(row)) = (&mut self.new, self.rows.get(self.cursor.at)) else { return };
        if row.keys.contains(&new.keys) {
            self.said = Some((format!("`{}` is {} already", label(&new.keys), row.action.name()), false));
            self.new = None;
            return;
        }
        let is_told = new.told.is_some();
        let met = || cx.keymap.conflicts(self.sections, &row.section, row.action, &new.keys);
        let conflicts = new.told.take().unwrap_or_else(met);
        if !is_told && !conflicts.is_empty() {
            new.told = Some(conflicts);
            return;
        }
        let mut keys = if new.is_more { row.keys.clone() } else { Vec::new() };
        // Its own longer or shorter sequences give way too.
        keys.retain(|k| !k.starts_with(&new.keys) && !new.keys.starts_with(k));
        keys.push(new.keys.clone());
        let changes = cx.keymap.taking(row, keys, &conflicts);
        self.new = None;
        self.save(changes, cx);
    }

    fn save(&mut self, changes: Vec<Change>, cx: &Cx) {
        let file = cx.folders.config.join("keymap.toml");
        let write = move || -> Result<Keymap> {
            let mut made = None;
            Config::rewrite(&file, |text| {
                let (text, keymap) = Keymap::changed(text, &changes)?;
                made = Some(keymap);
                Ok(text)
            })?;
            made.ok_or_else(|| Error::usage("the keys were not changed"))
        };
        self.saving = Some(Pending::spawn(&cx.waker, async move {
            let written = tokio::task::spawn_blocking(write).await;
            written.unwrap_or_else(|err| Err(Error::usage("the keys were not changed").with_source(err)))
        }));
    }

    /// The line below the list: what is being typed, what is in the way, what happened.
    fn below(&self) -> (String, Role) {
        let Some((new, row)) = self.new.as_ref().zip(self.rows.get(self.cursor.at)) else {
            if let Some((said, is_bad)) = &self.said {
                return (said.clone(), if *is_bad { Role::Bad } else { Role::Good });
            }
            return (self.rows.get(self.cursor.at).map_or("", |row| row.action.about()).to_owned(), Role::Dim);
        };
        let name = row.action.name();
        if let Some(told) = &new.told {
            return (in_the_way(&new.keys, name, told), Role::Warn);
        }
        if new.keys.is_empty() {
            return (format!("Press the new key for {name}. Esc leaves it as it is."), Role::Accent);
        }
        let typed = label(&new.keys);
        (format!("{name}: `{typed}`   Enter takes it, another key makes a sequence, Esc leaves it."), Role::Accent)
    }
}

/// "`u` is upload in browse: Enter again takes it over, Esc leaves it."
fn in_the_way(keys: &[Key], name: &str, told: &[Conflict]) -> String {
    let what: Vec<String> =
        told.iter().map(|c| format!("`{}` is {} in {}", label(&c.keys), c.action.name(), c.section)).collect();
    let typed = label(keys);
    let is_hidden = told.iter().all(|c| c.is_hidden);
    let then =
        if is_hidden { format!("would be {name} here instead") } else { "would not be that any more".to_owned() };
    format!("{}: `{typed}` {then}. Enter takes it over, Esc leaves it.", what.join(", "))
}

impl Screen for Keys {
    fn contexts(&self) -> &'static [&'static str] {
        &["keys", "menu"]
    }
    fn title(&self) -> String {
        "keys".into()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn wants_keys(&self) -> bool {
        self.new.is_some()
    }
    fn key(&mut self, key: Key, cx: &mut Cx) -> Flow {
        let Some(new) = &mut self.new else { return Flow::Ignored };
        let is_started = !new.keys.is_empty();
        if key.is_plain("Esc") {
            self.new = None;
        } else if is_started && key.is_plain("Enter") {
            self.submit(cx);
        } else if is_started && key.is_plain("Backspace") {
            new.keys.pop();
            new.told = None;
        } else if key.can_be_bound() {
            new.keys.push(key);
            new.told = None;
        }
        Flow::Done
    }
    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let page = 10;
        if self.cursor.update(action, self.rows.len(), page) {
            self.said = None;
            return Flow::Done;
        }
        match action {
            Action::Enter | Action::AddKey => {
                self.said = None;
                self.new = Some(New { keys: Vec::new(), is_more: action == Action::AddKey, told: None });
            }
            Action::ResetKey => {
                if let Some(row) = self.rows.get(self.cursor.at) {
                    self.save(vec![(row.section.clone(), row.action, None)], cx);
                }
            }
            Action::Close | Action::Back => return Flow::Close,
            Action::Quit | Action::Help => return Flow::Ignored,
            _ => {}
        }
        Flow::Done
    }
    fn poll(&mut self, cx: &mut Cx) {
        match poll_slot(&mut self.saving) {
            Some(Ok(keymap)) => {
                cx.keymap = Arc::new(keymap);
                self.rows = cx.keymap.bindings(self.sections);
                let row = self.rows.get(self.cursor.at);
                let keys = row.map(|row| row.keys.iter().map(|k| format!("`{}`", label(k))).collect::<Vec<_>>());
                let name = row.map_or("", |row| row.action.name());
                let keys = keys.filter(|keys| !keys.is_empty()).map_or("no key".to_owned(), |keys| keys.join(" "));
                self.said = Some((format!("{name} is {keys} now, written to keymap.toml"), false));
            }
            Some(Err(err)) => self.said = Some((err.to_string(), true)),
            None => {}
        }
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let width = area.width.min(84);
        let (below, role) = self.below();
        let below = wrapped(&below, usize::from(width.saturating_sub(4)));
        let height = (self.rows.len() + below.len()) as u16 + 5;
        let inner = framed(frame, area, width, height, "Change keys", cx);
        let below_height = (below.len() as u16).min(inner.height.saturating_sub(3));
        let list = Rect { height: inner.height.saturating_sub(below_height + 2), ..inner };
        let top = self.cursor.window(usize::from(list.height.max(1)));
        for (i, row) in self.rows.iter().enumerate().skip(top).take(usize::from(list.height)) {
            let at = Rect { y: list.y + (i - top) as u16, height: 1, ..list };
            let is_at = i == self.cursor.at;
            let style = if is_at { theme.style(Role::Cursor) } else { Style::default() };
            let dim = if is_at { Style::default() } else { theme.style(Role::Dim) };
            let is_first = i == 0 || self.rows[i - 1].section != row.section || i == top;
            let section = if is_first { text::fit(&row.section, 8).into_owned() } else { String::new() };
            let keys: Vec<String> = row.keys.iter().map(|k| label(k)).collect();
            let room = usize::from(list.width).saturating_sub(29);
            let keys = if keys.is_empty() { "no key".to_owned() } else { keys.join("  ") };
            let line = Line::from(vec![
                Span::styled(format!("{section:<9}"), dim),
                Span::raw(format!("{:<18}", text::fit(row.action.name(), 17))),
                Span::styled(if row.is_own { "* " } else { "  " }, theme.style(Role::Warn)),
                Span::styled(text::fit(&keys, room).into_owned(), theme.style(Role::Key)),
            ]);
            frame.render_widget(Paragraph::new(line).style(style), at);
        }
        let below: Vec<Line> = below.into_iter().map(Line::raw).collect();
        let at = Rect { y: list.bottom() + 1.min(inner.height), height: below_height, ..inner };
        frame.render_widget(Paragraph::new(below).style(theme.style(role)), at);
        let foot = Rect { y: inner.bottom().saturating_sub(1), height: 1.min(inner.height), ..inner };
        if self.new.is_none() {
            let label = |action| cx.keymap.label(self.contexts(), action);
            let pairs = [
                (label(Action::Enter), "new key"),
                (label(Action::AddKey), "one more"),
                (label(Action::ResetKey), "as shipped"),
                (label(Action::Back), "closes"),
                ("*".to_owned(), "yours"),
            ];
            frame.render_widget(Paragraph::new(hints(&pairs, foot.width, cx)), foot);
        }
    }
}
