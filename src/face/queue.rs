//! The queue: a cheap handle that any thread appends through.

use std::time::Duration;

use super::barrier::{self, Patience};
use super::entry::Entry;
use crate::actors::Shared;
use crate::ends::Stats;
use crate::memory::Mirror;
use crate::primitives::sync::Arc;
use crate::ring::Reservation;
use crate::words::{Error, Flags, Position, Room, Undrained};

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
/// then the first post after a pause wakes it (some microseconds).
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
    owner: Arc<Owner>,
}

/// What all handles share; its drop is the drop of the last handle.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared<Mirror>>,
    stall_limit: Option<Duration>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let patience = Patience::new(None, self.stall_limit);
        let _ = barrier::close(&self.shared, patience); // documented: only `close` can tell
    }
}

impl Queue {
    pub(super) fn new(shared: Arc<Shared<Mirror>>, stall_limit: Option<Duration>) -> Self {
        let owner = Arc::new(Owner {
            shared: Arc::clone(&shared),
            stall_limit,
        });
        Self { shared, owner }
    }

    /// How many bytes the ring holds; also the length of the longest record.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().capacity(1).open(dir.path().join("app.log"))?;
    /// assert_eq!(queue.capacity(), 4096);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.ring.geometry().capacity() as usize
    }

    /// Appends one record: whole or not at all, never mixed with another. Source: `alq_writen` in alq(9).
    ///
    /// The record may have 1 to [`capacity`](Queue::capacity) bytes. Returns where it ends in the stream of the queue;
    /// it is in memory then, and on its way to the descriptor. Any thread may call it. With [`Flags::NOWAIT`] it
    /// never blocks; with [`Flags::WAITOK`] it sleeps while there is no room, for as long as that takes.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] with `NOWAIT` if there is no room; [`Error::TooLarge`] if there never can be;
    /// [`Error::InvalidLength`] for an empty record; [`Error::InvalidFlags`] for both or neither of the two flags;
    /// [`Error::Closed`] after [`close`](Queue::close); [`Error::Io`] once a write has failed. Nothing is
    /// appended then.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// use alq::Flags;
    ///
    /// queue.writen(b"one record\n", Flags::WAITOK)?;
    /// assert_eq!(queue.writen(b"", Flags::NOWAIT), Err(alq::Error::InvalidLength { len: 0 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn writen(&self, record: &[u8], flags: Flags) -> Result<Position, Error> {
        let mut reservation = self.reserve(record.len(), flags)?;
        reservation.fill(record);
        let posted = reservation.post(record.len() as u32);
        self.shared.posted(posted, flags.activates());
        Ok(Position::new(self.shared.id, posted.end))
    }

    /// Reserves `len` contiguous bytes of the ring itself, to be filled in place and posted. Source: `alq_getn` in
    /// alq(9).
    ///
    /// Any number of entries may be open at once, on any threads. Nobody waits for the holder but the drain: what is
    /// posted behind an open entry is written after that is posted or dropped.
    ///
    /// # Errors
    ///
    /// As [`writen`](Queue::writen).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let queue = alq::Options::new().open(&path)?;
    /// use alq::Flags;
    ///
    /// let mut entry = queue.getn(64, Flags::NOWAIT)?;
    /// write!(entry, "x={}, y={}\n", 1, 2)?; // formatted in the ring: no copy, no allocation
    /// entry.post();
    /// queue.flush()?;
    /// assert_eq!(std::fs::read(&path)?, b"x=1, y=2\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn getn(&self, len: usize, flags: Flags) -> Result<Entry<'_>, Error> {
        let reservation = self.reserve(len, flags)?;
        Ok(Entry::new(&self.shared, reservation))
    }

    #[inline]
    fn reserve(&self, len: usize, flags: Flags) -> Result<Reservation<'_, Mirror>, Error> {
        let room = flags.room()?;
        if len == 0 {
            return Err(Error::InvalidLength { len });
        }
        if len > self.capacity() {
            let max = self.capacity();
            return Err(Error::TooLarge { len, max });
        }
        match room {
            Room::Refuse => self.shared.try_reserve(len as u32),
            Room::Wait => self.shared.wait_reserve(len as u32),
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
        barrier::flush(&self.shared, Patience::new(None, self.owner.stall_limit))
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
        let patience = Patience::new(Some(timeout), self.owner.stall_limit);
        barrier::flush(&self.shared, patience)
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
        let patience = Patience::new(timeout, self.owner.stall_limit);
        barrier::close(&self.shared, patience)
    }
}
