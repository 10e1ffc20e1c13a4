//! The ring itself: its words, and what any thread can ask of it.
//!
//! It joins the words that claims share (`claims.rs`), the drain's accounts (`accounts.rs`), the
//! lanes (`lanes.rs`) and the memory. Who moves what lies elsewhere: `reserve.rs` and `lane.rs` for
//! producers, `drain.rs` and `seal.rs` for the drain.
//!
//! # Safety
//!
//! The only `unsafe` here is the look-up of a slot without a check of bounds, in [`Ring::slot`].
#![allow(unsafe_code)]

use crossbeam_utils::CachePadded;

use super::accounts::{Accounts, Ledger};
use super::claims::{Claims, Refusal};
use super::lanes::{LaneCounts, Lanes};
use crate::memory::{Journal, Memory, Slot};
use crate::primitives::sync::Mutex;
use crate::words::{Geometry, Head, Room, Tail};

/// A ring of bytes and slots that any number of threads reserve in and one drain empties.
#[derive(Debug)]
pub struct Ring<M> {
    pub(super) memory: M,
    pub(super) geometry: Geometry,
    pub(super) claims: CachePadded<Claims>,
    pub(super) drained: CachePadded<Ledger>,
    pub(super) lanes: Lanes,
    /// The reservations of an ended ring that the drain went past while they were open.
    pub(super) stepped_over: Mutex<Vec<SteppedOver>>,
}

/// A span that the drain went past while it was open. Its slot is not used again, so what its owner
/// still does can be seen there.
#[derive(Clone, Copy, Debug)]
pub(super) struct SteppedOver {
    pub seq: u32,
    /// How many bytes of it were taken.
    pub taken: u32,
}

impl<M: Memory> Ring<M> {
    /// The ring that holds what lies between `origin` and `head`.
    pub(super) fn holding(memory: M, origin: Tail, head: Head) -> Self {
        Self {
            geometry: memory.geometry(),
            memory,
            claims: CachePadded::new(Claims::new(head, origin)),
            drained: CachePadded::new(Ledger::new(origin)),
            lanes: Lanes::new(),
            stepped_over: Mutex::new(Vec::new()),
        }
    }

    /// The sizes.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Where the drain notes how far it has come, if the ring outlives the process.
    pub fn journal(&self) -> Option<&Journal> {
        self.memory.journal()
    }

    /// Gives the memory up: the drain has stopped, and no handle is left that could claim or post.
    pub fn release(&self) {
        self.memory.release();
    }

    /// The lanes.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// What tells this ring from others for as long as it lives: the address of its bytes.
    pub(super) fn identity(&self) -> usize {
        self.memory.at(0).addr()
    }

    /// The slot of span `seq`.
    #[inline]
    pub(super) fn slot(&self, seq: u32) -> &Slot {
        let slots = self.memory.slots();
        let index = self.geometry.slot(seq);
        debug_assert!(index < slots.len());
        // SAFETY: `Memory` has as many slots as its geometry says, which is a copy of this one, and
        // that gives no greater index.
        unsafe { slots.get_unchecked(index) }
    }
}

/// How far the ring has come.
impl<M: Memory> Ring<M> {
    /// How far the drain has come.
    #[inline]
    pub fn tail(&self) -> Tail {
        self.drained.tail.load()
    }

    /// What the drain has done so far, as of one moment.
    pub fn accounts(&self) -> Accounts {
        self.drained.read()
    }

    /// The head; of a closed ring, the head at which it ended.
    pub(super) fn head(&self) -> Head {
        let head = self.claims.head_word();
        let end = self.claims.end_of(head, self.geometry.slots());
        end.unwrap_or(head)
    }

    /// Bytes between the tail and the head: records, padding, and reservations that are still open.
    pub fn fill(&self) -> u32 {
        // The head first: a tail that is read later may have moved past it, and then the ring was
        // empty. The other way round, a full ring could seem to hold more than it can.
        let head = self.head();
        let used = self.tail().bytes_to(head);
        if used > self.geometry.capacity() {
            0
        } else {
            used
        }
    }

    /// What is free, in bytes and in spans: at least that much, while no thread claims.
    pub fn room(&self) -> Room {
        // The head first: see `fill`.
        let head = self.head();
        let tail = self.tail();
        self.geometry.room(head, tail)
    }

    /// [`room`](Ring::room) for a producer: claims know of the tail from now on, and seldom have to
    /// look at the drain's own line.
    pub fn room_anew(&self) -> Room {
        let head = self.head();
        let tail = self.claims.see(self.tail());
        self.geometry.room(head, tail)
    }

    /// Where a closed ring ended; `None` while it takes claims.
    pub fn ended(&self) -> Option<Head> {
        let head = self.claims.head_word();
        self.claims.end_of(head, self.geometry.slots())
    }

    /// Whether the ring has ended and the drain has come to its end. Async-signal-safe.
    pub fn is_drained(&self) -> bool {
        self.ended()
            .is_some_and(|end| end.seq == self.tail().seq as u32)
    }
}

/// Letting claims in, or refusing them.
impl<M: Memory> Ring<M> {
    /// Refuses all later claims with [`Refusal::Failed`]. Claims that are under way still post;
    /// lanes learn of it from [`ask_lanes`](Ring::ask_lanes).
    pub fn fail(&self) {
        self.claims.fail();
    }

    /// Lets claims succeed again after [`fail`](Ring::fail).
    pub fn recover(&self) {
        self.claims.recover();
    }

    /// Lets only [`reserve_in_turn`](Ring::reserve_in_turn) claim, or every thread again.
    pub fn set_turns(&self, turns: bool) {
        self.claims.set_turns(turns);
    }

    /// Why every claim would be refused now, whatever room there is.
    pub fn refusal(&self) -> Option<Refusal> {
        self.claims.refusal()
    }

    /// Ends the intake for good: every claim is either before the end, and part of the ring, or
    /// refused. Returns `false` if another thread closes the ring or has closed it.
    pub fn close(&self) -> bool {
        self.claims.close(self.geometry.slots())
    }

    /// [`close`](Ring::close) for appends that go on past the ring once it is drained: they are
    /// refused with [`Refusal::Aside`].
    pub fn set_aside(&self) -> bool {
        self.claims.set_aside(self.geometry.slots())
    }

    /// Whether appends go on past the ring.
    pub fn is_aside(&self) -> bool {
        self.claims.is_aside()
    }

    /// Takes [`set_aside`](Ring::set_aside) back: the ring is closed like any other.
    pub fn end_aside(&self) {
        self.claims.end_aside();
    }

    /// Makes every lane leave its span before its next record, and so come to the gate. It does not
    /// wait for that.
    pub fn ask_lanes(&self) {
        self.lanes.ask_all(&self.drained.tail);
    }

    /// What the lanes have counted, and what they are doing.
    pub(super) fn lane_counts(&self) -> LaneCounts {
        self.lanes.counts(&self.drained.tail)
    }
}
