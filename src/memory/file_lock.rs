//! A lock on a file that the children of this process do not share.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::inherited::{Kept, keep_lock};
use crate::primitives::os::file::try_lock;

/// Held for as long as this lives, or the process does.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "it is there to be dropped")] Kept);

impl FileLock {
    /// Locks the file at `path`, made with `mode` if it is not there; `None` if somebody else has the lock.
    ///
    /// # Errors
    ///
    /// Those of open(2) and flock(2).
    pub fn take(path: &Path, mode: u32) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(mode);
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
        let kept = keep_lock(|| options.open(path))?;
        let is_ours = try_lock(kept.lock())?;
        Ok(is_ours.then_some(Self(kept)))
    }
}
