//! One row as a list of names and values.

use super::grid::role_of;
use super::sheet::Sheet;
use crate::action::Action;
use crate::error::{Error, Result};
use crate::screen::popup::moved;
use crate::screen::{Cx, Target};
use crate::table::{Table, Window, format_cell, shown, to_json_rows};
use crate::task::{Pending, Waker, poll_slot};
use crate::text;
use crate::theme::Role;
use crate::widgets::grid::{Side, paint};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Characters of a value.
const MOST: usize = 1000;

/// A row that was read.
struct Read {
    row: u64,
    /// Values by the column's place in the file.
    values: Vec<String>,
    json: String,
}

/// The view.
pub(super) struct Record {
    /// The row wished for.
    row: u64,
    pending: Option<Pending<Read>>,
    read: Option<Result<Read>>,
    /// The column at the cursor, by its place on the screen.
    pub(super) at: usize,
    top: usize,
    height: usize,
}

impl Record {
    pub(super) fn open(sheet: &Sheet, waker: &Waker) -> Self {
        let mut record = Self { row: sheet.row, pending: None, read: None, at: sheet.at, top: 0, height: 10 };
        record.load(sheet, waker);
        record
    }

    /// Reads the row under the sheet's cursor, all of it. What was read before stays in sight until then.
    pub(super) fn load(&mut self, sheet: &Sheet, waker: &Waker) {
        self.row = sheet.row;
        let (rows, row, about) = (sheet.data.rows().clone(), sheet.row, sheet.data.about().clone());
        self.pending = Some(Pending::spawn(waker, async move {
            let names = about.columns.iter().map(|c| c.name.clone()).collect();
            let batch = rows.window(Window { rows: 1, offset: row, columns: Some(names) }).await?;
            let read = move || {
                let table = shown(&rows, &batch, row);
                read(&table, row)
            };
            tokio::task::spawn_blocking(read).await.map_err(|err| Error::invalid("the row").with_source(err))
        }));
    }

    pub(super) fn poll(&mut self) {
        if let Some(read) = poll_slot(&mut self.pending) {
            self.read = Some(read);
        }
    }

    pub(super) fn is_loading(&self) -> bool {
        self.pending.is_some()
    }

    /// The row as JSON, and what it is called.
    pub(super) fn copy(&self) -> Option<(String, String)> {
        let read = self.read.as_ref()?.as_ref().ok()?;
        Some((format!("row {}", text::count(read.row + 1)), read.json.clone()))
    }

    /// Moves the cursor among so many columns; tells whether it was a movement.
    pub(super) fn movement(&mut self, action: Action, columns: usize) -> bool {
        let page = self.height.max(2) - 1;
        let to = moved(self.at, action, columns, page, page / 2);
        self.at = to.unwrap_or(self.at);
        to.is_some()
    }

    pub(super) fn draw(&mut self, sheet: &Sheet, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        self.height = usize::from(area.height.max(1));
        self.at = self.at.min(sheet.columns.len().saturating_sub(1));
        self.top = self.top.min(self.at).max((self.at + 1).saturating_sub(self.height));
        let heads =
            |i: usize| (0..sheet.columns.len()).filter_map(move |at| sheet.columns.get(at).map(|c| &c.heads[i]));
        let widest = |i: usize| heads(i).map(|head| text::width(head)).max().unwrap_or(0) as u16;
        let names = widest(0).clamp(6, (area.width / 3).max(6));
        let kinds = widest(1).clamp(3, (area.width / 6).max(3));
        if let Some(Err(err)) = &self.read {
            let lines = super::tree::wrapped(&super::words(err), area.width.saturating_sub(2).into());
            for (line, y) in lines.iter().zip(area.y..area.bottom()) {
                frame.buffer_mut().set_string(area.x + 1, y, line, theme.style(Role::Bad));
            }
            return;
        }
        let read = self.read.as_ref().and_then(|read| read.as_ref().ok());
        for (at, y) in (self.top..sheet.columns.len()).zip(area.y..area.bottom()) {
            let Some((id, column)) = sheet.columns.id(at).zip(sheet.columns.get(at)) else { continue };
            let line = Rect { y, height: 1, ..area };
            let is_at = at == self.at;
            let buffer = frame.buffer_mut();
            if is_at {
                buffer.set_style(line, theme.style(Role::Cursor));
            }
            let ink = |role| if is_at { Style::default() } else { Style { bg: None, ..theme.style(role) } };
            let mut x = area.x + 1;
            paint(buffer, (x, y), names, &column.heads[0], Side::Left, ink(Role::Name));
            x += names + 2;
            paint(buffer, (x, y), kinds, &column.heads[1], Side::Left, ink(Role::Dim));
            x += kinds + 2;
            let waiting = if cx.unicode { "·" } else { "." };
            let value = read.and_then(|read| read.values.get(id)).map_or(waiting, String::as_str);
            let old = read.is_none_or(|read| read.row != self.row);
            let role = if old || value == super::data::NULL { Role::Faint } else { role_of(&column.about) };
            let room = area.right().saturating_sub(x + 1);
            paint(buffer, (x, y), room, value, Side::Left, ink(role));
            if cx.mouse {
                cx.hits.add(line, Target::Row(at));
            }
        }
    }
}

fn read(table: &Table, row: u64) -> Read {
    let value = |column| {
        let whole = format_cell(&table.batch, 0, column);
        let cut = whole.char_indices().nth(MOST).map_or(&*whole, |(at, _)| &whole[..at]);
        text::clean(cut).into_owned()
    };
    let json = to_json_rows(table).into_iter().next().unwrap_or_default();
    Read {
        row,
        values: (0..table.batch.num_columns()).map(value).collect(),
        json: serde_json::to_string_pretty(&json).unwrap_or_default(),
    }
}
