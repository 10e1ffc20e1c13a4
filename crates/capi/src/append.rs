//! Appends: calls that copy a record, and entries.

use std::ffi::{c_int, c_void};
use std::ptr;

use alq::{Entry, Error, Flags};

use crate::entries::Ale;
use crate::errors::{append_errno, misuse, set_errno};
use crate::queue::{Alq, QUEUES};

/// The flags that an append accepts: `ALQ_NOWAIT`, `ALQ_WAITOK`, `ALQ_NOACTIVATE` and
/// `ALQ_ORDERED`, which has no effect on an append.
const NAMED: c_int = 0x17;

/// Reads flags as alq(9) does: `ALQ_NOWAIT` wins, and without either flag the call waits. `None`
/// for an unknown flag.
#[inline]
pub fn flags_of(flags: c_int) -> Option<Flags> {
    if flags & !NAMED != 0 {
        return None;
    }
    let flags = Flags::from_bits_truncate(flags as u32);
    let when_full = if flags.contains(Flags::NOWAIT) {
        Flags::NOWAIT
    } else {
        Flags::WAITOK
    };
    Some(when_full | flags & Flags::NOACTIVATE)
}

/// Returns the `len` bytes at `data`; `None` for `NULL` or a `len` below 1.
///
/// # Safety
///
/// `data` must be `NULL`, or valid for `len` bytes while the result is used.
#[inline]
pub unsafe fn record<'a>(data: *const c_void, len: c_int) -> Option<&'a [u8]> {
    if data.is_null() || len <= 0 {
        return None;
    }
    // SAFETY: this function has the same requirement.
    Some(unsafe { std::slice::from_raw_parts(data.cast(), len as usize) })
}

/// Returns the status of an append: 0, or the number of its error.
#[inline]
pub fn append_status<T>(result: Result<T, Error>) -> c_int {
    match result {
        Ok(_) => 0,
        Err(error) => append_errno(&error),
    }
}

/// Returns the queue and the flags of an append; `None` if one of them is not valid.
///
/// # Safety
///
/// As the header requires of `alq`.
#[inline]
unsafe fn arguments<'a>(alq: *const Alq, flags: c_int) -> Option<(&'a Alq, Flags)> {
    // SAFETY: this function has the same requirement.
    let alq = unsafe { QUEUES.get(alq) }?;
    Some((alq, flags_of(flags)?))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_writen(
    alq: *mut Alq,
    data: *const c_void,
    len: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: the header requires it.
    let Some((alq, flags)) = (unsafe { arguments(alq, flags) }) else {
        return libc::EINVAL;
    };
    // SAFETY: the header requires it.
    let Some(record) = (unsafe { record(data, len) }) else {
        return libc::EINVAL;
    };
    append_status(alq.queue.writen(record, flags))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_write(alq: *mut Alq, data: *const c_void, flags: c_int) -> c_int {
    // SAFETY: the header requires it.
    let Some((alq, flags)) = (unsafe { arguments(alq, flags) }) else {
        return libc::EINVAL;
    };
    let Some(len) = alq.entry_len else {
        return libc::EINVAL; // a variable queue
    };
    // SAFETY: the header requires that it points to the bytes of one entry.
    let Some(record) = (unsafe { record(data, len) }) else {
        return libc::EINVAL;
    };
    append_status(alq.queue.write_fixed(record, flags))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_getn(alq: *mut Alq, len: c_int, flags: c_int) -> *mut Ale {
    // SAFETY: the header requires it.
    let arguments = unsafe { arguments(alq, flags) };
    match (arguments, usize::try_from(len)) {
        (Some((alq, flags)), Ok(len)) => open(alq, alq.queue.getn(len, flags)),
        _ => refused(libc::EINVAL),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_get(alq: *mut Alq, flags: c_int) -> *mut Ale {
    // SAFETY: the header requires it.
    match unsafe { arguments(alq, flags) } {
        Some((alq, flags)) => open(alq, alq.queue.get(flags)),
        None => refused(libc::EINVAL),
    }
}

/// Opens a place for a reserved entry and returns its `struct ale`; `NULL`, with errno set, for an
/// error.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the hot path; as a call it gets the entry through memory"
)]
fn open(alq: &Alq, entry: Result<Entry<'_>, Error>) -> *mut Ale {
    match entry {
        Ok(mut entry) => {
            let data = entry.as_mut_ptr();
            alq.entries.open(&alq.queue, data, entry.detach())
        }
        Err(error) => refused(append_errno(&error)),
    }
}

#[cold]
fn refused(errno: c_int) -> *mut Ale {
    set_errno(errno);
    ptr::null_mut()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_entry_position(
    alq: *mut Alq,
    ale: *const Ale,
    position: *mut u64,
) -> c_int {
    // SAFETY: the header requires it.
    let alq = unsafe { QUEUES.get(alq) };
    let (Some(alq), false, false) = (alq, ale.is_null(), position.is_null()) else {
        return libc::EINVAL;
    };
    match alq.entries.position(&alq.queue, ale) {
        Ok(Some(found)) => {
            // SAFETY: the header requires that it points to a number.
            unsafe { position.write(found) };
            0
        }
        Ok(None) => libc::ENODATA,
        Err(what) => misuse("alq_entry_position", what),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_post_flags(alq: *mut Alq, ale: *mut Ale, flags: c_int) {
    // SAFETY: the header requires it.
    let alq = unsafe { QUEUES.get(alq) };
    let (Some(alq), false) = (alq, ale.is_null()) else {
        return set_errno(libc::EINVAL);
    };
    match alq.entries.take(ale) {
        Ok((detached, used)) => {
            let flags = Flags::from_bits_truncate(flags as u32) & Flags::NOACTIVATE;
            alq.queue.post_detached(detached, used, flags);
        }
        Err(what) => misuse("alq_post", what),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_post(alq: *mut Alq, ale: *mut Ale) {
    // SAFETY: the header requires it.
    unsafe { alq_post_flags(alq, ale, 0) };
}
