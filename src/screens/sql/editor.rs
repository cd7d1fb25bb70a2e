//! SQL being typed: one line, broken where the screen ends, in the colours of its words, with completion.

use crate::query::{Word, WordKind, completions};
use crate::screen::Cx;
use crate::text;
use crate::theme::{Role, Theme};
use crate::widgets::input::{Edit, Input};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

/// Words of the language that are drawn as such.
const WORDS: &str = " select from where group by order limit offset having distinct as and or not in is null like \
    ilike between case when then else end cast join left right inner outer cross on using union all with asc desc \
    nulls last first over partition explain true false interval exists filter ";

/// What is typed, and the words that would complete it.
#[derive(Default)]
pub(in crate::screens) struct Editor {
    input: Input,
    words: Vec<Word>,
    /// Which of the words stands in the text now, and how much of it is theirs.
    chosen: Option<usize>,
    /// The start that the words complete.
    start: String,
}

impl Editor {
    pub(in crate::screens) fn new(text: &str) -> Self {
        Self { input: Input::new(text), ..Self::default() }
    }

    pub(in crate::screens) fn text(&self) -> &str {
        self.input.text()
    }

    pub(in crate::screens) fn set(&mut self, text: &str) {
        self.input = Input::new(text);
        self.forget();
    }

    fn forget(&mut self) {
        self.words.clear();
        self.chosen = None;
    }

    pub(in crate::screens) fn edit(&mut self, edit: &Edit) {
        match edit {
            // What was pasted may have lines.
            Edit::Insert(pasted) => {
                let line = pasted.replace(['\n', '\r', '\t'], " ");
                self.input.apply(&Edit::Insert(line));
            }
            other => {
                self.input.apply(other);
            }
        }
        self.forget();
    }

    /// The beginning of a word before the cursor; empty within quotes of a text.
    pub(in crate::screens) fn beginning(&self) -> &str {
        let before = self.input.split().0;
        if before.matches('\'').count() % 2 == 1 {
            return "";
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '"';
        let at = before.char_indices().rev().take_while(|(_, c)| is_part(*c)).last().map_or(before.len(), |(i, _)| i);
        &before[at..]
    }

    /// What is offered for what stands before the cursor.
    pub(in crate::screens) fn offer(&mut self, columns: &[(String, String)]) {
        if self.chosen.is_none() {
            let start = self.beginning().to_owned();
            self.words = if start.is_empty() { Vec::new() } else { completions(&start, columns) };
            // A word that stands there already is not offered.
            self.words.retain(|word| word.text != start);
            self.start = start;
        }
    }

    /// Puts in the next word (or the one before), in the place of what was begun or put in last.
    pub(in crate::screens) fn complete(&mut self, columns: &[(String, String)], back: bool) {
        if self.chosen.is_none() {
            self.offer(columns);
            if self.start.is_empty() {
                self.words = completions("", columns);
            }
        }
        if self.words.is_empty() {
            return;
        }
        let n = self.words.len();
        let (next, there) = match self.chosen {
            None => (if back { n - 1 } else { 0 }, self.start.chars().count()),
            Some(at) => ((at + if back { n - 1 } else { 1 }) % n, self.words[at].text.chars().count()),
        };
        for _ in 0..there {
            self.input.apply(&Edit::Backspace);
        }
        self.input.apply(&Edit::Insert(self.words[next].text.clone()));
        self.chosen = Some(next);
    }

    /// The words offered in a line: names, and what they are where there is room.
    pub(in crate::screens) fn offers(&self, width: u16, theme: &Theme) -> Line<'static> {
        let mut spans = Vec::new();
        let mut left = usize::from(width);
        let first = self.chosen.map_or(0, |at| at.saturating_sub(2));
        for (i, word) in self.words.iter().enumerate().skip(first) {
            let name = text::clean(word.text.trim_end_matches('(')).into_owned();
            let about =
                if word.kind == WordKind::Column { text::clean(&word.about).into_owned() } else { String::new() };
            let room = text::width(&name) + if about.is_empty() { 2 } else { text::width(&about) + 3 };
            if room > left {
                spans.push(Span::styled("…", theme.style(Role::Faint)));
                break;
            }
            left -= room;
            let role = if self.chosen == Some(i) { Role::Cursor } else { role_of(word.kind) };
            spans.push(Span::styled(name, theme.style(role)));
            if !about.is_empty() {
                spans.push(Span::styled(format!(" {about}"), theme.style(Role::Faint)));
            }
            spans.push(Span::raw("  "));
        }
        Line::from(spans)
    }

