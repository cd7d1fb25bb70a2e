//! Objects that GDAL can open: mounted as long as they are used.

use super::remote::{Content, Remote, Session};
use super::{PREFIX, Place, REGISTRY, call, hdf5, jp2, lock, put, quietly};
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::{Head, Stores};
use crate::task::Control;
use bytes::Bytes;
use gdal::Metadata as _;
use gdal::raster::RasterBand;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock};
use tokio_util::sync::CancellationToken;

/// Bytes of blocks that are asked for before they are read: more are left to GDAL.
const MOST_AHEAD: u64 = 32 << 20;

/// Bytes of an object that is copied into memory because its library cannot read it by ranges.
const LARGEST_COPY: u64 = 64 << 20;

/// An object that GDAL can open by [`Mount::path`] as long as this lives.
pub(crate) struct Mount {
    main: Arc<Remote>,
    /// Those that it is assembled of.
    members: Vec<Arc<Remote>>,
    copy: Mutex<Option<Copy>>,
    limit: u64,
    /// Once it was looked through: whether a link of it leads to another file.
    links: OnceLock<Option<String>>,
}

/// A member of an assembled raster.
pub(crate) struct Member {
    /// The name under which GDAL opens it.
    pub(crate) path: String,
    /// Its first bytes.
    pub(crate) head: Bytes,
}

/// A copy in memory, under a name of GDAL's.
struct Copy(String);

impl Drop for Copy {
    fn drop(&mut self) {
        // It only fails for what is not there.
        let _ = gdal::vsi::unlink_mem_file(&self.0);
    }
}

impl Mount {
    /// Blocks whose places are asked for before they are read: more are left to GDAL.
    pub(crate) const MOST_BLOCKS: usize = 2048;

    /// Columns and rows of the blocks below a window (left, top, across, down); nothing where these are too many to be
    /// asked for with `others`.
    pub(crate) fn below(window: [u64; 4], block: (u64, u64), others: usize) -> Option<(Range<u64>, Range<u64>)> {
        let [x, y, across, down] = window;
        let columns = x / block.0..(x + across).div_ceil(block.0);
        let rows = y / block.1..(y + down).div_ceil(block.1);
        let count = (columns.end - columns.start).checked_mul(rows.end - rows.start)?;
        (count.checked_add(others as u64)? <= Self::MOST_BLOCKS as u64).then_some((columns, rows))
    }

    /// The range of a block of a TIFF, with the leader and trailer that a COG has around each: GDAL reads them too.
    pub(crate) fn block(offset: u64, size: u64) -> Range<u64> {
        offset.saturating_sub(4)..offset.saturating_add(size).saturating_add(4)
    }

    /// Mounts an object, with one request; none, if its `head` was read before, or where size and `ETag` are
    /// known (a `head` without bytes) and it was read before. Traffic is counted by the control's meter; reads
    /// fail once more than `limit` bytes came. Nothing is shared with others where there is no limit.
    pub(crate) async fn new(
        stores: &Stores,
        location: &Location,
        control: &Control,
        limit: u64,
        head: Option<Head>,
    ) -> Result<Self> {
        let content = Content::Object { location: location.clone(), part: None };
        let mount = Self::of(stores, location, control, limit, content, &spelled(location.name())).await?;
        match head {
            Some(head) if head.size == 0 || !head.bytes.is_empty() => mount.main.learn(head),
            Some(Head { size, etag: Some(etag), .. }) if mount.main.recall(size, &etag) => {}
            _ => mount.main.ask(control).await?,
        }
        Ok(mount)
    }

    /// A raster made of others: their first bytes are asked for at once, and `write` makes of them the VRT. All lie
    /// in the store of `home`.
    pub(crate) async fn assembled(
        stores: &Stores,
        home: &Location,
        control: &Control,
        limit: u64,
        members: Vec<Content>,
        write: impl FnOnce(&[Member]) -> String,
    ) -> Result<Self> {
        let mut mount = Self::of(stores, home, control, limit, Content::Bytes(Bytes::new()), "none").await?;
        let session = mount.main.session.clone();
        let trail = std::slice::from_ref(home);
        let remotes: Vec<Arc<Remote>> =
            members.into_iter().map(|content| super::mount_member(&session, content, trail)).collect();
        let looked = remotes.clone();
        let heads = control.blocking(move |_| {
            std::thread::scope(|scope| {
                let looks: Vec<_> = looked.iter().map(|remote| scope.spawn(|| remote.known())).collect();
                let failed = |_| Error::new(Kind::Failed, "a worker thread failed");
                looks.into_iter().map(|look| Ok(look.join().map_err(failed)??.head.clone())).collect::<Result<Vec<_>>>()
            })
        });
        let members: Vec<Member> =
            remotes.iter().zip(heads.await?).map(|(remote, head)| Member { path: remote.path.clone(), head }).collect();
        mount.main = put(&session, Content::Bytes(write(&members).into()), "all.vrt", &[]);
        mount.members = remotes;
        Ok(mount)
    }

