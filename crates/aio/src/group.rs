//! The requests of one `lio_listio`, counted until the last of them is complete.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::event::Event;
use crate::wait;

/// Counts the outstanding requests of one list.
pub struct Group {
    left: AtomicUsize,
    failed: AtomicBool,
    event: Event,
}

impl Group {
    /// A group without requests, and a count of 1 for the call that still submits. `event` is sent
    /// after the last request.
    pub fn new(event: Event) -> Self {
        Self {
            left: AtomicUsize::new(1),
            failed: AtomicBool::new(false),
            event,
        }
    }

    /// Adds requests. The submitting call must still hold its count.
    pub fn expect(&self, requests: usize) {
        self.left.fetch_add(requests, Ordering::Relaxed); // Relaxed: the count is not 0 before
    }

    /// Counts requests as complete.
    pub fn complete(&self, requests: usize, failed: bool) {
        if failed {
            self.failed.store(true, Ordering::Relaxed); // Relaxed: the count below publishes it
        }
        // [group.left] AcqRel, pairs with itself and with [group.done]: the last request sees the
        // effects of the others.
        if self.left.fetch_sub(requests, Ordering::AcqRel) == requests {
            wait::wake();
            self.event.notify();
        }
    }

    pub fn is_done(&self) -> bool {
        // [group.done] Acquire, pairs with [group.left].
        self.left.load(Ordering::Acquire) == 0
    }

    /// Whether a request has failed. Valid once the group is done.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed) // Relaxed: `is_done` has synchronised
    }
}
