//! Layer 3: the ring. Reserve, post, drain, survey: the algorithm only. It knows no file, no thread, no clock.
//!
//! docs/ring.md explains the protocol as a whole; the comments here say what each step guarantees.

mod accounts;
mod batch;
mod drain;
mod lane;
#[cfg(all(test, not(alq_model)))]
mod lane_tests;
mod lanes;
mod read;
mod recover;
mod reservation;
mod reserve;
mod seal;
#[cfg(all(test, not(alq_model)))]
mod stress;
pub mod survey;
#[cfg(all(test, not(alq_model)))]
mod tests;

use crossbeam_utils::CachePadded;

use accounts::Ledger;

use crate::memory::{Journal, Memory};
use crate::primitives::sync::{AtomicU32, AtomicU64, Mutex, Ordering, unless_mutant};
use crate::words::{Geometry, Head, Room, Tail};

pub use accounts::Accounts;
pub use drain::{Drain, Drained, Holes};
pub use lane::Owner;
pub use lanes::Lanes;
pub use recover::{Found, find};
pub use reservation::Reservation;
pub use reserve::{Claim, Posted, Refusal};

/// A ring of bytes and descriptors that any number of threads reserve in and one drain empties.
#[derive(Debug)]
pub struct Ring<M> {
    memory: M,
    geometry: Geometry,
    claims: CachePadded<Claims>,
    drained: CachePadded<Ledger>,
    lanes: Lanes,
    /// The reservations of an ended ring that the drain went past while they were open.
    stepped_over: Mutex<Vec<SteppedOver>>,
}

/// A span that the drain went past while it was open. Its descriptor is not used again, so what its owner still does
/// can be seen there.
#[derive(Clone, Copy, Debug)]
struct SteppedOver {
    seq: u32,
    /// How many bytes of it were taken.
    taken: u32,
}

/// What claims read and write: one line, in the hands of whoever claims.
#[derive(Debug)]
struct Claims {
    /// `{ seq, pos }` of the next claim.
    head: AtomicU64,
    /// The tail as some claimer last read it: never ahead of the drain's, and it only grows.
    seen: Progress,
    /// Why claims are refused, beyond room: bits of [`Gate`].
    gate: AtomicU32,
    /// The head at which a closed ring ended: valid once the head has jumped from it.
    end: AtomicU64,
}

/// A tail in two words. Each only grows, and each is right by itself: a reader that gets an older half only
/// believes that less is free.
#[derive(Debug)]
struct Progress {
    seq: AtomicU64,
    pos: AtomicU64,
}

impl Progress {
    fn new(tail: Tail) -> Self {
        Self {
            seq: AtomicU64::new(tail.seq),
            pos: AtomicU64::new(tail.pos),
        }
    }

    /// Who sees bytes and descriptors free also sees that the drain has finished reading them.
    #[inline]
    fn load(&self) -> Tail {
        Tail {
            // [tail.seq] Acquire, pairs with [tail.publish] and [seen.seq]: the position is at least as new.
            seq: self.seq.load(unless_mutant("tail.seq", Ordering::Acquire)),
            // [tail.pos] Acquire, pairs with [ledger.odd] and [seen.pos]: it may be newer than the sequence.
            pos: self.pos.load(unless_mutant("tail.pos", Ordering::Acquire)),
        }
    }

    /// The drain's side. The caller has executed a Release fence, [ledger.odd].
    fn publish(&self, tail: Tail) {
        // Relaxed: ordered by that fence.
        self.pos.store(tail.pos, Ordering::Relaxed);
        // [tail.publish] Release, pairs with [tail.seq]. Behind the position: who claims a descriptor that this frees has
        // seen the bytes freed, too, and so has whoever sees that claim. A fixed queue never seems to hold more than its
        // entries.
        self.seq
            .store(tail.seq, unless_mutant("tail.publish", Ordering::Release));
    }

    /// Moves the copy forward to `tail`, never back, and returns where it stands.
    ///
    /// A plain store by a claimer that was slow would take back what a faster one has seen, and a third
    /// would compute the 64-bit position of its record from it.
    fn raise(&self, tail: Tail) -> Tail {
        // No Acquire: what is returned only says whether to look again, and the claim that does loads both once more.
        // [seen.seq] Release, pairs with [tail.seq]: hands the drain's release on.
        let order = unless_mutant("seen.seq", Ordering::Release);
        let seq = self.seq.fetch_max(tail.seq, order);
        // [seen.pos] Release, pairs with [tail.pos]: as above.
        let order = unless_mutant("seen.pos", Ordering::Release);
        let pos = self.pos.fetch_max(tail.pos, order);
        Tail {
            seq: tail.seq.max(seq),
            pos: tail.pos.max(pos),
        }
    }
}

