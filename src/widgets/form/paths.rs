//! Local files and folders in a form: what was taken, a line of text, and under it the names of its
//! folder that match.

use crate::widgets::input::{Edit, Input};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Without a slash.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Of a file, in words.
    pub size: String,
}

/// Local paths, one or many.
pub struct Paths {
    many: bool,
    pub(super) taken: Vec<String>,
    pub(super) input: Input,
    /// The folder whose names these are, as typed.
    folder: Option<String>,
    items: Vec<Item>,
    /// Indices of [`Self::items`], best first.
    matches: Vec<usize>,
    /// The line of the list that has the cursor.
    pub(super) cursor: Option<usize>,
    pub(super) problem: Option<String>,
}

impl Paths {
    /// For one path, or for many.
    pub fn new(typed: &str, many: bool) -> Self {
        Self {
            many,
            taken: Vec::new(),
            input: Input::new(typed),
            folder: None,
            items: Vec::new(),
            matches: Vec::new(),
            cursor: None,
            problem: None,
        }
    }

    /// With paths taken already.
    #[must_use]
    pub fn with_taken(mut self, taken: Vec<String>) -> Self {
        self.taken = taken;
        self
    }

    /// What stands in the line.
    pub fn typed(&self) -> &str {
        self.input.text()
    }

    pub(super) fn set_typed(&mut self, text: &str) {
        self.input = Input::new(text);
        self.refresh();
    }

    /// The folder of the line and the part behind it: `~/data/`, `glo`.
    fn split(&self) -> (&str, &str) {
        let text = self.input.text();
        text.split_at(text.rfind('/').map_or(0, |i| i + 1))
    }

    /// Whether the line holds nothing of its own: a folder in it after paths were taken is only where
    /// the last one was found.
    pub(super) fn is_left_over(&self) -> bool {
        let typed = self.input.text().trim();
        !self.taken.is_empty() && (typed.is_empty() || typed.ends_with('/'))
    }

    /// Paths taken, and the typed one.
    pub(super) fn all(&self) -> Vec<String> {
        let mut all = self.taken.clone();
        let typed = self.input.text().trim();
        if !typed.is_empty() && !self.is_left_over() && !all.iter().any(|p| p == typed) {
            all.push(typed.to_owned());
        }
        all
    }

    pub(super) fn wanted_folder(&self) -> Option<String> {
        let (folder, _) = self.split();
        let elsewhere = self.input.text().contains("://");
        (!elsewhere && self.folder.as_deref() != Some(folder)).then(|| folder.to_owned())
    }

