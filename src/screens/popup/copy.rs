//! What to copy of one or several things: addresses, links, paths, lines of code, with a look at the text.

use super::{Cursor, copied, copied_and_closed, framed, hints, wrapped};
use crate::action::Action;
use crate::error::Result;
use crate::location::Location;
use crate::screen::{Cx, Flow, Open, Screen};
use crate::snippet::{self, Body, Language, Offer};
use crate::store::{Link, Method, parse_expiry};
use crate::task::{Pending, poll_slot};
use crate::text;
use crate::theme::{Role, Theme};
use crate::widgets::input::{Edit, Input};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use std::time::Duration;

/// How long links may be valid, without typing.
const EXPIRIES: [(&str, u64); 4] = [("15 min", 900), ("1 h", 3_600), ("1 day", 86_400), ("7 days", 604_800)];
/// As [`parse_expiry`] reads them.
const WRITTEN: [&str; 4] = ["15min", "1h", "1d", "7d"];
/// Inner width from which on the list stands beside the text.
const WIDE: u16 = 70;
/// Columns of the list.
const LIST: u16 = 20;

/// The popup.
pub(in crate::screens) struct CopyMenu {
    locations: Vec<Location>,
    offers: Vec<Offer>,
    note: Option<String>,
    cursor: Cursor,
    /// Rows of the text above the window.
    scroll: usize,
    /// Where in [`EXPIRIES`], unless one was typed.
    expiry: usize,
    /// A length of time of the user's own, as it was written.
    own: Option<(String, Duration)>,
    /// One being typed.
    typing: Option<Input>,
    error: Option<String>,
    /// Links being signed, and for which offer.
    signing: Option<(usize, Pending<Vec<Link>>)>,
    open: Option<Open>,
    is_over: bool,
}

impl CopyMenu {
    pub(in crate::screens) fn open(locations: Vec<Location>, media_type: Option<&str>, cx: &mut Cx) -> Self {
        let reach = match locations.first().map(|first| cx.stores.reach(first)) {
            Some(Ok(reach)) => reach,
            Some(Err(err)) => {
                cx.fail(&err);
                crate::store::Reach::default()
            }
            None => crate::store::Reach::default(),
        };
        Self {
            offers: snippet::offers(&locations, media_type, &reach),
            note: snippet::note(&locations, &reach),
            locations,
            cursor: Cursor::default(),
            scroll: 0,
            expiry: 1,
            own: None,
            typing: None,
            error: None,
            signing: None,
            open: None,
            is_over: false,
        }
    }

    fn offer(&self) -> Option<&Offer> {
        self.offers.get(self.cursor.at)
    }

    fn is_link(&self) -> bool {
        self.offer().is_some_and(|offer| matches!(offer.body, Body::Link { .. }))
    }

    fn valid(&self) -> (String, Duration) {
        let of_list = || {
            let at = self.expiry.min(EXPIRIES.len() - 1);
            (WRITTEN[at].to_owned(), Duration::from_secs(EXPIRIES[at].1))
        };
        self.own.clone().unwrap_or_else(of_list)
    }

    /// Copies what stands at `at`; a link is signed first.
    fn choose(&mut self, at: usize, cx: &mut Cx) -> Flow {
        let Some(offer) = self.offers.get(at) else { return Flow::Done };
        self.cursor.at = at;
        let method = match &offer.body {
            Body::Text(text) => return copied_and_closed(cx, offer.name, text.clone()),
            Body::Link { method, .. } => *method,
        };
        if self.signing.is_some() {
            return Flow::Done;
        }
        let (written, valid) = self.valid();
        let mut command = vec!["presign".to_owned()];
        command.extend(self.locations.iter().map(ToString::to_string));
        command.extend(["--expires".to_owned(), written]);
        if method == Method::Put {
            command.push("--put".to_owned());
        }
        cx.last_command = Some(command);
        let (stores, locations) = (cx.stores.clone(), self.locations.clone());
        let sign = async move {
            let mut links = Vec::new();
            for location in &locations {
                let handle = stores.open(location, stores.meter()).await?;
                links.push(handle.presign(method, location.key(), valid).await?);
            }
            Ok(links)
        };
        self.signing = Some((at, Pending::spawn(&cx.waker, sign)));
        Flow::Done
    }

