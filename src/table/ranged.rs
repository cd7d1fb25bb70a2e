//! An object of which only the parts that are needed are fetched, kept while it is looked at.
//!
//! A [`Ranged`] is the object with what was fetched of it, bounded in bytes. Each look at it is a [`View`]
//! of its own: with a limit in bytes, a control, and the pieces that it needs held until it is done,
//! whatever is let go meanwhile. The Parquet decoder reads through a view as if it were a file; what it
//! was not given beforehand by [`View::fetch`] is fetched then and there.

use super::pieces::{Pieces, joined};
use crate::error::{Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::{Several, Stores, is_single};
use crate::task::Control;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Bytes of an object that are kept for later looks; what was not used for longest goes first.
pub(crate) const KEPT: u64 = 64 << 20;

/// Fetched beyond what the decoder asked for when it went past what was fetched: the next page header
/// and, with luck, its page.
const READ_AHEAD: u64 = 64 << 10;

/// Requests for pieces of one object under way at once. The limit of all stores holds besides.
const AT_ONCE: usize = 32;

/// Pieces asked for by one request, where the server knows such requests: the header stays below 2 KB.
const SEVERAL: usize = 64;

/// What the decoder's error types put in front of what they say.
const PREFIXES: [&str; 6] =
    ["Parquet argument error: ", "Parquet error: ", "External: ", "EOF: ", "Arrow: ", "Invalid argument error: "];

/// A remote object as a sparse file. Clones share what was fetched.
#[derive(Clone)]
pub(crate) struct Ranged(Arc<Inner>);

struct Inner {
    stores: Stores,
    location: Location,
    size: u64,
    /// A strong `ETag`: pieces of another version are refused.
    etag: Option<String>,
    /// Whether several pieces may be asked for by one request.
    several: AtomicBool,
    kept: Mutex<Pieces>,
    /// Bytes that are kept.
    bound: u64,
}

/// One look at an object. Clones share everything.
#[derive(Clone)]
pub(crate) struct View(Arc<Looking>);

struct Looking {
    file: Ranged,
    store: Arc<dyn ObjectStore>,
    path: Path,
    control: Control,
    runtime: tokio::runtime::Handle,
    abandoned: CancellationToken,
    limit: u64,
    /// Whether what is fetched is kept for later looks.
    keeps: bool,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    pieces: Pieces,
    fetched: u64,
    /// Why the last read failed: the decoder's error types would make text of it.
    fault: Option<Error>,
}

impl Ranged {
    /// Opens an object with one request: its last `tail` bytes, which also tell its size. At most `bound` bytes
    /// of it are kept.
    pub(crate) async fn open_tail(
        stores: &Stores,
        location: &Location,
        known_size: Option<u64>,
        tail: u64,
        bound: u64,
        control: &Control,
    ) -> Result<Self> {
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
                let range = match control.race(store.head(&path)).await {
                    Ok(meta) if meta.size == 0 => return Err(Error::invalid("it is empty: it has 0 bytes")),
                    // s3s-fs fails on a suffix that is longer than the object.
                    Ok(meta) if known_size.is_none() => GetRange::Bounded(meta.size.saturating_sub(tail)..meta.size),
                    _ => return Err(err),
                };
                control.race(store.get_opts(&path, GetOptions { range: Some(range), ..Default::default() })).await?
            }
            Err(err) => return Err(err),
        };
        let (size, start) = (got.meta.size, got.range.start);
        let etag = got.meta.e_tag.clone().filter(|tag| tag.starts_with('"'));
        let web = matches!(location.scheme(), Scheme::Http | Scheme::Https);
        let several = web && !is_single(&got.attributes);
        let bytes = control.race(got.bytes()).await?;
        let mut kept = Pieces::default();
        kept.insert(start, &bytes);
        Ok(Self(Arc::new(Inner {
            stores: stores.clone(),
            location: location.clone(),
            size,
            etag,
            several: AtomicBool::new(several),
            kept: Mutex::new(kept),
            bound,
        })))
    }

    /// A look that fails with [`Kind::Limit`] before it fetches more than `limit` bytes. Its reading stops
    /// when `control` says so, or when the guard is dropped.
    pub(crate) async fn view(&self, control: &Control, limit: u64, keeps: bool) -> Result<(View, DropGuard)> {
        let handle = self.0.stores.open(&self.0.location, &control.meter).await?;
        let abandoned = CancellationToken::new();
        let guard = abandoned.clone().drop_guard();
        let view = View(Arc::new(Looking {
            file: self.clone(),
            store: handle.object_store(),
            path: handle.path(self.0.location.key()),
            control: control.clone(),
            runtime: tokio::runtime::Handle::current(),
            abandoned,
            limit,
            keeps,
            held: Mutex::default(),
        }));
        Ok((view, guard))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Pieces> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View {
    /// Bytes of the whole object.
    pub(crate) fn size(&self) -> u64 {
        self.0.file.0.size
    }

    /// Bytes that may still be fetched.
    pub(crate) fn budget(&self) -> u64 {
        self.0.limit.saturating_sub(self.held().fetched)
    }

    /// What stops it.
    pub(crate) fn control(&self) -> &Control {
        &self.0.control
    }

    /// Fails once it was told to stop, or nobody waits for it any more.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.abandoned.is_cancelled() {
            return Err(Error::cancelled());
        }
        self.0.control.check()
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches what of `ranges` is missing: neighbours in one request, all at once.
    pub(crate) async fn fetch(&self, ranges: &[Range<u64>]) -> Result<()> {
        let missing = self.missing(ranges);
        if missing.is_empty() {
            return Ok(());
        }
        let several = self.0.file.0.several.load(Relaxed);
        let wanted = joined(&missing, several);
        let bytes: u64 = wanted.iter().map(|r| r.end - r.start).sum();
        if bytes > self.budget() {
            let limit = crate::text::bytes(self.0.limit);
            return Err(Error::new(Kind::Limit, format!("the rows asked for need more than {limit} to be read"))
                .with_hint("ask for fewer columns or rows"));
        }
        let got = async {
            if several && wanted.len() > 1 {
                match self.get_several(&wanted).await {
                    Err(err) if err.kind() != Kind::Changed && err.kind() != Kind::Cancelled => {
                        // Not every server knows it, and those that do may refuse: one by one is right always.
                        self.0.file.0.several.store(false, Relaxed);
                    }
                    done => return done,
                }
            }
            let gets: Vec<BoxFuture<'_, Result<Bytes>>> =
                wanted.iter().cloned().map(|range| self.get(range).boxed()).collect();
            futures::stream::iter(gets).buffered(AT_ONCE).try_collect().await
        };
        let got: Vec<Bytes> = tokio::select! {
            biased;
            () = self.0.abandoned.cancelled() => return Err(Error::cancelled()),
            got = self.0.control.race(got) => got?,
        };
        self.keep(&wanted, &got);
        Ok(())
    }

    fn keep(&self, ranges: &[Range<u64>], got: &[Bytes]) {
        let mut held = self.held();
        for (range, bytes) in ranges.iter().zip(got) {
            held.fetched += bytes.len() as u64;
            held.pieces.insert(range.start, bytes);
        }
        drop(held);
        if self.0.keeps {
            let mut kept = self.0.file.kept();
            for (range, bytes) in ranges.iter().zip(got) {
                kept.insert(range.start, bytes);
            }
            kept.let_go(self.0.file.0.bound);
        }
    }

    fn options(&self) -> GetOptions {
        GetOptions { if_match: self.0.file.0.etag.clone(), ..GetOptions::default() }
    }

    async fn get(&self, range: Range<u64>) -> Result<Bytes> {
        let options = self.options().with_range(Some(range.clone()));
        let got = self.0.store.get_opts(&self.0.path, options).await.map_err(of_another_version)?;
        let bytes = got.bytes().await?;
        if bytes.len() as u64 != range.end - range.start {
            return Err(Error::new(Kind::Changed, "the object became shorter while it was read"));
        }
        Ok(bytes)
    }

    /// All pieces by few requests.
    async fn get_several(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let parts: Vec<BoxFuture<'_, Result<Vec<Bytes>>>> =
            ranges.chunks(SEVERAL).map(|part| self.get_part(part.to_vec()).boxed()).collect();
        let parts = futures::future::try_join_all(parts).await?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// Pieces by one request.
    async fn get_part(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let mut options = self.options();
        options.extensions.insert(Several(ranges.clone()));
        let got = self.0.store.get_opts(&self.0.path, options).await.map_err(of_another_version)?;
        let whole = got.bytes().await?;
        let mut out = Vec::with_capacity(ranges.len());
        let mut at = 0;
        for range in ranges {
            let end = at + (range.end - range.start) as usize;
            if end > whole.len() {
                return Err(Error::new(Kind::Failed, "the server sent fewer pieces than it was asked for"));
            }
            out.push(whole.slice(at..end));
            at = end;
        }
        Ok(out)
    }

    /// The parts of `ranges` that are neither held nor kept, in order, without overlaps. What is kept is held
    /// from here on.
    fn missing(&self, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
        let size = self.size();
        let mut wanted: Vec<Range<u64>> =
            ranges.iter().map(|r| r.start.min(size)..r.end.min(size)).filter(|r| r.start < r.end).collect();
        wanted.sort_by_key(|r| r.start);
        let mut held = self.held();
        let mut kept = self.0.file.kept();
        let mut out: Vec<Range<u64>> = Vec::new();
        let mut done = 0;
        for range in wanted {
            let range = range.start.max(done)..range.end;
            done = done.max(range.end);
            for lacking in held.pieces.lacking(&range) {
                for (start, bytes) in kept.take(&lacking) {
                    held.pieces.insert(start, &bytes);
                }
                for gap in held.pieces.lacking(&lacking) {
                    match out.last_mut() {
                        Some(last) if last.end == gap.start => last.end = gap.end,
                        _ => out.push(gap),
                    }
                }
            }
        }
        out
    }

    /// What is there of the bytes from `start` on, at most to `end`, without fetching.
    pub(crate) fn at_hand(&self, range: &Range<u64>) -> Bytes {
        let end = range.end.min(self.size());
        self.missing(std::slice::from_ref(range));
        let held = self.held();
        let end = held.pieces.lacking(&(range.start..end)).first().map_or(end, |gap| gap.start);
        held.pieces.bytes(&(range.start..end.max(range.start))).unwrap_or_default()
    }

    /// What went wrong below the decoder, once; else `err` as it says itself.
    pub(crate) fn explain(&self, err: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.held().fault.take().unwrap_or_else(|| unknown_form(err))
    }

    /// Keeps for [`View::explain`] what went wrong, and gives the decoder something to fail with.
    pub(crate) fn told(&self, err: Error) -> ParquetError {
        let text = err.to_string();
        self.held().fault = Some(err);
        ParquetError::General(text)
    }

    /// Reads `range`, fetching what is missing and a little beyond. Blocks where it does.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if range.end > self.size() || range.start > range.end {
            return Err(Error::invalid(format!(
                "it points at byte {} but is {} bytes long: truncated or corrupt",
                range.end.max(range.start),
                self.size()
            )));
        }
        self.check()?;
        if !self.missing(std::slice::from_ref(&range)).is_empty() {
            let ahead = range.start..range.end.saturating_add(READ_AHEAD);
            self.0.runtime.block_on(self.fetch(&[ahead]))?;
        }
        let found = self.held().pieces.bytes(&range);
        found.ok_or_else(|| Error::new(Kind::Failed, "a piece that was fetched is missing"))
    }
}

