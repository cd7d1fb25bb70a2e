//! What a library brings along, read from its file.
//!
//! The system's loader looks up each name that a library uses in all of the libraries that were opened with it, one
//! after the other: with GDAL's hundred this is two thirds of the time that it takes to load (28 of 38 ms). Opened one
//! by one before it, each finds its own names among the few that it needs itself, and GDAL's remain: a quarter of
//! the whole is saved.

use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, FileHeader64};
use object::read::ReadCache;
use object::read::elf::ElfFile;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the system's loader notes which file stands for which name (`ldconfig(8)`).
const CACHE: &str = "/etc/ld.so.cache";

/// The names of the libraries that one needs, in its order; none where it is not certain that the system would open the
/// same ones by these names, as where the library says itself in which folders they are.
pub(super) fn of(name: &OsStr) -> Vec<CString> {
    let told = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let cache = || std::fs::read(CACHE).unwrap_or_default();
    file(name, &told, cache).and_then(|path| read(File::open(path).ok()?)).unwrap_or_default()
}

/// The file that the loader takes for a name, in the order of `ld.so(8)`: for a path itself, else the first in the
/// folders that it was told, else the one that its cache has. None where that takes more to know: folders told relative
/// to the present one, variants of a library for certain processors (`glibc-hwcaps`), several files of one name in the
/// cache.
fn file(name: &OsStr, told: &OsStr, cache: impl FnOnce() -> Vec<u8>) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name));
    }
    let told: Vec<PathBuf> = if told.is_empty() { Vec::new() } else { std::env::split_paths(told).collect() };
    if told.iter().any(|folder| !folder.is_absolute() || folder.join("glibc-hwcaps").exists()) {
        return None;
    }
    if let Some(path) = told.iter().map(|folder| folder.join(name)).find(|path| path.exists()) {
        return Some(path);
    }
    // The cache's table of numbers is followed by all paths, each ended by a zero: the paths are enough.
    let cache = cache();
    let paths = cache.split(|byte| *byte == 0).map(|path| Path::new(OsStr::from_bytes(path)));
    let mut found = paths.filter(|path| path.is_absolute() && path.file_name() == Some(name));
    found.next().filter(|_| found.next().is_none()).map(Path::to_path_buf)
}

fn read(file: File) -> Option<Vec<CString>> {
    let file = ReadCache::new(file);
    let file = ElfFile::<FileHeader64<object::Endianness>, _>::parse(&file).ok()?;
    let table = file.elf_dynamic_table().ok()?;
    if table.iter().any(|entry| [DT_RPATH, DT_RUNPATH].contains(&entry.tag)) {
        return None;
    }
    let needed = table.iter().filter(|entry| entry.tag == DT_NEEDED);
    needed.map(|entry| CString::new(table.string(entry).ok()?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_library_of_gdal_names() {
        let name = format!("libgdal.so.{}", super::super::first());
        // On other systems it may be unknown to the loader, or say where others are.
        let found = of(OsStr::new(&name));
        assert!(found.is_empty() || found.iter().any(|name| name.to_bytes().starts_with(b"libproj.so")), "{found:?}");
        if Path::new("/etc/debian_version").exists() {
            assert!(!found.is_empty());
        }
        assert!(of(OsStr::new("libnothing.so.7")).is_empty());
        let text = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(text.path(), "\u{7f}ELF, but no more").expect("writes");
        assert!(read(File::open(text.path()).expect("opens")).is_none());
    }

    #[test]
    fn the_file_is_the_one_that_the_loader_takes_or_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = OsStr::new("libgdal.so.99");
        let here = folder.path().as_os_str();
        let cache = |paths: &'static str| move || format!("table of\u{1}numbers\0{paths}").into_bytes();
        let one = "libgdal.so.99\0/opt/lib/libgdal.so.99\0/opt/lib/libgdal.so.9\0";
        assert_eq!(file(name, OsStr::new(""), cache(one)), Some(PathBuf::from("/opt/lib/libgdal.so.99")));
        assert_eq!(file(name, here, cache(one)), Some(PathBuf::from("/opt/lib/libgdal.so.99")));
        let two = "/opt/lib/libgdal.so.99\0/usr/lib/libgdal.so.99\0";
        assert_eq!(file(name, OsStr::new(""), cache(two)), None);
        let path = OsStr::new("/opt/other/libgdal.so.99");
        assert_eq!(file(path, OsStr::new(""), cache(two)), Some(PathBuf::from(path)));
        std::fs::write(folder.path().join(name), "a library").expect("writes");
        assert_eq!(file(name, here, cache(two)), Some(folder.path().join(name)));
        assert_eq!(file(name, OsStr::new("lib:/opt/lib"), cache(one)), None);
        std::fs::create_dir(folder.path().join("glibc-hwcaps")).expect("a folder");
        assert_eq!(file(name, here, cache(one)), None);
    }
}
