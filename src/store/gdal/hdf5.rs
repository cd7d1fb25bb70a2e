//! HDF5 lets a file name others: external links, external storage (`H5Pset_external`), virtual datasets. The library
//! follows them by itself, past any file system of GDAL's, to whatever is on this computer. So each file is looked
//! through before it is opened, with the library's own functions:
//!
//! - external links are not followed by anybody: their class is taken from the library, which has a function for that;
//! - a dataset whose values lie in another file makes the whole file refused.
//!
//! The functions are found by name, since GDAL brings the library along; their signatures have been the same since
//! 1.10. Where they are not to be found, HDF5 is refused.
//!
//! <https://support.hdfgroup.org/documentation/hdf5/latest/_r_m.html>

use crate::error::{Error, Kind, Result};
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};

/// How HDF5 begins, at 0 or at 512, 1024, 2048... (format specification, II.A).
pub(super) const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Groups in groups, and links of a file in all.
const DEEPEST: u32 = 48;
const MOST_LINKS: u64 = 100_000;

/// Bytes of a name of a link or a file.
const LONGEST: usize = 1024;

/// An empty file of HDF5: GDAL opens it, and so tells how it wants HDF5 to read.
const EMPTY: &str = "894844460d0a1a0a030808000000000000000000ffffffffffffffffb30000000000000030000000000000009555568b4f48\
    4452020078021200000000ffffffffffffffffffffffffffffffff0a02000100000058000000000000000000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    00000000000000000000000000000000000000000000000000c5b9c8ac";

// Constants of HDF5's headers.
const ALL_FILES: i64 = 0x1f;
const KIND_FILE: c_uint = 1;
const READ_ONLY: c_uint = 0;
const BY_NAME: c_int = 0;
const NATIVE_ORDER: c_int = 2;
const IS_GROUP: c_int = 2;
const IS_DATASET: c_int = 5;
const VIRTUAL: c_int = 3;
const EXTERNAL_LINKS: c_int = 64;

/// Whether these are the first bytes of an HDF5.
pub(super) fn is_one(head: &[u8]) -> bool {
    let offsets = std::iter::once(0).chain((9..32).map(|power| 1_usize << power));
    offsets.take_while(|at| *at < head.len()).any(|at| head[at..].starts_with(SIGNATURE))
}

/// `H5G_info_t`.
#[repr(C)]
#[derive(Default)]
struct GroupInfo {
    storage: c_int,
    links: u64,
    order: i64,
    mounted: bool,
}

macro_rules! library {
    ($($field:ident = $symbol:literal: fn($($arg:ty),*) -> $out:ty;)*) => {
        /// The functions of the library that are used.
        struct Functions { $($field: unsafe extern "C" fn($($arg),*) -> $out,)* }

        impl Functions {
            fn find() -> Option<Self> {
                // SAFETY: the symbols, where they are there, are HDF5's functions, whose signatures these are.
                unsafe {
                    $(
                        let name = CStr::from_bytes_with_nul_unchecked(concat!($symbol, "\0").as_bytes());
                        let symbol = super::library::symbol(name);
                        if symbol.is_null() {
                            return None;
                        }
                        let $field = std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($arg),*) -> $out>(symbol);
                    )*
                    Some(Self { $($field),* })
                }
            }
        }
    };
}

library! {
    silence = "H5Eset_auto2": fn(i64, *const c_void, *const c_void) -> c_int;
    unregister = "H5Lunregister": fn(c_int) -> c_int;
    open_ids = "H5Fget_obj_ids": fn(i64, c_uint, usize, *mut i64) -> isize;
    file_name = "H5Fget_name": fn(i64, *mut c_char, usize) -> isize;
    file_access = "H5Fget_access_plist": fn(i64) -> i64;
    open_file = "H5Fopen": fn(*const c_char, c_uint, i64) -> i64;
    open_group = "H5Gopen2": fn(i64, *const c_char, i64) -> i64;
    group_info = "H5Gget_info": fn(i64, *mut GroupInfo) -> c_int;
    link_name = "H5Lget_name_by_idx": fn(i64, *const c_char, c_int, c_int, u64, *mut c_char, usize, i64) -> isize;
    link_value = "H5Lget_val_by_idx": fn(i64, *const c_char, c_int, c_int, u64, *mut c_char, usize, i64) -> c_int;
    open_object = "H5Oopen_by_idx": fn(i64, *const c_char, c_int, c_int, u64, i64) -> i64;
    kind = "H5Iget_type": fn(i64) -> c_int;
    release = "H5Idec_ref": fn(i64) -> c_int;
    creation = "H5Dget_create_plist": fn(i64) -> i64;
    layout = "H5Pget_layout": fn(i64) -> c_int;
    external_count = "H5Pget_external_count": fn(i64) -> c_int;
    external = "H5Pget_external": fn(i64, c_uint, usize, *mut c_char, *mut i64, *mut u64) -> c_int;
    virtual_count = "H5Pget_virtual_count": fn(i64, *mut usize) -> c_int;
    virtual_file = "H5Pget_virtual_filename": fn(i64, usize, *mut c_char, usize) -> isize;
}

