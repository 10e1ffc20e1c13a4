//! What a queue reports when no caller is waiting for it.

use core::fmt;

use super::{Error, Left, Target, Undrained};

/// What [`Options::on_error`](crate::Options::on_error) is called with: an error and the queue that
/// it happened in. The last report of a queue that ends with unwritten records also says how much
/// that is.
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
    /// What was not written, if the queue has ended, at its drop or at exit. Nothing is retried
    /// then; `error` is the cause.
    pub undrained: Option<Undrained>,
}

impl Report {
    pub(crate) fn new(queue: Target, error: Error) -> Self {
        let error = error.about(&queue);
        Self {
            queue,
            error,
            undrained: None,
        }
    }

    /// The last report of a queue.
    pub(crate) fn last(queue: Target, undrained: Undrained) -> Self {
        Self {
            undrained: Some(undrained.clone()),
            ..Self::new(queue, undrained.cause)
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            queue,
            error,
            undrained,
        } = self;
        match undrained {
            Some(undrained) => write!(f, "{queue}: {}", Left(undrained)),
            None => write!(f, "{queue}: {}", error.reason()),
        }
    }
}
