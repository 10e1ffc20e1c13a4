//! Appending where the ring takes nothing and the queue is not closed: in a child of fork(2), and in a process that
//! ends. It is done on the calling thread, and written when it returns.

use std::time::Duration;

use crate::actors::{Past, Refused, Shared};
use crate::memory::Mirror;
use crate::ring::Refusal;
use crate::words::{Error, Flags, Position};

/// Whether a call waits, and for how long.
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

/// Appends a record that the ring has `refused` past it, if the queue takes anything at all.
#[cold]
pub(super) fn append(
    shared: &Shared<Mirror>,
    refused: Refused,
    record: &[u8],
    waiting: Waiting,
) -> Result<Position, Error> {
    ready(shared, refused, waiting)?;
    write(shared, record, waiting.wait)
}

/// The memory of an entry that is no reservation. Two boxes: a thin pointer keeps entries, which are moved about, small.
pub(super) type OwnMemory = Box<Box<[u8]>>;

/// Memory for an entry, in the place of a reservation that the ring has `refused`.
#[cold]
pub(super) fn memory(
    shared: &Shared<Mirror>,
    refused: Refused,
    len: usize,
    waiting: Waiting,
) -> Result<OwnMemory, Error> {
    ready(shared, refused, waiting)?;
    Ok(Box::new(vec![0; len].into_boxed_slice()))
}

/// Posts what an entry of its own holds: it waits, and what cannot be written is counted as lost.
#[cold]
pub(super) fn post(shared: &Shared<Mirror>, record: &[u8]) -> Position {
    if record.is_empty() {
        return end(shared);
    }
    write(shared, record, true).unwrap_or_else(|_| {
        shared.aside.lost(record);
        end(shared)
    })
}

/// Ends, in a child of fork(2), an entry of the parent's that starts at `start`: only the parent posts
/// it.
#[cold]
pub(super) fn leave_to_the_parent(shared: &Shared<Mirror>, start: u64) -> Position {
    shared.aside.foreign.add(1);
    Position::new(shared.id, start)
}

/// Returns once an append may go past the ring; or why none may.
fn ready(shared: &Shared<Mirror>, refused: Refused, waiting: Waiting) -> Result<(), Error> {
    match refused {
        Refused::Error(error) => return Err(error),
        Refused::Past(Past::Child) => {
            return match shared.ring.refusal() {
                Some(Refusal::Closed) => Err(Error::Closed), // by the parent, before
                _ => Ok(()),
            };
        }
        Refused::Past(Past::Exit) if !shared.ring.is_aside() => return Err(Error::Closed),
        Refused::Past(Past::Exit) => {}
    }
    if !shared.has_finished() {
        if !waiting.wait {
            return Err(Error::WouldBlock);
        }
        let finished = || shared.has_finished().then_some(Ok(()));
        let patience = shared.patience(waiting.timeout);
        patience.wait_for(shared, finished)?;
    }
    // Past what is stuck in the ring nothing may go: the order would change.
    match shared.failure() {
        Some(failure) => Err(failure),
        None if shared.ring.is_drained() => Ok(()),
        // A signal handler may call without waiting, and takes no lock.
        None if !waiting.wait => Err(Error::Closed),
        None => Err(shared.obstacle().unwrap_or(Error::Closed)),
    }
}

fn write(shared: &Shared<Mirror>, record: &[u8], wait: bool) -> Result<Position, Error> {
    if shared.here().is_ok() {
        shared.aside.append(record, wait, || end(shared))
    } else {
        shared.aside.append_in_child(record, wait)?;
        Ok(end(shared))
    }
}

/// Where the stream of the queue ends: the ring, and behind it what went past it.
pub(super) fn end(shared: &Shared<Mirror>) -> Position {
    let bytes = shared.ring.claimed_end() + shared.aside.bytes.get();
    Position::new(shared.id, bytes)
}
