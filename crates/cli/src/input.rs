//! Standard input, or the streams of a command: waiting for them or for a signal, and reading
//! without a buffer in between.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};

/// Standard input, or a stream of a command.
///
/// A process that is started with a closed standard input gets /dev/null in its place before `main`
/// runs, and cannot tell that from a /dev/null that was meant: it counts as empty input.
#[derive(Debug)]
pub struct Input {
    file: File,
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// The input with this number has something: bytes, its end, or an error.
    Input(usize),
    /// A signal came.
    Signal,
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
        Ok(fd.into())
    }

    /// Closes standard input, so that its writer does not wait for a reader that reads no more:
    /// /dev/null takes its place.
    pub fn close_standard() {
        if let Ok(null) = File::open("/dev/null") {
            let _ = rustix::stdio::dup2_stdin(null); // it stays open until the end then
        }
    }

    /// How many bytes can be read now.
    pub fn available(&self) -> u64 {
        rustix::io::ioctl_fionread(&self.file).unwrap_or(0)
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

    /// Has the pipe hold as much as one read takes, if it is one that holds less: its writers sleep
    /// less often then. What the system does not allow is left as it is. Says how much the pipe
    /// holds, if it is one.
    pub fn widen(&self, len: usize) -> Option<usize> {
        let size = fcntl_getpipe_size(&self.file).ok()?;
        if size < len {
            let _ = fcntl_setpipe_size(&self.file, len);
        }
        fcntl_getpipe_size(&self.file).ok()
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

impl From<OwnedFd> for Input {
    fn from(fd: OwnedFd) -> Self {
        Self { file: fd.into() }
    }
}

/// Waits for `limit`, or until a signal comes, whatever comes in.
pub fn nap(signals: BorrowedFd<'_>, limit: Duration) -> io::Result<()> {
    let mut fds = [PollFd::from_borrowed_fd(signals, PollFlags::IN)];
    match poll(&mut fds, Some(&timespec(limit))) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until a read of an input would not block, or a signal comes, for `limit` at most. An input
/// that is `None` has ended.
///
/// When several are ready it is the signal, or steady input would hide it; and of two inputs, the
/// one at `turn`.
pub fn wait(
    inputs: &[Option<Input>],
    turn: usize,
    signals: BorrowedFd<'_>,
    limit: Option<Duration>,
) -> io::Result<Ready> {
    let limit = limit.map(timespec);
    let count = inputs.len();
    let order = (0..count).map(|at| (turn + at) % count);
    let open: Vec<usize> = order.filter(|&at| inputs[at].is_some()).collect();
    let mut fds = vec![PollFd::from_borrowed_fd(signals, PollFlags::IN)];
    let files = open.iter().filter_map(|&at| inputs[at].as_ref());
    fds.extend(files.map(|input| PollFd::new(&input.file, PollFlags::IN)));
    loop {
        match poll(&mut fds, limit.as_ref()) {
            Ok(0) => return Ok(Ready::Nothing),
            Ok(_) => {
                let first = fds.iter().position(|fd| !fd.revents().is_empty());
                return Ok(match first {
                    Some(0) | None => Ready::Signal,
                    Some(at) => Ready::Input(open[at - 1]),
                });
            }
            Err(Errno::INTR) => {} // a debugger, or a stop and its end
            Err(error) => return Err(error.into()),
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}
