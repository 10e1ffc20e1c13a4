//! How durable a queue is, and who makes it so.

use std::collections::VecDeque;

use crate::ends::Sink;
use crate::primitives::Event;
use crate::primitives::sync::{AtomicBool, AtomicU64, Mutex, Ordering, PlainArc, unless_mutant};
use crate::words::{Error, SyncOp};

/// What the callers of `fsync`, the flusher and the sync thread share.
pub struct Durability {
    /// Positions up to which fdatasync, and fsync, have returned; with gaps, if there are any.
    data: AtomicU64,
    full: AtomicU64,
    /// Whether those two are not the whole truth: a sync has failed, or something could not be synced.
    is_doubted: AtomicBool,
    /// Notified when a sync may be due, and when the flusher has ended.
    pub(super) wanted: Event,
    pub(super) state: Mutex<State>,
}

/// What changes with a reopen, or when a sync fails.
pub(super) struct State {
    pub thread: Thread,
    /// What the flusher writes to; `None` once nothing is written any more, or where nobody syncs.
    pub sink: Option<PlainArc<dyn Sink>>,
    /// How many sinks were before this one.
    pub era: u64,
    /// The position from which on it has got the bytes.
    pub begin: u64,
    /// Sinks that a reopen has replaced, oldest first: each is synced before anything behind it counts as durable.
    pub retired: VecDeque<Retired>,
    /// The sync of the sink in hand has failed with this: nothing more becomes durable before a reopen.
    pub failure: Option<Error>,
    gaps: Vec<Gap>,
}

/// A sink that gets no more bytes, and is not synced yet.
pub(super) struct Retired {
    pub sink: PlainArc<dyn Sink>,
    pub era: u64,
    /// The position behind the last byte that it got.
    pub end: u64,
}

/// What is never durable: it was written, not yet synced, and the sync has failed or cannot be.
#[derive(Clone, Debug)]
struct Gap {
    /// Up to where fdatasync, and fsync, had returned before.
    data: u64,
    full: u64,
    end: u64,
    error: Error,
}

/// The sync thread, made when it is first needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thread {
    /// Not started.
    Idle,
    Running,
    /// Nothing will be synced any more.
    Over,
}

impl core::fmt::Debug for Durability {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Durability").finish_non_exhaustive()
    }
}

impl Durability {
    /// `sink` is what the sync thread will sync; `None` where nobody asks (in models that have their own).
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

    /// Up to where syncs by `op` have returned.
    pub fn reached(&self, op: SyncOp) -> u64 {
        // A caller that learns that a record is durable may tell others so; and `verdict`, which reads on, sees every gap
        // that lies before it.
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

    /// A sync by `op` has covered everything up to `pos`, but for the gaps.
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

    /// Whether what ends at `target` is durable by `op`, or never will be; `None` while neither is known.
    pub fn verdict(&self, target: u64, op: SyncOp) -> Option<Result<(), Error>> {
        let is_reached = target <= self.reached(op);
        // Relaxed: a mark that was raised over a gap was raised after it was noted, so whoever has seen the mark sees the
        // doubt; and the gap itself is behind the lock, under which the doubt was set.
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

    /// What is written up to `end`, and is not durable yet, never will be, because of `error`.
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
        // Relaxed: see `verdict`. Never taken back: after a failed sync the system may have dropped the dirty pages, and a
        // later success would say nothing about them.
        self.is_doubted.store(true, Ordering::Relaxed);
    }

    /// A sync may be due. Any thread; takes no lock unless the sync thread sleeps.
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
    fn a_gap_stays_though_what_is_behind_it_becomes_durable() {
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
