//! A ring and its one drain, made together: no other way leads to a drain.

use super::core::Ring;
use super::drain::Drain;
use crate::memory::Memory;
use crate::words::{Head, Tail};

impl<M: Memory> Ring<M> {
    /// An empty ring, and the one drain that may empty it.
    pub fn new(memory: M) -> (Self, Drain) {
        let slots = u64::from(memory.geometry().slots());
        // Sequences start at one whole lap: no tag of the first lap is 0.
        Self::starting_at(memory, Tail { seq: slots, pos: 0 })
    }

    /// An empty ring whose first sequence and position are those of `origin`.
    pub fn starting_at(memory: M, origin: Tail) -> (Self, Drain) {
        let head = Head {
            seq: origin.seq as u32,
            pos: origin.pos as u32,
        };
        Self::between(memory, origin, 0, head)
    }

    /// A ring that holds what lies between `origin` and `head`. Of the span at `origin`, which is a
    /// lane's then, `taken` bytes are written.
    pub(super) fn between(memory: M, origin: Tail, taken: u32, head: Head) -> (Self, Drain) {
        let ring = Self::holding(memory, origin, head);
        let drain = Drain::new(ring.identity(), origin, taken);
        (ring, drain)
    }
}
