//! Appends that did not get into a queue, by cause.
//!
//! A caller counts its own refusal, on the cold path and also in a signal handler. The counters
//! only inform.

use core::fmt;

use super::counter::Counter;
use crate::words::Error;

/// A number of records and the sum of their bytes.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// let queue = alq::Options::new().capacity(4096).open(dir.path().join("app.log"))?;
/// assert!(queue.writen(&[b'x'; 5000], alq::Flags::NOWAIT).is_err());
/// let too_large: alq::Amount = queue.stats().refused.too_large;
/// assert_eq!((too_large.records, too_large.bytes), (1, 5000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Amount {
    /// The number of records.
    pub records: u64,
    /// Their bytes. (For a reservation: the bytes that it asked for, of which less than 2^32
    /// count.)
    pub bytes: u64,
}

/// Appends that did not get into the queue, by cause: [`Stats::refused`](crate::Stats::refused),
/// and what a [loss line](crate::Options::loss_lines_with) reports.
///
/// `Display` writes the text of a loss line, without its line end. A call with wrong arguments
/// (flags, mode, length 0) counts nowhere, since it is an error of the program.
///
/// ```
/// use alq::{Error, Flags, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().capacity(4096).open(dir.path().join("app.log"))?;
/// let held = queue.getn(4096, Flags::NOWAIT)?;
/// assert_eq!(queue.writen(b"no room\n", Flags::NOWAIT), Err(Error::WouldBlock));
/// assert!(queue.writen(&[b'x'; 5000], Flags::NOWAIT).is_err());
///
/// let refused = queue.stats().refused;
/// assert_eq!((refused.full.records, refused.too_large.records), (1, 1));
/// assert_eq!(refused.total().bytes, 5008);
/// assert_eq!(
///     refused.to_string(),
///     "alq: 2 records, 5008 bytes dropped: queue full (1), too large (1)"
/// );
/// # drop(held);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// There was no room, and the append did not wait: [`Error::WouldBlock`], or
    /// [`Error::Stalled`] with [`refuse_when_stalled`](crate::Options::refuse_when_stalled).
    pub full: Amount,
    /// There was no room for as long as the append would wait: [`Error::TimedOut`].
    pub timed_out: Amount,
    /// A policy refused the level of the record, to keep room for more severe ones.
    pub headroom: Amount,
    /// An open reservation blocked the drain for the stall limit: [`Error::Held`].
    pub held: Amount,
    /// The record was longer than the ring: [`Error::TooLarge`].
    pub too_large: Amount,
    /// A write had failed: [`Error::Io`].
    pub failed: Amount,
    /// The queue was closed: [`Error::Closed`].
    pub closed: Amount,
    /// The process was a child of fork(2) that cannot write to the sink: [`Error::Forked`].
    pub forked: Amount,
    /// The record was posted, and a reopen [discarded](crate::Queue::reopen_discarding) it. Only a
    /// loss line has this amount: in [`Stats::refused`](crate::Stats::refused) it is 0, and
    /// [`Stats::discarded_records`](crate::Stats::discarded_records) has it.
    pub discarded: Amount,
}

impl Refusals {
    /// Returns the amount of each cause with the name of the cause, which is stable: the values of
    /// the label `cause` of the metrics.
    ///
    /// ```
    /// let by_cause = alq::Refusals::default().by_cause();
    /// assert_eq!(by_cause[0], ("full", alq::Amount::default()));
    /// ```
    #[must_use]
    pub fn by_cause(&self) -> Vec<(&'static str, Amount)> {
        Cause::ALL
            .map(|cause| (cause.name(), self.of(cause)))
            .into()
    }

    /// Returns the sum over all causes.
    ///
    /// ```
    /// assert_eq!(alq::Refusals::default().total().records, 0);
    /// ```
    #[must_use]
    pub fn total(&self) -> Amount {
        let add = |sum: Amount, cause| Amount {
            records: sum.records + self.of(cause).records,
            bytes: sum.bytes + self.of(cause).bytes,
        };
        Cause::ALL.into_iter().fold(Amount::default(), add)
    }

