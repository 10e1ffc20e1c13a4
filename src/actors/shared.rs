//! The state that the callers of a queue share with its threads.
//!
//! This file owns the fields that concern the queue as a whole: wake-ups after a post, the end of
//! the queue, and the results of pending completions. Waiting for room, failures and syncs are in
//! files that bear their names. No method here writes to the sink.

use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::durability::Durability;
use super::gap::Gaps;
use super::reopen::Reopening;
use super::report::Reporter;
use super::standstill::Standstill;
use crate::ends::{Aside, DrainCounters, Pending, PostCounters, Reach, Sink, Watch};
use crate::memory::Memory;
use crate::primitives::sync::{
    Arc, AtomicBool, AtomicU32, AtomicU64, Mutex, Ordering, PlainArc, ThreadId, Threads,
    this_thread, unique_number, unless_mutant,
};
use crate::primitives::{Doorbell, Event, Home, Interest, Waiters};
#[cfg(any(test, alq_model))]
use crate::ring::Drain;
use crate::ring::{Posted, Ring};
use crate::words::{Error, Order, Position, Target};

/// The shared state of one queue.
#[derive(Debug)]
pub struct Shared<M> {
    /// The process that created the queue; [`here`](Shared::here) checks it.
    pub(super) home: Home,
    /// The number of the queue, unique in the process. Its positions carry it.
    pub id: u64,
    pub ring: Ring<M>,
    /// Wakes the flusher. On a separate cache line, since every post reads it.
    pub bell: CachePadded<Doorbell>,
    /// Writers that wait for room.
    pub waiters: Waiters,
    /// The order in which waiting writers get room.
    pub order: Order,
    /// The longest span of a lane, in bytes; 0 if the queue has no spans for lanes.
    pub lane_span: u32,
    /// How long a wait lasts while nothing moves; `None` is without limit.
    pub stall_limit: Option<Duration>,
    /// Whether a call returns an error instead of waiting for a sink that has no room for data or
    /// has failed.
    pub refuse_when_stalled: bool,
    /// Notified when the tail has moved, and when the queue has failed or finished.
    pub progress: Event,
    pub drain_counts: CachePadded<DrainCounters>,
    pub post_counts: PostCounters,
    /// Pending completions: writes, syncs and reopens.
    pub watch: Watch,
    /// What is durable, and what the sync thread must sync.
    pub durability: Durability,
    /// Refused records that the log has yet to report.
    pub gaps: Gaps,
    /// Appends that bypass the ring.
    pub aside: Aside,
    /// Why the drain is blocked.
    pub standstill: Standstill,
    /// Pending reopen requests.
    pub reopening: Reopening,
    /// Receives errors that no caller is waiting for.
    pub reporter: Reporter,
    /// The identities of the flusher and of the sync thread, for
    /// [`is_servant`](Shared::is_servant).
    servants: Mutex<Vec<ThreadId>>,
    /// The same threads, so that the last handle can wait until they have ended.
    pub threads: Threads,
    pub(super) failure: AtomicU64,
    /// Why the first close that gave up did so.
    obstacle: Mutex<Option<Error>>,
    last: AtomicU32,
    flusher_done: AtomicBool,
    finished: AtomicBool,
    /// Room was freed by a give-back; the flusher must still wake the waiters.
    room_given: AtomicBool,
}

/// The options that concern waiting, in one place.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub order: Order,
    pub lane_span: u32,
    pub stall_limit: Option<Duration>,
    pub refuse_when_stalled: bool,
    pub outstanding_max: usize,
    /// The shortest time between two lines that report refused records; `None` for no such lines.
    pub loss_line_every: Option<Duration>,
}

/// How the flusher of a closed queue ends. Each stage includes the stage before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Last {
    /// Drain everything, waiting for open reservations.
    Drain = 0,
    /// Drain what is posted and step over open reservations.
    StepOver = 1,
    /// Stop at the next step.
    Stop = 2,
}

