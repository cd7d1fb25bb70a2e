//! JSON documents of metadata, as Python writes them.

use crate::error::{Error, Result};
use serde_json::Value;

/// Bytes of the root's metadata at most: consolidated ones of thousands of arrays have some MiB.
pub(super) const ROOT_BYTES: u64 = 16 << 20;
/// Bytes of a member's metadata at most.
pub(super) const MEMBER_BYTES: u64 = 1 << 20;

/// Reads JSON. Python writes `NaN` and `Infinity` bare into attributes: they become strings.
pub(super) fn parse(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).or_else(|err| {
        let quoted = std::str::from_utf8(bytes).ok().and_then(quote_numbers);
        quoted.and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(|| Error::from(err))
    })
}

/// `text` with bare `NaN`, `Infinity`, `-Infinity` in quotes; `None` where there are none.
fn quote_numbers(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut inside, mut escaped, mut changed) = (false, false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|w| !inside && rest.starts_with(w));
        if let Some(word) = word {
            out.extend(["\"", word, "\""]);
            rest = &rest[word.len()..];
            changed = true;
            continue;
        }
        if c == '"' && !escaped {
            inside = !inside;
        }
        escaped = inside && c == '\\' && !escaped;
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    changed.then_some(out)
}

/// A number as JSON or Python in JSON writes it: `1.5`, `"NaN"`, `"-Infinity"`, `[1.5]`, `true`.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        Value::String(words) => match words.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            words => words.trim().parse().ok(),
        },
        Value::Array(one) if one.len() == 1 => number(&one[0]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_python_calls_json_is_read() {
        let parsed = parse(br#"{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" NaN"}"#).expect("read");
        assert_eq!(parsed, json!({ "a": "NaN", "b": ["-Infinity", "Infinity"], "c": "NaN \" NaN" }));
        assert!(parse(b"{\"a\": NaN").is_err());
        assert!(number(&parsed["a"]).expect("a number").is_nan());
        assert_eq!(number(&parsed["b"][0]), Some(f64::NEG_INFINITY));
        assert_eq!(number(&json!([7])), Some(7.0));
    }
}
