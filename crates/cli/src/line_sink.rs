//! The far end of a catcher that rotates: files end where lines do, wherever records end.
//!
//! The library cuts between two writes. So where a cut is due, a write is made to end with a line; and one that would make a file too
//! long ends with the last line that still fits.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use alq::rotate::RotatingFile;
use alq::{LogEnd, Sink, SyncOp};
use memchr::{memchr, memrchr};

/// What is asked of the files.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// What a file has at most, but for a line that is longer.
    pub size_bytes: u64,
    /// Behind so many bytes a line may be cut.
    pub line_max: u64,
    /// Whether the log may cut by itself at any time: then every write ends with a line, if one ends in it.
    pub by_time: bool,
}

/// A log that is rotated between lines.
#[derive(Debug)]
pub struct LineSink {
    log: RotatingFile,
    bounds: Bounds,
    /// How much of a line stands at the end of the log whose newline is yet to come.
    open_bytes: AtomicU64,
    /// Whether somebody has asked for a rotation that has not been made.
    is_wanted: AtomicBool,
}

impl LineSink {
    /// `open_bytes` is how much of a line the log ends with.
    pub fn new(log: RotatingFile, bounds: Bounds, open_bytes: u64) -> Self {
        Self {
            log,
            bounds,
            open_bytes: AtomicU64::new(open_bytes),
            is_wanted: AtomicBool::new(false),
        }
    }

    /// Asks for a rotation behind the line that is being written.
    pub fn rotate(&self) {
        // Relaxed: whoever sees it asks the log, which has a lock of its own, or sees it at the next write.
        self.is_wanted.store(true, Ordering::Relaxed);
        self.log.rotate();
    }

    /// The log itself.
    pub fn log(&self) -> &RotatingFile {
        &self.log
    }

    /// How much of the runs is to be written now; `None` if the log is to be cut first.
    fn part(&self, runs: &[IoSlice<'_>]) -> Option<usize> {
        let total: usize = runs.iter().map(|run| run.len()).sum();
        let Bounds {
            size_bytes,
            line_max,
            by_time,
        } = self.bounds;
        let len = match size_bytes {
            u64::MAX => 0,
            _ => self.log.end().map_or(0, |end| end.size_bytes),
        };
        let room = usize::try_from(size_bytes.saturating_sub(len)).unwrap_or(usize::MAX);
        // Relaxed: see `rotate`.
        let is_cut_due = by_time || self.is_wanted.load(Ordering::Relaxed);
        if total <= room && !is_cut_due {
            return Some(total);
        }
        if let Some(part) = last_end(runs, room) {
            return Some(part);
        }
        if total <= room {
            return Some(total);
        }
        // Relaxed: only the flusher comes here.
        let open_bytes = self.open_bytes.load(Ordering::Relaxed);
        if open_bytes == 0 && len > 0 {
            return None;
        }
        // The rest of a line that has begun here, or one that no file has room for.
        let bound = usize::try_from(line_max.saturating_sub(open_bytes)).unwrap_or(usize::MAX);
        let rest = first_end(runs).unwrap_or(total);
        Some(rest.min(bound.max(1)))
    }

    /// So much of the runs is written.
    fn note(&self, runs: &[IoSlice<'_>], taken: usize) {
        let open_bytes = match last_end(runs, taken) {
            Some(end) => (taken - end) as u64,
            // Relaxed: as above.
            None => self.open_bytes.load(Ordering::Relaxed) + taken as u64,
        };
        self.open_bytes.store(open_bytes, Ordering::Relaxed);
    }
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

/// The first `len` bytes of the runs.
fn first<'a>(runs: &'a [IoSlice<'_>], len: usize) -> Vec<IoSlice<'a>> {
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

impl Sink for LineSink {
    fn room(&self) -> u64 {
        // Relaxed on all: only the flusher comes here, and see `rotate`.
        let open_bytes = self.open_bytes.load(Ordering::Relaxed);
        if open_bytes > 0 && open_bytes < self.bounds.line_max {
            return u64::MAX;
        }
        self.is_wanted.store(false, Ordering::Relaxed);
        self.open_bytes.store(0, Ordering::Relaxed);
        self.log.room()
    }

    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(part) = self.part(runs) else {
            self.log.rotate();
            return Err(io::ErrorKind::Interrupted.into()); // the flusher asks for room again, and the log is cut there
        };
        let total: usize = runs.iter().map(|run| run.len()).sum();
        let taken = if part == total {
            self.log.write(runs)?
        } else {
            self.log.write(&first(runs, part))?
        };
        self.note(runs, taken);
        Ok(taken)
    }

    fn wait_ready(&self, limit: Duration) -> io::Result<()> {
        self.log.wait_ready(limit)
    }

    fn can_sync(&self) -> bool {
        self.log.can_sync()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.log.descriptor()
    }

    fn sync(&self, op: SyncOp) -> io::Result<()> {
        self.log.sync(op)
    }

    fn file_id(&self) -> Option<(u64, u64)> {
        self.log.file_id()
    }

    fn end(&self) -> Option<LogEnd> {
        self.log.end()
    }

    fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        self.log.holds(end, runs)
    }

    fn path(&self) -> Option<PathBuf> {
        self.log.path()
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::{first, first_end, last_end};

    #[test]
    fn lines_end_where_they_do_in_any_run() {
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
}
