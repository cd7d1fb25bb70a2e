//! Writing an object whose size is not known beforehand: in parts as they become full, completed at the
//! end, aborted where it does not come to that. What is small goes in one request.

use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::{CLEAN_UP, StoreHandle, UploadMeta};
use crate::task::Control;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::io;
use std::time::Duration;
use tokio::sync::mpsc;

/// Parts on the way at once.
const AHEAD: usize = 3;
/// Parts of one size; S3 takes ten thousand in all.
const STAGE: u32 = 2_000;
/// Size of the first parts. S3 takes none below 5 MiB.
const SMALLEST: usize = 8 << 20;
/// Size of the last parts: with them, ten thousand make 800 GiB.
const LARGEST: usize = 128 << 20;
/// A part is sent at most so often.
const TRIES: u32 = 3;

/// What the encoder says to the writer. A channel that ends without [`Out::Last`] was cut off.
pub(super) enum Out {
    /// A full part.
    Part(Bytes),
    /// What is left: the object is whole with it.
    Last(Bytes),
}

/// Bytes per part number (from 1): eight MiB, later more.
fn part_size(number: u32) -> usize {
    (SMALLEST << (number.saturating_sub(1) / STAGE * 2).min(8)).min(LARGEST)
}

/// The encoder's end: cuts what is written into parts. Blocks while the network is slower.
pub(super) struct Parts {
    buffer: Vec<u8>,
    number: u32,
    to: mpsc::Sender<Out>,
}

impl Parts {
    pub(super) fn new(to: mpsc::Sender<Out>) -> Self {
        Self { buffer: Vec::new(), number: 1, to }
    }

    /// Whether nobody takes what is written.
    pub(super) fn is_closed(&self) -> bool {
        self.to.is_closed()
    }

    /// Says that the object is whole.
    pub(super) fn finish(&mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.buffer);
        self.to.blocking_send(Out::Last(rest.into())).map_err(|_| Error::cancelled())
    }
}

impl io::Write for Parts {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len();
        while !bytes.is_empty() {
            let size = part_size(self.number);
            let (now, rest) = bytes.split_at(bytes.len().min(size.saturating_sub(self.buffer.len())));
            self.buffer.extend_from_slice(now);
            bytes = rest;
            if self.buffer.len() >= size {
                let part = std::mem::replace(&mut self.buffer, Vec::with_capacity(size));
                self.number += 1;
                let sent = self.to.blocking_send(Out::Part(part.into()));
                sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the destination takes no more"))?;
            }
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where to, and whether something may stand there.
pub(super) struct Sink<'a> {
    pub(super) handle: &'a StoreHandle,
    pub(super) location: &'a Location,
    pub(super) meta: UploadMeta,
    pub(super) if_absent: bool,
    pub(super) control: &'a Control,
}

/// A part on its way: its number and `ETag`.
type Sending<'a> = FuturesUnordered<BoxFuture<'a, Result<(u32, String)>>>;

impl Sink<'_> {
    /// Writes what comes; the bytes written. Without an [`Out::Last`], or after an error, nothing is left.
    pub(super) async fn write(&self, from: mpsc::Receiver<Out>) -> Result<u64> {
        let mut id = None;
        let mut sending = Sending::new();
        let result = self.run(from, &mut id, &mut sending).await;
        if let (Err(_), Some(id)) = (&result, &id) {
            // A part that arrives after the upload is gone could stay.
            let _ = tokio::time::timeout(CLEAN_UP, async { while sending.next().await.is_some() {} }).await;
            drop(sending);
            if let Err(err) = self.handle.discard_upload(self.location.key(), id).await {
                self.control.note(err.to_string());
            }
        }
        result.map_err(|err| match err.kind() {
            Kind::Exists => exists(self.location),
            Kind::Cancelled => err,
            _ => err.context(format!("writing {}", self.location)),
        })
    }

    async fn run<'a>(
        &'a self,
        mut from: mpsc::Receiver<Out>,
        id: &mut Option<String>,
        sending: &mut Sending<'a>,
    ) -> Result<u64> {
        let key = self.location.key();
        let (mut parts, mut number, mut bytes) = (Vec::new(), 0, 0);
        let last = loop {
            while sending.len() >= AHEAD {
                self.one_sent(sending, &mut parts).await?;
            }
            let out = tokio::select! {
                biased;
                sent = self.one_sent(sending, &mut parts), if !sending.is_empty() => { sent?; continue }
                out = self.control.race(async { Ok::<_, Error>(from.recv().await) }) => out?,
            };
            match out {
                // The encoder has failed, and says why itself.
                None => return Err(Error::cancelled()),
                Some(Out::Last(rest)) => break rest,
                Some(Out::Part(part)) => {
                    bytes += part.len() as u64;
                    number += 1;
                    // Not raced: an upload that was started unseen could not be removed.
                    let upload = match id {
                        Some(id) => id.clone(),
                        None => id.insert(self.handle.create_upload(key, &self.meta).await?).clone(),
                    };
                    sending.push(Box::pin(self.send(upload, number, part)));
                }
            }
        };
        bytes += last.len() as u64;
        self.control.check()?;
        let Some(upload) = id.clone() else {
            self.handle.put_object(key, last, &self.meta, self.if_absent).await?;
            return Ok(bytes);
        };
        if !last.is_empty() {
            sending.push(Box::pin(self.send(upload.clone(), number + 1, last)));
        }
        while !sending.is_empty() {
            self.one_sent(sending, &mut parts).await?;
        }
        parts.sort_unstable();
        self.control.step("completing the upload");
        self.handle.complete_upload(key, &upload, &parts, self.if_absent).await?;
        Ok(bytes)
    }

    async fn one_sent(&self, sending: &mut Sending<'_>, parts: &mut Vec<(u32, String)>) -> Result<()> {
        let sent = self.control.race(async { sending.next().await.transpose() }).await?;
        parts.extend(sent);
        Ok(())
    }

    /// Sends a part, again where the network failed.
    async fn send(&self, upload: String, number: u32, body: Bytes) -> Result<(u32, String)> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.handle.put_part(self.location.key(), &upload, number, body.clone()).await {
                Err(err) if err.kind() == Kind::Unreachable && tries < TRIES && !self.control.is_cancelled() => {
                    self.control.meter.retried();
                    tokio::time::sleep(Duration::from_millis(250 << tries)).await;
                }
                sent => return sent.map(|etag| (number, etag)),
            }
        }
    }
}

/// The error where something stands already.
pub(super) fn exists(location: &Location) -> Error {
    Error::new(Kind::Exists, format!("{location} exists already"))
        .with_hint("choose another name, or --if-exists overwrite")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_large_enough_and_few_enough() {
        assert_eq!(part_size(1), SMALLEST);
        assert_eq!(part_size(STAGE), SMALLEST);
        assert_eq!(part_size(STAGE + 1), SMALLEST * 4);
        assert_eq!(part_size(10_000), LARGEST);
        let all: u64 = (1..=10_000).map(|n| part_size(n) as u64).sum();
        assert!(all > 700 << 30, "{all}");
    }
}
