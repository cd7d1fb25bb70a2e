//! The objects behind the virtual files: ranges of them, fetched from a thread that may block, and kept.

use super::cache::{Cache, Name};
use super::{hdf5, jp2, lock, vrt};
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::{Head, StoreHandle, zip};
use crate::task::Control;
use bytes::Bytes;
use futures::stream::{StreamExt as _, TryStreamExt as _};
use object_store::{GetOptions, GetRange};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Smallest and largest read ahead of what GDAL asked for. It doubles while reads are sequential, so that never more
/// is read ahead than was read before.
const AHEAD: Range<u64> = (32 << 10)..(8 << 20);

/// A step forward that is still sequential: what is left out costs less than another request.
const NEAR: u64 = 256 << 10;

/// What is read ahead comes in pieces of this size, at once. From so many bytes on, the next are fetched while GDAL
/// decodes those that are there.
const PIECE: u64 = 1 << 20;

/// Bytes fetched for one read before some of them are handed on: less than is kept.
const WINDOW: u64 = 16 << 20;

/// Ranges of one object that lie closer together are fetched as one.
const GAP: u64 = object_store::OBJECT_STORE_COALESCE_DEFAULT;

/// Requests of one read that are under way at once.
const PARALLEL: usize = 16;

/// Bytes of a VRT: it is read whole.
const LONGEST_VRT: u64 = 16 << 20;

/// VRTs may name VRTs so deep.
const DEEPEST: u8 = 4;

/// What the reads of one call into GDAL listen to.
struct Call {
    control: Control,
    abandoned: CancellationToken,
}

/// What all virtual files of one mount share: the store, the limit, the first error.
pub(super) struct Session {
    handle: StoreHandle,
    /// Where the members of a VRT may lie; see [`vrt`].
    home: Location,
    cache: Arc<Cache>,
    /// Whether others that open the same objects may use what was fetched.
    shares: bool,
    limit: u64,
    spent: AtomicU64,
    call: Mutex<Call>,
    error: Mutex<Option<Error>>,
    runtime: tokio::runtime::Handle,
    /// Names of all its files, until it is unmounted.
    pub(super) mounted: Mutex<Vec<u64>>,
}

impl Session {
    /// For the calling runtime, which will run its requests. Reads fail once more than `limit` bytes came.
    pub(super) fn new(handle: StoreHandle, home: Location, cache: Arc<Cache>, control: &Control, limit: u64) -> Self {
        Self {
            handle,
            home,
            cache,
            // Who measures reading wants no bytes that were read before.
            shares: limit < u64::MAX,
            limit,
            spent: AtomicU64::new(0),
            call: Mutex::new(Call { control: control.clone(), abandoned: CancellationToken::new() }),
            error: Mutex::new(None),
            runtime: tokio::runtime::Handle::current(),
            mounted: Mutex::default(),
        }
    }

    /// A new use: what it listens to, no error yet, nothing spent.
    pub(super) fn begin(&self, control: &Control, abandoned: CancellationToken) {
        *lock(&self.call) = Call { control: control.clone(), abandoned };
        *lock(&self.error) = None;
        self.spent.store(0, Relaxed);
    }

    /// Bytes that a use may read.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The error that a read met since the last look.
    pub(super) fn take_error(&self) -> Option<Error> {
        lock(&self.error).take()
    }

    pub(super) fn check(&self) -> Result<()> {
        let call = lock(&self.call);
        call.control.check()?;
        if call.abandoned.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }

    fn listens_to(&self) -> (Control, CancellationToken) {
        let call = lock(&self.call);
        (call.control.clone(), call.abandoned.clone())
    }

    /// Waits for a fetch on this thread, which is one of the runtime's for blocking work.
    fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let (control, abandoned) = self.listens_to();
        self.runtime.block_on(control.race(async {
            tokio::select! {
                biased;
                () = abandoned.cancelled() => Err(Error::cancelled()),
                result = future => result,
            }
        }))
    }

    fn spend(&self, bytes: u64) -> Result<()> {
        if self.spent.fetch_add(bytes, Relaxed).saturating_add(bytes) > self.limit {
            let limit = crate::text::bytes(self.limit);
            return Err(Error::new(Kind::Limit, format!("it needs more than {limit}, the limit for looking at it")));
        }
        Ok(())
    }

    /// Runs a read. After a failure GDAL goes on with the next block: then everything fails at once.
    pub(super) fn attempt<T>(&self, read: impl FnOnce() -> Result<T>) -> Option<T> {
        if lock(&self.error).is_some() {
            return None;
        }
        match self.check().and_then(|()| read()) {
            Ok(value) => Some(value),
            Err(error) => {
                *lock(&self.error) = Some(error);
                None
            }
        }
    }
}

