//! `struct alq`: flush, reopen and close.

use std::ffi::{c_char, c_int};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use alq::{Completion, Error, Queue, Undrained};
use libc::timespec;

use crate::arguments::{borrow, duration, path_of};
use crate::entries::Entries;
use crate::errors::{complain, set_errno, status, through_errno, uncancelled};
use crate::handle::Table;
use crate::hook::Hook;
use crate::request::{AlqReq, give_out};

/// A queue that a C handle refers to.
pub struct Alq {
    pub queue: Queue,
    pub entries: Entries,
    /// The length of each record, on a queue of fixed records.
    pub entry_len: Option<c_int>,
    pub hook: Option<Arc<Hook>>,
    /// The process that opened the queue. In a child of fork(2), a lock of the parent may stay
    /// locked.
    pub process: u32,
}

/// All open queues.
pub static QUEUES: Table<Alq> = Table::new();

/// Queues that were closed while entries were open. Their memory stays: a caller may still fill an
/// entry.
static RETIRED: Table<Alq> = Table::new();

/// `struct alq_undrained`.
#[repr(C)]
pub struct AlqUndrained {
    pub bytes: u64,
    pub records: u64,
    pub abandoned: u64,
    pub cause: c_int,
    pub in_ring_file: c_int,
}

impl AlqUndrained {
    /// Stores the result of a close in `left`, if that is not `NULL`.
    ///
    /// # Safety
    ///
    /// `left` must be `NULL` or valid.
    pub unsafe fn store(left: *mut Self, result: &Result<(), Undrained>) {
        let value = match result {
            Ok(()) => Self {
                bytes: 0,
                records: 0,
                abandoned: 0,
                cause: 0,
                in_ring_file: 0,
            },
            Err(undrained) => Self {
                bytes: undrained.bytes,
                records: undrained.records,
                abandoned: undrained.abandoned,
                cause: undrained.cause.errno(),
                in_ring_file: c_int::from(undrained.in_ring_file),
            },
        };
        if !left.is_null() {
            // SAFETY: this function has the same requirement.
            unsafe { left.write(value) };
        }
    }
}

