//! System calls on files that other processes may have open too: locks, modes, names, sizes, syncs.
//!
//! # Safety
//!
//! As in call.rs: every block is one call into libc, and argues about its pointers.
#![allow(unsafe_code)]

#[cfg(feature = "rotate")]
use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
#[cfg(feature = "rotate")]
use std::time::Duration;

#[cfg(feature = "rotate")]
use rustix::fs::Stat;

use super::call::{check, view};

use super::platform;
#[cfg(feature = "rotate")]
use super::platform::file::large::{fstat, fstatat, openat, stat};

#[cfg(feature = "rotate")]
pub use super::call::Step;
pub use super::call::file_id;
pub use super::platform::file::{created, disk_of, holder_of, is_locked, path_of, reader_of};
#[cfg(feature = "rotate")]
pub use super::platform::file::{exchange, rename_new, step};
pub use super::platform::file::{is_kernel_log, is_packet_pipe};

/// Tries to take the lock on the file of `fd`. Returns `false` if another descriptor has it. The
/// lock lasts as long as this descriptor or a copy of it is open. Source: flock(2).
pub fn try_lock(fd: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: flock takes no pointer; the descriptor is open.
    match check(unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(_) => {
            platform::file::show_lock(fd);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Releases the lock, also if a copy of the descriptor is open.
pub fn unlock(fd: BorrowedFd<'_>) -> io::Result<()> {
    platform::file::hide_lock(fd);
    // SAFETY: as in `try_lock`.
    check(unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_UN) }).map(drop)
}

/// Returns the device and the inode.
#[cfg(feature = "rotate")]
pub fn id_of(stat: &Stat) -> (u64, u64) {
    #[allow(
        clippy::cast_sign_loss,
        clippy::unnecessary_cast,
        reason = "as in the standard library; the types differ between platforms"
    )]
    let device = stat.st_dev as u64;
    (device, stat.st_ino)
}

/// Returns the process that has the lock on `file`, if the system shows it.
#[cfg(feature = "rotate")]
pub fn lock_holder(file: &File) -> Option<u32> {
    holder_of(file, None)
}

/// Opens an existing file for reading, and also for `writing` if asked. Does not follow a link and
/// does not wait for a FIFO.
pub fn open_existing(path: &Path, writing: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(writing);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(path)
}

/// Creates a file of mode 0600. Fails with `AlreadyExists` if the name is in use.
pub fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path)
}

/// Gives `file` the length `len`, with zeros from byte `from` on, and allocates the disk space for
/// them, so that a full disk does not kill a process that maps it later. The earlier content there
/// is lost at once.
///
/// # Errors
///
/// The errors of write(2), and `EFBIG` if the process may not create files of that size: growing
/// the file would raise SIGXFSZ.
pub fn make_zeros(file: &File, from: u64, len: u64) -> io::Result<()> {
    check_file_limit(len)?;
    file.set_len(from)?;
    let zeros = vec![0; (1 << 20).min((len - from) as usize)];
    let mut written = from;
    while written < len {
        let part = zeros.len().min((len - written) as usize);
        file.write_all_at(&zeros[..part], written)?;
        written += part as u64;
    }
    Ok(())
}

/// Creates an unnamed file of `len` bytes in memory, which is closed on exec.
///
/// # Errors
///
/// `EFBIG` if the process may not create files of that size: growing the file would raise SIGXFSZ.
pub fn memory_file(len: u64) -> io::Result<File> {
    check_file_limit(len)?;
    let file = platform::file::memory_file()?;
    file.set_len(len)?;
    Ok(file)
}

/// Checks that this process may create a file of `len` bytes; fails with `EFBIG` if not.
fn check_file_limit(len: u64) -> io::Result<()> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the pointer leads to room for one `rlimit`, which the call fills if it succeeds.
    check(unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, limit.as_mut_ptr()) })?;
    // SAFETY: getrlimit succeeded.
    let most = unsafe { limit.assume_init() }.rlim_cur;
    let has_limit = most != libc::RLIM_INFINITY;
    #[allow(
        clippy::useless_conversion,
        reason = "the type differs between platforms"
    )]
    let most = u64::try_from(most).unwrap_or(u64::MAX); // negative: no limit
    if has_limit && most < len {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    Ok(())
}