    /// What is known of the word that was put in last: how a function is called.
    pub(in crate::screens) fn about(&self) -> Option<&str> {
        let word = &self.words[self.chosen?];
        (word.kind == WordKind::Function).then_some(word.about.as_str())
    }

    /// The text in lines of at most `width` columns, the cursor in it where `focus`; and the line of the cursor.
    pub(in crate::screens) fn lines(&self, width: u16, focus: bool, cx: &Cx) -> (Vec<Line<'static>>, usize) {
        let theme = &cx.theme;
        let cursor = self.input.split().0.chars().count();
        let mut lines: Vec<Vec<Span>> = vec![Vec::new()];
        let (mut used, mut at_line) = (0, 0);
        let styles = styles(self.input.text(), theme);
        let cells = self.input.text().chars().chain([' ']).zip(styles.into_iter().chain([Style::default()]));
        for (i, (c, style)) in cells.enumerate() {
            let shown = text::clean(c.encode_utf8(&mut [0; 4])).into_owned();
            let wide = text::width(&shown);
            if used + wide > usize::from(width.max(2)) {
                lines.push(Vec::new());
                used = 0;
            }
            used += wide;
            let mut style = style;
            if i == cursor {
                at_line = lines.len() - 1;
                if focus {
                    style = style.add_modifier(Modifier::REVERSED);
                }
            }
            if let Some(line) = lines.last_mut() {
                match line.last_mut() {
                    Some(last) if last.style == style => last.content.to_mut().push_str(&shown),
                    _ => line.push(Span::styled(shown, style)),
                }
            }
        }
        (lines.into_iter().map(Line::from).collect(), at_line)
    }
}

fn role_of(kind: WordKind) -> Role {
    match kind {
        WordKind::Column => Role::Name,
        WordKind::Function => Role::Accent,
        WordKind::Keyword => Role::Key,
    }
}

/// A style for each character: words of the language, functions, texts, numbers.
fn styles(sql: &str, theme: &Theme) -> Vec<Style> {
    let ink = |role: Role| Style { bg: None, ..theme.style(role) };
    let chars: Vec<char> = sql.chars().collect();
    let mut out = Vec::with_capacity(chars.len());
    let mut i = 0;
    while i < chars.len() {
        let start = i;
        let role = match chars[i] {
            quote @ ('\'' | '"') => {
                i += 1;
                while i < chars.len() && chars[i] != quote {
                    i += 1;
                }
                i = (i + 1).min(chars.len());
                if quote == '\'' { Role::String } else { Role::Name }
            }
            c if c.is_alphabetic() || c == '_' => {
                while i < chars.len() && (chars[i].is_alphanumeric() || chars[i] == '_') {
                    i += 1;
                }
                let word: String = chars[start..i].iter().collect::<String>().to_ascii_lowercase();
                if chars.get(i) == Some(&'(') {
                    Role::Accent
                } else if WORDS.contains(&format!(" {word} ")) {
                    Role::Key
                } else {
                    Role::Text
                }
            }
            c if c.is_ascii_digit() => {
                while i < chars.len() && (chars[i].is_ascii_alphanumeric() || chars[i] == '.') {
                    i += 1;
                }
                Role::Number
            }
            _ => {
                i += 1;
                Role::Dim
            }
        };
        out.extend(std::iter::repeat_n(ink(role), i - start));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_completed_one_after_the_other() {
        let columns = [("h_mean".to_owned(), "f64".to_owned()), ("h_sigma".to_owned(), "f32".to_owned())];
        let mut editor = Editor::new("SELECT h_");
        editor.complete(&columns, false);
        assert_eq!(editor.text(), "SELECT h_mean");
        editor.complete(&columns, false);
        assert_eq!(editor.text(), "SELECT h_sigma");
        editor.complete(&columns, true);
        assert_eq!(editor.text(), "SELECT h_mean");
        editor.edit(&Edit::Insert(", st_ar".to_owned()));
        editor.complete(&columns, false);
        assert_eq!(editor.text(), "SELECT h_mean, st_area(");
        assert_eq!(editor.about(), Some("st_area(geometry)"));
        let mut text = Editor::new("SELECT * FROM 's3://h_");
        text.complete(&[], false);
        assert_eq!(text.text(), "SELECT * FROM 's3://h_", "not within quotes");
    }

    #[test]
    fn lines_that_are_pasted_become_one() {
        let mut editor = Editor::default();
        editor.edit(&Edit::Insert("SELECT 1\nFROM x".to_owned()));
        assert_eq!(editor.text(), "SELECT 1 FROM x");
    }
}
