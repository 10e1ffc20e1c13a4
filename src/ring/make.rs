//! Creates a ring and its one drain together. A drain can be created in no other way.

use super::core::Ring;
use super::drain::Drain;
use crate::memory::Memory;
use crate::words::{Head, Tail};

impl<M: Memory> Ring<M> {
    /// Creates an empty ring and the one drain that may empty it.
    pub fn new(memory: M) -> (Self, Drain) {
        let origin = Self::origin(&memory);
        Self::starting_at(memory, origin)
    }

    /// Returns where a new ring starts.
    pub fn origin(memory: &M) -> Tail {
        // Sequences start at one whole lap: no tag of the first lap is 0.
        Tail {
            seq: u64::from(memory.geometry().slots()),
            pos: 0,
        }
    }

    /// Creates an empty ring that starts at the sequence and the position of `origin`.
    pub fn starting_at(memory: M, origin: Tail) -> (Self, Drain) {
        let head = Head {
            seq: origin.seq as u32,
            pos: origin.pos as u32,
        };
        Self::between(memory, origin, 0, head)
    }

    /// Creates a ring with the content between `origin` and `head`. `taken` bytes of the span at
    /// `origin` are written.
    pub(super) fn between(memory: M, origin: Tail, taken: u32, head: Head) -> (Self, Drain) {
        let ring = Self::holding(memory, origin, head);
        let drain = Drain::new(ring.identity(), origin, taken);
        (ring, drain)
    }
}
