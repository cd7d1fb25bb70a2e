//! What GDAL calls: files as it knows them.

use super::output::Written;
use super::remote::{Flow, Remote};
use super::{PREFIX, Place, REGISTRY, lock};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Makes GDAL call what stands below for names that begin so.
///
/// # Safety
/// Once in a process. `prefix` is there as long as it runs: GDAL keeps the pointer.
pub(super) unsafe fn install(prefix: &'static CStr) {
    // SAFETY: the structure is GDAL's own, filled before it is copied; the functions live as long as the process.
    unsafe {
        let table = gdal_sys::VSIAllocFilesystemPluginCallbacksStruct();
        let Some(cb) = table.as_mut() else { return };
        cb.stat = Some(stat);
        cb.unlink = Some(unlink);
        cb.rename = Some(rename);
        cb.open = Some(open_file);
        cb.tell = Some(tell);
        cb.seek = Some(seek);
        cb.read = Some(read);
        cb.read_multi_range = Some(read_multi_range);
        cb.eof = Some(eof);
        cb.write = Some(write);
        cb.flush = Some(flush);
        cb.truncate = Some(truncate);
        cb.close = Some(close);
        cb.sibling_files = Some(sibling_files);
        gdal_sys::VSIInstallPluginHandler(prefix.as_ptr(), table);
        gdal_sys::VSIFreeFilesystemPluginCallbacksStruct(table);
    }
}

/// What GDAL holds as its file.
enum OpenFile {
    Read(Reader),
    Local(Local),
}

/// A position in a mounted object.
struct Reader {
    remote: Arc<Remote>,
    size: u64,
    position: u64,
    at_end: bool,
    flow: Flow,
}

impl Reader {
    fn new(remote: Arc<Remote>, size: u64) -> Self {
        Self { remote, size, position: 0, at_end: false, flow: Flow::default() }
    }
}

/// A file that is written.
struct Local {
    file: File,
    of: Arc<Written>,
    at_end: bool,
}

impl Local {
    /// Does something with the file; a failure is kept for the one who wanted it written.
    fn attempt<T>(&mut self, f: impl FnOnce(&mut File) -> std::io::Result<T>) -> Option<T> {
        f(&mut self.file).map_err(|err| self.of.fail(err)).ok()
    }

    fn read(&mut self, out: &mut [u8]) -> usize {
        let mut done = 0;
        while done < out.len() {
            match self.attempt(|file| file.read(&mut out[done..])) {
                Some(0) | None => break,
                Some(n) => done += n,
            }
        }
        self.at_end = done < out.len();
        done
    }
}

/// A panic must not cross into C.
fn guarded<T>(otherwise: T, f: impl FnOnce() -> T) -> T {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_or(otherwise)
}

/// What a name leads to.
enum Found {
    Remote(Arc<Remote>),
    Local(Arc<Written>, PathBuf),
}

/// The file of this name; with or without the prefix, which GDAL strips.
///
/// # Safety
/// `name` is null or a terminated string.
unsafe fn find(name: *const c_char) -> Option<Found> {
    if name.is_null() {
        return None;
    }
    // SAFETY: by this function's contract.
    let name = unsafe { CStr::from_ptr(name) }.to_str().ok()?;
    let prefix = PREFIX.to_str().ok()?;
    let name = name.strip_prefix(prefix).unwrap_or(name);
    let id: u64 = name.split_once('/')?.0.parse().ok()?;
    let place = lock(&REGISTRY.mounted).get(&id)?.clone();
    match place {
        Place::Remote(remote) => (remote.path.strip_prefix(prefix) == Some(name)).then_some(Found::Remote(remote)),
        Place::Written(written) => {
            let path = written.file(&format!("{prefix}{name}"))?;
            Some(Found::Local(written, path))
        }
    }
}

#[cfg(target_os = "linux")]
type StatBuffer = libc::stat64;
#[cfg(not(target_os = "linux"))]
type StatBuffer = libc::stat;

