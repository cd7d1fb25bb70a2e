//! How a delimited text is written: its delimiter, whether it has a header, the types of its columns.

use super::{Guess, Kind, Missing, Record, Records};
use crate::error::{Error, Result};

/// Delimiters that are looked for.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Records looked at to find the delimiter.
const RECORDS: usize = 200;

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Between fields.
    pub(crate) delimiter: u8,
    /// Whether the first record names the columns.
    pub(crate) header: bool,
    /// Bytes before the first record: a byte order mark, lines of comment.
    pub(crate) skip: usize,
    /// Lines among them.
    pub(crate) skip_lines: u64,
}

/// What is known beforehand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    /// The delimiter.
    pub(crate) delimiter: Option<u8>,
    /// Whether there is a header.
    pub(crate) header: Option<bool>,
    /// What stands for a missing value.
    pub(crate) missing: Missing,
}

/// A delimited text as it was found to be.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// How records are written.
    pub(crate) dialect: Dialect,
    /// Names of the columns, all different, none empty.
    pub(crate) names: Vec<String>,
    /// What each column can be by the records seen.
    pub(crate) guesses: Vec<Guess>,
    /// Records seen, without the header.
    pub(crate) rows: u64,
    /// Records that have more or fewer fields than there are names.
    pub(crate) ragged: u64,
}

impl Layout {
    /// Gives the columns other names, as they are read in another encoding.
    pub(super) fn rename(&mut self, header: &[Vec<u8>]) {
        let names = named(header);
        if names.len() == self.names.len() {
            self.names = names;
        }
    }

    /// Types of the columns.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        self.guesses.iter().map(Guess::kind).collect()
    }
}

/// Reads a delimiter as people write it: a character, `tab`, `\t`, `comma`, `semicolon`, `pipe`.
pub(crate) fn parse_delimiter(text: &str) -> Result<u8> {
    match text {
        "tab" | "\\t" => Ok(b'\t'),
        "comma" => Ok(b','),
        "semicolon" => Ok(b';'),
        "pipe" => Ok(b'|'),
        "space" => Ok(b' '),
        one if one.len() == 1 && one.is_ascii() => Ok(one.as_bytes()[0]),
        other => Err(Error::usage(format!("`{other}` is not a delimiter: give one character, or `tab`"))),
    }
}

/// A delimiter in words.
pub(crate) fn delimiter_name(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tab".to_owned(),
        b',' => "comma".to_owned(),
        b';' => "semicolon".to_owned(),
        b'|' => "pipe".to_owned(),
        b' ' => "space".to_owned(),
        other => char::from(other).to_string(),
    }
}

/// Finds out how `sample` (the start of a text, or all of it) is written.
pub(crate) fn inspect(sample: &[u8], complete: bool, hints: &Hints) -> Result<Layout> {
    // Who reads tables turns UTF-16 into UTF-8 beforehand.
    if sample.starts_with(&[0xff, 0xfe]) || sample.starts_with(&[0xfe, 0xff]) {
        return Err(Error::unsupported("the text is UTF-16").with_hint("convert it to UTF-8 first, e.g. with iconv"));
    }
    if sample.iter().take(64 << 10).any(|b| *b == 0) {
        return Err(Error::invalid("not delimited text: it holds zero bytes"));
    }
    let bom = if sample.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let (skip, skip_lines) = comments(sample, bom, hints.delimiter);
    let body = sample.get(skip..).unwrap_or_default();
    let delimiter = hints.delimiter.unwrap_or_else(|| find_delimiter(body, complete));
    let mut dialect = Dialect { delimiter, header: true, skip, skip_lines };
    let first = first_records(body, delimiter, complete, 2);
    let Some(top) = first.first() else {
        return Err(Error::invalid("there are no rows: the text is empty"));
    };
    dialect.header = hints.header.unwrap_or_else(|| looks_like_header(top, first.get(1)));
    let mut names = if dialect.header { named(top) } else { numbered(top.len()) };
    let mut layout =
        Layout { dialect, guesses: vec![Guess::default(); names.len()], names: Vec::new(), rows: 0, ragged: 0 };
    let mut at_header = dialect.header;
    each_complete(body, delimiter, complete, |record| {
        if at_header {
            at_header = false;
            return true;
        }
        layout.rows += 1;
        layout.ragged += u64::from(record.len() != names.len());
        for (guess, field) in layout.guesses.iter_mut().zip(record.iter()) {
            guess.observe(field, &hints.missing);
        }
        true
    })?;
    layout.names.append(&mut names);
    Ok(layout)
}

