//! The inputs: standard input, or the two streams of a command. Waits for them or for a signal, and
//! reads them without an intermediate buffer.

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
/// If standard input is closed when the process starts, the runtime opens /dev/null in its place
/// before `main`. This cannot be distinguished from an intended /dev/null, so both count as empty
/// input.
#[derive(Debug)]
pub struct Input {
    file: File,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// The input with this index has bytes, its end, or an error.
    Input(usize),
    /// A signal came.
    Signal,
    /// The time limit has passed.
    Nothing,
}

/// The result of one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Bytes(usize),
    End,
    /// No bytes now: another process has read them.
    Nothing,
}

impl Input {
    pub fn standard() -> io::Result<Self> {
        let fd = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(fd.into())
    }

    /// Replaces standard input by /dev/null, so that its writer does not wait for a reader that has
    /// stopped reading.
    pub fn close_standard() {
        if let Ok(null) = File::open("/dev/null") {
            let _ = rustix::stdio::dup2_stdin(null); // if this fails, it stays open until the end
        }
    }

    /// The number of bytes that can be read now.
    pub fn available(&self) -> u64 {
        rustix::io::ioctl_fionread(&self.file).unwrap_or(0)
    }

    pub fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    pub fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }

    /// The length in bytes; `None` if the input is not a regular file.
    pub fn len(&self) -> Option<u64> {
        let metadata = self.file.metadata().ok().filter(Metadata::is_file)?;
        Some(metadata.len())
    }

    /// Reads from an offset of a regular file. The position of the next `read` stays the same.
    pub fn read_exact_at(&self, room: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(room, offset)
    }

    /// Sets the offset of the next `read`.
    pub fn go_to(&self, offset: u64) -> io::Result<()> {
        (&self.file).seek(SeekFrom::Start(offset)).map(drop)
    }

    /// The number of bytes that are still to be read; `None` if the input is not a regular file.
    pub fn bytes_left(&self) -> Option<u64> {
        let position = (&self.file).stream_position().ok();
        Some(self.len()?.saturating_sub(position?))
    }

    /// Enlarges a pipe to `len` bytes, the size of one read, so that its writers sleep less often.
    /// Does nothing if the system does not allow it. Returns the size of the pipe; `None` if the
    /// input is not a pipe.
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

/// Waits for `limit` or until a signal comes, even if there is input.
pub fn nap(signals: BorrowedFd<'_>, limit: Duration) -> io::Result<()> {
    let mut fds = [PollFd::from_borrowed_fd(signals, PollFlags::IN)];
    match poll(&mut fds, Some(&timespec(limit))) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until an input can be read without blocking or until a signal comes, at most for `limit`.
/// An input that is `None` has ended.
///
/// If several are ready, the signal comes first, because steady input would hide it. Then come the
/// inputs, from the one at `turn` on.
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
            Err(Errno::INTR) => {} // a debugger, or the process was stopped and continued
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
