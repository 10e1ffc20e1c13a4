//! The log in hand: how far it has come, when it is cut, and what it holds.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::asked::seconds_of;
use super::durable::Durable;
use super::every::Calendar;
use super::lines::{self, Lines};
use super::name::{Found, Key, Kind, Names};
use super::worker::Worker;
use super::{RotateError, Rotation};
use crate::ends::log_file;
use crate::memory::FileLock;
use crate::primitives::os;
use crate::primitives::os::file::open_existing;
use crate::primitives::process::Home;
use crate::primitives::sync::{AtomicBool, Mutex, Ordering, PlainArc};
use crate::words::{Error, LogEnd, Operation, RotationProblem as Problem};

/// One log, and the files that were cut off it.
#[derive(Debug)]
pub(super) struct Log {
    pub rotation: Rotation,
    pub names: Names,
    pub durable: Durable,
    pub worker: PlainArc<Worker>,
    pub home: Home,
    pub(super) calendar: Option<Calendar>,
    /// Its number stays, whatever file it stands for: a child of fork(2) appends to it without asking anybody.
    pub(super) descriptor: OwnedFd,
    /// The path of the log.
    c_path: CString,
    pub(super) state: Mutex<State>,
    /// Whether a rotation is asked for, and a look at the path.
    pub(super) asked: AtomicBool,
    pub(super) look: AtomicBool,
    _lock: FileLock,
}

/// What changes with every write, or rotation.
#[derive(Debug)]
pub(super) struct State {
    pub file: PlainArc<File>,
    pub id: (u64, u64),
    pub size_bytes: u64,
    /// The newest name of a rotated file.
    pub last: Option<Key>,
    /// When the period of the file is over, and the time by which that was found.
    pub period_end: Option<i64>,
    pub seen: i64,
    /// The second in which the path was looked at, and the one in which a rotation has failed.
    pub looked: i64,
    pub failed: Option<i64>,
    /// The error that was told last, if nothing has succeeded since.
    pub trouble: Option<i32>,
    /// The last write has ended inside of a record, perhaps; or of a line, where those are what is kept whole.
    pub is_within: bool,
    pub lines: Option<Lines>,
    /// What was written last is accounted for: the queue may not live to do that, and then it must be found where it was
    /// written.
    pub is_settled: bool,
    pub noted: Noted,
    /// Whether something was written since the log was opened: before, it may be an earlier process that was told.
    pub has_written: bool,
}

/// What somebody was told of where the next write begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    Nothing,
    /// What is true.
    Told,
    /// What was true: then another file has taken over.
    Stale,
}