/// What a virtual file holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// An object, or a part of it: an entry of a zip that was not packed.
    Object { location: Location, part: Option<Range<u64>> },
    /// An entry of a zip, packed by deflate, and the bytes that it says to have.
    Deflated { location: Location, part: Range<u64>, size: u64 },
    /// These bytes.
    Bytes(Bytes),
}

/// What is known of a file once it was looked at.
#[derive(Clone)]
pub(super) struct Known {
    /// Bytes of the file.
    pub(super) size: u64,
    /// Its first bytes; all of them for what is no object.
    pub(super) head: Bytes,
    /// Where it begins in its object, and what that is.
    base: u64,
    whole: u64,
    etag: Option<String>,
    name: Name,
}

/// A virtual file.
pub(super) struct Remote {
    /// The whole name under which it is mounted.
    pub(super) path: String,
    pub(super) session: Arc<Session>,
    content: Content,
    known: Mutex<Option<Arc<Known>>>,
    /// VRTs that lead here.
    trail: Vec<Location>,
    /// Where the tiles of a JPEG 2000 are, and what of them reads as zeros now: see [`jp2`].
    index: Mutex<Option<Arc<jp2::Index>>>,
    zeros: Mutex<Arc<[Range<u64>]>>,
}

/// Of one open file: where the next single read would be sequential, how far it reads ahead, and what is on its way.
pub(super) struct Flow {
    next: u64,
    ahead: u64,
    coming: Option<(Range<u64>, AbortOnDropHandle<()>)>,
}

impl Default for Flow {
    fn default() -> Self {
        Self { next: super::HEAD, ahead: AHEAD.start, coming: None }
    }
}

impl Remote {
    pub(super) fn new(path: String, session: Arc<Session>, content: Content, trail: Vec<Location>) -> Self {
        let (index, zeros) = (Mutex::default(), Mutex::new(Arc::default()));
        Self { path, session, content, known: Mutex::default(), trail, index, zeros }
    }

    /// Lets go of what is kept for it alone.
    pub(super) fn forget(&self) {
        let known = lock(&self.known).clone();
        if let Some(known) = known.filter(|known| known.name.starts_with(&self.path)) {
            self.session.cache.forget(&known.name);
        }
    }

    /// Notes what is known from elsewhere, so that it need not be asked for.
    pub(super) fn learn(&self, head: Head) {
        let Content::Object { location, part: None } = &self.content else { return };
        *lock(&self.known) = Some(Arc::new(self.found(location, None, head)));
    }

    /// The first bytes from the cache, where the listing told which object it is.
    pub(super) fn recall(&self, size: u64, etag: &str) -> bool {
        let Content::Object { location, part: None } = &self.content else { return false };
        let head = Head { bytes: Bytes::new(), size, etag: Some(etag.to_owned()) };
        let mut known = self.found(location, None, head);
        let Some(bytes) = self.session.cache.get(&known.name, &(0..size.min(super::HEAD))) else { return false };
        known.head = bytes;
        *lock(&self.known) = Some(Arc::new(known));
        true
    }

    /// What it is; asks for it the first time.
    pub(super) fn known(self: &Arc<Self>) -> Result<Arc<Known>> {
        let mut slot = lock(&self.known);
        if let Some(known) = &*slot {
            return Ok(known.clone());
        }
        let mut known = self.look().map_err(|err| match &self.content {
            Content::Object { location, .. } | Content::Deflated { location, .. } if !self.trail.is_empty() => {
                err.context(format!("its member {}", location.name()))
            }
            _ => err,
        })?;
        if hdf5::is_one(&known.head) && !self.trail.is_empty() {
            return Err(Error::unsupported(
                "a member of it is an HDF5, which may name other files: it is not followed",
            ));
        }
        if vrt::is_one(&known.head) && !matches!(self.content, Content::Bytes(_)) {
            known = self.resolved(&known)?;
        }
        let known = Arc::new(known);
        *slot = Some(known.clone());
        Ok(known)
    }

