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
//! a part, together elsewhere, apart. It is made for speed: a name costs about 20 ns, where an optimal
//! alignment costs ten times that, and one sees the first screen of the best either way.

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

    /// The rank of a name of plain ASCII, below [`RANKS`], the best first; `None` if it is left out.
    pub(super) fn rank_ascii(&self, name: &[u8]) -> Option<u8> {
        if self.ignores_case { self.rank_of::<true>(name) } else { self.rank_of::<false>(name) }
    }

    /// The rank of any name. `folded` is room to work in.
    pub(super) fn rank(&self, name: &str, folded: &mut Vec<u8>) -> Option<u8> {
        if name.is_ascii() {
            return self.rank_ascii(name.as_bytes());
        }
        self.fold(name, folded);
        self.rank_of::<false>(folded)
    }

    fn rank_of<const FOLD: bool>(&self, name: &[u8]) -> Option<u8> {
        let mut sum = 0;
        for word in &self.words {
            let rank = word.rank::<FOLD>(name);
            match (rank, word.not) {
                (Some(rank), false) => sum += rank,
                (None, true) => {}
                _ => return None,
            }
        }
        Some(sum.min(RANKS as u8 - 1))
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
        let between = (end + 1 - start - self.letters.len()) as u32;
        Some(APART + (u32::BITS - between.leading_zeros()).min(7) as u8)
    }
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
        assert_eq!(rank("b2tif", "B02.tif").is_some(), true);
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
        fn letters_apart_are_found_as_one_would_by_hand(letters in "[ab]{1,4}", name in "[abc]{0,10}") {
            let mut left = letters.chars().peekable();
            for c in name.chars() {
                left.next_if_eq(&c);
            }
            proptest::prop_assert_eq!(rank(&letters, &name).is_some(), left.peek().is_none());
        }
    }
}
