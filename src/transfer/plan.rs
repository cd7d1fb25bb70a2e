//! What a sync would do, found by reading two listings side by side in the order of names: neither is held in
//! memory.
//!
//! An object goes over where nothing of its name stands at the destination (`copy`), or where what stands
//! there differs (`update`):
//!
//! | comparison | it differs where |
//! |---|---|
//! | automatic | sizes differ; or the `ETag`s of both are MD5 sums in one piece, and differ; or the destination is not newer, and its checksum is not that of the source (as `aws s3 sync` and `rclone` compare sizes and times, but that a newer time alone copies nothing again) |
//! | checksum | sizes or checksums differ: every local file of equal size is read; where no checksum is to be had, as automatic |
//! | size only | sizes differ |
//!
//! Times are compared in seconds, as most servers keep no more. A checksum is the `ETag`, where that is an MD5
//! sum, of one piece or of parts: see `digest`.

use super::etag::{self, Tag};
use crate::error::{Error, Kind, Result};
use crate::glob::Glob;
use crate::listing::{Block, Row};
use crate::location::{Location, Scheme};
use crate::store::Stores;
use crate::task::Control;
use crate::text;
use futures::stream::{BoxStream, StreamExt as _};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::path::PathBuf;
use std::time::Duration;

/// How it is told that an object differs: see the top of this file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compare {
    /// Size, then time, then checksum.
    #[default]
    Auto,
    /// Size and checksum.
    Checksum,
    /// Size alone.
    SizeOnly,
}

/// What is made like what. Holds no secret.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SyncSpec {
    /// The folder, bucket or prefix that is read.
    pub source: Location,
    /// The one that becomes like it.
    pub destination: Location,
    /// What is there and not in the source goes.
    #[serde(default)]
    pub delete: bool,
    /// How it is told that an object differs.
    #[serde(default)]
    pub compare: Compare,
    /// Only names that match one of these patterns, where there are any.
    #[serde(default)]
    pub include: Vec<String>,
    /// No names that match one of these.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The number of deletions that the user has confirmed; `None`: as many as there are.
    #[serde(default)]
    pub confirmed: Option<u64>,
    /// Fewer than confirmed are refused too.
    #[serde(default)]
    pub exact: bool,
    /// Only tells what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

impl SyncSpec {
    /// A sync that deletes nothing.
    pub fn new(source: &Location, destination: &Location) -> Self {
        Self {
            source: source.as_container(),
            destination: destination.as_container(),
            delete: false,
            compare: Compare::Auto,
            include: Vec::new(),
            exclude: Vec::new(),
            confirmed: None,
            exact: false,
            dry_run: false,
        }
    }

    /// Refuses what cannot be synced, before anything is asked.
    pub fn check(&self) -> Result<()> {
        let (from, to) = (self.source.as_container(), self.destination.as_container());
        if from.is_account() || to.is_account() {
            return Err(Error::usage("a sync is between folders, buckets or prefixes: name a bucket"));
        }
        let inside =
            |one: &Location, other: &Location| one.store() == other.store() && one.key().starts_with(other.key());
        if inside(&from, &to) || inside(&to, &from) {
            return Err(Error::usage(format!("{from} and {to} overlap")).with_hint("choose places beside each other"));
        }
        if let Some(path) = self.source.to_path()
            && !path.is_dir()
        {
            let (kind, hint) = if path.exists() {
                (Kind::Usage, "a sync is between folders; `put` uploads a file")
            } else {
                (Kind::NotFound, "check its name: nothing was done")
            };
            return Err(Error::new(kind, format!("{} is no folder", self.source)).with_hint(hint));
        }
        Ok(())
    }
}

/// What is done with one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// It is not there yet.
    Copy,
    /// It differs.
    Update,
    /// It is not in the source.
    Delete,
    /// It is as it should be.
    Same,
    /// It cannot be made there.
    Skip,
}

impl Verb {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Same => "same",
            Self::Skip => "skip",
        }
    }
}

/// One step of the plan.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// What is done.
    #[serde(rename = "do")]
    pub verb: Verb,
    /// With which name, below both places.
    pub name: String,
    /// Bytes: of the source, or of what goes.
    pub size: u64,
    /// Why.
    pub reason: Cow<'static, str>,
}

