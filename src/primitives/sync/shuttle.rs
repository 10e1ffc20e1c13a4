//! The world of shuttle, which draws schedules for scenarios that are too large for loom (shuttle-tests/).
//!
//! Shuttle takes every ordering for `SeqCst`: what it finds is wrong in any order, and what only a weaker one lets happen,
//! loom must find.

use std::ffi::CStr;
use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use shuttle::rand::Rng;
use shuttle::sync::{Condvar, MutexGuard};

pub use shuttle::hint::spin_loop;
pub use shuttle::sync::Arc;
pub use shuttle::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64, Ordering, compiler_fence, fence,
};
pub use shuttle::thread::{ThreadId, sleep};
pub use std::sync::{Arc as PlainArc, Weak as PlainWeak};

/// Fences do nothing here, so the asymmetric form would be the same as the other.
pub fn membarrier_register() -> bool {
    false
}

pub fn membarrier() -> bool {
    false
}

/// As in the world that ships, a panic does not poison it.
#[derive(Debug)]
pub struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}

/// A futex by its definition, as in the world of loom; but time passes here.
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

/// A sleep with a limit lasts for fewer turns of other threads than this, whatever the limit: a time-out may come at any
/// moment.
const TURNS_MAX: u32 = 32;

impl Futex {
    pub fn new(value: u32) -> Self {
        Self {
            word: AtomicU32::new(value),
            lock: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    /// Without a limit, a wake-up that is lost is a dead-lock, which shuttle reports.
    pub fn wait(&self, expected: u32, limit: Option<Duration>) {
        if limit.is_some() {
            let mut turns = shuttle::rand::thread_rng().gen_range(1..TURNS_MAX);
            // Relaxed: as the kernel's own look, and in this world it is SeqCst anyhow.
            while turns > 0 && self.word.load(Ordering::Relaxed) == expected {
                shuttle::thread::yield_now();
                turns -= 1;
            }
            return;
        }
        let guard = self.lock.lock();
        // Relaxed, as above.
        if self.word.load(Ordering::Relaxed) == expected {
            drop(self.woken.wait(guard));
        }
    }

    pub fn wait_interruptible(&self, expected: u32, limit: Duration) -> bool {
        self.wait(expected, Some(limit));
        false
    }

    pub fn wake_all(&self) {
        let _guard = self.lock.lock();
        self.woken.notify_all();
    }
}

pub fn this_thread() -> ThreadId {
    shuttle::thread::current().id()
}

/// Shuttle knows nothing of races: what the scenarios compare are the bytes.
#[derive(Debug)]
pub struct Tracked;

#[expect(clippy::unused_self, reason = "as loom's")]
impl Tracked {
    pub const fn new() -> Self {
        Self
    }

    pub const fn read(&self) {}

    pub const fn write(&self) {}
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

pub fn spawn_quiet(name: &CStr, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let name = name.to_string_lossy().into_owned();
    shuttle::thread::Builder::new()
        .name(name)
        .spawn(body)
        .map(|_| Thread)
}