impl<M: Memory> Shared<M> {
    /// Creates a queue on `memory`, and its drain. `fsync` syncs `sink`.
    #[cfg(any(test, alq_model))]
    pub fn new(memory: M, config: Config, sink: Option<PlainArc<dyn Sink>>) -> (Self, Drain) {
        let (ring, drain) = Ring::new(memory);
        (Self::with(ring, config, sink), drain)
    }

    /// Creates a queue on `ring`.
    pub fn with(ring: Ring<M>, config: Config, sink: Option<PlainArc<dyn Sink>>) -> Self {
        Self {
            home: Home::here(),
            id: unique_number(),
            ring,
            bell: CachePadded::new(Doorbell::new()),
            waiters: Waiters::new(),
            order: config.order,
            lane_span: config.lane_span,
            stall_limit: config.stall_limit,
            refuse_when_stalled: config.refuse_when_stalled,
            progress: Event::new(),
            drain_counts: CachePadded::default(),
            post_counts: PostCounters::default(),
            watch: Watch::new(config.outstanding_max),
            aside: Aside::new(sink.as_ref()),
            durability: Durability::new(sink),
            gaps: Gaps::new(config.loss_line_every),
            standstill: Standstill::new(),
            reopening: Reopening::new(),
            reporter: Reporter::default(),
            servants: Mutex::new(Vec::new()),
            threads: Threads::default(),
            failure: AtomicU64::new(0),
            obstacle: Mutex::new(None),
            flusher_done: AtomicBool::new(false),
            last: AtomicU32::new(Last::Drain as u32),
            finished: AtomicBool::new(false),
            room_given: AtomicBool::new(false),
        }
    }