/// The library.
pub(super) struct Library(Functions);

/// Something of the library's that is let go of by its id.
struct Held<'a>(&'a Functions, i64);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: an id that the library gave to us, let go of once.
        unsafe { (self.0.release)(self.1) };
    }
}

impl Functions {
    fn held(&self, id: i64) -> Option<Held<'_>> {
        (id >= 0).then_some(Held(self, id))
    }

    /// It prints what it meets, unless each thread tells it not to.
    fn silence(&self) {
        // SAFETY: 0 is the thread's default stack of errors, a null function means that none is called.
        unsafe { (self.silence)(0, std::ptr::null(), std::ptr::null()) };
    }
}

/// A text that the library writes into room for `LONGEST` bytes, of which the last stays 0.
fn text(write: impl FnOnce(*mut c_char, usize)) -> CString {
    let mut room = vec![0_u8; LONGEST];
    write(room.as_mut_ptr().cast(), LONGEST - 1);
    room[LONGEST - 1] = 0;
    CStr::from_bytes_until_nul(&room).map(CStr::to_owned).unwrap_or_default()
}

/// Has the library not closed by itself when the program ends: what GDAL left open of a damaged file makes it go in
/// circles then, and say so. Before its first use.
pub(super) fn stay_open() {
    // SAFETY: the symbol, if it is there, is HDF5's function without arguments.
    unsafe {
        let symbol = super::library::symbol(c"H5dont_atexit");
        if !symbol.is_null() {
            std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> c_int>(symbol)();
        }
    }
}

impl Library {
    /// Finds it, and sees to it that no external link is followed. `None` where its functions are not to be found.
    pub(super) fn find() -> Option<Self> {
        let call = Functions::find()?;
        call.silence();
        // SAFETY: takes a number. It fails only where the class is not there.
        unsafe { (call.unregister)(EXTERNAL_LINKS) };
        Some(Self(call))
    }

    /// GDAL's way to read, by its own file systems: only a file that it has open tells it. Got for each file: kept,
    /// it would be in the way when the library is closed.
    fn access(&self) -> Option<Held<'_>> {
        let at = format!("/vsimem/secchi/empty-{}.h5", super::REGISTRY.next_id());
        let bytes = EMPTY.as_bytes().chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        gdal::vsi::create_mem_file(&at, bytes.collect::<Option<Vec<u8>>>()?).ok()?;
        let options = gdal::DatasetOptions { allowed_drivers: Some(&["HDF5"]), ..gdal::DatasetOptions::default() };
        let dataset = gdal::Dataset::open_ex(&at, options);
        let mut ids = vec![0_i64; 4096];
        // SAFETY: room for as many ids as is said; the texts have room as said.
        let access = unsafe {
            let count = (self.0.open_ids)(ALL_FILES, KIND_FILE, ids.len(), ids.as_mut_ptr());
            ids.truncate(usize::try_from(count).unwrap_or(0));
            let mine = |id: &i64| {
                let name = text(|out, size| {
                    (self.0.file_name)(*id, out, size);
                });
                name.as_bytes() == at.as_bytes()
            };
            ids.into_iter().find(mine).map(|id| (self.0.file_access)(id))
        };
        drop(dataset);
        // It only fails for what is not there.
        let _ = gdal::vsi::unlink_mem_file(&at);
        access.and_then(|id| self.0.held(id))
    }

    /// On each thread before it reads.
    pub(super) fn silence(&self) {
        self.0.silence();
    }

    /// Looks through a file. Fails where values of it lie in another; the name of an external link, if it has one.
    pub(super) fn look(&self, path: &str) -> Result<Option<String>> {
        let damaged = || Error::invalid("GDAL cannot read it: as an HDF5 it is damaged or cut off");
        self.0.silence();
        let path = CString::new(path).map_err(|_| damaged())?;
        let access = self.access().ok_or_else(hidden)?;
        // SAFETY: a terminated name, and properties that are open.
        let file = self.0.held(unsafe { (self.0.open_file)(path.as_ptr(), READ_ONLY, access.1) });
        let file = file.ok_or_else(damaged)?;
        // SAFETY: an open file.
        let root = self.0.held(unsafe { (self.0.open_group)(file.1, c"/".as_ptr(), 0) }).ok_or_else(damaged)?;
        let mut walk = Walk { call: &self.0, left: MOST_LINKS, link: None };
        walk.group(&root, "", 0)?;
        Ok(walk.link)
    }
}

