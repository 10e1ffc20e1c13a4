//! Counting: what went through a queue, and what did not.

use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::primitives::sync::{AtomicU64, Ordering};
use crate::words::Error;

/// A snapshot of what a queue has done, from [`Queue::stats`](crate::Queue::stats).
///
/// Bytes are exact: `posted_bytes` is always `written_bytes`, `lost_bytes` and what is still in the ring. A snapshot
/// that is taken while others post is exact for some moment of each counter, not for one moment of all.
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes that the ring holds at most.
    pub capacity_bytes: u64,
    /// Bytes of the ring in use now: records not yet written, padding, and open reservations.
    pub fill_bytes: u64,
    /// The largest fill that the flusher found when it looked, or a caller that was refused or had to wait.
    pub high_water_bytes: u64,
    /// Bytes of records posted, and of those that were found in a [ring file](crate::Options::ring_file).
    pub posted_bytes: u64,
    /// Records posted (those of 0 bytes are none).
    pub posted_records: u64,
    /// Bytes of records that the descriptor has taken.
    pub written_bytes: u64,
    /// Records that the descriptor has taken to their last byte. Those of a [lane](crate::Lane) are counted by the span: once
    /// it has taken all of the span that they are in.
    pub written_records: u64,
    /// Bytes of records that were posted and will never be written: left behind by a close that gave up, or posted
    /// after a close had stepped over their reservation. (What a close leaves in a [ring file](crate::Options::ring_file) is not
    /// lost, but still in the ring.)
    pub lost_bytes: u64,
    /// The records that these bytes belong to.
    pub lost_records: u64,
    /// Of the lost bytes, those that were posted after a close had stepped over their reservation. The others are those
    /// that a close has left behind.
    pub late_bytes: u64,
    /// The records that these bytes belong to.
    pub late_records: u64,
    /// Why a close has left bytes behind, if it has.
    pub lost_to: Option<Error>,
    /// Bytes that were reserved, not used, and could not be given back because something was claimed behind
    /// them. They cost room in the ring for a while; they are in no file.
    pub padding_bytes: u64,
    /// Appends refused with [`Error::WouldBlock`].
    pub refused_records: u64,
    /// Bytes of the appends that were refused.
    pub refused_bytes: u64,
    /// Those of the refused appends that came while open spans of [lanes](crate::Lane) held room: the queue has those sealed
    /// then, and the next try may find more.
    pub refused_for_lanes: u64,
    /// Those of the refused appends that came while the descriptor accepted no data: the disk was full, or the other side
    /// did not read.
    pub refused_for_stall: u64,
    /// Appends refused because a write had failed. They are in no other count.
    pub refused_for_failure: u64,
    /// Appends that had to wait, by what they waited for.
    pub waits: Waits,
    /// Reservations that are open now, and records that are being copied in.
    pub held: u64,
    /// The length of the oldest open reservation (in a lane: of what its span has not used); 0 if there is none.
    pub oldest_held_bytes: u64,
    /// Open reservations that `close` stepped over.
    pub abandoned: u64,
    /// In a child of fork(2): entries of the parent's that were posted or dropped here, which did nothing.
    pub foreign: u64,
    /// Lanes that are there now.
    pub lanes: u64,
    /// Writes to the descriptor that took bytes.
    pub drains: u64,
    /// How often the flusher woke up.
    pub wakeups: u64,
    /// Why the descriptor takes nothing, while it does: there is no room, or the other side does not read.
    pub stalled: Option<Stall>,
    /// Bytes that a [`reopen`](crate::Queue::reopen) has left behind at the end of a file: the head of a record that was
    /// written in part, and is written whole to the next file. `written_bytes` counts them there, and not here.
    pub repeated: u64,
    /// Bytes of the lines that tell of losses ([`Options::loss_lines`](crate::Options::loss_lines)): they are in the file, and in
    /// no other count.
    pub loss_line_bytes: u64,
    /// Why the queue has failed, if it has; nothing once a [`reopen`](crate::Queue::reopen) has ended that.
    pub last_error: Option<Error>,
}