    /// What is done with signed links.
    fn signed(&mut self, at: usize, links: Result<Vec<Link>>, cx: &mut Cx) {
        let (links, offer) = match (links, self.offers.get(at)) {
            (Ok(links), Some(offer)) => (links, offer),
            (Err(err), _) => return cx.fail(&err),
            (Ok(_), None) => return,
        };
        let is_command = matches!(offer.body, Body::Link { is_command: true, .. });
        let lines: Vec<String> = links
            .iter()
            .zip(&self.locations)
            .map(
                |(link, location)| {
                    if is_command { snippet::curl(&link.url, location, link.method) } else { link.url.clone() }
                },
            )
            .collect();
        let Some(end) = links.iter().map(|link| link.expires).min() else { return };
        let end = end.format("%Y-%m-%d %H:%M UTC");
        let why = if links.iter().any(|l| l.is_shortened) { ", when the credentials end" } else { "" };
        self.open = copied(cx, &format!("{}, valid until {end}{why}", offer.name), lines.join("\n"));
        self.is_over = true;
    }

    /// The text of what the cursor is on; of links, what they are.
    fn look(&self, cx: &Cx) -> (String, Language) {
        let Some(offer) = self.offer() else { return ("There is nothing to copy.".into(), Language::Plain) };
        let Body::Link { method, is_command } = &offer.body else {
            let Body::Text(text) = &offer.body else { return (String::new(), offer.language) };
            return (text.clone(), offer.language);
        };
        let what = match (method, self.locations.len()) {
            (Method::Get, 1) => "Whoever has the link can read this object, without credentials, until it ends.",
            (Method::Get, _) => "Whoever has a link can read its object, without credentials, until it ends.",
            (Method::Put, _) => "Whoever has the link can write this object, over what is there, until it ends.",
        };
        let form = if *is_command { "\n\nIt comes in a command line of curl." } else { "" };
        let (left, right) = (cx.keymap.label(&["menu"], Action::Left), cx.keymap.label(&["menu"], Action::Right));
        let valid = match (&self.typing, &self.own) {
            (Some(input), _) => format!("valid   {}▏   as 15min, 36h, 7d", input.text()),
            (None, Some((_, valid))) => format!("valid   {}", text::duration(*valid)),
            (None, None) => {
                let names = EXPIRIES
                    .iter()
                    .enumerate()
                    .map(|(i, (name, _))| if i == self.expiry { format!("‹{name}›") } else { format!(" {name} ") });
                format!("valid  {}", names.collect::<String>())
            }
        };
        let how = format!(
            "{left} {right} changes it, digits type another. The link is signed when you press Enter, and kept nowhere."
        );
        let state = match (&self.error, &self.signing) {
            (Some(error), _) => format!("\n\n{error}"),
            (None, Some(_)) => "\n\nsigning…".to_owned(),
            (None, None) => String::new(),
        };
        (format!("{valid}{state}\n\n{what}\n\n{how}{form}"), Language::Plain)
    }

    fn type_expiry(&mut self, edit: &Edit) {
        self.error = None;
        let input = self.typing.get_or_insert_default();
        if *edit == Edit::Backspace && input.text().is_empty() {
            self.typing = None;
        } else {
            input.apply(edit);
        }
    }

    fn typed(&mut self) {
        let Some(input) = &self.typing else { return };
        match parse_expiry(input.text()) {
            Ok(valid) => {
                self.own = Some((input.text().replace(' ', ""), valid));
                self.typing = None;
            }
            Err(err) => self.error = Some(err.to_string()),
        }
    }

