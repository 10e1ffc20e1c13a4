//! Desks: one for each open file that requests are outstanding for, with the two queues whose
//! flushers carry them out.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use alq::Queue;

use crate::block::Handle;
use crate::event::Event;
use crate::group::Group;
use crate::kind::OpenFile;

/// One request, with all of it that is needed after the call.
pub struct Request {
    pub handle: Handle,
    /// The descriptor that the program named.
    pub number: RawFd,
    pub work: Work,
    pub event: Event,
    pub group: Option<Arc<Group>>,
}

/// What a request asks for.
pub enum Work {
    Write(Bytes),
    /// `O_SYNC` or `O_DSYNC`.
    Sync(c_int),
}

/// The bytes of a request: those of the program itself, which leaves them alone until the request
/// is complete.
#[derive(Clone, Copy)]
pub struct Bytes {
    pub start: *const u8,
    pub len: usize,
    /// How many of them are written.
    pub written: usize,
    pub offset: i64,
}

// SAFETY: C leaves the bytes where they are, whichever thread writes them.
unsafe impl Send for Bytes {}

impl Request {
    /// How many bytes of it are written.
    pub fn written(&self) -> usize {
        match &self.work {
            Work::Write(bytes) => bytes.written,
            Work::Sync(_) => 0,
        }
    }
}

/// What a flusher does at a desk.
#[derive(Clone, Copy)]
pub enum Part {
    Writes = 0,
    Syncs = 1,
}

/// A queue of tickets, and the flusher that comes for them.
pub struct Station {
    pub queue: Queue,
    /// Whether a ticket lies in the queue.
    pub is_expected: bool,
}

impl Station {
    /// The queue to leave a ticket in, if none lies there; from then on one does.
    pub fn expect(&mut self) -> Option<Queue> {
        let is_expected = std::mem::replace(&mut self.is_expected, true);
        (!is_expected).then(|| self.queue.clone())
    }
}

/// The requests of one open file. A desk without a file is free for the next one.
#[derive(Default)]
pub struct Desk {
    pub file: Option<OpenFile>,
    /// In the order of the calls.
    pub requests: VecDeque<Request>,
    /// How many of them, from the first, a thread is writing.
    pub running: usize,
    /// Syncs that the writes before have been carried out for.
    pub syncs: Vec<Request>,
    /// How many of them are being synced.
    pub syncing: usize,
    /// The one for writes and the one for syncs; each is made when it is first needed.
    pub stations: [Option<Station>; 2],
}

impl Desk {
    pub fn is_free(&self) -> bool {
        self.file.is_none() && self.requests.is_empty() && self.syncs.is_empty()
    }

    /// All requests of this desk that are not complete.
    pub fn outstanding(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().chain(&self.syncs)
    }
}

/// All desks. They stay: there are as many as files have ever had requests outstanding at once.
pub type Desks = Vec<Desk>;

static DESKS: Mutex<Desks> = Mutex::new(Vec::new());

/// The desks, locked for a moment: nothing waits while it holds them.
pub fn desks() -> MutexGuard<'static, Desks> {
    DESKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same, if that is possible at once.
pub fn try_desks() -> Option<MutexGuard<'static, Desks>> {
    match DESKS.try_lock() {
        Ok(desks) => Some(desks),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// The desk of the open file that a descriptor is of.
pub fn find(desks: &Desks, number: RawFd) -> Option<usize> {
    let known = |desk: &Desk| desk.file.as_ref().is_some_and(|file| file.number == number);
    let is = |desk: &Desk| desk.file.as_ref().is_some_and(|file| file.is(number));
    let likely = desks.iter().position(known);
    let likely = likely.filter(|index| is(&desks[*index]));
    likely.or_else(|| {
        let others = |desk: &Desk| !known(desk) && is(desk);
        desks.iter().position(others)
    })
}