impl Log {
    pub fn open(rotation: Rotation, path: &Path) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::io(Operation::Open, &error);
        let calendar = rotation.calendar()?;
        let path = place_of(path, rotation.follow_links)?;
        let names = Names::of(&path).ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        names.check().map_err(RotateError::refusal)?;
        let lock = FileLock::take(&names.lock(), 0o600);
        let lock = lock.map_err(|error| {
            RotateError::new("lock the log with it", names.lock(), error).refusal()
        })?;
        let lock = lock.ok_or_else(|| in_use(&path, &names.lock()))?;
        let (file, _) = os::open_log(&path, rotation.mode, false).map_err(failed)?;
        let descriptor = file.try_clone().map_err(failed)?;
        let file = PlainArc::new(File::from(file));
        let metadata = file.metadata().map_err(failed)?;
        let id = (metadata.dev(), metadata.ino());
        let found = names.list().map_err(|error| {
            RotateError::new("look for rotated files", names.directory(), error).refusal()
        })?;
        let size_bytes = metadata.len();
        let now = rotation.now();
        let changed = metadata.modified().map_or(now, seconds_of).min(now);
        let seen = if size_bytes > 0 { changed } else { now };
        let lines = rotation.lines(|| last_byte(&path));
        let state = State {
            file: PlainArc::clone(&file),
            id,
            size_bytes,
            last: found.last().map(|one| one.key),
            period_end: calendar.as_ref().and_then(|of| of.end_after(seen)),
            seen,
            looked: now,
            failed: None,
            trouble: None,
            is_within: lines.is_some_and(|lines| lines.is_within()),
            lines,
            is_settled: true,
            noted: Noted::Nothing,
            has_written: false,
        };
        let log = Self {
            durable: Durable::new(file, id),
            worker: PlainArc::new(Worker::new()),
            home: Home::here(),
            calendar,
            descriptor,
            c_path: os::file::c_string(&path).map_err(failed)?,
            state: Mutex::new(state),
            asked: AtomicBool::new(rotation.at_start && size_bytes > 0),
            look: AtomicBool::new(false),
            _lock: lock,
            rotation,
            names,
        };
        log.make_link().map_err(RotateError::refusal)?;
        log.remove_left(&found);
        log.worker.want_pass();
        Ok(log)
    }

    /// Removes what a process that was killed has not finished.
    fn remove_left(&self, found: &[Found]) {
        for one in found {
            let is_left = one.kind == Kind::Packing || (one.kind == Kind::Fresh && one.len == 0);
            if let Some(Err(error)) = is_left.then(|| fs::remove_file(&one.path)) {
                let error = RotateError::new("remove what is left of it", &one.path, error);
                self.worker.report(error);
            }
        }
    }

    /// How many bytes it can take until it is cut, 1 at least. The queue has accounted for all that was written.
    pub fn room(&self) -> u64 {
        let mut state = self.state.lock();
        state.is_settled = true;
        if state.has_written {
            state.noted = Noted::Nothing; // what was noted is done, or withdrawn
            self.worker.unpin();
        }
        self.tend(&mut state, 0);
        if state.lines.is_some() {
            return u64::MAX; // the write finds the line that still fits
        }
        self.room_of(&state).max(1)
    }

    /// How many bytes still fit. There is no bound beyond which the log grows because rotations fail: it would not get shorter by small
    /// writes.
    fn room_of(&self, state: &State) -> u64 {
        match self.rotation.size_bytes {
            Some(bound) if state.size_bytes < bound || state.failed.is_none() => {
                bound.saturating_sub(state.size_bytes)
            }
            _ => u64::MAX,
        }
    }

    /// Appends `runs`, which end with a record, or the lines of them that fit; or cuts the log first, and has the caller ask anew: what it has noted about the
    /// file is true no more.
    pub fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock();
        let len: usize = runs.iter().map(|run| run.len()).sum();
        let coming = state.lines.map_or(len, |lines| lines.next_len(runs));
        let is_cut = self.tend(&mut state, coming as u64);
        let noted = core::mem::replace(&mut state.noted, Noted::Nothing);
        if is_cut || noted == Noted::Stale {
            return Err(io::Error::from_raw_os_error(libc::EINTR));
        }
        let part = state.lines.map_or(len, |lines| {
            let is_due = self.calendar.is_some() || self.is_asked() || self.is_look_due(&state);
            lines.part(runs, self.room_of(&state), is_due)
        });
        let taken = if part == len {
            (&*state.file).write_vectored(runs)?
        } else {
            (&*state.file).write_vectored(&lines::first(runs, part))?
        };
        state.size_bytes += taken as u64;
        state.is_within = match &mut state.lines {
            None => taken < len,
            Some(lines) => {
                lines.wrote(runs, taken);
                lines.is_within()
            }
        };
        state.is_settled = false;
        state.has_written = true;
        Ok(taken)
    }

    /// Where the next write begins, unless somebody asks for a rotation before.
    pub fn end(&self) -> Option<LogEnd> {
        let mut state = self.state.lock();
        state.noted = Noted::Told;
        log_file::end_of(&state.file).ok()
    }

    /// As [`Sink::holds`](crate::ends::Sink::holds), also of a file that was cut off since.
    pub fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        let len: usize = runs.iter().map(|run| run.len()).sum();
        let mut state = self.state.lock();
        if state.id == (end.device, end.inode) {
            let held = log_file::held(&state.file, end, runs).ok()??;
            state.is_within = match &mut state.lines {
                None => held > 0 && held < len, // the rest of the record is to follow
                Some(lines) => {
                    lines.ends_with(last_byte(&self.names.log()));
                    lines.is_within()
                }
            };
            return Some(held);
        }
        let found = self.names.list().ok()?;
        let found = found.iter().find(|one| one.id == (end.device, end.inode))?;
        self.worker.pin(found.key); // the next process may ask once more, if this one is killed soon
        let file = open_existing(&found.path, false).ok()?;
        let held = log_file::held(&file, end, runs).ok()??;
        if held > 0 {
            self.durable.covers(found.key);
        }
        // A part of a record that is in another file is no use: this one gets all of it.
        (held == 0 || held == len || state.lines.is_some()).then_some(held)
    }

    /// Whether a record may be in two files.
    pub fn cuts_records(&self) -> bool {
        self.state.lock().lines.is_some()
    }

    /// Always the same number. In a child of fork(2), which nobody tells of rotations, it follows the log to its new file.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        let fd = self.descriptor.as_fd();
        if !self.home.is_here() {
            os::file::follow(fd, &self.c_path);
        }
        fd
    }

    /// Asks for a rotation, or for a look at the path.
    pub fn ask(&self, what: &AtomicBool) {
        // Relaxed: carried by the lock of the worker, which looks, or of the state, under which the flusher does.
        what.store(true, Ordering::Relaxed);
        self.worker.want_look();
    }

    /// What was asked for, done now if nothing is being written; if not, the flusher does it. For the worker.
    pub fn attend(&self) {
        let mut state = self.state.lock();
        if state.is_settled {
            self.tend(&mut state, 0);
        }
    }

    /// Whether a rotation was asked for that has not been, though nothing stands in the way but time.
    pub fn is_asked(&self) -> bool {
        // Relaxed: whoever has done it notifies.
        self.asked.load(Ordering::Relaxed)
    }
}

/// The last byte of the log, if it has one and can be read.
fn last_byte(path: &Path) -> Option<u8> {
    let file = open_existing(path, false).ok()?;
    let len = file.metadata().ok()?.len();
    let mut last = [0];
    file.read_exact_at(&mut last, len.checked_sub(1)?).ok()?;
    Some(last[0])
}

/// Where the log really is.
fn place_of(path: &Path, follow_links: bool) -> Result<PathBuf, Error> {
    let failed = |error: io::Error| Error::io(Operation::Open, &error);
    let path = std::path::absolute(path).map_err(failed)?;
    let place = match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_symlink() && follow_links => {
            path.canonicalize().map_err(failed)?
        }
        _ => path,
    };
    match fs::symlink_metadata(&place) {
        Ok(metadata) if metadata.is_symlink() => {
            Err(failed(io::Error::from_raw_os_error(libc::ELOOP)))
        }
        // A FIFO would be waited for, by open(2).
        Ok(metadata) if !metadata.is_file() => {
            Err(Error::Rotation(Box::new(Problem::NotAFile { log: place })))
        }
        _ => Ok(place),
    }
}

fn in_use(log: &Path, lock: &Path) -> Error {
    let holder = |file: File| os::file::lock_holder(&file);
    let pid = open_existing(lock, false).ok().and_then(holder);
    let log = log.to_owned();
    Error::Rotation(Box::new(Problem::InUse { log, pid }))
}
