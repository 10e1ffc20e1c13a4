//! Telling somebody when nobody asks: the callback of `Options::on_error`.

use core::fmt;
use std::time::Duration;

use super::notifier;
use crate::primitives::sync::PlainArc;
use crate::words::Error;

/// Whom a queue tells of its errors, if anybody.
#[derive(Clone, Default)]
pub struct Reporter {
    callback: Option<PlainArc<Callback>>,
}

type Callback = dyn Fn(&Error) + Send + Sync;

/// How long the drop of the last handle waits for the callback: the process may end behind it.
const LAST_WORDS_TIME: Duration = Duration::from_secs(1);

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.callback {
            Some(_) => "Reporter(Callback)",
            None => "Reporter(None)",
        })
    }
}

impl Reporter {
    pub fn new(callback: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        Self {
            callback: Some(PlainArc::new(callback)),
        }
    }

    /// Whether anybody is told.
    pub fn is_set(&self) -> bool {
        self.callback.is_some()
    }

    /// Makes sure that there is a thread to run the callback, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be started.
    pub fn start(&self) -> Result<(), Error> {
        match self.callback {
            Some(_) => notifier::start(),
            None => Ok(()),
        }
    }

    /// Has the callback run on the notifier thread. Never blocks on it.
    pub fn report(&self, error: Error) {
        if let Some(callback) = &self.callback {
            let callback = PlainArc::clone(callback);
            notifier::submit(Box::new(move || callback(&error)));
        }
    }

    /// The same, and waits until it has run, for a second at most.
    pub fn report_last(&self, error: Error) {
        if self.callback.is_some() {
            self.report(error);
            notifier::wait_until_idle(LAST_WORDS_TIME);
        }
    }
}
