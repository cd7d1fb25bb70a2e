//! Text: what its name says is text, and what looks like it.

use crate::error::Result;
use crate::preview::{Ask, Hex, Language, Preview, Previewer, Probe, Text};
use crate::store::Stores;
use bytes::Bytes;

/// By name. Not JSON: a STAC document is told from other JSON by its first bytes only.
const SUFFIXES: &[&str] = &[
    "txt",
    "text",
    "log",
    "out",
    "err",
    "md",
    "markdown",
    "rst",
    "tex",
    "bib",
    "toml",
    "ini",
    "cfg",
    "conf",
    "properties",
    "yaml",
    "yml",
    "jsonl",
    "ndjson",
    "xml",
    "xsd",
    "xsl",
    "html",
    "htm",
    "svg",
    "kml",
    "gml",
    "qml",
    "safe",
    "vrt",
    "prj",
    "wkt",
    "py",
    "r",
    "jl",
    "m",
    "rs",
    "c",
    "h",
    "cpp",
    "hpp",
    "f90",
    "js",
    "css",
    "sql",
    "sh",
    "bash",
    "sbatch",
    "slurm",
    "diff",
    "patch",
    "ipynb",
    "cff",
];

/// Bytes of the first request: some thousand lines.
const FIRST: u64 = 256 << 10;
/// Bytes read where lines are to be skipped first.
const FURTHER: u64 = 4 << 20;
/// A document on one line is read whole up to this size, to be shown on many.
const ONE_LINE: u64 = 2_000_000;
/// Lines held at most.
const LINES: usize = 50_000;
/// Characters of a line that are held.
const COLUMNS: usize = 4_000;
/// An array of plain values up to this length stays on one line.
const SHORT_ARRAY: usize = 100;
/// Levels of nesting that are indented further.
const INDENTED: usize = 24;

pub(super) const PREVIEWER: Previewer =
    Previewer { name: "text", matches, load: |stores, ask| Box::pin(load(stores, ask)) };

fn matches(probe: &Probe) -> bool {
    if probe.location.is_container() && probe.head.is_none() {
        return false;
    }
    let media = probe.media_type.as_deref().unwrap_or_default().to_ascii_lowercase();
    probe.has_extension(SUFFIXES)
        || (media.starts_with("text/") && !media.contains("json"))
        || probe.head.as_ref().is_some_and(|head| is_text(head))
}

async fn load(stores: Stores, ask: Ask) -> Result<Preview> {
    let location = &ask.probe.location;
    let (mut bytes, size) = fetch(&stores, &ask).await?;
    let language = language(&ask.probe, &bytes);
    let one_line = |bytes: &Bytes| !bytes.trim_ascii_end().contains(&b'\n');
    let wanted = size.min(ONE_LINE).min(ask.max_bytes);
    if language == Language::Json && (bytes.len() as u64) < size && size <= wanted && one_line(&bytes) {
        let handle = stores.open(location, &ask.control.meter).await?;
        let rest = ask.control.race(handle.read_range(location, bytes.len() as u64..size)).await?;
        bytes = [bytes, rest].concat().into();
    }
    let cut = (bytes.len() as u64) < size;
    let Some(mut text) = decode(&bytes, cut) else {
        return Ok(Preview::Hex(Hex { offset: 0, bytes, size: Some(size) }));
    };
    if language == Language::Json
        && !cut
        && size <= ONE_LINE
        && !text.trim_end().contains('\n')
        && let Some(pretty) = pretty_json(&text)
    {
        text = pretty;
    }
    let skip = usize::try_from(ask.offset).unwrap_or(usize::MAX);
    let (lines, truncated) = lines(&text, cut, skip, ask.lines.unwrap_or(LINES).min(LINES));
    Ok(Preview::Text(Text { lines, language, truncated }))
}

/// The first bytes and the size of the whole; without a request where they were read already.
async fn fetch(stores: &Stores, ask: &Ask) -> Result<(Bytes, u64)> {
    if let (Some(head), Some(size)) = (&ask.probe.head, ask.probe.size)
        && head.len() as u64 >= size
    {
        return Ok((head.clone(), size));
    }
    let most = if ask.offset == 0 { FIRST } else { FURTHER }.min(ask.max_bytes);
    let handle = stores.open(&ask.probe.location, &ask.control.meter).await?;
    let head = ask.control.race(handle.read_head(&ask.probe.location, most)).await?;
    Ok((head.bytes, head.size))
}

