//! What only Linux has: memory, sleeps, fences, signals and the name of a thread.
//!
//! # Safety
//!
//! As in call.rs: every block is one call into libc, and argues about its pointers.
#![allow(unsafe_code)]

pub mod file;
#[cfg(feature = "read")]
pub mod watch;

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::time::Duration;

use super::call::{check, set_of, timespec};

pub use libc::mmap64 as mmap;

/// Makes mmap(2) map every page at once.
pub const POPULATE: libc::c_int = libc::MAP_POPULATE;

/// Makes mmap(2) reserve no swap space.
pub const NO_RESERVE: libc::c_int = libc::MAP_NORESERVE;

/// Maps the pages of the shared mapping `[from, from + len)` at `at` as well. This needs no file,
/// so neither a limit on files nor a filter of system calls prevents it. Source: mremap(2), with an
/// old size of 0.
///
/// # Errors
///
/// Its errors: some systems do not do that. Then the mapping needs a file.
///
/// # Safety
///
/// Both ranges must lie in mappings that the caller owns, and nothing may refer to `[at, at +
/// len)`.
pub unsafe fn map_again(from: *mut u8, len: usize, at: *mut u8) -> io::Result<()> {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: MREMAP_FIXED replaces exactly [at, at + len), which the caller owns. With an old size
    // of 0, the mapping at `from` stays.
    let view = unsafe { libc::mremap(from.cast(), 0, len, flags, at) };
    if view == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Makes the page at `page` zeroed in every child of this process, also in a child of a raw
/// clone(2). Source: madvise(2), `MADV_WIPEONFORK`.
///
/// # Errors
///
/// Its errors: the system cannot do that.
///
/// # Safety
///
/// The caller must own the mapping of `[page, page + len)`, which must be private.
pub unsafe fn wipe_in_children(page: NonNull<u8>, len: usize) -> io::Result<()> {
    // SAFETY: the caller owns the range; the advice changes nothing in this process.
    check(unsafe { libc::madvise(page.as_ptr().cast(), len, libc::MADV_WIPEONFORK) }).map(drop)
}

/// Returns 16 random bytes. Source: getrandom(2); /dev/urandom where a filter denies that.
///
/// # Errors
///
/// Those of reading /dev/urandom.
pub fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    // SAFETY: the pointer and the length are those of an array that lives over the call.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if usize::try_from(count) != Ok(bytes.len()) {
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    }
    Ok(bytes)
}

// This kernel call takes the time in two longs. Where a pointer has 32 bits, a C library with times
// of 64 bits (musl) has another form.
const _: () = assert!(size_of::<libc::timespec>() == 2 * size_of::<libc::c_long>());

/// Sleeps while `word` is `expected`, for at most `limit`. Source: futex(2), `FUTEX_WAIT_PRIVATE`.
///
/// Returns `None` if it was woken, otherwise the errno with which the sleep ended. With a limit, a
/// signal handler ends the sleep (`EINTR`), also with `SA_RESTART` (signal(7)). Without a limit,
/// the kernel may continue the sleep after the handler.
pub fn futex_wait<W>(word: &W, expected: u32, limit: Option<Duration>) -> Option<i32> {
    const { assert!(size_of::<W>() == 4 && align_of::<W>() == 4) };
    let limit = limit.map(timespec);
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    let address = ptr::from_ref(word);
    // SAFETY: the word is a live, aligned 32-bit word (asserted above) that the kernel only reads.
    // The time is null, or lives over the call.
    let result = unsafe { libc::syscall(libc::SYS_futex, address, operation, expected, limit) };
    if result < 0 {
        return io::Error::last_os_error().raw_os_error();
    }
    None
}

/// Wakes all threads that sleep on `word`. May change errno. Source: futex(2),
/// `FUTEX_WAKE_PRIVATE`.
pub fn futex_wake_all<W>(word: &W) {
    const { assert!(size_of::<W>() == 4 && align_of::<W>() == 4) };
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    let address = ptr::from_ref(word);
    // SAFETY: the call uses the address only as a key, and fails only for a bad address.
    unsafe { libc::syscall(libc::SYS_futex, address, operation, libc::c_int::MAX) };
}

/// The start of the `siginfo_t` of a signal that carries a value. Source: sigaction(2), the
/// kernel's `_rt` layout.
#[repr(C)]
struct QueuedSignal {
    signo: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    sender: Sender,
}

/// Aligned as a pointer, as in the kernel's union of all forms of the signal.
#[repr(C)]
struct Sender {
    pid: libc::pid_t,
    uid: libc::uid_t,
    value: usize,
}

const _: () = assert!(size_of::<QueuedSignal>() <= size_of::<libc::siginfo_t>());
const _: () = assert!(align_of::<QueuedSignal>() <= align_of::<libc::siginfo_t>());

/// Queues `signo` with `value` for this process, in the form of a finished asynchronous operation
/// (`SI_ASYNCIO`). Source: `rt_sigqueueinfo(2)`.
///
/// # Errors
///
/// `EINVAL` if `signo` is not the number of a signal; `EAGAIN` if too many signals are queued.
pub fn queue_signal(signo: i32, value: usize) -> io::Result<()> {
    // SAFETY: these two have no arguments and cannot fail.
    let (pid, uid) = (unsafe { libc::getpid() }, unsafe { libc::getuid() });
    let queued = QueuedSignal {
        signo,
        errno: 0,
        code: libc::SI_ASYNCIO,
        sender: Sender { pid, uid, value },
    };
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: there is room for the start, and it is aligned (asserted above).
    unsafe { info.as_mut_ptr().cast::<QueuedSignal>().write(queued) };
    // SAFETY: the pointer leads to a live siginfo_t, which the kernel copies.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signo, info.as_ptr()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Returns whether `signo` is the number of a signal.
pub fn is_signal(signo: i32) -> bool {
    (1..=libc::SIGRTMAX()).contains(&signo)
}

/// Removes a blocked signal of this thread, if it is pending. Source: sigtimedwait(2).
pub fn take_pending(signo: libc::c_int) {
    let set = set_of(&[signo]);
    let at_once = timespec(Duration::ZERO);
    // SAFETY: the set and the time live over the call. A null pointer means that no details are
    // wanted.
    unsafe { libc::sigtimedwait(&raw const set, ptr::null_mut(), &raw const at_once) };
}

/// Returns the address of this thread's errno, which is valid as long as the thread lives.
pub fn errno_place() -> *mut libc::c_int {
    // SAFETY: the call has no arguments.
    unsafe { libc::__errno_location() }
}

/// Names this thread. Source: prctl(2), `PR_SET_NAME`.
pub fn name_this_thread(name: &CStr) {
    // SAFETY: the name lives over the call, and the kernel copies it.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Whether this process has rights that its users do not have: capabilities(7).
#[cfg(feature = "rotate")]
pub fn has_more_rights() -> bool {
    let sets = rustix::thread::capabilities(None);
    sets.is_ok_and(|sets| !sets.effective.is_empty())
}

/// Registers this process for [`membarrier`]. Returns `false` if the kernel does not have it.
pub fn membarrier_register() -> bool {
    let command = libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
    // SAFETY: membarrier(2) takes integers only.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Executes a full fence on every running thread of the process. Returns `false` if the system
/// refused. Source: membarrier(2).
pub fn membarrier() -> bool {
    let command = libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED;
    // SAFETY: membarrier(2) takes integers only.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
