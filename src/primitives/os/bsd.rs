//! What FreeBSD and Apple's systems share, and the stand-ins for what they lack.
//!
//! # Safety
//!
//! As in call.rs: every block is one call into libc, and argues about its pointers.
#![allow(unsafe_code)]

pub mod file;
#[cfg(feature = "read")]
pub mod watch;

use std::io;

use super::call::check;

/// Fails: no such system maps shared memory again without a file.
///
/// # Errors
///
/// Always `ENOSYS`.
///
/// # Safety
///
/// None is needed: it touches nothing.
pub unsafe fn map_again(_from: *mut u8, _len: usize, _at: *mut u8) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Returns `false`: both sides of a handshake execute a full fence (`primitives/fence.rs`).
pub fn membarrier_register() -> bool {
    false
}

/// Returns `false`: no process is registered.
pub fn membarrier() -> bool {
    false
}

/// Returns 16 random bytes. Source: getentropy(3).
///
/// # Errors
///
/// Its errors.
pub fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    // SAFETY: the pointer and the length are those of an array that lives over the call.
    check(unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), bytes.len()) })?;
    Ok(bytes)
}

/// Returns the address of this thread's errno, which is valid as long as the thread lives.
pub fn errno_place() -> *mut libc::c_int {
    // SAFETY: the call has no arguments.
    unsafe { libc::__error() }
}

/// Whether this process has rights that its users do not have. Source: issetugid(2).
#[cfg(feature = "rotate")]
pub fn has_more_rights() -> bool {
    // SAFETY: the call has no arguments and cannot fail.
    unsafe { libc::issetugid() != 0 }
}
