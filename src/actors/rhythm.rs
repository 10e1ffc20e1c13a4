//! When the sync thread syncs although no caller waits: the policy of the queue, and its clock.
//!
//! This file decides when a sync is due. `durability` knows what is synced, and `syncer` syncs.

use std::time::Instant;

use crate::primitives::sync::{AtomicU64, Mutex, Ordering, fence, or_mutant};
use crate::words::SyncPolicy;

/// The policy of one queue, and since when it has bytes to sync.
#[derive(Debug)]
pub struct Rhythm {
    policy: Option<SyncPolicy>,
    /// The flusher wakes the sync thread when the tail has reached this position.
    alarm: AtomicU64,
    /// Since when there may be bytes that are written and not synced. Stays `None` without a time
    /// in the policy.
    since: Mutex<Option<Instant>>,
}

impl Rhythm {
    pub fn new(policy: Option<SyncPolicy>) -> Self {
        Self {
            policy,
            alarm: AtomicU64::new(u64::MAX),
            since: Mutex::new(None),
        }
    }

    /// Returns whether the queue syncs although no caller waits.
    pub fn is_set(&self) -> bool {
        self.policy.is_some()
    }

    /// Sets the position at which the flusher wakes the sync thread, and returns the position from
    /// which on nothing is synced. `unsynced_from` gives it, or `None` if no sync may follow. For
    /// the sync thread, before it looks at the tail.
    ///
    /// While everything is synced, the first byte wakes the thread. Then the thread sleeps until
    /// the time of the policy, and only its number of bytes wakes it earlier.
    pub(super) fn arm(&self, unsynced_from: impl FnOnce() -> Option<u64>) -> Option<u64> {
        let policy = self.policy?;
        let from = unsynced_from();
        let mut since = self.since.lock();
        if from.is_none() {
            *since = None;
        }
        let is_first = policy.time.is_some() && since.is_none();
        let bytes = if is_first { Some(1) } else { policy.bytes };
        let alarm = from
            .zip(bytes)
            .map(|(from, bytes)| from.saturating_add(bytes));
        // Relaxed: the fence orders it before the look at the tail.
        self.alarm
            .store(alarm.unwrap_or(u64::MAX), Ordering::Relaxed);
        // [alarm.set] SeqCst, pairs with [watch.fence]: either the flusher sees the alarm, or the
        // sync thread sees the tail.
        fence(or_mutant("alarm.set", Ordering::AcqRel, Ordering::SeqCst));
        from
    }

    /// Returns whether the flusher must wake the sync thread, now that the tail is at `tail`. For
    /// the flusher, after [`Watch::is_awaited`](crate::ends::Watch::is_awaited).
    pub(super) fn is_reached(&self, tail: u64) -> bool {
        // Relaxed: the fence of `is_awaited` orders it after the store of the tail.
        self.alarm.load(Ordering::Relaxed) <= tail
    }

    /// Returns whether a sync of what is written up to `end` is due. Nothing from `from` on is
    /// synced; `is_last` if nothing is written any more.
    pub(super) fn is_due(&self, from: u64, end: u64, is_last: bool) -> bool {
        let Some(policy) = self.policy else {
            return false;
        };
        let mut since = self.since.lock();
        let bytes = end.saturating_sub(from);
        if bytes == 0 {
            *since = None;
            return false;
        }
        if is_last || policy.bytes.is_some_and(|limit| bytes >= limit) {
            return true;
        }
        let has_passed = |time| since.get_or_insert_with(Instant::now).elapsed() >= time;
        policy.time.is_some_and(has_passed)
    }

    /// Notes that a sync has returned which began at `began`: bytes that were written since are not
    /// synced.
    pub(super) fn has_synced(&self, began: Instant) {
        if self.policy.is_some_and(|policy| policy.time.is_some()) {
            *self.since.lock() = Some(began);
        }
    }

    /// Returns when the next sync is due at the latest, as far as the sync thread knows of bytes
    /// that are not synced.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let time = self.policy?.time?;
        self.since.lock().and_then(|since| since.checked_add(time))
    }
}
