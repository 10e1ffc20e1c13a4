//! Waiting for room in the ring. Every kind of append uses the functions of this file.
//!
//! A thread waits in the line of [`Waiters`](crate::primitives::Waiters). A task has no place in
//! the line: it is woken when room comes, and tries again.

use core::ops::Range;
use core::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::here::{Past, Refused};
use super::intake::Intake;
use crate::ends::{Cause, Kind};
use crate::memory::Memory;
use crate::primitives::sync::{is_mutant, unique_number};
use crate::primitives::{Interest, Ticket};
use crate::ring::{Refusal, Reservation};
use crate::words::{Error, Order, Tail, WhenFull};

impl<M: Memory> Intake<M> {
    /// Reserves `len` bytes. `when_full` says whether to sleep until there is room.
    ///
    /// # Errors
    ///
    /// The reason why the ring or this caller gets no room.
    pub fn reserve(
        &self,
        len: u32,
        when_full: WhenFull,
        kind: Kind,
        deadline: Option<Instant>,
    ) -> Result<Reservation<'_, M>, Refused> {
        match when_full {
            WhenFull::Refuse => self.try_reserve(len),
            WhenFull::Wait => self.wait_reserve(len, kind, deadline),
        }
    }

    /// Reserves `len` bytes, or returns why there is no room. Never sleeps.
    pub fn try_reserve(&self, len: u32) -> Result<Reservation<'_, M>, Refused> {
        self.ring
            .reserve(len)
            .map_err(|refusal| self.refused(refusal, len))
    }

    /// Reserves `len` bytes. Sleeps until there is room, or until `deadline`.
    pub fn wait_reserve(
        &self,
        len: u32,
        kind: Kind,
        deadline: Option<Instant>,
    ) -> Result<Reservation<'_, M>, Refused> {
        match self.ring.reserve(len) {
            Ok(reservation) => Ok(reservation),
            // A recorder has room, or none that a wait would bring.
            Err(refusal) if self.ring.is_recorder() => Err(self.refused(refusal, len)),
            Err(_) => self.wait_for_room(len, kind, deadline),
        }
    }

    #[cold]
    fn refused(&self, refusal: Refusal, len: u32) -> Refused {
        let error = match refusal {
            Refusal::Full => {
                self.refuse_full(self.ring.used(), len);
                Error::WouldBlock
            }
            Refusal::Held => self.held(Duration::ZERO),
            Refusal::Copying => {
                self.refuse(Cause::Full, len.into());
                Error::WouldBlock
            }
            Refusal::Closed => {
                self.refuse(Cause::Closed, len.into());
                Error::Closed
            }
            Refusal::Aside => return Refused::Past(Past::Exit),
            Refusal::Failed => {
                // First: what the count does must not be needed to see the cause.
                let error = self.trouble.last_failure().unwrap_or(Error::Closed);
                self.refuse(Cause::Failed, len.into());
                error
            }
        };
        Refused::Error(error)
    }

    /// Refuses an append whose first claim found no room at `head`, if the ring is full. Returns
    /// whether it is.
    pub fn refuse_if_full(&self, head: u64, len: u32) -> bool {
        let used = self.ring.used_if_full(head, len);
        used.map(|used| self.refuse_full(used, len)).is_some()
    }

    /// Counts an append for which the ring, of which `used` is in use, has no room, and sees to it
    /// that room comes.
    fn refuse_full(&self, used: Range<u64>, len: u32) {
        self.note_fill(used.end - used.start);
        self.refuse(Cause::Full, len.into());
        if self.want_room_of_lanes() {
            self.counts.refused_for_lanes.add(1);
        }
        self.schedule_until(used.end);
    }

    /// Counts an append of `len` bytes that did not get in. Async-signal-safe.
    #[cold]
    pub fn refuse(&self, cause: Cause, len: u64) {
        self.counts.refused.add(cause, len);
        let is_for_room = matches!(cause, Cause::Full | Cause::TimedOut | Cause::Headroom);
        if is_for_room && self.trouble.is_known_to_stall() {
            self.counts.refused_for_stall.add(1);
        }
        if cause == Cause::Closed {
            return; // a line for each would keep the flusher from its end
        }
        // The gap is after the last posted record: a reservation that is still open may yet give
        // its room back.
        let is_line_due = self.gaps.note(|| self.ring.posted_end());
        if is_line_due && cause != Cause::Full {
            self.schedule(); // the ring may be empty, and the flusher asleep
        }
    }

    /// Refuses an append if the sink has no room and the options say not to wait for that.
    fn refuse_if_stalled(&self, len: u32) -> Result<(), Error> {
        match self.trouble.no_room() {
            Some(errno) => {
                self.refused(Refusal::Full, len);
                if !self.trouble.is_known_to_stall() {
                    self.counts.refused_for_stall.add(1); // `no_room` has just seen that it hangs
                }
                Err(self.trouble.stall_error(errno))
            }
            None => Ok(()),
        }
    }

    /// Returns whether at most `percent` of the bytes, and of the spans, are in use with a record
    /// of `len` bytes more.
    pub fn fits_below(&self, len: u64, percent: u8) -> bool {
        if self.ring.is_recorder() {
            return true; // the oldest records make room
        }
        let (geometry, room) = (self.ring.geometry(), self.ring.room());
        let is_below = |free: u32, more: u64, all: u32| {
            let used = u64::from(all.saturating_sub(free)) + more;
            used * 100 <= u64::from(all) * u64::from(percent)
        };
        is_below(room.bytes, len, geometry.capacity())
            && is_below(room.spans, 1, geometry.spans_max())
    }

    /// Activates everything that is reserved, and wakes the flusher, because a caller has found the
    /// ring full.
    ///
    /// A flusher that waits for an open reservation is left alone. So is one with a sink that
    /// accepts no data, since it tries again without a wake-up.
    pub fn schedule(&self) {
        self.schedule_until(self.ring.claimed_end());
    }

    fn schedule_until(&self, position: u64) {
        self.ring.activate_reserved(position);
        if self.trouble.is_stalled() {
            return;
        }
        // Ring even if the flusher seems awake: the thread that had to ring may have been preempted
        // before it did.
        if !matches!(
            self.bell.interest_after_publication(),
            Interest::Sequence(_)
        ) {
            self.bell.ring();
        }
    }

    /// Asks the drain to seal the open spans of lanes, if they hold room. The caller rings the bell
    /// next. Returns whether they hold room.
    pub(super) fn want_room_of_lanes(&self) -> bool {
        let lanes = self.ring.lanes();
        let hold_room = lanes.hold_room();
        if hold_room {
            lanes.want_room();
        }
        hold_room
    }

    #[cold]
    fn wait_for_room(
        &self,
        len: u32,
        kind: Kind,
        deadline: Option<Instant>,
    ) -> Result<Reservation<'_, M>, Refused> {
        if self.crew.has_me() {
            // This thread is the one that would make room.
            let refusal = self.ring.refusal().unwrap_or(Refusal::Full);
            return Err(self.refused(refusal, len));
        }
        self.refuse_if_stalled(len)?;
        let ordered = self.order == Order::Arrival;
        let began = Instant::now();
        let ticket = self.waiters.join(len, || {
            if ordered {
                self.ring.set_turns(true);
            }
        });
        let reserved = self.wait_in_line(&ticket, len, kind, deadline);
        ticket.leave(|| {
            if ordered {
                self.ring.set_turns(false);
            }
        });
        // [line.next] The next waiter may fit now, or must get the wake-up of one that gave up.
        if !is_mutant("line.next") {
            self.room_came();
        }
        // [line.bell] The other waiters may need the drain.
        if self.waiters.is_awaited() && !is_mutant("line.bell") {
            // The post of this caller may not wake the flusher, and the other waiters rang for it
            // before they slept.
            self.bell.ring();
        }
        self.counts
            .longest_wait_ns
            .raise(began.elapsed().as_nanos() as u64);
        reserved
    }

    fn wait_in_line(
        &self,
        ticket: &Ticket<'_>,
        len: u32,
        kind: Kind,
        deadline: Option<Instant>,
    ) -> Result<Reservation<'_, M>, Refused> {
        let counts = self.counts.waits(kind);
        let (mut waited_turn, mut waited_room) = (false, false);
        let mut still = Still::new(self.ring.tail());
        loop {
            ticket.look();
            if let Some(refusal) = self.ring.refusal() {
                return Err(self.refused(refusal, len));
            }
            if self.order == Order::Any || ticket.is_first() {
                match self.ring.reserve_in_turn(len) {
                    Ok(reservation) => return Ok(reservation),
                    Err(Refusal::Full) => counts.room.add_once(&mut waited_room),
                    Err(refusal) => return Err(self.refused(refusal, len)),
                }
                self.refuse_if_stalled(len)?;
                self.note_fill(self.ring.fill().into());
                self.want_room_of_lanes();
                // The records that fill the ring may be quiet: the flusher then writes them.
                self.bell.ring();
            } else {
                counts.turn.add_once(&mut waited_turn);
            }
            let limit = self.patience_left(&mut still, deadline)?;
            ticket.sleep(limit);
        }
    }

    /// Returns how long to sleep at most.
    ///
    /// A writer waits for a slow sink as long as it takes. But if an open reservation blocks the
    /// drain for the stall limit, the writer gets an error: the reservation may be its own.
    fn patience_left(
        &self,
        still: &mut Still,
        deadline: Option<Instant>,
    ) -> Result<Option<Duration>, Error> {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(Error::TimedOut);
        }
        let Some(stall_limit) = self.trouble.stall_limit else {
            return Ok(left);
        };
        let stalled = still.for_how_long(self.ring.tail());
        let mut until_stall = stall_limit.saturating_sub(stalled);
        if until_stall.is_zero() {
            if let Some(age) = self.trouble.blocked_for() {
                return Err(self.held(age));
            }
            until_stall = stall_limit.max(SLEEP_MIN);
        }
        Ok(Some(left.map_or(until_stall, |left| left.min(until_stall))))
    }
}

