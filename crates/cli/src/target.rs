//! FILE, which is appended to through a queue.

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

/// How soon it is noticed that FILE takes nothing, while something else is waited for.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// How long a recovery waits for a full disk.
const RECOVERY_STALL_LIMIT: Duration = Duration::from_secs(5);

/// The least time between two lines that tell of dropped ones.
const LOSS_LINES_EVERY: Duration = Duration::from_secs(1);

/// FILE, open for appending through a queue.
#[derive(Debug)]
pub struct Target<'a> {
    place: Place<'a>,
    ring: Option<&'a Path>,
    /// `None` of a file that has been moved away since it was opened.
    metadata: Option<Metadata>,
    queue: Queue,
    /// What is rotated.
    log: Option<RotatingFile>,
    /// Whether a signal has asked for a rotation.
    has_asked: Cell<bool>,
    fsync: bool,
    patience: Patience,
    /// What was dropped by the end.
    dropped: Cell<Dropped>,
}

impl<'a> Target<'a> {
    /// Opens the file, creating it if need be. Blocks as open(2) does: a FIFO waits for its reader.
    pub fn open(options: &'a Append) -> Result<Self, Failure> {
        let place = Place::of(&options.file);
        let mut queue = Options::new()
            .capacity(ring::capacity(options)?)
            .mode(options.mode)
            .follow_links(options.follow_links)
            .stall_limit(None); // a reader that pauses is waited for; a full disk: see `Patience`
        if options.lines.when_full == WhenFull::Drop {
            queue = queue.loss_lines(LOSS_LINES_EVERY);
        }
        if let Some(ring) = &options.ring {
            queue = queue.ring_file(ring);
        }
        let refused = |error| refusal(&error, options);
        let failed = |error| Failure::new(place, error);
        let mut log = None;
        // Of a log that is rotated, the descriptor is asked: as soon as there is a flusher, the
        // name may be another file's, or no file's.
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
        // From here on the drop of the target bounds an early end.
        target.metadata = metadata?;
        target.sync()?; // nothing is written yet, so this only tells whether --fsync can be kept
        Ok(target)
    }

    /// The file at `path`, for what is in the ring file, which has these sizes. It is `file`, or opened
    /// here.
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

    /// What is rotated.
    pub fn log(&self) -> Option<&RotatingFile> {
        self.log.as_ref()
    }

    /// Whether a signal has asked for a rotation.
    pub fn has_asked(&self) -> bool {
        self.has_asked.get()
    }

    /// How much of what was posted here is written, without what was found in the ring file.
    pub fn written_bytes(&self) -> u64 {
        let found = |recovery: &Recovery| recovery.bytes - recovery.drained;
        let found = self.queue.recovery().map_or(0, found);
        self.queue.stats().written_bytes.saturating_sub(found)
    }

    pub fn is_file(&self) -> bool {
        self.metadata.as_ref().is_none_or(Metadata::is_file)
    }

    /// Whether what is written becomes one stream with what other processes write.
    pub fn is_pipe(&self) -> bool {
        let kind = self.metadata.as_ref().map(Metadata::file_type);
        kind.is_some_and(|kind| kind.is_fifo() || kind.is_socket())
    }

    /// Whether the file is a terminal, where the log is already to be seen.
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

    /// Whether `other` is the same regular file: to append a file to itself would never end.
    pub fn is_same_file(&self, other: &Metadata) -> bool {
        let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        let ours = self.metadata.as_ref().filter(|ours| ours.is_file());
        ours.is_some_and(|ours| identity(ours) == identity(other))
    }

    /// Messages come beside this line from now on.
    pub fn beside(&self, progress: &Progress) {
        self.patience.beside(progress);
    }

    /// Waits no longer than this for a full disk, if what is not written then stays in a ring file.
    pub fn hurry(&self, limit: Duration) {
        if self.ring.is_some() {
            self.patience.shorten(limit);
        }
    }

    /// What was dropped, for the message if the end is a failure.
    pub fn note_dropped(&self, dropped: Dropped) {
        self.dropped.set(dropped);
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
                self.place,
                format!("--fsync failed: {}{way_out}", error.reason()),
            )
        })
    }

    /// Why nothing more is to be expected of FILE: a write has failed, or the disk has been full
    /// for too long. Says how a stall goes on.
    pub fn given_up(&self, stats: &Stats) -> Option<Error> {
        match self.ring {
            Some(ring) => self.patience.look(stats, &self.place, &report::shown(ring)),
            None => self.patience.look(stats, &self.place, &"memory"),
        }
    }

    /// The same of the queue as it is now.
    pub fn is_given_up(&self) -> bool {
        self.given_up(&self.queue.stats()).is_some()
    }

    /// Goes on in a FILE that is opened anew, created if need be. Everything that was posted goes
    /// to the old one, unless that takes nothing any more.
    pub fn reopen(&self) -> Result<(), Failure> {
        if let Some(log) = &self.log {
            log.reopen();
            return Ok(());
        }
        let Place::File(path) = self.place else {
            return Ok(()); // it has no name
        };
        if !self.is_file() {
            return Ok(()); // nobody renames a pipe to have another one
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

    /// Puts FILE aside and goes on in a new one, behind the line that is open.
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

    /// The files that hold what was appended: those that were cut off, oldest first, and FILE
    /// itself.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let path = self.place.path();
        let mut files = match &self.log {
            Some(_) => rotate::rotated(path)?,
            None => Vec::new(),
        };
        files.push(path.to_owned());
        Ok(files)
    }

    /// Says how many rotated files, and bytes, are not packed yet.
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

    /// Whether FILE ends with a line that is not over, once what was found in the ring file is
    /// there.
    pub fn ends_inside_line(&self) -> bool {
        self.is_file() && self.flush().is_ok() && rotate::ends_inside_line(self.place.path())
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
        flushed.map_err(|cause| self.failure(&cause))
    }

    /// Writes out what is posted, and says how much could not be.
    pub fn close(&self) -> Result<(), Failure> {
        let flushed = self.wait(|limit| self.queue.flush_timeout(limit));
        let limit = flushed.is_err().then_some(Duration::ZERO);
        match (flushed, self.queue.close(limit)) {
            (_, Ok(())) => Ok(()),
            (Err(cause), _) => Err(self.failure(&cause)),
            (Ok(()), Err(undrained)) => Err(self.failure(&undrained.cause)),
        }
    }

    /// What to say when not everything is written.
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
    /// After a failure behind the opening: what was found in the ring file stays there, if the file
    /// does not take it at once. The drop of the queue would wait for ever.
    fn drop(&mut self) {
        let _ = self.queue.close(Some(Duration::ZERO)); // closed already, or nothing is lost
    }
}

/// Of the file at a path that was opened just now; `None` if it has been moved away since.
fn metadata(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

fn metadata_of(fd: impl AsFd) -> io::Result<Metadata> {
    File::from(fd.as_fd().try_clone_to_owned()?).metadata()
}
