//! A form for the keyboard: fields with labels, help and what is wrong with them, and two buttons.
//!
//! ```text
//!   files          ✓ ~/data/glodap.csv.zip                              212.0 MiB
//! ▸ destination    s3://allas@bucket/incoming/█
//!                  ✗ a folder must end in /
//!   if it exists   ● fail  ○ skip  ○ overwrite  ○ rename
//!
//!   [ Upload ]  [ Cancel ]
//! ```
//!
//! A form knows texts and styles only. Its owner maps keys to the methods here, reads folders for
//! the picker ([`Form::wanted_folder`]), and checks what was typed.

mod draw;
mod field;
mod paths;
mod rows;

pub use draw::Look;
pub use field::{Field, Kind};
pub use paths::{Item, Paths};
pub use rows::{Column, Rows};

use crate::widgets::input::{Edit, Input};

/// Where the focus is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// On the field of this index.
    Field(usize),
    /// On the button that submits.
    Submit,
    /// On the button that cancels.
    Cancel,
}

/// What Enter led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// The form went on.
    Moved,
    /// The user wants it done.
    Submit,
    /// The user wants out.
    Cancel,
}

/// A form. See the module.
pub struct Form {
    fields: Vec<Field>,
    focus: Focus,
    submit: String,
    scroll: usize,
    touched: bool,
}

impl Form {
    /// A form whose first button says `submit`; the focus is on the first field that takes it.
    pub fn new(submit: &str, fields: Vec<Field>) -> Self {
        let focus = fields.iter().position(Field::takes_focus).map_or(Focus::Submit, Focus::Field);
        Self { fields, focus, submit: submit.to_owned(), scroll: 0, touched: false }
    }

    /// Whether anything was changed by hand.
    pub fn is_touched(&self) -> bool {
        self.touched
    }

    /// Where the focus is.
    pub fn focus(&self) -> Focus {
        self.focus
    }

