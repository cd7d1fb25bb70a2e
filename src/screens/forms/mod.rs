//! Forms that start jobs: upload, convert, benchmark. A [`Plan`] knows its fields and makes the
//! spec of the job; all the rest is common and here. The form of a place starts none, and stands apart.

mod bench;
mod convert;
mod local;
mod place;
mod upload;

pub use bench::BenchPlan;
pub use convert::ConvertPlan;
pub(super) use place::PlaceForm;
pub use upload::UploadPlan;

use crate::action::Action;
use crate::job::{JobId, JobSpec};
use crate::location::{Location, Scheme};
use crate::screen::{Cx, Flow, Screen};
use crate::task::{Pending, poll_slot};
use crate::text::{self, clean};
use crate::theme::{Role, Theme};
use crate::widgets::form::{Entered, Form, Item, Look};
use crate::widgets::input::Edit;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, BorderType, Clear, Widget};

/// What one kind of form is about.
pub trait Plan {
    /// Above it: `upload to s3://bucket/incoming/`.
    fn title(&self, form: &Form) -> String;
    /// Follows a change: what depends on other fields.
    fn follow(&mut self, form: &mut Form);
    /// The job, or `None` with [`Form::set_error`] for what is wrong.
    fn spec(&self, form: &mut Form) -> Option<JobSpec>;
    /// What comes once the job has started.
    fn started(&self, id: JobId) -> Flow {
        let _ = id;
        Flow::Close
    }
    /// The field of local paths that are looked at while the form is filled in.
    fn local_field(&self) -> Option<&'static str> {
        None
    }
    /// Takes what is known of the local paths.
    fn local_facts(&mut self, form: &mut Form, facts: &local::Facts) {
        let _ = (form, facts);
    }
}

/// A form on the screen.
pub struct FormScreen<P> {
    plan: P,
    form: Form,
    /// The folder that the picker waits for, as typed.
    listing: Option<(String, Pending<Vec<Item>>)>,
    /// The paths that are looked at, or were.
    looked_at: Vec<String>,
    facts: Option<Pending<local::Facts>>,
    /// What was found of them.
    found: Option<local::Facts>,
    /// Esc was pressed once on a form with something in it.
    leaving: bool,
    /// It grows with its content and does not shrink, so that it does not jump.
    height: u16,
}

impl<P: Plan> FormScreen<P> {
    /// Shows `form`.
    pub fn new(plan: P, form: Form, cx: &Cx) -> Self {
        let mut screen = Self {
            plan,
            form,
            listing: None,
            looked_at: Vec::new(),
            facts: None,
            found: None,
            leaving: false,
            height: 0,
        };
        screen.changed(cx);
        screen
    }

    /// Follows a change, and starts to read what is wanted of the disk.
    fn changed(&mut self, cx: &Cx) {
        self.plan.follow(&mut self.form);
        self.look_up(cx);
        if let Some(id) = self.plan.local_field() {
            let paths = self.form.paths(id);
            if paths != self.looked_at {
                self.looked_at.clone_from(&paths);
                self.facts = (!paths.is_empty())
                    .then(|| Pending::spawn(&cx.waker, local::facts(paths, self.form.text(id).trim().to_owned())));
                self.found = None;
                self.form.set_note(id, None);
            }
            if let Some(found) = &self.found {
                self.plan.local_facts(&mut self.form, found);
            }
        }
    }

    fn look_up(&mut self, cx: &Cx) {
        match self.form.wanted_folder() {
            None => self.listing = None,
            Some(folder) if self.listing.as_ref().is_some_and(|(f, _)| *f == folder) => {}
            Some(folder) => {
                let pending = Pending::spawn(&cx.waker, local::names(folder.clone()));
                self.listing = Some((folder, pending));
            }
        }
    }

    fn submit(&mut self, cx: &mut Cx) -> Flow {
        self.form.clear_errors();
        let Some(spec) = self.plan.spec(&mut self.form) else {
            self.form.focus_error();
            self.look_up(cx);
            return Flow::Done;
        };
        if let Some((field, why)) = locked(&spec, cx) {
            self.form.set_error(field, why);
            self.form.focus_error();
            return Flow::Done;
        }
        let started = crate::jobs::from_spec(spec).and_then(|job| {
            let (title, command) = (job.title(), job.command());
            cx.jobs.start(job).map(|id| (id, title, command))
        });
        match started {
            Ok((id, title, command)) => {
                cx.last_command = Some(command);
                let key = cx.keymap.label(&["global"], Action::Jobs);
                cx.toast(format!("{} has started; {key} shows how it goes", clean(&title)));
                self.plan.started(id)
            }
            Err(err) => {
                cx.fail(&err);
                Flow::Done
            }
        }
    }

    fn back(&mut self) -> Flow {
        if self.form.back() {
            return Flow::Done;
        }
        if self.form.is_touched() && !self.leaving {
            self.leaving = true;
            return Flow::Done;
        }
        Flow::Close
    }
}

