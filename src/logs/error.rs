//! The error that `on_error` gets: what failed in a rotation or in the work after it.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::words::{Error, RotationProblem as Problem};

/// Says what failed, in [`Rotation::on_error`](super::Rotation::on_error). No record is lost by
/// that.
///
/// ```
/// use alq::rotate::{RotateError, Rotation};
///
/// let tell = |error: &RotateError| eprintln!("{error}"); // the file, the step and the reason
/// let rotation = Rotation::new().on_error(tell);
/// # drop(rotation);
/// ```
#[derive(Debug)]
pub struct RotateError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The step that deletes files until there is room.
pub(super) const KEEP_FREE: &str = "keep room free";

/// Why a step failed. Of several errors with the same reason only the first is reported.
pub(super) type Reason = (io::ErrorKind, Option<i32>);

impl RotateError {
    pub(super) fn new(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self {
            doing,
            path: path.into(),
            source,
        }
    }

    pub(super) fn reason(&self) -> Reason {
        (self.source.kind(), self.source.raw_os_error())
    }

    /// The error of an `open` that was refused for this reason.
    pub(super) fn refusal(self) -> Error {
        Error::Rotation(Box::new(Problem::Impossible {
            doing: self.doing,
            errno: self.source.raw_os_error().unwrap_or(libc::EIO),
            path: self.path,
        }))
    }

    /// Returns the file that the failed step was about.
    ///
    /// ```
    /// use alq::rotate::{RotateError, Rotation};
    ///
    /// let tell = |error: &RotateError| eprintln!("look at {}", error.path().display());
    /// let rotation = Rotation::new().on_error(tell);
    /// # drop(rotation);
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the error of the system.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use alq::rotate::{RotateError, Rotation};
    ///
    /// let tell = |error: &RotateError| match error.io_error().kind() {
    ///     ErrorKind::StorageFull => eprintln!("make room for {}", error.path().display()),
    ///     _ => eprintln!("{error}"),
    /// };
    /// let rotation = Rotation::new().on_error(tell);
    /// # drop(rotation);
    /// ```
    #[must_use]
    pub fn io_error(&self) -> &io::Error {
        &self.source
    }
}

impl fmt::Display for RotateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way_out = match self.source.raw_os_error() {
            Some(libc::ENOSPC) if self.doing == KEEP_FREE => {
                "; no rotated file is left to delete: make room, or ask for less"
            }
            Some(libc::EBUSY) => "; it is a mount point: mount the folder instead of the file",
            _ => "",
        };
        write!(
            f,
            "{}: cannot {}: {}{way_out}",
            self.path.display(),
            self.doing,
            self.source
        )
    }
}

impl core::error::Error for RotateError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.source)
    }
}
