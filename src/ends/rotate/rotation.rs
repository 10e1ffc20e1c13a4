//! What is asked of a rotation.

use core::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::every::Calendar;
use super::{Compression, Every, RotateError, RotatingFile, Zone};
use crate::words::Error;

pub(super) type Hook = dyn Fn(&Path) + Send + Sync;
pub(super) type ErrorHook = dyn Fn(&RotateError) + Send + Sync;
type Clock = dyn Fn() -> SystemTime + Send + Sync;

/// How a log is cut into files, and what becomes of them. Without any option it is cut when [asked](RotatingFile::rotate), and
/// every file is kept.
///
/// The log is always at its path. A file that is cut off gets a name behind it, of the time (UTC) and a number, so that names sort in the
/// order of time: `app.log.20261124T114620Z-000000`, and `.gz` or `.zst` once it is packed.
///
/// ```
/// use std::time::Duration;
/// use alq::rotate::{Every, Rotation};
/// use alq::{Flags, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let log = Rotation::new()
///     .size_bytes(64 << 20)
///     .every(Every::Day)
///     .keep_files(30)
///     .open(dir.path().join("app.log"))?;
/// let queue = Options::new().to_sink(log.clone())?;
/// queue.writen(b"a record is never cut\n", Flags::WAITOK)?;
/// log.rotate();
/// queue.close(None)?;
/// log.wait_background(Some(Duration::from_secs(10)))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Rotation {
    pub(super) size_bytes: Option<u64>,
    pub(super) every: Option<Every>,
    zone: Zone,
    pub(super) at_start: bool,
    pub(super) keep_files: Option<usize>,
    pub(super) keep_age: Option<Duration>,
    pub(super) keep_bytes: Option<u64>,
    pub(super) compression: Compression,
    pub(super) link: Option<PathBuf>,
    pub(super) mode: u32,
    pub(super) follow_links: bool,
    pub(super) on_rotated: Option<Arc<Hook>>,
    pub(super) on_error: Option<Arc<ErrorHook>>,
    clock: Option<Arc<Clock>>,
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Rotation");
        out.field("size_bytes", &self.size_bytes);
        out.field("every", &self.every).field("zone", &self.zone);
        out.field("keep_files", &self.keep_files);
        out.field("keep_age", &self.keep_age);
        out.field("keep_bytes", &self.keep_bytes);
        out.field("compression", &self.compression);
        out.finish_non_exhaustive()
    }
}

impl Default for Rotation {
    fn default() -> Self {
        Self::new()
    }
}

impl Rotation {
    /// One that cuts when it is asked, and keeps everything.
    pub const fn new() -> Self {
        Self {
            size_bytes: None,
            every: None,
            zone: Zone::Local,
            at_start: false,
            keep_files: None,
            keep_age: None,
            keep_bytes: None,
            compression: Compression::None,
            link: None,
            mode: 0o600,
            follow_links: false,
            on_rotated: None,
            on_error: None,
            clock: None,
        }
    }

    /// Cuts before a file would be longer than `bytes`, 1 at least. A file is longer only if its first record alone is. (Of a
    /// [lane](crate::Lane), what was posted when the flusher came by counts as one record.) None by default.
    pub const fn size_bytes(mut self, bytes: u64) -> Self {
        self.size_bytes = Some(bytes);
        self
    }

    /// Cuts at the end of each period, before the first record behind it; a log that gets no records is not cut. None by
    /// default.
    ///
    /// A file that was there when the log was opened belongs to the period of its last change. If the clock is set back, the
    /// file in hand ends with the period that the clock then shows, or earlier.
    pub const fn every(mut self, every: Every) -> Self {
        self.every = Some(every);
        self
    }

    /// The time zone of [`every`](Rotation::every); that of the system by default. (The names of files are in UTC in any
    /// case: local ones would not sort when summer time ends.)
    pub fn zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// Whether what is in the log when it is opened is cut off before the first new record. Off by default.
    pub const fn at_start(mut self, at_start: bool) -> Self {
        self.at_start = at_start;
        self
    }

