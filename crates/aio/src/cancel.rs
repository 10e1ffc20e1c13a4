//! `aio_cancel`: takes back requests on a desk that are not being written.

use std::ffi::c_int;
use std::os::fd::RawFd;

use crate::block::{Block, Handle, Owner};
use crate::carry::complete;
use crate::desk::{Desk, Request, desks, find};
use crate::fork;
use crate::next::{call, next};
use crate::quiet::fail;

const AIO_CANCELED: c_int = 0;
const AIO_NOTCANCELED: c_int = 1;
const AIO_ALLDONE: c_int = 2;

/// The outcome for requests. For several requests, `aio_cancel` returns the greatest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    AllDone,
    Canceled,
    NotCanceled,
}

impl Outcome {
    fn number(self) -> c_int {
        match self {
            Self::AllDone => AIO_ALLDONE,
            Self::Canceled => AIO_CANCELED,
            Self::NotCanceled => AIO_NOTCANCELED,
        }
    }

    /// Converts a result of `aio_cancel`; `None` for an error.
    fn of_number(number: c_int) -> Option<Self> {
        [Self::AllDone, Self::Canceled, Self::NotCanceled]
            .into_iter()
            .find(|outcome| outcome.number() == number)
    }
}

/// # Safety
///
/// As `<aio.h>` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aio_cancel(number: c_int, block: *mut Block) -> c_int {
    fork::prepare();
    // SAFETY: the call takes no pointer.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return fail(libc::EBADF);
    }
    // SAFETY: C guarantees a valid argument.
    let Some(handle) = (unsafe { Handle::new(block) }) else {
        return cancel_all(number);
    };
    // SAFETY: C guarantees a valid argument.
    if unsafe { (*block).fildes } != number {
        return fail(libc::EINVAL);
    }
    match handle.owner() {
        // SAFETY: C has passed these arguments.
        Some(Owner::Next) => call(next().cancel, |cancel| unsafe { cancel(number, block) }),
        Some(Owner::Here) => cancel_here(number, Some(handle)).number(),
        None => AIO_ALLDONE,
    }
}

/// # Safety
///
/// As `<aio.h>` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aio_cancel64(number: c_int, block: *mut Block) -> c_int {
    // SAFETY: the same function.
    unsafe { aio_cancel(number, block) }
}

/// Cancels all requests of a descriptor, here and in the next implementation.
fn cancel_all(number: RawFd) -> c_int {
    let here = cancel_here(number, None);
    let Some(cancel) = next().cancel else {
        return here.number();
    };
    // SAFETY: `NULL` means all requests of the descriptor.
    let there = unsafe { cancel(number, std::ptr::null_mut()) };
    // After the checks above, an error means that the other implementation has no requests.
    let there = Outcome::of_number(there).unwrap_or(Outcome::AllDone);
    here.max(there).number()
}

/// Cancels one request, or all of a descriptor.
fn cancel_here(number: RawFd, wanted: Option<Handle>) -> Outcome {
    let (outcome, taken) = {
        let mut desks = desks();
        let index = match wanted {
            None => find(&desks, number),
            Some(wanted) => desks
                .iter()
                .position(|desk| desk.outstanding().any(|one| one.handle == wanted)),
        };
        let Some(index) = index else {
            // A request that is in progress but on no desk is about to be complete.
            let in_progress = wanted.is_some_and(|one| one.error() == libc::EINPROGRESS);
            return if in_progress {
                Outcome::NotCanceled
            } else {
                Outcome::AllDone
            };
        };
        let is_meant =
            |one: &Request| wanted.map_or(one.number == number, |wanted| one.handle == wanted);
        take_back(&mut desks[index], is_meant)
    };
    for request in taken {
        complete(request, Err(libc::ECANCELED));
    }
    outcome
}

/// Takes the requests that `is_meant` selects off a desk, unless they are running. The outcome says
/// whether it took all of them.
fn take_back(desk: &mut Desk, is_meant: impl Fn(&Request) -> bool) -> (Outcome, Vec<Request>) {
    let is_busy = desk
        .requests
        .iter()
        .take(desk.running)
        .chain(&desk.syncs)
        .any(&is_meant);
    let waiting = desk.requests.split_off(desk.running);
    let (taken, left): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_meant);
    desk.requests.extend(left);
    if desk.requests.is_empty() && desk.syncs.is_empty() {
        desk.file = None;
    }
    let outcome = match (is_busy, taken.is_empty()) {
        (true, _) => Outcome::NotCanceled,
        (false, false) => Outcome::Canceled,
        (false, true) => Outcome::AllDone,
    };
    (outcome, taken)
}
