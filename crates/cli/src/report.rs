//! What the tool says on standard error: one line a message, and never a panic.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::time::Duration;

use alq::Stats;

/// Prints one line. Nobody can be told when standard error is closed or full, so that is ignored.
pub fn line(message: &dyn Display) {
    let text = format!("alq: {message}\n");
    let _ = io::stderr().write_all(text.as_bytes()); // in one write, so that lines do not mix
}

/// An error as the user sees it: what was wrong, and with what.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// `subject` is the path or the option that the user knows.
    pub fn new(subject: impl Display, problem: impl Display) -> Self {
        Self(format!("{subject}: {problem}"))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was done, for the one line at the end.
#[derive(Debug)]
pub struct Summary {
    pub lines: u64,
    pub elapsed: Duration,
    pub stats: Stats,
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lines,
            elapsed,
            stats,
        } = self;
        let bytes = stats.written_bytes;
        let seconds = elapsed.as_secs_f64();
        let rate = if seconds > 0.0 {
            bytes as f64 / seconds / 1e9
        } else {
            0.0
        };
        write!(
            f,
            "{bytes} bytes, {lines} lines, {seconds:.3} s, {rate:.3} GB/s, {} drains, high-water mark {} of {} bytes",
            stats.drains, stats.high_water_bytes, stats.capacity_bytes
        )
    }
}
