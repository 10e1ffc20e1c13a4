//! A tail that other threads read: two words, each of which only grows.
//!
//! A ring has two of them. The drain's own tail is in the ledger (`accounts.rs`); the claimers'
//! copy of it is next to the head (`claims.rs`). No other file touches these words.

use crate::primitives::sync::{AtomicU64, Ordering, unless_mutant};
use crate::words::Tail;

/// A tail in two words. Each word only grows, and each is right by itself: a reader that sees an
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

    /// Returns the tail. A thread that sees bytes and slots free also sees that the drain has
    /// finished reading them.
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
        // Relaxed: that fence orders it.
        self.pos.store(tail.pos, Ordering::Relaxed);
        // [tail.publish] Release, pairs with [tail.seq]. It comes after the position: a thread that
        // claims a slot that this frees has seen the bytes freed, and so has every thread that sees
        // that claim. So a fixed queue never seems to hold more than its entries.
        self.seq
            .store(tail.seq, unless_mutant("tail.publish", Ordering::Release));
    }

    /// Moves the copy forward to `tail`, never back. Returns where it is afterwards.
    ///
    /// A plain store by a slow claimer would undo the progress that a faster claimer has stored. A
    /// third claimer would then compute the 64-bit position of its record from a tail that is too
    /// old.
    pub(super) fn raise(&self, tail: Tail) -> Tail {
        // No Acquire: the result only says whether to look again. The claim that looks again loads
        // both words once more.
        // [seen.pos] Release, pairs with [tail.pos]: passes the drain's release on.
        let order = unless_mutant("seen.pos", Ordering::Release);
        let pos = self.pos.fetch_max(tail.pos, order);
        // [seen.seq] Release, pairs with [tail.seq]: as above. After the position, as in `publish`.
        let order = unless_mutant("seen.seq", Ordering::Release);
        let seq = self.seq.fetch_max(tail.seq, order);
        Tail {
            seq: tail.seq.max(seq),
            pos: tail.pos.max(pos),
        }
    }
}
