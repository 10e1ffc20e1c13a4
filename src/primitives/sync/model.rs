//! The worlds of the model checkers. Loom explores every interleaving and reordering of small
//! models (loom-tests/). Shuttle runs random schedules of scenarios that are too large for loom
//! (shuttle-tests/).
//!
//! Both have the types of the standard library, so this file is written once, over the types of the
//! `checker` in use. Everything in which the two differ is in [`world`].

use std::ffi::CStr;
use std::io;
use std::sync::PoisonError;
use std::time::Duration;

#[cfg(alq_loom)]
use loom as checker;
#[cfg(alq_shuttle)]
use shuttle as checker;

use checker::sync::{Condvar, MutexGuard};
use checker::thread::{Builder, current};

pub use checker::hint::spin_loop;
pub use checker::sync::Arc;
pub use checker::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
pub use checker::thread::ThreadId;
// only for values that are not part of a protocol
pub use std::sync::{Arc as PlainArc, Weak as PlainWeak};
pub use world::{Tracked, compiler_fence, sleep};

/// Loom: time does not pass, no compiler reorders, and every race is seen.
#[cfg(alq_loom)]
mod world {
    use std::time::Duration;

    use super::Ordering;

    /// Does nothing: the model has no compiler, and `Fences` never uses this form in it.
    pub fn compiler_fence(_: Ordering) {}

    pub fn sleep(_: Duration) {
        loom::thread::yield_now();
    }

    /// Returns `None`: no sleep ends by itself. A lost wake-up is then a deadlock, which loom
    /// reports, and no timeout hides it.
    pub fn turns() -> Option<u32> {
        None
    }

    /// A cell beside data. An access without a happens-before edge to the last one fails the model.
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
}

/// Shuttle: time passes, every ordering is `SeqCst`, and no race is seen. So shuttle finds errors
/// that exist in any order; loom must find those that need a weaker order.
#[cfg(alq_shuttle)]
mod world {
    use shuttle::rand::Rng;

    pub use shuttle::sync::atomic::compiler_fence;
    pub use shuttle::thread::sleep;

    /// A sleep with a limit lasts for fewer turns of other threads than this, however long the
    /// limit is: a timeout may come at any moment.
    const TURNS_MAX: u32 = 32;

    /// Returns for how many turns of other threads a sleep with a limit lasts.
    pub fn turns() -> Option<u32> {
        Some(shuttle::rand::thread_rng().gen_range(1..TURNS_MAX))
    }

    /// Does nothing: the scenarios compare the bytes.
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
}

/// Returns `false`: neither checker models the asymmetric fence. They check the symmetric form of
/// the same protocol.
pub fn membarrier_register() -> bool {
    false
}

pub fn membarrier() -> bool {
    false
}

/// A lock that a panic does not poison, as in the shipped world.
#[derive(Debug)]
pub struct Mutex<T>(checker::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(checker::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}

/// A futex by its definition: the comparison and the start of the sleep are one step, which no
/// wake-up can divide.
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

    /// Sleeps while the word is `expected`. Without a limit, a lost wake-up is a deadlock, which
    /// both checkers report.
    pub fn wait(&self, expected: u32, limit: Option<Duration>) {
        if let Some(mut turns) = limit.and_then(|_| world::turns()) {
            // Relaxed, like the kernel's own look.
            while turns > 0 && self.word.load(Ordering::Relaxed) == expected {
                checker::thread::yield_now();
                turns -= 1;
            }
            return;
        }
        let guard = self.lock.lock();
        // Relaxed, like the kernel's own look: it orders nothing.
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
    current().id()
}

/// A thread that a model need not join: a model ends only when all of its threads have ended.
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
    Builder::new().name(name).spawn(body).map(|_| Thread)
}
