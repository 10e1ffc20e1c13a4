//! `struct alq_req`: getting into a consistent state, in the manner of `aio_fsync(3)`.

use std::ffi::{c_int, c_void};
use std::slice;
use std::time::{Duration, Instant};

use alq::{Completion, Error, Level, Notify, Status, SyncOp, suspend};
use libc::timespec;

use crate::arguments::duration;
use crate::errors::{act_on_cancellation, aio_status, status, uncancelled};
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
        alq.queue.fsync(op).map_err(|error| error.errno())
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

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alq_written(alq: *mut Alq, req: *mut *mut AlqReq) -> c_int {
    let written = || {
        // SAFETY: as the header says.
        let Alq { queue, .. } = unsafe { QUEUES.get(alq) }.ok_or(libc::EINVAL)?;
        let completion = queue.completion(queue.position(), Level::Written);
        match completion.status() {
            // No request was made.
            Status::Done(Err(error @ (Error::Forked | Error::TooManyOutstanding))) => {
                Err(error.errno())
            }
            _ => Ok(completion),
        }
    };
    // SAFETY: as the header says.
    match unsafe { give_out(req, written()) } {
        0 => 0,
        errno => aio_status(Err(errno)),
    }
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
        other => other.errno(),
    }
}

/// How long one sleep of `alq_suspend` lasts, before it looks for a cancellation.
const SLEEP_TIME: Duration = Duration::from_millis(100);

/// One sleep of `alq_suspend`, until `deadline` at most.
///
/// # Safety
///
/// As the header says of `alq_suspend`.
unsafe fn sleep(
    list: *const *mut AlqReq,
    nent: c_int,
    deadline: Option<Instant>,
) -> Result<(), c_int> {
    let len = usize::try_from(nent).map_err(|_| libc::EINVAL)?;
    if list.is_null() || len == 0 {
        return Err(libc::EINVAL);
    }
    // SAFETY: this function asks for the same.
    let handles = unsafe { slice::from_raw_parts(list, len) };
    let mut members = Vec::with_capacity(len);
    for &handle in handles.iter().filter(|handle| !handle.is_null()) {
        // SAFETY: this function asks for the same.
        let AlqReq(member) = unsafe { REQUESTS.get(handle) }.ok_or(libc::EINVAL)?;
        members.push(Some(member));
    }
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    let time = left.map_or(SLEEP_TIME, |left| left.min(SLEEP_TIME));
    suspend(&members, Some(time)).map_err(|error| wait_errno(&error))
}

/// A cancellation point, as aio_suspend(3). Nothing in this frame needs a drop, so a cancellation may unwind it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn alq_suspend(
    list: *const *mut AlqReq,
    nent: c_int,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: as the header says.
    let timeout = match unsafe { duration(timeout) } {
        Ok(timeout) => timeout,
        Err(errno) => return aio_status(Err(errno)),
    };
    // One beyond what the clock can say is none.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        // SAFETY: see above.
        unsafe { act_on_cancellation() };
        // SAFETY: as the header says.
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
        // SAFETY: as the header says.
        let AlqReq(completion) = unsafe { REQUESTS.get(req) }.ok_or(libc::EINVAL)?;
        // SAFETY: as the header says.
        let event = unsafe { event.as_ref() }.ok_or(libc::EINVAL)?;
        let how = match event.sigev_notify {
            libc::SIGEV_NONE => Notify::None,
            libc::SIGEV_SIGNAL if event.sigev_signo == 0 => Notify::None, // one that is all zeros
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
        completion.notify(how).map_err(|error| error.errno())
    };
    aio_status(notify())
}
