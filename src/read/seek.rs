//! Steps to other places of a log: to the last records, to a position, to a time.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use memchr::memrchr_iter;

use super::ReadError;
use super::item::Item;
use super::reader::Reader;
use super::shelf::{Shelf, Volume, is_gone};
use super::split::Splitter;
use super::step::{Step, Tail};

/// How many bytes are read at a time when a file is searched from its end.
const BACK_LEN: usize = 64 << 10;

impl Reader {
    /// Goes to the last `n` records, over all files. An unfinished record at the end counts.
    ///
    /// # Errors
    ///
    /// As [`next`](Reader::next).
    ///
    /// ```
    /// # use alq::read::{Item, Reader};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "one\ntwo\nthree\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// reader.seek_last(2)?;
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert_eq!(record.bytes(), b"two");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn seek_last(&mut self, n: u64) -> Result<(), ReadError> {
        let Some(mut shelf) = self.shelf()? else {
            return Ok(());
        };
        let mut left = n;
        let (keys, mut volume) = shelf.all()?;
        let mut earlier = keys.into_iter().rev();
        let mut is_placed = false;
        loop {
            if let Some(volume) = volume.take() {
                let count = self.place_of_last(volume, left)?;
                is_placed = true;
                if count >= left {
                    break;
                }
                left -= count;
            }
            match earlier.next() {
                Some(key) => volume = shelf.open_key(key)?,
                None => break,
            }
        }
        if !is_placed {
            self.current = None;
        }
        self.shelf = Some(shelf);
        Ok(())
    }

    /// Goes on to `offset` of the current file, so that `before` bytes before it are known. Returns
    /// false if the file is shorter.
    pub(super) fn jump(&mut self, offset: u64, before: usize) -> Result<bool, ReadError> {
        let is_plain = self
            .current
            .as_ref()
            .is_some_and(|one| one.source.is_plain());
        let from = offset.saturating_sub(before as u64);
        if is_plain && from > self.window.end_offset() {
            self.window.clear(from);
        }
        self.tail = Tail::Open;
        loop {
            let unread = self.window.unread().len() as u64;
            let left = offset.saturating_sub(self.window.offset());
            self.window.take(unread.min(left) as usize);
            if left <= unread {
                break;
            }
            self.fill(1)?;
            if self.window.unread().is_empty() {
                return Ok(false);
            }
        }
        if let Some(splitter) = &mut self.splitter {
            splitter.restart();
        }
        self.tail = Tail::Open;
        Ok(true)
    }

    /// Goes to the last `n` records of this file, or to its beginning if it has fewer. Returns how
    /// many it has, at most `n` if they were counted from the end.
    fn place_of_last(&mut self, volume: Volume, n: u64) -> Result<u64, ReadError> {
        let (path, is_plain) = (volume.path.clone(), volume.source.is_plain());
        let (key, after) = (volume.key, volume.after);
        self.forget();
        self.begin(volume);
        self.read_header()?;
        if is_plain && matches!(self.splitter, Some(Splitter::Lines { .. }) | None) {
            let Some(current) = &self.current else {
                return Ok(0);
            };
            let failed = |error| ReadError::new("read the log", &path, error);
            let (count, offset) = last_lines(current, n).map_err(failed)?;
            self.jump(offset, super::window::MARK_LEN)?;
            return Ok(count);
        }
        // Packed files and frames can only be read forwards: once to count, once to get there.
        let count = self.pass_records(u64::MAX)?;
        let Some(current) = self.current.take() else {
            return Ok(0);
        };
        let failed = |error| ReadError::new("read the log", &path, error);
        let source = current.source.again().map_err(failed)?;
        self.forget();
        self.begin(Volume {
            source,
            path,
            key,
            after,
        });
        self.read_header()?;
        self.pass_records(count.saturating_sub(n))?;
        Ok(count)
    }

    /// Passes over the next `n` records of the current file. Returns how many there were.
    pub(super) fn pass_records(&mut self, n: u64) -> Result<u64, ReadError> {
        let mut count = 0;
        while count < n {
            match self.step() {
                Step::Record(piece) => {
                    self.prove(piece.len);
                    self.window.take(piece.len);
                    count += u64::from(piece.end != super::End::Continues);
                }
                Step::More(needed) => self.fill(needed)?,
                Step::End => break,
                other => self.pass(other),
            }
            self.notice = None;
        }
        Ok(count)
    }

