//! Calls on files that only Linux has: writes that never wait, locks that others can see, memory
//! files, and names that change in one step.
//!
//! # Safety
//!
//! As in call.rs: every block is one call into libc, and argues about its pointers.
#![allow(unsafe_code)]

#[cfg(feature = "rotate")]
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
#[cfg(feature = "rotate")]
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

#[cfg(feature = "rotate")]
use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};

#[cfg(feature = "rotate")]
use crate::primitives::os::call::Step;
use crate::primitives::os::call::{check, count_of};
#[cfg(feature = "rotate")]
pub use crate::primitives::os::names::{exchange, rename_new};

/// The calls that know files of more than 2 GiB also where a pointer has 32 bits.
#[cfg(feature = "rotate")]
pub mod large {
    pub use libc::{fstat64 as fstat, fstatat64 as fstatat, openat64 as openat, stat64 as stat};
}

/// The flag of a descriptor that only names a file.
pub const ONLY_NAMES: libc::c_int = libc::O_PATH;

/// Executes one write of `runs` that never waits: it fails with `WouldBlock` instead, in whichever
/// mode the descriptor is. Source: pwritev2(2), `RWF_NOWAIT`.
///
/// It is called by its number, because musl has no function for it before version 1.2.5.
///
/// # Errors
///
/// Those of pwritev2(2): several mean that the system, or this kind of file, cannot do that.
pub fn write_nowait(fd: BorrowedFd<'_>, runs: &[IoSlice<'_>]) -> io::Result<usize> {
    /// The offset that means the file's current offset, in two halves.
    const AT_ITS_OFFSET: [libc::c_long; 2] = [-1, -1];
    let count = libc::c_long::from(count_of(runs));
    let [low, high] = AT_ITS_OFFSET;
    // SAFETY: `IoSlice` has the layout of `iovec`. The slice of `count` of them lives over the call
    // and is only read. The last argument lies on the stack, so it must be a whole long.
    let taken = unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            fd.as_raw_fd(),
            runs.as_ptr(),
            count,
            low,
            high,
            libc::c_long::from(libc::RWF_NOWAIT),
        )
    };
    usize::try_from(taken).map_err(|_| io::Error::last_os_error())
}

/// Returns whether each write to the pipe `fd` is a packet, which a read returns by itself. Source:
/// pipe(2), `O_DIRECT`.
///
/// # Errors
///
/// The errors of `fcntl(2)`.
pub fn is_packet_pipe(fd: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: F_GETFL takes no pointer; the descriptor is borrowed, so it is open.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    Ok(flags & libc::O_DIRECT != 0)
}

/// Returns whether the character device `device` is /dev/kmsg, where each write is a record of the
/// kernel's log. Source: the kernel's list of devices.
pub fn is_kernel_log(device: u64) -> bool {
    (libc::major(device), libc::minor(device)) == (1, 11)
}

