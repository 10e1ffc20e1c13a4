//! The producers' side: claim, fill, post.
//!
//! This file owns the step from a claim to a posted span: which slot and which bytes a claim gets,
//! and how a post publishes them. `claims.rs` decides whether a claim succeeds.
//!
//! # Safety
//!
//! A claim gives `[start, start + len)` to one thread until it posts. `Claims::take` ensures that
//! claims overlap neither each other nor the bytes that the drain still reads; the model checker
//! verifies it. A claim cannot be copied, and only this layer sees its fields. Each holder of a
//! claim ensures that the claim comes back to its own ring, and with the bytes that it was made
//! with: `from_parts` and `widen` only undo `into_parts` and `narrow`.
#![allow(unsafe_code)]

use core::mem;
use core::ops::Range;
use core::ptr;
use core::slice;

use crossbeam_utils::Backoff;

use super::claims::{Missed, Refusal, Wish};
use super::core::Ring;
use crate::memory::Memory;
use crate::primitives::sync::{Ordering, unless_mutant};
use crate::words::{Head, Place, State, Tail, Width, extend};

/// The result of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The sequence of the span.
    pub seq: u32,
    /// The position of its first byte.
    pub start: u64,
    /// The position after the last byte of the record. It is final.
    pub end: u64,
    /// The position after the last byte that was claimed.
    pub claimed_end: u64,
    /// Whether a part of the claimed room is free again.
    pub gave_back: bool,
    /// Whether the post activates the queue.
    pub activates: bool,
}

/// A claim: the sequence of its (first) slot, and `len` bytes from `start` on. The compare-and-swap
/// creates it and the post consumes it, so there is never a second one for the same bytes. Safe
/// code can have the bytes neither twice nor after the post.
#[derive(Debug)]
pub struct Claim {
    pub(super) seq: u64,
    pub(super) start: u64,
    pub(super) len: u32,
}

impl Claim {
    /// A claim of nothing: it is never posted.
    pub const NONE: Self = Self {
        seq: 0,
        start: 0,
        len: 0,
    };

    /// Returns the sequence of its (first) slot.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The position of its first byte.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Returns how many bytes it has.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Splits the claim into its numbers. The caller must make it again with
    /// [`from_parts`](Claim::from_parts), and post it.
    #[inline]
    pub fn into_parts(self) -> (u64, u64, u32) {
        (self.seq, self.start, self.len)
    }

    /// Makes a claim again from its parts. They must come from one that was split, once.
    #[inline]
    pub fn from_parts((seq, start, len): (u64, u64, u32)) -> Self {
        Self { seq, start, len }
    }

    /// Takes `front` bytes from the beginning of the claim and `back` from its end. It must be
    /// [widened](Claim::widen) by the same numbers before it is posted.
    #[inline]
    #[must_use]
    pub fn narrow(self, front: u32, back: u32) -> Self {
        assert!(front + back <= self.len);
        Self {
            seq: self.seq,
            start: self.start + u64::from(front),
            len: self.len - front - back,
        }
    }

    /// Undoes [`narrow`](Claim::narrow).
    #[inline]
    #[must_use]
    pub fn widen(self, front: u32, back: u32) -> Self {
        Self {
            seq: self.seq,
            start: self.start - u64::from(front),
            len: self.len + front + back,
        }
    }

    /// Moves the claim out of a place that is not used any more.
    #[inline]
    pub fn take(&mut self) -> Self {
        mem::replace(self, Self::NONE)
    }
}