/// Makes the number of `onto` refer to the file of `fd`, in one step where the system can do that.
#[cfg(feature = "rotate")]
pub fn duplicate_onto(fd: BorrowedFd<'_>, onto: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        match platform::file::duplicate_onto(fd, onto) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY)) => {}
            done => return done,
        }
    }
}

/// How often `open_to_append` looks for the log. During a rotation it may find a file that is the
/// log no more, or no log at all if the file system cannot swap two names. The first tries follow
/// each other at once, each later one after a pause: 0.1 s in all.
#[cfg(feature = "rotate")]
const OPEN_TRIES: u32 = 120;
#[cfg(feature = "rotate")]
const OPEN_TRIES_AT_ONCE: u32 = 20;
#[cfg(feature = "rotate")]
const OPEN_PAUSE: Duration = Duration::from_millis(1);

/// Opens the log called `name` in `folder` and takes a shared lock on it, against processes that
/// pack rotated files. It checks under the lock that the file is still the log. So either its
/// writer or the packer comes first. Returns `None` if the log cannot be opened or locked while
/// `inherited` still has a name.
///
/// Allocates nothing and takes no lock of this process, so a child of fork(2) may call it. Source:
/// flock(2).
///
/// # Errors
///
/// The errors of open(2), if bytes appended to `inherited` would be lost.
#[cfg(feature = "rotate")]
pub fn open_to_append(
    folder: BorrowedFd<'_>,
    name: &CStr,
    inherited: BorrowedFd<'_>,
) -> io::Result<Option<OwnedFd>> {
    let mut last = io::ErrorKind::WouldBlock.into();
    for number in 0..OPEN_TRIES {
        if number > OPEN_TRIES_AT_ONCE {
            std::thread::sleep(OPEN_PAUSE);
        }
        let file = match open_log_at(folder, name) {
            Ok(file) => file,
            Err(error) => {
                let is_missing = error.kind() == io::ErrorKind::NotFound;
                last = error;
                if is_missing {
                    continue;
                }
                break;
            }
        };
        // SAFETY: flock takes no pointer; the descriptor is open.
        let locked = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_SH | libc::LOCK_NB) };
        match check(locked) {
            // The packer has the lock, so this file is not the log any more.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            _ => {} // or this file system has no such locks
        }
        let there = stat_at(folder, name);
        let here = stat_of(file.as_fd())?;
        if there.is_ok_and(|there| (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)) {
            return Ok(Some(file));
        }
    }
    if view(inherited).metadata()?.nlink() > 0 {
        return Ok(None);
    }
    Err(last)
}

/// Opens a regular file for appending.
#[cfg(feature = "rotate")]
fn open_log_at(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CLOEXEC;
    let flags = flags | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    // SAFETY: the name is NUL-terminated and lives over the call. The call creates no file, so it
    // needs no mode.
    let fd = check(unsafe { openat(folder.as_raw_fd(), name.as_ptr(), flags) })?;
    // SAFETY: openat has just created it, and no other code has its number.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    if !is_regular(file.as_fd()) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok(file)
}

