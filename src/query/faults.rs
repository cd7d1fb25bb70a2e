//! What went wrong, as sentences: errors of `DataFusion` in our words, with the place in the SQL.

use crate::error::{Error, Kind};
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps the first error of ours on its way through foreign types that would make text of it.
#[derive(Clone, Default)]
pub(super) struct Faults(Arc<Mutex<Option<Error>>>);

impl Faults {
    /// Keeps it, and gives the same for the way up.
    pub(super) fn keep(&self, err: Error) -> Error {
        let again = err.again();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(err);
        again
    }

    /// What was kept.
    pub(super) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ours below `err`, or a sentence of what it says.
    pub(super) fn explain(&self, err: DataFusionError, sql: &str) -> Error {
        let kept = self.take();
        kept.or_else(|| ours(&err)).unwrap_or_else(|| sentence(err, sql))
    }
}

/// An error of ours somewhere below.
fn ours(err: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut next = Some(err);
    while let Some(err) = next {
        if let Some(ours) = err.downcast_ref::<Error>() {
            return Some(ours.again());
        }
        next = err.source();
    }
    None
}

/// A sentence about SQL that is wrong or could not be run.
fn sentence(err: DataFusionError, sql: &str) -> Error {
    match err {
        DataFusionError::Context(_, inner) => sentence(*inner, sql),
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let place = diagnostic.span.map(|span| place(sql, span.start.line, span.start.column));
            let err = sentence(*inner, sql);
            let said = err.to_string();
            match place {
                Some(place) if !said.contains("at line") && !said.contains("at column") => {
                    let hint = err.hint().map(str::to_owned);
                    let err = Error::new(err.kind(), format!("{said} ({place})"));
                    hint.into_iter().fold(err, Error::with_hint)
                }
                _ => err,
            }
        }
        DataFusionError::Shared(inner) => {
            let text = inner.to_string();
            Error::new(Kind::Failed, tidy(&text))
        }
        DataFusionError::Collection(mut all) if !all.is_empty() => sentence(all.swap_remove(0), sql),
        DataFusionError::SQL(err, _) => syntax(&err, sql),
        DataFusionError::SchemaError(err, _) => schema(&err),
        DataFusionError::ResourcesExhausted(text) => exhausted(&text),
        DataFusionError::NotImplemented(text) => Error::unsupported(format!("this is not done here: {}", tidy(&text))),
        DataFusionError::Plan(text) => plan(&text),
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => Error::new(Kind::Failed, tidy(&other.to_string())),
        },
        DataFusionError::ArrowError(err, _) => {
            let text = err.to_string();
            let why = text.split_once(" error: ").map_or(text.as_str(), |(_, why)| why);
            Error::invalid(format!("a value does not fit: {}", tidy(why)))
        }
        DataFusionError::ParquetError(err) => {
            let text = err.to_string();
            match of_a_value(&text) {
                Some(why) => Error::invalid(format!("a value does not fit: {}", tidy(why))),
                None => Error::invalid(format!("a Parquet file cannot be read: {}", tidy(&text))),
            }
        }
        DataFusionError::Execution(text) => Error::invalid(tidy(&text)),
        DataFusionError::IoError(err) => Error::from(err),
        other => Error::new(Kind::Failed, tidy(&other.to_string())),
    }
}

/// What is wrong with a value that a condition met while a Parquet file was read: the library tells it in the form
/// that is for programmers, `…: Error evaluating filter predicate: ArrowError(CastError("Cannot cast …"), …)`.
fn of_a_value(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("Error evaluating filter predicate: ")?;
    let (_, quoted) = rest.split_once('"')?;
    let mut escaped = false;
    let end = quoted.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some(&quoted[..end])
}

/// The first line of what a library says, without its prefixes.
fn tidy(text: &str) -> String {
    let mut text = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    for prefix in [
        "Error during planning: ",
        "Execution error: ",
        "Optimizer rule ",
        "External error: ",
        "Schema error: ",
        "Internal error: ",
    ] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    let text = text.trim_end_matches('.');
    // A sentence that goes on: a word that begins with one capital is no name.
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}

/// What stands between a table and the condition of a filter line: places are told within the condition.
pub(super) const FILTER: &str = " WHERE (\n";

/// "at line 1, column 8, `FORM x`".
fn place(sql: &str, line: u64, column: u64) -> String {
    let found = sql.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default();
    let rest: String = found.chars().skip(column.saturating_sub(1) as usize).take(24).collect();
    let rest = rest.trim();
    let many = sql.lines().count() > 1 && !sql.contains(FILTER);
    let at = if many { format!("at line {line}, column {column}") } else { format!("at column {column}") };
    if rest.is_empty() { at } else { format!("{at}, `{rest}`") }
}

