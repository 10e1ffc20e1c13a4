//! A claim that knows its ring, and posts nothing unless it is told to.

use core::mem::ManuallyDrop;

use super::{Claim, Posted, Ring};
use crate::memory::Memory;

/// `len` contiguous bytes of the ring that belong to the holder until it posts. Dropped, it posts nothing.
#[derive(Debug)]
#[must_use = "a reservation posts nothing until `post` is called"]
pub struct Reservation<'r, M: Memory> {
    ring: &'r Ring<M>,
    claim: Claim,
}

impl<'r, M: Memory> Reservation<'r, M> {
    #[inline]
    pub(super) fn of(ring: &'r Ring<M>, claim: Claim) -> Self {
        Self { ring, claim }
    }

    /// The bytes, to be filled in place: what an earlier lap left there, until then.
    #[cfg(any(test, alq_model, fuzzing))]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.ring.bytes_mut(&mut self.claim)
    }

    /// Copies a whole record in.
    ///
    /// # Panics
    ///
    /// If `record` is not exactly as long as the reservation.
    #[inline]
    pub fn fill(&mut self, record: &[u8]) {
        self.ring.copy(&self.claim, record);
    }

    /// What it is, without its duty to post: whoever has that must see to it.
    #[inline]
    pub fn into_claim(self) -> Claim {
        ManuallyDrop::new(self).claim.take()
    }

    /// How many bytes were reserved.
    #[inline]
    pub fn len(&self) -> usize {
        self.claim.len()
    }

    /// Publishes the first `used` bytes, and gives the rest back if nothing was claimed behind it.
    #[inline]
    pub fn post(self, used: u32) -> Posted {
        let ring = self.ring;
        ring.post(self.into_claim(), used)
    }
}

impl<M: Memory> Drop for Reservation<'_, M> {
    /// Posts nothing: the drain steps over the span, and nobody waits for it.
    fn drop(&mut self) {
        self.ring.post(self.claim.take(), 0);
    }
}
