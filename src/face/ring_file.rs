//! Queues whose ring is a file: what a process has posted there, the next one writes.

use std::io;
use std::path::Path;

use super::options::Options;
use super::queue::Queue;
use crate::actors::{Inheritance, Reporter, note_of};
use crate::ends::{FileSink, Sink};
use crate::memory::{Memory, Mirror, RingFile};
use crate::ring::{Drain, Ring};
use crate::words::{Error, Layout, Operation, Recovery, RingFileProblem as Problem};

impl Options {
    /// Keeps the ring in the file at `path`: what was posted outlives the process. However that ends (SIGKILL, an abort, the
    /// OOM killer), the next queue that is opened with the same ring file and log appends what had not been written, in order,
    /// before anything new; [`Queue::recovery`](crate::Queue::recovery) tells how much. Appends cost what they cost
    /// without: no system call more.
    ///
    /// The file is made if it is not there (mode 0600, locked, all of its room taken at once), and stays when the queue is
    /// closed. Its place is tmpfs: a folder in `/run` that only this user may write to, or `$XDG_RUNTIME_DIR`. (In `/dev/shm`
    /// any user can make a file of that name first.) On a disk an append may wait for the disk, with
    /// [`NOWAIT`](crate::Flags::NOWAIT) too, which [`on_error`](Options::on_error) is told once
    /// ([`ring_on_disk`](Options::ring_on_disk)). It does not outlive the machine: for that there is
    /// [`fsync`](crate::Queue::fsync).
    ///
    /// - A record is in a regular file exactly once, if nobody else has written or replaced the log in the meantime; otherwise,
    ///   and in a pipe or a socket, at least once, and the count of what may be there twice is told. (docs/format.md has the one
    ///   exception: others append the very bytes that were being written when the process was killed.)
    /// - What was reserved and not posted is gone. Of a [lane](crate::Lane), every record that was posted is there.
    /// - It must belong to this user or to root, have one name (no hard links), and no other user may write to it.
    ///   The log must be open for appending. One ring file serves one queue at a time.
    /// - One that is empty, or all zeros, is made anew. So is one that was made with another capacity; what it
    ///   holds is written first, for which `open` waits, for the [stall limit](Options::stall_limit) at most (5
    ///   seconds without one). If that is too short, `on_error` gets the reason, and the queue has the old capacity
    ///   until it is opened again.
    /// - Positions go on where an earlier process has left the ring; they are no longer bytes since the queue was opened.
    /// - Nobody may cut the file while a queue has it: as with every mapped file, the next access would be SIGBUS.
    ///
    /// # Errors
    ///
    /// When the queue is opened: [`Error::RingFile`] if it is in use, no ring file, made for entries of another
    /// length, damaged, or holds records for another log ([`other_log`](Options::other_log)); nothing of it is
    /// changed then. [`Error::Io`] with [`Operation::RingFile`] if the system does not let us have it
    /// ([`ring_optional`](Options::ring_optional)).
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

    /// Whether a [ring file](Options::ring_file) that holds records for another log is taken over all the same: they go to the
    /// log that is opened now. Off by default.
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

