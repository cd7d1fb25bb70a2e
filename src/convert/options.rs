//! What a conversion may be told: the keys of `-o key=value`.

use crate::error::{Error, Result};
use crate::table::csv::{Records, parse_delimiter};
use serde_json::{Map, Value};

/// Keys that are known, with what they take.
const KEYS: [(&str, &str); 8] = [
    ("lon", "a column"),
    ("lat", "a column"),
    ("missing", "values with commas between"),
    ("delimiter", "a character or comma, tab, semicolon, pipe, space"),
    ("header", "yes or no"),
    ("infer", "start or all"),
    ("strings", "columns with commas between"),
    ("rows_per_group", "a number"),
];

/// Rows of a row group, where nobody says otherwise.
const ROWS_PER_GROUP: usize = 131_072;

/// How a table of text becomes a table of types and points.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Column of longitudes; `None`: found by its name.
    pub lon: Option<String>,
    /// Column of latitudes; `None`: found by its name.
    pub lat: Option<String>,
    /// What stands for a missing value, in columns of any type. In columns of numbers, truth values and
    /// times nothing at all, `NA`, `N/A`, `NaN`, `null` and `None` do so anyway.
    pub missing: Vec<String>,
    /// Between fields; `None`: found.
    pub delimiter: Option<u8>,
    /// Whether the first row names the columns; `None`: found.
    pub header: Option<bool>,
    /// What tells the types of columns.
    pub infer: Infer,
    /// Columns that are text, whatever they look like.
    pub strings: Vec<String>,
    /// Rows of a row group.
    pub rows_per_group: usize,
    /// Whether a destination that exists is replaced.
    pub overwrite: bool,
}

/// What tells the types of columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Infer {
    /// The first 4 MiB. A later value that does not fit is an error.
    #[default]
    Start,
    /// The whole file, which is read twice.
    All,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lon: None,
            lat: None,
            missing: Vec::new(),
            delimiter: None,
            header: None,
            infer: Infer::default(),
            strings: Vec::new(),
            rows_per_group: ROWS_PER_GROUP,
            overwrite: false,
        }
    }
}

impl Options {
    /// From keys and values as forms and `-o key=value` give them. An unknown key is refused.
    pub fn from_map(map: &Map<String, Value>) -> Result<Self> {
        let mut options = Self::default();
        for (key, value) in map {
            let text = match value {
                Value::String(text) => text.trim().to_owned(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::Null => continue,
                _ => return Err(Error::usage(format!("the option `{key}` is not a text"))),
            };
            if text.is_empty() {
                continue;
            }
            options.set(key, &text)?;
        }
        if options.lon.is_some() != options.lat.is_some() {
            return Err(Error::usage("only one of the options lon and lat is given").with_hint("give both, or none"));
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, text: &str) -> Result<()> {
        match key {
            "lon" => self.lon = Some(text.to_owned()),
            "lat" => self.lat = Some(text.to_owned()),
            "missing" => self.missing = list(text)?,
            "delimiter" => self.delimiter = Some(parse_delimiter(text)?),
            "header" => self.header = Some(yes(text).ok_or_else(|| bad(key, text))?),
            "infer" if text == "start" => self.infer = Infer::Start,
            "infer" if text == "all" => self.infer = Infer::All,
            "strings" => self.strings = list(text)?,
            "rows_per_group" => {
                let rows = text.parse().ok().filter(|n| (1..=16_777_216).contains(n));
                self.rows_per_group = rows.ok_or_else(|| bad(key, text))?;
            }
            _ if KEYS.iter().any(|(known, _)| *known == key) => return Err(bad(key, text)),
            _ => {
                let known: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
                let why = format!("`{key}` is not an option of this conversion; known are {}", known.join(", "));
                return Err(Error::usage(why));
            }
        }
        Ok(())
    }
}

fn bad(key: &str, text: &str) -> Error {
    let takes = KEYS.iter().find(|(known, _)| *known == key).map_or("", |(_, takes)| takes);
    Error::usage(format!("`{text}` does not fit the option {key}, which takes {takes}"))
}

fn yes(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" => Some(true),
        "no" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// Values with commas between; one that holds a comma stands in quotes: `"+9999,9",-9999`.
fn list(text: &str) -> Result<Vec<String>> {
    let mut out = Vec::new();
    let mut records = Records::new(b',');
    let mut each = |record: crate::table::csv::Record<'_>| {
        out.extend(record.iter().map(|f| String::from_utf8_lossy(f).trim().to_owned()).filter(|f| !f.is_empty()));
        Ok(true)
    };
    records.feed(text.as_bytes(), &mut each)?;
    records.finish(&mut each)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: &Value) -> Result<Options> {
        Options::from_map(value.as_object().expect("an object"))
    }

    #[test]
    fn options_are_read_as_people_write_them() {
        let options = parse(&json!({
            "lon": " G2longitude", "lat": "G2latitude", "missing": "\"+9999,9\", -9999", "delimiter": "tab",
            "header": "no", "infer": "all", "strings": "a,b", "rows_per_group": 1000,
        }))
        .expect("options");
        assert_eq!(options.missing, ["+9999,9", "-9999"]);
        assert_eq!((options.lon.as_deref(), options.delimiter), (Some("G2longitude"), Some(b'\t')));
        assert_eq!((options.header, options.infer, options.rows_per_group), (Some(false), Infer::All, 1000));
        assert_eq!(parse(&json!({"lon": "", "missing": -9999})).expect("options").missing, ["-9999"]);
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_is() {
        let err = parse(&json!({"lng": "x"})).expect_err("unknown").to_string();
        assert!(err.contains("`lng`") && err.contains("lon, lat, missing"), "{err}");
        let err = parse(&json!({"infer": "some"})).expect_err("bad").to_string();
        assert!(err.contains("start or all"), "{err}");
        assert!(parse(&json!({"lon": "x"})).is_err());
    }
}
