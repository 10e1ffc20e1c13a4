//! Opening a ring file, or making it: who has it, and whether it is one.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::image::read_words;
use crate::primitives::os::file::{lock_holder, open_existing, try_lock, unnamed_file};
use crate::words::{Error, Head, Layout, Operation, RingFileProblem as Problem};

/// A ring file, locked.
#[derive(Debug)]
pub struct RingFile {
    pub file: File,
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
            let opened = match open_existing(path, true) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    create(path, layout).map_err(|error| Error::io(Operation::RingFile, &error))?
                }
                Err(error) => return Err(Error::io(Operation::RingFile, &error)),
            };
            // Somebody else may have made it, or taken it away, meanwhile.
            if let Some(file) = opened {
                if let Some(locked) = Self::lock(path, file, layout)? {
                    return Ok(locked);
                }
            }
        }
    }

    /// Locks `file` and checks it; `None` if it is not at `path` any more.
    fn lock(path: &Path, file: File, asked: Layout) -> Result<Option<Self>, Error> {
        let system = |error: io::Error| Error::io(Operation::RingFile, &error);
        let wrong = |problem| Error::RingFile {
            path: path.to_owned(),
            problem: Box::new(problem),
        };
        let metadata = file.metadata().map_err(system)?;
        if !metadata.is_file() {
            return Err(wrong(Problem::NotARingFile));
        }
        if !try_lock(&file).map_err(system)? {
            let pid = lock_holder(&file);
            return Err(wrong(Problem::InUse { pid }));
        }
        let id = (metadata.dev(), metadata.ino());
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

/// Makes a ring file, locked, whole before it has its name; `None` if somebody else has made one meanwhile.
fn create(path: &Path, layout: Layout) -> io::Result<Option<File>> {
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
    if !try_lock(file)? {
        return Ok(None); // somebody has found the file that is not there yet
    }
    match unnamed.name(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}
