//! Getting room: at once, or asleep until there is some. One way for every kind of append.

use core::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::here::{Past, Refused};
use super::shared::Shared;
use crate::ends::Kind;
use crate::memory::Memory;
use crate::primitives::sync::{is_mutant, unique_number};
use crate::primitives::{Interest, Ticket};
use crate::ring::{Refusal, Reservation};
use crate::words::{Error, Order, Tail, WhenFull};

impl<M: Memory> Shared<M> {
    /// Reserves; whether it sleeps for that, `when_full` says.
    ///
    /// # Errors
    ///
    /// Why there is no room, or none for this caller.
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

    /// Reserves, or says why not. Never sleeps.
    pub fn try_reserve(&self, len: u32) -> Result<Reservation<'_, M>, Refused> {
        self.ring
            .reserve(len)
            .map_err(|refusal| self.refused(refusal, len))
    }

    /// Reserves, asleep until there is room, or until `deadline`.
    pub fn wait_reserve(
        &self,
        len: u32,
        kind: Kind,
        deadline: Option<Instant>,
    ) -> Result<Reservation<'_, M>, Refused> {
        match self.ring.reserve(len) {
            Ok(reservation) => Ok(reservation),
            Err(_) => self.wait_for_room(len, kind, deadline),
        }
    }

    /// Wakes those for whom there is room now; says whether anybody was waiting. What made room must be stored before. Not
    /// for writers: it may lock.
    pub fn room_came(&self) -> bool {
        if !self.waiters.is_awaited() {
            return false;
        }
        let room = self.ring.room();
        let fits = |need| need <= room.bytes && room.spans > 0;
        match self.order {
            Order::Arrival => self.waiters.wake_first(fits),
            Order::Any => {
                let mut left = room;
                self.waiters.wake_fitting(|need| {
                    let fits = need <= left.bytes && left.spans > 0;
                    if fits {
                        left.bytes -= need;
                        left.spans -= 1;
                    }
                    fits
                });
            }
        }
        self.waiters.tell_tasks(fits);
        true
    }

    #[cold]
    fn refused(&self, refusal: Refusal, len: u32) -> Refused {
        let error = match refusal {
            Refusal::Full => {
                self.note_full();
                self.post_counts.refused_records.add(1);
                self.post_counts.refused_bytes.add(u64::from(len));
                // Behind what is posted: what is only reserved may yet give its room back.
                self.gaps.note(len, || self.ring.posted_end());
                let stalled = u64::from(self.standstill.is_stalled());
                self.post_counts.refused_for_stall.add(stalled);
                self.post_counts
                    .refused_for_lanes
                    .add(u64::from(self.want_room_of_lanes()));
                self.schedule();
                Error::WouldBlock
            }
            Refusal::Closed => Error::Closed,
            Refusal::Aside => return Refused::Past(Past::Exit),
            Refusal::Failed => {
                self.post_counts.refused_for_failure.add(1);
                self.last_failure().unwrap_or(Error::Closed)
            }
        };
        Refused::Error(error)
    }

    /// Refuses an append that finds the ring full, if it is not to wait behind a sink that has no room.
    fn refuse_if_stalled(&self, len: u32) -> Result<(), Error> {
        match self
            .standstill
            .no_room()
            .filter(|_| self.refuse_when_stalled)
        {
            Some(errno) => {
                self.refused(Refusal::Full, len);
                Err(self.stall_error(errno))
            }
            None => Ok(()),
        }
    }

    /// A caller that finds the ring full schedules the drain, whatever flags its records were posted with. One that
    /// waits for an open reservation is left alone, and so is one whose sink takes nothing: it tries again by itself.
    fn schedule(&self) {
        if self.standstill.is_stalled() {
            return;
        }
        // Also if it seems awake: whoever was to ring may have been stopped before it did.
        if !matches!(
            self.bell.interest_after_publication(),
            Interest::Sequence(_)
        ) {
            self.bell.ring();
        }
    }

    /// Has the drain seal open spans, if they hold room; it is rung next.
    pub(super) fn want_room_of_lanes(&self) -> bool {
        let lanes = self.ring.lanes();
        let hold_room = lanes.hold_room();
        if hold_room {
            lanes.want_room();
        }
        hold_room
    }

    fn note_full(&self) {
        let fill = u64::from(self.ring.fill());
        self.post_counts.high_water_bytes.raise(fill);
    }

    #[cold]
    fn wait_for_room(
        &self,
        len: u32,
        kind: Kind,
        deadline: Option<Instant>,
    ) -> Result<Reservation<'_, M>, Refused> {
        if self.is_servant() {
            // Nobody would make room.
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
        // [line.next] The next in line may go, or take over the wake-up of one that gave up.
        if !is_mutant("line.next") {
            self.room_came();
        }
        // [line.bell] The others may be in need of a drain.
        if self.waiters.is_awaited() && !is_mutant("line.bell") {
            // What this one posts may wake nobody, and the others had the flusher look before they slept.
            self.bell.ring();
        }
        self.post_counts
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
        let counts = self.post_counts.waits(kind);
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
                self.note_full();
                self.want_room_of_lanes();
                // What fills the ring may have been posted without waking anybody.
                self.bell.ring();
            } else {
                counts.turn.add_once(&mut waited_turn);
            }
            let limit = self.patience_left(&mut still, deadline)?;
            ticket.sleep(limit);
        }
    }

    /// How long to sleep at most. Behind a slow descriptor a writer waits for as long as it takes; but an open
    /// reservation in front, which may be the writer's own, is told after the stall limit.
    fn patience_left(
        &self,
        still: &mut Still,
        deadline: Option<Instant>,
    ) -> Result<Option<Duration>, Error> {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(Error::TimedOut);
        }
        let Some(stall_limit) = self.stall_limit else {
            return Ok(left);
        };
        let stalled = still.for_how_long(self.ring.tail());
        let mut until_stall = stall_limit.saturating_sub(stalled);
        if until_stall.is_zero() {
            if let Some(age) = self.standstill.blocked_for() {
                return Err(self.held(age));
            }
            until_stall = stall_limit.max(SLEEP_MIN);
        }
        Ok(Some(left.map_or(until_stall, |left| left.min(until_stall))))
    }
}

