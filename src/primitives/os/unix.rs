//! What POSIX gives every platform: writes, waits for room, mappings, masks of signals.
//!
//! # Safety
//!
//! As in call.rs: every block is one call into libc, and argues about its pointers.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr;
use std::time::{Duration, SystemTime};

use memmap2::MmapOptions;

use super::call::{check, count_of};
use super::platform::file::ONLY_NAMES;
use super::platform::{POPULATE, mmap};

/// Opens or creates the log at `path` for appending. Returns it, and whether it was created.
/// Source: open(2).
pub fn open_log(path: &Path, mode: u32, follow_links: bool) -> io::Result<(OwnedFd, bool)> {
    let no_follow = if follow_links { 0 } else { libc::O_NOFOLLOW };
    let mut options = OpenOptions::new();
    options.append(true).mode(mode);
    options.custom_flags(no_follow | libc::O_NOCTTY); // the standard library adds O_CLOEXEC
    match options.clone().create_new(true).open(path) {
        Ok(file) => Ok((file.into(), true)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // With `create`: the path may be a link to a file that does not exist yet, and the file
            // may vanish in between.
            let existed = path.exists();
            let file = options.create(true).open(path)?;
            Ok((file.into(), !existed))
        }
        Err(error) => Err(error),
    }
}

/// Returns whether `fd` is open for writing. Source: fcntl(2), `F_GETFL`.
pub fn is_writable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: F_GETFL takes no pointer; the descriptor is borrowed, so it is open.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    let writable = matches!(flags & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR);
    Ok(writable && flags & ONLY_NAMES == 0)
}

/// Executes one write(2) to `fd`.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length come from a slice that lives over the call and is only
    // read.
    let taken = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(taken).map_err(|_| io::Error::last_os_error())
}

/// Executes one writev(2) of `runs` to `fd`; a single run is written with write(2).
pub fn write_runs(fd: BorrowedFd<'_>, runs: &[IoSlice<'_>]) -> io::Result<usize> {
    if let [run] = runs {
        return write(fd, run);
    }
    // SAFETY: `IoSlice` has the layout of `iovec`. The slice lives over the call and is only
    // read.
    let taken =
        unsafe { libc::writev(fd.as_raw_fd(), runs.as_ptr().cast(), count_of(runs).into()) };
    usize::try_from(taken).map_err(|_| io::Error::last_os_error())
}

/// Returns the time of the day, in nanoseconds since 1970. Async-signal-safe.
pub fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64)
}

/// Executes one write of a part of `runs`, for a system without `pwritev2(2)`. Fails with
/// `WouldBlock` instead of waiting, in whichever mode the descriptor is. Source: poll(2), pipe(7).
///
/// On a socket this is certain. A pipe or a terminal that poll(2) calls writable takes at least
/// `PIPE_BUF` bytes, so this writes no more; it waits only if another process takes that room in
/// between.
pub fn write_when_ready(fd: BorrowedFd<'_>, runs: &[IoSlice<'_>]) -> io::Result<usize> {
    match send_nowait(fd, runs) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => {}
        sent => return sent,
    }
    if !wait_writable(fd, Duration::ZERO)? {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let run = runs.iter().find(|run| !run.is_empty());
    let run = run.map_or(&[][..], |run| &run[..run.len().min(libc::PIPE_BUF)]);
    write(fd, run)
}

/// Sends `runs` to a socket without waiting. Source: sendmsg(2), `MSG_DONTWAIT`.
fn send_nowait(fd: BorrowedFd<'_>, runs: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: all zeros are a message without an address and without control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = runs.as_ptr().cast_mut().cast();
    message.msg_iovlen = count_of(runs).into();
    // SAFETY: `IoSlice` has the layout of `iovec`. The slice of `msg_iovlen` of them lives over the
    // call and is only read.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Waits until `fd` may accept bytes, for at most `limit`. Returns whether it does. Returns early
/// on a signal. Source: poll(2).
pub fn wait_writable(fd: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    let mut polled = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    let limit_ms = libc::c_int::try_from(limit.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the pointer is to one pollfd that lives over the call, and the count is 1.
    match check(unsafe { libc::poll(&raw mut polled, 1, limit_ms) }) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        ready => Ok(ready? > 0),
    }
}

/// Maps `len` bytes over the mapping at `at`: shared, readable and writable. They are the bytes of
/// `file` from an offset on, or new memory. With `populate` the kernel maps every page now, so that
/// no first access pays for it. Source: mmap(2).
///
/// # Safety
///
/// `[at, at + len)` must lie in a mapping that the caller owns and that nothing refers to.
pub unsafe fn map_view(
    at: *mut u8,
    len: usize,
    file: Option<(&File, usize)>,
    populate: bool,
) -> io::Result<()> {
    let populate = if populate { POPULATE } else { 0 };
    let anonymous = if file.is_none() {
        libc::MAP_ANONYMOUS
    } else {
        0
    };
    let flags = libc::MAP_SHARED | libc::MAP_FIXED | populate | anonymous;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let (fd, offset) = file.map_or((-1, 0), |(file, offset)| (file.as_raw_fd(), offset));
    let offset = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: MAP_FIXED replaces exactly [at, at + len), which the caller owns. The descriptor is
    // open, or -1 for new memory.
    let view = unsafe { mmap(at.cast(), len, access, flags, fd, offset) };
    if view == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Returns the size of a page, in bytes. Source: sysconf(3), `_SC_PAGESIZE`.
pub fn page_len() -> u64 {
    // SAFETY: sysconf takes no pointer.
    let len = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(len).unwrap_or(4096) // it never fails
}

/// Checks that `len` bytes of address space are available now.
///
/// # Errors
///
/// The errors of mmap(2).
pub fn try_map(len: usize) -> io::Result<()> {
    MmapOptions::new().len(len).map_anon().map(drop)
}

/// Runs `body` with all signals blocked on this thread. A thread that `body` starts inherits the
/// mask. Source: `pthread_sigmask(3)`.
pub fn with_signals_blocked<T>(body: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set that it is given.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: `all` is initialised, and `before` is room for the old mask. SIG_SETMASK is a valid
    // request, so the call cannot fail, and it initialises `before`.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    let result = body();
    // SAFETY: the first call initialised `before`.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    result
}
