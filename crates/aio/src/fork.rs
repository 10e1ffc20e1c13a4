//! fork(2): a child starts without requests. The parent keeps the outstanding requests and carries
//! them out.

use std::cell::UnsafeCell;
use std::sync::{MutexGuard, Once};

use crate::desk::{Desks, desks};
use crate::eager;
use crate::next::next;

/// The lock of the desks, while a process forks.
struct Held(UnsafeCell<Option<MutexGuard<'static, Desks>>>);

// SAFETY: only the thread that forks uses it, between two fork handlers, while it holds the lock.
unsafe impl Sync for Held {}

static HELD: Held = Held(UnsafeCell::new(None));

/// Finds the next implementation and registers the fork handlers, once.
///
/// Must be called before the first queue is made. Of the handlers before a fork, later
/// registrations run first. So the handler of `alq` has finished before `before` takes the lock.
pub fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        next();
        // SAFETY: the handlers are functions without arguments.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
}

extern "C" fn before() {
    let desks = desks();
    // SAFETY: this thread holds the lock.
    unsafe { *HELD.0.get() = Some(desks) };
}

extern "C" fn in_parent() {
    // SAFETY: this thread has held the lock since `before`.
    drop(unsafe { (*HELD.0.get()).take() });
}

extern "C" fn in_child() {
    // SAFETY: this is the thread that has held the lock since `before`.
    let Some(mut desks) = (unsafe { (*HELD.0.get()).take() }) else {
        return;
    };
    for mut desk in desks.drain(..) {
        for request in desk.outstanding() {
            request.handle.complete(Err(libc::ECANCELED));
        }
        drop(desk.file.take()); // close(2): the child must not hold the file open
        // The queues of the desk, and the groups and events of its requests, belong to the parent.
        std::mem::forget(desk);
    }
    eager::none_outstanding();
}
