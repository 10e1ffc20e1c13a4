//! Waiting for the flusher: until something is written, or until the queue is finished.
//!
//! If nothing moves for the stall limit, a wait ends, and the caller gets an error that names what
//! blocks the drain. This file decides when a wait ends. It may not write to the sink or move the
//! tail: it asks the flusher to (`bell`, `set_last`).

use std::time::{Duration, Instant};

use crate::actors::{Last, Shared, Trouble};
use crate::memory::Memory;
use crate::primitives::Event;
use crate::words::{Error, Tail, Undrained};

/// The time that a close may add to its timeout, to write what is posted after open reservations.
const STEP_OVER_TIME: Duration = Duration::from_millis(100);

/// Limits a wait: by a deadline of the caller, and by the longest time in which nothing may move.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    deadline: Option<Instant>,
    stall_limit: Option<Duration>,
    /// The wait is for a sync only, so an error of the descriptor on a write does not matter.
    for_sync: bool,
}

/// Why a wait ended before it had its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Deadline,
    Stall,
}

impl Patience {
    pub fn new(timeout: Option<Duration>, stall_limit: Option<Duration>) -> Self {
        Self {
            deadline: timeout.and_then(deadline_in),
            stall_limit,
            for_sync: false,
        }
    }

    /// Returns the limits of a call on a queue: its `timeout`, and the queue's stall limit.
    pub fn of<M>(shared: &Shared<M>, timeout: Option<Duration>) -> Self {
        Self::new(timeout, shared.intake.trouble.stall_limit)
    }

    /// Returns the same limits for a wait on data that is written already.
    pub fn for_sync(self, for_sync: bool) -> Self {
        Self { for_sync, ..self }
    }

    /// Waits until `ready` returns a result, or until a limit is reached. `event` is notified when
    /// `ready` may have a result.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::Held`], [`Error::Stalled`] or [`Error::WouldDeadlock`]; or the
    /// error of `ready`.
    pub fn wait_for<M: Memory>(
        self,
        shared: &Shared<M>,
        event: &Event,
        mut ready: impl FnMut() -> Option<Result<(), Error>>,
    ) -> Result<(), Error> {
        if let Some(result) = ready() {
            return result;
        }
        if shared.is_servant() {
            return Err(Error::WouldDeadlock);
        }
        let Shared { intake, .. } = shared;
        match self.wait(shared, event, ready) {
            Ok(result) => result,
            Err(Ended::Deadline) => Err(Error::TimedOut),
            Err(Ended::Stall) if self.for_sync => Err(intake.trouble.stall_error(NO_RETURN)),
            Err(Ended::Stall) => Err(obstacle(shared)),
        }
    }

    /// Returns how long nothing may move from now on. A stall that began before the call counts,
    /// except that the sink is tried once more.
    fn left_of(self, limit: Duration, trouble: &Trouble) -> Duration {
        if self.for_sync {
            return limit;
        }
        let age = trouble.stall().map(|stall| stall.age);
        let left = limit.saturating_sub(age.unwrap_or_default());
        left.max(limit.min(RETRY_TIME))
    }

    /// Returns whether the wait gives up because the sink has no room: the queue does not wait for
    /// room, and the sink was tried again since its counter of refusals was `refusals`.
    fn gives_up(self, trouble: &Trouble, refusals: u64) -> bool {
        !self.for_sync && trouble.no_room().is_some() && trouble.refusals() != refusals
    }

