//! How pages reach their reader: a task asks for the next one while the former is read, and stops
//! when nobody reads any more. And the listings of what is not S3: folders, memory, other clouds.

use super::local;
use super::rawkey;
use crate::entry::{Entry, EntryKind, More};
use crate::error::{Context as _, Error, Result};
use crate::listing::{Block, Page, Pages};
use crate::location::{Location, Scheme};
use futures::stream::{BoxStream, StreamExt};
use object_store::{ObjectMeta, ObjectStore};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Entries of a page that is not cut by a server.
const PAGE: usize = 1000;

/// Where pages are sent.
#[derive(Clone)]
pub(super) struct Sender(mpsc::Sender<Result<Page>>);

impl Sender {
    /// Sends a page; `false` when nobody reads any more.
    pub(super) async fn send(&self, page: Result<Page>) -> bool {
        self.0.send(page).await.is_ok()
    }

    fn send_blocking(&self, page: Result<Vec<Entry>>) -> bool {
        self.0.blocking_send(page.map(Into::into)).is_ok()
    }
}

/// Ends a task with the stream that it feeds.
struct Feeder(tokio::task::JoinHandle<()>);

impl Drop for Feeder {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The pages that `produce` sends. One waits here while the next is under way.
pub(super) fn feed<F, Fut>(produce: F) -> Pages
where
    F: FnOnce(Sender) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    futures::stream::once(async move {
        let (tx, rx) = mpsc::channel(1);
        let feeder = Feeder(tokio::spawn(produce(Sender(tx))));
        futures::stream::unfold((rx, feeder), |(mut rx, feeder)| async move {
            rx.recv().await.map(|page| (page, (rx, feeder)))
        })
    })
    .flatten()
    .boxed()
}

/// A stream that ends with this error.
pub(super) fn failed(err: Error) -> Pages {
    futures::stream::iter([Err(err)]).boxed()
}

/// One level of a folder.
pub(super) fn folder(base: Location) -> Pages {
    feed(move |sender| async move {
        let work = tokio::task::spawn_blocking(move || {
            let path = PathBuf::from(base.key());
            if let Err(err) = read_folder(&path, &sender) {
                sender.send_blocking(Err(err).context(|| path.display().to_string()));
            }
        });
        // It cannot be aborted, but it ends when its sender finds nobody.
        let _ = work.await;
    })
}

fn read_folder(path: &Path, sender: &Sender) -> io::Result<()> {
    let mut page = Vec::new();
    for item in std::fs::read_dir(path)? {
        page.push(folder_entry(&item?));
        if page.len() >= PAGE && !sender.send_blocking(Ok(std::mem::take(&mut page))) {
            return Ok(());
        }
    }
    sender.send_blocking(Ok(page));
    Ok(())
}

/// A link is shown as what it leads to; one that leads nowhere (or in a circle) as an object.
fn folder_entry(item: &std::fs::DirEntry) -> Entry {
    let raw = item.file_name();
    let name = raw.to_string_lossy();
    let about = std::fs::metadata(item.path());
    if about.as_ref().is_ok_and(Metadata::is_dir) {
        return Entry::new(EntryKind::Prefix, format!("{name}/"));
    }
    let mut entry = Entry::new(EntryKind::Object, name.as_ref());
    let detail = match about {
        Ok(about) if about.is_file() => {
            entry.size = Some(about.len());
            entry.modified = Some(local::modified(&about));
            raw.to_str().is_none().then_some("its name is not UTF-8: it cannot be opened")
        }
        Ok(_) => Some("not a regular file"),
        Err(_) => Some("a link that leads nowhere"),
    };
    if let Some(detail) = detail {
        entry.more = Some(Box::new(More { detail: Some(detail.to_owned()), ..More::default() }));
    }
    entry
}

/// A page of files, or the folder that could not be read.
pub(super) type Walked = std::result::Result<Vec<(PathBuf, Metadata)>, (PathBuf, io::Error)>;

/// All regular files below `root`, in pages. Linked folders are not entered, so that no circle is.
pub(super) fn walk(root: PathBuf) -> BoxStream<'static, Walked> {
    futures::stream::once(async move {
        let (tx, rx) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || walk_into(root, &tx));
        futures::stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|page| (page, rx)) })
    })
    .flatten()
    .boxed()
}

