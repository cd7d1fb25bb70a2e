//! What goes where: the sources resolved, what cannot be refused before anything is written, and the listing of
//! what lies below them, which runs ahead of the work by a bounded number of pages.

use super::CopySpec;
use super::item::{Item, Known};
use super::record::CopyRecord;
use crate::entry::EntryKind;
use crate::error::{Context as _, Error, Kind, Result};
use crate::listing::{Block, Page};
use crate::location::{Location, Scheme};
use crate::store::{StoreHandle, Stores};
use crate::task::Control;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Sources that are looked at together.
const TOGETHER: usize = 16;
/// Pages of a thousand that a listing is ahead of the work: about 25 MB.
const AHEAD: usize = 256;

/// One of the sources, with where it goes.
pub(super) struct Root {
    pub(super) from: Location,
    pub(super) to: Location,
    /// Whether all below `from` is meant.
    pub(super) tree: bool,
    pub(super) source: StoreHandle,
    pub(super) target: StoreHandle,
    /// Whether the server can copy by itself.
    pub(super) within: bool,
    /// Whether it has refused to.
    pub(super) refused: AtomicBool,
    /// Whether equal keys may be one and the same object, reached by two addresses.
    pub(super) twin: bool,
    /// What is known of an object.
    known: Option<Known>,
    /// It is not there any more: a former attempt has moved it.
    gone: bool,
}

impl Root {
    pub(super) fn on_disk(&self) -> bool {
        self.from.scheme() == Scheme::File && self.to.scheme() == Scheme::File
    }
}

/// How much was listed.
#[derive(Default)]
pub(super) struct Listed {
    objects: AtomicU64,
    bytes: AtomicU64,
    is_all: AtomicBool,
}

impl Listed {
    /// Objects, bytes, and whether that is all.
    pub(super) fn so_far(&self) -> (u64, u64, bool) {
        let is_all = self.is_all.load(Relaxed);
        (self.objects.load(Relaxed), self.bytes.load(Relaxed), is_all)
    }

    fn add(&self, objects: u64, bytes: u64) {
        self.objects.fetch_add(objects, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }
}

/// The sources with where they go.
pub(super) async fn roots(
    stores: &Stores,
    spec: &CopySpec,
    control: &Control,
    record: &CopyRecord,
) -> Result<Vec<Arc<Root>>> {
    if spec.sources.is_empty() {
        return Err(Error::usage("nothing to copy was named"));
    }
    let destination = stores.resolve(&spec.destination).await;
    check_destination(&destination)?;
    let target = control.race(stores.open(&destination, &control.meter)).await?;
    target.check_writable(destination.key())?;
    let into = spec.sources.len() > 1 || destination.is_container();
    let finding = Finding { stores, spec, control, record, destination: &destination, target: &target, into };
    // By number: a closure over what borrows is not general enough for the future of a job.
    let all = stream::iter(0..spec.sources.len()).map(|n| finding.root(&spec.sources[n]));
    let roots: Vec<Root> = all.buffered(TOGETHER).try_collect().await?;
    let mut taken: HashMap<&Location, &Location> = HashMap::new();
    for root in &roots {
        if let Some(other) = taken.insert(&root.to, &root.from) {
            return Err(Error::usage(format!("{other} and {} would both become {}", root.from, root.to))
                .with_hint("copy them one after the other, under other names"));
        }
    }
    Ok(roots.into_iter().map(Arc::new).collect())
}

fn check_destination(destination: &Location) -> Result<()> {
    if destination.is_account() {
        return Err(Error::usage("the destination names no bucket"));
    }
    if destination.version().is_some() {
        return Err(Error::usage("the destination names a version: what is written is always the current one"));
    }
    if matches!(destination.scheme(), Scheme::Http | Scheme::Https) {
        return Err(Error::unsupported("nothing can be written to a web address"));
    }
    Ok(())
}

struct Finding<'a> {
    stores: &'a Stores,
    spec: &'a CopySpec,
    control: &'a Control,
    record: &'a CopyRecord,
    destination: &'a Location,
    target: &'a StoreHandle,
    into: bool,
}

