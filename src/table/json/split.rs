//! Where records of JSON end: lines, or the features of one document.

use crate::table::text::Split;
use memchr::{memchr_iter, memchr2};

/// How records of JSON follow each other.
#[derive(Clone, Debug)]
pub(crate) enum Ends {
    /// One a line.
    Lines {
        /// Whether the line has begun.
        begun: bool,
    },
    /// The objects of an array.
    Array(Array),
    /// All of the text is one record.
    Whole {
        /// Whether there is any.
        begun: bool,
    },
}

impl Split for Ends {
    fn feed(&mut self, text: &[u8]) -> (u64, Option<usize>) {
        match self {
            Self::Lines { begun } => {
                let (mut records, mut end, mut start) = (0, None, 0);
                for at in memchr_iter(b'\n', text) {
                    if *begun || !is_blank(&text[start..at]) {
                        records += 1;
                        end = Some(at + 1);
                    }
                    *begun = false;
                    start = at + 1;
                }
                *begun |= !is_blank(&text[start..]);
                (records, end)
            }
            Self::Array(array) => array.feed(text),
            Self::Whole { begun } => {
                *begun |= !is_blank(text);
                (0, None)
            }
        }
    }

    fn finish(&mut self) -> bool {
        match self {
            Self::Lines { begun } | Self::Whole { begun } => std::mem::take(begun),
            // An object that does not end is told as what it is: no JSON.
            Self::Array(array) => array.depth > 0,
        }
    }

    fn is_over(&self) -> bool {
        matches!(self, Self::Array(Array { over: true, .. }))
    }
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | 0x1e))
}

/// The objects of an array, from behind its bracket on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Array {
    depth: u64,
    quoted: bool,
    escaped: bool,
    over: bool,
}

impl Array {
    pub(super) fn feed(&mut self, text: &[u8]) -> (u64, Option<usize>) {
        let (mut records, mut end, mut at) = (0, None, 0);
        while at < text.len() && !self.over {
            if self.escaped {
                self.escaped = false;
                at += 1;
                continue;
            }
            if self.quoted {
                let Some(found) = memchr2(b'"', b'\\', &text[at..]) else { break };
                at += found + 1;
                if text[at - 1] == b'"' {
                    self.quoted = false;
                } else {
                    self.escaped = true;
                }
                continue;
            }
            at += 1;
            match text[at - 1] {
                b'"' => self.quoted = true,
                b'{' | b'[' => self.depth += 1,
                b']' if self.depth == 0 => self.over = true,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        records += 1;
                        end = Some(at);
                    }
                }
                _ => {}
            }
        }
        (records, end)
    }
}

/// Where the items of the member `key` of the document begin: behind `"features": [`. Only on the first level.
pub(super) fn array_of(text: &[u8], key: &str) -> Option<usize> {
    let (mut depth, mut at, mut last): (i64, usize, &[u8]) = (0, 0, b"");
    while at < text.len() {
        match text[at] {
            b'"' => {
                let start = at + 1;
                at = start;
                loop {
                    at += memchr2(b'"', b'\\', text.get(at..)?)?;
                    if text[at] == b'"' {
                        break;
                    }
                    at += 2;
                }
                if depth == 1 {
                    last = &text[start..at];
                }
            }
            b'[' if depth == 1 && last == key.as_bytes() => return Some(at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 1 => last = b"",
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(split: &Ends, text: &str, step: usize) -> (u64, usize) {
        let mut split = split.clone();
        let (mut all, mut last, mut at) = (0, 0, 0);
        for piece in text.as_bytes().chunks(step) {
            let (records, end) = split.feed(piece);
            all += records;
            last = end.map_or(last, |end| at + end);
            at += piece.len();
        }
        (all + u64::from(split.finish()), last)
    }

    #[test]
    fn records_end_where_they_end_in_any_pieces() {
        let lines = "{\"a\":1}\n\n \r\n{\"a\":2}\r\n{\"a\":3}";
        let features = " {\"a\":\"]}\\\"\"}, {\"b\":[{}]}\n], \"more\":[{}]}";
        for step in [1, 2, 7, 1000] {
            assert_eq!(counted(&Ends::Lines { begun: false }, lines, step), (3, 21));
            assert_eq!(counted(&Ends::Array(Array::default()), features, step), (2, 25));
            assert_eq!(counted(&Ends::Whole { begun: false }, features, step), (1, 0));
        }
    }

    #[test]
    fn features_are_found_on_the_first_level_only() {
        let text = "{\"x\":{\"features\":[1]},\"y\":\"features\",\"features\" : [ {";
        assert_eq!(array_of(text.as_bytes(), "features").map(|at| &text[at..]), Some(" {"));
        assert_eq!(array_of(b"{\"type\":\"Feature\"}", "features"), None);
        assert_eq!(array_of(b"\"\\", "features"), None);
    }
}
