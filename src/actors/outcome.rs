//! What becomes of the records of a queue: written, durable, or left at its end; and the
//! callers that wait for it.
//!
//! This file owns progress, pending completions and the end of the queue. `durability` and
//! `reopen` own their records. Nothing here touches the ring beyond a look at it.

use crossbeam_utils::CachePadded;

use super::config::{Config, Last};
use super::discards::Discards;
use super::dumps::Dumps;
use super::durability::Durability;
use super::intake::Intake;
use super::reopen::Reopening;
use super::rhythm::Rhythm;
use crate::ends::{DrainCounters, Pending, Reach, Sink, SyncCounters, Watch};
use crate::memory::Memory;
use crate::primitives::Event;
use crate::primitives::sync::{AtomicBool, AtomicU32, Mutex, Ordering, PlainArc, unless_mutant};
use crate::words::{Error, SyncOp};

/// What the threads of one queue have done, and what its callers wait for.
#[derive(Debug)]
pub struct Outcome {
    /// Notified when the tail has moved, and when the queue has failed or finished.
    pub progress: Event,
    /// Notified when a completion has got its result. A thread that waits for a completion sleeps
    /// here, so that no write wakes it before the sync that it waits for.
    pub resolved: Event,
    pub(super) counts: CachePadded<DrainCounters>,
    /// Pending completions: writes, syncs and reopens.
    pub watch: Watch,
    /// What is durable, and what the sync thread must sync.
    pub durability: Durability,
    /// When the sync thread syncs although no caller waits.
    pub rhythm: Rhythm,
    pub(super) syncs: SyncCounters,
    /// Pending reopen requests.
    pub(super) reopening: Reopening,
    /// What reopens have discarded.
    pub discards: Discards,
    /// Requests for dumps.
    pub dumps: Dumps,
    /// Why the first close that gave up did so.
    obstacle: Mutex<Option<Error>>,
    last: AtomicU32,
    finished: AtomicBool,
}

impl Outcome {
    /// Creates the outcome of a queue on `sink`; see [`Durability::new`].
    pub fn new(config: &Config, sink: Option<PlainArc<dyn Sink>>) -> Self {
        Self {
            progress: Event::new(),
            resolved: Event::new(),
            counts: CachePadded::default(),
            watch: Watch::new(config.outstanding_max),
            durability: Durability::new(sink),
            rhythm: Rhythm::new(config.sync_policy),
            syncs: SyncCounters::default(),
            reopening: Reopening::new(),
            discards: Discards::new(),
            dumps: Dumps::new(config.dump_line.clone()),
            obstacle: Mutex::new(None),
            last: AtomicU32::new(Last::Drain as u32),
            finished: AtomicBool::new(false),
        }
    }

    /// Counts that the flusher woke up. For the flusher.
    pub(super) fn count_wakeup(&self) {
        self.counts.wakeups.add_alone(1);
    }

    /// Counts a write of which the sink took bytes. For the flusher.
    pub(super) fn count_drain(&self) {
        self.counts.drains.add_alone(1);
    }

    /// Returns how often the sink has taken bytes, and up to which position they are durable.
    pub fn progress_made(&self) -> (u64, u64) {
        let drains = self.counts.drains.get(); // also after a write of a part of a record
        (drains, self.durability.reached(SyncOp::Data))
    }

    /// Notes why a close gave up. Every later close returns the first reason.
    pub fn note_obstacle(&self, obstacle: Error) {
        self.obstacle.lock().get_or_insert(obstacle);
    }

    /// Returns why a close gave up, if one did.
    pub fn obstacle(&self) -> Option<Error> {
        self.obstacle.lock().clone()
    }

    /// Sets how the flusher ends. A stage is never taken back. The caller rings the bell next.
    pub(super) fn set_last(&self, last: Last) {
        // Relaxed RMW: the bell carries it to a flusher that sleeps. A flusher that waits for its
        // sink sees it when that wait is over.
        self.last.fetch_max(last as u32, Ordering::Relaxed);
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

    /// Notes that no thread writes or syncs any more. The caller settles next.
    pub(super) fn set_finished(&self) {
        // [finish.set] Release, pairs with [finish.has]: a thread that sees the end sees the final
        // counts, and the sink is at rest.
        self.finished
            .store(true, unless_mutant("finish.set", Ordering::Release));
    }

    /// Returns whether no thread writes or syncs any more.
    pub fn has_finished(&self) -> bool {
        // [finish.has] Acquire, pairs with [finish.set].
        self.finished
            .load(unless_mutant("finish.has", Ordering::Acquire))
    }

    /// Resolves the completions whose result is known, and wakes the threads that wait for
    /// progress. Called after every change that a caller may wait for. Returns whether there was a
    /// completion without a result.
    pub fn settle<M: Memory>(&self, intake: &Intake<M>) -> bool {
        let is_awaited = self.watch.is_awaited();
        if is_awaited {
            // Read first: the loads below then see everything that came before the end.
            let has_finished = self.has_finished();
            let written = intake.ring.tail().pos;
            let result_of =
                |pending: &Pending| self.result_of(pending, intake, written, has_finished);
            if self.watch.settle(result_of) {
                self.resolved.notify();
            }
        }
        self.progress.notify();
        is_awaited
    }

    /// Returns the result of `pending`, if it is known. Everything up to `written` is written; if
    /// the queue `has_finished`, nothing more will be.
    fn result_of<M: Memory>(
        &self,
        pending: &Pending,
        intake: &Intake<M>,
        written: u64,
        has_finished: bool,
    ) -> Option<Result<(), Error>> {
        let is_written = pending.target <= written;
        let is_record = !matches!(pending.reach, Reach::Reopened(_));
        if is_record
            && is_written
            && intake.ring.ended().is_some()
            && intake.ring.is_too_late(pending.target)
        {
            return Some(Err(Error::Closed));
        }
        if is_record && is_written {
            if let Some(error) = self.discards.error_at(pending.target) {
                return Some(Err(error));
            }
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
            _ => intake.trouble.failure(),
        };
        let over = has_finished.then_some(Error::Closed);
        failure.or(over).map(Err)
    }
}
