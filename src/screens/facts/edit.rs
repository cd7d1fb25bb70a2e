//! The form that changes what stands beside an object's bytes.

use crate::action::Action;
use crate::entry::Stat;
use crate::error::Kind as ErrorKind;
use crate::screen::{Cx, popup};
use crate::store::{Change, Fact};
use crate::task::{Pending, poll_slot};
use crate::text::{self, clean};
use crate::theme::Role;
use crate::widgets::form::{Column, Entered, Field, Form, Kind, Rows};
use crate::widgets::input::Edit;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::BTreeMap;

/// Most that S3 keeps of metadata, keys and values together, in bytes.
const METADATA_LIMIT: usize = 2048;
/// Most tags of an object.
const TAG_LIMIT: usize = 10;

/// The lines of the form, and what of a [`Change`] each is.
type Line = (&'static str, &'static str, fn(&mut Change) -> &mut Option<String>, &'static str);
const LINES: [Line; 6] = [
    ("type", "content type", |c| &mut c.content_type, "image/tiff"),
    ("encoding", "content encoding", |c| &mut c.content_encoding, "gzip, where the bytes are"),
    ("language", "content language", |c| &mut c.content_language, "fi, en"),
    ("disposition", "disposition", |c| &mut c.content_disposition, "attachment; filename=\"x.tif\""),
    ("cache", "cache control", |c| &mut c.cache_control, "max-age=3600"),
    ("expires", "expires", |c| &mut c.expires, "Tue, 01 Jan 2030 00:00:00 GMT"),
];

/// The form, and the saving that it led to.
pub(super) struct Editor {
    form: Form,
    /// What the user has looked at: it is changed only while it is still so.
    stat: Stat,
    templates: Vec<Vec<Vec<String>>>,
    applied: usize,
    saving: Option<Pending<(Stat, Vec<String>)>>,
    /// Somebody else was faster; what is there now has arrived.
    note: Option<&'static str>,
    leaving: bool,
    height: u16,
}

fn pairs(map: &BTreeMap<String, String>) -> Rows {
    let rows = map.iter().map(|(key, value)| vec![key.clone(), value.clone()]);
    Rows::new(vec![Column::text("key"), Column::text("value").weight(3)]).with(rows)
}

impl Editor {
    pub(super) fn open(stat: &Stat, tags: &Fact<BTreeMap<String, String>>, cx: &Cx) -> Self {
        let mut has = Change::of(stat);
        let mut fields: Vec<Field> = LINES
            .into_iter()
            .map(|(id, label, of, example)| {
                let value = of(&mut has).clone().unwrap_or_default();
                Field::text(id, label, &value, example).help("Sent with the object to whoever reads it; empty: not set")
            })
            .collect();
        let templates = &cx.config.metadata_templates;
        let names = std::iter::once("none".to_owned()).chain(templates.keys().cloned());
        fields.push(
            Field::choice("template", "template", names)
                .help("Adds rows of metadata from the configuration; ← → choose"),
        );
        fields.push(
            Field::rows("metadata", "metadata", pairs(&stat.metadata))
                .help("Enter behind the last cell adds a row, Ctrl-X removes one"),
        );
        let offered = !matches!(tags, Fact::NotOffered | Fact::Denied | Fact::Failed(_));
        if offered {
            fields.push(
                Field::rows("tags", "tags", pairs(&stat.tags))
                    .help("At most 10; Ctrl-A adds a row, Ctrl-X removes one"),
            );
        } else {
            fields.push(Field::info("tags", "tags", vec![tags.words().unwrap_or_default().to_owned()]));
        }
        let rows_of = |rows: &BTreeMap<String, String>| rows.iter().map(|(k, v)| vec![k.clone(), v.clone()]).collect();
        let mut form = Form::new("Save", fields);
        form.focus_on("metadata");
        Self {
            form,
            stat: stat.clone(),
            templates: templates.values().map(rows_of).collect(),
            applied: 0,
            saving: None,
            note: None,
            leaving: false,
            height: 0,
        }
    }

    /// What the server says now: what is saved next is saved over that.
    pub(super) fn seen(&mut self, stat: &Stat) {
        if self.note.is_some() {
            self.stat = stat.clone();
            self.note = Some("it has changed meanwhile: saving again writes what stands here over that");
        }
    }

    pub(super) fn is_working(&self) -> bool {
        self.saving.is_some()
    }

    /// Swaps the rows of the former template for those of the chosen one.
    fn apply_template(&mut self) {
        let chosen = self.form.choice("template");
        if chosen == self.applied {
            return;
        }
        let rows_of = |i: usize| i.checked_sub(1).and_then(|i| self.templates.get(i)).cloned().unwrap_or_default();
        let (old, new) = (rows_of(self.applied), rows_of(chosen));
        if let Some(Kind::Rows(rows)) = self.form.field_mut("metadata").map(|f| &mut f.kind) {
            for row in &old {
                rows.remove_equal(row);
            }
            let there = rows.filled();
            new.into_iter().filter(|row| !there.contains(row)).for_each(|row| rows.push(row));
        }
        self.applied = chosen;
    }

    /// What was typed, or `None` with what is wrong beside its field.
    fn wish(&mut self) -> Option<Change> {
        self.form.clear_errors();
        let mut wish = Change::of(&self.stat);
        for (id, _, of, _) in LINES {
            let text = self.form.text(id).trim().to_owned();
            if !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
                self.form.set_error(id, "only plain ASCII can be sent");
            }
            *of(&mut wish) = (!text.is_empty()).then_some(text);
        }
        if wish.content_type.as_ref().is_some_and(|t| !t.contains('/')) {
            self.form.set_error("type", "a content type has a slash: image/tiff");
        }
        wish.metadata = self.read("metadata");
        if let Some(wrong) = wrong_metadata(&wish.metadata) {
            self.form.set_error("metadata", wrong);
        }
        if matches!(self.form.field_mut("tags").map(|f| &f.kind), Some(Kind::Rows(_))) {
            wish.tags = self.read("tags");
            if wish.tags.len() > TAG_LIMIT {
                let words = format!("{} tags; an object has at most {TAG_LIMIT}", wish.tags.len());
                self.form.set_error("tags", words);
            }
        }
        (!self.form.focus_error()).then_some(wish)
    }

    /// Rows of key and value.
    fn read(&mut self, id: &'static str) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        for row in self.form.rows(id) {
            let (key, value) = (row.first().cloned().unwrap_or_default(), row.get(1).cloned().unwrap_or_default());
            if key.is_empty() {
                self.form.set_error(id, format!("the value `{value}` has no key"));
            } else if map.insert(key.clone(), value).is_some() {
                self.form.set_error(id, format!("`{key}` stands there twice"));
            }
        }
        map
    }

    fn save(&mut self, cx: &mut Cx) {
        if self.saving.is_some() {
            return;
        }
        let Some(wish) = self.wish() else { return };
        let (stores, stat) = (cx.stores.clone(), self.stat.clone());
        self.saving = Some(Pending::spawn(&cx.waker, async move {
            stores.open(&stat.location, stores.meter()).await?.edit(&stat, &wish).await
        }));
    }

    /// Does what was asked; tells whether the form is to be closed.
    pub(super) fn update(&mut self, action: Action, cx: &mut Cx) -> bool {
        if action == Action::Back {
            if self.form.is_touched() && !self.leaving {
                self.leaving = true;
                return false;
            }
            return true;
        }
        self.leaving = false;
        match action {
            Action::NextPane => self.form.next(),
            Action::PrevPane => self.form.prev(),
            Action::Down => self.form.down(),
            Action::Up => self.form.up(),
            Action::NextChoice | Action::PrevChoice => {
                self.form.choose(action == Action::NextChoice);
            }
            Action::AddRow => self.form.add_row(),
            Action::RemoveRow => self.form.remove_row(),
            Action::Submit => self.save(cx),
            Action::Enter => match self.form.enter() {
                Entered::Submit => self.save(cx),
                Entered::Cancel => return true,
                Entered::Moved => {}
            },
            Action::Close => return true,
            _ => {}
        }
        self.apply_template();
        false
    }

    pub(super) fn edit(&mut self, edit: &Edit) {
        self.leaving = false;
        self.form.edit(edit);
        self.apply_template();
    }

    /// How the saving went: whether the form is done with, and whether the facts are to be read again.
    pub(super) fn poll(&mut self, cx: &mut Cx) -> (bool, bool) {
        match poll_slot(&mut self.saving) {
            None => (false, false),
            Some(Ok((now, notes))) => {
                let said = std::iter::once(format!("saved: {}", now.location.name())).chain(notes);
                cx.toast(clean(&said.collect::<Vec<_>>().join("; ")).into_owned());
                (true, true)
            }
            Some(Err(err)) => {
                cx.fail(&err);
                // What was typed stays in the form.
                let changed = err.kind() == ErrorKind::Changed;
                if changed {
                    self.note = Some("it has changed meanwhile: what is there now is being read");
                }
                (false, changed)
            }
        }
    }

    pub(super) fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let title = format!("edit {}", self.stat.location);
        let hint = self.hint(cx);
        let free = popup::form(frame, area, &mut self.form, &mut self.height, (&title, &hint), cx);
        if let (Some(note), Some(line)) = (self.note, free) {
            let note = text::fit(note, usize::from(line.width)).into_owned();
            frame.buffer_mut().set_string(line.x, line.y, note, cx.theme.style(Role::Warn));
        }
    }

    fn hint(&self, cx: &Cx) -> String {
        let key = |action| cx.keymap.label(&["form"], action);
        if self.saving.is_some() {
            return "saving…".to_owned();
        }
        if self.leaving {
            return format!("{} again leaves it; what was typed is lost", key(Action::Back));
        }
        format!("{} next  {} save  {} leave", key(Action::NextPane), key(Action::Submit), key(Action::Back))
    }
}

/// What S3 does not take as metadata: keys are tokens of RFC 9110, values printable ASCII.
fn wrong_metadata(metadata: &BTreeMap<String, String>) -> Option<String> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if let Some(key) = metadata.keys().find(|k| !k.chars().all(is_token)) {
        return Some(format!("`{key}` is no key: letters, digits, dots, dashes and underscores are"));
    }
    if let Some(value) = metadata.values().find(|v| !v.chars().all(|c| (' '..='~').contains(&c))) {
        return Some(format!("`{value}` cannot be sent: values are printable ASCII"));
    }
    let size: usize = metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
    (size > METADATA_LIMIT).then(|| format!("{size} bytes; an object has at most {METADATA_LIMIT} of metadata"))
}