    /// How many rotated files stay: the latest, beside the log itself. All by default.
    pub const fn keep_files(mut self, count: usize) -> Self {
        self.keep_files = Some(count);
        self
    }

    /// How long a rotated file stays, by the time in its name. They are looked at when the log is opened and after each rotation. For
    /// ever by default.
    pub const fn keep_age(mut self, age: Duration) -> Self {
        self.keep_age = Some(age);
        self
    }

    /// How many bytes the rotated files have together at most, as they are on disk, without the log itself: the oldest go. No bound by default.
    pub const fn keep_bytes(mut self, bytes: u64) -> Self {
        self.keep_bytes = Some(bytes);
        self
    }

    /// Whether rotated files are packed, in the background. Not by default.
    pub const fn compress(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// A symbolic link that is made to lead to the log, wherever that is: at `path`, where there must be nothing else than a
    /// link. None by default.
    pub fn link(mut self, path: impl AsRef<Path>) -> Self {
        self.link = Some(path.as_ref().to_owned());
        self
    }

    /// The permissions of new files, less the umask: 0o600 by default. A packed file has those of the one that it was.
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Whether the log may be a symbolic link, which is then resolved once, when it is opened. Off by default.
    pub const fn follow_links(mut self, follow: bool) -> Self {
        self.follow_links = follow;
        self
    }

    /// Has `hook` called for each rotated file, once it is packed, with its path: on the thread for the background work, one at a
    /// time, in order. What retention has deleted before its turn is left out. After a kill it may not have been called; it is for what is
    /// packed only now.
    pub fn on_rotated(mut self, hook: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        self.on_rotated = Some(Arc::new(hook));
        self
    }

    /// Has `hook` called when a rotation fails, or the work behind it: on the thread for that. A rotation that fails is tried again each second,
    /// and told of once, or when the reason changes; meanwhile records go where they went before.
    pub fn on_error(mut self, hook: impl Fn(&RotateError) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Arc::new(hook));
        self
    }

    /// Where the time is from, for tests: that of the system by default. It is called by the flusher, and must not block.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(now));
        self
    }

    /// Opens the log at `path`, creating it if need be, and locks it: `path.lock` stays behind, empty. What an earlier process has left undone of a
    /// rotation is done in the background, from the first record on.
    ///
    /// Blocks as open(2) of a regular file does. The result is a [`Sink`](crate::Sink); keep a clone to
    /// [`rotate`](RotatingFile::rotate).
    ///
    /// # Errors
    ///
    /// [`Error::Rotation`] if somebody else rotates it, if it is no regular file, for a zone that is not known, or a compression
    /// that was not compiled in; [`Error::InvalidOption`] for a value out of range; [`Error::Io`] with what the system said.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let log = Rotation::new().open(dir.path().join("app.log"))?;
    /// let error = Rotation::new().open(dir.path().join("app.log")).unwrap_err();
    /// assert!(error.to_string().contains("rotated already"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(self, path: impl AsRef<Path>) -> Result<RotatingFile, Error> {
        self.check()?;
        RotatingFile::open(self, path.as_ref())
    }

    fn check(&self) -> Result<(), Error> {
        let invalid = |option, value, allowed| {
            Err(Error::InvalidOption {
                option,
                value,
                allowed,
            })
        };
        if self.size_bytes == Some(0) {
            return invalid("size_bytes", 0, "1 byte or more");
        }
        if self.mode > 0o7777 {
            return invalid("mode", u64::from(self.mode), "0 to 0o7777");
        }
        self.compression.check()
    }

    pub(super) fn calendar(&self) -> Result<Option<Calendar>, Error> {
        let calendar = |every| Calendar::new(every, &self.zone);
        self.every.map(calendar).transpose()
    }

    /// The time, in seconds since 1970.
    pub(super) fn now(&self) -> i64 {
        let now = self
            .clock
            .as_ref()
            .map_or_else(SystemTime::now, |now| now());
        seconds_of(now)
    }
}

/// Whole seconds since 1970, or before.
pub(super) fn seconds_of(time: SystemTime) -> i64 {
    let whole = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => -whole(before.duration()) - 1,
    }
}
