//! A line of text being typed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A change to a line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Type this.
    Insert(String),
    /// Delete the character before the cursor.
    Backspace,
    /// Delete the character under the cursor.
    Delete,
    /// Delete the word before the cursor.
    DeleteWord,
    /// Delete all before the cursor.
    DeleteToStart,
    /// Cursor one character left.
    Left,
    /// Cursor one character right.
    Right,
    /// Cursor to the start.
    Home,
    /// Cursor to the end.
    End,
}

impl Edit {
    /// What a key means to a line of text; `None` when nothing.
    pub fn from_key(key: KeyEvent) -> Option<Self> {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        Some(match key.code {
            KeyCode::Char('w') if ctrl => Self::DeleteWord,
            KeyCode::Char('u') if ctrl => Self::DeleteToStart,
            KeyCode::Char('e') if ctrl => Self::End,
            KeyCode::Char(c) if !ctrl && !alt => Self::Insert(c.to_string()),
            KeyCode::Backspace if ctrl || alt => Self::DeleteWord,
            KeyCode::Backspace => Self::Backspace,
            KeyCode::Delete => Self::Delete,
            KeyCode::Left => Self::Left,
            KeyCode::Right => Self::Right,
            KeyCode::Home => Self::Home,
            KeyCode::End => Self::End,
            _ => return None,
        })
    }
}

/// A line of text and its cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    text: String,
    /// Byte offset, always at a character's boundary.
    cursor: usize,
}

impl Input {
    /// With `text`, the cursor at its end.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text }
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before and behind the cursor.
    pub fn split(&self) -> (&str, &str) {
        self.text.split_at(self.cursor)
    }

    /// Applies a change; tells whether the text differs now.
    pub fn apply(&mut self, edit: &Edit) -> bool {
        let before = self.text.len();
        match edit {
            Edit::Insert(text) => {
                let line: String = text.chars().filter(|c| !c.is_control()).collect();
                self.text.insert_str(self.cursor, &line);
                self.cursor += line.len();
            }
            Edit::Backspace => self.delete_back(self.previous()),
            Edit::DeleteWord => {
                let head = self.text[..self.cursor].trim_end_matches([' ', '/']);
                let start = head.rfind([' ', '/']).map_or(0, |i| i + 1);
                self.delete_back(start);
            }
            Edit::DeleteToStart => self.delete_back(0),
            Edit::Delete => {
                let end = self.next();
                self.text.replace_range(self.cursor..end, "");
            }
            Edit::Left => self.cursor = self.previous(),
            Edit::Right => self.cursor = self.next(),
            Edit::Home => self.cursor = 0,
            Edit::End => self.cursor = self.text.len(),
        }
        self.text.len() != before
    }

    fn delete_back(&mut self, start: usize) {
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
    }

    fn previous(&self) -> usize {
        self.text[..self.cursor].char_indices().next_back().map_or(0, |(i, _)| i)
    }

    fn next(&self) -> usize {
        self.text[self.cursor..].chars().next().map_or(self.cursor, |c| self.cursor + c.len_utf8())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editing_keeps_to_characters() {
        let mut input = Input::new("jä");
        input.apply(&Edit::Left);
        input.apply(&Edit::Insert("x\u{1b}".into()));
        assert_eq!(input.text(), "jxä");
        input.apply(&Edit::Delete);
        assert_eq!(input.split(), ("jx", ""));
        input.apply(&Edit::Backspace);
        input.apply(&Edit::Backspace);
        assert!(!input.apply(&Edit::Backspace));
        let mut path = Input::new("s3://bucket/a/b");
        path.apply(&Edit::DeleteWord);
        assert_eq!(path.text(), "s3://bucket/a/");
    }
}