    /// Sees to it that it is known, without a thread to block.
    pub(super) async fn ask(&self, control: &Control) -> Result<()> {
        let Content::Object { location, part: None } = &self.content else { return Ok(()) };
        let head = control.race(self.session.handle.read_head(location, super::HEAD)).await?;
        self.learn(head);
        Ok(())
    }

    /// Whether it is, as it comes from its store, a VRT: what it names must be looked through first.
    fn is_raw_vrt(&self) -> bool {
        // What was resolved is kept under its own path.
        let known = lock(&self.known);
        let raw = |k: &Known| vrt::is_one(&k.head) && *k.name != *self.path;
        !matches!(self.content, Content::Bytes(_)) && known.as_ref().is_some_and(|k| raw(k))
    }

    /// Replaces a VRT as it is stored by one whose members are mounted.
    pub(super) fn resolve(self: &Arc<Self>) -> Result<()> {
        let known = self.known()?;
        if self.is_raw_vrt() {
            let resolved = self.resolved(&known)?;
            *lock(&self.known) = Some(Arc::new(resolved));
        }
        Ok(())
    }

    fn found(&self, location: &Location, part: Option<&Range<u64>>, head: Head) -> Known {
        // A weak tag never matches (RFC 9110, 13.1.1), and says nothing of the bytes.
        let strong = head.etag.as_deref().filter(|tag| !tag.starts_with("W/") && self.session.shares);
        let name: Name = match strong {
            Some(tag) => format!("{location}\n{tag}\n{}", head.size).into(),
            None => format!("{}\n{location}", self.path).into(),
        };
        let part = part.cloned().unwrap_or(0..head.size);
        let known = Known {
            size: part.end - part.start,
            head: head.bytes,
            base: part.start,
            whole: head.size,
            etag: head.etag,
            name,
        };
        self.session.cache.keep(&known.name, known.base, known.head.clone());
        known
    }

    fn look(&self) -> Result<Known> {
        match &self.content {
            Content::Bytes(bytes) => Ok(Known {
                size: bytes.len() as u64,
                head: bytes.clone(),
                base: 0,
                whole: bytes.len() as u64,
                etag: None,
                name: self.path.as_str().into(),
            }),
            Content::Object { location, part } => {
                let head = self.head(location, part.as_ref())?;
                if let Some(part) = part
                    && part.end > head.size
                {
                    return Err(Error::invalid("it ends before its parts do"));
                }
                Ok(self.found(location, part.as_ref(), head))
            }
            Content::Deflated { location, part, size } => {
                let packed = self.session.wait(async {
                    self.session.spend(part.end - part.start)?;
                    self.session.handle.read_range(location, part.clone()).await
                })?;
                self.session.spend(*size)?;
                let bytes = inflate(&packed, *size)?;
                let whole = bytes.len() as u64;
                Ok(Known { size: whole, head: bytes, base: 0, whole, etag: None, name: self.path.as_str().into() })
            }
        }
    }

    fn head(&self, location: &Location, part: Option<&Range<u64>>) -> Result<Head> {
        self.session.spend(super::HEAD)?;
        let Some(part) = part else {
            return self.session.wait(self.session.handle.read_head(location, super::HEAD));
        };
        let end = part.end.min(part.start + super::HEAD);
        let path = self.session.handle.path(location.key());
        let options = GetOptions::new().with_range(Some(part.start..end));
        self.session.wait(async {
            let got = self.session.handle.object_store().get_opts(&path, options).await.map_err(store_error)?;
            let (size, etag) = (got.meta.size, got.meta.e_tag.clone());
            Ok(Head { bytes: got.bytes().await.map_err(store_error)?, size, etag })
        })
    }

