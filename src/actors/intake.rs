//! The append side of a queue: the ring, and what a caller needs to put a record into it.
//!
//! This file owns wake-ups after a post, room that comes back, spans of lanes, and the end of the
//! intake. `room` has the waits for room. Nothing here writes to the sink or moves the tail.

use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use super::config::Config;
use super::crew::Crew;
use super::gap::Gaps;
use super::here::Refused;
use super::trouble::Trouble;
use crate::ends::{Kind, PostCounters};
use crate::memory::Memory;
use crate::primitives::sync::{AtomicBool, Ordering, unique_number};
use crate::primitives::{Doorbell, Interest, Waiters};
use crate::ring::{Owner, Posted, Refusal, Ring};
use crate::words::{Error, Operation, Order, Position, WhenFull};

/// What appending to one queue touches. Only the process that created the queue may use it, except
/// where a method says otherwise.
#[derive(Debug)]
pub struct Intake<M> {
    /// The number of the queue, unique in the process. Its positions carry it.
    pub id: u64,
    pub ring: Ring<M>,
    /// Wakes the flusher. On a separate cache line, since every post reads it.
    pub bell: CachePadded<Doorbell>,
    /// Writers that wait for room.
    pub waiters: Waiters,
    /// The order in which waiting writers get room.
    pub(super) order: Order,
    /// The longest span of a lane, in bytes; 0 if the queue has no spans for lanes.
    lane_span: u32,
    /// Refused records that the log has yet to report.
    pub(super) gaps: Gaps,
    pub(super) counts: PostCounters,
    /// Why the drain does not move, and so why there is no room.
    pub trouble: Trouble,
    /// The threads that make room, and so must not wait for it.
    pub crew: Crew,
    /// Room was freed by a give-back; the flusher must still wake the waiters.
    room_given: AtomicBool,
}

impl<M: Memory> Intake<M> {
    pub fn new(ring: Ring<M>, config: &Config, trouble: Trouble) -> Self {
        Self {
            id: unique_number(),
            ring,
            bell: CachePadded::new(Doorbell::new()),
            waiters: Waiters::new(),
            order: config.order,
            lane_span: config.lane_span,
            gaps: Gaps::new(config.loss_lines.clone()),
            counts: PostCounters::default(),
            trouble,
            crew: Crew::new(),
            room_given: AtomicBool::new(false),
        }
    }

    /// Returns the position of this queue at `bytes`.
    #[inline]
    pub fn position(&self, bytes: u64) -> Position {
        Position::new(self.id, bytes)
    }

    /// Wakes the flusher if it is waiting for this post.
    #[inline]
    pub fn posted(&self, posted: Posted) {
        let interest = self.bell.interest_after_publication();
        if interest == Interest::Mark {
            self.ring_beyond_mark(posted);
        } else if interest != Interest::Nothing {
            self.ring_for_post(interest, posted.seq, posted.activates);
        }
        if posted.gave_back {
            self.gave_room();
        }
    }

    /// Wakes a parked flusher if it is waiting for this post.
    #[cold]
    fn ring_for_post(&self, interest: Interest, seq: u32, activate: bool) {
        let is_due = match interest {
            // The awaited post rings even without the flag: records after it may be urgent.
            Interest::Sequence(awaited) => awaited == seq,
            _ => activate,
        };
        if is_due {
            self.bell.ring_for(interest);
        }
    }

    /// Makes the flusher write what is posted before `position`, however it was posted.
    pub fn activate_until(&self, position: u64) {
        self.ring.activate_until(position);
        self.bell.ring();
    }

    /// Wakes the flusher if it waits until the owner of a lane has left span `seq`.
    fn moved_on(&self, seq: u32) {
        let interest = self.bell.interest_after_publication();
        if interest == Interest::Sequence(seq) {
            self.bell.ring_for(interest);
        }
    }

    /// Notes that room was given back, and has the flusher wake the waiters.
    fn gave_room(&self) {
        if self.waiters.is_awaited() {
            // A post takes no lock, so the flusher wakes the waiters. It does so at once, unless it
            // is in a write or waits for its sink.
            // Relaxed: the bell carries it.
            self.room_given.store(true, Ordering::Relaxed);
            self.bell.ring();
        }
    }

    /// Returns whether room was given back since the last call while a caller waited. For the
    /// flusher.
    pub(super) fn take_room_given(&self) -> bool {
        // Relaxed: ordered by the bell that was rung after the store.
        self.room_given.load(Ordering::Relaxed) && self.room_given.swap(false, Ordering::Relaxed)
    }

    /// Wakes a napping flusher when a quarter of the ring is in use, in bytes or in spans.
    ///
    /// Only a post whose claim crosses into a new quarter of the ring looks. The other posts do not
    /// read the cache line of the drain, which stays with the flusher.
    #[inline]
    fn ring_beyond_mark(&self, posted: Posted) {
        let geometry = self.ring.geometry();
        if posted.activates && geometry.is_at_mark(posted.seq, posted.start, posted.claimed_end) {
            self.ring_if_filled();
        }
    }

