//! Forms that start jobs: upload, convert, benchmark. A [`Plan`] knows its fields and makes the
//! spec of the job; all the rest is common and here. The form of a place starts none, and stands apart.

mod bench;
mod convert;
mod copy;
mod download;
mod local;
mod place;
mod query;
mod sync;
mod upload;

pub use bench::BenchPlan;
pub use convert::ConvertPlan;
pub use copy::CopyPlan;
pub use download::DownloadPlan;
pub(super) use place::PlaceForm;
pub use query::QueryPlan;
pub use sync::SyncPlan;
pub use upload::UploadPlan;

use crate::action::Action;
use crate::job::{JobId, JobSpec};
use crate::location::{Location, Scheme};
use crate::screen::{Cx, Flow, Screen, popup};
use crate::task::{Pending, poll_slot};
use crate::text::clean;
use crate::widgets::form::{Entered, Form, Item};
use crate::widgets::input::Edit;
use ratatui::Frame;
use ratatui::layout::Rect;

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
        let (title, hint) = (self.plan.title(&self.form), self.hint(cx));
        popup::form(frame, area, &mut self.form, &mut self.height, (&title, &hint), cx);
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
    if spec.params.get("dry_run") == Some(&true.into()) {
        return None;
    }
    let written = ["destination", "out"].into_iter().filter_map(|field| Some((field, spec.params.get(field)?)));
    // What is moved is deleted where it was; its form says so below its destination.
    let moved = spec.params.get("sources").filter(|_| spec.params.get("move") == Some(&true.into()));
    let moved = moved.and_then(|all| all.as_array()).into_iter().flatten().map(|at| ("destination", at));
    written.chain(moved).find_map(|(field, at)| {
        let to = Location::parse(at.as_str()?).ok()?;
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
