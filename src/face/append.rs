//! The appending calls of a queue: records copied in, and reservations; variable and fixed.

use std::time::Duration;

use super::aside::{self, Waiting};
use super::barrier::deadline_in;
use super::entry::Entry;
use super::lane::Lane;
use super::queue::Queue;
use crate::actors::{Refused, Shared};
use crate::ends::Kind;
use crate::memory::Mirror;
use crate::ring::Reservation;
use crate::words::{Error, Flags, Position};

/// Appending to a variable queue.
impl Queue {
    /// Appends one record, whole or not at all, never mixed with another record of the queue.
    /// Source: `alq_writen` in alq(9).
    ///
    /// On a pipe or a FIFO, a record of up to `PIPE_BUF` (4096) bytes also arrives unmixed with the
    /// records of other processes and queues. A longer record may be mixed with them, and so may any
    /// record if [`sole_writer`](crate::Options::sole_writer) is set.
    ///
    /// The record may have 1 to [`capacity`](Queue::capacity) bytes. Returns where it ends in the stream of the queue;
    /// it is in memory then, and on its way to the descriptor. Any thread may call it. With [`Flags::NOWAIT`] it
    /// never blocks; with [`Flags::WAITOK`] it sleeps while there is no room, for as long as that takes.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] with `NOWAIT` if there is no room, or, on an [ordered](crate::Options::ordered) queue, if
    /// others wait for it; [`Error::TooLarge`] if there never can be; [`Error::InvalidLength`] for an empty record;
    /// [`Error::InvalidFlags`] for both or neither of the two flags; [`Error::WrongMode`] on a fixed queue;
    /// [`Error::Closed`] after [`close`](Queue::close); [`Error::Io`] once a write has failed, until a [`reopen`](Queue::reopen); [`Error::Held`] with
    /// `WAITOK` if a reservation in front, which may be this thread's own, has been held for the
    /// [stall limit](crate::Options::stall_limit). Nothing is appended then.
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

    /// [`writen`](Queue::writen) that waits for room for `timeout` at most. (With `NOWAIT` it does not wait at all.)
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] when the time is over; otherwise as [`writen`](Queue::writen).
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
        let len = self.check_variable(len, flags)?;
        self.entry(len, flags, None)
    }

    /// [`getn`](Queue::getn) that waits for room for `timeout` at most. (With `NOWAIT` it does not wait at all.)
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] when the time is over; otherwise as [`writen`](Queue::writen).
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

    /// Whether a record of `len` bytes can be in this queue, of variable records.
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
            _ => Error::TooLarge {
                len,
                max: self.capacity(),
            },
        }
    }
}

/// Appending to a fixed queue.
impl Queue {
    /// Appends one record of exactly the length that the queue was [made for](crate::Options::fixed). Source:
    /// `alq_write` in alq(9).
    ///
    /// # Errors
    ///
    /// [`Error::WrongMode`] on a variable queue; [`Error::InvalidLength`] for any other length; otherwise as
    /// [`writen`](Queue::writen).
    ///
    /// ```
    /// use alq::{Error, Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let queue = Options::new().fixed(8, 100).open(dir.path().join("trace"))?;
    /// queue.write_fixed(&42_u64.to_le_bytes(), Flags::NOWAIT)?;
    /// assert_eq!(queue.write_fixed(b"short", Flags::NOWAIT), Err(Error::InvalidLength { len: 5 }));
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

    /// Reserves one entry of the length that the queue was [made for](crate::Options::fixed). Source: `alq_get` in
    /// alq(9).
    ///
    /// An entry that is posted with fewer bytes used puts only those in the file, and counts as one all the same.
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

/// The fast path, of arguments that are checked: all of it is inlined, and stays in registers. Whatever may wait or fail is a
/// call, for the whole of the rest.
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
        if let Ok(shared) = self.shared().here() {
            if let Some(posted) = shared.ring.append_at_once(record) {
                shared.posted(posted, flags.activates());
                return Ok(Position::new(shared.id, posted.end));
            }
        }
        self.append_later(record, flags, timeout)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `append`")]
    fn entry(&self, len: u32, flags: Flags, timeout: Option<Duration>) -> Result<Entry<'_>, Error> {
        if let Ok(shared) = self.shared().here() {
            if let Some(reservation) = shared.ring.reserve_at_once(len) {
                return Ok(Entry::new(shared, reservation));
            }
        }
        self.entry_later(len, flags, timeout)
    }

    /// Appends what was not appended at once: when there is room, or without the ring, if the queue takes any at all.
    #[cold]
    fn append_later(
        &self,
        record: &[u8],
        flags: Flags,
        timeout: Option<Duration>,
    ) -> Result<Position, Error> {
        let shared = self.current().shared();
        let len = record.len() as u32;
        match reserve_later(shared, len, flags, Kind::Writen, timeout) {
            Ok(mut reservation) => {
                reservation.fill(record);
                let posted = reservation.post(len);
                shared.posted(posted, flags.activates());
                Ok(Position::new(shared.id, posted.end))
            }
            Err(refused) => aside::append(shared, refused, record, Waiting::new(flags, timeout)),
        }
    }

    /// The same for an entry.
    #[cold]
    fn entry_later(
        &self,
        len: u32,
        flags: Flags,
        timeout: Option<Duration>,
    ) -> Result<Entry<'_>, Error> {
        let shared = self.current().shared();
        match reserve_later(shared, len, flags, Kind::Getn, timeout) {
            Ok(reservation) => Ok(Entry::new(shared, reservation)),
            Err(refused) => {
                let waiting = Waiting::new(flags, timeout);
                let memory = aside::memory(shared, refused, len as usize, waiting)?;
                Ok(Entry::of_its_own(shared, memory))
            }
        }
    }
}

fn reserve_later(
    shared: &Shared<Mirror>,
    len: u32,
    flags: Flags,
    kind: Kind,
    timeout: Option<Duration>,
) -> Result<Reservation<'_, Mirror>, Refused> {
    let shared = shared.here()?;
    let deadline = timeout.and_then(deadline_in);
    shared.reserve(len, flags.when_full()?, kind, deadline)
}

/// Appending at the cost of a copy.
impl Queue {
    /// A lane of this queue, for one producer. See [`Lane`].
    ///
    /// Any number of lanes may exist. One that is not used costs its few hundred bytes, and the flusher a look when it seals
    /// spans: some nanoseconds. Making one takes a
    /// lock for a moment; the lane itself never does.
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
        let owner = match shared.here() {
            Ok(shared) => shared.ring.enter_lane(shared.lane_span),
            Err(_) => shared.ring.lane_of_nobody(shared.lane_span),
        };
        Lane::new(queue.clone(), owner)
    }
}
