//! The first entries of a dictionary out of the first bytes of its page, and which entries a page of data asks
//! for: the first rows of a column with many distinct values need 50 entries of its dictionary, not the MiB
//! that writers let it grow to.

use super::header::{Header, Kind};
use ::parquet::basic::{Compression, Type};
use ::parquet::column::page::Page;
use bytes::Bytes;

/// Whether the beginning of a page packed so can be unpacked alone.
pub(super) fn is_streamed(codec: Compression) -> bool {
    matches!(codec, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) | Compression::ZSTD(_))
}

/// What the first bytes of a packed page unpack to, at most `most` bytes.
fn unpacked(packed: &[u8], codec: Compression, most: usize) -> Option<Vec<u8>> {
    match codec {
        Compression::UNCOMPRESSED => Some(packed[..packed.len().min(most)].to_vec()),
        Compression::SNAPPY => snappy(packed, most),
        Compression::GZIP(_) => Some(until_end(flate2::read::MultiGzDecoder::new(packed), most)),
        Compression::ZSTD(_) => Some(until_end(zstd::stream::read::Decoder::new(packed).ok()?, most)),
        _ => None,
    }
}

/// What can be read before the end of the input makes it fail.
fn until_end(mut from: impl std::io::Read, most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut buffer = [0; 4096];
    while out.len() < most {
        match from.read(&mut buffer) {
            Ok(n @ 1..) => out.extend_from_slice(&buffer[..n]),
            Ok(0) | Err(_) => break,
        }
    }
    out.truncate(most);
    out
}

/// The beginning of a raw Snappy block.
/// <https://github.com/google/snappy/blob/main/format_description.txt>
fn snappy(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    let header = packed.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let mut out = Vec::new();
    let mut at = header;
    while let Some(&tag) = packed.get(at).filter(|_| out.len() < most) {
        at += 1;
        let little = |n: usize| -> Option<usize> {
            let bytes = packed.get(at..at + n)?;
            Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
        };
        let (length, offset, extra) = match tag & 3 {
            0 => {
                let (length, extra) = match tag >> 2 {
                    short @ 0..=59 => (usize::from(short), 0),
                    long => {
                        let extra = usize::from(long) - 59;
                        let Some(length) = little(extra) else { break };
                        (length, extra)
                    }
                };
                let start = at + extra;
                let end = start.saturating_add(length).saturating_add(1).min(packed.len());
                out.extend_from_slice(packed.get(start..end)?);
                at = end;
                continue;
            }
            1 => {
                let Some(low) = little(1) else { break };
                (usize::from(tag >> 2 & 7) + 4, usize::from(tag >> 5) << 8 | low, 1)
            }
            2 => {
                let Some(offset) = little(2) else { break };
                (usize::from(tag >> 2) + 1, offset, 2)
            }
            _ => {
                let Some(offset) = little(4) else { break };
                (usize::from(tag >> 2) + 1, offset, 4)
            }
        };
        at += extra;
        let start = out.len().checked_sub(offset).filter(|_| offset > 0)?;
        for i in 0..length {
            out.push(out[start + i]);
        }
    }
    out.truncate(most);
    Some(out)
}

/// The first `entries` entries of the dictionary page that `bytes` begin with; `None` where they are too few for
/// that, or packed in a way that does not allow it.
pub(super) fn dictionary(bytes: &Bytes, entries: u64, codec: Compression, kind: Type, width: usize) -> Option<Page> {
    let header = Header::parse(bytes)?;
    if header.kind != Kind::Dictionary || !matches!(header.encoding, 0 | 2) {
        return None;
    }
    let entries = usize::try_from(entries.min(header.values)).ok()?;
    let most = usize::try_from(header.unpacked).ok()?;
    let packed = bytes.slice(header.length as usize..bytes.len().min(header.whole() as usize));
    let most = most.min(packed.len().saturating_mul(64));
    let values = unpacked(&packed, codec, most)?;
    let end = extent(&values, entries, kind, width)?;
    Some(Page::DictionaryPage {
        buf: Bytes::from(values).slice(..end),
        num_values: entries as u32,
        encoding: ::parquet::basic::Encoding::PLAIN,
        is_sorted: header.sorted,
    })
}

/// Bytes of the first `entries` plain values.
fn extent(values: &[u8], entries: usize, kind: Type, width: usize) -> Option<usize> {
    let width = match kind {
        Type::BOOLEAN => return None,
        Type::INT32 | Type::FLOAT => 4,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        Type::FIXED_LEN_BYTE_ARRAY => width,
        Type::BYTE_ARRAY => {
            let mut at = 0_usize;
            for _ in 0..entries {
                let length = values.get(at..at.checked_add(4)?)?;
                let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
                at = at.checked_add(4)?.checked_add(length).filter(|end| *end <= values.len())?;
            }
            return Some(at);
        }
    };
    entries.checked_mul(width).filter(|end| *end <= values.len())
}