/// Which names take part.
pub(super) struct Rules {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

struct Pattern {
    glob: Glob,
    /// It speaks of the whole path, and not of one name in it.
    whole: bool,
}

impl Pattern {
    fn parse(text: &str) -> Result<Self> {
        let whole = text.trim_end_matches('/').contains('/');
        Ok(Self { glob: Glob::parse(text.trim_start_matches('/'))?, whole })
    }

    /// Whether the path, or a folder that it lies in, is meant.
    fn fits(&self, path: &str) -> bool {
        let folders = path.match_indices('/').map(|(end, _)| &path[..=end]);
        let one = |part: &str| {
            let start = part.trim_end_matches('/').rfind('/').map_or(0, |at| at + 1);
            self.glob.matches(if self.whole { part } else { &part[start..] })
        };
        folders.chain([path]).any(one)
    }
}

impl Rules {
    pub(super) fn of(spec: &SyncSpec) -> Result<Self> {
        let all = |texts: &[String]| texts.iter().map(|text| Pattern::parse(text)).collect::<Result<Vec<_>>>();
        Ok(Self { include: all(&spec.include)?, exclude: all(&spec.exclude)? })
    }

    fn lets(&self, name: &str) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.fits(name));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

/// One of the two listings.
struct Side {
    pages: BoxStream<'static, Result<Block>>,
    block: Block,
    at: usize,
    ended: bool,
    /// Errors between the pages are kept, and the rest is read.
    bears: bool,
}

impl Side {
    async fn open(stores: &Stores, at: &Location, bears: bool, control: &Control) -> Result<Self> {
        let handle = control.race(stores.open(at, &control.meter)).await?;
        Ok(Self { pages: handle.in_order(at), block: Block::default(), at: 0, ended: false, bears })
    }

    /// The row that comes next, once [`Side::fill`] has been waited for.
    fn row(&self) -> Option<Row<'_>> {
        (self.at < self.block.len()).then(|| self.block.row(self.at))
    }

    async fn fill(&mut self, rules: &Rules, control: &Control, error: &mut Option<Error>) -> Result<()> {
        loop {
            while let Some(row) = self.row() {
                // The object called like the prefix itself has no name below it.
                if row.more().is_none_or(|more| more.target.is_none()) && rules.lets(row.name()) {
                    return Ok(());
                }
                self.at += 1;
            }
            if self.ended {
                return Ok(());
            }
            control.turn().await?;
            match control.race(async { Ok::<_, Error>(self.pages.next().await) }).await? {
                None => self.ended = true,
                Some(Ok(block)) => (self.block, self.at) = (block, 0),
                Some(Err(err)) if err.kind() == Kind::NotFound && !self.bears => self.ended = true,
                Some(Err(err)) if self.bears => {
                    control.note(format!("left out: {err}"));
                    error.get_or_insert(err);
                }
                Some(Err(err)) => return Err(err),
            }
        }
    }
}

/// Both listings, read side by side.
pub struct Planner<'a> {
    spec: &'a SyncSpec,
    control: &'a Control,
    rules: Rules,
    source: Side,
    destination: Side,
    /// Whether it only looks for what is to be deleted: contents are not compared.
    extras_only: bool,
    /// What of the source could not be read: then nothing may be deleted.
    pub(super) unread: Option<Error>,
}

/// What is compared of an object.
#[derive(Clone, Debug)]
struct Seen {
    size: u64,
    /// Seconds since 1970.
    time: Option<i64>,
    tag: Option<Tag>,
    etag: bool,
}

impl Seen {
    fn of(row: &Row<'_>) -> Self {
        let time = row.modified_ms().map(|ms| ms.div_euclid(1_000));
        let tag = row.etag().and_then(Tag::parse);
        Self { size: row.size().unwrap_or(0), time, tag, etag: row.etag().is_some() }
    }
}

