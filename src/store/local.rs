//! The local disk as a store whose keys are absolute paths.
//!
//! `object_store` has one too, but it refuses names such as `a#1`, keeps its temporary files under
//! names that users take for data, and waits for ever on a named pipe. A file is written under a
//! temporary name beside its own, synced, then renamed: it is there whole or not at all. What a disk
//! cannot keep (content type, metadata, tags) is not kept.

use super::listing;
use super::rawkey;
use crate::error::Error;
use crate::location::Scheme;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, RenameTargetMode, Result, UploadPart, coalesce_ranges,
};
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;

/// Bytes of a file that are copied between two looks at whether to stop.
const COPIED: u64 = 16 << 20;

/// The local disk.
#[derive(Debug, Default)]
pub(super) struct Local;

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Local")
    }
}

fn file_path(path: &Path) -> PathBuf {
    PathBuf::from(rawkey::to_key(Scheme::File, path))
}

/// Turns an error of the system into the variant that libraries act on, with our sentence inside.
fn failed(path: &FilePath, err: io::Error) -> object_store::Error {
    // Below a file there is nothing.
    let err = if err.kind() == io::ErrorKind::NotADirectory { io::ErrorKind::NotFound.into() } else { err };
    let kind = err.kind();
    let shown = path.display().to_string();
    let source: Box<dyn std::error::Error + Send + Sync> = Box::new(Error::from(err).context(shown.clone()));
    match kind {
        io::ErrorKind::NotFound => object_store::Error::NotFound { path: shown, source },
        io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists { path: shown, source },
        io::ErrorKind::PermissionDenied => object_store::Error::PermissionDenied { path: shown, source },
        _ => object_store::Error::Generic { store: "file", source },
    }
}

/// Runs blocking work on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&FilePath) -> io::Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(move || work(&path).map_err(|err| failed(&path, err))).await?
}

/// The identity of a file's content: it changes when the file is replaced or written to.
pub(super) fn etag(about: &Metadata) -> String {
    format!("\"{:x}-{:x}-{:x}.{:x}\"", about.ino(), about.len(), about.mtime(), about.mtime_nsec())
}

pub(super) fn modified(about: &Metadata) -> DateTime<Utc> {
    about.modified().map(DateTime::from).unwrap_or_default()
}

/// Opens a regular file; a folder, pipe or device is refused before it could block.
fn open(path: &FilePath) -> io::Result<(File, Metadata)> {
    let about = std::fs::metadata(path)?;
    if about.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    if !about.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    let about = file.metadata()?;
    Ok((file, about))
}

/// A temporary file beside `path`, with the permissions that a new file would have.
fn temporary(path: &FilePath) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(FilePath::new("/"));
    std::fs::create_dir_all(folder)?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    // Names may have 255 bytes: the temporary one must not be longer than that.
    let stem: String = name.chars().take(40).collect();
    tempfile::Builder::new()
        .prefix(&format!(".{stem}."))
        .suffix(".secchi-part")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
}

/// Gives a finished temporary file its name.
fn publish(file: NamedTempFile, path: &FilePath, if_absent: bool) -> io::Result<String> {
    file.as_file().sync_all()?;
    let file = if if_absent { file.persist_noclobber(path) } else { file.persist(path) }.map_err(|err| err.error)?;
    Ok(etag(&file.metadata()?))
}

/// Writes a whole file and returns its `ETag`.
pub(super) fn write_whole<'a>(
    path: &FilePath,
    chunks: impl IntoIterator<Item = &'a Bytes>,
    if_absent: bool,
) -> io::Result<String> {
    if if_absent && path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut file = temporary(path)?;
    for chunk in chunks {
        file.write_all(chunk)?;
    }
    publish(file, path, if_absent)
}

/// The hidden folder in which the parts of an upload wait.
fn parts_folder(path: &FilePath, id: &str) -> PathBuf {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem: String = name.chars().take(40).collect();
    path.with_file_name(format!(".{stem}.{id}.secchi-parts"))
}

/// Starts an upload in parts and returns its id.
pub(super) fn create_upload(path: &FilePath) -> io::Result<String> {
    let id = ulid::Ulid::new().to_string();
    std::fs::create_dir_all(parts_folder(path, &id))?;
    Ok(id)
}

/// Keeps a part; its `ETag` is its size and number.
pub(super) fn put_part(path: &FilePath, id: &str, number: u32, body: &Bytes) -> io::Result<String> {
    let folder = parts_folder(path, id);
    if !folder.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the upload is gone"));
    }
    write_whole(&folder.join(format!("{number:05}")), [body], false)?;
    Ok(format!("\"{}-{number}\"", body.len()))
}

