//! The bytes of one object: within the server, on the disk, or through this computer.

use super::Work;
use super::item::Item;
use crate::error::{Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::UploadMeta;
use crate::transfer::digest::md5_of;
use crate::transfer::download::check::is_sealed;
use crate::transfer::pace::Place;
use crate::transfer::parts::IN_PARTS;
use crate::transfer::send::ALTERED;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How often something is asked for before it counts as failed.
const TRIES: u32 = 3;
/// An object of this size whose copy within the server is not answered in time is copied in parts.
const SLOW: u64 = 256 << 20;
/// Smaller bodies are digested at once.
const INLINE: usize = 1 << 20;

/// What was written.
pub(super) struct Sent {
    /// As the server told; empty where it did not.
    pub(super) etag: String,
    /// Whether the server copied it by itself.
    pub(super) within: bool,
    /// Whether the source has gone with it.
    pub(super) renamed: bool,
}

/// Whether asking again may help.
pub(super) fn is_passing(kind: Kind) -> bool {
    matches!(kind, Kind::Unreachable | Kind::Limit)
}

impl Work<'_> {
    /// MD5 of a body. That of a large one is made together with those of others.
    pub(super) async fn digest(&self, body: &Bytes) -> [u8; 16] {
        if body.len() < INLINE {
            return Md5::digest(body).into();
        }
        self.together.md5(body.clone()).await.unwrap_or_else(|_| Md5::digest(body).into())
    }

    /// Asks until it succeeds, fails for good, or was tried [`TRIES`] times.
    pub(super) async fn again<T, F: Future<Output = Result<T>>>(&self, ask: impl Fn() -> F) -> Result<T> {
        let mut pause = Duration::from_millis(250);
        for _ in 1..TRIES {
            match ask().await {
                Err(err) if is_passing(err.kind()) && !self.stop.is_cancelled() => {
                    self.control.note(format!("once more in {}: {err}", crate::text::duration(pause)));
                    self.control.meter.retried();
                    self.retried.store(true, Relaxed);
                    tokio::time::sleep(pause).await;
                    pause *= 4;
                }
                other => return other,
            }
        }
        ask().await
    }

    /// Waits for a place among the requests.
    pub(super) async fn place(&self) -> Result<Place<'_>> {
        let place = self.race(async { Ok(self.pace.place().await) }).await?;
        self.race(self.control.turn()).await?;
        Ok(place)
    }

    /// Gives a place back as the work in it went.
    pub(super) fn leave<T>(place: Place<'_>, result: &Result<T>, bytes: u64) {
        match result {
            Ok(_) => place.done(bytes),
            Err(err) if is_passing(err.kind()) => place.failed(),
            Err(_) => drop(place),
        }
    }

    /// Writes it to `to`. With `if_absent`, what stands there is kept, and the answer is [`Kind::Exists`].
    pub(super) async fn send(&self, item: &Item, to: &Location, if_absent: bool) -> Result<Sent> {
        let root = &item.root;
        if root.on_disk() {
            return self.on_disk(item, to, if_absent).await;
        }
        if root.within && !root.refused.load(Relaxed) {
            let refusal = match self.within(item, to, if_absent).await {
                Err(err) if matches!(err.kind(), Kind::Unsupported | Kind::Denied) => err,
                other => return other,
            };
            // What the one may not copy another may read and write.
            root.target.check_writable(to.key())?;
            root.refused.fetch_or(refusal.kind() == Kind::Unsupported, Relaxed);
            self.note_once(format!("the server does not copy it by itself, so it goes through here: {refusal}"));
        }
        self.through(item, to, if_absent).await
    }

    /// The server copies it.
    async fn within(&self, item: &Item, to: &Location, if_absent: bool) -> Result<Sent> {
        let root = &item.root;
        if self.spec.moves || item.etag().is_none() {
            self.know(item).await?;
        }
        if item.size() > self.spec.whole {
            return self.in_parts(item, to, if_absent, true).await;
        }
        self.intend(item, to, if_absent).await?;
        let place = self.place().await?;
        let copy = || root.target.copy_object(&root.source, item.pinned(), to.key(), item.class(), if_absent);
        // Once is enough for what may only be slow.
        let sent = if item.size() > SLOW { self.race(copy()).await } else { self.race(self.again(copy)).await };
        Self::leave(place, &sent, item.size());
        match sent {
            Ok(etag) => {
                self.control.advance(item.size());
                Ok(Sent { etag, within: true, renamed: false })
            }
            Err(err) if item.size() > SLOW && is_passing(err.kind()) => {
                self.control.note(format!("{} goes in parts: {err}", item.from.name()));
                self.in_parts(item, to, if_absent, true).await
            }
            Err(err) => Err(err),
        }
    }

    /// It is read here and written there.
    async fn through(&self, item: &Item, to: &Location, if_absent: bool) -> Result<Sent> {
        self.know(item).await?;
        if item.size() >= IN_PARTS {
            return self.in_parts(item, to, if_absent, false).await;
        }
        self.intend(item, to, if_absent).await?;
        let place = self.place().await?;
        let sent = self.read_and_put(item, to, if_absent).await;
        Self::leave(place, &sent, item.size());
        let etag = sent?;
        self.control.advance(item.size());
        Ok(Sent { etag, within: false, renamed: false })
    }

    async fn read_and_put(&self, item: &Item, to: &Location, if_absent: bool) -> Result<String> {
        let (source, target) = (&item.root.source, &item.root.target);
        let read = || source.read_pinned(item.pinned(), 0..item.size());
        let mut body = self.race(self.again(read)).await?;
        let expected = item.etag().and_then(md5_of);
        if expected.is_some_and(|_| item.from.scheme() == Scheme::S3) && expected != Some(self.digest(&body).await) {
            // Altered on its way, or an ETag that is no MD5: what the server tells of encryption says which.
            let once_more = self.race(self.again(read)).await?;
            let is_sealed = is_sealed(&self.know(item).await?.stat.detail);
            if !(is_sealed && once_more == body || expected == Some(self.digest(&once_more).await)) {
                return Err(arrives_altered(item));
            }
            body = once_more;
        }
        self.check_unpinned(item).await?;
        let meta = self.meta(item, to).await?;
        let put = || target.put_object(to.key(), body.clone(), &meta, if_absent);
        if to.to_path().is_some() {
            // What is being written to the disk cannot be taken back by dropping it.
            return self.again(put).await;
        }
        self.race(self.again(put)).await
    }

    /// Where a server tells no `ETag`, size and time must do.
    pub(super) async fn check_unpinned(&self, item: &Item) -> Result<()> {
        if item.etag().is_some() {
            return Ok(());
        }
        let before = &self.know(item).await?.stat;
        let now = self.race(self.again(|| Box::pin(item.root.source.stat(&item.from)))).await?;
        if (now.size, now.modified) != (before.size, before.modified) {
            return Err(changed(item));
        }
        Ok(())
    }

    /// What the copy shall have beside its bytes.
    pub(super) async fn meta(&self, item: &Item, to: &Location) -> Result<UploadMeta> {
        let mut meta = UploadMeta::of(&self.know(item).await?.stat);
        if item.from.to_path().is_some() {
            meta.content_type = crate::transfer::content_type(to.name()).map(str::to_owned);
        }
        if let Some(lost) = item.root.target.loses(&meta) {
            self.note_once(lost.to_owned());
        }
        if to.scheme() != Scheme::S3 {
            meta.storage_class = None;
            meta.tags.clear();
        }
        Ok(meta)
    }

    /// From file to file. A move within one disk gives the file another name.
    async fn on_disk(&self, item: &Item, to: &Location, if_absent: bool) -> Result<Sent> {
        let handle = &item.root.target;
        self.know(item).await?;
        self.intend(item, to, if_absent).await?;
        let place = self.place().await?;
        if self.spec.moves
            && let Some(etag) = handle.rename_file(item.from.key(), to.key(), if_absent).await?
        {
            place.done(item.size());
            self.control.advance(item.size());
            return Ok(Sent { etag, within: true, renamed: true });
        }
        let id = handle.create_upload(to.key(), &UploadMeta::default()).await?;
        self.record.begun(item, to, &id, item.size().max(1));
        let (control, stop, told) = (self.control.clone(), self.stop.clone(), std::sync::Arc::default());
        let copied: std::sync::Arc<std::sync::atomic::AtomicU64> = told;
        let sum = copied.clone();
        let tell = move |bytes| {
            sum.fetch_add(bytes, Relaxed);
            control.advance(bytes);
            if stop.is_cancelled() { Err(Error::cancelled()) } else { control.check() }
        };
        let sent = handle.copy_file(item.from.key(), to.key(), &id, if_absent, tell).await;
        Self::leave(place, &sent, item.size());
        match sent {
            Ok(etag) => Ok(Sent { etag, within: true, renamed: false }),
            Err(err) => {
                self.control.take_back(copied.load(Relaxed));
                self.abort(handle, to.key(), &id).await;
                Err(err)
            }
        }
    }
}

/// The error for what comes from its server otherwise than that has it.
pub(super) fn arrives_altered(item: &Item) -> Error {
    Error::invalid(format!("{} arrives altered: its sum is not the server's", item.from)).with_hint(ALTERED)
}

/// The error for a source that is not what it was.
pub(super) fn changed(item: &Item) -> Error {
    Error::new(Kind::Changed, format!("{} changed while it was copied", item.from))
        .with_hint("nothing was written in its place; try again when nobody writes it")
}
