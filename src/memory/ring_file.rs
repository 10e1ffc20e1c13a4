//! Opening a ring file, or making it: who has it, and whether it is one.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::image::read_words;
use super::inherited::{Kept, keep_lock};
use crate::primitives::os::file::{
    effective_user, file_id, lock_holder, open_existing, try_lock, unnamed_file,
};
use crate::words::{Error, Head, Layout, Operation, RingFileProblem as Problem};

/// A ring file, locked.
#[derive(Debug)]
pub struct RingFile {
    pub file: File,
    /// Holds the lock.
    pub(super) lock: Kept,
    pub layout: Layout,
}

impl RingFile {
    /// Opens the ring file at `path`, made with `layout` if there is none, and locks it.
    ///
    /// # Errors
    ///
    /// [`Error::RingFile`] if it is not to be used like this; [`Error::Io`] with what the system said.
    pub fn open(path: &Path, layout: Layout) -> Result<Self, Error> {
        loop {
            let system = |error| Error::io(Operation::RingFile, &error).about(&path.into());
            let locked = match open_existing(path, true) {
                Ok(file) => Self::lock(path, file, layout)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    create(path, layout).map_err(system)?;
                    None
                }
                Err(error) => return Err(system(error)),
            };
            // Somebody else may have made it, or taken it away, meanwhile.
            if let Some(locked) = locked {
                return Ok(locked);
            }
        }
    }

    /// Locks `file` and checks it; `None` if it is not at `path` any more.
    fn lock(path: &Path, file: File, asked: Layout) -> Result<Option<Self>, Error> {
        let system = |error: io::Error| Error::io(Operation::RingFile, &error).about(&path.into());
        let wrong = |problem| Error::ring_file(path, problem);
        let metadata = file.metadata().map_err(system)?;
        if !metadata.is_file() {
            return Err(wrong(Problem::NotARingFile));
        }
        // Its owner can write into it at any time, and so into the log of whoever uses it.
        let (uid, mode) = (metadata.uid(), metadata.mode() & 0o7777);
        if uid != effective_user() || mode & 0o022 != 0 {
            return Err(wrong(Problem::NotOurs { uid, mode }));
        }
        let lock = match keep_lock(|| open_existing(path, true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            lock => lock.map_err(system)?,
        };
        let id = (metadata.dev(), metadata.ino());
        if file_id(lock.lock()).map_err(system)? != id {
            return Ok(None);
        }
        if !try_lock(lock.lock()).map_err(system)? {
            let pid = lock_holder(&file);
            return Err(wrong(Problem::InUse { pid }));
        }
        let is_there = fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == id);
        if !is_there {
            return Ok(None);
        }
        let len = file.metadata().map_err(system)?.len();
        let found = read_layout(&file, len).map_err(system)?.map_err(wrong)?;
        if found != asked {
            return Err(wrong(Problem::OtherGeometry {
                found: found.to_string(),
                asked: asked.to_string(),
            }));
        }
        Ok(Some(Self {
            file,
            lock,
            layout: found,
        }))
    }
}

/// What the start of a file of `len` bytes says.
pub fn read_layout(file: &File, len: u64) -> io::Result<Result<Layout, Problem>> {
    if len < (Layout::FIXED_WORDS * 8) as u64 {
        return Ok(Err(Problem::NotARingFile));
    }
    let words = read_words(file, 0, Layout::FIXED_WORDS)?;
    let words = words.try_into().expect("as long as asked for");
    Ok(Layout::from_words(&words, len))
}

/// Makes a ring file, whole before it has its name, unless somebody else has made one meanwhile.
fn create(path: &Path, layout: Layout) -> io::Result<()> {
    let unnamed = unnamed_file(path, layout.file_len() as u64)?;
    let file = unnamed.file();
    let tail = Head {
        seq: layout.geometry.slots(), // as in a ring of memory: no tag of the first lap is 0
        pos: 0,
    }
    .to_bits();
    // There was none before: were it the same, the complement would prove nothing of the tail.
    for (at, word) in [(8, 0), (9, tail), (10, !tail)] {
        file.write_all_at(&word.to_ne_bytes(), at * 8)?;
    }
    let words = layout.to_words().map(u64::to_ne_bytes);
    file.write_all_at(words.as_flattened(), 0)?;
    match unnamed.name(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
