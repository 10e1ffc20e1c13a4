//! What stands in the way of a whole queue: a write that has failed, or a sink that takes nothing.

use std::time::Duration;

use super::shared::Shared;
use crate::ends::Stall;
use crate::memory::Memory;
use crate::primitives::sync::{Ordering, unless_mutant};
use crate::ring::Refusal;
use crate::words::{Error, Operation};

/// A failure word: errno, and bits. 0 while nothing has failed.
struct Failure;

impl Failure {
    /// The flusher itself is at fault.
    const FLUSHER: u64 = 1 << 32;
    /// It is not in force: a reopen has ended it, or it is about to begin. The rest is for those who were refused.
    const OVER: u64 = 1 << 33;
}

/// When a write counts as one that does not return, on a queue without a stall limit.
const HANGS_AFTER: Duration = Duration::from_secs(5);

/// The least time between two looks for a write that does not return.
const LOOK_APART: Duration = Duration::from_millis(50);

impl<M: Memory> Shared<M> {
    /// Makes the queue fail with `errno`, until a reopen; everybody who waits is told. For the flusher.
    pub fn fail(&self, operation: Operation, errno: i32) {
        // The first failure is the one that is told.
        if self.failure().is_some() {
            return;
        }
        let flusher = if operation == Operation::Flusher {
            Failure::FLUSHER
        } else {
            0
        };
        let word = flusher | u64::from(errno.unsigned_abs());
        // Whoever has been told of it must be refused, and whoever is refused must be told why: so first the why, then the
        // gate, to which lanes with room in their span must be sent, and only then is it told. Plain stores: only the flusher
        // comes here.
        // Relaxed: the gate carries it to whoever is refused.
        self.failure.store(word | Failure::OVER, Ordering::Relaxed);
        self.ring.fail();
        self.ring.ask_lanes();
        // [failure.told] Release, pairs with [failure.seen]: who is told finds the gate shut.
        self.failure
            .store(word, unless_mutant("failure.told", Ordering::Release));
        self.waiters.wake_all();
        self.reporter.report(self.error_of(word));
        self.settle();
    }

    /// Takes a failure back: another sink has taken over. For the flusher.
    pub fn recover(&self) {
        // Relaxed on both: only the flusher stores, and nothing is read behind it.
        let word = self.failure.load(Ordering::Relaxed);
        if word != 0 && word & Failure::OVER == 0 {
            self.failure.store(word | Failure::OVER, Ordering::Relaxed);
            self.ring.recover();
        }
    }

    /// Why the queue has failed, if it has.
    pub fn failure(&self) -> Option<Error> {
        // [failure.seen] Acquire, pairs with [failure.told].
        let order = unless_mutant("failure.seen", Ordering::Acquire);
        let word = self.failure.load(order);
        (word != 0 && word & Failure::OVER == 0).then(|| self.error_of(word))
    }

    /// Why a claim was refused that has seen the queue fail; it may have recovered since.
    pub fn last_failure(&self) -> Option<Error> {
        // Relaxed: the gate carries it.
        let word = self.failure.load(Ordering::Relaxed);
        (word != 0).then(|| self.error_of(word))
    }

    /// Why appends are refused, from the first one that is: the rest is told a moment later.
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

    /// What a wait says that gave up because the sink accepts no data.
    pub fn stall_error(&self, errno: i32) -> Error {
        Error::Stalled {
            errno,
            target: self.reporter.target(),
        }
    }

    /// Why the sink accepts no data, and since when. A write that has not returned for the stall limit is
    /// a stall too.
    pub fn stall(&self) -> Option<Stall> {
        let hangs = || {
            let age = self.standstill.working_for()?;
            let is_long = age >= self.stall_limit.unwrap_or(HANGS_AFTER);
            let errno = libc::EAGAIN;
            is_long.then_some(Stall { errno, age })
        };
        self.standstill.stall().or_else(hangs)
    }

    /// Reports a write that has not returned for the stall limit, once; returns when to look again, if
    /// the queue has a callback and a limit. For any thread but the flusher, which is in that write.
    pub fn look_for_hang(&self) -> Option<Duration> {
        let limit = self.stall_limit.filter(|_| self.reporter.is_set())?;
        let age = self.standstill.working_for().unwrap_or_default();
        let left = limit.saturating_sub(age);
        if left.is_zero() {
            if self.standstill.tell_hang() {
                self.reporter.report(self.stall_error(libc::EAGAIN));
            }
            return Some(limit.max(LOOK_APART));
        }
        Some(left.max(LOOK_APART))
    }

    /// The sink has taken nothing, because of `errno`. Says how long it takes until that has lasted for the stall limit;
    /// once it has, tells so, once. For the flusher.
    pub fn stalled(&self, errno: i32) -> Option<Duration> {
        self.standstill.set_stalled(errno);
        if self.refuse_when_stalled {
            // Those who wait behind a full disk look again, and give up.
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
