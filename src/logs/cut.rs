//! The cut: renames the file of the log and puts a new file in its place.
//!
//! ```text
//!    app.log            app.log.K.fresh    app.log.K
//! 1  the old file       the new one, empty
//! 2  the new one        the old file
//! 3  the new one                           the old file
//! ```
//!
//! Step 2 swaps two names at once, so the log exists at every moment. If the system cannot swap
//! names, the old file is moved to `app.log.K` first, and there is no log for a moment:
//!
//! ```text
//! 2                     the new one, empty the old file
//! ```
//!
//! A process that is killed leaves one of these states. The next process removes the `.fresh` file
//! if it is empty, gives it its name `app.log.K` if not, and creates the log if it is missing.
//!
//! All of this runs under the lock of the state, on the flusher or on the background thread.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use super::folder::{is_file, is_unsupported};
use super::found::{self, Found};
use super::log::Log;
use super::name::{Key, Kind};
use super::packing::lock_writers_out;
use super::point::point;
use super::state::{Failure, Period, State};
use super::{Compression, RotateError};
use crate::primitives::os::file::{duplicate_onto, id_of};
use crate::primitives::sync::{Ordering, PlainArc};

impl Log {
    /// Does what is due between two records, before `coming` bytes are written. Returns whether
    /// another file has taken over.
    pub(super) fn tend(&self, state: &mut State, coming: u64) -> bool {
        if state.inside.is_within() {
            return false;
        }
        let now = self.rotation.now();
        let is_look_due = self.worker.take(&self.look) || state.looked != now;
        let is_cut_due = self.is_cut_due(state, now, coming)
            && state.failure.is_none_or(|failure| failure.second != now);
        if !is_look_due && !is_cut_due {
            return false;
        }
        state.looked = now;
        let done = match self.look(state, now) {
            Ok(false) if is_cut_due => self.cut(state, now).map(|()| true),
            done => done,
        };
        done.unwrap_or_else(|error| {
            let reason = error.reason();
            let is_reported = state
                .failure
                .is_some_and(|failure| failure.reason == reason);
            state.failure = Some(Failure {
                second: now,
                reason,
            });
            self.worker.report_failing((!is_reported).then_some(error));
            false
        })
    }

    /// Whether the path must be checked as soon as the log ends with a line.
    pub(super) fn is_look_due(&self, state: &State) -> bool {
        // Relaxed: it carries no data; `tend` takes the request.
        self.look.load(Ordering::Relaxed) || state.looked != self.rotation.now()
    }

    fn is_cut_due(&self, state: &mut State, now: i64, coming: u64) -> bool {
        let is_period_over = state.period.is_over(self.calendar.as_ref(), now);
        if state.is_empty() {
            if is_period_over {
                state.period = Period::of(self.calendar.as_ref(), now);
            }
            self.has_met();
            return false;
        }
        let bound = self.rotation.size_bytes.unwrap_or(u64::MAX);
        let is_full = coming > 0 && state.size_bytes.saturating_add(coming) > bound;
        self.is_asked() || is_period_over || is_full
    }

    /// The requested rotation is done: withdraws the request and wakes its waiters.
    fn has_met(&self) {
        if self.worker.take(&self.asked) {
            self.worker.notify();
        }
    }

    /// Checks whether the log is still at its path. If not, continues in the file that is there, or
    /// in a new one. Returns whether another file has taken over.
    fn look(&self, state: &mut State, now: i64) -> Result<bool, RotateError> {
        let path = || self.folder.path_of(self.names.log());
        let anew = |error| RotateError::new("create the log again", path(), error);
        self.folder.follow_path().map_err(anew)?;
        match self.folder.stat(self.names.log()) {
            Ok(stat) if id_of(&stat) == state.id => {
                state.size_bytes = stat.st_size.unsigned_abs(); // it may have been truncated
                return Ok(false);
            }
            Ok(stat) if !is_file(&stat) => {
                let error = io::Error::other("it is not a regular file");
                return Err(RotateError::new("check the log", path(), error));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(RotateError::new("check the log", path(), error));
            }
            _ => {}
        }
        let file = self
            .folder
            .open_log(self.names.log(), self.rotation.mode, false);
        let key = self.key_of_current(state);
        state.last = state.last.max(key);
        let switched = file.and_then(|file| self.switch_to(state, file, key, now));
        switched.map_err(anew)?;
        Ok(true)
    }

    /// The key of the current file, if a cut has renamed it and has failed after that.
    fn key_of_current(&self, state: &State) -> Option<Key> {
        let found = found::list(&self.folder, &self.names).ok()?;
        let plain = Kind::Rotated(Compression::None);
        let is_current = |one: &&Found| one.id == state.id && one.kind == plain;
        found.iter().find(is_current).map(|one| one.key)
    }

