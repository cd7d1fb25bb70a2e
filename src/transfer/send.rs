//! Sending one file in a single request, and what all sending shares: trying again, and finding out afterwards
//! whether what stands there is ours.

use super::digest::{self, Digests, Method, Piece, Proof, Want, Word, hex};
use super::exists::taken;
use super::source::{File, changed};
use super::upload::{Sent, Transfer};
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::{Sums, Taken, UploadMeta};
use crate::text;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::ops::Range;
use std::sync::PoisonError;
use std::time::Duration;

/// How often a piece is sent before it counts as failed; the store tries each time a few times itself.
const TRIES: u32 = 4;

/// Pieces of so many bytes are summed up side by side.
const TOGETHER: u64 = 1 << 20;

pub(super) const ALTERED: &str = "check the network between here and the server, then try again";

/// Whether sending again may help.
pub(super) fn is_passing(kind: Kind) -> bool {
    matches!(kind, Kind::Unreachable | Kind::Failed | Kind::Limit)
}

/// What a server said that it took is neither what was sent nor what stands there.
fn unlike(to: &Location, told: &str) -> Error {
    let why = format!("the server says that it took other bytes for {to} than were sent (ETag {told}), and has others");
    Error::invalid(why).with_hint(ALTERED)
}

impl Transfer {
    /// Reads a piece of a file, which has to be the file that was looked at before and after.
    pub(super) async fn piece(&self, file: &File, offset: u64, len: u64, want: Want) -> Result<(Bytes, Digests)> {
        let (path, stamp) = (file.path.clone(), file.stamp);
        // The MD5 of what is large is made together with that of other pieces.
        let apart = want.md5 && len >= TOGETHER;
        let want = Want { md5: want.md5 && !apart, ..want };
        let read = move |_| {
            let read = digest::read(&path, offset, len, want, || changed(&path))?;
            // What was read is whole only if the file is still the same.
            stamp.check(&path)?;
            Ok(read)
        };
        let (body, mut digests) = self.control.blocking(read).await?;
        if apart {
            digests.md5 = Some(self.race(self.together.md5(body.clone())).await?);
        }
        Ok((body, digests))
    }

