//! What the calls of all platforms share.
//!
//! # Safety
//!
//! Every `unsafe` block here and beside is one call into libc. Its arguments are references, owned
//! descriptors or plain integers. So each block only argues what the call does with the pointer
//! that it gets.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd};
use std::os::unix::fs::MetadataExt;
#[cfg(not(target_vendor = "apple"))] // its calls take numbers
use std::time::Duration;
#[cfg(feature = "rotate")]
use std::{os::fd::OwnedFd, path::PathBuf};

#[cfg(feature = "rotate")]
use rustix::fs::Stat;

pub fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// How many of `runs` one call writes. Source: writev(2), `IOV_MAX`.
pub fn count_of(runs: &[IoSlice<'_>]) -> u16 {
    const RUNS_MAX: u16 = 1024;
    u16::try_from(runs.len()).map_or(RUNS_MAX, |count| count.min(RUNS_MAX))
}

/// Returns a file that does not close the descriptor.
pub fn view(fd: BorrowedFd<'_>) -> ManuallyDrop<File> {
    // SAFETY: the descriptor is open, and the file never closes it.
    ManuallyDrop::new(unsafe { File::from_raw_fd(fd.as_raw_fd()) })
}

#[cfg(not(target_vendor = "apple"))]
pub fn timespec(time: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(i32::MAX.into()), // 68 years or more
        tv_nsec: i32::try_from(time.subsec_nanos()).map_or(0, Into::into), // less than 10^9
    }
}

/// Returns the device and the inode of the file of `fd`. Source: fstat(2).
pub fn file_id(fd: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let metadata = view(fd).metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Returns the set of these signals.
pub fn set_of(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set that it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signo in signals {
        // SAFETY: the set is initialised.
        unsafe { libc::sigaddset(set.as_mut_ptr(), *signo) };
    }
    // SAFETY: as above.
    unsafe { set.assume_init() }
}

/// What is under a name on the path of a folder.
#[cfg(feature = "rotate")]
pub enum Step {
    Link(Stat, PathBuf),
    /// A folder, or what is no folder: then the next step fails.
    Place(OwnedFd, Stat),
}
