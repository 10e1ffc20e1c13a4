//! The shipped world: the standard library and the kernel.

use std::cell::Cell;
use std::ffi::CStr;
use std::io;
use std::sync::{MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use super::unique_number;
use crate::primitives::os;

pub use core::hint::spin_loop;
/// An `Arc` that may hold a trait object, in all worlds. It is never part of a protocol.
pub use std::sync::Arc as PlainArc;
pub use std::sync::Arc;
pub use std::sync::Weak as PlainWeak;
pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, compiler_fence, fence};
pub use std::thread::sleep;

pub use crate::primitives::os::thread::Thread;

/// A lock that a panic does not poison: the data under our locks is whole after every statement.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the lock if it is free. Never waits.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// A 32-bit word to sleep on.
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

    /// Sleeps while the word is `expected`, for at most `limit`. May return early without a reason.
    pub fn wait(&self, expected: u32, limit: Option<Duration>) {
        os::futex_wait(&self.0, expected, limit);
    }

    /// Sleeps in the same way. Returns whether a signal handler ended the sleep.
    pub fn wait_interruptible(&self, expected: u32, limit: Duration) -> bool {
        os::futex_wait(&self.0, expected, Some(limit)) == Some(libc::EINTR)
    }

    /// Wakes all threads that sleep on the word. Keeps errno as it was, because a signal handler
    /// may call this.
    pub fn wake_all(&self) {
        os::process::keeping_errno(|| os::futex_wake_all(&self.0));
    }
}

/// Marks data whose accesses the model checks for races. Does nothing outside the model.
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

/// Registers this process for [`membarrier`]. Returns `false` if the kernel, or Miri, does not have
/// it.
pub fn membarrier_register() -> bool {
    !cfg!(miri) && os::membarrier_register()
}

/// Executes a full fence on every running thread of the process. Returns `false` if the system
/// refused.
pub fn membarrier() -> bool {
    os::membarrier()
}

/// The number of a thread, unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadId(u64);

/// Returns the calling thread's number. The standard library's number is not used: it allocates
/// memory that a C program would see as leaked.
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

/// A list of threads to wait for.
#[derive(Debug, Default)]
pub struct Threads(Mutex<Vec<Thread>>);

impl Threads {
    pub fn add(&self, thread: Thread) {
        self.0.lock().push(thread);
    }

    /// Waits until all threads added so far have ended. If several threads call it at once, only
    /// one of them waits.
    pub fn join(&self) {
        let threads = core::mem::take(&mut *self.0.lock());
        threads.into_iter().for_each(Thread::join);
    }
}

/// The stack of a thread: the standard library's default.
const STACK_LEN: usize = 2 << 20;

/// The memory for a new thread's first small allocations. If they failed, the process would be
/// aborted.
const STACK_MARGIN: usize = 256 << 10;

/// Starts a thread called `name` that receives no signals.
pub fn spawn_quiet(
    name: &'static CStr,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<Thread> {
    os::try_map(STACK_LEN + STACK_MARGIN)?;
    os::with_signals_blocked(|| os::thread::spawn(name, STACK_LEN, body))
}
