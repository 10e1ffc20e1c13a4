//! What the flusher asks before it rests: a quiet record may be needed, and a line may be due
//! later.

use std::time::Duration;

use super::super::intake::Intake;
use super::{Flusher, Step};
use crate::memory::Memory;
use crate::primitives::Interest;
use crate::primitives::sync::is_mutant;
use crate::ring::Drained;

impl<M: Memory> Flusher<M> {
    /// Returns how long the line that reports a loss must still wait, if there is one. For the loop
    /// of the flusher, which has a clock.
    pub(in crate::actors) fn gap_line_waits(&mut self) -> Option<Duration> {
        self.gap_line.wait_for_turn(&self.shared.intake.gaps)
    }

    /// Returns how long the last frames may still wait for a checkpoint, if there are any. For the
    /// loop of the flusher, as above.
    pub(in crate::actors) fn checkpoint_waits(&mut self) -> Option<Duration> {
        self.chain.waits()
    }

    /// Looks once more before the flusher sleeps for `interest`. Returns whether the event has
    /// already come.
    ///
    /// For `Any` a claim is enough, unless all that is ready is quiet. If that claim stays open,
    /// records after it may have been posted while the flusher was still awake. Then the flusher
    /// must sleep for that sequence, and not for `Any`.
    pub fn is_due(&self, interest: Interest) -> bool {
        let ring = &self.intake().ring;
        match interest {
            Interest::Sequence(_) => self.drain.is_posted(ring) || self.chain.is_due(),
            Interest::Any if self.chain.is_due() => true,
            Interest::Any => matches!(self.drain.standstill(ring), Drained::Blocked { .. }),
            Interest::Nothing | Interest::Mark => false,
        }
    }

    /// Decides what to do when the drain has caught up with the head.
    ///
    /// The queue is finished only if the drain has also reached the end of a closed ring: claims
    /// before that end may have come after the look.
    pub(super) fn empty(&mut self) -> Step {
        match self.intake().ring.ended() {
            // [finish.again] No work is left only at the very end.
            Some(end) if self.drain.has_reached(end) || is_mutant("finish.again") => {
                if self.chain.must_end() {
                    Step::Again
                } else {
                    Step::Finished
                }
            }
            _ => Step::Empty,
        }
    }

    /// Decides what to do at a record that was posted quietly. While a caller waits for room, all
    /// records are written: one that has come after the caller's last look may take its room.
    pub(super) fn quiet(&self) -> Step {
        let Intake { ring, waiters, .. } = self.intake();
        // [quiet.awaited] A caller that waits for room has activated only what it saw.
        if waiters.is_awaited() && !is_mutant("quiet.awaited") {
            ring.activate_reserved(ring.claimed_end());
            Step::Again
        } else {
            Step::Empty
        }
    }
}
