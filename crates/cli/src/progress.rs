//! The progress line on a terminal.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::time::Duration;

use alq::Queue;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// The time between two redraws. A separate thread draws the line.
const INTERVAL: Duration = Duration::from_millis(100);

/// A line that shows how much was appended. The last drop clears it. Clones share one line.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A hidden line.
    pub fn none() -> Self {
        Self {
            bar: ProgressBar::hidden(),
        }
    }

    /// A line on standard error; hidden if that is not a terminal. `total` is the number of bytes
    /// of the input, if known.
    pub fn on_terminal(queue: &Queue, total: Option<u64>) -> Self {
        if !io::stderr().is_terminal() {
            return Self::none();
        }
        let template = match total {
            Some(_) => {
                "alq: {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, \
                 ring {fill} full, {eta} left"
            }
            None => "alq: {decimal_bytes}, {decimal_bytes_per_sec}, ring {fill} full",
        };
        let Ok(style) = ProgressStyle::with_template(template) else {
            return Self::none();
        };
        let queue = queue.clone();
        let fill = move |_: &ProgressState, text: &mut dyn Write| {
            let stats = queue.stats();
            let percent = stats.fill_bytes * 100 / stats.capacity_bytes;
            let _ = write!(text, "{percent:>3} %"); // `text` is in memory: it cannot fail
        };
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        bar.set_style(style.with_key("fill", fill));
        bar.enable_steady_tick(INTERVAL);
        Self { bar }
    }

    /// Adds bytes to the line.
    pub fn add(&self, bytes: usize) {
        self.bar.inc(bytes as u64);
    }

    /// Hides the line while `print` prints a message, and draws it again below the message.
    pub fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Removes the line permanently. The next output starts in its place.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
