//! The error callback: a C function with its argument, which gets the errors that no call returns.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// `void (*)(void *arg, int error, const char *message)`.
pub type Callback = unsafe extern "C" fn(*mut c_void, c_int, *const c_char);

/// A callback as the caller set it in the options.
#[derive(Clone, Copy)]
pub struct Target {
    pub callback: Callback,
    pub arg: *mut c_void,
}

// SAFETY: the header says that any thread may call the callback with this argument.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// The callback of one queue, until the queue is closed.
pub struct Hook {
    target: Target,
    /// Set once no further call may begin.
    ended: AtomicBool,
    /// Held while the callback runs.
    running: Mutex<()>,
    /// The thread on which the callback runs.
    runs_on: Mutex<Option<usize>>,
}

impl Hook {
    pub fn new(target: Target) -> Self {
        Self {
            target,
            ended: AtomicBool::new(false),
            running: Mutex::new(()),
            runs_on: Mutex::new(None),
        }
    }

    /// Calls the callback with an errno and a text. Returns `false`, without a call, if the
    /// callback itself is what closes its queue.
    pub fn call(&self, errno: c_int, text: &str) -> bool {
        if self.is_current() {
            return false;
        }
        let message = CString::new(text).unwrap_or_default();
        let Ok(_running) = self.running.lock() else {
            return false; // never: a callback of C cannot panic
        };
        // Relaxed: `end` takes the lock after its store. A call that misses the store holds the
        // lock first, and `end` waits for it.
        if self.ended.load(Ordering::Relaxed) {
            return true;
        }
        self.set_runs_on(Some(this_thread()));
        // SAFETY: the header allows this call until the queue is closed, and `end` waits for it.
        unsafe { (self.target.callback)(self.target.arg, errno, message.as_ptr()) };
        self.set_runs_on(None);
        true
    }

    /// Ends the callback: when this returns, no call runs, and no call begins. The only exception
    /// is a call of the callback that itself calls this function.
    pub fn end(&self) {
        // Relaxed: see `call`.
        self.ended.store(true, Ordering::Relaxed);
        if !self.is_current() {
            drop(self.running.lock());
        }
    }

    fn set_runs_on(&self, thread: Option<usize>) {
        *self.runs_on.lock().unwrap_or_else(PoisonError::into_inner) = thread;
    }

    /// Whether the caller runs inside this callback.
    fn is_current(&self) -> bool {
        let runs_on = self.runs_on.lock().unwrap_or_else(PoisonError::into_inner);
        *runs_on == Some(this_thread())
    }
}

/// The calling thread, as a number: to some C libraries it is a pointer. `std::thread::current`
/// would allocate, which leak checkers report.
fn this_thread() -> usize {
    // SAFETY: the call has no arguments.
    unsafe { libc::pthread_self() as usize }
}
