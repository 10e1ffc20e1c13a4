//! Children of fork(2).
#![allow(unsafe_code, reason = "fork(2) has no safe form")]

use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

use super::DEADLINE;

/// A value of zeros that children of this process share with it. It is never unmapped.
///
/// # Safety
///
/// `T` must be made of atomics alone.
pub unsafe fn shared<T: Sync>() -> &'static T {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, which replaces no other mapping.
    let at = unsafe { libc::mmap(ptr::null_mut(), size_of::<T>(), access, flags, -1, 0) };
    assert_ne!(at, libc::MAP_FAILED);
    // SAFETY: as long as a `T`, page aligned, zeroed, of atomics (the caller says), and never
    // unmapped.
    unsafe { &*at.cast() }
}

/// How a child ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `_exit(2)`: no handler runs.
    AtOnce,
    /// `exit(3)`.
    WithHandlers,
}

/// A child that is waited for.
#[must_use]
pub struct Child(libc::pid_t);

/// Makes a child that runs `body` and ends.
pub fn fork(end: End, body: impl FnOnce()) -> Child {
    // SAFETY: the child runs `body` and ends. It has one thread, of which it needs no more than
    // this library says.
    match unsafe { libc::fork() } {
        0 => run(end, body),
        pid => started(pid),
    }
}

/// The same by the system call, past the handlers of the C library.
pub fn fork_raw(body: impl FnOnce()) -> Child {
    // SAFETY: as above.
    match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } {
        0 => run(End::AtOnce, body),
        pid => started(pid as libc::pid_t),
    }
}

fn started(pid: libc::pid_t) -> Child {
    assert!(pid > 0, "{}", io::Error::last_os_error());
    Child(pid)
}

fn run(end: End, body: impl FnOnce()) -> ! {
    let code = i32::from(catch_unwind(AssertUnwindSafe(body)).is_err());
    if end == End::WithHandlers {
        exit(code);
    }
    // SAFETY: it ends this process, and nothing else.
    unsafe { libc::_exit(code) }
}

impl Child {
    /// Kills it, unless it has ended.
    pub fn kill(&self) {
        // SAFETY: a child that was not waited for keeps its number.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }

    /// Whether it has come to its end. It is still to be waited for.
    pub fn has_ended(&self) -> bool {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: the pointer is to one `siginfo_t`.
        let result =
            unsafe { libc::waitid(libc::P_PID, self.0.unsigned_abs(), info.as_mut_ptr(), how) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
        // SAFETY: zeroes are a `siginfo_t`.
        let info = unsafe { info.assume_init() };
        info.si_signo != 0
    }

    /// Fails unless it comes to its end, and to a good one.
    #[track_caller]
    pub fn join(self) {
        assert_eq!(self.status(), 0, "the child has failed");
    }

    /// Fails unless it comes to be killed.
    #[track_caller]
    pub fn join_killed(self) {
        let status = self.status();
        assert!(
            libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL,
            "the child was not killed, but has ended with {status:#x}"
        );
    }

    /// Waits for it, and says how it ended, in the words of wait(2).
    #[track_caller]
    fn status(self) -> libc::c_int {
        let end = Instant::now() + DEADLINE;
        let mut status = 0;
        loop {
            // SAFETY: the pointer is to one status.
            match unsafe { libc::waitpid(self.0, &raw mut status, libc::WNOHANG) } {
                0 if Instant::now() > end => {
                    // SAFETY: a child that was not waited for keeps its number.
                    unsafe { libc::kill(self.0, libc::SIGKILL) };
                    panic!("the child hangs");
                }
                0 => thread::sleep(Duration::from_micros(200)),
                _ => return status,
            }
        }
    }
}