    /// A VRT whose members are mounted under names of ours.
    fn resolved(self: &Arc<Self>, known: &Known) -> Result<Known> {
        let Content::Object { location, part: None } = &self.content else {
            return Err(Error::unsupported("a VRT inside an archive is not followed"));
        };
        if self.trail.len() >= DEEPEST.into() {
            return Err(Error::unsupported(format!("its members are VRTs that name VRTs, more than {DEEPEST} deep")));
        }
        if known.size > LONGEST_VRT {
            return Err(Error::new(Kind::Limit, format!("the VRT has {}", crate::text::bytes(known.size))));
        }
        let text = self.fetched(known, 0..known.size)?;
        let mut trail = self.trail.clone();
        trail.push(location.clone());
        let text = vrt::rewritten(&text, location, &self.session.home, |member| {
            if trail.contains(&member) {
                return Err(Error::invalid(format!("the VRT names itself as its member {}", member.name())));
            }
            let content = Content::Object { location: member, part: None };
            Ok(super::mount_member(&self.session, content, &trail).path.clone())
        })?;
        let head = Bytes::from(text);
        let size = head.len() as u64;
        Ok(Known { size, head, base: 0, whole: size, etag: None, name: self.path.as_str().into() })
    }

    async fn fetch(&self, known: &Known, range: Range<u64>) -> Result<Bytes> {
        let Content::Object { location, .. } = &self.content else {
            return Err(Error::invalid("it ends before the bytes that were asked for"));
        };
        let wanted = range.end - range.start;
        self.session.spend(wanted)?;
        // A weak tag is compared below.
        let strong = known.etag.clone().filter(|tag| !tag.starts_with("W/"));
        let start = known.base + range.start;
        let range = GetRange::Bounded(start..known.base + range.end);
        let options = GetOptions { range: Some(range), if_match: strong, ..GetOptions::default() };
        let handle = &self.session.handle;
        let path = handle.path(location.key());
        let got = handle.object_store().get_opts(&path, options).await.map_err(store_error)?;
        if got.meta.size != known.whole || got.meta.e_tag != known.etag {
            self.session.cache.forget(&known.name);
            return Err(changed());
        }
        let bytes = got.bytes().await.map_err(store_error)?;
        if bytes.len() as u64 != wanted {
            return Err(Error::invalid("the server sent fewer bytes than it promised"));
        }
        self.session.cache.keep(&known.name, start, bytes.clone());
        Ok(bytes)
    }

    /// What is held of the bytes from `at` on.
    fn held(&self, known: &Known, at: u64) -> Option<Bytes> {
        if let Some(skip) = usize::try_from(at).ok().filter(|&n| n < known.head.len()) {
            return Some(known.head.slice(skip..));
        }
        self.session.cache.from(&known.name, known.base + at)
    }

    /// All of a range, where it is held.
    fn at_hand(&self, known: &Known, range: &Range<u64>) -> Option<Bytes> {
        let (from, to) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        if to <= known.head.len() {
            return Some(known.head.slice(from..to));
        }
        self.session.cache.get(&known.name, &(known.base + range.start..known.base + range.end))
    }

    /// A range as far as it is held, without a request: for what is not worth one.
    pub(super) fn without_request(&self, range: &Range<u64>) -> Option<Bytes> {
        let known = lock(&self.known).clone()?;
        self.at_hand(&known, &(range.start..range.end.min(known.size)))
    }

    /// All of a range, fetched by one request if need be.
    pub(super) fn range(self: &Arc<Self>, range: Range<u64>) -> Result<Bytes> {
        let known = self.known()?;
        self.fetched(&known, range.start..range.end.min(known.size))
    }

    fn fetched(&self, known: &Known, range: Range<u64>) -> Result<Bytes> {
        if range.start >= range.end {
            return Ok(Bytes::new());
        }
        if let Some(bytes) = self.at_hand(known, &range) {
            return Ok(bytes);
        }
        self.session.wait(self.fetch(known, range))
    }

