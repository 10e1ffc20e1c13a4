//! Quiet records are posted with `NOACTIVATE`, and their slots say so. This file tells which part
//! of the ring is activated.
//!
//! It moves nothing; `drain/quiet.rs` says where the drain stops.

use super::batch::Cursor;
use super::core::Ring;
use crate::memory::Memory;
use crate::primitives::sync::Ordering;
use crate::words::State;

impl<M: Memory> Ring<M> {
    /// Activates what is posted before `position`, where a record ends. The caller must wake the
    /// flusher.
    pub fn activate_until(&self, position: u64) {
        self.activation.raise(position);
    }

    /// Activates what is reserved before `position`, which was the end of all reservations. The
    /// caller must wake the flusher.
    pub fn activate_reserved(&self, position: u64) {
        self.activation.raise_reserved(position);
    }

    /// Returns up to where callers have activated the ring. A ring that has ended is activated, and
    /// a dump of a recorder takes all.
    pub(super) fn activated_until(&self) -> u64 {
        if self.is_recorder() || self.ended().is_some() {
            return u64::MAX;
        }
        self.activation.position()
    }

    /// Returns how many bytes at the start of the span `seq` were not posted quietly.
    pub(super) fn activated_len(&self, seq: u32, state: State) -> u32 {
        if !state.is_quiet {
            state.committed
        } else if state.phase.is_of_lane() {
            // Relaxed: the state, which was read with Acquire, orders it. A newer length is one
            // that the owner has committed since.
            let note = self.slot(seq.wrapping_add(1)).state.load(Ordering::Relaxed);
            State::activated_in_note(note).min(state.committed)
        } else {
            0
        }
    }

    /// Returns whether a record after `cursor` is posted that activates the queue.
    pub(super) fn has_activating(&self, cursor: Cursor) -> bool {
        let mut seq = self.head().seq;
        while seq != cursor.seq as u32 {
            seq = seq.wrapping_sub(1);
            let at = Cursor {
                seq: seq.into(),
                taken: 0,
                ..cursor
            };
            let Some((_, state)) = self.span(at) else {
                continue;
            };
            let taken = if seq == cursor.seq as u32 {
                cursor.taken
            } else {
                0
            };
            if self.activated_len(seq, state) > taken {
                return true;
            }
        }
        false
    }
}
