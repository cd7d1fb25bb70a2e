//! What is uploaded: files and folders, and how a file is known to be still the same.

use crate::error::{Context as _, Error, Kind, Result};
use crate::location::Location;
use crate::task::Control;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A file or folder to upload.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Source {
    /// Where it lies.
    pub path: PathBuf,
    /// Its key below the destination; `None`: its name. Of a folder, the prefix of what is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Source {
    /// A file or folder under its own name.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), key: None }
    }
}

/// What tells that a file has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Bytes.
    pub(super) size: u64,
    /// Nanoseconds since 1970.
    pub(super) mtime: i64,
}

impl Stamp {
    /// The stamp of a file now.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let meta = std::fs::metadata(path).context(|| path.display().to_string())?;
        Ok(Self::from_metadata(&meta))
    }

    fn from_metadata(meta: &std::fs::Metadata) -> Self {
        let mtime = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        Self { size: meta.len(), mtime: mtime.map_or(0, |t| i64::try_from(t.as_nanos()).unwrap_or(i64::MAX)) }
    }

    /// Fails when the file is not what it was.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        match Self::of(path) {
            Ok(now) if now == *self => Ok(()),
            Ok(_) => Err(changed(path)),
            Err(err) if err.kind() == Kind::NotFound => Err(changed(path).with_hint("it was removed meanwhile")),
            Err(err) => Err(err),
        }
    }
}

/// The error for a file that is not what it was.
pub(super) fn changed(path: &Path) -> Error {
    Error::new(Kind::Changed, format!("{} changed while it was uploaded; nothing was written", path.display()))
        .with_hint("wait until the file is finished, then try again")
}

/// One file with its destination.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) location: Location,
    pub(super) stamp: Stamp,
}

/// All files of `sources` with their destinations: folders are walked, in the order of their names.
/// One file goes to the very key of a destination that is no container; several go below it. Blocks.
pub(super) fn expand(sources: &[Source], destination: &Location, control: &Control) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let single = sources.len() == 1 && sources[0].key.is_none() && !sources[0].path.is_dir();
    for source in sources {
        if source.path.to_str().is_none() {
            return Err(not_utf8(&source.path));
        }
        let about = std::fs::metadata(&source.path).context(|| source.path.display().to_string())?;
        if !about.is_file() && !about.is_dir() {
            return Err(Error::usage(format!("{} is neither a file nor a folder", source.path.display()))
                .with_hint("pipes, sockets and devices have no end that could be uploaded"));
        }
        let exact = single && !is_container(destination);
        let key = match &source.key {
            Some(key) => key.clone(),
            None => name_of(&source.path)?,
        };
        let location = if exact { destination.clone() } else { destination.as_container().child(&key) };
        walk(&source.path, location, control, &mut files)?;
    }
    let mut by_location: HashMap<&Location, &Path> = HashMap::new();
    for file in &files {
        if let Some(other) = by_location.insert(&file.location, &file.path) {
            return Err(Error::usage(format!(
                "{} and {} would both become {}",
                other.display(),
                file.path.display(),
                file.location
            )));
        }
    }
    Ok(files)
}

fn is_container(destination: &Location) -> bool {
    destination.is_container() || destination.to_path().is_some_and(|path| path.is_dir())
}

fn name_of(path: &Path) -> Result<String> {
    // `.` and `..` have no name of their own.
    let named = if path.file_name().is_some() { path.to_path_buf() } else { std::fs::canonicalize(path)? };
    match named.file_name().map(|name| name.to_str()) {
        Some(Some(name)) => Ok(name.to_owned()),
        Some(None) => Err(not_utf8(path)),
        None => Err(Error::usage(format!("{} has no name", path.display()))),
    }
}

fn not_utf8(path: &Path) -> Error {
    Error::usage(format!("the name of {} is not valid UTF-8", path.display()))
        .with_hint("rename it, for instance with convmv; keys are UTF-8")
}

