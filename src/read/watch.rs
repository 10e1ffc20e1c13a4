//! The events that can change what a reader at the end of a log finds, by inotify(7).
//!
//! | watched | for | why |
//! |---|---|---|
//! | the current file | writes, truncation, renames, links | more records; a rotation |
//! | the new, still empty log | the same | its first bytes |
//! | each folder and link on the path | renames, deletion | another folder comes into its place |
//! | the last folder that exists, if the log is missing | new names in it | the log appears |
//!
//! An event only says that it is time to look; what is so, the reader finds by itself. So it does
//! not matter which events the kernel merges. While nothing happens, no event comes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

/// How many symbolic links one path may contain. Source: `path_resolution(7)`.
const LINKS_MAX: u32 = 40;

const OF_FILE: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::DELETE_SELF);

const OF_FOLDER: WatchFlags = WatchFlags::MOVE_SELF.union(WatchFlags::DELETE_SELF);

const OF_LINK: WatchFlags = WatchFlags::MOVE_SELF
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DONT_FOLLOW);

const OF_NEW_NAMES: WatchFlags = OF_FOLDER
    .union(WatchFlags::CREATE)
    .union(WatchFlags::MOVED_TO);

#[derive(Debug)]
pub(super) struct Watch {
    inotify: OwnedFd,
    watches: BTreeSet<i32>,
}

/// What came since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Came {
    pub any: bool,
    /// Something else than new bytes: the watches may have to change.
    pub is_structural: bool,
}

impl Watch {
    pub fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self {
            inotify,
            watches: BTreeSet::new(),
        })
    }

    /// Watches these files and the path of the log from now on, and nothing else.
    pub fn set<'fd>(
        &mut self,
        path: &Path,
        files: impl Iterator<Item = BorrowedFd<'fd>>,
    ) -> io::Result<()> {
        let before = std::mem::take(&mut self.watches);
        for file in files {
            let own = format!("/proc/self/fd/{}", file.as_raw_fd());
            self.add(Path::new(&own), OF_FILE)?;
        }
        self.add_path(path)?;
        for gone in before.difference(&self.watches) {
            // The kernel has removed it if its file is gone.
            let _ = inotify::remove_watch(&self.inotify, *gone);
        }
        Ok(())
    }

    /// Watches everything on the way to `path`.
    fn add_path(&mut self, path: &Path) -> io::Result<()> {
        let mut place = PathBuf::from("/");
        let mut rest = names_of(path);
        let mut links = 0;
        while let Some(name) = rest.pop() {
            // Watched for new names until the next name is there: it could appear in between.
            self.add_if_there(&place, OF_NEW_NAMES)?;
            let next = if name == ".." {
                place.parent().unwrap_or(&place).to_owned()
            } else {
                place.join(&name)
            };
            let Ok(found) = fs::symlink_metadata(&next) else {
                return Ok(());
            };
            self.add_if_there(&place, OF_FOLDER)?;
            if found.is_symlink() {
                links += 1;
                self.add_if_there(&next, OF_LINK)?;
                let Some(to) = fs::read_link(&next).ok().filter(|_| links <= LINKS_MAX) else {
                    return Ok(());
                };
                if to.is_absolute() {
                    place = PathBuf::from("/");
                }
                rest.extend(names_of(&to));
            } else {
                place = next;
            }
        }
        Ok(())
    }

    fn add_if_there(&mut self, path: &Path, what: WatchFlags) -> io::Result<()> {
        match self.add(path, what) {
            // It has just gone, and a folder above it has an event. Or it may be used, not read.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ENOENT | libc::ENOTDIR | libc::EACCES)
                ) =>
            {
                Ok(())
            }
            added => added,
        }
    }

    fn add(&mut self, path: &Path, what: WatchFlags) -> io::Result<()> {
        let added = inotify::add_watch(&self.inotify, path, what)?;
        self.watches.insert(added);
        Ok(())
    }

    /// Takes the events that have come. Does not block.
    pub fn take(&self) -> io::Result<Came> {
        let mut came = Came::default();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            match events.next() {
                Ok(event) => {
                    came.any = true;
                    came.is_structural |= event.events() != ReadFlags::MODIFY;
                }
                Err(Errno::AGAIN) => return Ok(came),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until an event comes.
    pub fn wait(&self) -> io::Result<()> {
        loop {
            match poll(&mut [PollFd::new(&self.inotify, PollFlags::IN)], None) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// The names of a path, the last one first.
fn names_of(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    names.collect()
}
