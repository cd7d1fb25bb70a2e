//! A table, full screen: rows under a cursor, read as far as they are looked at; one row as a list, a
//! cell in full, the profile of a column, how the file is stored, its metadata, its facts.
//!
//! ```text
//!  atl06.parquet  GeoParquet 1.0.0  …              rows  layout  metadata  facts
//!  / h_mean > 1800  ↑ time           1,204 of 7,600,000 rows · 14 requests, 3.1 MiB
//!          h_mean  time                       geometry
//!             f64  timestamp[ns]              geometry
//!     1  1843.250  2019-10-04T22:00:36.25     POINT (-108.1 39.0)
//!  row 1 of 7,600,000 · column 1 of 21                  3 requests · 212.0 KiB
//! ```

mod act;
mod cell;
mod columns;
mod data;
mod draw;
mod filter;
mod find;
mod grid;
mod layout;
mod meta;
mod profile;
mod record;
mod sheet;
mod strip;
mod tree;

use super::popup;
use crate::action::Action;
use crate::error::Error;
use crate::location::Location;
use crate::probe::Probe;
use crate::screen::{Cx, Flow, Open, Screen, Target};
use crate::table::{self, Rows};
use crate::tables;
use crate::task::{Control, Pending, poll_slot};
use crate::widgets::input::{Edit, Input};
use cell::Cell;
use filter::{Filter, Line, Outcome};
use find::Find;
use layout::LayoutView;
use meta::Meta;
use profile::Profiles;
use ratatui::Frame;
use ratatui::layout::Rect;
use record::Record;
use sheet::Sheet;
use std::sync::Arc;

/// Bytes that one look at some rows may cost.
const MAX_BYTES: u64 = 256 << 20;

/// What of the table is shown.
enum View {
    Rows,
    Record(Record),
    Profile,
    Layout,
    Metadata,
    Facts,
}

/// What stands over it.
enum Over {
    /// A number of a row is typed.
    Row(Input),
    /// A condition is typed.
    Condition(Line),
    Find(Find),
    Cell(Cell),
}

/// The table, or what a filter has left of it.
struct Layer {
    sheet: Sheet,
    layout: LayoutView,
    meta: Meta,
    profiles: Profiles,
    /// First line of the facts in sight.
    facts: usize,
    /// What filtering or sorting it is the outcome of; `None` for the table itself.
    outcome: Option<Outcome>,
}

/// The screen.
pub(super) struct Grid {
    /// Where it lies; `None` for rows that come from elsewhere: a query.
    probe: Option<Probe>,
    title: String,
    /// Counts what reading costs; ends it when the screen is closed.
    control: Option<Control>,
    opening: Option<Pending<Arc<dyn Rows>>>,
    /// Why it could not be opened.
    error: Option<Error>,
    /// The table itself, then what a filter has left of it.
    layers: Vec<Layer>,
    filter: Filter,
    view: View,
    over: Option<Over>,
    /// A cell that is copied once all of it is there.
    copying: Option<Cell>,
    /// What was copied, plain, for a terminal that is not known to take it.
    copied: Option<Open>,
    /// Lines that the facts have room for.
    height: usize,
}

impl Drop for Grid {
    fn drop(&mut self) {
        if let (Some(control), true) = (&self.control, self.probe.is_some()) {
            control.cancel();
        }
    }
}

/// An error and what can be done about it.
fn words(error: &Error) -> String {
    error.hint().map_or_else(|| error.to_string(), |hint| format!("{error} — {hint}"))
}

impl Layer {
    fn new(rows: Arc<dyn Rows>) -> Self {
        let meta = Meta::new(&rows.about());
        let sheet = Sheet::new(rows);
        Self { sheet, layout: LayoutView::default(), meta, profiles: Profiles::default(), facts: 0, outcome: None }
    }
}

impl Grid {
    /// Opens a table in the background.
    pub(super) fn open(probe: Probe, cx: &Cx) -> Self {
        let title = probe.location.name().to_owned();
        let mut grid = Self::empty(Some(probe), title);
        grid.reopen(cx);
        grid
    }

    /// Shows rows that are open already; `control` counts what reading them costs.
    pub(super) fn of_rows(title: String, rows: Arc<dyn Rows>, control: Option<Control>, cx: &Cx) -> Self {
        let mut grid = Self::empty(None, title);
        grid.control = control;
        grid.layers.push(Layer::new(rows));
        cx.waker.wake();
        grid
    }

