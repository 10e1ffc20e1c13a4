//! The lane: one producer's fast path into a shared queue. `append_at_once` and `entry` use the
//! open span; all other cases go through `begin_elsewhere`, or bypass the ring in `aside`.

use core::cell::Cell;
use core::marker::PhantomData;
use std::time::Duration;

use super::entry::LaneEntry;
use super::framed;
use super::queue::Queue;
use crate::ring::Owner;
use crate::words::{Error, Flags, Position};

/// Appends to a queue for one producer, without contention; made by [`Queue::lane`]. It has the
/// appending calls of the queue.
///
/// A lane claims a span of some KiB at once and appends its records to it. So several producers do
/// not contend for the head of the ring with every record, and an append costs little more than a
/// copy. All lanes of a queue, and the queue's own calls, write to one file, each record whole. On
/// a fixed queue, and for a record longer than a [span](crate::Options::lane_span), a lane appends
/// as the queue does.
///
/// # Order
///
/// The records of one lane are written in the order in which it posted them. A record that is
/// appended through the [`Queue`] comes after everything that any thread posted before. A record of
/// a lane may come before records of others that were posted earlier, because its span was claimed
/// earlier. [`seal`](Lane::seal) ends that: what a lane posts after a `seal` comes after everything
/// that was posted before it. If every record must follow the order of cause and effect across
/// threads, append through the queue.
///
/// # When a record is written
///
/// A record in a lane is written as soon as any other, even if the lane does nothing more. The
/// flusher writes what is posted in an open span, and [seals](Lane::seal) the span once another
/// span follows it, so an idle lane never blocks another. It also gives back room that an idle lane
/// has not used, once another producer needs it. Until then (some microseconds, or a wake-up) a
/// [`NOWAIT`](Flags::NOWAIT) append that finds the ring full for that reason fails;
/// [`Stats::refused_for_lanes`](crate::Stats::refused_for_lanes) counts such refusals.
///
/// # A thread that stops
///
/// A thread that stops in the middle of an append, or holds a [`LaneEntry`], blocks only the spans
/// after its own. [`Stats::held`](crate::Stats::held) counts it, and waits end with [`Error::Held`]
/// after the stall limit. A thread that ends drops its lane: its posted records are written, an
/// open entry is not. A leaked lane stays idle. If an entry of it is open, the spans after it
/// stay blocked until the queue is closed.
///
/// # Threads
///
/// One thread uses a lane at a time; it may be sent to another thread. A lane keeps its queue open
/// as a clone does. Its calls are *not* async-signal-safe, unlike the queue's own calls with
/// `NOWAIT`: a signal handler could interrupt its own lane. At the end of the process, and in a
/// child of fork(2), a lane behaves as its [queue](Queue#exit).
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// let queue = alq::Options::new().open(&path)?;
/// std::thread::scope(|scope| {
///     for name in ["one", "two"] {
///         let mut lane = queue.lane();
///         scope.spawn(move || {
///             for i in 0..1000 {
///                 writeln!(lane, "{name}: {i}").unwrap();
///             }
///         });
///     }
/// });
/// queue.flush()?;
/// assert_eq!(std::fs::read_to_string(&path)?.lines().count(), 2000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Lane {
    owner: Owner,
    /// Must be dropped last: it may be the last handle.
    queue: Queue,
    /// Appending takes `&mut`, so nothing here is shared between threads.
    _not_sync: PhantomData<Cell<()>>,
}

impl Lane {
    pub(super) fn new(queue: Queue, owner: Owner) -> Self {
        Self {
            owner,
            queue,
            _not_sync: PhantomData,
        }
    }

