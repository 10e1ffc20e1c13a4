//! What a queue reports when no caller is waiting for it.

use core::fmt;

use super::{Error, Target};

/// What [`Options::on_error`](crate::Options::on_error) is called with: an error and the queue that
/// it happened in.
///
/// ```
/// use alq::{Options, Report};
///
/// let tell = |report: &Report| eprintln!("alq: {report}");
/// let options = Options::new().on_error(tell); // alq: app.log: cannot be written: ..
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The log that the queue was opened with, or reopened on; or its descriptor or number.
    pub queue: Target,
    /// What happened.
    pub error: Error,
}

impl Report {
    pub(crate) const fn new(queue: Target, error: Error) -> Self {
        Self { queue, error }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.queue, self.error.reason())
    }
}
