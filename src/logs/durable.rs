//! Keeps what a sync of a rotated log must cover: the current file, the files that were cut off
//! since the last sync, and their folder. It never renames or deletes a file.

use std::fs::File;
use std::io;

use super::Compression;
use super::folder::Folder;
use super::name::{Key, Names};
use crate::primitives::sync::{Mutex, PlainArc};
use crate::words::SyncOp;

/// How many rotated files are kept open for the next sync. An older one is opened again by name.
const OPEN_MAX: usize = 16;

#[derive(Debug)]
pub(super) struct Durable {
    files: Mutex<Files>,
}

#[derive(Debug)]
struct Files {
    file: PlainArc<File>,
    id: (u64, u64),
    /// Cut off and not synced since; oldest first.
    before: Vec<Before>,
    /// How many entries were ever added to `before`.
    count: u64,
    /// How many times a name was made, and how many of these the folder was synced after.
    names: u64,
    names_synced: u64,
    /// The error of a sync of a file without a name, which cannot be opened and synced again.
    failure: Option<i32>,
}

#[derive(Clone, Debug)]
struct Before {
    number: u64,
    /// `None` if another process has renamed or deleted the file: it has no name of ours.
    key: Option<Key>,
    file: Option<PlainArc<File>>,
}

impl Before {
    fn sync(&self, op: SyncOp, folder: &Folder, names: &Names) -> io::Result<()> {
        if let Some(file) = &self.file {
            return sync(file, op);
        }
        let Some(key) = self.key else { return Ok(()) };
        // If no descriptor has seen the error of an earlier write, the kernel reports it to the
        // next one that is opened.
        match folder.open_existing(&names.rotated(key, Compression::None)) {
            Ok(file) => sync(&file, op),
            // The file was packed, which synced it, or it was deleted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn sync(file: &File, op: SyncOp) -> io::Result<()> {
    match op {
        SyncOp::Data => file.sync_data(),
        SyncOp::Full => file.sync_all(),
    }
}

impl Durable {
    pub fn new(file: PlainArc<File>, id: (u64, u64)) -> Self {
        Self {
            files: Mutex::new(Files {
                file,
                id,
                before: Vec::new(),
                count: 0,
                names: 1, // made by this process, or by one that ended before it could sync it
                names_synced: 0,
                failure: None,
            }),
        }
    }

    /// The device and inode of the current file.
    pub fn id(&self) -> (u64, u64) {
        self.files.lock().id
    }

    /// Makes `file` the current file; the old one is now at `key`.
    pub fn switch_to(&self, file: PlainArc<File>, id: (u64, u64), key: Option<Key>) {
        let mut files = self.files.lock();
        files.count += 1;
        files.names += 1;
        files.id = id;
        let before = Before {
            number: files.count,
            key,
            file: Some(core::mem::replace(&mut files.file, file)),
        };
        files.before.push(before);
        let open = files.before.iter().filter(|one| one.file.is_some()).count();
        if open > OPEN_MAX {
            files.close_oldest();
        }
    }

    /// Makes the next sync cover the file at `key`, which an earlier process has cut off.
    pub fn covers(&self, key: Key) {
        let mut files = self.files.lock();
        files.count += 1;
        let number = files.count;
        files.before.push(Before {
            number,
            key: Some(key),
            file: None,
        });
    }

    /// Syncs the file at `key` now, because it is about to get another name.
    pub fn settle(&self, key: Key, folder: &Folder, names: &Names) -> io::Result<()> {
        let waiting = {
            let files = self.files.lock();
            files
                .before
                .iter()
                .find(|one| one.key == Some(key))
                .cloned()
        };
        if let Some(before) = waiting {
            before.sync(SyncOp::Full, folder, names)?;
        }
        self.forget(key);
        self.files.lock().names += 1;
        Ok(())
    }

    /// No sync needs to cover the file at `key`: it is durable in another form, or deleted.
    pub fn forget(&self, key: Key) {
        let mut files = self.files.lock();
        files.before.retain(|one| one.key != Some(key));
    }

    /// Makes everything durable that was written before the call, under its present names.
    pub fn sync(&self, op: SyncOp, folder: &Folder, names: &Names) -> io::Result<()> {
        let (file, before, made, is_known) = {
            let files = self.files.lock();
            if let Some(errno) = files.failure {
                return Err(io::Error::from_raw_os_error(errno));
            }
            let is_known = files.names == files.names_synced;
            (
                PlainArc::clone(&files.file),
                files.before.clone(),
                files.names,
                is_known,
            )
        };
        for one in &before {
            one.sync(op, folder, names)?;
        }
        sync(&file, op)?;
        if !is_known {
            folder.sync()?;
        }
        let mut files = self.files.lock();
        files.names_synced = files.names_synced.max(made);
        let last = before.last().map_or(0, |one| one.number);
        files.before.retain(|one| one.number > last);
        Ok(())
    }
}

impl Files {
    /// Closes the oldest open file. A file that has a name can be opened again by it; a file
    /// without one is synced at once.
    fn close_oldest(&mut self) {
        let Some(at) = self.before.iter().position(|one| one.file.is_some()) else {
            return;
        };
        let oldest = &mut self.before[at];
        let file = oldest.file.take();
        if oldest.key.is_none() {
            if let Some(Err(error)) = file.map(|file| file.sync_all()) {
                self.failure = Some(error.raw_os_error().unwrap_or(libc::EIO));
            }
            self.before.remove(at);
        }
    }
}
