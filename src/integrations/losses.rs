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

#[derive(Debug, Default)]
struct Counters {
    full: Counter,
    timed_out: Counter,
    headroom: Counter,
    held: Counter,
    too_large: Counter,
    failed: Counter,
    closed: Counter,
    unformatted: Counter,
}

impl Counters {
    fn of(&self, cause: Option<Cause>) -> &Counter {
        match cause {
            Some(Cause::Full) => &self.full,
            Some(Cause::TimedOut) => &self.timed_out,
            Some(Cause::Headroom) => &self.headroom,
            Some(Cause::Held) => &self.held,
            Some(Cause::TooLarge) => &self.too_large,
            Some(Cause::Failed) => &self.failed,
            Some(Cause::Closed | Cause::Forked) => &self.closed,
            None => &self.unformatted,
        }
    }
}

impl Losses {
    /// Returns the events lost at the level of this number.
    pub(super) fn at(&self, level: usize) -> Lost {
        let of = &self.by_level[level];
        Lost {
            full: of.full.get(),
            timed_out: of.timed_out.get(),
            headroom: of.headroom.get(),
            held: of.held.get(),
            too_large: of.too_large.get(),
            failed: of.failed.get(),
            closed: of.closed.get(),
            unformatted: of.unformatted.get(),
        }
    }

    /// Returns the events lost at all levels.
    pub(super) fn now(&self) -> Lost {
        let add = |sum: Lost, level| {
            let of = self.at(level);
            Lost {
                full: sum.full + of.full,
                timed_out: sum.timed_out + of.timed_out,
                headroom: sum.headroom + of.headroom,
                held: sum.held + of.held,
                too_large: sum.too_large + of.too_large,
                failed: sum.failed + of.failed,
                closed: sum.closed + of.closed,
                unformatted: sum.unformatted + of.unformatted,
            }
        };
        (0..=LEVELS).fold(Lost::default(), add)
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
