//! The queue: a cheap handle that any thread appends through.

use std::path::PathBuf;
use std::time::Duration;

use super::exit;
use super::options::Options;
use super::registry::registry;
use super::{aside, barrier};
use crate::actors::{Past, Shared};
use crate::ends::Stats;
use crate::memory::Mirror;
use crate::primitives::Once;
use crate::primitives::sync::Arc;
use crate::words::{Error, Position, Recovery, Undrained};

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
/// handles, and gives up as a drop does; what it must leave, it tells `on_error`, or standard error. Threads and handlers
/// of atexit(3) that append after that drain write synchronously, in order; with `NOWAIT` they are refused while it is at
/// work. docs/process.md goes through the cases.
///
/// # Fork
///
/// In a child of fork(2), the handles of its parent append synchronously: to the same descriptor, with write(2), without
/// a lock. A [`reopen`](Queue::reopen) there makes them asynchronous again. Nothing of the parent's is touched: what it
/// has posted it writes itself, once; entries that live across the fork are the parent's, and its completions fail with
/// [`Error::Forked`]. `flush`, `close` and drops return at once. The child may open queues of its own. fork(2) writes
/// out what was posted before it, for 10 ms at most: a parent that ends with `_exit`, as daemon(3) does, leaves its log
/// whole. After vfork(2): exec only.
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
    owner: Arc<Owner>,
}

/// What all handles share; its drop is the drop of the last handle.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared<Mirror>>,
    /// What was found in the ring file, and which one it is.
    in_file: Option<(Recovery, PathBuf)>,
    /// What it was opened with.
    options: Options,
    /// In a child of fork(2): the queue that a reopen there has put in the place of this one.
    heir: Once<Queue>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let Ok(shared) = self.shared.here() else {
            return; // it is the parent's
        };
        let was_closed = shared.ring.ended().is_some(); // by a call that has told what was left
        let left = barrier::close(shared, shared.patience(None));
        if shared.ring.journal().is_some() && barrier::has_stopped(shared) {
            shared.ring.release(); // what was not written is the next queue's
        }
        if let (Err(undrained), false) = (left, was_closed) {
            exit::last_words(&shared.reporter, "a queue was dropped", undrained);
        }
        registry().leave(shared.id);
    }
}

impl Queue {
    pub(super) fn new(
        shared: Arc<Shared<Mirror>>,
        entry_len: Option<u32>,
        options: Options,
        in_file: Option<(Recovery, PathBuf)>,
    ) -> Self {
        let len_max = entry_len.map_or(shared.ring.geometry().capacity(), |_| 0);
        let owner = Arc::new(Owner {
            shared: Arc::clone(&shared),
            in_file,
            options,
            heir: Once::new(),
        });
        Self {
            shared,
            entry_len,
            len_max,
            owner,
        }
    }

    #[inline]
    pub(super) fn shared(&self) -> &Shared<Mirror> {
        &self.shared
    }

    /// This queue, or the one that a reopen in a child of fork(2) has put in its place last.
    pub(super) fn current(&self) -> &Self {
        self.owner.heir.get().map_or(self, Self::current)
    }

    /// [`current`](Queue::current), if this process has made it.
    pub(super) fn here(&self) -> Result<&Self, Past> {
        let current = self.current();
        current.shared.here().map(|_| current)
    }

    /// Whether it was made in another process: in a parent of this one.
    pub(super) fn is_inherited(&self) -> bool {
        self.shared.here().is_err()
    }

    pub(super) fn heir(&self) -> &Once<Self> {
        &self.owner.heir
    }

    /// Whether appends go through a ring: not in a child of fork(2), unless it has reopened the queue; nor once the
    /// process ends.
    pub(super) fn is_async(&self) -> bool {
        self.here().is_ok_and(|here| !here.shared.ring.is_aside())
    }

    fn flush_within(&self, timeout: Option<Duration>) -> Result<(), Error> {
        match self.here() {
            Ok(Self { shared, .. }) => barrier::flush(shared, shared.patience(timeout)),
            Err(_) => Ok(()), // what this process appends is written already
        }
    }

    pub(super) fn handle(&self) -> &Arc<Shared<Mirror>> {
        &self.shared
    }

    /// What was found in the ring file, and which one it is.
    pub(super) fn in_file(&self) -> Option<&(Recovery, PathBuf)> {
        self.owner.in_file.as_ref()
    }

    pub(super) fn options(&self) -> &Options {
        &self.owner.options
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
        if let Ok(here) = self.here() {
            here.shared.bell.ring();
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
        let shared = &self.current().shared;
        if self.is_async() {
            Position::new(shared.id, shared.ring.posted_end())
        } else {
            aside::end(shared)
        }
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
        self.current().shared.stats()
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
        let Ok(Self { shared, .. }) = self.here() else {
            self.current().shared.aside.close_in_child();
            return Ok(());
        };
        barrier::close(shared, shared.patience(timeout))
    }
}
