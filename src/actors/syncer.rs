//! The sync thread. It calls fsync or fdatasync while the flusher goes on writing; one sync serves
//! all callers that wait.
//!
//! It never writes to a sink and never moves the tail. It holds no lock during a sync.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::durability::{Retired, Thread};
use super::shared::Shared;
use crate::ends::Sink;
use crate::memory::Memory;
use crate::primitives::sync::{Arc, PlainArc, spawn_quiet};
use crate::words::{Error, Operation, SyncOp};

/// One sync that is due.
struct Job {
    sink: PlainArc<dyn Sink>,
    era: u64,
    op: SyncOp,
    /// The position up to which the sync covers the stream.
    end: u64,
}

impl Job {
    /// Runs the sync. A panic in it counts as an I/O error: it says nothing about the data.
    fn run(&self) -> io::Result<()> {
        let sync = AssertUnwindSafe(|| self.sink.sync(self.op));
        catch_unwind(sync).unwrap_or_else(|payload| {
            core::mem::forget(payload); // its drop might panic again
            Err(io::Error::from_raw_os_error(libc::EIO))
        })
    }
}

impl<M: Memory + 'static> Shared<M> {
    /// Starts the sync thread, unless it runs.
    ///
    /// # Errors
    ///
    /// [`Error::NotSyncable`] if the sink cannot be synced; [`Error::Closed`] if the queue is
    /// closed; [`Error::Io`] if the thread cannot be started.
    pub fn start_syncer(shared: &Arc<Self>) -> Result<(), Error> {
        let sink = {
            let state = shared.durability.state.lock();
            if state.failure.is_some() {
                return Ok(()); // a thread could do no more; the callers get the failure
            }
            state.sink.clone()
        };
        if sink.is_some_and(|sink| !sink.can_sync()) {
            return Err(Error::NotSyncable);
        }
        Self::spawn_syncer(shared)
    }

    /// Starts the sync thread before a reopen, if either the current sink or `next` can be synced.
    ///
    /// # Errors
    ///
    /// As [`start_syncer`](Shared::start_syncer), except `NotSyncable`.
    pub fn start_syncer_before(shared: &Arc<Self>, next: &dyn Sink) -> Result<(), Error> {
        let sink = shared.durability.state.lock().sink.clone();
        if next.can_sync() || sink.is_some_and(|sink| sink.can_sync()) {
            return Self::spawn_syncer(shared);
        }
        Ok(())
    }

    fn spawn_syncer(shared: &Arc<Self>) -> Result<(), Error> {
        let mut state = shared.durability.state.lock();
        match state.thread {
            Thread::Running => return Ok(()),
            // A panic that ended the flusher has left its failure.
            Thread::Over => return Err(shared.failure().unwrap_or(Error::Closed)),
            Thread::Idle => {}
        }
        let for_thread = Arc::clone(shared);
        let thread = spawn_quiet(c"alq-sync", move || run(&for_thread)).map_err(|error| {
            Error::io(Operation::Spawn, &error).about(&shared.reporter.target())
        })?;
        shared.threads.add(thread);
        state.thread = Thread::Running;
        Ok(())
    }
}

impl<M: Memory> Shared<M> {
    /// Called when the flusher will not touch the ring again and has released the sink. The sync
    /// thread finishes the queue; if it does not run, this call does.
    pub fn flusher_ended(&self) {
        self.reopening.end();
        let left = {
            let mut state = self.durability.state.lock();
            if state.thread == Thread::Running {
                self.set_flusher_done();
                None
            } else {
                state.thread = Thread::Over;
                Some((state.sink.take(), core::mem::take(&mut state.retired)))
            }
        };
        if left.is_some() {
            // Maybe the last handle of the sink. Its drop may call into the queue, so not under the
            // lock.
            drop(left);
            self.finish();
        } else {
            self.durability.look(); // the sync thread does what is still due, and finishes
        }
    }

    /// Replaces the sink: `next` gets everything after `cut`. For the flusher, between two writes.
    ///
    /// If the previous sink `can_sync`, it is synced before anything after `cut` counts as durable.
    pub fn replace_sink(&self, next: PlainArc<dyn Sink>, cut: u64, can_sync: bool) {
        let durability = &self.durability;
        let mut state = durability.state.lock();
        let era = state.era;
        let before = state.sink.replace(next);
        let got_bytes = state.begin < cut;
        state.era += 1;
        state.begin = cut;
        state.failure = None;
        let is_durable = durability.reached(SyncOp::Full) >= cut;
        let mut done_with = None;
        match before {
            Some(sink) if got_bytes && !is_durable => {
                if can_sync {
                    let end = cut;
                    state.retired.push_back(Retired { sink, era, end });
                } else {
                    durability.doubt(&mut state, cut, Error::NotSyncable);
                    done_with = Some(sink);
                }
            }
            before => done_with = before,
        }
        drop(state);
        drop(done_with); // its drop may call into the queue: not under the lock
        durability.look();
    }

