//! Threads that sleep until a request is complete. A completion makes a system call only if a
//! thread sleeps.

use std::ffi::{c_int, c_long};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::quiet::last_errno;

/// Counts completions, in twos; the lowest bit says that a thread sleeps, or is about to.
static COMPLETIONS: AtomicU32 = AtomicU32::new(0);
const WAIT: c_int = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
const WAKE: c_int = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
const SLEEPER: u32 = 1;
const COMPLETION: u32 = 2;

unsafe extern "C-unwind" {
    /// The one of libc, which a thread may be cancelled in.
    fn syscall(number: c_long, ...) -> c_long;
}

/// Wakes every thread that sleeps. What it waits for must be stored before the call.
pub fn wake() {
    let next = |word: u32| Some((word & !SLEEPER).wrapping_add(COMPLETION));
    // [wait.wake] AcqRel, pairs with [wait.look]: if the sleeper comes later, it sees what was
    // stored before; if it came before, its bit is seen here. (The failure ordering is that of a
    // look that is tried again.)
    let before = COMPLETIONS.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next);
    if before.is_ok_and(|word| word & SLEEPER != 0) {
        let word = COMPLETIONS.as_ptr();
        // SAFETY: the word lives as long as the process.
        unsafe { libc::syscall(libc::SYS_futex, word, WAKE, i32::MAX) };
    }
}

/// A look at what is waited for, before a sleep. It has no destructor: a thread that is cancelled
/// in its sleep runs none.
#[derive(Clone, Copy)]
pub struct Look(u32);

impl Look {
    /// To be taken before each look; then, if it has not come, [`sleep`](Look::sleep).
    pub fn new() -> Self {
        // [wait.look] AcqRel, pairs with [wait.wake].
        Self(COMPLETIONS.fetch_or(SLEEPER, Ordering::AcqRel) | SLEEPER)
    }

    /// Sleeps until a request has completed since, or for `limit`. `EINTR` if a signal handler ran.
    pub fn sleep(self, limit: Option<Duration>) -> Result<(), c_int> {
        // A wait without a time-out is restarted after a handler with SA_RESTART; one with a
        // time-out is not.
        const FAR: Duration = Duration::from_secs(1 << 20);
        let limit = limit.map_or(FAR, |limit| limit.min(FAR));
        let limit = libc::timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        let result = futex_wait(self.0, &limit);
        match result {
            -1 if last_errno() == libc::EINTR => Err(libc::EINTR),
            _ => Ok(()),
        }
    }
}

fn futex_wait(seen: u32, limit: &libc::timespec) -> c_long {
    let word = COMPLETIONS.as_ptr();
    let none = ptr::null::<u32>();
    // SAFETY: the word lives as long as the process, and the time is a live value.
    unsafe {
        syscall(
            libc::SYS_futex,
            word,
            WAIT,
            seen,
            ptr::from_ref(limit),
            none,
            0,
        )
    }
}

/// Sleeps until `is_done`. `EINTR` if a signal handler ran, `EAGAIN` if `deadline` comes first.
pub fn until(deadline: Option<Instant>, is_done: impl Fn() -> bool) -> Result<(), c_int> {
    loop {
        let look = Look::new();
        if is_done() {
            return Ok(());
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(libc::EAGAIN);
        }
        look.sleep(left)?;
    }
}
