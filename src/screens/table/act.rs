//! What actions do: in the views, in what stands over them, in the forms that begin with the file.

use super::cell::Cell;
use super::record::Record;
use super::{Grid, Over, View};
use crate::action::Action;
use crate::location::Scheme;
use crate::screen::{Cx, Flow, Open};
use crate::screens::popup;

impl Grid {
    pub(super) fn update_over(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if matches!(self.over, Some(Over::Condition(_))) {
            return self.update_line(action, cx);
        }
        let Some(over) = &mut self.over else { return Flow::Ignored };
        let Some(layer) = self.layers.last_mut() else { return Flow::Ignored };
        match (over, action) {
            (_, Action::Back | Action::Close) => self.over = None,
            (Over::Row(input), Action::Enter) => {
                match row_number(input.text(), layer.sheet.data.seen()) {
                    Some(row) => layer.sheet.go_to(row),
                    None => cx.toast("type the number of a row, such as 1,200,000, or a share of all: 50%"),
                }
                self.over = None;
                self.reload_record(cx);
            }
            (Over::Find(find), Action::Enter) => {
                if let Some(id) = find.chosen() {
                    layer.sheet.go_to_column(id);
                }
                self.over = None;
            }
            (Over::Find(find), action) => {
                if !find.update(action) {
                    return Flow::Ignored;
                }
            }
            (Over::Cell(cell), action) => {
                let page = cell.page();
                match action {
                    Action::Up => cell.scroll(-1),
                    Action::Down => cell.scroll(1),
                    Action::PageUp => cell.scroll(-page),
                    Action::PageDown => cell.scroll(page),
                    Action::HalfUp => cell.scroll(-page / 2),
                    Action::HalfDown => cell.scroll(page / 2),
                    Action::Top => cell.scroll(isize::MIN),
                    Action::Bottom => cell.scroll(isize::MAX / 2),
                    Action::Enter | Action::Leave => self.over = None,
                    Action::Yank => {
                        let Some((name, text)) = cell.copy() else { return Flow::Done };
                        return popup::copied(cx, &name, text).map_or(Flow::Done, Flow::Open);
                    }
                    _ => return Flow::Ignored,
                }
            }
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn reload_record(&mut self, cx: &Cx) {
        if let (View::Record(record), Some(layer)) = (&mut self.view, self.layers.last_mut()) {
            record.load(&layer.sheet, &cx.waker);
        }
    }

    /// The cell under the cursor, being read in full.
    fn cell(&mut self, cx: &Cx) -> Option<Cell> {
        let sheet = &mut self.layers.last_mut()?.sheet;
        if let View::Record(record) = &self.view {
            sheet.at = record.at;
        }
        let id = sheet.columns.id(sheet.at).filter(|_| !sheet.window().is_empty())?;
        Some(Cell::open(sheet.data.rows(), sheet.row, id, &cx.waker))
    }

    pub(super) fn open_cell(&mut self, cx: &Cx) {
        self.over = self.cell(cx).map(Over::Cell);
    }

    /// What the view makes of an action; `None` where it means nothing to it.
    pub(super) fn update_view(&mut self, action: Action, cx: &mut Cx) -> Option<Flow> {
        let source = self.whole();
        let layer = if self.is_stored_view() { self.layers.first_mut()? } else { self.layers.last_mut()? };
        let sheet = &mut layer.sheet;
        if let View::Record(record) = &mut self.view
            && record.movement(action, sheet.columns.len())
        {
            return Some(Flow::Done);
        }
        match (&mut self.view, action) {
            (View::Rows, action) if sheet.update(action) => {}
            (View::Rows | View::Record(_), Action::Enter) => self.open_cell(cx),
            (View::Rows, Action::Record) => self.view = View::Record(Record::open(sheet, &cx.waker)),
            (View::Record(record), Action::Left | Action::Right) => {
                let at = record.at;
                sheet.update(if action == Action::Left { Action::Up } else { Action::Down });
                sheet.at = at;
                self.reload_record(cx);
            }
            (View::Record(record), Action::Record) => {
                sheet.go_to_place(record.at);
                self.view = View::Rows;
            }
            (View::Profile, Action::Left | Action::Right) => {
                sheet.update(action);
            }
            (View::Profile, Action::Enter | Action::Submit) => layer.profiles.start(sheet, source.as_ref(), cx),
            (View::Profile, Action::Cancel) => layer.profiles.cancel(sheet, cx),
            (View::Profile, Action::Profile) => self.view = View::Rows,
            (View::Rows, Action::Profile) => self.view = View::Profile,
            (View::Layout, action) if layer.layout.update(action) => {}
            (View::Metadata, action) if layer.meta.update(action) => {}
            (View::Facts, action) => {
                let page = self.height.max(2) - 1;
                layer.facts = match action {
                    Action::Up => layer.facts.saturating_sub(1),
                    Action::Down => layer.facts + 1,
                    Action::PageUp | Action::HalfUp => layer.facts.saturating_sub(page),
                    Action::PageDown | Action::HalfDown => layer.facts + page,
                    Action::Top => 0,
                    Action::Bottom => usize::MAX,
                    _ => return None,
                };
            }
            _ => return None,
        }
        Some(Flow::Done)
    }

    /// Has read what the view shows, and takes what has come.
    pub(super) fn poll_views(&mut self, cx: &mut Cx) {
        let (stored, is_whole) = (self.is_stored_view(), self.layers.len() == 1);
        let size = self.probe.as_ref().and_then(|probe| probe.size).filter(|_| is_whole);
        if let Some(layer) = self.layers.first_mut().filter(|_| stored && !is_whole) {
            if matches!(self.view, View::Layout) {
                layer.layout.load(&layer.sheet, &cx.waker);
            }
            layer.layout.poll();
        }
        let Some(layer) = self.layers.last_mut() else { return };
        layer.sheet.poll(&cx.waker);
        match &mut self.view {
            View::Layout if !is_whole => {}
            View::Layout | View::Profile => layer.layout.load(&layer.sheet, &cx.waker),
            View::Record(record) => record.poll(),
            _ => {}
        }
        layer.layout.poll();
        if matches!(self.view, View::Profile) {
            // Rows that were all found are at hand.
            let at_hand = layer.outcome.as_ref().filter(|outcome| outcome.is_whole()).map(|_| 0);
            layer.profiles.look(&layer.sheet, &layer.layout, size.or(at_hand), cx);
        }
        layer.profiles.poll(cx);
    }

    /// What is copied of the view: the cell, the row, the profile, the metadata.
    pub(super) fn copy(&mut self, cx: &mut Cx) -> Flow {
        let Some(layer) = self.viewed() else { return Flow::Done };
        let sheet = &layer.sheet;
        let found = match &self.view {
            View::Record(record) => record.copy(),
            View::Profile => layer.profiles.copy(sheet),
            View::Metadata => layer.meta.copy(sheet.data.about()),
            View::Rows => {
                self.copying = self.cell(cx);
                return Flow::Done;
            }
            View::Layout | View::Facts => {
                let Some(probe) = &self.probe else { return Flow::Done };
                let media_type = probe.media_type.clone();
                return Flow::Open(Open::CopyMenu { locations: vec![probe.location.clone()], media_type });
            }
        };
        match found {
            Some((name, text)) => popup::copied(cx, &name, text).map_or(Flow::Done, Flow::Open),
            None => Flow::Done,
        }
    }

    /// The map of the rows that are shown.
    pub(super) fn map(&self, cx: &mut Cx) -> Flow {
        if let (Some(probe), Some(layer)) = (&self.probe, self.layers.last()) {
            return Flow::Open(Open::Map { probe: probe.clone(), rows: Some(layer.sheet.data.rows().clone()) });
        }
        cx.toast("only tables with geometry, or with longitudes and latitudes, have a map");
        Flow::Done
    }

    /// Forms that begin with the file.
    pub(super) fn form(&self, action: Action) -> Flow {
        let Some(location) = self.probe.as_ref().map(|probe| probe.location.clone()) else { return Flow::Done };
        Flow::Open(match action {
            // Of a folder that is a table as of any other.
            Action::Facts if location.is_container() && location.scheme() == Scheme::S3 => Open::BucketFacts(location),
            Action::Facts => Open::Facts(location),
            Action::Convert => Open::ConvertForm { source: location },
            Action::Query => {
                let asked = self.asked();
                let sql = (!asked.is_empty()).then(|| asked.sql(&location.to_string()));
                Open::Query { table: Some(location), sql }
            }
            Action::Download => Open::DownloadForm { sources: vec![location] },
            _ => {
                let here = location.parent().unwrap_or_else(|| location.clone());
                Open::CopyForm { sources: vec![location], here, other: None, moves: false }
            }
        })
    }
}

/// The row that was typed, from 0: `1,200,000`, `50%` of `seen`.
fn row_number(text: &str, seen: u64) -> Option<u64> {
    let text: String = text.chars().filter(|c| !matches!(c, ',' | '_' | ' ' | '\'')).collect();
    if let Some(share) = text.strip_suffix('%') {
        let share: f64 = share.parse().ok().filter(|s| (0.0..=100.0).contains(s))?;
        return Some((seen.saturating_sub(1) as f64 * share / 100.0).round() as u64);
    }
    text.parse::<u64>().ok().map(|n| n.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::row_number;

    #[test]
    fn rows_are_typed_as_people_write_numbers() {
        assert_eq!(row_number("1,200,000", 10), Some(1_199_999));
        assert_eq!(row_number(" 50% ", 101), Some(50));
        assert_eq!(row_number("0", 10), Some(0));
        assert_eq!(row_number("120%", 10), None);
        assert_eq!(row_number("x", 10), None);
    }
}
