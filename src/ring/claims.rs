//! The cache line that every claim reads and writes: the head, the gate, and the tail as claimers
//! know it.
//!
//! This file owns these five words and decides whether a claim succeeds; no other file touches
//! them. It knows neither slots nor bytes: `reserve.rs` fills what was claimed here.
//!
//! Invariants: every change of the head is a compare-and-swap, so each claim has its sequence and
//! its bytes alone; `seen` is never ahead of the drain's tail; no claim can move the head of a
//! closed ring.

use crate::primitives::sync::{AtomicU32, AtomicU64, Ordering, is_mutant, unless_mutant};
use crate::words::{Geometry, Head, Tail, Width};

use super::progress::Progress;

/// Why a claim was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room now, in bytes or in slots; or other threads wait in turn for the room.
    Full,
    /// The ring overwrites its oldest records, and the oldest span is still open.
    Held,
    /// The ring overwrites its oldest records, which the flusher is copying now.
    Copying,
    /// The ring is closed.
    Closed,
    /// The ring is closed, and its queue continues without it.
    Aside,
    /// The sink has failed.
    Failed,
}

/// The words of one ring that claims read and write.
#[derive(Debug)]
pub(super) struct Claims {
    /// `{ seq, pos }` of the next claim.
    head: AtomicU64,
    /// The tail as a claimer last read it. It is never ahead of the drain's tail, and it only
    /// grows.
    seen: Progress,
    /// Reasons to refuse claims, other than room: bits of [`Gate`].
    gate: AtomicU32,
    /// The head at which a closed ring ended: valid once the head has jumped from it.
    end: AtomicU64,
}

/// The bits of the gate. They change rarely, so they are on the cache line that a claim needs
/// anyway.
pub(super) struct Gate;

impl Gate {
    /// The sink has failed for good.
    const FAILED: u32 = 1;
    /// The ring is closed, or a thread is closing it.
    const CLOSED: u32 = 2;
    /// A thread waits for room in turn: no other may overtake it.
    pub(super) const WAITED: u32 = 4;
    /// Together with `CLOSED`: appends continue, and bypass the ring.
    const ASIDE: u32 = 8;

    /// Returns the refusal that these bits mean for a claim.
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

/// The request of a claim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub len: u32,
    pub width: Width,
    /// The bits of the gate that do not stop this claim.
    pub passed: u32,
}

/// Why a try did not claim.
#[derive(Clone, Copy, Debug)]
pub enum Missed {
    /// The head has changed to this.
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

    /// Returns the head from which a claim starts.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "the hot path: see `Ring::reserve_at_once`"
    )]
    pub(super) fn look(&self) -> u64 {
        // [claim.head] Acquire, pairs with [give_back.take]: the bytes that were given back belong
        // to this claim alone. And with [claim.take]: `seen`, read next, is then at least what the
        // last claimer relied on, so head - seen never exceeds the capacity for a current head.
        // (Without that, `seen` could be older; the room check would notice, unless it were 4 GiB
        // older.)
        self.head
            .load(unless_mutant("claim.head", Ordering::Acquire))
    }

    /// Claims if the head is still `bits` and there is room after it. Returns the head and the tail
    /// on which the claim relied.
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
        // Relaxed: the head orders a close, and a claim that finds a bit set looks again with
        // Acquire.
        let gate = self.gate.load(Ordering::Relaxed) & !passed;
        if gate != 0 || !geometry.has_room(head, tail, len, width) {
            return Err(Missed::NoRoom(bits));
        }
        // [claim.take] Release, pairs with [head.load] and with the looks of later claims (see
        // `look`). No Acquire: the load that returned `bits` has read the same store, with Acquire.
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

    /// Looks again after a try that found no room at the head `bits`; the drain is now known to be
    /// at `drained`. Returns the head to try next. Refuses only if the head is still current.
    #[inline] // a refusal of a full ring calls it
    pub(super) fn look_again(
        &self,
        bits: u64,
        drained: Tail,
        geometry: Geometry,
        wish: Wish,
    ) -> Result<u64, Refusal> {
        let tail = self.see(drained);
        // [gate.look] Acquire, pairs with [gate.fail]: the cause of the failure is seen. (The load
        // of the head shows why the head has jumped.)
        let order = unless_mutant("gate.look", Ordering::Acquire);
        let gate = self.gate.load(order);
        if let Some(refusal) = Gate::refusal(gate & !wish.passed) {
            return Err(refusal);
        }
        if geometry.has_room(Head::from_bits(bits), tail, wish.len, wish.width) {
            return Ok(bits);
        }
        // A head that is older than the tail looks full. Only a head that has not moved proves that
        // the ring is full.
        // [claim.again] Acquire: as [claim.head].
        let order = unless_mutant("claim.again", Ordering::Acquire);
        let now = self.head.load(order);
        if now == bits || is_mutant("claim.again:skip") {
            Err(Refusal::Full)
        } else {
            Ok(now)
        }
    }

    /// Moves the head back over the bytes that a span at `start` did not use: `used` of its `len`
    /// bytes stay. Only the newest span can give back, whose successor is `next_seq`. The unused
    /// bytes of any other span become padding.
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
        // owner's writes to these bytes happen before those of the next claim. No Acquire: this
        // thread reads nothing that depends on it.
        let result = self.head.compare_exchange(
            head(len),
            head(used),
            unless_mutant("give_back.take", Ordering::Release),
            Ordering::Relaxed,
        );
        result.is_ok()
    }

    /// Records for claims that the drain is at `tail`. Returns the furthest tail that any claim
    /// knows.
    pub(super) fn see(&self, tail: Tail) -> Tail {
        self.seen.raise(tail)
    }
}