/// How many entries of its dictionary the values of rows `rows` of a page ask for at most. Only for columns
/// without lists. `None` where that cannot be told.
pub(super) fn entries_needed(page: &Page, rows: &std::ops::Range<u64>, nullable: bool) -> Option<u64> {
    let values = match page {
        Page::DataPage { buf, def_level_encoding, .. } if nullable => {
            if *def_level_encoding != ::parquet::basic::Encoding::RLE {
                return None;
            }
            let length = u32::from_le_bytes(buf.get(..4)?.try_into().ok()?) as usize;
            buf.get(length.checked_add(4)?..)?
        }
        Page::DataPage { buf, .. } => buf,
        Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
            buf.get((*def_levels_byte_len as usize).checked_add(*rep_levels_byte_len as usize)?..)?
        }
        Page::DictionaryPage { .. } => return None,
    };
    // Which values belong to a row depends on the nulls before: then all up to the last row are asked.
    let from = if nullable { 0 } else { rows.start };
    needed_by_hybrid(values, usize::try_from(from).ok()?, usize::try_from(rows.end).ok()?)
}

/// One more than the largest of the values `from..to` of a run of places: a byte with their width in bits, then
/// Parquet's hybrid of runs and bit-packed groups.
/// <https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE>
fn needed_by_hybrid(bytes: &[u8], from: usize, to: usize) -> Option<u64> {
    let Some((&width, bytes)) = bytes.split_first() else { return Some(0) };
    let width = usize::from(width);
    if width > 32 {
        return None;
    }
    let (mut at, mut seen, mut most) = (0_usize, 0_usize, 0_u64);
    while seen < to && at < bytes.len() {
        let mut head = 0_u64;
        let mut shift = 0;
        loop {
            let byte = *bytes.get(at)?;
            at += 1;
            head |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
            if shift > 56 {
                return None;
            }
        }
        let length = usize::try_from(head >> 1).ok()?;
        if head & 1 == 0 {
            let size = width.div_ceil(8);
            let value = bytes.get(at..at + size)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
            at += size;
            let end = seen.saturating_add(length);
            if end > from && length > 0 {
                most = most.max(value + 1);
            }
            seen = end;
        } else {
            let count = length.checked_mul(8)?;
            let packed = bytes.get(at..)?;
            let there = (packed.len() * 8).checked_div(width).map_or(count, |there| count.min(there));
            for i in from.saturating_sub(seen)..there.min(to - seen) {
                most = most.max(bits(packed, i * width, width) + 1);
            }
            at = at.checked_add(length.checked_mul(width)?)?;
            seen = seen.saturating_add(count);
        }
    }
    Some(most)
}

/// `width` bits from bit `start` on, least significant first.
fn bits(bytes: &[u8], start: usize, width: usize) -> u64 {
    let mut value = 0_u64;
    for i in 0..=4 {
        let byte = bytes.get(start / 8 + i).copied().unwrap_or(0);
        value |= u64::from(byte) << (8 * i);
    }
    (value >> (start % 8)) & ((1_u64 << width) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_snappy_block_is_unpacked() {
        // "abcdabcdabcd!": a literal, a copy, a literal.
        let packed = [13, 3 << 2, b'a', b'b', b'c', b'd', (4 << 2) | 1, 4, 0, b'!'];
        assert_eq!(snappy(&packed, 100).as_deref(), Some(&b"abcdabcdabcd!"[..]));
        for cut in 1..packed.len() {
            let part = snappy(&packed[..cut], 100).expect("a beginning");
            assert!(b"abcdabcdabcd!".starts_with(&part), "cut at {cut}");
        }
        assert_eq!(snappy(&[13, (4 << 2) | 1, 4], 100), None, "a copy of nothing");
        assert_eq!(snappy(&packed, 5).as_deref(), Some(&b"abcda"[..]));
    }

    #[test]
    fn the_entries_asked_for_are_found_in_runs_and_groups() {
        // Width 3: a run of four 5s, then a group of 0..8.
        let group = [0b1000_1000, 0b1100_0110, 0b1111_1010];
        let bytes = [&[3_u8, 4 << 1, 5, 1 << 1 | 1][..], &group].concat();
        assert_eq!(needed_by_hybrid(&bytes, 0, 4), Some(6));
        assert_eq!(needed_by_hybrid(&bytes, 4, 6), Some(2));
        assert_eq!(needed_by_hybrid(&bytes, 4, 12), Some(8));
        assert_eq!(needed_by_hybrid(&[0, 20 << 1], 0, 20), Some(1), "a single entry takes no bits");
        assert_eq!(needed_by_hybrid(&[], 0, 4), Some(0));
        assert_eq!(needed_by_hybrid(&[3, 0x80], 0, 4), None);
    }
}
