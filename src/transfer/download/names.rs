//! What an object is called on a disk, and which names stand for the same file there.
//!
//! The rule, told in every report: a key is kept as it is, part by part between its slashes, but
//! - an empty part (`a//b`, a leading `/`), `.` and `..` become `%2F`, `%2E` and `%2E%2E`: they would name
//!   something else, or lead out of the folder;
//! - control characters, a NUL and (inside one part) a slash are written as `%` and two hexadecimal digits a byte;
//! - a part of more than 255 bytes is cut before its suffix and gets the first digits of its MD5;
//! - a name that is taken by another object gets a number: `x (1).tif`. Where an object and a folder share a name,
//!   the object gets it. On a disk that does not tell `A` from `a`, or `é` from `e` with an accent, those are
//!   one name.

use super::super::source::numbered;
use crate::location::{Location, Scheme};
use md5::{Digest as _, Md5};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use unicode_normalization::UnicodeNormalization as _;

/// Bytes that the name of a file can have, on all file systems of note.
const LONGEST: usize = 255;
/// Left free in a name that is cut, for a number.
const SPARE: usize = 8;
/// Bytes that a path can have, its root included.
const LONGEST_PATH: usize = 4_095;

/// Why a name differs from its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A part is empty, `.` or `..`.
    LeadsElsewhere,
    /// It holds control characters.
    ControlCharacters,
    /// A part has more than 255 bytes.
    TooLong,
    /// Another object has the name, or one that this disk takes for the same.
    Taken,
    /// A folder has the name.
    Folder,
    /// Something stood there, and the user wished both.
    Stood,
}

impl Why {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::LeadsElsewhere => "an empty part, `.` or `..` would lead elsewhere",
            Self::ControlCharacters => "it holds control characters",
            Self::TooLong => "a file's name has at most 255 bytes",
            Self::Taken => "another object has that name on this disk",
            Self::Folder => "a folder has that name",
            Self::Stood => "something stood there already",
        }
    }
}

/// A path below the target, and why it is not the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) path: String,
    pub(super) why: Option<Why>,
}

/// The path of a key (or of the rest of one).
pub(super) fn name(key: &str) -> Name {
    let mut out = Name { path: String::with_capacity(key.len()), why: None };
    for (i, part) in key.split('/').enumerate() {
        if i > 0 {
            out.path.push('/');
        }
        out.push(part);
    }
    out
}

/// The name of one part, which may hold a slash itself.
pub(super) fn one(part: &str) -> Name {
    let mut out = Name { path: String::new(), why: None };
    out.push(part);
    out
}

impl Name {
    fn push(&mut self, part: &str) {
        let (text, why) = match part {
            "" => (Cow::Borrowed("%2F"), Some(Why::LeadsElsewhere)),
            "." => (Cow::Borrowed("%2E"), Some(Why::LeadsElsewhere)),
            ".." => (Cow::Borrowed("%2E%2E"), Some(Why::LeadsElsewhere)),
            _ => plain(part),
        };
        let (text, why) = if text.len() > LONGEST { (Cow::Owned(cut(&text)), Some(Why::TooLong)) } else { (text, why) };
        self.path.push_str(&text);
        self.why = self.why.or(why);
    }
}

fn plain(part: &str) -> (Cow<'_, str>, Option<Why>) {
    let is_bad = |c: char| c.is_control() || c == '/';
    if !part.contains(is_bad) {
        return (part.into(), None);
    }
    let mut out = String::new();
    for c in part.chars() {
        if is_bad(c) {
            let mut bytes = [0; 4];
            out.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")));
        } else {
            out.push(c);
        }
    }
    (out.into(), Some(Why::ControlCharacters))
}

/// Eight hexadecimal digits that tell long names apart.
fn digits(text: &str) -> String {
    let sum = Md5::digest(text);
    format!("{:08x}", u32::from_be_bytes([sum[0], sum[1], sum[2], sum[3]]))
}

fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn cut(name: &str) -> String {
    let suffix = name.rfind('.').map_or("", |dot| &name[dot..]);
    let suffix = if suffix.len() <= 16 { suffix } else { "" };
    format!("{}~{}{suffix}", head(name, LONGEST - SPARE - 9 - suffix.len()), digits(name))
}

/// The hidden name under which a file is written until it is whole: `.lake.tif.secchi-01JABC.part`.
pub(super) fn temporary(name: &str, run: &str) -> String {
    if name.len() <= 200 {
        return format!(".{name}.secchi-{run}.part");
    }
    format!(".{}~{}.secchi-{run}.part", head(name, 180), digits(name))
}

/// What a disk takes for the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Folding {
    /// `A` is `a`.
    pub(super) case: bool,
    /// `é` is `e` with an accent.
    pub(super) marks: bool,
}

impl Folding {
    fn fold(self, path: &str) -> Cow<'_, str> {
        if self == Self::default() || (path.is_ascii() && !self.case) {
            return path.into();
        }
        let text: String = if self.marks { path.nfc().collect() } else { path.to_owned() };
        if self.case { text.to_lowercase().into() } else { text.into() }
    }
}

/// Gives every object a path of its own.
pub(super) struct Places {
    folding: Folding,
    /// Bytes of the path of the target.
    root: usize,
    files: HashSet<String>,
    folders: HashSet<String>,
    /// Where to go on counting for a name that many want.
    next: HashMap<String, u32>,
}

