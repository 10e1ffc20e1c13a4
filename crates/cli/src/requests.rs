//! SIGHUP, SIGUSR1 and SIGALRM: what a log catcher is asked to do while it goes on.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGALRM, SIGHUP, SIGUSR1};
use signal_hook::{flag, low_level};

/// What was asked for since it was looked at last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// SIGHUP: FILE is to be opened anew.
    pub reopen: bool,
    /// SIGUSR1, or SIGALRM as multilog, svlogd and s6-log have it: FILE is to be rotated.
    pub rotate: bool,
}

/// The signals that ask for something.
#[derive(Debug)]
pub struct Requests {
    came: UnixStream,
    /// Kept, because a pipe that nobody can write to is readable.
    _sender: UnixStream,
    reopen: Arc<AtomicBool>,
    rotate: Arc<AtomicBool>,
}

impl Requests {
    /// Handles the signals from now on, also those that were ignored: nohup(1) wants none to end the process, and none does.
    pub fn handle() -> io::Result<Self> {
        let (came, sender) = UnixStream::pair()?;
        came.set_nonblocking(true)?;
        let (reopen, rotate) = (Arc::default(), Arc::default());
        for (signal, asked) in [(SIGHUP, &reopen), (SIGUSR1, &rotate), (SIGALRM, &rotate)] {
            // In this order: who is woken by the byte finds the flag.
            flag::register(signal, Arc::clone(asked))?;
            low_level::pipe::register(signal, sender.try_clone()?)?;
        }
        Ok(Self {
            came,
            _sender: sender,
            reopen,
            rotate,
        })
    }

    /// Readable when something was asked for.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.came.as_fd()
    }

    /// What was asked for, once.
    pub fn take(&self) -> Asked {
        let mut bytes = [0; 64];
        while (&self.came).read(&mut bytes).is_ok_and(|count| count > 0) {}
        // Behind the bytes: a signal that comes between leaves its byte for the next look. SeqCst as the handler's stores are.
        let take = |flag: &AtomicBool| flag.swap(false, Ordering::SeqCst);
        Asked {
            reopen: take(&self.reopen),
            rotate: take(&self.rotate),
        }
    }
}
