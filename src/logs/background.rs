//! The thread for what follows a rotation: there while the worker has noted anything to do.

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

/// What the background thread has yet to pack: of [`RotatingFile::background`].
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
    /// How many rotated files are not packed.
    pub files: u64,
    /// How many bytes these have.
    pub bytes: u64,
}

impl Log {
    pub(super) fn left_to_pack(&self) -> io::Result<Background> {
        let mut left = Background::default();
        if self.rotation.compression == Compression::None {
            return Ok(left);
        }
        let plain = Kind::Rotated(Compression::None);
        let in_hand = self.durable.id();
        for one in found::list(&self.folder.snapshot()?, &self.names)? {
            if one.kind == plain && one.is_ours && one.id != in_hand {
                left.files += 1;
                left.bytes += one.len;
            }
        }
        Ok(left)
    }
}

/// Makes sure that there is a thread, if there is anything to do. Never blocks on it.
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

/// Does what there is to do. Whoever sees that nothing is sees the log let go of, too, and may open it anew.
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
        // What comes when nobody has the log any more is done by whoever opens it next.
        if let Some(log) = &held {
            // A panic is a hook's (its message is on standard error); the next job is done all the same.
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
            Job::Tell(error) => {
                if let Some(hook) = &self.rotation.on_error {
                    hook(&error);
                }
            }
            Job::Look => self.attend(),
            Job::Pass(rotated) => self.go_through(rotated),
        }
    }
}

/// Waits until there is nothing to do, nor asked for.
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
        // Under the lock: what it has to do was put there before this is met.
        let is_met = !log.is_asked() || work.is_failing;
        (is_met && work.is_empty() && work.thread == Thread::None).then_some(())
    };
    log.worker
        .changed
        .wait_until(deadline, is_idle)
        .ok_or(Error::TimedOut)
}
