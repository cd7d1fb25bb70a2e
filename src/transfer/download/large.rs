//! A large object: ranges of one version at once, each at its place in a hidden file, noted as they are done.

use super::check::Proof;
use super::disk::Draft;
use super::hash::Follower;
use super::order::{Cut, range_size, summed_parts};
use super::plan::Item;
use super::prove::follow;
use super::read::{Fault, Patience, Pin, Reader, noted_time, patiently, time_of};
use super::sink::{Sink, Sums, To, sums_of};
use super::target::Temp;
use super::trail::Left;
use super::{Whole, Work};
use crate::entry::Stat;
use crate::error::{Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::task::Control;
use crc_fast::CrcAlgorithm;
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

const MIB: u64 = 1 << 20;
/// Objects of so many bytes are asked about before they are read: what checksums the server keeps.
const ASKED: u64 = 16 * MIB;
/// Ranges of one file that are under way at once.
const RANGES: usize = 16;
/// How often an object is read from its beginning: it may change, or arrive altered.
const ATTEMPTS: u32 = 3;

/// One attempt at one version.
pub(super) struct Attempt<'a> {
    pub(super) item: &'a Item,
    pub(super) location: &'a Location,
    pub(super) reader: Reader,
    pub(super) pin: Pin,
    pub(super) proof: Proof,
    pub(super) temp: Temp,
    draft: Draft,
    /// The ranges that are in the file, by offset.
    done: Mutex<BTreeMap<u64, (u64, Sums)>>,
    pub(super) follower: Option<Follower>,
    /// When the file that became the object was changed, if somebody noted it.
    noted: Mutex<Option<SystemTime>>,
    /// Bytes that were told as progress.
    advanced: AtomicU64,
}

impl Attempt<'_> {
    pub(super) fn done(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, (u64, Sums)>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is missing.
    fn missing(&self) -> Vec<Range<u64>> {
        let mut at = 0;
        let mut missing = Vec::new();
        for (start, (length, _)) in &*self.done() {
            missing.push(at..*start);
            at = start + length;
        }
        missing.push(at..self.pin.size);
        missing
    }
}

