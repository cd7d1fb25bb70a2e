//! Asking with SQL: what is typed, and the result below it, which is a table like any other.
//!
//! ```text
//!  SQL                                                        memory 2 GiB · 2 threads
//! ╭ ask ───────────────────────────────────────────────────────────────────────────────╮
//! │SELECT * FROM 's3://b/atl06.parquet' WHERE h_mean > 3                               │
//! ╰────────────────────────────────────────────────────────────────────────────────────╯
//!  h_mean f64  h_sigma f32  HAVING
//!          h_mean  time                       geometry
//!     1  1843.250  2019-10-04T22:00:36.25     POINT (-108.1 39.0)
//! ```

use super::sql::{Editor, History, QUERIES};
use super::table::Grid;
use crate::action::Action;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::query::{Answer, Engine, Settings, mentioned, table_name};
use crate::screen::{Cx, Flow, Open, Screen, Target};
use crate::table::{Rows, Window};
use crate::task::{Control, Pending, poll_slot};
use crate::text;
use crate::theme::Role;
use crate::widgets::input::Edit;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Paragraph, Wrap};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Lines of SQL in sight.
const LINES: u16 = 6;
/// Rows made before a result is shown.
const FIRST: usize = 100;

/// Columns of a table that the SQL names: being read, or read (none where that failed).
enum Columns {
    Asked(Pending<Vec<(String, String)>>),
    Known(Vec<(String, String)>),
}

/// The screen.
pub(super) struct Query {
    engine: Result<Engine>,
    editor: Editor,
    history: History,
    columns: BTreeMap<String, Columns>,
    /// The query at work, and how it is stopped.
    running: Option<(Pending<Arc<Answer>>, Control)>,
    explaining: Option<Pending<Vec<String>>>,
    result: Option<Done>,
    error: Option<Error>,
    /// Whether keys go to the result.
    in_result: bool,
    opened: Option<Open>,
}

/// A result with what it is the result of.
struct Done {
    sql: String,
    answer: Arc<Answer>,
    grid: Grid,
    control: Control,
}

impl Drop for Query {
    fn drop(&mut self) {
        if let Some((_, control)) = &self.running {
            control.cancel();
        }
        if let Some(done) = &self.result {
            done.control.cancel();
        }
    }
}

impl Query {
    /// About a table, or about nothing yet.
    pub(super) fn open(table: Option<&Location>, sql: Option<String>, cx: &Cx) -> Self {
        let first = |at: &Location| format!("SELECT * FROM {} LIMIT 100", table_name(&at.to_string()));
        let sql = sql.or_else(|| table.map(first));
        let mut query = Self {
            engine: Engine::new(cx.stores.clone(), Settings::here()),
            editor: Editor::new(sql.as_deref().unwrap_or("SELECT ")),
            history: History::open(QUERIES, cx),
            columns: BTreeMap::new(),
            running: None,
            explaining: None,
            result: None,
            error: None,
            in_result: false,
            opened: None,
        };
        query.look_up(cx);
        query
    }

    /// Learns the columns of tables that the SQL names.
    fn look_up(&mut self, cx: &Cx) {
        let Ok(engine) = &self.engine else { return };
        for table in mentioned(self.editor.text()) {
            self.columns.entry(table.clone()).or_insert_with(|| {
                let (engine, control) = (engine.clone(), Control::new(cx.stores.meter().child()));
                Columns::Asked(Pending::spawn(&cx.waker, async move { engine.columns(&table, &control).await }))
            });
        }
    }

    fn known_columns(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for table in mentioned(self.editor.text()) {
            if let Some(Columns::Known(columns)) = self.columns.get(&table) {
                all.extend(columns.iter().filter(|c| !all.contains(*c)).cloned().collect::<Vec<_>>());
            }
        }
        all
    }

    fn run(&mut self, cx: &Cx) {
        let sql = self.editor.text().trim().to_owned();
        self.stop();
        self.error = None;
        let engine = match &self.engine {
            Ok(engine) => engine.clone(),
            Err(err) => {
                self.error = Some(err.again());
                return;
            }
        };
        self.history.add(&sql, cx);
        let control = Control::new(cx.stores.meter().child());
        let work = control.clone();
        let pending = Pending::spawn(&cx.waker, async move {
            let answer = engine.run(&sql, &work).await?.into_rows();
            // What fails does so here, in a sentence, and not in the grid.
            answer.window(Window { rows: FIRST, offset: 0, columns: Some(Vec::new()) }).await?;
            Ok(answer)
        });
        self.running = Some((pending, control));
    }

    fn stop(&mut self) -> bool {
        let Some((_, control)) = self.running.take() else { return false };
        control.cancel();
        true
    }

    fn explain(&mut self, cx: &Cx) {
        let Ok(engine) = &self.engine else { return };
        let (engine, sql) = (engine.clone(), self.editor.text().to_owned());
        let control = Control::new(cx.stores.meter().child());
        self.explaining = Some(Pending::spawn(&cx.waker, async move { engine.explain(&sql, &control).await }));
    }

