//! Errors that no caller is waiting for, and the callback of `Options::on_error`, which receives
//! them.

use core::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use super::notifier;
use crate::primitives::sync::PlainArc;
use crate::primitives::sync::plain::Mutex;
use crate::words::{Error, Report, Target, Undrained};

/// The callback for the errors of a queue that no caller is waiting for.
#[derive(Clone, Default)]
pub struct Callback(Option<PlainArc<Function>>);

type Function = dyn Fn(&Report) + Send + Sync;

/// How long the drop of the last handle waits for the callback, since the process may end after it.
const LAST_REPORT_TIME_MAX: Duration = Duration::from_secs(1);

/// How many times to try the lock of the target. Another thread holds it for a few instructions
/// only.
const TRIES: u32 = 1000;

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "Callback(Some)",
            None => "Callback(None)",
        })
    }
}

impl Callback {
    pub fn new(callback: impl Fn(&Report) + Send + Sync + 'static) -> Self {
        Self(Some(PlainArc::new(callback)))
    }

    /// Starts the thread that runs callbacks, if there is a callback.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the thread cannot be started.
    pub fn start(&self) -> Result<(), Error> {
        match self.0 {
            Some(_) => notifier::start(),
            None => Ok(()),
        }
    }

    /// Has the notifier thread call `look`, which reports what the flusher cannot report itself.
    pub fn watch(&self, look: fn() -> Option<Duration>) {
        if self.0.is_some() {
            notifier::watch(look);
        }
    }

    /// Creates the reporter of a queue on `target`.
    pub fn of(&self, target: Target) -> Reporter {
        Reporter {
            callback: self.clone(),
            target: Mutex::new(target),
        }
    }
}

/// The log that a queue writes to, and the callback for errors there.
#[derive(Debug, Default)]
pub struct Reporter {
    callback: Callback,
    /// The current target; a reopen replaces it.
    target: Mutex<Target>,
}

impl Reporter {
    /// Returns whether there is a callback.
    pub fn is_set(&self) -> bool {
        self.callback.0.is_some()
    }

    /// Returns the target of the queue; the default target if another thread is replacing it right
    /// now.
    ///
    /// It does not wait for the lock: a signal handler may call it on the thread that holds the
    /// lock.
    pub fn target(&self) -> Target {
        let target = || self.target.try_lock().ok();
        let target = (0..TRIES).find_map(|_| target().map(|target| target.clone()));
        target.unwrap_or_default()
    }

    /// Notes that the queue continues in `target`.
    pub fn set_target(&self, target: Target) {
        let mut now = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        *now = target;
    }

    /// Runs the callback on the notifier thread. Never blocks on it.
    pub fn report(&self, error: Error) {
        self.submit(|queue| Report::new(queue, error));
    }

    /// Reports a stall that has lasted for the stall limit, and why.
    pub fn report_stall(&self, error: Error, reason: String) {
        self.submit(|queue| Report::stalled(queue, error, reason));
    }

    /// Reports that a stall of this length is over.
    pub fn report_end(&self, error: Error, time: Duration) {
        self.submit(|queue| Report::ended(queue, error, time));
    }

    /// Runs the callback on the notifier thread with what a queue that ends could not write, and
    /// waits until it has returned, for at most one second.
    pub fn report_last(&self, undrained: Undrained) {
        if self.is_set() {
            self.submit(|queue| Report::last(queue, undrained));
            notifier::wait_until_idle(LAST_REPORT_TIME_MAX);
        }
    }

    fn submit(&self, report: impl FnOnce(Target) -> Report) {
        if let Some(callback) = &self.callback.0 {
            let callback = PlainArc::clone(callback);
            let report = report(self.target());
            notifier::submit(Box::new(move || callback(&report)));
        }
    }
}
