//! Logs of lines: a file ends where a line does, wherever records end.

use std::io::IoSlice;

use memchr::{memchr, memrchr};

/// What is kept whole, and whether the log ends inside of one.
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

    /// The first `taken` bytes of the runs, which end with a record, are in the log.
    pub fn wrote(&mut self, runs: &[IoSlice<'_>], taken: usize) {
        match self {
            Self::Record(is_within) => *is_within = 0 < taken && taken < len(runs),
            Self::Line(lines) => lines.wrote(runs, taken),
        }
    }
}

/// Where a log stands between its lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    /// Behind so many bytes a line counts as ended.
    max_bytes: u64,
    /// How much the log has of a line whose newline is yet to come.
    open_bytes: u64,
}

impl Lines {
    pub const fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            open_bytes: 0,
        }
    }

    /// The log ends with this byte, if with any: of a line that somebody else has begun, it is
    /// enough to know that there is one.
    pub fn ends_with(&mut self, last: Option<u8>) {
        self.open_bytes = u64::from(last.is_some_and(|last| last != b'\n'));
        self.end_if_too_long();
    }

    const fn end_if_too_long(&mut self) {
        if self.open_bytes >= self.max_bytes {
            self.open_bytes = 0;
        }
    }

    /// Whether the log ends inside of a line.
    pub const fn is_within(&self) -> bool {
        self.open_bytes > 0
    }

    /// How much of the runs belongs to the line that is next, or goes on.
    pub fn next_len(&self, runs: &[IoSlice<'_>]) -> usize {
        let bound = usize::try_from(self.max_bytes - self.open_bytes).unwrap_or(usize::MAX);
        first_end(runs).unwrap_or_else(|| len(runs)).min(bound)
    }

    /// How much of the runs is to be written at once, 1 byte at least: all, or what fits into
    /// `room_bytes` and ends with a line; but the line that is next in any case. `is_cut_due` says
    /// that the log waits for a line to end.
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

    /// The first `taken` bytes of the runs were written.
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

/// Where the first line ends.
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

/// Where the last line ends in the first `limit` bytes.
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

/// The first `len` bytes of the runs.
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
