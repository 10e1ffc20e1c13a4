//! The words through which the owner of one lane and the drain communicate.
//!
//! This file owns the words of one lane. The head of `lane.rs` shows the handshake that uses them.

use crossbeam_utils::CachePadded;

use crate::primitives::sync::{AtomicBool, AtomicU64, Ordering, is_mutant, unless_mutant};

/// The shared words of one lane. A block is never used for another lane.
#[derive(Debug)]
pub(super) struct Block {
    /// Its number among the lanes of the ring. The lane's spans carry it in their notes.
    pub id: u32,
    /// `{ records 63, busy 1 }`, stored by the owner with every record; the drain reads it when it
    /// seals.
    owner: CachePadded<AtomicU64>,
    control: CachePadded<Control>,
}

/// The second cache line: read with every record, written once a span.
#[derive(Debug)]
struct Control {
    /// `{ seq 32, len 32 }` of the open span. A `len` of 0 means that no span is open.
    open: AtomicU64,
    /// The highest sequence that the owner was asked to leave.
    seal: AtomicU64,
    /// The sequence of the newest span; 0 before the first.
    last: AtomicU64,
    /// The owner is gone.
    dropped: AtomicBool,
}

const BUSY: u64 = 1;

impl Block {
    pub(super) fn new(id: u32) -> Self {
        Self {
            id,
            owner: CachePadded::new(AtomicU64::new(0)),
            control: CachePadded::new(Control {
                open: AtomicU64::new(0),
                seal: AtomicU64::new(0),
                last: AtomicU64::new(0),
                dropped: AtomicBool::new(false),
            }),
        }
    }

    /// Returns the open span: the low half of its sequence, and its length.
    pub(super) fn open(&self) -> Option<(u32, u32)> {
        // [block.open] Acquire, pairs with [block.set_open]: an owner that has continued in another
        // span has made its last commit to the previous span, and this thread sees that commit.
        let bits = self
            .control
            .open
            .load(unless_mutant("block.open", Ordering::Acquire));
        let (seq, len) = ((bits >> 32) as u32, bits as u32);
        (len != 0).then_some((seq, len))
    }

    /// For the owner: declares `seq` open. Returns the length of the span that was open before; 0
    /// if the drain has shut it.
    pub(super) fn set_open(&self, seq: u64, len: u32) -> u32 {
        // [block.set_open] Release, pairs with [block.open]: the earlier commits and `busy` are
        // seen. An RMW: either the owner or the drain shuts the previous span, not both.
        let bits = u64::from(seq as u32) << 32 | u64::from(len);
        self.control
            .open
            .swap(bits, unless_mutant("block.set_open", Ordering::Release)) as u32
    }

    /// For the drain: shuts span `seq` of `len` bytes. Returns `false` if its owner has shut it.
    pub(super) fn shut(&self, seq: u32, len: u32) -> bool {
        let bits = u64::from(seq) << 32 | u64::from(len);
        // Relaxed: the drain has read what it needs with Acquire before, and the owner reads only
        // the length.
        let open = &self.control.open;
        open.compare_exchange(bits, 0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// For the owner: declares that it is at work and has posted `records` so far.
    #[inline]
    pub(super) fn set_busy(&self, records: u64) {
        // [block.begin] Release, pairs with [block.records]: a thread that counts these records
        // finds them in the ring. For the seal, the fence that follows orders the store, or the
        // Release in `set_open`.
        self.owner.store(
            records << 1 | BUSY,
            unless_mutant("block.begin", Ordering::Release),
        );
    }

    /// For the owner: declares that it is no longer at work.
    #[inline]
    pub(super) fn set_idle(&self, records: u64) {
        // [block.idle] Release, pairs with [block.busy] and [block.records]: a thread that sees it
        // sees the earlier commit.
        self.owner
            .store(records << 1, unless_mutant("block.idle", Ordering::Release));
    }

    /// For the owner: returns whether it was asked to leave its span `seq`.
    #[inline]
    pub(super) fn is_asked(&self, seq: u64) -> bool {
        // Relaxed: the earlier fence orders it, and the word carries only its own value.
        self.control.seal.load(Ordering::Relaxed) >= seq
    }

    /// For the owner: stores its newest span, `seq`.
    pub(super) fn set_last(&self, seq: u64) {
        // Relaxed: the Release in `set_open` and the Release of every commit carry it.
        self.control.last.store(seq, Ordering::Relaxed);
    }

    /// For the owner: declares it gone. It has left its span.
    pub(super) fn set_dropped(&self) {
        // [block.drop] Release, pairs with [block.is_dropped].
        let order = unless_mutant("block.drop", Ordering::Release);
        self.control.dropped.store(true, order);
    }

    /// Returns whether the owner is at work: it may be about to commit, or it holds a reservation.
    #[inline]
    pub(super) fn is_busy(&self) -> bool {
        // [block.busy] Acquire, pairs with [block.idle]: a thread that sees 0 sees all earlier
        // commits.
        let bits = self
            .owner
            .load(unless_mutant("block.busy", Ordering::Acquire));
        bits & BUSY != 0 && !is_mutant("block.busy:ignored")
    }

    /// Returns how many records were posted in spans of this lane so far.
    pub(super) fn records(&self) -> u64 {
        // [block.records] Acquire, pairs with [block.idle] and [block.begin]: what this thread
        // reads of the ring next is not older than these records.
        self.owner
            .load(unless_mutant("block.records", Ordering::Acquire))
            >> 1
    }

    /// Asks the owner to leave `seq` and all earlier spans. Returns `false` if it was asked before.
    /// The caller holds the lock of the list, and issues a heavy fence before it releases the lock.
    pub(super) fn ask(&self, seq: u64) -> bool {
        // Relaxed on both: the lock admits one requester at a time, and the fence orders the store.
        // Loaded first: a store would take the line from the owner.
        let is_new = self.control.seal.load(Ordering::Relaxed) < seq;
        if is_new {
            self.control.seal.store(seq, Ordering::Relaxed);
        }
        is_new
    }

    /// Returns the newest span of this lane.
    pub(super) fn last(&self) -> u64 {
        // Relaxed: the earlier load in `is_dropped` orders it.
        self.control.last.load(Ordering::Relaxed)
    }

    /// Returns whether the owner is gone.
    pub(super) fn is_dropped(&self) -> bool {
        // [block.is_dropped] Acquire, pairs with [block.drop]: the last span of the lane is seen,
        // and its last record.
        let order = unless_mutant("block.is_dropped", Ordering::Acquire);
        self.control.dropped.load(order)
    }
}