impl Finding<'_> {
    async fn root(&self, source: &Location) -> Result<Root> {
        let (moves, control) = (self.spec.moves, self.control);
        if source.is_account() {
            return Err(Error::usage("an account is not copied: name a bucket"));
        }
        if moves && source.version().is_some() {
            return Err(Error::usage("an old version is not moved").with_hint("copy it, then delete it"));
        }
        if moves && matches!(source.scheme(), Scheme::Http | Scheme::Https) {
            return Err(Error::unsupported("nothing can be moved from a web address").with_hint("copy it"));
        }
        let mut from = self.stores.resolve(source).await;
        let handle = control.race(self.stores.open(&from, &control.meter)).await?;
        if moves {
            handle.check_writable(from.key())?;
        }
        let (mut known, mut gone) = (None, false);
        if !from.is_container() {
            match control.race(Known::of(&handle, &from)).await {
                Ok(found) => known = Some(found),
                Err(err) if err.kind() != Kind::NotFound => return Err(err),
                Err(_) if moves && self.was_moved(&from).await? => gone = true,
                Err(err) if self.is_prefix(&handle, &from).await? => {
                    if !self.spec.recursive {
                        return Err(err.with_hint("it is a folder: with -r all below it is copied"));
                    }
                    from = from.as_container();
                }
                Err(err) => return Err(err),
            }
        }
        let tree = from.is_container();
        gone |= tree && self.record.knows_below(&from);
        let mut to = if self.into { below(self.destination, &from) } else { self.destination.clone() };
        if tree {
            to = to.as_container();
        }
        self.refuse(&handle, &from, &to, tree).await?;
        let within = self.target.can_copy_from(&handle).await;
        let twin = self.target.may_be_same_store(&handle) && !self.target.is_same_store(&handle);
        let (target, refused) = (self.target.clone(), AtomicBool::new(false));
        Ok(Root { from, to, tree, source: handle, target, within, refused, twin, known, gone })
    }

    /// Whether a former attempt has moved it: its copy is there.
    async fn was_moved(&self, from: &Location) -> Result<bool> {
        let Some(mark) = self.record.of_gone(from) else { return Ok(false) };
        match self.control.race(Known::of(self.target, &mark.to)).await {
            Ok(known) if known.stat.size == mark.size => {
                self.record.presume_moved(from, mark);
                Ok(true)
            }
            Err(err) if err.kind() != Kind::NotFound => Err(err),
            _ => Ok(false),
        }
    }

    async fn is_prefix(&self, handle: &StoreHandle, from: &Location) -> Result<bool> {
        if !matches!(from.scheme(), Scheme::S3 | Scheme::Gs | Scheme::Az | Scheme::Memory) || from.version().is_some() {
            return Ok(false);
        }
        let mut pages = handle.list(from);
        while let Some(page) = self.control.race(async { Ok::<_, Error>(pages.next().await) }).await? {
            if !page?.into_block().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Refuses what would write onto itself or grow for ever.
    async fn refuse(&self, source: &StoreHandle, from: &Location, to: &Location, tree: bool) -> Result<()> {
        if !self.target.is_same_store(source) {
            return Ok(());
        }
        let verb = if self.spec.moves { "moved" } else { "copied" };
        let (mut old, mut new) = (from.key().to_owned(), to.key().to_owned());
        if from.scheme() == Scheme::File {
            let (one, two) = (from.clone(), to.clone());
            (old, new) = self.control.blocking(move |_| Ok((real(&one), real(&two)))).await?;
        }
        if old == new {
            let err = Error::usage(format!("{from} would be {verb} onto itself"));
            return Err(match from.version() {
                Some(_) => err.with_hint("an old version is made the current one by restoring it"),
                None => err.with_hint("choose another destination"),
            });
        }
        if tree && new.starts_with(&old) {
            return Err(Error::usage(format!("{from} would be {verb} into itself: {to} lies below it"))
                .with_hint("choose a destination beside it"));
        }
        Ok(())
    }
}

/// Where a source goes in a container: under its own name.
fn below(container: &Location, from: &Location) -> Location {
    let name = if from.is_container() { from.name().to_owned() } else { from.name().trim_end_matches('/').to_owned() };
    container.as_container().child(&name)
}

/// A local path without links, as far as it is there, with the slash of a container.
fn real(location: &Location) -> String {
    let path = PathBuf::from(location.key());
    let mut above: &Path = &path;
    let real = loop {
        if let Ok(real) = above.canonicalize() {
            let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
            break if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
        match above.parent() {
            Some(parent) => above = parent,
            None => break path.clone(),
        }
    };
    let slash = if location.is_container() { "/" } else { "" };
    format!("{}{slash}", real.to_string_lossy().trim_end_matches('/'))
}

/// What a listing sends.
enum Batch {
    One(Arc<Root>),
    Page(Arc<Root>, Block),
}

/// The objects one after the other, while more are listed.
pub(super) struct Items {
    batches: mpsc::Receiver<Result<Batch>>,
    now: Option<(Arc<Root>, Block, usize)>,
    _lister: AbortOnDropHandle<()>,
}

impl Items {
    /// The next object. May be dropped while it waits: nothing is lost.
    pub(super) async fn next(&mut self) -> Option<Result<Item>> {
        loop {
            while let Some((root, block, at)) = &mut self.now {
                if *at >= block.len() {
                    self.now = None;
                    break;
                }
                let row = block.row(*at);
                *at += 1;
                // A store with folders tells of them too.
                if row.kind() == EntryKind::Object
                    && let Some(item) = Item::listed(root, &row)
                {
                    return Some(Ok(item));
                }
            }
            match self.batches.recv().await? {
                Ok(Batch::Page(root, block)) => self.now = Some((root, block, 0)),
                Ok(Batch::One(root)) => {
                    if let Some(known) = &root.known {
                        return Some(Ok(Item::known(&root, known.clone())));
                    }
                }
                Err(err) => return Some(Err(err)),
            }
        }
    }
}

/// Lists what `roots` hold.
pub(super) fn list(roots: &[Arc<Root>], listed: &Arc<Listed>, control: &Control) -> Items {
    let (tx, batches) = mpsc::channel(AHEAD);
    let (roots, listed, control) = (roots.to_vec(), listed.clone(), control.clone());
    let lister = tokio::spawn(async move {
        for root in &roots {
            // Nobody reads any more: the work has ended.
            if send(root, &tx, &listed, &control).await.is_none() {
                return;
            }
        }
        let (_, bytes, _) = listed.so_far();
        listed.is_all.store(true, Relaxed);
        control.set_total(bytes);
    });
    Items { batches, now: None, _lister: AbortOnDropHandle::new(lister) }
}

async fn send(root: &Arc<Root>, tx: &mpsc::Sender<Result<Batch>>, listed: &Listed, control: &Control) -> Option<()> {
    if !root.tree {
        if let Some(known) = &root.known {
            listed.add(1, known.stat.size);
        }
        return tx.send(Ok(Batch::One(root.clone()))).await.ok();
    }
    let mut pages = root.source.list_all(&root.from);
    // A former attempt may have moved all of it.
    let mut any = root.gone;
    while let Some(page) = pages.next().await {
        let block = match page {
            Ok(Page::Note(note)) => {
                control.note(note);
                continue;
            }
            Ok(Page::Entries(block)) => block,
            Err(err) => {
                let _ = tx.send(Err(err).context(|| format!("listing {}", root.from))).await;
                return None;
            }
        };
        any |= !block.is_empty();
        listed.add(block.len() as u64, block.bytes());
        tx.send(Ok(Batch::Page(root.clone(), block))).await.ok()?;
    }
    if !any {
        let err = Error::new(Kind::NotFound, format!("there is nothing below {}", root.from));
        let _ = tx.send(Err(err)).await;
        return None;
    }
    Some(())
}