unsafe extern "C" fn stat(_: *mut c_void, name: *const c_char, out: *mut gdal_sys::VSIStatBufL, _: c_int) -> c_int {
    guarded(-1, || {
        // SAFETY: GDAL passes a terminated name, and room for its VSIStatBufL, which is this type.
        unsafe {
            let size = match find(name) {
                Some(Found::Remote(remote)) => remote.session.attempt(|| remote.known()).map(|known| known.size),
                Some(Found::Local(_, path)) => std::fs::metadata(path).ok().map(|about| about.len()),
                None => None,
            };
            let Some(size) = size else { return -1 };
            let mut buffer: StatBuffer = std::mem::zeroed();
            buffer.st_mode = libc::S_IFREG | 0o444;
            buffer.st_size = i64::try_from(size).unwrap_or(i64::MAX);
            out.cast::<StatBuffer>().write(buffer);
        }
        0
    })
}

unsafe extern "C" fn open_file(_: *mut c_void, name: *const c_char, access: *const c_char) -> *mut c_void {
    guarded(std::ptr::null_mut(), || {
        // SAFETY: GDAL passes terminated strings.
        let (found, access) = unsafe { (find(name), CStr::from_ptr(access)) };
        let readable = access.to_bytes().iter().all(|b| b"rb".contains(b));
        let file = match found {
            Some(Found::Remote(remote)) if readable => {
                remote.session.attempt(|| remote.known()).map(|known| OpenFile::Read(Reader::new(remote, known.size)))
            }
            Some(Found::Local(of, path)) => open_local(of, &path, access.to_bytes()).map(OpenFile::Local),
            _ => None,
        };
        file.map_or(std::ptr::null_mut(), |file| Box::into_raw(Box::new(file)).cast())
    })
}

/// As C's `fopen` does by its letters.
fn open_local(of: Arc<Written>, path: &std::path::Path, access: &[u8]) -> Option<Local> {
    let both = access.contains(&b'+');
    let mut options = File::options();
    match access.first()? {
        b'r' => options.read(true).write(both),
        b'w' => options.read(true).write(true).create(true).truncate(true),
        b'a' => options.read(both).append(true).create(true),
        _ => return None,
    };
    match options.open(path) {
        Ok(file) => {
            of.opened();
            Some(Local { file, of, at_end: false })
        }
        // Drivers look whether something is there.
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => None,
        Err(err) => {
            of.fail(err);
            None
        }
    }
}

/// # Safety
/// `file` came from [`open_file`], was not closed, and no other thread uses it now.
unsafe fn opened<'a>(file: *mut c_void) -> &'a mut OpenFile {
    // SAFETY: by this function's contract.
    unsafe { &mut *file.cast::<OpenFile>() }
}

unsafe extern "C" fn close(file: *mut c_void) -> c_int {
    guarded(-1, || {
        // SAFETY: GDAL closes once what `open_file` made.
        match *unsafe { Box::from_raw(file.cast::<OpenFile>()) } {
            OpenFile::Read(_) => 0,
            OpenFile::Local(Local { file, of, .. }) => {
                drop(file);
                if of.closed() { 0 } else { -1 }
            }
        }
    })
}

unsafe extern "C" fn tell(file: *mut c_void) -> u64 {
    // SAFETY: an open file of ours.
    guarded(0, || match unsafe { opened(file) } {
        OpenFile::Read(reader) => reader.position,
        OpenFile::Local(local) => local.attempt(std::io::Seek::stream_position).unwrap_or(0),
    })
}

unsafe extern "C" fn eof(file: *mut c_void) -> c_int {
    // SAFETY: an open file of ours.
    match unsafe { opened(file) } {
        OpenFile::Read(Reader { at_end, .. }) | OpenFile::Local(Local { at_end, .. }) => c_int::from(*at_end),
    }
}

