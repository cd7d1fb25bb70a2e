//! How characters are written: UTF-8, UTF-16, or a byte each as Windows writes Western Europe's.

use std::io::Read;

/// Bytes of UTF-16 turned over in one go.
const PIECE: usize = 64 << 10;
/// The characters of Windows-1252 that are not those of Latin-1, from 0x80 on (WHATWG's table; bytes without a
/// character stay what they are).
const EIGHTIES: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// UTF-8, also plain ASCII.
    Utf8,
    /// Two bytes a unit, the low one first.
    Utf16Le,
    /// Two bytes a unit, the high one first.
    Utf16Be,
    /// A byte a character: Latin-1, and what Windows puts beside it.
    Windows1252,
}

impl Encoding {
    /// What the start of a text tells.
    pub(crate) fn of(sample: &[u8]) -> Self {
        match sample {
            [0xff, 0xfe, ..] => return Self::Utf16Le,
            [0xfe, 0xff, ..] => return Self::Utf16Be,
            _ => {}
        }
        // Without a mark: every other byte of ASCII in UTF-16 is zero.
        let start = &sample[..sample.len().min(4096) & !1];
        let zeros = |at: usize| start.iter().skip(at).step_by(2).filter(|b| **b == 0).count();
        let (even, odd, half) = (zeros(0), zeros(1), start.len() / 2);
        if half > 0 && odd * 10 > half * 7 && even * 10 < half {
            return Self::Utf16Le;
        }
        if half > 0 && even * 10 > half * 7 && odd * 10 < half {
            return Self::Utf16Be;
        }
        match std::str::from_utf8(sample) {
            Err(err) if err.error_len().is_some() => Self::Windows1252,
            _ => Self::Utf8,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le | Self::Utf16Be => "UTF-16",
            Self::Windows1252 => "Windows-1252",
        }
    }

    /// Bytes in the object that this piece of text (in UTF-8 by now) takes.
    pub(super) fn stored(self, text: &[u8]) -> u64 {
        match self {
            Self::Utf8 | Self::Windows1252 => text.len() as u64,
            // A unit for each character, two for those of four bytes.
            Self::Utf16Le | Self::Utf16Be => {
                2 * text.iter().map(|b| u64::from(*b & 0xc0 != 0x80) + u64::from(*b >= 0xf0)).sum::<u64>()
            }
        }
    }

    /// The text that `reader` reads, in UTF-8 where it is UTF-16.
    pub(super) fn decoded(self, reader: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        match self {
            Self::Utf8 | Self::Windows1252 => reader,
            Self::Utf16Le | Self::Utf16Be => {
                Box::new(Utf16 { reader, big: self == Self::Utf16Be, rest: Vec::new(), out: Vec::new(), at: 0 })
            }
        }
    }
}

/// Text whose bytes are characters of Windows-1252: every byte is one.
pub(crate) fn windows_1252(bytes: &[u8]) -> String {
    let character = |b: &u8| match b {
        0x80..=0x9f => EIGHTIES[usize::from(*b - 0x80)],
        other => char::from(*other),
    };
    bytes.iter().map(character).collect()
}

/// UTF-16 read as UTF-8. A half of a pair without the other becomes U+FFFD.
struct Utf16 {
    reader: Box<dyn Read + Send>,
    big: bool,
    /// Bytes of a unit, or a unit of a pair, of which the rest is to come.
    rest: Vec<u8>,
    out: Vec<u8>,
    at: usize,
}

impl Utf16 {
    fn fill(&mut self) -> std::io::Result<()> {
        let mut bytes = std::mem::take(&mut self.rest);
        let had = bytes.len();
        bytes.resize(had + PIECE, 0);
        let read = match self.reader.read(&mut bytes[had..]) {
            Ok(read) => read,
            Err(err) => {
                bytes.truncate(had);
                self.rest = bytes;
                return Err(err);
            }
        };
        bytes.truncate(had + read);
        self.out.clear();
        self.at = 0;
        let unit = |pair: &[u8]| {
            let pair = [pair[0], pair[1]];
            if self.big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        };
        let mut whole = bytes.len() & !1;
        // The first half of a pair waits for the second.
        if read > 0 && whole >= 2 && (0xd800..0xdc00).contains(&unit(&bytes[whole - 2..])) {
            whole -= 2;
        }
        let mut utf8 = [0; 4];
        for one in char::decode_utf16(bytes[..whole].chunks_exact(2).map(unit)) {
            let one = one.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.out.extend_from_slice(one.encode_utf8(&mut utf8).as_bytes());
        }
        if read > 0 {
            self.rest = bytes.split_off(whole);
        } else if bytes.len() % 2 == 1 {
            self.out.extend_from_slice("\u{fffd}".as_bytes());
        }
        if self.out.is_empty() && read > 0 { self.fill() } else { Ok(()) }
    }
}

impl Read for Utf16 {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.out.len() {
            self.fill()?;
        }
        let n = buf.len().min(self.out.len() - self.at);
        buf[..n].copy_from_slice(&self.out[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
    }

    #[test]
    fn encodings_are_told_by_the_first_bytes() {
        assert_eq!(Encoding::of("a,b\n1,ä\n".as_bytes()), Encoding::Utf8);
        assert_eq!(Encoding::of(&"a,ä".as_bytes()[..3]), Encoding::Utf8, "a character that is cut");
        assert_eq!(Encoding::of(b"a,b\n1,\xe4\n"), Encoding::Windows1252);
        assert_eq!(Encoding::of(&utf16("\u{feff}a,b\n", false)), Encoding::Utf16Le);
        assert_eq!(Encoding::of(&utf16("name,depth\nlake,2\n", false)), Encoding::Utf16Le);
        assert_eq!(Encoding::of(&utf16("name,depth\nlake,2\n", true)), Encoding::Utf16Be);
        assert_eq!(Encoding::of(b""), Encoding::Utf8);
        assert_eq!(windows_1252(b"5 \x80 \xe4\x81"), "5 € ä\u{81}");
    }

    #[test]
    fn utf16_comes_out_whole_in_any_pieces() {
        struct Drip(Vec<u8>, usize);
        impl Read for Drip {
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                let n = self.1.min(self.0.len()).min(buf.len());
                buf[..n].copy_from_slice(&self.0[..n]);
                self.0.drain(..n);
                Ok(n)
            }
        }
        let text = "Łódź, 𝄞 and 海\n".repeat(50);
        for big in [false, true] {
            for step in [1, 2, 3, 5, 1000] {
                let encoding = if big { Encoding::Utf16Be } else { Encoding::Utf16Le };
                let mut out = String::new();
                let mut reader = encoding.decoded(Box::new(Drip(utf16(&text, big), step)));
                reader.read_to_string(&mut out).expect("text");
                assert_eq!(out, text);
                assert_eq!(encoding.stored(out.as_bytes()), utf16(&text, big).len() as u64);
            }
        }
    }
}