/// The bits of the gate. Set rarely; read by every claim, on the line that it needs anyway.
struct Gate;

impl Gate {
    /// The sink has failed for good.
    const FAILED: u32 = 1;
    /// Somebody closes the ring, or has.
    const CLOSED: u32 = 2;
    /// Somebody waits for room, and nobody may overtake.
    const WAITED: u32 = 4;
    /// Beside `CLOSED`: appends go on, past the ring.
    const ASIDE: u32 = 8;
}

impl<M: Memory> Ring<M> {
    /// An empty ring, and the one drain that may empty it.
    pub fn new(memory: M) -> (Self, Drain) {
        let slots = u64::from(memory.geometry().slots());
        // Sequences start at one whole lap: no tag of the first lap is 0.
        Self::starting_at(memory, Tail { seq: slots, pos: 0 })
    }

    /// An empty ring whose first sequence and position are those of `origin`.
    pub fn starting_at(memory: M, origin: Tail) -> (Self, Drain) {
        let head = Head {
            seq: origin.seq as u32,
            pos: origin.pos as u32,
        };
        Self::between(memory, origin, 0, head)
    }

    /// A ring that holds what lies between `origin` and `head`. Of the span at `origin`, which is a lane's then, `taken`
    /// bytes are written.
    fn between(memory: M, origin: Tail, taken: u32, head: Head) -> (Self, Drain) {
        let ring = Self {
            geometry: memory.geometry(),
            memory,
            claims: CachePadded::new(Claims {
                head: AtomicU64::new(head.to_bits()),
                seen: Progress::new(origin),
                gate: AtomicU32::new(0),
                end: AtomicU64::new(u64::MAX), // no head jumps from here
            }),
            drained: CachePadded::new(Ledger::new(origin)),
            lanes: Lanes::new(),
            stepped_over: Mutex::new(Vec::new()),
        };
        let drain = Drain::new(ring.identity(), origin, taken);
        (ring, drain)
    }

    /// The sizes.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Where the drain notes how far it has come, if the ring outlives the process.
    pub fn journal(&self) -> Option<&Journal> {
        self.memory.journal()
    }

    /// The drain has stopped, and no handle is left that could claim or post: others may have its memory.
    pub fn release(&self) {
        self.memory.release();
    }

    /// How far the drain has come.
    #[inline]
    pub fn tail(&self) -> Tail {
        self.drained.tail.load()
    }

    /// What the drain has done so far, as of one moment.
    pub fn accounts(&self) -> Accounts {
        self.drained.read()
    }

    /// Bytes between the tail and the head: records, padding, and reservations that are still open.
    pub fn fill(&self) -> u32 {
        // The head first: a tail that is read later may have moved past it, and then the ring was empty. The
        // other way round, a full ring could seem to hold more than it can.
        let head = self.head();
        let used = self.tail().bytes_to(head);
        if used > self.geometry.capacity() {
            0
        } else {
            used
        }
    }

    /// The head; of a closed ring, the head at which it ended.
    fn head(&self) -> Head {
        let head = self.head_word();
        self.end_of(head).unwrap_or(head)
    }

    /// The head as it stands, beyond the end of a closed ring.
    fn head_word(&self) -> Head {
        // [head.load] Acquire, pairs with [claim.take]: the tail that the last claimer relied on is seen, too. And with
        // [end.jump]: the gate and the end are seen behind it.
        let order = unless_mutant("head.load", Ordering::Acquire);
        Head::from_bits(self.claims.head.load(order))
    }

    /// Where the ring ended, if `head` is the one that a close has made.
    fn end_of(&self, head: Head) -> Option<Head> {
        // Relaxed on both: ordered by the load that got `head`.
        if self.claims.gate.load(Ordering::Relaxed) & Gate::CLOSED == 0 {
            return None;
        }
        let end = Head::from_bits(self.claims.end.load(Ordering::Relaxed));
        (end.closed(self.geometry.slots()) == head).then_some(end)
    }