    /// Returns what was refused since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self::with(|cause| {
            let (now, before) = (self.of(cause), before.of(cause));
            Amount {
                records: now.records.saturating_sub(before.records),
                bytes: now.bytes.saturating_sub(before.bytes),
            }
        })
    }

    /// Returns the sum of both, cause by cause.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self::with(|cause| Amount {
            records: self.of(cause).records + other.of(cause).records,
            bytes: self.of(cause).bytes + other.of(cause).bytes,
        })
    }

    fn with(amount: impl Fn(Cause) -> Amount) -> Self {
        Self {
            full: amount(Cause::Full),
            timed_out: amount(Cause::TimedOut),
            headroom: amount(Cause::Headroom),
            held: amount(Cause::Held),
            too_large: amount(Cause::TooLarge),
            failed: amount(Cause::Failed),
            closed: amount(Cause::Closed),
            forked: amount(Cause::Forked),
            discarded: amount(Cause::Discarded),
        }
    }

    fn of(&self, cause: Cause) -> Amount {
        match cause {
            Cause::Full => self.full,
            Cause::TimedOut => self.timed_out,
            Cause::Headroom => self.headroom,
            Cause::Held => self.held,
            Cause::TooLarge => self.too_large,
            Cause::Failed => self.failed,
            Cause::Closed => self.closed,
            Cause::Forked => self.forked,
            Cause::Discarded => self.discarded,
        }
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Amount { records, bytes } = self.total();
        let unit = if records == 1 { "record" } else { "records" };
        write!(f, "alq: {records} {unit}, {bytes} bytes dropped")?;
        let with_records = |cause: &Cause| self.of(*cause).records > 0;
        let mut separator = ": ";
        for cause in Cause::ALL.into_iter().filter(with_records) {
            let of_it = self.of(cause).records;
            write!(f, "{separator}{}", cause.text())?;
            if of_it < records {
                write!(f, " ({of_it})")?;
            }
            separator = ", ";
        }
        Ok(())
    }
}

/// Why an append did not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Full,
    TimedOut,
    Headroom,
    Held,
    TooLarge,
    Failed,
    Closed,
    Forked,
    Discarded,
}

impl Cause {
    /// Every cause, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Full,
        Self::TimedOut,
        Self::Headroom,
        Self::Held,
        Self::TooLarge,
        Self::Failed,
        Self::Closed,
        Self::Forked,
        Self::Discarded,
    ];

    /// Returns the cause of an append that failed with `error`; `None` if its arguments were wrong.
    pub fn of(error: &Error) -> Option<Self> {
        Some(match error {
            Error::WouldBlock | Error::Stalled { .. } => Self::Full,
            Error::TimedOut => Self::TimedOut,
            Error::Held { .. } => Self::Held,
            Error::TooLarge { .. } => Self::TooLarge,
            Error::Io { errno, .. } if *errno == libc::EMSGSIZE => Self::TooLarge,
            Error::Io { .. } => Self::Failed,
            Error::Closed => Self::Closed,
            Error::Forked => Self::Forked,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TimedOut => "timed_out",
            Self::Headroom => "headroom",
            Self::Held => "held",
            Self::TooLarge => "too_large",
            Self::Failed => "failed",
            Self::Closed => "closed",
            Self::Forked => "forked",
            Self::Discarded => "discarded",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Full => "queue full",
            Self::TimedOut => "waited in vain",
            Self::Headroom => "room kept for errors",
            Self::Held => "held up by an open entry",
            Self::TooLarge => "too large",
            Self::Failed => "write failed",
            Self::Closed => "queue closed",
            Self::Forked => "in a child process",
            Self::Discarded => "discarded by a reopen",
        }
    }
}

/// Counts refusals.
#[derive(Debug, Default)]
pub struct RefusalCounters {
    records: [Counter; Cause::ALL.len()],
    bytes: [Counter; Cause::ALL.len()],
}

impl RefusalCounters {
    /// Counts a refused record of `len` bytes, of which it counts less than 2^32: a caller may ask
    /// for a reservation of any length, and the sums must not overflow. Async-signal-safe.
    pub fn add(&self, cause: Cause, len: u64) {
        self.records[cause as usize].add(1);
        self.bytes[cause as usize].add(len.min(u32::MAX.into()));
    }

    /// Counts `records` records with `bytes` bytes.
    pub fn add_all(&self, cause: Cause, records: u64, bytes: u64) {
        self.records[cause as usize].add(records);
        self.bytes[cause as usize].add(bytes);
    }

    /// The counts so far.
    pub fn now(&self) -> Refusals {
        Refusals::with(|cause| Amount {
            records: self.records[cause as usize].get(),
            bytes: self.bytes[cause as usize].get(),
        })
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::{Amount, Cause, RefusalCounters, Refusals};

    #[test]
    fn each_cause_has_its_own_count_and_name() {
        let counters = RefusalCounters::default();
        for (times, cause) in Cause::ALL.into_iter().enumerate() {
            (0..=times).for_each(|_| counters.add(cause, 10));
        }
        let now = counters.now();
        let records: Vec<_> = now.by_cause().iter().map(|(_, of)| of.records).collect();
        assert_eq!(records, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let total = now.total();
        assert_eq!((total.records, total.bytes), (45, 450));
        assert_eq!(now.since(&now), Refusals::default());
        assert_eq!(now.plus(&now).closed.bytes, 140);
        let mut names: Vec<_> = now.by_cause().iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 9);
    }

    #[test]
    fn the_text_names_the_causes() {
        let amount = |records, bytes| Amount { records, bytes };
        let mut refused = Refusals {
            full: amount(12, 1534),
            ..Refusals::default()
        };
        let text = "alq: 12 records, 1534 bytes dropped: queue full";
        assert_eq!(refused.to_string(), text);
        refused.timed_out = amount(1, 6);
        let text = "alq: 13 records, 1540 bytes dropped: queue full (12), waited in vain (1)";
        assert_eq!(refused.to_string(), text);
    }
}
