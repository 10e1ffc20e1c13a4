//! Opens a log: takes its lock, opens its file, and cleans up what an earlier process has left.
//! Everything that can refuse a log is checked here.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::asked::seconds_of;
use super::durable::Durable;
use super::folder::{Folder, Insecure, c_name, is_file, is_unsupported, place_of};
use super::found::{self, Found};
use super::log::{Log, first_bytes, last_byte};
use super::name::{Kind, Names};
use super::state::{Account, Period, State, head_len};
use super::worker::Worker;
use super::{Compression, RotateError, Rotation};
use crate::memory::FileLock;
use crate::primitives::os::file::lock_holder;
use crate::primitives::process::Home;
use crate::primitives::sync::{AtomicBool, Mutex, PlainArc};
use crate::words::{Error, Operation, RotationProblem as Problem};

impl Log {
    pub fn open(rotation: Rotation, path: &Path) -> Result<Self, Error> {
        let calendar = rotation.calendar()?;
        let (folder, name) = place_of(path, rotation.follow_links, rotation.shared_folder)
            .map_err(|error| refused_folder(path, error))?;
        let path = folder.path_of(&name);
        let failed = |error: io::Error| refused_file(&path, error);
        let names = Names::of(name);
        check_names(&folder, &names)?;
        let lock = take_lock(&folder, &names)?;
        let found = redo_swap(&folder, &names).map_err(RotateError::refusal)?;
        let file = folder.open_log(names.log(), rotation.mode, false);
        let file = PlainArc::new(file.map_err(failed)?);
        let descriptor = file.try_clone().map_err(failed)?.into();
        let metadata = file.metadata().map_err(failed)?;
        let id = (metadata.dev(), metadata.ino());
        let link = rotation.link.as_deref().map(|link| {
            place_of_link(link, rotation.shared_folder).map_err(|e| refused_folder(link, e))
        });
        let size_bytes = metadata.len();
        let now = rotation.now();
        let changed = metadata.modified().map_or(now, seconds_of).min(now);
        let seen = if size_bytes > 0 { changed } else { now };
        let state = State {
            file: PlainArc::clone(&file),
            id,
            size_bytes,
            head_bytes: first_bytes(&folder, names.log()).map_or(0, |first| head_len(&first)),
            last: found::newest(&found),
            period: Period::of(calendar.as_ref(), seen),
            looked: now,
            failure: None,
            inside: rotation.inside(|| last_byte(&folder, names.log())),
            account: Account::Opened,
        };
        let log = Self {
            durable: Durable::new(file, id),
            worker: PlainArc::new(Worker::new()),
            home: Home::here(),
            calendar,
            descriptor,
            c_name: c_name(names.log()).map_err(failed)?,
            state: Mutex::new(state),
            asked: AtomicBool::new(rotation.at_start && size_bytes > 0),
            look: AtomicBool::new(false),
            link: link.transpose()?,
            _lock: lock,
            rotation,
            names,
            folder,
        };
        log.make_link().map_err(RotateError::refusal)?;
        log.finish_left(&found, id);
        log.worker.want_pass();
        Ok(log)
    }

    /// Removes the unfinished files of a killed process, and gives a file that it was about to cut
    /// off its name. Pins the rotated files: the ring file of the next queue may name any of them.
    fn finish_left(&self, found: &[Found], log: (u64, u64)) {
        for one in found {
            let is_log = one.id == log;
            let is_left = match one.kind {
                Kind::Packing => one.is_ours,
                Kind::Fresh => one.is_ours && one.len == 0 || is_log,
                // A kill between the two steps of a rename left a second link to the log.
                Kind::Rotated(form) => form == Compression::None && is_log,
            };
            let path = || self.folder.path_of(&one.name);
            if is_left {
                if let Err(error) = self.folder.remove(&one.name) {
                    let error = RotateError::new("remove this leftover file", path(), error);
                    self.worker.report(error);
                }
            } else if one.kind == Kind::Fresh && one.len > 0 {
                match self.move_aside(&one.name, one.key) {
                    Ok(key) if one.is_ours => {
                        self.worker.pin(key);
                        let last = &mut self.state.lock().last;
                        *last = (*last).max(Some(key));
                    }
                    Ok(_) => {} // another user's key counts for nothing
                    Err(error) => {
                        let error = RotateError::new("name this rotated file", path(), error);
                        self.worker.report(error);
                    }
                }
            } else {
                self.worker.pin(one.key);
            }
        }
    }
}

