//! What only FreeBSD has: sleeps, memory that a child does not inherit, signals and the name of a
//! thread.
//!
//! # Safety
//!
//! As in call.rs: every block is one call into libc, and argues about its pointers.
#![allow(unsafe_code)]

pub mod file;

use std::ffi::CStr;
use std::io;
use std::ptr::{self, NonNull};
use std::time::Duration;

use super::call::{check, set_of, timespec};

#[cfg(feature = "rotate")]
pub use super::bsd::has_more_rights;
pub use super::bsd::random;
#[cfg(feature = "read")]
pub use super::bsd::watch;
pub use super::bsd::{errno_place, map_again, membarrier, membarrier_register};
pub use libc::mmap;

/// Makes mmap(2) map the pages that are in memory already: there is no more than that.
pub const POPULATE: libc::c_int = libc::MAP_PREFAULT_READ;

/// FreeBSD reserves no swap space unless it is told to.
pub const NO_RESERVE: libc::c_int = 0;

/// Makes the page at `page` zeroed in every child of this process, also in a child of rfork(2).
/// Source: minherit(2), `INHERIT_ZERO`.
///
/// # Errors
///
/// Its errors: the system cannot do that.
///
/// # Safety
///
/// The caller must own the mapping of `[page, page + len)`, which must be private.
pub unsafe fn wipe_in_children(page: NonNull<u8>, len: usize) -> io::Result<()> {
    // SAFETY: the caller owns the range; the call changes nothing in this process.
    check(unsafe { libc::minherit(page.as_ptr().cast(), len, libc::INHERIT_ZERO) }).map(drop)
}

/// Sleeps while `word` is `expected`, for at most `limit`. Source: _umtx_op(2),
/// `UMTX_OP_WAIT_UINT_PRIVATE`.
///
/// Returns `None` if it was woken, otherwise the errno with which the sleep ended. A signal handler
/// ends the sleep (`EINTR`).
pub fn futex_wait<W>(word: &W, expected: u32, limit: Option<Duration>) -> Option<i32> {
    const { assert!(size_of::<W>() == 4 && align_of::<W>() == 4) };
    let mut limit = limit.map(timespec);
    let len = limit.as_ref().map_or(0, size_of_val);
    let time = limit.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
    let address = ptr::from_ref(word).cast_mut().cast();
    // SAFETY: the word is a live, aligned 32-bit word (asserted above) that the kernel only reads.
    // The time is null, or lives over the call; the fourth argument is its size.
    let result = unsafe {
        libc::_umtx_op(
            address,
            libc::UMTX_OP_WAIT_UINT_PRIVATE,
            expected.into(),
            ptr::without_provenance_mut(len),
            time.cast(),
        )
    };
    if result < 0 {
        return io::Error::last_os_error().raw_os_error();
    }
    None
}

/// Wakes all threads that sleep on `word`. May change errno. Source: _umtx_op(2),
/// `UMTX_OP_WAKE_PRIVATE`.
pub fn futex_wake_all<W>(word: &W) {
    const { assert!(size_of::<W>() == 4 && align_of::<W>() == 4) };
    let address = ptr::from_ref(word).cast_mut().cast();
    let (operation, all) = (
        libc::UMTX_OP_WAKE_PRIVATE,
        libc::c_ulong::from(i32::MAX as u32),
    );
    // SAFETY: the call uses the address only as a key, and fails only for a bad address.
    unsafe { libc::_umtx_op(address, operation, all, ptr::null_mut(), ptr::null_mut()) };
}

/// Queues `signo` with `value` for this process. Unlike Linux, FreeBSD has no way to say that it is
/// of an asynchronous operation: `si_code` is `SI_QUEUE`. Source: sigqueue(2).
///
/// # Errors
///
/// `EINVAL` if `signo` is not the number of a signal; `EAGAIN` if too many signals are queued.
pub fn queue_signal(signo: i32, value: usize) -> io::Result<()> {
    unsafe extern "C" {
        fn sigqueue(pid: libc::pid_t, signo: libc::c_int, value: libc::sigval) -> libc::c_int;
    }
    let value = libc::sigval {
        sival_ptr: ptr::without_provenance_mut(value),
    };
    // SAFETY: the call has no arguments and cannot fail.
    let pid = unsafe { libc::getpid() };
    // SAFETY: sigqueue(2) has this form, and takes the value as a number.
    check(unsafe { sigqueue(pid, signo, value) }).map(drop)
}

/// Returns whether `signo` is the number of a signal.
pub fn is_signal(signo: i32) -> bool {
    const SIGRTMAX: i32 = 126; // source: sys/signal.h
    (1..=SIGRTMAX).contains(&signo)
}

/// Removes a blocked signal of this thread, if it is pending. Source: sigtimedwait(2).
pub fn take_pending(signo: libc::c_int) {
    let set = set_of(&[signo]);
    let at_once = timespec(Duration::ZERO);
    // SAFETY: the set and the time live over the call. A null pointer means that no details are
    // wanted.
    unsafe { libc::sigtimedwait(&raw const set, ptr::null_mut(), &raw const at_once) };
}

/// Names this thread. Source: pthread_set_name_np(3).
pub fn name_this_thread(name: &CStr) {
    // SAFETY: the call has no arguments.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: the name lives over the call, which copies it.
    unsafe { libc::pthread_set_name_np(this, name.as_ptr()) };
}
