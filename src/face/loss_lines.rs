//! The options that make a log report the records that it lacks.

use std::time::Duration;

use super::options::Options;
use crate::actors::LossLines;
use crate::ends::Refusals;

impl Options {
    /// Writes a line into the log where records are missing; off by default. Where appends were
    /// refused, the file gets a line such as
    ///
    /// ```text
    /// alq: 12 records, 1534 bytes dropped: queue full
    /// alq: 7 records, 900 bytes dropped: waited in vain (5), too large (2)
    /// ```
    ///
    /// At most one such line is written in each `every`, so that lines about losses do not flood
    /// the log. A line that had to wait is written later than its place, at the latest when the
    /// queue is closed or dropped, or when the process ends.
    ///
    /// The line goes between two records, so records should end in a newline. A fixed queue cannot
    /// have loss lines, because all its records have one length. The line counts every append that
    /// did not get in, by cause, and the bytes that it asked for ([`Refusals`]). What was refused
    /// because a write had failed is reported after a [reopen](crate::Queue::reopen). What was
    /// refused because the queue was closed causes no line.
    ///
    /// ```
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// let once_a_second = std::time::Duration::from_secs(1);
    /// let queue = Options::new().capacity(4096).loss_lines(once_a_second).open(&path)?;
    /// let held = queue.getn(4096, Flags::NOWAIT)?;
    /// assert_eq!(queue.writen(b"refused\n", Flags::NOWAIT), Err(alq::Error::WouldBlock));
    /// drop(held);
    /// queue.close(None)?;
    /// assert_eq!(std::fs::read(&path)?, b"alq: 1 record, 8 bytes dropped: queue full\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn loss_lines(mut self, every: Duration) -> Self {
        self.loss_lines = Some(LossLines::plain(every));
        self
    }

    /// Reports losses as [`loss_lines`](Options::loss_lines) does, in the format of the log:
    /// `format` gets what was refused since the last line, and returns the bytes to write, with
    /// the line end. No bytes are no line.
    ///
    /// It runs on the flusher, so it must be short, and must not wait for the queue. If it panics,
    /// the plain line is written.
    ///
    /// ```
    /// use alq::{Flags, Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.json");
    /// let once_a_second = std::time::Duration::from_secs(1);
    /// let options = Options::new().capacity(4096).loss_lines_with(once_a_second, |lost| {
    ///     let total = lost.total();
    ///     format!("{{\"level\":\"WARN\",\"lost\":{}}}\n", total.records)
    /// });
    /// let queue = options.open(&path)?;
    /// assert!(queue.writen(&[b'x'; 5000], Flags::WAITOK).is_err());
    /// queue.close(None)?;
    /// assert_eq!(std::fs::read(&path)?, b"{\"level\":\"WARN\",\"lost\":1}\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn loss_lines_with<B: Into<Vec<u8>>>(
        mut self,
        every: Duration,
        format: impl Fn(&Refusals) -> B + Send + Sync + 'static,
    ) -> Self {
        self.loss_lines = Some(LossLines::with(every, format));
        self
    }
}
