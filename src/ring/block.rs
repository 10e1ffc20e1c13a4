//! What the owner of one lane and the drain tell each other.
//!
//! It owns the words of one lane; the hand-shake in which they are used is at the head of
//! `lane.rs`.

use crossbeam_utils::CachePadded;

use crate::primitives::sync::{AtomicBool, AtomicU64, Ordering, is_mutant, unless_mutant};

/// The shared words of one lane. A block is never used for another lane.
#[derive(Debug)]
pub(super) struct Block {
    /// Its number among the lanes of the ring, with which its spans are marked.
    pub id: u32,
    /// `{ records 63, busy 1 }`, stored by the owner with every record; the drain reads it when it
    /// seals.
    owner: CachePadded<AtomicU64>,
    control: CachePadded<Control>,
}

/// The other line: read with every record, written once a span.
#[derive(Debug)]
struct Control {
    /// `{ seq 32, len 32 }` of the span that is open; a `len` of 0 says that no span is.
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

    /// The span that is open: the low half of its sequence, and its length.
    pub(super) fn open(&self) -> Option<(u32, u32)> {
        // [block.open] Acquire, pairs with [block.set_open]: an owner that has gone on to another
        // span has made its last commit to the one before, and that is seen.
        let bits = self
            .control
            .open
            .load(unless_mutant("block.open", Ordering::Acquire));
        let (seq, len) = ((bits >> 32) as u32, bits as u32);
        (len != 0).then_some((seq, len))
    }

    /// For the owner: `seq` is open from now on. Returns the length of the span that was open until
    /// now; 0 if the drain has shut it.
    pub(super) fn set_open(&self, seq: u64, len: u32) -> u32 {
        // [block.set_open] Release, pairs with [block.open]: what was committed before, and `busy`,
        // are seen. An RMW: either the owner or the drain shuts the span before, not both.
        let bits = u64::from(seq as u32) << 32 | u64::from(len);
        self.control
            .open
            .swap(bits, unless_mutant("block.set_open", Ordering::Release)) as u32
    }

    /// For the drain: shuts span `seq` of `len` bytes, unless its owner has.
    pub(super) fn shut(&self, seq: u32, len: u32) -> bool {
        let bits = u64::from(seq) << 32 | u64::from(len);
        // Relaxed: the drain has read what it needs with Acquire before, and the owner reads only
        // the length.
        let open = &self.control.open;
        open.compare_exchange(bits, 0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// For the owner: it is at work, and has posted `records` so far.
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

    /// For the owner: it is not at work any more.
    #[inline]
    pub(super) fn set_idle(&self, records: u64) {
        // [block.idle] Release, pairs with [block.busy] and [block.records]: a thread that sees it
        // sees the commit before.
        self.owner
            .store(records << 1, unless_mutant("block.idle", Ordering::Release));
    }

    /// For the owner: whether it was asked to leave `seq`, its span.
    #[inline]
    pub(super) fn is_asked(&self, seq: u64) -> bool {
        // Relaxed: ordered by the fence before; the word carries nothing but itself.
        self.control.seal.load(Ordering::Relaxed) >= seq
    }

    /// For the owner: its newest span is `seq`.
    pub(super) fn set_last(&self, seq: u64) {
        // Relaxed: carried by the Release in `set_open`, and by that of every commit.
        self.control.last.store(seq, Ordering::Relaxed);
    }

    /// For the owner: it goes away, and has left its span.
    pub(super) fn set_dropped(&self) {
        // [block.drop] Release, pairs with [block.is_dropped].
        let order = unless_mutant("block.drop", Ordering::Release);
        self.control.dropped.store(true, order);
    }

    /// Whether the owner is at work: it may be about to commit, or holds a reservation.
    #[inline]
    pub(super) fn is_busy(&self) -> bool {
        // [block.busy] Acquire, pairs with [block.idle]: a thread that sees 0 sees all commits
        // before.
        let bits = self
            .owner
            .load(unless_mutant("block.busy", Ordering::Acquire));
        bits & BUSY != 0 && !is_mutant("block.busy:ignored")
    }

    /// Records posted in spans of this lane so far.
    pub(super) fn records(&self) -> u64 {
        // [block.records] Acquire, pairs with [block.idle] and [block.begin]: what is read of the
        // ring next is not older than these records.
        self.owner.load(Ordering::Acquire) >> 1
    }

    /// Asks the owner to leave `seq` and all spans before; `false` if it was asked before. The
    /// caller holds the lock of the list and, unless it is the owner, issues a heavy fence before
    /// it releases the lock.
    pub(super) fn ask(&self, seq: u64) -> bool {
        // Relaxed on both: the lock admits one requester at a time, and the fence orders the store.
        // Loaded first: a store would take the line from the owner.
        let is_new = self.control.seal.load(Ordering::Relaxed) < seq;
        if is_new {
            self.control.seal.store(seq, Ordering::Relaxed);
        }
        is_new
    }

    /// The newest span of this lane.
    pub(super) fn last(&self) -> u64 {
        // Relaxed: ordered by `is_dropped`, which is read before.
        self.control.last.load(Ordering::Relaxed)
    }

    /// Whether the owner is gone.
    pub(super) fn is_dropped(&self) -> bool {
        // [block.is_dropped] Acquire, pairs with [block.drop]: the last span of the lane is seen,
        // and its last record.
        let order = unless_mutant("block.is_dropped", Ordering::Acquire);
        self.control.dropped.load(order)
    }
}
