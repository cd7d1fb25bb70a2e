//! Where records of delimited text end, without reading their fields.

use crate::table::text::Split;
use memchr::{memchr, memchr3};

/// Finds the ends of records as [`super::Records`] reads them: a line end outside of quotes; a quote opens at the
/// start of a field only; blank lines are none.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    delimiter: u8,
    quoted: bool,
    /// A quote within quotes was the last byte: it closes, or is doubled.
    closing: bool,
    /// The byte before.
    before: u8,
    /// Whether the record has begun.
    begun: bool,
}

impl Ends {
    /// From the start of a record on.
    pub(crate) fn new(delimiter: u8) -> Self {
        Self { delimiter, quoted: false, closing: false, before: b'\n', begun: false }
    }

    /// Whether a quote opens behind this byte.
    fn opens_behind(&self, before: u8) -> bool {
        before == self.delimiter || before == b'\n' || before == b'\r'
    }
}

impl Split for Ends {
    fn feed(&mut self, text: &[u8]) -> (u64, Option<usize>) {
        let (mut records, mut end) = (0, None);
        let mut at = 0;
        while at < text.len() {
            if self.closing {
                self.closing = false;
                if text[at] == b'"' {
                    at += 1;
                    continue;
                }
                self.quoted = false;
                self.before = b'"';
            }
            if self.quoted {
                match memchr(b'"', &text[at..]) {
                    Some(found) => {
                        at += found + 1;
                        self.closing = true;
                    }
                    None => at = text.len(),
                }
                continue;
            }
            let Some(found) = memchr3(b'\n', b'\r', b'"', &text[at..]) else {
                self.begun = true;
                self.before = text[text.len() - 1];
                break;
            };
            if found > 0 {
                self.begun = true;
                self.before = text[at + found - 1];
            }
            at += found + 1;
            let byte = text[at - 1];
            if byte == b'"' {
                self.quoted = self.opens_behind(self.before);
                self.begun = true;
            } else if self.begun {
                records += 1;
                end = Some(at);
                self.begun = false;
            }
            self.before = byte;
        }
        (records, end)
    }

    fn finish(&mut self) -> bool {
        std::mem::take(&mut self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Records;
    use super::*;
    use proptest::prelude::*;

    fn counted(text: &[u8], step: usize) -> (u64, Option<usize>) {
        let mut ends = Ends::new(b',');
        let (mut all, mut last, mut at) = (0, None, 0);
        for piece in text.chunks(step) {
            let (records, end) = ends.feed(piece);
            all += records;
            last = end.map(|end| at + end).or(last);
            at += piece.len();
        }
        (all + u64::from(ends.finish()), last)
    }

    fn read(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut out = Vec::new();
        let mut records = Records::new(b',');
        let mut each = |r: super::super::Record<'_>| {
            out.push(r.iter().map(<[u8]>::to_vec).collect());
            Ok(true)
        };
        records.feed(text, &mut each).expect("feed");
        records.finish(&mut each).expect("finish");
        out
    }

    #[test]
    fn ends_are_where_records_end() {
        assert_eq!(counted(b"a,b\n1,2\n", 100), (2, Some(8)));
        assert_eq!(counted(b"a,\"x\ny\"\n1,2", 100), (2, Some(8)));
        assert_eq!(counted(b"a,5\" pipe\n1,\"he said \"\"no\"\"\n\"\n", 100), (2, Some(30)));
        assert_eq!(counted(b"\n\na\r\n\r\nb", 100), (2, Some(4)));
    }

    proptest! {
        #[test]
        fn as_many_as_are_read_and_cut_where_one_can_read_on(text in "[a,\"\r\n]{0,40}", step in 1_usize..9) {
            let text = text.as_bytes();
            let all = read(text);
            let (count, end) = counted(text, step);
            prop_assert_eq!(count, all.len() as u64);
            if let Some(end) = end {
                let (head, tail) = text.split_at(end);
                prop_assert_eq!([read(head), read(tail)].concat(), all);
            }
        }
    }
}
