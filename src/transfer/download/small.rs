//! A small object: one request, one visit to the disk.

use super::check::{Check, Proof};
use super::plan::Item;
use super::read::{Fault, Patience, Pin, Reader, time_of};
use super::target::{Target, Temp};
use super::{Whole, Work};
use crate::error::{Context as _, Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::Stores;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use std::os::unix::fs::FileExt as _;
use std::time::SystemTime;

/// Objects of so many bytes are held in memory until they are whole.
pub(super) const MOST: u64 = 2 << 20;
/// And of so many where the server does not tell how many there are.
const MOST_UNKNOWN: u64 = 256 << 20;

/// The bytes of an object, and what was told of it.
struct Body {
    pin: Pin,
    chunks: Vec<Bytes>,
    length: u64,
    modified: Option<SystemTime>,
}

/// What came of asking for an object that was thought to be small.
enum Answer {
    All(Body),
    /// It is not small: this is the version there is.
    Large(Pin),
}

impl Work<'_> {
    /// Reads an object and writes it; `None` where it turned out not to be small, which the item then tells.
    pub(super) async fn small(&self, item: &mut Item, location: &Location, replace: bool) -> Result<Option<Whole>> {
        let reader = self.reader(location).await?;
        // A web server need not tell a size before; then what comes is in memory already.
        let most = if item.size == 0 && is_web(location) { MOST_UNKNOWN } else { MOST };
        let mut altered = false;
        loop {
            let body = match self.race(self.read_small(&reader, most)).await? {
                Answer::All(body) => body,
                Answer::Large(pin) => {
                    (item.size, item.modified) = (pin.size, pin.modified);
                    item.etag = pin.etag.map(Into::into);
                    return Ok(None);
                }
            };
            match self.write_small(item, location, body, replace).await {
                // Once more: what was altered on its way need not be so again.
                Err(err) if err.kind() == Kind::Invalid && !altered => {
                    altered = true;
                    self.control.note(format!("{err}: it is read again"));
                }
                other => return other.map(Some),
            }
        }
    }

    /// What reads `location`.
    pub(super) async fn reader(&self, location: &Location) -> Result<Reader> {
        let handle = self.race(Stores::open(self.stores, location, &self.control.meter)).await?;
        let (store, path) = (handle.object_store(), handle.path(location.key()));
        Ok(Reader { store, path, location: location.clone(), silence: self.silence })
    }

    async fn read_small(&self, reader: &Reader, most: u64) -> Result<Answer> {
        let mut body: Option<Body> = None;
        let mut patience = Patience::default();
        loop {
            let before = body.as_ref().map_or(0, |body| body.length);
            let place = self.pace.place().await;
            self.control.turn().await?;
            match read_on(reader, &mut body, most, patience.is_again()).await {
                Ok(large) => {
                    place.done(body.as_ref().map_or(0, |body| body.length - before));
                    match (large, body) {
                        (Some(pin), _) => return Ok(Answer::Large(pin)),
                        (None, Some(body)) => return Ok(Answer::All(body)),
                        (None, None) => return Err(Error::new(Kind::Failed, "nothing was answered")),
                    }
                }
                Err(Fault::Final(err)) => return Err(err),
                Err(Fault::Passing(err)) => {
                    place.failed();
                    let progress = body.as_ref().is_some_and(|body| body.length > before);
                    // What comes next may be of another version, where that cannot be told: from the beginning.
                    body = body.filter(|body| body.pin.is_known());
                    patience.wait(err, progress).await?;
                }
            }
        }
    }

    async fn write_small(&self, item: &Item, location: &Location, body: Body, replace: bool) -> Result<Whole> {
        let etag = body.pin.etag.as_deref();
        let mut proof = if self.spec.check { Proof::of_etag(etag) } else { Proof::None };
        let modified = body.modified.or_else(|| item.modified.map(Into::into));
        let mut is_asked = false;
        let (check, modified) = loop {
            let (path, run) = (item.path.clone(), self.trail.run().to_owned());
            let (chunks, held) = (body.chunks.clone(), proof.clone());
            let written = self.blocking(move |target| {
                let Some(check) = compare(&chunks, &held) else { return Ok(None) };
                Ok(Some((check, write(target, &path, &run, &chunks, modified, replace)?)))
            });
            match written.await? {
                Some(written) => break written,
                None if location.scheme() != Scheme::S3 => proof = Proof::None,
                // An `ETag` is no MD5 where a key service encrypts; a HEAD tells that.
                None if !is_asked => {
                    is_asked = true;
                    let stat = self.race(self.stores.stat(location, &self.control.meter)).await?;
                    proof = Proof::of_facts(etag, &stat.detail);
                }
                None => return Err(altered(location)),
            }
        };
        self.control.advance(body.length);
        let whole = Whole { size: body.length, check, modified };
        self.record(item, location, None, &whole);
        Ok(whole)
    }
}