impl<M: Memory> Ring<M> {
    /// Tries once to append a whole record: claims, copies and posts it.
    ///
    /// # Errors
    ///
    /// [`Missed`]: one try cannot tell whether there is room.
    ///
    /// # Panics
    ///
    /// If the record is longer than the ring.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    pub fn append_at_once(&self, record: &[u8], activate: bool) -> Result<Posted, Missed> {
        assert!(record.len() <= self.geometry.capacity() as usize);
        let len = record.len() as u32;
        let claim = self.claim_at_once(len, Width::Slot, 0)?;
        self.copy(&claim, record);
        Ok(self.post(claim, len, activate))
    }

    /// Claims `len` bytes. The gate bits in `passed` do not stop this claim.
    pub(super) fn claim(&self, len: u32, width: Width, passed: u32) -> Result<Claim, Refusal> {
        debug_assert!(len > 0 && len <= self.geometry.capacity());
        let wish = Wish { len, width, passed };
        let backoff = Backoff::new();
        let mut taken = self.claims.take(self.claims.look(), self.geometry, wish);
        loop {
            let bits = match taken {
                Ok((head, tail)) => return Ok(self.claimed(head, tail, len)),
                Err(Missed::NoRoom(bits)) => self.look_again(bits, wish)?,
                Err(Missed::Head(now)) => {
                    backoff.spin();
                    now
                }
            };
            taken = self.claims.take(bits, self.geometry, wish);
        }
    }

    /// Looks again after a try that found no room at the head `bits`. Returns the head to try next.
    fn look_again(&self, bits: u64, wish: Wish) -> Result<u64, Refusal> {
        let drained = self.drained.tail.load();
        let looked = self.claims.look_again(bits, drained, self.geometry, wish);
        match (looked, &self.recorder) {
            (Err(Refusal::Full), Some(recorder)) => {
                self.overwrite(recorder, Head::from_bits(bits), wish)?;
                Ok(self.claims.look())
            }
            (looked, _) => looked,
        }
    }

    /// Tries [`claim`](Ring::claim) once.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    pub(super) fn claim_at_once(
        &self,
        len: u32,
        width: Width,
        passed: u32,
    ) -> Result<Claim, Missed> {
        debug_assert!(len > 0 && len <= self.geometry.capacity());
        let wish = Wish { len, width, passed };
        let (head, tail) = self.claims.take(self.claims.look(), self.geometry, wish)?;
        Ok(self.claimed(head, tail, len))
    }

    /// Looks again after a try that found no room at the head `bits`. Returns what is in use if
    /// [`reserve`](Ring::reserve) of `len` bytes would be refused with [`Refusal::Full`], as far as
    /// one look can tell.
    pub fn used_if_full(&self, bits: u64, len: u32) -> Option<Range<u64>> {
        if self.is_recorder() {
            return None; // the oldest records make room
        }
        let wish = Wish {
            len,
            width: Width::Slot,
            passed: 0,
        };
        let drained = self.drained.tail.load();
        let looked = self.claims.look_again(bits, drained, self.geometry, wish);
        let is_full = looked == Err(Refusal::Full);
        is_full.then(|| drained.until(Head::from_bits(bits), self.geometry.capacity()))
    }

    /// Writes the place of a span that was just claimed at `head`.
    #[inline]
    fn claimed(&self, head: Head, tail: Tail, len: u32) -> Claim {
        let place = Place {
            seq: head.seq,
            start: head.pos,
        };
        // Relaxed: the Release of the state publishes it, and a reader that comes earlier checks
        // the sequence in it. The drain has freed the slot: the Acquire of the tail came before.
        self.slot(head.seq)
            .place
            .store(place.to_bits(), Ordering::Relaxed);
        self.memory.begin_write(head.pos, len);
        Claim {
            // The tail is at most the capacity before a head that the CAS found current, so these
            // are exact.
            seq: extend(tail.seq, head.seq),
            start: extend(tail.pos, head.pos),
            len,
        }
    }

    /// Copies a whole record to the bytes of a claim.
    ///
    /// # Panics
    ///
    /// If `record` is not exactly as long as the claim.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    pub(super) fn copy(&self, claim: &Claim, record: &[u8]) {
        assert!(record.len() == claim.len as usize);
        let first = self.memory.at(claim.start as u32);
        // SAFETY: both are valid for `len` bytes; the target is this claim's alone, and no safe
        // code has a slice into the ring that could be the source, but through another reservation.
        unsafe { ptr::copy_nonoverlapping(record.as_ptr(), first, record.len()) };
    }

    /// Returns the bytes of a claim of this ring. Until they are filled they hold bytes of an
    /// earlier lap.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    pub fn bytes<'a>(&'a self, claim: &'a Claim) -> &'a [u8] {
        let first = self.memory.at(claim.start as u32);
        // SAFETY: `at` gives capacity >= len valid bytes, all initialised (zeroed at first). The
        // claim, which exists once, gave them to its holder until it posts. The borrow of the claim
        // lets no thread write while the slice lives.
        unsafe { slice::from_raw_parts(first, claim.len()) }
    }

    /// Returns the [`bytes`](Ring::bytes), to be filled in place.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    pub fn bytes_mut<'a>(&'a self, claim: &'a mut Claim) -> &'a mut [u8] {
        let first = self.memory.at(claim.start as u32);
        // SAFETY: as in `bytes`, and the borrow of the claim makes this the only slice.
        unsafe { slice::from_raw_parts_mut(first, claim.len()) }
    }

    /// Publishes the first `used` bytes of a claim of this ring, quietly unless `activate` is set.
    /// Gives the rest back if nothing was claimed after it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    #[expect(clippy::needless_pass_by_value, reason = "a post spends the claim")]
    pub fn post(&self, claim: Claim, used: u32, activate: bool) -> Posted {
        debug_assert!(claim.len > 0 && used <= claim.len);
        let (seq, start) = (claim.seq as u32, claim.start as u32);
        // All of the claim: the bytes that are given back may have been written too.
        self.memory.end_write(start, claim.len);
        let gave_back = used < claim.len
            && self
                .claims
                .give_back(Width::Slot.after(seq), start, claim.len, used);
        let mut state = State::closed(self.geometry.tag(seq), used);
        if !activate && !self.is_recorder() {
            self.activation.note_quiet();
            state = state.quiet();
        }
        // [post.state] Release, pairs with [drain.state], [survey.look] and [survey.late]: a thread
        // that sees the span sees its place and its bytes.
        let order = unless_mutant("post.state", Ordering::Release);
        self.slot(seq).state.store(state.to_bits(), order);
        Posted {
            seq,
            start: claim.start,
            end: claim.start + u64::from(used),
            claimed_end: claim.start + u64::from(claim.len),
            gave_back,
            activates: activate,
        }
    }
}
