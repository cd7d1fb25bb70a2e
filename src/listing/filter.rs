//! Which names a typed filter lets through, and how well each fits.
//!
//! Words are looked for in any order, each as letters that follow one another, not necessarily closely
//! (`b2tif` finds `B02.tif`). Capitals count where the filter has one, accents where it has one.
//!
//! | written | lets through |
//! |---|---|
//! | `word` | the letters in this order |
//! | `'word` | just these letters together |
//! | `^word`, `word$` | at the beginning, at the end |
//! | `!word` | names without it |
//!
//! A name's rank is the sum of how its words stand: together at the beginning, together at the start of
//! a part, together elsewhere, apart. It is made for speed: a million names have to be ranked between a
//! key and its frame. Names of up to 64 ASCII characters, which nearly all are, are looked at eight
//! bytes at a time ([`Bits`]).

use nucleo_matcher::chars::normalize;

/// Ranks are below this.
pub(super) const RANKS: usize = 32;
/// Together, but neither at the beginning nor at the start of a part.
const INSIDE: u8 = 2;
/// Of letters that stand apart, the closest.
const APART: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Apart,
    Together,
    First,
    Last,
    Whole,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// Folded as names are.
    letters: Vec<u8>,
    how: How,
    not: bool,
}

/// A filter as it was typed, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    words: Vec<Word>,
    ignores_case: bool,
    ignores_accents: bool,
}

impl Filter {
    pub(super) fn new(text: &str) -> Self {
        let mut filter = Self {
            words: Vec::new(),
            ignores_case: !text.chars().any(char::is_uppercase),
            ignores_accents: text.is_ascii(),
        };
        for word in text.split_whitespace() {
            let (not, word) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
            let (how, word) = if let Some(rest) = word.strip_prefix('\'') {
                (How::Together, rest)
            } else if let Some(rest) = word.strip_prefix('^') {
                rest.strip_suffix('$').map_or((How::First, rest), |rest| (How::Whole, rest))
            } else if let Some(rest) = word.strip_suffix('$') {
                (How::Last, rest)
            } else {
                // What is not wanted is not wanted as it is written.
                (if not { How::Together } else { How::Apart }, word)
            };
            let mut letters = Vec::new();
            filter.fold(word, &mut letters);
            if !letters.is_empty() {
                filter.words.push(Word { letters, how, not });
            }
        }
        filter
    }

    /// Whether all that this one lets through is let through by `wider`.
    pub(super) fn narrows(&self, wider: &Self) -> bool {
        let case = wider.ignores_case || !self.ignores_case;
        let accents = wider.ignores_accents || !self.ignores_accents;
        let mut words = self.words.iter();
        case && accents
            && wider.words.iter().all(|old| {
                words.next().is_some_and(|new| {
                    let longer = old.how == How::Apart && new.how == How::Apart && !old.not && !new.not;
                    old == new || (longer && new.letters.starts_with(&old.letters))
                })
            })
    }

    /// `text` as bytes that are compared.
    fn fold(&self, text: &str, out: &mut Vec<u8>) {
        out.clear();
        let mut put = |c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        for c in text.chars() {
            let c = if self.ignores_accents { normalize(c) } else { c };
            if self.ignores_case { c.to_lowercase().for_each(&mut put) } else { put(c) }
        }
    }

    /// The rank of a name of plain ASCII, below [`RANKS`], the best first; `None` if it is left out. `text`
    /// holds it up to `to`, perhaps with others behind it.
    #[inline]
    pub(super) fn rank_ascii(&self, text: &[u8], from: usize, to: usize) -> Option<u8> {
        let name = &text[from..to];
        if name.len() > Bits::LONGEST {
            return self.rank_plainly(name);
        }
        let bits = Bits::new(text, from, to);
        if self.ignores_case {
            self.sum(|word| word.rank_bits::<true>(name, &bits))
        } else {
            self.sum(|word| word.rank_bits::<false>(name, &bits))
        }
    }

    /// The same, byte by byte.
    fn rank_plainly(&self, name: &[u8]) -> Option<u8> {
        if self.ignores_case {
            self.sum(|word| word.rank::<true>(name))
        } else {
            self.sum(|word| word.rank::<false>(name))
        }
    }

    /// The rank of any name. `folded` is room to work in.
    pub(super) fn rank(&self, name: &str, folded: &mut Vec<u8>) -> Option<u8> {
        if name.is_ascii() {
            return self.rank_ascii(name.as_bytes(), 0, name.len());
        }
        self.fold(name, folded);
        self.sum(|word| word.rank::<false>(folded))
    }

    /// The ranks of all words together.
    #[inline]
    fn sum(&self, rank: impl Fn(&Word) -> Option<u8>) -> Option<u8> {
        let mut sum = 0;
        for word in &self.words {
            match (rank(word), word.not) {
                (Some(rank), false) => sum += rank,
                (None, true) => {}
                _ => return None,
            }
        }
        Some(sum.min(RANKS as u8 - 1))
    }
}

