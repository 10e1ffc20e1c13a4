//! The thread that runs callbacks. The process has one; it starts when the first callback is set.
//!
//! Callbacks run one at a time, in the order in which they were submitted. A callback that blocks
//! delays the others; it never delays a flusher.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::primitives::sync::{Mutex, ThreadId, spawn_quiet, this_thread};
use crate::primitives::{Event, PerProcess};
use crate::words::{Error, Operation};

/// A callback to run.
type Job = Box<dyn FnOnce() + Send>;

/// A check whether something needs a report.
type Look = fn() -> Option<Duration>;

struct Notifier {
    jobs: Mutex<Jobs>,
    /// Notified when a job was submitted, and when one has run.
    changed: Event,
    /// Called between two jobs. Returns after which time to call it again.
    look: Mutex<Option<Look>>,
    thread: Mutex<Option<ThreadId>>,
    started: Mutex<bool>,
}

struct Jobs {
    waiting: VecDeque<Job>,
    /// How many jobs were submitted, and how many of those have run.
    came: u64,
    ran: u64,
}

fn notifier() -> &'static Notifier {
    static NOTIFIER: PerProcess<Notifier> = PerProcess::new();
    NOTIFIER.get(|| Notifier {
        jobs: Mutex::new(Jobs {
            waiting: VecDeque::new(),
            came: 0,
            ran: 0,
        }),
        changed: Event::new(),
        look: Mutex::new(None),
        thread: Mutex::new(None),
        started: Mutex::new(false),
    })
}

/// Starts the thread that runs callbacks, unless it runs.
///
/// # Errors
///
/// [`Error::Io`] if the thread cannot be started.
pub fn start() -> Result<(), Error> {
    let notifier = notifier();
    let mut started = notifier.started.lock();
    if !*started {
        spawn_quiet(c"alq-notifier", || run(notifier))
            .map_err(|error| Error::io(Operation::Spawn, &error))?;
        *started = true;
    }
    Ok(())
}

/// Submits `job` to the notifier thread, after the jobs that came before. Never blocks on a job.
pub fn submit(job: Job) {
    let notifier = notifier();
    {
        let mut jobs = notifier.jobs.lock();
        jobs.waiting.push_back(job);
        jobs.came += 1;
    }
    notifier.changed.notify();
}

/// Has the notifier thread call `look` now, and again after each pause that `look` returns.
pub fn watch(look: Look) {
    *notifier().look.lock() = Some(look);
    submit(Box::new(|| {})); // the thread calls `look` after each job
}

/// Waits until all jobs that were submitted before the call have run, for at most `limit`. On the
/// notifier thread it returns at once.
pub fn wait_until_idle(limit: Duration) {
    let notifier = notifier();
    if *notifier.thread.lock() == Some(this_thread()) {
        return;
    }
    let last = notifier.jobs.lock().came;
    let done = || (notifier.jobs.lock().ran >= last).then_some(());
    let deadline = Instant::now().checked_add(limit);
    // A callback that blocks had `limit` to return.
    let _ = notifier.changed.wait_until(deadline, done);
}

fn run(notifier: &Notifier) {
    *notifier.thread.lock() = Some(this_thread());
    loop {
        let look = *notifier.look.lock();
        let pause = look.and_then(|look| look());
        let until = pause.and_then(|pause| Instant::now().checked_add(pause));
        let next = || notifier.jobs.lock().waiting.pop_front();
        if let Some(job) = notifier.changed.wait_until(until, next) {
            // The panic message is on standard error. The next callback runs all the same.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(job)) {
                core::mem::forget(payload); // its drop might panic again
            }
            notifier.jobs.lock().ran += 1;
            notifier.changed.notify();
        }
    }
}
