//! The thread that runs callbacks: one for the process, made when the first one is asked for.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::primitives::sync::{Mutex, spawn_quiet};
use crate::primitives::{Event, PerProcess};
use crate::words::{Error, Operation};

/// Something to run.
type Job = Box<dyn FnOnce() + Send>;

struct Notifier {
    jobs: Mutex<VecDeque<Job>>,
    came: Event,
    started: Mutex<bool>,
}

fn notifier() -> &'static Notifier {
    static NOTIFIER: PerProcess<Notifier> = PerProcess::new();
    NOTIFIER.get(|| Notifier {
        jobs: Mutex::new(VecDeque::new()),
        came: Event::new(),
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
    notifier.jobs.lock().push_back(job);
    notifier.came.notify();
}

fn run(notifier: &Notifier) {
    loop {
        let next = || notifier.jobs.lock().pop_front();
        if let Some(job) = notifier.came.wait_until(None, next) {
            // A panic is the callback's own (its message is on standard error); the next one is run all the same.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(job)) {
                core::mem::forget(payload); // its drop might panic again
            }
        }
    }
}
