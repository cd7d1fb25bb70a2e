//! Foreign strings as literals of other languages.

use crate::text;

/// Whether a character must not stand in text that is pasted or shown.
fn is_hostile(c: char) -> bool {
    matches!(text::clean(c.encode_utf8(&mut [0; 4])), std::borrow::Cow::Owned(_))
}

/// A string of Python in double quotes.
/// <https://docs.python.org/3/reference/lexical_analysis.html#string-and-bytes-literals>
pub(super) fn python(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hostile(c) && c as u32 <= 0xffff => out.extend([format!("\\u{:04x}", c as u32)]),
            c if is_hostile(c) => out.extend([format!("\\U{:08x}", c as u32)]),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A string of SQL. Control characters are joined to it by their numbers.
pub(super) fn sql(value: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut plain = String::new();
    for c in value.chars() {
        if is_hostile(c) {
            if !plain.is_empty() {
                parts.push(format!("'{}'", std::mem::take(&mut plain)));
            }
            parts.push(format!("chr({})", c as u32));
        } else {
            plain.push(c);
            if c == '\'' {
                plain.push(c);
            }
        }
    }
    if !plain.is_empty() || parts.is_empty() {
        parts.push(format!("'{plain}'"));
    }
    parts.join(" || ")
}

/// A path for a function of `DuckDB` that takes `*`, `?` and `[` for patterns: they stand for themselves.
pub(super) fn sql_path(path: &str) -> String {
    let mut literal = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '*' | '?' | '[' => literal.extend(['[', c, ']']),
            c => literal.push(c),
        }
    }
    sql(&literal)
}

/// A word of a shell.
pub(super) use crate::text::shell;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    /// Anything, with more of what is hard.
    fn odd() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            proptest::collection::vec(
                prop_oneof![
                    Just('\''),
                    Just('"'),
                    Just('\\'),
                    Just('\n'),
                    Just('$'),
                    Just('`'),
                    Just('\u{1b}'),
                    Just('\u{9b}'),
                    Just('\u{202e}'),
                    Just('é'),
                    Just('湖'),
                    Just('7'),
                    Just('n'),
                    Just('*'),
                    Just('!'),
                    any::<char>()
                ],
                0..20
            )
            .prop_map(String::from_iter),
        ]
    }

    fn run(program: &str, args: &[&str]) -> Option<Vec<u8>> {
        let out = Command::new(program).args(args).output().ok()?;
        assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        Some(out.stdout)
    }

    fn no_control(text: &str) {
        assert!(!text.contains(is_hostile), "{text:?} is safe to paste");
    }

    #[test]
    fn literals_of_a_few_hard_strings() {
        assert_eq!(python("a\"b\\c\n\u{1b}é\u{202e}"), r#""a\"b\\c\n\u001bé\u202e""#);
        assert_eq!(sql("it's\n"), "'it''s' || chr(10)");
        assert_eq!((sql("").as_str(), sql("\n").as_str()), ("''", "chr(10)"));
        assert_eq!(sql_path("s3://b/a[1]*.parquet"), "'s3://b/a[[]1][*].parquet'");
        assert_eq!(shell("it's"), r"'it'\''s'");
        assert_eq!(shell("a\n\u{1b}1'\\"), r"$'a\n\0331\'\\'");
        assert_eq!((shell("").as_str(), shell("~").as_str(), shell("s3://b/é").as_str()), ("''", "'~'", "s3://b/é"));
    }

    /// Many strings in one run of the interpreter: starting it costs more than reading.
    fn round_trip(values: &[String]) {
        let python_list = format!("[{}]", values.iter().map(|v| python(v)).collect::<Vec<_>>().join(", "));
        no_control(&python_list);
        let script =
            "import ast, sys\nfor s in ast.literal_eval(sys.argv[1]): sys.stdout.buffer.write(s.encode() + b'\\0')";
        let expected: Vec<u8> = values.iter().flat_map(|v| v.bytes().chain([0])).collect();
        if let Some(read) = run("python3", &["-c", script, &python_list]) {
            assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(&expected));
        }
        let (hard, easy): (Vec<&String>, Vec<&String>) = values.iter().partition(|v| v.contains(is_hostile));
        for (program, values) in [("bash", hard), ("sh", easy)] {
            let words: Vec<String> = values.iter().map(|v| shell(v)).collect();
            no_control(&words.concat());
            let expected: Vec<u8> = values.iter().flat_map(|v| v.bytes().chain([0])).collect();
            let line = format!("for word in {}; do printf '%s\\0' \"$word\"; done", words.join(" "));
            if let Some(read) = run(program, &["-c", &line]) {
                assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(&expected), "{line}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn python_and_the_shell_read_what_was_meant(values in proptest::collection::vec(odd(), 40)) {
            let values: Vec<String> = values.into_iter().map(|v| v.replace('\0', "")).collect();
            round_trip(&values);
        }

        #[test]
        fn sql_holds_no_bare_quote(value in odd()) {
            // Read back by SQL's own rule: parts in quotes, a doubled quote is one, numbers are characters.
            let literal = sql(&value);
            no_control(&literal);
            let (mut out, mut rest) = (String::new(), literal.as_str());
            while !rest.is_empty() {
                if let Some(number) = rest.strip_prefix("chr(") {
                    let (digits, after) = number.split_once(')').expect("closed");
                    out.extend(char::from_u32(digits.parse().expect("a number")));
                    rest = after;
                } else {
                    let mut chars = rest.strip_prefix('\'').expect("quoted").char_indices().peekable();
                    let end = loop {
                        let (at, c) = chars.next().expect("closed");
                        if c != '\'' {
                            out.push(c);
                        } else if chars.peek().is_some_and(|(_, next)| *next == '\'') {
                            chars.next();
                            out.push('\'');
                        } else {
                            break at + 2;
                        }
                    };
                    rest = &rest[end..];
                }
                rest = rest.strip_prefix(" || ").unwrap_or(rest);
            }
            prop_assert_eq!(out, value);
        }
    }
}
