//! The log as a sink, for the queue and for its caller.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::log::Log;
use super::{Background, Rotation, background};
use crate::ends::Sink;
use crate::primitives::sync::PlainArc;
use crate::words::{Error, LogEnd, Operation, SyncOp};

/// A log that is cut into files: a [`Sink`] for [`Options::to_sink`](crate::Options::to_sink), of which one queue has one clone, and the
/// caller another one to ask for rotations. Made by [`Rotation::open`].
///
/// A sink of your own around it must hand every call on, and the runs as they come: they end where a record ends, and only there it is cut.
///
/// ```
/// use alq::rotate::Rotation;
/// use alq::{Flags, Options};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// let log = Rotation::new().open(&path)?;
/// let queue = Options::new().to_sink(log.clone())?;
/// queue.writen(b"a record\n", Flags::WAITOK)?;
/// queue.flush()?;
/// log.rotate();
/// log.wait_background(None)?;
/// assert_eq!(std::fs::read(&path)?, b""); // the record is in a file beside it
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RotatingFile {
    log: PlainArc<Log>,
}

impl RotatingFile {
    /// Has the work done that has come up. If there can be no thread for it now, the next write tries again.
    fn start_worker(&self) {
        if self.log.home.is_here() {
            let _ = background::start(&self.log);
        }
    }

    /// Asks for a rotation: at the end of the record that is being written, or at once if none is. A log without a record since the last
    /// one is left as it is.
    ///
    /// Any thread may call it; it does not block, and does nothing in a child of fork(2).
    ///
    /// ```
    /// # use alq::rotate::Rotation;
    /// # use alq::{Flags, Options};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let log = Rotation::new().open(&path)?;
    /// # let queue = Options::new().to_sink(log.clone())?;
    /// # queue.writen(b"a record\n", Flags::WAITOK)?;
    /// # queue.flush()?;
    /// log.rotate();
    /// # log.wait_background(None)?;
    /// # assert_eq!(std::fs::read(&path)?, b"");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rotate(&self) {
        if self.log.home.is_here() {
            self.log.ask(&self.log.asked);
            self.start_worker();
        }
    }

    /// Asks for a look at the path of the log: if that is gone, or another file is there, the records to come go there. The
    /// log does that by itself each second in which it gets records; after this, before the next record.
    ///
    /// Any thread may call it; it does not block, and does nothing in a child of fork(2).
    ///
    /// ```
    /// # use alq::rotate::Rotation;
    /// # use alq::{Flags, Options};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let log = Rotation::new().open(&path)?;
    /// # let queue = Options::new().to_sink(log.clone())?;
    /// std::fs::rename(&path, dir.path().join("app.log.1"))?;
    /// log.reopen();
    /// queue.writen(b"to a new file\n", Flags::WAITOK)?;
    /// queue.flush()?;
    /// assert_eq!(std::fs::read(&path)?, b"to a new file\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reopen(&self) {
        if self.log.home.is_here() {
            self.log.ask(&self.log.look);
            self.start_worker();
        }
    }

    /// How much of what was cut off has yet to be packed. 0 without
    /// [`compress`](Rotation::compress).
    ///
    /// Any thread may call it; it reads the folder of the log.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the folder cannot be read; [`Error::Forked`] in a child of fork(2).
    ///
    /// ```
    /// # use alq::rotate::{Compression, Rotation};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let log = Rotation::new().open(&path)?;
    /// let left = log.background()?;
    /// if left.files > 0 {
    ///     eprintln!("packing {} files, {} bytes", left.files, left.bytes);
    /// }
    /// log.wait_background(None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn background(&self) -> Result<Background, Error> {
        if !self.log.home.is_here() {
            return Err(Error::Forked);
        }
        let left = self.log.left_to_pack();
        left.map_err(|error| Error::io(Operation::Open, &error))
    }

    /// Ends packing, for this log and all clones of it: a file that is being packed stays as it is,
    /// and so do those behind it. The next process to open the log goes on. Rotating, deleting and
    /// [`wait_background`](RotatingFile::wait_background) go on; the latter waits for no packing.
    ///
    /// Any thread may call it; it does not block. What is being read or compressed at that moment,
    /// 128 KiB, is finished first, and so is a sync of a packed file.
    ///
    /// ```
    /// # use alq::rotate::Rotation;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let log = Rotation::new().open(&path)?;
    /// log.stop_packing(); // on SIGTERM, for example
    /// log.wait_background(None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop_packing(&self) {
        self.log.worker.stop_packing();
    }

    /// Waits until the rotations that were asked for, and the work behind them, are done: packing, deleting, hooks. A rotation that fails is not waited for. `None` waits for as long as
    /// that takes: for ever, if a queue has been given up inside of a record.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; [`Error::Io`] if the thread for that cannot be started; [`Error::WouldDeadlock`] on that thread, in a hook;
    /// [`Error::Forked`] in a child of fork(2).
    ///
    /// ```
    /// use std::time::Duration;
    /// # use alq::rotate::Rotation;
    /// # use alq::{Flags, Options};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let log = Rotation::new().open(&path)?;
    /// # let queue = Options::new().to_sink(log.clone())?;
    /// queue.close(None)?;
    /// log.wait_background(Some(Duration::from_secs(10)))?; // what was cut off is packed now
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_background(&self, timeout: Option<Duration>) -> Result<(), Error> {
        background::wait(&self.log, timeout)
    }
}

impl Sink for RotatingFile {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let taken = self.log.write(runs);
        self.start_worker();
        taken
    }

    fn cuts_records(&self) -> bool {
        self.log.cuts_records()
    }

    fn room(&self) -> u64 {
        let room = self.log.room();
        self.start_worker();
        room
    }

    /// Also of what was cut off since the last one, and of the names in the directory.
    fn sync(&self, op: SyncOp) -> io::Result<()> {
        self.log.durable.sync(op, &self.log.folder, &self.log.names)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.log.descriptor())
    }

    fn open_in_child(&self) -> Option<io::Result<OwnedFd>> {
        self.log.open_in_child()
    }

    fn file_id(&self) -> Option<(u64, u64)> {
        Some(self.log.durable.id())
    }

    fn end(&self) -> Option<LogEnd> {
        self.log.end()
    }

    fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        self.log.holds(end, runs)
    }

    fn path(&self) -> Option<PathBuf> {
        Some(self.log.folder.path_of(self.log.names.log()))
    }
}

impl Rotation {
    /// Opens the log at `path`, creating it if need be, and locks it: `path.lock` stays behind, empty. What an earlier process has left undone of a
    /// rotation is done in the background, from the first record on.
    ///
    /// Blocks as open(2) of a regular file does. The result is a [`Sink`](crate::Sink); keep a clone to
    /// [`rotate`](RotatingFile::rotate).
    ///
    /// # Errors
    ///
    /// [`Error::Rotation`] if somebody else rotates it, if other users may change its folder
    /// and this process is privileged (see [`shared_folder`](Rotation::shared_folder)), if it is no regular file, if there can be no lock, no link, or no files to come
    /// beside it, for a zone that is not known, or a compression that was not compiled in; [`Error::InvalidOption`] for a value out of
    /// range; [`Error::Io`] with what the system said of the log itself.
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
        let log = PlainArc::new(Log::open(self, path.as_ref())?);
        Ok(RotatingFile { log })
    }
}