    /// The id of the field in focus.
    pub fn focused_id(&self) -> Option<&'static str> {
        self.focused().map(|f| f.id)
    }

    fn focused(&self) -> Option<&Field> {
        match self.focus {
            Focus::Field(i) => self.fields.get(i),
            _ => None,
        }
    }

    fn focused_mut(&mut self) -> Option<&mut Field> {
        match self.focus {
            Focus::Field(i) => self.fields.get_mut(i),
            _ => None,
        }
    }

    /// Puts the focus on a field.
    pub fn focus_on(&mut self, id: &str) {
        if let Some(i) = self.fields.iter().position(|f| f.id == id && f.takes_focus()) {
            self.focus = Focus::Field(i);
        }
    }

    /// Puts the focus on the button that submits.
    pub fn focus_submit(&mut self) {
        self.focus = Focus::Submit;
    }

    fn stops(&self) -> Vec<Focus> {
        let fields = self.fields.iter().enumerate().filter(|(_, f)| f.takes_focus());
        fields.map(|(i, _)| Focus::Field(i)).chain([Focus::Submit, Focus::Cancel]).collect()
    }

    fn step(&mut self, by: isize) {
        if let Some(Kind::Paths(paths)) = self.focused_mut().map(|f| &mut f.kind) {
            paths.leave_list();
        }
        let stops = self.stops();
        let at = stops.iter().position(|s| *s == self.focus).unwrap_or(0);
        self.focus = stops[(at as isize + by).rem_euclid(stops.len() as isize) as usize];
        if let Some(Kind::Rows(rows)) = self.focused_mut().map(|f| &mut f.kind) {
            rows.come_in(by > 0);
        }
    }

    /// To the next cell or field; from the last button to the first field.
    pub fn next(&mut self) {
        if let Some(Kind::Rows(rows)) = self.focused_mut().map(|f| &mut f.kind)
            && rows.next_cell()
        {
            return;
        }
        self.step(1);
    }

    /// To the cell or field before.
    pub fn prev(&mut self) {
        if let Some(Kind::Rows(rows)) = self.focused_mut().map(|f| &mut f.kind)
            && rows.prev_cell()
        {
            return;
        }
        self.step(-1);
    }

    /// Down: in the picker's list or the rows, else to the next field.
    pub fn down(&mut self) {
        let moved = match self.focused_mut().map(|f| &mut f.kind) {
            Some(Kind::Rows(rows)) => rows.down(),
            Some(Kind::Paths(paths)) => paths.down(),
            _ => false,
        };
        if !moved {
            self.step(1);
        }
    }

    /// Up: in the picker's list or the rows, else to the field before.
    pub fn up(&mut self) {
        let moved = match self.focused_mut().map(|f| &mut f.kind) {
            Some(Kind::Rows(rows)) => rows.up(),
            Some(Kind::Paths(paths)) => paths.up(),
            _ => false,
        };
        if !moved {
            self.step(-1);
        }
    }

    /// Peels one layer: the picker's list. Tells whether there was one.
    pub fn back(&mut self) -> bool {
        match self.focused_mut().map(|f| &mut f.kind) {
            Some(Kind::Paths(paths)) => paths.leave_list(),
            _ => false,
        }
    }

    /// Enter: goes on, takes what the picker offers, or presses the button.
    pub fn enter(&mut self) -> Entered {
        match self.focus {
            Focus::Submit => return Entered::Submit,
            Focus::Cancel => return Entered::Cancel,
            Focus::Field(_) => {}
        }
        let stays = match self.focused_mut().map(|f| &mut f.kind) {
            Some(Kind::Rows(rows)) => rows.enter(),
            Some(Kind::Paths(paths)) => paths.enter(),
            _ => false,
        };
        if stays {
            self.changed();
        } else {
            self.next();
        }
        Entered::Moved
    }

    fn changed(&mut self) {
        self.touched = true;
        if let Some(field) = self.focused_mut() {
            field.error = None;
        }
    }

    /// Takes typed text; tells whether a value changed.
    pub fn edit(&mut self, edit: &Edit) -> bool {
        let changed = match self.focus {
            Focus::Submit | Focus::Cancel => {
                match edit {
                    Edit::Right | Edit::End => self.focus = Focus::Cancel,
                    Edit::Left | Edit::Home => self.focus = Focus::Submit,
                    _ => {}
                }
                return false;
            }
            Focus::Field(_) => match self.focused_mut().map(|f| &mut f.kind) {
                Some(Kind::Text { input, .. } | Kind::Secret { input, .. }) => input.apply(edit),
                Some(Kind::Choice { items, at }) => edit_choice(items, at, edit),
                Some(Kind::Toggle { on, .. }) => match edit {
                    Edit::Left | Edit::Right => flip(on),
                    Edit::Insert(text) if text == " " => flip(on),
                    _ => false,
                },
                Some(Kind::Rows(rows)) => rows.edit(edit),
                Some(Kind::Paths(paths)) => paths.edit(edit),
                Some(Kind::Info(_)) | None => false,
            },
        };
        if changed {
            self.changed();
        }
        changed
    }

    /// The next or the previous choice of the field in focus; tells whether it changed.
    pub fn choose(&mut self, forward: bool) -> bool {
        let by = if forward { Edit::Right } else { Edit::Left };
        let changed = match self.focused_mut().map(|f| &mut f.kind) {
            Some(Kind::Choice { items, at }) => edit_choice(items, at, &by),
            Some(Kind::Toggle { on, .. }) => flip(on),
            Some(Kind::Rows(rows)) => rows.choose(forward),
            Some(Kind::Paths(paths)) => {
                let _ = if forward { paths.down() } else { paths.up() };
                return false;
            }
            _ => false,
        };
        if changed {
            self.changed();
        }
        changed
    }

    /// A new row, or what the picker points at, taken.
    pub fn add_row(&mut self) {
        let added = match self.focused_mut().map(|f| &mut f.kind) {
            Some(Kind::Rows(rows)) => {
                rows.add();
                true
            }
            Some(Kind::Paths(paths)) => paths.take(),
            _ => false,
        };
        if added {
            self.changed();
        }
    }

    /// Drops the row under the cursor, or the path taken last.
    pub fn remove_row(&mut self) {
        let removed = match self.focused_mut().map(|f| &mut f.kind) {
            Some(Kind::Rows(rows)) => rows.remove(),
            Some(Kind::Paths(paths)) => paths.drop_last(),
            _ => false,
        };
        if removed {
            self.changed();
        }
    }

    fn field(&self, id: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.id == id)
    }

    /// A field to be changed by its owner.
    pub fn field_mut(&mut self, id: &str) -> Option<&mut Field> {
        self.fields.iter_mut().find(|f| f.id == id)
    }

    /// The text of a line, the words of a choice, the path of a single picker; else empty.
    pub fn text(&self, id: &str) -> &str {
        match self.field(id).map(|f| &f.kind) {
            Some(Kind::Text { input, .. }) => input.text(),
            Some(Kind::Choice { items, at }) => items.get(*at).map_or("", String::as_str),
            Some(Kind::Paths(paths)) => paths.typed(),
            _ => "",
        }
    }

    /// Sets the text of a line, as its owner found it.
    pub fn set_text(&mut self, id: &str, text: &str) {
        match self.field_mut(id).map(|f| &mut f.kind) {
            Some(Kind::Text { input, .. }) => *input = Input::new(text),
            Some(Kind::Paths(paths)) => paths.set_typed(text),
            _ => {}
        }
    }

    /// What was typed into a secret line; [`Form::text`] never gives it.
    pub fn secret(&self, id: &str) -> &str {
        match self.field(id).map(|f| &f.kind) {
            Some(Kind::Secret { input, .. }) => input.text(),
            _ => "",
        }
    }

    /// Takes the choice of this index.
    pub fn set_choice(&mut self, id: &str, to: usize) {
        if let Some(Kind::Choice { items, at }) = self.field_mut(id).map(|f| &mut f.kind) {
            *at = to.min(items.len().saturating_sub(1));
        }
    }

    /// Shows a field, or hides it.
    pub fn show(&mut self, id: &str, shown: bool) {
        if let Some(field) = self.field_mut(id) {
            field.hidden = !shown;
        }
    }

    /// Which choice is taken.
    pub fn choice(&self, id: &str) -> usize {
        match self.field(id).map(|f| &f.kind) {
            Some(Kind::Choice { at, .. }) => *at,
            _ => 0,
        }
    }

    /// Whether a toggle is on.
    pub fn is_on(&self, id: &str) -> bool {
        matches!(self.field(id).map(|f| &f.kind), Some(Kind::Toggle { on: true, .. }))
    }

    /// The rows in which something was typed.
    pub fn rows(&self, id: &str) -> Vec<Vec<String>> {
        match self.field(id).map(|f| &f.kind) {
            Some(Kind::Rows(rows)) => rows.filled(),
            _ => Vec::new(),
        }
    }

    /// The paths that were taken, and the one typed.
    pub fn paths(&self, id: &str) -> Vec<String> {
        match self.field(id).map(|f| &f.kind) {
            Some(Kind::Paths(paths)) => paths.all(),
            _ => Vec::new(),
        }
    }

    /// Says what is wrong with a field.
    pub fn set_error(&mut self, id: &str, error: impl Into<String>) {
        if let Some(field) = self.field_mut(id) {
            field.error = Some(error.into());
        }
    }

    /// Says something about a field.
    pub fn set_note(&mut self, id: &str, note: Option<String>) {
        if let Some(field) = self.field_mut(id) {
            field.note = note;
        }
    }

    /// Forgets what was wrong.
    pub fn clear_errors(&mut self) {
        for field in &mut self.fields {
            field.error = None;
        }
    }

    /// Puts the focus on the first field with something wrong; tells whether there is one.
    pub fn focus_error(&mut self) -> bool {
        let found = self.fields.iter().position(|f| f.error.is_some());
        if let Some(i) = found {
            self.focus = if self.fields[i].takes_focus() { Focus::Field(i) } else { Focus::Submit };
        }
        found.is_some()
    }

    /// The folder whose names the picker in focus needs and does not have, as typed: `~/data/`.
    pub fn wanted_folder(&self) -> Option<String> {
        match &self.focused()?.kind {
            Kind::Paths(paths) => paths.wanted_folder(),
            _ => None,
        }
    }

    /// The names of a folder that a picker wanted, or why they cannot be had.
    pub fn set_listing(&mut self, folder: &str, names: Result<Vec<Item>, String>) {
        if let Some(Kind::Paths(paths)) = self.focused_mut().map(|f| &mut f.kind) {
            paths.set_listing(folder, names);
        }
    }
}