    pub(super) fn set_listing(&mut self, folder: &str, names: Result<Vec<Item>, String>) {
        self.folder = Some(folder.to_owned());
        (self.items, self.problem) = match names {
            Ok(items) => (items, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        self.refresh();
    }

    /// The names that match, best first; none for a folder that was not read yet.
    pub(super) fn matches(&self) -> impl ExactSizeIterator<Item = &Item> {
        self.matches.iter().map(|&i| &self.items[i])
    }

    fn refresh(&mut self) {
        self.cursor = None;
        let (folder, part) = self.split();
        if self.folder.as_deref() != Some(folder) {
            self.matches.clear();
            return;
        }
        let hidden = part.starts_with('.');
        let shown = |item: &Item| hidden || !item.name.starts_with('.');
        if part.is_empty() {
            self.matches = (0..self.items.len()).filter(|&i| shown(&self.items[i])).collect();
            return;
        }
        let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
        let pattern = Pattern::parse(part, CaseMatching::Smart, Normalization::Smart);
        let mut buffer = Vec::new();
        let mut scored: Vec<(u32, usize)> = Vec::new();
        for (i, item) in self.items.iter().enumerate().filter(|(_, item)| shown(item)) {
            if let Some(score) = pattern.score(Utf32Str::new(&item.name, &mut buffer), &mut matcher) {
                scored.push((score, i));
            }
        }
        scored.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        self.matches = scored.into_iter().map(|(_, i)| i).collect();
    }

    pub(super) fn edit(&mut self, edit: &Edit) -> bool {
        // In the list, Right goes into a folder and Left out of it.
        if self.cursor.is_some() && *edit == Edit::Right {
            return self.enter();
        }
        let changed = self.input.apply(edit);
        if changed {
            self.refresh();
        }
        changed
    }

    pub(super) fn down(&mut self) -> bool {
        let last = self.matches.len().checked_sub(1);
        let Some(last) = last else { return false };
        self.cursor = Some(self.cursor.map_or(0, |c| (c + 1).min(last)));
        true
    }

    pub(super) fn up(&mut self) -> bool {
        let Some(at) = self.cursor else { return false };
        self.cursor = at.checked_sub(1);
        true
    }

    pub(super) fn leave_list(&mut self) -> bool {
        self.cursor.take().is_some()
    }

    fn path_of(&self, item: &Item) -> String {
        format!("{}{}{}", self.split().0, item.name, if item.is_folder { "/" } else { "" })
    }

    fn pointed(&self) -> Option<(String, bool)> {
        let item = &self.items[*self.matches.get(self.cursor?)?];
        Some((self.path_of(item), item.is_folder))
    }

    /// Enter: goes into the folder or takes the file that the list points at; with many, takes what
    /// was typed. `false` where the form goes on.
    pub(super) fn enter(&mut self) -> bool {
        if let Some((path, is_folder)) = self.pointed() {
            if is_folder || !self.many {
                self.set_typed(&path);
            } else {
                self.take_path(path);
            }
            return true;
        }
        let typed = self.input.text().trim().to_owned();
        if !self.many || typed.is_empty() || self.is_left_over() {
            return false;
        }
        self.take_path(typed);
        true
    }

    /// Takes what the list points at, a folder too, or what was typed.
    pub(super) fn take(&mut self) -> bool {
        let typed = self.input.text().trim();
        let path = self.pointed().map(|(path, _)| path).or_else(|| (!typed.is_empty()).then(|| typed.to_owned()));
        let Some(path) = path else { return false };
        if self.many {
            self.take_path(path);
        } else {
            self.set_typed(&path);
        }
        true
    }

    fn take_path(&mut self, path: String) {
        let folder = path.trim_end_matches('/').rfind('/').map_or("", |i| &path[..=i]).to_owned();
        if !self.taken.contains(&path) {
            self.taken.push(path);
        }
        // The next one is often a neighbour: the list stays where it is.
        let cursor = self.cursor;
        self.set_typed(&folder);
        self.cursor = cursor.filter(|c| *c < self.matches.len());
    }

    pub(super) fn drop_last(&mut self) -> bool {
        self.taken.pop().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, is_folder: bool) -> Item {
        Item { name: name.into(), is_folder, size: String::new() }
    }

    fn listed(many: bool) -> Paths {
        let mut paths = Paths::new("d/", many);
        assert_eq!(paths.wanted_folder().as_deref(), Some("d/"));
        let names = vec![item("glodap.csv", false), item("notes.txt", false), item("sub", true), item(".git", true)];
        paths.set_listing("d/", Ok(names));
        assert_eq!(paths.wanted_folder(), None);
        paths
    }

    #[test]
    fn letters_find_names_and_enter_takes_them() {
        let mut paths = listed(true);
        assert_eq!(paths.matches().len(), 3, "hidden names stay hidden");
        paths.edit(&Edit::Insert("gcsv".into()));
        assert_eq!(paths.matches().next().map(|i| i.name.as_str()), Some("glodap.csv"));
        assert!(paths.down() && paths.enter());
        assert_eq!(paths.all(), ["d/glodap.csv"]);
        assert_eq!(paths.typed(), "d/", "ready for its neighbour");
        assert!(!paths.leave_list() || !paths.enter(), "and Enter goes on");
        assert!(paths.drop_last());
        assert_eq!(paths.all(), ["d/"], "a folder as a whole");
    }

    #[test]
    fn folders_open_or_are_taken_whole() {
        let mut paths = listed(true);
        paths.edit(&Edit::Insert("sub".into()));
        paths.down();
        paths.enter();
        assert_eq!(paths.typed(), "d/sub/");
        assert_eq!(paths.wanted_folder().as_deref(), Some("d/sub/"));
        assert!(paths.take());
        assert_eq!(paths.all(), ["d/sub/"]);
    }

    #[test]
    fn one_path_is_what_stands_in_the_line_and_addresses_need_no_folder() {
        let mut paths = listed(false);
        paths.down();
        paths.enter();
        assert_eq!(paths.all(), ["d/glodap.csv"]);
        paths.set_typed("s3://b/x");
        assert_eq!(paths.wanted_folder(), None);
    }
}
