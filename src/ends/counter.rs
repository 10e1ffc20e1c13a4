//! A counter of statistics. Counters only inform: they order no other memory access.

use crate::primitives::sync::{AtomicU64, Ordering};

/// A number that only informs. No access orders another one, so all are Relaxed.
#[derive(Debug)]
pub struct Counter(AtomicU64);

impl Default for Counter {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Counter {
    /// The value. Relaxed, see the type.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Replaces the value. Relaxed, see the type.
    #[cfg(any(feature = "log", feature = "tracing"))]
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Adds `n` to a counter with several writers. Relaxed, see the type.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds 1 unless `done` is set, and sets it.
    pub fn add_once(&self, done: &mut bool) {
        if !*done {
            *done = true;
            self.add(1);
        }
    }

    /// Adds `n` to a counter that only this thread writes. Relaxed, see the type.
    pub fn add_alone(&self, n: u64) {
        self.0.store(self.get() + n, Ordering::Relaxed);
    }

    /// Raises the counter to `n` if it is below. Relaxed, see the type.
    pub fn raise(&self, n: u64) {
        self.0.fetch_max(n, Ordering::Relaxed);
    }
}
