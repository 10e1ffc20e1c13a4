//! What keeps posted records from the log: a failure, a sink that accepts no data, an open entry.
//!
//! This file joins the words that say so with the options and the name of the log, makes the errors
//! for callers, and reports what no caller asks for. It wakes no thread and never touches the ring.

use std::time::Duration;

use super::config::Config;
use super::failure::Failure;
use super::report::Reporter;
use super::standstill::{Refusing, Standstill, Worked};
use crate::words::{Error, Operation};

/// Why the drain of one queue does not move, and the errors that say so.
#[derive(Debug)]
pub struct Trouble {
    failure: Failure,
    pub(super) standstill: Standstill,
    /// Receives errors that no caller is waiting for.
    pub reporter: Reporter,
    /// How long a wait lasts while nothing moves; `None` is without limit.
    pub stall_limit: Option<Duration>,
    /// Whether a call returns an error instead of waiting for a sink that has no room for data or
    /// has failed.
    refuse_when_stalled: bool,
}

/// After this time a write counts as hung, on a queue without a stall limit.
const HANGS_AFTER: Duration = Duration::from_secs(5);

/// The shortest time between two looks for a hung write.
const LOOK_APART: Duration = Duration::from_millis(50);

impl Trouble {
    pub fn new(config: &Config, reporter: Reporter) -> Self {
        Self {
            failure: Failure::new(),
            standstill: Standstill::new(),
            reporter,
            stall_limit: config.stall_limit,
            refuse_when_stalled: config.refuse_when_stalled,
        }
    }

    /// Begins a failure, and returns its error; does nothing if the queue has failed already.
    /// `refuse` must make all later appends fail. For the flusher.
    pub(super) fn fail(
        &self,
        operation: Operation,
        errno: i32,
        refuse: impl FnOnce(),
    ) -> Option<Error> {
        let cause = self.failure.begin(operation, errno, refuse)?;
        Some(cause.error(self.reporter.target()))
    }

    /// Ends a failure. Returns whether there was one. For the flusher.
    pub(super) fn recover(&self) -> bool {
        self.failure.end()
    }

    /// Returns why the queue has failed, if it has.
    pub fn failure(&self) -> Option<Error> {
        let cause = self.failure.cause()?;
        Some(cause.error(self.reporter.target()))
    }

    /// Returns the failure for a claim that the gate has refused. The queue may have recovered
    /// since.
    pub fn last_failure(&self) -> Option<Error> {
        let cause = self.failure.last_cause()?;
        Some(cause.error(self.reporter.target()))
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
    pub fn stall(&self) -> Option<Refusing> {
        let hung = || self.hung_for(self.stall_limit.unwrap_or(HANGS_AFTER));
        self.standstill.stall().or_else(hung)
    }

    /// Returns the stall if a write has not returned for `limit`.
    fn hung_for(&self, limit: Duration) -> Option<Refusing> {
        let age = self.standstill.working_for()?;
        (age >= limit).then_some(Refusing {
            errno: libc::EAGAIN,
            age,
            is_hung: true,
        })
    }

    /// Returns whether a write has not returned for the stall limit.
    pub fn is_hung(&self) -> bool {
        let hung = self.stall_limit.and_then(|limit| self.hung_for(limit));
        hung.is_some()
    }

    /// Returns whether the sink accepts no data.
    pub fn is_stalled(&self) -> bool {
        self.standstill.is_stalled()
    }

    /// Returns whether the sink accepts no data, or a write hangs and that was reported. Reads no
    /// clock: an append that is refused asks.
    pub fn is_known_to_stall(&self) -> bool {
        self.is_stalled() || self.standstill.was_told()
    }

    /// Returns the errno if the sink has no room for data, or a write hangs, and calls must not
    /// wait for that.
    pub fn no_room(&self) -> Option<i32> {
        if !self.refuse_when_stalled {
            return None;
        }
        let hung = || self.is_hung().then_some(libc::EAGAIN);
        self.standstill.no_room().or_else(hung)
    }

    /// Returns how often the sink has refused data.
    pub fn refusals(&self) -> u64 {
        self.standstill.refusals()
    }

    /// Returns how long an open reservation has blocked the drain.
    pub fn blocked_for(&self) -> Option<Duration> {
        self.standstill.blocked_for()
    }

    /// Returns whether nothing blocks the drain, as far as is known.
    pub fn is_moving(&self) -> bool {
        !self.is_stalled() && !self.is_hung() && self.blocked_for().is_none()
    }

    /// Reports a hung write, once. A write is hung if it has not returned for the stall limit.
    /// `reason` says why, in words.
    ///
    /// Returns when to look again, if the queue has a callback and a limit. For any thread but the
    /// flusher, which is in that write.
    pub fn look_for_hang(&self, reason: impl FnOnce() -> String) -> Option<Duration> {
        let limit = self.stall_limit.filter(|_| self.reporter.is_set())?;
        if self.is_hung() {
            let reason = reason(); // may call the sink: not while telling
            self.standstill.tell_hang(limit, || {
                self.reporter
                    .report_stall(self.stall_error(libc::EAGAIN), reason);
            });
            return Some(limit.max(LOOK_APART));
        }
        let age = self.standstill.working_for().unwrap_or_default();
        Some(limit.saturating_sub(age).max(LOOK_APART))
    }

    /// Notes that the sink has accepted no data in the step `worked`, because of `errno`. Returns
    /// whether callers that wait must look again, and give up. For the flusher.
    pub(super) fn set_stalled(&self, errno: i32, worked: Worked) -> bool {
        self.standstill.set_stalled(errno, worked);
        self.refuse_when_stalled
    }

    /// Reports a stall that has reached the stall limit, once. `reason` says why, in words.
    ///
    /// Returns how long it takes until the limit is reached; `None` if it is reached or there is no
    /// limit. For the flusher.
    pub(super) fn report_stall(
        &self,
        errno: i32,
        reason: impl FnOnce() -> String,
    ) -> Option<Duration> {
        let stall = self.standstill.stall()?;
        let left = self.stall_limit?.saturating_sub(stall.age);
        if left.is_zero() {
            if self.standstill.pass_limit() {
                self.reporter
                    .report_stall(self.stall_error(errno), reason());
            }
            return None;
        }
        Some(left)
    }

    /// Ends a stall: the sink has accepted bytes, or was replaced. Reports the end if the stall was
    /// reported. For the flusher.
    pub(super) fn end_stall(&self) {
        if let Some(stall) = self.standstill.end_stall() {
            self.reporter
                .report_end(self.stall_error(stall.errno), stall.age);
        }
    }

    /// Reports the end of a write that was reported as hung. For the flusher.
    pub(super) fn end_hang(&self, worked: Worked) {
        if worked.was_told {
            self.reporter
                .report_end(self.stall_error(libc::EAGAIN), worked.time);
        }
    }
}