/// Finishes a cut of which a crash of the machine has kept the bytes in the new file, and not the
/// swap of the names. Returns the files as they are then.
fn redo_swap(folder: &Folder, names: &Names) -> Result<Vec<Found>, RotateError> {
    let list = || {
        found::list(folder, names)
            .map_err(|error| RotateError::new("list the rotated files", folder.path(), error))
    };
    let found = list()?;
    let Some(next) = found::successor(&found, folder, names.log()) else {
        return Ok(found);
    };
    let swapped = match folder.exchange(&next.name, names.log()) {
        // The log is the `.fresh` file now, and gets its name as after any cut.
        Ok(()) => Ok(()),
        Err(error) if is_unsupported(&error) => {
            let old = names.rotated(next.key, Compression::None);
            let moved = folder.rename_new(names.log(), &old);
            moved.and_then(|()| folder.rename_new(&next.name, names.log()))
        }
        Err(error) => Err(error),
    };
    let path = || folder.path_of(&next.name);
    swapped.map_err(|error| RotateError::new("put this file in the log's place", path(), error))?;
    list()
}

/// Checks that the longest name beside the log is possible, and that an existing log is a regular
/// file.
fn check_names(folder: &Folder, names: &Names) -> Result<(), Error> {
    let longest = names.longest();
    match folder.stat(&longest) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let path = folder.path_of(&longest);
            let doing = "use this name for a rotated file";
            return Err(RotateError::new(doing, path, error).refusal());
        }
        _ => {}
    }
    match folder.stat(names.log()) {
        Ok(stat) if !is_file(&stat) => {
            let log = folder.path_of(names.log());
            Err(Error::Rotation(Box::new(Problem::NotAFile { log })))
        }
        _ => Ok(()),
    }
}

fn take_lock(folder: &Folder, names: &Names) -> Result<FileLock, Error> {
    let name = names.lock();
    let lock = FileLock::take(|| folder.open_lock(&name)).map_err(|error| {
        RotateError::new("lock the log with this file", folder.path_of(&name), error).refusal()
    })?;
    lock.ok_or_else(|| {
        let holder = folder.open_existing(&name).ok();
        let pid = holder.and_then(|file| lock_holder(&file));
        let log = folder.path_of(names.log());
        Error::Rotation(Box::new(Problem::InUse { log, pid }))
    })
}

/// Opens the folder of the link that points to the log. Also returns the name of the link.
fn place_of_link(link: &Path, is_shared: bool) -> io::Result<(Folder, Box<OsStr>)> {
    let link = std::path::absolute(link)?;
    let (Some(parent), Some(name)) = (link.parent(), link.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    Ok((Folder::open(parent, is_shared)?, name.into()))
}

/// The error for a folder that cannot be opened, of the log or link at `path`.
fn refused_folder(path: &Path, error: io::Error) -> Error {
    if is_insecure(&error) || error.raw_os_error() == Some(libc::ELOOP) {
        return refused_file(path, error);
    }
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    RotateError::new("open this folder for reading", parent, error).refusal()
}

fn refused_file(path: &Path, error: io::Error) -> Error {
    if !is_insecure(&error) {
        return Error::io(Operation::Open, &error).about(&path.into());
    }
    let insecure = error.downcast::<Insecure>().expect("looked at");
    Error::Rotation(Box::new(Problem::Insecure {
        log: path.to_owned(),
        folder: insecure.folder,
        reason: insecure.reason,
    }))
}

fn is_insecure(error: &io::Error) -> bool {
    let cause = error.get_ref();
    cause.is_some_and(<dyn core::error::Error + Send + Sync>::is::<Insecure>)
}
