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
//! - What was fetched is kept for all that open the same object ([`cache`]); where a listing has told
//!   size and `ETag`, opening it again needs no request at all.
//! - Every read is pinned to the `ETag`: an object that changes in the middle is an error.
//! - Only what is mounted is there. Sidecars (`.aux.xml`, `.ovr`, `.msk`) and neighbours are
//!   answered "not there" without a request, and nothing can be written beside them. What was declared
//!   as an [`Output`] can: it goes to the local disk first and is uploaded from there.
//! - The members of a VRT are mounted by their names in it, if they may be read ([`vrt`]), and asked
//!   for only when GDAL reads them. Only drivers of formats that name no other files are registered.
//! - GDAL says of a failed read only that it failed, so the `Mount` keeps our own error.
//! - GDAL's messages are collected by `quietly`; nothing is printed, ever.
//! - The library is loaded by the first call ([`library`]); without it, everything but rasters works.
//!
//! This module and those below it are the only ones with `unsafe`, and it has the only statics: GDAL's table of file
//! systems is global to the process and can neither be looked up nor undone, so what its functions
//! find by a path must be global too, and so is a library once it is loaded.
#![allow(unsafe_code)]

use crate::error::Result;
use gdal::errors::GdalError;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

mod cache;
mod files;
mod hdf5;
mod jp2;
mod library;
mod memory;
mod mount;
mod open;
mod output;
mod remote;
mod vrt;

pub(super) use cache::Cache;
pub(crate) use library::load;
pub(crate) use memory::with_band;
pub(crate) use mount::{Member, Mount};
pub(crate) use open::{call, open, parts};
pub use output::Output;
pub(crate) use remote::Content;

use remote::{Remote, Session};

/// GDAL keeps the pointer, not a copy.
const PREFIX: &CStr = c"/vsisecchi/";

/// Bytes read when an object is mounted: the header of nearly every COG, JP2 and GRIB.
pub(crate) const HEAD: u64 = 32 << 10;

/// Bytes of an object of a format without an index (GRIB) that is fetched whole rather than in steps.
const SMALL: u64 = 24 << 20;

/// Bytes of decoded blocks that GDAL keeps for all datasets together.
const BLOCK_CACHE: &str = "268435456";

/// Formats that GDAL may take an object for. None of them leads to another file: VRT, WMS and
/// their kin are left out, so that a file cannot make us read what it names; what does is looked through ([`hdf5`]).
const FORMATS: &[&str] = &[
    "GTiff",
    "JP2OpenJPEG",
    "GRIB",
    "SRTMHGT",
    "DTED",
    "HDF5",
    "HDF5Image",
    "PNG",
    "JPEG",
    "GIF",
    "BMP",
    "WEBP",
    "AAIGrid",
    "PNM",
];

/// Drivers that stay registered besides: for VRTs that were made harmless, what is on the local disk, and writing.
/// What a VRT names is opened with any driver that is registered.
const OTHERS: &[&str] = &["COG", "MEM", "VRT", "netCDF"];

// What is mounted in this process, and what was set up in it.
static REGISTRY: Registry = Registry {
    next: AtomicU64::new(0),
    mounted: Mutex::new(BTreeMap::new()),
    gdal: OnceLock::new(),
    hdf5: OnceLock::new(),
};

struct Registry {
    next: AtomicU64,
    mounted: Mutex<BTreeMap<u64, Place>>,
    /// Whether GDAL was set up.
    gdal: OnceLock<()>,
    /// Found when it is needed first.
    hdf5: OnceLock<Option<hdf5::Library>>,
}

/// What a name leads to.
#[derive(Clone)]
enum Place {
    Remote(Arc<Remote>),
    Written(Arc<output::Written>),
}

