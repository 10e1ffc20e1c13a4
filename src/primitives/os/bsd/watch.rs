//! Changes of files and folders, by kqueue(2): the same interface as on Linux.
//!
//! # Safety
//!
//! Each descriptor that the kernel watches is owned by the value that owns the kqueue, and lives in
//! its map for as long as it is watched; to close it ends the watch.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr;
use std::time::Duration;

use rustix::event::kqueue::{Event, EventFilter, EventFlags, VnodeEvents, kevent, kqueue};
use rustix::io::{Errno, FdFlags, fcntl_setfd};

use crate::primitives::os::call::file_id;
use crate::primitives::os::watch::{Came, What};

/// The watches of one reader. The descriptor becomes readable when an event has come. A child of
/// fork(2) does not inherit it.
#[derive(Debug)]
pub struct Events {
    watches: Watches,
    before: Watches,
    kqueue: OwnedFd,
}

/// The open files, by device and inode.
type Watches = BTreeMap<(u64, u64), OwnedFd>;

impl Events {
    pub fn new() -> io::Result<Self> {
        let kqueue = kqueue()?;
        fcntl_setfd(&kqueue, FdFlags::CLOEXEC)?;
        Ok(Self {
            watches: Watches::new(),
            before: Watches::new(),
            kqueue,
        })
    }

    /// Begins a new set: what is not added again until [`end`](Self::end) is not watched any more.
    pub fn begin(&mut self) {
        self.before.append(&mut self.watches);
    }

    /// Ends the new set.
    pub fn end(&mut self) {
        self.before.clear();
    }

    /// Watches an open file.
    pub fn add_file(&mut self, file: BorrowedFd<'_>) -> io::Result<()> {
        self.add_fd(file.try_clone_to_owned()?, What::File)
    }

    /// Watches what is at `path`.
    pub fn add(&mut self, path: &Path, what: What) -> io::Result<()> {
        let path = match what {
            What::Link => path.parent().unwrap_or(path),
            _ => path,
        };
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        self.add_fd(options.open(path)?.into(), what)
    }

    fn add_fd(&mut self, fd: OwnedFd, what: What) -> io::Result<()> {
        let id = file_id(fd.as_fd())?;
        let fd = self.before.remove(&id).unwrap_or(fd);
        // The later call for the same file says what is watched, as on Linux.
        let fd = self.watches.entry(id).or_insert(fd);
        let is_folder = what != What::File;
        let event = Event::new(
            EventFilter::Vnode {
                vnode: fd.as_raw_fd(),
                flags: events_of(what),
            },
            EventFlags::ADD | EventFlags::CLEAR,
            ptr::without_provenance_mut(usize::from(is_folder)),
        );
        let none: &mut [Event] = &mut [];
        // SAFETY: the map owns the descriptor as long as it is watched.
        unsafe { kevent(&self.kqueue, &[event], none, Some(Duration::ZERO)) }?;
        Ok(())
    }

    /// Takes the events that have come. Does not block.
    pub fn take(&self) -> io::Result<Came> {
        let mut came = Came::default();
        loop {
            let mut room = [const { MaybeUninit::<Event>::uninit() }; 64];
            // SAFETY: no descriptor is added.
            let events = unsafe { kevent(&self.kqueue, &[], &mut room, Some(Duration::ZERO)) };
            let events = match events {
                Ok((events, _)) => events,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if events.is_empty() {
                return Ok(came);
            }
            came.any = true;
            let new_bytes = VnodeEvents::WRITE | VnodeEvents::EXTEND;
            came.is_structural |= events.iter().any(|event| {
                let is_folder = event.udata().addr() != 0;
                let EventFilter::Vnode { flags, .. } = event.filter() else {
                    return true;
                };
                is_folder || !new_bytes.contains(flags)
            });
        }
    }
}

fn events_of(what: What) -> VnodeEvents {
    let of_folder = VnodeEvents::DELETE | VnodeEvents::RENAME | VnodeEvents::REVOKE;
    match what {
        What::File => {
            of_folder | VnodeEvents::WRITE | VnodeEvents::EXTEND | VnodeEvents::ATTRIBUTES
        }
        What::Folder => of_folder,
        What::NewNames | What::Link => of_folder | VnodeEvents::WRITE,
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kqueue.as_fd()
    }
}
