//! Listings in the order of their names' bytes, so that two of them can be read side by side.
//!
//! S3 and most others list so by themselves; it is checked, because a listing out of order would make a
//! comparison miss things. A local folder is walked in that order: a folder stands where its name with a
//! `/` behind it does, so `a.txt` comes before what is in `a/`.

use super::{Backend, StoreHandle, local};
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::listing::{Block, Listing};
use crate::location::Location;
use futures::stream::{BoxStream, StreamExt as _};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Entries of a page of a folder.
const PAGE: usize = 1_000;
/// The ends of names that an interrupted write of ours leaves.
const OURS: [&str; 2] = [".secchi-part", ".secchi-parts"];

impl StoreHandle {
    /// All objects below `location`, names relative to it, in the order of their bytes. A local folder that
    /// cannot be read is an error between the pages, and the rest still comes; every other error ends it.
    pub fn in_order(&self, location: &Location) -> BoxStream<'static, Result<Block>> {
        let base = location.as_container();
        match &self.backend {
            Backend::Local => walk(PathBuf::from(base.key())),
            Backend::S3(_) => checked(self.list_all(&base).map(|page| Ok(page?.into_block())).boxed()),
            Backend::Memory(_) | Backend::Other => {
                sorted(self.list_all(&base).map(|page| Ok(page?.into_block())).boxed())
            }
        }
    }
}

fn checked(pages: BoxStream<'static, Result<Block>>) -> BoxStream<'static, Result<Block>> {
    let state = (pages, String::new());
    futures::stream::try_unfold(state, |(mut pages, mut last)| async move {
        let Some(block) = pages.next().await.transpose()? else { return Ok(None) };
        for row in block.rows() {
            // The object called like the prefix itself is shown under a name that is none.
            if row.more().is_some_and(|more| more.target.is_some()) {
                continue;
            }
            if *row.name() < *last {
                let why = format!("the server lists {:?} after {last:?}, out of order", row.name());
                return Err(
                    Error::invalid(why).with_hint("it cannot be compared by listings; this is a mistake of the server")
                );
            }
            last.clear();
            last.push_str(row.name());
        }
        Ok(Some((block, (pages, last))))
    })
    .boxed()
}

/// Reads all of it before the first: for stores that promise no order.
fn sorted(mut pages: BoxStream<'static, Result<Block>>) -> BoxStream<'static, Result<Block>> {
    futures::stream::once(async move {
        let mut all = Listing::new();
        while let Some(page) = pages.next().await {
            all.push(page?);
        }
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|a, b| all.row(*a).name().cmp(all.row(*b).name()));
        let mut block = Block::default();
        for at in order {
            block.push_row(&all.row(at));
        }
        Ok(block)
    })
    .boxed()
}

fn walk(root: PathBuf) -> BoxStream<'static, Result<Block>> {
    futures::stream::once(async move {
        let (tx, rx) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || walk_into(&root, &tx));
        futures::stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|page| (page, rx)) })
    })
    .flatten()
    .boxed()
}

/// What is in a folder and not yet told, the last first.
struct Level(Vec<(String, Option<Metadata>)>);

/// The contents of a folder: names of folders end in `/`. What is no file, or has no name that can be
/// written, is told as an error.
fn level(path: &Path, tx: &mpsc::Sender<Result<Block>>) -> Level {
    let mut inside = Vec::new();
    let told = |err: Error| drop(tx.blocking_send(Err(err)));
    let items = match std::fs::read_dir(path) {
        Ok(items) => items,
        Err(err) => {
            told(Error::from(err).context(path.display().to_string()));
            return Level(inside);
        }
    };
    for item in items {
        let item = match item {
            Ok(item) => item,
            Err(err) => {
                told(Error::from(err).context(path.display().to_string()));
                continue;
            }
        };
        let Ok(name) = item.file_name().into_string() else {
            told(Error::invalid(format!("the name of {} is not UTF-8", item.path().display())));
            continue;
        };
        if name.starts_with('.') && OURS.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        // Linked folders are not entered, so that no circle is; linked files are files.
        if item.file_type().is_ok_and(|t| t.is_dir()) {
            inside.push((format!("{name}/"), None));
        } else if let Ok(about) = std::fs::metadata(item.path())
            && about.is_file()
        {
            inside.push((name, Some(about)));
        }
    }
    inside.sort_unstable_by(|a, b| b.0.cmp(&a.0));
    Level(inside)
}

fn walk_into(root: &Path, tx: &mpsc::Sender<Result<Block>>) {
    let mut levels = vec![(String::new(), level(root, tx))];
    let mut block = Block::default();
    while let Some((above, Level(inside))) = levels.last_mut() {
        let Some((name, about)) = inside.pop() else {
            levels.pop();
            continue;
        };
        let name = format!("{above}{name}");
        match about {
            None => {
                let below = level(&root.join(&name), tx);
                levels.push((name, below));
            }
            Some(about) => {
                block.push(EntryKind::Object, &name);
                block.put_size(about.len());
                block.put_modified(local::modified(&about).timestamp_millis());
            }
        }
        if block.len() >= PAGE && tx.blocking_send(Ok(std::mem::take(&mut block))).is_err() {
            return;
        }
    }
    let _ = tx.blocking_send(Ok(block));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Options, Stores, UploadMeta};
    use futures::TryStreamExt as _;

    #[tokio::test]
    async fn a_folder_is_walked_as_a_bucket_is_listed() {
        let names = ["a-b", "a.txt", "a/b/c", "a/b.x", "a0", "aa/z", "ä", "b/", "z"];
        let dir = tempfile::tempdir().expect("a folder");
        let stores = Stores::new(Options::default());
        let memory = Location::parse("memory:///d/").expect("an address");
        let handle = stores.open(&memory, stores.meter()).await.expect("opens");
        for name in names.iter().filter(|name| !name.ends_with('/')) {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(&path, "1").expect("a file");
            handle.put_object(&format!("d/{name}"), "1".into(), &UploadMeta::default(), false).await.expect(name);
        }
        std::fs::write(dir.path().join(".x.secchi-part"), "1").expect("a file");
        let shown = |blocks: Vec<Block>| {
            let rows = blocks.iter().flat_map(Block::rows);
            rows.map(|row| row.name().to_owned()).collect::<Vec<_>>()
        };
        let theirs = shown(handle.in_order(&memory).try_collect().await.expect("lists"));
        let at = Location::file(dir.path()).as_container();
        let disk = stores.open(&at, stores.meter()).await.expect("opens");
        let ours = shown(disk.in_order(&at).try_collect().await.expect("walks"));
        assert_eq!(ours, theirs);
        assert!(ours.is_sorted() && ours.len() == 8);
    }
}
