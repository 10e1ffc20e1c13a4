//! Sleeps until a request is complete. A completion makes a system call only if a thread sleeps.

use std::ffi::{c_int, c_long};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::quiet::last_errno;

/// Counts completions in steps of 2. The lowest bit says that a thread sleeps or is about to sleep.
static COMPLETIONS: AtomicU32 = AtomicU32::new(0);
const WAIT: c_int = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
const WAKE: c_int = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
const SLEEPER: u32 = 1;
const COMPLETION: u32 = 2;

unsafe extern "C-unwind" {
    /// libc's syscall(2), declared so that a cancellation may unwind it.
    fn syscall(number: c_long, ...) -> c_long;
}

/// Wakes every sleeping thread. The caller must store what they wait for before the call.
pub fn wake() {
    let next = |word: u32| Some((word & !SLEEPER).wrapping_add(COMPLETION));
    // [wait.wake] AcqRel, pairs with [wait.look]: if the sleeper comes later, it sees what was
    // stored before; if it came earlier, this call sees its bit. (Relaxed on failure: the update is
    // tried again.)
    let before = COMPLETIONS.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next);
    if before.is_ok_and(|word| word & SLEEPER != 0) {
        let word = COMPLETIONS.as_ptr();
        // SAFETY: the word lives as long as the process.
        unsafe { libc::syscall(libc::SYS_futex, word, WAKE, i32::MAX) };
    }
}

/// A token that is taken before a check, for the sleep after it. It has no destructor: a thread
/// that is cancelled in its sleep runs no destructors.
#[derive(Clone, Copy)]
pub struct Look(u32);

impl Look {
    /// Call this before each check of the condition; if the condition does not hold, call
    /// [`sleep`](Look::sleep).
    pub fn new() -> Self {
        // [wait.look] AcqRel, pairs with [wait.wake].
        Self(COMPLETIONS.fetch_or(SLEEPER, Ordering::AcqRel) | SLEEPER)
    }

    /// Sleeps until a request completes after [`new`](Look::new), or for `limit`. `EINTR` if a
    /// signal handler ran.
    pub fn sleep(self, limit: Option<Duration>) -> Result<(), c_int> {
        // The kernel restarts a futex wait without a time-out after a handler with SA_RESTART, but
        // not one with a time-out. So every wait has one.
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

/// Sleeps until `is_done` returns true. `EINTR` if a signal handler ran, `EAGAIN` after `deadline`.
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
