//! Calls on files that FreeBSD and Apple's systems share, and the stand-ins for what they lack.
//!
//! # Safety
//!
//! As in call.rs: every block is one call into libc, and argues about its pointers.
#![allow(unsafe_code)]

use std::ffi::CStr;
#[cfg(feature = "rotate")]
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
#[cfg(feature = "rotate")]
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, UNIX_EPOCH};

#[cfg(feature = "rotate")]
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};

#[cfg(feature = "rotate")]
use crate::primitives::os::call::Step;
use crate::primitives::os::call::check;

/// The calls that know files of more than 2 GiB.
#[cfg(feature = "rotate")]
pub mod large {
    pub use libc::{fstat, fstatat, openat, stat};
}

/// Fails: no call writes without waiting whatever the mode of the descriptor is, and that mode
/// belongs to others too. The caller asks poll(2) and writes what fits.
///
/// # Errors
///
/// Always `ENOSYS`.
pub fn write_nowait(_fd: BorrowedFd<'_>, _runs: &[IoSlice<'_>]) -> io::Result<usize> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Returns when the file of `metadata` was created; `None` if the file system does not say.
pub fn created(_file: &File, metadata: &Metadata) -> Option<Duration> {
    metadata.created().ok()?.duration_since(UNIX_EPOCH).ok()
}

/// Returns `false`: a pipe here is a stream.
#[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
pub fn is_packet_pipe(_fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(false)
}

/// Returns `false`: /dev/klog is only read.
pub fn is_kernel_log(_device: u64) -> bool {
    false
}

/// Does nothing: a flock(2) is shown to fcntl(2), which sees both kinds of locks.
pub fn show_lock(_fd: BorrowedFd<'_>) {}

/// Does nothing, as [`show_lock`].
pub fn hide_lock(_fd: BorrowedFd<'_>) {}

/// Returns whether a process has a lock on `file`. Takes no lock. Source: fcntl(2), `F_GETLK`.
pub fn is_locked(file: &File) -> bool {
    let mut lock = MaybeUninit::<libc::flock>::zeroed();
    // SAFETY: all zeros are a lock of the whole file, of no process.
    let lock = unsafe { lock.assume_init_mut() };
    lock.l_type = libc::F_WRLCK;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    let place = &raw mut *lock;
    // SAFETY: the descriptor is open, and the pointer leads to one `flock` that lives over the
    // call.
    let found = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, place) });
    found.is_ok() && lock.l_type != libc::F_UNLCK
}

/// Returns `None`: a flock(2) belongs to an open file, and the system does not say whose that is.
pub fn holder_of(_file: &File, _noted: Option<u32>) -> Option<u32> {
    None
}

/// Returns the type of the file system of `file`; `None` if that file system is in memory. Source:
/// statfs(2).
///
/// # Errors
///
/// The errors of fstatfs(2).
pub fn disk_of(file: &File) -> io::Result<Option<u64>> {
    let mut stat = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open, and the pointer leads to room for one `statfs`.
    check(unsafe { libc::fstatfs(file.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: fstatfs succeeded.
    let stat = unsafe { stat.assume_init() };
    // SAFETY: the kernel ends the name with a NUL.
    let name = unsafe { CStr::from_ptr(stat.f_fstypename.as_ptr()) };
    Ok((name != c"tmpfs").then_some(u64::from(stat.f_type)))
}

/// Fails: no call makes one file system durable.
///
/// # Errors
///
/// Always `EACCES`, the error of the folder that could not be opened for its own sync.
pub fn sync_file_system(_file: BorrowedFd<'_>) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::EACCES))
}

/// Looks at what is under `name` in `folder`, and opens it if it is a folder. Another user could
/// put another link in place between the two calls only if that user may change `folder`, which the
/// caller has checked; a folder is looked at again by its descriptor.
///
/// # Errors
///
/// Those of fstatat(2), readlinkat(2) and openat(2).
#[cfg(feature = "rotate")]
pub fn step(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<Step> {
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        let to = readlinkat(folder, name, Vec::new())?;
        return Ok(Step::Link(stat, OsString::from_vec(to.into_bytes()).into()));
    }
    let may_pass = OFlags::from_bits_retain(libc::O_SEARCH as _);
    let how = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = openat(folder, name, how | may_pass, Mode::empty())?;
    let stat = fstat(&found)?;
    Ok(Step::Place(found, stat))
}