/// The end of the ring, and the gate.
impl Claims {
    /// Returns the head word. In a closed ring it is beyond the end.
    pub(super) fn head_word(&self) -> Head {
        // [head.load] Acquire, pairs with [claim.take]: the tail on which the last claimer relied
        // is seen, too. And with [end.jump]: the gate and the end are seen with it.
        let order = unless_mutant("head.load", Ordering::Acquire);
        Head::from_bits(self.head.load(order))
    }

    /// Returns where the ring of `slots` slots ended, if a close has made `head`.
    pub(super) fn end_of(&self, head: Head, slots: u32) -> Option<Head> {
        // Relaxed on both: the load that returned `head` orders them.
        if self.gate.load(Ordering::Relaxed) & Gate::CLOSED == 0 {
            return None;
        }
        let end = Head::from_bits(self.end.load(Ordering::Relaxed));
        (end.closed(slots) == head).then_some(end)
    }

    pub(super) fn fail(&self) {
        // [gate.fail] Release, pairs with [gate.look] and [gate.refusal]: a thread that sees the
        // bit can report the cause. (A claim that misses the bit stays in the ring and is accounted
        // for there.)
        let order = unless_mutant("gate.fail", Ordering::Release);
        self.gate.fetch_or(Gate::FAILED, order);
    }

    pub(super) fn recover(&self) {
        // Relaxed: a claim that succeeds because of it needs no other data from here.
        self.gate.fetch_and(!Gate::FAILED, Ordering::Relaxed);
    }

    pub(super) fn set_turns(&self, turns: bool) {
        // Relaxed on both: a claim that is made at the same time counts as earlier.
        if turns {
            self.gate.fetch_or(Gate::WAITED, Ordering::Relaxed);
        } else {
            self.gate.fetch_and(!Gate::WAITED, Ordering::Relaxed);
        }
    }

    /// Returns why every claim would be refused now, however much room there is.
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
        // [gate.aside] Release, pairs with [gate.is_aside]: the sink for these appends is stored,
        // and its lock is free. Relaxed otherwise: the RMW corrects it.
        let order = unless_mutant("gate.aside", Ordering::Release);
        let set = self.gate.fetch_update(order, Ordering::Relaxed, |gate| {
            (gate & Gate::CLOSED == 0).then_some(gate | Gate::CLOSED | Gate::ASIDE)
        });
        if set.is_ok() {
            self.jump(slots);
        }
        set.is_ok()
    }

    pub(super) fn is_aside(&self) -> bool {
        // [gate.is_aside] Acquire, pairs with [gate.aside].
        let order = unless_mutant("gate.is_aside", Ordering::Acquire);
        self.gate.load(order) & Gate::ASIDE != 0
    }

    pub(super) fn end_aside(&self) {
        // Relaxed: an append that is made at the same time counts as earlier.
        self.gate.fetch_and(!Gate::ASIDE, Ordering::Relaxed);
    }

    /// Makes the head jump, so that every claim sees that the gate is closed.
    fn jump(&self, slots: u32) {
        // Relaxed first look: the CAS corrects it.
        let mut bits = self.head.load(Ordering::Relaxed);
        loop {
            // Relaxed: the Release of the jump publishes it.
            self.end.store(bits, Ordering::Relaxed);
            let closed = Head::from_bits(bits).closed(slots).to_bits();
            // [end.jump] Release, pairs with [claim.head], [claim.retry] and [claim.again], which
            // then find no free slot and the closed gate, and with [head.load], which finds the
            // end. No Acquire: this thread reads nothing that depends on it, and an RMW passes on
            // what the claims before it have released.
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