#[cfg(feature = "rotate")]
fn stat_at(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<stat> {
    let mut stat = MaybeUninit::<stat>::uninit();
    let (folder, flags) = (folder.as_raw_fd(), libc::AT_SYMLINK_NOFOLLOW);
    // SAFETY: the name is NUL-terminated and lives over the call, and the pointer leads to room for
    // one `stat`.
    check(unsafe { fstatat(folder, name.as_ptr(), stat.as_mut_ptr(), flags) })?;
    // SAFETY: fstatat succeeded.
    Ok(unsafe { stat.assume_init() })
}

#[cfg(feature = "rotate")]
fn stat_of(fd: BorrowedFd<'_>) -> io::Result<stat> {
    let mut stat = MaybeUninit::<stat>::uninit();
    // SAFETY: the descriptor is open, and the pointer leads to room for one `stat`.
    check(unsafe { fstat(fd.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: fstat succeeded.
    Ok(unsafe { stat.assume_init() })
}

/// Makes the names in a folder durable, if its file system can do that. Source: fsync(2).
pub fn sync_folder(folder: BorrowedFd<'_>) -> io::Result<()> {
    view(folder).sync_all().or_else(unless_unsupported)
}

/// Turns the error of a file system that cannot sync folders (some of CIFS and FUSE) into success.
/// Source: fsync(2), `EINVAL` and `EROFS`.
pub fn unless_unsupported(error: io::Error) -> io::Result<()> {
    // On some platforms two of these are one.
    let unsupported = [
        libc::EINVAL,
        libc::EOPNOTSUPP,
        libc::ENOTSUP,
        libc::ENOSYS,
        libc::EROFS,
    ];
    match error.raw_os_error() {
        Some(errno) if unsupported.contains(&errno) => Ok(()),
        _ => Err(error),
    }
}

/// Makes the name of `file` durable, which is in the folder at `path`. If the folder may not be
/// read, it cannot be opened for a sync; then the whole file system is synced instead, where the
/// system can do that. Source: fsync(2).
pub fn sync_name(file: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(folder) => sync_folder(folder.as_fd()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            platform::file::sync_file_system(file)
        }
        Err(error) => Err(error),
    }
}

/// Returns whether writes to `fd` go to the end of the file. Source: fcntl(2), `F_GETFL`.
pub fn is_appending(fd: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: F_GETFL takes no pointer; the descriptor is borrowed, so it is open.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    Ok(flags & libc::O_APPEND != 0)
}

/// Returns whether each write to the socket `fd` is a message of its own. Source: socket(7),
/// `SO_TYPE`.
///
/// # Errors
///
/// `ENOTSOCK`.
pub fn is_message_socket(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut kind: libc::c_int = 0;
    let mut len = size_of_val(&kind) as libc::socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_TYPE);
    let place = (&raw mut kind).cast();
    // SAFETY: the descriptor is open. The pointers lead to an integer and to its size, which live
    // over the call.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, place, &raw mut len) })?;
    Ok(kind != libc::SOCK_STREAM)
}

/// Makes writes to `fd` fail with `WouldBlock` instead of waiting. This affects every descriptor of
/// the same open(2). Source: fcntl(2).
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: F_GETFL takes no pointer; the descriptor is borrowed, so it is open.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    let flags = flags | libc::O_NONBLOCK;
    // SAFETY: F_SETFL takes no pointer; the descriptor is open, as above.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) })?;
    Ok(())
}

/// Closes a descriptor that was kept as a number. A child of fork(3) may call it.
///
/// # Safety
///
/// The caller must own the descriptor and may not use it afterwards.
pub unsafe fn close(fd: RawFd) {
    // SAFETY: the caller owns it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

/// Returns the effective user of this process.
pub fn effective_user() -> u32 {
    // SAFETY: the call has no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

/// Opens a file for appending that nobody else shall read, and creates it if needed. Source:
/// open(2).
///
/// # Errors
///
/// `EPERM` for a file of another user, or with a second name, or that is not regular;
/// `ELOOP` for a symbolic link; the errors of open(2).
pub fn open_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create(true).mode(0o600);
    // Without O_NONBLOCK, the open of a FIFO would wait for its reader.
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK);
    let file = options.open(path)?;
    let found = file.metadata()?;
    if found.is_file() && found.uid() == effective_user() && found.nlink() == 1 {
        return Ok(file);
    }
    Err(io::Error::from_raw_os_error(libc::EPERM))
}

/// Returns whether `fd` is a regular file.
#[cfg(any(feature = "frames", feature = "rotate"))]
pub fn is_regular(fd: BorrowedFd<'_>) -> bool {
    regular_len(fd).is_ok_and(|len| len.is_some())
}

/// Returns whether a write to `fd` never waits for a reader: to a regular file, or to the log of the
/// kernel.
pub fn never_waits(fd: BorrowedFd<'_>) -> bool {
    let metadata = view(fd).metadata();
    metadata.is_ok_and(|found| {
        found.is_file() || (found.file_type().is_char_device() && is_kernel_log(found.rdev()))
    })
}

/// Returns the length of `fd`, if it is a regular file. Source: fstat(2).
pub fn regular_len(fd: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    let metadata = view(fd).metadata()?;
    Ok(metadata.is_file().then_some(metadata.len()))
}

/// Returns whether `fd` is a regular file without a byte.
pub fn is_empty(fd: BorrowedFd<'_>) -> bool {
    regular_len(fd).is_ok_and(|len| len == Some(0))
}
