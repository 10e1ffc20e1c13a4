//! How long FILE may take nothing, and what is said meanwhile.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use alq::{Error, Stats};
use rustix::io::Errno;

use crate::progress::Progress;
use crate::report;

/// How old a stall is when it is spoken of. It is repeated after [`REPEAT`] then.
const SPOKEN_AT: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
];
const REPEAT: Duration = Duration::from_secs(600);

/// A reader that pauses is no trouble before this.
const READER_PAUSE: Duration = Duration::from_secs(60);

/// A stall that begins sooner than this after one that was spoken of is spoken of when it is a
/// second old.
const QUIET: Duration = Duration::from_secs(10);

/// The bound of a stall, and what was said of it.
#[derive(Debug)]
pub struct Patience {
    /// How long a full disk is waited for; `None` has no end. A reader that pauses is always waited
    /// for.
    limit: Cell<Option<Duration>>,
    said: RefCell<Said>,
    /// What else is to be seen on the terminal.
    progress: OnceCell<Progress>,
}

#[derive(Debug, Default)]
struct Said {
    /// How often the stall of now was spoken of.
    times: usize,
    /// When that will be the next time.
    next: Duration,
    /// When a stall was spoken of at last.
    last: Option<Instant>,
    /// How old the stall was when it was seen at last.
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

    /// The limit is no longer than this from now on.
    pub fn shorten(&self, limit: Duration) {
        let limit = self.limit.get().map_or(limit, |before| before.min(limit));
        self.limit.set(Some(limit));
    }

    /// Says what it says beside this from now on.
    pub fn beside(&self, progress: &Progress) {
        let _ = self.progress.set(progress.clone()); // there is one
    }

    /// Why nothing more is to be expected of FILE: a write has failed, or the disk has been full
    /// for longer than the limit. Says how a stall goes on. `kept` is where the bytes are
    /// meanwhile.
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
            let left = stats.posted_bytes - stats.written_bytes;
            let problem = if is_reader {
                "its reader does not read, or a write does not return".to_owned()
            } else {
                io::Error::from_raw_os_error(stall.errno).to_string()
            };
            let since = match stall.age.as_secs() {
                0 => String::new(),
                age => format!(" for {age} s"),
            };
            self.say(&format_args!(
                "{name}: {problem}{since}; {left} bytes are kept in {kept}, \
                 and it goes on when there is room"
            ));
        }
        None
    }

    fn is_over(&self, name: &dyn Display) {
        let (times, age) = self.said.borrow_mut().end();
        if times > 0 {
            self.say(&format_args!(
                "{name}: takes data again after {:.1} s",
                age.as_secs_f64()
            ));
        }
    }

    /// Says it above the progress line.
    pub fn say(&self, message: &dyn Display) {
        match self.progress.get() {
            Some(progress) => progress.suspend(|| report::line(message)),
            None => report::line(message),
        }
    }
}

impl Said {
    /// Whether the stall is to be spoken of now.
    fn is_due(&mut self, age: Duration, is_reader: bool) -> bool {
        if age < self.age {
            self.end(); // another one
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

    /// Forgets the stall; how often it was spoken of, and how old it became.
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

    /// At which of the seconds a stall is spoken of.
    fn spoken(seconds: &[u64], is_reader: bool) -> Vec<u64> {
        let mut said = Said::default();
        let is_due = |second: &&u64| {
            let age = Duration::from_secs(**second);
            said.is_due(age, is_reader)
        };
        seconds.iter().filter(is_due).copied().collect()
    }

    #[test]
    fn a_full_disk_is_spoken_of_at_once_and_then_rarely() {
        let seconds: Vec<u64> = (0..2000).collect();
        assert_eq!(spoken(&seconds, false), [0, 1, 10, 60, 660, 1260, 1860]);
    }

    #[test]
    fn a_reader_that_pauses_is_spoken_of_after_a_minute() {
        let seconds: Vec<u64> = (0..1000).collect();
        assert_eq!(spoken(&seconds, true), [60, 660]);
    }

    #[test]
    fn a_disk_at_its_edge_does_not_flood() {
        // Each begins at once after the one before.
        assert_eq!(spoken(&[0, 0, 1, 0, 0, 1], false), [0, 1, 1]);
    }
}
