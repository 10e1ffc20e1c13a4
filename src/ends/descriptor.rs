//! The usual sink: a file descriptor. It owns the descriptor and never changes its mode, unless the
//! queue opened the descriptor itself.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;
use std::time::Duration;

use super::log_file;
use super::sink::Sink;
#[cfg(feature = "frames")]
use crate::memory::FileLock;
use crate::primitives::os;
use crate::primitives::sync::{AtomicBool, Mutex, Ordering};
use crate::words::{LogEnd, SyncOp};

/// Appends to a descriptor with write(2), or with writev(2) where padding splits the bytes. A queue
/// on a path or a descriptor uses it. A [`Sink`] that does more wraps it and returns it as its
/// [`inner`](Sink::inner) sink.
///
/// A write to a pipe, a socket or a terminal can block until the other side reads. Such a write
/// cannot be cancelled, not even by a close that has given up and has counted its bytes as lost. So
/// `FileSink` writes to these without waiting, and waits with poll(2). It does not change the mode
/// of the descriptor, which other processes may share. A descriptor that the queue opened itself is
/// made non-blocking, because the kernel has no other way to write to a FIFO without waiting.
///
/// A socket of datagrams or packets, a pipe in packet mode (`O_DIRECT`) and `/dev/kmsg` take
/// messages: each write is one record ([`message_max`](Sink::message_max)).
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
///         Some(&self.0) // does what this sink does not: sync, fork, recovery
///     }
/// }
///
/// # let dir = tempfile::tempdir()?;
/// let log = File::options().append(true).create(true).open(dir.path().join("app.log"))?;
/// let writes = Arc::default();
/// let queue = Options::new().open_sink(Counted(FileSink::new(log.into())?, Arc::clone(&writes)))?;
/// queue.writen(b"a record\n", Flags::WAITOK)?;
/// queue.close(None)?;
/// assert_eq!(writes.load(Ordering::Relaxed), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileSink {
    file: File,
    /// Whether pwritev2(2) can write without waiting here, as far as is known. A write to anything
    /// but a regular file must not wait in the kernel.
    has_nowait: AtomicBool,
    can_sync: bool,
    kind: Kind,
    is_appending: bool,
    file_id: (u64, u64),
    /// The most bytes of one write. A longer write could be mixed with those of other writers.
    room: u64,
    /// The most bytes of one message, if each write is a message.
    message_max: Option<u64>,
    /// The folder of a log that was created, until its entry is durable.
    folder: Mutex<Option<PathBuf>>,
    /// Keeps other queues from a log that can have one writer.
    #[cfg(feature = "frames")]
    _lock: Option<FileLock>,
}

/// How a descriptor takes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A regular file: at once.
    File,
    /// /dev/kmsg: at once, and poll(2) never calls it writable.
    KernelLog,
    /// It may wait for a reader.
    Other,
}

/// The longest write to a pipe that is not mixed with other writes, in bytes. Source: pipe(7).
const PIPE_BUF: u64 = libc::PIPE_BUF as u64;

/// The longest record that /dev/kmsg takes, in bytes: 1024 since Linux 6.6, and 976 or 992 before.
/// Source: kernel/printk/printk.c.
const KERNEL_LOG_MAX: u64 = 1024;

