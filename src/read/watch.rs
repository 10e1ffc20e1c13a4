//! The events that can change what a reader at the end of a log finds.
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

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::primitives::os::Events;
pub(super) use crate::primitives::os::watch::Came;
use crate::primitives::os::watch::What;

/// How many symbolic links one path may contain. Source: `path_resolution(7)`.
const LINKS_MAX: u32 = 40;

#[derive(Debug)]
pub(super) struct Watch(Events);

impl Watch {
    pub fn new() -> io::Result<Self> {
        Ok(Self(Events::new()?))
    }

    /// Watches these files and the path of the log from now on, and nothing else.
    pub fn set<'fd>(
        &mut self,
        path: &Path,
        files: impl Iterator<Item = BorrowedFd<'fd>>,
    ) -> io::Result<()> {
        self.0.begin();
        for file in files {
            self.0.add_file(file)?;
        }
        self.add_path(path)?;
        self.0.end();
        Ok(())
    }

    /// Watches everything on the way to `path`.
    fn add_path(&mut self, path: &Path) -> io::Result<()> {
        let mut place = PathBuf::from("/");
        let mut rest = names_of(path);
        let mut links = 0;
        while let Some(name) = rest.pop() {
            // Watched for new names until the next name is there: it could appear in between.
            self.add_if_there(&place, What::NewNames)?;
            let next = if name == ".." {
                place.parent().unwrap_or(&place).to_owned()
            } else {
                place.join(&name)
            };
            let Ok(found) = fs::symlink_metadata(&next) else {
                return Ok(());
            };
            self.add_if_there(&place, What::Folder)?;
            if found.is_symlink() {
                links += 1;
                self.add_if_there(&next, What::Link)?;
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

    fn add_if_there(&mut self, path: &Path, what: What) -> io::Result<()> {
        match self.0.add(path, what) {
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

    /// Takes the events that have come. Does not block.
    pub fn take(&self) -> io::Result<Came> {
        self.0.take()
    }

    /// Waits until an event comes.
    pub fn wait(&self) -> io::Result<()> {
        loop {
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
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
