//! Patterns for names, as shells write them: `*.tif`, `B0[2-4]*`, `2024/**/*.{tif,jp2}`. Pure.
//!
//! | written | matches |
//! |---|---|
//! | `*`, `?` | any characters, one character: within one level |
//! | `[a-f]`, `[!a-f]` | one character of these, or none of these |
//! | `{a,b}` | either |
//! | `**/` | any number of levels, none too |
//! | `\*` | the character itself |
//!
//! A pattern that ends in `/` matches prefixes alone. Letters are matched as they are written: keys
//! that differ in case are different keys.

use crate::error::{Error, Result};

/// Alternatives that `{a,b}` may make, so that a typed pattern cannot grow without end.
const ALTERNATIVES: usize = 256;

/// A pattern, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    alternatives: Vec<Vec<Level>>,
    /// Only prefixes: it was written with a `/` at its end.
    prefixes_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    /// `**`
    Any,
    Name(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Star,
    Class { not: bool, ranges: Vec<(char, char)> },
}

impl Token {
    fn fits(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::One => true,
            Self::Star => false,
            Self::Class { not, ranges } => ranges.iter().any(|(a, b)| (*a..=*b).contains(&c)) != *not,
        }
    }
}

impl Glob {
    /// Reads a pattern; says what is wrong with one that cannot be read.
    pub fn parse(text: &str) -> Result<Self> {
        let pattern = text.trim_start_matches("./");
        if pattern.is_empty() {
            return Err(Error::usage("an empty pattern").with_hint("for example *.tif or **/*.tif"));
        }
        let (body, prefixes_only) = match pattern.strip_suffix('/') {
            Some(body) if !body.ends_with('\\') => (body, true),
            _ => (pattern, false),
        };
        let mut spelled = Vec::new();
        expand(body, &mut spelled)?;
        let alternatives = spelled.iter().map(|p| levels(p)).collect::<Result<_>>()?;
        Ok(Self { alternatives, prefixes_only })
    }

    /// Whether it speaks of more than one level, so that everything below has to be listed.
    pub fn is_deep(&self) -> bool {
        self.alternatives.iter().any(|levels| levels.len() > 1 || levels.contains(&Level::Any))
    }

    /// Whether `path` matches: a name, or names joined by `/`; a prefix ends in `/`.
    pub fn matches(&self, path: &str) -> bool {
        let (path, is_prefix) = path.strip_suffix('/').map_or((path, false), |body| (body, true));
        (is_prefix || !self.prefixes_only) && self.alternatives.iter().any(|levels| fits_levels(levels, path))
    }

    /// The levels that every match begins with, `2024/06/` of `2024/06/**`: nothing else needs listing.
    pub fn literal_prefix(&self) -> String {
        let mut out = String::new();
        let [levels] = self.alternatives.as_slice() else { return out };
        for level in &levels[..levels.len() - 1] {
            let Level::Name(tokens) = level else { break };
            let name: Option<String> =
                tokens.iter().map(|t| if let Token::Char(c) = t { Some(*c) } else { None }).collect();
            let Some(name) = name else { break };
            out.push_str(&name);
            out.push('/');
        }
        out
    }
}

/// `a{b,c}` as `ab` and `ac`. A brace without its end is a character.
fn expand(text: &str, out: &mut Vec<String>) -> Result<()> {
    if out.len() >= ALTERNATIVES {
        return Err(Error::usage(format!("a pattern with more than {ALTERNATIVES} alternatives")));
    }
    let Some((open, parts, close)) = braces(text) else {
        out.push(text.to_owned());
        return Ok(());
    };
    for part in parts {
        expand(&format!("{}{part}{}", &text[..open], &text[close..]), out)?;
    }
    Ok(())
}

/// The first braces: where they open, what they list, and where the text goes on.
fn braces(text: &str) -> Option<(usize, Vec<&str>, usize)> {
    let (mut depth, mut open, mut from) = (0, 0, 0);
    let mut parts = Vec::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' => escaped = true,
            '{' => {
                if depth == 0 {
                    (open, from) = (at, at + 1);
                }
                depth += 1;
            }
            ',' if depth == 1 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            '}' if depth == 1 => {
                parts.push(&text[from..at]);
                return Some((open, parts, at + 1));
            }
            '}' if depth > 0 => depth -= 1,
            _ => {}
        }
    }
    None
}

