//! The queue: a cheap handle that any thread appends through.

use std::path::PathBuf;
use std::time::Duration;

use super::completion::Completion;
use super::exit;
use super::opening::Opening;
use super::registry::registry;
use super::{aside, barrier};
use crate::actors::Shared;
use crate::ends::{Pending, Reach, Stats};
use crate::memory::Mirror;
use crate::primitives::sync::Arc;
use crate::words::{Error, Level, Position, Recovery, SyncOp, Undrained};

/// An append queue: records go into a preallocated ring, and one flusher thread writes them to a descriptor.
///
/// Made by [`Options`](crate::Options). A clone is another handle of the same queue; any thread may use any handle.
/// Records of all handles go to the file in the order in which their room was claimed, each whole.
///
/// # Dropping
///
/// The drop of the last handle closes the queue: it waits until everything posted is written, and gives up when
/// nothing has moved for the [stall limit](crate::Options::stall_limit). It can tell so only to
/// [`on_error`](crate::Options::on_error): call [`close`](Queue::close) to know.
///
/// # Exit
///
/// The end of the process (a return from `main`, `std::process::exit`) drains every queue that is open, whoever holds its
/// handles, and gives up as a drop does; what it must leave, it tells `on_error`, or standard error. Threads and handlers of atexit(3)
/// that append after that drain write synchronously, in order; with `NOWAIT` they are refused while it is at work.
/// docs/process.md goes through the cases.
///
/// # Fork
///
/// In a child of fork(2), the handles of its parent append synchronously: to the same descriptor, with write(2), without
/// a lock. Nothing of the parent's is touched: what it has posted it writes itself, once; entries that live across the
/// fork are the parent's, and its completions fail with [`Error::Forked`]. `flush`, `close` and drops return at once. The
/// child may open queues of its own. After vfork(2): exec only.
///
/// # Signals
///
/// [`writen`](Queue::writen), [`write_fixed`](Queue::write_fixed), [`getn`](Queue::getn) and [`get`](Queue::get) with
/// [`NOWAIT`](crate::Flags::NOWAIT), and the post and the drop of an [`Entry`](crate::Entry), are async-signal-safe: a
/// handler may call them whatever its thread was doing. They take no lock, allocate nothing and keep errno. (In a child of
/// fork(2), and after the last drain, `getn` and `get` allocate.) No other call is, nor is any call of a
/// [`Lane`](crate::Lane).
///
/// # Cost
///
/// An append that finds room makes no system call, takes no lock and allocates nothing, unless the flusher sleeps:
/// then the first post after a pause wakes it (some microseconds). One that has to wait may allocate.
///
/// A queue has the memory of its [capacity](crate::Options::capacity) and a quarter more, one thread (`alq-flusher`, the
/// 2 MiB of stack, of which some 10 KiB are touched) and one descriptor. While a record is written in part, a copy of that
/// part is kept, for a [`reopen`](Queue::reopen). A queue that nobody posts to costs no time. A
/// descriptor that takes nothing holds up its own queue and no other.
///
/// ```
/// use alq::{Flags, Options};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// let queue = Options::new().open(&path)?;
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| queue.writen(b"one line\n", Flags::WAITOK).unwrap());
///     }
/// });
/// queue.flush()?;
/// assert_eq!(std::fs::read(&path)?, b"one line\n".repeat(4));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Queue {
    shared: Arc<Shared<Mirror>>,
    /// Whether records have a fixed length, and which.
    entry_len: Option<u32>,
    /// The longest record that may be appended with its own length: none if that is fixed.
    pub(super) len_max: u32,
    /// How a reopen opens.
    opening: Opening,
    owner: Arc<Owner>,
}

/// What all handles share; its drop is the drop of the last handle.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared<Mirror>>,
    /// What was found in the ring file, and which one it is.
    in_file: Option<(Recovery, PathBuf)>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if !self.shared.home.is_here() {
            return; // it is the parent's
        }
        let was_closed = self.shared.ring.ended().is_some(); // by a call that has told what was left
        let left = barrier::close(&self.shared, self.shared.patience(None));
        if self.shared.ring.journal().is_some() && barrier::has_stopped(&self.shared) {
            self.shared.ring.release(); // what was not written is the next queue's
        }
        if let (Err(undrained), false) = (left, was_closed) {
            exit::last_words(&self.shared.reporter, "a queue was dropped", undrained);
        }
        registry().leave(self.shared.id);
    }
}