/// Puts the parts together. The first is appended to rather than copied.
pub(super) fn complete_upload(
    path: &FilePath,
    id: &str,
    parts: &[(u32, String)],
    if_absent: bool,
) -> io::Result<String> {
    let folder = parts_folder(path, id);
    if if_absent && path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut whole = temporary(path)?;
    for (number, etag) in parts {
        let part = folder.join(format!("{number:05}"));
        let size = std::fs::metadata(&part)?.len();
        if *etag != format!("\"{size}-{number}\"") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("part {number} is not the one that was sent"),
            ));
        }
        io::copy(&mut File::open(&part)?, whole.as_file_mut())?;
    }
    let tag = publish(whole, path, if_absent)?;
    abort_upload(path, id)?;
    Ok(tag)
}

/// Copies a whole file as the only part of an upload, then gives it its name: in pieces, `tell` is told of each
/// and may stop it. The system copies within the disk where it can. Times and permissions are kept.
pub(super) fn copy_whole(
    from: &FilePath,
    path: &FilePath,
    id: &str,
    if_absent: bool,
    tell: &dyn Fn(u64) -> io::Result<()>,
) -> io::Result<String> {
    let folder = parts_folder(path, id);
    if if_absent && path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let (source, about) = open(from)?;
    let whole = folder.join("whole");
    let mut file = File::create(&whole)?;
    loop {
        let copied = io::copy(&mut io::Read::take(&source, COPIED), &mut file)?;
        if copied == 0 {
            break;
        }
        tell(copied)?;
    }
    if etag(&source.metadata()?) != etag(&about) || file.metadata()?.len() != about.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it changed while it was copied"));
    }
    file.set_permissions(about.permissions())?;
    file.set_modified(about.modified()?)?;
    file.sync_all()?;
    drop(file);
    publish_as(&whole, path, if_absent)?;
    abort_upload(path, id)?;
    Ok(etag(&std::fs::metadata(path)?))
}

/// Gives a file another name on the same disk.
fn publish_as(file: &FilePath, path: &FilePath, if_absent: bool) -> io::Result<()> {
    if !if_absent {
        return std::fs::rename(file, path);
    }
    match std::fs::hard_link(file, path) {
        // Some file systems have no links.
        Err(err) if matches!(err.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
            if path.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(file, path)
        }
        Err(err) => Err(err),
        Ok(()) => std::fs::remove_file(file),
    }
}

/// Gives a file another name, in another folder perhaps; `None` where that takes a copy: on another disk, or of
/// a link, which may lead nowhere from there.
pub(super) fn rename(from: &FilePath, to: &FilePath, if_absent: bool) -> io::Result<Option<String>> {
    if from.symlink_metadata()?.is_symlink() {
        return Ok(None);
    }
    let _ = open(from)?;
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match publish_as(from, to, if_absent) {
        Err(err) if err.kind() == io::ErrorKind::CrossesDevices => Ok(None),
        Err(err) => Err(err),
        Ok(()) => Ok(Some(etag(&std::fs::metadata(to)?))),
    }
}

/// Drops the parts of an upload.
pub(super) fn abort_upload(path: &FilePath, id: &str) -> io::Result<()> {
    match std::fs::remove_dir_all(parts_folder(path, id)) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}

