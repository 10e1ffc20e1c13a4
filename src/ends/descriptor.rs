//! The sink of production: a file descriptor.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::sink::Sink;
use crate::primitives::os;
use crate::primitives::sync::{AtomicBool, Ordering};

/// A descriptor that is appended to with write(2), or writev(2) where padding splits the bytes.
///
/// A write to a pipe, a socket or a terminal can block for as long as the other side does not read, and nobody could
/// take it back then: not a close that has given up, and has counted the bytes as left. So those are written to
/// without waiting, and waited for with poll(2). The descriptor's own mode stays as it is: others may share it.
#[derive(Debug)]
pub struct FileSink {
    file: File,
    /// Whether a write must not wait in the kernel.
    nowait: AtomicBool,
}

impl FileSink {
    /// A sink on `fd`.
    ///
    /// # Errors
    ///
    /// Those of fstat(2).
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let nowait = !os::is_regular(fd.as_fd())?;
        Ok(Self {
            file: fd.into(),
            nowait: AtomicBool::new(nowait),
        })
    }

    fn write_waiting(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        match runs {
            [run] => (&self.file).write(run),
            _ => (&self.file).write_vectored(runs),
        }
    }
}

impl Sink for FileSink {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        // Relaxed: only the flusher comes here.
        let taken = if self.nowait.load(Ordering::Relaxed) {
            match os::write_nowait(self.file.as_fd(), runs) {
                Err(error) if is_unsupported(&error) => {
                    // Relaxed: as above. This device (a terminal, say) or this kernel cannot.
                    self.nowait.store(false, Ordering::Relaxed);
                    self.write_waiting(runs)
                }
                result => result,
            }
        } else {
            self.write_waiting(runs)
        }?;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(taken)
    }

    fn wait_ready(&self, limit: Duration) -> io::Result<()> {
        os::wait_writable(self.file.as_fd(), limit)
    }
}

/// Whether pwritev2(2) cannot do without waiting here; nothing was written then.
fn is_unsupported(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    matches!(
        errno,
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::ESPIPE)
    )
}
