//! `struct alq`: flushing, reopening, closing.

use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use alq::{Queue, Undrained};
use libc::timespec;

use crate::arguments::{borrow, duration, path_of};
use crate::entries::Entries;
use crate::errors::{complain, set_errno, status, through_errno, uncancelled};
use crate::handle::Table;
use crate::hook::Hook;
use crate::request::{AlqReq, give_out};

/// A queue, as C holds it.
pub struct Alq {
    pub queue: Queue,
    pub entries: Entries,
    /// The length of every record, if it is fixed.
    pub entry_len: Option<c_int>,
    pub hook: Option<Arc<Hook>>,
    /// The process that opened it: in a child of fork(2), a lock of its parent's may be taken for ever.
    pub process: u32,
}

/// All queues that are open.
pub static QUEUES: Table<Alq> = Table::new();

/// Those that were closed while entries were open: whoever still fills one must find its memory.
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
    /// Fills one in, if there is one.
    ///
    /// # Safety
    ///
    /// `left` must be `NULL` or valid.
    pub unsafe fn tell(left: *mut Self, result: &Result<(), Undrained>) {
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
            // SAFETY: this function asks for the same.
            unsafe { left.write(value) };
        }
    }
}

impl Alq {
    /// Closes the queue and frees it, or keeps what somebody may still write to. What is left is given to `tell`, with the
    /// hook, which is called no more after that.
    fn close(
        self,
        timeout: Option<Duration>,
        tell: impl FnOnce(&Result<(), Undrained>, Option<&Hook>),
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
        tell(&result, hook.as_deref());
        if let (Some(hook), false) = (hook, is_foreign) {
            hook.end();
        }
        status(result.map_err(|undrained| undrained.cause))
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_capacity(alq: *const Alq) -> usize {
    // SAFETY: as the header says.
    let Some(alq) = (unsafe { QUEUES.get(alq) }) else {
        set_errno(libc::EINVAL);
        return 0;
    };
    alq.queue.capacity()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_activate(alq: *mut Alq) {
    through_errno(|| {
        // SAFETY: as the header says.
        let Some(alq) = (unsafe { QUEUES.get(alq) }) else {
            return libc::EINVAL;
        };
        alq.queue.activate();
        0
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_flush(alq: *mut Alq) {
    // SAFETY: as the header says.
    through_errno(|| unsafe { alq_flush_timeout(alq, ptr::null()) });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_flush_timeout(alq: *mut Alq, timeout: *const timespec) -> c_int {
    // SAFETY: as the header says.
    let (alq, timeout) = (unsafe { QUEUES.get(alq) }, unsafe { duration(timeout) });
    match (alq, timeout) {
        (Some(alq), Ok(None)) => status(alq.queue.flush()),
        (Some(alq), Ok(Some(timeout))) => status(alq.queue.flush_timeout(timeout)),
        _ => libc::EINVAL,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_close(alq: *mut Alq) {
    let tell = |result: &Result<(), Undrained>, hook: Option<&Hook>| {
        let Err(undrained) = result else { return };
        let told =
            hook.is_some_and(|hook| hook.tell(&undrained.cause, &undrained.cause.to_string()));
        if !told {
            complain(&["alq: alq_close, ", &undrained.to_string(), "\n"]);
        }
    };
    // SAFETY: as the header says.
    through_errno(|| match unsafe { QUEUES.remove(alq) } {
        Some(alq) => alq.close(None, tell),
        None => libc::EINVAL,
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_close_timeout(
    alq: *mut Alq,
    timeout: *const timespec,
    left: *mut AlqUndrained,
) -> c_int {
    // SAFETY: as the header says.
    let Ok(timeout) = (unsafe { duration(timeout) }) else {
        return libc::EINVAL;
    };
    // SAFETY: as the header says.
    uncancelled(|| match unsafe { QUEUES.remove(alq) } {
        // SAFETY: as the header says.
        Some(alq) => alq.close(timeout, |result, _| unsafe {
            AlqUndrained::tell(left, result);
        }),
        None => libc::EINVAL,
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_reopen(alq: *mut Alq, fd: c_int, req: *mut *mut AlqReq) -> c_int {
    let reopen = || {
        // SAFETY: as the header says.
        let Alq { queue, .. } = unsafe { QUEUES.get(alq) }.ok_or(libc::EINVAL)?;
        // SAFETY: it is used in this call only.
        let fd = unsafe { borrow(fd) }?;
        queue.reopen(fd).map_err(|error| error.errno())
    };
    // SAFETY: as the header says.
    unsafe { give_out(req, uncancelled(reopen)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_reopen_path(
    alq: *mut Alq,
    file: *const c_char,
    req: *mut *mut AlqReq,
) -> c_int {
    let reopen = || {
        // SAFETY: as the header says.
        let Alq { queue, .. } = unsafe { QUEUES.get(alq) }.ok_or(libc::EINVAL)?;
        // SAFETY: as the header says.
        let path = unsafe { path_of(file) }?;
        let completion = queue.reopen_path(path);
        completion.map_err(|error| error.errno())
    };
    // SAFETY: as the header says.
    unsafe { give_out(req, uncancelled(reopen)) }
}
