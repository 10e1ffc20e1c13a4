//! What the flusher asks before it rests: a quiet record may be needed, and a line may be due
//! later.

use std::time::Duration;

use super::super::intake::Intake;
use super::{Flusher, Step};
use crate::memory::Memory;
use crate::primitives::sync::is_mutant;

impl<M: Memory> Flusher<M> {
    /// Returns how long the line that reports a loss must still wait, if there is one. For the loop
    /// of the flusher, which has a clock.
    pub(in crate::actors) fn gap_line_waits(&mut self) -> Option<Duration> {
        self.gap_line.wait_for_turn(&self.shared.intake.gaps)
    }

    /// Decides what to do at a record that was posted quietly. While a caller waits for room, all
    /// records are written: one that has come after the caller's last look may take its room.
    pub(super) fn quiet(&self) -> Step {
        let Intake { ring, waiters, .. } = self.intake();
        // [quiet.awaited] A caller that waits for room has activated only what it saw.
        if waiters.is_awaited() && !is_mutant("quiet.awaited") {
            ring.activate_until(ring.claimed_end());
            Step::Again
        } else {
            Step::Empty
        }
    }
}
