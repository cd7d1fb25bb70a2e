//! The lines of a listing, made quickly: a million of them must not cost more than getting them.

use super::out;
use crate::entry::EntryKind;
use crate::error::Result;
use crate::listing::{Block, Row};
use crate::location::Location;
use crate::text;
use std::io::Write as _;

/// Writes rows of one listing to stdout.
pub(super) struct Rows {
    container: Location,
    json: bool,
    /// What stands before each name in its address and in its key, as JSON writes it.
    address: Vec<u8>,
    key: Vec<u8>,
    buffer: Vec<u8>,
    /// The name of the row at work, as JSON writes it.
    name: Vec<u8>,
}

impl Rows {
    /// Rows of `container`; as JSON, an object a line.
    pub(super) fn new(container: &Location, json: bool) -> Self {
        let base = container.child("");
        let escaped = |text: &str| {
            let mut out = Vec::new();
            escape(text, &mut out);
            out
        };
        Self {
            container: container.clone(),
            json,
            address: escaped(&base.to_string()),
            key: escaped(base.key()),
            buffer: Vec::new(),
            name: Vec::new(),
        }
    }

    /// Writes the first `limit` rows of a page.
    pub(super) fn page(&mut self, page: &Block, limit: usize) -> Result<()> {
        if self.container.to_path().is_some() {
            // A disk tells names in no order.
            let mut rows: Vec<Row<'_>> = page.rows().collect();
            rows.sort_unstable_by_key(Row::name);
            rows.into_iter().take(limit).for_each(|row| self.row(&row));
        } else {
            page.rows().take(limit).for_each(|row| self.row(&row));
        }
        out::bytes(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>) {
        if self.json { self.json(row) } else { self.plain(row) }
    }

    fn plain(&mut self, row: &Row<'_>) {
        let out = &mut self.buffer;
        let size = row.size().map_or_else(|| "-".to_owned(), text::bytes);
        // Writing to memory does not fail.
        let _ = write!(out, "{size:>10}  ");
        match row.modified_ms().and_then(Time::of) {
            Some(time) => time.to_minutes(out),
            None => out.extend_from_slice(b"-               "),
        }
        out.extend_from_slice(b"  ");
        clean(row.name(), out);
        if let Some(detail) = row.more().and_then(|m| m.detail.as_deref()) {
            out.extend_from_slice(b"  ");
            clean(detail, out);
        }
        while out.last() == Some(&b' ') {
            out.pop();
        }
        out.push(b'\n');
    }

    fn json(&mut self, row: &Row<'_>) {
        self.name.clear();
        escape(row.name(), &mut self.name);
        let out = &mut self.buffer;
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
        put(&[b"{\"kind\":\"", kind(row.kind()).as_bytes(), b"\",\"key\":\""]);
        let target = row.more().and_then(|m| m.target.as_ref());
        if target.is_some() || self.container.is_account() {
            let at = target.cloned().unwrap_or_else(|| self.container.child(row.name()));
            let key = if row.kind() == EntryKind::Bucket { at.bucket() } else { at.key() };
            escape(key, out);
            out.extend_from_slice(b"\",\"name\":\"");
            out.extend_from_slice(&self.name);
            out.extend_from_slice(b"\",\"location\":\"");
            escape(&at.to_string(), out);
        } else {
            put(&[&self.key, &self.name, b"\",\"name\":\"", &self.name]);
            put(&[b"\",\"location\":\"", &self.address, &self.name]);
        }
        out.extend_from_slice(b"\",\"size\":");
        match row.size() {
            Some(size) => {
                let _ = write!(out, "{size}");
            }
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"modified\":");
        match row.modified_ms().and_then(Time::of) {
            Some(time) => time.to_json(out),
            None => out.extend_from_slice(b"null"),
        }
        let mut field = |name: &[u8], value: Option<&str>| {
            out.extend_from_slice(name);
            match value {
                Some(value) => {
                    out.push(b'"');
                    escape(value, out);
                    out.push(b'"');
                }
                None => out.extend_from_slice(b"null"),
            }
        };
        field(b",\"etag\":", row.etag());
        let (more, class) = (row.more(), row.storage_class());
        if more.is_some() || class.is_some() {
            field(b",\"media_type\":", more.and_then(|m| m.media_type.as_deref()));
            field(b",\"title\":", more.and_then(|m| m.detail.as_deref()));
            field(b",\"storage_class\":", class);
        }
        out.extend_from_slice(b"}\n");
    }
}

fn kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Object => "object",
        EntryKind::Prefix => "prefix",
        EntryKind::Bucket => "bucket",
        EntryKind::Place => "place",
        EntryKind::Catalog => "catalog",
        EntryKind::Collection => "collection",
        EntryKind::Item => "item",
        EntryKind::Asset => "asset",
    }
}

/// Without control characters.
fn clean(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        out.extend_from_slice(text.as_bytes());
    } else {
        out.extend_from_slice(text::clean(text).as_bytes());
    }
}

/// As it stands between the quotes of a JSON string, harmless to a terminal.
fn escape(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\') {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let json = serde_json::Value::from(text).to_string();
    let json = out::harmless(&json);
    out.extend_from_slice(json.get(1..json.len() - 1).unwrap_or_default().as_bytes());
}