/// A descriptor that takes nothing, and is tried again until it does. Nothing is lost by it.
///
/// ```no_run
/// # let queue = alq::Options::new().open("app.log")?;
/// if let Some(stall) = queue.stats().stalled {
///     let cause = std::io::Error::from_raw_os_error(stall.errno);
///     eprintln!("nothing has been written for {:?}: {cause}", stall.age);
/// }
/// # Ok::<(), alq::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stall {
    /// What the last try said: `ENOSPC` or `EDQUOT` while the disk is full, `EAGAIN` while a pipe, socket or terminal is.
    pub errno: i32,
    /// For how long it has taken nothing.
    pub age: Duration,
}

/// Appends that had to wait. Each call counts at most once for each cause.
///
/// The four causes are the four wait messages of alq(9): `alqwnord`, `alqwnres`, `alqgnord` and `alqgnres`.
///
/// ```
/// use std::time::Duration;
///
/// use alq::{Error, Flags, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().capacity(4096).open(dir.path().join("app.log"))?;
/// let all = queue.getn(4096, Flags::NOWAIT)?;
/// let late = queue.writen_timeout(b"no room\n", Flags::WAITOK, Duration::from_millis(1));
/// assert_eq!(late, Err(Error::TimedOut));
/// assert_eq!(queue.stats().waits.writen_room, 1);
/// # drop(all);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waits {
    /// Calls that copy a record in, for others that came before (on an ordered queue).
    pub writen_turn: u64,
    /// Calls that copy a record in, for room.
    pub writen_room: u64,
    /// Reservations, for others that came before.
    pub getn_turn: u64,
    /// Reservations, for room.
    pub getn_room: u64,
    /// The longest wait of one call that blocked its thread.
    pub longest: Duration,
}

/// Which kind of call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `writen`, `write_fixed`: copies a record in.
    Writen,
    /// `getn`, `get`: reserves.
    Getn,
}

/// Waits of one kind of call.
#[derive(Debug, Default)]
pub struct WaitCounters {
    pub turn: Counter,
    pub room: Counter,
}

/// What the flusher counts, beyond the accounts of the ring. It is the only writer, so a plain load and store is an exact addition.
#[derive(Debug, Default)]
pub struct DrainCounters {
    pub drains: Counter,
    pub wakeups: Counter,
    pub repeated: Counter,
    pub loss_line_bytes: Counter,
}

/// What callers count when they leave the fast path.
#[derive(Debug, Default)]
pub struct PostCounters {
    pub refused_records: CachePadded<Counter>,
    pub refused_bytes: Counter,
    pub refused_for_lanes: Counter,
    pub refused_for_stall: Counter,
    pub refused_for_failure: Counter,
    pub longest_wait_ns: Counter,
    pub high_water_bytes: Counter,
    writen_waits: WaitCounters,
    getn_waits: WaitCounters,
}

impl PostCounters {
    /// Those of one kind of call.
    pub fn waits(&self, kind: Kind) -> &WaitCounters {
        match kind {
            Kind::Writen => &self.writen_waits,
            Kind::Getn => &self.getn_waits,
        }
    }

    /// All of them, for a snapshot.
    pub fn waits_now(&self) -> Waits {
        Waits {
            writen_turn: self.writen_waits.turn.get(),
            writen_room: self.writen_waits.room.get(),
            getn_turn: self.getn_waits.turn.get(),
            getn_room: self.getn_waits.room.get(),
            longest: Duration::from_nanos(self.longest_wait_ns.get()),
        }
    }
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

    /// Adds 1, the first time for `done`.
    pub fn add_once(&self, done: &mut bool) {
        if !*done {
            *done = true;
            self.add(1);
        }
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
