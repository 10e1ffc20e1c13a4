//! The flusher as a step function. A step looks at the ring once and writes at most once. It has no
//! clock, no sleep and no thread, so tests and models can drive it; `thread` drives it in
//! production.
//!
//! The flusher owns the sink and the drain. No other code writes the bytes of the ring to the sink.

use core::fmt;
use std::io::{self, IoSlice};

use super::config::Last;
mod chain;
#[cfg(feature = "chain")]
mod chained;
mod dump;
mod notes;
mod rest;
mod switch;
mod write;

#[cfg(feature = "chain")]
pub use chained::ChainStart;

use super::gap::GapLine;
use super::intake::Intake;
use super::outcome::Outcome;
use super::shared::Shared;
use crate::ends::Sink;
use crate::memory::Memory;
use crate::primitives::sync::{Arc, PlainArc, is_mutant};
use crate::ring::{Drain, Drained, Holes};
use crate::words::{Operation, errno_of};

/// The result of one step. It says what the loop of the flusher does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The tail has moved.
    Moved {
        /// How many bytes were written.
        bytes: u32,
        /// Whether more is known to be ready.
        more: bool,
    },
    /// The write was interrupted, or other work comes first: step again.
    Again,
    /// The sink accepts no data now: wait until it does.
    Busy,
    /// The sink has no room for the data: try again after a pause.
    Full {
        /// The reason: `ENOSPC` or `EDQUOT`.
        errno: i32,
    },
    /// The next span is reserved and not posted.
    Blocked {
        /// The sequence of that span.
        seq: u32,
    },
    /// Everything that was claimed is written, or the next record waits for an activation.
    Empty,
    /// The sink has failed. Posted records stay in the ring.
    Failed,
    /// The queue is closed, and no work is left.
    Finished,
}

/// The drain of one queue and the sink that it fills.
pub struct Flusher<M> {
    pub(super) shared: Arc<Shared<M>>,
    pub(super) sink: PlainArc<dyn Sink>,
    drain: Drain,
    gap_line: GapLine,
    head: notes::Head,
    chain: chain::Chain,
    discarding: switch::Discarding,
    dumping: dump::Dumping,
    batch_limit: u32,
    messages: write::Messages,
}

impl<M> fmt::Debug for Flusher<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flusher").finish_non_exhaustive()
    }
}

/// The most bytes that one step writes. A step also writes at most a quarter of the ring, so that
/// room comes back while there is more to write. Above 1 MiB write(2) gets no cheaper.
const BATCH_MAX: u32 = 1 << 20;

/// Below this capacity a step may write the whole ring.
const SMALL_RING: u32 = 1 << 16;

impl<M: Memory> Flusher<M> {
    pub fn new(shared: Arc<Shared<M>>, mut drain: Drain, sink: PlainArc<dyn Sink>) -> Self {
        let messages = write::Messages::of(&*sink);
        drain.cut_records(sink.cuts_records() || messages.are_on());
        let Shared { intake, .. } = &*shared;
        let capacity = intake.ring.geometry().capacity();
        let batch_limit = if capacity <= SMALL_RING {
            capacity
        } else {
            (capacity / 4).min(BATCH_MAX)
        };
        let dumping = dump::Dumping::after(intake.ring.journal());
        Self {
            shared,
            sink,
            drain,
            gap_line: GapLine::default(),
            head: notes::Head::default(),
            chain: chain::Chain::default(),
            discarding: switch::Discarding::default(),
            dumping,
            batch_limit,
            messages,
        }
    }

    fn intake(&self) -> &Intake<M> {
        &self.shared.intake
    }

    fn outcome(&self) -> &Outcome {
        &self.shared.outcome
    }