/// Links to files are followed; links to folders, links that lead nowhere, empty folders and what is neither
/// file nor folder are left out, and that is said.
fn walk(path: &Path, location: Location, control: &Control, files: &mut Vec<File>) -> Result<()> {
    control.check()?;
    let meta = std::fs::metadata(path).context(|| path.display().to_string())?;
    if meta.is_file() {
        files.push(File { path: path.to_owned(), location, stamp: Stamp::from_metadata(&meta) });
        return Ok(());
    }
    if !meta.is_dir() {
        control.note(format!("{} is neither a file nor a folder: left out", path.display()));
        return Ok(());
    }
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(path).context(|| path.display().to_string())? {
        inside.push(entry?);
    }
    inside.sort_by_key(std::fs::DirEntry::file_name);
    if inside.is_empty() {
        control.note(format!("{} is empty: left out, a store has no empty folders", path.display()));
    }
    for entry in inside {
        let child = entry.path();
        // A link to a folder may lead in a circle.
        if entry.file_type()?.is_symlink() && !child.is_file() {
            let what = if child.exists() { "is a link to a folder" } else { "is a link that leads nowhere" };
            control.note(format!("{} {what}: left out", child.display()));
            continue;
        }
        let name = name_of(&child)?;
        walk(&child, location.as_container().child(&name), control, files)?;
    }
    Ok(())
}

/// `x (2).tif` for `x.tif`; a suffix of a compressed file takes the one before it along: `x (2).csv.gz`.
pub(super) fn numbered(location: &Location, n: u32) -> Location {
    let key = location.key();
    let start = key.rfind('/').map_or(0, |i| i + 1);
    let name = &key[start..];
    let is_suffix = |s: &str| !s.is_empty() && s.len() <= 10 && s.bytes().all(|b| b.is_ascii_alphanumeric());
    let (mut stem, mut suffix) = match name.rsplit_once('.') {
        Some((stem, suffix)) if !stem.is_empty() && is_suffix(suffix) => (stem, suffix),
        _ => (name, ""),
    };
    if matches!(suffix, "gz" | "zip" | "bz2" | "xz" | "zst")
        && let Some((shorter, inner)) = stem.rsplit_once('.')
        && !shorter.is_empty()
        && is_suffix(inner)
    {
        stem = shorter;
        suffix = &name[shorter.len() + 1..];
    }
    let dot = if suffix.is_empty() { "" } else { "." };
    location.with_key(format!("{}{stem} ({n}){dot}{suffix}", &key[..start]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> Location {
        Location::parse(text).expect(text)
    }

    #[test]
    fn a_number_goes_before_the_suffix() {
        for (key, expected) in [
            ("a/x.tif", "a/x (1).tif"),
            ("x.csv.gz", "x (1).csv.gz"),
            ("x", "x (1)"),
            (".hidden", ".hidden (1)"),
            ("v1.2 of data", "v1.2 of data (1)"),
        ] {
            assert_eq!(numbered(&location("s3://b/").with_key(key), 1).key(), expected);
        }
    }

    #[test]
    fn folders_are_walked_and_named() {
        let dir = tempfile::tempdir().expect("folder");
        let root = dir.path().join("set");
        std::fs::create_dir_all(root.join("deep/er")).expect("folders");
        for name in ["b.txt", "deep/a.txt", "deep/er/ä.txt"] {
            std::fs::write(root.join(name), name).expect("file");
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(&root, root.join("deep/circle")).expect("link");
        let control = Control::default();
        let files = expand(&[Source::new(&root)], &location("s3://b/p"), &control).expect("expands");
        let keys: Vec<_> = files.iter().map(|f| f.location.key().to_owned()).collect();
        assert_eq!(keys, ["p/set/b.txt", "p/set/deep/a.txt", "p/set/deep/er/ä.txt"]);
        assert_eq!(control.take_notes().len(), 1);

        let one = [Source::new(root.join("b.txt"))];
        assert_eq!(expand(&one, &location("s3://b/p"), &control).expect("one")[0].location.key(), "p");
        assert_eq!(expand(&one, &location("s3://b/p/"), &control).expect("one")[0].location.key(), "p/b.txt");
        assert_eq!(expand(&one, &location("s3://b"), &control).expect("one")[0].location.key(), "b.txt");
        let twice =
            [Source::new(root.join("b.txt")), Source { path: root.join("deep/a.txt"), key: Some("b.txt".into()) }];
        let err = expand(&twice, &location("s3://b"), &control).expect_err("the same key");
        assert_eq!(err.kind(), Kind::Usage);
        let err = expand(&[Source::new(root.join("none"))], &location("s3://b"), &control).expect_err("no file");
        assert_eq!(err.kind(), Kind::NotFound);
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("x");
        std::fs::write(&path, "one").expect("writes");
        let stamp = Stamp::of(&path).expect("stamp");
        stamp.check(&path).expect("the same");
        std::fs::write(&path, "longer").expect("writes");
        assert_eq!(stamp.check(&path).map_err(|e| e.kind()), Err(Kind::Changed));
        std::fs::remove_file(&path).expect("removes");
        assert_eq!(stamp.check(&path).map_err(|e| e.kind()), Err(Kind::Changed));
    }
}
