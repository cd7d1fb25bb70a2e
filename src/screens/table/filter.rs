//! Which rows are shown, and in which order: a condition that is typed, the work behind it, and what has come of it.
//! The work runs in the background; what was shown stays until its first rows are there.

use super::data::BLOCK;
use super::{Grid, Layer, Over, View};
use crate::action::Action;
use crate::error::{Error, Kind, Result};
use crate::location::Scheme;
use crate::query::{Answer, Engine, Order, Settings, Source, order_by, table_name};
use crate::screen::{Cx, Flow};
use crate::screens::sql::{CONDITIONS, Editor, History};
use crate::store::redacted;
use crate::table::{Rows, Scan, Window};
use crate::tables;
use crate::task::{Control, Pending, poll_slot};
use crate::widgets::input::Edit;
use futures::TryStreamExt as _;
use std::sync::Arc;

/// What is left of a table that takes no more bytes is counted to the end without being looked at.
const CHEAP_BYTES: u64 = 32 << 20;
/// The same of a table whose size is not known: on this computer, and elsewhere.
const CHEAP_ROWS: (u64, u64) = (5_000_000, 200_000);

/// What is asked of a table: which of its rows, in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// SQL that holds for each row; empty for all rows.
    pub(super) condition: String,
    /// The first column goes first.
    pub(super) order: Vec<Order>,
}

/// A condition being typed.
pub(super) struct Line {
    pub(super) editor: Editor,
    /// Why the condition that was entered last does not hold for anything.
    pub(super) error: Option<Error>,
}

/// Work that is told to stop when nobody waits for it any more.
pub(super) struct Stops(pub(super) Control);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// How far it is.
enum Stage {
    /// The condition is read, and the table opened as far as that needs.
    Planning(Pending<Arc<Answer>>),
    /// First rows are looked for.
    Reading(Arc<Answer>, Pending<()>),
}

/// A filter or sort at work.
pub(super) struct Work {
    pub(super) asked: Asked,
    pub(super) control: Stops,
    stage: Stage,
}

/// What a layer of rows is the outcome of.
pub(super) struct Outcome {
    pub(super) asked: Asked,
    pub(super) answer: Arc<Answer>,
    /// Counts what it has cost, and ends it.
    pub(super) control: Stops,
    /// Rows are counted to the end.
    counting: Option<Pending<()>>,
}

/// What a grid knows of filters.
#[derive(Default)]
pub(super) struct Filter {
    engine: Option<Engine>,
    /// Conditions that were typed before; read once a line is opened.
    pub(super) history: Option<History>,
    pub(super) work: Option<Work>,
}

impl Asked {
    pub(super) fn is_empty(&self) -> bool {
        self.condition.is_empty() && self.order.is_empty()
    }

    /// With another place in the order for a column: ascending, descending, none. It becomes the only one, or one
    /// `more` behind those that are there.
    fn turned(&self, column: &str, more: bool) -> Self {
        let at = self.order.iter().position(|o| o.column == column);
        let next = match at.map(|at| self.order[at].descending) {
            None => Some(false),
            Some(false) => Some(true),
            Some(true) => None,
        };
        let by = |descending| Order { column: column.to_owned(), descending };
        let order = if more {
            let mut order = self.order.clone();
            match at {
                Some(at) => drop(order.splice(at..=at, next.map(by))),
                None => order.push(by(false)),
            }
            order
        } else {
            // One that stood among others begins anew.
            let next = if self.order.len() > 1 { Some(false) } else { next };
            next.map(by).into_iter().collect()
        };
        Self { condition: self.condition.clone(), order }
    }

    /// The statement that asks the same.
    pub(super) fn sql(&self, location: &str) -> String {
        let mut sql = format!("SELECT * FROM {}", table_name(location));
        if !self.condition.is_empty() {
            sql = format!("{sql} WHERE {}", self.condition);
        }
        sql + &order_by(&self.order)
    }

    /// The command line that does the same.
    fn command(&self, location: &str) -> Vec<String> {
        if self.order.is_empty() {
            return vec!["preview".to_owned(), location.to_owned(), "--filter".to_owned(), self.condition.clone()];
        }
        vec!["sql".to_owned(), self.sql(location)]
    }
}

