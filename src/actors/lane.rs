//! Room for a lane with a full span: a new span, or, if the ring cannot give one, the shared path.

use std::time::Instant;

use super::here::Refused;
use super::shared::Shared;
use crate::ends::Kind;
use crate::memory::Memory;
use crate::ring::Owner;
use crate::words::WhenFull;

impl<M: Memory> Shared<M> {
    /// Begins a record of `len` bytes, 1 to the capacity, after the span that the lane of `owner`
    /// has open.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Shared::reserve).
    pub fn begin_elsewhere(
        &self,
        owner: &mut Owner,
        len: u32,
        when_full: WhenFull,
        kind: Kind,
        deadline: Option<Instant>,
    ) -> Result<(), Refused> {
        let left = self.leave_lane(owner);
        if owner.open(&self.ring, len).is_ok() {
            // Until now the drain could believe that this thread still writes in the previous span.
            if let Some(left) = left {
                self.moved_on(left);
            }
        } else {
            owner.adopt(self.reserve(len, when_full, kind, deadline)?);
        }
        Ok(())
    }

    /// Leaves the span of a lane and wakes the flusher if it waits for that. Returns the sequence
    /// of the span.
    pub fn leave_lane(&self, owner: &mut Owner) -> Option<u32> {
        let left = owner.leave(&self.ring)?;
        self.moved_on(left.seq);
        if left.gave_back {
            self.gave_room();
        }
        Some(left.seq)
    }
}