impl FileSink {
    /// Makes a sink on `fd`, which must be open for writing.
    ///
    /// # Errors
    ///
    /// The errors of fstat(2) and `fcntl(2)`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("app.log");
    /// let log = std::fs::File::options().append(true).create(true).open(path)?;
    /// let queue = alq::Options::new().open_sink(alq::FileSink::new(log.into())?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let file = File::from(fd);
        let metadata = file.metadata()?;
        let kind = metadata.file_type();
        let is_kernel_log = kind.is_char_device() && os::file::is_kernel_log(metadata.rdev());
        let message_max = if kind.is_socket() && os::file::is_message_socket(file.as_fd())? {
            Some(u64::MAX)
        } else if kind.is_fifo() && os::file::is_packet_pipe(file.as_fd())? {
            Some(PIPE_BUF)
        } else {
            is_kernel_log.then_some(KERNEL_LOG_MAX)
        };
        Ok(Self {
            has_nowait: AtomicBool::new(true),
            can_sync: kind.is_file() || kind.is_block_device(),
            kind: if kind.is_file() {
                Kind::File
            } else if is_kernel_log {
                Kind::KernelLog
            } else {
                Kind::Other
            },
            is_appending: os::file::is_appending(file.as_fd())?,
            file_id: (metadata.dev(), metadata.ino()),
            room: if kind.is_fifo() { PIPE_BUF } else { u64::MAX },
            message_max,
            folder: Mutex::new(None),
            #[cfg(feature = "frames")]
            _lock: None,
            file,
        })
    }

    /// If `sole`, removes the bound on the length of a write: no other process writes to the
    /// descriptor.
    #[must_use]
    pub(crate) fn sole_writer(mut self, sole: bool) -> Self {
        if sole {
            self.room = u64::MAX;
        }
        self
    }

    /// Makes the sink hold `lock` for as long as it exists.
    #[must_use]
    #[cfg(feature = "frames")]
    pub(crate) fn locked(self, lock: FileLock) -> Self {
        Self {
            _lock: Some(lock),
            ..self
        }
    }

    /// Makes the first sync also sync the entry in `folder`, where the file was just created.
    #[must_use]
    pub(crate) fn created_in(self, folder: Option<PathBuf>) -> Self {
        *self.folder.lock() = folder;
        self
    }

    /// Makes the descriptor non-blocking, unless it is a regular file. Only for a descriptor that
    /// is not shared.
    ///
    /// # Errors
    ///
    /// The errors of `fcntl(2)`.
    pub(crate) fn never_wait(&self) -> io::Result<()> {
        if self.kind == Kind::File {
            return Ok(());
        }
        os::file::set_nonblocking(self.file.as_fd())
    }

    /// Whether a recovery can find out where a write began. A file must be open for appending; for
    /// other descriptors a recovery does not ask.
    pub(crate) fn is_recoverable(&self) -> bool {
        self.kind != Kind::File || self.is_appending
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
        if self.kind == Kind::File {
            return self.write_waiting(runs);
        }
        if let Some(max) = self.message_max {
            let len: usize = runs.iter().map(|run| run.len()).sum();
            if len as u64 > max {
                return Err(too_long());
            }
        }
        if self.kind == Kind::KernelLog {
            return self.write_waiting(runs).map_err(|error| match error {
                error if error.raw_os_error() == Some(libc::EINVAL) => too_long(),
                error => error,
            });
        }
        // Relaxed: only the flusher calls it.
        if self.has_nowait.load(Ordering::Relaxed) {
            match os::write_nowait(self.file.as_fd(), runs) {
                // This device (a terminal, say), this kernel or a filter does not support it.
                // Relaxed: as above.
                Err(error) if is_unsupported(&error) => {
                    self.has_nowait.store(false, Ordering::Relaxed);
                }
                result => return result,
            }
        }
        os::write_when_ready(self.file.as_fd(), runs)
    }

    /// `false`: write(2) always knows.
    fn is_in_doubt(&self) -> bool {
        false
    }

    /// `PIPE_BUF` for a pipe or a FIFO. A longer write may be mixed with writes of other processes.
    fn room(&self) -> u64 {
        self.room
    }

    /// Known for a pipe in packet mode (`PIPE_BUF`) and for `/dev/kmsg` (1024 bytes; older kernels
    /// take 976). The system decides what is too long for a socket.
    fn message_max(&self) -> Option<u64> {
        self.message_max
    }

    fn wait_ready(&self, limit: Duration) -> io::Result<()> {
        os::wait_writable(self.file.as_fd(), limit).map(drop)
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
        let is_log = self.kind == Kind::File && self.is_appending;
        is_log.then(|| log_file::end_of(&self.file).ok())?
    }

    fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        log_file::held(&self.file, end, runs).ok()?
    }

    fn path(&self) -> Option<PathBuf> {
        (self.kind == Kind::File).then(|| os::file::path_of(self.file.as_fd()).ok())?
    }

    /// The first sync of a new log also covers its directory entry. Without the entry, the whole
    /// file could be lost in a crash.
    fn sync(&self, op: SyncOp) -> io::Result<()> {
        match op {
            SyncOp::Data => self.file.sync_data(),
            SyncOp::Full => self.file.sync_all(),
        }?;
        let mut folder = self.folder.lock();
        if let Some(created_in) = &*folder {
            os::file::sync_name(self.file.as_fd(), created_in)?;
            *folder = None;
        }
        Ok(())
    }
}

/// The error of a record that does not fit into one message.
pub(super) fn too_long() -> io::Error {
    io::Error::from_raw_os_error(libc::EMSGSIZE)
}

/// Whether `error` of pwritev2(2) means that it cannot write without waiting here. Nothing was
/// written then.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    matches!(
        errno,
        // EPERM: a filter of system calls. If it is the file that says so, so does write(2).
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::ESPIPE | libc::EPERM)
    )
}
