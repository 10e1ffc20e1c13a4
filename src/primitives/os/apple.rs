//! What macOS and Apple's other systems have of their own.
//!
//! # Safety
//!
//! As in call.rs: every block is one call into libc, and argues about its pointers.
#![allow(unsafe_code)]

pub mod file;

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::time::Duration;

use super::call::{check, set_of};

#[cfg(feature = "rotate")]
pub use super::bsd::has_more_rights;
#[cfg(feature = "frames")]
pub use super::bsd::random;
#[cfg(feature = "read")]
pub use super::bsd::watch;
pub use super::bsd::{errno_place, map_again, membarrier, membarrier_register};
pub use libc::mmap;

/// Apple's mmap(2) cannot map every page at once: the first lap pays for page faults.
pub const POPULATE: libc::c_int = 0;

/// Makes mmap(2) reserve no swap space.
pub const NO_RESERVE: libc::c_int = libc::MAP_NORESERVE;

/// Fails: minherit(2) has no `INHERIT_ZERO` here. The handler of fork(3) does the same; other ways
/// to make a child without exec do not exist here.
///
/// # Errors
///
/// Always `ENOSYS`.
///
/// # Safety
///
/// None is needed: it touches nothing.
pub unsafe fn wipe_in_children(_page: NonNull<u8>, _len: usize) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Sleeps while `word` is `expected`, for at most `limit`. Source: os/os_sync_wait_on_address.h,
/// from macOS 14.4 on.
///
/// Returns `None` if it was woken, otherwise the errno with which the sleep ended. A signal handler
/// ends the sleep (`EINTR`).
pub fn futex_wait<W>(word: &W, expected: u32, limit: Option<Duration>) -> Option<i32> {
    const { assert!(size_of::<W>() == 4 && align_of::<W>() == 4) };
    let address = ptr::from_ref(word).cast_mut().cast();
    let (value, flags) = (u64::from(expected), libc::OS_SYNC_WAIT_ON_ADDRESS_NONE);
    let result = match limit {
        // SAFETY: the word is a live, aligned 32-bit word (asserted above) that the kernel only
        // reads.
        None => unsafe { libc::os_sync_wait_on_address(address, value, 4, flags) },
        Some(limit) => {
            // 0 is no time for this call, and its clock ends before a long limit.
            let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
            let limit = limit.clamp(1, i64::MAX as u64);
            let clock = libc::OS_CLOCK_MACH_ABSOLUTE_TIME;
            // SAFETY: as above.
            unsafe {
                libc::os_sync_wait_on_address_with_timeout(address, value, 4, flags, clock, limit)
            }
        }
    };
    if result < 0 {
        return io::Error::last_os_error().raw_os_error();
    }
    None
}

/// Wakes all threads that sleep on `word`. May change errno. Source:
/// os/os_sync_wait_on_address.h.
pub fn futex_wake_all<W>(word: &W) {
    const { assert!(size_of::<W>() == 4 && align_of::<W>() == 4) };
    let address = ptr::from_ref(word).cast_mut().cast();
    let flags = libc::OS_SYNC_WAKE_BY_ADDRESS_NONE;
    // SAFETY: the call uses the address only as a key. It fails if no thread sleeps there.
    unsafe { libc::os_sync_wake_by_address_all(address, 4, flags) };
}

/// Sends `signo` to this process. No call of this system gives the handler a value: `value` is
/// lost. Source: kill(2).
///
/// # Errors
///
/// `EINVAL` if `signo` is not the number of a signal.
pub fn queue_signal(signo: i32, _value: usize) -> io::Result<()> {
    // SAFETY: the call has no arguments and cannot fail.
    let pid = unsafe { libc::getpid() };
    // SAFETY: kill takes no pointer.
    check(unsafe { libc::kill(pid, signo) }).map(drop)
}

/// Returns whether `signo` is the number of a signal.
pub fn is_signal(signo: i32) -> bool {
    const NSIG: i32 = 32; // source: sys/signal.h; there are no real-time signals
    (1..NSIG).contains(&signo)
}

/// Removes a blocked signal of this thread, if it is pending. Source: sigpending(2), pthread_kill(3),
/// sigwait(2).
pub fn take_pending(signo: libc::c_int) {
    let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer leads to room for one set.
    unsafe { libc::sigpending(pending.as_mut_ptr()) };
    // SAFETY: sigpending has initialised the set, and `signo` is a signal.
    if unsafe { libc::sigismember(pending.as_ptr(), signo) } != 1 {
        return;
    }
    // If another thread takes it first, sigwait would wait. One for this thread alone prevents that.
    // SAFETY: the call has no arguments.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: this thread exists, and has the signal blocked.
    unsafe { libc::pthread_kill(this, signo) };
    let (set, mut taken) = (set_of(&[signo]), 0);
    // SAFETY: both pointers lead to values that live over the call.
    unsafe { libc::sigwait(&raw const set, &raw mut taken) };
}

/// Names this thread. Source: pthread_setname_np(3).
pub fn name_this_thread(name: &CStr) {
    // SAFETY: the name lives over the call, which copies it.
    unsafe { libc::pthread_setname_np(name.as_ptr()) };
}
