//! Delimited text: how it is written is found by looking at it ([`inspect`]), its records are read from
//! pieces as they arrive ([`Records`]), its fields become typed columns ([`Columns`]).

mod columns;
mod kind;
mod sniff;

pub(crate) use columns::{Columns, Misfit};
pub(crate) use kind::{Guess, Kind, Missing};
pub(crate) use sniff::{Dialect, Hints, Layout, delimiter_name, inspect, parse_delimiter};

use crate::error::{Error, Result};
use bytes::Bytes;
use std::io::Read as _;

/// A record larger than this is an opened quote that never closes.
const MOST_RECORD: usize = 64 << 20;

/// Splits pieces of text into records as RFC 4180 writes them: quoted fields may hold delimiters,
/// doubled quotes and line ends. Blank lines are skipped. Any line end will do.
pub(crate) struct Records {
    reader: csv_core::Reader,
    out: Vec<u8>,
    ends: Vec<usize>,
    written: usize,
    fields: usize,
    line: u64,
}

/// A record, its quotes taken off.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    bytes: &'a [u8],
    ends: &'a [usize],
    /// The line it starts on, from 1.
    pub(crate) line: u64,
}

impl<'a> Record<'a> {
    /// Number of fields.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The field at `index`.
    pub(crate) fn get(&self, index: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? };
        self.bytes.get(start..end)
    }

    /// The fields.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (bytes, ends) = (self.bytes, self.ends);
        let mut start = 0;
        ends.iter().map(move |&end| {
            let field = bytes.get(start..end).unwrap_or_default();
            start = end;
            field
        })
    }
}

impl Records {
    /// For fields separated by `delimiter`.
    pub(crate) fn new(delimiter: u8) -> Self {
        Self {
            reader: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            out: vec![0; 4096],
            ends: vec![0; 64],
            written: 0,
            fields: 0,
            line: 1,
        }
    }

    /// Gives every record that is complete with `input` to `each`; `false` from it stops there.
    pub(crate) fn feed(&mut self, input: &[u8], each: impl FnMut(Record<'_>) -> Result<bool>) -> Result<bool> {
        if input.is_empty() {
            return Ok(true);
        }
        self.run(input, each)
    }

    /// Gives a last record without a line end to `each`.
    pub(crate) fn finish(&mut self, each: impl FnMut(Record<'_>) -> Result<bool>) -> Result<bool> {
        self.run(&[], each)
    }

    fn run(&mut self, mut input: &[u8], mut each: impl FnMut(Record<'_>) -> Result<bool>) -> Result<bool> {
        use csv_core::ReadRecordResult as R;
        let last = input.is_empty();
        loop {
            let (result, read, written, fields) =
                self.reader.read_record(input, &mut self.out[self.written..], &mut self.ends[self.fields..]);
            input = &input[read..];
            self.written += written;
            self.fields += fields;
            match result {
                R::InputEmpty if last => {}
                R::InputEmpty | R::End => return Ok(true),
                R::OutputFull if self.out.len() >= MOST_RECORD => {
                    return Err(Error::invalid(format!(
                        "a field that starts near line {} does not end: a quote is not closed",
                        self.line
                    )));
                }
                R::OutputFull => self.out.resize(self.out.len() * 2, 0),
                R::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                R::Record => {
                    let record =
                        Record { bytes: &self.out[..self.written], ends: &self.ends[..self.fields], line: self.line };
                    let go_on = each(record)?;
                    self.written = 0;
                    self.fields = 0;
                    self.line = self.reader.line();
                    if !go_on {
                        return Ok(false);
                    }
                }
            }
            if input.is_empty() && !last {
                return Ok(true);
            }
        }
    }
}

/// Whether bytes start as gzip does.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// What the first bytes of a gzip file unpack to, at most `most` bytes, and whether that is all of it.
pub(crate) fn gunzip_prefix(bytes: &[u8], complete: bool, most: usize) -> Result<(Bytes, bool)> {
    let mut decoder = flate2::read::MultiGzDecoder::new(bytes);
    let mut out = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match decoder.read(&mut piece) {
            Ok(0) => return Ok((out.into(), true)),
            Ok(n) => out.extend_from_slice(&piece[..n]),
            // The end of what was read of the file is not the end of the file.
            Err(err) if err.kind() == std::io::ErrorKind::UnexpectedEof && !complete => return Ok((out.into(), false)),
            Err(err) => return Err(Error::invalid(format!("not valid gzip: {err}")).with_source(err)),
        }
        if out.len() >= most {
            return Ok((out.into(), false));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(pieces: &[&str]) -> Vec<(u64, Vec<String>)> {
        let mut out = Vec::new();
        let mut each = |r: Record<'_>| {
            out.push((r.line, r.iter().map(|f| String::from_utf8_lossy(f).into_owned()).collect()));
            Ok(true)
        };
        let mut reader = Records::new(b',');
        for piece in pieces {
            reader.feed(piece.as_bytes(), &mut each).expect("feed");
        }
        reader.finish(&mut each).expect("finish");
        out
    }

    #[test]
    fn records_survive_any_cut() {
        let text = "a,\"b, \"\"c\"\"\nd\",e\r\n\n1,2,3\nlast,,";
        let whole = records(&[text]);
        assert_eq!(whole[0], (1, vec!["a".into(), "b, \"c\"\nd".into(), "e".into()]));
        assert_eq!(whole[2].1, ["last", "", ""]);
        for cut in 0..text.len() {
            assert_eq!(records(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
        let bytes: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(records(&bytes.iter().map(String::as_str).collect::<Vec<_>>()), whole);
    }

    #[test]
    fn a_gzip_prefix_unpacks_as_far_as_it_goes() {
        use std::io::Write as _;
        let text: String = (0..20_000).map(|i| format!("{i},{}\n", i * 7919 % 10_007)).collect();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).expect("write");
        let packed = encoder.finish().expect("finish");
        let (whole, complete) = gunzip_prefix(&packed, true, usize::MAX).expect("whole");
        assert!(complete && whole == text.as_bytes());
        let (part, complete) = gunzip_prefix(&packed[..packed.len() / 2], false, usize::MAX).expect("part");
        assert!(!complete && part.len() > 1000 && text.as_bytes().starts_with(&part));
        assert!(gunzip_prefix(&packed[..packed.len() / 2], true, usize::MAX).is_err(), "a truncated file is named");
    }
}
