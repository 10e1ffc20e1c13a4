//! The sync thread. It calls fsync or fdatasync while the flusher goes on writing; one sync serves
//! all callers that wait.
//!
//! It never writes to a sink and never moves the tail. `durability` owns what it notes.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::shared::Shared;
use crate::ends::Sink;
use crate::memory::Memory;
use crate::primitives::sync::{Arc, spawn_quiet};
use crate::words::{Error, Operation, SyncOp};

/// Starts the sync thread of a queue, unless it runs.
///
/// # Errors
///
/// [`Error::NotSyncable`] if the sink cannot be synced; [`Error::Closed`] if the queue is closed;
/// [`Error::Io`] if the thread cannot be started.
pub fn start<M: Memory + 'static>(shared: &Arc<Shared<M>>) -> Result<(), Error> {
    let Shared { outcome, .. } = &**shared;
    if outcome.durability.check_syncable()? {
        spawn(shared)?;
    }
    Ok(())
}

/// Starts the sync thread before a reopen, if either the current sink or `next` can be synced.
///
/// # Errors
///
/// As [`start`]; [`Error::NotSyncable`] only on a queue that syncs by a policy, if `next` cannot be
/// synced.
pub fn start_before<M: Memory + 'static>(
    shared: &Arc<Shared<M>>,
    next: &dyn Sink,
) -> Result<(), Error> {
    let Shared { outcome, .. } = &**shared;
    if outcome.rhythm.is_set() && !next.can_sync() {
        return Err(Error::NotSyncable);
    }
    if next.can_sync() || outcome.durability.can_sync() {
        spawn(shared)?;
    }
    Ok(())
}

fn spawn<M: Memory + 'static>(shared: &Arc<Shared<M>>) -> Result<(), Error> {
    let Shared {
        intake, outcome, ..
    } = &**shared;
    let start = || {
        let for_thread = Arc::clone(shared);
        let thread = spawn_quiet(c"alq-sync", move || run(&for_thread));
        let failed = |error| Error::io(Operation::Spawn, &error);
        let about = |error: Error| error.about(&intake.trouble.reporter.target());
        intake
            .crew
            .threads
            .add(thread.map_err(failed).map_err(about)?);
        Ok(())
    };
    // A panic that ended the flusher has left its failure.
    let over = || shared.failure().unwrap_or(Error::Closed);
    outcome.durability.start_thread(start, over)
}

/// Syncs once if a caller waits for a sync or the policy asks for one; returns `false` if not. For
/// the sync thread only.
///
/// One system call serves all callers whose records are written when it begins. A caller that comes
/// during the sync is looked at after it, and needs another sync only if this one has not covered
/// its record.
pub fn step<M: Memory>(shared: &Shared<M>) -> bool {
    let Shared {
        intake, outcome, ..
    } = shared;
    let (durability, reporter) = (&outcome.durability, &intake.trouble.reporter);
    let written = || intake.ring.tail().pos;
    let from = outcome.rhythm.arm(|| durability.unsynced_from());
    let wanted = |end, is_due: &dyn Fn(_, _) -> _| {
        let is_last = durability.is_flusher_done();
        let is_due_now = |from| outcome.rhythm.is_due(from, end, is_last);
        let by_policy = || from.is_some_and(is_due_now).then_some(SyncOp::Data);
        outcome.watch.wanted(is_due).or_else(by_policy)
    };
    let Some(job) = durability.next_job(written, wanted) else {
        return false;
    };
    match job.run() {
        Ok(()) => {
            let range = durability.has_synced(&job);
            let bytes = range.end - range.start - outcome.discards.within(&range);
            outcome.rhythm.has_synced(job.began);
            outcome.syncs.count(bytes, job.began.elapsed());
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
        Err(error) => {
            let error = Error::io(Operation::Sync, &error).about(&reporter.target());
            durability.has_not_synced(&job, &error, written);
            outcome.syncs.failed.add(1);
            reporter.report(error);
        }
    }
    drop(job); // perhaps the last of a sink that was replaced
    shared.settle();
    true
}

/// Handles a panic of the sync thread, for example in a task that it woke.
fn panicked<M: Memory>(shared: &Shared<M>) {
    let Shared {
        intake, outcome, ..
    } = shared;
    let reporter = &intake.trouble.reporter;
    let error = Error::Io {
        operation: Operation::Sync,
        errno: libc::EIO,
        target: reporter.target(),
    };
    let written = || intake.ring.tail().pos;
    outcome.durability.has_panicked(&error, written);
    reporter.report(error);
    shared.settle();
}

/// Syncs whenever a sync is due, until the flusher has ended and no sync is left.
fn run<M: Memory>(shared: &Shared<M>) {
    let Shared {
        intake, outcome, ..
    } = shared;
    let durability = &outcome.durability;
    intake.crew.enlist("alq-sync");
    let work = || {
        loop {
            let due_at = outcome.rhythm.due_at();
            let look = || {
                // Read first: the step then sees the last write of the flusher.
                let over = durability.is_flusher_done();
                if step(shared) {
                    return Some(true);
                }
                if over {
                    return Some(false);
                }
                // The sleep must have another end.
                (outcome.rhythm.due_at() != due_at).then_some(true)
            };
            if durability.wanted.wait_until(due_at, look) == Some(false) {
                break;
            }
        }
    };
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        panicked(shared);
    }
    if durability.thread_ended() {
        shared.finish();
    }
}
