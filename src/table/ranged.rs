//! An object of which only the parts that are needed are fetched, kept while it is looked at.
//!
//! The Parquet decoder reads through it as if it were a file: what was fetched is answered from
//! memory, what is missing is fetched then and there (the decoder runs on a blocking thread). Callers
//! that know what will be needed fetch it first, in one batch: [`Ranged::prefetch`].

use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::{StoreHandle, Stores};
use crate::task::Control;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::{Bytes, BytesMut};
use object_store::{GetOptions, GetRange, ObjectStoreExt as _};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Fetched beyond what the decoder asked for when it went past what was prefetched: the next page
/// header and, with luck, its page.
const READ_AHEAD: u64 = 64 << 10;

/// What the decoder's error types put in front of what they say.
const PREFIXES: [&str; 6] =
    ["Parquet argument error: ", "Parquet error: ", "External: ", "EOF: ", "Arrow: ", "Invalid argument error: "];

/// A remote object as a sparse file. Clones share what was fetched.
#[derive(Clone)]
pub(crate) struct Ranged(Arc<Inner>);

struct Inner {
    handle: StoreHandle,
    location: Location,
    control: Control,
    runtime: tokio::runtime::Handle,
    abandoned: CancellationToken,
    size: u64,
    limit: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Fetched pieces by their offset; they do not overlap.
    blocks: BTreeMap<u64, Bytes>,
    fetched: u64,
    /// Why the last read failed: the decoder's error types would make text of it.
    fault: Option<Error>,
}

impl Ranged {
    /// Opens an object with one request: its last `tail` bytes, which also tell its size. Reading on
    /// stops with [`Kind::Limit`] after `limit` bytes, and when the returned guard is dropped.
    pub(crate) async fn open_tail(
        stores: &Stores,
        location: &Location,
        known_size: Option<u64>,
        tail: u64,
        limit: u64,
        control: &Control,
    ) -> Result<(Self, DropGuard)> {
        let handle = stores.open(location, &control.meter).await?;
        // Not every server knows suffix ranges; where the size is known a plain one does.
        let range = match known_size {
            Some(size) if size > 0 => GetRange::Bounded(size.saturating_sub(tail)..size),
            _ => GetRange::Suffix(tail),
        };
        let options = GetOptions { range: Some(range), ..Default::default() };
        let path = handle.path(location.key());
        let store = handle.object_store();
        let got = match control.race(store.get_opts(&path, options)).await {
            Ok(got) => got,
            // No range fits into an empty object: servers answer 416.
            Err(err) if matches!(err.kind(), Kind::Invalid | Kind::Failed) => {
                return match control.race(store.head(&path)).await {
                    Ok(meta) if meta.size == 0 => Err(Error::invalid("it is empty: it has 0 bytes")),
                    _ => Err(err),
                };
            }
            Err(err) => return Err(err),
        };
        let (size, start) = (got.meta.size, got.range.start);
        let bytes = control.race(got.bytes()).await?;
        let state = State { fetched: bytes.len() as u64, blocks: BTreeMap::from([(start, bytes)]), fault: None };
        let abandoned = CancellationToken::new();
        let guard = abandoned.clone().drop_guard();
        let inner = Inner {
            handle,
            location: location.clone(),
            control: control.clone(),
            runtime: tokio::runtime::Handle::current(),
            abandoned,
            size,
            limit,
            state: Mutex::new(state),
        };
        Ok((Self(Arc::new(inner)), guard))
    }

    /// Bytes of the whole object.
    pub(crate) fn size(&self) -> u64 {
        self.0.size
    }

