//! SIGINT and SIGTERM: the first one ends the reading, a second one ends a drain that does not come to its end.
//!
//! Each signal puts a byte into two pipes. One is never emptied: who waits for input waits for it too, and sees a
//! signal whenever it came. The other is emptied by a thread, which counts the signals.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// How long a drain goes on undisturbed after the first signal.
///
/// One request to end often comes as two signals: timeout(1) sends one to its child and one to the group, and a
/// supervisor passes on the one that the terminal has sent already. What was read must not be lost by that.
const GRACE: Duration = Duration::from_millis(500);

/// The signals that this process handles.
#[derive(Debug)]
pub struct Signals {
    came: UnixStream,
    first: Arc<AtomicUsize>,
}

impl Signals {
    /// Handles the signals from now on. `still_busy` is called when the drain outlasts the grace.
    pub fn handle(still_busy: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let first = Arc::new(AtomicUsize::new(0));
        let (came, came_sender) = UnixStream::pair()?;
        let (count, count_sender) = UnixStream::pair()?;
        let ignored = ignored_signals();
        for signal in [SIGINT, SIGTERM] {
            if ignored >> (signal - 1) & 1 == 1 {
                continue; // nohup(1) or a shell's background job: it stays so
            }
            // In this order: who is woken by a byte finds the number.
            flag::register_usize(signal, Arc::clone(&first), signal.unsigned_abs() as usize)?;
            low_level::pipe::register(signal, came_sender.try_clone()?)?;
            low_level::pipe::register(signal, count_sender.try_clone()?)?;
        }
        let seen = Arc::clone(&first);
        thread::Builder::new()
            .name("alq-signals".to_owned())
            .spawn(move || watch(&count, &seen, still_busy))?;
        Ok(Self { came, first })
    }

    /// Readable from the first signal on.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.came.as_fd()
    }

    /// The signal that came last, if any came.
    pub fn received(&self) -> Option<i32> {
        received(&self.first)
    }
}

fn received(number: &AtomicUsize) -> Option<i32> {
    // SeqCst as the handler's store is; it orders nothing else.
    match number.load(Ordering::SeqCst) {
        0 => None,
        signal => i32::try_from(signal).ok(),
    }
}

/// Waits for two signals and kills the process, but not within the grace after the first.
fn watch(count: &UnixStream, number: &AtomicUsize, still_busy: impl FnOnce()) {
    if !next(count) {
        return;
    }
    let end_of_grace = Instant::now() + GRACE;
    let second_has_come = count.set_read_timeout(Some(GRACE)).is_ok() && next(count);
    thread::sleep(end_of_grace.saturating_duration_since(Instant::now()));
    if !second_has_come {
        still_busy();
        if count.set_read_timeout(None).is_err() || !next(count) {
            return;
        }
    }
    if let Some(signal) = received(number) {
        // The only way on is death, which comes within this call.
        let _ = low_level::emulate_default_handler(signal);
    }
}

/// Waits for the next byte; `false` if none came in the time that is set.
fn next(mut count: &UnixStream) -> bool {
    count.read_exact(&mut [0]).is_ok() // goes on after EINTR
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
