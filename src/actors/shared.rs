//! What the callers of a queue and its flusher share.

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

/// One queue, seen from both sides.
#[derive(Debug)]
pub struct Shared<M> {
    /// The process that made the queue; [`here`](Shared::here) asks it.
    pub(super) home: Home,
    /// The number of the queue, for its positions.
    pub id: u64,
    pub ring: Ring<M>,
    /// On a line of its own: every post reads it.
    pub bell: CachePadded<Doorbell>,
    /// Writers that wait for room.
    pub waiters: Waiters,
    /// The order in which they get it.
    pub order: Order,
    /// The longest span of a lane; 0 if lanes have none.
    pub lane_span: u32,
    /// How long a wait lasts while nothing moves; `None` is for ever.
    pub stall_limit: Option<Duration>,
    /// Whether no call waits for a sink that has no room for data, or has failed.
    pub refuse_when_stalled: bool,
    /// Notified when the tail has moved, and when the queue has failed or finished.
    pub progress: Event,
    pub drain_counts: CachePadded<DrainCounters>,
    pub post_counts: PostCounters,
    /// What is waited for, beyond room.
    pub watch: Watch,
    /// How far the sync thread has come.
    pub durability: Durability,
    /// What was refused, for the log to tell.
    pub gaps: Gaps,
    /// The way of appends that do not go through the ring.
    pub aside: Aside,
    /// What the drain stands still behind.
    pub standstill: Standstill,
    /// Who asked for another sink.
    pub reopening: Reopening,
    /// Receives errors that no caller is waiting for.
    pub reporter: Reporter,
    /// The flusher and the sync thread.
    servants: Mutex<Vec<ThreadId>>,
    /// The same, to be waited for.
    pub threads: Threads,
    pub(super) failure: AtomicU64,
    /// What the first close that gave up has told.
    obstacle: Mutex<Option<Error>>,
    last: AtomicU32,
    flusher_done: AtomicBool,
    finished: AtomicBool,
    /// Room came that the drain did not make: it has yet to wake waiters.
    room_given: AtomicBool,
}

/// What the options say about waiting.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub order: Order,
    pub lane_span: u32,
    pub stall_limit: Option<Duration>,
    pub refuse_when_stalled: bool,
    pub outstanding_max: usize,
    /// The least time between two lines that tell of losses, if there are to be any.
    pub loss_line_every: Option<Duration>,
}

/// How the flusher of a closed queue ends; each stage includes the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Last {
    /// Drain everything, waiting for open reservations.
    Drain = 0,
    /// Drain what is posted, stepping over open reservations.
    StepOver = 1,
    /// Stop at the next step.
    Stop = 2,
}

impl<M: Memory> Shared<M> {
    /// A queue on `memory`, and its drain. `sink` is what `fsync` will sync.
    #[cfg(any(test, alq_model))]
    pub fn new(memory: M, config: Config, sink: Option<PlainArc<dyn Sink>>) -> (Self, Drain) {
        let (ring, drain) = Ring::new(memory);
        (Self::with(ring, config, sink), drain)
    }

    /// A queue on `ring`.
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

    /// Wakes whom a post must wake: usually nobody.
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

    /// Rings a drain that is parked, if it is for this post.
    #[cold]
    fn ring_for_post(&self, interest: Interest, seq: u32, activate: bool) {
        let is_due = match interest {
            // Whoever is waited for rings, also without the flag: what lies behind may be in a hurry.
            Interest::Sequence(awaited) => awaited == seq,
            _ => activate,
        };
        if is_due {
            self.bell.ring_for(interest);
        }
    }

    /// Wakes whom the owner of a lane must wake that is no longer at work in span `seq`: the drain, if it waits for that.
    pub fn moved_on(&self, seq: u32) {
        let interest = self.bell.interest_after_publication();
        if interest == Interest::Sequence(seq) {
            self.bell.ring_for(interest);
        }
    }

