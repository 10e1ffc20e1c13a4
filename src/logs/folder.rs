//! The folder of a log, held open. Every step by name is relative to it, so a user who replaces a
//! folder or link on the path redirects neither the log nor its rotated files.
//!
//! All steps by name are in this file, except the open of a child of fork(2) (`open_to_append`).

use core::fmt;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode, Stat, fstat, linkat, openat, readlinkat,
    renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid, getgid, getuid};

use super::point::point;
use crate::primitives::os::file::{
    Step, duplicate_onto, exchange, id_of, rename_new, step, sync_folder, unless_unsupported,
};
use crate::primitives::os::process::has_more_rights;

/// How every name is opened: without following a link, and without blocking.
const PLAINLY: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// How many symbolic links one path may contain. Source: `path_resolution(7)`.
const LINKS_MAX: u32 = 40;

/// A folder that is held open by its descriptor.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    /// The path without links, for messages and to notice that the folder was moved.
    path: PathBuf,
    /// Whether opening checked that no other user may change a folder on the path.
    is_checked: bool,
}

/// A folder on the path of the log that other users may change.
#[derive(Debug)]
pub(super) struct Insecure {
    pub folder: PathBuf,
    pub reason: &'static str,
}

impl fmt::Display for Insecure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.folder.display();
        write!(
            f,
            "parent folder {folder} has insecure permissions: {}",
            self.reason
        )
    }
}

impl core::error::Error for Insecure {}

impl Folder {
    /// Opens the folder at the absolute `path`. Unless `is_shared` is set, a privileged process
    /// refuses a path that other users may change.
    ///
    /// # Errors
    ///
    /// Those of open(2), and `Insecure` inside an `io::Error` for a refused path.
    pub fn open(path: &Path, is_shared: bool) -> io::Result<Self> {
        let is_checked = !is_shared && is_privileged();
        let (fd, path) = if is_checked {
            walk(path, true, LINKS_MAX)?
        } else {
            let path = fs::canonicalize(path)?;
            (File::open(&path)?.into(), path)
        };
        Ok(Self {
            fd,
            path,
            is_checked,
        })
    }

