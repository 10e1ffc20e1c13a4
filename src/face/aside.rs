//! Appends that bypass the ring of an open queue: in a child of fork(2), and at the end of the
//! process. The calling thread writes them, and they are written when the call returns.
//!
//! This file decides whether an append may bypass the ring. At the end of the process it may only
//! after everything in the ring is written, so that the order is kept. In a child it may at once,
//! because the parent writes what is in the ring. `ends::Aside` does the write.

use std::time::Duration;

use super::barrier::Patience;
use crate::actors::{Past, Refused, Shared};
use crate::ends::Cause;
use crate::memory::Mirror;
use crate::primitives::os;
use crate::ring::Refusal;
use crate::words::{Error, FRONT_MAX, Flags, Position};

/// Whether a call waits, and how long.
#[derive(Clone, Copy)]
pub(super) struct Waiting {
    pub wait: bool,
    pub timeout: Option<Duration>,
}

impl Waiting {
    pub fn new(flags: Flags, timeout: Option<Duration>) -> Self {
        let wait = flags.contains(Flags::WAITOK);
        Self { wait, timeout }
    }
}

/// Appends a record that the ring has `refused` without the ring, if the queue still accepts
/// records.
#[cold]
pub(super) fn append(
    shared: &Shared<Mirror>,
    refused: Refused,
    record: &[u8],
    waiting: Waiting,
) -> Result<Position, Error> {
    let is_past = matches!(refused, Refused::Past(_));
    ready(shared, refused, waiting)
        .and_then(|()| write(shared, record, waiting.wait))
        .inspect_err(|error| count(shared, is_past, error, record.len()))
}

/// The memory of an entry without a reservation. It has two boxes, because a thin pointer keeps
/// entries small, and they are moved often.
pub(super) type OwnMemory = Box<Box<[u8]>>;

/// Allocates the memory of an entry, to replace a reservation that the ring has `refused`.
#[cold]
pub(super) fn memory(
    shared: &Shared<Mirror>,
    refused: Refused,
    len: usize,
    waiting: Waiting,
) -> Result<OwnMemory, Error> {
    let is_past = matches!(refused, Refused::Past(_));
    ready(shared, refused, waiting).inspect_err(|error| count(shared, is_past, error, len))?;
    Ok(Box::new(vec![0; len].into_boxed_slice()))
}

/// Counts an append that was refused aside. What the ring has refused for good `is_past` nothing,
/// and counted already.
fn count(shared: &Shared<Mirror>, is_past: bool, error: &Error, len: usize) {
    let cause = Cause::of(error).filter(|_| is_past);
    if let Some(cause) = cause {
        shared.aside.refused.add(cause, len as u64);
    }
}

/// Posts the memory of an entry. It waits, and counts a record that cannot be written as lost.
#[cold]
pub(super) fn post(shared: &Shared<Mirror>, record: &[u8]) -> Position {
    if record.is_empty() {
        return end(shared);
    }
    let Shared { aside, .. } = shared;
    write(shared, record, true).unwrap_or_else(|_| {
        aside.lost(record);
        end(shared)
    })
}

/// Ends an entry of the parent in a child of fork(2). The entry starts at `start`; only the parent
/// may post it.
#[cold]
pub(super) fn leave_to_the_parent(shared: &Shared<Mirror>, start: u64) -> Position {
    let Shared { intake, aside, .. } = shared;
    aside.foreign.add(1);
    intake.position(start)
}

/// Waits until an append may bypass the ring; fails if it may not.
fn ready(shared: &Shared<Mirror>, refused: Refused, waiting: Waiting) -> Result<(), Error> {
    let Shared {
        intake, outcome, ..
    } = shared;
    match refused {
        Refused::Error(error) => return Err(error),
        // A child has no ring of its own, and its records were not asked for.
        Refused::Past(Past::Child) if intake.ring.is_recorder() => return Err(Error::Forked),
        // What bypasses the flusher is not in the chain.
        Refused::Past(Past::Child) if shared.is_chained => return Err(Error::Forked),
        Refused::Past(Past::Exit) if shared.is_chained => return Err(Error::Closed),
        Refused::Past(Past::Child) => {
            return match intake.ring.refusal() {
                Some(Refusal::Closed) => Err(Error::Closed), // the parent closed it before the fork
                _ => Ok(()),
            };
        }
        Refused::Past(Past::Exit) if !intake.ring.is_aside() => return Err(Error::Closed),
        Refused::Past(Past::Exit) => {}
    }
    if !outcome.has_finished() {
        if !waiting.wait {
            return Err(Error::WouldBlock);
        }
        let finished = || outcome.has_finished().then_some(Ok(()));
        let patience = Patience::of(shared, waiting.timeout);
        patience.wait_for(shared, &shared.outcome.progress, finished)?;
    }
    // Nothing may bypass records that are stuck in the ring: the order would change.
    match intake.trouble.failure() {
        Some(failure) => Err(failure),
        None if intake.ring.is_drained() => Ok(()),
        // A signal handler may call with `NOWAIT`, so this branch takes no lock.
        None if !waiting.wait => Err(Error::Closed),
        None => Err(outcome.obstacle().unwrap_or(Error::Closed)),
    }
}

fn write(shared: &Shared<Mirror>, record: &[u8], wait: bool) -> Result<Position, Error> {
    let Shared { intake, aside, .. } = shared;
    let mut front = [0; FRONT_MAX];
    let (len, back) = shared.wrap.aside(record, &mut front, os::now_ns);
    let header = shared.wrap.header(intake.ring.tail().pos, os::now_ns);
    let header = header.as_ref().map_or(&[][..], |header| header);
    let parts = [header, &front[..len], record, &back];
    let written = if shared.here().is_ok() {
        aside.append(parts, wait, || end(shared))
    } else {
        let written = aside.append_in_child(parts, wait);
        written.map(|()| end(shared))
    };
    written.map_err(|error| error.about(&intake.trouble.reporter.target()))
}

/// Returns the end of the queue's stream: the ring, followed by the records that bypassed it.
pub(super) fn end(shared: &Shared<Mirror>) -> Position {
    let Shared { intake, aside, .. } = shared;
    intake.position(intake.ring.claimed_end() + aside.bytes.get())
}
