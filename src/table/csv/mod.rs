//! Delimited text: how it is written is found by looking at it ([`inspect`]), its records are read from
//! pieces as they arrive ([`Records`]), its fields become typed columns ([`Columns`]). As an open table: [`open_csv`].

mod columns;
mod form;
mod kind;
mod sniff;
mod split;
mod unpack;

pub(crate) use columns::{Columns, Misfit};
pub(crate) use form::{is_named, open_csv};
pub(crate) use kind::{Guess, Kind, Missing, float, int, is_lossy};
pub(crate) use sniff::{Hints, Layout, delimiter_name, inspect, parse_delimiter};
pub(crate) use split::Ends;
pub(crate) use unpack::Unpack;

use crate::table::text::windows_1252;

use crate::error::{Error, Result};

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
    /// Line ends before records, which the reader was not given.
    blank: u64,
    at_start: bool,
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
            blank: 0,
            at_start: true,
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
            // The rest of the line end before, and blank lines: taken off here so that lines are counted right.
            while self.at_start
                && let [first @ (b'\r' | b'\n'), rest @ ..] = input
            {
                self.blank += u64::from(*first == b'\n');
                input = rest;
            }
            if input.is_empty() && !last {
                return Ok(true);
            }
            if self.at_start {
                self.line = self.reader.line() + self.blank;
                self.at_start = false;
            }
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
                    self.at_start = true;
                    if !go_on {
                        return Ok(false);
                    }
                }
            }
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
        assert_eq!(whole.iter().map(|r| r.0).collect::<Vec<_>>(), [1, 4, 5], "lines, not records");
        for cut in 0..text.len() {
            assert_eq!(records(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
        let bytes: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(records(&bytes.iter().map(String::as_str).collect::<Vec<_>>()), whole);
    }
}
