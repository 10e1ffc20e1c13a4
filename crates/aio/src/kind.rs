//! Open files: whether a write to one is an append, whether two descriptors share one, and how
//! requests are written to it.

use std::ffi::{c_int, c_long};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU8, Ordering};

use crate::quiet::last_errno;

/// How requests are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file: many requests in one write, which waits at most for the disk.
    Regular,
    /// `/dev/null`, `/dev/zero`, `/dev/full`: many requests in one write, which never waits.
    Memory,
    /// A FIFO: as many requests in one write as the kernel keeps together (`PIPE_BUF`).
    Pipe,
    /// A stream socket: many requests in one write.
    Stream,
    /// A message socket, a packet pipe, or a device: one write for each request.
    Single,
}

impl Kind {
    /// Whether a waiting thread may do the writes itself: no write waits for another process.
    pub fn is_quick(self) -> bool {
        matches!(self, Self::Regular | Self::Memory)
    }

    /// The most bytes of several requests in one write.
    pub fn batch_bytes(self) -> usize {
        match self {
            Self::Regular | Self::Memory | Self::Stream => 1 << 20,
            Self::Pipe => libc::PIPE_BUF,
            Self::Single => 0,
        }
    }
}

/// An open file with outstanding requests. The library holds a duplicate of the program's
/// descriptor.
pub struct OpenFile {
    descriptor: OwnedFd,
    /// The program's descriptor when the file was first used: a hint.
    pub number: RawFd,
    pub kind: Kind,
}

/// Why a request is not for this library.
pub enum NotHere {
    /// Another implementation takes it: the write is not an append, or the descriptor is invalid.
    Next,
    /// `EAGAIN`: no descriptor is left for the duplicate.
    Again,
}

impl OpenFile {
    /// Duplicates a descriptor if a write to it is an append: it is in append mode, or cannot seek.
    pub fn new(number: RawFd) -> Result<Self, NotHere> {
        // SAFETY: the call takes no pointer.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
        let readable_only = flags & libc::O_ACCMODE == libc::O_RDONLY;
        if flags < 0 || flags & libc::O_PATH != 0 || readable_only {
            return Err(NotHere::Next);
        }
        let appends = flags & libc::O_APPEND != 0;
        if !appends && !stat(number).is_some_and(|stat| cannot_seek(number, &stat)) {
            return Err(NotHere::Next);
        }
        // SAFETY: the call takes no pointer.
        let descriptor = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
        if descriptor < 0 {
            let is_bad = last_errno() == libc::EBADF;
            return Err(if is_bad {
                NotHere::Next
            } else {
                NotHere::Again
            });
        }
        // SAFETY: the descriptor is new and has no other owner.
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

    /// Whether another descriptor refers to the same open file.
    pub fn is(&self, number: RawFd) -> bool {
        is_same(number, self.raw())
    }
}

fn stat(fd: RawFd) -> Option<libc::stat> {
    let mut stat = MaybeUninit::uninit();
    // SAFETY: the call initialises the value if it returns 0.
    let result = unsafe { libc::fstat(fd, stat.as_mut_ptr()) };
    // SAFETY: as above.
    (result == 0).then(|| unsafe { stat.assume_init() })
}

fn cannot_seek(fd: RawFd, stat: &libc::stat) -> bool {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFIFO | libc::S_IFSOCK => true,
        libc::S_IFCHR => {
            // SAFETY: the call takes no pointer.
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
    // SAFETY: the pointers are to a live number and to its size.
    unsafe { libc::getsockopt(fd, level, name, (&raw mut found).cast(), &raw mut len) };
    found
}

/// A command of fcntl(2) since Linux 6.10, which some versions of libc do not define.
const F_DUPFD_QUERY: c_int = 1024 + 3;
const KCMP_FILE: c_long = 0;

/// The way to compare that works on this kernel: 0 `F_DUPFD_QUERY`, 1 `kcmp(2)`, 2 `fstat(2)`.
static WAY: AtomicU8 = AtomicU8::new(0);

/// Whether two descriptors refer to one open file. If the kernel cannot tell, whether writes to
/// them go to the same place.
fn is_same(one: RawFd, other: RawFd) -> bool {
    let way = WAY.load(Ordering::Relaxed); // Relaxed: every thread finds the same way
    if way == 0 {
        // SAFETY: the call takes no pointer.
        match unsafe { libc::fcntl(one, F_DUPFD_QUERY, other) } {
            -1 if last_errno() == libc::EBADF => return false,
            -1 => WAY.store(1, Ordering::Relaxed), // Relaxed: as above
            same => return same == 1,
        }
    }
    if way <= 1 {
        let pid = c_long::from(std::process::id());
        let (first, second) = (c_long::from(one), c_long::from(other));
        // SAFETY: the call takes no pointer.
        match unsafe { libc::syscall(libc::SYS_kcmp, pid, pid, KCMP_FILE, first, second) } {
            -1 if last_errno() == libc::EBADF => return false,
            -1 => WAY.store(2, Ordering::Relaxed), // Relaxed: as above
            order => return order == 0,
        }
    }
    is_same_place(one, other)
}

/// Whether two open files are of one regular file, FIFO or socket and have the same flags. An
/// append to one is then an append to the other. (Two open files of one device may lead to
/// different places, as with `/dev/ptmx`.)
fn is_same_place(one: RawFd, other: RawFd) -> bool {
    let (Some(a), Some(b)) = (stat(one), stat(other)) else {
        return false;
    };
    let is_place = matches!(
        a.st_mode & libc::S_IFMT,
        libc::S_IFREG | libc::S_IFIFO | libc::S_IFSOCK
    );
    // SAFETY: the call takes no pointer.
    let flags = |fd| unsafe { libc::fcntl(fd, libc::F_GETFL) };
    is_place && (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino) && flags(one) == flags(other)
}
