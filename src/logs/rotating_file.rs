//! The log as a sink, for the queue and for its caller. It forwards each call to `Log`, and starts
//! the background thread if there is work.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::log::Log;
use super::{Background, Rotation, background};
use crate::ends::Sink;
use crate::primitives::sync::PlainArc;
use crate::words::{Error, LogEnd, Operation, RingId, SyncOp};

/// A log that is cut into files: a [`Sink`] for [`Options::open_sink`](crate::Options::open_sink).
///
/// [`Rotation::open`] creates it. One queue has one clone; the caller keeps another one to ask for
/// rotations.
///
/// A sink of your own that wraps it must return it as its [`inner`](Sink::inner) sink, and must
/// pass the runs to its `write` unchanged: runs end where a record ends, and the log is cut only
/// there.
///
/// ```
/// use alq::rotate::Rotation;
/// use alq::{Flags, Options};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// let log = Rotation::new().open(&path)?;
/// let queue = Options::new().open_sink(log.clone())?;
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
    /// Starts the background thread if there is work. If the thread cannot be started now, the next
    /// write tries again.
    fn start_worker(&self) {
        if self.log.home.is_here() {
            let _ = background::start(&self.log);
        }
    }

    /// Asks for a rotation: at the end of the record that is being written, or at once if no write
    /// is under way.
    ///
    /// If the log got no record since the last rotation, nothing happens. Any thread may call this.
    /// It does not block, and does nothing in a child of fork(2).
    ///
    /// ```
    /// # use alq::rotate::Rotation;
    /// # use alq::{Flags, Options};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let log = Rotation::new().open(&path)?;
    /// # let queue = Options::new().open_sink(log.clone())?;
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

    /// Asks the log to check its path before the next record. If the path is gone, or names another
    /// file, the following records go there.
    ///
    /// The log also does this by itself, in each second in which it gets records. Any thread may
    /// call this. It does not block, and does nothing in a child of fork(2).
    ///
    /// ```
    /// # use alq::rotate::Rotation;
    /// # use alq::{Flags, Options};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let log = Rotation::new().open(&path)?;
    /// # let queue = Options::new().open_sink(log.clone())?;
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

    /// Returns how many rotated files and bytes have yet to be packed: 0 without
    /// [`compress`](Rotation::compress).
    ///
    /// Any thread may call this. It reads the folder of the log.
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

    /// Stops packing, for this log and all its clones.
    ///
    /// The file that is being packed stays plain, and so do the files after it. The next process
    /// that opens the log continues. Rotating, deleting and
    /// [`wait_background`](RotatingFile::wait_background) still work; the latter no longer waits
    /// for packing.
    ///
    /// Any thread may call this. It does not block. The packer first finishes the part that it is
    /// reading or compressing, 128 KiB, or the sync of a packed file.
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

    /// Waits until the requested rotations and the work after them are done: packing, deleting,
    /// hooks.
    ///
    /// It does not wait for a rotation that fails. `None` sets no limit: the wait never ends if a
    /// queue was given up in the middle of a record.
    ///
    /// Nothing is packed or deleted before a queue has the log, or with a ring file before the
    /// queue's first write: a note in the ring file may name the file.
    ///
    /// # Errors
    ///
    /// - [`Error::TimedOut`].
    /// - [`Error::Io`] if the background thread cannot be started.
    /// - [`Error::WouldDeadlock`] on the background thread, that is, in a hook.
    /// - [`Error::Forked`] in a child of fork(2).
    ///
    /// ```
    /// use std::time::Duration;
    /// # use alq::rotate::Rotation;
    /// # use alq::{Flags, Options};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let log = Rotation::new().open(&path)?;
    /// # let queue = Options::new().open_sink(log.clone())?;
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

    /// `false`: write(2) always knows.
    fn is_in_doubt(&self) -> bool {
        false
    }

    fn cuts_records(&self) -> bool {
        self.log.cuts_records()
    }

    fn room(&self) -> u64 {
        let room = self.log.room();
        self.start_worker();
        room
    }

    /// Also syncs the files that were cut off since the last sync, and the names in the folder.
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

    fn opened(&self, _: RingId) -> io::Result<()> {
        self.log.expect_notes();
        Ok(())
    }

    fn path(&self) -> Option<PathBuf> {
        Some(self.log.folder.path_of(self.log.names.log()))
    }
}

impl Rotation {
    /// Opens the log at `path` and locks it. Creates the log if it does not exist.
    ///
    /// The empty lock file `path.lock` is never removed. If an earlier process has left work
    /// after a rotation, the background thread does it, from the first record on.
    ///
    /// Blocks as open(2) of a regular file does. The result is a [`Sink`]; keep a
    /// clone to [`rotate`](RotatingFile::rotate).
    ///
    /// # Errors
    ///
    /// [`Error::Rotation`]:
    ///
    /// - Another process, or another queue of this process, rotates the log.
    /// - Other users may change its folder, and this process is privileged (see
    ///   [`shared_folder`](Rotation::shared_folder)).
    /// - The log is not a regular file.
    /// - The lock, the link, or the names of rotated files cannot be made beside it.
    /// - The zone is not known, or the compression was not compiled in.
    ///
    /// [`Error::InvalidOption`] for a value out of range. [`Error::Io`] with the error of the
    /// system if the log itself cannot be opened.
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
