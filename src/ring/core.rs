//! The ring itself: its words, and the questions that any thread may ask.
//!
//! This file joins the words that claims share (`claims.rs`), the drain's accounts (`accounts.rs`),
//! the lanes (`lanes.rs`) and the memory. It moves nothing itself: `reserve.rs` and `lane.rs` do
//! that for producers, `drain.rs` and `seal.rs` for the drain.
//!
//! # Safety
//!
//! The only `unsafe` code here is the access to a slot without a bounds check, in [`Ring::slot`].
#![allow(unsafe_code)]

use core::ops::Range;

use crossbeam_utils::CachePadded;

use super::accounts::{Accounts, Ledger};
use super::activation::Activation;
use super::claims::{Claims, Refusal};
use super::lanes::{LaneCounts, Lanes};
use super::recorder::Recorder;
use crate::memory::{Journal, Memory, Slot};
use crate::primitives::sync::Mutex;
use crate::words::{Geometry, Head, Room, Tail, extend};

/// A ring of bytes and slots that any number of threads reserve in and one drain empties.
#[derive(Debug)]
pub struct Ring<M> {
    pub(super) memory: M,
    pub(super) geometry: Geometry,
    pub(super) claims: CachePadded<Claims>,
    pub(super) drained: CachePadded<Ledger>,
    pub(super) lanes: Lanes,
    /// Set if the ring overwrites its oldest records.
    pub(super) recorder: Option<CachePadded<Recorder>>,
    pub(super) activation: Activation,
    /// The open reservations of an ended ring that the drain stepped over.
    pub(super) stepped_over: Mutex<Vec<SteppedOver>>,
}

/// A span that the drain stepped over while it was open. Its slot is not used again, so it shows
/// what its owner posts later.
#[derive(Clone, Copy, Debug)]
pub(super) struct SteppedOver {
    pub seq: u32,
    /// How many bytes of it were taken.
    pub taken: u32,
}

impl<M: Memory> Ring<M> {
    /// Creates the ring with the content between `origin` and `head`.
    pub(super) fn holding(memory: M, origin: Tail, head: Head) -> Self {
        Self {
            geometry: memory.geometry(),
            memory,
            claims: CachePadded::new(Claims::new(head, origin)),
            drained: CachePadded::new(Ledger::new(origin)),
            lanes: Lanes::new(),
            recorder: None,
            // A recovery writes everything that it finds.
            activation: Activation::until(extend(origin.pos, head.pos)),
            stepped_over: Mutex::new(Vec::new()),
        }
    }

    /// Returns the sizes.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Returns the journal, where the drain records its progress, if the ring outlives the process.
    pub fn journal(&self) -> Option<&Journal> {
        self.memory.journal()
    }

    /// Releases the memory. The drain has stopped, and no handle is left that could claim or post.
    pub fn release(&self) {
        self.memory.release();
    }

    /// Returns the lanes.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Returns a number that no other ring has during this ring's life: the address of its bytes.
    pub(super) fn identity(&self) -> usize {
        self.memory.at(0).addr()
    }

    /// Returns the slot of span `seq`.
    #[inline]
    pub(super) fn slot(&self, seq: u32) -> &Slot {
        let slots = self.memory.slots();
        let index = self.geometry.slot(seq);
        debug_assert!(index < slots.len());
        // SAFETY: `Memory` has as many slots as its geometry says. Ours is a copy of that geometry,
        // which returns no greater index.
        unsafe { slots.get_unchecked(index) }
    }
}

/// Progress of the ring.
impl<M: Memory> Ring<M> {
    /// Returns how far the drain has come.
    #[inline]
    pub fn tail(&self) -> Tail {
        self.drained.tail.load()
    }

    /// Returns what the drain has done so far, as of one moment.
    pub fn accounts(&self) -> Accounts {
        let Some(recorder) = &self.recorder else {
            return self.drained.read();
        };
        // What was overwritten counts as taken.
        let (tail, (overwritten, copied)) = (self.tail(), recorder.counts());
        let bytes = overwritten.bytes + copied.bytes;
        Accounts {
            tail,
            bytes,
            records: overwritten.records + copied.records,
            lost_bytes: 0,
            lost_records: 0,
            padding: (tail.pos - recorder.origin).saturating_sub(bytes),
            abandoned: 0,
            ahead: 0,
        }
    }

