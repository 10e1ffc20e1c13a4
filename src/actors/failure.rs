//! Failures and stalls of a queue: a write that has failed, or a sink that accepts no data.
//!
//! Only the flusher sets and ends a failure. Any thread may ask for it.

use std::time::Duration;

use super::shared::Shared;
use crate::ends::Stall;
use crate::memory::Memory;
use crate::primitives::sync::{Ordering, unless_mutant};
use crate::ring::Refusal;
use crate::words::{Error, Operation};

/// The failure word: an errno in the low 32 bits, and flags. 0 while nothing has failed.
struct Failure;

impl Failure {
    /// The flusher itself has failed, and not the write.
    const FLUSHER: u64 = 1 << 32;
    /// The failure is not in force: a reopen has ended it, or it is about to begin. The other bits
    /// stay, so that an append that was refused finds the cause.
    const OVER: u64 = 1 << 33;
}

/// After this time a write counts as hung, on a queue without a stall limit.
const HANGS_AFTER: Duration = Duration::from_secs(5);

/// The shortest time between two looks for a hung write.
const LOOK_APART: Duration = Duration::from_millis(50);

impl<M: Memory> Shared<M> {
    /// Makes the queue fail with `errno` until a reopen, and wakes all callers that wait. For the
    /// flusher.
    pub fn fail(&self, operation: Operation, errno: i32) {
        // Only the first failure is reported.
        if self.failure().is_some() {
            return;
        }
        let flusher = if operation == Operation::Flusher {
            Failure::FLUSHER
        } else {
            0
        };
        let word = flusher | u64::from(errno.unsigned_abs());
        // A caller that has seen the failure must be refused, and a refused caller must find the
        // cause. So the order is: store the cause, shut the gate, send lanes with room in their
        // span to the gate, and only then publish the failure. Plain stores suffice, since only the
        // flusher stores.
        // Relaxed: the gate carries it to a refused caller.
        self.failure.store(word | Failure::OVER, Ordering::Relaxed);
        self.ring.fail();
        self.ring.ask_lanes();
        // [failure.publish] Release, pairs with [failure.seen]: a caller that has seen the failure
        // finds the gate shut.
        self.failure
            .store(word, unless_mutant("failure.publish", Ordering::Release));
        self.waiters.wake_all();
        self.reporter.report(self.error_of(word));
        self.settle();
    }

    /// Ends a failure: another sink has taken over. For the flusher.
    pub fn recover(&self) {
        // Relaxed on both: only the flusher stores, and no thread reads other data through this
        // word.
        let word = self.failure.load(Ordering::Relaxed);
        if word != 0 && word & Failure::OVER == 0 {
            self.failure.store(word | Failure::OVER, Ordering::Relaxed);
            self.ring.recover();
        }
    }

    /// Returns why the queue has failed, if it has.
    pub fn failure(&self) -> Option<Error> {
        // [failure.seen] Acquire, pairs with [failure.publish].
        let order = unless_mutant("failure.seen", Ordering::Acquire);
        let word = self.failure.load(order);
        (word != 0 && word & Failure::OVER == 0).then(|| self.error_of(word))
    }

    /// Returns the failure for a claim that the gate has refused. The queue may have recovered
    /// since.
    pub fn last_failure(&self) -> Option<Error> {
        // Relaxed: the gate carries it.
        let word = self.failure.load(Ordering::Relaxed);
        (word != 0).then(|| self.error_of(word))
    }

    /// Returns why appends are refused. Unlike [`failure`](Shared::failure), it also covers the
    /// moment between the shutting of the gate and the publication of the failure.
    pub fn failure_so_far(&self) -> Option<Error> {
        let is_refused = || self.ring.refusal() == Some(Refusal::Failed);
        self.failure()
            .or_else(|| is_refused().then(|| self.last_failure())?)
    }

    fn error_of(&self, word: u64) -> Error {
        let operation = if word & Failure::FLUSHER == 0 {
            Operation::Write
        } else {
            Operation::Flusher
        };
        Error::Io {
            operation,
            errno: i32::try_from(word as u32).unwrap_or(libc::EIO),
            target: self.reporter.target(),
        }
    }

    /// Returns the error for a wait that gave up because the sink accepts no data.
    pub fn stall_error(&self, errno: i32) -> Error {
        Error::Stalled {
            errno,
            target: self.reporter.target(),
        }
    }

    /// Returns why the sink accepts no data, and since when. A write that has not returned for the
    /// stall limit counts as a stall too.
    pub fn stall(&self) -> Option<Stall> {
        let hangs = || {
            let age = self.standstill.working_for()?;
            let is_long = age >= self.stall_limit.unwrap_or(HANGS_AFTER);
            let errno = libc::EAGAIN;
            is_long.then_some(Stall { errno, age })
        };
        self.standstill.stall().or_else(hangs)
    }

    /// Reports a hung write, once. A write is hung if it has not returned for the stall limit.
    ///
    /// Returns when to look again, if the queue has a callback and a limit. For any thread but the
    /// flusher, which is in that write.
    pub fn look_for_hang(&self) -> Option<Duration> {
        let limit = self.stall_limit.filter(|_| self.reporter.is_set())?;
        let age = self.standstill.working_for().unwrap_or_default();
        let left = limit.saturating_sub(age);
        if left.is_zero() {
            if self.standstill.set_hang_reported() {
                self.reporter.report(self.stall_error(libc::EAGAIN));
            }
            return Some(limit.max(LOOK_APART));
        }
        Some(left.max(LOOK_APART))
    }

    /// Notes that the sink accepts no data, because of `errno`, and reports a stall that has
    /// reached the stall limit, once.
    ///
    /// Returns how long it takes until the limit is reached; `None` if it is reached or there is no
    /// limit. For the flusher.
    pub fn stalled(&self, errno: i32) -> Option<Duration> {
        self.standstill.set_stalled(errno);
        if self.refuse_when_stalled {
            // Callers that wait because the disk is full look again, and give up.
            self.waiters.wake_all();
            self.progress.notify();
        }
        let stall = self.standstill.stall()?;
        let left = self.stall_limit?.saturating_sub(stall.age);
        if left.is_zero() {
            if self.standstill.pass_limit() {
                self.reporter.report(self.stall_error(errno));
            }
            return None;
        }
        Some(left)
    }
}