fn syntax(err: &ParserError, sql: &str) -> Error {
    let text = match err {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.clone(),
        ParserError::RecursionLimitExceeded => {
            return Error::usage("the SQL is nested too deeply").with_hint("take it apart with WITH … AS");
        }
    };
    // "Expected: an expression, found: FROM at Line: 1, Column: 8"
    let (what, at) = match text.rsplit_once(" at Line: ").or_else(|| text.rsplit_once(", Line: ")) {
        Some((what, at)) => {
            let mut numbers = at.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok());
            (what, numbers.next().zip(numbers.next()))
        }
        None => (text.as_str(), None),
    };
    let what = match what.strip_prefix("Expected: ").and_then(|rest| rest.rsplit_once(", found: ")) {
        Some((expected, found)) => {
            // The bracket around the condition of a filter line is not the user's.
            let is_end = expected == ")" && sql.contains(FILTER);
            let expected = if is_end { "the end, AND or OR" } else { expected };
            let found = if found == "EOF" { "the end".to_owned() } else { format!("`{found}`") };
            format!("{expected} was expected, not {found}")
        }
        None => what.to_owned(),
    };
    let at = at.map(|(line, column)| format!(" {}", place(sql, line, column))).unwrap_or_default();
    let example = if sql.contains(FILTER) {
        "for example: depth > 100 AND name LIKE 'A%'"
    } else {
        "for example: SELECT * FROM 's3://bucket/file.parquet' WHERE depth > 100 LIMIT 20"
    };
    Error::usage(format!("the SQL is not understood{at}: {what}")).with_hint(example)
}

fn schema(err: &SchemaError) -> Error {
    match err {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names = valid_fields.iter().map(|c| c.name.as_str());
            no_column(&field.name, names)
        }
        SchemaError::AmbiguousReference { field } => {
            Error::usage(format!("several tables have a column `{}`", field.name))
                .with_hint(format!("name the table too: FROM 'x' AS a … a.{}", field.name))
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::usage(format!("two columns of the result are called `{name}`"))
                .with_hint(format!("give one another name: {name} AS other"))
        }
    }
}

/// "there is no column `hmean`; the nearest is `h_mean`".
pub(super) fn no_column<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.collect();
    let nearest = nearest(name, known.iter().copied());
    let why = match nearest {
        Some(near) => format!("there is no column `{name}`; the nearest is `{near}`"),
        None => format!("there is no column `{name}`"),
    };
    let listed = known.iter().take(12).copied().collect::<Vec<_>>().join(", ");
    let more = if known.len() > 12 { format!(" and {} more", known.len() - 12) } else { String::new() };
    let err = Error::usage(why);
    if known.is_empty() { err } else { err.with_hint(format!("there are {listed}{more}")) }
}

/// The name that differs least; `None` where all are quite different.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(d, candidate)| {
            let longer = lower.chars().count().max(candidate.chars().count());
            *d * 2 <= longer || candidate.to_lowercase().contains(&lower)
        })
        // Of several as near, the one that is as long; functions come in no order.
        .min_by_key(|(d, candidate)| (*d, candidate.len().abs_diff(name.len()), *candidate))
        .map(|(_, candidate)| candidate)
}

/// Letters to be changed, put in or taken out (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (before + usize::from(x != *y)).min(row[j] + 1).min(above + 1);
            before = above;
        }
    }
    row[b.len()]
}

fn plan(text: &str) -> Error {
    if let Some((_, rest)) = text.split_once("Invalid function '") {
        let name = rest.split('\'').next().unwrap_or_default();
        // The library's own proposal is another one each time.
        let known = super::words::functions();
        let why = match nearest(name, known.keys().map(String::as_str)) {
            Some(near) => format!("there is no function `{name}`; the nearest is `{near}`"),
            None => format!("there is no function `{name}`"),
        };
        return Error::usage(why);
    }
    Error::usage(tidy(text))
}

fn exhausted(text: &str) -> Error {
    let who = text
        .split("for ")
        .nth(1)
        .and_then(|rest| rest.split(['[', ' ', '#', '(']).next())
        .filter(|who| who.chars().all(char::is_alphanumeric) && !who.is_empty());
    let doing = match who {
        Some(who) if who.contains("Sort") => "sorting",
        Some(who) if who.contains("Hash") && who.contains("Join") => "joining",
        Some(who) if who.contains("Group") || who.contains("Aggregate") => "grouping",
        _ => "the query",
    };
    if text.contains("disk") {
        return Error::new(Kind::Limit, format!("{doing} needs more room in the temporary folder than it may take"));
    }
    Error::new(Kind::Limit, format!("{doing} needs more memory than the query may take, also with its data on disk"))
        .with_hint("raise --memory, or ask for fewer columns or rows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_told_and_a_far_one_is_not() {
        let known = ["h_mean", "h_sigma", "time", "geometry"];
        assert_eq!(nearest("hmean", known.into_iter()), Some("h_mean"));
        assert_eq!(nearest("H_MEAM", known.into_iter()), Some("h_mean"));
        assert_eq!(nearest("temperature", known.into_iter()), None);
        let err = no_column("geom", known.into_iter());
        assert_eq!(err.to_string(), "there is no column `geom`; the nearest is `geometry`");
        assert_eq!(err.hint(), Some("there are h_mean, h_sigma, time, geometry"));
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_without_the_library_around_it() {
        let text = "external: Compute error: Error evaluating filter predicate: \
            ArrowError(CastError(\"Cannot cast string 'a\\\"b' to value of Int32 type\"), Some(\"\"))";
        assert_eq!(of_a_value(text), Some("Cannot cast string 'a\\\"b' to value of Int32 type"));
        assert_eq!(of_a_value("EOF: eof"), None);
    }

    #[test]
    fn wrong_syntax_names_its_place() {
        let err = syntax(
            &ParserError::ParserError("Expected: an expression, found: FROM at Line: 1, Column: 8".into()),
            "SELECT FROM x",
        );
        assert_eq!(
            err.to_string(),
            "the SQL is not understood at column 8, `FROM x`: an expression was expected, not `FROM`"
        );
    }
}
