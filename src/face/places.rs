//! How many threads may have a lane of a queue.

use crate::primitives::sync::plain::{AtomicU32, Ordering};

/// How many threads have a lane of a queue. It ends with the last handle of the queue.
#[derive(Debug)]
pub(super) struct Places {
    taken: AtomicU32,
    max: u32,
}

/// The bytes of the ring for each lane of a thread. All open spans together hold at most a quarter
/// of the ring, and the first span of a lane has 1 KiB.
const RING_PER_LANE: u32 = 4096;

impl Places {
    /// Makes the places of a ring of `capacity` bytes.
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            taken: AtomicU32::new(0),
            max: (capacity / RING_PER_LANE).max(1),
        }
    }

    /// Returns whether a place is free now.
    pub(super) fn are_free(&self) -> bool {
        // Relaxed: the number orders nothing.
        self.taken.load(Ordering::Relaxed) < self.max
    }

    /// Takes a place. Returns whether one was free.
    pub(super) fn take(&self) -> bool {
        // Relaxed: as above.
        let is_free = self.taken.fetch_add(1, Ordering::Relaxed) < self.max;
        if !is_free {
            self.give_back();
        }
        is_free
    }

    pub(super) fn give_back(&self) {
        // Relaxed: as above.
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
