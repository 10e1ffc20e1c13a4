//! The simple face: create, write, flush, drop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::primitives::os;
use crate::words::{Error, Operation};

/// Appends to a descriptor that it borrows. Source: `lib/async-append.h` of Open vSwitch.
///
/// This is its synchronous form: every write is a write(2) on the calling thread, finished when it returns.
/// The descriptor should be in append mode; one that is not is appended to at its own offset. One thread uses an
/// appender at a time. The drop leaves the descriptor open.
///
/// ```
/// use alq::AsyncAppend;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// let file = std::fs::OpenOptions::new().append(true).create(true).open(&path)?;
/// let mut appender = AsyncAppend::new(&file);
/// appender.write(b"one line\n")?;
/// appender.flush()?;
/// assert_eq!(std::fs::read(&path)?, b"one line\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AsyncAppend<'fd> {
    fd: BorrowedFd<'fd>,
}

/// How long one wait for a non-blocking descriptor lasts before it is tried again.
const READY_LIMIT: Duration = Duration::from_secs(1);

impl<'fd> AsyncAppend<'fd> {
    /// An appender on `fd`. Never fails: a descriptor that is not open for writing is an error at the first write.
    ///
    /// ```
    /// let appender = alq::AsyncAppend::new(&std::io::stdout());
    /// ```
    pub fn new(fd: &'fd impl AsFd) -> Self {
        Self { fd: fd.as_fd() }
    }

    /// Whether writes go through a queue. Not yet: this form is synchronous.
    ///
    /// ```
    /// assert!(!alq::AsyncAppend::new(&std::io::stdout()).is_async());
    /// ```
    #[must_use]
    pub fn is_async(&self) -> bool {
        false
    }

    /// Appends all of `bytes`; any number of them, 0 does nothing. Blocks until they are written; a descriptor in
    /// non-blocking mode is waited for.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with what write(2) said. Part of `bytes` may have been written then.
    ///
    /// ```
    /// let (reader, _writer) = std::io::pipe()?;
    /// let mut appender = alq::AsyncAppend::new(&reader); // not open for writing
    /// assert_eq!(appender.write(b"x").unwrap_err().raw_os_error(), 9); // EBADF
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let error = match os::write(self.fd, rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(taken) => {
                    rest = &rest[taken..];
                    continue;
                }
                Err(error) => error,
            };
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => os::wait_writable(self.fd, READY_LIMIT)
                    .map_err(|error| Error::io(Operation::Write, &error))?,
                _ => return Err(Error::io(Operation::Write, &error)),
            }
        }
        Ok(())
    }

    /// Returns once everything written before is with the descriptor: at once, in this form.
    ///
    /// # Errors
    ///
    /// None, in this form.
    ///
    /// ```
    /// alq::AsyncAppend::new(&std::io::stdout()).flush()?;
    /// # Ok::<(), alq::Error>(())
    /// ```
    pub fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl io::Write for AsyncAppend<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        AsyncAppend::write(self, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(AsyncAppend::flush(self)?)
    }
}
