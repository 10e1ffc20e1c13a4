//! Signals as events: they are blocked from the start of `main`, and one thread reads them.
//!
//! ```text
//!  kernel -> signalfd -> thread `alq-signals` -> State, eventfd -> main thread (take, received)
//! ```
//!
//! A blocked signal never runs its default action, so no signal ends the process while it holds
//! input that is not written. The thread decides what a signal means ([`Plan`]) and wakes the main
//! thread through an eventfd. After a second request to end, it ends the process at once, even if
//! the main thread is blocked.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{ExitCode, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc::{SI_KERNEL, signalfd_siginfo};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::children::{Children, is_in_foreground};

/// The time after the first signal during which further ones do nothing.
///
/// One request to end often comes as two signals: timeout(1) sends one to its child and one to the
/// group, and a supervisor passes on a signal that the terminal has already sent. This must not
/// lose bytes that were read.
const GRACE: Duration = Duration::from_millis(500);

/// The signals whose default action ends a process, except those that a fault raises and SIGPIPE,
/// which is ignored.
const ENDING: [Signal; 12] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGTERM,
    Signal::SIGXCPU,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
    Signal::SIGPWR,
];

/// The requests to a running log catcher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// SIGHUP: open FILE again.
    pub reopen: bool,
    /// SIGUSR1, or SIGALRM as in multilog, svlogd and s6-log: rotate FILE.
    pub rotate: bool,
    /// SIGUSR2: make a dump.
    pub dump: bool,
}

/// What signals mean to `alq append`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// SIGHUP, SIGUSR1 and SIGALRM are requests. If false, they end the process as SIGTERM does.
    pub has_requests: bool,
    /// SIGUSR2 is a request for a dump. If false, it ends the process as SIGTERM does.
    pub is_recorder: bool,
    /// SIGTERM and SIGINT do nothing.
    pub until_eof: bool,
}

/// What the thread has noted.
#[derive(Debug, Default)]
struct State {
    plan: Plan,
    /// True if the main thread writes what it has read before the process ends. If false, a signal
    /// ends the process at once.
    is_graceful: bool,
    /// The last signal that asked the process to end.
    ending: Option<Signal>,
    asked: Asked,
    children: Children,
}

struct Shared {
    state: Mutex<State>,
    /// An eventfd; readable after a signal.
    news: OwnedFd,
    /// Called if the process still runs after the grace.
    still_busy: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

/// The signals that this process handles.
pub struct Signals(Arc<Shared>);

/// Blocks all signals that could end the process, in this thread and in all threads that it starts
/// later. Signals that arrive stay pending until [`Signals::handle`], [`Signals::catch`] or
/// [`release`].
pub fn hold() {
    let mut held: SigSet = ENDING.into_iter().collect();
    held.add(Signal::SIGCHLD);
    // Never released: a write beyond `ulimit -f` then fails with EFBIG, and the message names the
    // file.
    held.add(Signal::SIGXFSZ);
    let _ = held.thread_block(); // cannot fail with valid signals
}

/// Unblocks the signals, so that they have their default actions.
pub fn release() {
    let held: SigSet = ENDING.into_iter().collect();
    let _ = held.thread_unblock(); // cannot fail with valid signals
}

impl Signals {
    /// Starts to handle SIGINT and SIGTERM. Other signals have their default actions.
    pub fn handle() -> io::Result<Self> {
        let others: SigSet = ENDING
            .into_iter()
            .filter(|&it| !is_request_to_end(it))
            .collect();
        others.thread_unblock()?;
        let signals = Self::start(
            ENDING.into_iter().filter(|&it| is_request_to_end(it)),
            Plan::default(),
        )?;
        signals.be_graceful(|| {});
        Ok(signals)
    }

    /// Starts to handle all signals according to `plan`. Until [`be_graceful`](Self::be_graceful),
    /// a signal that ends the process does so at once.
    pub fn catch(plan: Plan) -> io::Result<Self> {
        Self::start(ENDING.into_iter().chain([Signal::SIGCHLD]), plan)
    }

    fn start(signals: impl Iterator<Item = Signal>, plan: Plan) -> io::Result<Self> {
        let ignored = ignored_signals();
        let is_handled = |signal: &Signal| {
            // nohup(1) and background jobs of a shell ignore signals: those do not end the process.
            // They may still be requests.
            let is_ignored = ignored >> (*signal as i32 - 1) & 1 == 1;
            !is_ignored || plan.asks(*signal) != Asked::default()
        };
        let handled: SigSet = signals.filter(is_handled).collect();
        let descriptor = SignalFd::new(&handled)?;
        let state = State {
            plan,
            ..State::default()
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            news: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            still_busy: Mutex::new(None),
        });
        let signals = Self(Arc::clone(&shared));
        thread::Builder::new()
            .name("alq-signals".to_owned())
            .spawn(move || shared.listen(&descriptor))?;
        Ok(signals)
    }

    /// From now on, the main thread writes what it has read before the process ends. If that takes
    /// longer than the grace, `still_busy` is called on another thread.
    pub fn be_graceful(&self, still_busy: impl FnOnce() + Send + 'static) {
        *lock(&self.0.still_busy) = Some(Box::new(still_busy));
        lock(&self.0.state).is_graceful = true;
    }

