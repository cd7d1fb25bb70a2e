//! The form for downloading objects and prefixes.

use super::{FormScreen, IF_EXISTS, Plan, local};
use crate::job::JobSpec;
use crate::location::{Location, Scheme};
use crate::screen::Cx;
use crate::text::{self, clean};
use crate::widgets::form::{Field, Form, Paths};
use serde_json::json;

/// Sources that are shown by name.
const SHOWN: usize = 4;

/// What is downloaded.
pub struct DownloadPlan {
    sources: Vec<Location>,
}

impl DownloadPlan {
    /// The form for downloading `sources`.
    pub fn screen(sources: Vec<Location>, cx: &Cx) -> FormScreen<Self> {
        let here = std::env::current_dir().map(|path| Location::file(&path).as_container().key().to_owned());
        let fields = vec![
            Field::info("what", if sources.len() == 1 { "object" } else { "objects" }, lines(&sources)),
            Field::paths("destination", "to folder", Paths::new(&here.unwrap_or_default(), false))
                .help("Letters find names, ↓ ↑ point, Enter opens a folder; a new name behind it is made"),
            Field::choice("exists", "if it exists", IF_EXISTS)
                .help("fail: write nothing over; ask: for each, or for all; rename: x (1).tif; ← → choose"),
            Field::toggle("check", "check", true, "compare with the checksum or ETag of the server")
                .help("Space changes it; a short or altered file is then never taken for whole"),
        ];
        let mut form = Form::new("Download", fields);
        // Somebody is there to answer.
        if let Some(ask) = IF_EXISTS.iter().position(|rule| *rule == "ask") {
            form.set_choice("exists", ask);
        }
        FormScreen::new(Self { sources }, form, cx)
    }
}

fn lines(sources: &[Location]) -> Vec<String> {
    let shown = |source: &Location| {
        let all = if source.is_container() { "  and all below it" } else { "" };
        let is_web = matches!(source.scheme(), Scheme::Http | Scheme::Https);
        let text = if is_web { crate::store::redacted(&source.to_string()) } else { source.to_string() };
        format!("{}{all}", clean(&text))
    };
    let mut lines: Vec<String> = sources.iter().take(SHOWN).map(shown).collect();
    if sources.len() > SHOWN {
        lines.push(format!("and {} more", text::count((sources.len() - SHOWN) as u64)));
    }
    lines
}

impl Plan for DownloadPlan {
    fn title(&self, _form: &Form) -> String {
        match self.sources.as_slice() {
            [one] => format!("download {}", one.name().split('?').next().unwrap_or_default()),
            many => format!("download {} selected", text::count(many.len() as u64)),
        }
    }

    fn follow(&mut self, form: &mut Form) {
        let typed = form.text("destination").trim().to_owned();
        let path = local::to_path(&typed);
        let note = match self.sources.as_slice() {
            [one] if !typed.ends_with('/') && !one.is_container() && !typed.is_empty() => path
                .file_name()
                .map(|name| format!("a folder where there is one, else the file {}", clean(&name.to_string_lossy()))),
            [one] if one.is_container() => {
                let name = one.name().trim_end_matches('/');
                Some(format!("into the folder {} of it", clean(if name.is_empty() { "%2F" } else { name })))
            }
            _ => None,
        };
        form.set_note("destination", note);
    }

    fn spec(&self, form: &mut Form) -> Option<JobSpec> {
        let typed = form.text("destination").trim().to_owned();
        if typed.is_empty() {
            form.set_error("destination", "a folder is needed: ./ is this one");
        } else if typed.contains("://") {
            form.set_error(
                "destination",
                "a folder of this computer; copying to another store is a command of its own",
            );
        }
        if form.focus_error() {
            return None;
        }
        let slash = if typed.ends_with('/') || self.sources.len() > 1 { "/" } else { "" };
        let mut destination = Location::file(&local::to_path(&typed));
        if !slash.is_empty() {
            destination = destination.as_container();
        }
        Some(JobSpec {
            kind: "download".to_owned(),
            params: json!({
                "sources": self.sources,
                "destination": destination,
                "if_exists": form.text("exists"),
                "check": form.is_on("check"),
            }),
        })
    }
}
