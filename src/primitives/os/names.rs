//! Changes of names in one step, which not every platform has.

use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{RenameFlags, renameat_with};

/// Renames a file in one step; fails with `AlreadyExists` if `to` exists. Source: renameat2(2);
/// `renameatx_np(2)`, `RENAME_EXCL`.
///
/// # Errors
///
/// Those of the call: several mean that the file system, or a filter, does not support it.
pub fn rename_new(folder: BorrowedFd<'_>, from: &OsStr, to: &OsStr) -> io::Result<()> {
    Ok(renameat_with(
        folder,
        from,
        folder,
        to,
        RenameFlags::NOREPLACE,
    )?)
}

/// Swaps two files in one step. Source: renameat2(2); `renameatx_np(2)`, `RENAME_SWAP`.
///
/// # Errors
///
/// As [`rename_new`].
pub fn exchange(folder: BorrowedFd<'_>, one: &OsStr, other: &OsStr) -> io::Result<()> {
    Ok(renameat_with(
        folder,
        one,
        folder,
        other,
        RenameFlags::EXCHANGE,
    )?)
}
