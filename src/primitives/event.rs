//! The eventcount: sleep until something that a lock-free structure did makes a condition true.

use std::time::{Duration, Instant};

use super::sync::{AtomicU32, Futex, Ordering, fence, or_mutant};

/// An eventcount: waiters announce themselves, look at their condition once more, and sleep until the epoch
/// moves; a notifier that finds nobody announced pays one fence and one load.
///
/// ```text
/// waiter:    waiters += 1 ; FENCE ; epoch? ; condition? ; sleep while epoch unchanged
/// notifier:  make condition true ; FENCE ; waiters? ; epoch += 1 ; wake all
/// ```
///
/// The two fences are the store-then-load hand-shake: either the notifier sees the waiter, or the waiter
/// sees the condition.
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

    /// Whether somebody waits (or is about to). Exact for whoever made the condition true and fenced.
    #[inline]
    pub fn has_waiters(&self) -> bool {
        // Relaxed: the caller's fence, paired with the one in `wait_until`, orders it.
        self.waiters.load(Ordering::Relaxed) != 0
    }

    /// Wakes all who wait, so that they look at their conditions again. Cheap when nobody does.
    ///
    /// What made a condition true must be stored before the call.
    pub fn notify(&self) {
        // [event.notify] SeqCst, pairs with [event.wait]: the condition that the caller stored before is seen by a
        // waiter that we do not see.
        fence(or_mutant(
            "event.notify",
            Ordering::AcqRel,
            Ordering::SeqCst,
        ));
        if self.has_waiters() {
            // Relaxed: who sees the new epoch sees the condition too, by the two fences, one of which came before this
            // and the other comes behind the load. An RMW, so that two notifiers move it twice.
            self.epoch.fetch_add(1, Ordering::Relaxed);
            self.epoch.wake_all();
        }
    }

    /// Sleeps until `ready` gives a value, or `deadline` has passed; then one last look.
    ///
    /// `ready` is called at least once, after this waiter has been announced, and again after each wake-up.
    pub fn wait_until<T>(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        // Relaxed RMW: the fence below orders it before the look at the condition.
        self.waiters.fetch_add(1, Ordering::Relaxed);
        let value = self.wait_announced(deadline, &mut ready);
        // Relaxed: a notifier that still sees this waiter wakes nobody, at the price of a system call.
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
            // [event.wait] SeqCst, pairs with [event.notify]: the announcement comes before the look.
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

/// The time left to `deadline`; `None` when there is no deadline.
fn remaining(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|at| at.saturating_duration_since(Instant::now()))
}
