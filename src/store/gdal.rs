//! GDAL reads through our own store: a virtual file system under `/vsisecchi/`.
//!
//! ```text
//! /vsisecchi/17/B02_B03_B04_B08.tif
//!            |  `-- the name of the object, percent-encoded: drivers look at its suffix
//!            `----- number of the mounted object; gone once its Mount is dropped
//! ```
//!
//! - Mounting sends one ranged GET that tells size, `ETag` and the header; GDAL's `stat`, `open`
//!   and header reads are served from it. Reads of many ranges become few parallel GETs.
//! - Every read is pinned to the `ETag`: an object that changes in the middle is an error.
//! - Only what is mounted is there. Sidecars (`.aux.xml`, `.ovr`, `.msk`) and neighbours are
//!   answered "not there" without a request, and nothing can be written.
//! - GDAL says of a failed read only that it failed, so the `Mount` keeps our own error.
//! - GDAL's messages are collected by `quietly`; nothing is printed, ever.
//!
//! This is the only module with `unsafe` and the only one with a static: GDAL's table of file
//! systems is global to the process and can neither be looked up nor undone, so what its functions
//! find by a path must be global too.
#![allow(unsafe_code)]

use super::{Head, Stores};
use crate::error::{Error, Result};
use crate::location::{Location, Scheme};
use crate::task::Control;
use gdal::errors::GdalError;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio_util::sync::CancellationToken;

mod remote;

use remote::Remote;

/// GDAL keeps the pointer, not a copy.
const PREFIX: &CStr = c"/vsisecchi/";

/// Bytes read when an object is mounted: the header of nearly every COG, JP2 and GRIB.
pub(crate) const HEAD: u64 = 32 << 10;

/// Bytes of decoded blocks that GDAL keeps for all datasets together.
const BLOCK_CACHE: &str = "268435456";

const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";

static REGISTRY: OnceLock<Registry> = OnceLock::new();

#[derive(Default)]
struct Registry {
    next: AtomicU64,
    mounted: Mutex<HashMap<u64, Arc<Remote>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An object that GDAL can open by [`Mount::path`] as long as this lives.
pub(crate) struct Mount {
    id: u64,
    path: String,
    remote: Arc<Remote>,
}

impl Mount {
    /// Mounts an object, with one request; none, if its `head` was read before. Traffic is counted
    /// by the control's meter; reads fail once more than `limit` bytes came.
    pub(crate) async fn new(
        stores: &Stores,
        location: &Location,
        control: &Control,
        limit: u64,
        head: Option<Head>,
    ) -> Result<Self> {
        let handle = stores.open(location, &control.meter).await?;
        let head = match head {
            Some(head) => head,
            None => control.race(handle.read_head(location, HEAD)).await?,
        };
        let registry = REGISTRY.get_or_init(install);
        let id = registry.next.fetch_add(1, Relaxed);
        let path = format!("{}{id}/{}", PREFIX.to_string_lossy(), spelled(location.name()));
        let key = handle.path(location.key());
        let remote = Arc::new(Remote::new(path.clone(), &handle, key, head, control, limit));
        lock(&registry.mounted).insert(id, remote.clone());
        Ok(Self { id, path, remote })
    }

    /// The name under which GDAL opens it.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Bytes of the object.
    pub(crate) fn size(&self) -> u64 {
        self.remote.size
    }

    /// A new use of the object: reads stop when `control` or `abandoned` is cancelled, and the
    /// limit counts from here.
    pub(crate) fn begin(&self, control: &Control, abandoned: CancellationToken) {
        self.remote.begin(control, abandoned);
    }

