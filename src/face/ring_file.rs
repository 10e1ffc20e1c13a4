//! Queues whose ring is a file: what a process has posted there, the next one writes.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
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
    /// closed. It is best on tmpfs, as in `/dev/shm` or `/run`: a disk makes the first store to each page slow after it has
    /// written it back. It does not outlive the machine: for that there is [`fsync`](crate::Queue::fsync).
    ///
    /// - A record is in a regular file exactly once, if nobody else has written or replaced the log in the meantime; otherwise,
    ///   and in a pipe or a socket, at least once, and the count of what may be there twice is told. (docs/format.md has the one
    ///   exception: others append the very bytes that were being written when the process was killed.)
    /// - What was reserved and not posted is gone. Of a [lane](crate::Lane), every record that was posted is there.
    /// - It must belong to this user, and nobody else may write to it. The log must be open for appending. One ring file serves one queue at a time.
    /// - Positions go on where an earlier process has left the ring; they are no longer bytes since the queue was opened.
    /// - Nobody may cut the file while a queue has it: as with every mapped file, the next access would be SIGBUS.
    ///
    /// # Errors
    ///
    /// When the queue is opened: [`Error::RingFile`] if it is in use, no ring file, made with other sizes, damaged,
    /// or holds records for another log ([`other_log`](Options::other_log)); nothing of it is changed then. [`Error::Io`] with
    /// [`Operation::RingFile`] if the system does not let us have it ([`ring_optional`](Options::ring_optional)).
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

    /// Whether a queue opens with a ring in memory where the system does not let it have its [ring file](Options::ring_file):
    /// no room, no permission, no such directory. [`on_error`](Options::on_error) is told why, and
    /// [`Queue::recovery`](crate::Queue::recovery) is `None`. Off by default. A ring file that is in use, damaged, or another's
    /// is an error all the same.
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

    /// The ring that the options ask for, and what was found in it if it is a file.
    pub(super) fn ring(
        &self,
        layout: Layout,
        sink: &dyn Sink,
        reporter: &Reporter,
    ) -> Result<(Ring<Mirror>, Drain, Option<Recovery>), Error> {
        if let Some(path) = &self.ring_file {
            match self.ring_in_file(path, layout, sink) {
                Ok((ring, drain, recovery)) => return Ok((ring, drain, Some(recovery))),
                Err(error @ Error::Io { .. }) if self.ring_optional => reporter.report(error),
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
    ) -> Result<(Ring<Mirror>, Drain, Recovery), Error> {
        let system = |error: io::Error| Error::io(Operation::RingFile, &error).about(&path.into());
        let wrong = |problem| Error::ring_file(path, problem);
        let id = fs::metadata(path).map(|there| (there.dev(), there.ino()));
        if id.is_ok_and(|id| sink.file_id() == Some(id)) {
            return Err(wrong(Problem::IsTheLog));
        }
        let opened = RingFile::open(path, layout)?;
        let memory = Mirror::map_file(opened).map_err(system)?;
        let journal = memory.journal().expect("a mapped file has one");
        let inheritance = Inheritance::look(&memory, journal).map_err(wrong)?;
        let note = note_of(sink);
        if !self.other_log {
            inheritance.check_log(journal.log(), &note).map_err(wrong)?;
        }
        journal.note_log(&note);
        Ok(inheritance.take_over(memory, sink))
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
