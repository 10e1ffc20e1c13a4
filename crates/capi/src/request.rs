//! `struct alq_req`: how requests are given out.

use std::ffi::c_int;
use std::ptr;

use alq::Completion;

use crate::handle::Table;

/// A request, as C holds it.
pub struct AlqReq(pub Completion);

/// All requests that were neither returned nor released.
pub static REQUESTS: Table<AlqReq> = Table::new();

/// Stores the handle of a request, and returns 0 or what stands in the way; in that case it stores `NULL`.
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
        return errno; // it goes on, and nobody will ask
    }
    let handle = completion.map_or(ptr::null_mut(), |one| REQUESTS.insert(AlqReq(one)));
    // SAFETY: this function asks for the same.
    unsafe { req.write(handle) };
    errno
}
