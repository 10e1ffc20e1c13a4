//! FILE, open for appending through a queue.
//!
//! This file owns the queue, and decides with [`Patience`] when FILE is given up. No wait here
//! lasts longer than [`CHECK_INTERVAL`] without a look at FILE, so a stall is always reported.

use std::cell::Cell;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use alq::rotate::RotatingFile;
use alq::{Completion, Error, Operation, Options, Queue, Recovery, Sink, Stats, SyncOp};
use rustix::fs::{Mode, OFlags};

use crate::args::Append;
use crate::catch_args::WhenFull;
use crate::patience::Patience;
use crate::place::Place;
use crate::progress::Progress;
use crate::refusal::{cannot_open, refusal};
use crate::report::{self, Dropped, Failure};
use crate::{ring, rotate};

/// The time between two looks at FILE while waiting for something else.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The longest wait of a recovery for a full disk.
const RECOVERY_STALL_LIMIT: Duration = Duration::from_secs(5);

/// The least time between two lines in FILE about dropped lines.
const LOSS_LINES_EVERY: Duration = Duration::from_secs(1);

/// FILE, open for appending through a queue.
#[derive(Debug)]
pub struct Target<'a> {
    place: Place<'a>,
    ring: Option<&'a Path>,
    /// `None` if the file has been moved away since it was opened.
    metadata: Option<Metadata>,
    queue: Queue,
    /// FILE as a log that is rotated; `None` without rotation.
    log: Option<RotatingFile>,
    /// True if a signal has requested a rotation.
    has_asked: Cell<bool>,
    fsync: bool,
    patience: Patience,
    /// What was dropped until the end of input.
    dropped: Cell<Dropped>,
}

impl<'a> Target<'a> {
    /// Opens FILE, and creates it if it does not exist. Blocks as open(2) does: a FIFO waits for
    /// its reader.
    pub fn open(options: &'a Append) -> Result<Self, Failure> {
        let place = Place::of(&options.file);
        let mut queue = Options::new()
            .capacity(ring::capacity(options)?)
            .mode(options.mode)
            .follow_links(options.follow_links)
            .stall_limit(None); // `Patience` limits the wait for a full disk
        if options.lines.when_full == WhenFull::Drop {
            queue = queue.loss_lines(LOSS_LINES_EVERY);
        }
        if let Some(ring) = &options.ring {
            queue = queue.ring_file(ring);
        }
        let refused = |error| refusal(&error, options);
        let failed = |error| Failure::new(place, error);
        let mut log = None;
        // The metadata of a rotated log comes from its descriptor: as soon as there is a flusher,
        // the name may belong to another file or to no file.
        let (queue, metadata) = match place {
            Place::Output => {
                let queue = queue.from_fd(io::stdout()).map_err(refused)?;
                (queue, metadata_of(io::stdout()).map(Some).map_err(failed))
            }
            Place::File(_) if options.rotation.is_on() => {
                let file = log.insert(rotate::open(options).map_err(refused)?);
                let metadata = file.descriptor().map(metadata_of).transpose();
                let metadata = metadata.map_err(failed)?;
                (queue.to_sink(file.clone()).map_err(refused)?, Ok(metadata))
            }
            Place::File(path) => {
                let queue = queue.open(path).map_err(refused)?;
                (queue, metadata(path).map_err(failed))
            }
        };
        let mut target = Self {
            place,
            ring: options.ring.as_deref(),
            metadata: None,
            queue,
            log,
            has_asked: Cell::new(false),
            fsync: options.fsync,
            patience: Patience::new(options.stall_limit()),
            dropped: Cell::default(),
        };
        if let (Some(ring), false) = (&options.ring, options.ring_on_disk) {
            ring::warn_of_disk(ring);
        }
        // From here on, an early return drops the target, which does not wait for FILE.
        target.metadata = metadata?;
        target.sync()?; // nothing is written yet: this only checks that --fsync is possible
        Ok(target)
    }

