//! Answers to several ranges: `multipart/byteranges` (RFC 9110, 14.6).

use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// The headers of a part take at most so much, with their boundary.
pub(super) const MOST_HEADER: u64 = 2048;

/// The boundary that a content type names.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/byteranges") {
        return None;
    }
    let (_, value) = parameters
        .split(';')
        .filter_map(|p| p.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    let value = value.trim().trim_matches('"');
    (!value.is_empty()).then(|| value.to_owned())
}

/// The bytes of `ranges`, one after the other, out of the parts of `body`: servers may send them in another
/// order, and neighbours as one.
pub(super) fn assemble(body: &Bytes, boundary: &str, ranges: &[Range<u64>]) -> Option<Bytes> {
    let parts = parts(body, boundary)?;
    let mut out = BytesMut::with_capacity(ranges.iter().map(|r| (r.end - r.start) as usize).sum());
    for range in ranges {
        let (start, bytes) = parts
            .iter()
            .find(|(start, bytes)| *start <= range.start && range.end <= start.saturating_add(bytes.len() as u64))?;
        out.extend_from_slice(&bytes[(range.start - start) as usize..(range.end - start) as usize]);
    }
    Some(out.freeze())
}

/// The parts: where each starts in the object, and its bytes.
fn parts(body: &Bytes, boundary: &str) -> Option<Vec<(u64, Bytes)>> {
    let delimiter = format!("--{boundary}");
    let mut out = Vec::new();
    let mut at = memchr::memmem::find(body, delimiter.as_bytes())? + delimiter.len();
    loop {
        if body[at..].starts_with(b"--") {
            return Some(out);
        }
        let length = memchr::memmem::find(&body[at..], b"\r\n\r\n")?;
        let range = content_range(std::str::from_utf8(&body[at..at + length]).ok()?)?;
        let start = at + length + 4;
        let end = start.checked_add(usize::try_from(range.end.checked_sub(range.start)?).ok()?)?;
        if end > body.len() {
            return None;
        }
        out.push((range.start, body.slice(start..end)));
        // The bytes may hold anything: what follows is looked for behind them.
        at = end + memchr::memmem::find(&body[end..], delimiter.as_bytes())? + delimiter.len();
    }
}

fn content_range(headers: &str) -> Option<Range<u64>> {
    let lines = headers.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("content-range"))?;
    let (range, _) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    Some(start.parse().ok()?..end.parse::<u64>().ok()?.checked_add(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_into_the_order_that_was_asked_for() {
        let kind = "multipart/byteranges; boundary=\"0x1\"";
        let boundary = boundary(kind).expect("a boundary");
        let body = "\r\n--0x1\r\nContent-Type: a/b\r\nContent-Range: bytes 10-14/99\r\n\r\n--0x1\r\n--0x1\r\n\
                    content-range: bytes 0-3/99\r\n\r\nabcd\r\n--0x1--\r\n";
        let body = Bytes::from(body);
        assert_eq!(assemble(&body, &boundary, &[0..2, 3..4, 10..15]).as_deref(), Some(&b"abd--0x1"[..]));
        assert_eq!(assemble(&body, &boundary, std::slice::from_ref(&(4..6))), None);
        for length in 0..body.len() - 4 {
            assert_eq!(
                assemble(&body.slice(..length), &boundary, std::slice::from_ref(&(0..4))),
                None,
                "cut at {length}"
            );
        }
        assert_eq!(super::boundary("multipart/mixed; boundary=x"), None);
        assert_eq!(super::boundary("application/octet-stream"), None);
    }
}
