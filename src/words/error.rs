//! What can go wrong, one variant a cause.

use core::fmt;
use core::time::Duration;
use std::io;
use std::path::{Path, PathBuf};

use super::{Flags, Position, RingFileProblem, RotationProblem};

/// The step that failed in [`Error::Io`].
///
/// ```
/// use alq::{Error, Operation, Options};
///
/// match Options::new().open("/no/such/directory/app.log") {
///     Err(Error::Io { operation: Operation::Open, errno }) => assert_eq!(errno, 2), // ENOENT
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// open(2) of the log.
    Open,
    /// `fcntl(2)` with `F_DUPFD_CLOEXEC`.
    Duplicate,
    /// Mapping the ring.
    Map,
    /// Starting the flusher thread.
    Spawn,
    /// write(2) or writev(2) of the flusher, or of a synchronous append.
    Write,
    /// fdatasync(2) or fsync(2) of the log, or fsync(2) of its directory.
    Sync,
    /// Queueing a signal.
    Signal,
    /// The flusher thread panicked (the fault of a sink, or ours).
    Flusher,
    /// Opening, making, locking or reading the ring file.
    RingFile,
}

impl Operation {
    const fn what(self) -> &'static str {
        match self {
            Self::Open => "cannot open the log",
            Self::Duplicate => "cannot duplicate the descriptor",
            Self::Map => "cannot map the ring",
            Self::Spawn => "cannot start the flusher thread",
            Self::Write => "cannot write to the descriptor",
            Self::Sync => "cannot make the log durable",
            Self::Signal => "cannot queue the signal",
            Self::Flusher => "the flusher thread panicked",
            Self::RingFile => "cannot open or make the ring file",
        }
    }
}

/// Why a call did not do what was asked.
///
/// Every cause is a variant of its own: "too large for ever" is not "full now". Each has an errno
/// ([`raw_os_error`](Error::raw_os_error)) and converts into an [`io::Error`] of the fitting kind.
///
/// ```
/// use alq::{Error, Flags, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().capacity(4096).open(dir.path().join("app.log"))?;
/// let refused = queue.writen(&[b'x'; 5000], Flags::WAITOK);
/// assert_eq!(refused, Err(Error::TooLarge { len: 5000, max: 4096 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// There is no room now, and the caller did not want to wait ([`Flags::NOWAIT`]).
    WouldBlock,
    /// `len` bytes can never fit: the most is `max`.
    TooLarge {
        /// The length that was asked for.
        len: usize,
        /// The largest length that this queue or reservation takes.
        max: usize,
    },
    /// A record of this length cannot be: nothing to append.
    InvalidLength {
        /// The length that was asked for.
        len: usize,
    },
    /// A `Display` said that it failed, so there is no text to append.
    Format,
    /// Both or neither of [`Flags::WAITOK`] and [`Flags::NOWAIT`], or a bit without a name.
    InvalidFlags {
        /// What was given.
        flags: Flags,
    },
    /// A call for fixed queues on a variable one, or the other way round.
    WrongMode,
    /// An option has a value that it cannot have.
    InvalidOption {
        /// The method of [`Options`](crate::Options) that set it.
        option: &'static str,
        /// What was given.
        value: u64,
        /// What it may be.
        allowed: &'static str,
    },
    /// The queue is closed.
    Closed,
    /// The time given to the call is over.
    TimedOut,
    /// A reservation in front has been held for so long that waiting for it was given up.
    /// Nothing is lost: what was posted behind it goes out once it is posted or dropped.
    Held {
        /// Where the drain stands.
        position: Position,
        /// For how long it has stood there.
        age: Duration,
    },
    /// The descriptor has taken nothing for the stall limit. Nothing is lost: the data is kept, and is tried again.
    Stalled {
        /// Why, as errno: `ENOSPC` or `EDQUOT` while the disk is full, `EAGAIN` while the other side does not read.
        errno: i32,
    },
    /// The descriptor is not open for writing.
    BadDescriptor,
    /// The descriptor cannot be synced: a pipe, a socket, a terminal.
    NotSyncable,
    /// As many completions are outstanding as the queue [allows](crate::Options::outstanding_max).
    TooManyOutstanding,
    /// The position is of another queue, or was never handed out.
    InvalidPosition,
    /// `suspend` was given nothing to wait for: an empty list, or `None` only.
    NothingToWaitFor,
    /// A signal handler ran during `suspend`.
    Interrupted,
    /// A wait on the thread that everybody waits for: a [`Sink`](crate::Sink) called into its own queue.
    WouldDeadlock,
    /// The queue, or the completion, is one of the parent process, of which this is a child by fork(2).
    Forked,
    /// There is a ring file, and it cannot be used like this. Nothing of it was changed.
    RingFile {
        /// The ring file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Box<RingFileProblem>,
    },
    /// A log cannot be rotated as asked. Nothing of it was changed.
    Rotation(Box<RotationProblem>),
    /// The system said no. A queue that has failed stays so until it is [reopened](crate::Queue::reopen): what was posted
    /// and is not written stays in the ring, and later appends get the same error.
    Io {
        /// What was being done.
        operation: Operation,
        /// What the system said.
        errno: i32,
    },
}

