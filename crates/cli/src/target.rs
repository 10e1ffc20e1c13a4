//! FILE, open for appending through a queue.
//!
//! This file owns the queue, and decides with [`Patience`] when FILE is given up. No wait here
//! lasts longer than [`CHECK_INTERVAL`] without a look at FILE, so a stall is always reported.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alq::rotate::RotatingFile;
use alq::{Completion, Error, Operation, Options, Queue, Recovery, Sink, Stats, SyncOp};

use crate::args::Append;
use crate::kind::Kind;
use crate::patience::Patience;
use crate::place::Place;
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::refusal::{cannot_open, not_a_disk, refusal};
use crate::report::{self, Dropped, Failure};
use crate::{queue_options, ring, rotate};

/// The time between two looks at FILE while waiting for something else.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The longest wait of a recovery for a full disk.
const RECOVERY_STALL_LIMIT: Duration = Duration::from_secs(5);

/// FILE, open for appending through a queue.
#[derive(Debug)]
pub struct Target<'a> {
    place: Place<'a>,
    ring: Option<&'a Path>,
    kind: Kind,
    /// True if FILE consists of whole records.
    is_framed: bool,
    queue: Queue,
    /// FILE as a log that is rotated; `None` without rotation.
    log: Option<RotatingFile>,
    /// What asks for dumps; `None` without --recorder.
    recorder: Option<Recorder>,
    /// True if a signal has requested a rotation.
    has_asked: Cell<bool>,
    /// The sync at the end, and the option that asks for it.
    last_sync: Option<(SyncOp, &'static str)>,
    patience: Patience,
    /// What was dropped until the end of input.
    dropped: Cell<Dropped>,
}

impl<'a> Target<'a> {
    /// Opens FILE, and creates it if it does not exist. Blocks as open(2) does: a FIFO waits for
    /// its reader.
    pub fn open(options: &'a Append) -> Result<Self, Failure> {
        let place = Place::of(&options.file);
        let queue = queue_options::of(options)?;
        let (queue, refused_ring) = ring::in_file(queue, options);
        let refused = |error| refusal(&error, options);
        let failed = |error| Failure::new(place, error);
        let mut log = None;
        // The kind of a rotated log comes from its descriptor: as soon as there is a flusher,
        // the name may belong to another file or to no file.
        let (queue, kind) = match place {
            Place::Output => {
                let queue = queue.open_fd(io::stdout()).map_err(refused)?;
                (queue, Kind::of(io::stdout()).map_err(failed))
            }
            Place::File(_) if options.rotation.is_on() => {
                let file = log.insert(rotate::open(options).map_err(refused)?);
                let kind = file.descriptor().map(Kind::of).transpose();
                let kind = kind.map_err(failed)?.unwrap_or_default();
                (queue.open_sink(file.clone()).map_err(refused)?, Ok(kind))
            }
            Place::File(path) => {
                let queue = queue.open(path).map_err(refused)?;
                (queue, Kind::at(path).map_err(failed))
            }
        };
        let is_in_file = queue.recovery().is_some();
        match &options.ring {
            Some(ring) if !is_in_file => refused_ring.warn(ring),
            Some(ring) if !options.ring_on_disk => ring::warn_of_disk(ring),
            _ => {}
        }
        let mut target = Self {
            place,
            ring: options.ring.as_deref().filter(|_| is_in_file),
            kind: Kind::default(),
            is_framed: options.framing.is_on(),
            recorder: Recorder::of(&queue, options),
            queue,
            log,
            has_asked: Cell::new(false),
            last_sync: options.sync.last(),
            patience: Patience::new(options.stall_limit()),
            dropped: Cell::default(),
        };
        // From here on, an early return drops the target, which does not wait for FILE.
        target.kind = kind?;
        if target.queue.message_max().is_some() && !options.has_units() {
            let problem = "it takes messages: send each line as one (--line), or each record \
                           (--framing fixed:LENGTH)";
            return Err(Failure::new(place, problem).or_code(2));
        }
        target.sync()?; // nothing is written yet: this only checks that a sync is possible
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
            Some(file) => sizes.open_fd(file),
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
            last_sync: None,
            kind: Kind::default(),
            is_framed: false,
            queue,
            log: None,
            recorder: None,
            has_asked: Cell::new(false),
            patience: Patience::new(Some(RECOVERY_STALL_LIMIT)),
            dropped: Cell::default(),
        };
        let kind = file.map_or_else(|| Kind::at(path), Kind::of);
        target.kind = kind.map_err(|error| Failure::new(report::shown(path), error))?;
        let is_file = target.kind.is_file();
        target.last_sync = is_file.then_some((SyncOp::Full, "--fsync"));
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

    /// What asks for dumps; `None` without --recorder.
    pub fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }

    /// Makes a dump if one is to follow this line.
    pub fn look_at(&self, line: &[u8]) {
        if let Some(recorder) = &self.recorder {
            recorder.look(line);
        }
    }

    /// Makes the last dump, and waits until it is written or FILE is given up.
    pub fn dump_at_end(&self, reason: String) -> Result<(), Failure> {
        match &self.recorder {
            Some(recorder) if recorder.begin(reason) => {
                let dumped = self.wait(|limit| recorder.wait(limit));
                dumped.map_err(|cause| self.failure(&cause))
            }
            _ => Ok(()), // the close waits for one that was requested
        }
    }

    /// Returns true if a signal has requested a rotation.
    pub fn has_asked(&self) -> bool {
        self.has_asked.get()
    }

    /// The number of bytes of the input that are written, without those found in the ring file.
    pub fn written_bytes(&self) -> u64 {
        let found = |recovery: &Recovery| recovery.bytes - recovery.drained_bytes;
        let found = self.queue.recovery().map_or(0, found);
        self.queue.stats().written_bytes.saturating_sub(found)
    }

    /// What sort of file FILE is.
    pub fn kind(&self) -> &Kind {
        &self.kind
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

    /// Waits until everything is on disk, if an option asks for that. Otherwise does nothing.
    pub fn sync(&self) -> Result<(), Failure> {
        let Some((op, option)) = self.last_sync else {
            return Ok(());
        };
        let synced = self.queue.fsync(op);
        let wait = |synced: Completion| self.wait(|limit| synced.wait_timeout(limit));
        synced.and_then(wait).map_err(|error| {
            let way_out = match error {
                Error::NotSyncable => not_a_disk(option),
                _ => String::new(),
            };
            let reason = error.reason();
            Failure::new(self.place, format!("{option} failed: {reason}{way_out}"))
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
        if !self.kind.is_file() {
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
        let left = self.log.as_ref().map(RotatingFile::background);
        if let Some(Ok(left)) = left.filter(|left| left.as_ref().is_ok_and(|left| left.files > 0)) {
            self.patience.say(&format_args!(
                "{}: {} rotated files of {} bytes are still to be packed; \
                 a signal leaves them to the next start",
                self.place, left.files, left.bytes
            ));
        }
    }

    /// Returns true if FILE is lines, and ends inside one. First waits until the bytes found in the
    /// ring file are written.
    pub fn ends_inside_line(&self) -> bool {
        let may_be = self.kind.is_file() && !self.is_framed;
        may_be && self.flush().is_ok() && rotate::ends_inside_line(self.place.path())
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
                stats
                    .stalled
                    .as_ref()
                    .map_or(0.0, |stall| stall.age.as_secs_f64()),
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
        let left = stats.posted_bytes - stats.written_bytes - stats.overwritten_bytes;
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
