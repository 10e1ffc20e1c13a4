//! What stands in the way of a whole queue: a write that has failed, or a sink that takes nothing.

use std::time::Duration;

use super::shared::Shared;
use crate::memory::Memory;
use crate::primitives::sync::Ordering;
use crate::words::{Error, Operation};

/// A failure word: errno, and bits. 0 while nothing has failed.
struct Failure;

impl Failure {
    /// The flusher itself is at fault.
    const FLUSHER: u64 = 1 << 32;
    /// A reopen has ended it. The rest stays, for those who were refused before.
    const OVER: u64 = 1 << 33;
}

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
        // Before anybody can be told of it: a lane with room in its span would not notice.
        self.ring.ask_lanes();
        // Relaxed: the word carries nothing but itself, and whoever is refused or woken for it sees it by the gate or by the
        // wake-up. A plain store: only the flusher comes here.
        self.failure.store(word, Ordering::Relaxed);
        self.ring.fail();
        self.ring.ask_lanes(); // those that have opened a span meanwhile, or they find the gate
        self.waiters.wake_all();
        self.reporter.report(Self::error_of(word));
        self.settle();
    }

    /// Takes a failure back: another sink has taken over. For the flusher.
    pub fn recover(&self) {
        // Relaxed on both: as in `fail`.
        let word = self.failure.load(Ordering::Relaxed);
        if word != 0 && word & Failure::OVER == 0 {
            self.failure.store(word | Failure::OVER, Ordering::Relaxed);
            self.ring.recover();
        }
    }

    /// Why the queue has failed, if it has.
    pub fn failure(&self) -> Option<Error> {
        // Relaxed: as in `fail`.
        let word = self.failure.load(Ordering::Relaxed);
        (word != 0 && word & Failure::OVER == 0).then(|| Self::error_of(word))
    }

    /// Why a claim was refused that has seen the queue fail; it may have recovered since.
    pub fn last_failure(&self) -> Option<Error> {
        // Relaxed: as in `fail`.
        let word = self.failure.load(Ordering::Relaxed);
        (word != 0).then(|| Self::error_of(word))
    }

    fn error_of(word: u64) -> Error {
        let operation = if word & Failure::FLUSHER == 0 {
            Operation::Write
        } else {
            Operation::Flusher
        };
        Error::Io {
            operation,
            errno: i32::try_from(word as u32).unwrap_or(libc::EIO),
        }
    }

    /// The sink has taken nothing, because of `errno`. Says how long it takes until that has lasted for the stall limit;
    /// once it has, tells so, once. For the flusher.
    pub fn stalled(&self, errno: i32) -> Option<Duration> {
        self.standstill.set_stalled(errno);
        let stall = self.standstill.stall()?;
        let left = self.stall_limit?.saturating_sub(stall.age);
        if left.is_zero() {
            if self.standstill.pass_limit() {
                self.reporter.report(Error::Stalled { errno });
            }
            return None;
        }
        Some(left)
    }
}
