//! The form for copying and moving.

use super::{FormScreen, IF_EXISTS, Plan, address};
use crate::job::JobSpec;
use crate::location::{Location, Scheme};
use crate::screen::Cx;
use crate::store::Stores;
use crate::text;
use crate::widgets::form::{Field, Form};
use serde_json::json;

/// Names that are shown of what is copied.
const SHOWN: usize = 4;

/// What is copied or moved.
pub struct CopyPlan {
    sources: Vec<Location>,
    moves: bool,
    stores: Stores,
}

impl CopyPlan {
    /// The form for `sources`, which lie in `here`; what the `other` tab shows, or the container above, is proposed.
    pub fn screen(
        sources: Vec<Location>,
        here: &Location,
        other: Option<&Location>,
        moves: bool,
        cx: &Cx,
    ) -> FormScreen<Self> {
        let can_be_written = |at: &&Location| !at.is_account() && !matches!(at.scheme(), Scheme::Http | Scheme::Https);
        let proposed = other.filter(can_be_written).filter(|at| *at != here).cloned();
        let above = || here.parent().filter(|at| !at.is_account()).unwrap_or_else(|| here.clone());
        let proposed = proposed.unwrap_or_else(above).as_container();
        let submit = if moves { "Move" } else { "Copy" };
        let fields = vec![
            Field::info("what", "what", shown(&sources)),
            Field::text("destination", "destination", &proposed.to_string(), "s3://bucket/prefix/, or a folder")
                .help("With a / at its end: into it. Without: the new name of the one that is copied"),
            Field::choice("exists", "if it exists", IF_EXISTS)
                .help("fail: write nothing over; rename: x (1).tif; ask: answer when it happens; ← → choose"),
            Field::info("how", "", Vec::new()),
        ];
        FormScreen::new(Self { sources, moves, stores: cx.stores.clone() }, Form::new(submit, fields), cx)
    }

    /// Where the first of them goes.
    fn becomes(&self, to: &Location) -> Option<Location> {
        let first = self.sources.first()?;
        let into = self.sources.len() > 1 || to.is_container();
        let at = if into { to.as_container().child(first.name()) } else { to.clone() };
        Some(if first.is_container() { at.as_container() } else { at })
    }

    /// What will happen, in a sentence.
    fn how(&self, to: &Location) -> String {
        let within = self.sources.iter().all(|from| self.is_same_server(from, to));
        let disk = to.to_path().is_some() && self.sources.iter().all(|from| from.to_path().is_some());
        let way = match (within, disk, self.moves) {
            (_, true, true) => "files get their new place at once where both are on one disk",
            (_, true, false) => "copied from disk to disk",
            (true, ..) => "the server copies by itself: no byte comes through here",
            (false, ..) => "read and written through this computer, checked by MD5",
        };
        let end = if self.moves { "; each source is deleted once its copy is proved" } else { "" };
        format!("{way}{end}")
    }

    fn is_same_server(&self, from: &Location, to: &Location) -> bool {
        if from.scheme() != Scheme::S3 || to.scheme() != Scheme::S3 {
            return false;
        }
        // Names that lead to one server with one profile.
        let reach = |at: &Location| self.stores.reach(at).ok().map(|r| (r.endpoint, r.profile, r.origin));
        from.profile() == to.profile() || (reach(from).is_some() && reach(from) == reach(to))
    }

    /// What is wrong with this destination.
    fn wrong(&self, to: &Location) -> Option<String> {
        if to.is_account() {
            return Some("name a bucket: s3://bucket/".to_owned());
        }
        if matches!(to.scheme(), Scheme::Http | Scheme::Https) {
            return Some("nothing can be written to a web address".to_owned());
        }
        if self.sources.len() > 1 && !to.is_container() && to.to_path().is_none_or(|path| !path.is_dir()) {
            return Some("several things need a prefix, which ends in /".to_owned());
        }
        let verb = if self.moves { "moved" } else { "copied" };
        for from in &self.sources {
            let into = self.sources.len() > 1 || to.is_container();
            let at = if into { to.as_container().child(from.name()) } else { to.clone() };
            let at = if from.is_container() { at.as_container() } else { at };
            if at == from.with_version(None) {
                return Some(format!("{} would be {verb} onto itself", from.name()));
            }
            if from.is_container() && at.store() == from.store() && at.key().starts_with(from.key()) {
                return Some(format!("{} would be {verb} into itself", from.name()));
            }
        }
        None
    }
}

/// The names of what is copied, a few of them.
fn shown(sources: &[Location]) -> Vec<String> {
    let name = |at: &Location| text::clean(at.name()).into_owned();
    let mut lines: Vec<String> = match sources {
        [one] => vec![text::clean(&one.to_string()).into_owned()],
        many => many.iter().take(SHOWN).map(name).collect(),
    };
    if sources.len() > SHOWN {
        let more = sources.len() - SHOWN;
        lines.push(format!("and {} more", text::count(more as u64)));
    }
    lines
}

impl Plan for CopyPlan {
    fn title(&self, _form: &Form) -> String {
        let verb = if self.moves { "move" } else { "copy" };
        match self.sources.as_slice() {
            [one] => format!("{verb} {}", one.name()),
            many => format!("{verb} {} things", text::count(many.len() as u64)),
        }
    }

    fn follow(&mut self, form: &mut Form) {
        let to = Location::parse(form.text("destination").trim()).ok();
        let becomes = to.as_ref().filter(|to| !to.is_account()).and_then(|to| self.becomes(to));
        let note = becomes.filter(|_| self.sources.len() == 1).map(|at| format!("becomes {at}"));
        form.set_note("destination", note);
        if let Some(field) = form.field_mut("how") {
            let lines = to.iter().filter(|to| !to.is_account()).map(|to| self.how(to)).collect();
            field.kind = crate::widgets::form::Kind::Info(lines);
        }
    }

    fn spec(&self, form: &mut Form) -> Option<JobSpec> {
        let destination = address(form, "destination");
        if let Some(wrong) = destination.as_ref().and_then(|to| self.wrong(to)) {
            form.set_error("destination", wrong);
        }
        if form.focus_error() {
            return None;
        }
        Some(JobSpec {
            kind: "copy".to_owned(),
            params: json!({
                "sources": self.sources,
                "destination": destination?,
                "move": self.moves,
                "if_exists": form.text("exists"),
            }),
        })
    }
}
