//! Taking away: objects and versions by the thousand, uploads that nobody completed; and the listing that
//! says what would go, which differs from the one that is read: a link is a thing of its own here.

use super::{Backend, StoreHandle, local};
use crate::entry::EntryKind;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use chrono::{DateTime, Utc};
use futures::stream::{BoxStream, StreamExt as _};
use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// So many are deleted by one request, and make a page of a walk.
pub const BATCH: usize = 1_000;
/// Deletions under way at once where each is a request of its own.
const SINGLE: usize = 8;

/// Something to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    /// Its key.
    pub key: String,
    /// This version of it, for good; `None`: the object, as the bucket deletes.
    pub version: Option<String>,
    /// Bytes; 0 for a mark of deletion and where it is not known.
    pub size: u64,
    /// An empty folder of the local disk, which is no object.
    pub folder: bool,
}

impl Victim {
    /// An object of so many bytes.
    pub fn object(key: impl Into<String>, size: u64) -> Self {
        Self { key: key.into(), version: None, size, folder: false }
    }
}

/// An upload in parts that was neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Unfinished {
    /// What it would have become.
    pub key: String,
    /// The name of the upload.
    pub upload_id: String,
    /// When it was started.
    pub started: Option<DateTime<Utc>>,
    /// Storage class; absent means STANDARD.
    pub storage_class: Option<String>,
    /// Who started it, where the server tells.
    pub initiator: Option<String>,
}

/// What the server holds of an unfinished upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    /// Parts.
    pub parts: u64,
    /// Their bytes: they are paid for, and no listing shows them.
    pub bytes: u64,
}

impl StoreHandle {
    /// Fails where `location` may not be written to.
    pub fn may_delete(&self, location: &Location) -> Result<()> {
        self.writable(location.key())
    }

    /// All that is deleted with what lies below `location`, in pages, contents before their folders. With
    /// `versions`, every version and mark of deletion. Links are told as links and not followed.
    pub fn victims(&self, location: &Location, versions: bool) -> BoxStream<'static, Result<Vec<Victim>>> {
        let base = location.as_container();
        if versions {
            return self.versions(&base, true).map(|page| Ok(page?.into_iter().map(of_version).collect())).boxed();
        }
        if matches!(self.backend, Backend::Local) {
            return walk(PathBuf::from(location.key()));
        }
        let pages = self.list_all(&base);
        pages
            .map(move |page| {
                let block = page?.into_block();
                let rows = block.rows().filter(|row| row.kind() == EntryKind::Object);
                Ok(rows.map(|row| Victim::object(key_of(&base, &row), row.size().unwrap_or(0))).collect())
            })
            .boxed()
    }

    /// All versions and marks of the one object at `location`; with a version in it, that one alone.
    pub fn victims_of_one(&self, location: &Location) -> BoxStream<'static, Result<Vec<Victim>>> {
        let version = location.version().map(str::to_owned);
        self.versions(location, false)
            .map(move |page| {
                let all = page?.into_iter().map(of_version);
                Ok(all.filter(|v| version.is_none() || v.version == version).collect())
            })
            .boxed()
    }

    /// Deletes at most [`BATCH`] things, in one request where the store has one for that, and tells which
    /// could not be deleted and why. What is not there any more is no error.
    pub async fn delete_many(&self, victims: &[Victim]) -> Result<Vec<(usize, Error)>> {
        let Some(first) = victims.first() else { return Ok(Vec::new()) };
        self.writable(&first.key)?;
        if let Backend::S3(s3) = &self.backend {
            return s3.delete_many(&self.traffic, victims).await;
        }
        if matches!(self.backend, Backend::Local) {
            // In their order: a folder comes behind its contents.
            return self.delete_files(victims).await;
        }
        let one = |i: usize| async move { (i, self.delete(&victims[i].key).await) };
        let answers = futures::stream::iter(0..victims.len()).map(one).buffer_unordered(SINGLE);
        Ok(answers.filter_map(|(i, answer)| std::future::ready(answer.err().map(|err| (i, err)))).collect().await)
    }

    async fn delete_files(&self, victims: &[Victim]) -> Result<Vec<(usize, Error)>> {
        let _permit = self.traffic.permit().await;
        let request = self.traffic.meter.request();
        let all: Vec<(PathBuf, bool)> = victims.iter().map(|v| (PathBuf::from(&v.key), v.folder)).collect();
        let work = move |_: &Path| {
            let failed = all.into_iter().enumerate().filter_map(|(i, (path, folder))| {
                let err = if folder { std::fs::remove_dir(&path) } else { std::fs::remove_file(&path) }.err()?;
                let gone = err.kind() == io::ErrorKind::NotFound;
                // Something came, or could not go: that is told where it stands.
                let stays = folder && err.kind() == io::ErrorKind::DirectoryNotEmpty;
                (!gone && !stays).then(|| (i, Error::from(err).context(path.display().to_string())))
            });
            Ok(failed.collect())
        };
        let failed = local::blocking(PathBuf::new(), work).await?;
        request.done();
        Ok(failed)
    }

    /// Uploads to keys at or below `location` that were neither completed nor aborted, in pages.
    pub fn unfinished(&self, location: &Location) -> BoxStream<'static, Result<Vec<Unfinished>>> {
        match &self.backend {
            Backend::S3(_) if location.is_account() => {
                let err = Error::usage("uploads are listed of a bucket: name one");
                futures::stream::iter([Err(err)]).boxed()
            }
            Backend::S3(s3) => s3.clone().unfinished(self.traffic.clone(), location.key().to_owned()),
            _ => {
                let err = Error::unsupported(format!("{}:// keeps no list of uploads", self.id.scheme.as_str()));
                futures::stream::iter([Err(err.with_hint("unfinished uploads are listed of s3:// places"))]).boxed()
            }
        }
    }

    /// What the server holds of an unfinished upload.
    pub async fn held(&self, key: &str, upload_id: &str) -> Result<Held> {
        match &self.backend {
            Backend::S3(s3) => s3.held(&self.traffic, key, upload_id).await,
            _ => Err(Error::unsupported("only S3 tells what it holds of an upload")),
        }
    }
}