    /// Mounts what is not asked for yet; all that it leads to lies in the store of `home`.
    pub(crate) async fn of(
        stores: &Stores,
        home: &Location,
        control: &Control,
        limit: u64,
        content: Content,
        name: &str,
    ) -> Result<Self> {
        let handle = stores.open(home, &control.meter).await?;
        let session = Session::new(handle, home.clone(), stores.0.pieces.clone(), control, limit);
        let main = put(&Arc::new(session), content, name, &[]);
        Ok(Self { main, members: Vec::new(), copy: Mutex::default(), limit, links: OnceLock::new() })
    }

    /// The name under which GDAL opens it.
    pub(crate) fn path(&self) -> &str {
        &self.main.path
    }

    /// Bytes of the object.
    pub(crate) fn size(&self) -> u64 {
        self.main.known().map_or(0, |known| known.size)
    }

    /// A new use of the object: reads stop when `control` or `abandoned` is cancelled, and the
    /// limit counts from here.
    pub(crate) fn begin(&self, control: &Control, abandoned: CancellationToken) {
        self.main.session.begin(control, abandoned);
        std::iter::once(&self.main).chain(&self.members).for_each(|remote| remote.as_it_is());
    }

    /// Its first bytes.
    pub(super) fn head(&self) -> Result<Bytes> {
        Ok(self.main.known()?.head.clone())
    }

    /// A VRT is replaced by one whose members are mounted. Whether it is one.
    pub(super) fn resolve(&self) -> Result<bool> {
        self.main.resolve()?;
        Ok(super::vrt::is_one(&self.main.known()?.head))
    }

    /// Looks an HDF5 through, once: fails where its values lie in another file; the name of a link that leads to
    /// one, which nobody follows.
    pub(super) fn foreign_link(&self) -> Result<Option<String>> {
        if let Some(link) = self.links.get() {
            return Ok(link.clone());
        }
        let library = REGISTRY.hdf5().ok_or_else(hdf5::hidden)?;
        let link = self.call(|| Ok(library.look(self.path())))??;
        Ok(self.links.get_or_init(|| link).clone())
    }

    /// Bytes of the object, as far as they were read before.
    pub(crate) fn held(&self, range: &Range<u64>) -> Option<Bytes> {
        self.main.without_request(range)
    }

    /// Bytes of the object.
    pub(crate) fn bytes(&self, range: Range<u64>) -> Result<Bytes> {
        self.main.range(range)
    }

    /// The name of a copy in memory, for libraries that do not read through GDAL's files; `None` where it would
    /// be too large.
    pub(super) fn copied(&self) -> Result<Option<String>> {
        let mut copy = lock(&self.copy);
        if let Some(copy) = &*copy {
            return Ok(Some(copy.0.clone()));
        }
        let size = self.size();
        if size > LARGEST_COPY.min(self.limit) {
            return Ok(None);
        }
        let bytes = self.main.range(0..size)?;
        let path = self.path().replacen(&*PREFIX.to_string_lossy(), "/vsimem/secchi/", 1);
        call(|| gdal::vsi::create_mem_file(&path, bytes.to_vec()))?;
        *copy = Some(Copy(path.clone()));
        Ok(Some(path))
    }

    /// The name of the copy, if there is one.
    pub(super) fn copy_path(&self) -> Option<String> {
        lock(&self.copy).as_ref().map(|copy| copy.0.clone())
    }

    /// Calls GDAL. Its failure becomes a sentence, or the error that a read of ours met.
    pub(crate) fn call<T>(&self, f: impl FnOnce() -> gdal::errors::Result<T>) -> Result<T> {
        if self.head().is_ok_and(|head| hdf5::is_one(&head))
            && let Some(library) = REGISTRY.hdf5()
        {
            library.silence();
        }
        let (result, messages) = quietly(f);
        let met = self.main.session.take_error();
        match (result, met) {
            // GDAL can take a failed read for missing data and carry on.
            (_, Some(error)) => Err(error),
            (Ok(value), None) => Ok(value),
            (Err(err), None) => {
                self.main.session.check()?;
                Err(super::open::explain(err, &messages, self.path()))
            }
        }
    }

    /// Fetches what a picture needs of the JPEG 2000s that it is made of: of the only one, or of those that the bands
    /// (from 1) are assembled of, where they have so many pixels. What is read beyond that until the next use of the
    /// mount is not what is stored: `halved` is never more than GDAL halves them.
    pub(crate) fn fetch_pictures(
        &self,
        bands: &[usize],
        halved: u32,
        window: [u64; 4],
        size: (u64, u64),
    ) -> Result<()> {
        let wish = jp2::Wish { halved, window, size };
        let wishes = if self.members.is_empty() {
            vec![(self.main.clone(), wish)]
        } else {
            bands.iter().filter_map(|band| Some((self.members.get(band - 1)?.clone(), wish))).collect()
        };
        self.call(|| Ok(Remote::fetch_pictures(wishes)))?
    }