    fn step_expiry(&mut self, by: isize) {
        if self.is_link() && self.own.take().is_none() {
            self.expiry = self.expiry.saturating_add_signed(by).min(EXPIRIES.len() - 1);
        }
    }
}

impl Screen for CopyMenu {
    fn contexts(&self) -> &'static [&'static str] {
        if self.typing.is_some() { &["prompt"] } else { &["menu"] }
    }
    fn title(&self) -> String {
        "copy".into()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        true
    }
    fn is_over(&self) -> bool {
        self.is_over
    }
    fn take_open(&mut self) -> Option<Open> {
        self.open.take()
    }
    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if self.typing.is_some() {
            match action {
                Action::Enter => self.typed(),
                Action::Back => (self.typing, self.error) = (None, None),
                Action::Quit => return Flow::Ignored,
                _ => {}
            }
            return Flow::Done;
        }
        match action {
            Action::PageUp => self.scroll = self.scroll.saturating_sub(5),
            Action::PageDown => self.scroll += 5,
            Action::Left => self.step_expiry(-1),
            Action::Right => self.step_expiry(1),
            Action::Enter => return self.choose(self.cursor.at, cx),
            Action::Yank => return self.choose(0, cx),
            Action::Close | Action::Back => return Flow::Close,
            Action::Quit | Action::Help => return Flow::Ignored,
            other => {
                if self.cursor.update(other, self.offers.len(), 5) {
                    (self.scroll, self.error) = (0, None);
                }
            }
        }
        Flow::Done
    }
    fn edit(&mut self, edit: &Edit, cx: &mut Cx) -> Flow {
        let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        match edit {
            edit if self.typing.is_some() => self.type_expiry(edit),
            Edit::Insert(text) if self.is_link() && digit(text) => self.type_expiry(edit),
            Edit::Insert(text) => {
                let letter = text.chars().next();
                if let Some(at) = self.offers.iter().position(|offer| Some(offer.letter) == letter) {
                    return self.choose(at, cx);
                }
            }
            _ => {}
        }
        Flow::Done
    }
    fn poll(&mut self, cx: &mut Cx) {
        let Some((at, pending)) = self.signing.take() else { return };
        let mut slot = Some(pending);
        match poll_slot(&mut slot) {
            Some(links) => self.signed(at, links, cx),
            None => self.signing = slot.map(|pending| (at, pending)),
        }
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let title = match self.locations.as_slice() {
            [one] => format!("Copy: {}", text::fit_middle(one.name(), 40)),
            many => format!("Copy: {} things", many.len()),
        };
        let width = area.width.min(120);
        let is_wide = width >= WIDE + 4;
        let (look, language) = self.look(cx);
        let text_width = if is_wide { width - 4 - LIST - 2 } else { width.saturating_sub(4) };
        let rows = wrapped(&look, usize::from(text_width));
        let note =
            self.note.as_deref().map(|note| wrapped(note, usize::from(width.saturating_sub(4)))).unwrap_or_default();
        let n = self.offers.len() as u16;
        let tall = if is_wide { n.max(14) } else { n + 1 + (rows.len() as u16).max(6) };
        let inner = framed(frame, area, width, tall + 4 + note.len() as u16, &title, cx);
        let note_height = if inner.height > 14 && !note.is_empty() { note.len() as u16 + 1 } else { 0 };
        let [body, notes, foot] = Layout::vertical([
            Constraint::Min(1),
            Constraint::Length(note_height),
            Constraint::Length(u16::from(inner.height > 4)),
        ])
        .areas(inner);
        let (list, look) = if is_wide {
            let [list, _, look] =
                Layout::horizontal([Constraint::Length(LIST), Constraint::Length(2), Constraint::Min(1)]).areas(body);
            (list, look)
        } else {
            // The text has at least a few rows, the list the rest it needs.
            let below = (rows.len() as u16).clamp(3, 8).min(body.height / 2);
            let height = n.min(body.height.saturating_sub(below + 1));
            let list = Rect { height, ..body };
            let look = Rect { y: body.y + height + 1, height: body.height.saturating_sub(height + 1), ..body };
            let rule = Rect { y: body.y + height, height: 1.min(body.height - height), ..body };
            let line = "─".repeat(usize::from(rule.width));
            frame.render_widget(Paragraph::new(Span::styled(line, theme.style(Role::Faint))), rule);
            (list, look)
        };
        self.draw_list(frame, list, theme);
        let height = usize::from(look.height.max(1));
        self.scroll = self.scroll.min(rows.len().saturating_sub(height));
        let shown: Vec<Line> =
            rows.iter().skip(self.scroll).take(height).map(|row| coloured(row, language, theme)).collect();
        frame.render_widget(Paragraph::new(shown), look);
        let note: Vec<Line> = note.into_iter().map(Line::raw).collect();
        let notes = Rect { y: notes.y + 1, height: notes.height.saturating_sub(1), ..notes };
        frame.render_widget(Paragraph::new(note).style(theme.style(Role::Warn)), notes);
        let label = |action| cx.keymap.label(self.contexts(), action);
        let scroll = if rows.len() > height { label(Action::PageDown) } else { String::new() };
        let pairs = [
            (label(Action::Enter), "copies"),
            ("letters".to_owned(), "too"),
            (scroll, "more text"),
            (label(Action::Back), "closes"),
        ];
        frame.render_widget(Paragraph::new(hints(&pairs, foot.width, cx)), foot);
    }
}

