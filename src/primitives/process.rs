//! Which process this is, and values that exist once in each process. A child of fork(2) has copies
//! of everything that its parent has, and owns none of it.
//!
//! This file owns the process's generation and its page in memory. Nothing here takes a lock, so a
//! fork at any moment is harmless.
//!
//! # Safety
//!
//! All pointers here lead to memory that is never freed (a page that is never unmapped, boxes that
//! are leaked), except those of [`Once`], which frees its own box.
#![allow(unsafe_code)]

use std::ptr;

use super::fence::renew_registration;
use super::os::process::wiped_on_fork;
use super::sync::plain::{AtomicPtr, AtomicU32, Ordering};
use super::sync::unless_mutant;

/// The generation of this process, in memory that the kernel wipes in every child. In a child it is
/// 0 until the child asks for its own. Null before the first use.
static WORD: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// Replaces that memory if the kernel cannot wipe it. The handler of fork(3) wipes this word; a raw
/// clone(2) does not.
static UNWIPED: AtomicU32 = AtomicU32::new(0);

/// The last generation that this process, or any process in its chain of parents, has taken.
static LAST: AtomicU32 = AtomicU32::new(0);

/// The process that created a value. The value checks in every call, in its drop and at exit
/// whether it is still in that process. In a child its locks may be held by threads that do not
/// exist, and its memory may be the parent's.
#[derive(Clone, Copy, Debug)]
pub struct Home {
    word: &'static AtomicU32,
    generation: u32,
}

impl Home {
    /// Returns this process. Takes no lock and never waits, so a fork at any moment is harmless.
    pub fn here() -> Self {
        let word = word();
        loop {
            // Relaxed on all: the word carries only its own value.
            let generation = word.load(Ordering::Relaxed);
            if generation != 0 {
                return Self { word, generation };
            }
            renew_registration();
            let fresh = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            // if it fails, another thread has stored one that is as good
            let _ = word.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Returns a home that no process is: generations count from 1.
    pub fn nowhere(self) -> Self {
        Self {
            generation: u32::MAX,
            ..self
        }
    }

    /// Returns whether this process is the one that created it. Every append calls it.
    #[inline]
    pub fn is_here(self) -> bool {
        // Relaxed: it is stored before any `Home` of this process exists, and in a child while the
        // child has one thread.
        self.word.load(Ordering::Relaxed) == self.generation
    }
}

fn word() -> &'static AtomicU32 {
    // [home.word] Acquire, pairs with [home.page]: the page is mapped.
    let mut word = WORD.load(unless_mutant("home.word", Ordering::Acquire));
    if word.is_null() {
        let fresh = match wiped_on_fork() {
            Ok(page) => page.as_ptr(),
            Err(_) => ptr::from_ref(&UNWIPED).cast_mut(),
        };
        // [home.page] Release, pairs with [home.word] and [home.other]: the page is mapped. A
        // thread that loses this race leaves its page mapped: at most one page for each thread in
        // the race.
        // [home.other] Acquire, pairs with [home.page] of the thread that wins.
        word = match WORD.compare_exchange(
            ptr::null_mut(),
            fresh,
            unless_mutant("home.page", Ordering::Release),
            unless_mutant("home.other", Ordering::Acquire),
        ) {
            Ok(_) => fresh,
            Err(other) => other,
        };
    }
    // SAFETY: it is the static, or the start of a zeroed page that is never unmapped (all-zero
    // bytes are a valid atomic). It is only accessed as this atomic.
    unsafe { &*word }
}

/// Ends the validity of every [`Home`] in a child, also if the kernel has not wiped the word. For
/// the handler of fork(3).
pub fn leave_home() {
    // [home.leave] Acquire, pairs with [home.page].
    let word = WORD.load(unless_mutant("home.leave", Ordering::Acquire));
    if !word.is_null() {
        // SAFETY: as in `word`.
        let word = unsafe { &*word };
        // Relaxed: the child has one thread.
        word.store(0, Ordering::Relaxed);
    }
}

/// One value for each process: a child makes its own and never touches its parent's. The value of a
/// process that a fork has left is leaked. Like [`Home::here`], it takes no lock.
#[derive(Debug)]
pub struct PerProcess<T: 'static>(AtomicPtr<Owned<T>>);

#[derive(Debug)]
struct Owned<T> {
    home: Home,
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Returns the value of this process, if it exists.
    pub fn existing(&self) -> Option<&'static T> {
        self.look().1
    }

