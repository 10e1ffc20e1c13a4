//! The state that the callers of a queue share with its threads: three parts, and the few steps
//! that need more than one of them.
//!
//! ```text
//!             +- Intake    ring, bell, waiters, gaps; Trouble: failure, stall; Crew: threads
//!    Shared --+- Outcome   progress, completions, end; Durability; Reopening
//!             +- Aside     appends that bypass the ring
//! ```
//!
//! `Intake` knows nothing of `Outcome`. `Outcome` looks at `Intake`, and neither knows `Shared`. A
//! caller or a thread takes the part that it works with. No method here writes to the sink.

use std::time::Duration;

use super::config::{Config, Last};
use super::here::Past;
use super::intake::Intake;
use super::outcome::Outcome;
use super::reopen::Next;
use super::report::Reporter;
use super::standstill::Worked;
use super::trouble::Trouble;
use super::{show, snapshot};
use crate::ends::{Aside, Pending, Reach, Sink, Stats, stall_words};
use crate::memory::{Journal, Memory};
use crate::primitives::Home;
use crate::primitives::sync::{Arc, PlainArc, is_mutant};
#[cfg(any(test, alq_model))]
use crate::ring::Drain;
use crate::ring::Ring;
use crate::words::{Error, Operation, Reason, Wrap};

/// The shared state of one queue.
#[derive(Debug)]
pub struct Shared<M> {
    /// The process that created the queue; [`here`](Shared::here) checks it.
    home: Home,
    /// The same, unless records need a framing or go to lanes of threads; [`direct`](Shared::direct)
    /// checks it.
    direct: Home,
    /// The framing of the records.
    pub wrap: Wrap,
    /// The longest record with its framing, in bytes.
    pub len_max: u32,
    /// Whether the log has a chain, so that no record may bypass the flusher.
    pub is_chained: bool,
    /// The append side.
    pub intake: Intake<M>,
    /// What becomes of the records.
    pub outcome: Outcome,
    /// Appends that bypass the ring.
    pub aside: Aside,
}

impl<M: Memory> Shared<M> {
    /// Creates a queue on `memory`, and its drain. `fsync` syncs `sink`.
    #[cfg(any(test, alq_model))]
    pub fn new(memory: M, config: &Config, sink: Option<PlainArc<dyn Sink>>) -> (Self, Drain) {
        let (ring, drain) = Ring::new(memory);
        (Self::with(ring, config, sink, Reporter::default()), drain)
    }

    /// Creates a queue on `ring`. `reporter` receives its errors.
    pub fn with(
        ring: Ring<M>,
        config: &Config,
        sink: Option<PlainArc<dyn Sink>>,
        reporter: Reporter,
    ) -> Self {
        let ring = if config.recorder {
            ring.recording()
        } else {
            ring
        };
        let capacity = ring.geometry().capacity();
        Self {
            home: Home::here(),
            direct: Home::here(),
            wrap: Wrap::Raw,
            len_max: sink.as_ref().map_or(capacity, |sink| {
                let max = sink.message_max().unwrap_or(u64::MAX);
                capacity.min(u32::try_from(max).unwrap_or(capacity))
            }),
            is_chained: false,
            aside: Aside::new(sink.as_ref()),
            intake: Intake::new(ring, config, Trouble::new(config, reporter)),
            outcome: Outcome::new(config, sink),
        }
    }

    /// Gives the records of the queue a framing. Only before the queue is shared.
    pub fn set_wrap(&mut self, wrap: Wrap) {
        self.wrap = wrap;
        if !wrap.is_raw() {
            self.set_indirect();
        }
    }

    /// Returns whether the records in the ring can be told apart, also those of lanes. Those of a
    /// recorder are written together.
    pub fn keeps_records_apart(&self) -> bool {
        let are_apart = !self.wrap.is_raw() || !self.intake.has_spans_of_lanes();
        are_apart && !self.intake.ring.is_recorder()
    }

    /// Sends every append to its slow path. Only before the queue is shared.
    pub fn set_indirect(&mut self) {
        self.direct = self.home.nowhere();
    }

    /// Returns the append side, if the calling process created the queue and nothing sends appends
    /// to the slow path. The fast paths ask only this; everything else is on their slow path.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `here`")]
    pub fn direct(&self) -> Option<&Intake<M>> {
        self.direct.is_here().then_some(&self.intake)
    }