    fn update_editor(&mut self, action: Action, cx: &mut Cx) -> Flow {
        match action {
            Action::Enter | Action::Submit => self.run(cx),
            Action::Complete | Action::PrevChoice => {
                let columns = self.known_columns();
                self.editor.complete(&columns, action == Action::PrevChoice);
            }
            Action::Up | Action::Down => {
                if let Some(sql) = self.history.step(action == Action::Up, self.editor.text()) {
                    self.editor.set(&sql);
                    self.look_up(cx);
                }
            }
            Action::NextPane | Action::PageDown => self.in_result = self.result.is_some(),
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn write_out(&self) -> Flow {
        let shown = self.result.as_ref().filter(|_| self.in_result).map(|done| done.sql.clone());
        let sql = shown.unwrap_or_else(|| self.editor.text().trim().to_owned());
        Flow::Open(Open::QueryForm { sql })
    }

    fn draw_editor(&self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let role = if self.in_result { Role::Border } else { Role::Focus };
        let border = if cx.unicode { BorderType::Rounded } else { BorderType::Plain };
        let block = Block::default()
            .borders(Borders::ALL)
            .border_type(border)
            .border_style(theme.style(role))
            .title(Span::styled(" ask ", theme.style(Role::Title)));
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let (lines, at) = self.editor.lines(inner.width, !self.in_result, cx);
        let first = (at + 1).saturating_sub(usize::from(inner.height));
        frame.render_widget(Paragraph::new(lines.into_iter().skip(first).collect::<Vec<_>>()), inner);
    }

    /// The line below the editor: words, how a function is called, what goes on, or what was read.
    fn status(&self, width: u16, cx: &Cx) -> Line<'static> {
        let theme = &cx.theme;
        let said = |words: String, role| Line::styled(text::fit(&words, width.into()).into_owned(), theme.style(role));
        if let Some((_, control)) = &self.running {
            let step = control.current_step();
            let counts = control.meter.counts();
            let doing = if step.is_empty() { "running".to_owned() } else { text::clean(&step).into_owned() };
            let key = cx.keymap.label(self.contexts(), Action::Back);
            let read = text::bytes(counts.bytes_in);
            return said(format!("{doing} · {} requests · {read} · {key} stops it", counts.requests), Role::Warn);
        }
        if !self.in_result {
            if let Some(about) = self.editor.about() {
                return said(about.to_owned(), Role::Accent);
            }
            let offers = self.editor.offers(width, theme);
            if !offers.spans.is_empty() {
                return offers;
            }
        }
        match &self.result {
            Some(done) => said(done.answer.reading().to_string(), Role::Dim),
            None => Line::default(),
        }
    }

    fn draw_help(&self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let contexts = self.contexts();
        let key = |action| cx.keymap.label(contexts, action);
        let mut lines = vec![Line::raw("")];
        if let Some(err) = &self.error {
            lines.push(Line::styled(text::clean(&err.to_string()).into_owned(), theme.style(Role::Bad)));
            if let Some(hint) = err.hint() {
                lines.push(Line::styled(text::clean(hint).into_owned(), theme.style(Role::Dim)));
            }
            lines.push(Line::raw(""));
        }
        let hints = [
            (key(Action::Enter), "runs it; nothing is read beyond what is shown"),
            (key(Action::Complete), "completes a column, a function, a keyword; once more for the next"),
            (format!("{} {}", key(Action::Up), key(Action::Down)), "what was asked before"),
            (key(Action::Explain), "what would be read, and how it is done"),
            (key(Action::Export), "writes the result: Parquet, GeoParquet, CSV, NDJSON"),
            (key(Action::Back), "stops it; then leaves"),
        ];
        for (key, about) in hints.into_iter().filter(|(key, _)| !key.trim().is_empty()) {
            let pad = " ".repeat(12_usize.saturating_sub(text::width(&key)));
            lines.push(Line::from(vec![
                Span::styled(format!("{key}{pad}"), theme.style(Role::Key)),
                Span::styled(about, theme.style(Role::Dim)),
            ]));
        }
        lines.push(Line::raw(""));
        for example in [
            "SELECT year, count(*), avg(depth) FROM 's3://bucket/stations/' GROUP BY year ORDER BY year",
            "SELECT * FROM './lakes.parquet' WHERE st_intersects_bbox(geometry, 24, 60, 25, 61)",
        ] {
            lines.push(Line::styled(example, theme.style(Role::Faint)));
        }
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
    }
}

impl Screen for Query {
    fn contexts(&self) -> &'static [&'static str] {
        match &self.result {
            Some(done) if self.in_result => match done.grid.contexts() {
                ["table", ..] => &["query-result", "table", "list", "global"],
                other => other,
            },
            _ => &["query"],
        }
    }

    fn title(&self) -> String {
        "SQL".to_owned()
    }

    fn wants_text(&self) -> bool {
        match &self.result {
            Some(done) if self.in_result => done.grid.wants_text(),
            _ => true,
        }
    }

