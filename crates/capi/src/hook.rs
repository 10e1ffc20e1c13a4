//! Whom to tell of errors that nobody asks for: a function of the caller's, and its argument.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use alq::Error;

/// `void (*)(void *arg, int error, const char *message)`.
pub type Callback = unsafe extern "C" fn(*mut c_void, c_int, *const c_char);

/// A callback as it was given to the options.
#[derive(Clone, Copy)]
pub struct Target {
    pub callback: Callback,
    pub arg: *mut c_void,
}

// SAFETY: the header says that the callback is called on any thread, with this argument.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// The callback of one queue, until that is closed.
pub struct Hook {
    target: Target,
    /// No call begins any more.
    ended: AtomicBool,
    /// Held while the callback runs.
    running: Mutex<()>,
    /// On which thread it runs.
    runs_on: Mutex<Option<libc::pthread_t>>,
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

    /// Reports an error, in words; `false` if that cannot be, because this very callback closes its queue.
    pub fn tell(&self, error: &Error, text: &str) -> bool {
        if self.is_current() {
            return false;
        }
        let message = CString::new(text).unwrap_or_default();
        let Ok(_running) = self.running.lock() else {
            return false; // never: a callback of C cannot panic
        };
        // Relaxed: the lock orders it, or it says what can still not be told.
        if self.ended.load(Ordering::Relaxed) {
            return true;
        }
        self.set_runs_on(Some(this_thread()));
        // SAFETY: the header says that it may be called with these until the queue is closed, and `end` waits for this.
        unsafe { (self.target.callback)(self.target.arg, error.errno(), message.as_ptr()) };
        self.set_runs_on(None);
        true
    }

    /// No call begins after it, and none runs but the one that may be calling this.
    pub fn end(&self) {
        // Relaxed: as above.
        self.ended.store(true, Ordering::Relaxed);
        if !self.is_current() {
            drop(self.running.lock());
        }
    }

    fn set_runs_on(&self, thread: Option<libc::pthread_t>) {
        *self.runs_on.lock().unwrap_or_else(PoisonError::into_inner) = thread;
    }

    /// Whether this very callback is what calls.
    fn is_current(&self) -> bool {
        let runs_on = self.runs_on.lock().unwrap_or_else(PoisonError::into_inner);
        *runs_on == Some(this_thread())
    }
}

/// The thread that calls. The standard library would allocate a number for it, which looks like a leak.
fn this_thread() -> libc::pthread_t {
    // SAFETY: the call has no arguments.
    unsafe { libc::pthread_self() }
}
