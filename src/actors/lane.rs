//! Getting room in a lane: in its open span, in a new one, or, where neither can be had, as the shared path does.

use std::time::Instant;

use super::shared::Shared;
use crate::ends::Kind;
use crate::memory::Memory;
use crate::ring::{Owner, Reservation};
use crate::words::{Error, WhenFull};

/// Where a record of a lane goes.
#[derive(Debug)]
pub enum LaneRoom<'r, M: Memory> {
    /// Into the open span of the lane, where it has been begun.
    Span,
    /// Into a claim of its own.
    Own(Reservation<'r, M>),
}

impl<M: Memory> Shared<M> {
    /// Begins a record of `len` bytes, 1 to the capacity, in the lane of `owner`.
    ///
    /// # Errors
    ///
    /// As `try_reserve` and `wait_reserve`.
    #[inline]
    pub fn begin_in_lane(
        &self,
        owner: &mut Owner,
        len: u32,
        when_full: WhenFull,
        kind: Kind,
        deadline: impl FnOnce() -> Option<Instant>,
    ) -> Result<LaneRoom<'_, M>, Error> {
        if owner.fits(len) && owner.begin() {
            Ok(LaneRoom::Span)
        } else {
            self.begin_elsewhere(owner, len, when_full, kind, deadline())
        }
    }

    #[cold]
    fn begin_elsewhere(
        &self,
        owner: &mut Owner,
        len: u32,
        when_full: WhenFull,
        kind: Kind,
        deadline: Option<Instant>,
    ) -> Result<LaneRoom<'_, M>, Error> {
        self.leave_lane(owner);
        if owner.open(&self.ring, len).is_ok() {
            return Ok(LaneRoom::Span);
        }
        let own = match when_full {
            WhenFull::Refuse => self.try_reserve(len),
            WhenFull::Wait => self.wait_reserve(len, kind, deadline),
        };
        own.map(LaneRoom::Own)
    }

    /// Seals the span of a lane, and tells those who wait for that.
    pub fn leave_lane(&self, owner: &mut Owner) {
        if let Some(left) = owner.leave(&self.ring) {
            self.moved_on(left.seq, left.gave_back);
        }
    }
}
