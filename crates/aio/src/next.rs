//! The next implementation of `<aio.h>`: the one that the program would call without this library.

use std::ffi::{CStr, c_int, c_void};
use std::mem::transmute_copy;
use std::sync::OnceLock;

use libc::timespec;

use crate::block::{Block, SigEvent};
use crate::quiet::fail;

type Submit = unsafe extern "C" fn(*mut Block) -> c_int;

/// The functions of the next implementation; `None` for a function that does not exist.
pub struct Next {
    pub read: Option<Submit>,
    pub write: Option<Submit>,
    pub sync: Option<unsafe extern "C" fn(c_int, *mut Block) -> c_int>,
    pub error: Option<unsafe extern "C" fn(*const Block) -> c_int>,
    pub returned: Option<unsafe extern "C" fn(*mut Block) -> isize>,
    pub cancel: Option<unsafe extern "C" fn(c_int, *mut Block) -> c_int>,
    pub suspend:
        Option<unsafe extern "C-unwind" fn(*const *const Block, c_int, *const timespec) -> c_int>,
    pub list: Option<unsafe extern "C" fn(c_int, *const *mut Block, c_int, *mut SigEvent) -> c_int>,
}

/// Finds the next implementation once: in libc, or in librt before glibc 2.34.
pub fn next() -> &'static Next {
    static NEXT: OnceLock<Next> = OnceLock::new();
    NEXT.get_or_init(|| Next {
        // SAFETY: each of these names has had the type of its field in POSIX since 1993.
        read: unsafe { find(c"aio_read") },
        // SAFETY: as above.
        write: unsafe { find(c"aio_write") },
        // SAFETY: as above.
        sync: unsafe { find(c"aio_fsync") },
        // SAFETY: as above.
        error: unsafe { find(c"aio_error") },
        // SAFETY: as above.
        returned: unsafe { find(c"aio_return") },
        // SAFETY: as above.
        cancel: unsafe { find(c"aio_cancel") },
        // SAFETY: as above.
        suspend: unsafe { find(c"aio_suspend") },
        // SAFETY: as above.
        list: unsafe { find(c"lio_listio") },
    })
}

/// Finds the next function with this name.
///
/// # Safety
///
/// `F` must be the type of a function with this name.
unsafe fn find<F>(name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    // SAFETY: the name ends with a zero.
    let mut found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    if found.is_null() {
        let librt = c"librt.so.1".as_ptr();
        // SAFETY: the name ends with a zero; the library is a part of libc.
        let librt = unsafe { libc::dlopen(librt, libc::RTLD_LAZY | libc::RTLD_LOCAL) };
        if !librt.is_null() {
            // SAFETY: the handle belongs to a library that is never closed.
            found = unsafe { libc::dlsym(librt, name.as_ptr()) };
        }
    }
    // SAFETY: the caller guarantees that the function has this type; both are pointers.
    (!found.is_null()).then(|| unsafe { transmute_copy(&found) })
}

/// Calls a function of the next implementation; fails with `ENOSYS` if it does not exist.
pub fn call<F: Copy>(function: Option<F>, how: impl FnOnce(F) -> c_int) -> c_int {
    function.map_or_else(|| fail(libc::ENOSYS), how)
}
