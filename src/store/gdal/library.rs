//! GDAL's library is loaded when it is called first, and not with the program: with the hundred libraries that it
//! brings along that takes longer (50 ms) than most of our commands, and where it is not installed everything but
//! rasters works all the same.
//!
//! Each of its functions that we call stands here under its own name as a jump through a slot, so that the linker
//! finds them all and does not ask for the library (ELF binds functions lazily in the same way, but only those of
//! libraries that are loaded already). A slot leads to `find` first, which loads the library, looks the function up
//! and puts it there. What is missing in the list below is linked as ever: then the program needs the library to
//! start, which a test would tell. On systems for which we have no such jump, all of them are linked as ever.

use crate::error::{Error, Result};
use std::ffi::c_void;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod needed;

/// A file that is taken for GDAL's library, instead of the one that the system finds.
const VARIABLE: &str = "SECCHI_GDAL";

/// Of GDAL 3.6 it is `libgdal.so.32`, and with each minor version the number grows by one.
const SONAME_OF_3_0: u32 = 26;
/// How much newer than what we were built with it may be: its C interface only grows.
const NEWER: u32 = 24;

/// GDAL's library.
pub(super) struct Library(usize);

// The one that was loaded, for the functions below, which know no state; `None` where there is none.
static LIBRARY: std::sync::OnceLock<Option<Library>> = std::sync::OnceLock::new();

/// Loads the library, if that was not done. Fails where it is not to be found, which no function of it can say.
pub(crate) fn load() -> Result<()> {
    if loaded().is_some() {
        return Ok(());
    }
    let why = match std::env::var_os(VARIABLE) {
        Some(file) => format!("this needs GDAL, and {} cannot be loaded, which {VARIABLE} names", file.display()),
        None => format!("this needs GDAL, and there is no libgdal.so.{} or newer here", first()),
    };
    Err(Error::unsupported(why).with_hint("install GDAL (on clusters often: module load gdal), then start again"))
}

/// The number in the library's name that belongs to the GDAL with which this was built.
fn first() -> u32 {
    let built: u32 = env!("GDAL_VERSION_NUMBER").parse().unwrap_or(0);
    SONAME_OF_3_0 + built / 10_000 % 100
}

fn loaded() -> Option<&'static Library> {
    LIBRARY.get_or_init(open).as_ref()
}

