//! The failure of a queue: a write has failed, or the flusher itself has.
//!
//! This file owns the word of the failure. Only the flusher sets and ends a failure. Any thread may
//! ask for it.

use crate::primitives::sync::{AtomicU64, Ordering, unless_mutant};
use crate::words::{Error, Operation, Target};

/// Why a queue has failed: an errno in the low 32 bits, and flags. 0 while nothing has failed.
#[derive(Debug)]
pub(super) struct Failure(AtomicU64);

/// The operation and the errno of a failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause(u64);

impl Cause {
    /// The flusher itself has failed, and not the write.
    const FLUSHER: u64 = 1 << 32;
    /// The failure is not in force: a reopen has ended it, or it is about to begin. The other bits
    /// stay, so that an append that was refused finds the cause.
    const OVER: u64 = 1 << 33;

    fn of(operation: Operation, errno: i32) -> Self {
        let flusher = if operation == Operation::Flusher {
            Self::FLUSHER
        } else {
            0
        };
        Self(flusher | u64::from(errno.unsigned_abs()))
    }

    /// Returns the cause in `word`, if there is one.
    fn any(word: u64) -> Option<Self> {
        (word != 0).then_some(Self(word))
    }

    fn is_in_force(self) -> bool {
        self.0 & Self::OVER == 0
    }

    /// Returns the error for a queue on `target`.
    pub fn error(self, target: Target) -> Error {
        let operation = if self.0 & Self::FLUSHER == 0 {
            Operation::Write
        } else {
            Operation::Flusher
        };
        Error::Io {
            operation,
            errno: i32::try_from(self.0 as u32).unwrap_or(libc::EIO),
            target,
        }
    }
}

impl Failure {
    pub fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Begins a failure, and returns its cause; does nothing if a failure is in force. `refuse`
    /// must make all later appends fail. For the flusher.
    pub fn begin(&self, operation: Operation, errno: i32, refuse: impl FnOnce()) -> Option<Cause> {
        // Only the first failure counts.
        if self.cause().is_some() {
            return None;
        }
        let Cause(word) = Cause::of(operation, errno);
        // A caller that has seen the failure must be refused, and a refused caller must find the
        // cause. So the order is: store the cause, shut the gate, send lanes with room in their
        // span to the gate, and only then publish the failure. Plain stores suffice, since only the
        // flusher stores.
        // Relaxed: the gate carries it to a refused caller.
        self.0.store(word | Cause::OVER, Ordering::Relaxed);
        refuse();
        // [failure.publish] Release, pairs with [failure.seen]: a caller that has seen the failure
        // finds the gate shut.
        self.0
            .store(word, unless_mutant("failure.publish", Ordering::Release));
        Some(Cause(word))
    }

    /// Ends the failure that is in force. Returns whether there was one. For the flusher.
    pub fn end(&self) -> bool {
        // Relaxed on both: only the flusher stores, and no thread reads other data through this
        // word.
        let word = self.0.load(Ordering::Relaxed);
        let is_in_force = Cause::any(word).is_some_and(Cause::is_in_force);
        if is_in_force {
            self.0.store(word | Cause::OVER, Ordering::Relaxed);
        }
        is_in_force
    }

    /// Returns the cause of the failure that is in force.
    pub fn cause(&self) -> Option<Cause> {
        // [failure.seen] Acquire, pairs with [failure.publish].
        let word = self
            .0
            .load(unless_mutant("failure.seen", Ordering::Acquire));
        Cause::any(word).filter(|cause| cause.is_in_force())
    }

    /// Returns the cause of the last failure, for a claim that the gate has refused. The queue may
    /// have recovered since.
    pub fn last_cause(&self) -> Option<Cause> {
        // Relaxed: the gate carries it.
        Cause::any(self.0.load(Ordering::Relaxed))
    }
}