    /// Sends a small file in one request.
    pub(super) async fn put(&self, file: &File, to: &Location, meta: &UploadMeta, if_absent: bool) -> Result<Sent> {
        let place = self.race(async { Ok(self.pace.place().await) }).await?;
        let _memory = self.memory(file.stamp.size).await?;
        self.control.turn().await?;
        let (body, digests) = match self.take_read(file) {
            Some(read) => read,
            None => self.piece(file, 0, file.stamp.size, self.method.want(Piece::Whole)).await?,
        };
        self.resume.intend(file, to);
        let last = std::sync::Mutex::new(String::new());
        let send = |sums: Sums| {
            let (body, last) = (&body, &last);
            async move {
                let altered = std::mem::take(&mut *last.lock().unwrap_or_else(PoisonError::into_inner));
                if !altered.is_empty() {
                    // It would stand in its own way.
                    let removed = self.handle.delete_unchanged(to.key(), &altered).await;
                    removed.map_err(|why| match why.kind() {
                        Kind::Changed => unlike(to, &altered),
                        _ => why,
                    })?;
                }
                let taken = self.handle.send_object(to.key(), body.clone(), meta, if_absent, &sums).await?;
                last.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&taken.etag);
                Ok(taken)
            }
        };
        let (sent, tries) = self.proved(&digests, Piece::Whole, send).await;
        match &sent {
            Err(err) if is_passing(err.kind()) => place.failed(),
            _ if tries > 1 => place.failed(),
            _ => place.done(file.stamp.size),
        }
        let expected = digests.md5.map(|sum| hex(&sum));
        let (taken, proof) = match sent {
            Ok((taken, proof)) => (taken, proof),
            Err(err) if err.kind() == Kind::Invalid => {
                let etag = std::mem::take(&mut *last.lock().unwrap_or_else(PoisonError::into_inner));
                return Err(self.withdrawn(err, to, &etag).await);
            }
            Err(err) => {
                let etag = self.ours_after_all(err, to, if_absent, expected.as_deref(), tries).await?;
                (Taken { etag, ..Taken::default() }, Some(Proof::Md5))
            }
        };
        self.control.advance(file.stamp.size);
        Ok(Sent { etag: taken.etag, proof })
    }

    /// Sends a piece until the server's word is that it arrived as it was; without a proof where it says nothing
    /// of it. Also how often it was sent.
    pub(super) async fn proved<F>(
        &self,
        digests: &Digests,
        piece: Piece,
        send: impl Fn(Sums) -> F,
    ) -> (Result<(Taken, Option<Proof>)>, u32)
    where
        F: Future<Output = Result<Taken>>,
    {
        let (mut tries, mut altered) = (0, false);
        loop {
            let sums = self.method.sums(digests, piece);
            let (sent, more) = self.again(|| send(sums)).await;
            tries += more;
            let taken = match sent {
                Ok(taken) => taken,
                // Some servers do not know checksums in headers.
                Err(err) if err.kind() == Kind::Unsupported && sums.crc32c.is_some() && piece == Piece::Whole => {
                    self.method.refuses_sums();
                    if self.method.sums(digests, piece).crc32c.is_some() {
                        return (Err(err), tries);
                    }
                    continue;
                }
                // "damaged on their way": the server has compared.
                Err(err) if err.kind() == Kind::Invalid && !altered => {
                    altered = true;
                    self.control.meter.retried();
                    continue;
                }
                Err(err) => return (Err(err), tries),
            };
            match self.method.judge(&sums, &taken) {
                Word::Right(proof) => return (Ok((taken, Some(proof))), tries),
                Word::Silent => return (Ok((taken, None)), tries),
                Word::Altered if !altered => {
                    altered = true;
                    self.control.meter.retried();
                }
                Word::Altered if self.method.is_altered() || sums.md5.is_none() => {
                    return (Err(Error::invalid("it arrived altered, twice").with_hint(ALTERED)), tries);
                }
                Word::Altered => {
                    self.control.note("the server's ETags are not MD5 sums: what it has is read again and compared");
                    return (Ok((taken, None)), tries);
                }
            }
        }
    }

    /// Sends until it succeeds, fails for good, or was sent often enough; also how often it was sent.
    pub(super) async fn again<T, F: Future<Output = Result<T>>>(&self, send: impl Fn() -> F) -> (Result<T>, u32) {
        let mut pause = Duration::from_millis(250);
        let send = || async { if self.is_local() { send().await } else { self.race(send()).await } };
        for tries in 1..TRIES {
            match send().await {
                Err(err) if is_passing(err.kind()) => {
                    self.control.note(format!("once more in {}: {err}", text::duration(pause)));
                    self.control.meter.retried();
                    let wait = async {
                        tokio::time::sleep(pause).await;
                        Ok(())
                    };
                    if let Err(stopped) = self.race(wait).await {
                        return (Err(stopped), tries);
                    }
                    pause *= 3;
                }
                other => return (other, tries),
            }
        }
        (send().await, TRIES)
    }

    /// A request that was sent again may find what its first sending has done: if what stands there is what we
    /// sent, it is ours; its `ETag`. Else the error as it is to be told.
    pub(super) async fn ours_after_all(
        &self,
        err: Error,
        to: &Location,
        if_absent: bool,
        expected: Option<&str>,
        tries: u32,
    ) -> Result<String> {
        let may_be_ours = match err.kind() {
            Kind::Exists => if_absent,
            Kind::NotFound => true,
            // s3s-fs denies access to an upload in parts that is completed.
            Kind::Denied => expected.is_some_and(|etag| etag.contains('-')),
            _ => false,
        };
        if may_be_ours
            && tries > 1
            && let Some(expected) = expected
            && let Some(etag) = self.find(to).await?.and_then(|stat| stat.etag)
            && etag.trim_matches('"') == expected
        {
            return Ok(etag);
        }
        Err(if err.kind() == Kind::Exists { taken(to) } else { err })
    }

    /// Compares what stands at `to` with the file, byte for byte.
    pub(super) async fn read_back(&self, file: &File, to: &Location) -> Result<()> {
        const STEP: u64 = 8 << 20;
        const AT_ONCE: usize = 4;
        let size = file.stamp.size;
        let mut steps = (0..size.div_ceil(STEP)).map(|i| i * STEP..((i + 1) * STEP).min(size));
        let mut running = FuturesUnordered::new();
        loop {
            running.extend(steps.by_ref().take(AT_ONCE - running.len()).map(|range| self.is_same(file, to, range)));
            match running.next().await {
                Some(Ok(true)) => {}
                Some(Ok(false)) => {
                    return Err(Error::invalid(format!("what stands at {to} is not what was sent")).with_hint(ALTERED));
                }
                Some(Err(err)) => return Err(err),
                None => return Ok(()),
            }
        }
    }

    async fn is_same(&self, file: &File, to: &Location, range: Range<u64>) -> Result<bool> {
        self.control.turn().await?;
        let place = self.race(async { Ok(self.pace.place().await) }).await?;
        let len = range.end - range.start;
        let _memory = self.memory(2 * len).await?;
        let (ours, _) = self.piece(file, range.start, len, Want::default()).await?;
        let theirs = self.race(self.handle.read_range(to, range)).await?;
        place.done(len);
        Ok(ours == theirs)
    }

    /// Whether what stands at `to` has the content of a small file: by a checksum that the server tells.
    pub(super) async fn is_content_of(&self, file: &File, stat: &crate::entry::Stat) -> Result<bool> {
        if stat.size != file.stamp.size {
            return Ok(false);
        }
        let want = Want { md5: true, sha256: false };
        let (_, digests) = self.piece(file, 0, file.stamp.size, want).await?;
        let method = Method::new(super::Checksum::Auto, true);
        let sums = Sums { md5: digests.md5, crc32c: Some(digests.crc32c), sha256: None };
        let etag = stat.etag.clone().unwrap_or_default();
        let crc32c = stat.detail.checksums.get("crc32c").cloned();
        Ok(matches!(method.judge(&sums, &Taken { etag, crc32c, sha256: None }), Word::Right(_)))
    }
}