    /// Waits until `ready` returns a value. Fails if the deadline passes, if nothing moves for the
    /// stall limit, or if the sink has no room and the queue does not wait for that.
    fn wait<M: Memory, T>(
        self,
        shared: &Shared<M>,
        event: &Event,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, Ended> {
        let Shared { intake, .. } = shared;
        let trouble = &intake.trouble;
        let refusals = trouble.refusals();
        loop {
            let before = standing(shared);
            let stall = self
                .stall_limit
                .and_then(|limit| Instant::now().checked_add(self.left_of(limit, trouble)));
            let until = match (self.deadline, stall) {
                (Some(deadline), Some(stall)) => Some(deadline.min(stall)),
                (deadline, stall) => deadline.or(stall),
            };
            let look = || match ready() {
                Some(value) => Some(Ok(value)),
                None if self.gives_up(trouble, refusals) => Some(Err(Ended::Stall)),
                None => {
                    intake.bell.ring();
                    None
                }
            };
            if let Some(ended) = event.wait_until(until, look) {
                return ended;
            }
            if self.deadline.is_some_and(|at| at <= Instant::now()) {
                return Err(Ended::Deadline);
            }
            if standing(shared) == before {
                return Err(Ended::Stall);
            }
        }
    }
}

/// The values that change while there is progress: the tail, what is durable, and the number of
/// writes.
fn standing<M: Memory>(shared: &Shared<M>) -> (Tail, (u64, u64)) {
    let Shared {
        intake, outcome, ..
    } = shared;
    (intake.ring.tail(), outcome.progress_made())
}

/// A wait rings the bell, so the flusher tries the sink once more. This is the time for that
/// attempt.
const RETRY_TIME: Duration = Duration::from_millis(250);

/// The errno for a write or a sync that does not return: the system has reported no error yet.
const NO_RETURN: i32 = libc::EAGAIN;

/// Returns when `timeout` will have passed; `None` if the clock cannot represent that time.
pub fn deadline_in(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// Returns the target of a flush that begins now: the end of the last record; on a recorder, the
/// number of the last request for a dump.
pub fn flush_target<M: Memory>(shared: &Shared<M>) -> u64 {
    let ring = &shared.intake.ring;
    if ring.is_recorder() {
        shared.outcome.dumps.last()
    } else {
        ring.posted_end()
    }
}

/// Waits until everything that was posted before the call is written; on a recorder, until the
/// dumps are that were requested.
pub fn flush<M: Memory>(shared: &Shared<M>, patience: Patience) -> Result<(), Error> {
    flush_to(shared, flush_target(shared), patience)
}

/// Waits until everything up to `target` is written.
pub fn flush_to<M: Memory>(
    shared: &Shared<M>,
    target: u64,
    patience: Patience,
) -> Result<(), Error> {
    let Shared {
        intake, outcome, ..
    } = shared;
    let is_reached = || {
        if intake.ring.is_recorder() {
            outcome.dumps.has_met(target)
        } else {
            intake.ring.tail().pos >= target
        }
    };
    let ready = || {
        // Read first: if the flusher has finished, the tail and the failure are final.
        let has_finished = outcome.has_finished();
        if is_reached() {
            let discarded = outcome.discards.error_at(target);
            Some(discarded.map_or(Ok(()), Err))
        } else if let Some(error) = intake.trouble.failure() {
            Some(Err(error))
        } else {
            has_finished.then_some(Err(Error::Closed))
        }
    };
    intake.ring.activate_until(target); // the wait rings the bell
    patience.wait_for(shared, &outcome.progress, ready)
}

/// Returns what blocks the flusher.
fn obstacle<M: Memory>(shared: &Shared<M>) -> Error {
    let Shared { intake, .. } = shared;
    let trouble = &intake.trouble;
    if let Some(age) = trouble.blocked_for() {
        return intake.held(age);
    }
    let stall = trouble.stall();
    trouble.stall_error(stall.map_or(NO_RETURN, |stall| stall.errno))
}

/// Ends the intake of the ring at the end of the process. Once the ring is drained, appends bypass
/// it. A queue that was closed before stays closed.
pub fn set_aside<M: Memory>(shared: &Shared<M>) {
    let Shared { intake, aside, .. } = shared;
    if intake.ring.is_aside() {
        return;
    }
    if intake.ring.is_recorder() {
        intake.close(); // what no dump has asked for does not go to the log at exit either
        return;
    }
    aside.keep();
    if !intake.set_aside() {
        aside.let_go();
    }
}

/// Ends the intake, drains, and returns what could not be drained. If everything was drained, the
/// threads of the queue have ended when this returns. May be called any number of times, also at
/// once.
pub fn close<M: Memory>(shared: &Shared<M>, patience: Patience) -> Result<(), Undrained> {
    let Shared { intake, aside, .. } = shared;
    intake.close();
    let result = finish(shared, patience);
    aside.let_go();
    if shared.has_finished() && !shared.is_servant() {
        intake.crew.threads.join(); // a library that closes its queues may be unloaded next
    }
    result
}

/// Drains a queue after its intake has ended, and returns what could not be drained.
pub fn finish<M: Memory>(shared: &Shared<M>, patience: Patience) -> Result<(), Undrained> {
    let Shared { outcome, .. } = shared;
    if shared.is_servant() {
        outcome.note_obstacle(Error::WouldDeadlock); // the thread continues, and ends by itself
        return account(shared);
    }
    let finished = || shared.has_finished().then_some(());
    let Err(ended) = patience.wait(shared, &shared.outcome.progress, finished) else {
        return account(shared);
    };
    let obstacle = match obstacle(shared) {
        held @ Error::Held { .. } => held,
        _ if ended == Ended::Deadline => Error::TimedOut,
        stalled => stalled,
    };
    if matches!(obstacle, Error::Held { .. }) {
        shared.set_last(Last::StepOver);
        let last_patience = match ended {
            Ended::Deadline => Patience::new(Some(STEP_OVER_TIME), None),
            Ended::Stall => patience,
        };
        let _ = last_patience.wait(shared, &outcome.progress, finished); // `account` counts what is left
    }
    // The flusher stops, unless it is inside a write. So nothing is written after `account` has
    // counted it as left.
    outcome.note_obstacle(obstacle);
    shared.set_last(Last::Stop);
    account(shared)
}

/// Waits until the flusher of a closed queue no longer touches the ring, and returns whether it
/// does not. The flusher stops soon, even before the end of the stream, unless a write does not
/// return.
pub fn has_stopped<M: Memory>(shared: &Shared<M>) -> bool {
    let finished = || shared.has_finished().then_some(());
    let patience = Patience::new(Some(STEP_OVER_TIME), None);
    !shared.is_servant()
        && patience
            .wait(shared, &shared.outcome.progress, finished)
            .is_ok()
}

/// Counts what a closed queue has left unwritten.
fn account<M: Memory>(shared: &Shared<M>) -> Result<(), Undrained> {
    let Shared {
        intake, outcome, ..
    } = shared;
    let (ring, trouble) = (&intake.ring, &intake.trouble);
    let (done, mut outstanding) = ring.outstanding();
    if ring.is_recorder() {
        // Only the rest of a dump was to be written.
        let (bytes, records) = outcome.dumps.left();
        (outstanding.bytes, outstanding.records) = (bytes, records);
        outstanding.held = 0;
    }
    if outstanding.bytes == 0 && done.abandoned == 0 && outstanding.held == 0 {
        return Ok(());
    }
    let held = || intake.held(trouble.blocked_for().unwrap_or_default());
    let cause = trouble
        .failure()
        .or_else(|| outcome.obstacle())
        .unwrap_or_else(held);
    Err(Undrained {
        bytes: outstanding.bytes,
        records: outstanding.records,
        abandoned: done.abandoned + outstanding.held,
        in_ring_file: ring.journal().is_some(),
        cause,
    })
}