/// Whether these first bytes are text: no NUL, hardly any control character, hardly anything that
/// is not UTF-8 (a name in Latin-1 is borne in a page of ASCII); or UTF-16 that says so.
fn is_text(head: &[u8]) -> bool {
    let strange =
        |c: char| (c.is_control() && !"\t\n\r\u{8}\u{c}\u{1b}".contains(c)) || c == char::REPLACEMENT_CHARACTER;
    if let Some(text) = utf16(head) {
        return text.chars().filter(|&c| strange(c)).count() * 50 <= text.len();
    }
    if head.contains(&0) {
        return false;
    }
    let text = String::from_utf8_lossy(whole_characters(head));
    text.chars().filter(|&c| strange(c)).count() * 50 <= text.len()
}

/// The text, or `None` where a name lied and it is none.
fn decode(bytes: &[u8], cut: bool) -> Option<String> {
    if let Some(text) = utf16(bytes) {
        return Some(text);
    }
    let start = &bytes[..bytes.len().min(8192)];
    // Logs cut by a crash end in NULs; that does not make them unreadable.
    let gaps: usize = start.iter().map(|&b| usize::from(b == 0)).sum();
    if gaps * 50 > start.len() {
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bytes = if cut { whole_characters(bytes) } else { bytes };
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// UTF-16 that begins with its byte order mark. A character cut in two at the end is left out.
fn utf16(bytes: &[u8]) -> Option<String> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let mut units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    if units.last().is_some_and(|u| (0xd800..0xdc00).contains(u)) {
        units.pop();
    }
    Some(String::from_utf16_lossy(&units))
}

/// Without the beginning of a UTF-8 character at the end.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    for back in 1..=bytes.len().min(3) {
        let at = bytes.len() - back;
        let needs = match bytes[at] {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            0x80..=0xbf => continue,
            _ => 1,
        };
        return if needs > back { &bytes[..at] } else { bytes };
    }
    bytes
}

fn language(probe: &Probe, bytes: &[u8]) -> Language {
    match probe.location.extension().as_str() {
        "json" | "geojson" | "topojson" | "jsonl" | "ndjson" | "ipynb" => return Language::Json,
        "xml" | "xsd" | "xsl" | "html" | "htm" | "svg" | "kml" | "gml" | "qml" | "safe" | "vrt" => {
            return Language::Xml;
        }
        "md" | "markdown" => return Language::Markdown,
        "toml" | "ini" | "cfg" | "conf" | "properties" | "yaml" | "yml" | "cff" => return Language::Toml,
        "" => {}
        _ if probe.has_extension(SUFFIXES) => return Language::Plain,
        _ => {}
    }
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let next = start.get(1..).unwrap_or_default().trim_ascii_start().first();
    match (start.first(), next) {
        (Some(b'{'), Some(b'"' | b'}')) | (Some(b'['), Some(b'{' | b'[' | b'"' | b']' | b'-' | b'0'..=b'9')) => {
            Language::Json
        }
        (Some(b'<'), Some(b'?' | b'!' | b'a'..=b'z' | b'A'..=b'Z')) => Language::Xml,
        _ => Language::Plain,
    }
}

/// Lines of `text` from number `skip` on, at most `most`, and whether there is more.
fn lines(text: &str, cut: bool, skip: usize, most: usize) -> (Vec<String>, bool) {
    // Files of old Macs end their lines with CR alone.
    let end = if text.contains('\r') && !text.contains('\n') { '\r' } else { '\n' };
    let mut truncated = cut;
    let mut parts = text.split_terminator(end).skip(skip);
    let mut lines = Vec::new();
    for part in parts.by_ref().take(most) {
        let part = part.strip_suffix('\r').unwrap_or(part);
        let mut line = part.to_owned();
        if let Some((at, _)) = part.char_indices().nth(COLUMNS) {
            line.truncate(at);
            line.push('…');
            truncated = true;
        }
        lines.push(line);
    }
    if parts.next().is_some() {
        truncated = true;
    } else if cut
        && !text.ends_with(end)
        && let Some(last) = lines.last_mut()
        && !last.ends_with('…')
    {
        last.push('…');
    }
    (lines, truncated)
}