    /// Whether it was put together of others.
    pub(crate) fn is_assembled(&self) -> bool {
        !self.members.is_empty()
    }

    /// Fetches all of it, if it is small.
    pub(super) fn fetch_small(&self) -> Result<()> {
        self.main.fetch_small()
    }

    /// Where the blocks of a TIFF are that a read of several bands will need; none if they are many. `each` gives the
    /// bands to `note`.
    pub(crate) fn blocks(
        &self,
        window: [u64; 4],
        each: impl FnOnce(&mut dyn FnMut(&RasterBand<'_>)) -> gdal::errors::Result<()>,
    ) -> Result<Vec<Range<u64>>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        self.call(|| each(&mut |band| note_blocks(band, window, &mut ranges)))?;
        Ok(self.in_order(ranges))
    }

    /// Fetches blocks all at once: GDAL itself asks for those of one band after the other, and for masks after all of
    /// them.
    pub(crate) fn fetch_ahead(&self, ranges: &[Range<u64>]) -> Result<()> {
        if ranges.is_empty() {
            return Ok(());
        }
        // What is too much to read is said by the read itself, for what it really needs.
        match self.main.read_ranges(ranges) {
            Err(err) if err.kind() != Kind::Limit => Err(err),
            _ => Ok(()),
        }
    }

    /// Sends for what GDAL will ask for, and does not wait: who reads of it then waits for what is on its way.
    pub(crate) fn ask_ahead(&self, control: &Control, ranges: Vec<Range<u64>>) {
        self.main.ask_ahead(control, &self.in_order(ranges), MOST_AHEAD.min(self.limit));
    }

    /// Gives other threads bytes of the object: what is at hand, or on its way since [`Mount::ask_ahead`], for which it
    /// waits. Nothing is asked for.
    pub(crate) fn arriving(&self) -> impl Fn(Range<u64>) -> Option<Bytes> + Send + Sync + 'static {
        let main = self.main.clone();
        move |range| main.arriving(&range)
    }

    /// Waits on this thread, which may block, as long as the call is wanted that began.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T> {
        self.main.session.wait(async { Ok(future.await) })
    }

    /// Ranges of the object, each once; none if they have too many bytes.
    fn in_order(&self, mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
        ranges.sort_by_key(|r| (r.start, r.end));
        ranges.dedup();
        let size = self.size();
        for range in &mut ranges {
            range.end = range.end.min(size);
        }
        ranges.retain(|r| r.start < r.end);
        let bytes = ranges.iter().fold(0_u64, |n, r| n.saturating_add(r.end - r.start));
        if bytes > MOST_AHEAD { Vec::new() } else { ranges }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let ids: Vec<u64> = lock(&self.main.session.mounted).drain(..).collect();
        for id in ids {
            // What was kept under a name of its own is of no use to others.
            if let Some(Place::Remote(remote)) = REGISTRY.take(id) {
                remote.forget();
            }
        }
    }
}

/// Where the blocks below a window are, as GDAL's driver of TIFF tells it.
fn note_blocks(band: &RasterBand<'_>, window: [u64; 4], ranges: &mut Vec<Range<u64>>) {
    let (width, height) = band.block_size();
    let block = (width.max(1) as u64, height.max(1) as u64);
    let Some((columns, rows)) = Mount::below(window, block, ranges.len()) else { return };
    for row in rows {
        for column in columns.clone() {
            let number = |what: &str| -> Option<u64> {
                band.metadata_item(&format!("BLOCK_{what}_{column}_{row}"), "TIFF")?.parse().ok()
            };
            if let (Some(offset), Some(size)) = (number("OFFSET"), number("SIZE")) {
                ranges.push(Mount::block(offset, size));
            }
        }
    }
}

/// The end of a name as a path that GDAL cannot misread: drivers look at suffixes, some at names.
pub(super) fn spelled(name: &str) -> String {
    const LONGEST: usize = 120;
    const PLAIN: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');
    let name = name.split('?').next().unwrap_or_default();
    let text = percent_encoding::utf8_percent_encode(name, PLAIN).to_string();
    text[text.len().saturating_sub(LONGEST)..].to_owned()
}

/// A netCDF file by its first bytes, and whether it is one of the classic form, which is no HDF5.
pub(super) fn netcdf(head: &[u8], location: &Location) -> Option<bool> {
    if head.starts_with(b"CDF") {
        return Some(true);
    }
    (hdf5::is_one(head) && location.extension().starts_with("nc")).then_some(false)
}

/// What is said of a classic netCDF that is too large to be copied.
pub(super) fn too_large(size: u64) -> Error {
    let size = crate::text::bytes(size);
    Error::new(Kind::Limit, format!("netCDF 3 is read whole where it is not on the local disk, and it has {size}"))
        .with_hint("download it first")
}