impl Line {
    fn new(condition: &str, error: Option<Error>) -> Self {
        Self { editor: Editor::new(condition), error }
    }
}

impl Work {
    /// Rows that were looked at for it so far.
    pub(super) fn scanned(&self) -> u64 {
        match &self.stage {
            Stage::Planning(_) => 0,
            Stage::Reading(answer, _) => answer.reading().rows_scanned,
        }
    }
}

impl Outcome {
    pub(super) fn is_counting(&self) -> bool {
        self.counting.is_some()
    }

    /// Whether all its rows are there.
    pub(super) fn is_whole(&self) -> bool {
        self.answer.about().total_rows.is_some()
    }
}

impl Layer {
    /// Takes what was counted.
    pub(super) fn poll_count(&mut self) {
        let Some(outcome) = self.outcome.as_mut().filter(|outcome| outcome.is_counting()) else { return };
        // What cannot be read is said where it is looked at.
        drop(poll_slot(&mut outcome.counting));
        self.sheet.renew();
    }
}

impl Grid {
    /// What is asked now: what is at work, else what is shown.
    pub(super) fn asked(&self) -> Asked {
        let shown = || self.layers.last().and_then(|layer| layer.outcome.as_ref());
        let work = self.filter.work.as_ref().map(|work| &work.asked);
        work.or_else(|| shown().map(|outcome| &outcome.asked)).cloned().unwrap_or_default()
    }

    /// Columns of the table for completion: names and types.
    fn columns(&self) -> Vec<(String, String)> {
        let about = self.layers.first().map(|layer| layer.sheet.data.about().clone());
        about.iter().flat_map(|about| &about.columns).map(|c| (c.name.clone(), c.kind.clone())).collect()
    }

    /// Opens the line.
    pub(super) fn open_line(&mut self, error: Option<(String, Error)>, cx: &Cx) {
        if self.layers.is_empty() {
            return;
        }
        self.filter.history.get_or_insert_with(|| History::open(CONDITIONS, cx));
        let (condition, error) = match error {
            Some((condition, error)) => (condition, Some(error)),
            None => (self.asked().condition, None),
        };
        self.over = Some(Over::Condition(Line::new(&condition, error)));
    }

