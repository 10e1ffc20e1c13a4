//! SIGINT and SIGTERM: the first one ends the reading; one that comes after the grace ends the process at once.
//!
//! Each signal puts a byte into a pipe that is never emptied. Who waits for input waits for it too, and sees a signal
//! whenever it came. So does a thread, which from the end of the grace on lets the handler itself end the process,
//! whatever that is stuck in.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// How long signals behind the first one do nothing.
///
/// One request to end often comes as two signals: timeout(1) sends one to its child and one to the group, and a
/// supervisor passes on the one that the terminal has sent already. What was read must not be lost by that.
const GRACE: Duration = Duration::from_millis(500);

/// The signals that this process handles.
#[derive(Debug)]
pub struct Signals {
    came: UnixStream,
    /// Kept, because a pipe that nobody can write to is readable: it would look like a signal.
    _sender: UnixStream,
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Handles the signals from now on. `still_busy` is called when the process outlives the grace.
    pub fn handle(still_busy: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let last = Arc::new(AtomicUsize::new(0));
        let is_deadly = Arc::new(AtomicBool::new(false));
        let (came, sender) = UnixStream::pair()?;
        let ignored = ignored_signals();
        for signal in [SIGINT, SIGTERM] {
            if ignored >> (signal - 1) & 1 == 1 {
                continue; // nohup(1) or a shell's background job: it stays so
            }
            // In this order: who is woken by the byte finds the number.
            flag::register_usize(signal, Arc::clone(&last), signal.unsigned_abs() as usize)?;
            low_level::pipe::register(signal, sender.try_clone()?)?;
            flag::register_conditional_default(signal, Arc::clone(&is_deadly))?;
        }
        let watched = came.try_clone()?;
        let watch = move || {
            let mut fds = [PollFd::new(&watched, PollFlags::IN)];
            if retry_on_intr(|| poll(&mut fds, None)).is_err() {
                return;
            }
            thread::sleep(GRACE);
            // SeqCst as the handler's load is; it orders nothing else. Before the message, which may block.
            is_deadly.store(true, Ordering::SeqCst);
            still_busy();
        };
        thread::Builder::new()
            .name("alq-signals".to_owned())
            .spawn(watch)?;
        Ok(Self {
            came,
            _sender: sender,
            last,
        })
    }

    /// Readable from the first signal on.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.came.as_fd()
    }

    /// The signal that came last, if any came.
    pub fn received(&self) -> Option<i32> {
        // SeqCst as the handler's store is; it orders nothing else.
        match self.last.load(Ordering::SeqCst) {
            0 => None,
            signal => i32::try_from(signal).ok(),
        }
    }
}

/// Ends this process as `signal` would have done. Returns only if the system does not let it.
pub fn die_by(signal: i32) -> ExitCode {
    let _ = low_level::emulate_default_handler(signal);
    let number = u8::try_from(signal).unwrap_or(0);
    ExitCode::from(128 | number) // what a shell would have made of it
}

/// The signals that are ignored, a bit for each: bit 0 is signal 1.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    parse_ignored(&status).unwrap_or(0)
}

fn parse_ignored(status: &str) -> Option<u64> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::parse_ignored;

    #[test]
    fn the_mask_of_ignored_signals_is_found() {
        let status = "Name:\talq\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001002\n";
        assert_eq!(parse_ignored(status), Some(0x1002));
        assert_eq!(parse_ignored("Name:\talq\n"), None);
    }
}
