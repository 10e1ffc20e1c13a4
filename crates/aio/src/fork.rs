//! fork(2): a child starts without requests. Those that were outstanding stay the parent's, which
//! carries them out.

use std::cell::UnsafeCell;
use std::sync::{MutexGuard, Once};

use crate::desk::{Desks, desks};
use crate::eager;
use crate::next::next;

/// The lock of the desks, while a process forks.
struct Held(UnsafeCell<Option<MutexGuard<'static, Desks>>>);

// SAFETY: only the thread that forks uses it, between two handlers, and it holds the lock there.
unsafe impl Sync for Held {}

static HELD: Held = Held(UnsafeCell::new(None));

/// Finds the next implementation, and sees to forks from now on.
///
/// It is called before the first queue is made: handlers of later registrations run first, so `alq`
/// is done with its own before the lock is taken here.
pub fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        next();
        // SAFETY: they are functions without arguments.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
}

extern "C" fn before() {
    let desks = desks();
    // SAFETY: this thread has the lock.
    unsafe { *HELD.0.get() = Some(desks) };
}

extern "C" fn in_parent() {
    // SAFETY: this thread has the lock, since `before`.
    drop(unsafe { (*HELD.0.get()).take() });
}

extern "C" fn in_child() {
    // SAFETY: this is the thread that has the lock, since `before`.
    let Some(mut desks) = (unsafe { (*HELD.0.get()).take() }) else {
        return;
    };
    for mut desk in desks.drain(..) {
        for request in desk.outstanding() {
            request.handle.complete(Err(libc::ECANCELED));
        }
        drop(desk.file.take()); // close(2): a child holds no file open that it does not know of
        // Its queues are the parent's, and so are the groups and events of its requests.
        std::mem::forget(desk);
    }
    eager::none_outstanding();
}
