//! Logs of lines: each file ends where a line ends, wherever records end. Nothing here writes; it
//! only computes how many bytes the next write may take.

use std::io::IoSlice;

use memchr::{memchr, memrchr};

/// What a log keeps whole, records or lines, and whether the log ends inside one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inside {
    Record(bool),
    Line(Lines),
}

impl Inside {
    pub const fn is_within(self) -> bool {
        match self {
            Self::Record(is_within) => is_within,
            Self::Line(lines) => lines.is_within(),
        }
    }

    pub const fn lines(self) -> Option<Lines> {
        match self {
            Self::Record(_) => None,
            Self::Line(lines) => Some(lines),
        }
    }

    /// Accounts for a write of the first `taken` bytes of the runs, which end with a record.
    pub fn wrote(&mut self, runs: &[IoSlice<'_>], taken: usize) {
        match self {
            Self::Record(is_within) => *is_within = 0 < taken && taken < len(runs),
            Self::Line(lines) => lines.wrote(runs, taken),
        }
    }
}

/// How far the log is into a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    /// A line counts as ended after this many bytes.
    max_bytes: u64,
    /// How many bytes of an unfinished line the log holds.
    open_bytes: u64,
}

impl Lines {
    pub const fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            open_bytes: 0,
        }
    }

    /// Sets whether the log ends inside a line, from its last byte, if it has one. The length of a
    /// line that another process has begun does not matter: it counts as 1 byte.
    pub fn ends_with(&mut self, last: Option<u8>) {
        self.open_bytes = u64::from(last.is_some_and(|last| last != b'\n'));
        self.end_if_too_long();
    }

    const fn end_if_too_long(&mut self) {
        if self.open_bytes >= self.max_bytes {
            self.open_bytes = 0;
        }
    }

    /// Whether the log ends inside a line.
    pub const fn is_within(&self) -> bool {
        self.open_bytes > 0
    }

    /// How many bytes of the runs belong to the next or unfinished line.
    pub fn next_len(&self, runs: &[IoSlice<'_>]) -> usize {
        let bound = usize::try_from(self.max_bytes - self.open_bytes).unwrap_or(usize::MAX);
        first_end(runs).unwrap_or_else(|| len(runs)).min(bound)
    }

    /// How many bytes of the runs one write takes, at least 1: all of them, or the lines that fit
    /// into `room_bytes`. The next line is taken even if it does not fit. `is_cut_due` says that a
    /// cut waits for the end of a line.
    pub fn part(&self, runs: &[IoSlice<'_>], room_bytes: u64, is_cut_due: bool) -> usize {
        if is_cut_due && self.is_within() {
            return self.next_len(runs);
        }
        let all = len(runs);
        let room = usize::try_from(room_bytes).unwrap_or(usize::MAX);
        if all <= room && !is_cut_due {
            return all;
        }
        match last_end(runs, room) {
            Some(end) => end,
            None if all <= room => all,
            None => self.next_len(runs),
        }
    }

    /// Accounts for a write of the first `taken` bytes of the runs.
    pub fn wrote(&mut self, runs: &[IoSlice<'_>], taken: usize) {
        self.open_bytes = match last_end(runs, taken) {
            Some(end) => (taken - end) as u64,
            None => self.open_bytes + taken as u64,
        };
        self.end_if_too_long();
    }
}

pub(super) fn len(runs: &[IoSlice<'_>]) -> usize {
    runs.iter().map(|run| run.len()).sum()
}

/// The offset after the first newline.
fn first_end(runs: &[IoSlice<'_>]) -> Option<usize> {
    let mut before = 0;
    for run in runs {
        if let Some(at) = memchr(b'\n', run) {
            return Some(before + at + 1);
        }
        before += run.len();
    }
    None
}

/// The offset after the last newline in the first `limit` bytes.
fn last_end(runs: &[IoSlice<'_>], limit: usize) -> Option<usize> {
    let mut end = None;
    let mut before = 0;
    for run in runs {
        let part = &run[..run.len().min(limit - before)];
        if let Some(at) = memrchr(b'\n', part) {
            end = Some(before + at + 1);
        }
        before += part.len();
    }
    end
}

/// Returns the first `len` bytes of the runs, without empty runs.
pub(super) fn first<'a>(runs: &'a [IoSlice<'_>], len: usize) -> Vec<IoSlice<'a>> {
    let mut left = len;
    let mut part = Vec::with_capacity(runs.len());
    for run in runs {
        let taken = run.len().min(left);
        left -= taken;
        if taken > 0 {
            part.push(IoSlice::new(&run[..taken]));
        }
    }
    part
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use std::io::IoSlice;

    use super::{Lines, first, first_end, last_end};

    #[test]
    fn line_ends_are_found_in_any_run() {
        let runs = [IoSlice::new(b"one\ntw"), IoSlice::new(b"o\nthree")];
        assert_eq!(first_end(&runs), Some(4));
        assert_eq!(first_end(&runs[1..]), Some(2));
        assert_eq!(first_end(&[IoSlice::new(b"open")]), None);
        let ends = [3, 4, 6, 7, 8, 100].map(|limit| last_end(&runs, limit));
        assert_eq!(ends, [None, Some(4), Some(4), Some(4), Some(8), Some(8)]);
    }

    #[test]
    fn a_part_has_no_empty_run() {
        let runs = [IoSlice::new(b"abc"), IoSlice::new(b"def")];
        for (len, parts) in [(0, 0), (2, 1), (3, 1), (4, 2), (6, 2)] {
            let part = first(&runs, len);
            assert_eq!(part.len(), parts);
            assert_eq!(part.iter().map(|run| run.len()).sum::<usize>(), len);
        }
    }

    #[test]
    fn one_write_ends_with_a_line_if_it_must() {
        let runs = [IoSlice::new(b"one\ntwo\nthr")];
        let lines = Lines::new(100);
        assert_eq!(lines.part(&runs, 100, false), 11, "there is room for all");
        assert_eq!(lines.part(&runs, 100, true), 8, "a cut is to come");
        assert_eq!(lines.part(&runs, 7, false), 4);
        assert_eq!(lines.part(&runs, 3, false), 4, "one line in any case");
        assert_eq!(lines.part(&[IoSlice::new(b"open")], 100, true), 4);
        assert_eq!(lines.part(&[IoSlice::new(b"open")], 2, true), 4);
    }

    #[test]
    fn a_line_that_is_too_long_counts_as_ended() {
        let mut lines = Lines::new(5);
        let long = [IoSlice::new(b"abcdefgh\n")];
        assert_eq!(lines.next_len(&long), 5);
        lines.wrote(&long, 3);
        assert!(lines.is_within());
        let two = [IoSlice::new(b"d\nef\n")];
        assert_eq!(lines.part(&two, 100, true), 2, "the line, and then the cut");
        assert_eq!(lines.part(&two, 100, false), 5);
        let rest = [IoSlice::new(b"defgh\n")];
        assert_eq!(lines.part(&rest, 0, false), 2);
        lines.wrote(&rest, 2);
        assert!(!lines.is_within());
        lines.wrote(&[IoSlice::new(b"fgh\n")], 4);
        assert!(!lines.is_within());
        lines.ends_with(Some(b'x'));
        assert!(lines.is_within());
        let mut shortest = Lines::new(1);
        shortest.ends_with(Some(b'x'));
        assert_eq!(shortest.part(&two, 0, true), 1, "something in any case");
    }
}
