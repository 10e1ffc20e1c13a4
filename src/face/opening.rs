//! Opening the log or descriptor at the end of a queue.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use crate::ends::FileSink;
use crate::primitives::os;
#[cfg(feature = "chain")]
use crate::words::frame::chain::ChainKey;
use crate::words::{Error, Framing, Operation, Target};

/// The options with which a log is opened.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option")]
pub struct Opening {
    pub mode: u32,
    pub follow_links: bool,
    pub sole_writer: bool,
    /// How the records are separated in the file.
    pub framing: Framing,
    /// Whether the frames of a new log have time stamps.
    #[cfg(feature = "frames")]
    pub stamps: bool,
    /// The key of the chain over the frames.
    #[cfg(feature = "chain")]
    pub chain: Option<ChainKey>,
    /// Whether a torn record that is removed is kept in another file.
    pub keep_torn: bool,
    /// Whether a torn line at the end of the log is ended first; if not set, a log of lines does.
    pub end_torn_line: Option<bool>,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            mode: 0o600,
            follow_links: false,
            sole_writer: false,
            framing: Framing::Raw,
            #[cfg(feature = "frames")]
            stamps: false,
            #[cfg(feature = "chain")]
            chain: None,
            keep_torn: false,
            end_torn_line: None,
        }
    }
}

impl Opening {
    /// Opens the log at `path`, creates it if needed, and returns it with its name for errors.
    pub fn open(self, path: &Path) -> Result<(FileSink, Target), Error> {
        let target = Target::from(path);
        let sink = self.open_file(path).map_err(|error| error.about(&target))?;
        Ok((sink, target))
    }

    fn open_file(self, path: &Path) -> Result<FileSink, Error> {
        if self.mode > 0o7777 {
            return Err(Error::InvalidOption {
                option: "mode",
                value: u64::from(self.mode),
                allowed: "0 to 0o7777",
            });
        }
        let open_error = |error| Error::io(Operation::Open, &error);
        let (fd, created) = os::open_log(path, self.mode, self.follow_links).map_err(open_error)?;
        let folder = if created {
            folder_of(path).map_err(open_error)?
        } else {
            None
        };
        let sink = FileSink::new(fd).map_err(open_error)?;
        sink.never_wait().map_err(open_error)?;
        Ok(sink.created_in(folder).sole_writer(self.sole_writer))
    }

    /// Duplicates `fd`, and returns the duplicate with its name for errors.
    pub fn duplicate(self, fd: BorrowedFd<'_>) -> Result<(FileSink, Target), Error> {
        let target = Target::descriptor(fd.as_raw_fd());
        let error = |error| Error::io(Operation::Duplicate, &error).about(&target);
        if !os::is_writable(fd).map_err(error)? {
            return Err(Error::BadDescriptor);
        }
        let duplicate = fd.try_clone_to_owned().map_err(error)?;
        let sink = FileSink::new(duplicate).map_err(error)?;
        Ok((sink.sole_writer(self.sole_writer), target))
    }
}

/// Returns the folder in which a log was created. The first sync covers it too.
fn folder_of(path: &Path) -> io::Result<Option<PathBuf>> {
    // The log may have been created through a link.
    let path = path.canonicalize()?;
    Ok(path.parent().map(Path::to_owned))
}
