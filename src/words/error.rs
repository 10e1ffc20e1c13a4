//! What can go wrong, one variant a cause.

use core::time::Duration;
use std::io;
use std::path::{Path, PathBuf};

use super::{Flags, FramingProblem, Position, RingFileProblem, RotationProblem, Target};

/// The step that failed in [`Error::Io`].
///
/// ```
/// use alq::{Error, Operation, Options};
///
/// match Options::new().open("/no/such/directory/app.log") {
///     Err(Error::Io { operation: Operation::Open, errno, .. }) => assert_eq!(errno, 2), // ENOENT
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// open(2) of the log.
    Open,
    /// Duplicating a descriptor: fcntl(2) with `F_DUPFD_CLOEXEC`.
    Duplicate,
    /// Mapping the ring.
    Map,
    /// Starting the flusher thread.
    Spawn,
    /// write(2) or writev(2) of the flusher, or of a synchronous append.
    Write,
    /// fdatasync(2) or fsync(2) of the log, or fsync(2) of its folder.
    Sync,
    /// Queueing a signal.
    Signal,
    /// Running the flusher thread, which panicked: by a fault of the sink or of this library.
    Flusher,
    /// Opening, creating, locking or reading the ring file.
    RingFile,
}

/// Says why a call failed.
///
/// Each cause has its own variant: a record that never fits ([`TooLarge`](Error::TooLarge)) is not
/// a queue that is full now ([`WouldBlock`](Error::WouldBlock)). Each error has an
/// [`errno`](Error::errno) and converts into an [`io::Error`] of the matching kind.
///
/// `Display` says in one line what failed, on which path, why, and what to do. `Debug` says the
/// same after `alq: `, for `unwrap` and for a `main` that returns the error.
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
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The queue is full, and the call must not wait ([`Flags::NOWAIT`]).
    WouldBlock,
    /// The record never fits, even into an empty queue or entry.
    TooLarge {
        /// The length that was asked for, in bytes.
        len: usize,
        /// The largest length that this queue or reservation takes, in bytes.
        max: usize,
    },
    /// A record cannot have this length: 0, or on a fixed queue any length but that of its entries.
    InvalidLength {
        /// The length that was asked for, in bytes.
        len: usize,
    },
    /// A `Display` implementation returned an error, so there is no text to append.
    Format,
    /// Both or neither of [`Flags::WAITOK`] and [`Flags::NOWAIT`], or a bit without a name.
    InvalidFlags {
        /// The flags of the call.
        flags: Flags,
    },
    /// A call for [fixed](crate::Options::fixed) queues on a variable one, or the reverse; or a
    /// call for [recorders](crate::Options::recorder) on another queue, or the reverse.
    WrongMode,
    /// An option has a value out of its range.
    InvalidOption {
        /// The method of [`Options`](crate::Options) that set it.
        option: &'static str,
        /// The value.
        value: u64,
        /// The range, as text.
        allowed: &'static str,
    },
    /// The queue is closed.
    Closed,
    /// The time-out of the call has passed.
    TimedOut,
    /// No member of the list of a [`suspend`](crate::suspend) completed within its time-out.
    NoneCompleted,
    /// An open [`Entry`](crate::Entry) has blocked the drain for the [stall
    /// limit](crate::Options::stall_limit). It may be the caller's own. Nothing is lost: the
    /// records after it are written once it is posted or dropped.
    ///
    /// From an append to a [recorder](crate::Options::recorder): the oldest record is an open
    /// entry, which cannot be overwritten, so there is no room for this record. The age is 0.
    Held {
        /// Where the drain is blocked.
        position: Position,
        /// For how long it has been blocked there.
        age: Duration,
    },
    /// The sink has accepted no data for the [stall limit](crate::Options::stall_limit). Nothing is
    /// lost: the data is kept, and the flusher retries.
    Stalled {
        /// Why, as errno: `ENOSPC` or `EDQUOT` if the disk is full, `EAGAIN` if the reader does not
        /// read or a write does not return.
        errno: i32,
        /// The log, descriptor or sink.
        target: Target,
    },
    /// The descriptor is not open for writing.
    BadDescriptor,
    /// The descriptor cannot be synced: a pipe, a socket, a terminal.
    NotSyncable,
    /// The queue has as many outstanding completions as it
    /// [allows](crate::Options::outstanding_max).
    TooManyOutstanding,
    /// The position belongs to another queue, or was never returned.
    InvalidPosition,
    /// The list of a [`suspend`](crate::suspend) has no members.
    NothingToWaitFor,
    /// A signal handler ran during a [`suspend`](crate::suspend).
    Interrupted,
    /// The call would wait on a thread that the queue needs to make progress: a
    /// [`Sink`](crate::Sink) has called its own queue.
    WouldDeadlock,
    /// The queue or the completion belongs to the parent process; this is a child made by fork(2).
    Forked,
    /// The ring file exists and cannot be used as asked. It was not changed.
    RingFile {
        /// The ring file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Box<RingFileProblem>,
    },
    /// A log cannot be continued with the [framing](crate::Options::framing) that was asked for. It
    /// was not changed.
    Framing {
        /// The log.
        target: Target,
        /// What is wrong with it.
        problem: Box<FramingProblem>,
    },
    /// A sink refuses to be the log of the queue's ring file
    /// ([`Sink::opened`](crate::Sink::opened)).
    SinkRefused {
        /// The place or the path of the sink's log.
        target: Target,
        /// The errno of the sink's error, or of its kind.
        errno: i32,
        /// The text of the sink's error.
        reason: Box<str>,
    },
    /// A log cannot be rotated as asked. It was not changed.
    Rotation(Box<RotationProblem>),
    /// A system call failed. After a failed write the queue has failed until it is
    /// [reopened](crate::Queue::reopen): data that is posted and not written stays in the ring, and
    /// later appends return the same error. (`EMSGSIZE` is no failure of the queue: a record was too
    /// long for one [message](crate::Sink::message_max), and is lost alone.)
    Io {
        /// The step that failed.
        operation: Operation,
        /// The errno of the system call.
        errno: i32,
        /// The path, descriptor or queue.
        target: Target,
    },
}