impl Registry {
    fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Relaxed)
    }

    fn put(&self, id: u64, place: Place) {
        lock(&self.mounted).insert(id, place);
    }

    /// What is taken may be the last that holds it: it is let go of by the caller, without the lock.
    fn take(&self, id: u64) -> Option<Place> {
        lock(&self.mounted).remove(&id)
    }

    fn hdf5(&self) -> Option<&hdf5::Library> {
        self.hdf5.get_or_init(|| quietly(hdf5::Library::find).0).as_ref()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Before anything of GDAL's is called: the first call loads its library and sets it up, which takes some 50 ms, and
/// a second where the disk is asked for it. Objects are mounted without.
pub(crate) fn set_up() {
    REGISTRY.gdal.get_or_init(install);
}

/// Gives a file a name in GDAL's world, for as long as its session is mounted.
fn mount_member(session: &Arc<Session>, content: Content, trail: &[crate::location::Location]) -> Arc<Remote> {
    let name = match &content {
        Content::Object { location, .. } | Content::Deflated { location, .. } => mount::spelled(location.name()),
        Content::Bytes(_) => "all.vrt".to_owned(),
    };
    put(session, content, &name, trail)
}

/// The same with a name of one's own.
fn put(session: &Arc<Session>, content: Content, name: &str, trail: &[crate::location::Location]) -> Arc<Remote> {
    let id = REGISTRY.next_id();
    let path = format!("{}{id}/{name}", PREFIX.to_string_lossy());
    let remote = Arc::new(Remote::new(path, session.clone(), content, trail.to_vec()));
    lock(&session.mounted).push(id);
    REGISTRY.put(id, Place::Remote(remote.clone()));
    remote
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

/// Rows of a table, and columns, that are read.
const MOST_ROWS: c_int = 4096;
const MOST_COLUMNS: c_int = 64;

/// A text of GDAL's own.
///
/// # Safety
/// `text` is null or a terminated string.
unsafe fn owned(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by this function's contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The names of a band's values, from 0 on.
pub(crate) fn category_names(band: &gdal::raster::RasterBand<'_>) -> Vec<String> {
    let mut out = Vec::new();
    // SAFETY: a band that is open; the list and its strings are the band's, end with a null, and are copied at once.
    unsafe {
        let names = gdal_sys::GDALGetRasterCategoryNames(band.c_rasterband());
        while !names.is_null() && out.len() < MOST_ROWS as usize && !(*names.add(out.len())).is_null() {
            out.push(owned(*names.add(out.len())));
        }
    }
    out
}

/// A band's attribute table: names of the columns, and the values of each row as text.
pub(crate) fn attribute_table(band: &gdal::raster::RasterBand<'_>) -> Option<(Vec<String>, Vec<Vec<String>>)> {
    // SAFETY: a band that is open; the table is the band's, its texts are copied before the next call.
    quietly(|| unsafe {
        let table = gdal_sys::GDALGetDefaultRAT(band.c_rasterband());
        if table.is_null() {
            return None;
        }
        let columns = 0..gdal_sys::GDALRATGetColumnCount(table).min(MOST_COLUMNS);
        let rows = 0..gdal_sys::GDALRATGetRowCount(table).min(MOST_ROWS);
        let names: Vec<String> = columns.clone().map(|c| owned(gdal_sys::GDALRATGetNameOfCol(table, c))).collect();
        let value = |r, c| owned(gdal_sys::GDALRATGetValueAsString(table, r, c));
        let rows = rows.map(|r| columns.clone().map(|c| value(r, c)).collect()).collect();
        (!names.is_empty()).then_some((names, rows))
    })
    .0
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
    set_up();
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

unsafe extern "C" fn silent(_: gdal_sys::CPLErr::Type, _: c_int, _: *const c_char) {}

/// Makes GDAL quiet, bounded and blind for everything but our file system. Runs once.
fn install() {
    if load().is_err() {
        return;
    }
    hdf5::stay_open();
    // SAFETY: the structure is GDAL's own, filled before it is copied; the functions live as long
    // as the process, the prefix is a constant.
    unsafe {
        gdal_sys::CPLSetErrorHandlerEx(Some(silent), std::ptr::null_mut());
        files::install(PREFIX);
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
    let kept: Vec<gdal::Driver> =
        FORMATS.iter().chain(OTHERS).filter_map(|name| gdal::DriverManager::get_driver_by_name(name).ok()).collect();
    let all: Vec<gdal::Driver> = gdal::DriverManager::all().collect();
    for driver in all.iter().filter(|d| !kept.iter().any(|k| k.short_name() == d.short_name())) {
        gdal::DriverManager::deregister_driver(driver);
    }
}
