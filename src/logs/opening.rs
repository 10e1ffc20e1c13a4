//! Opening a log: its lock, its file, and what an earlier process has left.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::asked::seconds_of;
use super::durable::Durable;
use super::log::{Log, last_byte};
use super::name::{Found, Kind, Names};
use super::state::{Account, Period, State};
use super::worker::Worker;
use super::{RotateError, Rotation};
use crate::memory::FileLock;
use crate::primitives::os;
use crate::primitives::os::file::open_existing;
use crate::primitives::process::Home;
use crate::primitives::sync::{AtomicBool, Mutex, PlainArc};
use crate::words::{Error, Operation, RotationProblem as Problem};

impl Log {
    pub fn open(rotation: Rotation, path: &Path) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::io(Operation::Open, &error).about(&path.into());
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
        let state = State {
            file: PlainArc::clone(&file),
            id,
            size_bytes,
            last: found.last().map(|one| one.key),
            period: Period::of(calendar.as_ref(), seen),
            looked: now,
            failure: None,
            inside: rotation.inside(|| last_byte(&path)),
            account: Account::Opened,
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
}

/// Where the log really is.
fn place_of(path: &Path, follow_links: bool) -> Result<PathBuf, Error> {
    let failed = |error: io::Error| Error::io(Operation::Open, &error).about(&path.into());
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