    /// Bytes that may still be fetched.
    pub(crate) fn budget(&self) -> u64 {
        self.0.limit.saturating_sub(self.lock().fetched)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches what of `ranges` is missing, neighbours in one request, the rest at once.
    /// Blocks: only for threads of [`Control::blocking`].
    pub(crate) fn prefetch(&self, ranges: &[Range<u64>]) -> Result<()> {
        let missing = self.missing(ranges);
        if missing.is_empty() {
            return Ok(());
        }
        let wanted: u64 = missing.iter().map(|r| r.end - r.start).sum();
        if wanted > self.budget() {
            let limit = crate::text::bytes(self.0.limit);
            return Err(Error::new(Kind::Limit, format!("the rows asked for need more than {limit} to be read"))
                .with_hint("ask for fewer columns or rows"));
        }
        let inner = &self.0;
        let path = inner.handle.path(inner.location.key());
        let store = inner.handle.object_store();
        let fetch = async {
            tokio::select! {
                biased;
                () = inner.abandoned.cancelled() => Err(Error::cancelled()),
                got = inner.control.race(store.get_ranges(&path, &missing)) => got,
            }
        };
        let got = inner.runtime.block_on(fetch)?;
        let mut state = self.lock();
        for (range, bytes) in missing.iter().zip(got) {
            if bytes.len() as u64 != range.end - range.start {
                return Err(Error::new(Kind::Changed, "the object became shorter while it was read"));
            }
            state.fetched += bytes.len() as u64;
            state.blocks.insert(range.start, bytes);
        }
        Ok(())
    }

    /// The parts of `ranges` that were not fetched yet, in order, without overlaps.
    fn missing(&self, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
        let mut wanted: Vec<Range<u64>> = ranges
            .iter()
            .map(|r| r.start.min(self.0.size)..r.end.min(self.0.size))
            .filter(|r| r.start < r.end)
            .collect();
        wanted.sort_by_key(|r| r.start);
        let state = self.lock();
        let mut out: Vec<Range<u64>> = Vec::new();
        let mut done = 0;
        for range in wanted {
            let mut at = range.start.max(done);
            done = done.max(range.end);
            while at < range.end {
                if let Some(end) = state.end_of_block_at(at) {
                    at = end;
                    continue;
                }
                let next = state.blocks.range(at..).next().map_or(range.end, |(start, _)| (*start).min(range.end));
                match out.last_mut() {
                    Some(last) if last.end == at => last.end = next,
                    _ => out.push(at..next),
                }
                at = next;
            }
        }
        out
    }

    /// What went wrong below the decoder, once; else `err` as it says itself.
    pub(crate) fn explain(&self, err: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.lock().fault.take().unwrap_or_else(|| {
            let text = err.to_string();
            let mut why = text.as_str();
            while let Some((_, rest)) = PREFIXES.iter().find_map(|p| Some((p, why.strip_prefix(p)?))) {
                why = rest;
            }
            Error::invalid(format!("corrupt, or of a form that the decoder does not know: {why}")).with_source(err)
        })
    }

    /// Forgets a failed read that nobody needs to hear of.
    pub(crate) fn forget_fault(&self) {
        self.lock().fault = None;
    }

    /// Reads `range` for the decoder; why it failed is kept for [`Ranged::explain`].
    fn read_or_keep(&self, range: Range<u64>) -> std::result::Result<Bytes, String> {
        self.read(range).map_err(|err| {
            let text = err.to_string();
            self.lock().fault = Some(err);
            text
        })
    }

    /// Reads `range`, fetching what is missing and a little beyond.
    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if range.end > self.0.size {
            return Err(Error::invalid(format!(
                "it points at byte {} but is {} bytes long: truncated or corrupt",
                range.end, self.0.size
            )));
        }
        self.0.control.check()?;
        if !self.missing(std::slice::from_ref(&range)).is_empty() {
            let ahead = range.start..range.end.saturating_add(READ_AHEAD);
            self.prefetch(&[ahead])?;
        }
        let state = self.lock();
        if let Some((start, block)) = state.blocks.range(..=range.start).next_back() {
            let (from, to) = ((range.start - start) as usize, (range.end - start) as usize);
            if to <= block.len() {
                return Ok(block.slice(from..to));
            }
        }
        let mut out = BytesMut::with_capacity((range.end - range.start) as usize);
        let mut at = range.start;
        while at < range.end {
            let Some((start, block)) = state.blocks.range(..=at).next_back() else { break };
            let from = (at - start) as usize;
            let to = block.len().min((range.end - start) as usize);
            if from >= to {
                break;
            }
            out.extend_from_slice(&block[from..to]);
            at = start + to as u64;
        }
        if at < range.end {
            return Err(Error::new(Kind::Failed, "a piece that was fetched is missing"));
        }
        Ok(out.freeze())
    }
}

impl State {
    fn end_of_block_at(&self, at: u64) -> Option<u64> {
        let (start, block) = self.blocks.range(..=at).next_back()?;
        let end = start + block.len() as u64;
        (end > at).then_some(end)
    }
}

impl Length for Ranged {
    fn len(&self) -> u64 {
        self.0.size
    }
}

impl ChunkReader for Ranged {
    type T = Cursor;

    fn get_read(&self, start: u64) -> ::parquet::errors::Result<Cursor> {
        Ok(Cursor { file: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ::parquet::errors::Result<Bytes> {
        let end = start
            .checked_add(length as u64)
            .ok_or_else(|| ParquetError::EOF("an offset beyond the end of the file".to_owned()))?;
        self.read_or_keep(start..end).map_err(ParquetError::General)
    }
}

/// Reads on from an offset.
pub(crate) struct Cursor {
    file: Ranged,
    at: u64,
}

impl std::io::Read for Cursor {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let left = self.file.size().saturating_sub(self.at);
        let n = (buf.len() as u64).min(left).min(READ_AHEAD);
        if n == 0 {
            return Ok(0);
        }
        let bytes = self.file.read_or_keep(self.at..self.at + n).map_err(std::io::Error::other)?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        self.at += n;
        Ok(bytes.len())
    }
}
