//! Which levels wait for room and which are discarded when the ring is full; counts the losses.

use std::time::Duration;

use crate::ends::Counter;
#[cfg(feature = "tracing")]
use crate::face::Lane;
use crate::face::Queue;
use crate::words::{Error, Flags};

/// Lost events, by cause, from [`log::Logger::lost`] or [`tracing::Writer::lost`].
///
/// [`log::Logger::lost`]: https://docs.rs/alq/latest/alq/log/struct.Logger.html#method.lost
/// [`tracing::Writer::lost`]: https://docs.rs/alq/latest/alq/tracing/struct.Writer.html#method.lost
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
/// # #[cfg(feature = "tracing")]
/// let lost = alq::tracing::Writer::new(&queue).lost();
/// # #[cfg(not(feature = "tracing"))]
/// # let lost = alq::log::Logger::new(&queue).lost();
/// assert_eq!(lost.full + lost.too_large + lost.failed, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// Events without room: events of a level that does not wait, or whose wait reached its limit.
    /// (The former are also in [`Stats::refused_records`](crate::Stats::refused_records), which
    /// counts all appends that the queue has refused.)
    pub full: u64,
    /// Events longer than the ring, which can never be appended.
    pub too_large: u64,
    /// Events for a queue that is closed or has failed, and events that could not be formatted.
    pub failed: u64,
}

/// Counts lost events.
#[derive(Debug, Default)]
pub(super) struct Losses {
    full: Counter,
    too_large: Counter,
    failed: Counter,
}

impl Losses {
    pub(super) fn now(&self) -> Lost {
        Lost {
            full: self.full.get(),
            too_large: self.too_large.get(),
            failed: self.failed.get(),
        }
    }

    /// Counts the event if it was lost. Returns the error to report; a full ring is not reported,
    /// because the user chose to discard events then.
    pub(super) fn settle(&self, appended: Result<(), Error>) -> Result<(), Error> {
        let (count, reported) = match appended {
            Ok(()) => return Ok(()),
            Err(Error::WouldBlock | Error::TimedOut) => (&self.full, Ok(())),
            Err(error @ Error::TooLarge { .. }) => (&self.too_large, Err(error)),
            Err(error) => (&self.failed, Err(error)),
        };
        count.add(1);
        reported
    }
}

/// How long events wait for room, by level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy<L> {
    /// Events of this level, and less severe ones, do not wait.
    drop_from: Option<L>,
    wait_at_most: Option<Duration>,
}

impl<L: PartialOrd> Policy<L> {
    /// Every level waits without a limit.
    pub(super) const WAIT: Self = Self {
        drop_from: None,
        wait_at_most: None,
    };

    pub(super) fn drop_from(self, level: L) -> Self {
        Self {
            drop_from: Some(level),
            ..self
        }
    }

    pub(super) fn wait_at_most(self, time: Duration) -> Self {
        Self {
            wait_at_most: Some(time),
            ..self
        }
    }

    /// How an event of this level is appended. In both facades the most severe level is the
    /// smallest.
    pub(super) fn patience(&self, level: &L) -> Patience {
        if self.drop_from.as_ref().is_some_and(|from| level >= from) {
            return Patience {
                flags: Flags::NOWAIT,
                timeout: None,
            };
        }
        self.patience_of_all()
    }

    /// How an event of unknown level is appended.
    pub(super) fn patience_of_all(&self) -> Patience {
        Patience {
            flags: Flags::WAITOK,
            timeout: self.wait_at_most,
        }
    }
}

/// How long one event may wait for room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) flags: Flags,
    pub(super) timeout: Option<Duration>,
}

impl Patience {
    pub(super) fn append(self, queue: &Queue, text: &[u8]) -> Result<(), Error> {
        match self.timeout {
            None => queue.writen(text, self.flags),
            Some(timeout) => queue.writen_timeout(text, self.flags, timeout),
        }
        .map(drop)
    }

    #[cfg(feature = "tracing")]
    pub(super) fn append_in(self, lane: &mut Lane, text: &[u8]) -> Result<(), Error> {
        match self.timeout {
            None => lane.writen(text, self.flags),
            Some(timeout) => lane.writen_timeout(text, self.flags, timeout),
        }
        .map(drop)
    }
}