    /// Goes to the first record at `position` or after it.
    ///
    /// Reads the headers of the files to find the right one, and then one file up to the place. If
    /// no record has such a position yet, goes to the end. Only framed logs have positions
    /// (docs/frames.md).
    ///
    /// # Errors
    ///
    /// As [`next`](Reader::next); of kind `Unsupported` if the log is not framed.
    ///
    /// ```no_run
    /// let mut reader = alq::read::Reader::open("wal.log")?;
    /// reader.seek_position(4711)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn seek_position(&mut self, position: u64) -> Result<(), ReadError> {
        let Some(mut shelf) = self.shelf()? else {
            return Ok(());
        };
        let (keys, mut volume) = shelf.all()?;
        for key in keys.into_iter().rev().map(Some).chain([None]) {
            if let Some(volume) = volume.take() {
                let path = volume.path.clone();
                self.forget();
                self.begin(volume);
                self.read_header()?;
                self.notice = None;
                let is_empty = self.splitter.is_none();
                match &self.splitter {
                    Some(Splitter::Frames(frames)) => {
                        let first = frames.known().and_then(|known| known.end);
                        if first.is_some_and(|first| first <= position) {
                            break;
                        }
                    }
                    _ if is_empty => {}
                    _ => {
                        let what = "it has no positions, because its records are not framed";
                        let error = io::Error::new(io::ErrorKind::Unsupported, what);
                        return Err(ReadError::new("find a position", path, error));
                    }
                }
            }
            if let Some(key) = key {
                volume = shelf.open_key(key)?;
            }
        }
        self.shelf = Some(shelf);
        self.skip_until(|item| {
            matches!(item, Item::Record(record)
            if record.position().is_some_and(|at| at >= position))
        })?;
        Ok(())
    }

    /// Goes to the first record with a [stamp](super::Record::stamp) of `time` or later. Records
    /// without a stamp belong to the one before them.
    ///
    /// Files that were rotated before `time` are not read. If there is no such record yet, goes to
    /// the end, and returns false.
    ///
    /// # Errors
    ///
    /// As [`next`](Reader::next).
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    /// use alq::read::{Item, Reader};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.log");
    /// std::fs::write(&path, "2026-12-01T06:00:00Z one\n2026-12-01T06:00:01Z two\n")?;
    /// let mut reader = Reader::open(&path)?;
    /// let one = UNIX_EPOCH + Duration::from_secs(1_796_104_800); // 06:00:00
    /// assert!(reader.seek_time(one + Duration::from_millis(1))?);
    /// let Some(Item::Record(record)) = reader.next()? else { panic!("no record") };
    /// assert!(record.bytes().ends_with(b"two"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn seek_time(&mut self, time: SystemTime) -> Result<bool, ReadError> {
        let Some(mut shelf) = self.shelf()? else {
            return Ok(false);
        };
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        // A file has nothing that is later than the second in which it was cut off.
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let last = shelf.last_before(seconds)?;
        let first = shelf.after(last, None)?;
        self.forget();
        match first {
            Some(first) => self.begin(first),
            None => self.current = None,
        }
        self.shelf = Some(shelf);
        let ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.skip_until(|item| {
            matches!(item, Item::Record(record) if record.stamp_ns().is_some_and(|at| at >= ns))
        })
    }

    /// Passes over everything up to the first record that `is_it`. Returns false at the end.
    fn skip_until(&mut self, is_it: impl Fn(&Item<'_>) -> bool) -> Result<bool, ReadError> {
        loop {
            self.notice = None;
            if self.current.is_none() {
                return Ok(false);
            }
            let before = self.splitter.clone();
            match self.step() {
                Step::Record(piece) => {
                    if is_it(&self.record(&piece)) {
                        self.window.untake(piece.len);
                        self.splitter = before;
                        return Ok(true);
                    }
                }
                Step::More(needed) => self.fill(needed)?,
                Step::End if self.advance()? => {}
                Step::End => return Ok(false),
                other => self.pass(other),
            }
        }
    }

    /// Forgets what was learnt on the way to the current place.
    pub(super) fn forget(&mut self) {
        self.splitter = None;
        self.known = None;
        self.notice = None;
    }

    /// Opens the folder of the log anew. `None` if it does not exist yet.
    pub(super) fn shelf(&self) -> Result<Option<Shelf>, ReadError> {
        self.check_can_seek()?;
        match Shelf::open(&self.path) {
            Ok(shelf) => Ok(Some(shelf)),
            Err(error) if self.options.may_be_missing && is_gone(error.io_error()) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Finds the last `n` lines of a plain file from its end; an unfinished one counts. Returns how
/// many there are, at most `n`, and where the first of them begins.
fn last_lines(volume: &Volume, n: u64) -> io::Result<(u64, u64)> {
    let len = volume.source.len()?;
    let mut buffer = vec![0; BACK_LEN];
    let (mut end, mut after) = (len, 0);
    while end > 0 {
        let part_len = usize::try_from(end).unwrap_or(BACK_LEN).min(BACK_LEN);
        let part = &mut buffer[..part_len];
        let start = end - part.len() as u64;
        if !volume.source.read_exact(part, start)? {
            return Ok((0, 0)); // it is being truncated
        }
        if end == len {
            after = u64::from(part.last() != Some(&b'\n'));
        }
        for at in memrchr_iter(b'\n', part) {
            if after >= n {
                return Ok((n, start + at as u64 + 1));
            }
            after += 1;
        }
        end = start;
    }
    Ok((after.min(n), 0))
}
