//! The sync thread: fdatasync beside the drain, one for all who wait.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::durability::Thread;
use super::shared::Shared;
use crate::ends::Sink;
use crate::memory::Memory;
use crate::primitives::sync::{Arc, Ordering, PlainArc, spawn_quiet};
use crate::words::{Error, Operation};

impl<M: Memory + 'static> Shared<M> {
    /// Makes sure that there is a sync thread.
    ///
    /// # Errors
    ///
    /// [`Error::NotSyncable`] if the sink cannot be synced; [`Error::Closed`] if the queue is; [`Error::Io`] if the
    /// thread cannot be started.
    pub fn start_syncer(shared: &Arc<Self>) -> Result<(), Error> {
        if shared.durability.failure().is_some() {
            return Ok(()); // no thread could do more; whoever waits is told
        }
        let mut thread = shared.durability.thread.lock();
        let sink = match &*thread {
            Thread::Running => return Ok(()),
            Thread::Over => return Err(Error::Closed),
            Thread::Ready(sink) => PlainArc::clone(sink),
        };
        if !sink.can_sync() {
            return Err(Error::NotSyncable);
        }
        let for_thread = Arc::clone(shared);
        spawn_quiet(c"alq-sync", move || run(&for_thread, sink))
            .map_err(|error| Error::io(Operation::Spawn, &error))?;
        *thread = Thread::Running;
        Ok(())
    }
}

impl<M: Memory> Shared<M> {
    /// The flusher will not touch the ring again, and has let go of the sink.
    pub fn flusher_ended(&self) {
        let before = {
            let mut thread = self.durability.thread.lock();
            let runs = matches!(*thread, Thread::Running);
            if runs {
                self.set_flusher_done();
            }
            let after = if runs { Thread::Running } else { Thread::Over };
            core::mem::replace(&mut *thread, after)
        };
        if let Thread::Running = before {
            self.durability.look(); // the sync thread does what is still due, and finishes
        } else {
            drop(before); // perhaps the last of the sink, whose drop may call into the queue: not under the lock
            self.finish();
        }
    }

    /// Syncs once if somebody waits for it; `false` if nothing was due. For the sync thread only.
    ///
    /// One system call serves all whose records are written when it begins. Who comes meanwhile is looked at after it,
    /// and needs another only if it has not covered them.
    pub fn sync_step(&self, sink: &dyn Sink) -> bool {
        let durability = &self.durability;
        if durability.failure().is_some() {
            return false;
        }
        let written = self.ring.tail().pos;
        let is_due = |target, op| target <= written && target > durability.reached(op);
        let Some(op) = self.watch.wanted(is_due) else {
            return false;
        };
        match sink.sync(op) {
            Ok(()) => durability.raise(op, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            Err(error) => {
                let errno = Error::io(Operation::Sync, &error).raw_os_error();
                // Release, pairs with the Acquire in `failure`. Never taken back: after a failed sync the system
                // may have dropped the dirty pages, and a later success would say nothing about them.
                durability
                    .failure
                    .store(errno.unsigned_abs(), Ordering::Release);
            }
        }
        self.settle();
        true
    }
}

/// Syncs when it is due, until the flusher has ended and nothing is.
fn run<M: Memory>(shared: &Shared<M>, sink: PlainArc<dyn Sink>) {
    shared.enlist();
    let work = || {
        loop {
            let step = || {
                // Asked first: what the flusher wrote last is then seen by the step.
                let over = shared.is_flusher_done();
                if shared.sync_step(&*sink) {
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
        // Release: as in `sync_step`.
        shared
            .durability
            .failure
            .store(libc::EIO.unsigned_abs(), Ordering::Release);
        shared.settle();
    }
    drop(sink); // whoever sees the end sees the descriptor closed
    *shared.durability.thread.lock() = Thread::Over;
    if shared.is_flusher_done() {
        shared.finish();
    }
}