    fn is_moving(&self, cx: &Cx) -> bool {
        self.running.is_some()
            || self.explaining.is_some()
            || self.result.as_ref().is_some_and(|done| done.grid.is_moving(cx))
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        match action {
            Action::Explain => {
                self.explain(cx);
                return Flow::Done;
            }
            Action::Export => return self.write_out(),
            Action::Back if self.stop() => {
                cx.toast("the query was stopped");
                return Flow::Done;
            }
            _ => {}
        }
        let Some(done) = self.result.as_mut().filter(|_| self.in_result) else {
            return match action {
                Action::Back => Flow::Close,
                action => self.update_editor(action, cx),
            };
        };
        let at_rows = matches!(done.grid.contexts(), ["table", ..]);
        if action == Action::PrevPane {
            self.in_result = false;
            return Flow::Done;
        }
        match done.grid.update(action, cx) {
            // The grid would be closed: keys go to what is typed.
            Flow::Close if at_rows && matches!(action, Action::Back | Action::Leave) => {
                self.in_result = false;
                Flow::Done
            }
            flow => flow,
        }
    }

    fn update_counted(&mut self, action: Action, count: usize, cx: &mut Cx) -> Flow {
        match self.result.as_mut().filter(|_| self.in_result) {
            Some(done) => done.grid.update_counted(action, count, cx),
            None => Flow::Ignored,
        }
    }

    fn edit(&mut self, edit: &Edit, cx: &mut Cx) -> Flow {
        if let Some(done) = self.result.as_mut().filter(|_| self.in_result) {
            return done.grid.edit(edit, cx);
        }
        self.editor.edit(edit);
        self.look_up(cx);
        let columns = self.known_columns();
        self.editor.offer(&columns);
        Flow::Done
    }

    fn click(&mut self, target: &Target, cx: &mut Cx) -> Flow {
        let Some(done) = self.result.as_mut() else { return Flow::Ignored };
        self.in_result = true;
        done.grid.click(target, cx)
    }

    fn poll(&mut self, cx: &mut Cx) {
        self.history.poll(cx);
        for columns in self.columns.values_mut() {
            if let Columns::Asked(pending) = columns
                && let Some(found) = pending.take()
            {
                // A table that cannot be opened says so when it is asked.
                *columns = Columns::Known(found.unwrap_or_default());
            }
        }
        match poll_slot(&mut self.explaining) {
            Some(Ok(lines)) => {
                self.opened = Some(Open::Message { title: "What would be read".to_owned(), lines });
            }
            Some(Err(err)) => self.error = Some(err),
            None => {}
        }
        if let Some((pending, control)) = &mut self.running
            && let Some(answer) = pending.take()
        {
            let control = control.clone();
            self.running = None;
            match answer {
                Ok(answer) => {
                    let rows: Arc<dyn Rows> = answer.clone();
                    let grid = Grid::of_rows("result".to_owned(), rows, Some(control.clone()), cx);
                    let sql = self.editor.text().trim().to_owned();
                    if let Some(before) = self.result.replace(Done { sql, answer, grid, control }) {
                        before.control.cancel();
                    }
                    self.in_result = true;
                }
                Err(err) => {
                    self.in_result = false;
                    self.error = Some(err);
                }
            }
        }
        if let Some(done) = &mut self.result {
            done.grid.poll(cx);
        }
    }

    fn take_open(&mut self) -> Option<Open> {
        self.opened.take().or_else(|| self.result.as_mut()?.grid.take_open())
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let (lines, _) = self.editor.lines(area.width.saturating_sub(2), true, cx);
        let tall = (lines.len() as u16).clamp(1, LINES.min(area.height / 3).max(1)) + 2;
        let [bar, ask, status, body] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(tall),
            Constraint::Length(1),
            Constraint::Min(0),
        ])
        .areas(area);
        frame.render_widget(Block::default().style(theme.style(Role::Bar)), bar);
        let limits = self.engine.as_ref().map_or_else(
            |_| String::new(),
            |engine| {
                let settings = engine.settings();
                let s = if settings.threads == 1 { "" } else { "s" };
                format!("memory {} · {} thread{s} ", text::bytes(settings.memory), settings.threads)
            },
        );
        let pad = " ".repeat(usize::from(bar.width).saturating_sub(5 + text::width(&limits)));
        let title = Line::from(vec![
            Span::styled(" SQL ", theme.style(Role::Title)),
            Span::raw(pad),
            Span::styled(limits, theme.style(Role::Dim)),
        ]);
        frame.render_widget(Paragraph::new(title), bar);
        self.draw_editor(frame, ask, cx);
        let inset = |area: Rect| Rect { x: area.x + 1.min(area.width), width: area.width.saturating_sub(2), ..area };
        frame.render_widget(Paragraph::new(self.status(inset(status).width, cx)), inset(status));
        match &mut self.result {
            Some(done) if self.error.is_none() => done.grid.draw(frame, body, cx),
            _ => self.draw_help(frame, inset(body), cx),
        }
    }
}