impl Work<'_> {
    /// Reads an object in ranges and publishes it.
    pub(super) async fn large(&self, item: &mut Item, location: &Location, replace: bool) -> Result<Whole> {
        let mut attempts = 1;
        loop {
            // Without a known version, or without what to compare with, the server is asked.
            if item.stat.is_none() && (attempts > 1 || item.size >= ASKED || !item.pin().is_known()) {
                let ask = || self.stores.stat(location, &self.control.meter);
                item.learn(self.race(patiently(self.control, false, ask)).await?);
            }
            match self.attempt(item, location, replace).await {
                Err(err) if matches!(err.kind(), Kind::Changed | Kind::Invalid) && attempts < ATTEMPTS => {
                    attempts += 1;
                    item.stat = None;
                    self.control.note(format!("{err}: it is read again from its beginning"));
                }
                other => return other,
            }
        }
    }

    async fn attempt(&self, item: &Item, location: &Location, replace: bool) -> Result<Whole> {
        let mut attempt = self.prepare(item, location).await?;
        let result = self.run(&mut attempt, replace).await;
        if let Err(err) = &result {
            self.control.take_back(attempt.advanced.load(Relaxed));
            // Bytes of another version, or wrong ones, are of no use to who goes on.
            let useless = matches!(err.kind(), Kind::Changed | Kind::Invalid | Kind::NotFound);
            if useless || !self.trail.is_recorded() || self.control.is_cancelled() {
                attempt.temp.remove();
                self.trail.dropped(&attempt.temp.hidden);
            }
        }
        result
    }

    /// The hidden file, with what a former attempt left in it.
    async fn prepare<'a>(&self, item: &'a Item, location: &'a Location) -> Result<Attempt<'a>> {
        let pin = item.pin();
        let proof = self.proof(item);
        let reader = self.reader(location).await?;
        let (temp, done) = match self.left(location, item, &pin, &proof).await? {
            Some(left) => left,
            None => (self.begin(location, item, &pin).await?, BTreeMap::new()),
        };
        let already = done.values().map(|(length, _)| length).sum();
        self.control.advance(already);
        let noted = item.stat.as_ref().and_then(|stat| time_of_stat(stat));
        let draft = Draft::new(temp.file.clone(), &self.disk);
        let follower = follow(&proof, &draft, pin.size, self.kept.clone());
        for (start, (length, _)) in &done {
            if let Some(follower) = &follower {
                follower.teller().written(*start..start + length, Vec::new());
            }
        }
        Ok(Attempt {
            item,
            location,
            reader,
            pin,
            proof,
            temp,
            draft,
            done: Mutex::new(done),
            follower,
            noted: Mutex::new(noted),
            advanced: AtomicU64::new(already),
        })
    }

    /// What the bytes will be compared with.
    fn proof(&self, item: &Item) -> Proof {
        match &item.stat {
            _ if !self.spec.check => Proof::None,
            Some(stat) => Proof::of_facts(stat.etag.as_deref(), &stat.detail),
            None => Proof::of_etag(item.etag.as_deref()),
        }
    }

    async fn begin(&self, location: &Location, item: &Item, pin: &Pin) -> Result<Temp> {
        let (path, run, size) = (item.path.clone(), self.trail.run().to_owned(), pin.size);
        let make = self.blocking(move |target| {
            let temp = target.temporary(&path, &run)?;
            temp.reserve(size).inspect_err(|_| temp.remove())?;
            let inode = temp.inode()?;
            Ok((temp, inode))
        });
        let (temp, inode) = make.await.map_err(|err| self.on_disk(err))?;
        let left = Left {
            path: item.path.clone(),
            temp: temp.hidden.clone(),
            inode,
            size: pin.size,
            etag: pin.etag.clone(),
            modified: pin.modified,
            ranges: BTreeMap::new(),
        };
        self.trail.begun(location, &left);
        Ok(temp)
    }

    /// What a former attempt left of this very version: the ranges that are still as they were noted.
    async fn left(
        &self,
        location: &Location,
        item: &Item,
        pin: &Pin,
        proof: &Proof,
    ) -> Result<Option<(Temp, BTreeMap<u64, (u64, Sums)>)>> {
        let Some(left) = self.trail.left(location).filter(|left| left.path == item.path) else { return Ok(None) };
        if !self.trail.hidden_files().iter().any(|(temp, _)| *temp == left.temp) {
            // This attempt has dropped it already.
            return Ok(None);
        }
        let before = Pin { size: left.size, etag: left.etag.clone(), modified: left.modified };
        if !before.is_same(pin) || !pin.is_known() {
            let name = location.name();
            self.control.note(format!("{name} is not what it was when it was begun: it is read from its beginning"));
            return Ok(None);
        }
        let (left, algorithm, control) = (left.clone(), proof.algorithm(), self.control.clone());
        let found = self.blocking(move |target| {
            let temp = target.left(&left.path, &left.temp, left.size, left.inode)?;
            let noted = left.ranges.len();
            Ok((verified(&temp.file, &left, algorithm, &control)?, noted, temp))
        });
        match found.await {
            Ok((done, noted, temp)) => {
                let (kept, lost) = (done.len(), noted - done.len());
                self.control.note(format!("going on after {kept} ranges that were read before"));
                if lost > 0 {
                    self.control.note(format!("{lost} ranges are not as they were written: they are read again"));
                }
                Ok(Some((temp, done)))
            }
            Err(err) if err.kind() == Kind::Cancelled => Err(err),
            Err(err) => {
                self.control.note(format!("the part file cannot be gone on with ({err}): from the beginning"));
                Ok(None)
            }
        }
    }

    async fn run(&self, attempt: &mut Attempt<'_>, replace: bool) -> Result<Whole> {
        self.read_all(attempt).await?;
        // The disk works while the sums are finished; what is published is on it either way.
        let file = attempt.temp.file.clone();
        let synced = tokio::task::spawn_blocking(move || file.sync_data());
        let check = self.prove(attempt).await?;
        // What it says is said again when the file is published.
        let _ = synced.await;
        let noted = *attempt.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let modified = noted.or_else(|| attempt.pin.modified.map(Into::into));
        self.control.check()?;
        let temp = attempt.temp.clone();
        let publish = self.blocking(move |_| {
            temp.publish(modified, replace)?;
            Ok(temp.file.metadata()?.modified().ok())
        });
        let whole = Whole { size: attempt.pin.size, check, modified: publish.await? };
        self.record(attempt.item, attempt.location, Some(&attempt.temp.hidden), &whole);
        Ok(whole)
    }

    /// Reads what is missing.
    async fn read_all(&self, attempt: &Attempt<'_>) -> Result<()> {
        let mut size = range_size(attempt.pin.size);
        let mut at_once = RANGES;
        if !attempt.pin.is_known() || self.ignores_ranges(attempt).await? {
            // One after the other from one answer: what cannot be told apart must not be mixed.
            (size, at_once) = (attempt.pin.size, 1);
        }
        let cut = Cut::new(attempt.pin.size, summed_parts(&attempt.proof, attempt.pin.size), size);
        let missing = cut.ranges(attempt.missing());
        let mut waiting = missing.iter().cloned();
        let mut running = FuturesUnordered::new();
        let mut left = missing.len();
        loop {
            let room = at_once.saturating_sub(running.len());
            running.extend(waiting.by_ref().take(room).map(|range| self.race(self.range(attempt, range))));
            if self.files == 1 {
                self.control.step(format!("{left} of {} ranges to go, {} at once", missing.len(), running.len()));
            }
            let Some(read) = running.next().await else { return Ok(()) };
            read?;
            left -= 1;
        }
    }

    /// Whether a web server sends everything whatever is asked for.
    async fn ignores_ranges(&self, attempt: &Attempt<'_>) -> Result<bool> {
        if !matches!(attempt.location.scheme(), Scheme::Http | Scheme::Https) {
            return Ok(false);
        }
        let mut patience = Patience::default();
        loop {
            match self.race(attempt.reader.range(&attempt.pin, 0..1, patience.is_again())).await.map_err(Fault::of) {
                Ok(got) => return Ok(crate::store::is_whole(&got.attributes)),
                Err(Fault::Final(err)) => return Err(err),
                Err(Fault::Passing(err)) => self.race(patience.wait(err, false)).await?,
            }
        }
    }

    /// Reads one range to its end, however often it breaks off.
    async fn range(&self, attempt: &Attempt<'_>, range: Range<u64>) -> Result<()> {
        let to = To::File(attempt.draft.clone());
        let teller = attempt.follower.as_ref().map(Follower::teller);
        let mut sink = Sink::new(to, range.clone(), attempt.proof.algorithm()).telling(teller);
        let came = |n| {
            self.control.advance(n);
            attempt.advanced.fetch_add(n, Relaxed);
        };
        let mut patience = Patience::default();
        loop {
            let place = self.pace.place().await;
            self.control.turn().await?;
            let before = sink.at();
            let told = |attributes: &object_store::Attributes| {
                if let Some(at) = time_of(attributes) {
                    attempt.noted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(at);
                }
            };
            match attempt.reader.fill(&attempt.pin, &mut sink, patience.is_again(), came, told).await {
                Ok(()) => {
                    place.done(sink.at() - before);
                    break;
                }
                Err(Fault::Final(err)) => return Err(self.on_disk(err)),
                Err(Fault::Passing(err)) => {
                    place.failed();
                    let progress = sink.at() > before;
                    if !attempt.pin.is_known() {
                        return Err(Error::new(Kind::Changed, err.to_string()));
                    }
                    patience.wait(err, progress).await?;
                }
            }
        }
        let length = range.end - range.start;
        let sums = sink.finish().await.map_err(|err| self.on_disk(err))?;
        attempt.done().insert(range.start, (length, sums));
        self.trail.range(&attempt.temp.hidden, range.start, length, sums);
        Ok(())
    }

    /// A full disk says what can be done.
    fn on_disk(&self, err: Error) -> Error {
        if err.kind() != Kind::Limit {
            return err;
        }
        let at = self.target.path("");
        err.context(format!("writing to {}", at.display()))
            .with_hint("make room, then go on with `secchi jobs resume`: what has arrived is kept")
    }
}

