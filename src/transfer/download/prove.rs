//! What proves that a large file is its object, once all of it has been written.

use super::Work;
use super::check::{self, Check, Proof};
use super::disk::Draft;
use super::hash::{self, Follower};
use super::large::Attempt;
use super::order::{range_size, summed_parts};
use super::read::{Fault, Patience};
use super::sink::{Sink, Sums, To, sums_of};
use super::small::altered;
use crate::error::Result;
use crate::location::Scheme;
use crate::task::Control;
use futures::stream::StreamExt as _;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Ranges that are compared at once.
const AT_ONCE: usize = 16;

impl Work<'_> {
    /// Compares what was written with what the server keeps.
    pub(super) async fn prove(&self, attempt: &mut Attempt<'_>) -> Result<Check> {
        let size = attempt.pin.size;
        let follower = attempt.follower.take();
        let sum = match follower {
            Some(follower) => Some(self.race(follower.finish()).await?),
            None => None,
        };
        let is_s3 = attempt.location.scheme() == Scheme::S3;
        match (&attempt.proof, sum) {
            (Proof::Crc(algorithm, expected), _) => {
                let ranges: Vec<(u64, Sums)> = attempt.done().values().copied().collect();
                let found = check::combined(*algorithm, ranges);
                if found == *expected { Ok(Check::Checksum) } else { Err(altered(attempt.location)) }
            }
            (Proof::Md5(expected), Some(found)) if found == *expected => Ok(Check::Md5),
            (Proof::Parts(expected, _), Some(found)) if found == *expected => Ok(Check::PartsMd5),
            (Proof::Md5(_), _) if is_s3 && self.is_md5(attempt).await? => Err(altered(attempt.location)),
            (Proof::Parts(expected, parts), _) => {
                let (file, expected, parts) = (attempt.temp.file.clone(), *expected, *parts);
                let others = check::part_sizes(size, parts).into_iter().skip(1).collect();
                if self.has_parts(file.clone(), size, expected, others).await? {
                    return Ok(Check::PartsMd5);
                }
                if !is_s3 {
                    return Ok(Check::Length);
                }
                if let Some(told) = self.told_part(attempt, parts).await?
                    && self.has_parts(file, size, expected, vec![told]).await?
                {
                    return Ok(Check::PartsMd5);
                }
                self.read_twice(attempt).await
            }
            _ => Ok(Check::Length),
        }
    }

    /// Whether the `ETag` must be an MD5, so far as the server tells.
    async fn is_md5(&self, attempt: &Attempt<'_>) -> Result<bool> {
        if attempt.item.stat.is_some() {
            return Ok(true);
        }
        let stat = self.race(self.stores.stat(attempt.location, &self.control.meter)).await?;
        Ok(!check::is_sealed(&stat.detail))
    }

    /// Whether parts of one of these sizes make the `ETag`.
    async fn has_parts(&self, file: Arc<File>, size: u64, expected: [u8; 16], sizes: Vec<u64>) -> Result<bool> {
        if sizes.is_empty() {
            return Ok(false);
        }
        self.control.step("comparing parts");
        let control = self.control.clone();
        self.blocking(move |_| {
            for part in sizes {
                if hash::of_parts(&file, &check::parts(size, part), &hash::Whole(|| control.check()))? == expected {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    /// The size of the first part, from servers that tell it.
    async fn told_part(&self, attempt: &Attempt<'_>, parts: u32) -> Result<Option<u64>> {
        let handle = self.race(self.stores.open(attempt.location, &self.control.meter)).await?;
        let told = self.race(handle.first_part(attempt.location)).await.unwrap_or(None);
        Ok(told.filter(|part| *part > 0 && attempt.pin.size.div_ceil(*part) == u64::from(parts)))
    }

    /// Where nothing proves the bytes, they are read once more, in other ranges: what was altered on its way is
    /// seldom altered alike.
    async fn read_twice(&self, attempt: &Attempt<'_>) -> Result<Check> {
        self.control.note(format!(
            "the ETag of {} tells of parts whose sizes the server does not tell: it is read once more to compare",
            attempt.location.name()
        ));
        let (size, step) = (attempt.pin.size, range_size(attempt.pin.size));
        // Not the ranges of before: half of one first.
        let starts = std::iter::once(0).chain((0..).map(|n| step / 2 + n * step)).take_while(|start| *start < size);
        let starts: Vec<u64> = starts.collect();
        let ends = starts.iter().copied().skip(1).chain([size]);
        let ranges = starts.iter().copied().zip(ends).map(|(start, end)| start..end);
        let mut running =
            futures::stream::iter(ranges.map(|range| self.race(self.again(attempt, range)))).buffer_unordered(AT_ONCE);
        while let Some(same) = running.next().await {
            if !same? {
                return Err(altered(attempt.location));
            }
        }
        Ok(Check::ReadTwice)
    }

    /// Whether a range comes again as it was written.
    async fn again(&self, attempt: &Attempt<'_>, range: Range<u64>) -> Result<bool> {
        let mut sink = Sink::new(To::Nowhere, range.clone(), None);
        let mut patience = Patience::default();
        loop {
            let place = self.pace.place().await;
            self.control.turn().await?;
            let before = sink.at();
            match attempt.reader.fill(&attempt.pin, &mut sink, patience.is_again(), |_| {}, |_| {}).await {
                Ok(()) => {
                    place.done(sink.at() - before);
                    break;
                }
                Err(Fault::Final(err)) => return Err(err),
                Err(Fault::Passing(err)) => {
                    place.failed();
                    let progress = sink.at() > before;
                    patience.wait(err, progress).await?;
                }
            }
        }
        let (sums, file) = (sink.finish().await?, attempt.temp.file.clone());
        let written = self.blocking(move |_| sums_of(&file, range, None, || Ok(()))).await?;
        Ok(written.crc32c == sums.crc32c)
    }
}

/// The thread that sums up the file while it is written, where its sum is an MD5.
pub(super) fn follow(proof: &Proof, draft: &Draft, size: u64, room: Arc<Semaphore>) -> Option<Follower> {
    match proof {
        Proof::Md5(_) => Some(Follower::start(draft.clone(), size, None, room)),
        Proof::Parts(..) => {
            let part = summed_parts(proof, size)?;
            Some(Follower::start(draft.clone(), size, Some(check::parts(size, part)), room))
        }
        Proof::Crc(..) | Proof::None => None,
    }
}

/// By what a file of the disk is the object of this proof; `None` where it is not, or nothing tells. Blocks.
pub(super) fn compare(file: &File, size: u64, proof: &Proof, control: &Control) -> Result<Option<Check>> {
    let go = hash::Whole(|| control.check());
    Ok(match proof {
        Proof::Md5(expected) => (hash::whole(file, size, &go)? == *expected).then_some(Check::Md5),
        Proof::Parts(expected, parts) => {
            for part in check::part_sizes(size, *parts) {
                if hash::of_parts(file, &check::parts(size, part), &go)? == *expected {
                    return Ok(Some(Check::PartsMd5));
                }
            }
            None
        }
        Proof::Crc(..) | Proof::None => None,
    })
}
