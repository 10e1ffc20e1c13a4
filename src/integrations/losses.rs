//! Counts the events that were lost, by level and cause.

use crate::ends::{Cause, Counter};
use crate::words::Error;

/// Lost events, by cause, from [`log::Logger::lost`] or [`tracing::Writer::lost`]. The queue counts
/// all of them but `unformatted` too: [`Stats::refused`](crate::Stats::refused).
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
/// assert_eq!(lost.total(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// Events that found no room and did not wait: their level does not wait, or an earlier event
    /// has waited in vain.
    pub full: u64,
    /// Events that waited in vain, for as long as they may.
    pub timed_out: u64,
    /// Events of a level that was refused to keep room for more severe ones.
    pub headroom: u64,
    /// Events that waited while an open reservation blocked the drain for the stall limit.
    pub held: u64,
    /// Events longer than the ring, which can never be appended.
    pub too_large: u64,
    /// Events for a queue that has failed.
    pub failed: u64,
    /// Events for a queue that was closed, or that is another process's.
    pub closed: u64,
    /// Events that could not be formatted.
    pub unformatted: u64,
}

impl Lost {
    /// Returns the sum of all causes.
    ///
    /// ```
    /// # #[cfg(feature = "tracing")]
    /// use alq::tracing::Lost;
    /// # #[cfg(not(feature = "tracing"))]
    /// # use alq::log::Lost;
    ///
    /// assert_eq!(Lost::default().total(), 0);
    /// ```
    #[must_use]
    pub fn total(&self) -> u64 {
        let waited = self.full + self.timed_out + self.headroom + self.held;
        waited + self.too_large + self.failed + self.closed + self.unformatted
    }

    /// Each member is what `count` returns for its cause; `None` is the cause of `unformatted`.
    fn with(count: impl Fn(Option<Cause>) -> u64) -> Self {
        Self {
            full: count(Some(Cause::Full)),
            timed_out: count(Some(Cause::TimedOut)),
            headroom: count(Some(Cause::Headroom)),
            held: count(Some(Cause::Held)),
            too_large: count(Some(Cause::TooLarge)),
            failed: count(Some(Cause::Failed)),
            closed: count(Some(Cause::Closed)) + count(Some(Cause::Forked)),
            unformatted: count(None),
        }
    }
}

/// A level of a facade.
pub(super) trait Severity: Copy {
    /// Its number: 0 for the most severe level, up to 4.
    fn number(self) -> usize;
}

/// The number of the levels of a facade.
pub(super) const LEVELS: usize = 5;

/// Counts lost events.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// For each level, and for events of unknown level.
    by_level: [Counters; LEVELS + 1],
}

/// One counter for each cause, and one for events that could not be formatted.
#[derive(Debug, Default)]
struct Counters([Counter; Cause::ALL.len() + 1]);

impl Counters {
    fn of(&self, cause: Option<Cause>) -> &Counter {
        &self.0[cause.map_or(Cause::ALL.len(), |cause| cause as usize)]
    }
}

impl Losses {
    /// Returns the events lost at the level of this number.
    pub(super) fn at(&self, level: usize) -> Lost {
        Lost::with(|cause| self.by_level[level].of(cause).get())
    }

    /// Returns the events lost at all levels.
    pub(super) fn now(&self) -> Lost {
        let levels = || self.by_level.iter();
        Lost::with(|cause| levels().map(|level| level.of(cause).get()).sum())
    }

    /// Counts an event that was lost for `cause`; `None` if it could not be formatted.
    pub(super) fn add(&self, level: usize, cause: Option<Cause>) {
        self.by_level[level].of(cause).add(1);
    }

    /// Counts the event if it was lost. Returns the error to report; a full ring is not reported,
    /// because the user chose to discard events then.
    pub(super) fn settle(&self, level: usize, appended: Result<(), Error>) -> Result<(), Error> {
        let Err(error) = appended else {
            return Ok(());
        };
        let cause = Cause::of(&error);
        self.add(level, cause);
        match cause {
            Some(Cause::Full | Cause::TimedOut) => Ok(()),
            _ => Err(error),
        }
    }
}