/// A name of at most 64 bytes of ASCII, eight in each word.
struct Bits {
    words: [u64; 8],
    used: usize,
    /// A bit for each byte of the name.
    all: u64,
}

/// The same byte eight times.
const fn splat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

impl Bits {
    const LONGEST: usize = 64;

    #[inline]
    fn new(text: &[u8], from: usize, to: usize) -> Self {
        let (length, mut words) = (to - from, [0; 8]);
        let used = length.div_ceil(8);
        for (i, word) in words.iter_mut().enumerate().take(used) {
            let start = from + 8 * i;
            *word = match text.get(start..start + 8).and_then(|bytes| bytes.try_into().ok()) {
                Some(bytes) => u64::from_le_bytes(bytes),
                // The last bytes of the text.
                None => text[start..to].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
            };
        }
        Self { words, used, all: if length == 64 { u64::MAX } else { (1 << length) - 1 } }
    }

    /// A bit for each place where the letter stands.
    #[inline]
    fn places<const FOLD: bool>(&self, letter: u8) -> u64 {
        // Setting this bit makes small letters of capitals; it makes no other byte a small letter.
        let fold = if FOLD && letter.is_ascii_lowercase() { splat(0x20) } else { 0 };
        let pattern = splat(letter);
        let mut places = 0;
        for (i, word) in self.words.iter().enumerate().take(self.used) {
            // ASCII has seven bits: the eighth stays set only below a byte that is the letter.
            let same = (splat(0x80) - (((word | fold) ^ pattern) & splat(0x7f))) & splat(0x80);
            // Gathers the eight bits in the highest byte.
            places |= ((same >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
        }
        places & self.all
    }
}

#[inline]
fn letter<const FOLD: bool>(byte: u8) -> u8 {
    if FOLD { byte.to_ascii_lowercase() } else { byte }
}

fn is_same<const FOLD: bool>(part: &[u8], letters: &[u8]) -> bool {
    part.iter().zip(letters).all(|(a, b)| letter::<FOLD>(*a) == *b)
}

impl Word {
    /// How well the word stands in the name.
    fn rank<const FOLD: bool>(&self, name: &[u8]) -> Option<u8> {
        let (n, letters) = (self.letters.len(), self.letters.as_slice());
        if n > name.len() {
            return None;
        }
        let found = match self.how {
            How::First => is_same::<FOLD>(name, letters).then_some(0),
            How::Last => is_same::<FOLD>(&name[name.len() - n..], letters).then_some(0),
            How::Whole => (n == name.len() && is_same::<FOLD>(name, letters)).then_some(0),
            How::Together | How::Apart => self.together::<FOLD>(name),
        };
        match self.how {
            How::Apart => found.or_else(|| self.apart::<FOLD>(name)),
            _ => found,
        }
    }

    /// The same as [`Word::rank`], by bits.
    #[inline]
    fn rank_bits<const FOLD: bool>(&self, name: &[u8], bits: &Bits) -> Option<u8> {
        let letters = self.letters.as_slice();
        if !matches!(self.how, How::Apart | How::Together) || letters.len() > Bits::LONGEST / 2 {
            return self.rank::<FOLD>(name);
        }
        if name.len() >= letters.len() && is_same::<FOLD>(name, letters) {
            return Some(0);
        }
        // ASCII cannot hold what is not ASCII.
        if letters.iter().any(|letter| *letter >= 0x80) {
            return None;
        }
        let (mut places, mut end, mut together) = ([0_u64; Bits::LONGEST / 2], 0, u64::MAX);
        for (i, letter) in letters.iter().enumerate() {
            places[i] = if i > 0 && letters[i - 1] == *letter { places[i - 1] } else { bits.places::<FOLD>(*letter) };
            together &= places[i] >> i;
            // The next of them behind those before.
            let left = if end < 64 { places[i] >> end << end } else { 0 };
            if left == 0 {
                return None;
            }
            end = left.trailing_zeros() + 1;
        }
        if together != 0 {
            return Some(best_start(name, together));
        }
        if self.how == How::Together {
            return None;
        }
        // Backwards from there, the shortest stretch that holds them.
        let mut start = end;
        for places in places[..letters.len()].iter().rev() {
            let left = places & u64::MAX.checked_shr(64 - start).unwrap_or(0);
            start = left.checked_ilog2().unwrap_or(0);
        }
        Some(apart_by((end as usize).saturating_sub(start as usize + letters.len())))
    }

    /// All letters together: the best place for them.
    fn together<const FOLD: bool>(&self, name: &[u8]) -> Option<u8> {
        let (first, rest) = self.letters.split_first()?;
        let mut best = None;
        for at in 0..=name.len() - self.letters.len() {
            if letter::<FOLD>(name[at]) == *first && is_same::<FOLD>(&name[at + 1..], rest) {
                if at == 0 {
                    return Some(0);
                }
                if is_start(name[at - 1], name[at]) {
                    return Some(1);
                }
                best = Some(INSIDE);
            }
        }
        best
    }

    /// The letters one after the other: the closer the better.
    fn apart<const FOLD: bool>(&self, name: &[u8]) -> Option<u8> {
        let mut left = self.letters.as_slice();
        let end = name.iter().position(|byte| {
            if let Some((next, rest)) = left.split_first()
                && letter::<FOLD>(*byte) == *next
            {
                left = rest;
            }
            left.is_empty()
        })?;
        // Backwards from there, the shortest stretch that holds them.
        let mut left = self.letters.as_slice();
        let start = name[..=end].iter().rposition(|byte| {
            if let Some((next, rest)) = left.split_last()
                && letter::<FOLD>(*byte) == *next
            {
                left = rest;
            }
            left.is_empty()
        })?;
        Some(apart_by(end + 1 - start - self.letters.len()))
    }
}

/// The rank of letters with so many others between them.
fn apart_by(between: usize) -> u8 {
    APART + (usize::BITS - between.leading_zeros()).min(7) as u8
}

/// The best rank of letters that stand together at all these places.
#[inline]
fn best_start(name: &[u8], mut places: u64) -> u8 {
    if places & 1 == 1 {
        return 0;
    }
    while places != 0 {
        let at = places.trailing_zeros() as usize;
        if is_start(name[at - 1], name[at]) {
            return 1;
        }
        places &= places - 1;
    }
    INSIDE
}

/// Whether a part of a name begins between these: after a mark, at a capital, where digits begin or end.
fn is_start(before: u8, here: u8) -> bool {
    !before.is_ascii_alphanumeric() && before < 0x80
        || before.is_ascii_lowercase() && here.is_ascii_uppercase()
        || before.is_ascii_digit() != here.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(filter: &str, name: &str) -> Option<u8> {
        Filter::new(filter).rank(name, &mut Vec::new())
    }

    #[test]
    fn the_closer_the_better() {
        let names = ["B02.tif", "S2A_B02.tif", "x.aab02c", "b/0/2", "b123456780xx2"];
        let ranks: Vec<_> = names.iter().map(|name| rank("b02", name).expect(name)).collect();
        assert!(ranks.is_sorted() && ranks[0] < ranks[1] && ranks[1] < ranks[2] && ranks[3] < ranks[4], "{ranks:?}");
        assert_eq!(rank("b02", "B20.tif"), None);
        assert!(rank("b2tif", "B02.tif").is_some());
    }

    #[test]
    fn marks_capitals_and_accents_mean_what_the_table_says() {
        for (filter, yes, no) in [
            ("B02", "S_B02.tif", "s_b02.tif"),
            ("'abc", "xabcx", "axbxc"),
            ("^ab", "Abc", "cab"),
            ("ab$", "cAB", "abc"),
            ("^ab$", "AB", "abc"),
            ("tif !b02", "B03.tif", "B02.tif"),
            ("!bc", "b-c", "abc"),
            ("see", "Sée", "sae"),
            ("sée", "Sée", "See"),
            ("2024 b02", "b02/2024", "b02/2023"),
            ("straße", "STRAßE", "strasse"),
        ] {
            assert!(rank(filter, yes).is_some(), "{filter} {yes}");
            assert!(rank(filter, no).is_none(), "{filter} {no}");
        }
        assert_eq!(rank("", "x"), Some(0));
    }

    proptest::proptest! {
        #[test]
        fn a_longer_filter_lets_less_through(text in "[a-cA-C!^$' é]{0,6}", more in "[a-c! ]{1,2}", name in "[a-cA-Cé/]{0,9}") {
            let (old, new) = (Filter::new(&text), Filter::new(&format!("{text}{more}")));
            if new.narrows(&old) && new.rank(&name, &mut Vec::new()).is_some() {
                proptest::prop_assert!(old.rank(&name, &mut Vec::new()).is_some());
            }
        }

        #[test]
        fn bits_say_what_bytes_say(
            filter in "[!^']?[a-bA-B0.]{1,5}[$]?( [ab])?", name in "[a-bA-B0-1.@]{0,70}", behind in "[ab0]{0,9}",
        ) {
            let text = format!("{name}{behind}");
            let filter = Filter::new(&filter);
            let bits = filter.rank_ascii(text.as_bytes(), 0, name.len());
            proptest::prop_assert_eq!(bits, filter.rank_plainly(name.as_bytes()));
        }

        #[test]
        fn letters_apart_are_found_as_one_would_by_hand(letters in "[ab]{1,4}", name in "[abc]{0,10}") {
            let mut left = letters.chars().peekable();
            for c in name.chars() {
                left.next_if_eq(&c);
            }
            proptest::prop_assert_eq!(rank(&letters, &name).is_some(), left.peek().is_none());
        }
    }
}
