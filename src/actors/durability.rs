//! What is durable in a queue, and which sinks the sync thread must still sync.
//!
//! This file owns the record of it; `syncer` has the thread. No lock is held during a sync.

use core::ops::Range;
use std::collections::VecDeque;
use std::time::Instant;

use super::doubts::Doubts;
use super::job::Job;
use crate::ends::Sink;
use crate::primitives::Event;
use crate::primitives::sync::{AtomicBool, AtomicU64, Mutex, Ordering, PlainArc, unless_mutant};
use crate::words::{Error, SyncOp};

/// The state that the callers of `fsync`, the flusher and the sync thread share.
pub struct Durability {
    /// The positions up to which fdatasync and fsync have returned. What is in [`Doubts`] is
    /// not durable even so.
    data: AtomicU64,
    full: AtomicU64,
    /// Whether `data` and `full` are incomplete: a sync has failed, or a sink could not be synced.
    is_doubted: AtomicBool,
    /// Whether the flusher has ended and the sync thread has not.
    is_flusher_done: AtomicBool,
    /// Notified when a sync may be due, and when the flusher has ended.
    pub(super) wanted: Event,
    state: Mutex<State>,
}

/// The part that changes with a reopen or a failed sync.
struct State {
    thread: Thread,
    /// The sink that the flusher writes to. `None` after the last write, and in models that do not
    /// sync.
    sink: Option<PlainArc<dyn Sink>>,
    /// The number of sinks before this one.
    era: u64,
    /// The position of the first byte that went to this sink.
    begin: u64,
    /// Sinks that a reopen has replaced, oldest first. Each is synced before later bytes count as
    /// durable.
    retired: VecDeque<Retired>,
    /// The error of a failed sync of the current sink. Nothing more becomes durable before a
    /// reopen.
    failure: Option<Error>,
    /// The position up to which every byte is durable or in `doubts`.
    known: u64,
    doubts: Doubts,
}

/// A sink that gets no more bytes and is not synced yet.
struct Retired {
    sink: PlainArc<dyn Sink>,
    era: u64,
    /// The position after the last byte that went to this sink.
    end: u64,
}