    /// Looks at the ring once and writes what is there, up to a limit.
    pub fn step(&mut self) -> Step {
        let holes = match self.outcome().last() {
            Last::Drain => Holes::Wait,
            Last::StepOver => Holes::StepOver,
            Last::Stop => return Step::Finished,
        };
        let is_overdue = self.reopen_if_due();
        let intake = &self.shared.intake;
        if intake.trouble.failure().is_some() {
            return match intake.ring.ended() {
                _ if self.must_discard() => self.discard(holes),
                Some(_) => Step::Finished,
                None => Step::Failed,
            };
        }
        if intake.ring.is_recorder() {
            return self.step_of_recorder();
        }
        if intake.take_room_given() {
            intake.room_came();
        }
        intake.note_fill(intake.ring.fill().into());
        let is_last = intake.ring.ended().is_some();
        let limit = match self.gap_line.place(&intake.gaps, is_last) {
            Some(place) => self.room_before(place),
            None => self.batch_limit,
        };
        let limit = limit.min(self.chain.room());
        if limit == 0 && self.gap_line.rest().is_empty() {
            self.begin_loss();
        }
        // A sink that takes few bytes at a time might never stop at the end of a record. So an
        // overdue reopen offers it one record only.
        let is_single = is_overdue || self.messages.are_on();
        let room = if is_single { 1 } else { self.sink.room() };
        let limit = limit.min(u32::try_from(room).unwrap_or(u32::MAX)).max(1);
        let is_note_due = self.head.is_due || self.chain.is_due();
        if is_note_due || !self.gap_line.rest().is_empty() {
            return self.write_gap_line();
        }
        match self.drain_once(limit, holes) {
            Ok(Drained::Moved { bytes, more }) => self.moved(bytes, more),
            Ok(Drained::Apart(position)) => {
                self.note_gap(position);
                Step::Again
            }
            Ok(Drained::Blocked { seq }) => Step::Blocked { seq },
            Ok(Drained::Quiet) => self.quiet(),
            Ok(Drained::Empty) => self.empty(),
            Err(error) if self.is_misfit(&error) => self.lose_record(holes),
            Err(error) => self.refused(&error),
        }
    }

    /// Passes on that the tail has moved, after a write of `bytes`.
    fn moved(&self, bytes: u32, more: bool) -> Step {
        let Shared {
            intake, outcome, ..
        } = &*self.shared;
        if bytes > 0 {
            intake.trouble.end_stall();
            outcome.count_drain();
        }
        // [room.again] A lane may have opened a span after the last look of a writer that still
        // waits.
        let is_room_wanted =
            intake.room_came() && !is_mutant("room.again") && intake.want_room_of_lanes();
        let is_awaited = outcome.settle(intake);
        // A caller that waits from now on has the sync thread look itself.
        if is_awaited || outcome.rhythm.is_reached(intake.ring.tail().pos) {
            outcome.durability.look();
        }
        let more = more || is_room_wanted || outcome.reopening.is_wanted();
        Step::Moved { bytes, more }
    }

    /// Returns how many bytes may be written before the line that belongs at `place`; 0 if the line
    /// is next.
    fn room_before(&self, place: u64) -> u32 {
        if self.drain.is_within() {
            return self.batch_limit; // no line inside a record
        }
        let before = place.saturating_sub(self.drain.position());
        self.batch_limit
            .min(u32::try_from(before).unwrap_or(u32::MAX))
    }

    /// Writes the line that reports a loss. The line is not part of the ring.
    fn write_gap_line(&mut self) -> Step {
        self.put_head_first();
        if self.gap_line.rest().is_empty() {
            return Step::Again;
        }
        let Shared {
            intake, outcome, ..
        } = &*self.shared;
        intake.trouble.standstill.set_blocked(false);
        let rest = self.gap_line.rest();
        let run = [IoSlice::new(rest)];
        match self.chain.took(&run, write::write(&*self.sink, &run)) {
            Ok(taken) => {
                assert!(taken <= rest.len(), "a sink took more than it was given");
                self.gap_line.advance(taken);
                intake.trouble.end_stall();
                outcome.count_drain();
                outcome.counts.loss_line_bytes.add_alone(taken as u64);
                Step::Again
            }
            Err(error) if self.is_misfit(&error) => self.lose_gap_line(),
            Err(error) => self.refused(&error),
        }
    }

    /// Decides what to do about a write that failed. If the sink accepts no data, a waiting reopen
    /// request is met now.
    fn refused(&mut self, error: &io::Error) -> Step {
        let standstill = &self.intake().trouble.standstill;
        let step = match error.kind() {
            io::ErrorKind::Interrupted => return Step::Again,
            // A reader that is only slow first gets what was posted before the request.
            io::ErrorKind::WouldBlock if !standstill.is_over_limit() => return Step::Busy,
            io::ErrorKind::WouldBlock => Step::Busy,
            _ => match errno_of(error) {
                errno @ (libc::ENOSPC | libc::EDQUOT) => Step::Full { errno },
                errno => {
                    self.shared.fail(Operation::Write, errno);
                    Step::Failed
                }
            },
        };
        if self.must_discard() {
            return Step::Again;
        }
        match self.outcome().reopening.take(|_| true) {
            Some(request) => {
                self.reopen(request);
                Step::Again
            }
            None => step,
        }
    }
}
