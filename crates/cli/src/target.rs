//! The file that is appended to.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use alq::{Completion, Error, Operation, Options, Queue, Stall, Stats, SyncOp};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::args::Append;
use crate::report::Failure;

/// How soon it is noticed that FILE takes nothing, while something else is waited for.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// FILE, open for appending through a queue.
#[derive(Debug)]
pub struct Target<'a> {
    path: &'a Path,
    metadata: Metadata,
    queue: Queue,
    fsync: bool,
    stall_limit: Duration,
}

impl<'a> Target<'a> {
    /// Opens the file, creating it if need be. Blocks as open(2) does: a FIFO waits for its reader.
    pub fn open(options: &'a Append) -> Result<Self, Failure> {
        let path = &*options.file;
        let queue = Options::new()
            .capacity(options.capacity)
            .mode(options.mode)
            .follow_links(options.follow_links)
            .stall_limit(None) // a reader that pauses is waited for, as with cat(1); a full disk: see `given_up`
            .open(path)
            .map_err(|error| refusal(&error, options))?;
        let metadata = fs::metadata(path).map_err(|error| Failure::new(path.display(), error))?;
        let target = Self {
            path,
            metadata,
            queue,
            fsync: options.fsync,
            stall_limit: options.stall_limit,
        };
        target.sync()?; // nothing is written yet, so this only tells whether --fsync can be kept
        Ok(target)
    }

    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    pub fn path(&self) -> &Path {
        self.path
    }

    /// Whether the file is a terminal, where the log is already to be seen.
    pub fn is_terminal(&self) -> bool {
        self.metadata.file_type().is_char_device()
            && rustix::fs::open(self.path, OFlags::WRONLY | OFlags::NOCTTY, Mode::empty())
                .is_ok_and(rustix::termios::isatty)
    }

    /// Whether `other` is the same regular file: to append a file to itself would never end.
    pub fn is_same_file(&self, other: &Metadata) -> bool {
        let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        self.metadata.is_file() && identity(&self.metadata) == identity(other)
    }

    /// With `--fsync`, waits until everything is on disk; otherwise does nothing.
    pub fn sync(&self) -> Result<(), Failure> {
        if !self.fsync {
            return Ok(());
        }
        let synced = self.queue.fsync(SyncOp::Full);
        let wait = |synced: Completion| self.wait(|limit| synced.wait_timeout(limit));
        synced.and_then(wait).map_err(|error| {
            let way_out = match error {
                Error::NotSyncable => "; this is no file on a disk, so leave out --fsync",
                _ => "",
            };
            Failure::new(
                self.path.display(),
                format!("--fsync failed: {error}{way_out}"),
            )
        })
    }

    /// Why nothing more is to be expected of FILE: a write has failed, or the disk has been full for too long.
    pub fn given_up(&self, stats: &Stats) -> Option<Error> {
        let full = |stall: &Stall| {
            let is_full = stall.errno != Errno::AGAIN.raw_os_error();
            is_full && stall.age >= self.stall_limit
        };
        let stalled = |stall: Stall| Error::Stalled { errno: stall.errno };
        let stall = stats.stalled.filter(full).map(stalled);
        stats.last_error.clone().or(stall)
    }

    /// Repeats a wait with a limit, until it is over or FILE is given up.
    fn wait(&self, wait: impl Fn(Duration) -> Result<(), Error>) -> Result<(), Error> {
        loop {
            match wait(CHECK_INTERVAL) {
                Err(Error::TimedOut) => {}
                over => return over,
            }
            if let Some(error) = self.given_up(&self.queue.stats()) {
                return Err(error);
            }
        }
    }

    /// Writes out what is posted, and says how much could not be.
    pub fn close(&self) -> Result<(), Failure> {
        let flushed = self.wait(|limit| self.queue.flush_timeout(limit));
        let limit = flushed.is_err().then_some(Duration::ZERO);
        let cause = match (flushed, self.queue.close(limit)) {
            (_, Ok(())) => return Ok(()),
            (Err(cause), _) => cause,
            (Ok(()), Err(undrained)) => undrained.cause,
        };
        let problem = match cause {
            Error::Stalled { errno } => format!(
                "no room for {:?}: {}",
                self.stall_limit,
                io::Error::from_raw_os_error(errno)
            ),
            Error::Io {
                operation: Operation::Write,
                errno,
            } => format!("cannot write: {}", io::Error::from_raw_os_error(errno)),
            cause => cause.to_string(),
        };
        let stats = self.queue.stats();
        let written = stats.written_bytes;
        let left = stats.posted_bytes - written;
        let counts = format!("{written} bytes are written, {left} bytes are read and not written");
        Err(Failure::new(
            self.path.display(),
            format!("{problem}; {counts}"),
        ))
    }
}

/// What to say when the queue cannot be opened.
fn refusal(error: &Error, options: &Append) -> Failure {
    let path = &*options.file;
    let errno = match *error {
        Error::Io {
            operation: Operation::Open,
            errno,
        } => errno,
        Error::Io {
            operation: Operation::Map,
            ..
        } => return Failure::new(format_args!("--capacity {}", options.capacity), error),
        _ => return Failure::new(path.display(), error),
    };
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    let way_out = match Errno::from_raw_os_error(errno) {
        Errno::LOOP if is_link && !options.follow_links => {
            "; it is a symbolic link, which --follow-links follows"
        }
        Errno::NOENT if path.as_os_str().is_empty() => "; the name is empty",
        Errno::NOENT => "; its directory must exist",
        Errno::ISDIR => "; name a file in it",
        _ => "",
    };
    let error = io::Error::from_raw_os_error(errno);
    Failure::new(path.display(), format!("cannot open: {error}{way_out}"))
}