/// Calls `each` with the records of `body`; the last one only where the text is complete.
fn each_complete(body: &[u8], delimiter: u8, complete: bool, mut each: impl FnMut(Record<'_>) -> bool) -> Result<()> {
    let mut records = Records::new(delimiter);
    let go_on = records.feed(body, |record| Ok(each(record)))?;
    if go_on && complete {
        records.finish(|record| Ok(each(record)))?;
    }
    Ok(())
}

/// The fields of the header, read as `decoded` reads them.
pub(super) fn header_names(sample: &[u8], layout: &Layout, decoded: &dyn Fn(&[u8]) -> String) -> Vec<Vec<u8>> {
    let body = sample.get(layout.dialect.skip..).unwrap_or_default();
    let first = first_records(body, layout.dialect.delimiter, true, 1).into_iter().next().unwrap_or_default();
    first.iter().map(|field| decoded(field).into_bytes()).collect()
}

/// The first records below the header.
pub(super) fn first_rows(sample: &[u8], layout: &Layout, complete: bool, most: usize) -> Vec<Vec<Vec<u8>>> {
    let body = sample.get(layout.dialect.skip..).unwrap_or_default();
    let header = usize::from(layout.dialect.header);
    let mut records = first_records(body, layout.dialect.delimiter, complete, most + header);
    records.drain(..header.min(records.len()));
    records
}

fn first_records(body: &[u8], delimiter: u8, complete: bool, most: usize) -> Vec<Vec<Vec<u8>>> {
    let mut out: Vec<Vec<Vec<u8>>> = Vec::new();
    // An endless field ends the look; what was found before it counts.
    let _ = each_complete(body, delimiter, complete, |record| {
        out.push(record.iter().map(<[u8]>::to_vec).collect());
        out.len() < most
    });
    out
}

/// Bytes and lines of `#` comments at the start. A `#` line with as many fields as the first line
/// after it is a header, not a comment.
fn comments(sample: &[u8], start: usize, delimiter: Option<u8>) -> (usize, u64) {
    let mut at = start;
    let mut lines: Vec<&[u8]> = Vec::new();
    while sample.get(at) == Some(&b'#') {
        let Some(end) = sample[at..].iter().position(|b| *b == b'\n') else { break };
        lines.push(&sample[at..at + end]);
        at += end + 1;
    }
    let rest = sample.get(at..).unwrap_or_default();
    let next = rest.split(|b| *b == b'\n').next().unwrap_or_default();
    let fields = |line: &[u8]| {
        let candidates = delimiter.map_or(DELIMITERS.to_vec(), |d| vec![d]);
        candidates.iter().map(|d| line.split(|b| b == d).count() - 1).max().unwrap_or(0)
    };
    if let Some(last) = lines.last()
        && fields(last) > 0
        && fields(last) == fields(next)
    {
        at -= last.len() + 1;
        lines.pop();
    }
    (at, lines.len() as u64)
}

/// The delimiter that cuts most records into the same number of fields, of at least two.
fn find_delimiter(body: &[u8], complete: bool) -> u8 {
    let mut best = (b',', 0.0);
    for delimiter in DELIMITERS {
        let mut counts: Vec<usize> = Vec::new();
        let _ = each_complete(body, delimiter, complete, |record| {
            counts.push(record.len());
            counts.len() < RECORDS
        });
        let Some(&mode) = counts.iter().max_by_key(|n| counts.iter().filter(|m| m == n).count()) else { continue };
        if mode < 2 {
            continue;
        }
        let same = counts.iter().filter(|n| **n == mode).count() as f64 / counts.len() as f64;
        let score = same + (mode as f64).ln() / 100.0;
        if score > best.1 {
            best = (delimiter, score);
        }
    }
    best.0
}

/// Whether a first record names columns: no field of it is a number, a date or empty, and it is not
/// just like the record below.
fn looks_like_header(first: &[Vec<u8>], second: Option<&Vec<Vec<u8>>>) -> bool {
    let none = Missing::default();
    let is_text = |field: &Vec<u8>| {
        let mut guess = Guess::default();
        guess.observe(field, &none);
        guess.kind() == Kind::Text && !is_code(field)
    };
    let names = first.iter().filter(|f| !f.trim_ascii().is_empty());
    names.clone().count() > 0 && names.clone().all(is_text) && second.is_none_or(|second| second != first)
}

/// Digits with zeros in front, which a column keeps as text but which name no column.
fn is_code(field: &[u8]) -> bool {
    let field = field.trim_ascii();
    !field.is_empty() && field.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'))
}

fn numbered(n: usize) -> Vec<String> {
    (1..=n).map(|i| format!("column_{i}")).collect()
}

/// Names from a header: trimmed, a `#` in front taken off, empty ones numbered, doubles told apart.
fn named(header: &[Vec<u8>]) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(header.len());
    let mut used = std::collections::HashSet::new();
    let mut next = std::collections::HashMap::new();
    for (i, field) in header.iter().enumerate() {
        let text = String::from_utf8_lossy(field);
        let text = text.trim();
        let text = if i == 0 { text.trim_start_matches('#').trim_start() } else { text };
        let base = if text.is_empty() { format!("column_{}", i + 1) } else { text.to_owned() };
        let mut name = base.clone();
        if !used.insert(name.clone()) {
            // Where it was left: a thousand columns of one name cost a thousand tries.
            let n = next.entry(base.clone()).or_insert(2_u64);
            loop {
                name = format!("{base}_{n}");
                *n += 1;
                if used.insert(name.clone()) {
                    break;
                }
            }
        }
        out.push(name);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str) -> Layout {
        inspect(text.as_bytes(), true, &Hints::default()).expect("layout")
    }

    #[test]
    fn delimiters_headers_and_types_are_found() {
        let layout = look("name;lon;lat\n\"a;b\";1,5;2\nc;3;4\n");
        assert_eq!(
            (layout.dialect.delimiter, layout.names.as_slice()),
            (b';', &["name", "lon", "lat"].map(String::from)[..])
        );
        assert_eq!(layout.kinds(), [Kind::Text, Kind::Text, Kind::Int]);
        assert_eq!(look("a\tb\n1\t2\n").dialect.delimiter, b'\t');
        assert!(!look("1,2\n3,4\n").dialect.header);
        assert_eq!(look("1,2\n3,4\n").names, ["column_1", "column_2"]);
        assert!(look("only\n").dialect.header);
    }

    #[test]
    fn a_station_file_where_everything_is_quoted() {
        let text = "\"STATION\",\"NAME\",\"TMP\"\n\"98646099999\",\"MACTAN, RP\",\"+0273,1\"\n";
        let layout = look(text);
        assert_eq!(layout.names, ["STATION", "NAME", "TMP"]);
        assert_eq!(layout.kinds(), [Kind::Int, Kind::Text, Kind::Text]);
        assert_eq!(layout.ragged, 0);
    }

    #[test]
    fn marks_comments_doubles_and_ragged_rows() {
        let layout = look("\u{feff}# made by x\n# on a day\nlon,lat,lat,\n1,2,3,4\n5,6\n");
        assert_eq!(layout.names, ["lon", "lat", "lat_2", "column_4"]);
        assert_eq!((layout.rows, layout.ragged, layout.dialect.skip_lines), (2, 1, 2));
        assert_eq!(look("#lon,lat\n1,2\n").names, ["lon", "lat"], "a header behind a hash");
    }

    #[test]
    fn an_unfinished_last_record_is_not_looked_at() {
        let layout = inspect(b"a,b\n1,2\n3,x", false, &Hints::default()).expect("layout");
        assert_eq!((layout.rows, layout.kinds()), (1, vec![Kind::Int, Kind::Int]));
    }

    #[test]
    fn what_is_no_text_is_refused_in_words() {
        assert!(inspect(b"\xff\xfea\0", true, &Hints::default()).is_err());
        assert!(inspect(b"a\0b", true, &Hints::default()).is_err());
        assert!(inspect(b"", true, &Hints::default()).is_err());
    }
}
