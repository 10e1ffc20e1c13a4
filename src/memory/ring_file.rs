//! Opens a ring file, or creates it. Checks that the file is a ring file, that no other process
//! uses it, and that no other user can write to it.
//!
//! This file owns the lock of the ring file until a memory maps it. It does not interpret the tail
//! or the records.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::image::{noted_pid, read_words};
use super::inherited::{Kept, keep_lock};
use crate::primitives::os;
use crate::primitives::os::file::{
    create_new, disk_of, effective_user, file_id, holder_of, make_zeros, open_existing, try_lock,
};
use crate::words::{
    Error, Head, Identity, Layout, Mode, Oldest, Operation, RingFileProblem as Problem,
    RingFraming, RingId, Title,
};

/// A ring file that is open and locked.
#[derive(Debug)]
pub struct RingFile {
    pub file: File,
    /// The lock, held until it is dropped.
    pub(super) lock: Kept,
    pub layout: Layout,
    pub identity: Identity,
    /// The version of the format of the file. Version 1 has no identity: `identity` is the one that
    /// it gets.
    pub version: u64,
}

impl RingFile {
    /// Opens the ring file at `path` and locks it. Creates it with `layout` if it does not exist or
    /// holds nothing at all. An existing file may have other sizes.
    ///
    /// `mode` is what a new ring is for. `log` is the device and the inode of the log: the ring file
    /// must not be that file.
    ///
    /// # Errors
    ///
    /// [`Error::RingFile`] if the file must not be used like this; [`Error::Io`] with the error of
    /// the system.
    pub fn open(
        path: &Path,
        layout: Layout,
        mode: Mode,
        log: Option<(u64, u64)>,
    ) -> Result<Self, Error> {
        let system = |error| Error::io(Operation::RingFile, &error).about(&path.into());
        loop {
            let (file, is_new) = match open_existing(path, true) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => match create_new(path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    file => (file.map_err(system)?, true),
                },
                file => (file.map_err(system)?, false),
            };
            let locked = Self::lock(path, file, (layout, mode), log);
            if is_new && locked.is_err() {
                let _ = fs::remove_file(path); // it is empty; `locked` has the error
            }
            // Another process may have removed the file in between; then try again.
            if let Some(locked) = locked? {
                return Ok(locked);
            }
        }
    }

    /// Locks `file` and checks it; returns `None` if it is no longer at `path`.
    fn lock(
        path: &Path,
        file: File,
        (layout, mode): (Layout, Mode),
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
        let found = read_title(&file).map_err(system)?.map_err(wrong)?;
        let identity = match found.identity {
            Some(identity) => identity,
            None => Identity {
                id: random_id().map_err(system)?,
                mode: found.layout.map_or(mode, |_| Mode::Queue), // version 1 has no other
                framing: RingFraming::default(),
            },
        };
        let mut locked = Self {
            layout: found.layout.unwrap_or(layout),
            file,
            lock,
            identity,
            version: found.version,
        };
        if found.layout.is_none() {
            locked.make_anew(layout).map_err(system)?;
        }
        Ok(Some(locked))
    }

    /// Replaces the content by an empty ring with the sizes of `layout`. The identity stays.
    ///
    /// If the process is killed during the call, the file holds no ring, and the next queue creates
    /// it again.
    ///
    /// # Errors
    ///
    /// The errors of write(2). The file then holds no ring.
    pub fn make_anew(&mut self, layout: Layout) -> io::Result<()> {
        self.layout = layout;
        self.version = Layout::VERSION;
        fill(&self.file, layout, self.identity)
    }

    /// Gives the file this identity, and makes a file of an earlier version one of the present version:
    /// both in one write within the first page, which a kill does not divide. No memory may map the file
    /// yet.
    ///
    /// # Errors
    ///
    /// The errors of read(2) and write(2).
    pub fn identify(&mut self, identity: Identity) -> io::Result<()> {
        if self.version != Layout::VERSION || self.identity != identity {
            let mut words = read_words(&self.file, 0, Title::WORDS)?;
            Title::store(Some(self.layout), identity, &mut words);
            self.file.write_all_at(&bytes_of(&words), 0)?;
        }
        self.identity = identity;
        self.version = Layout::VERSION;
        Ok(())
    }

    /// Returns the type of the file system of the file, unless that file system keeps its files in
    /// memory.
    pub fn disk(&self) -> Option<u64> {
        disk_of(&self.file).unwrap_or_default()
    }
}

/// Checks that no user except root and this one can write to `file`, under any name. A user who can
/// write to a ring file can write to the log of its next queue.
///
/// # Errors
///
/// The errors of fstat(2), and the problem with the file.
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

/// Returns a new random id.
///
/// # Errors
///
/// The errors of getrandom(2).
pub fn random_id() -> io::Result<RingId> {
    os::random().map(RingId::from_bytes)
}

/// Reads the title from the start of `file`. It is empty if the file holds nothing: no byte, or
/// only zeros.
///
/// # Errors
///
/// The errors of read(2), and the problem with the file.
pub fn read_title(file: &File) -> io::Result<Result<Title, Problem>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Err(Problem::NotAFile));
    }
    let len = metadata.len();
    let mut words = [[0; 8]; Title::WORDS];
    let start = words.as_flattened_mut();
    let start = &mut start[..len.min(8 * Title::WORDS as u64) as usize];
    file.read_exact_at(start, 0)?;
    if start.iter().all(|byte| *byte == 0) && len <= Layout::LEN_MAX && is_zero(file, len)? {
        return Ok(Ok(Title::default()));
    }
    if start.len() < 8 * Layout::FIXED_WORDS {
        let begins_with = start[..start.len().min(8)].to_vec();
        return Ok(Err(Problem::NotARingFile { begins_with }));
    }
    Ok(Title::from_words(&words.map(u64::from_ne_bytes), len))
}

/// Returns whether all `len` bytes of `file` are zeros.
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

/// Writes an empty ring to `file`: first a page that only says which ring this is; then zeros after
/// it; then the first page again, in one write, which a kill does not divide.
fn fill(file: &File, layout: Layout, identity: Identity) -> io::Result<()> {
    let page = Layout::PATH_AT as u64;
    let made = file.write_all_at(&first_page(None, identity), 0);
    let made = made.and_then(|()| make_zeros(file, page, layout.file_len() as u64));
    let made = made.and_then(|()| file.write_all_at(&first_page(Some(layout), identity), 0));
    if made.is_err() {
        let _ = file.set_len(page); // frees the space
    }
    made
}

/// Returns the header of an empty ring, or of a ring that does not exist yet.
fn first_page(layout: Option<Layout>, identity: Identity) -> Vec<u8> {
    let mut words = vec![0; Layout::PATH_AT / 8];
    Title::store(layout, identity, &mut words);
    if let Some(layout) = layout {
        let tail = Head {
            seq: layout.geometry.slots(), // as in a private ring: no tag of the first lap is 0
            pos: 0,
        }
        .to_bits();
        // There is no previous tail: 0. If `previous` were equal to the tail, a damaged tail would
        // pass, since the complement may match either of them.
        words[Layout::FIXED_WORDS..][..3].copy_from_slice(&[0, tail, !tail]);
        if identity.mode == Mode::Recorder {
            let oldest = Oldest::of_new(layout.geometry).to_words();
            words[Layout::FIXED_WORDS + 3..][..Oldest::WORDS].copy_from_slice(&oldest);
        }
    }
    bytes_of(&words)
}

fn bytes_of(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
