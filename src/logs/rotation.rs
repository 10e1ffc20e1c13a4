//! The options of a rotation, as the caller sets them. `asked` checks and converts them.

use core::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Compression, Every, RotateError, Zone};

pub(super) type Hook = dyn Fn(&Path) + Send + Sync;
pub(super) type ErrorHook = dyn Fn(&RotateError) + Send + Sync;
type Clock = dyn Fn() -> SystemTime + Send + Sync;

/// Opens a log that is cut into files, with options: when it is cut, and what happens to the files.
///
/// | purpose | option | default |
/// |---|---|---|
/// | when to cut | [`size_bytes`](Self::size_bytes), [`every`](Self::every) | only on request |
/// | | [`at_start`](Self::at_start), [`zone`](Self::zone) | off, the system's |
/// | where to cut | [`whole_lines`](Self::whole_lines) | between two records |
/// | what to keep | [`keep_files`](Self::keep_files), [`keep_age`](Self::keep_age) | everything |
/// | | [`keep_bytes`](Self::keep_bytes), [`keep_free`](Self::keep_free) | everything |
/// | | [`compress`](Self::compress) | plain |
/// | the log | [`mode`](Self::mode), [`link`](Self::link) | 0600, no link |
/// | | [`follow_links`](Self::follow_links), [`shared_folder`](Self::shared_folder) | off |
/// | reports | [`on_rotated`](Self::on_rotated), [`on_freed`](Self::on_freed) | none |
/// | | [`on_error`](Self::on_error) | none |
///
/// [`RotatingFile::rotate`](super::RotatingFile::rotate) requests a cut.
///
/// The log is always at its path. A file that is cut off gets the name of the log with a time (UTC)
/// and a number appended: `app.log.20261124T114620Z-000000`, and `.gz` or `.zst` once it is packed.
/// These names sort in the order of time.
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
/// let queue = Options::new().open_sink(log.clone())?;
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
    pub(super) keep_free: Option<u64>,
    pub(super) compression: Compression,
    pub(super) link: Option<PathBuf>,
    pub(super) mode: u32,
    pub(super) follow_links: bool,
    pub(super) shared_folder: bool,
    pub(super) on_rotated: Option<Arc<Hook>>,
    pub(super) on_freed: Option<Arc<Hook>>,
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
        out.field("keep_free", &self.keep_free);
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
    /// Creates a rotation that cuts only on request and keeps every file.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new();
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
            keep_free: None,
            compression: Compression::None,
            link: None,
            mode: 0o600,
            follow_links: false,
            shared_folder: false,
            on_rotated: None,
            on_freed: None,
            on_error: None,
            clock: None,
        }
    }

    /// Cuts the log before it would exceed `bytes`, at least 1. No bound by default. A file is
    /// longer only if its first record alone is. (The records that a [lane](crate::Lane) has posted
    /// by the time the flusher reads them count as one record.)
    ///
    /// ```
    /// use alq::rotate::Rotation;
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let queue = Options::new().open_sink(Rotation::new().size_bytes(10).open(&path)?)?;
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

    /// Keeps lines whole instead of records. Off by default.
    ///
    /// Each file then ends with a newline, wherever records end, and is filled up to the last line
    /// that fits. A record may be part of a line or hold many, and its lines may be in two files.
    ///
    /// A line of more than `max_bytes`, at least 1, may be cut after that many bytes. A file is
    /// longer than [`size_bytes`](Rotation::size_bytes) only if its first line alone is, or by the
    /// rest of a line whose beginning still fitted when it was written.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let log = Rotation::new().size_bytes(8).whole_lines(1 << 16).open(&path)?;
    /// let queue = Options::new().open_sink(log)?;
    /// queue.writen(b"one\ntwo\nthr", Flags::WAITOK)?;
    /// queue.writen(b"ee\nfour\n", Flags::WAITOK)?;
    /// queue.close(None)?;
    /// assert_eq!(std::fs::read(&path)?, b"four\n"); // after files with "one\ntwo\n" and "three\n"
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn whole_lines(mut self, max_bytes: u64) -> Self {
        self.line_max_bytes = Some(max_bytes);
        self
    }

    /// Cuts the log at the end of each period, before the first record after it. Off by default.
    ///
    /// A log that gets no records is not cut. A file that existed when the log was opened belongs
    /// to the period of its last change. If the clock is set back, the current file ends with the
    /// period that the clock then shows, or earlier.
    ///
    /// ```
    /// use alq::rotate::{Every, Rotation};
    ///
    /// let rotation = Rotation::new().every(Every::Minutes(10));
    /// ```
    pub const fn every(mut self, every: Every) -> Self {
        self.every = Some(every);
        self
    }

    /// Sets the time zone of [`every`](Rotation::every): by default that of the system. Names of
    /// files are always in UTC, because local times would not sort when summer time ends.
    ///
    /// ```
    /// use alq::rotate::{Every, Rotation, Zone};
    ///
    /// let rotation = Rotation::new().every(Every::Day).zone("Europe/Berlin".parse::<Zone>()?);
    /// # Ok::<(), core::convert::Infallible>(())
    /// ```
    pub fn zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// Sets whether the content that the log has when it is opened is cut off before the first new
    /// record. Off by default.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "of the last run\n")?;
    /// let queue = Options::new().open_sink(Rotation::new().at_start(true).open(&path)?)?;
    /// queue.writen(b"of this one\n", Flags::WAITOK)?;
    /// queue.close(None)?;
    /// assert_eq!(std::fs::read(&path)?, b"of this one\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn at_start(mut self, at_start: bool) -> Self {
        self.at_start = at_start;
        self
    }

    /// Sets how rotated files are packed, in the background. By default they are not packed.
    ///
    /// ```
    /// use alq::rotate::{Compression, Rotation};
    ///
    /// let rotation = Rotation::new().compress(Compression::Gzip); // needs feature `gzip`
    /// ```
    pub const fn compress(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Creates a symbolic link at `path` that points to the log. No link by default. An existing
    /// link is replaced; [`open`](Rotation::open) refuses if anything else is at `path`.
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

    /// Sets the permissions of new files, less the umask: 0o600 by default. A packed file has the
    /// permissions of the plain file, but never more than 0o640.
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

    /// Sets whether the log may be a symbolic link, which is resolved once, when the log is opened.
    /// Off by default.
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

    /// Sets whether a privileged process accepts a log in a folder that other users can change. Off
    /// by default: `open` refuses such a folder.
    ///
    /// A process is privileged if it acts as root, with any capability, or as another user or group
    /// than the one that started it. docs/reliability.md lists the folders that are safe. A user
    /// who can change the folder decides which file is the log, and which files of the process's
    /// user are packed and deleted as rotated files.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new().shared_folder(true); // /var/log has its own group
    /// ```
    pub const fn shared_folder(mut self, shared: bool) -> Self {
        self.shared_folder = shared;
        self
    }

    /// Calls `hook` with the path of each rotated file, once the file is packed.
    ///
    /// The hook runs on the background thread, for one file at a time, in order. It is not called
    /// for a file that retention has deleted before its turn. If a process is killed before it
    /// calls the hook, the next process calls it only for the files that it still has to pack.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new().on_rotated(|path| println!("send {}", path.display()));
    /// ```
    pub fn on_rotated(mut self, hook: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        self.on_rotated = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` when a rotation, or the work after it, fails.
    ///
    /// The hook runs on the background thread. A rotation that fails is tried again each second;
    /// the hook is called once, and again when the reason changes. Until a rotation succeeds,
    /// records continue into the old file.
    ///
    /// ```
    /// use alq::rotate::Rotation;
    ///
    /// let rotation = Rotation::new().on_error(|error| eprintln!("{error}"));
    /// ```
    pub fn on_error(mut self, hook: impl Fn(&RotateError) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Arc::new(hook));
        self
    }

    /// Replaces the clock of the system, for tests. The flusher calls `now`, which must not block.
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    /// use alq::rotate::{Every, Rotation};
    ///
    /// let noon = UNIX_EPOCH + Duration::from_secs(1_795_521_600);
    /// let rotation = Rotation::new().every(Every::Day).clock(move || noon);
    /// ```
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(now));
        self
    }
}
