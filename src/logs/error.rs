//! What a rotation, or the work behind it, has failed of.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::words::{Error, RotationProblem as Problem};

/// What failed, for [`Rotation::on_error`](super::Rotation::on_error). Nothing is lost by it.
///
/// ```
/// use alq::rotate::{RotateError, Rotation};
///
/// let tell = |error: &RotateError| eprintln!("{error}"); // which file, what was tried, and what the system said
/// let rotation = Rotation::new().on_error(tell);
/// # drop(rotation);
/// ```
#[derive(Debug)]
pub struct RotateError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl RotateError {
    pub(super) fn new(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self {
            doing,
            path: path.into(),
            source,
        }
    }

    /// Why there is no log at all.
    pub(super) fn refusal(self) -> Error {
        Error::Rotation(Box::new(Problem::Impossible {
            doing: self.doing,
            errno: self.source.raw_os_error().unwrap_or(libc::EIO),
            path: self.path,
        }))
    }

    /// The file that it was about.
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

    /// What the system said.
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
        write!(
            f,
            "{}: cannot {}: {}",
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