    /// Room was given back: somebody may wait for it.
    pub(super) fn gave_room(&self) {
        if self.waiters.is_awaited() {
            // A post takes no lock, so the flusher wakes them; at once, unless it is in a write or waits for its sink.
            // Relaxed: the bell carries it.
            self.room_given.store(true, Ordering::Relaxed);
            self.bell.ring();
        }
    }

    /// Whether room was given back since the last call while somebody waited. For the flusher.
    pub fn take_room_given(&self) -> bool {
        // Relaxed: ordered by the bell that was rung after the store.
        self.room_given.load(Ordering::Relaxed) && self.room_given.swap(false, Ordering::Relaxed)
    }

    /// Rings a napping drain when a quarter of the ring is in use, in bytes or in spans. That is looked at once in a
    /// quarter of the ring, by the post whose claim crosses into it: the drain's line stays with the drain.
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

    /// Notes why a close gave up; the first one is what every close tells.
    pub fn note_obstacle(&self, obstacle: Error) {
        self.obstacle.lock().get_or_insert(obstacle);
    }

    /// Why a close gave up, if one has.
    pub fn obstacle(&self) -> Option<Error> {
        self.obstacle.lock().clone()
    }

    /// Tells the flusher how to end.
    pub fn set_last(&self, last: Last) {
        // Relaxed RMW: a flusher that sleeps is woken by the bell, which carries it; one that waits for its sink sees it
        // when that wait is over. A stage is never taken back.
        self.last.fetch_max(last as u32, Ordering::Relaxed);
        self.bell.ring();
    }

    /// How the flusher has been told to end.
    pub fn last(&self) -> Last {
        // Relaxed: see `set_last`.
        match self.last.load(Ordering::Relaxed) {
            0 => Last::Drain,
            1 => Last::StepOver,
            _ => Last::Stop,
        }
    }

    /// This thread serves the queue: others wait for it.
    pub fn enlist(&self) {
        self.servants.lock().push(this_thread());
    }

    /// Whether a wait on this thread would be a wait for itself.
    pub fn is_servant(&self) -> bool {
        self.servants.lock().contains(&this_thread())
    }

    /// The flusher is done, but the sync thread is not.
    pub fn set_flusher_done(&self) {
        // Relaxed: it is set under the lock of `Durability::state`, and whoever has seen it takes that next.
        self.flusher_done.store(true, Ordering::Relaxed);
    }

    pub fn is_flusher_done(&self) -> bool {
        // Relaxed: see `set_flusher_done`.
        self.flusher_done.load(Ordering::Relaxed)
    }

    /// Nobody will write or sync any more. What is still waited for is told so.
    pub fn finish(&self) {
        // [finish.set] Release, pairs with [finish.has]: the last counts are seen, and the sink is at rest.
        self.finished
            .store(true, unless_mutant("finish.set", Ordering::Release));
        self.settle();
    }

    /// Has `sink` take over behind the last record that was posted before the call. The pending is done when it has.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyOutstanding`]; [`Error::Closed`] if the queue takes no more; its failure if its thread is gone.
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
        // No settling: whoever meets the request, or ends the line, has taken the lock under which it was announced.
        self.bell.ring();
        Ok(pending)
    }

    /// Something has moved that others wait for: resolves what has come to its end, and wakes those who look.
    pub fn settle(&self) {
        if self.watch.is_awaited() {
            let has_finished = self.has_finished(); // first: what has come by then is seen by all looks behind it
            let written = self.ring.tail().pos;
            self.watch
                .settle(|pending| self.outcome(pending, written, has_finished));
        }
        self.progress.notify();
    }

    /// What has become of `pending`, now that everything up to `written` is, and nothing more comes if the queue
    /// `has_finished`.
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

    /// What a caller is told who waits behind a reservation that stays open.
    pub fn held(&self, age: Duration) -> Error {
        Error::Held {
            position: Position::new(self.id, self.ring.tail().pos),
            age,
        }
    }
}
