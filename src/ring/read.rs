//! The drain's reads: slots, and the bytes that they describe.
//!
//! This file reads and never writes.
//!
//! # Safety
//!
//! The drain reads bytes between the tail and the committed end of a span. Their owner has
//! published them and will not touch them again. No claim gets them before the tail has moved over
//! them, which only `Drain::commit` does.
#![allow(unsafe_code)]

use core::slice;
use std::io::IoSlice;

use super::batch::{Batch, Cursor, RUNS_MAX};
use super::core::Ring;
use crate::memory::Memory;
use crate::primitives::sync::{Ordering, unless_mutant};
use crate::words::{Place, State, extend};

impl<M: Memory> Ring<M> {
    /// Returns the start and the state of the span at the cursor, if it exists.
    pub(super) fn span(&self, cursor: Cursor) -> Option<(u64, State)> {
        let seq = cursor.seq as u32;
        let slot = self.slot(seq);
        // [drain.state] Acquire, pairs with [post.state], [lane.opened], [lane.commit] and
        // [lane.seal]: the place and the bytes are seen, too.
        let bits = slot
            .state
            .load(unless_mutant("drain.state", Ordering::Acquire));
        let state = State::of_lap(bits, self.geometry.tag(seq))?;
        if cursor.taken > 0 {
            return Some((cursor.pos - u64::from(cursor.taken), state));
        }
        // Relaxed: the state orders it.
        let place = Place::from_bits(slot.place.load(Ordering::Relaxed));
        debug_assert_eq!(place.seq, seq);
        Some((extend(cursor.pos, place.start), state))
    }

    /// Returns the bytes of `batch`.
    pub(super) fn slices(&self, batch: &Batch) -> [IoSlice<'_>; RUNS_MAX] {
        let mut slices = [IoSlice::new(&[]); RUNS_MAX];
        for (slice, run) in slices.iter_mut().zip(&batch.runs[..batch.count]) {
            let pos = run.pos as u32;
            self.memory.begin_read(pos, run.len);
            // SAFETY: `at` gives capacity >= len valid, initialised bytes (`check` has verified the
            // length). Their owners have published them (`span` saw it with Acquire). No thread
            // writes them before `commit`, which needs `&mut Drain` and comes after the slices are
            // gone.
            let bytes = unsafe { slice::from_raw_parts(self.memory.at(pos), run.len as usize) };
            *slice = IoSlice::new(bytes);
        }
        slices
    }
}
