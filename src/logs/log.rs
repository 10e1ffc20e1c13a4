//! The log in hand: how far it has come, when it is cut, and what it holds.

use std::ffi::{CString, OsStr};
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use super::Rotation;
use super::durable::Durable;
use super::every::Calendar;
use super::folder::Folder;
use super::found;
use super::lines::{self, Inside};
use super::name::Names;
use super::state::{Account, State};
use super::worker::Worker;
use crate::ends::log_file;
use crate::memory::FileLock;
use crate::primitives::os::file::open_to_append;
use crate::primitives::process::Home;
use crate::primitives::sync::{AtomicBool, Mutex, Ordering, PlainArc};
use crate::words::LogEnd;

/// One log, and the files that were cut off it.
#[derive(Debug)]
pub(super) struct Log {
    pub rotation: Rotation,
    pub names: Names,
    /// Where its files are. The number of the descriptor stays, as that of `descriptor`.
    pub folder: Folder,
    pub durable: Durable,
    pub worker: PlainArc<Worker>,
    pub home: Home,
    pub(super) calendar: Option<Calendar>,
    /// The file in hand. Its number stays, whatever file it stands for.
    pub(super) descriptor: OwnedFd,
    /// The name of the log, for a child of fork(2).
    pub(super) c_name: CString,
    /// Where the link that leads to the log is.
    pub(super) link: Option<(Folder, Box<OsStr>)>,
    pub(super) state: Mutex<State>,
    /// Whether a rotation is asked for, and a look at the path.
    pub(super) asked: AtomicBool,
    pub(super) look: AtomicBool,
    pub(super) _lock: FileLock,
}

impl Log {
    /// How many bytes it can take until it is cut, 1 at least. The queue has accounted for all that
    /// was written.
    pub fn room(&self) -> u64 {
        let mut state = self.state.lock();
        if state.account.settle() {
            self.worker.unpin();
        }
        self.tend(&mut state, 0);
        if state.inside.lines().is_some() {
            return u64::MAX; // the write finds the line that still fits
        }
        self.room_of(&state).max(1)
    }

    /// How many bytes still fit. While rotations fail, a log that is over its bound has none: small
    /// writes would not make it shorter.
    fn room_of(&self, state: &State) -> u64 {
        match self.rotation.size_bytes {
            Some(bound) if state.size_bytes < bound || state.failure.is_none() => {
                bound.saturating_sub(state.size_bytes)
            }
            _ => u64::MAX,
        }
    }

    /// Appends `runs`, which end with a record, or the lines of them that fit; or cuts the log
    /// first and has the caller ask anew, since its note of the file is stale.
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
        state.size_bytes += taken as u64;
        state.inside.wrote(runs, taken);
        state.account = Account::Written;
        Ok(taken)
    }

    /// Where the next write begins, unless a rotation is asked for before.
    pub fn end(&self) -> Option<LogEnd> {
        let mut state = self.state.lock();
        state.account.note();
        log_file::end_of(&state.file).ok()
    }

    /// As [`Sink::holds`](crate::ends::Sink::holds), also of a file that was cut off since.
    pub fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        let mut state = self.state.lock();
        if state.id == (end.device, end.inode) {
            let held = log_file::held(&state.file, end, runs).ok()??;
            match &mut state.inside {
                Inside::Line(lines) => lines.ends_with(last_byte(&self.folder, self.names.log())),
                inside @ Inside::Record(_) => inside.wrote(runs, held), // the rest is to follow
            }
            return Some(held);
        }
        let found = found::list(&self.folder, &self.names).ok()?;
        let found = found.iter().find(|one| one.id == (end.device, end.inode))?;
        self.worker.pin(found.key); // the next process may ask once more, if this one is killed soon
        let file = self.folder.open_existing(&found.name).ok()?;
        let held = log_file::held(&file, end, runs).ok()??;
        if held > 0 {
            self.durable.covers(found.key);
        }
        // A part of a record that is in another file is no use: this one gets all of it.
        let is_use = held == 0 || held == lines::len(runs) || state.inside.lines().is_some();
        is_use.then_some(held)
    }

    /// Whether a record may be in two files.
    pub fn cuts_records(&self) -> bool {
        self.state.lock().inside.lines().is_some()
    }

    /// Always the same number.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// In a child of fork(2), a descriptor of the log for one append, locked against the packer:
    /// what is written to it by the time that it is closed is in the log, or in a file that was cut
    /// off since and is packed later. `None` if the log cannot be opened, but the inherited file is
    /// still there. Takes no lock of this process and allocates nothing.
    pub fn open_in_child(&self) -> Option<io::Result<OwnedFd>> {
        open_to_append(self.folder.as_fd(), &self.c_name, self.descriptor()).transpose()
    }

    /// Asks for a rotation, or for a look at the path.
    pub fn ask(&self, what: &AtomicBool) {
        // Relaxed: carried by the lock of the worker, which looks, or of the state, under which the
        // flusher does.
        what.store(true, Ordering::Relaxed);
        self.worker.want_look();
    }

    /// What was asked for, done now if nothing is being written; if not, the flusher does it. For
    /// the worker.
    pub fn attend(&self) {
        let mut state = self.state.lock();
        if state.account != Account::Written {
            self.tend(&mut state, 0);
        }
    }

    /// Whether a rotation was asked for that has not been, though nothing stands in the way but
    /// time.
    pub fn is_asked(&self) -> bool {
        // Relaxed: whoever has done it notifies.
        self.asked.load(Ordering::Relaxed)
    }
}

/// The last byte of the log, if it has one and can be read.
pub(super) fn last_byte(folder: &Folder, log: &OsStr) -> Option<u8> {
    let file = folder.open_existing(log).ok()?;
    let len = file.metadata().ok().filter(|it| it.is_file())?.len();
    let mut last = [0];
    file.read_exact_at(&mut last, len.checked_sub(1)?).ok()?;
    Some(last[0])
}
