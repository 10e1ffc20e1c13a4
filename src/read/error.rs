//! Why a log cannot be read.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::words::Escaped;

/// Why a log cannot be read: the file, the step and the reason, in one line.
///
/// A reader can be used after an error. The next call tries the same step again.
///
/// ```
/// use std::io::ErrorKind;
/// use alq::read::Reader;
///
/// let error = Reader::open("/no/such/directory/app.log").unwrap_err();
/// assert_eq!(error.io_error().kind(), ErrorKind::NotFound);
/// assert!(error.to_string().starts_with("/no/such/directory/app.log: "));
/// ```
#[derive(Debug)]
pub struct ReadError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl ReadError {
    pub(super) fn new(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self {
            doing,
            path: path.into(),
            source,
        }
    }

    /// Returns the file that the failed step was about.
    ///
    /// ```
    /// let error = alq::read::Reader::open("/no/such/app.log").unwrap_err();
    /// assert_eq!(error.path().to_str(), Some("/no/such/app.log"));
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the error of the system.
    ///
    /// ```
    /// let error = alq::read::Reader::open("/no/such/app.log").unwrap_err();
    /// assert_eq!(error.io_error().raw_os_error(), Some(2)); // ENOENT
    /// ```
    #[must_use]
    pub fn io_error(&self) -> &io::Error {
        &self.source
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { doing, source, .. } = self;
        write!(f, "{}: cannot {doing}: {source}", Escaped(&self.path))
    }
}

impl core::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<ReadError> for io::Error {
    /// An error of the same kind, with the [`ReadError`] inside.
    fn from(error: ReadError) -> Self {
        Self::new(error.source.kind(), error)
    }
}
