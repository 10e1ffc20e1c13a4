//! What is durable in a queue, and which sinks the sync thread must still sync.
//!
//! This file owns the record of it; `syncer` does the syncs. Nothing here calls a sink.

use std::collections::VecDeque;

use crate::ends::Sink;
use crate::primitives::Event;
use crate::primitives::sync::{AtomicBool, AtomicU64, Mutex, Ordering, PlainArc, unless_mutant};
use crate::words::{Error, SyncOp};

/// The state that the callers of `fsync`, the flusher and the sync thread share.
pub struct Durability {
    /// The positions up to which fdatasync and fsync have returned. What lies in a [`Gap`] is not
    /// durable even so.
    data: AtomicU64,
    full: AtomicU64,
    /// Whether `data` and `full` are incomplete: a sync has failed, or a sink could not be synced.
    is_doubted: AtomicBool,
    /// Notified when a sync may be due, and when the flusher has ended.
    pub(super) wanted: Event,
    pub(super) state: Mutex<State>,
}

/// The part that changes with a reopen or a failed sync.
pub(super) struct State {
    pub thread: Thread,
    /// The sink that the flusher writes to. `None` after the last write, and in models that do not
    /// sync.
    pub sink: Option<PlainArc<dyn Sink>>,
    /// The number of sinks before this one.
    pub era: u64,
    /// The position of the first byte that went to this sink.
    pub begin: u64,
    /// Sinks that a reopen has replaced, oldest first. Each is synced before later bytes count as
    /// durable.
    pub retired: VecDeque<Retired>,
    /// The error of a failed sync of the current sink. Nothing more becomes durable before a
    /// reopen.
    pub failure: Option<Error>,
    gaps: Vec<Gap>,
}

/// A sink that gets no more bytes and is not synced yet.
pub(super) struct Retired {
    pub sink: PlainArc<dyn Sink>,
    pub era: u64,
    /// The position after the last byte that went to this sink.
    pub end: u64,
}

/// A range that is never durable: it was written and not yet synced when a sync failed, or its sink
/// cannot be synced.
#[derive(Clone, Debug)]
struct Gap {
    /// The positions up to which fdatasync and fsync had returned before.
    data: u64,
    full: u64,
    end: u64,
    error: Error,
}

/// The state of the sync thread, which starts when it is first needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thread {
    /// Not started.
    Idle,
    Running,
    /// No sync follows.
    Over,
}

impl core::fmt::Debug for Durability {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Durability").finish_non_exhaustive()
    }
}

impl Durability {
    /// Creates the state. The sync thread syncs `sink`; `None` in models that do not sync through
    /// this type.
    pub fn new(sink: Option<PlainArc<dyn Sink>>) -> Self {
        Self {
            data: AtomicU64::new(0),
            full: AtomicU64::new(0),
            is_doubted: AtomicBool::new(false),
            wanted: Event::new(),
            state: Mutex::new(State {
                thread: if sink.is_some() {
                    Thread::Idle
                } else {
                    Thread::Over
                },
                sink,
                era: 0,
                begin: 0,
                retired: VecDeque::new(),
                failure: None,
                gaps: Vec::new(),
            }),
        }
    }

    /// Returns the position up to which syncs by `op` have returned.
    pub fn reached(&self, op: SyncOp) -> u64 {
        // A caller that learns here that a record is durable may pass that on, so it needs Acquire.
        // And `verdict`, which reads on, sees every gap before that position.
        match op {
            // [durable.data] Acquire, pairs with [durable.raise_data].
            SyncOp::Data => self
                .data
                .load(unless_mutant("durable.data", Ordering::Acquire)),
            // [durable.full] Acquire, pairs with [durable.raise_full].
            SyncOp::Full => self
                .full
                .load(unless_mutant("durable.full", Ordering::Acquire)),
        }
    }

