//! Rows of cells in a form: metadata, tags, series.

use crate::widgets::input::{Edit, Input};

/// A column of [`Rows`].
pub struct Column {
    /// Above it, and in its empty cells.
    pub title: String,
    /// Its share of the width.
    pub weight: u16,
    /// What may stand in it; empty: anything.
    pub choices: Vec<String>,
}

impl Column {
    /// For any text.
    pub fn text(title: &str) -> Self {
        Self { title: title.to_owned(), weight: 2, choices: Vec::new() }
    }

    /// For one of a few.
    pub fn choice(title: &str, choices: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { title: title.to_owned(), weight: 1, choices: choices.into_iter().map(Into::into).collect() }
    }

    /// With another share of the width.
    #[must_use]
    pub fn weight(mut self, weight: u16) -> Self {
        self.weight = weight;
        self
    }
}

/// Rows of cells. There is always one row, be it empty.
pub struct Rows {
    pub(super) columns: Vec<Column>,
    pub(super) cells: Vec<Vec<Input>>,
    /// Row and column of the cursor.
    pub(super) at: (usize, usize),
}

impl Rows {
    /// One empty row.
    pub fn new(columns: Vec<Column>) -> Self {
        let mut rows = Self { columns, cells: Vec::new(), at: (0, 0) };
        rows.cells.push(rows.fresh());
        rows
    }

    /// With these rows filled in.
    #[must_use]
    pub fn with(mut self, rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        for row in rows {
            self.push(row);
        }
        self
    }

    fn fresh(&self) -> Vec<Input> {
        self.columns.iter().map(|c| Input::new(c.choices.first().cloned().unwrap_or_default())).collect()
    }

    /// Whether nothing was typed into a row; a preset choice does not count.
    fn is_empty(&self, row: &[Input]) -> bool {
        row.iter().zip(&self.columns).all(|(cell, column)| !column.choices.is_empty() || cell.text().trim().is_empty())
    }

    /// Adds a row, in the place of an empty last one.
    pub fn push(&mut self, row: Vec<String>) {
        let mut cells: Vec<Input> = row.into_iter().map(Input::new).collect();
        cells.resize(self.columns.len(), Input::default());
        if self.cells.last().is_some_and(|last| self.is_empty(last)) {
            self.cells.pop();
        }
        self.cells.push(cells);
        self.clamp();
    }

    /// Takes out rows that hold exactly these cells.
    pub fn remove_equal(&mut self, row: &[String]) {
        self.cells.retain(|r| !r.iter().map(Input::text).eq(row.iter().map(String::as_str)));
        self.clamp();
    }

    fn clamp(&mut self) {
        if self.cells.is_empty() {
            self.cells.push(self.fresh());
        }
        self.at.0 = self.at.0.min(self.cells.len() - 1);
        self.at.1 = self.at.1.min(self.columns.len().saturating_sub(1));
    }

    /// The rows in which something was typed, without space around.
    pub fn filled(&self) -> Vec<Vec<String>> {
        let rows = self.cells.iter().filter(|row| !self.is_empty(row));
        rows.map(|row| row.iter().map(|c| c.text().trim().to_owned()).collect()).collect()
    }

    pub(super) fn come_in(&mut self, forward: bool) {
        self.at = if forward { (0, 0) } else { (self.cells.len() - 1, self.columns.len().saturating_sub(1)) };
    }

    pub(super) fn next_cell(&mut self) -> bool {
        let (row, column) = self.at;
        if column + 1 < self.columns.len() {
            self.at.1 += 1;
        } else if row + 1 < self.cells.len() {
            self.at = (row + 1, 0);
        } else {
            return false;
        }
        true
    }

    pub(super) fn prev_cell(&mut self) -> bool {
        let (row, column) = self.at;
        if column > 0 {
            self.at.1 -= 1;
        } else if row > 0 {
            self.at = (row - 1, self.columns.len().saturating_sub(1));
        } else {
            return false;
        }
        true
    }

    pub(super) fn down(&mut self) -> bool {
        let can = self.at.0 + 1 < self.cells.len();
        self.at.0 += usize::from(can);
        can
    }

    pub(super) fn up(&mut self) -> bool {
        let can = self.at.0 > 0;
        self.at.0 -= usize::from(can);
        can
    }

    /// Enter: behind the last cell of a filled last row a new one; `false` where it goes on.
    pub(super) fn enter(&mut self) -> bool {
        let last = self.at == (self.cells.len() - 1, self.columns.len().saturating_sub(1));
        if last && !self.is_empty(&self.cells[self.at.0]) {
            self.add();
            return true;
        }
        false
    }

    pub(super) fn add(&mut self) {
        let at = (self.at.0 + 1).min(self.cells.len());
        self.cells.insert(at, self.fresh());
        self.at = (at, 0);
    }

    pub(super) fn remove(&mut self) -> bool {
        self.cells.remove(self.at.0);
        self.clamp();
        true
    }

    pub(super) fn edit(&mut self, edit: &Edit) -> bool {
        let (row, column) = self.at;
        let (Some(cell), Some(head)) =
            (self.cells.get_mut(row).and_then(|r| r.get_mut(column)), self.columns.get(column))
        else {
            return false;
        };
        if head.choices.is_empty() {
            return cell.apply(edit);
        }
        let mut at = head.choices.iter().position(|c| c == cell.text()).unwrap_or(0);
        let changed = super::edit_choice(&head.choices, &mut at, edit);
        if changed {
            *cell = Input::new(head.choices[at].clone());
        }
        changed
    }

    pub(super) fn choose(&mut self, forward: bool) -> bool {
        let turns = self.columns.get(self.at.1).is_some_and(|c| !c.choices.is_empty());
        turns && self.edit(if forward { &Edit::Right } else { &Edit::Left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_comes_and_goes_without_touching_other_rows() {
        let mut rows = Rows::new(vec![Column::text("key"), Column::text("value")]);
        rows.push(vec!["mine".into(), "1".into()]);
        let template = vec!["fairease.catalog.mediatype".to_owned(), "COG".to_owned()];
        rows.push(template.clone());
        assert_eq!(rows.filled().len(), 2);
        rows.remove_equal(&template);
        assert_eq!(rows.filled(), [["mine", "1"]]);
        rows.remove();
        assert!(rows.filled().is_empty());
        assert_eq!(rows.cells.len(), 1);
    }

    #[test]
    fn a_column_of_choices_turns_and_does_not_fill_a_row() {
        let mut rows = Rows::new(vec![Column::choice("format", ["cog", "zarr"]), Column::text("location")]);
        assert!(rows.edit(&Edit::Right));
        assert!(rows.filled().is_empty());
        rows.next_cell();
        rows.edit(&Edit::Insert("s3://b/x".into()));
        assert_eq!(rows.filled(), [["zarr", "s3://b/x"]]);
    }
}
