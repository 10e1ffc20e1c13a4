//! The sink of production: a file descriptor.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::sink::Sink;
use crate::primitives::os;

/// A descriptor that is appended to with write(2), or writev(2) where padding splits the bytes.
#[derive(Debug)]
pub struct FileSink(File);

impl FileSink {
    pub fn new(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

impl Sink for FileSink {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let taken = match runs {
            [run] => (&self.0).write(run),
            _ => (&self.0).write_vectored(runs),
        }?;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(taken)
    }

    fn wait_ready(&self, limit: Duration) -> io::Result<()> {
        os::wait_writable(self.0.as_fd(), limit)
    }
}
