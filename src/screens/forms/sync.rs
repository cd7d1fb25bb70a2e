//! The form for making one place like another.

use super::{FormScreen, Plan, address};
use crate::job::JobSpec;
use crate::location::Location;
use crate::screen::Cx;
use crate::transfer::{Compare, SyncSpec};
use crate::widgets::form::{Field, Form};

/// What is compared, in the order of [`COMPARE`].
const COMPARES: [Compare; 3] = [Compare::Auto, Compare::Checksum, Compare::SizeOnly];
const COMPARE: [&str; 3] = ["size, time, checksum", "checksum", "size alone"];
const PLAN: &str = "only show the plan";
const GO: &str = "copy what is new or differs";
const DELETE: &str = "copy, and delete what is not in the source";

/// What becomes like what.
pub struct SyncPlan;

impl SyncPlan {
    /// The form for syncing `source`; what the `other` tab shows is proposed.
    pub fn screen(source: &Location, other: Option<&Location>, cx: &Cx) -> FormScreen<Self> {
        let proposed = other.filter(|at| !at.is_account() && *at != source).map(|at| at.as_container().to_string());
        let fields = vec![
            Field::text("source", "source", &source.as_container().to_string(), "s3://bucket/prefix/, or a folder")
                .help("What is read: a folder, a bucket or a prefix"),
            Field::text(
                "destination",
                "destination",
                &proposed.unwrap_or_default(),
                "s3://bucket/prefix/, or a folder",
            )
            .help("What becomes like it; what the other tab shows is proposed"),
            Field::choice("what", "what is done", [PLAN, GO, DELETE])
                .help("The plan stands in the log of its job, and changes nothing; ← → choose"),
            Field::text("confirmed", "deletions", "", "how many, as the plan says")
                .help("So many are deleted at most, and nothing is done where there are more: the plan counts them"),
            Field::choice("compare", "differs by", COMPARE)
                .help("checksum reads every local file whose size is the same; ← → choose"),
            Field::text("include", "only names", "", "*.tif, 2024/**")
                .help("Patterns, with spaces between them: of names, or with a / of paths; empty: all"),
            Field::text("exclude", "but not", "", ".git *.tmp")
                .help("What matches one of these stays as it is, on both sides"),
        ];
        FormScreen::new(Self, Form::new("Sync", fields), cx)
    }
}

impl Plan for SyncPlan {
    fn title(&self, form: &Form) -> String {
        format!("sync {} → {}", form.text("source"), form.text("destination"))
    }

    fn follow(&mut self, form: &mut Form) {
        let deletes = form.text("what") == DELETE;
        form.show("confirmed", deletes);
    }

    fn spec(&self, form: &mut Form) -> Option<JobSpec> {
        let source = address(form, "source");
        let destination = address(form, "destination");
        let (dry_run, delete) = (form.text("what") == PLAN, form.text("what") == DELETE);
        let typed = form.text("confirmed").trim().replace([',', ' '], "");
        let confirmed = delete.then(|| typed.parse::<u64>().ok()).flatten();
        if delete && confirmed.is_none() {
            form.set_error("confirmed", "type how many may be deleted: show the plan first, it counts them");
        }
        let words = |text: &str| text.split_whitespace().map(|word| word.trim_matches(',').to_owned()).collect();
        let (include, exclude) = (words(form.text("include")), words(form.text("exclude")));
        if form.focus_error() {
            return None;
        }
        let spec = SyncSpec {
            // The plan tells what would be deleted too, so that it can be confirmed.
            delete: delete || dry_run,
            compare: COMPARES[form.choice("compare").min(COMPARES.len() - 1)],
            include,
            exclude,
            confirmed,
            dry_run,
            ..SyncSpec::new(&source?, &destination?)
        };
        if let Err(err) = spec.check() {
            let field = if err.to_string().contains("no folder") { "source" } else { "destination" };
            form.set_error(field, err.to_string());
            form.focus_error();
            return None;
        }
        Some(JobSpec { kind: "sync".to_owned(), params: serde_json::to_value(spec).ok()? })
    }
}