/// JSON on many lines. Only white space changes: numbers keep all their digits, names their order,
/// also where they are given twice. `None` for what is not JSON.
fn pretty_json(text: &str) -> Option<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut count) = (0usize, 0usize);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if count > LINES {
            break;
        }
        let mut line = |out: &mut String, depth: usize| {
            count += 1;
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth.min(INDENTED)));
        };
        let mut used = c.len_utf8();
        match c {
            '"' => {
                used = string_len(rest);
                out.push_str(&rest[..used]);
            }
            '[' | '{' => {
                if let Some(len) = short_array(rest) {
                    used = len;
                    push_inline(&mut out, &rest[..len]);
                } else {
                    depth += 1;
                    out.push(c);
                    line(&mut out, depth);
                }
            }
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
        rest = &rest[used..];
    }
    Some(out)
}

/// Length of the array at the start of `text` where it is short and holds no other, or of an empty object.
fn short_array(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < SHORT_ARRAY {
        match bytes.get(at)? {
            b'"' => at += string_len(&text[at..]),
            b'}' => return bytes[1..at].iter().all(u8::is_ascii_whitespace).then_some(at + 1),
            b']' => return Some(at + 1),
            b'[' | b'{' | b':' => return None,
            _ => at += 1,
        }
    }
    None
}

fn push_inline(out: &mut String, array: &str) {
    let mut rest = array;
    while let Some(c) = rest.chars().next() {
        let mut used = c.len_utf8();
        match c {
            '"' => {
                used = string_len(rest);
                out.push_str(&rest[..used]);
            }
            ',' => out.push_str(", "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
        rest = &rest[used..];
    }
}

/// Bytes of the quoted string at the start of `text`, quotes included.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_bytes() {
        for yes in ["", "a", "Järvi 湖\r\n", "\u{1b}[31mred\u{1b}[0m\n"] {
            assert!(is_text(yes.as_bytes()), "{yes:?}");
        }
        assert!(is_text(&"湖".as_bytes()[..2]), "a character cut by the end of the head");
        assert!(is_text(b"\xff\xfea\0b\0"));
        assert!(is_text(
            [b"A long line in ASCII and then a name, ".repeat(4), b"J\xe4rvi".to_vec()].concat().as_slice()
        ));
        for no in [&b"a\0b"[..], b"\x89PNG\r\n\x1a\n", b"\x80\x81\x82\x83 \x01\x02", b"PK\x03\x04abc", b"\x1f\x8b\x08"]
        {
            assert!(!is_text(no), "{no:?}");
        }
    }

    #[test]
    fn a_cut_never_shows_a_broken_character() {
        let text = "aä湖🐟".repeat(3);
        for end in 0..=text.len() {
            let decoded = decode(&text.as_bytes()[..end], true).expect("text");
            assert!(text.starts_with(&decoded) && !decoded.contains('\u{fffd}'), "{end}: {decoded}");
            assert!(end - decoded.len() < 4);
        }
        assert_eq!(utf16(b"\xfe\xff\0a\xd8\x3d").as_deref(), Some("a"));
    }

    #[test]
    fn lines_end_as_they_may_and_long_ones_are_cut() {
        assert_eq!(lines("a\r\nb\n\nc", false, 0, 9), (vec!["a".into(), "b".into(), String::new(), "c".into()], false));
        assert_eq!(lines("a\rb\r", false, 0, 9).0, ["a", "b"]);
        assert_eq!(lines("a\nb\nc\n", false, 1, 1), (vec!["b".into()], true));
        assert_eq!(lines("a\nb", true, 0, 9), (vec!["a".into(), "b…".into()], true));
        let (long, truncated) = lines(&"ä".repeat(COLUMNS + 1), false, 0, 9);
        assert!(truncated && long[0].chars().count() == COLUMNS + 1);
    }

    #[test]
    fn json_on_one_line_is_unfolded_without_a_changed_digit() {
        let text = r#"{"a":1.10,"n":123456789012345678901234,"c":[[1, 2],["x,]\"y",3]],"e":{},"l":[],"a":{"b":null}}"#;
        let pretty = pretty_json(text).expect("JSON");
        let expected = "{\n  \"a\": 1.10,\n  \"n\": 123456789012345678901234,\n  \"c\": [\n    [1, 2],\n    [\"x,]\\\"y\", 3]\n  ],\n  \"e\": {},\n  \"l\": [],\n  \"a\": {\n    \"b\": null\n  }\n}";
        assert_eq!(pretty, expected);
        assert_eq!(pretty_json("{\"a\":"), None);
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert!(pretty_json(&deep).expect("JSON").len() < 200 * (INDENTED * 2 + 2));
    }
}
