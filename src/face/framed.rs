//! The slow paths of the appends, and all appends to a queue with a framing. The fast paths of a
//! queue and a lane come here if their queue has one, so that a queue without one pays nothing.
//!
//! This file owns the step between a record and its claim: the claim covers what the framing adds,
//! and the framing is completed when the record is posted.

use std::time::Duration;

use super::aside::{self, OwnMemory, Waiting};
use super::barrier::deadline_in;
use super::pressure::refuse;
use crate::actors::{Refused, Shared};
use crate::ends::{Cause, Kind};
use crate::memory::Mirror;
use crate::primitives::os;
use crate::ring::{Claim, Owner, Reservation};
use crate::words::{Error, Flags, Position, Wrap};

/// Appends a record: once there is room, or without the ring if the queue accepts records that way.
pub(super) fn append(
    shared: &Shared<Mirror>,
    record: &[u8],
    flags: Flags,
    timeout: Option<Duration>,
) -> Result<Position, Error> {
    let exact = match shared.wrap {
        Wrap::Raw => record.len() as u32,
        wrap => wrap.exact(record, total(shared, record.len())?),
    };
    match reserve(shared, exact, flags, Kind::Writen, timeout) {
        Ok(mut reservation) => {
            let start = reservation.start();
            let len = fill(shared, reservation.bytes_mut(), record, start);
            let posted = reservation.post_as(len, flags.activates());
            shared.intake.posted(posted);
            Ok(shared.intake.position(posted.end))
        }
        Err(refused) => aside::append(shared, refused, record, Waiting::new(flags, timeout)),
    }
}

/// Returns how many bytes a record of `len` bytes takes in the ring.
pub(super) fn total(shared: &Shared<Mirror>, len: usize) -> Result<u32, Error> {
    let total = shared.wrap.total(len, shared.len_max);
    if matches!(total, Err(Error::TooLarge { .. })) {
        refuse(shared, Cause::TooLarge, len);
    }
    total
}

/// Reserves `len` bytes, with what the framing adds, for an append that the fast path could not
/// make.
#[inline]
pub(super) fn reserve(
    shared: &Shared<Mirror>,
    len: u32,
    flags: Flags,
    kind: Kind,
    timeout: Option<Duration>,
) -> Result<Reservation<'_, Mirror>, Refused> {
    let intake = shared.here()?;
    if shared.direct().is_none() {
        if let Ok(reservation) = intake.ring.reserve_at_once(len) {
            return Ok(reservation);
        }
    }
    let deadline = timeout.and_then(deadline_in);
    let reserved = intake.reserve(len, flags.when_full()?, kind, deadline);
    reserved.inspect_err(|refused| gave_up(shared, refused, flags, len))
}

/// Counts an append that gave up its wait, unless its caller tries again.
fn gave_up(shared: &Shared<Mirror>, refused: &Refused, flags: Flags, len: u32) {
    let Refused::Error(error @ (Error::TimedOut | Error::Held { .. })) = refused else {
        return; // the ring has counted it
    };
    if let Some(cause) = Cause::of(error).filter(|_| !flags.contains(Flags::RETRY)) {
        refuse(shared, cause, len as usize);
    }
}

/// Copies `record` to its place in `claim`, which starts at `start`, and completes the framing.
/// Returns how many bytes to post.
fn fill(shared: &Shared<Mirror>, claim: &mut [u8], record: &[u8], start: u64) -> u32 {
    let front = shared.wrap.front() as usize;
    claim[front..front + record.len()].copy_from_slice(record);
    let used = record.len() as u32;
    shared.wrap.finish(claim, used, start, os::now_ns)
}

/// Ends an entry whose claim was narrowed.
pub(super) fn end(shared: &Shared<Mirror>, narrowed: Claim, used: u32, activate: bool) -> Position {
    let wrap = shared.wrap;
    let mut claim = narrowed.widen(wrap.front(), wrap.back());
    let start = claim.start();
    let len = wrap.finish(
        shared.intake.ring.bytes_mut(&mut claim),
        used,
        start,
        os::now_ns,
    );
    let posted = shared.intake.ring.post(claim, len, activate);
    shared.intake.posted(posted);
    shared.intake.position(posted.end)
}

/// Ends an entry of a lane that was shifted.
pub(super) fn end_in_lane(
    shared: &Shared<Mirror>,
    owner: &mut Owner,
    used: u32,
    activate: bool,
) -> Position {
    let wrap = shared.wrap;
    owner.unshift();
    let start = owner.fills_at();
    let claimed = match used {
        0 => 0,
        _ => wrap.len_of(used),
    };
    let len = wrap.finish(
        owner.bytes_mut(&shared.intake.ring, claimed),
        used,
        start,
        os::now_ns,
    );
    let posted = owner.post(&shared.intake.ring, len, activate);
    shared.intake.posted(posted);
    shared.intake.position(posted.end)
}

/// Appends to the lane of `owner`: in a new span, or without the ring if the queue accepts records
/// that way.
pub(super) fn append_in_lane(
    shared: &Shared<Mirror>,
    owner: &mut Owner,
    record: &[u8],
    flags: Flags,
    timeout: Option<Duration>,
) -> Result<Position, Error> {
    let total = total(shared, record.len())?;
    let exact = shared.wrap.exact(record, total);
    if let Err(refused) = begin(shared, owner, exact, flags, Kind::Writen, timeout) {
        let position = aside::append(shared, refused, record, Waiting::new(flags, timeout))?;
        owner.set_position(position.bytes());
        return Ok(position);
    }
    let start = owner.fills_at();
    let len = fill(
        shared,
        owner.bytes_mut(&shared.intake.ring, exact),
        record,
        start,
    );
    let posted = owner.post(&shared.intake.ring, len, flags.activates());
    shared.intake.posted(posted);
    Ok(shared.intake.position(posted.end))
}

/// Begins an entry of `len` bytes in the lane of `owner`; returns its memory if it bypasses the
/// ring.
pub(super) fn begin_entry_in_lane(
    shared: &Shared<Mirror>,
    owner: &mut Owner,
    len: usize,
    flags: Flags,
    timeout: Option<Duration>,
) -> Result<Option<OwnMemory>, Error> {
    let total = total(shared, len)?;
    match begin(shared, owner, total, flags, Kind::Getn, timeout) {
        Ok(()) => {
            owner.shift(shared.wrap.front(), shared.wrap.back());
            Ok(None)
        }
        Err(refused) => {
            let waiting = Waiting::new(flags, timeout);
            aside::memory(shared, refused, len, waiting).map(Some)
        }
    }
}

/// Begins a record of `len` bytes, with what the framing adds, in the lane of `owner`.
fn begin(
    shared: &Shared<Mirror>,
    owner: &mut Owner,
    len: u32,
    flags: Flags,
    kind: Kind,
    timeout: Option<Duration>,
) -> Result<(), Refused> {
    let intake = shared.here()?;
    owner.unshift(); // the entry before this one may have been forgotten
    if owner.begins(len as usize) {
        return Ok(()); // the fast path did not look
    }
    let deadline = timeout.and_then(deadline_in);
    let begun = intake.begin_elsewhere(owner, len, flags.when_full()?, kind, deadline);
    begun.inspect_err(|refused| gave_up(shared, refused, flags, len))
}
