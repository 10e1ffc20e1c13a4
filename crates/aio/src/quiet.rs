//! Signals and cancellation, while a thread of the program does the work of a flusher: no signal
//! handler runs on it, and it is not cancelled. Also errno.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

const PTHREAD_CANCEL_DISABLE: c_int = 1;

/// Blocks signals and cancellation on this thread until it is dropped.
pub struct Quiet {
    signals: libc::sigset_t,
    cancel_state: c_int,
}

impl Quiet {
    pub fn new() -> Self {
        let mut cancel_state = 0;
        // SAFETY: the pointer is to a live number.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut cancel_state) };
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut signals = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the call initialises the set.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        // SAFETY: the first set is initialised; the call initialises the second.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), signals.as_mut_ptr()) };
        Self {
            // SAFETY: pthread_sigmask fails only for an unknown first argument, so the set is
            // initialised.
            signals: unsafe { signals.assume_init() },
            cancel_state,
        }
    }

    /// Removes a pending signal that a write on this thread has raised: it was not a write of the
    /// program.
    pub fn discard(&self, signo: c_int) {
        // SAFETY: the set is valid.
        if unsafe { libc::sigismember(&raw const self.signals, signo) } == 1 {
            return; // the program itself blocks it, and it may have been pending before
        }
        let mut one = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the call initialises the set.
        unsafe { libc::sigemptyset(one.as_mut_ptr()) };
        // SAFETY: the set is initialised.
        unsafe { libc::sigaddset(one.as_mut_ptr(), signo) };
        let at_once = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: all pointers are to live values.
        unsafe { libc::sigtimedwait(one.as_ptr(), ptr::null_mut(), &raw const at_once) };
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let to = &raw const self.signals;
        // SAFETY: the set is the one from before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, to, ptr::null_mut()) };
        // SAFETY: the state is the one from before.
        unsafe { pthread_setcancelstate(self.cancel_state, ptr::null_mut()) };
    }
}

/// Sets errno, and returns -1.
pub fn fail(errno: c_int) -> c_int {
    // SAFETY: the call has no argument.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the address of this thread's errno is always valid.
    unsafe { place.write(errno) };
    -1
}

/// The errno of the system call that has just failed.
pub fn last_errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