unsafe extern "C" fn seek(file: *mut c_void, offset: u64, whence: c_int) -> c_int {
    guarded(-1, || {
        // SAFETY: an open file of ours.
        match unsafe { opened(file) } {
            OpenFile::Read(reader) => {
                // Offsets are unsigned; a step back is its two's complement.
                reader.position = match whence {
                    libc::SEEK_SET => offset,
                    libc::SEEK_CUR => reader.position.wrapping_add(offset),
                    libc::SEEK_END => reader.size.wrapping_add(offset),
                    _ => return -1,
                };
                reader.at_end = false;
            }
            OpenFile::Local(local) => {
                let to = match whence {
                    libc::SEEK_SET => SeekFrom::Start(offset),
                    libc::SEEK_CUR => SeekFrom::Current(offset.cast_signed()),
                    libc::SEEK_END => SeekFrom::End(offset.cast_signed()),
                    _ => return -1,
                };
                local.at_end = false;
                if local.attempt(|file| file.seek(to)).is_none() {
                    return -1;
                }
            }
        }
        0
    })
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
        let reader = match file {
            OpenFile::Read(reader) => reader,
            OpenFile::Local(local) => return local.read(out) / size,
        };
        let remote = reader.remote.clone();
        let Some(n) = remote.session.attempt(|| remote.read_at(&mut reader.flow, reader.position, out)) else {
            return 0;
        };
        reader.position = reader.position.saturating_add(n as u64);
        reader.at_end = n < len;
        n / size
    })
}

unsafe extern "C" fn write(file: *mut c_void, buffer: *const c_void, size: usize, count: usize) -> usize {
    guarded(0, || {
        let Some(len) = size.checked_mul(count).filter(|&n| n > 0 && !buffer.is_null()) else { return 0 };
        // SAFETY: an open file of ours; GDAL passes `size * count` bytes.
        let (file, bytes) = unsafe { (opened(file), std::slice::from_raw_parts(buffer.cast::<u8>(), len)) };
        match file {
            OpenFile::Read(_) => 0,
            OpenFile::Local(local) => local.attempt(|file| file.write_all(bytes)).map_or(0, |()| count),
        }
    })
}

unsafe extern "C" fn flush(_: *mut c_void) -> c_int {
    // What is written stands in no buffer of ours.
    0
}

unsafe extern "C" fn truncate(file: *mut c_void, size: u64) -> c_int {
    guarded(-1, || {
        // SAFETY: an open file of ours.
        match unsafe { opened(file) } {
            OpenFile::Read(_) => -1,
            OpenFile::Local(local) => local.attempt(|file| file.set_len(size)).map_or(-1, |()| 0),
        }
    })
}

unsafe extern "C" fn unlink(_: *mut c_void, name: *const c_char) -> c_int {
    // SAFETY: GDAL passes a terminated string.
    guarded(-1, || match unsafe { find(name) } {
        Some(Found::Local(_, path)) => std::fs::remove_file(path).map_or(-1, |()| 0),
        _ => -1,
    })
}

unsafe extern "C" fn rename(_: *mut c_void, from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: GDAL passes terminated strings.
    guarded(-1, || match unsafe { (find(from), find(to)) } {
        (Some(Found::Local(of, from)), Some(Found::Local(other, to))) if Arc::ptr_eq(&of, &other) => {
            std::fs::rename(from, to).map_or(-1, |()| 0)
        }
        _ => -1,
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
        let reader = match file {
            OpenFile::Read(reader) => reader,
            OpenFile::Local(local) => {
                // SAFETY: each buffer has room for its size.
                let rooms = buffers.iter().zip(sizes).map(|(&buffer, &size)| unsafe {
                    std::ptr::write_bytes(buffer.cast::<u8>(), 0, size);
                    std::slice::from_raw_parts_mut(buffer.cast::<u8>(), size)
                });
                let whole = |(room, &offset): (&mut [u8], &u64)| {
                    local.attempt(|file| file.seek(SeekFrom::Start(offset))).is_some() && local.read(room) == room.len()
                };
                return if rooms.zip(offsets).all(whole) { 0 } else { -1 };
            }
        };
        let remote = &reader.remote;
        let ranges: Option<Vec<Range<u64>>> = offsets
            .iter()
            .zip(sizes)
            .map(|(&start, &size)| Some(start..start.checked_add(size as u64).filter(|&end| end <= reader.size)?))
            .collect();
        let Some(ranges) = ranges else { return -1 };
        let Some(found) = remote.session.attempt(|| remote.read_ranges(&ranges)) else { return -1 };
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
