//! The world that ships: the standard library, and the kernel.

use std::cell::Cell;
use std::ffi::CStr;
use std::io;
use std::sync::{MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use super::unique_number;
use crate::primitives::os;

pub use core::hint::spin_loop;
/// An `Arc` that may hold a trait object, in both worlds; never part of a protocol.
pub use std::sync::Arc as PlainArc;
pub use std::sync::Arc;
pub use std::sync::Weak as PlainWeak;
pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, compiler_fence, fence};
pub use std::thread::sleep;

pub use crate::primitives::os::thread::Thread;

/// A lock that a panic does not poison: what it guards here is whole after every statement.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock, if nobody has it; never waits.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// A 32-bit word to sleep on. Source: futex(2).
#[derive(Debug)]
pub struct Futex(AtomicU32);

impl core::ops::Deref for Futex {
    type Target = AtomicU32;

    #[inline]
    fn deref(&self) -> &AtomicU32 {
        &self.0
    }
}

impl Futex {
    pub const fn new(value: u32) -> Self {
        Self(AtomicU32::new(value))
    }

    /// Sleeps while the word is `expected`, for `limit` at most. May return early for no reason.
    pub fn wait(&self, expected: u32, limit: Option<Duration>) {
        os::futex_wait(&self.0, expected, limit);
    }

    /// The same; whether a signal handler ended the sleep.
    pub fn wait_interruptible(&self, expected: u32, limit: Duration) -> bool {
        os::futex_wait(&self.0, expected, Some(limit)) == Some(libc::EINTR)
    }

    /// Wakes all who sleep on the word.
    pub fn wake_all(&self) {
        os::futex_wake_all(&self.0);
    }
}

/// A mark beside data whose accesses the model checks for races; nothing outside of the model.
#[cfg(any(test, fuzzing))]
#[derive(Debug)]
pub struct Tracked;

#[cfg(any(test, fuzzing))]
#[expect(clippy::unused_self, reason = "as the model's")]
impl Tracked {
    pub const fn new() -> Self {
        Self
    }

    #[inline]
    pub const fn read(&self) {}

    #[inline]
    pub const fn write(&self) {}
}

/// Registers this process for [`membarrier`]; `false` where the kernel has none. (Miri has none.)
pub fn membarrier_register() -> bool {
    !cfg!(miri) && os::membarrier_register()
}

/// A full fence on every running thread of the process; `false` if the system refused.
pub fn membarrier() -> bool {
    os::membarrier()
}

/// The number of a thread, which no other thread of the process gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadId(u64);

/// The thread that calls. Not by the standard library's numbers, for which it allocates memory that a C program would
/// find leaked.
pub fn this_thread() -> ThreadId {
    thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(unique_number());
        }
        ThreadId(number.get())
    })
}

/// Threads to be waited for.
#[derive(Debug, Default)]
pub struct Threads(Mutex<Vec<Thread>>);

impl Threads {
    pub fn add(&self, thread: Thread) {
        self.0.lock().push(thread);
    }

    /// Returns once those that were added have ended. Of several calls at once, one waits.
    pub fn join(&self) {
        let threads = core::mem::take(&mut *self.0.lock());
        threads.into_iter().for_each(Thread::join);
    }
}

/// The stack of a thread, as the standard library has it by default.
const STACK_LEN: usize = 2 << 20;

/// What a thread needs besides, for its first small allocations: if they fail, the process is aborted.
const STACK_MARGIN: usize = 256 << 10;

/// Starts a thread called `name` that takes no signals.
pub fn spawn_quiet(
    name: &'static CStr,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<Thread> {
    os::try_map(STACK_LEN + STACK_MARGIN)?;
    os::with_signals_blocked(|| os::thread::spawn(name, STACK_LEN, body))
}