impl Error {
    /// Returns the errno that is closest to the cause. The C library returns the same.
    ///
    /// ```
    /// assert_eq!(alq::Error::WouldBlock.errno(), 11); // EAGAIN on Linux
    /// ```
    #[must_use]
    pub fn errno(&self) -> i32 {
        match *self {
            Self::WouldBlock | Self::TooManyOutstanding | Self::NoneCompleted => libc::EAGAIN,
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
            Self::Framing { ref problem, .. } => problem.errno(),
            Self::Rotation(ref problem) => problem.errno(),
            Self::Stalled { errno, .. }
            | Self::SinkRefused { errno, .. }
            | Self::Io { errno, .. } => errno,
        }
    }

    /// Returns the errno of the system call that failed, as [`io::Error::raw_os_error`]; `None` if
    /// no system call failed.
    ///
    /// ```
    /// let error = alq::Options::new().open("/no/such/directory/app.log").unwrap_err();
    /// assert_eq!(error.raw_os_error(), Some(2)); // ENOENT
    /// assert_eq!(alq::Error::WouldBlock.raw_os_error(), None); // found by alq itself
    /// ```
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match *self {
            Self::Stalled { errno, .. } | Self::Io { errno, .. } => Some(errno),
            Self::Rotation(ref problem) => match **problem {
                RotationProblem::Impossible { errno, .. } => Some(errno),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the path, descriptor or queue on which a system call failed, if it is known.
    ///
    /// ```
    /// let error = alq::Options::new().open("/no/such/directory/app.log").unwrap_err();
    /// assert_eq!(error.target().unwrap().to_string(), "/no/such/directory/app.log");
    /// ```
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Stalled { target, .. }
            | Self::Framing { target, .. }
            | Self::SinkRefused { target, .. }
            | Self::Io { target, .. } => (!target.is_unknown()).then_some(target),
            _ => None,
        }
    }

    /// The same error, about `target` unless it names one already.
    #[must_use]
    pub(crate) fn about(mut self, about: &Target) -> Self {
        if let Self::Stalled { target, .. }
        | Self::Framing { target, .. }
        | Self::SinkRefused { target, .. }
        | Self::Io { target, .. } = &mut self
        {
            if target.is_unknown() {
                target.clone_from(about);
            }
        }
        self
    }