impl<'a> Planner<'a> {
    /// Begins to read; `extras_only` finds what is to be deleted alone.
    pub async fn new(stores: &Stores, spec: &'a SyncSpec, extras_only: bool, control: &'a Control) -> Result<Self> {
        spec.check()?;
        let is_local = spec.source.scheme() == Scheme::File;
        Ok(Self {
            spec,
            control,
            rules: Rules::of(spec)?,
            source: Side::open(stores, &spec.source, is_local, control).await?,
            destination: Side::open(stores, &spec.destination, false, control).await?,
            extras_only,
            unread: None,
        })
    }

    /// The next step; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Step>> {
        loop {
            self.source.fill(&self.rules, self.control, &mut self.unread).await?;
            let mut fatal = None;
            self.destination.fill(&self.rules, self.control, &mut fatal).await?;
            let (step, source, destination) = match (self.source.row(), self.destination.row()) {
                (None, None) => return Ok(None),
                (Some(ours), None) => (Some(self.copy(&ours)), true, false),
                (None, Some(theirs)) => (self.extra(&theirs), false, true),
                (Some(ours), Some(theirs)) => match ours.name().cmp(theirs.name()) {
                    Ordering::Less => (Some(self.copy(&ours)), true, false),
                    Ordering::Greater => (self.extra(&theirs), false, true),
                    Ordering::Equal if self.extras_only => (None, true, true),
                    Ordering::Equal => {
                        let (name, a, b) = (ours.name().to_owned(), Seen::of(&ours), Seen::of(&theirs));
                        let (verb, reason) = compare(self.spec, self.control, &name, &a, &b).await?;
                        (Some(Step { verb, name, size: a.size, reason }), true, true)
                    }
                },
            };
            self.source.at += usize::from(source);
            self.destination.at += usize::from(destination);
            if let Some(step) = step.filter(|step| !self.extras_only || step.verb == Verb::Delete) {
                return Ok(Some(step));
            }
        }
    }

    fn copy(&self, row: &Row<'_>) -> Step {
        let (name, size) = (row.name().to_owned(), row.size().unwrap_or(0));
        let local = self.spec.destination.scheme() == Scheme::File;
        let why = if name.ends_with('/') {
            Some("it stands for a folder, and has no name of its own")
        } else if local && !is_file_name(&name) {
            Some("no file can be called so")
        } else {
            None
        };
        match why {
            Some(why) => Step { verb: Verb::Skip, name, size, reason: why.into() },
            None => Step { verb: Verb::Copy, name, size, reason: "not there yet".into() },
        }
    }

    fn extra(&self, row: &Row<'_>) -> Option<Step> {
        let (name, size) = (row.name().to_owned(), row.size().unwrap_or(0));
        let reason = "not in the source".into();
        self.spec.delete.then_some(Step { verb: Verb::Delete, name, size, reason })
    }
}

/// See the top of this file.
async fn compare(
    spec: &SyncSpec,
    control: &Control,
    name: &str,
    a: &Seen,
    b: &Seen,
) -> Result<(Verb, Cow<'static, str>)> {
    let word = |text: &'static str| Cow::Borrowed(text);
    if a.size != b.size {
        let words = format!("{} here, {} there", text::bytes(a.size), text::bytes(b.size));
        let words = if text::bytes(a.size) == text::bytes(b.size) { "sizes differ".to_owned() } else { words };
        return Ok((Verb::Update, words.into()));
    }
    if spec.compare == Compare::SizeOnly {
        return Ok((Verb::Same, word("size")));
    }
    if let (Some(one), Some(other)) = (&a.tag, &b.tag)
        && let Some(same) = one.is_same(other)
    {
        let verb = if same { Verb::Same } else { Verb::Update };
        return Ok((verb, word(if same { "checksum" } else { "checksums differ" })));
    }
    let newer = matches!((a.time, b.time), (Some(a), Some(b)) if b > a);
    if newer && spec.compare == Compare::Auto {
        return Ok((Verb::Same, word("size, and newer there")));
    }
    if let Some(same) = same_bytes(spec, control, name, a, b).await? {
        let verb = if same { Verb::Same } else { Verb::Update };
        return Ok((verb, word(if same { "checksum" } else { "checksums differ" })));
    }
    Ok(match (a.time, b.time) {
        (Some(a), Some(b)) if b >= a => (Verb::Same, word("size and time")),
        (Some(a), Some(b)) => {
            let by = text::duration(Duration::from_secs(a.abs_diff(b)));
            (Verb::Update, format!("older there by {by}").into())
        }
        _ => (Verb::Update, word("no time is known")),
    })
}