fn levels(text: &str) -> Result<Vec<Level>> {
    text.split('/').map(|part| if part == "**" { Ok(Level::Any) } else { tokens(part).map(Level::Name) }).collect()
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut out = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '*' if out.last() == Some(&Token::Star) => continue,
            '*' => Token::Star,
            '?' => Token::One,
            '\\' => Token::Char(chars.next().unwrap_or('\\')),
            '[' => match class(chars.as_str()) {
                Some((token, rest)) => {
                    chars = rest.chars();
                    token?
                }
                None => Token::Char('['),
            },
            other => Token::Char(other),
        });
    }
    Ok(out)
}

/// What stands behind `[`; `None` where no `]` ends it.
fn class(text: &str) -> Option<(Result<Token>, &str)> {
    let (not, body) = text.strip_prefix(['!', '^']).map_or((false, text), |rest| (true, rest));
    // A `]` at the start is one of the characters.
    let first = body.chars().next()?.len_utf8();
    let end = first + body.get(first..)?.find(']')?;
    let (inner, rest) = (&body[..end], &body[end + 1..]);
    let chars: Vec<char> = inner.chars().collect();
    let mut ranges = Vec::new();
    let mut i = 0;
    while let Some(&from) = chars.get(i) {
        let to = match (chars.get(i + 1), chars.get(i + 2)) {
            (Some('-'), Some(to)) => {
                i += 2;
                *to
            }
            _ => from,
        };
        if to < from {
            let err = Error::usage(format!("`[{inner}]`: the range {from}-{to} goes backwards"));
            return Some((Err(err), rest));
        }
        ranges.push((from, to));
        i += 1;
    }
    Some((Ok(Token::Class { not, ranges }), rest))
}

/// Both matchers go back to the last star alone: what stands before it has matched for good.
fn fits_levels(levels: &[Level], path: &str) -> bool {
    let mut rest = Some(path);
    let mut at = 0;
    let mut back: Option<(usize, Option<&str>)> = None;
    loop {
        match levels.get(at) {
            Some(Level::Any) => {
                at += 1;
                // At the end it stands for at least one level: `a/**` is what lies below `a`.
                if at == levels.len() {
                    return rest.is_some();
                }
                back = Some((at, rest));
                continue;
            }
            Some(Level::Name(tokens)) => {
                if let Some((name, after)) = rest.map(next_level)
                    && fits_name(tokens, name)
                {
                    (at, rest) = (at + 1, after);
                    continue;
                }
            }
            None if rest.is_none() => return true,
            None => {}
        }
        let Some((again, from)) = &mut back else { return false };
        let Some(path) = *from else { return false };
        *from = next_level(path).1;
        (at, rest) = (*again, *from);
    }
}

fn next_level(path: &str) -> (&str, Option<&str>) {
    path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)))
}

