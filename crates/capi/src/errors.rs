//! How C gets errors: as numbers, returned or in errno; misuse that damages memory ends the
//! process.

use std::ffi::c_int;
use std::process::abort;

use alq::Error;

/// Returns the number of an append's error. As in alq(9), a closed queue gives the same number as a
/// full one.
#[cold]
pub fn append_errno(error: &Error) -> c_int {
    match error {
        Error::Closed => libc::EWOULDBLOCK,
        other => other.errno(),
    }
}

/// Sets errno.
#[cold]
pub fn set_errno(errno: c_int) {
    // SAFETY: the address of this thread's errno is always valid.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { *place = errno };
}

/// Runs `call`, for a function that reports its failure in errno alone. Afterwards errno is what
/// `call` returned or, if that is 0, its value from before, even if `call` changed errno on its
/// way.
pub fn through_errno(call: impl FnOnce() -> c_int) {
    // SAFETY: the address of this thread's errno is always valid.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *place };
    let errno = uncancelled(call);
    set_errno(if errno == 0 { before } else { errno });
}

/// Runs `call` with cancellation disabled (`pthread_cancel(3)`). Otherwise a system call of the
/// library could act on a cancellation and unwind the stack of Rust, which ends the process.
pub fn uncancelled<T>(call: impl FnOnce() -> T) -> T {
    let before = set_cancellation(CANCEL_DISABLE);
    let result = call();
    set_cancellation(before);
    result
}

/// `PTHREAD_CANCEL_DISABLE`, in both C libraries for Linux.
const CANCEL_DISABLE: c_int = 1;

fn set_cancellation(state: c_int) -> c_int {
    unsafe extern "C" {
        fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
    }
    let mut before = 0;
    // SAFETY: the pointer is to a number that outlives the call.
    unsafe { pthread_setcancelstate(state, &raw mut before) };
    before
}

/// Acts on a pending cancellation. The frames above must belong to functions that can be unwound
/// and have nothing to drop.
#[expect(unsafe_op_in_unsafe_fn, reason = "the same condition")]
pub unsafe fn act_on_cancellation() {
    unsafe extern "C-unwind" {
        fn pthread_testcancel();
    }
    pthread_testcancel();
}

/// Returns 0, or the number of the error.
#[inline]
pub fn status<T>(result: Result<T, Error>) -> c_int {
    match result {
        Ok(_) => 0,
        Err(error) => error.errno(),
    }
}

/// Returns 0, or -1 with the number in errno, as the aio functions do.
pub fn aio_status(result: Result<(), c_int>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(errno) => {
            set_errno(errno);
            -1
        }
    }
}

/// Ends the process with a message, because a call has damaged memory or would damage it.
/// Async-signal-safe.
#[cold]
pub fn misuse(function: &str, what: &str) -> ! {
    complain(&["alq: ", function, ": ", what, "\n"]);
    abort()
}

/// Writes to standard error and ignores failures. Allocates nothing.
pub fn complain(pieces: &[&str]) {
    for piece in pieces {
        // SAFETY: the slice is valid for its length.
        unsafe { libc::write(libc::STDERR_FILENO, piece.as_ptr().cast(), piece.len()) };
    }
}
