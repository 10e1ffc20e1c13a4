//! The requests of one `lio_listio`: what is done when the last of them is complete.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::event::Event;
use crate::wait;

/// The requests of one list, counted.
pub struct Group {
    left: AtomicUsize,
    failed: AtomicBool,
    event: Event,
}

impl Group {
    /// No request yet, but one to come; `event` comes after the last.
    pub fn new(event: Event) -> Self {
        Self {
            left: AtomicUsize::new(1),
            failed: AtomicBool::new(false),
            event,
        }
    }

    /// More requests, before the one to come.
    pub fn expect(&self, requests: usize) {
        self.left.fetch_add(requests, Ordering::Relaxed); // Relaxed: it is not 0 before
    }

    /// Some of the requests are complete.
    pub fn complete(&self, requests: usize, failed: bool) {
        if failed {
            self.failed.store(true, Ordering::Relaxed); // Relaxed: the count below publishes it
        }
        // [group.left] AcqRel, pairs with itself and with [group.done]: the last one sees what the
        // others have done.
        if self.left.fetch_sub(requests, Ordering::AcqRel) == requests {
            wait::wake();
            self.event.tell();
        }
    }

    pub fn is_done(&self) -> bool {
        // [group.done] Acquire, pairs with [group.left].
        self.left.load(Ordering::Acquire) == 0
    }

    /// Whether a request has failed. Only once it is done.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed) // Relaxed: `is_done` has synchronised
    }
}