    /// Syncs once if a sync is due; returns `false` if not. For the sync thread only.
    ///
    /// One system call serves all callers whose records are written when it begins. A caller that
    /// comes during the sync is looked at after it, and needs another sync only if this one has not
    /// covered its record.
    pub fn sync_step(&self) -> bool {
        let Some(job) = self.next_sync() else {
            return false;
        };
        match job.run() {
            Ok(()) => self.has_synced(&job),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            Err(error) => {
                let error = Error::io(Operation::Sync, &error).about(&self.reporter.target());
                self.has_not_synced(&job, &error);
                self.reporter.report(error);
            }
        }
        drop(job); // perhaps the last of a sink that was replaced
        self.settle();
        true
    }

    /// Returns the sync that is due next. A replaced sink is always synced, the oldest first. The
    /// current sink is synced if a caller waits for it.
    fn next_sync(&self) -> Option<Job> {
        let (sink, era, written) = {
            let state = self.durability.state.lock();
            if let Some(retired) = state.retired.front() {
                return Some(Job {
                    sink: PlainArc::clone(&retired.sink),
                    era: retired.era,
                    op: SyncOp::Full,
                    end: retired.end,
                });
            }
            if state.failure.is_some() {
                return None;
            }
            // No other sink takes over while the lock is held. So everything up to the tail is in
            // this sink, or is durable.
            (state.sink.clone()?, state.era, self.ring.tail().pos)
        };
        let durability = &self.durability;
        let is_due = |target, op| target <= written && target > durability.reached(op);
        let op = self.watch.wanted(is_due)?;
        Some(Job {
            sink,
            era,
            op,
            end: written,
        })
    }

    fn has_synced(&self, job: &Job) {
        let mut state = self.durability.state.lock();
        let is_retired = |one: &Retired| one.era == job.era && one.end == job.end;
        let is_all = job.op == SyncOp::Full;
        let done_with = state
            .retired
            .front()
            .is_some_and(|one| is_all && is_retired(one))
            .then(|| state.retired.pop_front());
        drop(state);
        drop(done_with);
        self.durability.raise(job.op, job.end);
    }

    /// Notes that what this sink has got by now is never durable, except what was durable before.
    fn has_not_synced(&self, job: &Job, error: &Error) {
        let mut state = self.durability.state.lock();
        let retired = state.retired.iter().position(|one| one.era == job.era);
        let retired = retired.and_then(|index| state.retired.remove(index));
        let end = if let Some(retired) = &retired {
            retired.end
        } else {
            state.failure = Some(error.clone());
            self.ring.tail().pos
        };
        self.durability.doubt(&mut state, end, error.clone());
        drop(state);
        drop(retired);
    }

    /// Handles a panic of the sync thread (for example in a task that it woke): what is written and
    /// not durable by now never will be.
    fn syncer_panicked(&self) {
        let error = Error::Io {
            operation: Operation::Sync,
            errno: libc::EIO,
            target: self.reporter.target(),
        };
        let mut state = self.durability.state.lock();
        let retired = core::mem::take(&mut state.retired);
        state.failure = Some(error.clone());
        let end = self.ring.tail().pos;
        self.durability.doubt(&mut state, end, error.clone());
        drop(state);
        drop(retired);
        self.reporter.report(error);
        self.settle();
    }
}

/// Syncs whenever a sync is due, until the flusher has ended and no sync is left.
fn run<M: Memory>(shared: &Shared<M>) {
    shared.enlist();
    let work = || {
        loop {
            let step = || {
                // Read first: the step then sees the last write of the flusher.
                let over = shared.is_flusher_done();
                if shared.sync_step() {
                    return Some(true);
                }
                over.then_some(false)
            };
            if shared.durability.wanted.wait_until(None, step) == Some(false) {
                break;
            }
        }
    };
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        shared.syncer_panicked();
    }
    end(shared);
}

/// Ends the sync thread. If the flusher has ended before, this finishes the queue. Otherwise the
/// thread has panicked, and a reopen may start another.
fn end<M: Memory>(shared: &Shared<M>) {
    let left = {
        let mut state = shared.durability.state.lock();
        if shared.is_flusher_done() {
            Some((state.sink.take(), core::mem::take(&mut state.retired)))
        } else {
            state.thread = Thread::Idle;
            None
        }
    };
    if left.is_some() {
        drop(left); // a thread that sees the end finds the descriptor closed
        shared.durability.state.lock().thread = Thread::Over;
        shared.finish();
    }
}
