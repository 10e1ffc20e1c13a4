//! Quiet records of a lane: the owner's note of how much of its span is activated.

use super::super::core::Ring;
use super::Owner;
use crate::memory::Memory;
use crate::primitives::sync::Ordering;
use crate::words::State;

impl Owner {
    /// Returns the bit of a quiet state, for the record of `used` bytes that is about to be
    /// committed. If the record before it was not quiet, notes that all before this one is
    /// activated.
    #[cold]
    pub(super) fn quiet<M: Memory>(&self, ring: &Ring<M>, used: u32) -> u64 {
        let seq = self.span.seq as u32;
        ring.activation.note_quiet();
        // Relaxed: the last store was this owner's.
        let bits = ring.slot(seq).state.load(Ordering::Relaxed);
        let before = State::of_lap(bits, ring.geometry.tag(seq));
        if before.is_some_and(|state| !state.is_quiet) {
            let note = State::note(self.block.id, self.span.committed - used);
            // Relaxed: the Release of the commit carries it.
            ring.slot(seq.wrapping_add(1))
                .state
                .store(note, Ordering::Relaxed);
        }
        u64::from(State::QUIET)
    }
}