impl Places {
    pub(super) fn new(folding: Folding, root: usize) -> Self {
        Self { folding, root, files: HashSet::new(), folders: HashSet::new(), next: HashMap::new() }
    }

    /// Notes the folders that a path needs.
    pub(super) fn needs(&mut self, path: &str) {
        let folded = self.folding.fold(path);
        let mut end = folded.len();
        while let Some(slash) = folded[..end].rfind('/') {
            // The folders above are known with it.
            if !self.folders.insert(folded[..slash].to_owned()) {
                break;
            }
            end = slash;
        }
    }

    fn taken(&self, path: &str) -> Option<Why> {
        let folded = self.folding.fold(path);
        if self.folders.contains(folded.as_ref()) {
            return Some(Why::Folder);
        }
        self.files.contains(folded.as_ref()).then_some(Why::Taken)
    }

    /// The path itself, or the first number of it that is free; all [`Places::needs`] come first. `None` where it is
    /// too long for this system.
    pub(super) fn take(&mut self, name: Name) -> Option<Name> {
        let Name { mut path, mut why } = name;
        if let Some(taken) = self.taken(&path) {
            why = Some(taken);
            path = self.free(&path);
        }
        if self.root + 1 + path.len() > LONGEST_PATH {
            return None;
        }
        let folded = self.folding.fold(&path).into_owned();
        self.files.insert(folded);
        Some(Name { path, why })
    }

    /// Another name beside one that is taken on the disk.
    pub(super) fn another(&mut self, path: &str) -> String {
        let free = self.free(path);
        let folded = self.folding.fold(&free).into_owned();
        self.files.insert(folded);
        free
    }

    fn free(&mut self, path: &str) -> String {
        let mut n = self.next.get(path).copied().unwrap_or(1);
        loop {
            let other = numbered(&Location::new(Scheme::File, None, "", path), n).key().to_owned();
            n += 1;
            if self.taken(&other).is_none() {
                self.next.insert(path.to_owned(), n);
                return other;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_lead_elsewhere_are_written_otherwise() {
        for (key, path) in [
            ("a/b.tif", "a/b.tif"),
            ("../x", "%2E%2E/x"),
            ("a/../../x", "a/%2E%2E/%2E%2E/x"),
            ("/lead", "%2F/lead"),
            ("a//b", "a/%2F/b"),
            ("./z", "%2E/z"),
            ("new\nline\0", "new%0Aline%00"),
            ("C:\\x", "C:\\x"),
            ("100%", "100%"),
            ("...", "..."),
        ] {
            assert_eq!(name(key).path, path);
            assert_eq!(name(key).why.is_some(), key != path, "{key}");
        }
        assert_eq!(one("a/b").path, "a%2Fb");
        let long = name(&format!("d/{}.tif", "é".repeat(200)));
        assert!(
            long.path.len() <= 2 + LONGEST
                && long.path.rsplit_once('.').is_some_and(|(_, end)| end == "tif")
                && long.why == Some(Why::TooLong)
        );
        assert_ne!(long.path, name(&format!("d/{}e.tif", "é".repeat(200))).path);
    }

    fn places(folding: Folding, keys: &[&str]) -> Vec<(String, Option<Why>)> {
        let mut places = Places::new(folding, 10);
        let names: Vec<Name> = keys.iter().map(|key| name(key)).collect();
        for name in &names {
            places.needs(&name.path);
        }
        names.into_iter().map(|name| places.take(name).expect("short")).map(|n| (n.path, n.why)).collect()
    }

    #[test]
    fn every_object_gets_a_file_of_its_own() {
        let plain = places(Folding::default(), &["dir", "dir/x", "dir (1)", "A", "a", "a//b", "a/%2F/b"]);
        assert_eq!(
            plain,
            [
                ("dir (1)".to_owned(), Some(Why::Folder)),
                ("dir/x".to_owned(), None),
                ("dir (1) (1)".to_owned(), Some(Why::Taken)),
                ("A".to_owned(), None),
                ("a (1)".to_owned(), Some(Why::Folder)),
                ("a/%2F/b".to_owned(), Some(Why::LeadsElsewhere)),
                ("a/%2F/b (1)".to_owned(), Some(Why::Taken)),
            ]
        );
        let folding = Folding { case: true, marks: true };
        let folded = places(folding, &["B02.tif", "b02.TIF", "e\u{301}", "\u{e9}"]);
        assert_eq!(folded[1], ("b02 (1).TIF".to_owned(), Some(Why::Taken)));
        assert_eq!(folded[3], ("\u{e9} (1)".to_owned(), Some(Why::Taken)));
        let mut many = Places::new(Folding::default(), 4_000);
        assert_eq!(many.take(name(&"x".repeat(100))), None, "too long for a path");
    }

    proptest! {
        #[test]
        fn no_key_leaves_the_target(key in ".{0,300}|[./a\u{0}]{0,20}") {
            for part in name(&key).path.split('/') {
                prop_assert!(!matches!(part, "" | "." | "..") && part.len() <= LONGEST);
                prop_assert!(!part.contains(char::is_control));
            }
            prop_assert!(!one(&key).path.contains('/'));
            let hidden = temporary(&one(&key).path, "01234567");
            prop_assert!(hidden.len() <= LONGEST);
        }
    }
}
