//! Opening a ring file, or making it: who has it, whose it is, and whether it is one.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::image::noted_pid;
use super::inherited::{Kept, keep_lock};
use crate::primitives::os::file::{
    create_new, disk_of, effective_user, file_id, holder_of, make_zeros, open_existing, try_lock,
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
    /// Opens the ring file at `path` and locks it; made with `layout` if there is none, or if it holds
    /// nothing at all. One that is there may have other sizes. `log` is the device and the inode of the
    /// log, which it must not be.
    ///
    /// # Errors
    ///
    /// [`Error::RingFile`] if it is not to be used like this; [`Error::Io`] with what the system said.
    pub fn open(path: &Path, layout: Layout, log: Option<(u64, u64)>) -> Result<Self, Error> {
        let system = |error| Error::io(Operation::RingFile, &error).about(&path.into());
        loop {
            let (file, is_new) = match open_existing(path, true) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => match create_new(path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    file => (file.map_err(system)?, true),
                },
                file => (file.map_err(system)?, false),
            };
            let locked = Self::lock(path, file, layout, log);
            if is_new && locked.is_err() {
                let _ = fs::remove_file(path); // it holds nothing, and the error says more
            }
            // Another process may have taken it away meanwhile.
            if let Some(locked) = locked? {
                return Ok(locked);
            }
        }
    }

    /// Locks `file` and checks it; `None` if it is not at `path` any more.
    fn lock(
        path: &Path,
        file: File,
        layout: Layout,
        log: Option<(u64, u64)>,
    ) -> Result<Option<Self>, Error> {
        let system = |error: io::Error| Error::io(Operation::RingFile, &error).about(&path.into());
        let wrong = |problem| Error::ring_file(path, problem);
        let metadata = file.metadata().map_err(system)?;
        let id = (metadata.dev(), metadata.ino());
        if log == Some(id) {
            return Err(wrong(Problem::IsTheLog));
        }
        check_owner(&file).map_err(system)?.map_err(wrong)?;
        let lock = match keep_lock(|| open_existing(path, true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            lock => lock.map_err(system)?,
        };
        if file_id(lock.lock()).map_err(system)? != id {
            return Ok(None);
        }
        if !try_lock(lock.lock()).map_err(system)? {
            let pid = holder_of(&file, noted_pid(&file));
            return Err(wrong(Problem::InUse { pid }));
        }
        let is_there = fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == id);
        if !is_there {
            return Ok(None);
        }
        let found = read_layout(&file).map_err(system)?.map_err(wrong)?;
        let mut locked = Self {
            layout: found.unwrap_or(layout),
            file,
            lock,
        };
        if found.is_none() {
            locked.make_anew(layout).map_err(system)?;
        }
        Ok(Some(locked))
    }

    /// Makes an empty ring with other sizes of it. What it held is gone; killed at any point, it holds
    /// nothing, and the next one makes it anew.
    ///
    /// # Errors
    ///
    /// Those of write(2). It is left empty then.
    pub fn make_anew(&mut self, layout: Layout) -> io::Result<()> {
        self.layout = layout;
        fill(&self.file, layout)
    }

    /// The type of the file system that it is on, unless that keeps its files in memory.
    pub fn disk(&self) -> Option<u64> {
        disk_of(&self.file).unwrap_or_default()
    }
}

/// Whether no other user but root may put anything into `file`, under any name: whoever can write to a ring
/// file can write to the log of its next queue.
///
/// # Errors
///
/// Those of fstat(2), and the problem with it.
pub fn check_owner(file: &File) -> io::Result<Result<(), Problem>> {
    const ROOT: u32 = 0;
    let metadata = file.metadata()?;
    let (uid, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    Ok(if !metadata.is_file() {
        Err(Problem::NotAFile)
    } else if (uid != effective_user() && uid != ROOT) || mode & 0o022 != 0 {
        Err(Problem::NotOurs { uid, mode })
    } else if metadata.nlink() > 1 {
        let names = metadata.nlink();
        Err(Problem::Linked { names })
    } else {
        Ok(())
    })
}

/// What the start of `file` says; `None` if there is nothing in it at all: no byte, or only zeros.
///
/// # Errors
///
/// Those of read(2), and the problem with it.
pub fn read_layout(file: &File) -> io::Result<Result<Option<Layout>, Problem>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Err(Problem::NotAFile));
    }
    let len = metadata.len();
    let mut words = [[0; 8]; Layout::FIXED_WORDS];
    let start = words.as_flattened_mut();
    let start = &mut start[..len.min(8 * Layout::FIXED_WORDS as u64) as usize];
    file.read_exact_at(start, 0)?;
    if start.iter().all(|byte| *byte == 0) && len <= Layout::LEN_MAX && is_zero(file, len)? {
        return Ok(Ok(None));
    }
    if start.len() < 8 * Layout::FIXED_WORDS {
        let begins_with = start[..start.len().min(8)].to_vec();
        return Ok(Err(Problem::NotARingFile { begins_with }));
    }
    Ok(Layout::from_words(&words.map(u64::from_ne_bytes), len).map(Some))
}

/// Whether all `len` bytes of `file` are zeros.
fn is_zero(file: &File, len: u64) -> io::Result<bool> {
    let mut part = vec![0; (1 << 16).min(len as usize)];
    let mut at = 0;
    while at < len {
        let part = &mut part[..(len - at).min(1 << 16) as usize];
        file.read_exact_at(part, at)?;
        if part.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += part.len() as u64;
    }
    Ok(true)
}

/// Makes an empty ring of `file`: first all of it zeros, which hold nothing; then the first page, in one write,
/// which a kill does not part.
fn fill(file: &File, layout: Layout) -> io::Result<()> {
    let made = make_zeros(file, layout.file_len() as u64);
    let made = made.and_then(|()| file.write_all_at(&first_page(layout), 0));
    if made.is_err() {
        let _ = file.set_len(0); // gives the room back; zeros hold nothing, either
    }
    made
}

/// The header of an empty ring.
fn first_page(layout: Layout) -> Vec<u8> {
    let tail = Head {
        seq: layout.geometry.slots(), // as in a ring of memory: no tag of the first lap is 0
        pos: 0,
    }
    .to_bits();
    let mut words = layout.to_words().to_vec();
    // There was none before: were it the same, the complement would prove nothing of the tail.
    words.extend([0, tail, !tail]);
    words.resize(Layout::PATH_AT / 8, 0);
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
