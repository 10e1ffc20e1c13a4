//! Reopening: the queue continues in another file while it runs.
//!
//! This file owns the request: it opens the new file and checks that the queue may use it. The
//! flusher makes the cut.

use std::os::fd::AsFd;
use std::path::Path;

use super::completion::Completion;
use super::options::Options;
use super::queue::Queue;
use super::ring_file::check_appending;
use crate::actors::syncer;
use crate::ends::{FileSink, Sink};
use crate::primitives::sync::PlainArc;
use crate::words::{Error, FramingProblem, Target};

/// Continuing in another file.
impl Queue {
    /// Continues the queue in another descriptor, which is duplicated: after a rotation of the log,
    /// or after the old descriptor has failed. Returns at once. The completion is done when the new
    /// descriptor has taken over. Any thread may call it; calls take effect in their order.
    ///
    /// Records that were posted before the call go to the old file. Records that are posted after
    /// the completion is done go to the new one. Records posted between go to either. The cut is
    /// between two records. Nothing is lost, and posts are not delayed. If an open reservation is
    /// in front of a posted record, the cut waits for it, as [`flush`](Queue::flush) does.
    ///
    /// # A file that failed
    ///
    /// The cut is made at once if the old file accepts no more data: a write has failed, the disk
    /// is full, or the other side has not read for the [stall limit](crate::Options::stall_limit).
    /// The data that was not written goes to the new file. The queue has then recovered, and
    /// accepts appends again.
    ///
    /// If `fd` is the same file (by device and inode), the next write continues at the very byte
    /// where the last one ended. In any other file, a record that was partly written is written
    /// from its first byte on. It is whole there, and
    /// [`Stats::repeated_bytes`](crate::Stats::repeated_bytes) counts the bytes that are in both
    /// files.
    ///
    /// # Durability
    ///
    /// The sync thread syncs the old file before anything in the new one counts as durable. If a
    /// sync has failed, data that was written before the reopen, and is not durable yet, never
    /// becomes durable; data that is written after the reopen can. The same holds if the old
    /// descriptor cannot be synced.
    ///
    /// # Child processes and sinks
    ///
    /// In a child of fork(2), the handles of the parent append synchronously. There, `reopen` opens
    /// a new queue of the child, which replaces the parent's for all its handles and lanes in the
    /// child. It has the same options, except that its ring is in memory. Appends, flushes and
    /// syncs then work as usual, and the parent is not affected. Entries that are open in the child
    /// are not part of the new queue.
    ///
    /// A queue [to a sink](crate::Options::open_sink) can be reopened too: the sink is dropped, and
    /// the descriptor replaces it.
    ///
    /// # Errors
    ///
    /// [`Error::BadDescriptor`] if `fd` is not open for writing; [`Error::Closed`] after a close;
    /// [`Error::TooManyOutstanding`] at the [limit](crate::Options::outstanding_max);
    /// [`Error::RingFile`] if the queue has a ring file and `fd` is not open for appending;
    /// [`Error::Framing`] if the file cannot be continued with the queue's
    /// [framing](crate::Options::framing);
    /// [`Error::Io`] if the descriptor cannot be duplicated, the sync thread cannot be started, or
    /// the flusher itself has failed. In each case the old descriptor stays in use.
    ///
    /// ```
    /// use std::fs::{self, File};
    ///
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let (path, old) = (dir.path().join("app.log"), dir.path().join("app.log.1"));
    /// let queue = Options::new().open(&path)?;
    /// queue.writen(b"before\n", Flags::WAITOK)?;
    /// fs::rename(&path, &old)?;
    /// let new = File::options().append(true).create(true).open(&path)?;
    /// queue.reopen(&new)?.wait()?;
    /// queue.writen(b"after\n", Flags::WAITOK)?;
    /// queue.close(None)?;
    /// assert_eq!(fs::read(&old)?, b"before\n");
    /// assert_eq!(fs::read(&path)?, b"after\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reopen(&self, fd: impl AsFd) -> Result<Completion, Error> {
        self.reopen_on(self.options().opening.duplicate(fd.as_fd())?, false)
    }

    /// Continues the queue in the log at `path`, as [`reopen`](Queue::reopen) does; creates the log
    /// if needed. A program calls it after its log was renamed. The [mode](crate::Options::mode)
    /// and [`follow_links`](crate::Options::follow_links) of the queue apply here too.
    ///
    /// Blocks as open(2) does (a FIFO waits for its reader).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with the error of open(2); otherwise as [`reopen`](Queue::reopen). In each
    /// case the old file stays in use.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let queue = alq::Options::new().open(&path)?;
    /// std::fs::rename(&path, path.with_extension("log.1"))?;
    /// queue.reopen_path(&path)?.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reopen_path(&self, path: impl AsRef<Path>) -> Result<Completion, Error> {
        self.reopen_on(self.options().opening.open(path.as_ref())?, false)
    }

    /// Continues the queue in another descriptor, as [`reopen`](Queue::reopen) does. If a write has
    /// failed, the records that the old file has not taken are discarded first: the new file does
    /// not get them. For a write-ahead log whose writers have aborted what failed.
    ///
    /// An append, a flush or a completion that fails after a failed write does not say whether the
    /// new file gets the record. After a plain `reopen` it does. After this call it does not: each
    /// record that was reserved before the new file takes over, and that the old file has not
    /// taken, is in no file when the returned completion is done. A [ring
    /// file](crate::Options::ring_file) does not keep these records either. Completions and flushes
    /// for their positions go on to return the error of the write. Later positions continue after
    /// them, so the stream has a gap there.
    ///
    /// If no write has failed before the call, nothing is discarded. A full disk, or a reader that does not read,
    /// is no failure; nor is a failed sync, after which the file has the records and only their
    /// durability is unknown.
    ///
    /// # What the files hold
    ///
    /// The old file may end with the first part of a record that is discarded;
    /// [`Stats::repeated_bytes`](crate::Stats::repeated_bytes) counts its bytes. (In a lane, that
    /// part may contain whole records.) If `fd` is the same file, such a part is ended or removed
    /// as the [framing](crate::Options::framing) says. `Framing::Raw` leaves it, and the next
    /// record follows it: shorten the file before the call, or use another file. A queue with
    /// `Framing::Checked` needs another file.
    ///
    /// [`Stats::discarded_records`](crate::Stats::discarded_records) counts what was discarded. A
    /// log with [loss lines](crate::Options::loss_lines) gets a line about it, and a log of checked
    /// frames gets a gap with the count.
    ///
    /// # Waiting
    ///
    /// The call returns at once. If an entry that was reserved before is still open, the new file
    /// takes over once it is posted or dropped, and its record is discarded too. Until then the
    /// queue stays failed, and a wait for the completion returns [`Error::Held`] after the stall
    /// limit. In a child of fork(2), and on a [recorder](crate::Options::recorder), the call is the
    /// same as `reopen`.
    ///
    /// # Errors
    ///
    /// As [`reopen`](Queue::reopen). In each case nothing is discarded.
    ///
    /// ```
    /// use std::fs::{self, File};
    ///
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let segment = dir.path().join("wal.2");
    /// let (reader, socket) = std::os::unix::net::UnixStream::pair()?;
    /// let queue = Options::new().open_fd(socket)?;
    /// drop(reader); // every write fails from now on
    /// queue.writen(b"begin, commit\n", Flags::WAITOK)?;
    /// assert!(queue.flush().is_err()); // the caller aborts the transaction
    ///
    /// let next = File::options().append(true).create(true).open(&segment)?;
    /// queue.reopen_discarding(&next)?.wait()?;
    /// queue.writen(b"begin, abort\n", Flags::WAITOK)?;
    /// queue.flush()?;
    /// assert_eq!(fs::read(&segment)?, b"begin, abort\n");
    /// assert_eq!(queue.stats().discarded_records, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reopen_discarding(&self, fd: impl AsFd) -> Result<Completion, Error> {
        self.reopen_on(self.options().opening.duplicate(fd.as_fd())?, true)
    }

    /// Continues the queue in the log at `path`, as [`reopen_discarding`](Queue::reopen_discarding)
    /// does. It opens the log as [`reopen_path`](Queue::reopen_path) does: creates it if needed, and
    /// blocks as open(2) does.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with the error of open(2); otherwise as [`reopen`](Queue::reopen). In each
    /// case nothing is discarded.
    ///
    /// ```
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let segment = dir.path().join("wal.2");
    /// let (reader, socket) = std::os::unix::net::UnixStream::pair()?;
    /// let queue = Options::new().open_fd(socket)?;
    /// drop(reader); // every write fails from now on
    /// queue.writen(b"begin, commit\n", Flags::WAITOK)?;
    /// assert!(queue.flush().is_err());
    ///
    /// queue.reopen_discarding_path(&segment)?.wait()?;
    /// queue.writen(b"begin, abort\n", Flags::WAITOK)?;
    /// queue.flush()?;
    /// assert_eq!(std::fs::read(&segment)?, b"begin, abort\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reopen_discarding_path(&self, path: impl AsRef<Path>) -> Result<Completion, Error> {
        self.reopen_on(self.options().opening.open(path.as_ref())?, true)
    }

    fn reopen_on(
        &self,
        (mut sink, target): (FileSink, Target),
        discards: bool,
    ) -> Result<Completion, Error> {
        let Ok(here) = self.here() else {
            return self.reopen_in_child(sink, target);
        };
        if let Some(ring_file) = here.in_file() {
            check_appending(ring_file, &sink)?;
        }
        if sink.message_max().is_some() && !here.shared().keeps_records_apart() {
            return Err(Error::framing(FramingProblem::Messages).about(&target));
        }
        let current = here.shared().aside.sink().and_then(|sink| sink.file_id());
        let discards = discards && here.shared().failure().is_some();
        if discards || current.is_none() || current != sink.file_id() {
            // Nothing of this queue is being written there.
            let opening = self.options().opening;
            let next = || {
                let sink = opening.lock(sink)?;
                let found = opening.look(&sink)?;
                opening.mend_next(&sink, &found).map(|()| sink)
            };
            sink = next().map_err(|error| error.about(&target))?;
        }
        syncer::start_before(here.handle(), &sink)?;
        let pending = here
            .shared()
            .reopen((PlainArc::new(sink), target, discards))?;
        Ok(Completion::new(here.handle(), pending))
    }

    /// Replaces a queue of the parent process with a new queue of this process, for all its
    /// handles.
    fn reopen_in_child(&self, sink: FileSink, target: Target) -> Result<Completion, Error> {
        let current = self.current();
        let shared = current.shared();
        if shared.aside.is_closed_in_child() || shared.intake.ring.ended().is_some() {
            return Err(Error::Closed);
        }
        let options = Options {
            ring_file: None, // the parent keeps using it
            ..self.options().clone()
        };
        let sink = options
            .opening
            .lock(sink)
            .map_err(|error| error.about(&target))?;
        let heir = options.start(options.layout()?, PlainArc::new(sink), target)?;
        current.heir().get_or_set(heir);
        Ok(self.here()?.settled(&Ok(())))
    }
}
