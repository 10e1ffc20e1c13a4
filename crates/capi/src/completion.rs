//! `struct alq_req`: getting into a consistent state, in the manner of `aio_fsync(3)`.

use std::ffi::{c_int, c_void};
use std::slice;

use alq::{Completion, Error, Notify, Status, SyncOp, suspend};
use libc::timespec;

use crate::arguments::duration;
use crate::errors::{aio_status, status};
use crate::queue::{Alq, QUEUES};
use crate::request::{AlqReq, REQUESTS, give_out};

/// `struct sigevent`, with the members that libc leaves out.
#[repr(C)]
pub struct SigEvent {
    pub sigev_value: usize,
    pub sigev_signo: c_int,
    pub sigev_notify: c_int,
    pub sigev_notify_function: Option<unsafe extern "C" fn(usize)>,
    pub sigev_notify_attributes: *mut c_void,
    pad: [usize; 4],
}

const _: () = assert!(size_of::<SigEvent>() == size_of::<libc::sigevent>());

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_fsync(alq: *mut Alq, op: c_int, req: *mut *mut AlqReq) -> c_int {
    let sync = || {
        // SAFETY: as the header says.
        let alq = unsafe { QUEUES.get(alq) }.ok_or(libc::EINVAL)?;
        let op = match op {
            libc::O_DSYNC => SyncOp::Data,
            libc::O_SYNC => SyncOp::Full,
            _ => return Err(libc::EINVAL),
        };
        alq.queue.fsync(op).map_err(|error| error.raw_os_error())
    };
    // SAFETY: as the header says.
    match unsafe { give_out(req, sync()) } {
        0 => 0,
        errno => aio_status(Err(errno)),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_fsync64(alq: *mut Alq, op: c_int, req: *mut *mut AlqReq) -> c_int {
    // SAFETY: the same function.
    unsafe { alq_fsync(alq, op, req) }
}

/// What has become of a completion, as a number.
fn errno_of(completion: &Completion) -> c_int {
    match completion.status() {
        Status::InProgress => libc::EINPROGRESS,
        Status::Done(result) => status(result),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_error(req: *const AlqReq) -> c_int {
    // SAFETY: as the header says.
    match unsafe { REQUESTS.get(req) } {
        Some(AlqReq(completion)) => errno_of(completion),
        None => aio_status(Err(libc::EINVAL)),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_return(req: *mut AlqReq) -> c_int {
    // SAFETY: as the header says.
    let errno = match unsafe { REQUESTS.get(req) } {
        Some(AlqReq(completion)) => errno_of(completion),
        None => libc::EINVAL,
    };
    if errno != libc::EINPROGRESS {
        // SAFETY: as the header says.
        unsafe { alq_release(req) };
    }
    aio_status(if errno == 0 { Ok(()) } else { Err(errno) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_release(req: *mut AlqReq) {
    // SAFETY: as the header says.
    drop(unsafe { REQUESTS.remove(req) });
}

/// A completion says `ETIMEDOUT` by itself never; that the time of the call is over is `EAGAIN`, as for `aio_suspend(3)`.
fn wait_errno(error: &Error) -> c_int {
    match error {
        Error::TimedOut => libc::EAGAIN,
        other => other.raw_os_error(),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_suspend(
    list: *const *mut AlqReq,
    nent: c_int,
    timeout: *const timespec,
) -> c_int {
    let wait = || {
        // SAFETY: as the header says.
        let timeout = unsafe { duration(timeout) }?;
        let len = usize::try_from(nent).map_err(|_| libc::EINVAL)?;
        if list.is_null() || len == 0 {
            return Err(libc::EINVAL);
        }
        // SAFETY: the header says that the list has so many members.
        let handles = unsafe { slice::from_raw_parts(list, len) };
        let mut members = Vec::with_capacity(len);
        for &handle in handles.iter().filter(|handle| !handle.is_null()) {
            // SAFETY: as the header says.
            let AlqReq(member) = unsafe { REQUESTS.get(handle) }.ok_or(libc::EINVAL)?;
            members.push(Some(member));
        }
        suspend(&members, timeout).map_err(|error| wait_errno(&error))
    };
    aio_status(wait())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_suspend64(
    list: *const *mut AlqReq,
    nent: c_int,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: the same function.
    unsafe { alq_suspend(list, nent, timeout) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_notify(req: *mut AlqReq, event: *const SigEvent) -> c_int {
    let notify = || {
        // SAFETY: as the header says.
        let AlqReq(completion) = unsafe { REQUESTS.get(req) }.ok_or(libc::EINVAL)?;
        // SAFETY: as the header says.
        let event = unsafe { event.as_ref() }.ok_or(libc::EINVAL)?;
        let how = match event.sigev_notify {
            libc::SIGEV_NONE => Notify::None,
            libc::SIGEV_SIGNAL => Notify::Signal {
                signo: event.sigev_signo,
                value: event.sigev_value,
            },
            libc::SIGEV_THREAD => {
                let function = event.sigev_notify_function.ok_or(libc::EINVAL)?;
                let value = event.sigev_value;
                // SAFETY: the header says that it is called with the value, on another thread.
                Notify::Callback(Box::new(move |_| unsafe { function(value) }))
            }
            _ => return Err(libc::EINVAL),
        };
        completion.notify(how).map_err(|error| error.raw_os_error())
    };
    aio_status(notify())
}
