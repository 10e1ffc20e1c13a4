//! The open log: writes to the current file, cuts it when it must, and serves the queue and the
//! background thread. The lock of `state` guards all changes.

use std::ffi::{CString, OsStr};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use super::Rotation;
use super::durable::Durable;
use super::every::Calendar;
use super::folder::Folder;
use super::found;
use super::lines::{self, Inside};
use super::name::Names;
use super::state::{Account, HEAD_LEN, State, head_len};
use super::worker::Worker;
use crate::ends::log_file;
use crate::memory::FileLock;
use crate::primitives::os::file::open_to_append;
use crate::primitives::process::Home;
use crate::primitives::sync::{AtomicBool, Mutex, Ordering, PlainArc};
use crate::words::LogEnd;

/// One log, and its rotated files.
#[derive(Debug)]
pub(super) struct Log {
    pub rotation: Rotation,
    pub names: Names,
    /// The folder of all its files. The number of its descriptor never changes.
    pub folder: Folder,
    pub durable: Durable,
    pub worker: PlainArc<Worker>,
    pub home: Home,
    pub(super) calendar: Option<Calendar>,
    /// A descriptor of the current file. Its number never changes, even if the file does.
    pub(super) descriptor: OwnedFd,
    /// The name of the log, in a form that a child of fork(2) can use.
    pub(super) c_name: CString,
    /// The folder and the name of the link that points to the log.
    pub(super) link: Option<(Folder, Box<OsStr>)>,
    pub(super) state: Mutex<State>,
    /// Whether a rotation is requested, and whether a check of the path is.
    pub(super) asked: AtomicBool,
    pub(super) look: AtomicBool,
    pub(super) _lock: FileLock,
}

impl Log {
    /// How many bytes the log can take before it is cut, at least 1. The call also says that the
    /// queue has accounted for all earlier writes.
    pub fn room(&self) -> u64 {
        let mut state = self.state.lock();
        if state.account.settle() {
            self.worker.unpin();
        }
        self.tend(&mut state, 0);
        if state.inside.lines().is_some() {
            return u64::MAX; // `write` finds the lines that still fit
        }
        self.room_of(&state).max(1)
    }

    /// How many bytes still fit. Unlimited while rotations fail and the log is over its bound:
    /// small writes would not make it shorter.
    fn room_of(&self, state: &State) -> u64 {
        match self.rotation.size_bytes {
            Some(bound) if state.size_bytes < bound || state.failure.is_none() => {
                bound.saturating_sub(state.size_bytes)
            }
            _ => u64::MAX,
        }
    }

    /// Appends `runs`, which end with a record, or those lines of them that fit. If it cuts the log
    /// first, it writes nothing and returns `EINTR`: the queue's note of the file is then stale, so
    /// the queue must ask again.
    pub fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock();
        let len = lines::len(runs);
        let lines = state.inside.lines();
        let coming = lines.map_or(len, |lines| lines.next_len(runs));
        let is_cut = self.tend(&mut state, coming as u64);
        if state.account.take_stale() || is_cut {
            return Err(io::Error::from_raw_os_error(libc::EINTR));
        }
        let part = lines.map_or(len, |lines| {
            let is_due = self.calendar.is_some() || self.is_asked() || self.is_look_due(&state);
            lines.part(runs, self.room_of(&state), is_due)
        });
        let taken = if part == len {
            (&*state.file).write_vectored(runs)?
        } else {
            (&*state.file).write_vectored(&lines::first(runs, part))?
        };
        if state.size_bytes == 0 {
            state.head_bytes = runs.first().map_or(0, |first| head_len(first));
        }
        state.size_bytes += taken as u64;
        state.inside.wrote(runs, taken);
        state.account = Account::Written;
        Ok(taken)
    }

    /// The queue has a ring file, whose notes name files of this log.
    pub fn expect_notes(&self) {
        self.state.lock().account.expect_notes();
    }

    /// Where the next write begins, unless a rotation comes first.
    pub fn end(&self) -> Option<LogEnd> {
        let mut state = self.state.lock();
        state.account.note();
        let end = log_file::end_of(&state.file).ok()?;
        state.size_bytes = end.size_bytes; // a torn record may have been cut off
        Some(end)
    }

    /// As [`Sink::holds`](crate::ends::Sink::holds), also for a file that was cut off since.
    pub fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        let mut state = self.state.lock();
        if state.id == (end.device, end.inode) {
            let held = log_file::held(&state.file, end, runs).ok()??;
            match &mut state.inside {
                Inside::Line(lines) => lines.ends_with(last_byte(&self.folder, self.names.log())),
                inside @ Inside::Record(_) => inside.wrote(runs, held), // the rest follows
            }
            return Some(held);
        }
        let found = found::list(&self.folder, &self.names).ok()?;
        let found = found.iter().find(|one| one.id == (end.device, end.inode))?;
        let file = self.folder.open_existing(&found.name).ok()?;
        let held = log_file::held(&file, end, runs).ok()??;
        if held > 0 {
            self.durable.covers(found.key);
        }
        // Another file holds a part of a record. The current file gets the whole record instead.
        let is_use = held == 0 || held == lines::len(runs) || state.inside.lines().is_some();
        is_use.then_some(held)
    }

    /// Whether one record may be in two files.
    pub fn cuts_records(&self) -> bool {
        self.state.lock().inside.lines().is_some()
    }

    /// The descriptor of the current file; always the same number.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// In a child of fork(2), opens the log for one append and locks it against the packer. Bytes
    /// that the child writes before it closes this descriptor are in the log, or in a file that was
    /// cut off since and is packed later.
    ///
    /// Returns `None` if the log cannot be opened but the inherited file is still there. Takes no
    /// lock of this process and allocates nothing.
    pub fn open_in_child(&self) -> Option<io::Result<OwnedFd>> {
        open_to_append(self.folder.as_fd(), &self.c_name, self.descriptor()).transpose()
    }

    /// Asks for a rotation, or for a check of the path.
    pub fn ask(&self, what: &AtomicBool) {
        self.worker.request(what);
    }

    /// Serves the requests now if no write is under way; otherwise the flusher serves them. Called
    /// by the background thread.
    pub fn attend(&self) {
        let mut state = self.state.lock();
        if state.account != Account::Written {
            self.tend(&mut state, 0);
        }
    }

    /// Whether a rotation was requested and is not done yet.
    pub fn is_asked(&self) -> bool {
        // Relaxed: it carries no data. A record that its caller appends afterwards brings it to the
        // flusher, and the thread that serves the request notifies its waiters.
        self.asked.load(Ordering::Relaxed)
    }
}

/// The last byte of the log, if the log has one and can be read.
pub(super) fn last_byte(folder: &Folder, log: &OsStr) -> Option<u8> {
    let file = folder.open_existing(log).ok()?;
    let len = file
        .metadata()
        .ok()
        .filter(std::fs::Metadata::is_file)?
        .len();
    let mut last = [0];
    file.read_exact_at(&mut last, len.checked_sub(1)?).ok()?;
    Some(last[0])
}

/// The first bytes of the log that say how long the header of its frames is, if it can be read.
pub(super) fn first_bytes(folder: &Folder, log: &OsStr) -> Option<Vec<u8>> {
    let file = folder.open_existing(log).ok()?;
    let mut first = Vec::with_capacity(HEAD_LEN);
    file.take(HEAD_LEN as u64).read_to_end(&mut first).ok()?;
    Some(first)
}
