//! Open files: which of them are appended to, which are one and the same, and how a request is
//! written to one.

use std::ffi::{c_int, c_long};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU8, Ordering};

use crate::quiet::last_errno;

/// How requests are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file: many requests a write, which waits for the disk at most.
    Regular,
    /// `/dev/null`, `/dev/zero`, `/dev/full`: the same, and a write never waits.
    Memory,
    /// A FIFO: as many requests a write as stay together (`PIPE_BUF`).
    Pipe,
    /// A socket for streams: many requests a write.
    Stream,
    /// One write a request: a socket for messages, a pipe of packets, a device.
    Single,
}

impl Kind {
    /// Whether a thread that waits may do the writing itself: no write waits for another process.
    pub fn is_quick(self) -> bool {
        matches!(self, Self::Regular | Self::Memory)
    }

    /// How many bytes of several requests may be one write.
    pub fn batch_bytes(self) -> usize {
        match self {
            Self::Regular | Self::Memory | Self::Stream => 1 << 20,
            Self::Pipe => libc::PIPE_BUF,
            Self::Single => 0,
        }
    }
}

/// An open file that requests are outstanding for, by a descriptor that only this library knows.
pub struct OpenFile {
    descriptor: OwnedFd,
    /// The number that it was first known by: a hint.
    pub number: RawFd,
    pub kind: Kind,
}

/// Why a request is not for this library.
pub enum NotHere {
    /// Another implementation takes it: it is no append, or the descriptor is no good.
    Next,
    /// `EAGAIN`: the process may have no more descriptors.
    Again,
}

impl OpenFile {
    /// The open file of a descriptor, if a write to it is an append: it is in append mode, or
    /// cannot seek.
    pub fn new(number: RawFd) -> Result<Self, NotHere> {
        // SAFETY: it takes no pointer.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
        let readable_only = flags & libc::O_ACCMODE == libc::O_RDONLY;
        if flags < 0 || flags & libc::O_PATH != 0 || readable_only {
            return Err(NotHere::Next);
        }
        let appends = flags & libc::O_APPEND != 0;
        if !appends && !stat(number).is_some_and(|stat| cannot_seek(number, &stat)) {
            return Err(NotHere::Next);
        }
        // SAFETY: it takes no pointer.
        let descriptor = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
        if descriptor < 0 {
            let is_bad = last_errno() == libc::EBADF;
            return Err(if is_bad {
                NotHere::Next
            } else {
                NotHere::Again
            });
        }
        // SAFETY: it is new, and nothing else has it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let stat = stat(descriptor.as_raw_fd()).ok_or(NotHere::Next)?;
        let kind = kind(descriptor.as_raw_fd(), flags, &stat).ok_or(NotHere::Next)?;
        Ok(Self {
            descriptor,
            number,
            kind,
        })
    }

    pub fn raw(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }

    /// Whether another descriptor is of the same open file.
    pub fn is(&self, number: RawFd) -> bool {
        is_same(number, self.raw())
    }
}

fn stat(fd: RawFd) -> Option<libc::stat> {
    let mut stat = MaybeUninit::uninit();
    // SAFETY: it fills the value in if it returns 0.
    let result = unsafe { libc::fstat(fd, stat.as_mut_ptr()) };
    // SAFETY: as above.
    (result == 0).then(|| unsafe { stat.assume_init() })
}

fn cannot_seek(fd: RawFd, stat: &libc::stat) -> bool {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFIFO | libc::S_IFSOCK => true,
        libc::S_IFCHR => {
            // SAFETY: it takes no pointer.
            let at = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
            at < 0
        }
        _ => false,
    }
}

fn kind(fd: RawFd, flags: c_int, stat: &libc::stat) -> Option<Kind> {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => Some(Kind::Regular),
        libc::S_IFIFO if flags & libc::O_DIRECT != 0 => Some(Kind::Single),
        libc::S_IFIFO => Some(Kind::Pipe),
        libc::S_IFSOCK if socket_type(fd) == libc::SOCK_STREAM => Some(Kind::Stream),
        libc::S_IFSOCK => Some(Kind::Single),
        libc::S_IFCHR => Some(
            match (libc::major(stat.st_rdev), libc::minor(stat.st_rdev)) {
                (1, 3 | 5 | 7) => Kind::Memory,
                _ => Kind::Single,
            },
        ),
        _ => None,
    }
}

fn socket_type(fd: RawFd) -> c_int {
    let mut found: c_int = 0;
    let mut len = size_of::<c_int>() as libc::socklen_t;
    let (level, name) = (libc::SOL_SOCKET, libc::SO_TYPE);
    // SAFETY: the pointers are to a live number and its size.
    unsafe { libc::getsockopt(fd, level, name, (&raw mut found).cast(), &raw mut len) };
    found
}

/// `fcntl(2)` of Linux 6.10 and later, which not every libc names.
const F_DUPFD_QUERY: c_int = 1024 + 3;
const KCMP_FILE: c_long = 0;

/// The first way to compare that this kernel has: 0 `F_DUPFD_QUERY`, 1 `kcmp(2)`, 2 `fstat(2)`.
static WAY: AtomicU8 = AtomicU8::new(0);

/// Whether two descriptors are of one open file. If the kernel cannot say so, whether writes to
/// them go to the same place.
fn is_same(one: RawFd, other: RawFd) -> bool {
    let way = WAY.load(Ordering::Relaxed); // Relaxed: another thread finds out the same
    if way == 0 {
        // SAFETY: it takes no pointer.
        match unsafe { libc::fcntl(one, F_DUPFD_QUERY, other) } {
            -1 if last_errno() == libc::EBADF => return false,
            -1 => WAY.store(1, Ordering::Relaxed), // Relaxed: as above
            same => return same == 1,
        }
    }
    if way <= 1 {
        let pid = c_long::from(std::process::id());
        let (first, second) = (c_long::from(one), c_long::from(other));
        // SAFETY: it takes no pointer.
        match unsafe { libc::syscall(libc::SYS_kcmp, pid, pid, KCMP_FILE, first, second) } {
            -1 if last_errno() == libc::EBADF => return false,
            -1 => WAY.store(2, Ordering::Relaxed), // Relaxed: as above
            order => return order == 0,
        }
    }
    is_same_place(one, other)
}

/// Two open files of one regular file, FIFO or socket with the same flags: an append to one is an
/// append to the other. (Two of one device, as `/dev/ptmx`, may lead to different places.)
fn is_same_place(one: RawFd, other: RawFd) -> bool {
    let (Some(a), Some(b)) = (stat(one), stat(other)) else {
        return false;
    };
    let is_place = matches!(
        a.st_mode & libc::S_IFMT,
        libc::S_IFREG | libc::S_IFIFO | libc::S_IFSOCK
    );
    // SAFETY: it takes no pointer.
    let flags = |fd| unsafe { libc::fcntl(fd, libc::F_GETFL) };
    is_place && (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino) && flags(one) == flags(other)
}