    fn empty(probe: Option<Probe>, title: String) -> Self {
        Self {
            probe,
            title,
            control: None,
            opening: None,
            error: None,
            layers: Vec::new(),
            filter: Filter::default(),
            view: View::Rows,
            over: None,
            copying: None,
            copied: None,
            height: 20,
        }
    }

    fn reopen(&mut self, cx: &Cx) {
        let Some(probe) = self.probe.clone() else { return };
        self.forget();
        let control = Control::new(cx.stores.meter().child());
        if let Some(before) = self.control.replace(control.clone()) {
            before.cancel();
        }
        let open = table::Open { probe, control, max_bytes: MAX_BYTES };
        self.error = None;
        self.opening = Some(Pending::spawn(&cx.waker, tables::open(cx.stores.clone(), open)));
    }

    /// Shows rows of the table in the place of those shown, the outcome of a filter or sort; Esc goes back. There
    /// are so many in all, where that is known already.
    fn set_rows(&mut self, rows: Arc<dyn Rows>, outcome: Outcome, total: Option<u64>) {
        let mut layer = Layer::new(rows);
        if let Some(shown) = self.layers.last() {
            layer.sheet.take_after(&shown.sheet);
        }
        layer.sheet.sort(&outcome.asked.order, total);
        layer.outcome = Some(outcome);
        self.layers.truncate(1);
        self.layers.push(layer);
        self.over = None;
    }

    /// Shows the table itself again.
    fn show_whole(&mut self) {
        while self.layers.len() > 1
            && let Some(left) = self.layers.pop()
        {
            if let Some(whole) = self.layers.first_mut() {
                whole.sheet.take_after(&left.sheet);
            }
            if matches!(self.view, View::Record(_) | View::Profile) {
                self.view = View::Rows;
            }
        }
    }

    fn layer(&mut self) -> Option<&mut Layer> {
        self.layers.last_mut()
    }

    /// Whether the view is about how the table is stored: that is told of all of it, whatever is filtered.
    fn is_stored_view(&self) -> bool {
        matches!(self.view, View::Layout | View::Metadata | View::Facts)
    }

    /// What the view is about.
    fn viewed(&self) -> Option<&Layer> {
        if self.is_stored_view() { self.layers.first() } else { self.layers.last() }
    }

    /// The address, where what is shown is all of what lies there.
    fn whole(&self) -> Option<Location> {
        if self.layers.len() == 1 { self.probe.as_ref().map(|probe| probe.location.clone()) } else { None }
    }

    fn next_view(&mut self) {
        self.view = match self.view {
            View::Rows => View::Layout,
            View::Layout => View::Metadata,
            View::Metadata => View::Facts,
            _ => View::Rows,
        };
    }

    /// Peels one layer.
    fn back(&mut self, cx: &mut Cx) -> Flow {
        if self.over.take().is_some() {
            return Flow::Done;
        }
        if !matches!(self.view, View::Rows) {
            self.view = View::Rows;
            return Flow::Done;
        }
        if self.stop(cx) {
            return Flow::Done;
        }
        if self.layers.len() > 1 {
            self.show_whole();
            return Flow::Done;
        }
        Flow::Close
    }
}

