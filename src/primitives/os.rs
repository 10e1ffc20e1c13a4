//! System calls that the standard library and memmap2 do not offer. Only this file and the files
//! under `os/` make them; `file` is about files, `process` about the process, `thread` about
//! threads.
//!
//! # Safety
//!
//! Every `unsafe` block here is one call into libc. Its arguments are references, owned descriptors
//! or plain integers. So each block only argues what the call does with the pointer that it gets.
#![allow(unsafe_code)]

pub mod file;
pub mod process;
pub mod thread;

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr;
use std::time::{Duration, SystemTime};

use memmap2::MmapOptions;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

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
    Ok(writable && flags & libc::O_PATH == 0)
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
    let count = libc::c_int::try_from(runs.len()).unwrap_or(libc::UIO_MAXIOV);
    // SAFETY: as in `write_nowait`.
    let taken = unsafe { libc::writev(fd.as_raw_fd(), runs.as_ptr().cast(), count) };
    usize::try_from(taken).map_err(|_| io::Error::last_os_error())
}

/// Returns 16 random bytes. Source: getrandom(2).
///
/// # Errors
///
/// Its errors.
#[cfg(feature = "frames")]
pub fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    // SAFETY: the pointer and the length are those of an array that lives over the call.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if usize::try_from(count) == Ok(bytes.len()) {
        Ok(bytes)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Returns the time of the day, in nanoseconds since 1970. Async-signal-safe.
pub fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64)
}

/// The offset that means the file's current offset. Source: pwritev2(2).
const AT_ITS_OFFSET: libc::off_t = -1;

/// Executes one write of `runs` that never waits: it fails with `WouldBlock` instead, in whichever
/// mode the descriptor is. Fails with `Unsupported` if the system cannot do that. Source:
/// pwritev2(2), `RWF_NOWAIT`.
pub fn write_nowait(fd: BorrowedFd<'_>, runs: &[IoSlice<'_>]) -> io::Result<usize> {
    let count = libc::c_int::try_from(runs.len()).unwrap_or(libc::UIO_MAXIOV);
    // SAFETY: `IoSlice` has the layout of `iovec`. The slice of `count` of them lives over the call
    // and is only read.
    let taken = unsafe {
        libc::pwritev2(
            fd.as_raw_fd(),
            runs.as_ptr().cast(),
            count,
            AT_ITS_OFFSET,
            libc::RWF_NOWAIT,
        )
    };
    usize::try_from(taken).map_err(|_| io::Error::last_os_error())
}

/// Executes one write of a part of `runs`, for a system without [`write_nowait`]. Fails with
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
    message.msg_iovlen = runs.len().min(libc::UIO_MAXIOV as usize);
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
    let populate = if populate { libc::MAP_POPULATE } else { 0 };
    let anonymous = if file.is_none() {
        libc::MAP_ANONYMOUS
    } else {
        0
    };
    let flags = libc::MAP_SHARED | libc::MAP_FIXED | populate | anonymous;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let (fd, offset) = file.map_or((-1, 0), |(file, offset)| (file.as_raw_fd(), offset));
    let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: MAP_FIXED replaces exactly [at, at + len), which the caller owns. The descriptor is
    // open, or -1 for new memory.
    let view = unsafe { libc::mmap(at.cast(), len, access, flags, fd, offset) };
    if view == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Maps the pages of the shared mapping `[from, from + len)` at `at` as well. This needs no file,
/// so neither a limit on files nor a filter of system calls prevents it. Source: mremap(2), with an
/// old size of 0.
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

/// Checks that `len` bytes of address space are available now.
///
/// # Errors
///
/// The errors of mmap(2).
pub fn try_map(len: usize) -> io::Result<()> {
    MmapOptions::new().len(len).map_anon().map(drop)
}

/// Sleeps while `word` is `expected`, for at most `limit`. Source: futex(2), `FUTEX_WAIT_PRIVATE`.
///
/// Returns `None` if it was woken, otherwise the errno with which the sleep ended. With a limit, a
/// signal handler ends the sleep (`EINTR`), also with `SA_RESTART` (signal(7)). Without a limit,
/// the kernel may continue the sleep after the handler.
pub fn futex_wait<W>(word: &W, expected: u32, limit: Option<Duration>) -> Option<i32> {
    const { assert!(size_of::<W>() == 4 && align_of::<W>() == 4) };
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(limit.subsec_nanos()),
    });
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

/// Wakes all threads that sleep on `word`. Keeps errno as it was, because a signal handler may call
/// this. Source: futex(2), `FUTEX_WAKE_PRIVATE`.
pub fn futex_wake_all<W>(word: &W) {
    const { assert!(size_of::<W>() == 4 && align_of::<W>() == 4) };
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    let address = ptr::from_ref(word);
    process::keeping_errno(|| {
        // SAFETY: the call uses the address only as a key, and fails only for a bad address.
        unsafe { libc::syscall(libc::SYS_futex, address, operation, libc::c_int::MAX) };
    });
}

/// The `siginfo_t` of a signal that carries a value. Source: sigaction(2), the kernel's `_rt`
/// layout.
#[repr(C)]
struct QueuedSignal {
    signo: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    _pad: libc::c_int,
    pid: libc::pid_t,
    uid: libc::uid_t,
    value: usize,
    _rest: [u64; 12],
}

const _: () = assert!(size_of::<QueuedSignal>() == size_of::<libc::siginfo_t>());

/// Queues `signo` with `value` for this process, in the form of a finished asynchronous operation
/// (`SI_ASYNCIO`). Source: `rt_sigqueueinfo(2)`.
///
/// # Errors
///
/// `EINVAL` if `signo` is not the number of a signal; `EAGAIN` if too many signals are queued.
pub fn queue_signal(signo: i32, value: usize) -> io::Result<()> {
    // SAFETY: these two have no arguments and cannot fail.
    let (pid, uid) = (unsafe { libc::getpid() }, unsafe { libc::getuid() });
    let info = QueuedSignal {
        signo,
        errno: 0,
        code: libc::SI_ASYNCIO,
        _pad: 0,
        pid,
        uid,
        value,
        _rest: [0; 12],
    };
    // SAFETY: the pointer leads to a live value of the size of a siginfo_t (asserted above), which
    // the kernel copies.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signo, &raw const info) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Returns whether `signo` is the number of a signal.
pub fn is_signal(signo: i32) -> bool {
    (1..=libc::SIGRTMAX()).contains(&signo)
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
