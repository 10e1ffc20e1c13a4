//! System calls about the process as a whole: its end, its children, and the signals that a write may raise.
//!
//! # Safety
//!
//! As in the file above this one: every block is one call into libc, and argues about its pointers.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::time::Duration;

use super::check;

/// Has `handler` called by exit(3), and so at the end of `main` and by `std::process::exit`: before the handlers that
/// were registered earlier. Source: atexit(3).
///
/// # Errors
///
/// `ENOMEM` if there is no memory for it.
pub fn at_exit(handler: extern "C" fn()) -> io::Result<()> {
    // SAFETY: the handler is a function without arguments that may be called from any thread; it takes no pointer.
    match unsafe { libc::atexit(handler) } {
        0 => Ok(()),
        _ => Err(io::ErrorKind::OutOfMemory.into()),
    }
}

/// Has `before` and `parent` called around every fork(3), and `child` in the child, before fork returns there. Source:
/// `pthread_atfork(3)`.
///
/// # Errors
///
/// `ENOMEM` if there is no memory for it.
pub fn at_fork(
    before: unsafe extern "C" fn(),
    parent: unsafe extern "C" fn(),
    child: unsafe extern "C" fn(),
) -> io::Result<()> {
    // SAFETY: they are functions without arguments that may be called on any thread.
    match unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Private memory of one page at least, zeroed, never unmapped, which every child of this process finds zeroed again,
/// by whatever call it was made. Source: madvise(2), `MADV_WIPEONFORK`.
///
/// # Errors
///
/// Those of mmap(2) and madvise(2).
pub fn wiped_on_fork<W>() -> io::Result<NonNull<W>> {
    const { assert!(size_of::<W>() <= 4096 && align_of::<W>() <= 4096) };
    let len = size_of::<W>();
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, at an address that the kernel chooses, touches no other.
    let page = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the range is the mapping that was just made; the advice changes nothing in this process.
    if let Err(error) = check(unsafe { libc::madvise(page, len, libc::MADV_WIPEONFORK) }) {
        // SAFETY: the mapping was made here, and nobody has its address.
        unsafe { libc::munmap(page, len) };
        return Err(error);
    }
    NonNull::new(page.cast()).ok_or_else(|| io::ErrorKind::Other.into())
}

/// Lays private, empty memory over `[at, at + len)`: what is written there is seen by this process alone from now on.
/// If that cannot be had, the range is unmapped: touching it is fatal then, and still seen by nobody else. May be
/// called in a child of fork(3).
///
/// # Safety
///
/// `[at, at + len)` must be mapped by the caller's own doing, and no reference may rely on what is there.
pub unsafe fn map_private_over(at: *mut u8, len: usize) {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    // SAFETY: MAP_FIXED replaces exactly the range that the caller owns.
    let view = unsafe { libc::mmap(at.cast(), len, access, flags, -1, 0) };
    if view == libc::MAP_FAILED {
        // SAFETY: as above.
        unsafe { libc::munmap(at.cast(), len) };
    }
}

/// Runs `body`, which writes, with SIGPIPE and SIGXFSZ blocked: a write that fails says so by its error, and kills
/// nobody. What `body` has raised is taken away again; what was pending before stays pending.
///
/// Source: the way of `sigpending(2)`, `pthread_sigmask(3)`, `sigtimedwait(2)`: both signals are sent to the thread that
/// writes. None of them locks or allocates.
pub fn with_write_signals_blocked<T>(body: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let both = set_of(&[libc::SIGPIPE, libc::SIGXFSZ]);
    let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is to room for one set.
    unsafe { libc::sigpending(pending.as_mut_ptr()) };
    // SAFETY: sigpending fails for a bad pointer only.
    let pending = unsafe { pending.assume_init() };
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `both` is a set, `before` is room for one; SIG_BLOCK is a valid request, so the call cannot fail.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const both, before.as_mut_ptr()) };
    let result = body();
    if result.is_err() {
        for signo in [libc::SIGPIPE, libc::SIGXFSZ] {
            // SAFETY: `pending` is a set and `signo` a signal.
            if unsafe { libc::sigismember(&raw const pending, signo) } == 0 {
                take_pending(signo);
            }
        }
    }
    // SAFETY: `before` was initialised by the first call.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    result
}

/// Takes a blocked signal away, if it is pending.
fn take_pending(signo: libc::c_int) {
    let set = set_of(&[signo]);
    let at_once = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the set and the time live over the call, and no room for details is a null pointer.
    unsafe { libc::sigtimedwait(&raw const set, ptr::null_mut(), &raw const at_once) };
}

fn set_of(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set that it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signo in signals {
        // SAFETY: the set is initialised.
        unsafe { libc::sigaddset(set.as_mut_ptr(), *signo) };
    }
    // SAFETY: as above.
    unsafe { set.assume_init() }
}

/// Runs `body`, and leaves errno as it was: what a signal handler owes to the code that it interrupts.
pub fn keeping_errno<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: the call has no arguments.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the address of this thread's errno is valid for as long as the thread lives.
    let before = unsafe { errno.read() };
    let result = body();
    // SAFETY: as above.
    unsafe { errno.write(before) };
    result
}

/// Says `text` on standard error, as well as that goes: nobody waits for it, and no error is left to be told.
pub fn complain(text: &str) {
    const PATIENCE: Duration = Duration::from_millis(100);
    let stderr = io::stderr();
    let fd = stderr.as_fd();
    let write = || super::write(fd, text.as_bytes());
    let written = with_write_signals_blocked(write);
    let is_full = written.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    if is_full && super::wait_writable(fd, PATIENCE).is_ok() {
        drop(with_write_signals_blocked(write));
    }
}