/// A moment of the proleptic Gregorian calendar in UTC, years 1 to 9999.
struct Time {
    year: u32,
    month: u32,
    day: u32,
    /// Milliseconds of the day.
    ms: u32,
}

const DAY_MS: i64 = 86_400_000;

impl Time {
    /// From milliseconds since 1970; `None` for other years. Days to dates as in
    /// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
    fn of(ms: i64) -> Option<Self> {
        let (days, ms) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS) as u32);
        // Days since 0000-03-01; the years begin in March.
        let days = u32::try_from(days.checked_add(719_468)?).ok().filter(|d| *d < 3_652_365)?;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = era * 400 + year_of_era + u32::from(month <= 2);
        Some(Self { year, month, day: day_of_year - (153 * march_month + 2) / 5 + 1, ms })
            .filter(|t| (1..=9999).contains(&t.year))
    }

    /// `2024-05-01 06:30`
    fn to_minutes(&self, out: &mut Vec<u8>) {
        self.date(out);
        out.push(b' ');
        digits(self.ms / 3_600_000, 2, out);
        out.push(b':');
        digits(self.ms / 60_000 % 60, 2, out);
    }

    /// `"2024-05-01T06:30:00Z"`, with milliseconds where there are any.
    fn to_json(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        self.date(out);
        for (mark, value) in [(b'T', self.ms / 3_600_000), (b':', self.ms / 60_000 % 60), (b':', self.ms / 1000 % 60)] {
            out.push(mark);
            digits(value, 2, out);
        }
        if !self.ms.is_multiple_of(1000) {
            out.push(b'.');
            digits(self.ms % 1000, 3, out);
        }
        out.extend_from_slice(b"Z\"");
    }

    fn date(&self, out: &mut Vec<u8>) {
        digits(self.year, 4, out);
        out.push(b'-');
        digits(self.month, 2, out);
        out.push(b'-');
        digits(self.day, 2, out);
    }
}

/// A number of so many digits, with zeros before it.
fn digits(value: u32, width: u32, out: &mut Vec<u8>) {
    for place in (0..width).rev() {
        out.push(b'0' + (value / 10_u32.pow(place) % 10) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, More};
    use chrono::{DateTime, Utc};
    use serde_json::{Value, json};

    fn rows(container: &str, json: bool, entries: Vec<Entry>) -> String {
        let mut rows = Rows::new(&Location::parse(container).expect("an address"), json);
        Block::from(entries).rows().for_each(|row| rows.row(&row));
        String::from_utf8(rows.buffer).expect("text")
    }

    #[test]
    fn times_are_those_of_chrono() {
        let mut ms = -62_135_596_800_000_i64;
        while ms < 253_402_300_800_000 {
            let at: DateTime<Utc> = DateTime::from_timestamp_millis(ms).expect("a time");
            let time = Time::of(ms).expect("a year of four digits");
            let (mut plain, mut json) = (Vec::new(), Vec::new());
            time.to_minutes(&mut plain);
            time.to_json(&mut json);
            assert_eq!(String::from_utf8_lossy(&plain), at.format("%Y-%m-%d %H:%M").to_string());
            assert_eq!(String::from_utf8_lossy(&json), serde_json::to_string(&at).expect("JSON"));
            ms += 40 * DAY_MS - 7_654_321;
        }
        for ms in [i64::MIN + 1, i64::MAX, 253_402_300_800_000] {
            assert!(Time::of(ms).is_none(), "{ms}");
        }
    }

    #[test]
    fn a_row_of_json_is_what_the_entry_says() {
        let at = DateTime::from_timestamp_millis(1_714_545_001_500);
        let name = "a \"b\" \\ \u{1b}[2J \u{202e} ü.tif";
        let mut entry = Entry::new(EntryKind::Object, name);
        (entry.size, entry.modified, entry.etag) = (Some(7), at, Some("\"ab\"".into()));
        entry.more = Some(Box::new(More { storage_class: Some("GLACIER".into()), ..More::default() }));
        let text = rows("s3://p@b/dir", true, vec![entry]);
        assert!(text.chars().all(|c| c == '\n' || text::clean(c.encode_utf8(&mut [0; 4])).len() == c.len_utf8()));
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let (key, location) = (format!("dir/{name}"), format!("s3://p@b/dir/{name}"));
        assert_eq!(
            value,
            json!({
                "kind": "object", "key": key, "name": name, "location": location, "size": 7,
                "modified": "2024-05-01T06:30:01.500Z", "etag": "\"ab\"",
                "media_type": null, "title": null, "storage_class": "GLACIER",
            })
        );
        let bucket = rows("s3://p@", true, vec![Entry::new(EntryKind::Bucket, "lake")]);
        let value: Value = serde_json::from_str(&bucket).expect("JSON");
        assert_eq!((&value["key"], &value["location"]), (&json!("lake"), &json!("s3://p@lake/")));
        assert_eq!((&value["size"], &value["etag"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn a_plain_row_has_columns_and_no_controls() {
        let mut entry = Entry::new(EntryKind::Object, "x\u{1b}y");
        (entry.size, entry.modified) = (Some(1536), DateTime::from_timestamp_millis(1_714_545_001_500));
        let prefix = Entry::new(EntryKind::Prefix, "deep/");
        assert_eq!(
            rows("/tmp/", false, vec![entry, prefix]),
            "   1.5 KiB  2024-05-01 06:30  x␛y\n         -  -                 deep/\n"
        );
    }
}
