//! What a sync of a rotated log has to reach: the file in hand, those that were cut off since the
//! last one, and their directory.

use std::fs::File;
use std::io;

use super::Compression;
use super::folder::Folder;
use super::name::{Key, Names};
use crate::primitives::sync::{Mutex, PlainArc};
use crate::words::SyncOp;

/// How many files that were cut off are kept open for a sync to come; one that is older is opened
/// again.
const OPEN_MAX: usize = 16;

#[derive(Debug)]
pub(super) struct Durable {
    files: Mutex<Files>,
}

#[derive(Debug)]
struct Files {
    file: PlainArc<File>,
    id: (u64, u64),
    /// Cut off, and not synced since; oldest first.
    before: Vec<Before>,
    /// How many files were cut off by now.
    count: u64,
    /// How often a name was made, and up to which of these the directory is synced.
    names: u64,
    names_synced: u64,
    /// The sync of a file that nobody could open again has failed with this.
    failure: Option<i32>,
}

#[derive(Clone, Debug)]
struct Before {
    number: u64,
    /// None if it is not under a name of ours: somebody else has renamed or deleted it.
    key: Option<Key>,
    file: Option<PlainArc<File>>,
}

impl Before {
    fn sync(&self, op: SyncOp, folder: &Folder, names: &Names) -> io::Result<()> {
        if let Some(file) = &self.file {
            return sync(file, op);
        }
        let Some(key) = self.key else { return Ok(()) };
        // The system tells an error of a write to whoever opens the file next, if it has told
        // nobody.
        match folder.open_existing(&names.rotated(key, Compression::None)) {
            Ok(file) => sync(&file, op),
            // Packed, which was synced; or deleted.
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
                names: 1, // of this process, or of one that did not live to sync it
                names_synced: 0,
                failure: None,
            }),
        }
    }

    /// The file in hand, by device and inode.
    pub fn id(&self) -> (u64, u64) {
        self.files.lock().id
    }

    /// `file` takes over; the one before is now at `key`.
    pub fn goes_on_in(&self, file: PlainArc<File>, id: (u64, u64), key: Option<Key>) {
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

    /// A sync is to reach the file at `key`, too, which an earlier process has cut off.
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

    /// Makes what was cut off at `key` durable now: it is about to get another name.
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

    /// What was cut off at `key` is durable in another form, or gone for good.
    pub fn forget(&self, key: Key) {
        let mut files = self.files.lock();
        files.before.retain(|one| one.key != Some(key));
    }

    /// Makes durable all that was written before the call, under the names that it has.
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
    /// Without its descriptor a file must be found again by its name; one that has none is synced
    /// at once.
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
