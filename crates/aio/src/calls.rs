//! The calls that submit one request, and the calls that return its state and result.

use std::ffi::c_int;
use std::sync::Arc;

use crate::block::{Block, Handle, Owner};
use crate::carry::submit;
use crate::desk::{Bytes, Request, Work};
use crate::event::Event;
use crate::group::Group;
use crate::next::{call, next};
use crate::quiet::fail;
use crate::{eager, fork};

/// The largest valid `aio_reqprio`: `AIO_PRIO_DELTA_MAX` of glibc.
const PRIORITY_MAX: c_int = 20;

/// Why this library does not submit a request.
pub enum Refused {
    /// The request is for the next implementation.
    Next,
    Errno(c_int),
}

/// Submits a write if it is an append.
pub fn append(handle: Handle, group: Option<Arc<Group>>) -> Result<(), Refused> {
    let block = handle.fields();
    let is_valid =
        (0..=PRIORITY_MAX).contains(&block.reqprio) && isize::try_from(block.nbytes).is_ok();
    let event = Event::new(&block.event);
    if is_valid && group.is_none() {
        if let (Ok(event), Some(written)) = (event, eager::write(block)) {
            handle.begin(Owner::Here);
            handle.complete(Ok(written));
            event.notify();
            return Ok(());
        }
    }
    let work = Work::Write(Bytes {
        start: block.buf.cast(),
        len: block.nbytes,
        written: 0,
        offset: block.offset,
    });
    start(handle, work, event, is_valid, group)
}

fn start(
    handle: Handle,
    work: Work,
    event: Result<Event, c_int>,
    is_valid: bool,
    group: Option<Arc<Group>>,
) -> Result<(), Refused> {
    let number = handle.fields().fildes;
    let (Ok(event), true) = (event, is_valid) else {
        return Err(Refused::Errno(libc::EINVAL));
    };
    let request = Request {
        handle,
        number,
        work,
        event,
        group,
    };
    submit(request).map_err(|errno| errno.map_or(Refused::Next, Refused::Errno))
}

/// Passes a request on to the next implementation.
fn pass_on(handle: Handle, submit: impl FnOnce() -> c_int) -> c_int {
    fork::prepare();
    handle.begin(Owner::Next);
    let result = submit();
    if result != 0 {
        handle.forget(Owner::Next);
    }
    result
}

/// # Safety
///
/// As `<aio.h>` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aio_write(block: *mut Block) -> c_int {
    // SAFETY: C guarantees a valid argument.
    let Some(handle) = (unsafe { Handle::new(block) }) else {
        return fail(libc::EINVAL);
    };
    match append(handle, None) {
        Ok(()) => 0,
        Err(Refused::Errno(errno)) => fail(errno),
        Err(Refused::Next) => pass_on(handle, || {
            // SAFETY: C has passed this argument.
            call(next().write, |write| unsafe { write(block) })
        }),
    }
}

/// # Safety
///
/// As `<aio.h>` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aio_read(block: *mut Block) -> c_int {
    // SAFETY: C guarantees a valid argument.
    let Some(handle) = (unsafe { Handle::new(block) }) else {
        return fail(libc::EINVAL);
    };
    // SAFETY: C has passed this argument.
    pass_on(handle, || call(next().read, |read| unsafe { read(block) }))
}

/// # Safety
///
/// As `<aio.h>` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aio_fsync(operation: c_int, block: *mut Block) -> c_int {
    // SAFETY: C guarantees a valid argument.
    let Some(handle) = (unsafe { Handle::new(block) }) else {
        return fail(libc::EINVAL);
    };
    if operation != libc::O_SYNC && operation != libc::O_DSYNC {
        return fail(libc::EINVAL);
    }
    let event = Event::new(&handle.fields().event);
    match start(handle, Work::Sync(operation), event, true, None) {
        Ok(()) => 0,
        Err(Refused::Errno(errno)) => fail(errno),
        Err(Refused::Next) => pass_on(handle, || {
            // SAFETY: C has passed these arguments.
            call(next().sync, |sync| unsafe { sync(operation, block) })
        }),
    }
}

/// Returns the status of a request; `EINVAL`, also in errno, for a block that was not submitted.
/// Async-signal-safe.
///
/// # Safety
///
/// As `<aio.h>` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aio_error(block: *const Block) -> c_int {
    // SAFETY: C guarantees a valid argument.
    let handle = unsafe { Handle::new(block) };
    match handle.and_then(|handle| Some((handle, handle.owner()?))) {
        Some((handle, Owner::Here)) => handle.error(),
        // SAFETY: C has passed this argument.
        Some((_, Owner::Next)) => call(next().error, |error| unsafe { error(block) }),
        None => {
            fail(libc::EINVAL);
            libc::EINVAL
        }
    }
}

/// Returns the result of a complete request, once. Async-signal-safe.
///
/// # Safety
///
/// As `<aio.h>` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aio_return(block: *mut Block) -> isize {
    // SAFETY: C guarantees a valid argument.
    let error = unsafe { aio_error(block) };
    // SAFETY: C guarantees a valid argument.
    let handle = unsafe { Handle::new(block) };
    let Some((handle, owner)) = handle.and_then(|handle| Some((handle, handle.owner()?))) else {
        return fail(libc::EINVAL) as isize;
    };
    if error == libc::EINPROGRESS || !handle.forget(owner) {
        return fail(libc::EINVAL) as isize;
    }
    let returned = match (owner, next().returned) {
        // SAFETY: C has passed this argument.
        (Owner::Next, Some(returned)) => unsafe { returned(block) },
        _ => handle.returned(),
    };
    if returned < 0 {
        fail(error);
    }
    returned
}

macro_rules! same_with_64 {
    ($($name:ident = $of:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {$(
        /// # Safety
        ///
        /// As `<aio.h>` requires.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            // SAFETY: the same function.
            unsafe { $of($($argument),*) }
        }
    )*};
}

same_with_64! {
    aio_write64 = aio_write(block: *mut Block) -> c_int;
    aio_read64 = aio_read(block: *mut Block) -> c_int;
    aio_fsync64 = aio_fsync(operation: c_int, block: *mut Block) -> c_int;
    aio_error64 = aio_error(block: *const Block) -> c_int;
    aio_return64 = aio_return(block: *mut Block) -> isize;
}