impl Alq {
    /// Closes the queue and frees it, or keeps it if a caller may still write to an entry. Then
    /// passes the result and the hook to `report`. The hook is not called after that.
    fn close(
        self,
        timeout: Option<Duration>,
        report: impl FnOnce(&Result<(), Undrained>, Option<&Hook>),
    ) -> c_int {
        let result = self.queue.close(timeout);
        let hook = self.hook.clone();
        let is_foreign = self.process != std::process::id();
        let abandoned = result.as_ref().is_err_and(|left| left.abandoned > 0);
        let entries = &self.entries;
        if abandoned || entries.any_open_aside() || (is_foreign && entries.any_open()) {
            RETIRED.insert(self);
        } else {
            drop(self);
        }
        report(&result, hook.as_deref());
        if let (Some(hook), false) = (hook, is_foreign) {
            hook.end();
        }
        status(result.map_err(|undrained| undrained.cause))
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_capacity(alq: *const Alq) -> usize {
    // SAFETY: the header requires it.
    let Some(alq) = (unsafe { QUEUES.get(alq) }) else {
        set_errno(libc::EINVAL);
        return 0;
    };
    alq.queue.capacity()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_activate(alq: *mut Alq) {
    through_errno(|| {
        // SAFETY: the header requires it.
        let Some(alq) = (unsafe { QUEUES.get(alq) }) else {
            return libc::EINVAL;
        };
        alq.queue.activate();
        0
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_flush(alq: *mut Alq) {
    // SAFETY: the header requires it.
    through_errno(|| unsafe { alq_flush_timeout(alq, ptr::null()) });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_flush_timeout(alq: *mut Alq, timeout: *const timespec) -> c_int {
    // SAFETY: the header requires it.
    let (alq, timeout) = (unsafe { QUEUES.get(alq) }, unsafe { duration(timeout) });
    match (alq, timeout) {
        (Some(alq), Ok(None)) => status(alq.queue.flush()),
        (Some(alq), Ok(Some(timeout))) => status(alq.queue.flush_timeout(timeout)),
        _ => libc::EINVAL,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_close(alq: *mut Alq) {
    let report = |result: &Result<(), Undrained>, hook: Option<&Hook>| {
        let Err(undrained) = result else { return };
        let is_reported =
            hook.is_some_and(|hook| hook.call(undrained.cause.errno(), &undrained.to_string()));
        if !is_reported {
            complain(&["alq: alq_close, ", &undrained.to_string(), "\n"]);
        }
    };
    // SAFETY: the header requires it.
    through_errno(|| match unsafe { QUEUES.remove(alq) } {
        Some(alq) => alq.close(None, report),
        None => libc::EINVAL,
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_close_timeout(
    alq: *mut Alq,
    timeout: *const timespec,
    left: *mut AlqUndrained,
) -> c_int {
    // SAFETY: the header requires it.
    let Ok(timeout) = (unsafe { duration(timeout) }) else {
        return libc::EINVAL;
    };
    // SAFETY: the header requires it.
    uncancelled(|| match unsafe { QUEUES.remove(alq) } {
        // SAFETY: the header requires it.
        Some(alq) => alq.close(timeout, |result, _| unsafe {
            AlqUndrained::store(left, result);
        }),
        None => libc::EINVAL,
    })
}

/// Reopens a queue on a descriptor, as `reopen` says.
///
/// # Safety
///
/// As for [`alq_reopen`].
unsafe fn reopen_on(
    alq: *mut Alq,
    fd: c_int,
    req: *mut *mut AlqReq,
    reopen: impl FnOnce(&Queue, BorrowedFd<'_>) -> Result<Completion, Error>,
) -> c_int {
    let reopen = || {
        // SAFETY: the header requires it.
        let Alq { queue, .. } = unsafe { QUEUES.get(alq) }.ok_or(libc::EINVAL)?;
        // SAFETY: it is used during this call only.
        let fd = unsafe { borrow(fd) }?;
        reopen(queue, fd).map_err(|error| error.errno())
    };
    // SAFETY: the header requires it.
    unsafe { give_out(req, uncancelled(reopen)) }
}

/// Reopens a queue on a path, as `reopen` says.
///
/// # Safety
///
/// As for [`alq_reopen_path`].
unsafe fn reopen_path(
    alq: *mut Alq,
    file: *const c_char,
    req: *mut *mut AlqReq,
    reopen: impl FnOnce(&Queue, &Path) -> Result<Completion, Error>,
) -> c_int {
    let reopen = || {
        // SAFETY: the header requires it.
        let Alq { queue, .. } = unsafe { QUEUES.get(alq) }.ok_or(libc::EINVAL)?;
        // SAFETY: the header requires it.
        let path = unsafe { path_of(file) }?;
        reopen(queue, path).map_err(|error| error.errno())
    };
    // SAFETY: the header requires it.
    unsafe { give_out(req, uncancelled(reopen)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_reopen(alq: *mut Alq, fd: c_int, req: *mut *mut AlqReq) -> c_int {
    // SAFETY: the header requires the same.
    unsafe { reopen_on(alq, fd, req, |queue, fd| queue.reopen(fd)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_reopen_discarding(
    alq: *mut Alq,
    fd: c_int,
    req: *mut *mut AlqReq,
) -> c_int {
    // SAFETY: the header requires the same.
    unsafe { reopen_on(alq, fd, req, |queue, fd| queue.reopen_discarding(fd)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_reopen_path(
    alq: *mut Alq,
    file: *const c_char,
    req: *mut *mut AlqReq,
) -> c_int {
    // SAFETY: the header requires the same.
    unsafe { reopen_path(alq, file, req, |queue, path| queue.reopen_path(path)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_reopen_discarding_path(
    alq: *mut Alq,
    file: *const c_char,
    req: *mut *mut AlqReq,
) -> c_int {
    let reopen = |queue: &Queue, path: &Path| queue.reopen_discarding_path(path);
    // SAFETY: the header requires the same.
    unsafe { reopen_path(alq, file, req, reopen) }
}
