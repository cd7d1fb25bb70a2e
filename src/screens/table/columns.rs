//! The columns of a table as they are shown: their order, which are hidden, how many are frozen, how
//! wide they are.

use crate::query::Order;
use crate::table::{About, Column};
use crate::text;
use crate::widgets::grid::{Points, Side};
use std::collections::HashMap;

/// A column is at most so wide by itself; its cells are cut.
const WIDEST: u16 = 34;
/// No column is made wider than this.
const MOST: u16 = 400;
/// What stands above a column whose values are names of folders.
const PARTITION: &str = "partition";
/// Cells by which a key widens or narrows.
const STEP: u16 = 4;

/// A column.
pub(super) struct Shown {
    /// What is known of it.
    pub(super) about: Column,
    /// Name, type with unit, nulls, as they stand above it.
    pub(super) heads: [String; 3],
    hidden: bool,
    /// Cells that its heads take.
    head: u16,
    /// The widest cell seen; 0 before any was.
    seen: u16,
    points: Points,
    /// As the user has set it.
    set: Option<u16>,
    /// How the rows are sorted by it.
    pub(super) sorted: Option<Sorted>,
}

/// The place of a column in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sorted {
    pub(super) descending: bool,
    /// Which of several columns it is, counted from 1.
    pub(super) place: Option<usize>,
}

impl Sorted {
    /// `↑`, `↓2`.
    pub(super) fn mark(self, unicode: bool) -> String {
        let arrow = match (self.descending, unicode) {
            (false, true) => "↑",
            (true, true) => "↓",
            (false, false) => "^",
            (true, false) => "v",
        };
        self.place.map_or_else(|| arrow.to_owned(), |place| format!("{arrow}{place}"))
    }
}

/// All columns.
pub(super) struct Columns {
    all: Vec<Shown>,
    /// All of them, hidden ones too, as they stand from left to right.
    order: Vec<usize>,
    /// Those that are shown, from left to right.
    shown: Vec<usize>,
    /// So many of those that are shown do not scroll.
    frozen: usize,
}

impl Columns {
    pub(super) fn new(about: &About) -> Self {
        let all: Vec<Shown> = about.columns.iter().map(Shown::new).collect();
        // What folders tell of all rows below them stands first.
        let is_key = |id: &usize| about.columns[*id].partition;
        let (keys, others): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(is_key);
        let order = [keys, others].concat();
        Self { all, shown: order.clone(), order, frozen: 0 }
    }

    /// Order, widths and what is hidden as of another table, where it has columns of the same names; tells whether
    /// it has. What that table knew of them, and this one does not, is taken over too: units, partitions.
    pub(super) fn take_after(&mut self, other: &Self) -> bool {
        let ids: HashMap<&str, usize> =
            self.all.iter().enumerate().map(|(id, c)| (c.about.name.as_str(), id)).collect();
        let found = |id: &usize| other.all.get(*id).and_then(|c| ids.get(c.about.name.as_str()).copied());
        let order: Vec<usize> = other.order.iter().filter_map(found).collect();
        if order.len() != self.all.len() || order.len() != other.all.len() || ids.len() != self.all.len() {
            return false;
        }
        for (id, before) in order.iter().zip(other.order.iter().filter_map(|id| other.all.get(*id))) {
            let column = &mut self.all[*id];
            (column.hidden, column.seen, column.points, column.set) =
                (before.hidden, before.seen, before.points, before.set);
            if column.about.unit.is_none() && before.about.unit.is_some() && column.about.kind == before.about.kind {
                column.about.unit.clone_from(&before.about.unit);
                column.heads[1].clone_from(&before.heads[1]);
            }
            if before.about.partition && !column.about.partition {
                column.about.partition = true;
                column.heads[2].clone_from(&before.heads[2]);
            }
            column.head = column.head.max(before.head);
        }
        self.order = order;
        self.frozen = other.frozen;
        self.renew();
        true
    }

    /// Says by which columns the rows are sorted.
    pub(super) fn sort(&mut self, order: &[Order]) {
        for column in &mut self.all {
            let at = order.iter().position(|o| o.column == column.about.name);
            column.sorted =
                at.map(|at| Sorted { descending: order[at].descending, place: (order.len() > 1).then_some(at + 1) });
        }
    }

    /// How many are shown.
    pub(super) fn len(&self) -> usize {
        self.shown.len()
    }

    /// How many there are.
    pub(super) fn total(&self) -> usize {
        self.all.len()
    }

