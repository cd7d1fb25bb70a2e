//! One object: what stands at its destination, the proof of the copy, and the deletion of what was moved.

use super::Work;
use super::plan::Root;
use super::record::Mark;
use super::send::Sent;
use crate::entry::Stat;
use crate::error::{Context as _, Error, Kind, Result};
use crate::listing::Row;
use crate::location::{Location, Scheme};
use crate::store::{Fact, Pinned, StoreHandle};
use crate::transfer::exists::{Verdict, taken};
use crate::transfer::parts::md5_of;
use crate::transfer::source::numbered;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Numbers tried for a free name.
const NUMBERS: u32 = 1_000;

/// What a store says of an object.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) stat: Stat,
    /// Whether its tags could be seen.
    pub(super) has_tags: bool,
}

impl Known {
    pub(super) async fn of(handle: &StoreHandle, location: &Location) -> Result<Self> {
        // Futures of the SDK are large.
        let (stat, tags) = Box::pin(handle.stat_and_tags(location)).await?;
        if stat.content_type.as_deref() == Some("inode/directory") {
            return Err(Error::new(Kind::NotFound, format!("{location} is a folder, not a file")));
        }
        let has_tags = !matches!(tags, Fact::Denied | Fact::Failed(_));
        Ok(Self { stat, has_tags })
    }
}

/// An object to copy.
pub(super) struct Item {
    pub(super) root: Arc<Root>,
    pub(super) from: Location,
    pub(super) to: Location,
    /// As it was listed.
    listed: Listed,
    /// As its server says, once that was asked for.
    known: OnceCell<Known>,
}

#[derive(Default)]
struct Listed {
    size: u64,
    etag: Option<String>,
    class: Option<String>,
}

impl Item {
    /// An object of which all is known.
    pub(super) fn known(root: &Arc<Root>, known: Known) -> Self {
        let listed = Listed { size: known.stat.size, ..Listed::default() };
        let (from, to, known) = (root.from.clone(), root.to.clone(), OnceCell::new_with(Some(known)));
        Self { root: root.clone(), from, to, listed, known }
    }

    /// An object below a container; `None` for the mark of a folder where folders need none.
    pub(super) fn listed(root: &Arc<Root>, row: &Row<'_>) -> Option<Self> {
        let key = format!("{}{}", root.to.key(), row.name());
        let is_mark = row.name().is_empty() || row.name().ends_with('/');
        if key.is_empty() || (is_mark && root.to.scheme() != Scheme::S3) {
            return None;
        }
        let listed = Listed {
            size: row.size().unwrap_or_default(),
            etag: row.etag().map(str::to_owned),
            class: row.storage_class().filter(|class| *class != "STANDARD").map(str::to_owned),
        };
        let from = root.from.with_key(format!("{}{}", root.from.key(), row.name()));
        Some(Self { root: root.clone(), from, to: root.to.with_key(key), listed, known: OnceCell::new() })
    }

    pub(super) fn size(&self) -> u64 {
        self.known.get().map_or(self.listed.size, |known| known.stat.size)
    }

    pub(super) fn etag(&self) -> Option<&str> {
        match self.known.get() {
            Some(known) => known.stat.etag.as_deref(),
            None => self.listed.etag.as_deref(),
        }
    }

    pub(super) fn class(&self) -> Option<&str> {
        match self.known.get() {
            Some(known) => known.stat.storage_class.as_deref(),
            None => self.listed.class.as_deref(),
        }
    }

    /// It, on condition that it is still the same.
    pub(super) fn pinned(&self) -> Pinned<'_> {
        Pinned { location: &self.from, size: self.size(), etag: self.etag() }
    }

    /// Refuses what would leave its place: keys may hold anything, paths may not.
    fn check(&self) -> Result<()> {
        let below = self.to.key().get(self.root.to.key().len()..).unwrap_or_default();
        let is_odd = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains('\0');
        if self.root.tree && self.to.scheme() == Scheme::File && below.split('/').any(is_odd) {
            return Err(Error::usage(format!("{} cannot be the name of a file here", self.from)));
        }
        let target = &self.root.target;
        if self.root.tree && target.is_same_store(&self.root.source) && self.to.key().starts_with(self.root.from.key())
        {
            return Err(Error::usage(format!("{} would be written among what is being copied", self.to)));
        }
        Ok(())
    }
}