/// Creates an unnamed file of no bytes in memory, which is closed on exec. Source:
/// `memfd_create(2)`.
pub fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a NUL-terminated literal that the kernel copies.
    let fd = check(unsafe { libc::memfd_create(c"alq-ring".as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: memfd_create returned a new descriptor, which no other value owns.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Shows others that `fd` has the flock(2) on its file: they cannot query that lock without taking
/// it. If the file system has no such locks, or the descriptor is read-only, /proc/locks must
/// suffice.
pub fn show_lock(fd: BorrowedFd<'_>) {
    let _ = record_lock(fd, libc::F_OFD_SETLK, libc::F_WRLCK);
}

/// Takes back what [`show_lock`] shows. The kernel also does so with the last descriptor.
pub fn hide_lock(fd: BorrowedFd<'_>) {
    let _ = record_lock(fd, libc::F_OFD_SETLK, libc::F_UNLCK);
}

/// Returns whether a process, in any namespace, [shows](show_lock) a lock on `file`. Takes no lock.
pub fn is_locked(file: &File) -> bool {
    let found = record_lock(file.as_fd(), libc::F_OFD_GETLK, libc::F_WRLCK);
    found.is_ok_and(|kind| kind != libc::F_UNLCK)
}

/// Executes one command on the record lock of a whole file. Returns the kind of lock that is found.
/// Source: `fcntl(2)`, open file description locks.
fn record_lock(
    fd: BorrowedFd<'_>,
    command: libc::c_int,
    kind: libc::c_int,
) -> io::Result<libc::c_int> {
    let mut lock = libc::flock64 {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0, // to the end of the file, also if it grows
        l_pid: 0,
    };
    // SAFETY: the descriptor is open, and the pointer leads to one `flock64`, the form of these
    // commands, that lives over the call.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), command, &raw mut lock) })?;
    Ok(libc::c_int::from(lock.l_type))
}

/// Returns the process that has the lock on `file`, if the system shows it. On some file systems
/// (Btrfs) the list of locks has other numbers for devices. There it returns the process `noted`,
/// if that process locks a file with this inode number. Source: proc(5), `/proc/locks`.
pub fn holder_of(file: &File, noted: Option<u32>) -> Option<u32> {
    let metadata = file.metadata().ok()?;
    let (major, minor) = (libc::major(metadata.dev()), libc::minor(metadata.dev()));
    let device = format!("{major:02x}:{minor:02x}");
    let inode = metadata.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let holders = locks.lines().filter_map(|line| {
        // 1: FLOCK  ADVISORY  WRITE 1234 00:1a:5678 0 EOF
        let mut words = line.split_whitespace().skip(1);
        let (kind, pid) = (words.next()?, words.nth(2)?.parse().ok()?);
        let (on, number) = words.next()?.rsplit_once(':')?;
        (kind == "FLOCK" && number == inode).then_some((pid, on == device))
    });
    let holders: Vec<(u32, bool)> = holders.collect();
    let is_here = holders.iter().find(|(_, is_same_device)| *is_same_device);
    let is_noted = || holders.iter().find(|(pid, _)| Some(*pid) == noted);
    is_here.or_else(is_noted).map(|(pid, _)| *pid)
}

/// Returns when `file` was created; `None` if the file system does not say. Source: statx(2).
///
/// The standard library asks statx(2) itself, but not with every C library. It is called by its
/// number, because musl has no function for it before version 1.2.5.
pub fn created(file: &File, metadata: &Metadata) -> Option<Duration> {
    if let Ok(created) = metadata.created() {
        return created.duration_since(UNIX_EPOCH).ok();
    }
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the descriptor is open, and the name is a NUL-terminated literal. The pointer leads to
    // room for one `statx`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_statx,
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_BTIME,
            found.as_mut_ptr(),
        )
    };
    // SAFETY: all zeros are a valid `statx`, in which nothing is known.
    let found = unsafe { found.assume_init() };
    if result != 0 || found.stx_mask & libc::STATX_BTIME == 0 {
        return None;
    }
    let seconds = u64::try_from(found.stx_btime.tv_sec).ok()?;
    Some(Duration::new(seconds, found.stx_btime.tv_nsec))
}

/// Returns the type of the file system of `file`; `None` if that file system is in memory. Source:
/// statfs(2).
///
/// # Errors
///
/// The errors of fstatfs(2).
pub fn disk_of(file: &File) -> io::Result<Option<u64>> {
    const TMPFS: u32 = 0x0102_1994;
    const RAMFS: u32 = 0x8584_58f6;
    const HUGETLBFS: u32 = 0x9584_58f6;
    let mut stat = MaybeUninit::<libc::statfs64>::uninit();
    // SAFETY: the descriptor is open, and the pointer leads to room for one `statfs64`.
    check(unsafe { libc::fstatfs64(file.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: fstatfs succeeded.
    let kind = unsafe { stat.assume_init() }.f_type;
    #[allow(
        clippy::cast_sign_loss,
        reason = "32 bits, in a type that differs between platforms"
    )]
    let kind = kind as u32;
    Ok((![TMPFS, RAMFS, HUGETLBFS].contains(&kind)).then_some(u64::from(kind)))
}

/// Makes the number of `onto` refer to the file of `fd`, in one step. Source: dup3(2).
#[cfg(feature = "rotate")]
pub fn duplicate_onto(fd: BorrowedFd<'_>, onto: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: dup3 takes no pointer, and both descriptors are open. It closes the old file of
    // `onto`; the number stays.
    check(unsafe { libc::dup3(fd.as_raw_fd(), onto.as_raw_fd(), libc::O_CLOEXEC) }).map(drop)
}

/// Makes the whole file system of `file` durable. Source: syncfs(2).
pub fn sync_file_system(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: syncfs takes no pointer; the descriptor is open.
    check(unsafe { libc::syncfs(file.as_raw_fd()) }).map(drop)
}

/// Returns the path of `file`, as the kernel knows it now.
pub fn path_of(file: BorrowedFd<'_>) -> io::Result<PathBuf> {
    fs::read_link(in_proc(file))
}

/// Opens the file of `fd`, which may be open only for writing, for reading. It does not depend on
/// the file's names. Source: proc(5), `/proc/self/fd`.
///
/// # Errors
///
/// The errors of open(2); `NotFound` if there is no /proc.
pub fn reader_of(fd: BorrowedFd<'_>) -> io::Result<File> {
    File::open(in_proc(fd))
}

/// The path under which the kernel shows the descriptor.
pub(super) fn in_proc(fd: BorrowedFd<'_>) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

/// Opens what is under `name` in `folder`, and looks at it, in this order: so both are the same.
/// Source: open(2), `O_PATH`.
///
/// # Errors
///
/// Those of openat(2), fstat(2) and readlinkat(2).
#[cfg(feature = "rotate")]
pub fn step(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<Step> {
    let how = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = openat(folder, name, how, Mode::empty())?;
    let stat = fstat(&found)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Ok(Step::Place(found, stat));
    }
    let to = readlinkat(&found, "", Vec::new())?;
    Ok(Step::Link(stat, OsString::from_vec(to.into_bytes()).into()))
}
