//! The world of loom, which explores every interleaving and reordering of small models (loom-tests/).

use std::ffi::CStr;
use std::io;
use std::time::Duration;

use loom::sync::{Condvar, MutexGuard};

pub use loom::hint::spin_loop;
pub use loom::sync::Arc;
pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
pub use loom::thread::ThreadId;
pub use std::sync::{Arc as PlainArc, Weak as PlainWeak}; // only for what is no part of a protocol

/// Compilers do not exist in the model; `Fences` never takes this form there.
pub fn compiler_fence(_: Ordering) {}

/// The asymmetric fence is not modelled: the model checks the symmetric form of the same protocol.
pub fn membarrier_register() -> bool {
    false
}

pub fn membarrier() -> bool {
    false
}

#[derive(Debug)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}

/// A futex by its definition: comparing and going to sleep are one step against a wake-up.
///
/// Time does not exist in the model: a limit is ignored, so a lost wake-up is a dead-lock that loom
/// reports, and no time-out can hide it.
#[derive(Debug)]
pub struct Futex {
    word: AtomicU32,
    lock: Mutex<()>,
    woken: Condvar,
}

impl core::ops::Deref for Futex {
    type Target = AtomicU32;

    fn deref(&self) -> &AtomicU32 {
        &self.word
    }
}

impl Futex {
    pub fn new(value: u32) -> Self {
        Self {
            word: AtomicU32::new(value),
            lock: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    pub fn wait(&self, expected: u32, _limit: Option<Duration>) {
        let guard = self.lock.lock();
        // Relaxed, as the kernel's own look: it orders nothing.
        if self.word.load(Ordering::Relaxed) == expected {
            drop(self.woken.wait(guard).unwrap());
        }
    }

    pub fn wait_interruptible(&self, expected: u32, _limit: Duration) -> bool {
        self.wait(expected, None);
        false
    }

    pub fn wake_all(&self) {
        let _guard = self.lock.lock();
        self.woken.notify_all();
    }
}

pub fn this_thread() -> ThreadId {
    loom::thread::current().id()
}

pub fn sleep(_: Duration) {
    loom::thread::yield_now();
}

/// A cell beside data: an access without a happens-before edge to the last one fails the model.
#[derive(Debug)]
pub struct Tracked(loom::cell::UnsafeCell<()>);

impl Tracked {
    pub fn new() -> Self {
        Self(loom::cell::UnsafeCell::new(()))
    }

    pub fn read(&self) {
        self.0.with(|_| ());
    }

    pub fn write(&self) {
        self.0.with_mut(|_| ());
    }
}

/// A thread that a model need not wait for: it ends only when all have.
#[derive(Debug)]
pub struct Thread;

#[derive(Debug, Default)]
pub struct Threads;

#[expect(clippy::unused_self, reason = "as those that ship")]
impl Threads {
    pub const fn add(&self, _: Thread) {}

    pub const fn join(&self) {}
}

pub fn spawn_quiet(_name: &CStr, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    drop(loom::thread::spawn(body));
    Ok(Thread)
}
