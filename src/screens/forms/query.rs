//! The form for writing a query's result to a file.

use super::{FormScreen, IF_EXISTS, Plan, address};
use crate::convert::table::Form as Format;
use crate::job::JobSpec;
use crate::location::Location;
use crate::screen::Cx;
use crate::widgets::form::{Field, Form, Paths};
use serde_json::json;

/// What is written.
pub struct QueryPlan {
    sql: String,
}

impl QueryPlan {
    /// The form for the result of `sql`.
    pub fn screen(sql: String, cx: &Cx) -> FormScreen<Self> {
        let formats = ["by its name"].into_iter().chain(Format::ALL.map(Format::as_str));
        let fields = vec![
            Field::paths("destination", "destination", Paths::new("", false))
                .help("s3://bucket/x.parquet or a local file; .csv and .ndjson write those"),
            Field::choice("to", "format", formats)
                .help("Parquet becomes GeoParquet 1.1 where there is geometry; ← → choose"),
            Field::choice("exists", "if it exists", IF_EXISTS).help("fail: write nothing over; ← → choose"),
        ];
        FormScreen::new(Self { sql }, Form::new("Write the result", fields), cx)
    }
}

impl Plan for QueryPlan {
    fn title(&self, form: &Form) -> String {
        let to = form.text("destination");
        let name = Location::parse(to).map_or_else(|_| to.to_owned(), |l| l.name().to_owned());
        if to.is_empty() { "write the result".to_owned() } else { format!("write the result to {name}") }
    }

    fn follow(&mut self, _form: &mut Form) {}

    fn spec(&self, form: &mut Form) -> Option<JobSpec> {
        let destination = address(form, "destination");
        if destination.as_ref().is_some_and(Location::is_container) {
            form.set_error("destination", "name the file, not only its folder");
        }
        let to = form.text("to").parse::<Format>().ok().map(Format::as_str);
        if let Some(destination) = &destination
            && to.is_none()
            && !destination.is_container()
            && Format::of(destination).is_err()
        {
            form.set_error("to", "the name tells no format: choose one, or end it with .parquet, .csv or .ndjson");
        }
        if form.focus_error() {
            return None;
        }
        Some(JobSpec {
            kind: "query".to_owned(),
            params: json!({
                "sql": self.sql,
                "destination": destination?,
                "to": to,
                "if_exists": form.text("exists"),
            }),
        })
    }
}
