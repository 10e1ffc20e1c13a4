//! The step of the flusher that replaces its sink, and the one that first discards what is in the
//! ring.

use core::convert::Infallible;
use std::io::IoSlice;

use super::write::Messages;
use super::{Flusher, Step, notes};
use crate::actors::intake::Intake;
use crate::actors::recovery::note_of;
use crate::actors::reopen::Request;
use crate::actors::shared::Shared;
use crate::ends::Cause;
use crate::memory::Memory;
use crate::primitives::sync::{Arc, PlainArc, is_mutant};
use crate::ring::{Drained, Holes};

/// What a reopen that discards has freed so far.
#[derive(Debug, Default)]
pub(super) struct Discarding {
    is_begun: bool,
    records: u64,
    bytes: u64,
}

impl<M: Memory> Flusher<M> {
    /// Switches to another sink if a request waits and is due. Returns whether only the end of a
    /// record is missing.
    ///
    /// A request is due when everything that was posted before it is written, up to the end of a
    /// record; or at once, if this sink has failed.
    pub(super) fn reopen_if_due(&mut self) -> bool {
        let reopening = &self.shared.outcome.reopening;
        if !reopening.is_wanted() {
            return false;
        }
        let position = self.drain.position();
        let is_at_end = !self.drain.is_within() && !self.is_torn();
        let has_failed = self.shared.failure().is_some();
        let mut is_overdue = false;
        let is_due = |request: &Request| {
            is_overdue = !is_at_end && position >= request.cut;
            let is_cut = is_at_end && position >= request.cut;
            if has_failed {
                !request.discards
            } else {
                is_cut
            }
        };
        if let Some(request) = reopening.take(is_due) {
            self.reopen(request);
        }
        is_overdue
    }

    /// Switches to the sink of `request`. If it is the same file, the next write continues at the
    /// very next byte. Another file gets the current record from its first byte on.
    pub(super) fn reopen(&mut self, request: Request) {
        let Shared {
            intake,
            outcome,
            aside,
            ..
        } = &*self.shared;
        let before = self.sink.file_id();
        let is_same = before.is_some() && before == request.sink.file_id();
        if !is_same {
            let again = self.drain.restart(&intake.ring) + self.dumping.restart();
            outcome.counts.repeated_bytes.add_alone(u64::from(again));
            self.gap_line.restart();
            self.chain.restart();
            self.head = notes::Head::default();
        }
        self.messages = Messages::of(&*request.sink);
        let cuts = request.sink.cuts_records() || self.messages.are_on();
        self.drain.cut_records(cuts);
        let can_sync = self.sink.can_sync();
        if let Some(journal) = intake.ring.journal() {
            journal.note_log(&note_of(&*request.sink));
            if !is_same {
                journal.forget_doubt(); // those bytes are not in this log
            }
        }
        intake.trouble.reporter.set_target(request.target);
        aside.switch_to(&request.sink);
        let before = core::mem::replace(&mut self.sink, PlainArc::clone(&request.sink));
        let cut = self.drain.position();
        outcome.durability.replace_sink(request.sink, cut, can_sync);
        drop(before);
        intake.trouble.end_stall();
        intake.recover();
        outcome.reopening.set_met(request.number);
        let _ = outcome.settle(intake);
    }

    /// Returns whether the next request discards what is in the ring, because the queue has failed.
    pub(super) fn must_discard(&self) -> bool {
        self.outcome().reopening.discards() && self.shared.failure().is_some()
    }

    /// Frees the next records without a write. Once all are freed, switches to the sink of the
    /// request.
    ///
    /// No claim is made meanwhile: the queue has failed until the switch. So only records that were
    /// claimed before are discarded, and an open reservation among them is waited for.
    pub(super) fn discard(&mut self, holes: Holes) -> Step {
        let shared = Arc::clone(&self.shared);
        let Shared {
            intake, outcome, ..
        } = &*shared;
        let ring = &intake.ring;
        if !self.discarding.is_begun {
            let Some(error) = shared.failure() else {
                return Step::Again;
            };
            // [discard.begin] Before the tail moves: a thread that finds the tail beyond a record
            // finds that the record is discarded.
            if !is_mutant("discard.begin") {
                outcome.discards.begin(self.drain.position(), error);
            }
            self.discarding.is_begun = true;
            // What the old file has of the next record stays there.
            let left = self.drain.restart(ring);
            outcome.counts.repeated_bytes.add_alone(left.into());
        }
        let records = ring.written_records();
        let all =
            |runs: &[IoSlice<'_>]| Ok::<_, Infallible>(runs.iter().map(|run| run.len()).sum());
        let Ok(drained) = self.drain.step(ring, self.batch_limit, holes, all);
        match drained {
            Drained::Moved { bytes, .. } => {
                let records = ring.written_records().saturating_sub(records);
                self.discarding.records += records;
                self.discarding.bytes += u64::from(bytes);
                outcome.counts.discarded_records.add_alone(records);
                outcome.counts.discarded_bytes.add_alone(bytes.into());
                Step::Moved {
                    bytes: 0,
                    more: true,
                }
            }
            Drained::Apart(position) => {
                self.drain.follow(position);
                Step::Again
            }
            Drained::Quiet => {
                ring.activate_until(ring.posted_end());
                Step::Again
            }
            Drained::Blocked { seq } => Step::Blocked { seq },
            Drained::Empty => {
                outcome.discards.end(self.drain.position());
                self.note_discarded();
                if let Some(request) = outcome.reopening.take(|_| true) {
                    self.reopen(request);
                }
                Step::Again
            }
        }
    }

    /// Has the next file say what was discarded: by a note of frames, or by the line that reports
    /// losses.
    fn note_discarded(&mut self) {
        let Discarding { records, bytes, .. } = core::mem::take(&mut self.discarding);
        self.gap_line.restart();
        self.chain.restart();
        if records == 0 {
            return;
        }
        #[cfg(feature = "frames")]
        if self.shared.wrap.is_checked() {
            self.drop_checkpoint();
            self.note_lost(records, bytes);
            return;
        }
        let Intake { counts, gaps, .. } = &self.shared.intake;
        counts.refused.add_all(Cause::Discarded, records, bytes);
        let _ = gaps.note(|| self.drain.position());
    }
}
