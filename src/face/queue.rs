//! The queue: a cheap handle that any thread appends through.

use std::time::Duration;

use super::barrier;
use super::registry::registry;
use crate::actors::Shared;
use crate::ends::Stats;
use crate::memory::Mirror;
use crate::primitives::sync::Arc;
use crate::words::{Error, Undrained};

/// An append queue: records go into a preallocated ring, and one flusher thread writes them to a descriptor.
///
/// Made by [`Options`](crate::Options). A clone is another handle of the same queue; any thread may use any handle.
/// Records of all handles go to the file in the order in which their room was claimed, each whole.
///
/// # Dropping
///
/// The drop of the last handle closes the queue: it waits until everything posted is written, and gives up when
/// nothing has moved for the [stall limit](crate::Options::stall_limit). It cannot say so: call
/// [`close`](Queue::close) to know.
///
/// # Cost
///
/// An append that finds room makes no system call, takes no lock and allocates nothing, unless the flusher sleeps:
/// then the first post after a pause wakes it (some microseconds). One that has to wait may allocate.
///
/// A queue has the memory of its [capacity](crate::Options::capacity) and a quarter more, one thread (`alq-flusher`, the
/// default stack, of which some 10 KiB are touched) and one descriptor. A queue that nobody posts to costs no time. A
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
    _owner: Arc<Owner>,
}

/// What all handles share; its drop is the drop of the last handle.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared<Mirror>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = barrier::close(&self.shared, self.shared.patience(None)); // documented: only `close` can tell
        registry().leave(self.shared.id);
    }
}

impl Queue {
    pub(super) fn new(shared: Arc<Shared<Mirror>>, entry_len: Option<u32>) -> Self {
        let owner = Arc::new(Owner {
            shared: Arc::clone(&shared),
        });
        Self {
            shared,
            entry_len,
            _owner: owner,
        }
    }

    #[inline]
    pub(super) fn shared(&self) -> &Shared<Mirror> {
        &self.shared
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

    /// Schedules the drain, for what was posted with [`Flags::NOACTIVATE`]. Returns at once.
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
        self.shared.bell.ring();
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
    /// reservation is in the way, [`Error::Stalled`] if the descriptor takes nothing. [`Error::Io`] if a write has
    /// failed, [`Error::Closed`] if the queue was closed and could not drain. The data is kept.
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
        barrier::flush(&self.shared, self.shared.patience(None))
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
        barrier::flush(&self.shared, self.shared.patience(Some(timeout)))
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
        barrier::close(&self.shared, self.shared.patience(timeout))
    }
}
