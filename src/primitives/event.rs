//! The eventcount: sleep until a lock-free structure has made a condition true.
//!
//! This file owns the epoch and the number of waiters. The caller owns the condition.

use std::time::{Duration, Instant};

use super::sync::{AtomicU32, Futex, Ordering, fence, or_mutant};

/// An eventcount. A waiter announces itself, looks at its condition once more, and sleeps until the
/// epoch moves. A notifier that sees no waiter pays one fence and one load.
///
/// ```text
/// waiter:    waiters += 1 ; FENCE ; epoch? ; condition? ; sleep while epoch unchanged
/// notifier:  make condition true ; FENCE ; waiters? ; epoch += 1 ; wake all
/// ```
///
/// The two fences form the store-then-load handshake: either the notifier sees the waiter, or the
/// waiter sees the condition.
#[derive(Debug)]
pub struct Event {
    epoch: Futex,
    waiters: AtomicU32,
}

impl Event {
    pub fn new() -> Self {
        Self {
            epoch: Futex::new(0),
            waiters: AtomicU32::new(0),
        }
    }

    /// Returns whether a thread waits, or is about to. The answer is exact for a caller that has
    /// made the condition true and then executed a fence.
    #[inline]
    pub fn has_waiters(&self) -> bool {
        // Relaxed: the caller's fence, paired with the one in `wait_until`, orders it.
        self.waiters.load(Ordering::Relaxed) != 0
    }

    /// Wakes all waiters, so that they look at their conditions again. Cheap if there are none.
    ///
    /// Store the change that makes a condition true before the call.
    pub fn notify(&self) {
        // [event.notify] SeqCst, pairs with [event.wait]: a waiter that we do not see here sees the
        // condition that the caller stored before.
        fence(or_mutant(
            "event.notify",
            Ordering::AcqRel,
            Ordering::SeqCst,
        ));
        if self.has_waiters() {
            // Relaxed: the two fences order it. The notifier's fence comes before this store and
            // the waiter's comes after its load of the epoch, so a waiter that sees the new epoch
            // sees the condition too. An RMW, so that two notifiers move the epoch twice.
            self.epoch.fetch_add(1, Ordering::Relaxed);
            self.epoch.wake_all();
        }
    }

    /// Sleeps until `ready` returns a value or `deadline` has passed. After the deadline it looks
    /// once more.
    ///
    /// Calls `ready` at least once, after it has announced this waiter, and again after each
    /// wake-up.
    pub fn wait_until<T>(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        // Relaxed RMW: the fence below orders it before the look at the condition.
        self.waiters.fetch_add(1, Ordering::Relaxed);
        let value = self.wait_announced(deadline, &mut ready);
        // Relaxed: a notifier that still counts this waiter makes a needless system call, nothing
        // worse.
        self.waiters.fetch_sub(1, Ordering::Relaxed);
        value
    }

    fn wait_announced<T>(
        &self,
        deadline: Option<Instant>,
        ready: &mut impl FnMut() -> Option<T>,
    ) -> Option<T> {
        loop {
            // Relaxed: the fence orders it, before the look at the condition.
            let epoch = self.epoch.load(Ordering::Relaxed);
            // [event.wait] SeqCst, pairs with [event.notify]: the announcement comes before the
            // look.
            fence(or_mutant("event.wait", Ordering::AcqRel, Ordering::SeqCst));
            if let Some(value) = ready() {
                return Some(value);
            }
            match remaining(deadline) {
                Some(left) if left.is_zero() => return None,
                left => self.epoch.wait(epoch, left),
            }
        }
    }
}

/// Returns the time left to `deadline`; `None` if there is no deadline.
fn remaining(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|at| at.saturating_duration_since(Instant::now()))
}