/// A function of the library, or of one that it brought along; null where there is none.
pub(super) fn symbol(name: &std::ffi::CStr) -> *mut c_void {
    // SAFETY: a handle that is never closed, and a terminated name.
    loaded().map_or(std::ptr::null_mut(), |library| unsafe { libc::dlsym(library.0 as *mut c_void, name.as_ptr()) })
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn open() -> Option<Library> {
    let first = first();
    let names: Vec<std::ffi::OsString> = match std::env::var_os(VARIABLE) {
        Some(file) => vec![file],
        None => (first..first + NEWER).map(|number| format!("libgdal.so.{number}").into()).collect(),
    };
    names.into_iter().find_map(|name| {
        use std::os::unix::ffi::OsStringExt as _;
        // What cannot be opened now is opened with it, or is what keeps it from being opened.
        for needed in needed::of(&name) {
            opened(&needed);
        }
        opened(&std::ffi::CString::new(name.into_vec()).ok()?)
    })
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn opened(name: &std::ffi::CStr) -> Option<Library> {
    // SAFETY: a terminated name. What the library does when it is loaded is what it did when it was loaded with the
    // program.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
    (!handle.is_null()).then_some(Library(handle as usize))
}

/// It was loaded with the program.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn open() -> Option<Library> {
    Some(Library(libc::RTLD_DEFAULT as usize))
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod slots {
    use std::ffi::{c_char, c_void};
    use std::sync::atomic::{AtomicPtr, Ordering::Release};

    /// Where a function's jump leads to.
    #[repr(C)]
    struct Slot {
        target: AtomicPtr<c_void>,
        name: *const c_char,
    }

    /// Without the library every function answers 0: no dataset, no driver, not done.
    extern "C" fn nothing() -> usize {
        0
    }

    /// Looks up the function of a slot. Called once for each, or at the same time by several threads.
    unsafe extern "C" fn find(slot: *const Slot) -> *const c_void {
        // SAFETY: the slots below are all that call this; their names are terminated.
        let (slot, name) = unsafe { (&*slot, std::ffi::CStr::from_ptr((*slot).name)) };
        let mut target = super::symbol(name);
        if target.is_null() {
            target = nothing as extern "C" fn() -> usize as *mut c_void;
        }
        slot.target.store(target, Release);
        target
    }

    /// What is the same on every processor: where a function begins; the end of it, its slot, and its name.
    macro_rules! begin {
        ($name:literal) => {
            concat!(
                ".pushsection .text.",
                $name,
                ",\"ax\",@progbits\n.balign 16\n",
                ".globl ",
                $name,
                "\n.hidden ",
                $name,
                "\n.type ",
                $name,
                ",@function\n",
                $name,
                ":"
            )
        };
    }
    macro_rules! end {
        ($name:literal) => {
            concat!(
                ".size ",
                $name,
                ", . - ",
                $name,
                "\n.popsection\n",
                ".pushsection .data.rel.secchi_gdal,\"aw\",@progbits\n.balign 8\n",
                ".Lsecchi_slot_",
                $name,
                ":\n.quad .Lsecchi_first_",
                $name,
                "\n.quad .Lsecchi_name_",
                $name,
                "\n",
                ".popsection\n.pushsection .rodata.secchi_gdal,\"a\",@progbits\n",
                ".Lsecchi_name_",
                $name,
                ":\n.asciz \"",
                $name,
                "\"\n.popsection"
            )
        };
    }

    macro_rules! functions {
        ($($name:literal)*) => {
            #[cfg(target_arch = "x86_64")]
            std::arch::global_asm!(
                // Kept are the arguments: six words, eight numbers, and in `al` how many these are.
                ".pushsection .text.secchi_gdal,\"ax\",@progbits",
                ".Lsecchi_first:",
                "push r11", "push rdi", "push rsi", "push rdx", "push rcx", "push r8", "push r9", "push rax",
                // With the caller's address these are nine words: the call below wants an even number.
                "sub rsp, 136",
                "movups [rsp], xmm0", "movups [rsp + 16], xmm1", "movups [rsp + 32], xmm2",
                "movups [rsp + 48], xmm3", "movups [rsp + 64], xmm4", "movups [rsp + 80], xmm5",
                "movups [rsp + 96], xmm6", "movups [rsp + 112], xmm7",
                "mov rdi, r11",
                "call {find}",
                "mov r11, rax",
                "movups xmm0, [rsp]", "movups xmm1, [rsp + 16]", "movups xmm2, [rsp + 32]",
                "movups xmm3, [rsp + 48]", "movups xmm4, [rsp + 64]", "movups xmm5, [rsp + 80]",
                "movups xmm6, [rsp + 96]", "movups xmm7, [rsp + 112]",
                "add rsp, 136",
                "pop rax", "pop r9", "pop r8", "pop rcx", "pop rdx", "pop rsi", "pop rdi", "add rsp, 8",
                "jmp r11",
                ".popsection",
                $(
                    begin!($name),
                    concat!("jmp qword ptr [rip + .Lsecchi_slot_", $name, "]"),
                    concat!(".Lsecchi_first_", $name, ": lea r11, [rip + .Lsecchi_slot_", $name, "]"),
                    "jmp .Lsecchi_first",
                    end!($name),
                )*
                find = sym find,
            );
            #[cfg(target_arch = "aarch64")]
            std::arch::global_asm!(
                // Kept are the arguments: eight words, where a result goes, eight numbers; and the way back.
                ".pushsection .text.secchi_gdal,\"ax\",@progbits",
                ".Lsecchi_first:",
                "stp x29, x30, [sp, #-16]!",
                "mov x29, sp",
                "stp x0, x1, [sp, #-16]!", "stp x2, x3, [sp, #-16]!", "stp x4, x5, [sp, #-16]!",
                "stp x6, x7, [sp, #-16]!", "stp x8, x16, [sp, #-16]!",
                "stp q0, q1, [sp, #-32]!", "stp q2, q3, [sp, #-32]!", "stp q4, q5, [sp, #-32]!",
                "stp q6, q7, [sp, #-32]!",
                "mov x0, x16",
                "bl {find}",
                "mov x17, x0",
                "ldp q6, q7, [sp], #32", "ldp q4, q5, [sp], #32", "ldp q2, q3, [sp], #32",
                "ldp q0, q1, [sp], #32",
                "ldp x8, x16, [sp], #16", "ldp x6, x7, [sp], #16", "ldp x4, x5, [sp], #16",
                "ldp x2, x3, [sp], #16", "ldp x0, x1, [sp], #16",
                "ldp x29, x30, [sp], #16",
                "br x17",
                ".popsection",
                $(
                    begin!($name),
                    concat!("adrp x16, .Lsecchi_slot_", $name),
                    concat!("add x16, x16, :lo12:.Lsecchi_slot_", $name),
                    "ldr x17, [x16]",
                    "br x17",
                    concat!(".Lsecchi_first_", $name, ": b .Lsecchi_first"),
                    end!($name),
                )*
                find = sym find,
            );
        };
    }

    functions! {
        "CPLErrorReset" "CPLGetErrorHandlerUserData" "CPLGetLastErrorMsg" "CPLGetLastErrorNo" "CPLPopErrorHandler"
        "CPLPushErrorHandlerEx" "CPLSetConfigOption" "CPLSetErrorHandlerEx" "CSLAddNameValue" "CSLAddString"
        "CSLDestroy" "CSLSetNameValue" "GDALAddBand" "GDALAllRegister" "GDALBuildOverviews" "GDALClose" "GDALCreate"
        "GDALCreateCopy" "GDALCreateMaskBand" "GDALDatasetRasterIOEx" "GDALDeleteRasterNoDataValue"
        "GDALDeregisterDriver" "GDALDestroyColorTable" "GDALGetBlockSize" "GDALGetColorEntryAsRGB"
        "GDALGetColorEntryCount" "GDALGetDataTypeName" "GDALGetDataTypeSizeBytes" "GDALGetDatasetDriver"
        "GDALGetDefaultRAT" "GDALGetDescription" "GDALGetDriver" "GDALGetDriverByName" "GDALGetDriverShortName"
        "GDALGetGeoTransform" "GDALGetMaskBand" "GDALGetMaskFlags" "GDALGetMetadata" "GDALGetMetadataDomainList"
        "GDALGetMetadataItem" "GDALGetOverview" "GDALGetOverviewCount" "GDALGetPaletteInterpretation"
        "GDALGetRasterBand" "GDALGetRasterBandXSize" "GDALGetRasterBandYSize" "GDALGetRasterCategoryNames"
        "GDALGetRasterColorInterpretation" "GDALGetRasterColorTable" "GDALGetRasterCount" "GDALGetRasterDataType"
        "GDALGetRasterNoDataValue" "GDALGetRasterNoDataValueAsInt64" "GDALGetRasterNoDataValueAsUInt64"
        "GDALGetRasterOffset" "GDALGetRasterScale" "GDALGetRasterStatistics" "GDALGetRasterUnitType"
        "GDALGetRasterXSize" "GDALGetRasterYSize" "GDALGetSpatialRef" "GDALOpenEx" "GDALRATGetColumnCount"
        "GDALRATGetNameOfCol" "GDALRATGetRowCount" "GDALRATGetValueAsString" "GDALRasterIO" "GDALRasterIOEx"
        "GDALSetDescription" "GDALSetGeoTransform" "GDALSetMetadataItem" "GDALSetRasterColorInterpretation"
        "GDALSetRasterNoDataValue" "GDALSetRasterOffset" "GDALSetRasterScale" "GDALSetSpatialRef" "GDALVersionInfo"
        "OCTDestroyCoordinateTransformation" "OCTNewCoordinateTransformation" "OCTTransform" "OCTTransformBounds"
        "OSRAutoIdentifyEPSG" "OSRClone" "OSRExportToPROJJSON" "OSRExportToPrettyWkt" "OSRExportToProj4"
        "OSRExportToWkt" "OSRGetAngularUnits" "OSRGetAreaOfUse" "OSRGetAttrValue" "OSRGetAuthorityCode"
        "OSRGetAuthorityName" "OSRGetLinearUnits" "OSRGetName" "OSRGetSemiMajor" "OSRGetSemiMinor"
        "OSRImportFromEPSG" "OSRImportFromESRI" "OSRIsCompound" "OSRIsGeocentric" "OSRIsGeographic" "OSRIsLocal"
        "OSRIsProjected" "OSRNewSpatialReference" "OSRRelease" "OSRSetAxisMappingStrategy" "OSRSetFromUserInput"
        "VSIAllocFilesystemPluginCallbacksStruct" "VSICalloc" "VSIFCloseL" "VSIFileFromMemBuffer" "VSIFree"
        "VSIFreeFilesystemPluginCallbacksStruct" "VSIInstallPluginHandler" "VSIUnlink"
    }
}
