//! The form for a benchmark: which series, and how they are read.

use super::{FormScreen, Plan};
use crate::job::{JobId, JobSpec};
use crate::location::Location;
use crate::screen::{Cx, Flow, Open};
use crate::widgets::form::{Column, Field, Form, Rows};
use serde_json::{Map, Value, json};

/// How a benchmark is described; its numbers are those of [`crate::bench::Spec`].
pub struct BenchPlan;

impl BenchPlan {
    /// The form with these as series.
    pub fn screen(candidates: &[Location], cx: &Cx) -> FormScreen<Self> {
        let columns = vec![
            Column::text("name").weight(3),
            Column::choice("format", ["cog", "zarr"]).weight(2),
            Column::text("location").weight(9),
        ];
        let mut series: Vec<Vec<String>> = Vec::new();
        for location in candidates {
            let format = if is_zarr(location) { "zarr" } else { "cog" };
            let mut name = format.to_owned();
            let mut n = 2;
            while series.iter().any(|row| row[0] == name) {
                name = format!("{format}-{n}");
                n += 1;
            }
            series.push(vec![name, format.to_owned(), location.to_string()]);
        }
        let spec = crate::bench::Spec::default();
        let number = |n: u64| n.to_string();
        let fields = vec![
            Field::rows("series", "series", Rows::new(columns).with(series)).help(
                "COG: a folder of scenes; Zarr: a group, #name behind it for an array not called data. Ctrl-A adds a row",
            ),
            Field::text("patch", "patch", "512", "512, or 5100 m, or 5100 m snap 60")
                .help("Side of the square read: pixels, or metres on the ground"),
            Field::text("repeats", "repeats", &number(spec.repeats.into()), "10").help("Random patches that are timed, read from every series"),
            Field::text("warmup", "warm-up", &number(spec.warmup.into()), "1").help("Rounds before them whose times do not count"),
            Field::text("seed", "seed", &number(spec.seed), "42").help("The same seed draws the same patches in the same order"),
            Field::text("concurrency", "concurrency", &number(spec.concurrency as u64), "8").help("Reads under way at once within a patch"),
            Field::toggle("verify", "verify", spec.verify, "all series must hold equal pixels")
                .help("Compares a patch before timing, and checksums after each repeat; Space turns it"),
            Field::text("out", "result file", "", "none; the job keeps it too").help("A JSON file with all samples and the summary: a path or s3://…"),
        ];
        FormScreen::new(Self, Form::new("Run", fields), cx)
    }
}

fn is_zarr(location: &Location) -> bool {
    let name = location.name().trim_end_matches('/');
    location.as_container().key().contains(".zarr/") || matches!(name, "zarr.json" | ".zgroup" | ".zarray")
}

/// `512`, `5100 m`, `5100 m snap 60` as [`crate::bench::PatchSize`] reads it.
fn patch(text: &str) -> Result<Value, String> {
    let bad = || format!("`{text}` is no size: 512 for pixels, 5100 m for metres, 5100 m snap 60");
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |word: &str| word.parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0).ok_or_else(bad);
    Ok(match words.as_slice() {
        [pixels] => match pixels.strip_suffix('m') {
            Some(metres) => json!({ "metres": number(metres)? }),
            None => json!(pixels.parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(bad)?),
        },
        [metres, "m"] => json!({ "metres": number(metres)? }),
        [metres, "m", "snap", snap] => json!({ "metres": number(metres)?, "snap": number(snap)? }),
        _ => return Err(bad()),
    })
}

/// A whole number within a range; says what is wrong with it where it is none.
fn whole(form: &mut Form, id: &'static str, least: u64, most: u64) -> u64 {
    let typed = form.text(id).trim().replace([',', '_'], "");
    match typed.parse::<u64>() {
        Ok(n) if (least..=most).contains(&n) => n,
        _ => {
            let most = if most > 1 << 60 { "any size".to_owned() } else { crate::text::count(most) };
            form.set_error(id, format!("a whole number from {least} to {most}"));
            least
        }
    }
}

fn series(form: &mut Form) -> Vec<Value> {
    let rows = form.rows("series");
    let mut wrong = rows.is_empty().then(|| "name at least one series".to_owned());
    let mut out: Vec<Value> = Vec::new();
    for row in &rows {
        let [name, format, place] = row.as_slice() else { continue };
        let (place, array) = match place.rsplit_once('#') {
            Some((place, array)) if format == "zarr" => (place, Some(array)),
            _ => (place.as_str(), None),
        };
        match Location::parse(place) {
            Ok(location) => {
                let mut one = Map::from_iter([
                    ("name".to_owned(), json!(name)),
                    ("format".to_owned(), json!(format)),
                    ("location".to_owned(), json!(location)),
                ]);
                if let Some(array) = array {
                    one.insert("array".to_owned(), json!(array));
                }
                out.push(Value::Object(one));
            }
            Err(err) => wrong = Some(format!("`{name}`: {err}")),
        }
        if name.is_empty() {
            wrong = Some(format!("the series at {place} has no name"));
        } else if rows.iter().filter(|r| r.first() == Some(name)).count() > 1 {
            wrong = Some(format!("two series are called `{name}`"));
        }
    }
    if let Some(wrong) = wrong {
        form.set_error("series", wrong);
    }
    out
}

impl Plan for BenchPlan {
    fn title(&self, _form: &Form) -> String {
        "benchmark: random patches, series against series".to_owned()
    }

    fn follow(&mut self, form: &mut Form) {
        let n = form.rows("series").len();
        form.set_note("series", (n == 1).then(|| "one series is only measured; two are compared".to_owned()));
    }

    fn spec(&self, form: &mut Form) -> Option<JobSpec> {
        let series = series(form);
        let typed = form.text("patch").trim().to_owned();
        let patch = patch(&typed).unwrap_or_else(|wrong| {
            form.set_error("patch", wrong);
            Value::Null
        });
        let mut spec = json!({
            "series": series,
            "patch": patch,
            "repeats": whole(form, "repeats", 1, 100_000),
            "warmup": whole(form, "warmup", 0, 1_000),
            "seed": whole(form, "seed", 0, i64::MAX as u64),
            "concurrency": whole(form, "concurrency", 1, 256),
            "verify": form.is_on("verify"),
        });
        let mut params = Map::new();
        if !form.text("out").trim().is_empty()
            && let Some(out) = super::address(form, "out")
        {
            params.insert("out".to_owned(), json!(out));
        }
        if form.focus_error() {
            return None;
        }
        params.insert("spec".to_owned(), spec.take());
        Some(JobSpec { kind: "bench".to_owned(), params: Value::Object(params) })
    }

    fn started(&self, id: JobId) -> Flow {
        Flow::Replace(Open::BenchDashboard(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_in_pixels_or_metres() {
        assert_eq!(patch("512"), Ok(json!(512)));
        assert_eq!(patch("5100 m snap 60"), Ok(json!({ "metres": 5100.0, "snap": 60.0 })));
        assert_eq!(patch("5100m"), Ok(json!({ "metres": 5100.0 })));
        for bad in ["", "0", "-5", "x", "nan m", "5 m snap", "inf m"] {
            assert!(patch(bad).is_err(), "{bad}");
        }
    }
}
