//! The answer to `ListObjectsV2`, read straight into a [`Block`].
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>. Servers differ in the
//! order of the elements, and in whether they say that keys are percent-encoded.

use crate::entry::{EntryKind, More};
use crate::listing::Block;
use crate::location::Location;
use chrono::DateTime;
use memchr::memmem;
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;

/// So far from its start an answer is looked through for the token of the next page.
const HEAD: usize = 8 * 1024;

/// A whole answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Names relative to the base.
    pub(super) objects: Block,
    /// Whole, each ending in the delimiter.
    pub(super) prefixes: Vec<String>,
    /// With what the next page is asked for.
    pub(super) next: Option<String>,
}

/// What is no whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It broke off.
    Truncated,
    /// It does not say how the listing goes on.
    NoNext,
    /// It is something else: an error, a web page. With its root element.
    Other(String),
}

/// The token of the next page, where the beginning of an answer tells it: the next page is asked for
/// while this one still arrives. `Err` once it is certain that the beginning does not tell.
pub(super) fn early_token(head: &[u8]) -> Result<Option<String>, ()> {
    let head = &head[..head.len().min(HEAD)];
    let before = memmem::find(head, b"<Contents>").or_else(|| memmem::find(head, b"<CommonPrefixes>"));
    let part = &head[..before.unwrap_or(head.len())];
    let (open, close) = ("<NextContinuationToken>", "</NextContinuationToken>");
    let token = memmem::find(part, open.as_bytes()).and_then(|start| {
        let rest = &part[start + open.len()..];
        let text = std::str::from_utf8(&rest[..memmem::find(rest, close.as_bytes())?]).ok()?;
        unescape(text).ok().map(Cow::into_owned)
    });
    match token {
        Some(token) if !token.is_empty() => Ok(Some(token)),
        _ if before.is_some() || head.len() == HEAD => Err(()),
        _ => Ok(None),
    }
}

/// The fields of the object at work.
#[derive(Default)]
struct Fields {
    key: String,
    size: Option<u64>,
    modified: Option<i64>,
    etag: String,
    class: String,
}

/// Reads an answer about what is below `base`. Keys are percent-decoded where the answer says that they
/// are encoded.
pub(super) fn parse(body: &[u8], base: &Location) -> Result<Answer, Flaw> {
    // It may stand after the keys that it speaks of. Within a text there is no `<`.
    let encoded = memmem::find(body, b"<EncodingType>url</EncodingType>").is_some();
    // An object takes at least so many bytes of XML.
    let guess = (body.len() / 250).min(1000);
    let mut answer = Answer { objects: Block::with_capacity(guess, guess * 24), ..Answer::default() };
    let mut reader = Reader::from_reader(body);
    let (mut truncated, mut token) = (false, None);
    root(&mut reader)?;
    let mut fields = Fields::default();
    let mut times = Times::default();
    loop {
        match event(&mut reader)? {
            Event::Start(start) => match start.local_name().as_ref() {
                b"Contents" => {
                    object(&mut reader, encoded, &mut fields, &mut times)?;
                    put(&mut answer.objects, &fields, base);
                }
                b"CommonPrefixes" => prefixes(&mut reader, encoded, &mut answer.prefixes)?,
                b"IsTruncated" => truncated = text(&mut reader, &start)?.trim() == "true",
                b"NextContinuationToken" => token = Some(text(&mut reader, &start)?.into_owned()),
                _ => skip(&mut reader, &start)?,
            },
            // The end of the root: the reader sees to it that it is no other's.
            Event::End(_) => break,
            Event::Eof => return Err(Flaw::Truncated),
            _ => {}
        }
    }
    answer.next = token.filter(|token| truncated && !token.is_empty());
    if truncated && answer.next.is_none() {
        return Err(Flaw::NoNext);
    }
    Ok(answer)
}

/// Markup that does not fit is taken for an answer that broke off: it is asked for again.
fn event<'a>(reader: &mut Reader<&'a [u8]>) -> Result<Event<'a>, Flaw> {
    reader.read_event().map_err(|_| Flaw::Truncated)
}

/// Goes behind the start of the root element.
fn root(reader: &mut Reader<&[u8]>) -> Result<(), Flaw> {
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) if start.local_name().as_ref() == b"ListBucketResult" => return Ok(()),
            Ok(Event::Start(start) | Event::Empty(start)) => {
                return Err(Flaw::Other(String::from_utf8_lossy(start.local_name().as_ref()).into_owned()));
            }
            Ok(Event::Text(text)) if !text.iter().all(u8::is_ascii_whitespace) => {
                return Err(Flaw::Other("text".to_owned()));
            }
            Ok(Event::Eof) | Err(_) => return Err(Flaw::Truncated),
            Ok(_) => {}
        }
    }
}

fn skip(reader: &mut Reader<&[u8]>, start: &BytesStart) -> Result<(), Flaw> {
    reader.read_to_end(start.name()).map(drop).map_err(|_| Flaw::Truncated)
}

