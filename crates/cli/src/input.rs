//! Standard input: waiting for it or for something else, and reading it without a buffer in between.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};

/// Standard input.
///
/// A process that is started with a closed standard input gets /dev/null in its place before `main` runs, and
/// cannot tell that from a /dev/null that was meant: it counts as empty input.
#[derive(Debug)]
pub struct Input {
    file: File,
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Standard input has something: bytes, its end, or an error.
    Input,
    /// The other descriptor with this number is readable.
    Other(usize),
    /// Neither, for as long as was given.
    Nothing,
}

/// What one read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Bytes(usize),
    End,
    /// Nothing now: somebody else was faster.
    Nothing,
}

impl Input {
    pub fn standard() -> io::Result<Self> {
        let fd = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self { file: fd.into() })
    }

    pub fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    pub fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }

    /// The length, if it is a regular file.
    pub fn len(&self) -> Option<u64> {
        let metadata = self.file.metadata().ok().filter(Metadata::is_file)?;
        Some(metadata.len())
    }

    /// Reads what is at an offset of a regular file; the next `read` is not moved by that.
    pub fn read_exact_at(&self, room: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(room, offset)
    }

    /// The next `read` begins at this offset.
    pub fn go_to(&self, offset: u64) -> io::Result<()> {
        (&self.file).seek(SeekFrom::Start(offset)).map(drop)
    }

    /// How much is still to be read of a regular file; unknown for anything else.
    pub fn bytes_left(&self) -> Option<u64> {
        let position = (&self.file).stream_position().ok();
        Some(self.len()?.saturating_sub(position?))
    }

    /// Has the pipe hold as much as one read takes, if it is one that holds less: its writers sleep less often then. What the system does
    /// not allow is left as it is. Says how much the pipe holds, if it is one.
    pub fn widen(&self, len: usize) -> Option<usize> {
        let size = fcntl_getpipe_size(&self.file).ok()?;
        if size < len {
            let _ = fcntl_setpipe_size(&self.file, len);
        }
        fcntl_getpipe_size(&self.file).ok()
    }

    /// Waits for `limit`, or until one of `others` is readable, whatever comes in.
    pub fn nap(others: [BorrowedFd<'_>; 2], limit: Duration) -> io::Result<()> {
        let mut fds = others.map(|other| PollFd::from_borrowed_fd(other, PollFlags::IN));
        match poll(&mut fds, Some(&timespec(limit))) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until a read would not block, or one of `others` (two at most: the pipes of signals) is readable, for `limit` at most.
    ///
    /// A signal that came before the wait ends it too, because its byte is in the pipe: none is missed. When both
    /// are ready it is the signal, or steady input would hide it.
    pub fn wait(&self, others: &[BorrowedFd<'_>], limit: Option<Duration>) -> io::Result<Ready> {
        let limit = limit.map(timespec);
        let input = PollFd::new(&self.file, PollFlags::IN);
        let mut fds = [input.clone(), input.clone(), input];
        for (place, other) in fds[1..].iter_mut().zip(others) {
            *place = PollFd::from_borrowed_fd(*other, PollFlags::IN);
        }
        let fds = &mut fds[..=others.len()];
        loop {
            match poll(fds, limit.as_ref()) {
                Ok(0) => return Ok(Ready::Nothing),
                Ok(_) => {
                    let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
                    let other = fds[1..].iter().position(is_ready);
                    return Ok(other.map_or(Ready::Input, Ready::Other));
                }
                Err(Errno::INTR) => {} // the signal's byte is in the pipe by now
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// One read(2) into `room`, which must not be empty.
    pub fn read(&self, room: &mut [u8]) -> io::Result<Found> {
        loop {
            return match (&self.file).read(room) {
                Ok(0) => Ok(Found::End),
                Ok(count) => Ok(Found::Bytes(count)),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::WouldBlock => Ok(Found::Nothing),
                    _ => Err(error),
                },
            };
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}
