//! Popups: help and keys, the palette, messages, an address to type, what to copy, themes, questions.
//! One file each; what they share is here.

use crate::action::Action;
use crate::screen::popup::{framed, moved};
use crate::screen::{Cx, Flow, Open};
use crate::terminal::clipboard;
use crate::text;
use crate::theme::Role;
use crate::widgets::input::Input;
use ratatui::text::{Line, Span};

mod commands;
mod confirm;
mod copy;
mod goto;
mod help;
mod interrupted;
mod keys;
mod message;
mod palette;
mod plain;
mod question;
mod sure;
mod themes;

pub(super) use commands::Commands;
pub(super) use confirm::ConfirmQuit;
pub(super) use copy::CopyMenu;
pub(super) use goto::GoTo;
pub(super) use help::Help;
pub(super) use interrupted::Interrupted;
pub(super) use keys::Keys;
pub(super) use message::Message;
pub(super) use palette::Palette;
pub(super) use plain::Plain;
pub(super) use question::Question;
pub(super) use sure::Sure;
pub(super) use themes::Themes;

/// A list with a cursor, in a window.
#[derive(Default)]
pub(super) struct Cursor {
    pub(super) at: usize,
    top: usize,
}

impl Cursor {
    /// At a line.
    pub(super) fn new(at: usize) -> Self {
        Self { at, top: 0 }
    }

    /// Applies a movement; tells whether it was one.
    pub(super) fn update(&mut self, action: Action, n: usize, page: usize) -> bool {
        let to = moved(self.at, action, n, page, page);
        self.at = to.unwrap_or(self.at);
        to.is_some()
    }

    /// The first of so many lines that are shown, the cursor among them.
    pub(super) fn window(&mut self, height: usize) -> usize {
        self.top = self.top.min(self.at).max((self.at + 1).saturating_sub(height));
        self.top
    }
}

/// Copies text, and says so. Where the terminal is not known to take it, it is to be shown too, plain,
/// for the mouse.
pub(super) fn copied(cx: &mut Cx, name: &str, text: String) -> Option<Open> {
    let title = if text.len() > clipboard::LIMIT {
        format!("{name}: longer than the 74 kB that terminals take, so only shown")
    } else {
        cx.clipboard = Some(text.clone());
        if cx.clipboard_works {
            cx.toast(format!("copied: {name}"));
            return None;
        }
        format!("{name}: sent to the clipboard")
    };
    Some(Open::Plain { title, text })
}

/// The same of a popup, which is done then.
fn copied_and_closed(cx: &mut Cx, name: &str, text: String) -> Flow {
    copied(cx, name, text).map_or(Flow::Close, Flow::Replace)
}

/// Hints for the foot of a popup, as many as fit: `Enter copies  Esc closes`.
pub(super) fn hints<'a>(pairs: &[(String, &'a str)], width: u16, cx: &Cx) -> Line<'a> {
    let mut spans: Vec<Span<'a>> = Vec::new();
    let mut used = 0;
    for (key, word) in pairs.iter().filter(|(key, _)| !key.is_empty()) {
        let gap = if spans.is_empty() { 0 } else { 2 };
        let more = gap + text::width(key) + 1 + text::width(word);
        if used + more > usize::from(width) {
            break;
        }
        used += more;
        spans.push(Span::raw(" ".repeat(gap)));
        spans.push(Span::styled(key.clone(), cx.theme.style(Role::Key)));
        spans.push(Span::styled(format!(" {word}"), cx.theme.style(Role::Dim)));
    }
    Line::from(spans)
}

/// `text` in rows of at most `width` columns, broken at spaces where that leaves no row half empty.
/// Control characters are shown as pictures.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut rows = Vec::new();
    for line in text.split('\n') {
        let mut rest = &*text::clean(line);
        while text::width(rest) > width {
            let mut used = 0;
            let fits = rest.char_indices().find(|(_, c)| {
                used += text::width(c.encode_utf8(&mut [0; 4]));
                used > width
            });
            let end = fits.map_or(rest.len(), |(at, _)| at).max(rest.chars().next().map_or(1, char::len_utf8));
            let space = rest[..end].rfind(' ').map(|at| at + 1).filter(|at| *at > end / 2);
            let (row, after) = rest.split_at(space.unwrap_or(end));
            rows.push(row.to_owned());
            rest = after;
        }
        if !rest.is_empty() || line.is_empty() {
            rows.push(rest.to_owned());
        }
    }
    rows
}

/// A line being typed, its end kept in sight.
pub(super) fn input_line<'a>(input: &Input, width: u16, mark: &'a str, cx: &Cx) -> Line<'a> {
    let (before, after) = input.split();
    let room = (width as usize).saturating_sub(4);
    let before: Vec<char> = before.chars().collect();
    let start = before.len().saturating_sub(room);
    let before: String = before[start..].iter().collect();
    Line::from(vec![
        Span::styled(format!("{mark} "), cx.theme.style(Role::Key)),
        Span::raw(text::clean(&before).into_owned()),
        Span::styled(if cx.unicode { "▏" } else { "_" }, cx.theme.style(Role::Focus)),
        Span::raw(text::clean(after).into_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_broken_at_spaces_and_lose_nothing() {
        assert_eq!(wrapped("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrapped("s3://bucket/key", 6), ["s3://b", "ucket/", "key"]);
        assert_eq!(wrapped("湖湖湖", 3), ["湖", "湖", "湖"]);
        assert_eq!(wrapped("湖", 1), ["湖"], "wider than the row: cut by the terminal");
        assert_eq!(wrapped("a\n\n\u{1b}b", 9), ["a", "", "␛b"]);
    }
}