/// A task that waits for room: it has no place in the line, but is told when room comes, and tries again.
#[derive(Debug)]
pub struct Asker {
    /// Names it among the tasks.
    key: u64,
    /// Whether it has asked, and may have been told.
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

impl<M: Memory> Shared<M> {
    /// Reserves for a task. If it is `Pending`, `waker` is told when it is worth another try. Never sleeps.
    pub fn poll_reserve(
        &self,
        asker: &mut Asker,
        len: u32,
        waker: &Waker,
    ) -> Poll<Result<Reservation<'_, M>, Refused>> {
        let mut reserved = self.ring.reserve(len);
        if matches!(reserved, Err(Refusal::Full)) && !self.is_servant() {
            self.waiters.ask(asker.key, len, waker);
            let counts = self.post_counts.waits(Kind::Getn);
            counts.room.add_once(&mut asker.is_waiting);
            reserved = self.ring.reserve(len);
            if matches!(reserved, Err(Refusal::Full)) {
                if let Err(stalled) = self.refuse_if_stalled(len) {
                    self.withdraw(asker);
                    return Poll::Ready(Err(stalled.into()));
                }
                self.note_full();
                self.want_room_of_lanes();
                // What fills the ring may have been posted without waking anybody.
                self.bell.ring();
                return Poll::Pending;
            }
        }
        self.withdraw(asker);
        Poll::Ready(reserved.map_err(|refusal| self.refused(refusal, len)))
    }

    /// The task waits no more, whether it has got its room or not.
    pub fn withdraw(&self, asker: &mut Asker) {
        // It hands nothing on: everybody for whom there was room was told beside it.
        if core::mem::take(&mut asker.is_waiting) {
            self.waiters.withdraw(asker.key);
        }
    }
}

/// The shortest sleep of a waiter.
const SLEEP_MIN: Duration = Duration::from_millis(1);

/// Since when the tail has stood where it stands, as one waiter has seen it.
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