    /// Whether a queue opens with a ring in memory where it cannot have its [ring file](Options::ring_file): no
    /// room, no permission, no such directory; a file of another user, of another version, damaged, for another log,
    /// or no ring file at all. [`on_error`](Options::on_error) gets the reason, and
    /// [`Queue::recovery`](crate::Queue::recovery) is `None`. Off by default. A ring file that another queue has open is
    /// an error all the same.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let options = alq::Options::new().ring_file("/no/such/directory/app.ring").ring_optional(true);
    /// let queue = options.open(dir.path().join("app.log"))?;
    /// assert_eq!(queue.recovery(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ring_optional(mut self, optional: bool) -> Self {
        self.ring_optional = optional;
        self
    }

    /// Whether a [ring file](Options::ring_file) on a disk is accepted in silence. Off by default:
    /// [`on_error`](Options::on_error) gets a warning then, [`RingFileProblem::OnDisk`](crate::RingFileProblem::OnDisk), and
    /// the queue opens. A disk that is frozen, hung or shut down stops appends, also those with
    /// [`NOWAIT`](crate::Flags::NOWAIT), or kills the process (SIGBUS).
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

    /// The ring that the options ask for, and what was found in it if it is a file. That may have other sizes, if it
    /// holds anything. `before` was found in it, and is in the log already.
    pub(super) fn ring(
        &self,
        layout: Layout,
        sink: &dyn Sink,
        reporter: &Reporter,
        before: Recovery,
    ) -> Result<(Ring<Mirror>, Drain, Option<Recovery>), Error> {
        if let Some(path) = &self.ring_file {
            match self.ring_in_file(path, layout, sink, reporter) {
                Ok((ring, drain, found)) => return Ok((ring, drain, Some(found.behind(before)))),
                Err(error) if self.ring_optional && is_optional(&error) => reporter.report(error),
                Err(error) => return Err(error),
            }
        }
        let memory =
            Mirror::map(layout.geometry).map_err(|error| Error::io(Operation::Map, &error))?;
        let (ring, drain) = Ring::new(memory);
        Ok((ring, drain, None))
    }

    fn ring_in_file(
        &self,
        path: &Path,
        layout: Layout,
        sink: &dyn Sink,
        reporter: &Reporter,
    ) -> Result<(Ring<Mirror>, Drain, Recovery), Error> {
        let system = |error: io::Error| Error::io(Operation::RingFile, &error).about(&path.into());
        let wrong = |problem| Error::ring_file(path, problem);
        let mut opened = RingFile::open(path, layout, sink.file_id())?;
        if opened.layout.entry_len != layout.entry_len {
            return Err(wrong(Problem::OtherGeometry {
                found: opened.layout.to_string(),
                asked: layout.to_string(),
            }));
        }
        let mut cleared = Recovery::default();
        if opened.layout != layout {
            let (_, found) = Inheritance::read(&opened.file, opened.layout).map_err(system)?;
            let found = found.map_err(wrong)?.summary();
            if found.bytes == 0 {
                opened.make_anew(layout).map_err(system)?;
                cleared = found;
            }
        }
        let disk = opened.disk().filter(|_| !self.ring_on_disk);
        let memory = Mirror::map_file(opened).map_err(system)?;
        let journal = memory.journal().expect("a mapped file has one");
        let inheritance = Inheritance::look(&memory, journal).map_err(wrong)?;
        let note = note_of(sink);
        if !self.other_log {
            inheritance.check_log(journal.log(), &note).map_err(wrong)?;
        }
        if let Some(file_system) = disk {
            reporter.report(wrong(Problem::OnDisk { file_system }));
        }
        journal.note_log(&note);
        let (ring, drain, recovery) = inheritance.take_over(memory, sink);
        Ok((ring, drain, recovery.behind(cleared)))
    }
}

/// Whether a queue that can do without its ring file opens in spite of `error`: not where the program has made a
/// mistake, as with two queues on one ring file.
fn is_optional(error: &Error) -> bool {
    match error {
        Error::Io { .. } => true,
        Error::RingFile { problem, .. } => !matches!(
            **problem,
            Problem::InUse { .. } | Problem::IsTheLog | Problem::NotAppending
        ),
        _ => false,
    }
}

impl Queue {
    /// What was found in the [ring file](Options::ring_file) when the queue was opened; `None` if its ring is in memory.
    ///
    /// What was found, and the log did not hold, is appended before anything new, by the flusher: [`flush`](Queue::flush)
    /// waits for it, too.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// assert_eq!(queue.recovery(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn recovery(&self) -> Option<&Recovery> {
        self.in_file().map(|(recovery, _)| recovery)
    }
}

/// Whether `sink` may be the log of a queue with the ring file at `path`.
pub(super) fn check_appending(path: &Path, sink: &FileSink) -> Result<(), Error> {
    if sink.is_recoverable() {
        Ok(())
    } else {
        Err(Error::ring_file(path, Problem::NotAppending))
    }
}
