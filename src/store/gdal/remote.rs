//! The objects behind the virtual files: ranges of them, fetched from a thread that may block, and kept.

use super::cache::Name;
use super::{hdf5, jp2, lock, vrt};
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::{Head, zip};
use crate::task::Control;
use bytes::Bytes;
use object_store::{GetOptions, GetRange};
use std::ops::Range;
use std::sync::{Arc, Mutex};

mod reading;
mod session;

use reading::Flight;
pub(super) use reading::Flow;
pub(super) use session::Session;

/// Bytes of a VRT: it is read whole.
const LONGEST_VRT: u64 = 16 << 20;

/// VRTs may name VRTs so deep.
const DEEPEST: u8 = 4;

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
    /// What was asked for before GDAL did.
    flight: Mutex<Option<Flight>>,
}

impl Remote {
    pub(super) fn new(path: String, session: Arc<Session>, content: Content, trail: Vec<Location>) -> Self {
        let (index, zeros) = (Mutex::default(), Mutex::new(Arc::default()));
        let (known, flight) = (Mutex::default(), Mutex::default());
        Self { path, session, content, known, trail, index, zeros, flight }
    }

    /// Lets go of what is kept for it alone, and of what is on its way.
    pub(super) fn forget(&self) {
        *lock(&self.flight) = None;
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
        self.session.spend(range.end - range.start)?;
        self.ask_for(known, range).await
    }

    /// One request, which is not counted as spent.
    async fn ask_for(&self, known: &Known, range: Range<u64>) -> Result<Bytes> {
        let Content::Object { location, .. } = &self.content else {
            return Err(Error::invalid("it ends before the bytes that were asked for"));
        };
        let wanted = range.end - range.start;
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
        if self.wait_for_flight(&range)?
            && let Some(bytes) = self.at_hand(known, &range)
        {
            return Ok(bytes);
        }
        self.session.wait(self.fetch(known, range))
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
        if known.size > super::SMALL.min(self.session.limit()) {
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
