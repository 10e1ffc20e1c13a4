//! The queue: a cheap handle that any thread appends through.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::barrier::Patience;
use super::exit;
use super::options::Options;
use super::places::Places;
use super::registry::registry;
use super::{aside, barrier};
use crate::actors::{Past, Shared};
use crate::ends::Stats;
use crate::memory::Mirror;
use crate::primitives::Once;
use crate::primitives::sync::{Arc, PlainArc};
use crate::words::{Error, Geometry, Position, Recovery, Undrained};

/// An append queue: records go into a preallocated ring, and one flusher thread writes them to a
/// descriptor.
///
/// [`Options`] opens a queue. A clone is another handle of the same queue; cloning
/// is cheap, and any thread may use any handle. The records of all handles reach the file whole, in
/// the order in which their room was claimed.
///
/// # Dropping
///
/// The drop of the last handle closes the queue. It waits until everything posted is written, and
/// gives up if nothing moves for the [stall limit](crate::Options::stall_limit). A drop cannot
/// return an error: it reports one to [`on_error`](crate::Options::on_error). Call
/// [`close`](Queue::close) to get the error yourself.
///
/// # Exit
///
/// The end of the process (a return from `main`, `std::process::exit`) drains every open queue,
/// also one with handles in other threads. It gives up as a drop does, and reports what it could
/// not write to `on_error`, or to standard error if there is no callback. Threads and atexit(3)
/// handlers that append after that drain write synchronously, in order. While the drain runs, an
/// append with `NOWAIT` is refused. docs/process.md describes each case.
///
/// # Fork
///
/// In a child of fork(2), the handles of the parent append synchronously, with write(2) to the same
/// descriptor and without a lock. A [`reopen`](Queue::reopen) in the child makes them asynchronous
/// again. The child changes nothing in the parent's queue: the parent writes its posted records
/// itself, once; entries that are open across the fork belong to the parent; the parent's
/// completions fail in the child with [`Error::Forked`]. `flush`, `close` and drops return at once.
/// The child may open its own queues.
///
/// Before a fork, the library writes what is posted, for at most 10 ms. So a parent that ends with
/// `_exit`, as in daemon(3), leaves a complete log. After vfork(2), only exec is allowed.
///
/// # Signals
///
/// With [`NOWAIT`](crate::Flags::NOWAIT), [`writen`](Queue::writen),
/// [`write_fixed`](Queue::write_fixed), [`getn`](Queue::getn) and [`get`](Queue::get) are
/// async-signal-safe, and so are the post and the drop of an [`Entry`](crate::Entry), and
/// [`request_dump`](Queue::request_dump) and [`request_dump_for`](Queue::request_dump_for). A
/// signal handler may call them, no matter what it interrupted. They take no lock, allocate nothing
/// and preserve errno. (In a child of fork(2), and after the drain at the end of the process, `getn`
/// and `get` allocate.) No other call is async-signal-safe, and no call of a [`Lane`](crate::Lane)
/// is.
///
/// # Cost
///
/// An append that finds room makes no system call, takes no lock and allocates nothing, unless the
/// flusher sleeps: the first post after a pause wakes it, which takes some microseconds. An append
/// that has to wait may allocate.
///
/// A queue uses the memory of its [capacity](crate::Options::capacity) and a quarter more, one
/// descriptor, and one thread (`alq-flusher`, with 2 MiB of stack, of which about 10 KiB are
/// touched). While a record is partly written, the queue keeps a copy of the written part, for a
/// [`reopen`](Queue::reopen). An idle queue uses no CPU time. A descriptor that accepts no data
/// delays its own queue and no other.
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
    /// The length of each record of a fixed queue; `None` on a variable queue.
    entry_len: Option<u32>,
    /// The longest record that `writen` may append; 0 on a fixed queue, so that one comparison
    /// refuses both.
    pub(super) len_max: u32,
    /// Whether threads have lanes. The fast path does not ask: it finds no [`Shared::direct`].
    pub(super) has_thread_lanes: bool,
    owner: Arc<Owner>,
}

