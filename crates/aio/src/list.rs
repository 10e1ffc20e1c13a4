//! `lio_listio`: a list may have requests of both implementations.

use std::ffi::c_int;
use std::sync::Arc;

use crate::block::{Block, Handle, Owner, SigEvent};
use crate::calls::{Refused, append};
use crate::carry::hasten;
use crate::event::Event;
use crate::fork;
use crate::group::Group;
use crate::next::{call, next};
use crate::quiet::{fail, last_errno};
use crate::wait;

const LIO_WRITE: c_int = 1;
const LIO_NOP: c_int = 2;
const LIO_WAIT: c_int = 0;
const LIO_NOWAIT: c_int = 1;

/// # Safety
///
/// As `<aio.h>` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lio_listio(
    mode: c_int,
    list: *const *mut Block,
    len: c_int,
    event: *mut SigEvent,
) -> c_int {
    fork::prepare();
    let Ok(len) = usize::try_from(len) else {
        return fail(libc::EINVAL);
    };
    if !matches!(mode, LIO_WAIT | LIO_NOWAIT) || (list.is_null() && len > 0) {
        return fail(libc::EINVAL);
    }
    // SAFETY: C guarantees a valid argument.
    let notification = match unsafe { event.as_ref() } {
        Some(event) if mode == LIO_NOWAIT => Event::new(event),
        _ => Ok(Event::None),
    };
    let Ok(group) = notification.map(Group::new) else {
        return fail(libc::EINVAL);
    };
    let group = Arc::new(group);
    let member = |index| {
        // SAFETY: C guarantees that the list has `len` members.
        let member = unsafe { list.wrapping_add(index).read() };
        // SAFETY: C guarantees that each is `NULL` or a control block.
        unsafe { Handle::new(member) }
    };
    let members = (0..len).filter_map(member);
    let members: Vec<Handle> = members
        .filter(|one| one.fields().opcode != LIO_NOP)
        .collect();
    let (rest, refused) = submit(&members, &group);
    if rest.len() == members.len() && !rest.is_empty() {
        return pass_list_on(mode, &rest, event);
    }
    let failed = !rest.is_empty() && pass_part_on(&rest, &group) != 0;
    let refused = refused.or_else(|| failed.then(last_errno));
    group.complete(1, false); // no further request is submitted
    finish(mode, &members, refused, &group)
}

/// # Safety
///
/// As `<aio.h>` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lio_listio64(
    mode: c_int,
    list: *const *mut Block,
    len: c_int,
    event: *mut SigEvent,
) -> c_int {
    // SAFETY: the same function.
    unsafe { lio_listio(mode, list, len, event) }
}

/// Submits the members that are appends. Returns the other members, and the error of the first
/// append that was refused.
fn submit(members: &[Handle], group: &Arc<Group>) -> (Vec<Handle>, Option<c_int>) {
    let mut rest = Vec::new();
    let mut refused = None;
    for &member in members {
        if member.fields().opcode != LIO_WRITE {
            rest.push(member);
            continue;
        }
        group.expect(1);
        match append(member, Some(Arc::clone(group))) {
            Ok(()) => {}
            Err(Refused::Next) => {
                group.complete(1, false);
                rest.push(member);
            }
            Err(Refused::Errno(errno)) => {
                member.begin(Owner::Here);
                member.complete(Err(errno));
                group.complete(1, true);
                refused = refused.or(Some(errno));
            }
        }
    }
    (rest, refused)
}

/// Waits for the members if the mode is `LIO_WAIT`. Returns the result of `lio_listio`.
fn finish(mode: c_int, members: &[Handle], refused: Option<c_int>, group: &Group) -> c_int {
    if mode == LIO_NOWAIT {
        return refused.map_or(0, fail);
    }
    // The last member first: the requests before it for the same file are carried out with it.
    for member in members.iter().rev() {
        if member.owner() == Some(Owner::Here) && member.error() == libc::EINPROGRESS {
            hasten(*member, true);
        }
    }
    if let Err(errno) = wait::until(None, || group.is_done()) {
        return fail(errno);
    }
    let failed = |member: &&Handle| {
        let error = next().error;
        let is_next = member.owner() == Some(Owner::Next);
        // SAFETY: it is a control block.
        is_next && error.is_some_and(|error| unsafe { error(member.as_ptr()) } != 0)
    };
    let failed = group.has_failed() || members.iter().any(|member| failed(&member));
    let refused = refused.or(failed.then_some(libc::EIO));
    refused.map_or(0, fail)
}

/// Marks members as owned by the next implementation, and returns their pointers.
fn pointers(members: &[Handle]) -> Vec<*mut Block> {
    let mark = |member: &Handle| {
        member.begin(Owner::Next);
        member.as_ptr()
    };
    members.iter().map(mark).collect()
}

/// Passes the whole call on to the next implementation.
fn pass_list_on(mode: c_int, members: &[Handle], event: *mut SigEvent) -> c_int {
    let pointers = pointers(members);
    let len = members.len() as c_int;
    // SAFETY: C has passed the members and the event.
    call(next().list, |list| unsafe {
        list(mode, pointers.as_ptr(), len, event)
    })
}

/// The members of a list that were passed on. The next implementation notifies when all of them are
/// complete.
struct Part {
    group: Arc<Group>,
    members: usize,
}

fn pass_part_on(members: &[Handle], group: &Arc<Group>) -> c_int {
    let pointers = pointers(members);
    group.expect(members.len());
    let part = Box::into_raw(Box::new(Part {
        group: Arc::clone(group),
        members: members.len(),
    }));
    let mut event = SigEvent::thread(part_is_complete, part as usize);
    let len = members.len() as c_int;
    let Some(list) = next().list else {
        // SAFETY: it is the part made above, and this is the only call.
        unsafe { part_is_complete(part as usize) };
        return fail(libc::ENOSYS);
    };
    // Also if it fails, it calls back once the members that it has accepted are complete.
    // SAFETY: C has passed the members, and the event is a live value.
    unsafe { list(LIO_NOWAIT, pointers.as_ptr(), len, &raw mut event) }
}

unsafe extern "C" fn part_is_complete(part: usize) {
    // SAFETY: `pass_part_on` made it from a box, and this function is called once for it.
    let part = unsafe { Box::from_raw(part as *mut Part) };
    part.group.complete(part.members, false);
}
