//! How far the drain may go: at a quiet record it stops until something activates the queue. Then
//! everything that is posted by the time of its look is activated.

use super::super::batch::{Batch, Cursor};
use super::super::core::Ring;
use super::Drain;
use crate::memory::Memory;
use crate::primitives::sync::is_mutant;
use crate::words::{Phase, State};

impl Drain {
    /// Returns the part of the span at `cursor` that the drain may take, which ends with a record;
    /// if the rest of it is quiet, as the state of an open span. Sets `activates` if the span, or
    /// one after it, activates the queue.
    pub(super) fn permitted<M: Memory>(
        &self,
        ring: &Ring<M>,
        cursor: Cursor,
        (start, state): (u64, State),
        activates: &mut bool,
    ) -> State {
        *activates |= ring.activated_len(cursor.seq as u32, state) > cursor.taken;
        let is_all_taken = state.committed == cursor.taken; // nothing of it waits
        if !state.is_quiet || is_all_taken || *activates {
            return state;
        }
        let until = self.activated.max(ring.activated_until());
        let end = start + u64::from(state.committed);
        let taken = start + u64::from(cursor.taken);
        if until >= end || ring.activation.reserved_until() > taken {
            return state;
        }
        // [quiet.ahead] A record after this one may activate it.
        *activates = !is_mutant("quiet.ahead") && ring.has_activating(cursor);
        if *activates {
            return state;
        }
        let ready = until.saturating_sub(start) as u32; // less than what is committed
        State {
            phase: Phase::Open,
            committed: ready.max(cursor.taken),
            ..state
        }
    }

    /// Returns whether the bytes at the cursor, of a span with this start and state, wait until
    /// something activates the queue.
    pub(super) fn is_quiet<M: Memory>(&self, ring: &Ring<M>, span: (u64, State)) -> bool {
        let taken = self.cursor.taken;
        let is_next = span.1.is_quiet && span.1.committed > taken;
        is_next
            && self
                .permitted(ring, self.cursor, span, &mut false)
                .committed
                == taken
    }

    /// Notes what the records of `batch` activate: everything that is posted by now. The batch may
    /// lack a part of that: what follows an open reservation, or exceeds its limit.
    pub(super) fn note_activated<M: Memory>(&mut self, ring: &Ring<M>, batch: &Batch) {
        // [quiet.noted] The drain passes these records, and then nothing shows that they activated
        // what lies behind an open reservation.
        if batch.activates && ring.activation.has_quiet() && !is_mutant("quiet.noted") {
            self.activated = self.activated.max(ring.posted_end());
        }
    }
}
