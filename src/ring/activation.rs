//! Up to where callers have activated the ring, and whether it ever had a quiet record.
//!
//! This file owns these words. `quiet.rs` says what follows from them.

use crate::primitives::sync::{AtomicBool, AtomicU64, Ordering};

/// What callers have activated.
#[derive(Debug)]
pub(super) struct Activation {
    /// The position before which everything is activated, by callers and by a recovery. A record
    /// ends here.
    until: AtomicU64,
    /// Up to here everything was reserved when a caller found no room, and all of it is activated.
    /// The position may lie inside a record: a reservation may have given its rest back since.
    reserved_until: AtomicU64,
    /// Whether the ring has ever had a quiet record. Then the drain notes what a post activates.
    has_quiet: AtomicBool,
}

impl Activation {
    pub(super) fn until(position: u64) -> Self {
        Self {
            until: AtomicU64::new(position),
            reserved_until: AtomicU64::new(0),
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

    /// For any thread: activates what lies before `position`, where a record ends.
    pub(super) fn raise(&self, position: u64) {
        raise(&self.until, position);
    }

    /// For any thread: activates what is reserved before `position`.
    pub(super) fn raise_reserved(&self, position: u64) {
        raise(&self.reserved_until, position);
    }

    /// Returns the position before which everything is activated.
    pub(super) fn position(&self) -> u64 {
        // Relaxed: see `raise`.
        self.until.load(Ordering::Relaxed)
    }

    /// Returns the position before which everything that is reserved is activated.
    pub(super) fn reserved_until(&self) -> u64 {
        // Relaxed: see `raise`.
        self.reserved_until.load(Ordering::Relaxed)
    }
}

fn raise(word: &AtomicU64, position: u64) {
    // Relaxed on both: the word carries only its own value, and the bell shows it to the drain.
    // Loaded first: refused callers come often, while the head does not move.
    if word.load(Ordering::Relaxed) < position {
        word.fetch_max(position, Ordering::Relaxed);
    }
}