/// The part that all handles share. Its drop is the drop of the last handle.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared<Mirror>>,
    /// What was found in the ring file and at the end of the log.
    recovery: Option<Recovery>,
    /// The path of the ring file.
    ring_file: Option<PathBuf>,
    /// The options that the queue was opened with.
    options: Options,
    /// In a child of fork(2): the queue with which a reopen in the child has replaced this one.
    heir: Once<Queue>,
    thread_places: PlainArc<Places>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let shared = &*self.shared;
        let Ok(intake) = shared.here() else {
            return; // the queue belongs to the parent process
        };
        let was_closed = intake.ring.ended().is_some(); // a close has returned what was left
        let left = barrier::close(shared, Patience::of(shared, None));
        if intake.ring.journal().is_some() && barrier::has_stopped(shared) {
            intake.ring.release(); // the next queue on this ring file writes the rest
        }
        if let (Err(undrained), false) = (left, was_closed) {
            exit::report_undrained(&intake.trouble.reporter, "a queue was dropped", undrained);
        }
        registry().leave(intake.id);
    }
}

impl Queue {
    pub(super) fn new(
        shared: Arc<Shared<Mirror>>,
        entry_len: Option<u32>,
        options: Options,
        (recovery, ring_file): (Option<Recovery>, Option<PathBuf>),
    ) -> Self {
        let capacity = shared.intake.ring.geometry().capacity();
        let len_max = entry_len.map_or(shared.len_max, |_| 0);
        let has_thread_lanes = options.have_thread_lanes();
        let owner = Arc::new(Owner {
            shared: Arc::clone(&shared),
            recovery,
            ring_file,
            options,
            heir: Once::new(),
            thread_places: PlainArc::new(Places::new(capacity)),
        });
        Self {
            shared,
            entry_len,
            len_max,
            has_thread_lanes,
            owner,
        }
    }

    #[inline]
    pub(super) fn shared(&self) -> &Shared<Mirror> {
        &self.shared
    }

    /// The number of the queue, unique in the process.
    #[inline]
    pub(super) fn id(&self) -> u64 {
        self.shared.intake.id
    }

    /// The position of this queue at `bytes`.
    pub(super) fn position_at(&self, bytes: u64) -> Position {
        self.shared.intake.position(bytes)
    }

    /// The end of the last record that was posted in the ring.
    pub(super) fn posted_end(&self) -> u64 {
        self.shared.intake.ring.posted_end()
    }

    /// The sizes of the ring.
    #[inline]
    pub(super) fn geometry(&self) -> Geometry {
        self.shared.intake.ring.geometry()
    }

    /// This queue, or the newest queue with which a reopen in a child of fork(2) has replaced it.
    pub(super) fn current(&self) -> &Self {
        self.owner.heir.get().map_or(self, Self::current)
    }

    /// [`current`](Queue::current), if this process created it.
    pub(super) fn here(&self) -> Result<&Self, Past> {
        let current = self.current();
        current.shared.here().map(|_| current)
    }

    /// Returns whether another process, a parent of this one, created the queue.
    pub(super) fn is_inherited(&self) -> bool {
        self.shared.here().is_err()
    }

    pub(super) fn heir(&self) -> &Once<Self> {
        &self.owner.heir
    }

    /// Returns whether appends go through the ring. They do not in a child of fork(2) that has not
    /// reopened the queue, nor after the end of the process has begun.
    pub(super) fn is_async(&self) -> bool {
        let intake = self.current().shared.here();
        intake.is_ok_and(|intake| !intake.ring.is_aside())
    }

    fn flush_within(&self, timeout: Option<Duration>) -> Result<(), Error> {
        match self.here() {
            Ok(Self { shared, .. }) => barrier::flush(shared, Patience::of(shared, timeout)),
            Err(_) => Ok(()), // appends of this process are synchronous, so they are written
        }
    }

