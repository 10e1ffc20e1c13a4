//! The cache line that every claim reads and writes: the head, the gate, and what claimers know of
//! the tail.
//!
//! It owns these five words and decides whether a claim succeeds; no other file touches them. It
//! knows neither slots nor bytes: `reserve.rs` fills what was claimed here.
//!
//! Invariants: every change of the head is a compare-and-swap, so each claim has its sequence and
//! its bytes alone; `seen` is never ahead of the drain's tail; the head of a closed ring is one
//! that no claim can move.

use crate::primitives::sync::{AtomicU32, AtomicU64, Ordering, is_mutant, unless_mutant};
use crate::words::{Geometry, Head, Tail, Width};

use super::progress::Progress;

/// Why a claim was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room now, in bytes or in slots; or other threads wait for it, in turn.
    Full,
    /// The ring is closed.
    Closed,
    /// The ring is closed, but its queue goes on without it.
    Aside,
    /// The sink has failed.
    Failed,
}

/// The words of one ring that claims are made with.
#[derive(Debug)]
pub(super) struct Claims {
    /// `{ seq, pos }` of the next claim.
    head: AtomicU64,
    /// The tail as some claimer last read it: never ahead of the drain's, and it only grows.
    seen: Progress,
    /// Why claims are refused for another reason than room: bits of [`Gate`].
    gate: AtomicU32,
    /// The head at which a closed ring ended: valid once the head has jumped from it.
    end: AtomicU64,
}

/// The bits of the gate. They change rarely, and lie on the line that a claim needs anyway.
pub(super) struct Gate;

impl Gate {
    /// The sink has failed for good.
    const FAILED: u32 = 1;
    /// The ring is closed, or a thread is closing it.
    const CLOSED: u32 = 2;
    /// A thread waits for room in turn: no other may overtake it.
    pub(super) const WAITED: u32 = 4;
    /// Beside `CLOSED`: appends go on, past the ring.
    const ASIDE: u32 = 8;

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

/// What a claim asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub len: u32,
    pub width: Width,
    /// The bits of the gate that do not stop this claim.
    pub passed: u32,
}

/// Why a try to claim has not claimed.
pub(super) enum Missed {
    /// The head is this by now.
    Head(u64),
    /// There seems to be no room at this head.
    NoRoom(u64),
}

/// Claiming.
impl Claims {
    pub(super) fn new(head: Head, tail: Tail) -> Self {
        Self {
            head: AtomicU64::new(head.to_bits()),
            seen: Progress::new(tail),
            gate: AtomicU32::new(0),
            end: AtomicU64::new(u64::MAX), // no head jumps from here
        }
    }

    /// The head from which a claim starts.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "the hot path: see `Ring::reserve_at_once`"
    )]
    pub(super) fn look(&self) -> u64 {
        // [claim.head] Acquire, pairs with [give_back.take]: the bytes that were given back are
        // this claim's alone. And with [claim.take]: `seen`, read next, is then at least what the
        // last claimer relied on, so that head - seen never exceeds the capacity for a head that is
        // current. (Without that, `seen` could be older; the room check would notice, unless it
        // were 4 GiB older.)
        self.head
            .load(unless_mutant("claim.head", Ordering::Acquire))
    }

    /// Claims if the head is still `bits` and there is room behind it. Returns the head and the
    /// tail that the claim has relied on.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "the hot path: see `Ring::reserve_at_once`"
    )]
    pub(super) fn take(
        &self,
        bits: u64,
        geometry: Geometry,
        wish: Wish,
    ) -> Result<(Head, Tail), Missed> {
        let Wish { len, width, passed } = wish;
        let head = Head::from_bits(bits);
        let tail = self.seen.load();
        // Relaxed: a close has its order through the head, and a claim that finds a bit set looks
        // again with Acquire.
        let gate = self.gate.load(Ordering::Relaxed) & !passed;
        if gate != 0 || !geometry.has_room(head, tail, len, width) {
            return Err(Missed::NoRoom(bits));
        }
        // [claim.take] Release, pairs with [head.load] and with the looks of later claims (see
        // `look`). No Acquire: the load that has got `bits` has read the same store, and was one.
        // [claim.retry] Acquire if it fails: as [claim.head].
        let claim = self.head.compare_exchange_weak(
            bits,
            head.claimed(width, len).to_bits(),
            unless_mutant("claim.take", Ordering::Release),
            unless_mutant("claim.retry", Ordering::Acquire),
        );
        match claim {
            Ok(_) => Ok((head, tail)),
            Err(now) => Err(Missed::Head(now)),
        }
    }

    /// After a try that found no room at the head `bits`: the head to try next, now that the drain
    /// is known to have come to `drained`. Refuses only a head that is still current.
    pub(super) fn look_again(
        &self,
        bits: u64,
        drained: Tail,
        geometry: Geometry,
        wish: Wish,
    ) -> Result<u64, Refusal> {
        let tail = self.see(drained);
        // [gate.look] Acquire, pairs with [gate.fail]: why it has failed is seen. (Why the head has
        // jumped is seen by the load of the head.)
        let order = unless_mutant("gate.look", Ordering::Acquire);
        let gate = self.gate.load(order);
        if let Some(refusal) = Gate::refusal(gate & !wish.passed) {
            return Err(refusal);
        }
        if geometry.has_room(Head::from_bits(bits), tail, wish.len, wish.width) {
            return Ok(bits);
        }
        // A head that is older than the tail looks full. Only one that has not moved proves that
        // the ring is.
        // [claim.again] Acquire: as [claim.head].
        let order = unless_mutant("claim.again", Ordering::Acquire);
        let now = self.head.load(order);
        if now == bits || is_mutant("claim.again:skip") {
            Err(Refusal::Full)
        } else {
            Ok(now)
        }
    }

    /// Takes the head back over the bytes that a span at `start` did not use: `used` of its `len`
    /// stay. Only the newest span can give back, the one whose successor is `next_seq`: those of
    /// any other become padding.
    pub(super) fn give_back(&self, next_seq: u32, start: u32, len: u32, used: u32) -> bool {
        let head = |len: u32| {
            Head {
                seq: next_seq,
                pos: start.wrapping_add(len),
            }
            .to_bits()
        };
        // The sequence stays: it names this span, and a head that differs only in `pos` cannot come
        // back.
        // [give_back.take] Release, pairs with [claim.head], [claim.retry] and [claim.again]: the
        // owner's writes to the bytes that the next claim gets happen before its own. No Acquire:
        // this thread reads nothing by it.
        let result = self.head.compare_exchange(
            head(len),
            head(used),
            unless_mutant("give_back.take", Ordering::Release),
            Ordering::Relaxed,
        );
        result.is_ok()
    }

    /// Tells claims that the drain has come to `tail`, and returns the furthest tail that any of
    /// them knows.
    pub(super) fn see(&self, tail: Tail) -> Tail {
        self.seen.raise(tail)
    }
}