/// The text of an element that holds nothing else.
fn text<'a>(reader: &mut Reader<&'a [u8]>, start: &BytesStart) -> Result<Cow<'a, str>, Flaw> {
    let raw = reader.read_text(start.name()).map_err(|_| Flaw::Truncated)?;
    if !raw.contains('&') {
        return Ok(raw);
    }
    // An entity that nobody knows stays as it is written.
    Ok(match unescape(&raw) {
        Ok(text) => Cow::Owned(text.into_owned()),
        Err(_) => raw,
    })
}

fn object(reader: &mut Reader<&[u8]>, encoded: bool, fields: &mut Fields, times: &mut Times) -> Result<(), Flaw> {
    fields.key.clear();
    fields.etag.clear();
    fields.class.clear();
    (fields.size, fields.modified) = (None, None);
    loop {
        match event(reader)? {
            Event::Start(start) => match start.local_name().as_ref() {
                b"Key" => decode(&text(reader, &start)?, encoded, &mut fields.key),
                b"Size" => fields.size = text(reader, &start)?.trim().parse().ok(),
                b"LastModified" => fields.modified = times.read(&text(reader, &start)?),
                b"ETag" => fields.etag.push_str(&text(reader, &start)?),
                b"StorageClass" => fields.class.push_str(&text(reader, &start)?),
                _ => skip(reader, &start)?,
            },
            Event::End(_) => return Ok(()),
            Event::Eof => return Err(Flaw::Truncated),
            _ => {}
        }
    }
}

fn prefixes(reader: &mut Reader<&[u8]>, encoded: bool, found: &mut Vec<String>) -> Result<(), Flaw> {
    loop {
        match event(reader)? {
            Event::Start(start) if start.local_name().as_ref() == b"Prefix" => {
                found.push(decoded(&text(reader, &start)?, encoded));
            }
            Event::Start(start) => skip(reader, &start)?,
            Event::End(_) => return Ok(()),
            Event::Eof => return Err(Flaw::Truncated),
            _ => {}
        }
    }
}

/// Adds the object. One whose key is that of the listed prefix (`dir/` in `dir/`) has no name there: it
/// is shown as `./` and leads to itself. Without delimiter, a name may end in `/`.
fn put(block: &mut Block, fields: &Fields, base: &Location) {
    let name = fields.key.get(base.key().len()..).unwrap_or(&fields.key);
    let own = name.is_empty();
    block.push(EntryKind::Object, if own { "./" } else { name });
    block.put_size(fields.size.unwrap_or_default());
    if let Some(ms) = fields.modified {
        block.put_modified(ms);
    }
    if !fields.etag.is_empty() {
        block.put_etag(&fields.etag);
    }
    block.put_class(&fields.class);
    if own {
        let detail = Some("an object with the name of this folder".to_owned());
        block.put_more(More { target: Some(base.clone()), detail, ..More::default() });
    }
}

/// A key as its object is called.
pub(super) fn decoded(text: &str, encoded: bool) -> String {
    let mut key = String::new();
    decode(text, encoded, &mut key);
    key
}

/// Keys come percent-encoded, because XML cannot hold all characters; a space may come as `+`.
fn decode(text: &str, encoded: bool, out: &mut String) {
    if !encoded || !text.bytes().any(|b| b == b'%' || b == b'+') {
        out.push_str(text);
        return;
    }
    let spaced = text.replace('+', " ");
    out.push_str(&percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy());
}

/// Reads times as servers write them, remembering the last: neighbours often share it.
#[derive(Default)]
struct Times {
    text: String,
    ms: Option<i64>,
}

impl Times {
    /// Milliseconds since 1970.
    fn read(&mut self, text: &str) -> Option<i64> {
        if self.text != text {
            text.clone_into(&mut self.text);
            self.ms =
                instant(text).or_else(|| Some(DateTime::parse_from_rfc3339(text.trim()).ok()?.timestamp_millis()));
        }
        self.ms
    }
}