fn meta(location: &Path, about: &Metadata) -> ObjectMeta {
    ObjectMeta {
        location: location.clone(),
        last_modified: modified(about),
        size: about.len(),
        e_tag: Some(etag(about)),
        version: None,
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Local {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let if_absent = match opts.mode {
            PutMode::Overwrite => false,
            PutMode::Create => true,
            PutMode::Update(_) => {
                return Err(object_store::Error::NotImplemented {
                    operation: "a conditional update of a local file".to_owned(),
                    implementer: self.to_string(),
                });
            }
        };
        let e_tag = blocking(file_path(location), move |path| write_whole(path, payload.iter(), if_absent)).await?;
        Ok(PutResult { e_tag: Some(e_tag), version: None })
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let path = file_path(location);
        let file = blocking(path.clone(), temporary).await?;
        let writer = file.as_file().try_clone().map_err(|err| failed(&path, err))?;
        Ok(Box::new(LocalUpload { path, file: Some(file), writer: Arc::new(writer), offset: 0 }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let path = file_path(location);
        let (file, about) = blocking(path.clone(), open).await?;
        let meta = meta(location, &about);
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(|_| {
                let why = Error::invalid(format!("{} ends before the bytes that were asked for", path.display()));
                object_store::Error::Generic { store: "file", source: Box::new(why) }
            })?,
            None => 0..meta.size,
        };
        Ok(GetResult { payload: GetResultPayload::File(file, path), meta, range, attributes: Attributes::default() })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let one =
            |range| async { self.get_opts(location, GetOptions::new().with_range(Some(range))).await?.bytes().await };
        coalesce_ranges(ranges, one, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        locations
            .and_then(|location| async move {
                blocking(file_path(&location), |path| std::fs::remove_file(path)).await?;
                Ok(location)
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let root = prefix.map_or_else(|| PathBuf::from("/"), file_path);
        listing::walk(root)
            .map(|page| match page {
                Ok(found) => futures::stream::iter(
                    found
                        .into_iter()
                        .map(|(path, about)| Ok(meta(&rawkey::to_path(Scheme::File, &path.to_string_lossy()), &about))),
                )
                .left_stream(),
                Err((path, err)) => futures::stream::iter([Err(failed(&path, err))]).right_stream(),
            })
            .flatten()
            // A prefix that is not there holds nothing, as in every store.
            .filter(|item| futures::future::ready(!matches!(item, Err(object_store::Error::NotFound { .. }))))
            .boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let offset = offset.clone();
        self.list(prefix).try_filter(move |meta| futures::future::ready(meta.location > offset)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let root = prefix.map_or_else(|| PathBuf::from("/"), file_path);
        let found = blocking(root, |root| {
            let mut found = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
            for entry in std::fs::read_dir(root)? {
                let path = entry?.path();
                // A link that leads nowhere is not an object.
                let Ok(about) = std::fs::metadata(&path) else { continue };
                let location = rawkey::to_path(Scheme::File, &path.to_string_lossy());
                if about.is_dir() {
                    found.common_prefixes.push(location);
                } else if about.is_file() {
                    found.objects.push(meta(&location, &about));
                }
            }
            Ok(found)
        });
        match found.await {
            Err(object_store::Error::NotFound { .. }) => {
                Ok(ListResult { common_prefixes: Vec::new(), objects: Vec::new() })
            }
            other => other,
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let if_absent = options.mode == CopyMode::Create;
        let to = file_path(to);
        blocking(file_path(from), move |from| {
            let (mut source, _) = open(from)?;
            let mut file = temporary(&to)?;
            io::copy(&mut source, file.as_file_mut())?;
            publish(file, &to, if_absent).map(drop)
        })
        .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        if options.target_mode == RenameTargetMode::Create {
            self.copy_opts(from, to, CopyOptions::new().with_mode(CopyMode::Create)).await?;
            return blocking(file_path(from), |from| std::fs::remove_file(from)).await;
        }
        let to = file_path(to);
        blocking(file_path(from), move |from| {
            if let Some(folder) = to.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::rename(from, to)
        })
        .await
    }
}

/// An upload in parts through `object_store`: its parts come in order, their sizes are known at once.
#[derive(Debug)]
struct LocalUpload {
    path: PathBuf,
    file: Option<NamedTempFile>,
    writer: Arc<File>,
    offset: u64,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for LocalUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (mut at, writer) = (self.offset, self.writer.clone());
        self.offset += data.content_length() as u64;
        let write = blocking(self.path.clone(), move |_| {
            for chunk in &data {
                writer.write_all_at(chunk, at)?;
                at += chunk.len() as u64;
            }
            Ok(())
        });
        Box::pin(write)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let Some(file) = self.file.take() else {
            return Err(object_store::Error::NotSupported { source: "the upload has ended already".into() });
        };
        let e_tag = blocking(self.path.clone(), move |path| publish(file, path, false)).await?;
        Ok(PutResult { e_tag: Some(e_tag), version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        // Dropped, the temporary file is removed.
        self.file = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt as _;

    #[tokio::test]
    async fn odd_names_are_written_and_read_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().expect("a folder");
        let base = dir.path().to_string_lossy().into_owned();
        for name in ["a b", "é ü", "100%25", "x#1", "q?a=1", "{a}[b]", "line\nbreak", "~secchi~x", "trail "] {
            let path = rawkey::to_path(Scheme::File, &format!("{base}/sub/{name}"));
            Local.put(&path, PutPayload::from_static(b"0123456789")).await.expect(name);
            assert_eq!(std::fs::read(dir.path().join("sub").join(name)).expect(name), b"0123456789");
            assert_eq!(Local.get_range(&path, 2..4).await.expect(name).as_ref(), b"23");
        }
        let listed =
            Local.list(Some(&rawkey::to_path(Scheme::File, &base))).try_collect::<Vec<_>>().await.expect("list");
        assert_eq!(listed.len(), 9, "no temporary file is left");
        assert!(listed.iter().all(|m| rawkey::to_key(Scheme::File, &m.location).starts_with(&base)));
    }

    #[tokio::test]
    async fn an_upload_that_is_dropped_leaves_no_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = rawkey::to_path(Scheme::File, &format!("{}/x.bin", dir.path().display()));
        let mut upload = Local.put_multipart(&path).await.expect("start");
        upload.put_part(PutPayload::from_static(b"part")).await.expect("part");
        drop(upload);
        assert_eq!(std::fs::read_dir(dir.path()).expect("folder").count(), 0);
        assert!(matches!(Local.head(&path).await, Err(object_store::Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn folders_and_pipes_are_refused_without_waiting() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = rawkey::to_path(Scheme::File, &dir.path().to_string_lossy());
        assert!(Local.get(&path).await.is_err());
    }
}
