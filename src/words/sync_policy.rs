//! How often a queue syncs although no caller waits.

use std::time::Duration;

/// Says how often a queue syncs while it has bytes that are written and not synced. For
/// [`Options::sync_every`](crate::Options::sync_every).
///
/// A policy needs a [time](SyncPolicy::time), a number of [bytes](SyncPolicy::bytes), or both: then
/// a sync begins as soon as one of them is reached.
///
/// ```
/// use std::time::Duration;
///
/// use alq::{Options, SyncPolicy};
///
/// # let dir = tempfile::tempdir()?;
/// let often = SyncPolicy::new().time(Duration::from_millis(2)).bytes(1 << 20);
/// let queue = Options::new().sync_every(often).open(dir.path().join("app.log"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a policy does nothing until `Options::sync_every`"]
pub struct SyncPolicy {
    pub(crate) time: Option<Duration>,
    pub(crate) bytes: Option<u64>,
}

impl SyncPolicy {
    /// Makes a policy without a time and without a number of bytes. Opening a queue refuses it with
    /// [`Error::InvalidOption`](crate::Error::InvalidOption).
    ///
    /// ```
    /// use alq::{Error, Options, SyncPolicy};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let options = Options::new().sync_every(SyncPolicy::new());
    /// let error = options.open(dir.path().join("app.log")).unwrap_err();
    /// assert!(matches!(error, Error::InvalidOption { option: "sync_every", .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn new() -> Self {
        Self {
            time: None,
            bytes: None,
        }
    }

    /// Sets the longest time for which written bytes stay without a sync. The next sync begins at
    /// the latest when the oldest of them was written this long ago, as far as the scheduler lets
    /// the sync thread run. 0 is refused when the queue is opened.
    ///
    /// If a sync takes longer than this time, the next one follows at once while there is traffic.
    ///
    /// ```
    /// let policy = alq::SyncPolicy::new().time(std::time::Duration::from_millis(100));
    /// let options = alq::Options::new().sync_every(policy);
    /// ```
    pub const fn time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// Sets the number of written bytes without a sync at which the next sync begins. Bytes that
    /// are written until it has begun, and during it, come on top. The number counts as a
    /// [`Position`](crate::Position) does, with padding. 0 is refused when the queue is opened.
    ///
    /// ```
    /// let policy = alq::SyncPolicy::new().bytes(1 << 20);
    /// let options = alq::Options::new().sync_every(policy);
    /// ```
    pub const fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Returns whether the policy has a time or a number of bytes, and neither is 0.
    pub(crate) fn is_valid(self) -> bool {
        let has_zero = self.time == Some(Duration::ZERO) || self.bytes == Some(0);
        !has_zero && (self.time.is_some() || self.bytes.is_some())
    }
}
