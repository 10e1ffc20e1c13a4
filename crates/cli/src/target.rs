//! The file that is appended to.

use std::cell::Cell;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use alq::rotate::RotatingFile;
use alq::{Completion, Error, Operation, Options, Queue, Stall, Stats, SyncOp};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::args::Append;
use crate::catch_args::WhenFull;
use crate::report::Failure;
use crate::{ring, rotate};

/// How soon it is noticed that FILE takes nothing, while something else is waited for.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// How long a full disk is waited for, if nobody asks for another time.
const STALL_LIMIT: Duration = Duration::from_secs(5);

/// How long the work behind a rotation is waited for at the end, if one was asked for that perhaps does not come any more.
const LAST_WORK: Duration = Duration::from_secs(1);

/// The least time between two lines that tell of dropped ones.
const LOSS_LINES_EVERY: Duration = Duration::from_secs(1);

/// FILE, open for appending through a queue.
#[derive(Debug)]
pub struct Target<'a> {
    path: &'a Path,
    ring: Option<&'a Path>,
    metadata: Metadata,
    queue: Queue,
    /// What is rotated.
    log: Option<RotatingFile>,
    /// Whether a signal has asked for a rotation.
    has_asked: Cell<bool>,
    fsync: bool,
    stall_limit: Duration,
}

impl<'a> Target<'a> {
    /// Opens the file, creating it if need be. Blocks as open(2) does: a FIFO waits for its reader.
    pub fn open(options: &'a Append) -> Result<Self, Failure> {
        let path = &*options.file;
        let mut queue = Options::new()
            .capacity(ring::capacity(options)?)
            .mode(options.mode)
            .follow_links(options.follow_links)
            .stall_limit(None); // a reader that pauses is waited for, as with cat(1); a full disk: see `given_up`
        if options.lines.when_full == WhenFull::Drop {
            queue = queue.loss_lines(LOSS_LINES_EVERY);
        }
        if let Some(ring) = &options.ring {
            queue = queue.ring_file(ring);
        }
        let (queue, log) = if options.rotation.is_on() {
            rotate::open(queue, options).map(|(queue, log)| (queue, Some(log)))
        } else {
            queue.open(path).map(|queue| (queue, None))
        }
        .map_err(|error| refusal(&error, options))?;
        let target = Self {
            path,
            ring: options.ring.as_deref(),
            metadata: metadata(path)?,
            queue,
            log,
            has_asked: Cell::new(false),
            fsync: options.fsync,
            stall_limit: options.stall_limit,
        };
        target.sync()?; // nothing is written yet, so this only tells whether --fsync can be kept
        Ok(target)
    }

    /// The file at `path`, for what is in the ring file, which has these sizes.
    pub fn recover(path: &'a Path, ring: &'a Path, sizes: Options) -> Result<Self, Failure> {
        let sizes = sizes.stall_limit(None);
        let queue = sizes.ring_file(ring).other_log(true).open(path);
        let queue = queue.map_err(|error| match error {
            Error::Io {
                errno,
                operation: Operation::Open,
                ..
            } => cannot_open(path, errno, "; it is a symbolic link: name the file itself"),
            error => ring::refusal(ring, &error),
        })?;
        let metadata = metadata(path)?;
        Ok(Self {
            path,
            ring: Some(ring),
            fsync: metadata.is_file(),
            metadata,
            queue,
            log: None,
            has_asked: Cell::new(false),
            stall_limit: STALL_LIMIT,
        })
    }

    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    pub fn path(&self) -> &Path {
        self.path
    }

    pub fn ring(&self) -> Option<&Path> {
        self.ring
    }

    /// How much of what was posted here is written, without what was found in the ring file.
    pub fn written_bytes(&self) -> u64 {
        let found = self.queue.recovery().map_or(0, |recovery| recovery.bytes);
        self.queue.stats().written_bytes.saturating_sub(found)
    }

    pub fn is_file(&self) -> bool {
        self.metadata.is_file()
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
        self.is_file() && identity(&self.metadata) == identity(other)
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
        let stalled = |stall: Stall| Error::Stalled {
            errno: stall.errno,
            target: self.path.into(),
        };
        let stall = stats.stalled.filter(full).map(stalled);
        stats.last_error.clone().or(stall)
    }

    /// The same of the queue as it is now.
    pub fn is_given_up(&self) -> bool {
        self.given_up(&self.queue.stats()).is_some()
    }

    /// Goes on in a FILE that is opened anew, created if need be. Everything that was posted goes to the old one, unless that
    /// takes nothing any more.
    pub fn reopen(&self) -> Result<(), Failure> {
        if let Some(log) = &self.log {
            log.reopen();
            return Ok(());
        }
        if !self.is_file() {
            return Ok(()); // nobody renames a pipe to have another one
        }
        let reopened = self.queue.reopen_path(self.path);
        let over = reopened.and_then(|reopened| self.wait(|limit| reopened.wait_timeout(limit)));
        over.map_err(|error| match error {
            Error::Io {
                operation: Operation::Open,
                errno,
                ..
            } => cannot_open(self.path, errno, "; it is a symbolic link"),
            error => self.failure(error),
        })
    }