    /// What is wrong with the ring file at `path`.
    pub(crate) fn ring_file(path: &Path, problem: RingFileProblem) -> Self {
        Self::RingFile {
            path: path.to_owned(),
            problem: Box::new(problem),
        }
    }

    /// Why a log cannot be continued; [`about`](Error::about) adds the target.
    pub(crate) fn framing(problem: FramingProblem) -> Self {
        Self::Framing {
            target: Target::default(),
            problem: Box::new(problem),
        }
    }

    /// Why a sink refuses a ring file; [`about`](Error::about) adds the target.
    pub(crate) fn sink_refused(source: &io::Error) -> Self {
        Self::SinkRefused {
            target: Target::default(),
            errno: errno_of(source),
            reason: source.to_string().into(),
        }
    }

    /// The error of `operation` that `source` reports; [`about`](Error::about) adds the target.
    pub(crate) fn io(operation: Operation, source: &io::Error) -> Self {
        Self::Io {
            operation,
            errno: errno_of(source),
            target: Target::default(),
        }
    }
}

/// The errno of `source`. An error that the standard library made itself (a NUL byte in a path, for
/// example) has none; it gets the one of its kind.
pub fn errno_of(source: &io::Error) -> i32 {
    source.raw_os_error().unwrap_or(match source.kind() {
        io::ErrorKind::InvalidInput => libc::EINVAL,
        io::ErrorKind::WouldBlock => libc::EAGAIN,
        io::ErrorKind::TimedOut => libc::ETIMEDOUT,
        io::ErrorKind::WriteZero | io::ErrorKind::StorageFull => libc::ENOSPC,
        io::ErrorKind::QuotaExceeded => libc::EDQUOT,
        _ => libc::EIO,
    })
}

impl core::error::Error for Error {}

impl From<Error> for io::Error {
    /// An error of the kind that the errno has, with the [`Error`] inside ([`io::Error::get_ref`]).
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Closed => io::ErrorKind::BrokenPipe,
            Error::NoneCompleted => io::ErrorKind::TimedOut,
            _ => Self::from_raw_os_error(error.errno()).kind(),
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Operation};
    use crate::words::{Flags, Target};
    use std::io;
    use std::path::Path;

    fn failed(operation: Operation, errno: i32) -> Error {
        Error::Io {
            operation,
            errno,
            target: Target::from(Path::new("app.log")),
        }
    }

    #[test]
    fn each_error_has_the_errno_and_kind_of_the_table() {
        let flags = Flags::empty();
        let table = [
            (Error::WouldBlock, libc::EAGAIN, io::ErrorKind::WouldBlock),
            (
                Error::InvalidFlags { flags },
                libc::EINVAL,
                io::ErrorKind::InvalidInput,
            ),
            (Error::Closed, libc::ESHUTDOWN, io::ErrorKind::BrokenPipe),
            (Error::TimedOut, libc::ETIMEDOUT, io::ErrorKind::TimedOut),
            (Error::NoneCompleted, libc::EAGAIN, io::ErrorKind::TimedOut),
            (
                failed(Operation::Write, libc::ENOSPC),
                libc::ENOSPC,
                io::ErrorKind::StorageFull,
            ),
        ];
        for (error, errno, kind) in table {
            assert_eq!(error.errno(), errno, "{error}");
            assert_eq!(io::Error::from(error).kind(), kind);
        }
    }

    #[test]
    fn an_error_is_small_and_equal_to_the_same_cause_elsewhere() {
        assert!(size_of::<Error>() <= 48, "{}", size_of::<Error>());
        let here = failed(Operation::Open, libc::ENOENT);
        let there = Error::io(Operation::Open, &io::Error::from_raw_os_error(libc::ENOENT));
        assert_eq!(here, there);
        assert_eq!(there.target(), None);
        assert_eq!(
            there.about(&Target::queue(7)).target().unwrap().to_string(),
            "queue 7"
        );
        let kept = here.about(&Target::queue(7));
        assert_eq!(kept.target().unwrap().path(), Some(Path::new("app.log")));
    }
}