/// Reads what is missing; the version there is where that is too much to be held.
async fn read_on(
    reader: &Reader,
    known: &mut Option<Body>,
    most: u64,
    again: bool,
) -> std::result::Result<Option<Pin>, Fault> {
    let got = match known.as_ref() {
        None => reader.whole(again).await,
        Some(body) => reader.range(&body.pin, body.length..body.pin.size, again).await,
    };
    let got = got.map_err(Fault::of)?;
    let (pin, modified) = (Pin::of(&got), time_of(&got.attributes));
    if pin.size > most {
        return Ok(Some(pin));
    }
    let modified = modified.or_else(|| pin.modified.map(Into::into));
    let body = known.get_or_insert_with(|| Body { pin, chunks: Vec::new(), length: 0, modified });
    let mut stream = got.into_stream();
    while let Some(bytes) = reader.next(&mut stream).await.map_err(Fault::of)? {
        body.length += bytes.len() as u64;
        if body.length > body.pin.size {
            return Err(Fault::Final(Error::invalid(format!("more of {} came than it has", reader.location))));
        }
        body.chunks.push(bytes);
    }
    if body.length < body.pin.size {
        let missing = body.pin.size - body.length;
        let words = format!("the answer broke off: {missing} bytes of {} are missing", reader.location);
        return Err(Fault::Passing(Error::new(Kind::Unreachable, words)));
    }
    Ok(None)
}

fn is_web(location: &Location) -> bool {
    matches!(location.scheme(), Scheme::Http | Scheme::Https)
}

/// The error for bytes that are not those of the server.
pub(super) fn altered(location: &Location) -> Error {
    Error::invalid(format!("{} arrived altered: its sum is not the server's", super::trail::address(location)))
        .with_hint("check the network between here and the server; --no-check takes it as it comes")
}

/// By what these bytes are proved; `None` where they are proved wrong.
fn compare(chunks: &[Bytes], proof: &Proof) -> Option<Check> {
    let sum = || -> [u8; 16] { chunks.iter().fold(Md5::new(), Md5::chain_update).finalize().into() };
    match proof {
        Proof::Md5(expected) => (sum() == *expected).then_some(Check::Md5),
        Proof::Parts(expected, 1) => {
            let of_one: [u8; 16] = Md5::digest(sum()).into();
            (of_one == *expected).then_some(Check::PartsMd5)
        }
        Proof::Crc(algorithm, expected) => {
            let mut sum = crc_fast::Digest::new(*algorithm);
            for chunk in chunks {
                sum.update(chunk);
            }
            (sum.finalize() == *expected).then_some(Check::Checksum)
        }
        _ => Some(Check::Length),
    }
}

fn write(
    target: &Target,
    path: &str,
    run: &str,
    chunks: &[Bytes],
    modified: Option<SystemTime>,
    replace: bool,
) -> Result<Option<SystemTime>> {
    let temp: Temp = target.temporary(path, run)?;
    let fill = || {
        let mut at = 0;
        for chunk in chunks {
            temp.file.write_all_at(chunk, at)?;
            at += chunk.len() as u64;
        }
        Ok::<_, std::io::Error>(())
    };
    let done = fill().context(|| format!("writing {}", target.path(path).display()));
    done.and_then(|()| {
        temp.publish(modified, replace)?;
        Ok(temp.file.metadata()?.modified().ok())
    })
    // What is small is read again sooner than it is looked for.
    .inspect_err(|_| temp.remove())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_held_against_what_the_server_tells() {
        let chunks = [Bytes::from_static(b"hel"), Bytes::from_static(b"lo")];
        let proof = |etag: &str| Proof::of_etag(Some(etag));
        assert_eq!(compare(&chunks, &proof("5d41402abc4b2a76b9719d911017c592")), Some(Check::Md5));
        assert_eq!(compare(&chunks, &proof("6d41402abc4b2a76b9719d911017c592")), None);
        assert_eq!(compare(&chunks, &proof("62109206880d38a4010a98e11243924a-1")), Some(Check::PartsMd5));
        assert_eq!(compare(&chunks, &proof("62109206880d38a4010a98e11243924b-1")), None);
        assert_eq!(compare(&chunks, &proof("other")), Some(Check::Length));
    }
}