fn fits_name(tokens: &[Token], name: &str) -> bool {
    let (mut at, mut rest) = (0, name);
    let mut back: Option<(usize, &str)> = None;
    loop {
        match (tokens.get(at), rest.chars().next()) {
            (Some(Token::Star), _) => {
                at += 1;
                back = Some((at, rest));
                continue;
            }
            (Some(token), Some(c)) if token.fits(c) => {
                at += 1;
                rest = &rest[c.len_utf8()..];
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((again, from)) = &mut back else { return false };
        let Some(c) = from.chars().next() else { return false };
        *from = &from[c.len_utf8()..];
        (at, rest) = (*again, *from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is(pattern: &str, path: &str) -> bool {
        Glob::parse(pattern).expect(pattern).matches(path)
    }

    #[test]
    fn names_of_one_level() {
        for (pattern, yes, no) in [
            ("*.tif", &["a.tif", ".tif", "湖.tif"][..], &["a.TIF", "a.tif.aux", "d/a.tif"][..]),
            ("B0[2-4]*", &["B02.tif", "B04"], &["B01", "B05.tif", "b02"]),
            ("B0[!2-4]", &["B01", "B0湖"], &["B02", "B0"]),
            ("?.txt", &["a.txt", "é.txt"], &["ab.txt", ".txt"]),
            ("*_{B02,B03}.{tif,jp2}", &["x_B02.tif", "_B03.jp2"], &["x_B04.tif", "B02.tif"]),
            ("a*b*c", &["abc", "aXbYc", "abbcc"], &["ab", "acb"]),
            (r"\*", &["*"], &["a"]),
            ("[]]", &["]"], &["["]),
            ("[x", &["[x"], &["x"]),
            ("{x", &["{x"], &["x"]),
            ("2024/", &["2024/"], &["2024"]),
            ("2024", &["2024/", "2024"], &["2025/"]),
            ("*", &["a", "a/"], &["a/b"]),
        ] {
            for path in yes {
                assert!(is(pattern, path), "{pattern} matches {path}");
            }
            for path in no {
                assert!(!is(pattern, path), "{pattern} does not match {path}");
            }
        }
    }

    #[test]
    fn two_stars_go_through_levels() {
        for (pattern, yes, no) in [
            ("**/*.tif", &["a.tif", "x/a.tif", "x/y/z/a.tif"][..], &["a.tiff", "x/a.tif/b"][..]),
            ("2024/**", &["2024/a", "2024/06/b"], &["2024", "2025/a"]),
            ("a/**/b/*.x", &["a/b/1.x", "a/q/b/1.x", "a/b/b/1.x"], &["a/1.x", "b/1.x", "a/b/c/1.x"]),
            ("**", &["a", "a/b", "a/"], &[]),
            ("*/x", &["a/x"], &["x", "a/b/x"]),
            ("**/a//b", &["a//b", "q/a//b"], &["a/b"]),
        ] {
            for path in yes {
                assert!(is(pattern, path), "{pattern} matches {path}");
            }
            for path in no {
                assert!(!is(pattern, path), "{pattern} does not match {path}");
            }
        }
        assert!(Glob::parse("**/*.tif").expect("deep").is_deep() && !Glob::parse("*.tif").expect("flat").is_deep());
        assert_eq!(Glob::parse("2024/06/*/x*").expect("deep").literal_prefix(), "2024/06/");
        assert_eq!(Glob::parse("{a,b}/x").expect("deep").literal_prefix(), "");
        assert_eq!(Glob::parse("*.tif").expect("flat").literal_prefix(), "");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert!(Glob::parse("").is_err());
        assert!(Glob::parse("[z-a]").is_err_and(|err| err.to_string().contains("backwards")));
        assert!(Glob::parse(&"{a,b}".repeat(20)).is_err_and(|err| err.to_string().contains("alternatives")));
    }

    /// The meaning of `*` and `?`, said as simply as it can be.
    fn plain(pattern: &[char], text: &[char]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some('*'), _) => plain(&pattern[1..], text) || (!text.is_empty() && plain(pattern, &text[1..])),
            (Some('?'), Some(_)) => plain(&pattern[1..], &text[1..]),
            (Some(p), Some(t)) if p == t => plain(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn stars_mean_what_they_mean(pattern in "[ab*?]{1,8}", text in "[ab]{0,10}") {
            prop_assume!(pattern != "**");
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(is(&pattern, &text), plain(&p, &t));
        }

        #[test]
        fn anything_can_be_typed(pattern in ".{0,40}", path in ".{0,80}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                let _ = (glob.matches(&path), glob.literal_prefix(), glob.is_deep());
            }
        }

        #[test]
        fn a_literal_prefix_holds_for_all_matches(pattern in "[ab*/]{1,8}", path in "[ab/]{0,8}") {
            if let Ok(glob) = Glob::parse(&pattern) && glob.matches(&path) {
                prop_assert!(path.starts_with(&glob.literal_prefix()));
            }
        }
    }
}