fn walk_into(root: PathBuf, tx: &mpsc::Sender<Walked>) {
    let (mut folders, mut page) = (vec![root], Vec::new());
    while let Some(folder) = folders.pop() {
        let items = match std::fs::read_dir(&folder) {
            Ok(items) => items,
            Err(err) => {
                if tx.blocking_send(Err((folder, err))).is_err() {
                    return;
                }
                continue;
            }
        };
        for item in items.flatten() {
            let path = item.path();
            if item.file_type().is_ok_and(|t| t.is_dir()) {
                folders.push(path);
            } else if let Ok(about) = std::fs::metadata(&path)
                && about.is_file()
            {
                page.push((path, about));
            }
            if page.len() >= PAGE && tx.blocking_send(Ok(std::mem::take(&mut page))).is_err() {
                return;
            }
        }
    }
    let _ = tx.blocking_send(Ok(page));
}

/// All files below a folder, names relative to it. A folder that cannot be read is told as an error
/// between the pages; the rest still comes.
pub(super) fn folder_all(base: &Location) -> Pages {
    let root = PathBuf::from(base.key());
    walk(root.clone())
        .map(move |page| match page {
            Ok(found) => Ok(found
                .iter()
                .filter_map(|(path, about)| {
                    let mut entry =
                        Entry::new(EntryKind::Object, path.strip_prefix(&root).ok()?.to_string_lossy().as_ref());
                    entry.size = Some(about.len());
                    entry.modified = Some(local::modified(about));
                    Some(entry)
                })
                .collect::<Block>()
                .into()),
            Err((path, err)) => Err(err).context(|| path.display().to_string()),
        })
        .boxed()
}

/// One level of any other store.
pub(super) fn level(store: Arc<dyn ObjectStore>, base: Location) -> Pages {
    futures::stream::once(async move {
        let scheme = base.scheme();
        let prefix = rawkey::to_path(scheme, base.key().trim_end_matches('/'));
        let found = store.list_with_delimiter((!prefix.as_ref().is_empty()).then_some(&prefix)).await?;
        let mut page: Vec<Entry> = found
            .common_prefixes
            .iter()
            .map(|path| {
                let key = rawkey::to_key(scheme, path);
                Entry::new(EntryKind::Prefix, format!("{}/", key.rsplit('/').next().unwrap_or_default()))
            })
            .collect();
        page.extend(found.objects.into_iter().map(|meta| object(scheme, base.key(), meta)));
        Ok(page.into())
    })
    .boxed()
}

/// Everything below `base` in any other store.
pub(super) fn all(store: &Arc<dyn ObjectStore>, base: Location) -> Pages {
    let scheme = base.scheme();
    let prefix = rawkey::to_path(scheme, base.key().trim_end_matches('/'));
    store
        .list((!prefix.as_ref().is_empty()).then_some(&prefix))
        .chunks(PAGE)
        .map(move |chunk| {
            chunk
                .into_iter()
                .map(|meta| Ok(object(scheme, base.key(), meta?)))
                .collect::<Result<Block>>()
                .map(Page::from)
        })
        .boxed()
}

fn object(scheme: Scheme, base: &str, meta: ObjectMeta) -> Entry {
    let key = rawkey::to_key(scheme, &meta.location);
    let mut entry = Entry::new(EntryKind::Object, key.strip_prefix(base).unwrap_or(&key));
    entry.size = Some(meta.size);
    entry.modified = Some(meta.last_modified);
    entry.etag = meta.e_tag.map(Into::into);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn links_are_borne_and_circles_are_not_followed() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("sub")).expect("sub");
        std::fs::write(dir.path().join("sub/file"), "12345").expect("file");
        for (to, name) in [("sub", "to-sub"), (".", "circle"), ("nowhere", "broken"), ("sub/file", "to-file")] {
            std::os::unix::fs::symlink(to, dir.path().join(name)).expect(name);
        }
        let base = Location::file(dir.path()).as_container();
        let shown = |pages: Vec<Result<Page>>| {
            let blocks: Vec<Block> = pages.into_iter().map(|p| p.expect("page").into_block()).collect();
            let rows = blocks.iter().flat_map(Block::rows);
            let mut names: Vec<String> = rows.map(|row| format!("{}:{:?}", row.name(), row.size())).collect();
            names.sort();
            names
        };
        assert_eq!(
            shown(folder(base.clone()).collect().await),
            ["broken:None", "circle/:None", "sub/:None", "to-file:Some(5)", "to-sub/:None"]
        );
        assert_eq!(shown(folder_all(&base).collect().await), ["sub/file:Some(5)", "to-file:Some(5)"]);
        assert!(folder(base.child("none/")).next().await.expect("an answer").is_err());
    }

    #[tokio::test]
    async fn a_listing_that_nobody_reads_ends() {
        let (tx, rx) = tokio::sync::oneshot::channel::<()>();
        let mut pages = feed(move |sender| async move {
            let _held = tx;
            while sender.send(Ok(Block::default().into())).await {}
        });
        assert!(pages.next().await.is_some());
        drop(pages);
        assert!(rx.await.is_err(), "the task has ended");
    }
}
