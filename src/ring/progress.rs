//! A tail that other threads read: two words, each of which only grows.
//!
//! The ring has two of them. The ledger's is the drain's own (`accounts.rs`); the claimers' copy of
//! it lies beside the head (`claims.rs`). No other file touches these words.

use crate::primitives::sync::{AtomicU64, Ordering, unless_mutant};
use crate::words::Tail;

/// A tail in two words. Each word only grows, and each is right by itself: a reader that gets an
/// older half only believes that less is free.
#[derive(Debug)]
pub(super) struct Progress {
    seq: AtomicU64,
    pos: AtomicU64,
}

impl Progress {
    pub(super) fn new(tail: Tail) -> Self {
        Self {
            seq: AtomicU64::new(tail.seq),
            pos: AtomicU64::new(tail.pos),
        }
    }

    /// A thread that sees bytes and slots free also sees that the drain has finished reading them.
    #[inline]
    pub(super) fn load(&self) -> Tail {
        Tail {
            // [tail.seq] Acquire, pairs with [tail.publish] and [seen.seq]: the position is at
            // least as new.
            seq: self.seq.load(unless_mutant("tail.seq", Ordering::Acquire)),
            // [tail.pos] Acquire, pairs with [ledger.odd] and [seen.pos]: it may be newer than the
            // sequence.
            pos: self.pos.load(unless_mutant("tail.pos", Ordering::Acquire)),
        }
    }

    /// Stores the drain's tail. The caller has executed a Release fence, [ledger.odd].
    pub(super) fn publish(&self, tail: Tail) {
        // Relaxed: ordered by that fence.
        self.pos.store(tail.pos, Ordering::Relaxed);
        // [tail.publish] Release, pairs with [tail.seq]. It comes after the position: a thread that
        // claims a slot that this frees has seen the bytes freed, and so has every thread that sees
        // that claim. A fixed queue never seems to hold more than its entries.
        self.seq
            .store(tail.seq, unless_mutant("tail.publish", Ordering::Release));
    }

    /// Moves the copy forward to `tail`, never back, and returns where it stands.
    ///
    /// A plain store by a slow claimer would take back what a faster one has seen, and a third
    /// would compute the 64-bit position of its record from it.
    pub(super) fn raise(&self, tail: Tail) -> Tail {
        // No Acquire: the result only says whether to look again, and the claim that does loads
        // both words once more.
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
