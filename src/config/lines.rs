//! Changing one line of a TOML file that a person writes: comments and all other lines stay.

use crate::error::{Error, Result};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// Bytes of a key and of its value in the text.
struct Found {
    key: Range<usize>,
    value: Range<usize>,
    /// Whether the value is a section of its own.
    is_table: bool,
}

/// The keys of a section (`None`: those before the first section) with their places.
fn keys(text: &str, section: Option<&str>) -> Result<Vec<(String, Found)>> {
    let document = DeTable::parse(text).map_err(|err| broken(text, &err))?;
    let table = match section {
        None => document.get_ref(),
        Some(name) => {
            match document.get_ref().iter().find(|(key, _)| key.get_ref() == name).map(|(_, v)| v.get_ref()) {
                Some(DeValue::Table(table)) => table,
                _ => return Ok(Vec::new()),
            }
        }
    };
    let found = |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
        let is_table = matches!(value.get_ref(), DeValue::Table(_));
        (key.get_ref().to_string(), Found { key: key.span(), value: value.span(), is_table })
    };
    Ok(table.iter().map(found).collect())
}

fn broken(text: &str, err: &toml::de::Error) -> Error {
    let line = err.span().map_or_else(String::new, |span| format!("line {}: ", line_at(text, span.start)));
    Error::usage(format!("{line}{}", err.message()))
}

/// One-based.
fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count() + 1
}

/// The line, counted from 1, in which a key stands; `None` where it does not.
pub fn line_of(text: &str, section: Option<&str>, key: &str) -> Option<usize> {
    let found = keys(text, section).ok()?;
    found.iter().find(|(name, _)| name == key).map(|(_, found)| line_at(text, found.key.start))
}

/// `text` with `key = value` in its section: the value replaced, or the line added; without the line
/// where `value` is `None`. `value` is TOML: strings come in quotes.
pub fn set(text: &str, section: Option<&str>, key: &str, value: Option<&str>) -> Result<String> {
    let found = keys(text, section)?;
    let end_of_line = |from: usize| text[from..].find('\n').map_or(text.len(), |at| from + at + 1);
    let mut out = text.to_owned();
    match (found.iter().find(|(name, _)| name == key), value) {
        (Some((_, at)), Some(value)) => out.replace_range(at.value.clone(), value),
        (Some((_, at)), None) => {
            let start = text[..at.key.start].rfind('\n').map_or(0, |line| line + 1);
            out.replace_range(start..end_of_line(at.value.end), "");
        }
        (None, None) => {}
        (None, Some(value)) => {
            let last = found.iter().filter(|(_, at)| !at.is_table).map(|(_, at)| at.value.end).max().map(end_of_line);
            let header = || header_end(text, section?);
            let line = format!("{key} = {value}\n");
            match (last.or_else(header), section) {
                (Some(at), _) => {
                    let gap = if text[..at].ends_with('\n') || at == 0 { "" } else { "\n" };
                    out.insert_str(at, &format!("{gap}{line}"));
                }
                (None, None) => out.insert_str(0, &line),
                (None, Some(section)) => {
                    let gap = if text.is_empty() || text.ends_with("\n\n") {
                        ""
                    } else if text.ends_with('\n') {
                        "\n"
                    } else {
                        "\n\n"
                    };
                    out.extend([gap, "[", section, "]\n", &line]);
                }
            }
        }
    }
    if is_that_change(text, &out, section, key, value) {
        return Ok(out);
    }
    Err(Error::usage(format!("the line of `{key}` cannot be changed by the program in the way the file is written"))
        .with_hint("change it by hand"))
}

/// The end of the line `[section]`.
fn header_end(text: &str, section: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        at += line.len();
        let name =
            line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name.trim());
        if name == Some(section) {
            return Some(at);
        }
    }
    None
}

/// Whether the text after means what the text before means but for this key.
fn is_that_change(before: &str, after: &str, section: Option<&str>, key: &str, value: Option<&str>) -> bool {
    let Ok(mut wished) = before.parse::<toml::Table>() else { return false };
    let table = match section {
        None => &mut wished,
        Some(name) => {
            let entry = wished.entry(name).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let Some(table) = entry.as_table_mut() else { return false };
            table
        }
    };
    match value {
        None => drop(table.remove(key)),
        Some(value) => {
            let Ok(value) = format!("value = {value}").parse::<toml::Table>() else { return false };
            table.extend(value.get("value").map(|value| (key.to_owned(), value.clone())));
        }
    }
    let Ok(mut is) = after.parse::<toml::Table>() else { return false };
    // An empty section says nothing.
    for table in [&mut wished, &mut is] {
        table.retain(|_, value| value.as_table().is_none_or(|t| !t.is_empty()));
    }
    wished == is
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\ntheme = \"deep\" # dark\n\n[browse]\n# up is U\nupload = [\n  \"U\",\n]  # big\ncopy = [\"y\"]\n\n[list]\n";

    #[test]
    fn only_the_line_changes() {
        let changed = set(FILE, Some("browse"), "upload", Some("[\"u\"]")).expect("changed");
        assert_eq!(changed, FILE.replace("[\n  \"U\",\n]", "[\"u\"]"));
        assert_eq!(set(FILE, None, "theme", Some("\"paper\"")).expect("changed"), FILE.replace("deep", "paper"));
        assert_eq!(set(FILE, Some("browse"), "copy", None).expect("removed"), FILE.replace("copy = [\"y\"]\n", ""));
        assert_eq!(set(FILE, Some("browse"), "sort", None).expect("not there"), FILE);
        assert_eq!(line_of(FILE, Some("browse"), "copy"), Some(9));
        assert_eq!(line_of(FILE, Some("jobs"), "copy"), None);
    }

    #[test]
    fn a_new_line_goes_where_it_belongs() {
        let added = set(FILE, Some("browse"), "sort", Some("[\"o\"]")).expect("added");
        assert!(added.contains("copy = [\"y\"]\nsort = [\"o\"]\n\n[list]"), "{added}");
        assert!(set(FILE, Some("list"), "up", Some("[]")).expect("added").ends_with("[list]\nup = []\n"));
        assert!(set(FILE, Some("jobs"), "cancel", Some("[]")).expect("added").ends_with("\n[jobs]\ncancel = []\n"));
        assert!(set(FILE, None, "jobs", Some("3")).expect("added").contains("# dark\njobs = 3\n"));
        assert_eq!(set("", Some("a"), "b", Some("1")).expect("added"), "[a]\nb = 1\n");
        assert_eq!(set("", None, "b", Some("1")).expect("added"), "b = 1\n");
        assert_eq!(set("[a]\nx = 1", None, "b", Some("1")).expect("added"), "b = 1\n[a]\nx = 1");
        assert_eq!(set("x = 1", None, "b", Some("1")).expect("added"), "x = 1\nb = 1\n");
        assert_eq!(set("a.x = 1\n", Some("a"), "x", Some("2")).expect("dotted"), "a.x = 2\n");
    }

    #[test]
    fn what_cannot_be_changed_safely_is_left_to_the_person() {
        assert!(set("a = { x = 1 }\n", Some("a"), "y", Some("2")).is_err());
        assert!(set("a = { x = 1, z = 2 }\n", Some("a"), "x", None).is_err());
        assert!(set("a = 1\n", Some("a"), "y", Some("2")).is_err());
        assert!(set("a = 1\n", None, "b", Some("[")).is_err());
        let err = set("a = 1\nb = [\n", None, "b", Some("1")).expect_err("broken");
        assert!(err.to_string().starts_with("line "), "{err}");
    }
}
