//! Counting: what went through a queue, and what did not.

use crossbeam_utils::CachePadded;

use crate::primitives::sync::{AtomicU64, Ordering};
use crate::words::Error;

/// A snapshot of what a queue has done, from [`Queue::stats`](crate::Queue::stats).
///
/// Bytes are exact: `posted_bytes` is always `written_bytes` and what is still in the ring. A snapshot that is
/// taken while others post is exact for some moment of each counter, not for one moment of all.
///
/// ```
/// use alq::{Flags, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().open(dir.path().join("app.log"))?;
/// queue.writen(b"12345\n", Flags::WAITOK)?;
/// queue.flush()?;
/// let stats = queue.stats();
/// assert_eq!((stats.posted_records, stats.posted_bytes), (1, 6));
/// assert_eq!(stats.written_bytes, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes that the ring holds at most.
    pub capacity_bytes: u64,
    /// Bytes of the ring in use now: records not yet written, padding, and open reservations.
    pub fill_bytes: u64,
    /// The largest fill that the flusher found when it looked, or a caller that was refused or had to wait.
    pub high_water_bytes: u64,
    /// Bytes of records posted.
    pub posted_bytes: u64,
    /// Records posted (those of 0 bytes are none).
    pub posted_records: u64,
    /// Bytes of records that the descriptor has taken.
    pub written_bytes: u64,
    /// Records that the descriptor has taken to their last byte.
    pub written_records: u64,
    /// Bytes that were reserved, not used, and could not be given back because something was claimed behind
    /// them. They cost room in the ring for a while; they are in no file.
    pub padding_bytes: u64,
    /// Appends refused with [`Error::WouldBlock`].
    pub refused_records: u64,
    /// Bytes of the appends that were refused.
    pub refused_bytes: u64,
    /// Appends that had to wait for room.
    pub room_waits: u64,
    /// Reservations that are open now.
    pub held: u64,
    /// The length of the oldest open reservation; 0 if there is none.
    pub oldest_held_bytes: u64,
    /// Open reservations that `close` stepped over.
    pub abandoned: u64,
    /// Writes to the descriptor that took bytes.
    pub drains: u64,
    /// How often the flusher woke up.
    pub wakeups: u64,
    /// Why the queue has failed, if it has.
    pub last_error: Option<Error>,
}

/// What the flusher counts, beyond the accounts of the ring. It is the only writer, so a plain load and store is an exact addition.
#[derive(Debug, Default)]
pub struct DrainCounters {
    pub drains: Counter,
    pub wakeups: Counter,
}

/// What callers count when they leave the fast path.
#[derive(Debug, Default)]
pub struct PostCounters {
    pub refused_records: CachePadded<Counter>,
    pub refused_bytes: Counter,
    pub room_waits: Counter,
    pub high_water_bytes: Counter,
}

/// A number that is only ever looked at: no access orders anything, so all are Relaxed.
#[derive(Debug)]
pub struct Counter(AtomicU64);

impl Default for Counter {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Counter {
    /// Relaxed, see the type.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// For a counter with several writers. Relaxed, see the type.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// For a counter that only this thread writes. Relaxed, see the type.
    pub fn add_alone(&self, n: u64) {
        self.0.store(self.get() + n, Ordering::Relaxed);
    }

    /// Relaxed, see the type.
    pub fn raise(&self, n: u64) {
        self.0.fetch_max(n, Ordering::Relaxed);
    }
}