/// The state of the sync thread, which starts when it is first needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thread {
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
            is_flusher_done: AtomicBool::new(false),
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
                known: 0,
                doubts: Doubts::default(),
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
    fn raise(&self, op: SyncOp, pos: u64) {
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
        // Relaxed: a position that was raised over a doubt was raised after the doubt was noted. So
        // a thread that has seen the position sees the doubt. The lock protects the gap itself, and
        // the doubt was set under it.
        if !self.is_doubted.load(Ordering::Relaxed) {
            return is_reached.then_some(Ok(()));
        }
        let state = self.state.lock();
        if let Some(error) = state.doubts.error_at(target, op) {
            return Some(Err(error.clone()));
        }
        if is_reached {
            return Some(Ok(()));
        }
        state.failure.clone().map(Err)
    }

    /// Notes that what is written up to `end` and not durable yet never will be, because of
    /// `error`.
    fn doubt(&self, state: &mut State, end: u64, error: Error) {
        let (data, full) = (self.reached(SyncOp::Data), self.reached(SyncOp::Full));
        state.doubts.add(data, full, end, error);
        state.known = state.known.max(end);
        // Relaxed: see `verdict`. Never taken back: after a failed sync the system may have dropped
        // the dirty pages, and a later success says nothing about them.
        self.is_doubted.store(true, Ordering::Relaxed);
    }

    /// Has the sync thread look whether a sync is due. Any thread may call it. Takes no lock unless
    /// the sync thread sleeps.
    pub fn look(&self) {
        self.wanted.notify();
    }

    /// Checks that the current sink can be synced. `Ok(false)` if a sync has failed: a thread could
    /// do no more, and the callers get the failure.
    ///
    /// # Errors
    ///
    /// [`Error::NotSyncable`].
    pub(super) fn check_syncable(&self) -> Result<bool, Error> {
        let sink = {
            let state = self.state.lock();
            if state.failure.is_some() {
                return Ok(false);
            }
            state.sink.clone()
        };
        match sink {
            Some(sink) if !sink.can_sync() => Err(Error::NotSyncable),
            _ => Ok(true),
        }
    }

    /// Returns whether the current sink can be synced.
    pub(super) fn can_sync(&self) -> bool {
        let sink = self.state.lock().sink.clone();
        sink.is_some_and(|sink| sink.can_sync())
    }

    /// Starts the sync thread with `spawn`, unless it runs. `over` gives the error if no sync
    /// follows.
    pub(super) fn start_thread(
        &self,
        spawn: impl FnOnce() -> Result<(), Error>,
        over: impl FnOnce() -> Error,
    ) -> Result<(), Error> {
        let mut state = self.state.lock();
        match state.thread {
            Thread::Running => return Ok(()),
            Thread::Over => return Err(over()),
            Thread::Idle => spawn()?,
        }
        state.thread = Thread::Running;
        Ok(())
    }

    /// Replaces the sink: `next` gets everything after `cut`. For the flusher, between two writes.
    ///
    /// If the previous sink `can_sync`, it is synced before anything after `cut` counts as durable.
    pub fn replace_sink(&self, next: PlainArc<dyn Sink>, cut: u64, can_sync: bool) {
        let mut state = self.state.lock();
        let era = state.era;
        let before = state.sink.replace(next);
        let got_bytes = state.begin < cut;
        state.era += 1;
        state.begin = cut;
        state.failure = None;
        let is_durable = self.reached(SyncOp::Full) >= cut;
        let mut done_with = None;
        match before {
            Some(sink) if got_bytes && !is_durable => {
                if can_sync {
                    let end = cut;
                    state.retired.push_back(Retired { sink, era, end });
                } else {
                    self.doubt(&mut state, cut, Error::NotSyncable);
                    done_with = Some(sink);
                }
            }
            before => done_with = before,
        }
        drop(state);
        drop(done_with); // its drop may call into the queue: not under the lock
        self.look();
    }

    /// Returns the position from which on nothing in the current sink is synced; `None` if a sync
    /// of it has failed.
    pub(super) fn unsynced_from(&self) -> Option<u64> {
        let state = self.state.lock();
        let from = self.reached(SyncOp::Data).max(state.begin);
        state.failure.is_none().then_some(from)
    }

    /// Returns the sync that is due next. A replaced sink is always synced, the oldest first. The
    /// current sink is synced if a caller waits for it. `written` returns the tail; `wanted`
    /// returns the strongest sync that is needed up to a position, of those for which its second
    /// argument returns true.
    pub(super) fn next_job(
        &self,
        written: impl FnOnce() -> u64,
        wanted: impl FnOnce(u64, &dyn Fn(u64, SyncOp) -> bool) -> Option<SyncOp>,
    ) -> Option<Job> {
        let began = Instant::now();
        let (sink, era, end) = {
            let state = self.state.lock();
            if let Some(retired) = state.retired.front() {
                return Some(Job {
                    sink: PlainArc::clone(&retired.sink),
                    era: retired.era,
                    op: SyncOp::Full,
                    end: retired.end,
                    began,
                });
            }
            if state.failure.is_some() {
                return None;
            }
            // No other sink takes over while the lock is held. So everything up to the tail is in
            // this sink, or is durable.
            (state.sink.clone()?, state.era, written())
        };
        let op = wanted(end, &|target, op| {
            target <= end && target > self.reached(op)
        })?;
        Some(Job {
            sink,
            era,
            op,
            end,
            began,
        })
    }

    /// Notes that `job` has succeeded. Returns the range of the stream that it has made durable.
    pub(super) fn has_synced(&self, job: &Job) -> Range<u64> {
        let mut state = self.state.lock();
        let is_retired = |one: &Retired| one.era == job.era && one.end == job.end;
        let is_all = job.op == SyncOp::Full;
        let done_with = state
            .retired
            .front()
            .is_some_and(|one| is_all && is_retired(one))
            .then(|| state.retired.pop_front());
        let before = state.known;
        state.known = before.max(job.end);
        let range = before..state.known;
        drop(state);
        drop(done_with);
        self.raise(job.op, job.end);
        range
    }

    /// Notes that `job` has failed: what its sink has got by now is never durable, except what was
    /// durable before. `written` returns the tail.
    pub(super) fn has_not_synced(&self, job: &Job, error: &Error, written: impl FnOnce() -> u64) {
        let mut state = self.state.lock();
        let retired = state.retired.iter().position(|one| one.era == job.era);
        let retired = retired.and_then(|index| state.retired.remove(index));
        let end = if let Some(retired) = &retired {
            retired.end
        } else {
            state.failure = Some(error.clone());
            written()
        };
        self.doubt(&mut state, end, error.clone());
        drop(state);
        drop(retired);
    }

    /// Notes that the sync thread has panicked: what is written and not durable by now never will
    /// be. `written` returns the tail.
    pub(super) fn has_panicked(&self, error: &Error, written: impl FnOnce() -> u64) {
        let mut state = self.state.lock();
        let retired = core::mem::take(&mut state.retired);
        state.failure = Some(error.clone());
        self.doubt(&mut state, written(), error.clone());
        drop(state);
        drop(retired);
    }

    /// Notes that the flusher has ended. Returns whether no sync follows either, so that the caller
    /// must finish the queue; otherwise the sync thread does what is still due, and finishes.
    pub(super) fn flusher_ended(&self) -> bool {
        let left = {
            let mut state = self.state.lock();
            if state.thread == Thread::Running {
                // Relaxed: it is set under the lock of the state. The thread that has seen it takes
                // that lock next.
                self.is_flusher_done.store(true, Ordering::Relaxed);
                None
            } else {
                state.thread = Thread::Over;
                Some((state.sink.take(), core::mem::take(&mut state.retired)))
            }
        };
        let is_over = left.is_some();
        // Maybe the last handle of the sink. Its drop may call into the queue, so not under the
        // lock.
        drop(left);
        if !is_over {
            self.look();
        }
        is_over
    }

    /// Returns whether the flusher has ended.
    pub(super) fn is_flusher_done(&self) -> bool {
        // Relaxed: see `flusher_ended`.
        self.is_flusher_done.load(Ordering::Relaxed)
    }

    /// Notes that the sync thread ends. Returns whether the flusher has ended before, so that the
    /// caller must finish the queue. Otherwise the thread has panicked, and a reopen may start
    /// another.
    pub(super) fn thread_ended(&self) -> bool {
        let left = {
            let mut state = self.state.lock();
            if !self.is_flusher_done() {
                state.thread = Thread::Idle;
                return false;
            }
            (state.sink.take(), core::mem::take(&mut state.retired))
        };
        drop(left); // a thread that sees the end finds the descriptor closed
        self.state.lock().thread = Thread::Over;
        true
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests;