    /// Returns the append side, if the calling process created the queue. On the path of every
    /// append.
    ///
    /// # Errors
    ///
    /// [`Past::Child`] in any other process.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a load and a compare on the path of every append"
    )]
    pub fn here(&self) -> Result<&Intake<M>, Past> {
        if self.home.is_here() {
            Ok(&self.intake)
        } else {
            Err(Past::Child)
        }
    }

    /// Returns whether the calling thread serves the queue. A wait for the queue would then be a
    /// wait for itself.
    pub fn is_servant(&self) -> bool {
        self.intake.crew.has_me()
    }

    /// Returns why the queue has failed, if it has.
    pub fn failure(&self) -> Option<Error> {
        self.intake.trouble.failure()
    }

    /// Returns whether no thread of the queue writes or syncs any more.
    pub fn has_finished(&self) -> bool {
        self.outcome.has_finished()
    }

    /// Resolves the completions whose result is known, and wakes the threads that wait for
    /// progress. Called after every change that a caller may wait for.
    pub fn settle(&self) {
        let _ = self.outcome.settle(&self.intake);
    }

    /// Makes the queue fail with `errno` until a reopen, and wakes all callers that wait. For the
    /// flusher.
    pub fn fail(&self, operation: Operation, errno: i32) {
        if self.intake.fail(operation, errno) {
            self.settle();
        }
    }

    /// Notes that the sink has accepted no data in the step `worked`, because of `errno`, and
    /// reports a stall that has reached the stall limit, once.
    ///
    /// Returns how long it takes until the limit is reached; `None` if it is reached or there is no
    /// limit. For the flusher.
    pub(super) fn stalled(&self, errno: i32, worked: Worked) -> Option<Duration> {
        let trouble = &self.intake.trouble;
        if trouble.set_stalled(errno, worked) {
            // Callers that wait because the disk is full look again, and give up.
            self.intake.waiters.wake_all();
            self.outcome.progress.notify();
            self.outcome.resolved.notify();
        }
        trouble.report_stall(errno, || self.aside.stall_reason(errno, false))
    }

    /// Reports a write that has not returned for the stall limit, once, and stores the reason in the
    /// ring file. Returns when to look again, if the queue has a callback and a limit. For any
    /// thread but the flusher.
    pub fn look_for_hang(&self) -> Option<Duration> {
        let journal = self.intake.ring.journal();
        // Before the look: if the flusher goes on meanwhile, no reader takes it for the next write.
        let write_began_ns = journal.map_or(0, Journal::write_began_ns);
        let reason = || {
            let own = self.aside.own_stall_reason();
            if let (Some(journal), Some(text), 1..) = (journal, &own, write_began_ns) {
                journal.note_reason(&Reason {
                    write_began_ns,
                    text: text.clone(),
                });
            }
            own.unwrap_or_else(|| stall_words(libc::EAGAIN, true))
        };
        self.intake.trouble.look_for_hang(reason)
    }

    /// Sets how the flusher ends, and wakes it. A stage is never taken back.
    pub fn set_last(&self, last: Last) {
        self.outcome.set_last(last);
        self.intake.bell.ring();
    }

    /// Ends the queue: no thread writes or syncs any more. Resolves everything that is still
    /// pending.
    pub fn finish(&self) {
        self.outcome.set_finished();
        self.settle();
    }

    /// Called when the flusher will not touch the ring again and has released the sink. The sync
    /// thread finishes the queue; if it does not run, this call does.
    pub fn flusher_ended(&self) {
        self.outcome.reopening.end();
        if self.outcome.durability.flusher_ended() {
            self.finish();
        }
    }

    /// Adds a completion, and wakes the threads that will resolve it.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyOutstanding`].
    pub fn watch(&self, pending: Arc<Pending>) -> Result<(), Error> {
        let (target, reach) = (pending.target, pending.reach);
        self.outcome.watch.add(pending)?;
        self.settle();
        self.intake.activate_until(target);
        // [watch.written] Before its bytes are written, the sync thread could do nothing. The
        // flusher wakes it after the write: the fence of `settle` comes between the new wait and
        // this look at the tail, so the flusher sees the wait, or this call sees the write.
        let is_written = || self.intake.ring.tail().pos >= target && !is_mutant("watch.written");
        if matches!(reach, Reach::Durable(_)) && is_written() {
            self.outcome.durability.look();
        }
        Ok(())
    }

    /// Requests that `sink` takes over after the last record that was posted before the call. The
    /// returned completion is done when the flusher has switched. If the queue has failed and the
    /// request says so, everything that is in the ring is discarded first.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyOutstanding`]; [`Error::Closed`] if the queue is closed; the failure of the
    /// queue if its thread has ended.
    pub fn reopen(&self, (sink, target, discards): Next) -> Result<Arc<Pending>, Error> {
        let Self {
            intake, outcome, ..
        } = self;
        let over = || self.failure().unwrap_or(Error::Closed);
        if intake.ring.ended().is_some() {
            return Err(over());
        }
        let is_recorder = intake.ring.is_recorder();
        let cut = if is_recorder {
            0 // a dump continues in the other file
        } else {
            intake.ring.posted_end()
        };
        let next = (sink, target, discards && !is_recorder);
        let announce = |number| {
            let pending = Arc::new(Pending::new(cut, Reach::Reopened(number)));
            let added = outcome.watch.add(Arc::clone(&pending));
            added.map(|()| pending)
        };
        let pending = outcome.reopening.ask(cut, next, announce)?;
        let pending = pending.ok_or_else(over)?;
        // No `settle` here: to meet the request, or to end the line, the flusher takes the lock
        // under which the request was announced, and a `settle` follows.
        intake.activate_until(cut);
        Ok(pending)
    }

    /// Returns a snapshot of all counters. In a child of fork(2) it covers the appends of that
    /// child only.
    pub fn stats(&self) -> Stats {
        if self.here().is_err() {
            return self.aside.stats();
        }
        snapshot::of(&self.intake, &self.outcome, &self.aside)
    }

    /// Stores the statistics of the queue in its ring file, if it has one. For the flusher.
    pub(super) fn show(&self) {
        show::show(&self.intake, &self.outcome, &self.aside);
    }
}
