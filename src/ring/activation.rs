//! Up to where callers have activated the ring, and whether it ever had a quiet record.
//!
//! This file owns these two words. `quiet.rs` says what follows from them.

use crate::primitives::sync::{AtomicBool, AtomicU64, Ordering};

/// What callers have activated.
#[derive(Debug)]
pub(super) struct Activation {
    /// The position before which everything is activated, by callers and by a recovery.
    until: AtomicU64,
    /// Whether the ring has ever had a quiet record. Then the drain notes what a post activates.
    has_quiet: AtomicBool,
}

impl Activation {
    pub(super) fn until(position: u64) -> Self {
        Self {
            until: AtomicU64::new(position),
            has_quiet: AtomicBool::new(false),
        }
    }

    /// For a poster, before it publishes a quiet record.
    pub(super) fn note_quiet(&self) {
        // Relaxed on both: the Release of the post carries it. Loaded first: a store would take the
        // line from the others.
        if !self.has_quiet.load(Ordering::Relaxed) {
            self.has_quiet.store(true, Ordering::Relaxed);
        }
    }

    /// Returns whether a quiet record was posted before any record that this thread has seen.
    pub(super) fn has_quiet(&self) -> bool {
        // Relaxed: the Acquire of the record's state orders it.
        self.has_quiet.load(Ordering::Relaxed)
    }

    /// For any thread: activates what lies before `position`.
    pub(super) fn raise(&self, position: u64) {
        // Relaxed on both: the word carries only its own value, and the bell shows it to the drain.
        // Loaded first: refused callers come often, while the head does not move.
        if self.until.load(Ordering::Relaxed) < position {
            self.until.fetch_max(position, Ordering::Relaxed);
        }
    }

    /// Returns the position before which everything is activated.
    pub(super) fn position(&self) -> u64 {
        // Relaxed: see `raise`.
        self.until.load(Ordering::Relaxed)
    }
}