    /// The range to fetch when `wanted` bytes from `at` are missing; and what is on its way already, if they are in it.
    fn plan(flow: &mut Flow, known: &Known, at: u64, wanted: u64) -> (Range<u64>, Option<AbortOnDropHandle<()>>) {
        let coming = flow.coming.take().filter(|(range, _)| range.contains(&at));
        let is_near = at.checked_sub(flow.next).is_some_and(|step| step <= NEAR);
        flow.ahead = match &coming {
            None if is_near => (flow.ahead * 2).min(AHEAD.end),
            None => AHEAD.start,
            Some(_) => flow.ahead,
        };
        let end = at.saturating_add(wanted.max(flow.ahead).min(WINDOW)).min(known.size);
        let end = coming.as_ref().map_or(end, |(range, _)| range.end);
        flow.next = end;
        (at..end, coming.map(|(_, task)| task))
    }

    /// Fetches what is not held, and as it is sequential more; the bytes from `at` on.
    fn missing(self: &Arc<Self>, flow: &mut Flow, known: &Arc<Known>, at: u64, wanted: u64) -> Result<Bytes> {
        let (range, coming) = Self::plan(flow, known, at, wanted);
        if let Some(task) = coming {
            // What went wrong with it is met again below.
            self.session.wait(async {
                // Cancelled or not, it is over.
                let _ = task.await;
                Ok(())
            })?;
            self.read_on(flow, known, range.end);
            if let Some(bytes) = self.held(known, at) {
                return Ok(bytes);
            }
        }
        let first = range.start..range.end.min(range.start + PIECE * 2);
        let bytes = if range == first {
            self.session.wait(self.fetch(known, range.clone()))?
        } else {
            self.session.wait(self.fetch_pieces(known, range.clone()))?
        };
        self.read_on(flow, known, range.end);
        Ok(bytes)
    }

    /// A range, without a thread to block.
    pub(super) async fn part(&self, known: &Known, range: Range<u64>) -> Result<Bytes> {
        match self.at_hand(known, &range) {
            Some(bytes) => Ok(bytes),
            None => self.fetch(known, range).await,
        }
    }

    pub(super) fn index(&self) -> Option<Arc<jp2::Index>> {
        lock(&self.index).clone()
    }

    pub(super) fn keep_index(&self, index: jp2::Index) -> Arc<jp2::Index> {
        lock(&self.index).insert(Arc::new(index)).clone()
    }

    /// Everything is read as it is again.
    pub(super) fn as_it_is(&self) {
        *lock(&self.zeros) = Arc::default();
    }

    /// Fetches all of it, if it is not too large to be kept.
    pub(super) fn fetch_small(self: &Arc<Self>) -> Result<()> {
        let known = self.known()?;
        if known.size > super::SMALL.min(self.session.limit) {
            return Ok(());
        }
        self.session.wait(self.fetch_whole(&known))
    }

    /// Fetches all that is not held behind its first bytes.
    pub(super) async fn fetch_whole(&self, known: &Known) -> Result<()> {
        if self.at_hand(known, &(0..known.size)).is_none() {
            self.fetch_pieces(known, known.head.len() as u64..known.size).await?;
        }
        Ok(())
    }

    /// Fetches what pictures of JPEG 2000s need, of all at once: see [`jp2`].
    pub(super) fn fetch_pictures(wishes: Vec<(Arc<Self>, jp2::Wish)>) -> Result<()> {
        let Some(session) = wishes.first().map(|(remote, _)| remote.session.clone()) else { return Ok(()) };
        let known: Vec<_> =
            wishes.into_iter().map(|(remote, wish)| Ok((remote.known()?, remote, wish))).collect::<Result<_>>()?;
        let fetches = known.into_iter().map(|(known, remote, wish)| async move {
            let zeros = jp2::fetch(&remote, &known, wish).await?;
            *lock(&remote.zeros) = zeros.into();
            Ok(())
        });
        session.wait(futures::future::try_join_all(fetches)).map(drop)
    }

    /// Fetches a range in pieces, all at once; they are kept, the first is the answer.
    pub(super) async fn fetch_pieces(&self, known: &Known, range: Range<u64>) -> Result<Bytes> {
        let starts = (range.start..range.end).step_by(PIECE as usize);
        let fetches = starts.map(|start| self.fetch(known, start..range.end.min(start + PIECE)));
        let mut pieces = futures::stream::iter(fetches).buffered(PARALLEL);
        let first = pieces.try_next().await?.unwrap_or_default();
        while pieces.try_next().await?.is_some() {}
        Ok(first)
    }