/// A copy that is whole and proved.
pub(super) struct Copied {
    pub(super) to: Location,
    pub(super) size: u64,
    /// Of the copy.
    pub(super) etag: Option<String>,
    /// Whether no byte of it went through this computer.
    pub(super) within: bool,
    /// The source has gone with it: it was given another name.
    pub(super) renamed: bool,
    pub(super) stat: Option<Stat>,
}

/// How an item has ended.
pub(super) enum End {
    Done(Copied),
    Skipped,
    /// A former attempt has done it.
    Before,
}

impl Work<'_> {
    pub(super) async fn one(&self, item: Item) -> (Item, Result<End>) {
        let verb = if self.spec.moves { "moving" } else { "copying" };
        let end = self.carry(&item).await.context(|| format!("{verb} {}", item.from));
        (item, end)
    }

    async fn carry(&self, item: &Item) -> Result<End> {
        self.race(self.control.turn()).await?;
        item.check()?;
        if let Some(mark) = self.record.finished(&item.from) {
            self.know(item).await?;
            if mark.etag.as_deref() == item.etag() && mark.size == item.size() {
                self.control.advance(item.size());
                return Ok(End::Before);
            }
        }
        let before = match self.record.take_copied(&item.from) {
            Some(mark) => self.copied_before(item, mark).await?,
            None => None,
        };
        let copied = match before {
            Some(copied) => copied,
            None => match self.copied(item).await? {
                Some(copied) => copied,
                None => return Ok(End::Skipped),
            },
        };
        if self.spec.moves && !copied.renamed {
            self.record.copied(item, &copied);
            self.remove(item, &copied).await?;
        }
        self.record.file(item, &copied);
        Ok(End::Done(copied))
    }

    /// The copy that a former attempt has proved, if it and its source are still the same.
    async fn copied_before(&self, item: &Item, mark: Mark) -> Result<Option<Copied>> {
        self.know(item).await?;
        if mark.etag.as_deref() != item.etag() || mark.size != item.size() {
            return Ok(None);
        }
        let Some(stat) = self.find(item, &mark.to).await? else { return Ok(None) };
        if stat.size != mark.size || stat.etag != mark.to_etag {
            return Ok(None);
        }
        self.control.advance(stat.size);
        let Mark { to, size, to_etag: etag, .. } = mark;
        Ok(Some(Copied { to, size, etag, within: item.root.within, renamed: false, stat: Some(stat) }))
    }

    /// Copies it to its place, or to another as the rule has it; `None` where it is left out.
    async fn copied(&self, item: &Item) -> Result<Option<Copied>> {
        let mut to = self.record.intended(&item.from).map_or_else(|| item.to.clone(), |mark| mark.to.clone());
        let mut replace = self.conflicts.settled() == Some(Verdict::Overwrite);
        let mut number = 0;
        loop {
            let err = match self.sent(item, &to, !replace).await {
                Ok(sent) => return self.proved(item, to, sent).await.map(Some),
                Err(err) if err.kind() == Kind::Exists && !replace => err,
                Err(err) => return Err(err),
            };
            let Some(standing) = self.find(item, &to).await? else { return Err(err) };
            let again = self.record.is_resumed() || self.retried.load(std::sync::atomic::Ordering::Relaxed);
            if again && self.is_ours(item, &to, &standing) {
                self.control.advance(item.size());
                let sent = Sent { etag: String::new(), within: item.root.within, renamed: false };
                return self.proved(item, to, sent).await.map(Some);
            }
            match self.conflicts.decide(self.control, &to, Some(&standing), Some(item.size())).await? {
                Verdict::Skip => {
                    self.control.note(format!("{to} exists already: left as it is"));
                    self.control.advance(item.size());
                    return Ok(None);
                }
                Verdict::Overwrite => replace = true,
                Verdict::Rename if number == NUMBERS => {
                    return Err(taken(&item.to).with_hint("a thousand numbered names are taken too"));
                }
                Verdict::Rename => {
                    number += 1;
                    to = numbered(&item.to, number);
                }
            }
        }
    }

    /// Sends it. A listing may be older than the object: then what its server says now counts.
    async fn sent(&self, item: &Item, to: &Location, if_absent: bool) -> Result<Sent> {
        let was_known = item.known.initialized();
        match self.send(item, to, if_absent).await {
            Err(err) if err.kind() == Kind::Changed && !was_known => {
                let listed = item.listed.etag.clone();
                self.know(item).await?;
                if item.etag() == listed.as_deref() {
                    return Err(err);
                }
                self.send(item, to, if_absent).await
            }
            other => other,
        }
    }

    /// Whether what stands at `to` is what an attempt that was cut off has written there.
    fn is_ours(&self, item: &Item, to: &Location, standing: &Stat) -> bool {
        let plain = |etag: Option<&str>| etag.and_then(md5_of);
        let equal = plain(item.etag()).is_some() && plain(item.etag()) == plain(standing.etag.as_deref());
        let intended = self
            .record
            .intended(&item.from)
            .is_some_and(|mark| mark.to == *to && mark.size == item.size() && mark.etag.as_deref() == item.etag());
        standing.size == item.size() && (equal || intended)
    }

    /// Records that `to` is written now, where what will stand there does not tell by itself that it is ours.
    pub(super) async fn intend(&self, item: &Item, to: &Location, if_absent: bool) -> Result<()> {
        let tells = item.etag().is_some_and(|etag| md5_of(etag).is_some()) && to.scheme() == Scheme::S3;
        if tells || !if_absent || !self.record.is_recorded() {
            return Ok(());
        }
        if self.find(item, to).await?.is_some() {
            return Err(taken(to));
        }
        self.record.intent(item, to);
        Ok(())
    }

    /// What the source's server says of it, asked for once.
    pub(super) async fn know<'i>(&self, item: &'i Item) -> Result<&'i Known> {
        let ask = || self.race(self.again(|| Known::of(&item.root.source, &item.from)));
        item.known.get_or_try_init(ask).await
    }

    /// What stands at `to`.
    pub(super) async fn find(&self, item: &Item, to: &Location) -> Result<Option<Stat>> {
        match self.race(self.again(|| Box::pin(item.root.target.stat(to)))).await {
            Ok(stat) => Ok(Some(stat)),
            Err(err) if err.kind() == Kind::NotFound => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Asks the server what it has, and compares. A copy within the server whose `ETag` is the source's is equal;
    /// for a move all is compared that the servers tell.
    async fn proved(&self, item: &Item, to: Location, sent: Sent) -> Result<Copied> {
        let Sent { etag, within, renamed } = sent;
        let told = Some(etag).filter(|etag| !etag.is_empty());
        let is_equal = within && told.as_deref().is_some_and(|etag| is_same(etag, item.etag()));
        if (is_equal && item.root.tree && !self.spec.moves) || renamed {
            let (size, stat) = (item.size(), None);
            return Ok(Copied { to, size, etag: told, within, renamed, stat });
        }
        let mut stat = self.standing(item, &to).await?;
        if self.spec.moves || !within {
            let source = self.know(item).await?;
            if source.has_tags && stat.tags != source.stat.tags && to.scheme() == Scheme::S3 {
                // Ceph 16 forgets the tags that an upload in parts was begun with.
                let set = self.race(self.again(|| item.root.target.set_tags(to.key(), &source.stat.tags))).await;
                if let Err(err) = set.and_then(|()| self.control.check()) {
                    self.lose_tags(&to, &err)?;
                }
                stat = self.standing(item, &to).await?;
            }
        }
        if let Some(why) = self.differs(item, &stat, told.as_deref()) {
            let err = Error::invalid(format!("{to} is not what was copied: {why}"));
            return Err(if self.spec.moves { err.with_hint("the source was not deleted") } else { err });
        }
        let (size, etag) = (stat.size, stat.etag.clone());
        Ok(Copied { to, size, etag, within, renamed, stat: Some(stat) })
    }

    /// Tags that cannot be set are lost with a move, and missed with a copy.
    fn lose_tags(&self, to: &Location, err: &Error) -> Result<()> {
        if err.kind() == Kind::Cancelled {
            return Err(err.again());
        }
        if self.spec.moves {
            return Err(Error::new(err.kind(), format!("its tags cannot be kept at {to}: {err}"))
                .with_hint("the source was not deleted; copy it, if the tags may be lost"));
        }
        self.note_once(format!("tags were not kept: {err}"));
        Ok(())
    }

    async fn standing(&self, item: &Item, to: &Location) -> Result<Stat> {
        let found = self.find(item, to).await?;
        found.ok_or_else(|| Error::invalid(format!("the server took {to} but does not have it")))
    }

    fn differs(&self, item: &Item, stat: &Stat, told: Option<&str>) -> Option<String> {
        if stat.size != item.size() {
            return Some(format!("it has {} bytes, the source {}", stat.size, item.size()));
        }
        if let (Some(told), Some(now)) = (told, &stat.etag)
            && !is_same(told, Some(now))
        {
            return Some(format!("its ETag is {now}, that of another write; ours was {told}"));
        }
        let source = &item.known.get()?.stat;
        if item.root.target.loses(&crate::store::UploadMeta::of(source)).is_some() || stat.location.to_path().is_some()
        {
            return None;
        }
        if plain(&stat.metadata) != plain(&source.metadata) {
            return Some("its metadata is another".to_owned());
        }
        let (is, was) = (&stat.detail, &source.detail);
        for (name, is, was) in [
            ("type", &stat.content_type, &source.content_type),
            ("encoding", &is.content_encoding, &was.content_encoding),
            ("language", &is.content_language, &was.content_language),
            ("disposition", &is.content_disposition, &was.content_disposition),
        ] {
            if was.is_some() && is != was {
                return Some(format!("its content {name} is {:?}", is.as_deref().unwrap_or("absent")));
            }
        }
        None
    }

    /// Deletes the source of a proved copy, on condition that it is still what was copied.
    async fn remove(&self, item: &Item, copied: &Copied) -> Result<()> {
        let root = &item.root;
        let Some(etag) = item.etag() else {
            return Err(Error::unsupported(format!("it is not known whether {} is still the same", item.from))
                .with_hint("it was copied, and not deleted"));
        };
        if root.twin && item.from.key() == copied.to.key() {
            // One server may be reached by two addresses.
            let (one, two) = (self.find(item, &copied.to).await?, Known::of(&root.source, &item.from).await?.stat);
            if one.is_none_or(|one| one.modified == two.modified) {
                return Err(Error::invalid(format!("{} and {} may be one and the same object", item.from, copied.to))
                    .with_hint("nothing was deleted"));
            }
        }
        self.race(self.again(|| root.source.delete_unchanged(item.from.key(), etag))).await
    }

    /// After all went well: uploads that nobody goes on with are removed, and folders that were moved out of.
    pub(super) async fn tidy_up(&self, roots: &[Arc<Root>], emptied: &BTreeSet<Location>) {
        for stale in self.record.take_stale() {
            if let Ok(handle) = self.stores.open(&stale.mark.to, &self.control.meter).await {
                self.abort(&handle, stale.mark.to.key(), &stale.upload_id).await;
            }
        }
        if !self.spec.moves {
            return;
        }
        for root in roots.iter().filter(|root| root.tree && root.from.to_path().is_some()) {
            let mut folders: Vec<Location> = emptied.union(&self.record.emptied()).cloned().collect();
            // Those within others come first; a folder that is not empty ends the way up.
            folders.sort_by_key(|folder| std::cmp::Reverse(folder.key().len()));
            for folder in folders {
                let mut at = Some(folder);
                while let Some(folder) = at.take_if(|folder| folder.key().starts_with(root.from.key())) {
                    if root.source.remove_empty_folder(folder.key()).await.unwrap_or(false) {
                        at = folder.parent();
                    }
                }
            }
        }
    }
}

fn is_same(etag: &str, other: Option<&str>) -> bool {
    other.is_some_and(|other| other.trim_matches('"') == etag.trim_matches('"'))
}

/// Metadata by names as the least careful server keeps them: in lower case, `a_b` as `a-b`.
fn plain(metadata: &BTreeMap<String, String>) -> BTreeMap<String, &str> {
    metadata.iter().map(|(key, value)| (key.to_ascii_lowercase().replace('_', "-"), value.trim())).collect()
}