fn of_version(version: crate::entry::Version) -> Victim {
    Victim {
        key: version.location.key().to_owned(),
        version: Some(version.id),
        size: version.size.unwrap_or(0),
        folder: false,
    }
}

/// The key of a listed object; one with the name of its folder leads to itself.
fn key_of(base: &Location, row: &crate::listing::Row<'_>) -> String {
    match row.more().and_then(|more| more.target.as_ref()) {
        Some(own) => own.key().to_owned(),
        None => format!("{}{}", base.key(), row.name()),
    }
}

/// Everything at and below a path of the local disk, contents before their folder.
fn walk(root: PathBuf) -> BoxStream<'static, Result<Vec<Victim>>> {
    futures::stream::once(async move {
        let (tx, rx) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            let mut page = Vec::new();
            if walk_into(&root, &mut page, &tx) {
                let _ = tx.blocking_send(Ok(page));
            }
        });
        futures::stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|page| (page, rx)) })
    })
    .flatten()
    .boxed()
}

/// A folder whose contents are being walked.
struct Level {
    path: PathBuf,
    inside: std::vec::IntoIter<std::fs::DirEntry>,
}

fn open_level(path: PathBuf) -> std::result::Result<Level, (PathBuf, io::Error)> {
    match std::fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(inside) => Ok(Level { path, inside: inside.into_iter() }),
        Err(err) => Err((path, err)),
    }
}