fn time_of_stat(stat: &Stat) -> Option<SystemTime> {
    noted_time(stat.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

/// The ranges of a part file that still are as they were noted. Blocks.
fn verified(
    file: &File,
    left: &Left,
    other: Option<CrcAlgorithm>,
    control: &Control,
) -> Result<BTreeMap<u64, (u64, Sums)>> {
    let mut done = BTreeMap::new();
    let mut end = 0;
    for (&at, &(length, crc32c)) in &left.ranges {
        let fits = at >= end && length > 0 && at.checked_add(length).is_some_and(|end| end <= left.size);
        if !fits {
            continue;
        }
        let sums = sums_of(file, at..at + length, other, || control.check())?;
        if sums.crc32c == crc32c {
            done.insert(at, (length, sums));
            end = at + length;
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_it_was_noted_is_kept() {
        let file = tempfile::tempfile().expect("a file");
        let body: Vec<u8> = (0..100_u8).collect();
        std::os::unix::fs::FileExt::write_all_at(&file, &body, 0).expect("writes");
        let crc = |range: Range<usize>| crc_fast::checksum(super::super::sink::CRC32C, &body[range]) as u32;
        let ranges = [(0, (20, crc(0..20))), (20, (20, 7)), (40, (10, crc(40..50))), (90, (20, 0)), (45, (9, 1))];
        let left = Left { size: 100, ranges: ranges.into(), ..Left::default() };
        let kept = verified(&file, &left, None, &Control::default()).expect("reads");
        assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [0, 40]);
    }
}