    /// Puts FILE aside and goes on in a new one, behind the line that is open.
    pub fn rotate(&self) -> Result<(), Failure> {
        if let Some(log) = &self.log {
            self.has_asked.set(true);
            log.rotate();
            return Ok(());
        }
        Err(Failure::new(
            self.path.display(),
            "it is rotated on a signal only with one of the --rotate options",
        ))
    }

    /// The files that hold what was appended: those that were cut off, oldest first, and FILE itself.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = match &self.log {
            Some(_) => rotate::rotated(self.path)?,
            None => Vec::new(),
        };
        files.push(self.path.to_owned());
        Ok(files)
    }

    /// Waits until what was cut off is packed, and what is too old is gone. `is_written` says that FILE has got everything.
    pub fn finish_rotation(&self, is_written: bool) {
        let Some(log) = &self.log else { return };
        // A rotation that waits for the end of a line may wait for ever then. What is not packed, the next run packs.
        let is_open = !is_written || rotate::ends_inside_line(self.path);
        let limit = (self.has_asked.get() && is_open).then_some(LAST_WORK);
        let _ = log.wait_background(limit); // its failures were told when they came
    }

    /// Whether FILE ends with a line that is not over, once what was found in the ring file is there.
    pub fn ends_inside_line(&self) -> bool {
        self.is_file() && self.flush().is_ok() && rotate::ends_inside_line(self.path)
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

    /// Waits until everything is written.
    pub fn flush(&self) -> Result<(), Failure> {
        let flushed = self.wait(|limit| self.queue.flush_timeout(limit));
        flushed.map_err(|cause| self.failure(cause))
    }

    /// Writes out what is posted, and says how much could not be.
    pub fn close(&self) -> Result<(), Failure> {
        let flushed = self.wait(|limit| self.queue.flush_timeout(limit));
        let limit = flushed.is_err().then_some(Duration::ZERO);
        match (flushed, self.queue.close(limit)) {
            (_, Ok(())) => Ok(()),
            (Err(cause), _) => Err(self.failure(cause)),
            (Ok(()), Err(undrained)) => Err(self.failure(undrained.cause)),
        }
    }

    /// What to say when not everything is written.
    fn failure(&self, cause: Error) -> Failure {
        let problem = match cause {
            Error::Stalled { errno, .. } => format!(
                "no room for {:?}: {}",
                self.stall_limit,
                io::Error::from_raw_os_error(errno)
            ),
            Error::Io {
                operation: Operation::Write,
                errno,
                ..
            } => format!("cannot write: {}", io::Error::from_raw_os_error(errno)),
            cause => cause.reason().to_string(),
        };
        let stats = self.queue.stats();
        let written = self.written_bytes();
        let left = stats.posted_bytes - stats.written_bytes;
        let counts = match self.ring {
            None => format!("{left} bytes are read and not written"),
            Some(ring) => {
                let ring = ring.display();
                format!("{left} bytes stay in {ring}, and `alq recover {ring}` writes them")
            }
        };
        Failure::new(
            self.path.display(),
            format!("{problem}; {written} bytes are written, {counts}"),
        )
    }
}

impl Drop for Target<'_> {
    /// After a failure behind the opening: what was found in the ring file stays there, if the file does not take it at once.
    /// The drop of the queue would wait for ever.
    fn drop(&mut self) {
        let _ = self.queue.close(Some(Duration::ZERO)); // closed already, or nothing is lost
    }
}

fn metadata(path: &Path) -> Result<Metadata, Failure> {
    fs::metadata(path).map_err(|error| Failure::new(path.display(), error))
}

/// What to say when the queue cannot be opened.
fn refusal(error: &Error, options: &Append) -> Failure {
    let path = &*options.file;
    let links = if options.follow_links {
        ""
    } else {
        "; it is a symbolic link, which --follow-links follows"
    };
    match (error, &options.ring) {
        (
            &Error::Io {
                operation: Operation::Open,
                errno,
                ..
            },
            _,
        ) => cannot_open(path, errno, links),
        (
            Error::Io {
                operation: Operation::Map,
                ..
            },
            _,
        ) => Failure::new("--capacity", error.reason()),
        (
            Error::RingFile { .. }
            | Error::Io {
                operation: Operation::RingFile,
                ..
            },
            Some(ring),
        ) => ring::refusal(ring, error),
        (Error::Rotation(problem), _) => Failure::whole(problem),
        _ => Failure::new(path.display(), error.reason()),
    }
}

/// What to say when open(2) has failed; `links` is what to do about a symbolic link.
fn cannot_open(path: &Path, errno: i32, links: &str) -> Failure {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    let way_out = match Errno::from_raw_os_error(errno) {
        Errno::LOOP if is_link => links,
        Errno::NOENT if path.as_os_str().is_empty() => "; the name is empty",
        Errno::NOENT => "; its directory must exist",
        Errno::ISDIR => "; name a file in it",
        _ => "",
    };
    let error = io::Error::from_raw_os_error(errno);
    Failure::new(path.display(), format!("cannot open: {error}{way_out}"))
}
