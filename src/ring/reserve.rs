//! The producers' side: claim, fill, post.
//!
//! It owns the step from a claim to a posted span: which slot and which bytes a claim gets, and how
//! a post publishes them. Whether a claim succeeds, `claims.rs` decides.
//!
//! # Safety
//!
//! A claim hands `[start, start + len)` to one thread until it posts. That no two claims overlap,
//! and that none overlaps what the drain still reads, is the work of `Claims::take`; the model
//! checker verifies it. A claim cannot be copied, and its fields are this layer's; each keeper of
//! one sees to it that it comes back to its own ring.
#![allow(unsafe_code)]

use core::mem;
use core::ptr;
use core::slice;

use crossbeam_utils::Backoff;

use super::claims::{Missed, Refusal, Wish};
use super::core::Ring;
use crate::memory::Memory;
use crate::primitives::sync::{Ordering, unless_mutant};
use crate::words::{Head, Place, State, Tail, Width, extend};

/// What a post has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The sequence of the span.
    pub seq: u32,
    /// The position of its first byte.
    pub start: u64,
    /// The position after its last byte of record: final.
    pub end: u64,
    /// The position after the last byte that was claimed.
    pub claimed_end: u64,
    /// Whether room that the claim had taken is free again.
    pub gave_back: bool,
}

/// What a claim took: the sequence of its (first) slot, and `len` bytes from `start` on. There is
/// one of each, made by the compare-and-swap and spent by the post, so safe code cannot have its
/// bytes twice, nor once they are posted.
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

    /// The sequence of its (first) slot.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The position of its first byte.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// How many bytes it has.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Takes it out of a place that is not used any more.
    #[inline]
    pub fn take(&mut self) -> Self {
        mem::replace(self, Self::NONE)
    }
}

impl<M: Memory> Ring<M> {
    /// One try to append a whole record: claimed, copied in, and posted. `None` if one try is not
    /// enough to know whether there is room.
    ///
    /// # Panics
    ///
    /// If the record is longer than the ring.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    pub fn append_at_once(&self, record: &[u8]) -> Option<Posted> {
        assert!(record.len() <= self.geometry.capacity() as usize);
        let len = record.len() as u32;
        let claim = self.claim_at_once(len, Width::Slot, 0)?;
        self.copy(&claim, record);
        Some(self.post(claim, len))
    }

    /// Claims, whatever the gate bits `passed` say.
    pub(super) fn claim(&self, len: u32, width: Width, passed: u32) -> Result<Claim, Refusal> {
        debug_assert!(len > 0 && len <= self.geometry.capacity());
        let wish = Wish { len, width, passed };
        let backoff = Backoff::new();
        let mut taken = self.claims.take(self.claims.look(), self.geometry, wish);
        loop {
            let bits = match taken {
                Ok((head, tail)) => return Ok(self.claimed(head, tail, len)),
                Err(Missed::NoRoom(bits)) => {
                    let drained = self.drained.tail.load();
                    self.claims.look_again(bits, drained, self.geometry, wish)?
                }
                Err(Missed::Head(now)) => {
                    backoff.spin();
                    now
                }
            };
            taken = self.claims.take(bits, self.geometry, wish);
        }
    }

    /// One try of [`claim`](Ring::claim).
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    pub(super) fn claim_at_once(&self, len: u32, width: Width, passed: u32) -> Option<Claim> {
        debug_assert!(len > 0 && len <= self.geometry.capacity());
        let wish = Wish { len, width, passed };
        let taken = self.claims.take(self.claims.look(), self.geometry, wish);
        let (head, tail) = taken.ok()?;
        Some(self.claimed(head, tail, len))
    }

    /// Writes the place of a span that was just claimed at `head`.
    #[inline]
    fn claimed(&self, head: Head, tail: Tail, len: u32) -> Claim {
        let place = Place {
            seq: head.seq,
            start: head.pos,
        };
        // Relaxed: published by the Release of the state; a reader that comes earlier checks the
        // sequence in it. The drain has freed the slot: the Acquire of the tail came before.
        self.slot(head.seq)
            .place
            .store(place.to_bits(), Ordering::Relaxed);
        self.memory.begin_write(head.pos, len);
        Claim {
            // The tail lies at most the capacity before a head that the CAS found current, so these
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

    /// The bytes of a claim of this ring: what an earlier lap left there, until they are filled.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    pub fn bytes<'a>(&'a self, claim: &'a Claim) -> &'a [u8] {
        let first = self.memory.at(claim.start as u32);
        // SAFETY: `at` gives capacity >= len valid bytes, all initialised (zeroed at first). The
        // claim, which exists once, gave them to its holder until it posts, and the borrow of it
        // lets no thread write while the slice lives.
        unsafe { slice::from_raw_parts(first, claim.len()) }
    }

    /// [`bytes`](Ring::bytes), to be filled in place.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    pub fn bytes_mut<'a>(&'a self, claim: &'a mut Claim) -> &'a mut [u8] {
        let first = self.memory.at(claim.start as u32);
        // SAFETY: as in `bytes`, and the borrow of the claim makes this the only slice.
        unsafe { slice::from_raw_parts_mut(first, claim.len()) }
    }

    /// Publishes the first `used` bytes of a claim of this ring. Gives the rest back if nothing was
    /// claimed after it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    #[expect(clippy::needless_pass_by_value, reason = "a post spends the claim")]
    pub fn post(&self, claim: Claim, used: u32) -> Posted {
        debug_assert!(claim.len > 0 && used <= claim.len);
        let (seq, start) = (claim.seq as u32, claim.start as u32);
        // All of it: what is given back may have been written, too.
        self.memory.end_write(start, claim.len);
        let gave_back = used < claim.len
            && self
                .claims
                .give_back(Width::Slot.after(seq), start, claim.len, used);
        let state = State::closed(self.geometry.tag(seq), used);
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
        }
    }
}