/// A decoder's error as a sentence.
pub(crate) fn unknown_form(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    let text = err.to_string();
    let mut why = text.as_str();
    while let Some((_, rest)) = PREFIXES.iter().find_map(|p| Some((p, why.strip_prefix(p)?))) {
        why = rest;
    }
    Error::invalid(format!("corrupt, or of a form that the decoder does not know: {why}")).with_source(err)
}

fn of_another_version(err: object_store::Error) -> Error {
    match err {
        object_store::Error::Precondition { .. } => {
            Error::new(Kind::Changed, "the object was replaced while it was read").with_hint("open it again")
        }
        err => err.into(),
    }
}

impl Length for View {
    fn len(&self) -> u64 {
        self.size()
    }
}

impl ChunkReader for View {
    type T = Cursor;

    fn get_read(&self, start: u64) -> ::parquet::errors::Result<Cursor> {
        Ok(Cursor { file: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ::parquet::errors::Result<Bytes> {
        let end = start
            .checked_add(length as u64)
            .ok_or_else(|| ParquetError::EOF("an offset beyond the end of the file".to_owned()))?;
        self.read(start..end).map_err(|err| self.told(err))
    }
}

/// Reads on from an offset.
pub(crate) struct Cursor {
    file: View,
    at: u64,
}

impl std::io::Read for Cursor {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let left = self.file.size().saturating_sub(self.at);
        let n = (buf.len() as u64).min(left).min(READ_AHEAD);
        if n == 0 {
            return Ok(0);
        }
        let bytes = self.file.read(self.at..self.at + n).map_err(|err| std::io::Error::other(self.file.told(err)))?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        self.at += n;
        Ok(bytes.len())
    }
}