/// `2024-04-03T08:05:24.000Z` and nothing else, quickly; dates to days as in
/// <https://howardhinnant.github.io/date_algorithms.html#days_from_civil>.
fn instant(text: &str) -> Option<i64> {
    let bytes: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if marks.iter().any(|(at, mark)| bytes[*at] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0_i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second, ms) = (number(11, 13)?, number(14, 16)?, number(17, 19)?, number(20, 23)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let march_year = year - i64::from(month <= 2);
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let (era, year_of_era) = (march_year.div_euclid(400), march_year.rem_euclid(400));
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(key: &str) -> Location {
        Location::parse(&format!("s3://b/{key}")).expect("an address")
    }

    const ONE: &str = "<Contents><Key>d/a&amp;b</Key><LastModified>2024-04-03T08:05:24.000Z</LastModified>\
                       <ETag>&quot;0c&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass>\
                       <Owner><ID>x</ID><DisplayName>Key</DisplayName></Owner></Contents>";

    fn page(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Name>b</Name><Prefix>d/</Prefix>{inner}</ListBucketResult>"
        )
    }

    #[test]
    fn an_object_is_read_with_its_facts() {
        let cold = ONE.replace("STANDARD", "GLACIER").replace("d/a&amp;b", "d/c").replace(".000Z", "Z");
        let folder = "<Contents><Key>d/</Key><Size>0</Size></Contents>";
        let xml = page(&format!("{folder}{ONE}\n{cold}<IsTruncated>false</IsTruncated>"));
        let answer = parse(xml.as_bytes(), &base("d/")).expect("an answer");
        let entries = answer.objects.to_entries();
        let names: Vec<&str> = entries.iter().map(|e| &*e.name).collect();
        assert_eq!(names, ["./", "a&b", "c"]);
        assert_eq!(entries[0].location(&base("d/")), base("d/"));
        assert_eq!((entries[1].size, entries[1].etag.as_deref(), &entries[1].more), (Some(7), Some("\"0c\""), &None));
        assert_eq!(entries[1].modified.map(|t| t.to_rfc3339()), Some("2024-04-03T08:05:24+00:00".to_owned()));
        assert_eq!(entries[2].modified, entries[1].modified);
        let class = entries[2].more.as_ref().and_then(|m| m.storage_class.as_deref());
        assert_eq!((class, answer.next), (Some("GLACIER"), None));
    }

    #[test]
    fn keys_are_decoded_where_the_answer_says_so_wherever_it_says_it() {
        let inner = "<CommonPrefixes><Prefix>a%2Bb/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>c+d/</Prefix>\
                     </CommonPrefixes><Contents><Key>%01%0A%25+%C3%BC</Key></Contents>";
        let plain = parse(page(inner).as_bytes(), &base("")).expect("an answer");
        assert_eq!(plain.prefixes, ["a%2Bb/", "c+d/"]);
        for xml in [
            page(&format!("{inner}<EncodingType>url</EncodingType>")),
            page(&format!("<EncodingType>url</EncodingType>{inner}")),
        ] {
            let answer = parse(xml.as_bytes(), &base("")).expect("an answer");
            assert_eq!(answer.prefixes, ["a+b/", "c d/"]);
            assert_eq!(answer.objects.row(0).name(), "\u{1}\n% ü");
        }
    }

    #[test]
    fn the_token_is_found_at_the_beginning_and_at_the_end() {
        let token = "<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b==</NextContinuationToken>";
        let (first, last) = (page(&format!("{token}{ONE}")), page(&format!("{ONE}{token}")));
        for xml in [&first, &last] {
            assert_eq!(parse(xml.as_bytes(), &base("d/")).expect("an answer").next.as_deref(), Some("a&b=="));
        }
        assert_eq!(early_token(first.as_bytes()), Ok(Some("a&b==".to_owned())));
        assert_eq!(early_token(&first.as_bytes()[..150]), Ok(None), "not yet");
        assert_eq!(early_token(last.as_bytes()), Err(()));
        assert!(parse(page("<IsTruncated>true</IsTruncated>").as_bytes(), &base("")).is_err());
    }

    #[test]
    fn what_broke_off_anywhere_is_never_taken_for_a_whole_answer() {
        let xml = page(&format!("{ONE}<IsTruncated>false</IsTruncated>"));
        for end in 0..xml.len() {
            assert!(parse(&xml.as_bytes()[..end], &base("")).is_err(), "cut after {}", &xml[..end]);
        }
        let other = parse(b"<?xml version=\"1.0\"?><Error><Code>SlowDown</Code></Error>", &base(""));
        assert_eq!(other.map(drop), Err(Flaw::Other("Error".to_owned())));
        assert!(matches!(parse(b"<!DOCTYPE html><html><body>hi", &base("")), Err(Flaw::Other(_))));
        assert!(parse(b"hello", &base("")).is_err());
    }

    #[test]
    fn times_are_read_as_chrono_reads_them() {
        for text in ["2024-02-29T23:59:59.999Z", "1970-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z"] {
            let expected = DateTime::parse_from_rfc3339(text).expect(text).timestamp_millis();
            assert_eq!(instant(text), Some(expected), "{text}");
        }
        for text in
            ["2024-02-29T23:59:59Z", "", "2024-02-29T23:59:59+02:00x", "2024-13-29T23:59:59.999Z", "üüüüüüüüüüüü"]
        {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_sent_makes_it_fail_otherwise(bytes in proptest::collection::vec(0_u8.., 0..400)) {
            let mut xml = page(ONE).into_bytes();
            let at = bytes.len() * 7 % xml.len();
            xml.splice(at..at, bytes);
            let _ = parse(&xml, &base("d/"));
            let _ = early_token(&xml);
        }
    }
}