impl Queue {
    pub(super) fn new(
        shared: Arc<Shared<Mirror>>,
        entry_len: Option<u32>,
        opening: Opening,
        in_file: Option<(Recovery, PathBuf)>,
    ) -> Self {
        let len_max = entry_len.map_or(shared.ring.geometry().capacity(), |_| 0);
        let owner = Arc::new(Owner {
            shared: Arc::clone(&shared),
            in_file,
        });
        Self {
            shared,
            entry_len,
            len_max,
            opening,
            owner,
        }
    }

    #[inline]
    pub(super) fn shared(&self) -> &Shared<Mirror> {
        &self.shared
    }

    /// Whether appends go through the ring: not in a child of fork(2), nor once the process ends.
    pub(super) fn is_async(&self) -> bool {
        self.shared.home.is_here() && !self.shared.ring.is_aside()
    }

    fn flush_within(&self, timeout: Option<Duration>) -> Result<(), Error> {
        if !self.shared.home.is_here() {
            return Ok(()); // what this process appends is written already
        }
        barrier::flush(&self.shared, self.shared.patience(timeout))
    }

    pub(super) fn handle(&self) -> &Arc<Shared<Mirror>> {
        &self.shared
    }

    /// What was found in the ring file, and which one it is.
    pub(super) fn in_file(&self) -> Option<&(Recovery, PathBuf)> {
        self.owner.in_file.as_ref()
    }

    pub(super) fn opening(&self) -> Opening {
        self.opening
    }

    /// The length of every record of a fixed queue.
    #[inline]
    pub(super) fn entry_len(&self) -> Option<u32> {
        self.entry_len
    }

