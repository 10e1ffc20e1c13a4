//! Stalls: how long FILE may accept no data, and when to report that.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};

use alq::{Error, Stats};
use rustix::io::Errno;

use crate::progress::Progress;
use crate::report;

/// The ages at which a stall is reported. After the last one, it is reported every [`REPEAT`].
const SPOKEN_AT: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
];
const REPEAT: Duration = Duration::from_secs(600);

/// The age at which a stall by a pausing reader is first reported.
const READER_PAUSE: Duration = Duration::from_secs(60);

/// If a stall begins sooner than this after a report, it is first reported when it is a second old.
const QUIET: Duration = Duration::from_secs(10);

/// The limit of a stall, and what was reported of it.
#[derive(Debug)]
pub struct Patience {
    /// The longest wait for a full disk; `None` means no limit. A pausing reader is always waited
    /// for.
    limit: Cell<Option<Duration>>,
    said: RefCell<Said>,
    /// The progress line on the same terminal.
    progress: OnceCell<Progress>,
}

#[derive(Debug, Default)]
struct Said {
    /// The number of reports of the current stall.
    times: usize,
    /// The age of the stall at its next report.
    next: Duration,
    /// When a stall was last reported.
    last: Option<Instant>,
    /// The age of the stall when it was last seen.
    age: Duration,
}

impl Patience {
    pub fn new(limit: Option<Duration>) -> Self {
        Self {
            limit: Cell::new(limit),
            said: RefCell::default(),
            progress: OnceCell::new(),
        }
    }

    /// Shortens the limit to at most `limit`.
    pub fn shorten(&self, limit: Duration) {
        let limit = self.limit.get().map_or(limit, |before| before.min(limit));
        self.limit.set(Some(limit));
    }

    /// From now on, messages are printed above this progress line.
    pub fn beside(&self, progress: &Progress) {
        let _ = self.progress.set(progress.clone()); // fails if there already is one
    }

    /// Returns the error for which FILE is given up: a write has failed, or the disk has been full
    /// for longer than the limit. Also reports the stall when a report is due. `kept` is the place
    /// that keeps the bytes.
    pub fn look(&self, stats: &Stats, name: &dyn Display, kept: &dyn Display) -> Option<Error> {
        if let Some(error) = &stats.last_error {
            return Some(error.clone());
        }
        let Some(stall) = &stats.stalled else {
            self.is_over(name);
            return None;
        };
        let is_reader = stall.errno == Errno::AGAIN.raw_os_error();
        let is_too_long = !is_reader && self.limit.get().is_some_and(|limit| stall.age >= limit);
        if is_too_long {
            let target = Path::new(&name.to_string()).into();
            return Some(Error::Stalled {
                errno: stall.errno,
                target,
            });
        }
        let is_said = self.said.borrow_mut().is_due(stall.age, is_reader);
        if is_said {
            let left = stats.posted_bytes - stats.written_bytes - stats.overwritten_bytes;
            let problem = &stall.reason;
            let since = match stall.age.as_secs() {
                0 => String::new(),
                age => format!(" for {age} s"),
            };
            self.say(&format_args!(
                "{name}: {problem}{since}; keeping {left} bytes in {kept} and retrying"
            ));
        }
        None
    }

    fn is_over(&self, name: &dyn Display) {
        let (times, age) = self.said.borrow_mut().end();
        if times > 0 {
            self.say(&format_args!(
                "{name}: accepts data again after {:.1} s",
                age.as_secs_f64()
            ));
        }
    }

    /// Prints a message above the progress line.
    pub fn say(&self, message: &dyn Display) {
        match self.progress.get() {
            Some(progress) => progress.suspend(|| report::line(message)),
            None => report::line(message),
        }
    }
}

impl Said {
    /// Returns true if the stall is to be reported now, and notes the report.
    fn is_due(&mut self, age: Duration, is_reader: bool) -> bool {
        if age < self.age {
            self.end(); // this is a new stall
        }
        self.age = age;
        if self.times == 0 {
            let is_soon = self.last.is_some_and(|last| last.elapsed() < QUIET);
            self.next = match (is_reader, is_soon) {
                (true, _) => READER_PAUSE,
                (false, true) => SPOKEN_AT[1],
                (false, false) => SPOKEN_AT[0],
            };
        }
        if age < self.next {
            return false;
        }
        self.times += 1;
        self.last = Some(Instant::now());
        let later = SPOKEN_AT.into_iter().find(|&later| later > age);
        self.next = later.unwrap_or(age + REPEAT);
        true
    }

    /// Forgets the stall. Returns how often it was reported, and its age.
    fn end(&mut self) -> (usize, Duration) {
        let ended = (self.times, self.age);
        (self.times, self.age) = (0, Duration::ZERO);
        ended
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Said;

    /// The seconds at which a stall is reported.
    fn spoken(seconds: &[u64], is_reader: bool) -> Vec<u64> {
        let mut said = Said::default();
        let is_due = |second: &&u64| {
            let age = Duration::from_secs(**second);
            said.is_due(age, is_reader)
        };
        seconds.iter().filter(is_due).copied().collect()
    }

    #[test]
    fn a_full_disk_is_reported_at_once_and_then_rarely() {
        let seconds: Vec<u64> = (0..2000).collect();
        assert_eq!(spoken(&seconds, false), [0, 1, 10, 60, 660, 1260, 1860]);
    }

    #[test]
    fn a_reader_that_pauses_is_reported_after_a_minute() {
        let seconds: Vec<u64> = (0..1000).collect();
        assert_eq!(spoken(&seconds, true), [60, 660]);
    }

    #[test]
    fn a_disk_that_is_nearly_full_causes_few_reports() {
        // Each stall begins immediately after the previous one.
        assert_eq!(spoken(&[0, 0, 1, 0, 0, 1], false), [0, 1, 1]);
    }
}
