//! Arguments as C has them: paths, descriptors, times.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use libc::timespec;

/// The path at `file`.
///
/// # Errors
///
/// `EINVAL` for `NULL`.
///
/// # Safety
///
/// `file` must be `NULL` or a string, for as long as the result is used.
pub unsafe fn path_of<'a>(file: *const c_char) -> Result<&'a Path, c_int> {
    if file.is_null() {
        return Err(libc::EINVAL);
    }
    // SAFETY: this function asks for the same.
    let name = unsafe { CStr::from_ptr(file) };
    Ok(Path::new(OsStr::from_bytes(name.to_bytes())))
}

/// Borrows a descriptor of the caller's.
///
/// # Errors
///
/// `EBADF` for a negative one.
///
/// # Safety
///
/// It must stay open while the result is used. (Whether it is open at all, the system says.)
pub unsafe fn borrow<'a>(fd: RawFd) -> Result<BorrowedFd<'a>, c_int> {
    if fd < 0 {
        return Err(libc::EBADF);
    }
    // SAFETY: this function asks for the same; -1 was refused.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// A `struct timespec *` of which `NULL` means none.
///
/// # Errors
///
/// `EINVAL` for one that is negative, or has a thousand million nanoseconds or more.
///
/// # Safety
///
/// `time` must be `NULL` or valid.
pub unsafe fn duration(time: *const timespec) -> Result<Option<Duration>, i32> {
    // SAFETY: this function asks for the same.
    let Some(time) = (unsafe { time.as_ref() }) else {
        return Ok(None);
    };
    let seconds = u64::try_from(time.tv_sec).map_err(|_| libc::EINVAL)?;
    match u32::try_from(time.tv_nsec) {
        Ok(nanoseconds @ 0..1_000_000_000) => Ok(Some(Duration::new(seconds, nanoseconds))),
        _ => Err(libc::EINVAL),
    }
}

/// The same, where there must be one.
///
/// # Errors
///
/// `EINVAL` for `NULL`, too.
///
/// # Safety
///
/// As [`duration`].
pub unsafe fn needed_duration(time: *const timespec) -> Result<Duration, i32> {
    // SAFETY: this function asks for the same.
    unsafe { duration(time) }?.ok_or(libc::EINVAL)
}
