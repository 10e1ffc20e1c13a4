//! The options of queues with a ring file, and what such a queue has found.

use std::path::Path;

use super::options::Options;
use super::queue::Queue;
use crate::ends::FileSink;
use crate::words::{Error, Recovery, RingFileProblem as Problem};

impl Options {
    /// Keeps the ring in the file at `path`, so that posted records outlive the process, however it
    /// ends (SIGKILL, an abort, the OOM killer). The next queue that is opened with the same ring
    /// file and log first appends what had not been written, in order.
    /// [`Queue::recovery`](crate::Queue::recovery) returns how much that was. An append costs the
    /// same as without a ring file, and makes no more system calls.
    ///
    /// The file is created if it does not exist (mode 0600, locked, with all its room allocated),
    /// and stays when the queue is closed. It should be on tmpfs: in a folder of `/run` that only
    /// this user may write to, or in `$XDG_RUNTIME_DIR`. (In `/dev/shm`, any user can create a file
    /// of that name first.) On a disk, an append may wait for the disk, even with
    /// [`NOWAIT`](crate::Flags::NOWAIT); [`on_error`](Options::on_error) gets one warning about
    /// this ([`ring_on_disk`](Options::ring_on_disk)). A ring file does not survive a crash of the
    /// machine: for that, use [`fsync`](crate::Queue::fsync).
    ///
    /// - In a regular file, each record appears exactly once, if no other process has written to
    ///   the log or replaced it since. Otherwise, and in a pipe or a socket, it appears at least
    ///   once, and [`Recovery`] counts the bytes that may appear twice. (docs/format.md describes
    ///   the one exception: another process appends the very bytes that were being written when the
    ///   process was killed.)
    /// - Reservations that were not posted are lost. Every posted record is kept, also in a
    ///   [lane](crate::Lane).
    /// - The file must belong to this user or to root, have one name (no hard links), and not be
    ///   writable for other users. The log must be open for appending. One ring file serves one
    ///   queue at a time.
    /// - A file that is empty or all zeros is initialised. So is a file with another capacity,
    ///   after its records are written; `open` waits for that, for at most the [stall
    ///   limit](Options::stall_limit) (5 seconds without one). If the time is too short, `on_error`
    ///   gets the reason, and the queue has the old capacity until it is opened again.
    /// - Positions continue where an earlier process has left the ring. They no longer count from
    ///   the opening of the queue.
    /// - No process may truncate the file while a queue uses it: as with every mapped file, the
    ///   next access would raise SIGBUS.
    ///
    /// # Errors
    ///
    /// Opening the queue fails with [`Error::RingFile`] if the file is in use, not a ring file,
    /// made for entries of another length, damaged, or holds records for another log
    /// ([`other_log`](Options::other_log)). The file is not changed then. It fails with
    /// [`Error::Io`] and [`Operation::RingFile`](crate::Operation::RingFile) if the system denies
    /// access to the file ([`ring_optional`](Options::ring_optional)).
    ///
    /// ```
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
    /// let queue = Options::new().ring_file(&ring).open(&log)?;
    /// let recovery = queue.recovery().expect("it has a ring file");
    /// if recovery.bytes > 0 {
    ///     eprintln!("an earlier process has left {} bytes", recovery.bytes);
    /// }
    /// queue.writen(b"not lost by kill -9\n", Flags::WAITOK)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ring_file(mut self, path: impl AsRef<Path>) -> Self {
        self.ring_file = Some(path.as_ref().to_owned());
        self
    }

    /// Sets whether a [ring file](Options::ring_file) with records for another log is accepted: the
    /// records go to the log that is opened now. Off by default.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, ring) = (dir.path().join("new.log"), dir.path().join("app.ring"));
    /// let queue = alq::Options::new().ring_file(&ring).other_log(true).open(&log)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn other_log(mut self, other: bool) -> Self {
        self.other_log = other;
        self
    }

    /// Sets whether a queue opens with a ring in memory if it cannot use its [ring
    /// file](Options::ring_file). Off by default. That covers: no room, no permission, no such
    /// folder; a file of another user, of another version, damaged, for another log, or not a
    /// ring file. [`on_error`](Options::on_error) gets the reason, and
    /// [`Queue::recovery`](crate::Queue::recovery) is `None`. A ring file that another queue has
    /// open remains an error.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let missing = "/no/such/directory/app.ring";
    /// let options = alq::Options::new().ring_file(missing).ring_optional(true);
    /// let queue = options.open(dir.path().join("app.log"))?;
    /// assert_eq!(queue.recovery(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ring_optional(mut self, optional: bool) -> Self {
        self.ring_optional = optional;
        self
    }

    /// Accepts a [ring file](Options::ring_file) on a disk without a warning. Off by default: the
    /// queue opens, and [`on_error`](Options::on_error) gets
    /// [`RingFileProblem::OnDisk`](crate::RingFileProblem::OnDisk). If the disk is frozen, hangs or
    /// is shut down, appends stop, also those with [`NOWAIT`](crate::Flags::NOWAIT), or the process
    /// is killed (SIGBUS).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let options = alq::Options::new().ring_file(dir.path().join("app.ring")).ring_on_disk(true);
    /// let queue = options.open(dir.path().join("app.log"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ring_on_disk(mut self, accepted: bool) -> Self {
        self.ring_on_disk = accepted;
        self
    }
}

impl Queue {
    /// Returns what was found in the [ring file](Options::ring_file) and at the end of the log when
    /// the queue was opened; `None` if its ring is in memory and the log had no [torn
    /// line](Options::end_torn_line) and has no [framing](Options::framing).
    ///
    /// The flusher appends what the log did not hold yet before any new record.
    /// [`flush`](Queue::flush) waits for it too.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// assert_eq!(queue.recovery(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn recovery(&self) -> Option<&Recovery> {
        self.found()
    }
}

/// Checks that `sink` may be the log of a queue with the ring file at `path`.
pub(super) fn check_appending(path: &Path, sink: &FileSink) -> Result<(), Error> {
    if sink.is_recoverable() {
        Ok(())
    } else {
        Err(Error::ring_file(path, Problem::NotAppending))
    }
}
