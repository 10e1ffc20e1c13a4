//! Calls on files that only FreeBSD has.
//!
//! # Safety
//!
//! As in call.rs: every block is one call into libc, and argues about its pointers.
#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::primitives::os::call::check;

pub use crate::primitives::os::bsd::file::{
    created, disk_of, hide_lock, holder_of, is_kernel_log, is_locked, is_packet_pipe, show_lock,
    sync_file_system, write_nowait,
};
#[cfg(feature = "rotate")]
pub use crate::primitives::os::bsd::file::{large, step};

/// The flag of a descriptor that only names a file.
pub const ONLY_NAMES: libc::c_int = libc::O_PATH;

/// Creates an unnamed file of no bytes in memory, which is closed on exec. Source: shm_open(2),
/// `SHM_ANON`.
pub fn memory_file() -> io::Result<File> {
    let how = libc::O_RDWR | libc::O_CLOEXEC;
    // SAFETY: the name is the value that stands for no name.
    let fd = check(unsafe { libc::shm_open(libc::SHM_ANON, how, 0o600) })?;
    // SAFETY: shm_open returned a new descriptor, which no other value owns.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Makes the number of `onto` refer to the file of `fd`, in one step. Source: dup3(3).
#[cfg(feature = "rotate")]
pub fn duplicate_onto(fd: BorrowedFd<'_>, onto: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: dup3 takes no pointer, and both descriptors are open. It closes the old file of
    // `onto`; the number stays.
    check(unsafe { libc::dup3(fd.as_raw_fd(), onto.as_raw_fd(), libc::O_CLOEXEC) }).map(drop)
}

/// Fails: FreeBSD has no call that renames only to a new name.
///
/// # Errors
///
/// Always `ENOSYS`.
#[cfg(feature = "rotate")]
pub fn rename_new(_folder: BorrowedFd<'_>, _from: &OsStr, _to: &OsStr) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Fails: FreeBSD has no call that swaps two names.
///
/// # Errors
///
/// Always `ENOSYS`.
#[cfg(feature = "rotate")]
pub fn exchange(_folder: BorrowedFd<'_>, _one: &OsStr, _other: &OsStr) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Returns the path of `file`, as the kernel knows it now. Source: fcntl(2), `F_KINFO`.
pub fn path_of(file: BorrowedFd<'_>) -> io::Result<PathBuf> {
    let mut info = MaybeUninit::<libc::kinfo_file>::zeroed();
    let size = libc::c_int::try_from(size_of::<libc::kinfo_file>()).unwrap_or(0);
    // SAFETY: the pointer leads to room for one zeroed `kinfo_file`, for which all zeros are valid.
    unsafe { (*info.as_mut_ptr()).kf_structsize = size };
    // SAFETY: the descriptor is open, and the call writes at most `kf_structsize` bytes.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_KINFO, info.as_mut_ptr()) })?;
    // SAFETY: it was zeroed, and the call has filled it.
    let info = unsafe { info.assume_init() };
    // SAFETY: the kernel ends the path with a NUL.
    let path = unsafe { CStr::from_ptr(info.kf_path.as_ptr()) };
    if path.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(OsStr::from_bytes(path.to_bytes()).into())
}

/// Opens the file of `fd`, which may be open only for writing, for reading. It does not depend on
/// the file's names. Source: open(2), `O_EMPTY_PATH`.
///
/// # Errors
///
/// The errors of openat(2).
pub fn reader_of(fd: BorrowedFd<'_>) -> io::Result<File> {
    let how = libc::O_RDONLY | libc::O_EMPTY_PATH | libc::O_CLOEXEC;
    // SAFETY: the name is a NUL-terminated literal; the call creates no file, so it needs no mode.
    let file = check(unsafe { libc::openat(fd.as_raw_fd(), c"".as_ptr(), how) })?;
    // SAFETY: openat has just created it, and no other code has its number.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(file) }))
}
