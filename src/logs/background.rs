//! The background thread, which does the work after rotations. It exists while `Worker` lists any
//! work. It calls hooks without holding a lock.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::Compression;
use super::found;
use super::log::Log;
use super::name::Kind;
use super::worker::{Job, Thread};
use crate::primitives::sync::{PlainArc, spawn_quiet, this_thread};
use crate::words::{Error, Operation};

/// Counts what the background thread has yet to pack, from [`RotatingFile::background`].
///
/// [`RotatingFile::background`]: super::RotatingFile::background
///
/// ```
/// # use alq::rotate::Rotation;
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// let left = Rotation::new().open(&path)?.background()?;
/// assert_eq!((left.files, left.bytes), (0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Background {
    /// The number of rotated files that are not packed.
    pub files: u64,
    /// The number of bytes in these files.
    pub bytes: u64,
}

impl Log {
    pub(super) fn left_to_pack(&self) -> io::Result<Background> {
        let mut left = Background::default();
        if self.rotation.compression == Compression::None {
            return Ok(left);
        }
        let plain = Kind::Rotated(Compression::None);
        let found = found::list(&self.folder.snapshot()?, &self.names)?;
        let in_hand = self.durable.id(); // after the list, as in a pass
        for one in found {
            if one.kind == plain && one.is_ours && one.id != in_hand {
                left.files += 1;
                left.bytes += one.len;
            }
        }
        Ok(left)
    }
}

/// Starts the background thread if there is work and no thread yet. Does not wait for it.
pub(super) fn start(log: &PlainArc<Log>) -> io::Result<()> {
    let mut work = log.worker.work.lock();
    if work.is_empty() || work.thread != Thread::None {
        return Ok(());
    }
    let for_thread = PlainArc::clone(log);
    spawn_quiet(c"alq-rotate", move || run(for_thread))?;
    work.thread = Thread::Starting;
    Ok(())
}

/// Does all work there is, then ends. It drops the log before it reports that there is no work
/// left, so a caller that sees this may open the log again.
fn run(log: PlainArc<Log>) {
    let worker = PlainArc::clone(&log.worker);
    worker.work.lock().thread = Thread::Running(this_thread());
    let weak = PlainArc::downgrade(&log);
    let mut held = Some(log);
    loop {
        let job = {
            let mut work = worker.work.lock();
            let job = work.next();
            if job.is_none() && held.is_none() {
                work.thread = Thread::None;
                break;
            }
            job
        };
        let Some(job) = job else {
            held = None;
            continue;
        };
        held = held.or_else(|| weak.upgrade());
        // Work that arrives after all handles of the log are gone is left for the next open.
        if let Some(log) = &held {
            // The panic comes from a hook, and its message is on standard error. The next job runs.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| log.work(job))) {
                core::mem::forget(payload); // its drop might panic again
            }
        }
        worker.notify();
    }
    worker.notify();
}

impl Log {
    fn work(&self, job: Job) {
        match job {
            Job::Report(error) => {
                if let Some(hook) = &self.rotation.on_error {
                    hook(&error);
                }
            }
            Job::Look => self.attend(),
            Job::Pass(rotated) => self.go_through(rotated),
        }
    }
}

/// Waits until there is no work left and no request is open.
pub(super) fn wait(log: &PlainArc<Log>, limit: Option<Duration>) -> Result<(), Error> {
    if !log.home.is_here() {
        return Err(Error::Forked);
    }
    if log.worker.work.lock().thread == Thread::Running(this_thread()) {
        return Err(Error::WouldDeadlock);
    }
    start(log).map_err(|error| Error::io(Operation::Spawn, &error))?;
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let is_idle = || {
        let work = log.worker.work.lock();
        // Read under the lock: the work of a request is listed before the request counts as met.
        let is_met = !log.is_asked() || work.is_failing;
        (is_met && work.is_empty() && work.thread == Thread::None).then_some(())
    };
    log.worker
        .changed
        .wait_until(deadline, is_idle)
        .ok_or(Error::TimedOut)
}
