//! What terminals answer: the queries sent at the start, and a pure parser that tells answers
//! from typed keys in the bytes that come back.

/// Which queries a terminal is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Only what every terminal since the VT100 parses: the position of the cursor, DA1, DSR.
    Plain,
    /// All but what is said of sixels: kitty has none, and writes an error to its log for the question.
    NoSixels,
    /// All of it. The sequences are ignored by those that do not know them.
    All,
}

/// The batch of queries. It ends in `CSI 5 n`, which every terminal answers, so that silence
/// about the others is known as soon as that answer is there. DECRQM stands just before DA1:
/// crossterm's parser, should it get these answers too late, takes the first for a part of the
/// second and drops both, instead of keeping what is typed next.
pub(super) fn queries(ask: Ask) -> Vec<u8> {
    let mut out = Vec::new();
    // A letter of two bytes: after it the cursor is in column 2 with UTF-8, in column 3 without.
    out.extend_from_slice("\ré\x1b[6n\r\x1b[K".as_bytes());
    if ask != Ask::Plain {
        // XTVERSION; kitty graphics; 24-bit colour through DECRQSS; cell size; sixel colours; mode 2026
        out.extend_from_slice(b"\x1b[>0q");
        out.extend_from_slice(b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\");
        out.extend_from_slice(b"\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m");
        out.extend_from_slice(b"\x1b[16t");
        if ask == Ask::All {
            out.extend_from_slice(b"\x1b[?1;1;0S");
        }
        out.extend_from_slice(b"\x1b[?2026$p");
    }
    out.extend_from_slice(b"\x1b[c\x1b[5n");
    out
}

/// What was answered so far. `None`: nothing about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Replies {
    /// DSR: all answers are in.
    pub(super) done: bool,
    /// DA1 came; whether attribute 4 (sixel) was in it.
    pub(super) sixel: Option<bool>,
    /// Colours that sixel pictures may have.
    pub(super) sixel_colours: Option<u16>,
    /// Whether kitty's graphics query said OK.
    pub(super) kitty: Option<bool>,
    /// Width and height of a cell in pixels.
    pub(super) cell_pixels: Option<(u16, u16)>,
    /// Mode 2026: whether it is known (set or reset).
    pub(super) sync_output: Option<bool>,
    /// Whether a 24-bit colour was kept as one.
    pub(super) true_colour: Option<bool>,
    /// XTVERSION: name and version.
    pub(super) name: Option<String>,
    /// Column of the cursor after a two-byte letter.
    pub(super) column: Option<u16>,
}

/// Bytes from a terminal, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    /// The answers.
    pub(super) replies: Replies,
    /// What was typed in between, in order.
    pub(super) typed: Vec<u8>,
    /// Start of an answer or a key whose end has not come.
    pub(super) unfinished: Vec<u8>,
}

/// Takes answers and typed bytes apart. Give it all bytes so far: it keeps no state.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let mut out = Parsed::default();
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        if first != 0x1b {
            out.typed.push(first);
            rest = tail;
            continue;
        }
        let Some(length) = sequence(rest) else {
            out.unfinished = rest.to_vec();
            break;
        };
        let (one, after) = rest.split_at(length);
        if !out.replies.take(one) {
            out.typed.extend_from_slice(one);
        }
        rest = after;
    }
    out
}

/// Length of the control sequence or control string that starts here; `None` if it has no end yet.
fn sequence(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'[' => bytes.iter().skip(2).position(|b| (0x40..=0x7e).contains(b)).map(|at| at + 3),
        // DCS, APC, OSC: up to ST, or BEL for OSC. An ESC that does not begin ST ends them too.
        b'P' | b'_' | b']' => {
            let at = bytes.iter().skip(2).position(|&b| b == 0x1b || b == 0x07)? + 2;
            if bytes[at] == 0x07 {
                return Some(at + 1);
            }
            match bytes.get(at + 1)? {
                b'\\' => Some(at + 2),
                _ => Some(at),
            }
        }
        b'O' => bytes.get(2).map(|_| 3),
        0x1b => Some(1),
        _ => Some(2),
    }
}

impl Replies {
    /// Takes one whole sequence if it is an answer; `false` if it is something typed.
    pub(super) fn take(&mut self, sequence: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(sequence) else { return false };
        if let Some(body) = text.strip_prefix("\x1b[") {
            return self.take_csi(body);
        }
        let body = |prefix: &str| Some(text.strip_prefix(prefix)?.trim_end_matches(['\x1b', '\\', '\x07']));
        if let Some(name) = body("\x1bP>|") {
            self.name = Some(name.chars().filter(|c| !c.is_control()).take(64).collect());
        } else if let Some(answer) = body("\x1b_G") {
            self.kitty = Some(answer.ends_with(";OK"));
        } else if let Some(sgr) = body("\x1bP1$r") {
            self.true_colour = Some(keeps_24_bits(sgr));
        } else if body("\x1bP0$r").is_some() {
            self.true_colour = Some(false);
        } else {
            return text.starts_with("\x1bP") || text.starts_with("\x1b_") || text.starts_with("\x1b]");
        }
        true
    }