    pub(super) fn update_line(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let columns = self.columns();
        let Some(Over::Condition(line)) = &mut self.over else { return Flow::Ignored };
        match action {
            Action::Enter | Action::Submit => {
                let condition = line.editor.text().trim().to_owned();
                // Keys go to the rows again at once; the line comes back if the condition is wrong.
                self.over = None;
                let asked = Asked { condition, order: self.asked().order };
                self.ask(asked, cx);
            }
            Action::Complete | Action::PrevChoice => line.editor.complete(&columns, action == Action::PrevChoice),
            Action::Up | Action::Down => {
                let history = self.filter.history.as_mut();
                let earlier = history.and_then(|h| h.step(action == Action::Up, line.editor.text()));
                if let Some(condition) = earlier {
                    line.editor.set(&condition);
                    line.error = None;
                }
            }
            // First what runs, then the line.
            Action::Back | Action::Close => {
                if !self.stop(cx) {
                    self.over = None;
                }
            }
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    pub(super) fn edit_line(&mut self, edit: &Edit) {
        let columns = self.columns();
        let Some(Over::Condition(line)) = &mut self.over else { return };
        if *edit == Edit::Backspace && line.editor.text().is_empty() {
            self.over = None;
            return;
        }
        line.editor.edit(edit);
        line.editor.offer(&columns);
        line.error = None;
    }

    /// Sorts by the column under the cursor: ascending, descending, not at all.
    pub(super) fn sort(&mut self, more: bool, cx: &mut Cx) {
        let Some(sheet) = self.layers.last().map(|layer| &layer.sheet) else { return };
        let Some(column) = sheet.columns.get(sheet.at).map(|column| &column.about) else { return };
        if matches!(column.kind.as_str(), "geometry" | "geography") || column.kind.contains('<') {
            return cx.toast(format!("{} has no order to sort by: its type is {}", column.name, column.kind));
        }
        let asked = self.asked().turned(&column.name, more);
        self.ask(asked, cx);
    }

    /// Has rows looked for, in the place of those shown; what is at work for others is stopped.
    pub(super) fn ask(&mut self, asked: Asked, cx: &mut Cx) {
        self.filter.work = None;
        if asked.is_empty() {
            return self.show_whole();
        }
        if self.layers.last().and_then(|l| l.outcome.as_ref()).is_some_and(|outcome| outcome.asked == asked) {
            return;
        }
        let engine = match self.engine(cx) {
            Ok(engine) => engine,
            Err(err) => return self.failed(&asked, err, cx),
        };
        let Some(source) = self.source() else { return };
        if let Some(history) = self.filter.history.as_mut().filter(|_| !asked.condition.is_empty()) {
            history.add(&asked.condition, cx);
        }
        let control = Control::new(cx.stores.meter().child());
        let (work, wish) = (control.clone(), asked.clone());
        let planning = Pending::spawn(&cx.waker, async move {
            Ok(engine.filter(&source, &wish.condition, &wish.order, &work).await?.into_rows())
        });
        self.filter.work = Some(Work { asked, control: Stops(control), stage: Stage::Planning(planning) });
    }

    fn engine(&mut self, cx: &Cx) -> Result<Engine> {
        if self.filter.engine.is_none() {
            self.filter.engine = Some(Engine::new(cx.stores.clone(), Settings::here())?);
        }
        self.filter.engine.clone().ok_or_else(Error::cancelled)
    }

    /// What SQL says of its limits.
    pub(super) fn memory(&self) -> Option<u64> {
        self.filter.engine.as_ref().map(|engine| engine.settings().memory)
    }

    /// Forgets what was learned of the file: it is read again.
    pub(super) fn forget(&self) {
        if let Some(engine) = &self.filter.engine {
            engine.forget();
        }
    }

    /// The table as SQL reads it best: Parquet with all that its statistics leave out, others as they are open.
    fn source(&self) -> Option<Source> {
        let rows = self.layers.first()?.sheet.data.rows().clone();
        let parquet =
            |at: &&crate::probe::Probe| at.location.is_container() || tables::format_name(at) == Some("parquet");
        Some(match self.probe.as_ref().filter(parquet) {
            Some(probe) => Source::At(probe.location.clone()),
            None => Source::Open(rows),
        })
    }

    /// Stops what is at work; tells whether anything was.
    pub(super) fn stop(&mut self, cx: &mut Cx) -> bool {
        let Some(work) = self.filter.work.take() else { return false };
        cx.toast(if work.asked.condition.is_empty() { "sorting was stopped" } else { "the filter was stopped" });
        true
    }

    pub(super) fn poll_filter(&mut self, cx: &mut Cx) {
        if let Some(history) = &mut self.filter.history {
            history.poll(cx);
        }
        if let Some(layer) = self.layers.last_mut() {
            layer.poll_count();
        }
        // Nobody is thrown out of what is looked at or typed: it is shown once one is back.
        let at_rows = self.over.is_none() && !matches!(self.view, View::Record(_) | View::Profile);
        let Some(work) = self.filter.work.as_mut().filter(|_| at_rows) else { return };
        let ended = match &mut work.stage {
            Stage::Planning(planning) => match planning.take() {
                Some(Ok(answer)) => {
                    work.stage = reading(answer, cx);
                    return;
                }
                Some(Err(err)) => Err(err),
                None => return,
            },
            Stage::Reading(answer, first) => match first.take() {
                Some(done) => done.map(|()| answer.clone()),
                None => return,
            },
        };
        let Some(work) = self.filter.work.take() else { return };
        match ended {
            Ok(answer) => self.show(work, answer, cx),
            Err(err) => self.failed(&work.asked, err, cx),
        }
    }

    /// A wrong condition goes back to where it was typed.
    fn failed(&mut self, asked: &Asked, err: Error, cx: &mut Cx) {
        if err.kind() == Kind::Cancelled {
            return;
        }
        if asked.condition.is_empty() {
            cx.fail(&err);
        } else {
            self.open_line(Some((asked.condition.clone(), err)), cx);
        }
    }

    /// Whether a table of so many rows is read to its end without asking.
    fn is_cheap(&self, rows: Option<u64>) -> bool {
        let probe = self.probe.as_ref();
        let near = probe.is_some_and(|p| matches!(p.location.scheme(), Scheme::File | Scheme::Memory));
        let most = if near { CHEAP_ROWS.0 } else { CHEAP_ROWS.1 };
        rows.is_some_and(|rows| rows <= most) || probe.and_then(|p| p.size).is_some_and(|size| size <= CHEAP_BYTES)
    }

    /// Shows the rows that were found.
    fn show(&mut self, work: Work, answer: Arc<Answer>, cx: &mut Cx) {
        if let Some(probe) = &self.probe {
            cx.last_command = Some(work.asked.command(&redacted(&probe.location.to_string())));
        }
        let Some(whole) = self.layers.first().map(|layer| layer.sheet.data.total()) else { return };
        let rows: Arc<dyn Rows> = answer.clone();
        // A table that is only sorted has as many rows as before.
        let total = whole.filter(|_| work.asked.condition.is_empty());
        let counting = (self.is_cheap(whole) && total.is_none()).then(|| count(&rows, &work.control.0, cx));
        let outcome = Outcome { asked: work.asked, answer, control: work.control, counting };
        self.set_rows(rows, outcome, total);
    }
}

/// Looks for the first rows: what fails does so here, in a sentence, and not in a cell.
fn reading(answer: Arc<Answer>, cx: &Cx) -> Stage {
    let rows = answer.clone();
    let first = Pending::spawn(&cx.waker, async move {
        let none = Some(Vec::new());
        rows.window(Window { rows: BLOCK as usize, offset: 0, columns: none }).await.map(|_| ())
    });
    Stage::Reading(answer, first)
}

/// Takes all rows, a few at a time, so that others can be looked at meanwhile.
fn count(rows: &Arc<dyn Rows>, control: &Control, cx: &Cx) -> Pending<()> {
    let batches = rows.scan(Scan { columns: Some(Vec::new()), rows: None }, control);
    Pending::spawn(&cx.waker, batches.try_for_each(|_| std::future::ready(Ok(()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(asked: &Asked) -> String {
        asked.order.iter().flat_map(|o| [o.column.as_str(), if o.descending { "-" } else { "+" }]).collect()
    }

    #[test]
    fn a_column_is_sorted_up_then_down_then_not() {
        let mut asked = Asked { condition: "a > 1".to_owned(), order: Vec::new() };
        let mut seen = Vec::new();
        for (column, more) in [
            ("a", false),
            ("a", false),
            ("b", true),
            ("a", true),
            ("b", true),
            ("a", true),
            ("b", false),
            ("a", false),
            ("a", false),
            ("a", false),
        ] {
            asked = asked.turned(column, more);
            seen.push(order(&asked));
        }
        assert_eq!(seen, ["a+", "a-", "a-b+", "b+", "b-", "b-a+", "b+", "a+", "a-", ""]);
        assert_eq!(asked.condition, "a > 1");
    }

    #[test]
    fn the_command_line_does_the_same() {
        let mut asked = Asked { condition: "a > 1".to_owned(), order: Vec::new() };
        assert_eq!(asked.command("s3://b/x.parquet"), ["preview", "s3://b/x.parquet", "--filter", "a > 1"]);
        asked = asked.turned("It\"s", false).turned("It\"s", false);
        let sql = "SELECT * FROM 's3://b/x.parquet' WHERE a > 1 ORDER BY \"It\"\"s\" DESC NULLS LAST";
        assert_eq!(asked.command("s3://b/x.parquet"), ["sql", sql]);
        asked.order.clear();
        assert_eq!(asked.sql("s3://b/x.parquet"), "SELECT * FROM 's3://b/x.parquet' WHERE a > 1");
    }
}
