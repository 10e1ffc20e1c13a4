//! What is asked of a rotation.

use core::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Compression, Every, RotateError, Zone};

pub(super) type Hook = dyn Fn(&Path) + Send + Sync;
pub(super) type ErrorHook = dyn Fn(&RotateError) + Send + Sync;
type Clock = dyn Fn() -> SystemTime + Send + Sync;

/// How a log is cut into files, and what becomes of them. Without any option it is cut when [asked](super::RotatingFile::rotate), and
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
    pub(super) line_max_bytes: Option<u64>,
    pub(super) every: Option<Every>,
    pub(super) zone: Zone,
    pub(super) at_start: bool,
    pub(super) keep_files: Option<usize>,
    pub(super) keep_age: Option<Duration>,
    pub(super) keep_bytes: Option<u64>,
    pub(super) compression: Compression,
    pub(super) link: Option<PathBuf>,
    pub(super) mode: u32,
    pub(super) follow_links: bool,
    pub(super) shared_folder: bool,
    pub(super) on_rotated: Option<Arc<Hook>>,
    pub(super) on_error: Option<Arc<ErrorHook>>,
    pub(super) clock: Option<Arc<Clock>>,
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
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new();
    /// # drop(rotation);
    /// ```
    pub const fn new() -> Self {
        Self {
            size_bytes: None,
            line_max_bytes: None,
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
            shared_folder: false,
            on_rotated: None,
            on_error: None,
            clock: None,
        }
    }

    /// Cuts before a file would be longer than `bytes`, 1 at least. A file is longer only if its first record alone is. (Of a
    /// [lane](crate::Lane), what was posted when the flusher came by counts as one record.) None by default.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let queue = Options::new().to_sink(Rotation::new().size_bytes(10).open(&path)?)?;
    /// queue.writen(b"seven b\n", Flags::WAITOK)?;
    /// queue.writen(b"and more\n", Flags::WAITOK)?; // would be 17 bytes
    /// queue.close(None)?;
    /// assert_eq!(std::fs::read(&path)?, b"and more\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn size_bytes(mut self, bytes: u64) -> Self {
        self.size_bytes = Some(bytes);
        self
    }

    /// Keeps lines whole in the place of records: files end with a newline, wherever records end, and are filled up to the last line
    /// that fits. A record may then be a part of a line, or many lines, some in one file and some in the next. Off by default.
    ///
    /// A line of more than `max_bytes`, 1 at least, may be cut behind so many. A file is longer than [`size_bytes`](Rotation::size_bytes)
    /// only by the rest of a line whose beginning has been written when it still fitted, or if its first line alone is.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let log = Rotation::new().size_bytes(8).whole_lines(1 << 16).open(&path)?;
    /// let queue = Options::new().to_sink(log)?;
    /// queue.writen(b"one\ntwo\nthr", Flags::WAITOK)?;
    /// queue.writen(b"ee\nfour\n", Flags::WAITOK)?;
    /// queue.close(None)?;
    /// assert_eq!(std::fs::read(&path)?, b"four\n"); // behind files of "one\ntwo\n" and "three\n"
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn whole_lines(mut self, max_bytes: u64) -> Self {
        self.line_max_bytes = Some(max_bytes);
        self
    }

    /// Cuts at the end of each period, before the first record behind it; a log that gets no records is not cut. None by
    /// default.
    ///
    /// A file that was there when the log was opened belongs to the period of its last change. If the clock is set back, the
    /// file in hand ends with the period that the clock then shows, or earlier.
    ///
    /// ```
    /// use alq::rotate::{Every, Rotation};
    ///
    /// let rotation = Rotation::new().every(Every::Minutes(10));
    /// # drop(rotation);
    /// ```
    pub const fn every(mut self, every: Every) -> Self {
        self.every = Some(every);
        self
    }

    /// The time zone of [`every`](Rotation::every); that of the system by default. (The names of files are in UTC in any
    /// case: local ones would not sort when summer time ends.)
    ///
    /// ```
    /// use alq::rotate::{Every, Rotation, Zone};
    ///
    /// let rotation = Rotation::new().every(Every::Day).zone("Europe/Berlin".parse::<Zone>()?);
    /// # drop(rotation);
    /// # Ok::<(), core::convert::Infallible>(())
    /// ```
    pub fn zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// Whether what is in the log when it is opened is cut off before the first new record. Off by default.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "of the last run\n")?;
    /// let queue = Options::new().to_sink(Rotation::new().at_start(true).open(&path)?)?;
    /// queue.writen(b"of this one\n", Flags::WAITOK)?;
    /// queue.close(None)?;
    /// assert_eq!(std::fs::read(&path)?, b"of this one\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn at_start(mut self, at_start: bool) -> Self {
        self.at_start = at_start;
        self
    }

    /// How many rotated files stay: the latest, beside the log itself. All by default.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new().size_bytes(64 << 20).keep_files(30);
    /// # drop(rotation);
    /// ```
    pub const fn keep_files(mut self, count: usize) -> Self {
        self.keep_files = Some(count);
        self
    }

    /// How long a rotated file stays: without a limit by default. Files are looked at when the log
    /// is opened and after each rotation.
    ///
    /// The age is that of the name. A time in the future is not believed: then that of the last
    /// write counts, or the age of the next file. What was cut off by this process is not older
    /// than its steady clock says, however the clock is set.
    ///
    /// ```
    /// use std::time::Duration;
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new().keep_age(Duration::from_secs(30 * 86_400));
    /// # drop(rotation);
    /// ```
    pub const fn keep_age(mut self, age: Duration) -> Self {
        self.keep_age = Some(age);
        self
    }

    /// How many bytes the rotated files have together at most, as they are on disk, without the log itself: the oldest go. No bound by default.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new().size_bytes(64 << 20).keep_bytes(10 << 30);
    /// # drop(rotation);
    /// ```
    pub const fn keep_bytes(mut self, bytes: u64) -> Self {
        self.keep_bytes = Some(bytes);
        self
    }

    /// Whether rotated files are packed, in the background. Not by default.
    ///
    /// ```
    /// use alq::rotate::{Compression, Rotation};
    ///
    /// let rotation = Rotation::new().compress(Compression::Gzip); // where it is not compiled in, `open` refuses
    /// # drop(rotation);
    /// ```
    pub const fn compress(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// A symbolic link that is made to lead to the log, wherever that is: at `path`, where there must be nothing else than a
    /// link. None by default.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let link = dir.path().join("current");
    /// let log = Rotation::new().link(&link).open(&path)?;
    /// assert_eq!(std::fs::read_link(&link)?, path);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn link(mut self, path: impl AsRef<Path>) -> Self {
        self.link = Some(path.as_ref().to_owned());
        self
    }

    /// The permissions of new files, less the umask: 0o600 by default. A packed file has those of
    /// the one that it was, but never more than 0o640.
    ///
    /// ```
    /// use std::os::unix::fs::PermissionsExt;
    /// use alq::rotate::Rotation;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let log = Rotation::new().mode(0o400).open(&path)?;
    /// assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o400);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Whether the log may be a symbolic link, which is then resolved once, when it is opened. Off by default.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let link = dir.path().join("link");
    /// std::os::unix::fs::symlink(&path, &link)?;
    /// std::fs::write(&path, "")?;
    /// assert!(Rotation::new().open(&link).is_err());
    /// let log = Rotation::new().follow_links(true).open(&link)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn follow_links(mut self, follow: bool) -> Self {
        self.follow_links = follow;
        self
    }

    /// Whether a privileged process may have its log where other users can change a folder on the
    /// way to it. Off by default: `open` refuses then.
    ///
    /// A process is privileged if it acts as root, with any capability, or as another user or group
    /// than it was started by. A folder is safe if it belongs to root or to the user of the process,
    /// and if nobody else may write to it: no other user, and no group but root's, unless its sticky
    /// bit is set. The same holds for every folder above it, and for the folder of
    /// [`link`](Rotation::link). Without privileges, folders are not looked at.
    ///
    /// Whoever can change such a folder decides which file the log is, and which files are packed
    /// and deleted as rotated ones, among those of the process's own user.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new().shared_folder(true); // /var/log belongs to a group of its own
    /// # drop(rotation);
    /// ```
    pub const fn shared_folder(mut self, shared: bool) -> Self {
        self.shared_folder = shared;
        self
    }

    /// Has `hook` called for each rotated file, once it is packed, with its path: on the thread for the background work, one at a
    /// time, in order. What retention has deleted before its turn is left out. After a kill it may not have been called; it is for what is
    /// packed only now.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new().on_rotated(|path| println!("{} is to be sent off", path.display()));
    /// # drop(rotation);
    /// ```
    pub fn on_rotated(mut self, hook: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        self.on_rotated = Some(Arc::new(hook));
        self
    }

    /// Has `hook` called when a rotation fails, or the work behind it: on the thread for that. A rotation that fails is tried again each second,
    /// and told of once, or when the reason changes; meanwhile records go where they went before.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new().on_error(|error| eprintln!("{error}"));
    /// # drop(rotation);
    /// ```
    pub fn on_error(mut self, hook: impl Fn(&RotateError) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Arc::new(hook));
        self
    }

    /// Where the time is from, for tests: that of the system by default. It is called by the flusher, and must not block.
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    /// use alq::rotate::{Every, Rotation};
    ///
    /// let noon = UNIX_EPOCH + Duration::from_secs(1_795_521_600);
    /// let rotation = Rotation::new().every(Every::Day).clock(move || noon);
    /// # drop(rotation);
    /// ```
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(now));
        self
    }
}
