//! Threads, by the system's own call.
//!
//! Not by the standard library's: its threads take locks of its own when they begin and end. A fork that another thread
//! does meanwhile leaves such a lock taken in the child, for ever, and the first thread of the child would hang. The C
//! library sees to its own locks.
//!
//! # Safety
//!
//! As in the file above this one.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// What a thread runs, and its name.
struct Start<F> {
    name: &'static CStr,
    body: F,
}

/// A thread that was started. Dropped, it runs on by itself.
#[derive(Debug)]
pub struct Thread(libc::pthread_t);

impl Thread {
    /// Waits until the thread has ended, to its last instruction. Source: `pthread_join(3)`.
    pub fn join(self) {
        let thread = core::mem::ManuallyDrop::new(self);
        // SAFETY: the thread was neither joined nor detached: both take the handle.
        unsafe { libc::pthread_join(thread.0, ptr::null_mut()) };
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: as in `join`.
        unsafe { libc::pthread_detach(self.0) };
    }
}

/// Starts a thread called `name` (15 bytes at most) with a stack of `stack_len` bytes. Its signal mask is that
/// of the caller. A panic in `body` ends the thread. Source: `pthread_create(3)`.
///
/// # Errors
///
/// `EAGAIN` if there may be no more threads, or no memory for this one.
pub fn spawn<F: FnOnce() + Send + 'static>(
    name: &'static CStr,
    stack_len: usize,
    body: F,
) -> io::Result<Thread> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the call initialises the attributes that it is given room for.
    result_of(unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) })?;
    let attributes = attributes.as_mut_ptr();
    let start = Box::into_raw(Box::new(Start { name, body }));
    let mut thread = MaybeUninit::uninit();
    // SAFETY: the attributes are initialised; the length is one that is allowed, or they stay as they are.
    unsafe { libc::pthread_attr_setstacksize(attributes, stack_len) };
    // SAFETY: the attributes are initialised, `thread` is room for a handle; `run::<F>` takes over `start`, which is a
    // box of the type that it expects and may go to another thread, since `F` may.
    let created =
        unsafe { libc::pthread_create(thread.as_mut_ptr(), attributes, run::<F>, start.cast()) };
    // SAFETY: initialised above, and not used again.
    unsafe { libc::pthread_attr_destroy(attributes) };
    if let Err(error) = result_of(created) {
        // SAFETY: no thread was made that has taken it over.
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
    // SAFETY: `spawn` gave the box away to this call alone.
    let Start { name, body } = *unsafe { Box::from_raw(start.cast::<Start<F>>()) };
    // SAFETY: the name is a string that lives for ever; the kernel copies it.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
        core::mem::forget(payload); // its drop might panic again
    }
    ptr::null_mut()
}
