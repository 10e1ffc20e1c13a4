//! Calls with `struct alq_req`: making records durable, in the manner of `aio_fsync(3)`.

use std::ffi::{c_int, c_void};
use std::slice;
use std::time::{Duration, Instant};

use alq::{Completion, Error, Level, Notify, Status, SyncOp, suspend};
use libc::timespec;

use crate::arguments::duration;
use crate::errors::{act_on_cancellation, aio_status, status, uncancelled};
use crate::queue::{Alq, QUEUES};
use crate::request::{AlqReq, REQUESTS, give_out};

/// `struct sigevent`, with the members that the libc crate leaves out.
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
        // SAFETY: the header requires it.
        let alq = unsafe { QUEUES.get(alq) }.ok_or(libc::EINVAL)?;
        let op = match op {
            libc::O_DSYNC => SyncOp::Data,
            libc::O_SYNC => SyncOp::Full,
            _ => return Err(libc::EINVAL),
        };
        alq.queue.fsync(op).map_err(|error| error.errno())
    };
    // SAFETY: the header requires it.
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

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_written(alq: *mut Alq, req: *mut *mut AlqReq) -> c_int {
    let written = || {
        // SAFETY: the header requires it.
        let Alq { queue, .. } = unsafe { QUEUES.get(alq) }.ok_or(libc::EINVAL)?;
        let completion = queue.completion(queue.position(), Level::Written);
        match completion.status() {
            // With these errors no request was made.
            Status::Done(Err(error @ (Error::Forked | Error::TooManyOutstanding))) => {
                Err(error.errno())
            }
            _ => Ok(completion),
        }
    };
    // SAFETY: the header requires it.
    match unsafe { give_out(req, written()) } {
        0 => 0,
        errno => aio_status(Err(errno)),
    }
}

/// Returns the state of a completion as a number: `EINPROGRESS`, 0, or an error.
fn errno_of(completion: &Completion) -> c_int {
    match completion.status() {
        Status::InProgress => libc::EINPROGRESS,
        Status::Done(result) => status(result),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_error(req: *const AlqReq) -> c_int {
    // SAFETY: the header requires it.
    match unsafe { REQUESTS.get(req) } {
        Some(AlqReq(completion)) => errno_of(completion),
        None => aio_status(Err(libc::EINVAL)),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_return(req: *mut AlqReq) -> c_int {
    // SAFETY: the header requires it.
    let errno = match unsafe { REQUESTS.get(req) } {
        Some(AlqReq(completion)) => errno_of(completion),
        None => libc::EINVAL,
    };
    if errno != libc::EINPROGRESS {
        // SAFETY: the header requires it.
        unsafe { alq_release(req) };
    }
    aio_status(if errno == 0 { Ok(()) } else { Err(errno) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_release(req: *mut AlqReq) {
    // SAFETY: the header requires it.
    drop(unsafe { REQUESTS.remove(req) });
}

/// Returns the number of an error of a wait. A time-out is `EAGAIN`, as in `aio_suspend(3)`; a
/// completion itself never ends with `ETIMEDOUT`.
fn wait_errno(error: &Error) -> c_int {
    match error {
        Error::TimedOut => libc::EAGAIN,
        other => other.errno(),
    }
}

/// The longest sleep of `alq_suspend` before it checks for a cancellation.
const SLEEP_TIME: Duration = Duration::from_millis(100);

/// Sleeps once for `alq_suspend`, at most until `deadline`.
///
/// # Safety
///
/// As the header requires of `alq_suspend`.
unsafe fn sleep(
    list: *const *mut AlqReq,
    nent: c_int,
    deadline: Option<Instant>,
) -> Result<(), c_int> {
    let len = usize::try_from(nent).map_err(|_| libc::EINVAL)?;
    if list.is_null() || len == 0 {
        return Err(libc::EINVAL);
    }
    // SAFETY: this function has the same requirement.
    let handles = unsafe { slice::from_raw_parts(list, len) };
    let mut members = Vec::with_capacity(len);
    for &handle in handles.iter().filter(|handle| !handle.is_null()) {
        // SAFETY: this function has the same requirement.
        let AlqReq(member) = unsafe { REQUESTS.get(handle) }.ok_or(libc::EINVAL)?;
        members.push(Some(member));
    }
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    let time = left.map_or(SLEEP_TIME, |left| left.min(SLEEP_TIME));
    suspend(&members, Some(time)).map_err(|error| wait_errno(&error))
}

/// A cancellation point, as `aio_suspend(3)`. No value of this frame needs a drop, so a
/// cancellation may unwind it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn alq_suspend(
    list: *const *mut AlqReq,
    nent: c_int,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: the header requires it.
    let timeout = match unsafe { duration(timeout) } {
        Ok(timeout) => timeout,
        Err(errno) => return aio_status(Err(errno)),
    };
    // A deadline beyond the range of the clock is no deadline.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        // SAFETY: this frame has nothing to drop; `extern "C-unwind"` lets it be unwound.
        unsafe { act_on_cancellation() };
        // SAFETY: the header requires it.
        let result = uncancelled(|| unsafe { sleep(list, nent, deadline) });
        let is_over = deadline.is_some_and(|at| at <= Instant::now());
        if result != Err(libc::EAGAIN) || is_over {
            return aio_status(result);
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn alq_suspend64(
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
        // SAFETY: the header requires it.
        let AlqReq(completion) = unsafe { REQUESTS.get(req) }.ok_or(libc::EINVAL)?;
        // SAFETY: the header requires it.
        let event = unsafe { event.as_ref() }.ok_or(libc::EINVAL)?;
        let how = match event.sigev_notify {
            libc::SIGEV_NONE => Notify::None,
            libc::SIGEV_SIGNAL if event.sigev_signo == 0 => Notify::None, // an event of all zeros
            libc::SIGEV_SIGNAL => Notify::Signal {
                signo: event.sigev_signo,
                value: event.sigev_value,
            },
            libc::SIGEV_THREAD => {
                let function = event.sigev_notify_function.ok_or(libc::EINVAL)?;
                let value = event.sigev_value;
                // SAFETY: the header says that another thread calls it with the value.
                Notify::Callback(Box::new(move |_| unsafe { function(value) }))
            }
            _ => return Err(libc::EINVAL),
        };
        completion.notify(how).map_err(|error| error.errno())
    };
    aio_status(notify())
}
