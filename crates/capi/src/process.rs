//! Calls for all queues of the process: `alq_shutdown` and `alq_flush_all`.

use std::ffi::c_int;

use libc::timespec;

use crate::arguments::duration;
use crate::errors::status;
use crate::queue::AlqUndrained;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_shutdown(timeout: *const timespec, left: *mut AlqUndrained) -> c_int {
    // SAFETY: the header requires it.
    let Ok(timeout) = (unsafe { duration(timeout) }) else {
        return libc::EINVAL;
    };
    let result = alq::shutdown(timeout);
    // SAFETY: the header requires it.
    unsafe { AlqUndrained::store(left, &result) };
    status(result.map_err(|undrained| undrained.cause))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_flush_all(timeout: *const timespec) -> c_int {
    // SAFETY: the header requires it.
    match unsafe { duration(timeout) } {
        Ok(timeout) => status(alq::flush_all(timeout)),
        Err(errno) => errno,
    }
}
