//! The options that say how long the flusher sleeps.

use std::time::Duration;

use super::options::Options;
use crate::words::Idle;

/// When the flusher looks for records.
impl Options {
    /// Sets the time within which the flusher begins to write an activating post, under any load
    /// and without any further call: 10 ms by default. (An open reservation in front, or a
    /// descriptor that accepts no data, still delays it.) Records posted with
    /// [`NOACTIVATE`](crate::Flags::NOACTIVATE) have no such bound.
    ///
    /// The flusher sleeps for at most a quarter of this time, and for less if the ring would fill
    /// too far. A longer time means fewer wake-ups. With 0, the flusher polls without sleeping
    /// while there is traffic.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let relaxed = std::time::Duration::from_millis(500);
    /// let queue = alq::Options::new().max_delay(relaxed).open(dir.path().join("app.log"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Sets what the flusher does while no records come: [`Idle::Park`] by default, so that an idle
    /// queue costs nothing. [`Idle::Nap`] and [`Idle::Spin`] save the first append after a pause
    /// the wake-up of the flusher. [`Idle`] says what each of them costs.
    ///
    /// ```
    /// use alq::{Idle, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let queue = Options::new().idle(Idle::Nap).open(dir.path().join("app.log"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn idle(mut self, idle: Idle) -> Self {
        self.idle = idle;
        self
    }
}