/// What is said where the library's functions are not to be found.
pub(super) fn hidden() -> Error {
    Error::unsupported("this GDAL hides its HDF5, so that what such a file names cannot be found")
}

/// A way through all groups.
struct Walk<'a> {
    call: &'a Functions,
    left: u64,
    link: Option<String>,
}

impl Walk<'_> {
    fn group(&mut self, group: &Held<'_>, at: &str, depth: u32) -> Result<()> {
        let too_much = || Error::new(Kind::Limit, "as an HDF5 it has more groups than are looked through");
        let mut info = GroupInfo::default();
        // SAFETY: an open group, and room for what is told of it.
        if unsafe { (self.call.group_info)(group.1, &raw mut info) } < 0 {
            return Err(Error::invalid(format!("its group `{at}` cannot be read")));
        }
        self.left = self.left.checked_sub(info.links).filter(|_| depth < DEEPEST).ok_or_else(too_much)?;
        for index in 0..info.links {
            // SAFETY: an open group, a terminated name; room as it is said.
            let name = text(|out, size| unsafe {
                (self.call.link_name)(group.1, c".".as_ptr(), BY_NAME, NATIVE_ORDER, index, out, size, 0);
            });
            let shown = format!("{at}/{}", name.to_string_lossy());
            // By its number: a name can be longer than what is read of it.
            // SAFETY: an open group, a terminated name.
            let object = unsafe { (self.call.open_object)(group.1, c".".as_ptr(), BY_NAME, NATIVE_ORDER, index, 0) };
            let Some(object) = self.call.held(object) else {
                self.link_without_target(group, index, &shown);
                continue;
            };
            // SAFETY: an open object.
            match unsafe { (self.call.kind)(object.1) } {
                IS_GROUP => self.group(&object, &shown, depth + 1)?,
                IS_DATASET => self.dataset(&object, &shown)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A soft link to nothing tells its path; one of a class that is not known tells nothing, and does not fail. It
    /// does where the object is here and damaged: that is told by whoever reads it.
    fn link_without_target(&mut self, group: &Held<'_>, index: u64, shown: &str) {
        let mut outcome = 0;
        // SAFETY: an open group, a terminated name; room as it is said.
        let value = text(|out, size| unsafe {
            outcome = (self.call.link_value)(group.1, c".".as_ptr(), BY_NAME, NATIVE_ORDER, index, out, size, 0);
        });
        if outcome >= 0 && value.is_empty() {
            self.link.get_or_insert_with(|| shown.to_owned());
        }
    }

    fn dataset(&self, dataset: &Held<'_>, shown: &str) -> Result<()> {
        let unread = || Error::invalid(format!("its dataset `{shown}` cannot be read"));
        // SAFETY: an open dataset.
        let creation = self.call.held(unsafe { (self.call.creation)(dataset.1) }).ok_or_else(unread)?;
        // SAFETY: open properties of a dataset; texts have room as it is said, and numbers have, too.
        unsafe {
            if (self.call.external_count)(creation.1) > 0 {
                let (mut offset, mut size) = (0, 0);
                let file = text(|out, room| {
                    (self.call.external)(creation.1, 0, room, out, &raw mut offset, &raw mut size);
                });
                return Err(elsewhere(shown, &file));
            }
            if (self.call.layout)(creation.1) != VIRTUAL {
                return Ok(());
            }
            let mut count = 0;
            if (self.call.virtual_count)(creation.1, &raw mut count) < 0 || count as u64 > MOST_LINKS {
                return Err(unread());
            }
            for index in 0..count {
                let file = text(|out, room| {
                    (self.call.virtual_file)(creation.1, index, out, room);
                });
                // The file itself.
                if file.as_bytes() != b"." {
                    return Err(elsewhere(shown, &file));
                }
            }
        }
        Ok(())
    }
}

fn elsewhere(shown: &str, file: &CStr) -> Error {
    let (shown, file) = (crate::text::fit(shown, 60), file.to_string_lossy());
    let file = crate::text::fit(&file, 80);
    Error::unsupported(format!("the values of `{shown}` lie in another file, `{file}`, which is not followed"))
        .with_hint("write all into one file where both are, with h5repack or xarray")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_by_its_signature_wherever_that_may_be() {
        assert!(is_one(SIGNATURE));
        for at in [512, 1024, 16 << 10] {
            let mut bytes = vec![0; at];
            bytes.extend(SIGNATURE);
            assert!(is_one(&bytes), "{at}");
        }
        let mut bytes = vec![0; 100];
        bytes.extend(SIGNATURE);
        assert!(!is_one(&bytes) && !is_one(b"") && !is_one(&SIGNATURE[..7]));
    }
}
