//! Desks: one for each open file with outstanding requests. A desk has two queues, and the flushers
//! of these queues carry out the requests.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use alq::Queue;

use crate::block::Handle;
use crate::event::Event;
use crate::group::Group;
use crate::kind::OpenFile;

/// One request: everything that is needed after the call has returned.
pub struct Request {
    pub handle: Handle,
    /// The descriptor that the program passed.
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

/// The bytes of a request. They are not copied: the program does not change them until the request
/// is complete.
#[derive(Clone, Copy)]
pub struct Bytes {
    pub start: *const u8,
    pub len: usize,
    /// How many of them are written.
    pub written: usize,
    pub offset: i64,
}

// SAFETY: C does not move the bytes; any thread may read them.
unsafe impl Send for Bytes {}

impl Request {
    /// How many bytes of the request are written.
    pub fn written(&self) -> usize {
        match &self.work {
            Work::Write(bytes) => bytes.written,
            Work::Sync(_) => 0,
        }
    }
}

/// The part of a desk's work that a flusher does.
#[derive(Clone, Copy)]
pub enum Part {
    Writes = 0,
    Syncs = 1,
}

/// A queue of tickets, whose flusher does one part of a desk's work.
pub struct Station {
    pub queue: Queue,
    /// Whether the queue holds a ticket.
    pub is_expected: bool,
}

impl Station {
    /// Returns the queue if it holds no ticket. The caller must then post one.
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
    /// How many requests, from the first, a thread is writing.
    pub running: usize,
    /// Syncs whose earlier writes have been carried out.
    pub syncs: Vec<Request>,
    /// How many of `syncs` the present call serves.
    pub syncing: usize,
    /// The station for writes and the station for syncs; each is made when it is first needed.
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

/// All desks. They are reused and never removed, so their number is the greatest number of files
/// that had outstanding requests at once.
pub type Desks = Vec<Desk>;

static DESKS: Mutex<Desks> = Mutex::new(Vec::new());

/// Locks the desks. No thread waits while it holds this lock.
pub fn desks() -> MutexGuard<'static, Desks> {
    DESKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks the desks if no other thread holds the lock.
pub fn try_desks() -> Option<MutexGuard<'static, Desks>> {
    match DESKS.try_lock() {
        Ok(desks) => Some(desks),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Finds the desk of a descriptor's open file. The desk that knows this number is tried first.
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