    /// Notes that a sync by `op` has covered everything up to `pos`, except the gaps.
    pub(super) fn raise(&self, op: SyncOp, pos: u64) {
        // [durable.raise_data] Release, pairs with [durable.data]. An fsync is an fdatasync too.
        let order = unless_mutant("durable.raise_data", Ordering::Release);
        self.data.fetch_max(pos, order);
        if op == SyncOp::Full {
            // [durable.raise_full] Release, pairs with [durable.full].
            let order = unless_mutant("durable.raise_full", Ordering::Release);
            self.full.fetch_max(pos, order);
        }
    }

    /// Returns `Ok` if what ends at `target` is durable by `op`, the error if it never will be, and
    /// `None` while neither is known.
    pub fn verdict(&self, target: u64, op: SyncOp) -> Option<Result<(), Error>> {
        let is_reached = target <= self.reached(op);
        // Relaxed: a position that was raised over a gap was raised after the gap was noted. So a
        // thread that has seen the position sees the doubt. The lock protects the gap itself, and
        // the doubt was set under it.
        if !self.is_doubted.load(Ordering::Relaxed) {
            return is_reached.then_some(Ok(()));
        }
        let state = self.state.lock();
        let in_gap = |gap: &&Gap| {
            let durable = match op {
                SyncOp::Data => gap.data,
                SyncOp::Full => gap.full,
            };
            (durable + 1..=gap.end).contains(&target)
        };
        if let Some(gap) = state.gaps.iter().find(in_gap) {
            return Some(Err(gap.error.clone()));
        }
        if is_reached {
            return Some(Ok(()));
        }
        state.failure.clone().map(Err)
    }

    /// Notes that what is written up to `end` and not durable yet never will be, because of
    /// `error`.
    pub(super) fn doubt(&self, state: &mut State, end: u64, error: Error) {
        let (data, full) = (self.reached(SyncOp::Data), self.reached(SyncOp::Full));
        match state.gaps.last_mut() {
            Some(last) if last.error == error && data.min(full) <= last.end => {
                last.end = last.end.max(end);
            }
            _ => state.gaps.push(Gap {
                data,
                full,
                end,
                error,
            }),
        }
        // Relaxed: see `verdict`. Never taken back: after a failed sync the system may have dropped
        // the dirty pages, and a later success says nothing about them.
        self.is_doubted.store(true, Ordering::Relaxed);
    }

    /// Has the sync thread look whether a sync is due. Any thread may call it. Takes no lock unless
    /// the sync thread sleeps.
    pub fn look(&self) {
        self.wanted.notify();
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::Durability;
    use crate::words::{Error, SyncOp};

    const DATA: SyncOp = SyncOp::Data;
    const FULL: SyncOp = SyncOp::Full;

    #[test]
    fn a_gap_stays_when_later_bytes_become_durable() {
        let durability = Durability::new(None);
        durability.raise(FULL, 10);
        durability.raise(DATA, 20);
        durability.doubt(&mut durability.state.lock(), 30, Error::NotSyncable);
        assert_eq!(durability.verdict(31, DATA), None);
        durability.raise(FULL, 40);
        let never = Some(Err(Error::NotSyncable));
        let by = |op| [10, 11, 20, 21, 30, 31, 40].map(|target| durability.verdict(target, op));
        let (done, none) = (Some(Ok(())), never);
        let expected = [&done, &done, &done, &none, &none, &done, &done].map(Clone::clone);
        assert_eq!(by(DATA), expected);
        let expected = [&done, &none, &none, &none, &none, &done, &done].map(Clone::clone);
        assert_eq!(by(FULL), expected);
        assert_eq!(durability.verdict(41, DATA), None);
    }

    #[test]
    fn gaps_that_touch_are_one_and_gaps_with_something_between_are_two() {
        let durability = Durability::new(None);
        let doubt = |end| durability.doubt(&mut durability.state.lock(), end, Error::NotSyncable);
        let gaps = || durability.state.lock().gaps.len();
        doubt(10);
        doubt(20);
        assert_eq!(gaps(), 1);
        assert!(durability.verdict(15, DATA).is_some());
        durability.raise(FULL, 30);
        doubt(40);
        assert_eq!(gaps(), 2);
        assert_eq!(durability.verdict(25, DATA), Some(Ok(())));
        assert_eq!(durability.verdict(40, DATA), Some(Err(Error::NotSyncable)));
    }
}