    /// Wakes the flusher if it is waiting for this post.
    #[inline]
    pub fn posted(&self, posted: Posted, activate: bool) {
        let interest = self.bell.interest_after_publication();
        if interest == Interest::Mark {
            self.ring_beyond_mark(posted, activate);
        } else if interest != Interest::Nothing {
            self.ring_for_post(interest, posted.seq, activate);
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

    /// Wakes the flusher if it waits until the owner of a lane has left span `seq`.
    pub fn moved_on(&self, seq: u32) {
        let interest = self.bell.interest_after_publication();
        if interest == Interest::Sequence(seq) {
            self.bell.ring_for(interest);
        }
    }

    /// Notes that room was given back, and has the flusher wake the waiters.
    pub(super) fn gave_room(&self) {
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
    pub fn take_room_given(&self) -> bool {
        // Relaxed: ordered by the bell that was rung after the store.
        self.room_given.load(Ordering::Relaxed) && self.room_given.swap(false, Ordering::Relaxed)
    }

    /// Wakes a napping flusher when a quarter of the ring is in use, in bytes or in spans.
    ///
    /// Only a post whose claim crosses into a new quarter of the ring looks. The other posts do not
    /// read the cache line of the drain, which stays with the flusher.
    #[inline]
    fn ring_beyond_mark(&self, posted: Posted, activate: bool) {
        let geometry = self.ring.geometry();
        if activate && geometry.is_at_mark(posted.seq, posted.start, posted.claimed_end) {
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

    /// Notes why a close gave up. Every later close returns the first reason.
    pub fn note_obstacle(&self, obstacle: Error) {
        self.obstacle.lock().get_or_insert(obstacle);
    }

    /// Returns why a close gave up, if one did.
    pub fn obstacle(&self) -> Option<Error> {
        self.obstacle.lock().clone()
    }

    /// Sets how the flusher ends, and wakes it. A stage is never taken back.
    pub fn set_last(&self, last: Last) {
        // Relaxed RMW: the bell carries it to a flusher that sleeps. A flusher that waits for its
        // sink sees it when that wait is over.
        self.last.fetch_max(last as u32, Ordering::Relaxed);
        self.bell.ring();
    }

    /// Returns how the flusher must end.
    pub fn last(&self) -> Last {
        // Relaxed: see `set_last`.
        match self.last.load(Ordering::Relaxed) {
            0 => Last::Drain,
            1 => Last::StepOver,
            _ => Last::Stop,
        }
    }

    /// Marks the calling thread as one that serves the queue.
    pub fn enlist(&self) {
        self.servants.lock().push(this_thread());
    }

    /// Returns whether the calling thread serves the queue. A wait for the queue would then be a
    /// wait for itself.
    pub fn is_servant(&self) -> bool {
        self.servants.lock().contains(&this_thread())
    }

    /// Notes that the flusher is done and the sync thread is not.
    pub fn set_flusher_done(&self) {
        // Relaxed: it is set under the lock of `Durability::state`. The thread that has seen it
        // takes that lock next.
        self.flusher_done.store(true, Ordering::Relaxed);
    }

    pub fn is_flusher_done(&self) -> bool {
        // Relaxed: see `set_flusher_done`.
        self.flusher_done.load(Ordering::Relaxed)
    }

    /// Ends the queue: no thread writes or syncs any more. Resolves everything that is still
    /// pending.
    pub fn finish(&self) {
        // [finish.set] Release, pairs with [finish.has]: a thread that sees the end sees the final
        // counts, and the sink is at rest.
        self.finished
            .store(true, unless_mutant("finish.set", Ordering::Release));
        self.settle();
    }

    /// Requests that `sink` takes over after the last record that was posted before the call. The
    /// returned completion is done when the flusher has switched.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyOutstanding`]; [`Error::Closed`] if the queue is closed; the failure of the
    /// queue if its thread has ended.
    pub fn reopen(&self, sink: PlainArc<dyn Sink>, target: Target) -> Result<Arc<Pending>, Error> {
        let over = || self.failure().unwrap_or(Error::Closed);
        if self.ring.ended().is_some() {
            return Err(over());
        }
        let cut = self.ring.posted_end();
        let announce = |number| {
            let pending = Arc::new(Pending::new(cut, Reach::Reopened(number)));
            self.watch.add(Arc::clone(&pending)).map(|()| pending)
        };
        let next = (sink, target);
        let pending = self.reopening.ask(cut, next, announce)?.ok_or_else(over)?;
        // No `settle` here: to meet the request, or to end the line, the flusher takes the lock
        // under which the request was announced, and a `settle` follows.
        self.bell.ring();
        Ok(pending)
    }

    /// Resolves the completions whose result is known, and wakes the threads that wait for
    /// progress. Called after every change that a caller may wait for.
    pub fn settle(&self) {
        if self.watch.is_awaited() {
            // Read first: the loads below then see everything that came before the end.
            let has_finished = self.has_finished();
            let written = self.ring.tail().pos;
            self.watch
                .settle(|pending| self.outcome(pending, written, has_finished));
        }
        self.progress.notify();
    }

    /// Returns the result of `pending`, if it is known. Everything up to `written` is written; if
    /// the queue `has_finished`, nothing more will be.
    fn outcome(
        &self,
        pending: &Pending,
        written: u64,
        has_finished: bool,
    ) -> Option<Result<(), Error>> {
        let is_written = pending.target <= written;
        let is_record = !matches!(pending.reach, Reach::Reopened(_));
        if is_record
            && is_written
            && self.ring.ended().is_some()
            && self.ring.is_too_late(pending.target)
        {
            return Some(Err(Error::Closed));
        }
        let known = match pending.reach {
            Reach::Written => is_written.then_some(Ok(())),
            Reach::Durable(op) => self.durability.verdict(pending.target, op),
            Reach::Reopened(number) => self.reopening.has_met(number).then_some(Ok(())),
        };
        if known.is_some() {
            return known;
        }
        let failure = match pending.reach {
            Reach::Reopened(_) => None,
            _ if is_written => None,
            _ => self.failure(),
        };
        let over = has_finished.then_some(Error::Closed);
        failure.or(over).map(Err)
    }

    pub fn has_finished(&self) -> bool {
        // [finish.has] Acquire, pairs with [finish.set].
        self.finished
            .load(unless_mutant("finish.has", Ordering::Acquire))
    }

    /// Returns the error for a caller that waits for a reservation that stays open.
    pub fn held(&self, age: Duration) -> Error {
        Error::Held {
            position: Position::new(self.id, self.ring.tail().pos),
            age,
        }
    }
}