fn flip(on: &mut bool) -> bool {
    *on = !*on;
    true
}

/// Left, Right and Space turn; a letter finds the choice that begins with it.
fn edit_choice(items: &[String], at: &mut usize, edit: &Edit) -> bool {
    let before = *at;
    let n = items.len().max(1);
    match edit {
        Edit::Left => *at = (*at + n - 1) % n,
        Edit::Right => *at = (*at + 1) % n,
        Edit::Insert(text) if text == " " => *at = (*at + 1) % n,
        Edit::Home => *at = 0,
        Edit::End => *at = n - 1,
        Edit::Insert(text) => {
            let typed = text.to_lowercase();
            let order = (1..=n).map(|i| (before + i) % n);
            let starts = |i: &usize| items.get(*i).is_some_and(|s| s.to_lowercase().starts_with(&typed));
            *at = order.into_iter().find(starts).unwrap_or(before);
        }
        _ => {}
    }
    *at != before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(form: &mut Form, text: &str) {
        for c in text.chars() {
            form.edit(&Edit::Insert(c.to_string()));
        }
    }

    fn form() -> Form {
        Form::new(
            "Do it",
            vec![
                Field::info("about", "about", vec!["words".into()]),
                Field::text("name", "name", "", "a name"),
                Field::choice("rule", "rule", ["fail", "skip", "overwrite"]),
                Field::toggle("deep", "deep", false, "with folders"),
                Field::rows("meta", "metadata", Rows::new(vec![Column::text("key"), Column::text("value")])),
            ],
        )
    }

    #[test]
    fn a_form_is_filled_and_sent_by_keyboard_alone() {
        let mut form = form();
        assert_eq!(form.focused_id(), Some("name"));
        typed(&mut form, "x y");
        assert_eq!(form.enter(), Entered::Moved);
        typed(&mut form, "o");
        assert_eq!(form.text("rule"), "overwrite");
        form.next();
        typed(&mut form, " ");
        assert!(form.is_on("deep"));
        form.next();
        typed(&mut form, "k");
        form.next();
        typed(&mut form, "v");
        assert_eq!(form.rows("meta"), [["k", "v"]]);
        assert_eq!(form.enter(), Entered::Moved, "Enter behind a full row opens another");
        assert_eq!(form.focused_id(), Some("meta"));
        form.enter();
        form.enter();
        assert_eq!(form.focus(), Focus::Submit, "Enter behind an empty row goes on");
        assert_eq!(form.enter(), Entered::Submit);
        form.next();
        assert_eq!(form.enter(), Entered::Cancel);
        form.next();
        assert_eq!(form.focused_id(), Some("name"), "round again, past what is only to be read");
        form.prev();
        assert_eq!(form.focus(), Focus::Cancel);
    }

    #[test]
    fn a_secret_is_drawn_as_dots_and_a_hidden_field_is_passed_over() {
        let mut form = Form::new(
            "Save",
            vec![
                Field::text("name", "name", "", ""),
                Field::secret("secret", "secret key", "typed or pasted"),
                Field::text("more", "more", "", ""),
            ],
        );
        form.next();
        typed(&mut form, "s3cr3t");
        assert_eq!((form.secret("secret"), form.text("secret")), ("s3cr3t", ""));
        let style = ratatui::style::Style::default();
        let look = Look {
            text: style,
            dim: style,
            faint: style,
            focus: style,
            field: style,
            cursor: style,
            accent: style,
            container: style,
            bad: style,
            good: style,
            unicode: true,
        };
        let area = ratatui::layout::Rect::new(0, 0, 40, 12);
        let drawn = |form: &mut Form| {
            let mut buf = ratatui::buffer::Buffer::empty(area);
            form.draw(area, &mut buf, &look, "");
            buf.content().iter().map(ratatui::buffer::Cell::symbol).collect::<String>()
        };
        let focused = drawn(&mut form);
        assert!(focused.contains("••••••") && !focused.contains("s3cr3t"), "{focused}");
        form.next();
        assert!(!drawn(&mut form).contains("s3cr3t"));
        form.show("more", false);
        form.show("secret", false);
        form.focus_on("name");
        form.next();
        assert_eq!(form.focus(), Focus::Submit);
        assert!(!drawn(&mut form).contains("secret key"));
    }

    #[test]
    fn an_error_draws_the_focus_and_goes_when_its_field_changes() {
        let mut form = form();
        form.set_error("rule", "not that");
        assert!(form.focus_error());
        assert_eq!(form.focused_id(), Some("rule"));
        form.choose(true);
        assert!(!form.focus_error());
    }
}
