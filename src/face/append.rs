//! The appending calls of a queue: `writen` and `write_fixed` copy a record in, `getn` and `get`
//! reserve room to fill in place.
//!
//! This file owns the fast path, which runs to the end without waiting. Everything slower (a full
//! ring, a failed queue, a child of fork(2)) goes through `append_later` and `entry_later`. It may
//! not write to a descriptor: `aside` does that.

use std::time::Duration;

use super::aside::{self, Waiting};
use super::entry::Entry;
use super::framed;
use super::lane::Lane;
use super::queue::Queue;
use crate::ends::Kind;
use crate::ring::Missed;
use crate::words::{Error, Flags, Position};

/// Appending to a variable queue.
impl Queue {
    /// Appends one record, whole or not at all, never mixed with another record of the queue.
    /// Source: `alq_writen` in alq(9).
    ///
    /// On a pipe or a FIFO, a record of up to `PIPE_BUF` (4096) bytes is not mixed with the records
    /// of other processes and queues either. A longer record may be mixed with them, and so may any
    /// record if [`sole_writer`](crate::Options::sole_writer) is set.
    ///
    /// The record has 1 to [`capacity`](Queue::capacity) bytes. Returns the position at which the
    /// record ends in the stream of the queue. The record is then in memory, and the flusher will
    /// write it. Any thread may call `writen`. With [`Flags::NOWAIT`] it never blocks. With
    /// [`Flags::WAITOK`] it sleeps while there is no room.
    ///
    /// # Errors
    ///
    /// On an error nothing is appended.
    ///
    /// - [`Error::WouldBlock`] with `NOWAIT` if there is no room, or if other threads wait for room
    ///   on an [ordered](crate::Options::ordered) queue;
    /// - [`Error::Held`] with `WAITOK` if an open reservation in front, possibly this thread's own,
    ///   has blocked the drain for the [stall limit](crate::Options::stall_limit);
    /// - [`Error::Stalled`] if the file has no room and
    ///   [`refuse_when_stalled`](crate::Options::refuse_when_stalled) is on;
    /// - [`Error::TooLarge`] if the record is longer than the capacity;
    /// - [`Error::InvalidLength`] for an empty record;
    /// - [`Error::InvalidFlags`] unless exactly one of the two flags is set;
    /// - [`Error::WrongMode`] on a fixed queue;
    /// - [`Error::Closed`] after [`close`](Queue::close);
    /// - [`Error::Io`] after a write has failed, until a [`reopen`](Queue::reopen).
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
        self.check_variable(record.len(), flags)?;
        self.append(record, flags, None)
    }

    /// Appends as [`writen`](Queue::writen) does, and waits for room for at most `timeout`. (With
    /// `NOWAIT` it does not wait at all.)
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if `timeout` has passed; otherwise as [`writen`](Queue::writen).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let patience = std::time::Duration::from_millis(5);
    /// queue.writen_timeout(b"one record\n", alq::Flags::WAITOK, patience)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writen_timeout(
        &self,
        record: &[u8],
        flags: Flags,
        timeout: Duration,
    ) -> Result<Position, Error> {
        self.check_variable(record.len(), flags)?;
        self.append(record, flags, Some(timeout))
    }

    /// Reserves `len` contiguous bytes of the ring, to be filled in place and posted: 1 to
    /// [`capacity`](Queue::capacity). Blocks as [`writen`](Queue::writen) does. Source: `alq_getn`
    /// in alq(9).
    ///
    /// Any number of entries may be open at once, on any threads. An open entry blocks no producer.
    /// It blocks the drain: records after it are written once it is posted or dropped.
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
        let len = self.check_variable(len, flags)?;
        self.entry(len, flags, None)
    }

    /// Reserves as [`getn`](Queue::getn) does, and waits for room for at most `timeout`. (With
    /// `NOWAIT` it does not wait at all.)
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if `timeout` has passed; otherwise as [`writen`](Queue::writen).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let patience = std::time::Duration::from_millis(5);
    /// let entry = queue.getn_timeout(64, alq::Flags::WAITOK, patience)?;
    /// # drop(entry);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn getn_timeout(
        &self,
        len: usize,
        flags: Flags,
        timeout: Duration,
    ) -> Result<Entry<'_>, Error> {
        let len = self.check_variable(len, flags)?;
        self.entry(len, flags, Some(timeout))
    }

    #[inline]
    fn check_variable(&self, len: usize, flags: Flags) -> Result<u32, Error> {
        flags.when_full()?;
        self.check_len(len)
    }

    /// Checks the length of a record for this queue of variable records, and returns it as 32 bits.
    #[inline]
    pub(super) fn check_len(&self, len: usize) -> Result<u32, Error> {
        if len.wrapping_sub(1) < self.len_max as usize {
            Ok(len as u32)
        } else {
            Err(self.wrong_len(len))
        }
    }

    #[cold]
    fn wrong_len(&self, len: usize) -> Error {
        match len {
            _ if self.entry_len().is_some() => Error::WrongMode,
            0 => Error::InvalidLength { len },
            _ => self.too_large(len),
        }
    }
}