    fn take_csi(&mut self, body: &str) -> bool {
        let Some(last) = body.chars().last() else { return false };
        let inner = &body[..body.len() - last.len_utf8()];
        match last {
            'n' if inner == "0" || inner == "3" => self.done = true,
            'c' => {
                let Some(attributes) = inner.strip_prefix('?') else { return inner.starts_with('>') };
                // The first number is the conformance level, not an attribute.
                self.sixel = Some(attributes.split(';').skip(1).any(|a| a == "4"));
            }
            't' => {
                let mut numbers = inner.split(';').map(|n| n.parse::<u16>().ok());
                if let (Some(Some(6)), Some(Some(height)), Some(Some(width))) =
                    (numbers.next(), numbers.next(), numbers.next())
                {
                    self.cell_pixels = (width > 0 && height > 0).then_some((width, height));
                }
            }
            'S' if inner.starts_with('?') => {
                let mut numbers = inner[1..].split(';');
                if (numbers.next(), numbers.next()) == (Some("1"), Some("0")) {
                    self.sixel_colours = numbers.next().and_then(|n| n.parse().ok());
                }
            }
            'y' => match inner.strip_prefix("?2026;").and_then(|v| v.strip_suffix('$')) {
                Some(value) => self.sync_output = Some(matches!(value, "1" | "2")),
                None => return inner.ends_with('$'),
            },
            'R' => match inner.split_once(';') {
                // `CSI 1 ; 2 R` is also Shift+F3: only the first one is the answer.
                Some((_, column)) if self.column.is_none() => self.column = column.parse().ok(),
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    /// Adds what another parse found.
    pub(super) fn merge(&mut self, other: Self) {
        self.done |= other.done;
        self.sixel = other.sixel.or(self.sixel);
        self.sixel_colours = other.sixel_colours.or(self.sixel_colours);
        self.kitty = other.kitty.or(self.kitty);
        self.cell_pixels = other.cell_pixels.or(self.cell_pixels);
        self.sync_output = other.sync_output.or(self.sync_output);
        self.true_colour = other.true_colour.or(self.true_colour);
        self.name = other.name.or(self.name.take());
        self.column = other.column.or(self.column);
    }
}

/// Whether the graphic rendition in a DECRQSS answer still holds the colour 1, 2, 3:
/// `0;48:2::1:2:3m`, `48:2:1:2:3m`, `0;48;2;1;2;3m`.
fn keeps_24_bits(sgr: &str) -> bool {
    let plain = sgr.trim_end_matches('m').replace("::", ":").replace(':', ";");
    plain.ends_with("48;2;1;2;3") || plain.ends_with("48;2;1;1;2;3")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_keys_between_the_answers_are_kept_in_order() {
        let parsed = parse(b"j\x1b[?62;4cgg\x1bOA\x1b[A\x1bx\x1b[0n\xc3\xa9");
        assert_eq!(parsed.replies.sixel, Some(true));
        assert!(parsed.replies.done);
        assert_eq!(parsed.typed, b"jgg\x1bOA\x1b[A\x1bx\xc3\xa9");
        assert!(parsed.unfinished.is_empty());
    }

    #[test]
    fn an_answer_that_arrives_in_pieces_is_waited_for() {
        let whole = b"\x1bP>|kitty(0.26.5)\x1b\\\x1b_Gi=31;OK\x1b\\\x1b[6;17;9t\x1b[?2026;2$y\x1b[0n";
        for cut in 0..whole.len() {
            let parsed = parse(&whole[..cut]);
            assert!(parsed.typed.is_empty(), "cut at {cut}: {parsed:?}");
            assert!(!parsed.replies.done);
        }
        let parsed = parse(whole);
        assert_eq!(parsed.replies.name.as_deref(), Some("kitty(0.26.5)"));
        assert_eq!(parsed.replies.kitty, Some(true));
        assert_eq!(parsed.replies.cell_pixels, Some((9, 17)));
        assert_eq!(parsed.replies.sync_output, Some(true));
    }

    #[test]
    fn colours_are_read_from_all_three_notations() {
        assert!(keeps_24_bits("0;48:2::1:2:3m"));
        assert!(keeps_24_bits("48:2:1:2:3m"));
        assert!(keeps_24_bits("0;48;2;1;2;3m"));
        assert!(!keeps_24_bits("0;48:5:16m"));
        assert!(!keeps_24_bits("0m"));
    }

    #[test]
    fn nonsense_never_panics_and_is_never_lost_silently_as_a_key() {
        for bytes in [
            &b"\x1b"[..],
            b"\x1b[",
            b"\x1b[6;;t",
            b"\x1b[999999999;1;1t",
            b"\x1b[?c",
            b"\x1bP\x1b",
            b"\xff\xfe\x1b[\xff",
        ] {
            let _ = parse(bytes);
        }
        assert_eq!(parse(b"\x1b[6;0;0t").replies.cell_pixels, None);
        assert_eq!(parse(b"\x1b").unfinished, b"\x1b");
    }

    #[test]
    fn the_batch_ends_in_the_query_that_everyone_answers() {
        assert!(queries(Ask::All).ends_with(b"\x1b[c\x1b[5n"));
        assert!(!queries(Ask::Plain).windows(2).any(|w| w == b"\x1bP" || w == b"\x1b_"));
    }
}