/// A task that waits for room. It has no place in the line: it is woken when room comes, and tries
/// again.
#[derive(Debug)]
pub struct Asker {
    /// Identifies the task among all tasks that wait.
    key: u64,
    /// Whether the task has asked for room, and may have been woken.
    is_waiting: bool,
}

impl Asker {
    pub fn new() -> Self {
        Self {
            key: unique_number(),
            is_waiting: false,
        }
    }
}

impl<M: Memory> Intake<M> {
    /// Reserves `len` bytes for a task. Never sleeps. If the result is `Pending`, `waker` is woken
    /// when another try is worthwhile.
    pub fn poll_reserve(
        &self,
        asker: &mut Asker,
        len: u32,
        waker: &Waker,
    ) -> Poll<Result<Reservation<'_, M>, Refused>> {
        let mut reserved = self.ring.reserve(len);
        if matches!(reserved, Err(Refusal::Full)) && !self.crew.has_me() {
            self.waiters.ask(asker.key, len, waker);
            let counts = self.counts.waits(Kind::Getn);
            counts.room.add_once(&mut asker.is_waiting);
            reserved = self.ring.reserve(len);
            if matches!(reserved, Err(Refusal::Full)) {
                if let Err(stalled) = self.refuse_if_stalled(len) {
                    self.withdraw(asker);
                    return Poll::Ready(Err(stalled.into()));
                }
                self.note_fill(self.ring.fill().into());
                self.want_room_of_lanes();
                // The records that fill the ring may be quiet: the flusher then writes them.
                self.bell.ring();
                return Poll::Pending;
            }
        }
        self.withdraw(asker);
        Poll::Ready(reserved.map_err(|refusal| self.refused(refusal, len)))
    }

    /// Ends the wait of a task, whether it has got room or not.
    pub fn withdraw(&self, asker: &mut Asker) {
        // No wake-up is passed on: every task that fitted into the room was woken.
        if core::mem::take(&mut asker.is_waiting) {
            self.waiters.withdraw(asker.key);
        }
    }
}

/// The shortest sleep of a waiter.
const SLEEP_MIN: Duration = Duration::from_millis(1);

/// Since when the tail has not moved, as one waiter has seen it.
struct Still {
    tail: Tail,
    since: Instant,
}

impl Still {
    fn new(tail: Tail) -> Self {
        Self {
            tail,
            since: Instant::now(),
        }
    }

    fn for_how_long(&mut self, tail: Tail) -> Duration {
        if self.tail != tail {
            *self = Self::new(tail);
        }
        self.since.elapsed()
    }
}
