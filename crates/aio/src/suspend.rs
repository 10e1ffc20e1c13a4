//! `aio_suspend`: a cancellation point, as POSIX requires. So no function on the way to the sleep
//! has a destructor to run.

use std::ffi::c_int;
use std::time::{Duration, Instant};

use libc::timespec;

use crate::block::{Block, Handle, Owner};
use crate::carry::hasten;
use crate::next::next;
use crate::quiet::fail;
use crate::wait::Look;

const PTHREAD_CANCEL_ASYNCHRONOUS: c_int = 1;

unsafe extern "C-unwind" {
    fn pthread_setcanceltype(kind: c_int, before: *mut c_int) -> c_int;
    fn pthread_testcancel();
}

/// What a call with a list of requests must wait for.
#[derive(Clone, Copy)]
enum Waits {
    /// A request is complete: no wait.
    Nothing,
    /// Only requests of the next implementation.
    Next,
    /// Only requests of this library; the first of them.
    Here(Handle),
    /// Requests of both; the first of this library.
    Both(Handle),
}

/// Returns a member of a list and its owner, if the request is in progress.
///
/// # Safety
///
/// `member` must be `NULL` or point to a control block.
unsafe fn in_progress(member: *const Block) -> Option<(Handle, Owner)> {
    // SAFETY: the caller guarantees it.
    let handle = unsafe { Handle::new(member) }?;
    let owner = handle.owner()?;
    let error = match owner {
        Owner::Here => handle.error(),
        // SAFETY: as above.
        Owner::Next => next().error.map_or(0, |error| unsafe { error(member) }),
    };
    (error == libc::EINPROGRESS).then_some((handle, owner))
}

/// Checks what a list waits for.
///
/// # Safety
///
/// The list must have `len` members, each `NULL` or a control block.
unsafe fn look(list: *const *const Block, len: usize) -> Waits {
    let (mut here, mut there) = (None, false);
    for index in 0..len {
        // SAFETY: the caller guarantees `len` members.
        let member = unsafe { list.wrapping_add(index).read() };
        // SAFETY: the caller guarantees it.
        match unsafe { in_progress(member) } {
            Some((handle, Owner::Here)) => here = here.or(Some(handle)),
            Some((_, Owner::Next)) => there = true,
            None if member.is_null() => {}
            None => return Waits::Nothing,
        }
    }
    match (here, there) {
        (None, false) => Waits::Nothing,
        (None, true) => Waits::Next,
        (Some(handle), false) => Waits::Here(handle),
        (Some(handle), true) => Waits::Both(handle),
    }
}

/// The least and the greatest length of one sleep while a call waits for requests of both
/// implementations: the other implementation cannot wake this thread.
const SLICE_MIN: Duration = Duration::from_micros(50);
const SLICE_MAX: Duration = Duration::from_millis(5);

/// # Safety
///
/// As `<aio.h>` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn aio_suspend(
    list: *const *const Block,
    len: c_int,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: this frame has no destructor to run.
    unsafe { pthread_testcancel() };
    let Ok(count) = usize::try_from(len) else {
        return fail(libc::EINVAL);
    };
    if list.is_null() && count > 0 {
        return fail(libc::EINVAL);
    }
    // SAFETY: C guarantees a valid argument.
    let Ok(deadline) = (unsafe { deadline(timeout) }) else {
        return fail(libc::EINVAL);
    };
    let mut slice = SLICE_MIN;
    loop {
        let seen = Look::new();
        // SAFETY: C guarantees a valid argument.
        let waits = unsafe { look(list, count) };
        let (wanted, both) = match waits {
            Waits::Nothing => return 0,
            // SAFETY: C has passed these arguments.
            Waits::Next => return unsafe { suspend_next(list, len, timeout) },
            Waits::Here(wanted) => (wanted, false),
            Waits::Both(wanted) => (wanted, true),
        };
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return fail(libc::EAGAIN);
        }
        hasten(wanted, left.is_none());
        if wanted.error() != libc::EINPROGRESS {
            return 0;
        }
        let limit = if both {
            Some(left.map_or(slice, |left| left.min(slice)))
        } else {
            left
        };
        if let Err(errno) = sleep(seen, limit) {
            return fail(errno);
        }
        slice = (slice * 2).min(SLICE_MAX);
    }
}

/// # Safety
///
/// As `<aio.h>` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn aio_suspend64(
    list: *const *const Block,
    len: c_int,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: the same function.
    unsafe { aio_suspend(list, len, timeout) }
}

/// # Safety
///
/// As `<aio.h>` requires.
unsafe fn suspend_next(list: *const *const Block, len: c_int, timeout: *const timespec) -> c_int {
    match next().suspend {
        // SAFETY: C has passed these arguments.
        Some(suspend) => unsafe { suspend(list, len, timeout) },
        None => fail(libc::ENOSYS),
    }
}

/// Sleeps; the thread can be cancelled during the sleep.
fn sleep(seen: Look, limit: Option<Duration>) -> Result<(), c_int> {
    let mut before = 0;
    // SAFETY: until the type is restored, this thread makes only a system call, which a
    // cancellation may end at any point.
    unsafe { pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &raw mut before) };
    let result = seen.sleep(limit);
    // SAFETY: it is the type from before.
    unsafe { pthread_setcanceltype(before, std::ptr::null_mut()) };
    result
}

/// Converts a timeout to a deadline; `None` for `NULL`.
///
/// # Safety
///
/// The pointer must be `NULL` or valid.
unsafe fn deadline(timeout: *const timespec) -> Result<Option<Instant>, ()> {
    // SAFETY: the caller guarantees it.
    let Some(timeout) = (unsafe { timeout.as_ref() }) else {
        return Ok(None);
    };
    let secs = u64::try_from(timeout.tv_sec).map_err(|_| ())?;
    let nanos = u32::try_from(timeout.tv_nsec).map_err(|_| ())?;
    if nanos >= 1_000_000_000 {
        return Err(());
    }
    Ok(Instant::now().checked_add(Duration::new(secs, nanos)))
}
