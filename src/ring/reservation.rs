//! A claim that knows its ring, and gives up its span unless it is posted.
//!
//! This file owns no words: it guards one claim, so that no claim stays open by accident.

use core::mem::ManuallyDrop;

use super::claims::{Gate, Missed, Refusal};
use super::core::Ring;
use super::reserve::{Claim, Posted};
use crate::memory::Memory;
use crate::words::Width;

/// `len` contiguous bytes of the ring that belong to the holder until it posts. If it is dropped,
/// it posts nothing.
#[derive(Debug)]
#[must_use = "a reservation posts nothing until `post` is called"]
pub struct Reservation<'r, M: Memory> {
    ring: &'r Ring<M>,
    claim: Claim,
}

impl<M: Memory> Ring<M> {
    /// Claims `len` bytes (1 to the capacity) and one slot with one compare-and-swap.
    ///
    /// # Errors
    ///
    /// See [`Refusal`]. Never blocks, allocates or makes a system call.
    pub fn reserve(&self, len: u32) -> Result<Reservation<'_, M>, Refusal> {
        let claim = self.claim(len, Width::Slot, 0)?;
        Ok(Reservation { ring: self, claim })
    }

    /// Claims like [`reserve`](Ring::reserve), for the thread whose turn it is: waiters do not stop
    /// it.
    pub fn reserve_in_turn(&self, len: u32) -> Result<Reservation<'_, M>, Refusal> {
        let claim = self.claim(len, Width::Slot, Gate::WAITED)?;
        Ok(Reservation { ring: self, claim })
    }

    /// Claims with one try, on the hot path of [`reserve`](Ring::reserve).
    ///
    /// # Errors
    ///
    /// [`Missed`]: one try cannot tell whether there is room.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "the result stays in registers; through memory, as a call, it costs 3 to 10 ns"
    )]
    pub fn reserve_at_once(&self, len: u32) -> Result<Reservation<'_, M>, Missed> {
        let claim = self.claim_at_once(len, Width::Slot, 0)?;
        Ok(Reservation { ring: self, claim })
    }
}

impl<M: Memory> Reservation<'_, M> {
    /// Returns the bytes, to be filled in place. Until then they hold bytes of an earlier lap.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.ring.bytes_mut(&mut self.claim)
    }

    /// Copies a whole record into the reservation.
    ///
    /// # Panics
    ///
    /// If `record` is not exactly as long as the reservation.
    #[inline]
    pub fn fill(&mut self, record: &[u8]) {
        self.ring.copy(&self.claim, record);
    }

    /// Returns the claim without the guard: the caller must post it.
    #[inline]
    pub fn into_claim(self) -> Claim {
        ManuallyDrop::new(self).claim.take()
    }

    /// Returns the position of the first byte.
    #[inline]
    pub fn start(&self) -> u64 {
        self.claim.start
    }

    /// Returns how many bytes were reserved.
    #[inline]
    pub fn len(&self) -> usize {
        self.claim.len()
    }

    /// Publishes the first `used` bytes, and gives the rest back if nothing was claimed after it.
    #[inline]
    pub fn post(self, used: u32) -> Posted {
        self.post_as(used, true)
    }

    /// Posts as [`post`](Reservation::post) does; quietly unless `activate` is set.
    #[inline]
    pub fn post_as(self, used: u32, activate: bool) -> Posted {
        let ring = self.ring;
        ring.post(self.into_claim(), used, activate)
    }
}

impl<M: Memory> Drop for Reservation<'_, M> {
    /// Posts nothing: the drain steps over the span, and no thread waits for it.
    fn drop(&mut self) {
        self.ring.post(self.claim.take(), 0, true);
    }
}