    /// Appends one record, whole or not at all, never mixed with another record of the queue.
    /// Blocks as [`Queue::writen`], which also says how a pipe may mix records of several
    /// processes.
    ///
    /// # Errors
    ///
    /// As [`Queue::writen`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut lane = queue.lane();
    /// let position = lane.writen(b"one record\n", alq::Flags::NOWAIT)?;
    /// assert_eq!(lane.position(), position);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn writen(&mut self, record: &[u8], flags: Flags) -> Result<Position, Error> {
        self.copy(record, flags, None)
    }

    /// Appends as [`writen`](Lane::writen) does, and waits for room for at most `timeout`. (With
    /// `NOWAIT` it does not wait at all.)
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if `timeout` has passed; otherwise as [`writen`](Lane::writen).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let patience = std::time::Duration::from_millis(5);
    /// queue.lane().writen_timeout(b"one record\n", alq::Flags::WAITOK, patience)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writen_timeout(
        &mut self,
        record: &[u8],
        flags: Flags,
        timeout: Duration,
    ) -> Result<Position, Error> {
        self.copy(record, flags, Some(timeout))
    }

    /// Reserves `len` contiguous bytes of the ring, as [`Queue::getn`], to be filled in place and
    /// posted. The next record of the lane always gets the bytes that a post does not use.
    ///
    /// # Errors
    ///
    /// As [`Queue::writen`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let queue = alq::Options::new().open(&path)?;
    /// let mut lane = queue.lane();
    /// let mut entry = lane.getn(64, alq::Flags::NOWAIT)?;
    /// write!(entry, "x={}\n", 1)?; // formatted in the ring
    /// entry.post();
    /// queue.flush()?;
    /// assert_eq!(std::fs::read(&path)?, b"x=1\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn getn(&mut self, len: usize, flags: Flags) -> Result<LaneEntry<'_>, Error> {
        self.entry(len, flags, None)
    }

    /// Reserves as [`getn`](Lane::getn) does, and waits for room for at most `timeout`. (With
    /// `NOWAIT` it does not wait at all.)
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if `timeout` has passed; otherwise as [`writen`](Lane::writen).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let patience = std::time::Duration::from_millis(5);
    /// let mut lane = queue.lane();
    /// let entry = lane.getn_timeout(64, alq::Flags::WAITOK, patience)?;
    /// # drop(entry);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn getn_timeout(
        &mut self,
        len: usize,
        flags: Flags,
        timeout: Duration,
    ) -> Result<LaneEntry<'_>, Error> {
        self.entry(len, flags, Some(timeout))
    }

    /// Appends one record of a fixed queue, as [`Queue::write_fixed`].
    ///
    /// # Errors
    ///
    /// As [`Queue::write_fixed`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().fixed(8, 100).open(dir.path().join("trace"))?;
    /// queue.lane().write_fixed(&42_u64.to_le_bytes(), alq::Flags::NOWAIT)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_fixed(&mut self, record: &[u8], flags: Flags) -> Result<Position, Error> {
        self.seal(); // takes back a forgotten entry
        let position = self.queue.write_fixed(record, flags)?;
        self.owner.set_position(position.bytes());
        Ok(position)
    }

    /// Reserves one entry of a fixed queue, as [`Queue::get`].
    ///
    /// # Errors
    ///
    /// As [`Queue::get`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let queue = alq::Options::new().fixed(8, 100).open(dir.path().join("trace"))?;
    /// let mut lane = queue.lane();
    /// let mut entry = lane.get(alq::Flags::NOWAIT)?;
    /// entry.copy_from_slice(&42_u64.to_le_bytes());
    /// entry.post();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&mut self, flags: Flags) -> Result<LaneEntry<'_>, Error> {
        flags.when_full()?;
        let entry_len = self.queue.entry_len().ok_or(Error::WrongMode)?;
        self.entry_elsewhere(entry_len, flags, None)
    }

    #[inline]
    fn copy(
        &mut self,
        record: &[u8],
        flags: Flags,
        timeout: Option<Duration>,
    ) -> Result<Position, Error> {
        flags.when_full()?;
        match self.append_at_once(record, flags.activates()) {
            Some(position) => Ok(position),
            None => self.copy_elsewhere(record, flags, timeout),
        }
    }

    /// Appends to the open span if it has room; otherwise does nothing.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "its result stays in registers")]
    pub(super) fn append_at_once(&mut self, record: &[u8], activate: bool) -> Option<Position> {
        let intake = self.queue.shared().direct()?;
        if !self.owner.begins(record.len()) {
            return None;
        }
        let posted = self.owner.append(&intake.ring, record, activate);
        intake.posted(posted);
        Some(intake.position(posted.end))
    }

    #[cold]
    fn copy_elsewhere(
        &mut self,
        record: &[u8],
        flags: Flags,
        timeout: Option<Duration>,
    ) -> Result<Position, Error> {
        self.follow();
        self.queue.check_len(record.len())?;
        let shared = self.queue.current().shared();
        framed::append_in_lane(shared, &mut self.owner, record, flags, timeout)
    }

    /// In a child of fork(2) that has reopened the queue, moves this lane to the new queue.
    fn follow(&mut self) {
        if self.queue.is_inherited() {
            if let Ok(here) = self.queue.here() {
                *self = here.lane();
            }
        }
    }

    #[inline]
    fn entry(
        &mut self,
        len: usize,
        flags: Flags,
        timeout: Option<Duration>,
    ) -> Result<LaneEntry<'_>, Error> {
        flags.when_full()?;
        if !(self.queue.shared().direct().is_some() && self.owner.begins(len)) {
            let len = self.queue.check_len(len)?;
            return self.entry_elsewhere(len, flags, timeout);
        }
        let shared = self.queue.shared();
        Ok(LaneEntry::in_lane(shared, &mut self.owner, None, len))
    }

    #[cold]
    fn entry_elsewhere(
        &mut self,
        len: u32,
        flags: Flags,
        timeout: Option<Duration>,
    ) -> Result<LaneEntry<'_>, Error> {
        self.follow();
        let (shared, len) = (self.queue.current().shared(), len as usize);
        let own = framed::begin_entry_in_lane(shared, &mut self.owner, len, flags, timeout)?;
        Ok(LaneEntry::in_lane(shared, &mut self.owner, own, len))
    }

    /// Ends the span of this lane. What the lane posts from now on comes after everything that any
    /// thread posted before. Gives back the rest of the span if no span follows it. Never blocks.
    /// The next record claims a new span, so do not call it for each record.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// # let queue = alq::Options::new().open(&path)?;
    /// use alq::Flags;
    ///
    /// let mut lane = queue.lane();
    /// lane.writen(b"first\n", Flags::WAITOK)?;
    /// queue.writen(b"second\n", Flags::WAITOK)?;
    /// lane.seal(); // without it, the third could come before the second
    /// lane.writen(b"third\n", Flags::WAITOK)?;
    /// queue.flush()?;
    /// assert_eq!(std::fs::read(&path)?, b"first\nsecond\nthird\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn seal(&mut self) {
        if let Ok(intake) = self.queue.shared().here() {
            intake.leave_lane(&mut self.owner);
        }
    }

    /// Returns the end of the last record that this lane posted; without one, the stream's start.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut lane = queue.lane();
    /// assert_eq!(lane.position().bytes(), 0);
    /// lane.writen(b"12345", alq::Flags::WAITOK)?;
    /// queue.completion(lane.position(), alq::Level::Written).wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> Position {
        self.queue.position_at(self.owner.position())
    }

    /// Returns the queue of this lane.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut lane = queue.lane();
    /// lane.writen(b"seen by others\n", alq::Flags::WAITOK)?;
    /// lane.queue().flush()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }
}

impl Drop for Lane {
    /// Seals the span. Posted records are still written.
    fn drop(&mut self) {
        if self.queue.shared().here().is_ok() {
            self.seal();
            self.owner.drop_lane();
        }
    }
}