impl Error {
    /// The errno that says the same.
    ///
    /// ```
    /// assert_eq!(alq::Error::WouldBlock.raw_os_error(), 11); // EAGAIN on Linux
    /// ```
    #[must_use]
    pub fn raw_os_error(&self) -> i32 {
        match *self {
            Self::WouldBlock | Self::TooManyOutstanding => libc::EAGAIN,
            Self::Interrupted => libc::EINTR,
            Self::TooLarge { .. } => libc::EMSGSIZE,
            Self::InvalidLength { .. }
            | Self::Format
            | Self::InvalidFlags { .. }
            | Self::WrongMode
            | Self::InvalidOption { .. }
            | Self::NotSyncable
            | Self::InvalidPosition
            | Self::NothingToWaitFor => libc::EINVAL,
            Self::Closed => libc::ESHUTDOWN,
            Self::TimedOut => libc::ETIMEDOUT,
            Self::Held { .. } | Self::WouldDeadlock => libc::EDEADLK,
            Self::BadDescriptor => libc::EBADF,
            Self::Forked => libc::ESRCH,
            Self::RingFile { ref problem, .. } => problem.errno(),
            Self::Rotation(ref problem) => problem.errno(),
            Self::Stalled { errno } | Self::Io { errno, .. } => errno,
        }
    }

    /// What is wrong with the ring file at `path`.
    pub(crate) fn ring_file(path: &Path, problem: RingFileProblem) -> Self {
        Self::RingFile {
            path: path.to_owned(),
            problem: Box::new(problem),
        }
    }

