//! The progress line on a terminal.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::time::Duration;

use alq::Queue;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// How often the line is drawn anew, by a thread of its own.
const INTERVAL: Duration = Duration::from_millis(100);

/// A line that says how far the appending is; cleared with the drop at the latest. Clones are the same line.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A line that is never seen.
    pub fn none() -> Self {
        Self {
            bar: ProgressBar::hidden(),
        }
    }

    /// A line on standard error; none if that is no terminal. `total` is how many bytes will come, if that is known.
    pub fn on_terminal(queue: &Queue, total: Option<u64>) -> Self {
        if !io::stderr().is_terminal() {
            return Self::none();
        }
        let template = match total {
            Some(_) => {
                "alq: {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, ring {fill} full, {eta} left"
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
            let _ = write!(text, "{percent:>3} %"); // there is no room that could run out
        };
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        bar.set_style(style.with_key("fill", fill));
        bar.enable_steady_tick(INTERVAL);
        Self { bar }
    }

    /// So many bytes more.
    pub fn add(&self, bytes: usize) {
        self.bar.inc(bytes as u64);
    }

    /// Has something printed above the line.
    pub fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Takes the line away, for good: what is printed next starts in its place.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