/// Whether both have the same bytes, where a file of this computer is one of them and can be read.
async fn same_bytes(spec: &SyncSpec, control: &Control, name: &str, a: &Seen, b: &Seen) -> Result<Option<bool>> {
    let path = |at: &Location| at.to_path().map(|folder: PathBuf| folder.join(name));
    let (ours, theirs) = (path(&spec.source), path(&spec.destination));
    let size = a.size;
    match (ours, theirs, &a.tag, &b.tag) {
        (Some(ours), Some(theirs), ..) => {
            control.blocking(move |control| etag::equal(&ours, &theirs, &control).map(Some)).await
        }
        (Some(file), None, _, Some(tag)) | (None, Some(file), Some(tag), _) => {
            let tag = tag.clone();
            control.blocking(move |control| etag::fits(&file, size, &tag, &control).map(Some)).await
        }
        _ => {
            if spec.compare == Compare::Checksum && (a.etag || b.etag) {
                control.note(format!("{name}: no checksum to compare; size and time tell"));
            }
            Ok(None)
        }
    }
}

/// Whether a local file can have this path, below a folder and nowhere else.
fn is_file_name(name: &str) -> bool {
    let fits = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() <= 255;
    !name.contains('\0') && name.split('/').all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(include: &[&str], exclude: &[&str]) -> Rules {
        let at = |text: &str| Location::parse(text).expect(text);
        let owned = |all: &[&str]| all.iter().map(|&text| text.to_owned()).collect();
        let spec = SyncSpec::new(&at("memory:///a"), &at("memory:///b"));
        Rules::of(&SyncSpec { include: owned(include), exclude: owned(exclude), ..spec }).expect("patterns")
    }

    #[test]
    fn patterns_speak_of_names_or_of_paths() {
        for (include, exclude, yes, no) in [
            (&["*.tif"][..], &[][..], &["a.tif", "d/e/a.tif"][..], &["a.txt", "tif"][..]),
            (&[], &[".git", "*.tmp"], &["a", "d/git"], &[".git/config", "d/.git/x", "d/a.tmp"]),
            (&["d/*.tif"], &[], &["d/a.tif"], &["a.tif", "d/e/a.tif", "c/d/a.tif"]),
            (&["d/"], &[], &["d/a", "x/d/a"], &["d", "a"]),
            (&["**/*.tif"], &["old/**"], &["a.tif", "x/a.tif"], &["old/a.tif", "a.txt"]),
            (&[], &["a/b"], &["a/c", "x/a/b"], &["a/b", "a/b/c"]),
        ] {
            let rules = rules(include, exclude);
            for name in yes {
                assert!(rules.lets(name), "{include:?} {exclude:?} {name}");
            }
            for name in no {
                assert!(!rules.lets(name), "{include:?} {exclude:?} {name}");
            }
        }
    }

    #[test]
    fn only_what_stays_below_a_folder_is_a_file_name() {
        for name in ["a", "a/b", ".hidden", "a b", "ä"] {
            assert!(is_file_name(name), "{name}");
        }
        for name in ["", "/a", "a//b", "../a", "a/..", "a/./b", "a/", "a\0b", &"x".repeat(256)] {
            assert!(!is_file_name(name), "{name}");
        }
    }

    #[test]
    fn places_that_overlap_are_refused() {
        let at = |text: &str| Location::parse(text).expect(text);
        for (from, to) in
            [("s3://b/a/", "s3://b/a"), ("s3://b/", "s3://b/a/"), ("s3://b/a/", "s3://b"), ("s3://", "s3://b")]
        {
            assert_eq!(
                SyncSpec::new(&at(from), &at(to)).check().map_err(|e| e.kind()),
                Err(Kind::Usage),
                "{from} {to}"
            );
        }
        SyncSpec::new(&at("s3://b/a"), &at("s3://b/ab")).check().expect("beside each other");
        SyncSpec::new(&at("s3://p@b/a"), &at("s3://q@b/a")).check().expect("two accounts");
    }
}
