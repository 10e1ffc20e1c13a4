//! What a queue reports when no caller is waiting for it.

use core::fmt;
use std::time::Duration;

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
    /// Why the sink accepts no data, in words, as in [`Stall::reason`](crate::Stall::reason). Only
    /// with [`Error::Stalled`].
    pub reason: Option<String>,
    /// If set, a stall that was reported is over: `error` was its cause, and this its length. The
    /// sink accepts data again, or another one has taken its place.
    pub stall_ended: Option<Duration>,
}

impl Report {
    pub(crate) fn new(queue: Target, error: Error) -> Self {
        let error = error.about(&queue);
        Self {
            queue,
            error,
            undrained: None,
            reason: None,
            stall_ended: None,
        }
    }

    /// The report of a stall that has lasted for the stall limit.
    pub(crate) fn stalled(queue: Target, error: Error, reason: String) -> Self {
        Self {
            reason: Some(reason),
            ..Self::new(queue, error)
        }
    }

    /// The report that a stall is over.
    pub(crate) fn ended(queue: Target, error: Error, time: Duration) -> Self {
        Self {
            stall_ended: Some(time),
            ..Self::new(queue, error)
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
            reason,
            stall_ended,
        } = self;
        write!(f, "{queue}: ")?;
        match (undrained, stall_ended, reason) {
            (Some(undrained), ..) => Left(undrained).fmt(f),
            (_, Some(time), _) => {
                write!(f, "accepts data again after {:.1} s", time.as_secs_f64())
            }
            (.., Some(reason)) => write!(
                f,
                "accepts no data: {reason}; the queue keeps it and retries"
            ),
            _ => error.reason().fmt(f),
        }
    }
}
