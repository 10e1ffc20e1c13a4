//! Lists the rotated and temporary files of a log that are in its folder.

use std::ffi::{OsStr, OsString};
use std::io;

use super::folder::{Folder, is_file, is_ours};
use super::name::{Key, Kind, Names};
use crate::primitives::os::file::{created, id_of};

/// A regular file whose name is one of ours.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub key: Key,
    pub kind: Kind,
    pub name: OsString,
    pub len: u64,
    /// Device and inode.
    pub id: (u64, u64),
    /// The time of the last write, in seconds since 1970.
    pub modified: i64,
    /// Whether the file belongs to our user and has one link. Other files are left alone.
    pub is_ours: bool,
}

/// Returns the regular files whose names are ours, in the order of time.
///
/// # Errors
///
/// Those of getdents64(2) and fstatat(2). A file that disappears during the call is left out.
pub(crate) fn list(folder: &Folder, names: &Names) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for name in folder.names()? {
        let Some((key, kind)) = names.parse(&name) else {
            continue;
        };
        let stat = match folder.stat(&name) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if is_file(&stat) {
            found.push(Found {
                key,
                kind,
                name,
                len: stat.st_size.unsigned_abs(),
                id: id_of(&stat),
                modified: stat.st_mtime,
                is_ours: is_ours(&stat),
            });
        }
    }
    found.sort_by_key(|one| one.key);
    Ok(found)
}

/// Returns the file with the content that follows that of the log: a crash of the machine has
/// undone the swap of their names, and kept what was written after it. `None` if a file system does
/// not say when files were created.
///
/// Otherwise a `.fresh` file with content is the file that was cut off, which is older than the
/// log.
pub(crate) fn successor(found: &[Found], folder: &Folder, log: &OsStr) -> Option<Found> {
    let born = |name: &OsStr| {
        let file = folder.open_existing(name).ok()?;
        created(&file, &file.metadata().ok()?)
    };
    let last = found.iter().rev().find(|one| one.kind == Kind::Fresh)?;
    let is_next = last.len > 0 && last.is_ours && born(&last.name)? > born(log)?;
    is_next.then(|| last.clone())
}

/// The newest key of a file that belongs to our user.
pub(super) fn newest(found: &[Found]) -> Option<Key> {
    found
        .iter()
        .rev()
        .find(|one| one.is_ours)
        .map(|one| one.key)
}
