//! What a queue counts: records and bytes that went through it, were refused, or were lost.

use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::counter::Counter;
use super::refusals::{Amount, RefusalCounters, Refusals};
use crate::words::Error;

/// A snapshot of what a queue has done, from [`Queue::stats`](crate::Queue::stats).
///
/// Bytes are exact: `posted_bytes` is always the sum of `written_bytes`, `overwritten_bytes`,
/// `lost_bytes` and the bytes still in the ring. While other threads post, each counter is exact
/// for some moment, but not all counters for the same moment.
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
    /// The capacity of the ring in bytes.
    pub capacity_bytes: u64,
    /// Bytes of the ring in use now: records not yet written, padding, and open reservations.
    pub fill_bytes: u64,
    /// The largest fill in bytes that was seen by the flusher, or by a caller that was refused or
    /// had to wait.
    pub high_water_bytes: u64,
    /// Bytes of records posted, including those found in a [ring file](crate::Options::ring_file).
    pub posted_bytes: u64,
    /// Records posted. A record of 0 bytes does not count.
    pub posted_records: u64,
    /// Bytes of records that the sink has taken.
    pub written_bytes: u64,
    /// Records that the sink has taken to the last byte. The records of a [lane](crate::Lane) count
    /// once the sink has taken all of their span.
    pub written_records: u64,
    /// Bytes of records that a [recorder](crate::Options::recorder) has overwritten: they are in no
    /// file. Always 0 on any other queue.
    pub overwritten_bytes: u64,
    /// Records that a recorder has overwritten.
    pub overwritten_records: u64,
    /// Bytes of records that were posted and will never be written: a close gave up and left them,
    /// they were posted after a close had stepped over their reservation, a reopen discarded them,
    /// or the record was too long for one message. (Bytes that a close leaves in a [ring
    /// file](crate::Options::ring_file) are not lost, but still in the ring.)
    pub lost_bytes: u64,
    /// The records to which `lost_bytes` belong.
    pub lost_records: u64,
    /// The part of `lost_bytes` that was posted after a close had stepped over its reservation.
    pub late_bytes: u64,
    /// The records to which `late_bytes` belong.
    pub late_records: u64,
    /// The part of `lost_bytes` that a reopen after a failure has
    /// [discarded](crate::Queue::reopen_discarding).
    pub discarded_bytes: u64,
    /// The records to which `discarded_bytes` belong. If a span of a [lane](crate::Lane) was
    /// written in part, this counts all of its records.
    pub discarded_records: u64,
    /// The part of `lost_bytes` that was too long for one [message](crate::Sink::message_max).
    pub too_long_bytes: u64,
    /// The records to which `too_long_bytes` belong.
    pub too_long_records: u64,
    /// Why a close gave up and left bytes, if one did.
    pub lost_to: Option<Error>,
    /// Bytes that were reserved and not used, and could not be given back because a later span was
    /// claimed already. They take room in the ring until drained, and are never written.
    pub padding_bytes: u64,
    /// Appends that did not get in, for any cause.
    pub refused_records: u64,
    /// Bytes of the refused appends.
    pub refused_bytes: u64,
    /// The refused appends by cause.
    pub refused: Refusals,
    /// Refused appends that came while open spans of [lanes](crate::Lane) took room. The queue has
    /// these spans sealed then, so the next try may find more room.
    pub refused_for_lanes: u64,
    /// Refused appends, at once or after a wait, that came while the sink accepted no data: the
    /// disk was full, or the other side did not read. While a write does not return, an append
    /// counts here once that was [reported](crate::Options::on_error), or if the queue [refuses
    /// appends](crate::Options::refuse_when_stalled) because of it.
    pub refused_for_stall: u64,
    /// Appends that had to wait, by what they waited for.
    pub waits: Waits,
    /// Reservations that are open now, and records that are being copied in.
    pub held: u64,
    /// The length of the oldest open reservation in bytes (in a lane: of the unused part of its
    /// span); 0 if no reservation is open.
    pub oldest_held_bytes: u64,
    /// Open reservations that `close` stepped over.
    pub abandoned: u64,
    /// In a child of fork(2): entries of the parent that were posted or dropped here. That has no
    /// effect.
    pub foreign: u64,
    /// Lanes that exist now.
    pub lanes: u64,
    /// Writes that the sink has accepted, at least in part.
    pub drains: u64,
    /// How often the flusher woke up.
    pub wakeups: u64,
    /// The current stall, if the sink accepts no data: there is no room, or the other side does not
    /// read.
    pub stalled: Option<Stall>,
    /// Bytes that a [`reopen`](crate::Queue::reopen) has left at the end of a file: the beginning
    /// of a record of which only a part was written. The whole record is written to the next file,
    /// or [discarded](crate::Queue::reopen_discarding); `written_bytes` does not count these bytes.
    pub repeated_bytes: u64,
    /// Bytes of the lines that report losses ([`Options::loss_lines`](crate::Options::loss_lines)),
    /// and of the lines that [dumps](crate::Queue::dump) begin with. They are in the file, and no
    /// other count includes them.
    pub loss_line_bytes: u64,
    /// Calls of fdatasync and fsync.
    pub syncs: Syncs,
    /// Why the queue has failed, if it has. `None` again after a successful
    /// [`reopen`](crate::Queue::reopen).
    pub last_error: Option<Error>,
}