/// Appending to a fixed queue.
impl Queue {
    /// Appends one record of exactly the length that the queue was [opened
    /// for](crate::Options::fixed). Blocks as [`writen`](Queue::writen) does. Source: `alq_write`
    /// in alq(9).
    ///
    /// # Errors
    ///
    /// [`Error::WrongMode`] on a variable queue; [`Error::InvalidLength`] for any other length;
    /// otherwise as [`writen`](Queue::writen).
    ///
    /// ```
    /// use alq::{Error, Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let queue = Options::new().fixed(8, 100).open(dir.path().join("trace"))?;
    /// queue.write_fixed(&42_u64.to_le_bytes(), Flags::NOWAIT)?;
    /// let too_short = queue.write_fixed(b"short", Flags::NOWAIT);
    /// assert_eq!(too_short, Err(Error::InvalidLength { len: 5 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn write_fixed(&self, record: &[u8], flags: Flags) -> Result<Position, Error> {
        let entry_len = self.check_fixed(flags)?;
        let len = record.len();
        if len != entry_len as usize {
            return Err(Error::InvalidLength { len });
        }
        self.append(record, flags, None)
    }

    /// Reserves one entry of the length that the queue was [opened for](crate::Options::fixed).
    /// Blocks as [`writen`](Queue::writen) does. Source: `alq_get` in alq(9).
    ///
    /// If an entry is posted with fewer bytes, only those are written to the file. It still counts
    /// as one entry.
    ///
    /// # Errors
    ///
    /// [`Error::WrongMode`] on a variable queue; otherwise as [`writen`](Queue::writen).
    ///
    /// ```
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let queue = Options::new().fixed(8, 100).open(dir.path().join("trace"))?;
    /// let mut entry = queue.get(Flags::NOWAIT)?;
    /// entry.copy_from_slice(&42_u64.to_le_bytes());
    /// entry.post();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn get(&self, flags: Flags) -> Result<Entry<'_>, Error> {
        let entry_len = self.check_fixed(flags)?;
        self.entry(entry_len, flags, None)
    }

    #[inline]
    fn check_fixed(&self, flags: Flags) -> Result<u32, Error> {
        flags.when_full()?;
        self.entry_len().ok_or(Error::WrongMode)
    }
}

/// The fast path, with checked arguments. All of it is inlined and stays in registers. Everything
/// that may wait or fail is one call, which handles the rest.
impl Queue {
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "as a call it gets its arguments through memory, which costs 3 to 5 ns"
    )]
    fn append(
        &self,
        record: &[u8],
        flags: Flags,
        timeout: Option<Duration>,
    ) -> Result<Position, Error> {
        if let Some(intake) = self.shared().direct() {
            match intake.ring.append_at_once(record, flags.activates()) {
                Ok(posted) => {
                    intake.posted(posted);
                    return Ok(intake.position(posted.end));
                }
                Err(Missed::NoRoom(head)) => {
                    return self.append_without_room(head, record, flags, timeout);
                }
                Err(Missed::Head(_)) => {}
            }
        }
        self.append_later(record, flags, timeout)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `append`")]
    fn entry(&self, len: u32, flags: Flags, timeout: Option<Duration>) -> Result<Entry<'_>, Error> {
        let shared = self.shared();
        if let Some(intake) = shared.direct() {
            match intake.ring.reserve_at_once(len) {
                Ok(reservation) => return Ok(Entry::new(shared, reservation)),
                Err(Missed::NoRoom(head)) if self.refuses(head, len, flags) => {
                    return Err(Error::WouldBlock);
                }
                Err(_) => {}
            }
        }
        self.entry_later(len, flags, timeout)
    }

    /// Appends a record for which the fast path has found no room at `head`. (A function of its
    /// own: a second place that makes the result would cost the fast path an instruction.)
    #[cold]
    fn append_without_room(
        &self,
        head: u64,
        record: &[u8],
        flags: Flags,
        timeout: Option<Duration>,
    ) -> Result<Position, Error> {
        if self.refuses(head, record.len() as u32, flags) {
            return Err(Error::WouldBlock);
        }
        self.append_later(record, flags, timeout)
    }

    /// Refuses an append that does not wait and found no room at `head`, if one more look shows that
    /// the ring is full: the frequent refusal needs no second claim. Returns whether it refuses.
    #[cold]
    fn refuses(&self, head: u64, len: u32, flags: Flags) -> bool {
        !flags.contains(Flags::WAITOK) && self.shared().intake.refuse_if_full(head, len)
    }

    /// Appends a record that the fast path could not append: in the lane of the thread, with a
    /// framing, once there is room, or without the ring if the queue accepts records that way.
    #[cold]
    fn append_later(
        &self,
        record: &[u8],
        flags: Flags,
        timeout: Option<Duration>,
    ) -> Result<Position, Error> {
        if self.has_thread_lanes {
            return self.append_in_thread(record, flags, timeout);
        }
        framed::append(self.current().shared(), record, flags, timeout)
    }

    /// Reserves an entry that the fast path could not reserve; see `append_later`.
    #[cold]
    fn entry_later(
        &self,
        len: u32,
        flags: Flags,
        timeout: Option<Duration>,
    ) -> Result<Entry<'_>, Error> {
        let shared = self.current().shared();
        let total = framed::total(shared, len as usize)?;
        let reserved = framed::reserve(shared, total, flags, Kind::Getn, timeout);
        self.pass_thread_lane();
        match reserved {
            Ok(reservation) => Ok(Entry::framed(shared, reservation)),
            Err(refused) => {
                let waiting = Waiting::new(flags, timeout);
                let memory = aside::memory(shared, refused, len as usize, waiting)?;
                Ok(Entry::of_its_own(shared, memory))
            }
        }
    }
}

/// Appending at the cost of a copy.
impl Queue {
    /// Makes a lane of this queue, for one producer. See [`Lane`].
    ///
    /// Any number of lanes may exist. An idle lane costs a few hundred bytes of memory, and some
    /// nanoseconds each time the flusher seals spans. Making a lane takes a lock for a moment;
    /// appending to one never does.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut lane = queue.lane();
    /// lane.writen(b"one record\n", alq::Flags::WAITOK)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lane(&self) -> Lane {
        let queue = self.current();
        let shared = queue.shared();
        let owner = shared.intake.enter_lane(shared.here().is_ok());
        Lane::new(queue.clone(), owner)
    }
}
