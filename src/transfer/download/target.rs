//! The folder that is written to. Everything below it is reached from its handle, folder by folder, and no link
//! is ever followed on that way: what is called `a/b` is written into the folder `a` of the target, or not at all.

use super::names::{self, Folding};
use crate::error::{Context as _, Error, Kind, Result};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Folders that are kept open.
const OPEN: usize = 256;

/// A folder, and the folders below it that are written to. All methods block.
pub(super) struct Target {
    root: PathBuf,
    top: Arc<OwnedFd>,
    open: Mutex<HashMap<String, Arc<OwnedFd>>>,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) is_file: bool,
    pub(super) is_folder: bool,
    pub(super) size: u64,
    pub(super) modified: Option<SystemTime>,
}

fn io(err: Errno) -> Error {
    Error::from(std::io::Error::from(err))
}

/// The folder and the name of a path.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl Target {
    /// Opens the folder, making it where it is not there.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let failed = || format!("the folder {}", root.display());
        std::fs::create_dir_all(root).context(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = fs::open(root, flags, Mode::empty()).map_err(io).context(failed)?;
        Ok(Self { root: root.to_owned(), top: Arc::new(top), open: Mutex::default() })
    }

    /// The whole path, for people.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Bytes that a user may still write here; `None` where the system does not tell.
    pub(super) fn free(&self) -> Option<u64> {
        let told = fs::fstatvfs(&*self.top).ok()?;
        // Some network file systems say that they have no blocks at all.
        (told.f_blocks > 0).then(|| told.f_bavail.saturating_mul(told.f_frsize))
    }

    /// Finds out which names are one here, by making a file for a moment.
    pub(super) fn folding(&self) -> Folding {
        let name = |tail: &str| format!(".secchi-probe-{}-{tail}", std::process::id());
        let (lower, composed) = (name("a"), name("\u{e9}"));
        let is_one = |made: &str, other: &str| {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let Ok(file) = fs::openat(&*self.top, made, flags, Mode::RUSR | Mode::WUSR) else { return false };
            let seen = fs::statat(&*self.top, other, AtFlags::SYMLINK_NOFOLLOW).is_ok();
            drop(file);
            let _ = fs::unlinkat(&*self.top, made, AtFlags::empty());
            seen
        };
        Folding { case: is_one(&lower, &name("A")), marks: is_one(&composed, &name("e\u{301}")) }
    }

    /// The folder at `path`; with `make` it is made where it is not there.
    pub(super) fn folder(&self, path: &str, make: bool) -> Result<Option<Arc<OwnedFd>>> {
        if path.is_empty() {
            return Ok(Some(self.top.clone()));
        }
        let known = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let (above, name) = split(path);
        let Some(above) = self.folder(above, make)? else { return Ok(None) };
        if make {
            match fs::mkdirat(&*above, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(err) => return Err(io(err).context(format!("making the folder {}", self.path(path).display()))),
            }
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match fs::openat(&*above, name, flags, Mode::empty()) {
            Ok(folder) => Arc::new(folder),
            Err(Errno::NOENT) if !make => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(self.not_a_folder(&above, path)),
            Err(err) => return Err(io(err).context(self.path(path).display().to_string())),
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN {
            for folder in open.drain().map(|(_, folder)| folder) {
                let _ = fs::fsync(&*folder);
            }
        }
        open.insert(path.to_owned(), folder.clone());
        Ok(Some(folder))
    }

    fn not_a_folder(&self, above: &OwnedFd, path: &str) -> Error {
        let shown = self.path(path).display().to_string();
        let found = fs::statat(above, split(path).1, AtFlags::SYMLINK_NOFOLLOW);
        if found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink) {
            return Error::new(Kind::Denied, format!("{shown} is a link, and nothing is written through links"))
                .with_hint("remove the link, or download into the folder that it leads to");
        }
        Error::new(Kind::Exists, format!("{shown} is a file, and a folder is needed there"))
            .with_hint("choose another folder")
    }

    /// What stands at `path`; a link is not followed.
    pub(super) fn look(&self, path: &str) -> Result<Option<Standing>> {
        let (folder, name) = split(path);
        let Some(folder) = self.folder(folder, false)? else { return Ok(None) };
        match fs::statat(&*folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => {
                let kind = FileType::from_raw_mode(found.st_mode);
                let nanos = u32::try_from(found.st_mtime_nsec).unwrap_or(0);
                let since = u64::try_from(found.st_mtime).ok().map(|s| std::time::Duration::new(s, nanos));
                Ok(Some(Standing {
                    is_file: kind == FileType::RegularFile,
                    is_folder: kind == FileType::Directory,
                    size: u64::try_from(found.st_size).unwrap_or(0),
                    modified: since.map(|since| SystemTime::UNIX_EPOCH + since),
                }))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(err) => Err(io(err).context(self.path(path).display().to_string())),
        }
    }

    /// Opens a file that stands at `path`, to read it; a link is not followed.
    pub(super) fn read(&self, path: &str) -> Result<File> {
        let (folder, name) = split(path);
        let missing = || Error::from(std::io::Error::from(std::io::ErrorKind::NotFound));
        let folder = self.folder(folder, false)?.ok_or_else(missing)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(&*folder, name, flags, Mode::empty()).map_err(io);
        Ok(File::from(file.context(|| self.path(path).display().to_string())?))
    }

    /// A hidden file in the folder of `path`, to be written and then published as `path`. One that a former
    /// attempt of this run has left is emptied.
    pub(super) fn temporary(&self, path: &str, run: &str) -> Result<Temp> {
        let hidden = names::temporary(split(path).1, run);
        self.open_hidden(path, hidden, OFlags::CREATE | OFlags::TRUNC)
    }

    /// The hidden file that a former attempt has left, if it is the very same.
    pub(super) fn left(&self, path: &str, hidden: &str, size: u64, inode: u64) -> Result<Temp> {
        let temp = self.open_hidden(path, hidden.to_owned(), OFlags::empty())?;
        let about = temp.file.metadata()?;
        if about.is_file() && about.nlink() == 1 && about.len() == size && about.ino() == inode {
            return Ok(temp);
        }
        Err(Error::new(Kind::Changed, "the part file is not the one that was written"))
    }

    fn open_hidden(&self, path: &str, hidden: String, how: OFlags) -> Result<Temp> {
        let (folder, name) = split(path);
        let missing = || Error::from(std::io::Error::from(std::io::ErrorKind::NotFound));
        let folder = self.folder(folder, !how.is_empty())?.ok_or_else(missing)?;
        let flags = how | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(&*folder, hidden.as_str(), flags, Mode::from_raw_mode(0o666)).map_err(io);
        let file = File::from(file.context(|| format!("writing {}", self.path(path).display()))?);
        let (name, shown) = (name.to_owned(), self.path(path));
        Ok(Temp { folder, hidden, name, shown, file: Arc::new(file) })
    }

    /// Removes a hidden file of a former attempt.
    pub(super) fn remove_hidden(&self, path: &str, hidden: &str) {
        if hidden.contains('/') {
            return;
        }
        if let Ok(Some(folder)) = self.folder(split(path).0, false) {
            let _ = fs::unlinkat(&*folder, hidden, AtFlags::empty());
        }
    }

    /// What was published is on the disk when this returns.
    pub(super) fn sync(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // A file system that cannot sync a folder does not need it.
        for folder in open.values().chain([&self.top]) {
            let _ = fs::fsync(&**folder);
        }
    }
}

/// A file under its hidden name.
#[derive(Clone)]
pub(super) struct Temp {
    folder: Arc<OwnedFd>,
    pub(super) hidden: String,
    name: String,
    /// The path that it will have.
    shown: PathBuf,
    pub(super) file: Arc<File>,
}

impl Temp {
    /// Gives the file its size, and its room on the disk where the file system promises that: a disk that others fill
    /// meanwhile is full now and not at the end, and each block that is written later finds its place.
    pub(super) fn reserve(&self, size: u64) -> Result<()> {
        let what = || format!("writing {}", self.shown.display());
        #[cfg(target_os = "linux")]
        match rustix::io::retry_on_intr(|| fs::fallocate(&self.file, fs::FallocateFlags::empty(), 0, size)) {
            Ok(()) => return Ok(()),
            Err(err @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => return Err(io(err)).context(what),
            // Not every file system can.
            Err(_) => {}
        }
        self.file.set_len(size).context(what)
    }

    pub(super) fn inode(&self) -> Result<u64> {
        Ok(self.file.metadata()?.ino())
    }

    /// Sets the time, brings the bytes to the disk and gives the file its name. Without `replace` nothing that
    /// stands there is touched: [`Kind::Exists`].
    pub(super) fn publish(&self, modified: Option<SystemTime>, replace: bool) -> Result<()> {
        if let Some(modified) = modified {
            // Some file systems keep no such times; the bytes are what counts.
            let _ = self.file.set_modified(modified);
        }
        self.file.sync_all().context(|| format!("writing {}", self.shown.display()))?;
        let renamed = if replace { self.replace() } else { self.rename() };
        renamed.map_err(|err| match err {
            Errno::EXIST => Error::new(Kind::Exists, format!("{} exists already", self.shown.display()))
                .with_hint("choose another folder, or --if-exists skip, overwrite, rename or ask"),
            Errno::ISDIR => Error::new(Kind::Exists, format!("{} is a folder", self.shown.display())),
            err => io(err).context(format!("naming {}", self.shown.display())),
        })
    }

    fn replace(&self) -> rustix::io::Result<()> {
        fs::renameat(&*self.folder, self.hidden.as_str(), &*self.folder, self.name.as_str())
    }

    fn rename(&self) -> rustix::io::Result<()> {
        let (folder, hidden, name) = (&*self.folder, self.hidden.as_str(), self.name.as_str());
        match fs::renameat_with(folder, hidden, folder, name, RenameFlags::NOREPLACE) {
            // Not every file system can: a second name that replaces nothing, then the first is taken away.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            other => return other,
        }
        match fs::linkat(folder, hidden, folder, name, AtFlags::empty()) {
            Ok(()) => return fs::unlinkat(folder, hidden, AtFlags::empty()),
            Err(Errno::EXIST) => return Err(Errno::EXIST),
            Err(_) => {}
        }
        // And some know no second names either: then only a look remains.
        match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => self.replace(),
            Ok(_) => Err(Errno::EXIST),
            Err(err) => Err(err),
        }
    }

    /// Takes it away.
    pub(super) fn remove(&self) {
        let _ = fs::unlinkat(&*self.folder, self.hidden.as_str(), AtFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn target() -> (tempfile::TempDir, Target) {
        let dir = tempfile::tempdir().expect("a folder");
        let target = Target::open(&dir.path().join("in/it")).expect("opens");
        (dir, target)
    }

    fn write(target: &Target, path: &str, replace: bool) -> Result<()> {
        let temp = target.temporary(path, "RUN")?;
        (&*temp.file).write_all(path.as_bytes()).expect("writes");
        temp.publish(None, replace).inspect_err(|_| temp.remove())
    }

    #[test]
    fn what_stands_there_is_replaced_only_when_told() {
        let (dir, target) = target();
        write(&target, "a/b/x", false).expect("writes");
        assert_eq!(write(&target, "a/b/x", false).map_err(|e| e.kind()), Err(Kind::Exists));
        write(&target, "a/b/x", true).expect("replaces");
        assert_eq!(write(&target, "a/b", true).map_err(|e| e.kind()), Err(Kind::Exists), "a folder");
        assert_eq!(write(&target, "a/b/x/y", true).map_err(|e| e.kind()), Err(Kind::Exists), "a file in the way");
        let inside: Vec<_> = std::fs::read_dir(dir.path().join("in/it/a/b")).expect("lists").flatten().collect();
        assert_eq!(inside.len(), 1, "no hidden file is left");
    }

    #[test]
    fn no_link_is_followed() {
        let (dir, target) = target();
        let outside = dir.path().join("outside");
        std::fs::create_dir(&outside).expect("a folder");
        std::fs::write(outside.join("file"), "theirs").expect("a file");
        std::os::unix::fs::symlink(&outside, dir.path().join("in/it/out")).expect("a link");
        std::os::unix::fs::symlink(outside.join("file"), dir.path().join("in/it/link")).expect("a link");
        assert_eq!(write(&target, "out/x", true).map_err(|e| e.kind()), Err(Kind::Denied));
        assert_eq!(target.look("out/file").map(drop).map_err(|e| e.kind()), Err(Kind::Denied));
        // The link itself is replaced, not what it leads to.
        write(&target, "link", true).expect("replaces the link");
        assert_eq!(std::fs::read_to_string(outside.join("file")).expect("reads"), "theirs");
        assert_eq!(std::fs::read_dir(&outside).expect("lists").count(), 1);
    }

    #[test]
    fn this_disk_tells_names_apart_or_says_so() {
        let (dir, target) = target();
        let folding = target.folding();
        std::fs::write(dir.path().join("in/it/x"), "").expect("a file");
        assert_eq!(folding.case, dir.path().join("in/it/X").exists());
        assert!(target.free().is_some_and(|free| free > 0));
        assert_eq!(std::fs::read_dir(dir.path().join("in/it")).expect("lists").count(), 1, "the probe is gone");
    }
}
