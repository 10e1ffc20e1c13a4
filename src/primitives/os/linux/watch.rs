//! Changes of files and folders, by inotify(7).

use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::file::in_proc;
use crate::primitives::os::watch::{Came, What};

/// The watches of one reader. The descriptor becomes readable when an event has come.
#[derive(Debug)]
pub struct Events {
    inotify: OwnedFd,
    watches: BTreeSet<i32>,
    before: BTreeSet<i32>,
}

impl Events {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            inotify: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            watches: BTreeSet::new(),
            before: BTreeSet::new(),
        })
    }

    /// Begins a new set: what is not added again until [`end`](Self::end) is not watched any more.
    pub fn begin(&mut self) {
        self.before.append(&mut self.watches);
    }

    /// Ends the new set.
    pub fn end(&mut self) {
        for gone in std::mem::take(&mut self.before).difference(&self.watches) {
            // The kernel has removed it if its file is gone.
            let _ = inotify::remove_watch(&self.inotify, *gone);
        }
    }

    /// Watches an open file.
    pub fn add_file(&mut self, file: BorrowedFd<'_>) -> io::Result<()> {
        self.add(&in_proc(file), What::File)
    }

    /// Watches what is at `path`.
    pub fn add(&mut self, path: &Path, what: What) -> io::Result<()> {
        let added = inotify::add_watch(&self.inotify, path, flags_of(what))?;
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
}

fn flags_of(what: What) -> WatchFlags {
    let of_folder = WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
    match what {
        What::File => of_folder | WatchFlags::MODIFY | WatchFlags::ATTRIB,
        What::Folder => of_folder,
        What::NewNames => of_folder | WatchFlags::CREATE | WatchFlags::MOVED_TO,
        What::Link => of_folder | WatchFlags::ATTRIB | WatchFlags::DONT_FOLLOW,
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