    /// Returns the pointer, and the value behind it if that is the value of this process.
    fn look(&self) -> (*mut Owned<T>, Option<&'static T>) {
        // [process.existing] Acquire, pairs with [process.get]: the value is seen.
        let order = unless_mutant("process.existing", Ordering::Acquire);
        let found = self.0.load(order);
        // SAFETY: it is null, or `get` leaked it and no thread writes it again.
        let owned = unsafe { found.as_ref() }.filter(|owned| owned.home.is_here());
        (found, owned.map(|owned| &owned.value))
    }

    /// Returns the value of this process; the first caller makes it. If several threads call it at
    /// once, each may make a value, and all but one of them are dropped.
    pub fn get(&self, make: impl Fn() -> T) -> &'static T {
        loop {
            let (stale, value) = self.look();
            if let Some(value) = value {
                return value;
            }
            let fresh = Box::into_raw(Box::new(Owned {
                home: Home::here(),
                value: make(),
            }));
            // [process.get] Release, pairs with [process.existing]. A thread that loses frees its
            // box, which no other thread has seen.
            let order = unless_mutant("process.get", Ordering::Release);
            let made = self
                .0
                .compare_exchange(stale, fresh, order, Ordering::Relaxed);
            if made.is_err() {
                // SAFETY: made above, and never shared.
                drop(unsafe { Box::from_raw(fresh) });
            }
        }
    }
}

/// A value that is set once. It takes no lock and never waits, so a fork at any moment leaves a
/// whole value, or no value, in the child.
#[derive(Debug)]
pub struct Once<T>(AtomicPtr<T>);

impl<T> Once<T> {
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Returns the value, if it is set.
    pub fn get(&self) -> Option<&T> {
        // [once.get] Acquire, pairs with [once.set]: the value is seen.
        let value = self.0.load(unless_mutant("once.get", Ordering::Acquire));
        // SAFETY: it is null, or a box that `get_or_set` leaked and that only the drop frees.
        unsafe { value.as_ref() }
    }

    /// Sets `value` and returns it; if another thread was faster, returns that thread's value.
    pub fn get_or_set(&self, value: T) -> &T {
        let fresh = Box::into_raw(Box::new(value));
        // [once.set] Release, pairs with [once.get] and [once.other]: the value is seen.
        // [once.other] Acquire, pairs with [once.set] of the thread that was faster.
        let set = match self.0.compare_exchange(
            ptr::null_mut(),
            fresh,
            unless_mutant("once.set", Ordering::Release),
            unless_mutant("once.other", Ordering::Acquire),
        ) {
            Ok(_) => fresh,
            Err(other) => {
                // SAFETY: made above, and never shared.
                drop(unsafe { Box::from_raw(fresh) });
                other
            }
        };
        // SAFETY: as in `get`; it is not null.
        unsafe { &*set }
    }
}

impl<T> Drop for Once<T> {
    fn drop(&mut self) {
        let value = *self.0.get_mut();
        if !value.is_null() {
            // SAFETY: `get_or_set` leaked it, and `drop` has the only reference to `self`.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

// SAFETY: as for `OnceLock`: any thread may set the value, look at it, or drop it.
unsafe impl<T: Send + Sync> Sync for Once<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Once<T> {}

#[cfg(test)]
mod tests {
    use super::{Home, PerProcess};
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn all_homes_of_one_process_are_the_same() {
        let (one, other) = (Home::here(), Home::here());
        assert!(one.is_here() && other.is_here());
        assert_eq!(one.generation, other.generation);
    }

    #[test]
    fn a_process_makes_its_value_once_for_all_threads() {
        static VALUE: PerProcess<u32> = PerProcess::new();
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let get = || VALUE.get(|| NEXT.fetch_add(1, Ordering::Relaxed));
        let all: Vec<u32> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| *get())).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(all.iter().all(|value| value == &all[0]), "{all:?}");
        assert_eq!(VALUE.existing(), Some(&all[0]));
    }
}
