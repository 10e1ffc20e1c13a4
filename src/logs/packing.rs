//! Packs one rotated file, and loses no byte of it.
//!
//! ```text
//! 1  lock         waits for a child of fork(2) that still writes to the file: it has a shared lock
//! 2  K.packing    created with mode 0600, filled, given its final mode, synced
//! 3  K.gz         renamed from K.packing; the folder is synced
//! 4  K removed    if it still has the length that was packed
//! 5  the rest     bytes that a writer without the lock appended until then get a file after K
//! ```

use std::fs::{File, FileTimes};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, RawMode, fchmod, flock, fstat};

use super::folder::{Folder, is_ours};
use super::found::Found;
use super::log::Log;
use super::name::{Key, Kind};
use super::pass::{Packed, Rotated, unless_gone};
use super::point::point;
use super::{Compression, RotateError};
use crate::primitives::os::file::id_of;
use crate::primitives::os::try_map;
use crate::primitives::sync::sleep;

/// The widest mode of a packed file: never set-id or sticky, and no right for other users.
const MODE_MAX: RawMode = 0o640;

/// How many bytes a packer needs for tables and buffers. This much is mapped first as a test,
/// because a failed allocation would abort the process.
const MEMORY_LEN: usize = 16 << 20;

/// How often, and how long each time, the packer waits for a writer with the lock: 0.1 s in all.
const WRITER_TRIES: u32 = 50;
const WRITER_PAUSE: Duration = Duration::from_millis(2);

impl Log {
    /// Packs a file, if it must be packed. If both forms exist, an earlier process was killed
    /// before the packed form was safe, so the file is packed again.
    pub(super) fn pack(&self, folder: &Folder, rotated: &mut Rotated) -> Packed {
        let form = self.rotation.compression;
        let Some(plain) = rotated.plain.as_ref().filter(|_| form != Compression::None) else {
            return Packed::Before;
        };
        if self.worker.is_stopped() || !self.worker.may_try(rotated.key) {
            return Packed::Later;
        }
        let packed = match self.pack_into(folder, plain, form) {
            Ok(packed) => packed,
            Err(error) => {
                // If this fails, the next try or the next open removes it.
                let _ = folder.remove(&self.names.packing(rotated.key));
                if self.worker.is_stopped() || error.kind() == io::ErrorKind::WouldBlock {
                    return Packed::Later;
                }
                self.worker.has_failed(rotated.key);
                let path = folder.path_of(&plain.name);
                return Packed::Failed(RotateError::new("pack the rotated file", path, error));
            }
        };
        rotated.plain = None;
        let name = packed.name.clone();
        let others = core::mem::replace(&mut rotated.packed, vec![packed]);
        for other in others.iter().filter(|other| other.name != name) {
            // A killed process that used another form left this one.
            if let Err(error) = folder.remove(&other.name).or_else(unless_gone) {
                let path = folder.path_of(&other.name);
                return Packed::Failed(RotateError::new(
                    "delete the other packed form",
                    path,
                    error,
                ));
            }
        }
        self.durable.forget(rotated.key);
        self.worker.forget(rotated.key);
        Packed::Now
    }

    fn pack_into(&self, folder: &Folder, plain: &Found, form: Compression) -> io::Result<Found> {
        let from = folder.open_existing(&plain.name)?;
        let stat = fstat(&from)?;
        if !is_ours(&stat) || id_of(&stat) != plain.id {
            return Err(io::Error::other("it was replaced by another file"));
        }
        let check = || {
            if self.worker.is_stopped() {
                Err(io::Error::other("packing was stopped"))
            } else {
                Ok(())
            }
        };
        lock_writers_out(&from)?;
        try_map(MEMORY_LEN)?;
        let packing = self.names.packing(plain.key);
        folder.remove(&packing).or_else(unless_gone)?;
        point("make the packed file")?;
        let to = folder.create(&packing)?;
        point("pack")?;
        let read = form.pack(&from, &to, &check)?;
        let written = from.metadata()?.modified()?;
        to.set_times(FileTimes::new().set_modified(written))?;
        fchmod(&to, Mode::from_raw_mode(stat.st_mode & MODE_MAX))?;
        point("sync the packed file")?;
        to.sync_all()?;
        point("name the packed file")?;
        let name = self.names.rotated(plain.key, form);
        folder.rename(&packing, &name)?;
        folder.sync()?;
        if from.metadata()?.len() != read {
            // Another process has it open, without the lock.
            return Err(io::Error::other("it was written to while it was packed"));
        }
        point("remove the plain file")?;
        folder.remove(&plain.name)?;
        self.keep_rest(folder, &from, read, plain.key)?;
        point("packed")?;
        let metadata = to.metadata()?;
        Ok(Found {
            key: plain.key,
            kind: Kind::Rotated(form),
            name,
            len: metadata.len(),
            id: (metadata.dev(), metadata.ino()),
            modified: plain.modified,
            is_ours: true,
        })
    }

    /// Saves bytes that were appended between the check of the length and the removal: they get a
    /// separate file after this one.
    fn keep_rest(&self, folder: &Folder, from: &File, packed: u64, key: Key) -> io::Result<()> {
        let len = from.metadata()?.len();
        if len == packed {
            return Ok(());
        }
        let mut rest = vec![0; usize::try_from(len.saturating_sub(packed)).unwrap_or(0)];
        from.read_exact_at(&mut rest, packed)?;
        let fresh = self.names.packing(key);
        let to = folder.create(&fresh)?;
        to.write_all_at(&rest, 0)?;
        to.sync_all()?;
        let mut key = key;
        loop {
            let overflow = || io::Error::from_raw_os_error(libc::EOVERFLOW);
            key = key.next().ok_or_else(overflow)?;
            let name = self.names.rotated(key, Compression::None);
            match folder.rename_new(&fresh, &name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                renamed => break renamed?,
            }
        }
        self.worker.want_pass(); // the new file must be packed, too
        folder.sync()
    }
}

/// Keeps children of fork(2) from writing to the file from now on. A child that opens it checks
/// under the lock whether it is still the log.
///
/// # Errors
///
/// `WouldBlock` if a child keeps the lock for long, for example because it is stopped.
pub(super) fn lock_writers_out(file: &File) -> io::Result<()> {
    for _ in 0..WRITER_TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => sleep(WRITER_PAUSE),
            _ => return Ok(()), // or the file system has no locks: then the child takes none either
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}