    /// Returns the head; if the ring is closed, the head at which it ended.
    pub fn head(&self) -> Head {
        let head = self.claims.head_word();
        let end = self.claims.end_of(head, self.geometry.slots());
        end.unwrap_or(head)
    }

    /// Returns the bytes between the tail and the head: records, padding, and open reservations.
    pub fn fill(&self) -> u32 {
        let used = self.used();
        (used.end - used.start) as u32
    }

    /// Returns the positions of the tail and the head.
    pub fn used(&self) -> Range<u64> {
        // The head first: a tail that is read later may have moved past it, and then the ring was
        // empty. In the other order, a full ring could seem to hold more than it can.
        let head = self.head();
        self.tail().until(head, self.geometry.capacity())
    }

    /// Returns what is free, in bytes and in spans. While no thread claims, at least that much is
    /// free.
    pub fn room(&self) -> Room {
        // The head first: see `fill`.
        let head = self.head();
        let tail = self.tail();
        self.geometry.room(head, tail)
    }

    /// Returns the [`room`](Ring::room) and records the tail for claims, so that they seldom have
    /// to read the drain's own cache line.
    pub fn room_anew(&self) -> Room {
        let head = self.head();
        let tail = self.claims.see(self.tail());
        self.geometry.room(head, tail)
    }

    /// Returns where a closed ring ended; `None` while the ring accepts claims.
    pub fn ended(&self) -> Option<Head> {
        let head = self.claims.head_word();
        self.claims.end_of(head, self.geometry.slots())
    }

    /// Returns whether the ring has ended and the drain has reached its end. Async-signal-safe.
    pub fn is_drained(&self) -> bool {
        self.ended()
            .is_some_and(|end| end.seq == self.tail().seq as u32)
    }
}

/// The gate: whether claims are accepted.
impl<M: Memory> Ring<M> {
    /// Refuses all later claims with [`Refusal::Failed`]. Claims in progress still post; lanes
    /// learn of the failure from [`ask_lanes`](Ring::ask_lanes).
    pub fn fail(&self) {
        self.claims.fail();
    }

    /// Lets claims succeed again after [`fail`](Ring::fail).
    pub fn recover(&self) {
        self.claims.recover();
    }

    /// Allows claims only through [`reserve_in_turn`](Ring::reserve_in_turn), or from every thread
    /// again.
    pub fn set_turns(&self, turns: bool) {
        self.claims.set_turns(turns);
    }

    /// Returns why every claim would be refused now, however much room there is.
    pub fn refusal(&self) -> Option<Refusal> {
        self.claims.refusal()
    }

    /// Closes the ring for good. Every claim either comes before the end and is part of the ring,
    /// or is refused. Returns `false` if another thread closes the ring or has closed it.
    pub fn close(&self) -> bool {
        self.claims.close(self.geometry.slots())
    }

    /// [Closes](Ring::close) the ring, and lets appends bypass it once it is drained: claims are
    /// refused with [`Refusal::Aside`].
    pub fn set_aside(&self) -> bool {
        self.claims.set_aside(self.geometry.slots())
    }

    /// Returns whether appends bypass the ring.
    pub fn is_aside(&self) -> bool {
        self.claims.is_aside()
    }

    /// Undoes [`set_aside`](Ring::set_aside): the ring is then closed like any other.
    pub fn end_aside(&self) {
        self.claims.end_aside();
    }

    /// Asks every lane to leave its span before its next record, so that it comes to the gate. Does
    /// not wait for that.
    pub fn ask_lanes(&self) {
        self.lanes.ask_all(&self.drained.tail);
    }

    /// Returns what the lanes have counted, and what they are doing.
    pub(super) fn lane_counts(&self) -> LaneCounts {
        self.lanes.counts(&self.drained.tail)
    }
}
