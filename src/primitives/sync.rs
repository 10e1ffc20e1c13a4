//! The only file that names the atomics and threads of the standard library, or loom's in their place.
//!
//! Everything above is compiled unchanged in both worlds. The cfg is our own (`alq_loom`), because a
//! global `--cfg loom` would also flip every dependency that listens to that name.

pub use imp::{
    Arc, AtomicBool, AtomicU32, AtomicU64, Futex, Mutex, Ordering, PlainArc, PlainWeak, ThreadId,
    compiler_fence, fence, membarrier, membarrier_register, sleep, spawn_quiet, spin_loop,
    this_thread,
};

/// A number that no other call in this process has got or will get.
pub fn unique_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};

    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only the number matters, and an RMW never gives it twice. It is no part of any protocol, so the
    // model does not see it.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The atomics of the standard library, in both worlds: for words of the whole process, which are no part of any
/// protocol that the model sees.
pub mod plain {
    pub use std::sync::atomic::{
        AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering,
    };
}

/// Whether the models run on the mutant `name` (`ALQ_MUTANT`): the code with one weakness built in, which a model must find.
/// There are none outside of the models.
#[cfg(alq_loom)]
pub fn is_mutant(name: &str) -> bool {
    static MUTANT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    *MUTANT.get_or_init(|| std::env::var("ALQ_MUTANT").unwrap_or_default()) == name
}

#[cfg(not(alq_loom))]
#[inline]
pub const fn is_mutant(_name: &str) -> bool {
    false
}

/// `strong`, or Relaxed in the mutant `name`.
#[inline]
pub fn unless_mutant(name: &str, strong: Ordering) -> Ordering {
    if is_mutant(name) {
        Ordering::Relaxed
    } else {
        strong
    }
}

#[cfg(any(test, alq_loom))] // only the heap memory uses it
pub use imp::Tracked;

#[cfg(not(alq_loom))]
mod imp {
    use std::ffi::CStr;
    use std::io;
    use std::sync::{MutexGuard, PoisonError, TryLockError};
    use std::thread;
    use std::time::Duration;

    use crate::primitives::os;

    pub use core::hint::spin_loop;
    /// An `Arc` that may hold a trait object, in both worlds; never part of a protocol.
    pub use std::sync::Arc as PlainArc;
    pub use std::sync::Arc;
    pub use std::sync::Weak as PlainWeak;
    pub use std::sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64, Ordering, compiler_fence, fence,
    };
    pub use std::thread::{ThreadId, sleep};

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
    #[cfg(test)]
    #[derive(Debug)]
    pub struct Tracked;

    #[cfg(test)]
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

    /// Registers this process for [`membarrier`]; `false` where the kernel has none.
    pub fn membarrier_register() -> bool {
        os::membarrier_register()
    }

    /// A full fence on every running thread of the process; `false` if the system refused.
    pub fn membarrier() -> bool {
        os::membarrier()
    }

    /// The thread that calls.
    pub fn this_thread() -> ThreadId {
        thread::current().id()
    }

    /// The stack of a thread, as the standard library has it by default.
    const STACK_LEN: usize = 2 << 20;

    /// What a thread needs besides, for its first small allocations: if they fail, the process is aborted.
    const STACK_MARGIN: usize = 256 << 10;

    /// Starts a thread called `name` that takes no signals.
    pub fn spawn_quiet(
        name: &'static CStr,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        os::try_map(STACK_LEN + STACK_MARGIN)?;
        os::with_signals_blocked(|| os::thread::spawn(name, STACK_LEN, body))
    }
}

#[cfg(alq_loom)]
mod imp {
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

    pub fn spawn_quiet(_name: &CStr, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        drop(loom::thread::spawn(body));
        Ok(())
    }
}
