//! Getting room in a lane that has none: in a new span, or, where that cannot be had, as the shared path does.

use std::time::Instant;

use super::here::Refused;
use super::shared::Shared;
use crate::ends::Kind;
use crate::memory::Memory;
use crate::ring::Owner;
use crate::words::WhenFull;

impl<M: Memory> Shared<M> {
    /// Begins a record of `len` bytes, 1 to the capacity, behind the span that the lane of `owner` has open.
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
            // Until now the drain could take us for busy in the one before.
            if let Some(left) = left {
                self.moved_on(left);
            }
        } else {
            owner.adopt(self.reserve(len, when_full, kind, deadline)?);
        }
        Ok(())
    }

    /// Ends the span of a lane, and tells those who wait for that; gives its sequence.
    pub fn leave_lane(&self, owner: &mut Owner) -> Option<u32> {
        let left = owner.leave(&self.ring)?;
        self.moved_on(left.seq);
        if left.gave_back {
            self.gave_room();
        }
        Some(left.seq)
    }
}
