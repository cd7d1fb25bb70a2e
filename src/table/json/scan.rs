//! JSON values found in their text (RFC 8259), without making anything of them: where each begins and ends.

/// Values nested deeper than this are taken for garbage.
const MOST_DEPTH: usize = 128;

/// Reads values one after the other.
pub(super) struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

/// Text that is not JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotJson;

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.blanks();
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    /// The next of values that follow each other with line ends, commas or record separators (RFC 8142) between.
    pub(super) fn next_value(&mut self) -> Result<Option<&'a [u8]>, NotJson> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | 0x1e)) {
            self.at += 1;
        }
        match self.peek() {
            None | Some(b']') => Ok(None),
            Some(_) => self.value(0).map(Some),
        }
    }

    /// A value, as it is written.
    fn value(&mut self, depth: usize) -> Result<&'a [u8], NotJson> {
        self.blanks();
        let start = self.at;
        match self.peek().ok_or(NotJson)? {
            b'"' => self.string()?,
            open @ (b'{' | b'[') => {
                if depth >= MOST_DEPTH {
                    return Err(NotJson);
                }
                self.at += 1;
                let close = if open == b'{' { b'}' } else { b']' };
                if !self.take(close) {
                    loop {
                        if open == b'{' {
                            self.blanks();
                            self.string()?;
                            if !self.take(b':') {
                                return Err(NotJson);
                            }
                        }
                        self.value(depth + 1)?;
                        if self.take(close) {
                            break;
                        }
                        if !self.take(b',') {
                            return Err(NotJson);
                        }
                    }
                }
            }
            _ => {
                let length = self.text[self.at..]
                    .iter()
                    .position(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}' | b':' | 0x1e));
                let end = length.map_or(self.text.len(), |n| self.at + n);
                let word = self.text.get(self.at..end).unwrap_or_default();
                let known = matches!(word, b"true" | b"false" | b"null" | b"NaN" | b"Infinity" | b"-Infinity");
                if !known && crate::table::csv::float(word).is_none() {
                    return Err(NotJson);
                }
                self.at = end;
            }
        }
        Ok(&self.text[start..self.at])
    }

    fn string(&mut self) -> Result<(), NotJson> {
        if self.peek() != Some(b'"') {
            return Err(NotJson);
        }
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let found = memchr::memchr2(b'"', b'\\', rest).ok_or(NotJson)?;
            self.at += found + 1;
            if rest[found] == b'"' {
                return Ok(());
            }
            self.at += 1;
        }
    }
}

/// The members of an object: keys as text, values as they are written.
pub(super) fn members(object: &[u8]) -> Result<Vec<(String, &[u8])>, NotJson> {
    let mut scan = Scan::new(object);
    let mut out = Vec::new();
    if !scan.take(b'{') {
        return Err(NotJson);
    }
    if scan.take(b'}') {
        return Ok(out);
    }
    loop {
        scan.blanks();
        let start = scan.at;
        scan.string()?;
        let key = string(&object[start..scan.at]);
        if !scan.take(b':') {
            return Err(NotJson);
        }
        out.push((key, scan.value(1)?));
        if scan.take(b'}') {
            return Ok(out);
        }
        if !scan.take(b',') {
            return Err(NotJson);
        }
    }
}

/// The items of an array, as they are written.
pub(super) fn items(array: &[u8]) -> Result<Vec<&[u8]>, NotJson> {
    let mut scan = Scan::new(array);
    let mut out = Vec::new();
    if !scan.take(b'[') {
        return Err(NotJson);
    }
    if scan.take(b']') {
        return Ok(out);
    }
    loop {
        out.push(scan.value(1)?);
        if scan.take(b']') {
            return Ok(out);
        }
        if !scan.take(b',') {
            return Err(NotJson);
        }
    }
}

/// What a text in quotes says; one that is no Unicode as it is written.
pub(super) fn string(quoted: &[u8]) -> String {
    let inner = quoted.strip_prefix(b"\"").and_then(|q| q.strip_suffix(b"\"")).unwrap_or(quoted);
    if !inner.contains(&b'\\') {
        return String::from_utf8_lossy(inner).into_owned();
    }
    serde_json::from_slice(quoted).unwrap_or_else(|_| String::from_utf8_lossy(inner).into_owned())
}

/// A number, as exactly as 64 bits can.
pub(super) fn number(word: &[u8]) -> Option<f64> {
    match word {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ if word.first().is_some_and(|b| b.is_ascii_digit() || *b == b'-') => crate::table::csv::float(word),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_as_they_are_written() {
        let object = br#" {"a": 1.50 , "b\u00e4":"x\"}", "c": [1, {"d": null}],"e":{} } "#;
        let found = members(object).expect("an object");
        let found: Vec<(&str, &[u8])> = found.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        assert_eq!(found, [("a", &b"1.50"[..]), ("bä", br#""x\"}""#), ("c", br#"[1, {"d": null}]"#), ("e", b"{}")]);
        assert_eq!(string(found[1].1), "x\"}");
        assert_eq!(items(b"[1 ,[2],\"3\"]").expect("items"), [&b"1"[..], b"[2]", b"\"3\""]);
        let mut scan = Scan::new(b"{\"a\":1}\n\x1e{\"a\":2},\n3 ]}");
        let mut count = 0;
        while scan.next_value().expect("a value").is_some() {
            count += 1;
        }
        assert_eq!(count, 3);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for bad in ["{", "{\"a\"}", "{\"a\":}", "[1,]", "[1 2]", "\"a", "tru", "{a:1}", "[", "\"\\"] {
            assert_eq!(Scan::new(bad.as_bytes()).next_value(), Err(NotJson), "{bad}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(Scan::new(deep.as_bytes()).next_value(), Err(NotJson));
        assert_eq!(number(b"+1"), None);
    }
}