    /// Opens a queue that recovers the ring file `ring`, which has these sizes, into the file at
    /// `path`. `file` is that file if it is already open.
    pub fn recover(
        path: &'a Path,
        file: Option<File>,
        ring: &'a Path,
        sizes: Options,
    ) -> Result<Self, Failure> {
        let sizes = sizes.stall_limit(None).ring_file(ring).other_log(true);
        let queue = match &file {
            Some(file) => sizes.from_fd(file),
            None => sizes.open(path),
        };
        let queue = queue.map_err(|error| match error {
            Error::Io {
                errno,
                operation: Operation::Open,
                ..
            } => cannot_open(path, errno, "; it is a symbolic link: name the file itself"),
            error => ring::refusal(ring, &error),
        })?;
        let mut target = Self {
            place: Place::File(path),
            ring: Some(ring),
            fsync: false,
            metadata: None,
            queue,
            log: None,
            has_asked: Cell::new(false),
            patience: Patience::new(Some(RECOVERY_STALL_LIMIT)),
            dropped: Cell::default(),
        };
        let metadata = match file {
            Some(file) => file.metadata().map(Some),
            None => metadata(path),
        };
        target.metadata = metadata.map_err(|error| Failure::new(report::shown(path), error))?;
        target.fsync = target.is_file();
        Ok(target)
    }

    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    pub fn place(&self) -> Place<'a> {
        self.place
    }

    pub fn ring(&self) -> Option<&Path> {
        self.ring
    }

    /// FILE as a log that is rotated; `None` without rotation.
    pub fn log(&self) -> Option<&RotatingFile> {
        self.log.as_ref()
    }

    /// Returns true if a signal has requested a rotation.
    pub fn has_asked(&self) -> bool {
        self.has_asked.get()
    }

    /// The number of bytes of the input that are written, without those found in the ring file.
    pub fn written_bytes(&self) -> u64 {
        let found = |recovery: &Recovery| recovery.bytes - recovery.drained;
        let found = self.queue.recovery().map_or(0, found);
        self.queue.stats().written_bytes.saturating_sub(found)
    }

    pub fn is_file(&self) -> bool {
        self.metadata.as_ref().is_none_or(Metadata::is_file)
    }

    /// Returns true for a pipe or a socket, where the writes of several processes become one
    /// stream.
    pub fn is_pipe(&self) -> bool {
        let kind = self.metadata.as_ref().map(Metadata::file_type);
        kind.is_some_and(|kind| kind.is_fifo() || kind.is_socket())
    }

    /// Returns true if FILE is a terminal, which already shows the log.
    pub fn is_terminal(&self) -> bool {
        let kind = self.metadata.as_ref().map(Metadata::file_type);
        kind.is_some_and(|kind| kind.is_char_device())
            && rustix::fs::open(
                self.place.path(),
                OFlags::WRONLY | OFlags::NOCTTY,
                Mode::empty(),
            )
            .is_ok_and(rustix::termios::isatty)
    }

    /// Returns true if `other` is the same regular file. Appending a file to itself would never
    /// end.
    pub fn is_same_file(&self, other: &Metadata) -> bool {
        let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        let ours = self.metadata.as_ref().filter(|ours| ours.is_file());
        ours.is_some_and(|ours| identity(ours) == identity(other))
    }

    /// From now on, messages are printed above this progress line.
    pub fn beside(&self, progress: &Progress) {
        self.patience.beside(progress);
    }

    /// Shortens the wait for a full disk to `limit`, if a ring file keeps what is not written.
    pub fn hurry(&self, limit: Duration) {
        if self.ring.is_some() {
            self.patience.shorten(limit);
        }
    }

    /// Notes what was dropped, for the message of a failure.
    pub fn note_dropped(&self, dropped: Dropped) {
        self.dropped.set(dropped);
    }

    /// With `--fsync`, waits until everything is on disk. Without it, does nothing.
    pub fn sync(&self) -> Result<(), Failure> {
        if !self.fsync {
            return Ok(());
        }
        let synced = self.queue.fsync(SyncOp::Full);
        let wait = |synced: Completion| self.wait(|limit| synced.wait_timeout(limit));
        synced.and_then(wait).map_err(|error| {
            let way_out = match error {
                Error::NotSyncable => "; this is not a file on a disk: leave out --fsync",
                _ => "",
            };
            Failure::new(
                self.place,
                format!("--fsync failed: {}{way_out}", error.reason()),
            )
        })
    }

    /// Returns the error for which FILE is given up: a write has failed, or the disk has been full
    /// for too long. Also reports the stall when a report is due.
    pub fn given_up(&self, stats: &Stats) -> Option<Error> {
        match self.ring {
            Some(ring) => self.patience.look(stats, &self.place, &report::shown(ring)),
            None => self.patience.look(stats, &self.place, &"memory"),
        }
    }

    /// Returns true if FILE is given up now: see [`given_up`](Self::given_up).
    pub fn is_given_up(&self) -> bool {
        self.given_up(&self.queue.stats()).is_some()
    }

    /// Opens FILE again, creates it if it does not exist, and continues there. Everything that was
    /// posted goes to the old file, unless that file accepts no more data.
    pub fn reopen(&self) -> Result<(), Failure> {
        if let Some(log) = &self.log {
            log.reopen();
            return Ok(());
        }
        let Place::File(path) = self.place else {
            return Ok(()); // it has no name
        };
        if !self.is_file() {
            return Ok(()); // log rotation does not rename pipes
        }
        let reopened = self.queue.reopen_path(path);
        let over = reopened.and_then(|reopened| self.wait(|limit| reopened.wait_timeout(limit)));
        over.map_err(|error| match error {
            Error::Io {
                operation: Operation::Open,
                errno,
                ..
            } => cannot_open(path, errno, "; it is a symbolic link"),
            error => self.failure(&error),
        })
    }

    /// Requests a rotation: after the current line, FILE is renamed and a new FILE continues.
    pub fn rotate(&self) -> Result<(), Failure> {
        if let Some(log) = &self.log {
            self.has_asked.set(true);
            log.rotate();
            return Ok(());
        }
        Err(Failure::new(
            self.place,
            "it is rotated on a signal only with one of the --rotate options",
        ))
    }

    /// The files that hold what was appended: the rotated ones, oldest first, and then FILE.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let path = self.place.path();
        let mut files = match &self.log {
            Some(_) => rotate::rotated(path)?,
            None => Vec::new(),
        };
        files.push(path.to_owned());
        Ok(files)
    }

    /// Reports how many rotated files, and bytes, are not packed yet.
    pub fn tell_packing(&self) {
        let Ok(files) = rotate::rotated(self.place.path()) else {
            return;
        };
        let len = |file: &PathBuf| fs::metadata(file).map_or(0, |file| file.len());
        let bytes: u64 = files.iter().map(len).sum();
        if let count @ 1.. = files.len() {
            self.patience.say(&format_args!(
                "{}: {count} rotated files of {bytes} bytes are still to be packed; \
                 a signal leaves them to the next start",
                self.place
            ));
        }
    }

    /// Returns true if FILE ends inside a line. First waits until the bytes found in the ring file
    /// are written.
    pub fn ends_inside_line(&self) -> bool {
        self.is_file() && self.flush().is_ok() && rotate::ends_inside_line(self.place.path())
    }

    /// Repeats a wait with a time limit until it ends or FILE is given up.
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
        flushed.map_err(|cause| self.failure(&cause))
    }

    /// Writes everything that is posted. The error says how much could not be written.
    pub fn close(&self) -> Result<(), Failure> {
        let flushed = self.wait(|limit| self.queue.flush_timeout(limit));
        let limit = flushed.is_err().then_some(Duration::ZERO);
        match (flushed, self.queue.close(limit)) {
            (_, Ok(())) => Ok(()),
            (Err(cause), _) => Err(self.failure(&cause)),
            (Ok(()), Err(undrained)) => Err(self.failure(&undrained.cause)),
        }
    }

    /// The message if not everything is written.
    fn failure(&self, cause: &Error) -> Failure {
        let stats = self.queue.stats();
        let problem = match cause {
            Error::Stalled { errno, .. } => format!(
                "no room for {:.1} s: {}",
                stats.stalled.map_or(0.0, |stall| stall.age.as_secs_f64()),
                io::Error::from_raw_os_error(*errno)
            ),
            Error::Io {
                operation: Operation::Write,
                errno,
                ..
            } => format!("cannot write: {}", io::Error::from_raw_os_error(*errno)),
            cause => cause.reason().to_string(),
        };
        let written = self.written_bytes();
        let left = stats.posted_bytes - stats.written_bytes;
        let counts = match self.ring {
            None => format!("{left} bytes are read and not written"),
            Some(ring) => {
                let ring = report::shown(ring);
                format!("{left} bytes stay in {ring}, and `alq recover {ring}` writes them")
            }
        };
        let dropped = self.dropped.get();
        Failure::new(
            self.place,
            format!("{problem}; {written} bytes are written, {counts}{dropped}"),
        )
    }
}

impl Drop for Target<'_> {
    /// Closes the queue without a wait, if a failure came after the opening. What was found in the
    /// ring file stays there if FILE does not accept it at once. The drop of the queue itself would
    /// wait without a limit.
    fn drop(&mut self) {
        let _ = self.queue.close(Some(Duration::ZERO)); // already closed, or nothing is lost
    }
}

/// The metadata of a file that was just opened; `None` if it has been moved away since.
fn metadata(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

fn metadata_of(fd: impl AsFd) -> io::Result<Metadata> {
    File::from(fd.as_fd().try_clone_to_owned()?).metadata()
}
