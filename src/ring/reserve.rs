//! The producers' side: claim, fill, post.
//!
//! # Safety
//!
//! A claim hands `[start, start + len)` to one thread until it posts. That no two claims overlap, and that none
//! overlaps what the drain still reads, is the work of `Ring::claim_at`; the model checker verifies it. A claim cannot be copied, and
//! its fields are this layer's; that it comes back to the ring that it is of, those who keep both see to.
#![allow(unsafe_code)]

use core::mem;
use core::ptr;
use core::slice;

use crossbeam_utils::Backoff;

use super::{Gate, Reservation, Ring};
use crate::memory::{Memory, Slot};
use crate::primitives::sync::{Ordering, is_mutant, unless_mutant};
use crate::words::{Head, Place, State, Tail, Width, extend};

/// Why a claim was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room at this moment, in bytes or in descriptors; or others wait for it, in turn.
    Full,
    /// The ring is closed.
    Closed,
    /// The ring is closed, but its queue goes on without it.
    Aside,
    /// The sink has failed.
    Failed,
}

/// What a post has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The sequence of the span.
    pub seq: u32,
    /// The position of its first byte.
    pub start: u64,
    /// The position behind its last byte of record: final.
    pub end: u64,
    /// The position behind the last byte that was claimed.
    pub claimed_end: u64,
    /// Whether room that the claim had taken is free again.
    pub gave_back: bool,
}

/// What a claim took: the sequence of its (first) descriptor, and `len` bytes from `start` on. There is one of each, made by the
/// compare-and-swap and spent by the post, so safe code cannot have its bytes twice, nor once they are posted.
#[derive(Debug)]
pub struct Claim {
    pub(super) seq: u64,
    pub(super) start: u64,
    pub(super) len: u32,
}

impl Claim {
    /// Of nothing: it is never posted.
    pub const NONE: Self = Self {
        seq: 0,
        start: 0,
        len: 0,
    };

