//! The form for converting a table to `GeoParquet`.

use super::{FormScreen, IF_EXISTS, Plan, address};
use crate::job::JobSpec;
use crate::location::Location;
use crate::screen::Cx;
use crate::widgets::form::{Field, Form, Paths};
use serde_json::{Map, Value, json};

/// Suffixes that say how a file is packed or written; the new name is without them.
const SUFFIXES: [&str; 9] = [".zip", ".gz", ".zst", ".csv", ".tsv", ".txt", ".tab", ".parquet", ".geoparquet"];

/// What is converted.
pub struct ConvertPlan {
    /// The destination that was found for the source; followed as long as nobody types another.
    suggested: String,
}

impl ConvertPlan {
    /// The form for converting `source`.
    pub fn screen(source: &Location, cx: &Cx) -> FormScreen<Self> {
        let suggested = beside(source);
        let fields = vec![
            Field::paths("source", "source", Paths::new(&source.to_string(), false))
                .help("An address, or a local file: letters find names, ↓ ↑ point, Enter takes"),
            Field::choice("to", "format", ["geoparquet"])
                .help("Points from longitude and latitude, zstd, sorted as they come"),
            Field::text("destination", "destination", &suggested, "s3://bucket/x.parquet")
                .help("Anywhere; local or a store"),
            Field::text("lon", "longitude", "", "found by its name")
                .help("The column of longitudes in degrees; empty: found by its name"),
            Field::text("lat", "latitude", "", "found by its name")
                .help("The column of latitudes in degrees; empty: found by its name"),
            Field::text("missing", "missing value", "", "such as -9999")
                .help("What stands for no value; several with commas; empty, NA, NaN, null always count"),
            Field::choice("exists", "if it exists", IF_EXISTS).help("fail: write nothing over; ← → choose"),
        ];
        FormScreen::new(Self { suggested }, Form::new("Convert", fields), cx)
    }
}

/// The same place with the suffix `.parquet`.
fn beside(source: &Location) -> String {
    if source.key().is_empty() || source.is_container() {
        return String::new();
    }
    let name = source.name();
    let mut stem = name;
    while let Some(shorter) = SUFFIXES.iter().find_map(|s| {
        let at = stem.len().checked_sub(s.len())?;
        let tail = stem.get(at..)?;
        (at > 0 && tail.eq_ignore_ascii_case(s)).then(|| &stem[..at])
    }) {
        stem = shorter;
    }
    let folder = &source.key()[..source.key().len() - name.len()];
    let beside = source.with_key(format!("{folder}{stem}.parquet"));
    // What is a table of that name already is not written onto itself.
    if beside == *source { String::new() } else { beside.to_string() }
}

impl Plan for ConvertPlan {
    fn title(&self, form: &Form) -> String {
        let source = form.text("source");
        format!("convert {}", Location::parse(source).map_or_else(|_| source.to_owned(), |l| l.name().to_owned()))
    }

    fn follow(&mut self, form: &mut Form) {
        let found = Location::parse(form.text("source").trim()).map(|l| beside(&l)).unwrap_or_default();
        if found != self.suggested && form.text("destination") == self.suggested {
            form.set_text("destination", &found);
            self.suggested = found;
        }
    }

    fn spec(&self, form: &mut Form) -> Option<JobSpec> {
        let source = address(form, "source");
        let destination = address(form, "destination");
        if source.as_ref().is_some_and(Location::is_container) {
            form.set_error("source", "this is a folder; choose a file");
        }
        if destination.as_ref().is_some_and(Location::is_container) {
            form.set_error("destination", "name the file, not only its folder");
        }
        if source.is_some() && source == destination {
            form.set_error("destination", "this is the source; choose another name");
        }
        let lon = form.text("lon").trim().to_owned();
        let lat = form.text("lat").trim().to_owned();
        match (lon.is_empty(), lat.is_empty()) {
            (true, false) => form.set_error("lon", "name both columns, or none"),
            (false, true) => form.set_error("lat", "name both columns, or none"),
            _ => {}
        }
        if form.focus_error() {
            return None;
        }
        let mut options = Map::new();
        for (id, value) in [("lon", lon), ("lat", lat), ("missing", form.text("missing").trim().to_owned())] {
            if !value.is_empty() {
                options.insert(id.to_owned(), Value::String(value));
            }
        }
        Some(JobSpec {
            kind: "convert".to_owned(),
            params: json!({
                "source": source?,
                "destination": destination?,
                "to": form.text("to"),
                "options": options,
                "if_exists": form.text("exists"),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_destination_lies_beside_the_source() {
        let beside = |text: &str| beside(&Location::parse(text).expect(text));
        assert_eq!(beside("s3://p@b/d/glodap.csv.zip"), "s3://p@b/d/glodap.parquet");
        assert_eq!(beside("/data/Stations.CSV"), "/data/Stations.parquet");
        assert_eq!(beside("s3://b/.csv"), "s3://b/.csv.parquet");
        assert_eq!(beside("s3://b/järvi"), "s3://b/järvi.parquet");
        assert_eq!(beside("s3://b/folder/"), "");
    }
}
