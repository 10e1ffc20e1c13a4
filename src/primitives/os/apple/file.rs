//! What macOS and Apple's other systems have of their own for files.
//!
//! # Safety
//!
//! As in call.rs: every block is one call into libc, and argues about its pointers.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::primitives::os::call::{check, file_id};
use crate::primitives::sync::unique_number;

pub use crate::primitives::os::bsd::file::{
    created, disk_of, hide_lock, holder_of, is_kernel_log, is_locked, is_packet_pipe, show_lock,
    sync_file_system, write_nowait,
};
#[cfg(feature = "rotate")]
pub use crate::primitives::os::bsd::file::{large, step};
#[cfg(feature = "rotate")]
pub use crate::primitives::os::names::{exchange, rename_new};

/// No descriptor only names a file here.
pub const ONLY_NAMES: libc::c_int = 0;

/// Creates an unnamed file of no bytes in memory: one with a name that is removed at once. Closed
/// on exec. Source: shm_open(2).
pub fn memory_file() -> io::Result<File> {
    // At most 31 bytes. Source: `PSHMNAMLEN`, sys/posix_shm.h.
    let name = format!("/alq.{}.{}", std::process::id(), unique_number());
    let name = CString::new(name)?;
    let how = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
    // SAFETY: the name is NUL-terminated and lives over the call; the third argument is the mode.
    let fd = check(unsafe { libc::shm_open(name.as_ptr(), how, 0o600) })?;
    // SAFETY: shm_open returned a new descriptor, which no other value owns. It is closed on exec.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    // SAFETY: as above.
    check(unsafe { libc::shm_unlink(name.as_ptr()) })?;
    Ok(file)
}

/// Makes the number of `onto` refer to the file of `fd`, in one step. There is no dup3(2): a
/// program that another thread starts between the two calls gets the descriptor.
#[cfg(feature = "rotate")]
pub fn duplicate_onto(fd: BorrowedFd<'_>, onto: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: dup2 takes no pointer, and both descriptors are open. It closes the old file of
    // `onto`; the number stays.
    check(unsafe { libc::dup2(fd.as_raw_fd(), onto.as_raw_fd()) })?;
    // SAFETY: F_SETFD takes no pointer; the descriptor is open.
    check(unsafe { libc::fcntl(onto.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

/// Returns the path of `file`, as the kernel knows it now. Source: fcntl(2), `F_GETPATH`.
pub fn path_of(file: BorrowedFd<'_>) -> io::Result<PathBuf> {
    let mut path = [0_u8; libc::PATH_MAX as usize];
    let place = path.as_mut_ptr();
    // SAFETY: the descriptor is open, and the call writes at most `PATH_MAX` bytes.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETPATH, place) })?;
    let path = CStr::from_bytes_until_nul(&path).map_err(io::Error::other)?;
    Ok(OsStr::from_bytes(path.to_bytes()).into())
}

/// Opens the file of `fd`, which may be open only for writing, for reading. A descriptor cannot be
/// opened again here, so it opens the file at its path.
///
/// # Errors
///
/// The errors of open(2); `NotFound` if another file is at that path by now.
pub fn reader_of(fd: BorrowedFd<'_>) -> io::Result<File> {
    let file = File::open(path_of(fd)?)?;
    if file_id(file.as_fd())? == file_id(fd)? {
        Ok(file)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}