    /// The sequence of its (first) descriptor.
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
    /// Claims `len` bytes (1 to the capacity) and one descriptor with one compare-and-swap.
    ///
    /// # Errors
    ///
    /// See [`Refusal`]. Never blocks, allocates or makes a system call.
    pub fn reserve(&self, len: u32) -> Result<Reservation<'_, M>, Refusal> {
        Ok(Reservation::of(self, self.claim(len, Width::Slot, 0)?))
    }

    /// The same for the thread whose turn it is: waiters do not stop it.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Ring::reserve).
    pub fn reserve_in_turn(&self, len: u32) -> Result<Reservation<'_, M>, Refusal> {
        Ok(Reservation::of(
            self,
            self.claim(len, Width::Slot, Gate::WAITED)?,
        ))
    }

    /// The hot path of [`reserve`](Ring::reserve): one try, and `None` if that is not enough to know.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "what it comes to stays in registers; as a call it goes through memory, which costs 3 to 10 ns"
    )]
    pub fn reserve_at_once(&self, len: u32) -> Option<Reservation<'_, M>> {
        let claim = self.claim_at_once(len, Width::Slot, 0).ok()?;
        Some(Reservation::of(self, claim))
    }

    /// The same, with a whole record copied in, and posted.
    ///
    /// # Panics
    ///
    /// If the record is longer than the ring.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    pub fn append_at_once(&self, record: &[u8]) -> Option<Posted> {
        assert!(record.len() <= self.geometry.capacity() as usize);
        let len = record.len() as u32;
        let claim = self.claim_at_once(len, Width::Slot, 0).ok()?;
        self.copy(&claim, record);
        Some(self.post(claim, len))
    }

    /// Claims, whatever the gate bits `passed` say.
    pub(super) fn claim(&self, len: u32, width: Width, passed: u32) -> Result<Claim, Refusal> {
        let backoff = Backoff::new();
        let mut claim = self.claim_at_once(len, width, passed);
        loop {
            let bits = match claim {
                Ok(claim) => return Ok(claim),
                Err(Missed::NoRoom(bits)) => self.look_again(bits, len, width, passed)?,
                Err(Missed::Head(now)) => {
                    backoff.spin();
                    now
                }
            };
            claim = self.claim_at(bits, len, width, passed);
        }
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    fn claim_at_once(&self, len: u32, width: Width, passed: u32) -> Result<Claim, Missed> {
        debug_assert!(len > 0 && len <= self.geometry.capacity());
        // [claim.head] Acquire, pairs with [give_back.take]: the bytes that were given back are this claim's alone. And with
        // [claim.take]: `seen`, read next, is then at least what the last claimer relied on, so that head - seen never
        // exceeds the capacity for a head that is current. (Without that, `seen` could be older; the room check would
        // notice, unless it were 4 GiB older.)
        let order = unless_mutant("claim.head", Ordering::Acquire);
        let bits = self.claims.head.load(order);
        self.claim_at(bits, len, width, passed)
    }

    /// Claims if the head is still `bits`, and there is room behind it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    fn claim_at(&self, bits: u64, len: u32, width: Width, passed: u32) -> Result<Claim, Missed> {
        let claims = &*self.claims;
        let head = Head::from_bits(bits);
        let tail = claims.seen.load();
        // Relaxed: `close` has its order through the head, and who finds a bit set looks again with Acquire.
        let gate = claims.gate.load(Ordering::Relaxed) & !passed;
        if gate != 0 || !self.geometry.has_room(head, tail, len, width) {
            return Err(Missed::NoRoom(bits));
        }
        // [claim.take] Release, pairs with [head.load] and with the looks of later claims (see above). No Acquire: the
        // load that has got `bits` has read the same store, and was one.
        // [claim.retry] Acquire if it fails: as [claim.head].
        let claim = claims.head.compare_exchange_weak(
            bits,
            head.claimed(width, len).to_bits(),
            unless_mutant("claim.take", Ordering::Release),
            unless_mutant("claim.retry", Ordering::Acquire),
        );
        match claim {
            Ok(_) => Ok(self.claimed(head, tail, len)),
            Err(now) => Err(Missed::Head(now)),
        }
    }

    /// Writes the place of a span that was just claimed at `head`.
    #[inline]
    fn claimed(&self, head: Head, tail: Tail, len: u32) -> Claim {
        let place = Place {
            seq: head.seq,
            start: head.pos,
        };
        // Relaxed: published by the Release of the state; who reads it earlier checks the sequence in it. The
        // drain has freed the descriptor: the Acquire of the tail came before.
        self.slot(head.seq)
            .place
            .store(place.to_bits(), Ordering::Relaxed);
        self.memory.begin_write(head.pos, len);
        Claim {
            // The tail lies at most the capacity behind a head that the CAS found current, so these are exact.
            seq: extend(tail.seq, head.seq),
            start: extend(tail.pos, head.pos),
            len,
        }
    }

    /// Copies a whole record to where the claim is, which has not posted.
    ///
    /// # Panics
    ///
    /// If `record` is not exactly as long as the claim.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    pub(super) fn copy(&self, claim: &Claim, record: &[u8]) {
        assert!(record.len() == claim.len as usize);
        let first = self.memory.at(claim.start as u32);
        // SAFETY: both are valid for `len` bytes; the target is this claim's alone, and no safe code has a slice into the
        // ring that could be the source, but through another reservation.
        unsafe { ptr::copy_nonoverlapping(record.as_ptr(), first, record.len()) };
    }

    /// The bytes of a claim of this ring: what an earlier lap left there, until they are filled.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    pub fn bytes<'a>(&'a self, claim: &'a Claim) -> &'a [u8] {
        let first = self.memory.at(claim.start as u32);
        // SAFETY: `at` gives capacity >= len valid bytes, all initialised (zeroed at first); the claim, of which there is but
        // this one, gave them to its holder until it posts, and the borrow of it lets nobody write while the slice lives.
        unsafe { slice::from_raw_parts(first, claim.len()) }
    }

    /// The same, to be filled in place.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    pub fn bytes_mut<'a>(&'a self, claim: &'a mut Claim) -> &'a mut [u8] {
        let first = self.memory.at(claim.start as u32);
        // SAFETY: as in `bytes`, and the borrow of the claim makes this the only slice.
        unsafe { slice::from_raw_parts_mut(first, claim.len()) }
    }

    /// Publishes the first `used` bytes of a claim of this ring, and gives the rest back if nothing was claimed behind it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `reserve_at_once`")]
    #[expect(clippy::needless_pass_by_value, reason = "a post spends the claim")]
    pub fn post(&self, claim: Claim, used: u32) -> Posted {
        debug_assert!(claim.len > 0 && used <= claim.len);
        let (seq, start) = (claim.seq as u32, claim.start as u32);
        // All of it: what is given back may have been written, too.
        self.memory.end_write(start, claim.len);
        let gave_back =
            used < claim.len && self.give_back(Width::Slot.after(seq), start, claim.len, used);
        let state = State::closed(self.geometry.tag(seq), used);
        // [post.state] Release, pairs with [drain.state], [survey.look] and [survey.late]: who sees the span sees its place
        // and its bytes.
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

    /// Reads the drain's own tail for a claim at the head `bits`, for which there seems to be no room: the head to try
    /// next. Refuses only a head that is still current.
    fn look_again(&self, bits: u64, len: u32, width: Width, passed: u32) -> Result<u64, Refusal> {
        let tail = self.claims.seen.raise(self.drained.tail.load());
        // [gate.look] Acquire, pairs with [gate.fail]: why it has failed is seen. (Why the head has jumped is seen by the
        // load of the head.)
        let order = unless_mutant("gate.look", Ordering::Acquire);
        let gate = self.claims.gate.load(order);
        if let Some(refusal) = Gate::refusal(gate & !passed) {
            return Err(refusal);
        }
        if self
            .geometry
            .has_room(Head::from_bits(bits), tail, len, width)
        {
            return Ok(bits);
        }
        // A head that is older than the tail looks full. Only one that has not moved proves that it is.
        // [claim.again] Acquire: as [claim.head].
        let order = unless_mutant("claim.again", Ordering::Acquire);
        let now = self.claims.head.load(order);
        if now == bits || is_mutant("claim.again:skip") {
            Err(Refusal::Full)
        } else {
            Ok(now)
        }
    }

    /// Takes the head back over the bytes that a span at `start` did not use: `used` of its `len` stay. Only the newest
    /// span can give back, the one whose successor is `next_seq`: behind any other they become padding.
    pub(super) fn give_back(&self, next_seq: u32, start: u32, len: u32, used: u32) -> bool {
        let head = |len: u32| {
            Head {
                seq: next_seq,
                pos: start.wrapping_add(len),
            }
            .to_bits()
        };
        // The sequence stays: it names this span, and a head that differs only in `pos` cannot come back.
        // [give_back.take] Release, pairs with [claim.head], [claim.retry] and [claim.again]: the owner's writes to the
        // bytes that the next claim gets happen before its own. No Acquire: this thread reads nothing by it.
        let result = self.claims.head.compare_exchange(
            head(len),
            head(used),
            unless_mutant("give_back.take", Ordering::Release),
            Ordering::Relaxed,
        );
        result.is_ok()
    }

    /// Why every claim would be refused now, whatever room there is.
    pub fn refusal(&self) -> Option<Refusal> {
        // [gate.refusal] Acquire, pairs with [gate.fail].
        let order = unless_mutant("gate.refusal", Ordering::Acquire);
        Gate::refusal(self.claims.gate.load(order) & !Gate::WAITED)
    }

    #[inline]
    pub(super) fn slot(&self, seq: u32) -> &Slot {
        let slots = self.memory.slots();
        let index = self.geometry.slot(seq);
        debug_assert!(index < slots.len());
        // SAFETY: `Memory` has as many as its geometry says, which is a copy of this one, and that gives no greater index.
        unsafe { slots.get_unchecked(index) }
    }
}

impl Gate {
    /// What the bits say to a claim.
    const fn refusal(gate: u32) -> Option<Refusal> {
        if gate & Self::ASIDE != 0 {
            Some(Refusal::Aside)
        } else if gate & Self::CLOSED != 0 {
            Some(Refusal::Closed)
        } else if gate & Self::FAILED != 0 {
            Some(Refusal::Failed)
        } else if gate & Self::WAITED != 0 {
            Some(Refusal::Full)
        } else {
            None
        }
    }
}

/// Why a try to claim has not claimed.
enum Missed {
    /// The head is this by now.
    Head(u64),
    /// There seems to be no room at this head.
    NoRoom(u64),
}