    /// Starts the command, to which signals are then passed on.
    pub fn adopt<E>(&self, start: impl FnOnce() -> Result<Pid, E>) -> Result<(), E> {
        // The lock is held during the start: a signal that comes now is passed on afterwards.
        lock(&self.0.state).children.add(start()?);
        Ok(())
    }

    /// Returns true while the command runs.
    pub fn is_command_alive(&self) -> bool {
        lock(&self.0.state).children.is_command_alive()
    }

    /// The exit status of the command; `None` if it has not ended.
    pub fn command_status(&self) -> Option<ExitStatus> {
        lock(&self.0.state).children.status()
    }

    /// A descriptor that is readable if a signal came since the last [`take`](Self::take).
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.news.as_fd()
    }

    /// Returns the requests since the last call, and forgets them.
    pub fn take(&self) -> Asked {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.0.news, &mut count); // fails if there is no news
        std::mem::take(&mut lock(&self.0.state).asked)
    }

    /// The last signal that asked the process to end.
    pub fn received(&self) -> Option<i32> {
        lock(&self.0.state).ending.map(|signal| signal as i32)
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Signals").field(&self.0.state).finish()
    }
}

impl Plan {
    fn asks(self, signal: Signal) -> Asked {
        Asked {
            reopen: self.has_requests && signal == Signal::SIGHUP,
            rotate: self.has_requests && matches!(signal, Signal::SIGUSR1 | Signal::SIGALRM),
            dump: self.is_recorder && signal == Signal::SIGUSR2,
        }
    }
}

impl Shared {
    /// Reads signals until the process ends.
    fn listen(&self, descriptor: &SignalFd) {
        let mut grace: Option<Instant> = None;
        loop {
            match wait(descriptor, grace) {
                Ok(true) => {}
                Ok(false) => {
                    grace = None;
                    self.report_still_busy();
                    continue;
                }
                Err(_) => return,
            }
            let Ok(Some(info)) = descriptor.read_signal() else {
                continue;
            };
            let before = lock(&self.state).ending;
            let is_grace_over = before.is_some() && grace.is_none();
            self.hear(&info, is_grace_over);
            if before.is_none() && lock(&self.state).ending.is_some() {
                grace = Some(Instant::now() + GRACE);
            }
            // Fails only if the counter is full; then it is already readable.
            let _ = rustix::io::write(&self.news, &1_u64.to_ne_bytes());
        }
    }

    fn hear(&self, info: &signalfd_siginfo, is_grace_over: bool) {
        let number = i32::try_from(info.ssi_signo).unwrap_or(0);
        let Ok(signal) = Signal::try_from(number) else {
            return;
        };
        let mut state = lock(&self.state);
        let asks = state.plan.asks(signal);
        if signal == Signal::SIGCHLD {
            state.children.reap();
        } else if asks != Asked::default() {
            state.asked.reopen |= asks.reopen;
            state.asked.rotate |= asks.rotate;
            state.asked.dump |= asks.dump;
        } else if state.children.is_command_alive() {
            let is_from_terminal = info.ssi_code == SI_KERNEL && is_in_foreground();
            if !is_from_terminal {
                state.children.pass_on(signal);
            }
        } else if state.plan.until_eof && is_request_to_end(signal) {
            // Ignored: alq reads to the end of input.
        } else if !state.is_graceful || is_grace_over {
            end_at_once(signal);
        } else {
            state.ending = Some(signal);
        }
    }

    /// Runs `still_busy` on a new thread, because a write to standard error may block.
    fn report_still_busy(&self) {
        let Some(still_busy) = lock(&self.still_busy).take() else {
            return;
        };
        let _ = thread::Builder::new().spawn(still_busy); // without a thread, no message
    }
}

/// Waits for a signal until `end`. Returns true if one came.
fn wait(descriptor: &SignalFd, end: Option<Instant>) -> Result<bool, Errno> {
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::new(descriptor, PollFlags::IN)];
        match poll(&mut fds, left.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Ignores poisoning: a panic of another thread leaves the data complete.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_request_to_end(signal: Signal) -> bool {
    matches!(signal, Signal::SIGINT | Signal::SIGTERM)
}

/// Ends this process by `signal`. Returns an exit code if the process still lives: signals have no
/// default action in process 1 of a namespace.
pub fn die_by(signal: i32) -> ExitCode {
    if let Ok(signal) = Signal::try_from(signal) {
        let _ = SigSet::from(signal).thread_unblock(); // cannot fail with valid signals
        let _ = raise(signal); // cannot fail with valid signals
    }
    ExitCode::from(status_of(signal))
}

/// As [`die_by`], but exits at once instead of returning to `main`.
fn end_at_once(signal: Signal) -> ! {
    let _ = die_by(signal as i32);
    signal_hook::low_level::exit(status_of(signal as i32).into())
}

/// The exit code by which a shell reports a death by a signal.
pub fn status_of(signal: i32) -> u8 {
    128 | u8::try_from(signal).unwrap_or(0)
}

/// The ignored signals as a bit mask: bit 0 is signal 1.
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
    use super::{parse_ignored, status_of};

    #[test]
    fn the_mask_of_ignored_signals_is_found() {
        let status = "Name:\talq\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001002\n";
        assert_eq!(parse_ignored(status), Some(0x1002));
        assert_eq!(parse_ignored("Name:\talq\n"), None);
    }

    #[test]
    fn a_death_by_a_signal_is_128_and_its_number() {
        assert_eq!([1, 2, 15].map(status_of), [129, 130, 143]);
    }
}
