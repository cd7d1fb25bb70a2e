//! What comes in: keys and their sequences, numbers before them, the mouse.

use super::{App, Exit, Input, tab_number};
use crate::action::Action;
use crate::keymap::{Found, Key};
use crate::screen::{Flow, Target};
use crate::widgets::input::Edit;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use std::io;

/// Lines that a notch of the wheel scrolls.
const NOTCH: isize = 3;
/// No number typed before a key is larger.
const COUNT_MAX: usize = 999_999_999;

impl App {
    pub(super) fn take_input(&mut self, next: Option<io::Result<Input>>) {
        match next {
            Some(Ok(Input::Terminal(Event::Key(key)))) if key.kind != KeyEventKind::Release => self.key(key),
            Some(Ok(Input::Terminal(Event::Paste(text)))) => {
                let flow = self.with_top(|screen, cx| screen.edit(&Edit::Insert(text), cx));
                self.flow(flow, None);
            }
            Some(Ok(Input::Terminal(Event::Mouse(event)))) if self.cx.mouse => self.mouse(event),
            Some(Ok(Input::Terminal(_))) => {}
            Some(Ok(Input::Terminate(code))) => self.exit = Some(Exit::Ended(code)),
            // The terminal is gone: nothing can be shown or asked any more.
            Some(Err(_)) | None => self.exit = Some(Exit::Ended(1)),
        }
    }

    fn key(&mut self, event: KeyEvent) {
        if crate::keymap::is_suspend(event) {
            self.suspend = true;
            return;
        }
        if self.top().wants_keys() {
            let flow = self.with_top(|screen, cx| screen.key(Key::from(event), cx));
            return self.flow(flow, None);
        }
        let contexts = self.top().contexts();
        let text = self.top().wants_text();
        if !text && self.typed.is_empty() && self.count_digit(event, contexts) {
            return;
        }
        self.typed.push(Key::from(event));
        match self.cx.keymap.find(contexts, &self.typed) {
            Found::Action(action) => {
                self.typed.clear();
                match self.count.take() {
                    Some(_) if action == Action::Back => {}
                    Some(count) => self.act_counted(action, count),
                    None => self.act(action),
                }
            }
            Found::Prefix => {}
            Found::Nothing => {
                let restart = self.typed.len() > 1;
                self.typed.clear();
                self.count = None;
                if restart {
                    self.key(event);
                } else if text && let Some(edit) = Edit::from_key(event) {
                    let flow = self.with_top(|screen, cx| screen.edit(&edit, cx));
                    self.flow(flow, None);
                }
            }
        }
    }

    /// Takes a digit of a number before a key, `120G`. A digit that is a tab goes there instead, unless a
    /// number has begun; 0 always begins one.
    fn count_digit(&mut self, event: KeyEvent, contexts: &[&str]) -> bool {
        let plain = (event.modifiers - KeyModifiers::SHIFT).is_empty() && contexts.contains(&"list");
        let KeyCode::Char(c @ '0'..='9') = event.code else { return false };
        if !plain {
            return false;
        }
        let digit = c as usize - '0' as usize;
        if self.count.is_none() {
            let taken = match self.cx.keymap.find(contexts, &[Key::from(event)]) {
                Found::Action(action) => tab_number(action).is_none_or(|n| n <= self.tabs.len() && self.tabs.len() > 1),
                Found::Prefix => true,
                Found::Nothing => false,
            };
            if taken {
                return false;
            }
        }
        self.count = Some((self.count.unwrap_or(0) * 10 + digit).min(COUNT_MAX));
        true
    }

    fn act_counted(&mut self, action: Action, count: usize) {
        match self.with_top(|screen, cx| screen.update_counted(action, count, cx)) {
            Flow::Ignored => self.act(action),
            flow => self.flow(flow, None),
        }
    }

    fn mouse(&mut self, event: MouseEvent) {
        self.typed.clear();
        self.count = None;
        let (column, row) = (event.column, event.row);
        match event.kind {
            MouseEventKind::Down(MouseButton::Left) => match self.cx.hits.at(column, row) {
                Some(Target::Act(action)) => self.act(action),
                Some(Target::Tab(n)) if n < self.tabs.len() => self.current = n,
                Some(target) => {
                    let flow = self.with_top(|screen, cx| screen.click(&target, cx));
                    self.flow(flow, None);
                }
                None => {}
            },
            MouseEventKind::ScrollUp => self.wheel(column, row, -NOTCH),
            MouseEventKind::ScrollDown => self.wheel(column, row, NOTCH),
            _ => {}
        }
    }

    fn wheel(&mut self, column: u16, row: u16, by: isize) {
        let pane = self.cx.hits.pane_at(column, row);
        let flow = self.with_top(|screen, cx| screen.wheel(pane, by, cx));
        self.flow(flow, None);
    }
}
