//! Conversion of arguments from C: paths, descriptors and times.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use libc::timespec;

/// Returns the path at `file`.
///
/// # Errors
///
/// `EINVAL` for `NULL`.
///
/// # Safety
///
/// `file` must be `NULL`, or a string that stays valid while the result is used.
pub unsafe fn path_of<'a>(file: *const c_char) -> Result<&'a Path, c_int> {
    if file.is_null() {
        return Err(libc::EINVAL);
    }
    // SAFETY: this function has the same requirement.
    let name = unsafe { CStr::from_ptr(file) };
    Ok(Path::new(OsStr::from_bytes(name.to_bytes())))
}

/// Borrows a descriptor of the caller.
///
/// # Errors
///
/// `EBADF` for a negative descriptor.
///
/// # Safety
///
/// An open descriptor must stay open while the result is used. (For one that is not open, the
/// system returns an error.)
pub unsafe fn borrow<'a>(fd: RawFd) -> Result<BorrowedFd<'a>, c_int> {
    if fd < 0 {
        return Err(libc::EBADF);
    }
    // SAFETY: this function has the same requirement; -1 was refused.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Converts a `struct timespec *`; `NULL` is `None`.
///
/// # Errors
///
/// `EINVAL` for a negative time, or a `tv_nsec` that is not 0 to 999999999.
///
/// # Safety
///
/// `time` must be `NULL` or valid.
pub unsafe fn duration(time: *const timespec) -> Result<Option<Duration>, i32> {
    // SAFETY: this function has the same requirement.
    let Some(time) = (unsafe { time.as_ref() }) else {
        return Ok(None);
    };
    let seconds = u64::try_from(time.tv_sec).map_err(|_| libc::EINVAL)?;
    match u32::try_from(time.tv_nsec) {
        Ok(nanoseconds @ 0..1_000_000_000) => Ok(Some(Duration::new(seconds, nanoseconds))),
        _ => Err(libc::EINVAL),
    }
}

/// Converts a `struct timespec *` that must not be `NULL`.
///
/// # Errors
///
/// As [`duration`], and `EINVAL` for `NULL`.
///
/// # Safety
///
/// As [`duration`].
pub unsafe fn needed_duration(time: *const timespec) -> Result<Duration, i32> {
    // SAFETY: this function has the same requirement.
    unsafe { duration(time) }?.ok_or(libc::EINVAL)
}
