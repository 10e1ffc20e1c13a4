//! Times, as C has them.

use std::time::Duration;

use libc::timespec;

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