/// A stall: the sink accepts no data, and the flusher retries until it does. A stall loses nothing.
///
/// ```no_run
/// # let queue = alq::Options::new().open("app.log")?;
/// if let Some(stall) = queue.stats().stalled {
///     eprintln!("nothing has been written for {:?}: {}", stall.age, stall.reason);
/// }
/// # Ok::<(), alq::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stall {
    /// The errno of the last try: `ENOSPC` or `EDQUOT` while the disk is full, `EAGAIN` while a
    /// pipe, socket or terminal is full, or while a write does not return.
    pub errno: i32,
    /// For how long the sink has accepted no data, since the write began that it refused first.
    pub age: Duration,
    /// Why, in words: those of [`Sink::stall_reason`](crate::Sink::stall_reason), or `a write has
    /// not returned`, or what the errno means.
    pub reason: String,
}

/// Counts the appends that had to wait. Each call counts at most once for each cause.
///
/// The four causes are the four wait messages of alq(9): `alqwnord`, `alqwnres`, `alqgnord` and
/// `alqgnres`.
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
    /// Calls that copy a record in and waited for earlier callers (on an ordered queue).
    pub writen_turn: u64,
    /// Calls that copy a record in and waited for room.
    pub writen_room: u64,
    /// Reservations that waited for earlier callers (on an ordered queue).
    pub getn_turn: u64,
    /// Reservations that waited for room.
    pub getn_room: u64,
    /// The longest time that one call has blocked its thread.
    pub longest: Duration,
}

/// Counts the calls of fdatasync(2) and fsync(2). One call serves all callers that wait, so
/// `synced_bytes / done` says how much a sync covers.
///
/// ```
/// use alq::{Flags, Options, SyncOp};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().open(dir.path().join("app.log"))?;
/// queue.writen(b"12345678", Flags::WAITOK)?;
/// queue.fsync(SyncOp::Data)?.wait()?;
/// let syncs = queue.stats().syncs;
/// assert_eq!((syncs.done, syncs.synced_bytes, syncs.failed), (1, 8, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Syncs {
    /// Syncs that have succeeded.
    pub done: u64,
    /// Syncs that have failed. Each has been reported to
    /// [`on_error`](crate::Options::on_error).
    pub failed: u64,
    /// The time of the longest sync that has succeeded.
    pub longest: Duration,
    /// Bytes that have become durable. They are counted as a [`Position`](crate::Position) counts,
    /// with padding.
    pub synced_bytes: u64,
}

/// What the sync thread counts.
#[derive(Debug, Default)]
pub struct SyncCounters {
    done: Counter,
    pub failed: Counter,
    longest_ns: Counter,
    synced_bytes: Counter,
}

impl SyncCounters {
    /// Counts a sync that took `time` and made `bytes` durable.
    pub fn count(&self, bytes: u64, time: Duration) {
        self.longest_ns.raise(time.as_nanos() as u64);
        self.synced_bytes.add(bytes);
        self.done.add(1);
    }

    /// The values of all counters, for a snapshot.
    pub fn now(&self) -> Syncs {
        Syncs {
            done: self.done.get(),
            failed: self.failed.get(),
            longest: Duration::from_nanos(self.longest_ns.get()),
            synced_bytes: self.synced_bytes.get(),
        }
    }
}

/// The kind of call that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `writen`, `write_fixed`: copies a record in.
    Writen,
    /// `getn`, `get`: reserves.
    Getn,
}

/// The waits of one kind of call.
#[derive(Debug, Default)]
pub struct WaitCounters {
    pub turn: Counter,
    pub room: Counter,
}

/// What the flusher counts, beyond the accounts of the ring. Only the flusher writes these
/// counters, so a load and a store add exactly.
#[derive(Debug, Default)]
pub struct DrainCounters {
    pub drains: Counter,
    pub wakeups: Counter,
    pub repeated_bytes: Counter,
    pub discarded_bytes: Counter,
    pub discarded_records: Counter,
    pub loss_line_bytes: Counter,
}

impl DrainCounters {
    /// Records that a reopen has discarded.
    pub fn discarded(&self) -> Amount {
        Amount {
            records: self.discarded_records.get(),
            bytes: self.discarded_bytes.get(),
        }
    }
}

/// What callers count outside of the fast path.
#[derive(Debug, Default)]
pub struct PostCounters {
    pub refused: CachePadded<RefusalCounters>,
    pub refused_for_lanes: Counter,
    pub refused_for_stall: Counter,
    pub longest_wait_ns: Counter,
    pub high_water_bytes: Counter,
    writen_waits: WaitCounters,
    getn_waits: WaitCounters,
}

impl PostCounters {
    /// The wait counters of one kind of call.
    pub fn waits(&self, kind: Kind) -> &WaitCounters {
        match kind {
            Kind::Writen => &self.writen_waits,
            Kind::Getn => &self.getn_waits,
        }
    }

    /// The values of all wait counters, for a snapshot.
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