    #[cold]
    fn ring_if_filled(&self) {
        let geometry = self.ring.geometry();
        let room = self.ring.room_anew();
        let bytes_used = geometry.capacity() - room.bytes;
        let spans_used = geometry.spans_max() - room.spans;
        if bytes_used >= geometry.capacity() / 4 || spans_used >= geometry.spans_max() / 4 {
            self.bell.ring_for(Interest::Mark);
        }
    }

    /// Raises the largest fill to `fill` bytes.
    pub(super) fn note_fill(&self, fill: u64) {
        let most = &self.counts.high_water_bytes;
        if fill > most.get() {
            most.raise(fill);
        }
    }

    /// Wakes the callers that now fit into the free room. Returns whether any caller was waiting.
    ///
    /// The change that made room must be stored before the call. A post must not call it: it may
    /// take a lock.
    pub(super) fn room_came(&self) -> bool {
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
        self.waiters.wake_tasks(fits);
        true
    }

    /// Returns whether lanes have spans of their own, of several records.
    pub(super) fn has_spans_of_lanes(&self) -> bool {
        self.lane_span > 0
    }

    /// Creates a lane. In a child of fork(2), it is one in which nothing can be claimed.
    pub fn enter_lane(&self, is_here: bool) -> Owner {
        if is_here {
            self.ring.enter_lane(self.lane_span)
        } else {
            self.ring.unlisted_lane(self.lane_span)
        }
    }

    /// Begins a record of `len` bytes, 1 to the capacity, after the span that the lane of `owner`
    /// has open: in a new span, or, if the ring cannot give one, as a shared append.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Intake::reserve).
    pub fn begin_elsewhere(
        &self,
        owner: &mut Owner,
        len: u32,
        when_full: WhenFull,
        kind: Kind,
        deadline: Option<Instant>,
    ) -> Result<(), Refused> {
        let left = self.leave_lane(owner);
        let opened = owner.open(&self.ring, len);
        // Until now the drain could believe that this thread still writes in the previous span.
        if let Some(left) = left {
            self.moved_on(left);
        }
        if opened.is_err() {
            self.leave_lane(owner);
            owner.adopt(self.reserve(len, when_full, kind, deadline)?);
        }
        Ok(())
    }

    /// Leaves the span of a lane and wakes the flusher if it waits for that. Returns the sequence
    /// of the span.
    pub fn leave_lane(&self, owner: &mut Owner) -> Option<u32> {
        let left = owner.leave(&self.ring)?;
        self.moved_on(left.seq);
        if left.gave_back {
            self.gave_room();
        }
        Some(left.seq)
    }

    /// Ends the intake: every later append is refused, and threads that wait for room get an error.
    pub fn close(&self) {
        if self.ring.close() {
            self.wake_for_end();
        }
        self.ring.end_aside();
    }

    /// Ends the intake at the end of the process: once the ring is drained, appends bypass it.
    /// Returns whether this call did it. A queue that was closed before stays closed.
    pub fn set_aside(&self) -> bool {
        let is_set = self.ring.set_aside();
        if is_set {
            self.wake_for_end();
        }
        is_set
    }

    fn wake_for_end(&self) {
        self.ring.ask_lanes(); // a lane with room in its span does not look at the gate by itself
        self.waiters.wake_all();
        self.bell.ring();
    }

    /// Makes the queue fail with `errno` until a reopen, and wakes all callers that wait for room.
    /// Returns whether this call did it. For the flusher.
    pub(super) fn fail(&self, operation: Operation, errno: i32) -> bool {
        let refuse = || {
            self.ring.fail();
            self.ring.ask_lanes();
        };
        let Some(error) = self.trouble.fail(operation, errno, refuse) else {
            return false;
        };
        self.waiters.wake_all();
        self.trouble.reporter.report(error);
        true
    }

    /// Ends a failure: another sink has taken over. For the flusher.
    pub(super) fn recover(&self) {
        if self.trouble.recover() {
            self.ring.recover();
        }
    }

    /// Returns why appends are refused. Unlike [`Trouble::failure`], it also covers the moment
    /// between the shutting of the gate and the publication of the failure.
    pub(super) fn failure_so_far(&self) -> Option<Error> {
        let is_refused = || self.ring.refusal() == Some(Refusal::Failed);
        let trouble = &self.trouble;
        trouble
            .failure()
            .or_else(|| is_refused().then(|| trouble.last_failure())?)
    }

    /// Returns the error for a caller that waits for a reservation that stays open.
    pub fn held(&self, age: Duration) -> Error {
        Error::Held {
            position: self.position(self.ring.tail().pos),
            age,
        }
    }
}
