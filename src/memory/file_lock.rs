//! A lock on a file that the children of this process do not share.

use std::fs::File;
use std::io;

use super::inherited::{Kept, keep_lock};
use crate::primitives::os::file::try_lock;

/// A lock on a file. It is held until this value is dropped or the process ends.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "its drop releases the lock")] Kept);

impl FileLock {
    /// Locks the file that `open` opens; returns `None` if the lock is already taken.
    ///
    /// # Errors
    ///
    /// The errors of `open` and of flock(2).
    pub fn take(open: impl Fn() -> io::Result<File>) -> io::Result<Option<Self>> {
        let kept = keep_lock(open)?;
        let is_ours = try_lock(kept.lock())?;
        Ok(is_ours.then_some(Self(kept)))
    }
}
