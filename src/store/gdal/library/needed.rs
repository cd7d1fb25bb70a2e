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
use std::path::{Path, PathBuf};

/// The names of the libraries that one needs, in its order; none where they may not be the ones that the system finds by
/// these names, as where it says itself in which folders they are.
pub(super) fn of(name: &OsStr) -> Vec<CString> {
    let file = folders().map(|folder| folder.join(name)).find_map(|path| File::open(path).ok());
    file.and_then(read).unwrap_or_default()
}

/// Where the system looks for a library of a plain name, as far as that is the same everywhere (`ld.so(8)`).
fn folders() -> impl Iterator<Item = PathBuf> {
    let told = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let told: Vec<PathBuf> = std::env::split_paths(&told).filter(|folder| folder.is_absolute()).collect();
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    told.into_iter().chain([multiarch.as_str(), "/usr/lib64", "/usr/lib"].map(|folder| Path::new(folder).to_path_buf()))
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
        // On other systems it may lie elsewhere, or say where others are.
        let found = of(OsStr::new(&name));
        assert!(found.is_empty() || found.iter().any(|name| name.to_bytes().starts_with(b"libproj.so")), "{found:?}");
        if Path::new("/etc/debian_version").exists() {
            assert!(!found.is_empty());
        }
        assert!(of(OsStr::new("libnothing.so.7")).is_empty());
        let text = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(text.path(), "\u{7f}ELF, but no more").expect("writes");
        assert!(of(text.path().as_os_str()).is_empty());
    }
}
