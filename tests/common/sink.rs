//! A scripted sink that records its calls.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use alq::{Error, Operation, Options, Queue, Sink, SyncOp};

use super::{DEADLINE, NEVER_STALLS};

/// One call of `sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sync {
    pub op: SyncOp,
    /// The number of bytes that were written when it began.
    pub written: usize,
    pub has_ended: bool,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    writes: usize,
    syncs: Vec<Sync>,
    write_is_shut: bool,
    sync_is_shut: bool,
    /// The errors of the next calls.
    write_errors: VecDeque<i32>,
    /// The error of every call, while it is set.
    write_error: Option<i32>,
    /// The most bytes that a write takes.
    piece: Option<usize>,
    /// The number of bytes that fit in total, and the error of a write without room (0: it takes 0
    /// bytes).
    room: Option<(usize, i32)>,
    sync_errors: VecDeque<i32>,
    sync_panics: bool,
    stall_reason: Option<&'static str>,
}

/// Writes to memory. Its gates are open until they are shut. A call waits while its gate is shut.
#[derive(Default)]
pub struct Script {
    state: Mutex<State>,
    changed: Condvar,
}

impl Script {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `condition` holds.
    fn when(&self, what: &str, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let wait = |state: &mut State| !condition(state);
        let (state, late) = self
            .changed
            .wait_timeout_while(self.lock(), DEADLINE, wait)
            .unwrap();
        assert!(!late.timed_out(), "this never came: {what}");
        state
    }

    pub fn shut_write(&self) {
        self.change(|state| state.write_is_shut = true);
    }

    pub fn open_write(&self) {
        self.change(|state| state.write_is_shut = false);
    }

    pub fn shut_sync(&self) {
        self.change(|state| state.sync_is_shut = true);
    }

    pub fn open_sync(&self) {
        self.change(|state| state.sync_is_shut = false);
    }

    pub fn fail_write(&self, errno: i32) {
        self.change(|state| state.write_errors.push_back(errno));
    }

    /// Makes every write fail with this errno, or none of them.
    pub fn fail_writes(&self, errno: Option<i32>) {
        self.change(|state| state.write_error = errno);
    }

    /// Takes bytes until it has `bytes` in total. Then writes fail with `errno`, or take 0 bytes if
    /// that is 0.
    pub fn take_at_most(&self, bytes: usize, errno: i32) {
        self.change(|state| state.room = Some((bytes, errno)));
    }

    /// Limits the bytes that each write takes.
    pub fn take_in_pieces(&self, bytes: usize) {
        self.change(|state| state.piece = Some(bytes));
    }

    /// What it says about a stall; empty to panic instead.
    pub fn explain_stalls(&self, reason: &'static str) {
        self.change(|state| state.stall_reason = Some(reason));
    }

    /// The number of calls of `write`.
    pub fn writes(&self) -> usize {
        self.lock().writes
    }

    pub fn fail_sync(&self, errno: i32) {
        self.change(|state| state.sync_errors.push_back(errno));
    }

    pub fn panic_in_sync(&self) {
        self.change(|state| state.sync_panics = true);
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    pub fn written(&self) -> usize {
        self.lock().bytes.len()
    }

    /// All calls of `sync` so far, in order.
    pub fn syncs(&self) -> Vec<Sync> {
        self.lock().syncs.clone()
    }

    /// The operations of those calls.
    pub fn ops(&self) -> Vec<SyncOp> {
        self.syncs().iter().map(|sync| sync.op).collect()
    }

    /// The number of bytes that the syncs that have returned cover.
    pub fn synced(&self) -> usize {
        let syncs = self.syncs();
        let ended = syncs.iter().filter(|sync| sync.has_ended);
        ended.map(|sync| sync.written).max().unwrap_or(0)
    }

    /// Waits until `sync` has been called `count` times.
    pub fn wait_for_sync(&self, count: usize) {
        drop(self.when("a sync", |state| state.syncs.len() >= count));
    }

    /// Waits until `write` has been called `count` times.
    pub fn wait_for_write(&self, count: usize) {
        drop(self.when("a write", |state| state.writes >= count));
    }

    /// Waits until `len` bytes are written.
    pub fn wait_for_bytes(&self, len: usize) {
        drop(self.when("the bytes", |state| state.bytes.len() >= len));
    }
}

impl Sink for Script {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.change(|state| state.writes += 1);
        let mut state = self.when("the write gate opens", |state| !state.write_is_shut);
        if let Some(errno) = state.write_errors.pop_front() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        if let Some(errno) = state.write_error {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let before = state.bytes.len();
        runs.iter()
            .for_each(|run| state.bytes.extend_from_slice(run));
        if let Some(piece) = state.piece {
            state.bytes.truncate(before + piece);
        }
        if let Some((room, errno)) = state.room {
            state.bytes.truncate(room);
            if state.bytes.len() == before && errno != 0 {
                return Err(io::Error::from_raw_os_error(errno));
            }
        }
        let taken = state.bytes.len() - before;
        drop(state);
        self.changed.notify_all();
        Ok(taken)
    }

    fn stall_reason(&self) -> Option<String> {
        let reason = self.lock().stall_reason?;
        assert!(!reason.is_empty(), "this sink panics here, as it was told");
        Some(reason.to_owned())
    }

    fn sync(&self, op: SyncOp) -> io::Result<()> {
        let call = self.change(|state| {
            let written = state.bytes.len();
            state.syncs.push(Sync {
                op,
                written,
                has_ended: false,
            });
            state.syncs.len() - 1
        });
        let mut state = self.when("the sync gate opens", |state| !state.sync_is_shut);
        if state.sync_panics {
            drop(state);
            panic!("this sink panics in sync, as it was told");
        }
        if let Some(errno) = state.sync_errors.pop_front() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        state.syncs[call].has_ended = true;
        Ok(())
    }
}

/// A queue on the sink `script`.
pub fn queue_to(script: &Arc<Script>, options: Options) -> Queue {
    options.open_sink(Arc::clone(script)).unwrap()
}

/// A queue that is larger than a test fills, and its scripted sink.
pub fn scripted() -> (Queue, Arc<Script>) {
    let script = Script::new();
    let options = Options::new().capacity(1 << 16);
    let queue = queue_to(&script, options.stall_limit(Some(NEVER_STALLS)));
    (queue, script)
}

pub fn sync_error(errno: i32) -> Error {
    Error::Io {
        operation: Operation::Sync,
        errno,
        target: alq::Target::default(),
    }
}

/// Keeps the bytes of each write by itself.
#[derive(Clone, Default)]
pub struct Writes(Arc<Mutex<Vec<Vec<u8>>>>);

impl Writes {
    pub fn all(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().clone()
    }
}

impl Sink for Writes {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = runs.iter().flat_map(|run| run.to_vec()).collect();
        let len = bytes.len();
        self.0.lock().unwrap().push(bytes);
        Ok(len)
    }
}