    /// Has the bytes from `start` on fetched meanwhile, if it was read so far in one go.
    fn read_on(self: &Arc<Self>, flow: &mut Flow, known: &Arc<Known>, start: u64) {
        let range = start..start.saturating_add(flow.ahead).min(known.size);
        if flow.ahead < PIECE || range.is_empty() {
            return;
        }
        let (remote, known, wanted) = (self.clone(), known.clone(), range.clone());
        let (control, abandoned) = self.session.listens_to();
        let task = self.session.runtime.spawn(async move {
            let work = control.race(remote.fetch_pieces(&known, wanted));
            tokio::select! {
                biased;
                () = abandoned.cancelled() => {}
                _ = work => {}
            }
        });
        flow.coming = Some((range, AbortOnDropHandle::new(task)));
    }

    /// Fills `out` from `offset` on; fewer bytes only at the end of the file.
    pub(super) fn read_at(self: &Arc<Self>, flow: &mut Flow, offset: u64, out: &mut [u8]) -> Result<usize> {
        let known = self.known()?;
        let zeros = lock(&self.zeros).clone();
        let left = usize::try_from(known.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = out.len().min(left);
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let next = zeros.get(zeros.partition_point(|range| range.end <= at));
            if let Some(range) = next.filter(|range| range.start <= at) {
                let n = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(len - done);
                out[done..done + n].fill(0);
                done += n;
                continue;
            }
            let before = next.map_or(usize::MAX, |range| usize::try_from(range.start - at).unwrap_or(usize::MAX));
            let wanted = before.min(len - done);
            let bytes = match self.held(&known, at) {
                Some(bytes) => bytes,
                None => self.missing(flow, &known, at, wanted as u64)?,
            };
            let n = bytes.len().min(wanted);
            out[done..done + n].copy_from_slice(&bytes[..n]);
            done += n;
        }
        Ok(len)
    }

    /// Reads all `ranges`; what is not held is fetched in few parallel requests.
    pub(super) fn read_ranges(self: &Arc<Self>, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let known = self.known()?;
        let mut found: Vec<Option<Bytes>> = ranges.iter().map(|r| self.at_hand(&known, r)).collect();
        let missing: Vec<Range<u64>> =
            ranges.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(r, _)| r.clone()).collect();
        let merged = merge(missing);
        let fetches = merged.iter().map(|range| {
            let (remote, known, range) = (self.clone(), known.clone(), range.clone());
            async move { remote.fetch(&known, range).await }
        });
        let fetched: Vec<Bytes> = if merged.is_empty() {
            Vec::new()
        } else {
            self.session.wait(futures::stream::iter(fetches).buffered(PARALLEL).try_collect())?
        };
        for (range, slot) in ranges.iter().zip(&mut found).filter(|(_, slot)| slot.is_none()) {
            let index = merged.partition_point(|m| m.start <= range.start).saturating_sub(1);
            if let (Some(outer), Some(bytes)) = (merged.get(index), fetched.get(index)) {
                *slot = Some(bytes.slice((range.start - outer.start) as usize..(range.end - outer.start) as usize));
            }
        }
        Ok(found.into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// Ranges in order, those that lie closely together as one.
fn merge(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|r| (r.start, r.end));
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP) => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// The bytes of a deflated entry, which must have the size that it says.
pub(super) fn inflate(packed: &[u8], size: u64) -> Result<Bytes> {
    match zip::inflate(packed, size) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Error::invalid("an entry of the archive is not as large as it says")),
        Err(err) => Err(Error::invalid("an entry of the archive is damaged").with_source(err)),
    }
}

fn changed() -> Error {
    Error::new(Kind::Changed, "the object was changed while it was read")
}

fn store_error(err: object_store::Error) -> Error {
    use object_store::Error as E;
    let (kind, why) = match &err {
        E::Precondition { .. } => return changed().with_source(err),
        E::NotFound { .. } => (Kind::NotFound, "the object is gone".to_owned()),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => (Kind::Denied, "reading is denied".to_owned()),
        other => (Kind::Failed, format!("reading failed: {other}")),
    };
    Error::new(kind, why).with_source(err)
}
