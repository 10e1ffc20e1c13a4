//! The thread that runs callbacks: one for the process, made when the first one is asked for.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::primitives::sync::{Mutex, ThreadId, spawn_quiet, this_thread};
use crate::primitives::{Event, PerProcess};
use crate::words::{Error, Operation};

/// Something to run.
type Job = Box<dyn FnOnce() + Send>;

/// A look at something that may need a report.
type Look = fn() -> Option<Duration>;

struct Notifier {
    jobs: Mutex<Jobs>,
    /// Notified when a job has come, and when one has been run.
    changed: Event,
    /// Called between two jobs; returns after which time it is to be called again.
    look: Mutex<Option<Look>>,
    thread: Mutex<Option<ThreadId>>,
    started: Mutex<bool>,
}

struct Jobs {
    waiting: VecDeque<Job>,
    /// How many have come, and how many of those have been run.
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

/// Makes sure that there is a thread to run callbacks.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be started.
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

/// Has `job` run on the notifier thread, after those that came before. Never blocks on a job.
pub fn submit(job: Job) {
    let notifier = notifier();
    {
        let mut jobs = notifier.jobs.lock();
        jobs.waiting.push_back(job);
        jobs.came += 1;
    }
    notifier.changed.notify();
}

/// Has the notifier thread call `look`, now and whenever it says.
pub fn watch(look: Look) {
    *notifier().look.lock() = Some(look);
    submit(Box::new(|| {})); // it looks after each job
}

/// Waits until all jobs that have come by now have been run, for `limit` at most; not at all on the notifier thread.
pub fn wait_until_idle(limit: Duration) {
    let notifier = notifier();
    if *notifier.thread.lock() == Some(this_thread()) {
        return;
    }
    let last = notifier.jobs.lock().came;
    let done = || (notifier.jobs.lock().ran >= last).then_some(());
    let deadline = Instant::now().checked_add(limit);
    let _ = notifier.changed.wait_until(deadline, done); // a callback that blocks has had its time
}

fn run(notifier: &Notifier) {
    *notifier.thread.lock() = Some(this_thread());
    loop {
        let look = *notifier.look.lock();
        let pause = look.and_then(|look| look());
        let until = pause.and_then(|pause| Instant::now().checked_add(pause));
        let next = || notifier.jobs.lock().waiting.pop_front();
        if let Some(job) = notifier.changed.wait_until(until, next) {
            // A panic is the callback's own (its message is on standard error); the next one is run all the same.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(job)) {
                core::mem::forget(payload); // its drop might panic again
            }
            notifier.jobs.lock().ran += 1;
            notifier.changed.notify();
        }
    }
}