    pub(super) fn thread_places(&self) -> &PlainArc<Places> {
        &self.owner.thread_places
    }

    pub(super) fn handle(&self) -> &Arc<Shared<Mirror>> {
        &self.shared
    }

    /// The path of the ring file.
    pub(super) fn in_file(&self) -> Option<&Path> {
        self.owner.ring_file.as_deref()
    }

    pub(super) fn found(&self) -> Option<&Recovery> {
        self.owner.recovery.as_ref()
    }

    pub(super) fn options(&self) -> &Options {
        &self.owner.options
    }

    /// The length of every record of a fixed queue; `None` on a variable queue.
    #[inline]
    pub(super) fn entry_len(&self) -> Option<u32> {
        self.entry_len
    }

    /// Returns how many bytes may be outstanding at once. On a variable queue this is also the
    /// length of the longest record; on a fixed queue it is `count` times the length of an entry.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().capacity(1).open(dir.path().join("app.log"))?;
    /// assert_eq!(queue.capacity(), 4096);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        let geometry = self.geometry();
        match self.entry_len {
            Some(len) => len as usize * geometry.spans_max() as usize,
            None => geometry.capacity() as usize,
        }
    }

    /// Makes the flusher write the records that were posted with
    /// [`NOACTIVATE`](crate::Flags::NOACTIVATE) before the call. Returns at once.
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
        if let Ok(intake) = self.current().shared.here() {
            intake.activate_until(intake.ring.posted_end());
        }
    }

    /// Waits until everything that was posted before the call is written to the descriptor, even
    /// while other threads keep posting. Written means that the kernel has the data;
    /// [`fsync`](Queue::fsync) makes it durable.
    ///
    /// It waits for an open reservation only if a record was posted after it. Any number of threads
    /// may flush at once. A thread must not flush while it holds an entry in front of a posted
    /// record: it would wait for itself, until the stall limit.
    ///
    /// # Errors
    ///
    /// If nothing moves for the [stall limit](crate::Options::stall_limit): [`Error::Held`] if an
    /// open reservation blocks the drain, [`Error::Stalled`] if the descriptor accepts no data
    /// (`ENOSPC`: the disk is full; `EAGAIN`: the other side does not read). [`Error::Io`] if a
    /// write has failed and the queue was not [reopened](Queue::reopen). [`Error::Closed`] if the
    /// queue was closed and could not drain. In each case the queue keeps the data.
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

    /// Flushes as [`flush`](Queue::flush) does, and waits for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if `timeout` has passed; otherwise as [`flush`](Queue::flush).
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

    /// Returns the end of the last record that was posted before the call, as far as this thread
    /// can see. Never blocks.
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
        let current = self.current();
        if self.is_async() {
            current.position_at(current.posted_end())
        } else {
            aside::end(&current.shared)
        }
    }

    /// Returns a snapshot of the queue's counters. It reads every slot in use, which takes
    /// some microseconds while much is outstanding. It never blocks any thread.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// assert_eq!(queue.stats().posted_records, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.current().shared.stats()
    }

    /// Closes the queue for all handles, and waits until everything posted is written. Later
    /// appends fail with [`Error::Closed`], and so do appends that are waiting for room. Any thread
    /// may call it, any number of times; each call returns when the queue is finished.
    ///
    /// With a `timeout`, `close` waits for at most that long, plus about 100 ms if it must step
    /// over open reservations. Without one, it waits while bytes move, and then for the [stall
    /// limit](crate::Options::stall_limit).
    ///
    /// # Errors
    ///
    /// [`Undrained`] counts what was not written, and names the cause. Records after a reservation
    /// that stays open are still written; the reservation counts as abandoned, and posting it later
    /// writes nothing.
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
        let Ok(Self { shared, .. }) = self.here() else {
            self.current().shared.aside.close_in_child();
            return Ok(());
        };
        barrier::close(shared, Patience::of(shared, timeout))
    }
}