    /// Refuses all later claims with [`Refusal::Failed`]. Claims that are under way still post; lanes get to know of it
    /// with [`ask_lanes`](Ring::ask_lanes).
    pub fn fail(&self) {
        // [gate.fail] Release, pairs with [gate.look] and [gate.refusal]: who sees the bit can tell why. (A claim that
        // misses it stays in the ring and is accounted for there.)
        let order = unless_mutant("gate.fail", Ordering::Release);
        self.claims.gate.fetch_or(Gate::FAILED, order);
    }

    /// Lets claims succeed again after [`fail`](Ring::fail).
    pub fn recover(&self) {
        // Relaxed: a claim that it lets in needs nothing from here.
        self.claims.gate.fetch_and(!Gate::FAILED, Ordering::Relaxed);
    }

    /// Lets only [`reserve_in_turn`](Ring::reserve_in_turn) claim, or everybody again.
    pub fn set_turns(&self, turns: bool) {
        // Relaxed on both: a claim that is made meanwhile came first.
        if turns {
            self.claims.gate.fetch_or(Gate::WAITED, Ordering::Relaxed);
        } else {
            self.claims.gate.fetch_and(!Gate::WAITED, Ordering::Relaxed);
        }
    }

    /// What is free, in bytes and in spans: at least that much, while nobody claims.
    pub fn room(&self) -> Room {
        // The head first: see `fill`.
        let head = self.head();
        let tail = self.tail();
        self.geometry.room(head, tail)
    }

    /// The same, by a producer: claims know of it from now on, and seldom have to look at the drain's own line.
    pub fn room_anew(&self) -> Room {
        let head = self.head();
        let tail = self.claims.seen.raise(self.tail());
        self.geometry.room(head, tail)
    }

    /// Ends the intake for ever: every claim is either before the end, and part of the ring, or refused.
    /// `false` if somebody else closes it or has.
    pub fn close(&self) -> bool {
        // Relaxed RMW: of two closers one comes first. The jump of the head carries the bit: who sees that is told
        // `Closed`, not `Full`.
        let before = self.claims.gate.fetch_or(Gate::CLOSED, Ordering::Relaxed);
        if before & Gate::CLOSED != 0 {
            return false;
        }
        self.end();
        true
    }

    /// The same for appends that go on past the ring, once it is drained: they are refused with
    /// [`Refusal::Aside`].
    pub fn set_aside(&self) -> bool {
        let gate = &self.claims.gate;
        // [gate.aside] Release, pairs with [gate.is_aside]: the sink that is kept for these appends is there, and its lock
        // free. Relaxed otherwise: corrected by the RMW.
        let set = gate.fetch_update(Ordering::Release, Ordering::Relaxed, |gate| {
            (gate & Gate::CLOSED == 0).then_some(gate | Gate::CLOSED | Gate::ASIDE)
        });
        if set.is_ok() {
            self.end();
        }
        set.is_ok()
    }

    /// Whether appends go on past the ring.
    pub fn is_aside(&self) -> bool {
        // [gate.is_aside] Acquire, pairs with [gate.aside].
        self.claims.gate.load(Ordering::Acquire) & Gate::ASIDE != 0
    }

    /// Takes that back: the ring is closed like any other.
    pub fn end_aside(&self) {
        // Relaxed: an append that is made meanwhile came first.
        self.claims.gate.fetch_and(!Gate::ASIDE, Ordering::Relaxed);
    }

    /// Has the head jump, so that it is seen that the gate is closed.
    fn end(&self) {
        let slots = self.geometry.slots();
        // Relaxed first look, corrected by the CAS.
        let mut bits = self.claims.head.load(Ordering::Relaxed);
        loop {
            // Relaxed: published by the Release of the jump.
            self.claims.end.store(bits, Ordering::Relaxed);
            let closed = Head::from_bits(bits).closed(slots).to_bits();
            // [end.jump] Release, pairs with [claim.head], [claim.retry] and [claim.again], which then find no descriptor
            // free and the gate closed, and with [head.load], which finds the end. No Acquire: this thread reads nothing
            // by it, and an RMW hands on what the claims before it have released.
            match self.claims.head.compare_exchange(
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

    /// Where a closed ring ended; `None` while it takes claims.
    pub fn ended(&self) -> Option<Head> {
        self.end_of(self.head_word())
    }

    /// Whether the ring has ended and the drain has come to its end. Async-signal-safe.
    pub fn is_drained(&self) -> bool {
        self.ended()
            .is_some_and(|end| end.seq == self.tail().seq as u32)
    }

    /// What tells this ring from others for as long as it lives: the address of its bytes.
    fn identity(&self) -> usize {
        self.memory.at(0).addr()
    }
}
