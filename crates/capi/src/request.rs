//! `struct alq_req`: the table of requests.

use std::ffi::c_int;
use std::ptr;

use alq::Completion;

use crate::handle::Table;

/// A request that a C handle refers to.
pub struct AlqReq(pub Completion);

/// All requests that were neither returned nor released.
pub static REQUESTS: Table<AlqReq> = Table::new();

/// Stores the handle of a request in `req` and returns 0. On an error stores `NULL` and returns its
/// number.
///
/// # Safety
///
/// `req` must be `NULL` or valid.
pub unsafe fn give_out(req: *mut *mut AlqReq, result: Result<Completion, c_int>) -> c_int {
    let (completion, errno) = match result {
        Ok(completion) => (Some(completion), 0),
        Err(errno) => (None, errno),
    };
    if req.is_null() {
        return errno; // the operation continues; the caller does not want a request
    }
    let handle = completion.map_or(ptr::null_mut(), |one| REQUESTS.insert(AlqReq(one)));
    // SAFETY: this function has the same requirement.
    unsafe { req.write(handle) };
    errno
}