impl Screen for Grid {
    fn contexts(&self) -> &'static [&'static str] {
        match (&self.over, &self.view) {
            (Some(Over::Row(_) | Over::Find(_)), _) => &["prompt"],
            (Some(Over::Condition(_)), _) => &["condition"],
            (Some(Over::Cell(_)), _) => &["cell", "list", "global"],
            (None, View::Record(_)) => &["record", "list", "global"],
            (None, View::Profile) => &["profile", "list", "global"],
            _ => &["table", "list", "global"],
        }
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn wants_text(&self) -> bool {
        matches!(self.over, Some(Over::Row(_) | Over::Find(_) | Over::Condition(_)))
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        let counts = |layer: &Layer| layer.outcome.as_ref().is_some_and(Outcome::is_counting);
        let busy = |layer: &Layer| {
            let reads = layer.sheet.data.is_loading() || layer.layout.is_loading();
            reads || layer.profiles.is_running() || counts(layer)
        };
        let cell = self.copying.is_some() || matches!(&self.over, Some(Over::Cell(cell)) if cell.is_loading());
        let record = matches!(&self.view, View::Record(record) if record.is_loading());
        let works = self.opening.is_some() || self.filter.work.is_some();
        works || cell || record || self.layers.last().is_some_and(busy) || self.viewed().is_some_and(busy)
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if self.over.is_some() {
            return self.update_over(action, cx);
        }
        if let Some(flow) = self.update_view(action, cx) {
            return flow;
        }
        match action {
            Action::Enter if self.error.is_some() => {
                // It is no table after all: what else can be seen of it.
                if self.probe.as_ref().is_some_and(|probe| probe.location.is_container()) {
                    return Flow::Close;
                }
                return self.probe.clone().map_or(Flow::Close, |probe| Flow::Replace(Open::Preview(probe)));
            }
            Action::Back | Action::Leave => return self.back(cx),
            Action::Close if !matches!(self.view, View::Rows) => return self.back(cx),
            Action::ViewNext | Action::NextPane => self.next_view(),
            Action::Record | Action::Profile => {}
            Action::FilterRows => self.open_line(None, cx),
            Action::SortRows | Action::SortMore => self.sort(action == Action::SortMore, cx),
            Action::GoToRow => self.over = self.layer().map(|_| Over::Row(Input::default())),
            Action::FindColumn => self.over = self.layer().map(|layer| Over::Find(Find::open(&layer.sheet))),
            Action::Refresh => {
                if let Some(layer) = self.layer().filter(|layer| layer.sheet.data.error().is_some()) {
                    layer.sheet.data.forgive();
                } else {
                    self.reopen(cx);
                }
            }
            Action::Yank => return self.copy(cx),
            Action::Map => return self.map(cx),
            Action::Facts | Action::Convert | Action::Download | Action::CopyTo | Action::Query => {
                return self.form(action);
            }
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn update_counted(&mut self, action: Action, count: usize, _cx: &mut Cx) -> Flow {
        let at_rows = self.over.is_none() && matches!(self.view, View::Rows);
        let done =
            self.layers.last_mut().filter(|_| at_rows).is_some_and(|layer| layer.sheet.update_counted(action, count));
        if done { Flow::Done } else { Flow::Ignored }
    }

    fn edit(&mut self, edit: &Edit, _cx: &mut Cx) -> Flow {
        match (&mut self.over, self.layers.last()) {
            (Some(Over::Row(input)), _) => {
                if *edit == Edit::Backspace && input.text().is_empty() {
                    self.over = None;
                } else {
                    input.apply(edit);
                }
            }
            (Some(Over::Condition(_)), _) => self.edit_line(edit),
            (Some(Over::Find(find)), Some(layer)) => find.edit(edit, &layer.sheet),
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn click(&mut self, target: &Target, cx: &mut Cx) -> Flow {
        let layer = if self.is_stored_view() { self.layers.first_mut() } else { self.layers.last_mut() };
        let (Target::Row(n), Some(layer)) = (target, layer) else { return Flow::Ignored };
        match &mut self.view {
            View::Rows => {
                let (row, at) = (layer.sheet.top + (n / grid::CLICKS) as u64, n % grid::CLICKS);
                if (layer.sheet.row, layer.sheet.at) == (row, at) {
                    self.open_cell(cx);
                } else {
                    layer.sheet.row = row;
                    layer.sheet.go_to_place(at);
                }
            }
            View::Record(record) => {
                if std::mem::replace(&mut record.at, *n) == *n {
                    self.open_cell(cx);
                }
            }
            View::Layout => layer.layout.click(*n),
            View::Metadata => layer.meta.click(*n),
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn take_open(&mut self) -> Option<Open> {
        self.copied.take()
    }

    fn poll(&mut self, cx: &mut Cx) {
        match poll_slot(&mut self.opening) {
            Some(Ok(rows)) => {
                let asked = self.asked();
                let mut layer = Layer::new(rows);
                if let Some(before) = self.layers.first() {
                    layer.sheet.take_after(&before.sheet);
                    layer.sheet.go_to(before.sheet.row);
                }
                self.layers = vec![layer];
                self.ask(asked, cx);
            }
            Some(Err(err)) => {
                self.layers.clear();
                self.over = None;
                self.error = Some(err);
            }
            None => {}
        }
        self.poll_filter(cx);
        self.poll_views(cx);
        if let Some(Over::Cell(cell)) = &mut self.over {
            cell.poll();
        }
        if let Some(cell) = &mut self.copying {
            cell.poll();
            if !cell.is_loading() {
                if let Some((name, text)) = cell.copy() {
                    self.copied = popup::copied(cx, &name, text);
                }
                self.copying = None;
            }
        }
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        self.draw_all(frame, area, cx);
    }
}