/// `false` when nobody reads any more. A folder that cannot be read is told, and stays.
fn walk_into(root: &Path, page: &mut Vec<Victim>, tx: &mpsc::Sender<Result<Vec<Victim>>>) -> bool {
    let mut levels = match open_level(root.to_owned()) {
        Ok(level) => vec![level],
        Err((path, err)) => return tx.blocking_send(Err(Error::from(err).context(path.display().to_string()))).is_ok(),
    };
    while let Some(level) = levels.last_mut() {
        let Some(item) = level.inside.next() else {
            let path = levels.pop().map(|level| level.path).unwrap_or_default();
            page.extend(named(&path).map(|key| Victim { folder: true, ..Victim::object(key, 0) }));
            continue;
        };
        let path = item.path();
        let Some(key) = named(&path) else {
            let err = Error::invalid(format!("the name of {} is not UTF-8", path.display()));
            let told = tx.blocking_send(Err(err.with_hint("delete it with another program")));
            if told.is_err() {
                return false;
            }
            continue;
        };
        // Of the entry itself: what a link leads to is not looked at.
        let about = item.metadata();
        if about.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
            match open_level(path) {
                Ok(level) => levels.push(level),
                Err((path, err)) => {
                    let err = Error::from(err).context(path.display().to_string());
                    if tx.blocking_send(Err(err)).is_err() {
                        return false;
                    }
                }
            }
        } else {
            page.push(Victim::object(key, about.map_or(0, |about| about.len())));
        }
        if page.len() >= BATCH && tx.blocking_send(Ok(std::mem::take(page))).is_err() {
            return false;
        }
    }
    true
}

fn named(path: &Path) -> Option<String> {
    path.to_str().map(str::to_owned)
}

/// Whether a path of the local disk is nobody's to delete as a whole: the root, a home, what is above it.
pub fn is_precious(path: &Path, home: Option<&Path>) -> bool {
    // What the last part of it leads to is not meant: a link goes, and not its target.
    let real = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => parent.canonicalize().unwrap_or_else(|_| parent.to_owned()).join(name),
        _ => return true,
    };
    let home = home.map(|home| home.canonicalize().unwrap_or_else(|_| home.to_owned()));
    real.parent().is_none() || home.is_some_and(|home| home.starts_with(&real))
}

/// The sentence for what is precious.
pub(crate) fn refused(path: &Path) -> Error {
    Error::new(Kind::Denied, format!("{} is not deleted", path.display()))
        .with_hint("it is the root, your home, or a folder above it: choose folders within")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Options, Stores};

    #[test]
    fn the_root_and_the_home_are_precious() {
        let dir = tempfile::tempdir().expect("a folder");
        let home = dir.path().join("home/me");
        std::fs::create_dir_all(home.join("data")).expect("folders");
        std::os::unix::fs::symlink(&home, dir.path().join("link")).expect("a link");
        for precious in [Path::new("/"), &home, &dir.path().join("home"), dir.path()] {
            assert!(is_precious(precious, Some(&home)), "{}", precious.display());
        }
        for fine in [home.join("data"), dir.path().join("link"), dir.path().join("other")] {
            assert!(!is_precious(&fine, Some(&home)), "{}", fine.display());
        }
        assert!(is_precious(&dir.path().join("home/../home/me"), Some(&home)));
    }

    #[tokio::test]
    async fn links_are_things_of_their_own() {
        let dir = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        std::fs::create_dir_all(inside.join("empty/er")).expect("folders");
        std::fs::create_dir_all(&outside).expect("folders");
        std::fs::write(outside.join("keep"), "12345").expect("a file");
        std::fs::write(inside.join("x"), "123").expect("a file");
        for (to, name) in [("../out", "to-folder"), ("../out/keep", "to-file"), ("nowhere", "broken"), (".", "circle")]
        {
            std::os::unix::fs::symlink(to, inside.join(name)).expect(name);
        }
        let stores = Stores::new(Options::default());
        let at = Location::file(&inside).as_container();
        let handle = stores.open(&at, stores.meter()).await.expect("opens");
        let pages: Vec<_> = handle.victims(&at, false).collect().await;
        let all: Vec<Victim> = pages.into_iter().flat_map(|page| page.expect("a page")).collect();
        assert_eq!(all.iter().filter(|v| !v.folder).count(), 5);
        assert_eq!(all.iter().filter(|v| v.folder).count(), 3);
        assert!(handle.delete_many(&all).await.expect("deletes").is_empty());
        assert!(!inside.exists() && outside.join("keep").exists());
    }
}