    /// Duplicates the descriptor for one pass of the background thread, so the pass stays in this
    /// folder even if the log moves to another one.
    pub fn snapshot(&self) -> io::Result<Self> {
        Ok(Self {
            fd: self.fd.try_clone()?,
            path: self.path.clone(),
            is_checked: self.is_checked,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn path_of(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// If another folder is at the path by now, continues in that one. The number of the descriptor
    /// stays, because a child of fork(2) uses it without a lock.
    ///
    /// # Errors
    ///
    /// As `open`, and `ELOOP` for a link: the path had no link when the folder was opened.
    pub fn follow_path(&self) -> io::Result<()> {
        let there = fs::symlink_metadata(&self.path)?;
        let here = fstat(&self.fd)?;
        if (there.dev(), there.ino()) == id_of(&here) {
            return Ok(());
        }
        let (next, _) = walk(&self.path, self.is_checked, 0)?;
        duplicate_onto(next.as_fd(), self.fd.as_fd())
    }

    /// Returns what is under `name`, without following a link.
    pub fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        Ok(statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Reads the link under `name`.
    pub fn link(&self, name: &OsStr) -> io::Result<PathBuf> {
        let to = readlinkat(&self.fd, name, Vec::new())?;
        Ok(OsString::from_vec(to.into_bytes()).into())
    }

    /// Opens the file under `name`, for reading.
    pub fn open_existing(&self, name: &OsStr) -> io::Result<File> {
        self.open_file(name, OFlags::RDONLY, 0)
    }

    /// Creates a new file under `name`, of mode 0600, for writing.
    pub fn create(&self, name: &OsStr) -> io::Result<File> {
        self.open_file(name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, 0o600)
    }

    /// Opens the lock under `name`, and creates it if it does not exist.
    pub fn open_lock(&self, name: &OsStr) -> io::Result<File> {
        self.open_file(name, OFlags::WRONLY | OFlags::CREATE, 0o600)
    }

    /// Opens the log under `name` to append, or creates it with `mode`. If `is_new`, it must not
    /// exist. Accepts only a regular file.
    pub fn open_log(&self, name: &OsStr, mode: u32, is_new: bool) -> io::Result<File> {
        let mut how = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
        how.set(OFlags::EXCL, is_new);
        let file = self.open_file(name, how, mode)?;
        let stat = fstat(&file)?;
        if !is_file(&stat) {
            let what = "it is not a regular file";
            return Err(io::Error::other(what));
        }
        // If other users may create files in the folder, this may be one of theirs.
        let is_strange = stat.st_uid != geteuid().as_raw() || stat.st_nlink > 1;
        if is_strange && is_privileged() && is_open_to_others(&fstat(&self.fd)?) {
            return Err(insecure(
                &self.path,
                "other users may create files in it, and the log may be one of these files",
            ));
        }
        Ok(file)
    }

    fn open_file(&self, name: &OsStr, how: OFlags, mode: u32) -> io::Result<File> {
        let mode = Mode::from_raw_mode(mode as RawMode);
        Ok(File::from(openat(&self.fd, name, how | PLAINLY, mode)?))
    }

    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Renames a file. Fails with `AlreadyExists` if `to` exists.
    ///
    /// If the system, the file system, or a filter of system calls cannot do that in one step, a
    /// second link does the same in two steps. Without links, a check for `to` comes first.
    pub fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        match rename_new(self.fd.as_fd(), from, to) {
            Err(error) if is_unsupported(&error) => {}
            renamed => return renamed,
        }
        match linkat(&self.fd, from, &self.fd, to, AtFlags::empty()) {
            Ok(()) => return self.remove(from).inspect_err(|_| drop(self.remove(to))),
            Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::MLINK) => {}
            Err(error) => return Err(error.into()),
        }
        match self.stat(to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.rename(from, to),
            Err(error) => Err(error),
        }
    }

    /// Swaps two files in one step. Fails with an error for which `is_unsupported` holds if the
    /// system, the file system, or a filter of system calls cannot do that.
    pub fn exchange(&self, one: &OsStr, other: &OsStr) -> io::Result<()> {
        point("swap the names")?;
        exchange(self.fd.as_fd(), one, other)
    }

    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    pub fn symlink(&self, to: &Path, name: &OsStr) -> io::Result<()> {
        Ok(symlinkat(to, &self.fd, name)?)
    }

    /// Makes the names in the folder durable, if its file system can do that.
    pub fn sync(&self) -> io::Result<()> {
        let synced = point("sync the folder").and_then(|()| sync_folder(self.fd.as_fd()));
        synced.or_else(unless_unsupported)
    }

    /// Returns all names in the folder, in no order.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            names.push(OsString::from_vec(entry?.file_name().to_bytes().to_vec()));
        }
        Ok(names)
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether a call that renames in one step has failed because the system, the file system, or a
/// filter does not support it.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    // On some platforms two of these are one.
    let unsupported = [
        libc::EINVAL,
        libc::ENOSYS,
        libc::EPERM,
        libc::EOPNOTSUPP,
        libc::ENOTSUP,
    ];
    error
        .raw_os_error()
        .is_some_and(|errno| unsupported.contains(&errno))
}

pub(crate) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

/// Whether this is a regular file of our user with one link. No other file is packed, deleted or
/// counted.
pub(super) fn is_ours(stat: &Stat) -> bool {
    is_file(stat) && stat.st_uid == geteuid().as_raw() && stat.st_nlink == 1
}

/// Whether this process may do what the owners of the folders may not.
fn is_privileged() -> bool {
    geteuid().is_root() || getuid() != geteuid() || getgid() != getegid() || has_more_rights()
}

fn is_open_to_others(stat: &Stat) -> bool {
    stat.st_mode & 0o022 != 0
}

/// Says why other users may replace the content of this folder; `None` if they may not.
fn insecurity(stat: &Stat) -> Option<&'static str> {
    let is_sticky = stat.st_mode & 0o1000 != 0;
    if stat.st_uid != 0 && stat.st_uid != geteuid().as_raw() {
        Some("it belongs to another user")
    } else if stat.st_mode & 0o002 != 0 && !is_sticky {
        Some("it is writable by everybody")
    } else if stat.st_mode & 0o020 != 0 && !is_sticky && stat.st_gid != 0 {
        Some("it is writable by a group that is not root's")
    } else {
        None
    }
}

fn check(stat: &Stat, folder: &Path) -> io::Result<()> {
    insecurity(stat).map_or(Ok(()), |reason| Err(insecure(folder, reason)))
}

fn insecure(folder: &Path, reason: &'static str) -> io::Error {
    let folder = folder.to_owned();
    io::Error::new(io::ErrorKind::PermissionDenied, Insecure { folder, reason })
}

/// Opens the folder at `path` as the kernel does, name by name, through at most `links_max`
/// symbolic links. If `is_checked`, it checks each folder and link by its descriptor. Also returns
/// the path of the folder without links.
fn walk(path: &Path, is_checked: bool, links_max: u32) -> io::Result<(OwnedFd, PathBuf)> {
    let checked = |stat: &Stat, place: &Path| {
        if is_checked {
            check(stat, place)
        } else {
            Ok(())
        }
    };
    let root = || -> io::Result<OwnedFd> {
        match step(CWD, OsStr::new("/"))? {
            Step::Place(root, stat) => checked(&stat, Path::new("/")).map(|()| root),
            Step::Link(..) => Err(Errno::LOOP.into()),
        }
    };
    let (mut at, mut place) = (root()?, PathBuf::from("/"));
    let mut rest = names_of(path);
    let mut links = 0;
    while let Some(name) = rest.pop() {
        let (next, stat) = match step(at.as_fd(), &name)? {
            Step::Place(next, stat) => (next, stat),
            Step::Link(stat, to) => {
                let is_trusted = stat.st_uid == 0 || stat.st_uid == geteuid().as_raw();
                if is_checked && !is_trusted {
                    return Err(insecure(
                        &place.join(&name),
                        "it is another user's symbolic link",
                    ));
                }
                links += 1;
                if links > links_max {
                    return Err(Errno::LOOP.into());
                }
                if to.is_absolute() {
                    (at, place) = (root()?, PathBuf::from("/"));
                }
                rest.extend(names_of(&to));
                continue;
            }
        };
        if &*name == ".." {
            place.pop();
        } else {
            place.push(&name);
        }
        checked(&stat, &place)?;
        at = next;
    }
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok((openat(&at, ".", how, Mode::empty())?, place))
}

/// The names of a path, the last one first.
fn names_of(path: &Path) -> Vec<OsString> {
    let names = path
        .components()
        .rev()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        });
    names.collect()
}

/// Finds where the log at `path` is: its folder, and its name in that folder. With `follow_links`,
/// resolves a log that is a symbolic link.
///
/// # Errors
///
/// Those of open(2); `ELOOP` if the log is a link and may not be one.
pub(crate) fn place_of(
    path: &Path,
    follow_links: bool,
    is_shared: bool,
) -> io::Result<(Folder, OsString)> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..LINKS_MAX {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let folder = Folder::open(parent, is_shared)?;
        if !folder.stat(name).is_ok_and(|stat| is_link(&stat)) {
            return Ok((folder, name.to_owned()));
        }
        if !follow_links {
            break;
        }
        path = folder.path().join(folder.link(name)?);
    }
    Err(Errno::LOOP.into())
}

/// Converts a name for a child of fork(2), which may not allocate.
pub(super) fn c_name(name: &OsStr) -> io::Result<CString> {
    Ok(CString::new(name.as_bytes())?)
}
