//! Opening a reader: on a log with its rotated files, or on a descriptor.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use super::reader::Reader;
use super::shelf::Volume;
use super::source::Source;
use super::{ReadError, ReadOptions};

impl ReadOptions {
    /// Opens the log at `path`, at the beginning of its oldest file: the rotated files beside it
    /// ([`rotate`](crate::rotate) says how they are called) come first. A `path` that is a symbolic
    /// link is followed.
    ///
    /// # Errors
    ///
    /// - `NotFound` if neither the log nor a rotated file exists, unless the log [may be
    ///   missing](ReadOptions::may_be_missing).
    /// - `Other` if the log is no regular file: FIFOs and devices are refused.
    /// - `InvalidInput` if an option is out of range.
    /// - Those of open(2), and of the listing of the folder.
    ///
    /// ```
    /// let error = alq::read::ReadOptions::new().open("/dev/null").unwrap_err();
    /// assert!(error.to_string().contains("not a regular file"));
    /// ```
    pub fn open(self, path: impl AsRef<Path>) -> Result<Reader, ReadError> {
        let path = path.as_ref();
        let checked = self.check();
        checked.map_err(|error| ReadError::new("read with these options", path, error))?;
        Reader::new(path, self)
    }

    /// Reads what comes from an open descriptor, to its end: a pipe, a socket, or a file from its
    /// current offset on. The descriptor is duplicated: the caller may close its own at any time.
    ///
    /// [`Reader::next`] waits for data, and returns `None` at the end. Packed bytes are not
    /// unpacked. The place of an item names the file `/dev/fd/N`, N being the number of the
    /// descriptor, and offsets count from the first byte that was read. A descriptor cannot be read
    /// again, so the calls that seek, resume or follow fail with `Unsupported`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if an option is out of range; those of dup(2). If the descriptor is not open
    /// for reading, `EBADF` comes from the first read.
    ///
    /// ```
    /// use alq::read::{Item, ReadOptions};
    /// use std::io::Write;
    ///
    /// let (from, to) = rustix::pipe::pipe()?;
    /// let mut to = std::fs::File::from(to);
    /// to.write_all(b"one\ntwo\n")?;
    /// drop(to);
    /// let mut reader = ReadOptions::new().open_fd(&from)?;
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert_eq!((record.bytes(), record.offset()), (&b"one"[..], 0));
    /// assert!(reader.seek_last(1).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_fd(self, fd: impl AsFd) -> Result<Reader, ReadError> {
        let fd = fd.as_fd();
        let path = PathBuf::from(format!("/dev/fd/{}", fd.as_raw_fd()));
        let failed = |error| ReadError::new("read the descriptor", &path, error);
        self.check().map_err(failed)?;
        let source = fd.try_clone_to_owned().map(File::from);
        let source = source.and_then(Source::stream).map_err(failed)?;
        let mut reader = Reader::unopened(path.clone(), self);
        reader.begin(Volume {
            source,
            path,
            key: None,
            after: None,
        });
        Ok(reader)
    }
}

impl Reader {
    fn new(path: &Path, options: ReadOptions) -> Result<Self, ReadError> {
        let failed = |error| ReadError::new("open the log", path, error);
        let path = std::path::absolute(path).map_err(failed)?;
        let mut reader = Self::unopened(path, options);
        reader.start()?;
        if reader.current.is_none() && !options.may_be_missing {
            return Err(failed(io::Error::from_raw_os_error(libc::ENOENT)));
        }
        Ok(reader)
    }

    /// Refuses a step that a descriptor cannot make.
    pub(super) fn check_can_seek(&self) -> Result<(), ReadError> {
        #[cfg(feature = "chain")]
        if self.options.chain.is_some() {
            let what = "its chain is proved from the beginning";
            let error = io::Error::new(io::ErrorKind::Unsupported, what);
            return Err(ReadError::new("go to another place", &self.path, error));
        }
        if !self
            .current
            .as_ref()
            .is_some_and(|one| one.source.is_stream())
        {
            return Ok(());
        }
        let what = "it can be read only once, from its beginning";
        let error = io::Error::new(io::ErrorKind::Unsupported, what);
        Err(ReadError::new("go to another place", &self.path, error))
    }
}
