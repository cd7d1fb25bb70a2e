//! The fields of a form.

use super::paths::Paths;
use super::rows::Rows;
use crate::widgets::input::Input;

/// What a field holds.
pub enum Kind {
    /// A line of text.
    Text {
        /// What was typed.
        input: Input,
        /// Stands there while nothing was typed.
        placeholder: String,
    },
    /// A line that is never shown: a key.
    Secret {
        /// What was typed.
        input: Input,
        /// Stands there while nothing was typed.
        placeholder: String,
    },
    /// One of a few.
    Choice {
        /// Their words.
        items: Vec<String>,
        /// Which.
        at: usize,
    },
    /// Yes or no.
    Toggle {
        /// Which.
        on: bool,
        /// What yes means.
        words: String,
    },
    /// Rows of cells: key and value.
    Rows(Rows),
    /// Local files and folders, with a picker.
    Paths(Paths),
    /// Lines to read; takes no focus.
    Info(Vec<String>),
}

/// A field of a form.
pub struct Field {
    /// By which its owner asks for it.
    pub id: &'static str,
    /// On its left.
    pub label: String,
    /// At the bottom while it has the focus.
    pub help: String,
    /// What it holds.
    pub kind: Kind,
    /// What is wrong with it.
    pub error: Option<String>,
    /// Something worth knowing about it, beside the value while nothing is wrong.
    pub note: Option<String>,
    /// It does not matter as the other fields are: not drawn, and passed over.
    pub hidden: bool,
}

impl Field {
    fn new(id: &'static str, label: &str, kind: Kind) -> Self {
        Self { id, label: label.to_owned(), help: String::new(), kind, error: None, note: None, hidden: false }
    }

    /// A line of text.
    pub fn text(id: &'static str, label: &str, value: &str, placeholder: &str) -> Self {
        Self::new(id, label, Kind::Text { input: Input::new(value), placeholder: placeholder.to_owned() })
    }

    /// A line that is never shown.
    pub fn secret(id: &'static str, label: &str, placeholder: &str) -> Self {
        Self::new(id, label, Kind::Secret { input: Input::default(), placeholder: placeholder.to_owned() })
    }

    /// One of a few.
    pub fn choice(id: &'static str, label: &str, items: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(id, label, Kind::Choice { items: items.into_iter().map(Into::into).collect(), at: 0 })
    }

    /// Yes or no.
    pub fn toggle(id: &'static str, label: &str, on: bool, words: &str) -> Self {
        Self::new(id, label, Kind::Toggle { on, words: words.to_owned() })
    }

    /// Rows of cells.
    pub fn rows(id: &'static str, label: &str, rows: Rows) -> Self {
        Self::new(id, label, Kind::Rows(rows))
    }

    /// Local paths.
    pub fn paths(id: &'static str, label: &str, paths: Paths) -> Self {
        Self::new(id, label, Kind::Paths(paths))
    }

    /// Lines to read.
    pub fn info(id: &'static str, label: &str, lines: Vec<String>) -> Self {
        Self::new(id, label, Kind::Info(lines))
    }

    /// Says what the field is for.
    #[must_use]
    pub fn help(mut self, help: &str) -> Self {
        help.clone_into(&mut self.help);
        self
    }

    pub(super) fn takes_focus(&self) -> bool {
        !self.hidden && !matches!(self.kind, Kind::Info(_))
    }
}
