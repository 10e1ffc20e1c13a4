//! The thread for the work behind a rotation: there while there is any.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::RotateError;
use super::log::Log;
use super::name::Key;
use crate::primitives::Event;
use crate::primitives::sync::{Mutex, PlainArc, ThreadId, spawn_quiet, this_thread};
use crate::words::{Error, Operation};

#[derive(Debug)]
pub(super) struct Worker {
    work: Mutex<Work>,
    /// Notified when some work is done.
    changed: Event,
}

#[derive(Debug, Default)]
struct Work {
    thread: Thread,
    /// Whether somebody has asked for something that may be done at once.
    wants_look: bool,
    /// Whether the rotated files are to be gone through.
    wants_pass: bool,
    /// Those of which the hook is to be told.
    rotated: Vec<Key>,
    /// Those that a ring file may still name as the place of a write: they stay as they are.
    pinned: Vec<Key>,
    errors: VecDeque<RotateError>,
    /// A rotation is due, and fails.
    is_failing: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Thread {
    #[default]
    None,
    /// Started; it has not said who it is.
    Starting,
    Running(ThreadId),
}

enum Job {
    Tell(RotateError),
    Look,
    Pass(Vec<Key>),
}

impl Work {
    fn is_empty(&self) -> bool {
        !self.wants_look && !self.wants_pass && self.errors.is_empty()
    }

    fn next(&mut self) -> Option<Job> {
        if let Some(error) = self.errors.pop_front() {
            return Some(Job::Tell(error));
        }
        if core::mem::take(&mut self.wants_look) {
            return Some(Job::Look);
        }
        let wants_pass = core::mem::take(&mut self.wants_pass);
        wants_pass.then(|| Job::Pass(core::mem::take(&mut self.rotated)))
    }
}

/// How many errors wait for the hook, before more are left out.
const ERRORS_MAX: usize = 64;

impl Worker {
    pub fn new() -> Self {
        Self {
            work: Mutex::new(Work::default()),
            changed: Event::new(),
        }
    }

    /// Has the rotated files gone through, once the thread is started.
    pub fn want_pass(&self) {
        self.work.lock().wants_pass = true;
    }

    pub fn want_look(&self) {
        self.work.lock().wants_look = true;
    }

    /// Whether somebody has asked for something, who is served now.
    pub fn take_look(&self) -> bool {
        core::mem::take(&mut self.work.lock().wants_look)
    }

    /// Has the file at `key` left as it is, until `unpin`.
    pub fn pin(&self, key: Key) {
        self.work.lock().pinned.push(key);
    }

    /// No ring file names a file that was cut off.
    pub fn unpin(&self) {
        let mut work = self.work.lock();
        if !work.pinned.is_empty() {
            work.pinned.clear();
            work.wants_pass = true;
        }
    }

    pub fn pinned(&self) -> Vec<Key> {
        self.work.lock().pinned.clone()
    }

    /// Another file has taken over; the one before is now at `key`.
    pub fn has_rotated(&self, key: Option<Key>) {
        let mut work = self.work.lock();
        work.is_failing = false;
        work.wants_pass = true;
        work.rotated.extend(key);
    }

    /// Puts back what is to be told of the next time.
    pub fn tell_later(&self, keys: Vec<Key>) {
        let mut work = self.work.lock();
        let later = core::mem::replace(&mut work.rotated, keys);
        work.rotated.extend(later);
    }

    /// A rotation has failed; it is told if it was not.
    pub fn report_failing(&self, error: Option<RotateError>) {
        self.work.lock().is_failing = true;
        if let Some(error) = error {
            self.report(error);
        }
        self.notify();
    }

    pub fn report(&self, error: RotateError) {
        let mut work = self.work.lock();
        if work.errors.len() < ERRORS_MAX {
            work.errors.push_back(error);
        }
    }

    /// Tells of all errors at once, on this thread.
    #[cfg(test)]
    pub fn tell_all(&self, rotation: &super::Rotation) {
        let errors = core::mem::take(&mut self.work.lock().errors);
        let hook = rotation.on_error.as_ref().unwrap();
        errors.iter().for_each(|error| hook(error));
    }

    /// Somebody may have waited for what was done.
    pub fn notify(&self) {
        self.changed.notify();
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
