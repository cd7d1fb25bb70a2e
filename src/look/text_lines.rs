//! Text, coloured a little.

use crate::preview::{Language, Text};
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

pub(super) fn draw(shown: &Text, scroll: (usize, usize), frame: &mut Frame, area: Rect, cx: &Cx) {
    let lines = shown.lines.iter().skip(scroll.0).take(area.height as usize).map(|line| {
        // What lies outside the window is not worth colouring.
        let tabs = line.replace('\t', "    ");
        let cut: String = tabs.chars().skip(scroll.1).take(area.width as usize).collect();
        let clean = text::clean(&cut).into_owned();
        match shown.language {
            Language::Json | Language::Toml => words(&clean, cx),
            Language::Xml => markup(&clean, cx),
            Language::Markdown => markdown(clean, cx),
            Language::Plain => Line::raw(clean),
        }
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

/// Strings, names, numbers and words of JSON and TOML. A string before a colon is a name.
fn words<'a>(line: &str, cx: &Cx) -> Line<'a> {
    let theme = &cx.theme;
    let mut spans = Vec::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let (len, role) = if c == '"' {
            let len = string_len(rest);
            let named = rest[len..].trim_start().starts_with(':');
            (len, if named { Role::Name } else { Role::String })
        } else if c.is_ascii_digit() || c == '-' {
            (rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len()), Role::Number)
        } else if c.is_alphabetic() {
            (rest.find(|c: char| !(c.is_alphanumeric() || "_-.".contains(c))).unwrap_or(rest.len()), Role::Accent)
        } else {
            (rest.find(|c: char| c == '"' || c == '-' || c.is_alphanumeric()).unwrap_or(rest.len()), Role::Dim)
        };
        let len = len.max(c.len_utf8());
        spans.push(Span::styled(rest[..len].to_owned(), theme.style(role)));
        rest = &rest[len..];
    }
    Line::from(spans)
}

/// Bytes of the quoted string at the start of `text`, quotes included.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

/// Tags of XML.
fn markup<'a>(line: &str, cx: &Cx) -> Line<'a> {
    let theme = &cx.theme;
    let mut spans = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (len, role) = if rest.starts_with('<') {
            (rest.find('>').map_or(rest.len(), |i| i + 1), Role::Name)
        } else {
            (rest.find('<').unwrap_or(rest.len()), Role::String)
        };
        spans.push(Span::styled(rest[..len].to_owned(), theme.style(role)));
        rest = &rest[len..];
    }
    Line::from(spans)
}

fn markdown<'a>(line: String, cx: &Cx) -> Line<'a> {
    let theme = &cx.theme;
    if line.starts_with('#') {
        Line::styled(line, theme.style(Role::Title))
    } else if line.starts_with("```") || line.starts_with("    ") {
        Line::styled(line, theme.style(Role::String))
    } else {
        Line::raw(line)
    }
}
