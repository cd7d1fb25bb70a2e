//! The members as lines, groups folded or not.

use crate::zarr::{Form, Hierarchy, Path};
use std::collections::BTreeSet;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) path: Path,
    pub(super) is_group: bool,
}

/// All lines, and where the cursor is among those in sight.
#[derive(Default)]
pub(super) struct Tree {
    rows: Vec<Row>,
    folded: BTreeSet<Path>,
    cursor: usize,
    /// The first line drawn.
    pub(super) top: usize,
}

impl Tree {
    /// The members of a group; of an array that stands alone, itself. The cursor is on the first array.
    pub(super) fn of(hierarchy: &Hierarchy) -> Self {
        let is_root = |path: &Path| path.is_empty() && hierarchy.members.len() > 1;
        let members = hierarchy.members.iter().filter(|(path, _)| !is_root(path));
        let rows: Vec<Row> =
            members.map(|(path, m)| Row { path: path.clone(), is_group: matches!(m.form, Form::Group) }).collect();
        // What has most dimensions is what one came for.
        let rank = |row: &Row| hierarchy.array(&row.path).map_or(0, |(_, about)| about.shape.len() + 1);
        let most = rows.iter().map(rank).max().unwrap_or(0);
        let cursor = rows.iter().position(|row| rank(row) == most).unwrap_or(0);
        Self { rows, folded: BTreeSet::new(), cursor, top: 0 }
    }

    /// The lines in sight: those of folded groups are not.
    pub(super) fn shown(&self) -> Vec<&Row> {
        let hidden = |row: &Row| (1..row.path.len()).any(|end| self.folded.contains(&row.path[..end]));
        self.rows.iter().filter(|row| !hidden(row)).collect()
    }

    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(super) fn is_folded(&self, path: &Path) -> bool {
        self.folded.contains(path)
    }

    /// The path under the cursor.
    pub(super) fn path(&self) -> Option<Path> {
        self.shown().get(self.cursor).map(|row| row.path.clone())
    }

    /// Puts the cursor on a member, if it is there.
    pub(super) fn go_to(&mut self, path: &[String]) {
        if let Some(at) = self.shown().iter().position(|row| row.path == path && !path.is_empty()) {
            self.cursor = at;
        }
    }

    pub(super) fn step(&mut self, by: isize) {
        let last = self.shown().len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
    }

    /// Folds or unfolds the group under the cursor.
    pub(super) fn toggle(&mut self) {
        let Some(row) = self.shown().get(self.cursor).map(|row| (*row).clone()) else { return };
        if row.is_group && !self.folded.remove(&row.path) {
            self.folded.insert(row.path);
        }
    }

    /// Unfolds the group under the cursor; tells whether there was something to unfold.
    pub(super) fn unfold(&mut self) -> bool {
        let group = self.shown().get(self.cursor).filter(|row| row.is_group).map(|row| row.path.clone());
        let Some(path) = group else { return false };
        if !self.folded.remove(&path) {
            self.step(1);
        }
        true
    }

    /// Folds the group under the cursor, else goes to the group above.
    pub(super) fn fold(&mut self) {
        let Some(row) = self.shown().get(self.cursor).map(|row| (*row).clone()) else { return };
        if row.is_group && self.folded.insert(row.path.clone()) {
            return;
        }
        let Some((_, above)) = row.path.split_last() else { return };
        if let Some(at) = self.shown().iter().position(|row| row.path == above) {
            self.cursor = at;
        }
    }

    /// Has the cursor in sight of `height` lines.
    pub(super) fn keep(&mut self, height: usize) {
        let height = height.max(1);
        self.top = self.top.min(self.cursor).max((self.cursor + 1).saturating_sub(height));
        self.top = self.top.min(self.shown().len().saturating_sub(height));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zarr::{About, Member};

    fn hierarchy() -> Hierarchy {
        let mut hierarchy = Hierarchy::default();
        let array = |n| Form::Array(Box::new(About { shape: vec![1; n], ..About::default() }));
        for (path, form) in
            [("", Form::Group), ("a", Form::Group), ("a/x", array(1)), ("a/y", array(3)), ("b", array(2))]
        {
            let path = path.split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect();
            hierarchy.members.insert(path, Member { form, ..Member::default() });
        }
        hierarchy
    }

    #[test]
    fn groups_fold_and_the_cursor_begins_on_what_has_most_dimensions() {
        let mut tree = Tree::of(&hierarchy());
        assert_eq!(tree.path(), Some(vec!["a".to_owned(), "y".to_owned()]));
        tree.fold();
        assert_eq!(tree.path(), Some(vec!["a".to_owned()]));
        tree.fold();
        assert_eq!(tree.shown().len(), 2);
        tree.step(5);
        assert_eq!(tree.path(), Some(vec!["b".to_owned()]));
        tree.step(isize::MIN);
        assert!(tree.unfold() && tree.shown().len() == 4);
        tree.keep(2);
        assert_eq!(tree.top, 0);
    }
}