impl<P: Plan> Screen for FormScreen<P> {
    fn contexts(&self) -> &'static [&'static str] {
        &["form"]
    }

    fn title(&self) -> String {
        self.plan.title(&self.form)
    }

    fn is_popup(&self) -> bool {
        true
    }

    fn wants_text(&self) -> bool {
        true
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if action == Action::Back {
            return self.back();
        }
        self.leaving = false;
        match action {
            Action::NextPane => self.form.next(),
            Action::PrevPane => self.form.prev(),
            Action::Down => self.form.down(),
            Action::Up => self.form.up(),
            Action::NextChoice => {
                self.form.choose(true);
            }
            Action::PrevChoice => {
                self.form.choose(false);
            }
            Action::AddRow => self.form.add_row(),
            Action::RemoveRow => self.form.remove_row(),
            Action::Submit => return self.submit(cx),
            Action::Enter => match self.form.enter() {
                Entered::Submit => return self.submit(cx),
                Entered::Cancel => return Flow::Close,
                Entered::Moved => {}
            },
            Action::Close => return Flow::Close,
            _ => return Flow::Ignored,
        }
        self.changed(cx);
        Flow::Done
    }

    fn edit(&mut self, edit: &Edit, cx: &mut Cx) -> Flow {
        self.leaving = false;
        self.form.edit(edit);
        self.changed(cx);
        Flow::Done
    }

    fn poll(&mut self, cx: &mut Cx) {
        if let Some((folder, pending)) = &mut self.listing
            && let Some(names) = pending.take()
        {
            self.form.set_listing(folder, names.map_err(|err| err.to_string()));
            self.listing = None;
            self.look_up(cx);
        }
        if let Some(Ok(facts)) = poll_slot(&mut self.facts) {
            self.plan.local_facts(&mut self.form, &facts);
            self.found = Some(facts);
        }
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let look = look(&cx.theme, cx.unicode);
        let buf = frame.buffer_mut();
        let framed = area.width >= 50 && area.height >= 14;
        let width = if framed { area.width.min(100) } else { area.width };
        let inside = if framed { width - 4 } else { width };
        self.height = self.height.max(self.form.height(inside, &look) + if framed { 3 } else { 1 });
        let height = self.height.min(area.height);
        let spare = area.height - height;
        let popup =
            Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height / 8).min(spare / 2), width, height };
        Clear.render(popup, buf);
        buf.set_style(popup, cx.theme.style(Role::Text));
        let body = boxed(&self.plan.title(&self.form), popup, framed, buf, cx);
        let hint = self.hint(cx);
        self.form.draw(body, buf, &look, &hint);
    }
}

impl<P: Plan> FormScreen<P> {
    fn hint(&self, cx: &Cx) -> String {
        let key = |action| cx.keymap.label(self.contexts(), action);
        if self.leaving {
            return format!("{} again leaves it; what was typed is lost", key(Action::Back));
        }
        format!("{} next  {} do it  {} leave", key(Action::NextPane), key(Action::Submit), key(Action::Back))
    }
}

/// The field whose store a job would write to although it is locked, and the sentence about it. What
/// lies on the local disk is its owner's.
fn locked(spec: &JobSpec, cx: &Cx) -> Option<(&'static str, String)> {
    ["destination", "out"].into_iter().find_map(|field| {
        let to = Location::parse(spec.params.get(field)?.as_str()?).ok()?;
        let ours = matches!(to.scheme(), Scheme::File | Scheme::Memory);
        (!ours && !cx.is_writable(to.store())).then(|| {
            let key = cx.keymap.label(&["browse"], Action::ReadOnly);
            (field, format!("{} is locked: {key} in its list, or on Places, allows writing to it", place_of(&to)))
        })
    })
}

/// The bucket, as a person names it.
fn place_of(location: &Location) -> String {
    let whole = location.with_key("").to_string();
    whole.trim_end_matches('/').to_owned()
}

/// Border and title; returns what is inside.
fn boxed(title: &str, area: Rect, framed: bool, buf: &mut Buffer, cx: &Cx) -> Rect {
    let title = clean(title).into_owned();
    let title = text::fit_middle(&title, usize::from(area.width.saturating_sub(8))).into_owned();
    if !framed {
        buf.set_stringn(area.x + 1, area.y, title, usize::from(area.width), cx.theme.style(Role::Title));
        let used = area.height.min(1);
        return Rect { y: area.y + used, height: area.height - used, ..area };
    }
    let kind = if cx.unicode { BorderType::Rounded } else { BorderType::Plain };
    let mut block = Block::bordered().border_type(kind).border_style(cx.theme.style(Role::Focus));
    if !cx.unicode {
        block = block.border_set(ASCII_BORDER);
    }
    block.render(area, buf);
    buf.set_string(area.x + 2, area.y, format!(" {title} "), cx.theme.style(Role::Title));
    Rect { x: area.x + 2, y: area.y + 2, width: area.width - 4, height: area.height - 3 }
}

const ASCII_BORDER: ratatui::symbols::border::Set = ratatui::symbols::border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

fn look(theme: &Theme, unicode: bool) -> Look {
    let style = |role| {
        let mut style = theme.style(role);
        // The ground of the popup stays below all that is no ground itself.
        if role == Role::Text {
            style.bg = None;
        }
        style
    };
    Look {
        text: style(Role::Text),
        dim: style(Role::Dim),
        faint: style(Role::Faint),
        focus: style(Role::Focus).add_modifier(ratatui::style::Modifier::BOLD),
        field: style(Role::CursorDim),
        cursor: style(Role::Cursor),
        accent: style(Role::Accent),
        container: style(Role::Container),
        bad: style(Role::Bad),
        good: style(Role::Good),
        unicode,
    }
}

/// The words of every "if it exists".
const IF_EXISTS: [&str; 5] = ["fail", "skip", "overwrite", "rename", "ask"];

/// An address from a line of a form; says what is wrong with it where it is none.
fn address(form: &mut Form, id: &'static str) -> Option<crate::location::Location> {
    let typed = form.text(id).trim().to_owned();
    if typed.is_empty() {
        form.set_error(id, "an address is needed: s3://bucket/key, or a path");
        return None;
    }
    match crate::location::Location::parse(&typed) {
        Ok(location) => Some(location),
        Err(err) => {
            let hint = err.hint().map(|h| format!("; {h}")).unwrap_or_default();
            form.set_error(id, format!("{err}{hint}"));
            None
        }
    }
}