    /// How many are hidden.
    pub(super) fn hidden(&self) -> usize {
        self.all.len() - self.shown.len()
    }

    pub(super) fn frozen(&self) -> usize {
        self.frozen.min(self.shown.len())
    }

    /// The place in the file of the column at this place on the screen.
    pub(super) fn id(&self, at: usize) -> Option<usize> {
        self.shown.get(at).copied()
    }

    /// The column at this place on the screen.
    pub(super) fn get(&self, at: usize) -> Option<&Shown> {
        self.all.get(*self.shown.get(at)?)
    }

    /// A column by its place in the file.
    pub(super) fn by_id(&self, id: usize) -> Option<&Shown> {
        self.all.get(id)
    }

    /// Whether a line for nulls is worth its place.
    pub(super) fn has_nulls(&self) -> bool {
        self.all.iter().any(|c| !c.heads[2].is_empty())
    }

    /// Cells that the column at this place takes.
    pub(super) fn width(&self, at: usize) -> u16 {
        self.get(at).map_or(1, Shown::width)
    }

    /// Takes the texts of a column into account for its width, which only grows: nothing jumps while one scrolls.
    pub(super) fn see<'a>(&mut self, id: usize, texts: impl Iterator<Item = &'a str>) {
        let Some(column) = self.all.get_mut(id) else { return };
        for cell in texts {
            let width = text::width(cell).min(usize::from(MOST)) as u16;
            column.seen = column.seen.max(width);
            if column.about.numeric {
                column.points.see(cell);
            }
        }
    }

    /// Freezes all up to this place; or none, where they were frozen just so.
    pub(super) fn freeze(&mut self, at: usize) {
        self.frozen = if self.frozen == at + 1 { 0 } else { at + 1 };
    }

    /// Freezes no more than so many: those that there is room for.
    pub(super) fn keep_frozen(&mut self, most: usize) {
        self.frozen = self.frozen.min(most);
    }

    /// Hides the column at this place, unless it is the last one shown.
    pub(super) fn hide(&mut self, at: usize) -> bool {
        let (Some(id), true) = (self.id(at), self.shown.len() > 1) else { return false };
        self.all[id].hidden = true;
        if at < self.frozen {
            self.frozen -= 1;
        }
        self.renew();
        true
    }

    /// Shows all again.
    pub(super) fn show_all(&mut self) {
        self.all.iter_mut().for_each(|c| c.hidden = false);
        self.renew();
    }

    /// The place on the screen of a column of the file; it is shown again where it was hidden.
    pub(super) fn reveal(&mut self, id: usize) -> Option<usize> {
        self.all.get_mut(id)?.hidden = false;
        self.renew();
        self.shown.iter().position(|shown| *shown == id)
    }

    fn renew(&mut self) {
        self.shown = self.order.iter().copied().filter(|id| !self.all[*id].hidden).collect();
    }

    /// Moves the column at this place one to the left or right; gives its new place.
    pub(super) fn shift(&mut self, at: usize, right: bool) -> usize {
        let to = if right { at + 1 } else { at.wrapping_sub(1) };
        let (Some(a), Some(b)) = (self.id(at), self.id(to)) else { return at };
        let place = |id: usize| self.order.iter().position(|o| *o == id);
        if let (Some(a), Some(b)) = (place(a), place(b)) {
            self.order.swap(a, b);
            self.renew();
            return to;
        }
        at
    }

    /// Widens or narrows the column at this place.
    pub(super) fn widen(&mut self, at: usize, wider: bool) {
        let width = self.width(at);
        let Some(column) = self.shown.get(at).and_then(|id| self.all.get_mut(*id)) else { return };
        column.set = Some(if wider { (width + STEP).min(MOST) } else { width.saturating_sub(STEP).max(3) });
    }

    /// As wide as its cells seen; or as at first, where it is so already.
    pub(super) fn fit(&mut self, at: usize) {
        let Some(column) = self.shown.get(at).and_then(|id| self.all.get_mut(*id)) else { return };
        let whole = column.head.max(column.content());
        column.set = if column.set == Some(whole) { None } else { Some(whole) };
    }
}

