//! How errors come to C: as numbers, in errno or returned; or as the end of the process.

use std::ffi::c_int;
use std::process::abort;

use alq::Error;

/// What an append says. A queue that takes nothing any more says the same as a full one, as alq(9) does.
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
    // SAFETY: the address is that of this thread's errno, always valid.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { *place = errno };
}

/// For a call that has only errno to say that it failed: whatever `call` does to errno on its way, afterwards it is what
/// `call` returns, or, if that is 0, what it was.
pub fn through_errno(call: impl FnOnce() -> c_int) {
    // SAFETY: the address is that of this thread's errno, always valid.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *place };
    let errno = uncancelled(call);
    set_errno(if errno == 0 { before } else { errno });
}

/// Runs `call` without acting on pthread_cancel(3): a cancellation that system calls of the library acted on would unwind
/// the stack of Rust, which ends the process.
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
    // SAFETY: the pointer is to a number that lives over the call.
    unsafe { pthread_setcancelstate(state, &raw mut before) };
    before
}

/// Acts on a cancellation that is pending. The frames above must be of functions that have nothing to drop, and can be
/// unwound.
#[expect(unsafe_op_in_unsafe_fn, reason = "the same condition")]
pub unsafe fn act_on_cancellation() {
    unsafe extern "C-unwind" {
        fn pthread_testcancel();
    }
    pthread_testcancel();
}

/// `0`, or the number of the error.
#[inline]
pub fn status<T>(result: Result<T, Error>) -> c_int {
    match result {
        Ok(_) => 0,
        Err(error) => error.errno(),
    }
}

/// `0`; or -1, and errno says why: the manner of the aio functions.
pub fn aio_status(result: Result<(), c_int>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(errno) => {
            set_errno(errno);
            -1
        }
    }
}

/// Ends the process, because a call shows that memory has been, or would be, damaged. Async-signal-safe.
#[cold]
pub fn misuse(function: &str, what: &str) -> ! {
    complain(&["alq: ", function, ": ", what, "\n"]);
    abort()
}

/// Writes to standard error, as far as that takes it. Allocates nothing.
pub fn complain(pieces: &[&str]) {
    for piece in pieces {
        // SAFETY: the slice is valid for its length.
        unsafe { libc::write(libc::STDERR_FILENO, piece.as_ptr().cast(), piece.len()) };
    }
}
