//! Threads, started with `pthread_create(3)` instead of the standard library.
//!
//! The standard library's threads take locks of that library when they begin and end. If another
//! thread forks at that moment, the lock stays taken in the child, and the child's first thread
//! would hang. The C library takes care of its own locks at a fork.
//!
//! # Safety
//!
//! As in call.rs: every block is one call into libc, and argues about its pointers.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use super::platform::name_this_thread;

/// The name of a thread and the closure that it runs.
struct Start<F> {
    name: &'static CStr,
    body: F,
}

/// A thread that was started. If the handle is dropped, the thread continues, detached.
#[derive(Debug)]
pub struct Thread(libc::pthread_t);

// SAFETY: POSIX lets every thread of the process join or detach a thread. The C library may give a
// handle as a pointer (musl does); nothing here follows it.
unsafe impl Send for Thread {}

impl Thread {
    /// Waits until the thread has executed its last instruction. Source: `pthread_join(3)`.
    pub fn join(self) {
        let thread = core::mem::ManuallyDrop::new(self);
        // SAFETY: the thread was neither joined nor detached: both consume the handle.
        unsafe { libc::pthread_join(thread.0, ptr::null_mut()) };
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: as in `join`.
        unsafe { libc::pthread_detach(self.0) };
    }
}

/// Starts a thread called `name` (at most 15 bytes) with a stack of `stack_len` bytes. It has the
/// signal mask of the caller. A panic in `body` ends the thread. Source: `pthread_create(3)`.
///
/// # Errors
///
/// `EAGAIN` if no more threads are allowed, or there is no memory for this one.
pub fn spawn<F: FnOnce() + Send + 'static>(
    name: &'static CStr,
    stack_len: usize,
    body: F,
) -> io::Result<Thread> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the pointer leads to room for the attributes, which the call initialises.
    result_of(unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) })?;
    let attributes = attributes.as_mut_ptr();
    let start = Box::into_raw(Box::new(Start { name, body }));
    let mut thread = MaybeUninit::uninit();
    // SAFETY: the attributes are initialised. The call accepts the length or leaves them unchanged.
    unsafe { libc::pthread_attr_setstacksize(attributes, stack_len) };
    // SAFETY: the attributes are initialised, and `thread` is room for a handle. `run::<F>` takes
    // over `start`, a box of the type that it expects. The box may go to another thread, since `F`
    // may.
    let created =
        unsafe { libc::pthread_create(thread.as_mut_ptr(), attributes, run::<F>, start.cast()) };
    // SAFETY: initialised above, and not used again.
    unsafe { libc::pthread_attr_destroy(attributes) };
    if let Err(error) = result_of(created) {
        // SAFETY: no thread was created, so this is still the only owner.
        drop(unsafe { Box::from_raw(start) });
        return Err(error);
    }
    // SAFETY: pthread_create has stored the handle.
    Ok(Thread(unsafe { thread.assume_init() }))
}

fn result_of(errno: libc::c_int) -> io::Result<()> {
    match errno {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

extern "C" fn run<F: FnOnce()>(start: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` passed the box to this call alone.
    let Start { name, body } = *unsafe { Box::from_raw(start.cast::<Start<F>>()) };
    name_this_thread(name);
    if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
        core::mem::forget(payload); // its drop might panic again
    }
    ptr::null_mut()
}