impl Shown {
    fn new(column: &Column) -> Self {
        let unit = column.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
        let nulls = column.nulls.filter(|n| *n > 0).map(|n| format!("{} null", text::count(n)));
        let heads = [
            text::clean(&column.name).into_owned(),
            text::clean(&format!("{}{unit}", column.kind)).into_owned(),
            nulls.unwrap_or_else(|| if column.partition { PARTITION.to_owned() } else { String::new() }),
        ];
        // A long type (a struct) is no reason for a wide column.
        let [name, kind, nulls] = [0, 1, 2].map(|i| text::width(&heads[i]) as u16);
        let head = name.min(WIDEST).max(kind.min(16)).max(nulls);
        Self {
            about: column.clone(),
            heads,
            hidden: false,
            head,
            seen: 0,
            points: Points::default(),
            set: None,
            sorted: None,
        }
    }

    pub(super) fn is_hidden(&self) -> bool {
        self.hidden
    }

    fn content(&self) -> u16 {
        self.seen.max(if self.points.width() <= WIDEST { self.points.width() } else { 0 })
    }

    fn width(&self) -> u16 {
        if let Some(set) = self.set {
            return set;
        }
        // Before the first cells have come: what such columns usually take.
        let content = if self.seen > 0 { self.content() } else { usual(&self.about) };
        // An arrow has a place beside the name.
        let mark = self.sorted.map_or(0, |sorted| 1 + text::width(&sorted.mark(true)) as u16);
        let name = (text::width(&self.heads[0]) as u16).min(WIDEST) + mark;
        self.head.max(name).max(content.min(WIDEST)).max(1)
    }

    /// Where its cells stand.
    pub(super) fn side(&self) -> Side {
        match (self.about.numeric, self.points.part > 0) {
            (true, true) => Side::Point(self.points),
            (true, false) => Side::Right,
            (false, _) => Side::Left,
        }
    }
}

/// Cells that a column of this type usually takes.
fn usual(column: &Column) -> u16 {
    match column.kind.as_str() {
        kind if kind.starts_with("timestamp") => 24,
        "date" => 10,
        "bool" => 5,
        "geometry" | "geography" => 30,
        _ if column.numeric => 10,
        _ => 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Facts;
    use crate::table::Geo;
    use arrow::datatypes::Schema;
    use std::sync::Arc;

    fn columns(n: usize) -> Columns {
        let column = |i| Column { name: format!("c{i}"), kind: "f64".into(), numeric: true, ..Column::default() };
        Columns::new(&About {
            facts: Facts::default(),
            schema: Arc::new(Schema::empty()),
            columns: (0..n).map(column).collect(),
            geo: Geo::default(),
            total_rows: None,
            seen_rows: 0,
            pairs: Vec::new(),
        })
    }

    fn names(columns: &Columns) -> String {
        (0..columns.len()).filter_map(|at| columns.get(at)).map(|c| c.about.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn columns_are_moved_hidden_and_found_again_where_they_stood() {
        let mut columns = columns(5);
        assert_eq!(columns.shift(4, false), 3);
        assert_eq!(columns.shift(0, false), 0, "the first stays");
        assert_eq!(columns.shift(4, true), 4, "the last stays");
        assert_eq!(names(&columns), "c0 c1 c2 c4 c3");
        columns.freeze(1);
        assert!(columns.hide(0));
        assert_eq!((names(&columns).as_str(), columns.frozen(), columns.hidden()), ("c1 c2 c4 c3", 1, 1));
        assert_eq!(columns.reveal(0), Some(0));
        assert_eq!(names(&columns), "c0 c1 c2 c4 c3");
        for _ in 0..9 {
            columns.hide(0);
        }
        assert_eq!(columns.len(), 1, "one always stays");
        columns.show_all();
        assert_eq!(columns.hidden(), 0);
    }

    #[test]
    fn widths_grow_with_what_is_seen_up_to_a_bound() {
        let mut columns = columns(1);
        assert_eq!(columns.width(0), 10, "as such columns usually are");
        columns.see(0, ["1.5", "-2"].into_iter());
        assert_eq!(columns.width(0), 4, "two before the point, two from it on");
        columns.see(0, ["12345.5"].into_iter());
        assert_eq!(columns.width(0), 7);
        columns.see(0, ["x".repeat(100).as_str()].into_iter());
        assert_eq!(columns.width(0), WIDEST);
        columns.fit(0);
        assert_eq!(columns.width(0), 100, "all of it, on demand");
        columns.widen(0, false);
        assert_eq!(columns.width(0), 96);
        columns.fit(0);
        columns.fit(0);
        assert_eq!(columns.width(0), WIDEST);
    }
}
