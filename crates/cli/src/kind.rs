//! What sort of file FILE is: a regular file, a pipe, a terminal or something else.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// What is known of the file that was opened as FILE: nothing, if it has been moved away since.
#[derive(Debug, Default)]
pub struct Kind(Option<Metadata>);

impl Kind {
    /// The file at `path`, which was just opened.
    pub fn at(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self(None)),
            found => Ok(Self(Some(found?))),
        }
    }

    /// The file of an open descriptor.
    pub fn of(fd: impl AsFd) -> io::Result<Self> {
        let file = File::from(fd.as_fd().try_clone_to_owned()?);
        Ok(Self(Some(file.metadata()?)))
    }

    pub fn is_file(&self) -> bool {
        self.0.as_ref().is_none_or(Metadata::is_file)
    }

    /// Returns true for a pipe or a socket, where the writes of several processes become one
    /// stream.
    pub fn is_pipe(&self) -> bool {
        let kind = self.0.as_ref().map(Metadata::file_type);
        kind.is_some_and(|kind| kind.is_fifo() || kind.is_socket())
    }

    /// Returns true if this is the terminal at `path`, which already shows the log.
    pub fn is_terminal(&self, path: &Path) -> bool {
        let kind = self.0.as_ref().map(Metadata::file_type);
        kind.is_some_and(|kind| kind.is_char_device())
            && rustix::fs::open(path, OFlags::WRONLY | OFlags::NOCTTY, Mode::empty())
                .is_ok_and(rustix::termios::isatty)
    }

    /// Returns true if `other` is the same regular file. Appending a file to itself would never
    /// end.
    pub fn is_same_file(&self, other: &Metadata) -> bool {
        let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        let ours = self.0.as_ref().filter(|ours| ours.is_file());
        ours.is_some_and(|ours| identity(ours) == identity(other))
    }
}