/// Ending, and letting claims in or not.
impl Claims {
    /// The head as it stands, beyond the end of a closed ring.
    pub(super) fn head_word(&self) -> Head {
        // [head.load] Acquire, pairs with [claim.take]: the tail that the last claimer relied on is
        // seen, too. And with [end.jump]: the gate and the end are seen with it.
        let order = unless_mutant("head.load", Ordering::Acquire);
        Head::from_bits(self.head.load(order))
    }

    /// Where the ring of `slots` slots ended, if `head` is the one that a close has made.
    pub(super) fn end_of(&self, head: Head, slots: u32) -> Option<Head> {
        // Relaxed on both: ordered by the load that got `head`.
        if self.gate.load(Ordering::Relaxed) & Gate::CLOSED == 0 {
            return None;
        }
        let end = Head::from_bits(self.end.load(Ordering::Relaxed));
        (end.closed(slots) == head).then_some(end)
    }

    pub(super) fn fail(&self) {
        // [gate.fail] Release, pairs with [gate.look] and [gate.refusal]: a thread that sees the
        // bit can tell why. (A claim that misses it stays in the ring and is accounted for there.)
        let order = unless_mutant("gate.fail", Ordering::Release);
        self.gate.fetch_or(Gate::FAILED, order);
    }

    pub(super) fn recover(&self) {
        // Relaxed: a claim that it lets in needs nothing from here.
        self.gate.fetch_and(!Gate::FAILED, Ordering::Relaxed);
    }

    pub(super) fn set_turns(&self, turns: bool) {
        // Relaxed on both: a claim that is made meanwhile came first.
        if turns {
            self.gate.fetch_or(Gate::WAITED, Ordering::Relaxed);
        } else {
            self.gate.fetch_and(!Gate::WAITED, Ordering::Relaxed);
        }
    }

    /// Why every claim would be refused now, whatever room there is.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        // [gate.refusal] Acquire, pairs with [gate.fail].
        let order = unless_mutant("gate.refusal", Ordering::Acquire);
        Gate::refusal(self.gate.load(order) & !Gate::WAITED)
    }

    pub(super) fn close(&self, slots: u32) -> bool {
        // Relaxed RMW: of two closers one comes first. The jump of the head carries the bit: a
        // claim that sees the jump is refused with `Closed`, not with `Full`.
        let before = self.gate.fetch_or(Gate::CLOSED, Ordering::Relaxed);
        let is_first = before & Gate::CLOSED == 0;
        if is_first {
            self.jump(slots);
        }
        is_first
    }

    pub(super) fn set_aside(&self, slots: u32) -> bool {
        // [gate.aside] Release, pairs with [gate.is_aside]: the sink that is kept for these appends
        // is there, and its lock free. Relaxed otherwise: corrected by the RMW.
        let set = self
            .gate
            .fetch_update(Ordering::Release, Ordering::Relaxed, |gate| {
                (gate & Gate::CLOSED == 0).then_some(gate | Gate::CLOSED | Gate::ASIDE)
            });
        if set.is_ok() {
            self.jump(slots);
        }
        set.is_ok()
    }

    pub(super) fn is_aside(&self) -> bool {
        // [gate.is_aside] Acquire, pairs with [gate.aside].
        self.gate.load(Ordering::Acquire) & Gate::ASIDE != 0
    }

    pub(super) fn end_aside(&self) {
        // Relaxed: an append that is made meanwhile came first.
        self.gate.fetch_and(!Gate::ASIDE, Ordering::Relaxed);
    }

    /// Makes the head jump, so that every claim sees that the gate is closed.
    fn jump(&self, slots: u32) {
        // Relaxed first look, corrected by the CAS.
        let mut bits = self.head.load(Ordering::Relaxed);
        loop {
            // Relaxed: published by the Release of the jump.
            self.end.store(bits, Ordering::Relaxed);
            let closed = Head::from_bits(bits).closed(slots).to_bits();
            // [end.jump] Release, pairs with [claim.head], [claim.retry] and [claim.again], which
            // then find no slot free and the gate closed, and with [head.load], which finds the
            // end. No Acquire: this thread reads nothing by it, and an RMW hands on what the claims
            // before it have released.
            match self.head.compare_exchange(
                bits,
                closed,
                unless_mutant("end.jump", Ordering::Release),
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => bits = now,
            }
        }
    }
}