impl CopyMenu {
    fn draw_list(&mut self, frame: &mut Frame, list: Rect, theme: &Theme) {
        let top = self.cursor.window(usize::from(list.height.max(1)));
        for (i, offer) in self.offers.iter().enumerate().skip(top).take(usize::from(list.height)) {
            let at = Rect { y: list.y + (i - top) as u16, height: 1, ..list };
            let is_at = i == self.cursor.at;
            let style = if is_at { theme.style(Role::Cursor) } else { Style::default() };
            let key = if is_at { Style::default() } else { theme.style(Role::Key) };
            let line = Line::from(vec![Span::styled(format!(" {}  ", offer.letter), key), Span::raw(offer.name)]);
            frame.render_widget(Paragraph::new(line).style(style), at);
        }
    }
}

/// Words that code is read by.
const WORDS: [&str; 19] = [
    "import", "from", "with", "as", "class", "def", "return", "if", "not", "SELECT", "FROM", "LIMIT", "INSTALL",
    "LOAD", "CREATE", "OR", "REPLACE", "SECRET", "SET",
];

/// A row of code with its strings and words in colours. Rows are looked at one by one: a string that
/// goes on in the next row loses its colour there, not its text.
fn coloured<'a>(row: &str, language: Language, theme: &Theme) -> Line<'a> {
    if language == Language::Plain {
        return Line::raw(row.to_owned());
    }
    let mut spans: Vec<Span<'a>> = Vec::new();
    let mut rest = row;
    while let Some(c) = rest.chars().next() {
        let (length, style) = match c {
            '"' | '\'' => {
                let mut is_escaped = false;
                let end = rest.char_indices().skip(1).find(|(_, next)| {
                    let ends = *next == c && !is_escaped;
                    is_escaped = *next == '\\' && !is_escaped;
                    ends
                });
                (end.map_or(rest.len(), |(at, _)| at + 1), theme.style(Role::String))
            }
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                let is_word = WORDS.contains(&&rest[..end]);
                (end, if is_word { theme.style(Role::Accent) } else { Style::default() })
            }
            c => (c.len_utf8(), Style::default()),
        };
        spans.push(Span::styled(rest[..length].to_owned(), style));
        rest = &rest[length..];
    }
    Line::from(spans)
}