    /// Does the three steps of a cut.
    fn cut(&self, state: &mut State, now: i64) -> Result<(), RotateError> {
        let (folder, names) = (&self.folder, &self.names);
        let failed = |error| RotateError::new("rotate the log", folder.path_of(names.log()), error);
        let (key, file) = self.make_new(state, now).map_err(failed)?;
        let fresh = names.fresh(key);
        let placed = match folder.exchange(&fresh, names.log()) {
            Ok(()) => self.move_aside(&fresh, key).inspect_err(|_| {
                let _ = folder.exchange(&fresh, names.log()); // or the next check goes on there
            }),
            Err(error) if is_unsupported(&error) => self.place_in_two_steps(&fresh, key),
            Err(error) => Err(error),
        };
        let key = placed.map_err(|error| {
            self.remove_unused(&fresh, &file);
            failed(error)
        })?;
        state.last = Some(key);
        let taken_over = point("continue in the new file");
        taken_over
            .and_then(|()| self.switch_to(state, file, Some(key), now))
            .map_err(failed)
    }

    /// Creates the new file under the first free name. Returns its key.
    fn make_new(&self, state: &State, now: i64) -> io::Result<(Key, File)> {
        let mut key = Key::after(state.last, now);
        loop {
            let free = key.ok_or_else(|| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
            point("make the new file")?;
            let fresh = self.names.fresh(free);
            match self.folder.open_log(&fresh, self.rotation.mode, true) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => key = free.next(),
                made => return Ok((free, made?)),
            }
        }
    }

    /// Puts the new file in the place of the log, where names cannot be swapped. Returns the key of
    /// the old file.
    fn place_in_two_steps(&self, fresh: &OsStr, key: Key) -> io::Result<Key> {
        let (folder, log) = (&self.folder, self.names.log());
        let key = self.move_aside(log, key)?;
        let placed = point("put the new file in place");
        let placed = placed.and_then(|()| folder.rename_new(fresh, log));
        placed.map(|()| key).inspect_err(|_| {
            let rotated = self.names.rotated(key, Compression::None);
            let _ = folder.rename_new(&rotated, log); // or the next check creates it
        })
    }

    /// Renames the old file, now called `from`, to the name of `key`, or to the first free name
    /// after it. Returns its key.
    pub(super) fn move_aside(&self, from: &OsStr, mut key: Key) -> io::Result<Key> {
        loop {
            point("move the old file aside")?;
            let rotated = self.names.rotated(key, Compression::None);
            match self.folder.rename_new(from, &rotated) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let overflow = || io::Error::from_raw_os_error(libc::EOVERFLOW);
                    key = key.next().ok_or_else(overflow)?;
                }
                renamed => return renamed.map(|()| key),
            }
        }
    }

    /// Removes the new file of a cut that has failed. If `fresh` is another file, or a child of
    /// fork(2) has used the file while it was the log, it stays for the next open.
    fn remove_unused(&self, fresh: &OsStr, file: &File) {
        let is_unused = || {
            lock_writers_out(file)?;
            let (there, here) = (self.folder.stat(fresh)?, file.metadata()?);
            let is_here = id_of(&there) == (here.dev(), here.ino());
            io::Result::Ok(is_here && here.len() == 0)
        };
        if is_unused().is_ok_and(|is_unused| is_unused) {
            let _ = self.folder.remove(fresh); // or the next open removes it
        }
    }

    /// Makes `file` the current file. The old one is now at `key`; without a key, another process
    /// has renamed or deleted it.
    fn switch_to(
        &self,
        state: &mut State,
        file: File,
        key: Option<Key>,
        now: i64,
    ) -> io::Result<()> {
        let metadata = file.metadata()?;
        let id = (metadata.dev(), metadata.ino());
        duplicate_onto(file.as_fd(), self.descriptor.as_fd())?;
        let file = PlainArc::new(file);
        let is_noted = state.account.cut();
        if let Some(key) = key.filter(|_| is_noted) {
            self.worker.pin(key); // before the worker may take it for unused
        }
        self.durable.switch_to(PlainArc::clone(&file), id, key);
        state.file = file;
        state.id = id;
        state.size_bytes = metadata.len();
        state.head_bytes = 0;
        state.failure = None;
        state.period = Period::of(self.calendar.as_ref(), now);
        self.worker.has_rotated(key);
        self.has_met(); // last, so a caller that sees this also waits for the work that follows
        if let Err(error) = self.make_link() {
            self.worker.report(error);
        }
        Ok(())
    }

    /// Makes the link point to the log.
    pub(super) fn make_link(&self) -> Result<(), RotateError> {
        let Some((folder, link)) = &self.link else {
            return Ok(());
        };
        let path = || folder.path_of(link);
        let failed = |error| RotateError::new("make the link point to the log", path(), error);
        let log = self.folder.path_of(self.names.log());
        match folder.link(link) {
            Ok(to) if to == log => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                // Something is there, and it is not a link.
                return Err(failed(io::Error::from_raw_os_error(libc::EEXIST)));
            }
            _ => {}
        }
        // Created under another name first, so the link exists at every moment.
        let mut name = link.to_os_string();
        name.push(".alq-link");
        if folder.link(&name).is_ok() {
            folder.remove(&name).map_err(failed)?;
        }
        folder.symlink(&log, &name).map_err(failed)?;
        folder.rename(&name, link).map_err(failed)
    }
}
