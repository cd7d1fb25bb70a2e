//! What SQL consists of: words to complete, and functions with what they are for.

use super::spatial;
use datafusion::execution::SessionStateDefaults;
use std::collections::BTreeMap;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WordKind {
    /// A column of a table that the SQL names.
    Column,
    /// A function.
    Function,
    /// A word of the language.
    Keyword,
}

/// A word that may stand in SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it is put in: quoted where it must be, with `(` for a function.
    pub text: String,
    /// What it is.
    pub kind: WordKind,
    /// A few words about it: a type, a call.
    pub about: String,
}

const KEYWORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "HAVING",
    "DISTINCT",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS NULL",
    "IS NOT NULL",
    "LIKE",
    "ILIKE",
    "BETWEEN",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "JOIN",
    "LEFT JOIN",
    "ON",
    "USING",
    "UNION ALL",
    "WITH",
    "ASC",
    "DESC",
    "NULLS LAST",
    "OVER",
    "PARTITION BY",
    "EXPLAIN",
    "TRUE",
    "FALSE",
    "NULL",
    "INTERVAL",
    "TIMESTAMP",
    "DATE",
];

/// All functions by name: how they are called, and what for.
pub fn functions() -> BTreeMap<String, (String, String)> {
    let mut all = BTreeMap::new();
    let call = |name: &str, syntax: Option<&str>| syntax.map_or_else(|| format!("{name}(…)"), str::to_owned);
    let first = |text: &str| text.split(". ").next().unwrap_or(text).trim_end_matches('.').to_owned();
    let mut add = |name: &str, doc: Option<&datafusion::logical_expr::Documentation>| {
        let about = doc.map_or_else(String::new, |d| first(&d.description));
        all.insert(name.to_owned(), (call(name, doc.map(|d| d.syntax_example.as_str())), about));
    };
    for function in SessionStateDefaults::default_scalar_functions() {
        add(function.name(), function.documentation());
    }
    for function in SessionStateDefaults::default_aggregate_functions() {
        add(function.name(), function.documentation());
    }
    for function in SessionStateDefaults::default_window_functions() {
        add(function.name(), function.documentation());
    }
    for (name, call, about) in spatial::described() {
        all.insert(name.to_owned(), (call, about.to_owned()));
    }
    all
}

/// Words that begin with `start` (of any case), columns first; a name that SQL would read otherwise is quoted.
pub fn completions(start: &str, columns: &[(String, String)]) -> Vec<Word> {
    let lower = start.trim_start_matches('"').to_lowercase();
    let fits = |word: &str| word.to_lowercase().starts_with(&lower);
    let column = |(name, kind): &(String, String)| {
        let text = if is_plain(name) && !start.starts_with('"') { name.clone() } else { super::names::quoted(name) };
        Word { text, kind: WordKind::Column, about: kind.clone() }
    };
    let mut words: Vec<Word> = columns.iter().filter(|(name, _)| fits(name)).map(column).collect();
    if start.is_empty() || start.starts_with('"') {
        return words;
    }
    let keyword = |text: &&str| Word { text: (*text).to_owned(), kind: WordKind::Keyword, about: String::new() };
    words.extend(KEYWORDS.iter().filter(|word| fits(word)).map(keyword));
    let function = |(name, (call, _)): (String, (String, String))| Word {
        text: format!("{name}("),
        kind: WordKind::Function,
        about: call,
    };
    words.extend(functions().into_iter().filter(|(name, _)| fits(name)).map(function));
    words
}

/// Locations that SQL names so far, also where it is not whole yet: what stands in quotes behind FROM and JOIN.
pub fn mentioned(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = sql;
    while let Some(open) = rest.find('\'') {
        let before = rest[..open].trim_end().to_ascii_lowercase();
        let behind = &rest[open + 1..];
        let Some(close) = behind.find('\'') else { break };
        if (before.ends_with("from") || before.ends_with("join") || before.ends_with(',')) && close > 0 {
            found.push(behind[..close].to_owned());
        }
        rest = &behind[close + 1..];
    }
    found
}

/// Whether a name needs no quotes.
fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
        && !KEYWORDS.iter().any(|word| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_first_and_are_quoted_where_they_must_be() {
        let columns = [("h_mean".to_owned(), "f64".to_owned()), ("High tide".to_owned(), "f32".to_owned())];
        let words: Vec<String> = completions("h", &columns).into_iter().map(|w| w.text).collect();
        assert_eq!(words[..3], ["h_mean", "\"High tide\"", "HAVING"]);
        assert!(completions("st_in", &columns).iter().any(|w| w.text == "st_intersects_bbox("));
        assert!(completions("", &columns).len() == 2);
        assert_eq!(
            mentioned("SELECT 'x' FROM 's3://b/k.csv' a JOIN './y.parquet' b WHERE n = 'z"),
            ["s3://b/k.csv", "./y.parquet"]
        );
        let about = functions();
        assert!(about.contains_key("round") && about.contains_key("median") && about.contains_key("row_number"));
    }
}
