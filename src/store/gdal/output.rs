//! What GDAL writes: into a folder of its own on the local disk, where it may go back and forth as it likes, and from
//! there, once all is written and closed, to the place that was wished, under its name at once or not at all.
//!
//! ```text
//! Output::new(place, [".ovr"]) -> path()    /vsisecchi/18/x.tif, which GDAL may create, with x.tif.ovr beside it
//!                              -> call(..)  GDAL writes; what went wrong with a file is the error
//!                              -> finish()  sidecars first, then the file itself: whoever sees it sees all
//! dropped                                   nothing is left, here or there
//! ```
//! Drivers put files of their own beside it for a while (`x.tif.ovr.tmp`): they may, and they go with the folder.
//! Nothing else below `/vsisecchi/` can be written.

use super::{PREFIX, Place, REGISTRY, call, lock, mount};
use crate::error::{Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::{StoreHandle, Stores, UploadMeta};
use crate::task::Control;
use bytes::Bytes;
use futures::stream::{StreamExt as _, TryStreamExt as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// Bytes of a part, where the file has no more than ten thousand of them; S3 takes no more.
const PART: u64 = 8 << 20;
const MOST_PARTS: u64 = 10_000;

/// Parts on the way at once.
const PARALLEL: usize = 4;

/// A place that GDAL may write a file to, with its sidecars; see the top of this page.
pub struct Output {
    at: Location,
    sidecars: Vec<String>,
    path: String,
    id: u64,
    written: Arc<Written>,
    folder: tempfile::TempDir,
}

/// The files of an output, as GDAL's calls find them.
pub(super) struct Written {
    /// The whole name of the first of them in GDAL's world; those of all others go on from there.
    pub(super) path: String,
    folder: PathBuf,
    open: AtomicUsize,
    failed: Mutex<Option<std::io::Error>>,
}

impl Written {
    /// Where the file of this name is on the disk, if it belongs here.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        let rest = name.strip_prefix(&self.path)?;
        let plain = (rest.is_empty() || rest.starts_with('.')) && !rest.contains(['/', '\0']);
        // Whatever it is called there: names can be too long for a disk.
        plain.then(|| self.folder.join(format!("file{rest}")))
    }

    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    /// Closed by GDAL. Whether all that was written to the files is there.
    pub(super) fn closed(&self) -> bool {
        self.open.fetch_sub(1, Relaxed);
        lock(&self.failed).is_none()
    }

    /// The first thing that goes wrong stays: GDAL may go on.
    pub(super) fn fail(&self, err: std::io::Error) {
        lock(&self.failed).get_or_insert(err);
    }
}

impl Output {
    /// For a file at this place, with the sidecars whose names end so (`.ovr`, `.msk`, `.aux.xml`). Nothing is asked
    /// of the place before [`Output::finish`].
    pub fn new(at: &Location, sidecars: &[&str]) -> Result<Self> {
        if at.is_container() || at.name().is_empty() {
            return Err(Error::usage(format!("{at} is no name of a file")));
        }
        let folder = tempfile::Builder::new().prefix("secchi-write-").tempdir()?;
        let id = REGISTRY.next_id();
        let path = format!("{}{id}/{}", PREFIX.to_string_lossy(), mount::spelled(at.name()));
        let written = Arc::new(Written {
            path: path.clone(),
            folder: folder.path().to_owned(),
            open: AtomicUsize::new(0),
            failed: Mutex::default(),
        });
        REGISTRY.put(id, Place::Written(written.clone()));
        let sidecars = sidecars.iter().map(|&s| s.to_owned()).collect();
        Ok(Self { at: at.clone(), sidecars, path, id, written, folder })
    }

    /// The name under which GDAL creates it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Calls GDAL, which creates, writes and closes it. Blocks.
    pub fn call<T>(&self, f: impl FnOnce() -> gdal::errors::Result<T>) -> Result<T> {
        let result = call(f);
        let met = lock(&self.written.failed).take();
        // Whatever went wrong, what is there is not to be finished.
        if met.is_some() || result.is_err() {
            self.written.fail(std::io::ErrorKind::Other.into());
        }
        match met {
            Some(err) => Err(Error::from(err).context(format!("writing {}", self.at.name()))),
            None => result,
        }
    }

    /// Brings what was written to its place; tells the names and sizes of the files. With `if_absent`, what stands
    /// there is kept, and [`Kind::Exists`] is the answer. After a failure nothing of it is left there, except that
    /// a sidecar that replaced one cannot be taken back.
    pub async fn finish(
        self,
        stores: &Stores,
        control: &Control,
        meta: &UploadMeta,
        if_absent: bool,
    ) -> Result<Vec<(Location, u64)>> {
        if self.written.open.load(Relaxed) > 0 || lock(&self.written.failed).is_some() {
            return Err(Error::new(Kind::Failed, format!("{} was not written to its end", self.at.name())));
        }
        let handle = control.race(stores.open(&self.at, &control.meter)).await?;
        let mut done: Vec<(Location, u64, String)> = Vec::new();
        let result = self.publish(&handle, control, meta, if_absent, &mut done).await;
        if let Err(err) = result {
            for (location, _, etag) in done {
                if let Err(left) = handle.delete_unchanged(location.key(), &etag).await {
                    control.note(format!("{location} could not be removed: {left}"));
                }
            }
            return Err(err);
        }
        Ok(done.into_iter().map(|(location, size, _)| (location, size)).collect())
    }

    async fn publish(
        &self,
        handle: &StoreHandle,
        control: &Control,
        meta: &UploadMeta,
        if_absent: bool,
        done: &mut Vec<(Location, u64, String)>,
    ) -> Result<()> {
        for suffix in self.sidecars.iter().map(String::as_str).chain([""]) {
            let file = self.folder.path().join(format!("file{suffix}"));
            let at = self.at.with_key(format!("{}{suffix}", self.at.key()));
            let size = match tokio::fs::metadata(&file).await {
                Ok(about) => about.len(),
                Err(_) if !suffix.is_empty() => continue,
                Err(err) => return Err(Error::from(err).context(format!("{} was not written", at.name()))),
            };
            let plain = UploadMeta::default();
            let meta = if suffix.is_empty() { meta } else { &plain };
            let sending = Sending { handle, at: &at, file: &file, size, meta, if_absent };
            let etag = sending.send(control).await.map_err(|err| match err.kind() {
                Kind::Exists | Kind::Cancelled => err,
                _ => err.context(format!("writing {at}")),
            })?;
            done.push((at, size, etag));
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        REGISTRY.take(self.id);
    }
}

/// A file on its way to its place.
struct Sending<'a> {
    handle: &'a StoreHandle,
    at: &'a Location,
    file: &'a Path,
    size: u64,
    meta: &'a UploadMeta,
    if_absent: bool,
}

impl Sending<'_> {
    async fn send(&self, control: &Control) -> Result<String> {
        let key = self.at.key();
        if self.size <= PART && self.at.scheme() != Scheme::File {
            let bytes = piece(self.file.to_owned(), 0, self.size).await?;
            return control.race(self.handle.put_object(key, bytes, self.meta, self.if_absent)).await;
        }
        let upload = Unfinished {
            // Not raced: an upload that was started unseen could not be removed.
            id: Some(self.handle.create_upload(key, self.meta).await?),
            handle: self.handle.clone(),
            key: key.to_owned(),
        };
        let etag = match self.parts(&upload, control).await {
            Ok(etag) => etag,
            Err(err) => {
                if let Err(left) = upload.discard().await {
                    control.note(left.to_string());
                }
                return Err(err);
            }
        };
        upload.complete();
        Ok(etag)
    }

    async fn parts(&self, upload: &Unfinished, control: &Control) -> Result<String> {
        let (key, id) = (self.at.key(), upload.id.as_deref().unwrap_or_default());
        if self.at.scheme() == Scheme::File {
            let from = self.file.to_string_lossy();
            let (stop, progress) = (control.clone(), control.clone());
            let tell = move |bytes| {
                progress.advance(bytes);
                stop.check()
            };
            return self.handle.copy_file(&from, key, id, self.if_absent, tell).await;
        }
        let size = PART.max(self.size.div_ceil(MOST_PARTS));
        let starts = (0..self.size).step_by(usize::try_from(size).unwrap_or(usize::MAX));
        let sends = starts.zip(1_u32..).map(|(start, number)| async move {
            let bytes = piece(self.file.to_owned(), start, size.min(self.size - start)).await?;
            let sent = bytes.len() as u64;
            let etag = self.handle.put_part(key, id, number, bytes).await?;
            control.advance(sent);
            Ok::<_, Error>((number, etag))
        });
        let sent: Vec<(u32, String)> =
            control.race(futures::stream::iter(sends).buffered(PARALLEL).try_collect()).await?;
        control.check()?;
        self.handle.complete_upload(key, id, &sent, self.if_absent).await
    }
}

/// Bytes of a local file.
async fn piece(file: PathBuf, start: u64, size: u64) -> Result<Bytes> {
    let read = move || {
        let mut bytes = vec![0; usize::try_from(size).map_err(std::io::Error::other)?];
        std::fs::File::open(file)?.read_exact_at(&mut bytes, start)?;
        Ok::<_, std::io::Error>(Bytes::from(bytes))
    };
    let joined = tokio::task::spawn_blocking(read).await;
    Ok(joined.map_err(|err| Error::new(Kind::Failed, "a worker thread failed").with_source(err))??)
}

/// An upload in parts, removed where it is not completed, also when nobody waits for it any more.
struct Unfinished {
    handle: StoreHandle,
    key: String,
    id: Option<String>,
}

impl Unfinished {
    async fn discard(mut self) -> Result<()> {
        match self.id.take() {
            Some(id) => self.handle.discard_upload(&self.key, &id).await,
            None => Ok(()),
        }
    }

    fn complete(mut self) {
        self.id = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let (handle, key) = (self.handle.clone(), std::mem::take(&mut self.key));
            runtime.spawn(async move { handle.discard_upload(&key, &id).await });
        }
    }
}
