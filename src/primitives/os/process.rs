//! System calls on the process as a whole: its end, its children, and the signals that a write may
//! raise.
//!
//! # Safety
//!
//! As in call.rs: every block is one call into libc, and argues about its pointers.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::time::Duration;

use super::call::set_of;
use super::platform::{self, NO_RESERVE, mmap};
use super::unix::{wait_writable, write};

#[cfg(feature = "rotate")]
pub use super::platform::has_more_rights;

/// Registers `handler` to be called by exit(3), and so at the end of `main` and by
/// `std::process::exit`. It runs before the handlers that were registered earlier. Source:
/// atexit(3).
///
/// # Errors
///
/// `ENOMEM` if there is no memory for it.
pub fn at_exit(handler: extern "C" fn()) -> io::Result<()> {
    // SAFETY: the handler is a function without arguments that any thread may call; the call takes
    // no other pointer.
    match unsafe { libc::atexit(handler) } {
        0 => Ok(()),
        _ => Err(io::ErrorKind::OutOfMemory.into()),
    }
}

/// Registers `before` and `parent` to be called in the parent around every fork(3), and `child` to
/// be called in the child, before fork returns there. Source: `pthread_atfork(3)`.
///
/// # Errors
///
/// `ENOMEM` if there is no memory for it.
pub fn at_fork(
    before: unsafe extern "C" fn(),
    parent: unsafe extern "C" fn(),
    child: unsafe extern "C" fn(),
) -> io::Result<()> {
    // SAFETY: they are functions without arguments that any thread may call.
    match unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Maps private, zeroed memory of at least one page, and never unmaps it. Every child of this
/// process finds it zeroed again, also a child of a raw clone(2).
///
/// # Errors
///
/// The errors of mmap(2), and those of a system that cannot wipe it.
pub fn wiped_on_fork<W>() -> io::Result<NonNull<W>> {
    const { assert!(size_of::<W>() <= 4096 && align_of::<W>() <= 4096) };
    let len = size_of::<W>();
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the kernel chooses the address of the new mapping, so it touches no other.
    let page = unsafe { mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let Some(start) = NonNull::new(page.cast()) else {
        return Err(io::ErrorKind::Other.into());
    };
    // SAFETY: the range is the new mapping, which is private.
    if let Err(error) = unsafe { platform::wipe_in_children(start, len) } {
        // SAFETY: the mapping was made here, and no other code has its address.
        unsafe { libc::munmap(page, len) };
        return Err(error);
    }
    Ok(start.cast())
}

/// Maps private, empty memory over `[at, at + len)`: from now on only this process sees what is
/// written there. If there is no memory for that, it unmaps the range. An access is fatal then, but
/// still no other process sees it. A child of fork(3) may call it.
///
/// # Safety
///
/// The caller must own the mapping of `[at, at + len)`, and no reference may rely on its content.
pub unsafe fn map_private_over(at: *mut u8, len: usize) {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | NO_RESERVE;
    // SAFETY: MAP_FIXED replaces exactly the range that the caller owns.
    let view = unsafe { mmap(at.cast(), len, access, flags, -1, 0) };
    if view == libc::MAP_FAILED {
        // SAFETY: as above.
        unsafe { libc::munmap(at.cast(), len) };
    }
}

/// Runs `body`, which writes, with SIGPIPE and SIGXFSZ blocked: a failed write then returns an
/// error and raises no deadly signal. A signal that `body` raised is removed; a signal that was
/// pending before stays pending.
///
/// Source: `sigpending(2)`, `pthread_sigmask(3)`. The kernel sends both signals to the thread that
/// writes. None of these calls locks or allocates.
pub fn with_write_signals_blocked<T>(body: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let both = set_of(&[libc::SIGPIPE, libc::SIGXFSZ]);
    let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer leads to room for one set.
    unsafe { libc::sigpending(pending.as_mut_ptr()) };
    // SAFETY: sigpending fails only for a bad pointer.
    let pending = unsafe { pending.assume_init() };
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `both` is a set and `before` is room for one. SIG_BLOCK is a valid request, so the
    // call cannot fail.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const both, before.as_mut_ptr()) };
    let result = body();
    if result.is_err() {
        for signo in [libc::SIGPIPE, libc::SIGXFSZ] {
            // SAFETY: `pending` is a set and `signo` a signal.
            if unsafe { libc::sigismember(&raw const pending, signo) } == 0 {
                platform::take_pending(signo);
            }
        }
    }
    // SAFETY: the first call initialised `before`.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    result
}

/// Runs `body` and restores errno afterwards, as every signal handler must.
pub fn keeping_errno<T>(body: impl FnOnce() -> T) -> T {
    let errno = platform::errno_place();
    // SAFETY: the address of this thread's errno is valid as long as the thread lives.
    let before = unsafe { errno.read() };
    let result = body();
    // SAFETY: as above.
    unsafe { errno.write(before) };
    result
}

/// Writes `text` to standard error, with best effort: it waits for at most 0.1 s for a full pipe,
/// and ignores errors, because no caller could report them.
pub fn complain(text: &str) {
    const PATIENCE: Duration = Duration::from_millis(100);
    let stderr = io::stderr();
    let fd = stderr.as_fd();
    let write = || write(fd, text.as_bytes());
    let written = with_write_signals_blocked(write);
    let is_full = written.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    if is_full && wait_writable(fd, PATIENCE).is_ok() {
        drop(with_write_signals_blocked(write));
    }
}