    /// The error of `operation` that `source` reports.
    pub(crate) fn io(operation: Operation, source: &io::Error) -> Self {
        // An error that the standard library made itself (a NUL byte in a path, say) has no errno.
        let errno = source.raw_os_error().unwrap_or(match source.kind() {
            io::ErrorKind::InvalidInput => libc::EINVAL,
            io::ErrorKind::WriteZero | io::ErrorKind::StorageFull => libc::ENOSPC,
            io::ErrorKind::QuotaExceeded => libc::EDQUOT,
            _ => libc::EIO,
        });
        Self::Io { operation, errno }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = |errno| io::Error::from_raw_os_error(errno);
        match *self {
            Self::WouldBlock => f.write_str("the queue is full"),
            Self::TooLarge { len, max } => {
                write!(f, "{len} bytes can never fit; the most is {max}")
            }
            Self::InvalidLength { len } => write!(f, "a record cannot have {len} bytes"),
            Self::Format => f.write_str("a value to be formatted said that it failed"),
            Self::InvalidFlags { flags } => {
                write!(
                    f,
                    "flags {flags:?}: exactly one of WAITOK and NOWAIT is needed"
                )
            }
            Self::WrongMode => f.write_str(
                "writen and getn are for variable queues, write_fixed and get for fixed ones",
            ),
            Self::InvalidOption {
                option,
                value,
                allowed,
            } => write!(f, "option {option}({value}): it must be {allowed}"),
            Self::Closed => f.write_str("the queue is closed"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Held { position, age } => {
                write!(f, "a reservation at {position} has been held for {age:?}")
            }
            Self::Stalled { errno } => {
                write!(f, "the descriptor takes nothing: {}", system(errno))
            }
            Self::NotSyncable => f.write_str("the descriptor cannot be synced"),
            Self::TooManyOutstanding => f.write_str("too many completions are outstanding"),
            Self::InvalidPosition => f.write_str("the position is not one of this queue"),
            Self::NothingToWaitFor => f.write_str("there is nothing in the list to wait for"),
            Self::Interrupted => f.write_str("interrupted by a signal handler"),
            Self::WouldDeadlock => f.write_str("a wait on the flusher thread would never end"),
            Self::BadDescriptor => f.write_str("the descriptor is not open for writing"),
            Self::Forked => f.write_str("it belongs to the parent of this process"),
            Self::Rotation(ref problem) => problem.fmt(f),
            Self::RingFile {
                ref path,
                ref problem,
            } => write!(f, "ring file {}: {problem}", path.display()),
            Self::Io {
                operation: operation @ Operation::Open,
                errno: errno @ libc::ELOOP,
            } => write!(
                f,
                "{}: it is a symbolic link, and follow_links is off ({})",
                operation.what(),
                system(errno)
            ),
            Self::Io {
                operation: operation @ Operation::Open,
                errno: errno @ libc::ENOENT,
            } => write!(
                f,
                "{}: its directory must exist ({})",
                operation.what(),
                system(errno)
            ),
            Self::Io { operation, errno } => {
                write!(f, "{}: {}", operation.what(), system(errno))
            }
        }
    }
}

impl core::error::Error for Error {}

impl From<Error> for io::Error {
    /// An error of the kind that the errno has, with the [`Error`] inside ([`io::Error::get_ref`]).
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Closed => io::ErrorKind::BrokenPipe,
            _ => Self::from_raw_os_error(error.raw_os_error()).kind(),
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Operation};
    use crate::words::Flags;
    use std::io;

    #[test]
    fn each_error_has_the_errno_and_kind_of_the_table() {
        let table = [
            (Error::WouldBlock, libc::EAGAIN, io::ErrorKind::WouldBlock),
            (
                Error::InvalidFlags {
                    flags: Flags::empty(),
                },
                libc::EINVAL,
                io::ErrorKind::InvalidInput,
            ),
            (Error::Closed, libc::ESHUTDOWN, io::ErrorKind::BrokenPipe),
            (Error::TimedOut, libc::ETIMEDOUT, io::ErrorKind::TimedOut),
            (
                Error::Io {
                    operation: Operation::Write,
                    errno: libc::ENOSPC,
                },
                libc::ENOSPC,
                io::ErrorKind::StorageFull,
            ),
        ];
        for (error, errno, kind) in table {
            assert_eq!(error.raw_os_error(), errno, "{error}");
            assert_eq!(io::Error::from(error).kind(), kind);
        }
    }

    #[test]
    fn messages_name_the_numbers_and_the_way_out() {
        let text = Error::TooLarge { len: 9, max: 4 }.to_string();
        assert!(text.contains('9') && text.contains('4'), "{text}");
        let link = Error::Io {
            operation: Operation::Open,
            errno: libc::ELOOP,
        };
        assert!(link.to_string().contains("follow_links"), "{link}");
        let lost = Error::Io {
            operation: Operation::Open,
            errno: libc::ENOENT,
        };
        assert!(lost.to_string().contains("directory must exist"), "{lost}");
    }
}
