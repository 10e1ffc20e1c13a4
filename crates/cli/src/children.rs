//! The command of `alq append FILE -- command`, and the orphans that process 1 of a container must
//! reap.

use std::env;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};

use crate::report::Failure;

/// The exit codes of a shell if there is no such command, and if it cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

/// The child processes.
#[derive(Debug, Default)]
pub struct Children {
    command: Option<Pid>,
    status: Option<ExitStatus>,
}

impl Children {
    /// Notes that the command runs as process `pid`.
    pub fn add(&mut self, pid: Pid) {
        self.command = Some(pid);
    }

    /// Reaps every child that has ended. Children other than the command are orphans that the
    /// kernel has given to process 1.
    pub fn reap(&mut self) {
        while let Ok(ended) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            let (pid, raw) = match ended {
                WaitStatus::Exited(pid, code) => (pid, code << 8),
                WaitStatus::Signaled(pid, signal, _) => (pid, signal as i32),
                WaitStatus::StillAlive => return,
                _ => continue,
            };
            if self.command == Some(pid) {
                // The kernel may now give this pid to another process.
                self.command = None;
                self.status = Some(ExitStatus::from_raw(raw));
            }
        }
    }

    pub fn is_command_alive(&self) -> bool {
        self.command.is_some()
    }

    /// Sends a signal to the command.
    pub fn pass_on(&self, signal: Signal) {
        if let Some(pid) = self.command {
            let _ = kill(pid, signal); // fails if the command now runs as another user
        }
    }

    /// The exit status of the command; `None` if it has not ended.
    pub fn status(&self) -> Option<ExitStatus> {
        self.status
    }
}

/// Returns true if this process is in the foreground group of its terminal. A key that sends a
/// signal then sends it to the command as well, which is in the same group.
pub fn is_in_foreground() -> bool {
    let group = rustix::process::getpgrp();
    let terminal = std::fs::File::open("/dev/tty");
    terminal.is_ok_and(|terminal| rustix::termios::tcgetpgrp(terminal) == Ok(group))
}

/// Starts the command. Returns its pid and the reading ends of the pipes for its standard output
/// and standard error.
///
/// Uses `posix_spawn(3)` because the child of std's `Command` would inherit the blocked signals of
/// this process.
pub fn start(words: &[OsString]) -> Result<(Pid, [OwnedFd; 2]), Failure> {
    let failed = |problem: Errno| {
        let code = if problem == Errno::ENOENT {
            NOT_FOUND
        } else {
            NOT_RUN
        };
        let name = words
            .first()
            .map_or("".into(), |name| name.to_string_lossy());
        let problem = io::Error::from(problem);
        Failure::new(name, format!("cannot run: {problem}")).or_code(code)
    };
    spawn(words).map_err(failed)
}

fn spawn(words: &[OsString]) -> nix::Result<(Pid, [OwnedFd; 2])> {
    let words = words.iter().map(|word| CString::new(word.as_bytes()));
    let words: Vec<CString> = words.collect::<Result<_, _>>().map_err(|_| Errno::EINVAL)?;
    let name = words.first().ok_or(Errno::ENOENT)?;
    let variables = env::vars_os().filter_map(|(name, value)| {
        let text = [name.as_bytes(), b"=", value.as_bytes()].concat();
        CString::new(text).ok() // a variable of the environment holds no zero byte
    });
    let variables: Vec<CString> = variables.collect();
    let (output, to_output) = pipe2(OFlag::O_CLOEXEC)?;
    let (error, to_error) = pipe2(OFlag::O_CLOEXEC)?;
    let mut files = PosixSpawnFileActions::init()?;
    files.add_dup2(to_output.as_raw_fd(), 1)?;
    files.add_dup2(to_error.as_raw_fd(), 2)?;
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_sigmask(&SigSet::empty())?;
    attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?; // Rust programs ignore it
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    let pid = posix_spawnp(name, &files, &attributes, &words, &variables)?;
    Ok((pid, [output, error]))
}

#[cfg(test)]
mod tests {
    use super::start;

    #[test]
    fn a_command_that_cannot_be_run_has_the_exit_code_of_a_shell() {
        let code = |word: &str| start(&[word.into()]).unwrap_err().code();
        assert_eq!(code("/no/such/command"), 127);
        assert_eq!(code("/etc/passwd"), 126);
    }
}