    /// Calls GDAL. Its failure becomes a sentence, or the error that a read of ours met.
    pub(crate) fn call<T>(&self, f: impl FnOnce() -> gdal::errors::Result<T>) -> Result<T> {
        if self.remote.head.starts_with(HDF5) {
            silence_hdf5();
        }
        let (result, messages) = quietly(f);
        let met = self.remote.take_error();
        match (result, met) {
            // GDAL can take a failed read for missing data and carry on.
            (_, Some(error)) => Err(error),
            (Ok(value), None) => Ok(value),
            (Err(err), None) => {
                self.remote.check()?;
                Err(explain(err, &messages, &self.path))
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Some(registry) = REGISTRY.get() {
            lock(&registry.mounted).remove(&self.id);
        }
    }
}

/// The end of a name as a path that GDAL cannot misread: drivers look at suffixes, some at names.
fn spelled(name: &str) -> String {
    const LONGEST: usize = 120;
    const PLAIN: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');
    let name = name.split('?').next().unwrap_or_default();
    let text = percent_encoding::utf8_percent_encode(name, PLAIN).to_string();
    text[text.len().saturating_sub(LONGEST)..].to_owned()
}

/// Formats that GDAL may take an object for. None of them leads to another file: VRT, WMS and
/// their kin are left out, so that a file cannot make us read what it names.
const DRIVERS: &[&str] = &["GTiff", "JP2OpenJPEG", "GRIB", "SRTMHGT", "DTED", "HDF5", "HDF5Image"];

/// Formats whose libraries open the local disk themselves.
const LOCAL_DRIVERS: &[&str] = &["netCDF"];

/// Opens a mounted object as a raster; `part` is the name of a subdataset as GDAL told it.
pub(crate) fn open(mount: &Mount, location: &Location, part: Option<&str>) -> Result<gdal::Dataset> {
    let head = &mount.remote.head;
    let netcdf = head.starts_with(b"CDF") || (head.starts_with(HDF5) && location.extension().starts_with("nc"));
    let local = (netcdf && location.scheme() == Scheme::File).then(|| location.key());
    if head.starts_with(b"CDF") && local.is_none() {
        return Err(Error::unsupported("netCDF 3 is read from the local disk only").with_hint("download it first"));
    }
    let path = part.or(local).unwrap_or(mount.path());
    let drivers = if local.is_some() { LOCAL_DRIVERS } else { DRIVERS };
    let options = gdal::DatasetOptions {
        open_flags: gdal::GdalOpenFlags::GDAL_OF_RASTER | gdal::GdalOpenFlags::GDAL_OF_VERBOSE_ERROR,
        allowed_drivers: Some(drivers),
        ..gdal::DatasetOptions::default()
    };
    let dataset = mount.call(|| gdal::Dataset::open_ex(path, options))?;
    refuse_references(&dataset)?;
    Ok(dataset)
}

/// A TIFF can name a file of overviews, which GDAL would open whatever and wherever it is.
fn refuse_references(dataset: &gdal::Dataset) -> Result<()> {
    use gdal::Metadata as _;
    let names_one = quietly(|| dataset.metadata_item("OVERVIEW_FILE", "OVERVIEWS")).0.is_some();
    if names_one {
        return Err(Error::unsupported("it names another file for its overviews, which is not followed"));
    }
    Ok(())
}

/// Reads a window of all bands at full resolution, band after band, `width * height` values each,
/// row by row. GDAL converts other types by rounding and clamping.
///
/// The caller has checked that the window lies inside and what it needs in memory.
pub(crate) fn read_all<T: gdal::raster::GdalType + Copy + Default>(
    mount: &Mount,
    dataset: &gdal::Dataset,
    window: [usize; 4],
) -> Result<Vec<T>> {
    let [x, y, width, height] = window.map(|n| c_int::try_from(n).unwrap_or(c_int::MAX));
    let bands = dataset.raster_count();
    let mut out = vec![T::default(); window[2] * window[3] * bands];
    mount.call(|| {
        // SAFETY: `out` holds width * height * bands values of the type named, packed; a null list
        // of bands means all of them; no extra argument is given.
        let code = unsafe {
            gdal_sys::GDALDatasetRasterIOEx(
                dataset.c_dataset(),
                gdal_sys::GDALRWFlag::GF_Read,
                x,
                y,
                width,
                height,
                out.as_mut_ptr().cast(),
                width,
                height,
                T::gdal_ordinal(),
                c_int::try_from(bands).unwrap_or(c_int::MAX),
                std::ptr::null_mut(),
                0,
                0,
                0,
                std::ptr::null_mut(),
            )
        };
        if code == gdal_sys::CPLErr::CE_None {
            return Ok(());
        }
        Err(GdalError::CplError { class: code, number: 0, msg: String::new() })
    })?;
    Ok(out)
}

/// Runs `f` and collects what GDAL complained of on this thread, instead of it being printed.
pub(crate) fn quietly<T>(f: impl FnOnce() -> T) -> (T, Vec<String>) {
    struct Pop;
    impl Drop for Pop {
        fn drop(&mut self) {
            // SAFETY: pops the handler pushed below, on the same thread.
            unsafe { gdal_sys::CPLPopErrorHandler() };
        }
    }
    REGISTRY.get_or_init(install);
    let messages: RefCell<Vec<String>> = RefCell::default();
    let sink: *const RefCell<Vec<String>> = &raw const messages;
    // SAFETY: the handler is popped before `messages` is dropped, also when `f` panics.
    unsafe {
        gdal_sys::CPLErrorReset();
        gdal_sys::CPLPushErrorHandlerEx(Some(collect), sink.cast_mut().cast());
    }
    let pop = Pop;
    let value = f();
    drop(pop);
    (value, messages.into_inner())
}

/// Calls GDAL where no mounted object is involved.
pub(crate) fn call<T>(f: impl FnOnce() -> gdal::errors::Result<T>) -> Result<T> {
    let (result, messages) = quietly(f);
    result.map_err(|err| explain(err, &messages, ""))
}

/// The first thing that GDAL complained of: what follows is only its echo.
fn explain(err: GdalError, messages: &[String], path: &str) -> Error {
    let own = match &err {
        GdalError::CplError { msg, .. } | GdalError::NullPointer { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    let first = messages.iter().find(|m| !m.is_empty()).cloned().unwrap_or(own);
    let why = if path.is_empty() { first } else { first.replace(path, "it") };
    let mut why = why.lines().next().unwrap_or_default().trim_end_matches('.');
    // "x.tif:TIFFFetchDirectory:x.tif: Can not read": names of functions help nobody.
    while let Some((front, rest)) = why.split_once(':')
        && !front.contains(' ')
    {
        why = rest.trim_start();
    }
    let error = if why.contains("not recognized as a supported file format") {
        Error::invalid("it is not a raster of a kind that can be read here")
    } else if why.is_empty() || why.starts_with("Read error at") {
        Error::invalid("GDAL cannot read it: it is damaged or cut off")
    } else {
        Error::invalid(format!("GDAL cannot read it: {why}"))
    };
    error.with_source(err)
}

unsafe extern "C" fn collect(class: gdal_sys::CPLErr::Type, _number: c_int, message: *const c_char) {
    if class < gdal_sys::CPLErr::CE_Failure || message.is_null() {
        return;
    }
    // SAFETY: the user data is the sink pushed with this handler in `quietly`, which outlives it
    // and is used by one thread; GDAL passes a terminated string.
    unsafe {
        let sink = gdal_sys::CPLGetErrorHandlerUserData().cast::<RefCell<Vec<String>>>();
        if let Some(sink) = sink.as_ref()
            && let Ok(mut messages) = sink.try_borrow_mut()
            && messages.len() < 16
        {
            messages.push(CStr::from_ptr(message).to_string_lossy().into_owned());
        }
    }
}

/// HDF5 prints what it meets, unless each thread tells it not to. GDAL brings the library along;
/// one without it has nothing to print.
fn silence_hdf5() {
    type SetAuto = unsafe extern "C" fn(i64, *const c_void, *const c_void) -> c_int;
    // SAFETY: the symbol, if it is there, is HDF5's `H5Eset_auto2`, whose signature this is since
    // 1.10; 0 is the thread's default stack of errors, a null function means none.
    unsafe {
        let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"H5Eset_auto2".as_ptr());
        if !symbol.is_null() {
            std::mem::transmute::<*mut c_void, SetAuto>(symbol)(0, std::ptr::null(), std::ptr::null());
        }
    }
}

unsafe extern "C" fn silent(_: gdal_sys::CPLErr::Type, _: c_int, _: *const c_char) {}

/// Makes GDAL quiet, bounded and blind for everything but our file system. Runs once.
fn install() -> Registry {
    // SAFETY: the structure is GDAL's own, filled before it is copied; the functions live as long
    // as the process, the prefix is a constant.
    unsafe {
        gdal_sys::CPLSetErrorHandlerEx(Some(silent), std::ptr::null_mut());
        let table = gdal_sys::VSIAllocFilesystemPluginCallbacksStruct();
        if let Some(cb) = table.as_mut() {
            cb.stat = Some(stat);
            cb.open = Some(open_file);
            cb.tell = Some(tell);
            cb.seek = Some(seek);
            cb.read = Some(read);
            cb.read_multi_range = Some(read_multi_range);
            cb.eof = Some(eof);
            cb.close = Some(close);
            cb.sibling_files = Some(sibling_files);
            gdal_sys::VSIInstallPluginHandler(PREFIX.as_ptr(), table);
            gdal_sys::VSIFreeFilesystemPluginCallbacksStruct(table);
        }
    }
    for (key, value) in [
        ("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR"),
        ("GDAL_PAM_ENABLED", "NO"),
        ("GDAL_CACHEMAX", BLOCK_CACHE),
        // Data come through our store only: names of GDAL's own network file systems lead nowhere.
        ("CPL_VSIL_CURL_ALLOWED_FILENAME", "/vsisecchi/none"),
        ("PROJ_NETWORK", "OFF"),
        ("CPL_DEBUG", "OFF"),
    ] {
        // It only fails for strings with a NUL.
        let _ = gdal::config::set_config_option(key, value);
    }
    Registry::default()
}

/// A position in a mounted object: what GDAL holds as its file.
struct OpenFile {
    remote: Arc<Remote>,
    position: u64,
    at_end: bool,
}

/// A panic must not cross into C.
fn guarded<T>(otherwise: T, f: impl FnOnce() -> T) -> T {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_or(otherwise)
}

/// The mounted object of this name; with or without the prefix, which GDAL strips.
///
/// # Safety
/// `name` is null or a terminated string.
unsafe fn find(name: *const c_char) -> Option<Arc<Remote>> {
    if name.is_null() {
        return None;
    }
    // SAFETY: by this function's contract.
    let name = unsafe { CStr::from_ptr(name) }.to_str().ok()?;
    let prefix = PREFIX.to_str().ok()?;
    let name = name.strip_prefix(prefix).unwrap_or(name);
    let id: u64 = name.split_once('/')?.0.parse().ok()?;
    let remote = lock(&REGISTRY.get()?.mounted).get(&id)?.clone();
    (remote.path.strip_prefix(prefix) == Some(name)).then_some(remote)
}

#[cfg(target_os = "linux")]
type StatBuffer = libc::stat64;
#[cfg(not(target_os = "linux"))]
type StatBuffer = libc::stat;

unsafe extern "C" fn stat(_: *mut c_void, name: *const c_char, out: *mut gdal_sys::VSIStatBufL, _: c_int) -> c_int {
    guarded(-1, || {
        // SAFETY: GDAL passes a terminated name, and room for its VSIStatBufL, which is this type.
        unsafe {
            let Some(remote) = find(name) else { return -1 };
            let mut buffer: StatBuffer = std::mem::zeroed();
            buffer.st_mode = libc::S_IFREG | 0o444;
            buffer.st_size = i64::try_from(remote.size).unwrap_or(i64::MAX);
            out.cast::<StatBuffer>().write(buffer);
        }
        0
    })
}

unsafe extern "C" fn open_file(_: *mut c_void, name: *const c_char, access: *const c_char) -> *mut c_void {
    guarded(std::ptr::null_mut(), || {
        // SAFETY: GDAL passes terminated strings.
        let (remote, access) = unsafe { (find(name), CStr::from_ptr(access)) };
        let readable = access.to_bytes().iter().all(|b| b"rb".contains(b));
        match remote {
            Some(remote) if readable => Box::into_raw(Box::new(OpenFile { remote, position: 0, at_end: false })).cast(),
            _ => std::ptr::null_mut(),
        }
    })
}

/// # Safety
/// `file` came from [`open_file`], was not closed, and no other thread uses it now.
unsafe fn opened<'a>(file: *mut c_void) -> &'a mut OpenFile {
    // SAFETY: by this function's contract.
    unsafe { &mut *file.cast::<OpenFile>() }
}

unsafe extern "C" fn close(file: *mut c_void) -> c_int {
    // SAFETY: GDAL closes once what `open_file` made.
    guarded(-1, || {
        drop(unsafe { Box::from_raw(file.cast::<OpenFile>()) });
        0
    })
}

unsafe extern "C" fn tell(file: *mut c_void) -> u64 {
    // SAFETY: an open file of ours.
    unsafe { opened(file) }.position
}

unsafe extern "C" fn eof(file: *mut c_void) -> c_int {
    // SAFETY: an open file of ours.
    c_int::from(unsafe { opened(file) }.at_end)
}

unsafe extern "C" fn seek(file: *mut c_void, offset: u64, whence: c_int) -> c_int {
    // SAFETY: an open file of ours.
    let file = unsafe { opened(file) };
    // Offsets are unsigned; a step back is its two's complement.
    file.position = match whence {
        libc::SEEK_SET => offset,
        libc::SEEK_CUR => file.position.wrapping_add(offset),
        libc::SEEK_END => file.remote.size.wrapping_add(offset),
        _ => return -1,
    };
    file.at_end = false;
    0
}

unsafe extern "C" fn read(file: *mut c_void, buffer: *mut c_void, size: usize, count: usize) -> usize {
    guarded(0, || {
        let Some(len) = size.checked_mul(count).filter(|&n| n > 0 && !buffer.is_null()) else { return 0 };
        // SAFETY: an open file of ours; the buffer has room for `size * count` bytes, of which some
        // may not have been written before: they are only written here.
        let (file, out) = unsafe {
            std::ptr::write_bytes(buffer.cast::<u8>(), 0, len);
            (opened(file), std::slice::from_raw_parts_mut(buffer.cast::<u8>(), len))
        };
        let remote = file.remote.clone();
        let Some(n) = remote.attempt(|| remote.read_at(file.position, out)) else { return 0 };
        file.position = file.position.saturating_add(n as u64);
        file.at_end = n < len;
        n / size
    })
}

unsafe extern "C" fn read_multi_range(
    file: *mut c_void,
    count: c_int,
    buffers: *mut *mut c_void,
    offsets: *const u64,
    sizes: *const usize,
) -> c_int {
    guarded(-1, || {
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: an open file of ours; GDAL passes `count` buffers, offsets and sizes.
        let (file, buffers, offsets, sizes) = unsafe {
            (
                opened(file),
                std::slice::from_raw_parts(buffers, count),
                std::slice::from_raw_parts(offsets, count),
                std::slice::from_raw_parts(sizes, count),
            )
        };
        let remote = &file.remote;
        let ranges: Option<Vec<Range<u64>>> = offsets
            .iter()
            .zip(sizes)
            .map(|(&start, &size)| Some(start..start.checked_add(size as u64).filter(|&end| end <= remote.size)?))
            .collect();
        let Some(ranges) = ranges else { return -1 };
        let Some(found) = remote.attempt(|| remote.read_ranges(&ranges)) else { return -1 };
        for ((bytes, &buffer), &size) in found.iter().zip(buffers).zip(sizes) {
            if bytes.len() != size {
                return -1;
            }
            // SAFETY: each buffer has room for its size.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast::<u8>(), size) };
        }
        0
    })
}

/// No file has neighbours: an empty list, which GDAL frees.
unsafe extern "C" fn sibling_files(_: *mut c_void, _: *const c_char) -> *mut *mut c_char {
    // SAFETY: room for the terminating null of an empty list.
    unsafe { gdal_sys::VSICalloc(1, size_of::<*mut c_char>()) }.cast()
}