    /// How many bytes may be outstanding; on a variable queue also the length of the longest record, on a fixed one
    /// `count` times the length of an entry.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().capacity(1).open(dir.path().join("app.log"))?;
    /// assert_eq!(queue.capacity(), 4096);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        let geometry = self.shared.ring.geometry();
        match self.entry_len {
            Some(len) => len as usize * geometry.spans_max() as usize,
            None => geometry.capacity() as usize,
        }
    }

    /// Schedules the drain, for what was posted with [`NOACTIVATE`](crate::Flags::NOACTIVATE). Returns at once.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// use alq::Flags;
    ///
    /// queue.writen(b"not urgent\n", Flags::WAITOK | Flags::NOACTIVATE)?;
    /// queue.activate();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn activate(&self) {
        if self.shared.home.is_here() {
            self.shared.bell.ring();
        }
    }

    /// Waits until everything that was posted before the call is written to the descriptor, whatever other threads
    /// post meanwhile. It is written, not on disk: that is fsync(2).
    ///
    /// It waits for reservations that lie before something posted, and for no others. Any number of threads may
    /// flush at once. Not to be called by a thread that holds an entry in front of what it waits for.
    ///
    /// # Errors
    ///
    /// When nothing has moved for the [stall limit](crate::Options::stall_limit): [`Error::Held`] if an open
    /// reservation is in the way, [`Error::Stalled`] if the descriptor takes nothing (`ENOSPC`: the disk is full; `EAGAIN`:
    /// nobody reads). [`Error::Io`] if a write has failed and the queue was not [reopened](Queue::reopen), [`Error::Closed`] if the queue was closed and could not drain. The data is kept.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let queue = alq::Options::new().open(&path)?;
    /// queue.writen(b"seen by others\n", alq::Flags::WAITOK)?;
    /// queue.flush()?;
    /// assert_eq!(std::fs::read(&path)?, b"seen by others\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush(&self) -> Result<(), Error> {
        self.flush_within(None)
    }

    /// [`flush`](Queue::flush) that waits for `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] when the time is over; otherwise as [`flush`](Queue::flush).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// queue.flush_timeout(std::time::Duration::from_millis(500))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.flush_within(Some(timeout))
    }

    /// Where the last record that was posted before the call ends, as far as this thread can know.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let position = queue.writen(b"one record\n", alq::Flags::WAITOK)?;
    /// assert_eq!(queue.position(), position);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> Position {
        if self.is_async() {
            Position::new(self.shared.id, self.shared.ring.posted_end())
        } else {
            aside::end(&self.shared)
        }
    }

    /// Makes durable what was posted before the call: returns at once, and the completion is done when all of it is
    /// written and `fdatasync(2)` (or `fsync(2)`, for [`SyncOp::Full`]) has returned. What is posted later is neither
    /// delayed nor waited for. One system call serves all who wait. Source: `aio_fsync(3)`.
    ///
    /// The first call starts a thread of the queue (`alq-sync`). The first sync of a log that
    /// [`open`](crate::Options::open) has created covers its directory entry too.
    ///
    /// After a sync has failed once, nothing becomes durable until the queue is [reopened](Queue::reopen): the system may
    /// have dropped the data, so a later success would prove nothing. What was written by then is never durable.
    ///
    /// # Errors
    ///
    /// [`Error::NotSyncable`] for a pipe, a socket or a terminal; [`Error::TooManyOutstanding`] at the
    /// [bound](crate::Options::outstanding_max); [`Error::Closed`] after a close; [`Error::Io`] if the thread cannot be
    /// started. What the sync itself says is the completion's.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// use alq::{Flags, SyncOp};
    ///
    /// queue.writen(b"survives the power\n", Flags::WAITOK)?;
    /// let completion = queue.fsync(SyncOp::Data)?;
    /// // ... something else, meanwhile ...
    /// completion.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fsync(&self, op: SyncOp) -> Result<Completion, Error> {
        if !self.shared.home.is_here() {
            return Err(Error::Forked);
        }
        Shared::start_syncer(&self.shared)?;
        self.watch(self.shared.ring.posted_end(), Reach::Durable(op))
    }

    /// A completion for one record: done when everything up to `position` has come to `level`.
    ///
    /// What stands in the way is the completion's own error: [`Error::InvalidPosition`] for a position of another queue,
    /// or beyond what was posted; and what [`fsync`](Queue::fsync) would say.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// use alq::{Flags, Level};
    ///
    /// let first = queue.writen(b"first\n", Flags::WAITOK)?;
    /// queue.writen(b"second\n", Flags::WAITOK)?;
    /// queue.completion(first, Level::Written).wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn completion(&self, position: Position, level: Level) -> Completion {
        let bytes = position.bytes();
        let completion = if !self.shared.home.is_here() {
            Err(Error::Forked)
        } else if !position.is_of(self.shared.id) || bytes > aside::end(&self.shared).bytes() {
            Err(Error::InvalidPosition)
        } else if bytes > self.shared.ring.claimed_end() && level == Level::Written {
            Ok(self.settled(&Ok(()))) // it went past the ring
        } else {
            match level {
                Level::Written => self.watch(bytes, Reach::Written),
                Level::Durable => self.watch_durable(bytes),
            }
        };
        completion.unwrap_or_else(|error| self.settled(&Err(error)))
    }

    /// A completion that has come to its end.
    fn settled(&self, result: &Result<(), Error>) -> Completion {
        Completion::new(&self.shared, Arc::new(Pending::settled(result)))
    }

    fn watch_durable(&self, target: u64) -> Result<Completion, Error> {
        let is_durable = target <= self.shared.durability.reached(SyncOp::Data);
        if !is_durable {
            Shared::start_syncer(&self.shared)?;
        }
        self.watch(target, Reach::Durable(SyncOp::Data))
    }

    /// Waits for a watermark, and has the flusher and the sync thread look.
    fn watch(&self, target: u64, reach: Reach) -> Result<Completion, Error> {
        let pending = Arc::new(Pending::new(target, reach));
        self.shared.watch.add(Arc::clone(&pending))?;
        self.shared.settle();
        self.shared.bell.ring();
        self.shared.durability.look();
        Ok(Completion::new(&self.shared, pending))
    }

    /// A snapshot of what the queue has done. It looks at every descriptor in use, so it costs some microseconds
    /// when much is outstanding; it never blocks anybody.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// assert_eq!(queue.stats().posted_records, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Ends the queue for all handles: later appends get [`Error::Closed`], sleepers too, and everything posted is
    /// written. Any number of calls; each returns when the queue is finished.
    ///
    /// With a `timeout` it waits for that long at most, and some 100 ms longer if open reservations must be stepped
    /// over. Without one it waits for as long as bytes move, and then for the
    /// [stall limit](crate::Options::stall_limit).
    ///
    /// # Errors
    ///
    /// [`Undrained`] says in numbers what was not written, and why. Records behind reservations that stay open are
    /// written after all; the reservations are counted as abandoned, and a later post of one writes nothing.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let queue = alq::Options::new().open(&path)?;
    /// use alq::{Error, Flags};
    ///
    /// queue.writen(b"the last\n", Flags::WAITOK)?;
    /// queue.close(None)?;
    /// assert_eq!(std::fs::read(&path)?, b"the last\n");
    /// assert_eq!(queue.writen(b"too late\n", Flags::WAITOK), Err(Error::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self, timeout: Option<Duration>) -> Result<(), Undrained> {
        if !self.shared.home.is_here() {
            self.shared.aside.close_in_child();
            return Ok(());
        }
        barrier::close(&self.shared, self.shared.patience(timeout))
    }
}
