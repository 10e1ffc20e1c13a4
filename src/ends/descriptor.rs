//! The sink of production: a file descriptor.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;
use std::time::Duration;

use super::log_file;
use super::sink::Sink;
use crate::primitives::os;
use crate::primitives::sync::{AtomicBool, Mutex, Ordering};
use crate::words::{LogEnd, SyncOp};

/// A descriptor that is appended to with write(2), or writev(2) where padding splits the bytes: what a queue on a path or a
/// descriptor ends in. A [`Sink`] that does more wraps it, and names it as its
/// [`inner`](Sink::inner) sink.
///
/// A write to a pipe, a socket or a terminal can block for as long as the other side does not read, and nobody could
/// take it back then: not a close that has given up, and has counted the bytes as left. So those are written to
/// without waiting, and waited for with poll(2). The descriptor's own mode stays as it is: others may share it. (One that the queue
/// has opened itself is made non-blocking: the kernel cannot write to a FIFO without waiting in another way.)
///
/// ```
/// use std::fs::File;
/// use std::io::{self, IoSlice};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use alq::{FileSink, Flags, Options, Sink};
///
/// /// Counts the writes.
/// struct Counted(FileSink, Arc<AtomicU64>);
///
/// impl Sink for Counted {
///     fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
///         self.1.fetch_add(1, Ordering::Relaxed);
///         self.0.write(runs)
///     }
///
///     fn inner(&self) -> Option<&dyn Sink> {
///         Some(&self.0) // for all that this sink does not do itself: sync, fork, recovery
///     }
/// }
///
/// # let dir = tempfile::tempdir()?;
/// let log = File::options().append(true).create(true).open(dir.path().join("app.log"))?;
/// let writes = Arc::default();
/// let queue = Options::new().to_sink(Counted(FileSink::new(log.into())?, Arc::clone(&writes)))?;
/// queue.writen(b"a record\n", Flags::WAITOK)?;
/// queue.close(None)?;
/// assert_eq!(writes.load(Ordering::Relaxed), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileSink {
    file: File,
    /// Whether a write must not wait in the kernel.
    nowait: AtomicBool,
    can_sync: bool,
    is_file: bool,
    is_appending: bool,
    file_id: (u64, u64),
    /// The most bytes of a write, beyond which it would not be one for other writers.
    room: u64,
    /// The directory of a log that was created, until its entry is durable.
    directory: Mutex<Option<PathBuf>>,
}

/// The longest write to a pipe that is not mixed with other writes. Source: pipe(7).
pub const PIPE_BUF: u64 = libc::PIPE_BUF as u64;

impl FileSink {
    /// A sink on `fd`, which must be open for writing.
    ///
    /// # Errors
    ///
    /// Those of fstat(2) and `fcntl(2)`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let log = std::fs::File::options().append(true).create(true).open(dir.path().join("app.log"))?;
    /// let queue = alq::Options::new().to_sink(alq::FileSink::new(log.into())?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let file = File::from(fd);
        let metadata = file.metadata()?;
        let kind = metadata.file_type();
        Ok(Self {
            nowait: AtomicBool::new(!kind.is_file()),
            can_sync: kind.is_file() || kind.is_block_device(),
            is_file: kind.is_file(),
            is_appending: os::file::is_appending(file.as_fd())?,
            file_id: (metadata.dev(), metadata.ino()),
            room: if kind.is_fifo() { PIPE_BUF } else { u64::MAX },
            directory: Mutex::new(None),
            file,
        })
    }

    /// The same for a descriptor that no other process writes to, if `sole`: writes have no bound.
    #[must_use]
    pub(crate) fn sole_writer(mut self, sole: bool) -> Self {
        if sole {
            self.room = u64::MAX;
        }
        self
    }

    /// The same for a file that was just created in `directory`, whose entry is synced with it.
    #[must_use]
    pub(crate) fn created_in(self, directory: Option<PathBuf>) -> Self {
        *self.directory.lock() = directory;
        self
    }

    /// Has no write wait, for a descriptor that nobody else has.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    pub(crate) fn never_wait(&self) -> io::Result<()> {
        if self.is_file {
            return Ok(());
        }
        os::file::set_nonblocking(self.file.as_fd())
    }

    /// Whether it can be told where a write has begun: of what is no file, nobody asks.
    pub(crate) fn is_recoverable(&self) -> bool {
        !self.is_file || self.is_appending
    }

    fn write_waiting(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        match runs {
            [run] => (&self.file).write(run),
            _ => (&self.file).write_vectored(runs),
        }
    }
}

impl Sink for FileSink {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        // Relaxed: only the flusher comes here.
        if self.nowait.load(Ordering::Relaxed) {
            match os::write_nowait(self.file.as_fd(), runs) {
                Err(error) if is_unsupported(&error) => {
                    // Relaxed: as above. This device (a terminal, say) or this kernel cannot.
                    self.nowait.store(false, Ordering::Relaxed);
                    self.write_waiting(runs)
                }
                result => result,
            }
        } else {
            self.write_waiting(runs)
        }
    }

    /// `PIPE_BUF` for a pipe or a FIFO: a longer write may be mixed with those of other processes.
    fn room(&self) -> u64 {
        self.room
    }

    fn wait_ready(&self, limit: Duration) -> io::Result<()> {
        os::wait_writable(self.file.as_fd(), limit)
    }

    fn can_sync(&self) -> bool {
        self.can_sync
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn file_id(&self) -> Option<(u64, u64)> {
        Some(self.file_id)
    }

    fn end(&self) -> Option<LogEnd> {
        let is_log = self.is_file && self.is_appending;
        is_log.then(|| log_file::end_of(&self.file).ok())?
    }

    fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        log_file::held(&self.file, end, runs).ok()?
    }

    fn path(&self) -> Option<PathBuf> {
        self.is_file.then(|| log_file::path_of(&self.file).ok())?
    }

    /// The first sync of a log that was created covers its directory entry too: without it, the file itself could be
    /// gone after a crash.
    fn sync(&self, op: SyncOp) -> io::Result<()> {
        match op {
            SyncOp::Data => self.file.sync_data(),
            SyncOp::Full => self.file.sync_all(),
        }?;
        let mut directory = self.directory.lock();
        if let Some(created_in) = &*directory {
            os::file::sync_name(self.file.as_fd(), created_in)?;
            *directory = None;
        }
        Ok(())
    }
}

/// Whether pwritev2(2) cannot do without waiting here; nothing was written then.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    matches!(
        errno,
        // EPERM: a filter of system calls. If it is the file that says so, so does write(2).
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::ESPIPE | libc::EPERM)
    )
}
