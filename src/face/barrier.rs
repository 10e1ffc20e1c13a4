//! Waiting for the flusher: until something is written, or until the queue is finished.
//!
//! No wait here is blind: when nothing moves for the stall limit, the caller is told what stands in the way.

use std::time::{Duration, Instant};

use crate::actors::{Last, Shared};
use crate::memory::Memory;
use crate::words::{Error, SyncOp, Tail, Undrained};

/// What a close may add to its time to write what is posted behind open reservations.
const STEP_OVER_TIME: Duration = Duration::from_millis(100);

/// Until when a wait lasts: a deadline of the caller's, and the longest time in which nothing may move.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    deadline: Option<Instant>,
    stall_limit: Option<Duration>,
    /// Only a sync is waited for: what the descriptor says to a write is not in the way.
    for_sync: bool,
}

/// Why a wait ended before its time.
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

    /// The same, for something that is written already.
    pub fn for_sync(self, for_sync: bool) -> Self {
        Self { for_sync, ..self }
    }

    /// Waits until `ready` gives a result; an error of its own when the patience is over.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::Held`], [`Error::Stalled`] or [`Error::WouldDeadlock`]; or that of `ready`.
    pub fn wait_for<M: Memory>(
        self,
        shared: &Shared<M>,
        mut ready: impl FnMut() -> Option<Result<(), Error>>,
    ) -> Result<(), Error> {
        if let Some(result) = ready() {
            return result;
        }
        if shared.is_servant() {
            return Err(Error::WouldDeadlock);
        }
        match self.wait(shared, ready) {
            Ok(result) => result,
            Err(Ended::Deadline) => Err(Error::TimedOut),
            Err(Ended::Stall) if self.for_sync => Err(shared.stall_error(NO_RETURN)),
            Err(Ended::Stall) => Err(obstacle(shared)),
        }
    }

    /// How long nothing may move from now on: a stall that has begun before counts, but for one more try.
    fn left_of<M: Memory>(self, limit: Duration, shared: &Shared<M>) -> Duration {
        if self.for_sync {
            return limit;
        }
        let age = shared.stall().map(|stall| stall.age);
        let left = limit.saturating_sub(age.unwrap_or_default());
        left.max(limit.min(RETRY_TIME))
    }

    /// Whether the sink has been tried since there were so many `refusals`, and has no room, and that is not waited for.
    fn gives_up<M: Memory>(self, shared: &Shared<M>, refusals: u64) -> bool {
        let standstill = &shared.standstill;
        shared.refuse_when_stalled
            && !self.for_sync
            && standstill.no_room().is_some()
            && standstill.refusals() != refusals
    }

    /// Waits until `ready` gives a value; an error if the deadline passes, if the tail stands still for the stall limit,
    /// or, where the queue is not to wait for it, if the sink says that it has no room.
    fn wait<M: Memory, T>(
        self,
        shared: &Shared<M>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, Ended> {
        let refusals = shared.standstill.refusals();
        loop {
            let before = standing(shared);
            let stall = self
                .stall_limit
                .and_then(|limit| Instant::now().checked_add(self.left_of(limit, shared)));
            let until = match (self.deadline, stall) {
                (Some(deadline), Some(stall)) => Some(deadline.min(stall)),
                (deadline, stall) => deadline.or(stall),
            };
            let look = || match ready() {
                Some(value) => Some(Ok(value)),
                None if self.gives_up(shared, refusals) => Some(Err(Ended::Stall)),
                None => {
                    shared.bell.ring();
                    None
                }
            };
            if let Some(ended) = shared.progress.wait_until(until, look) {
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

/// What must move, lest a wait is told that nothing does.
fn standing<M: Memory>(shared: &Shared<M>) -> (Tail, u64, u64) {
    let durable = shared.durability.reached(SyncOp::Data);
    let drains = shared.drain_counts.drains.get(); // also of a part of a record
    (shared.ring.tail(), durable, drains)
}

/// A wait rings, so that the sink is tried once more; this is for that.
const RETRY_TIME: Duration = Duration::from_millis(250);

/// A write, or a sync, that does not return: the system has said nothing yet.
const NO_RETURN: i32 = libc::EAGAIN;

impl<M: Memory> Shared<M> {
    /// The patience of a call on this queue: its own `timeout`, and the queue's stall limit.
    pub fn patience(&self, timeout: Option<Duration>) -> Patience {
        Patience::new(timeout, self.stall_limit)
    }
}

/// When `timeout` is over; `None` for a time that lies beyond what the clock can say.
pub fn deadline_in(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// Waits until everything that was posted before the call is written.
pub fn flush<M: Memory>(shared: &Shared<M>, patience: Patience) -> Result<(), Error> {
    flush_to(shared, shared.ring.posted_end(), patience)
}

/// Waits until everything up to `target` is written.
pub fn flush_to<M: Memory>(
    shared: &Shared<M>,
    target: u64,
    patience: Patience,
) -> Result<(), Error> {
    let ready = || {
        let has_finished = shared.has_finished(); // first: what it has ended with is known then
        if shared.ring.tail().pos >= target {
            Some(Ok(()))
        } else if let Some(error) = shared.failure() {
            Some(Err(error))
        } else {
            has_finished.then_some(Err(Error::Closed))
        }
    };
    patience.wait_for(shared, ready)
}

/// What the flusher waits for.
fn obstacle<M: Memory>(shared: &Shared<M>) -> Error {
    if let Some(age) = shared.standstill.blocked_for() {
        return shared.held(age);
    }
    let stall = shared.stall();
    shared.stall_error(stall.map_or(NO_RETURN, |stall| stall.errno))
}

/// Ends the intake: from now on every append is refused, and whoever waits for room is told.
pub fn end_intake<M: Memory>(shared: &Shared<M>) {
    if shared.ring.close() {
        shared.ring.ask_lanes(); // those with room in their span do not come to the gate by themselves
        shared.waiters.wake_all();
        shared.bell.ring();
    }
    shared.ring.end_aside();
}

/// Ends the intake of the ring because the process ends: appends go on past it, as soon as it is drained. A queue that
/// somebody has closed stays closed.
pub fn set_aside<M: Memory>(shared: &Shared<M>) {
    if shared.ring.is_aside() {
        return;
    }
    shared.aside.keep();
    if shared.ring.set_aside() {
        shared.ring.ask_lanes(); // as in `end_intake`
        shared.waiters.wake_all();
        shared.bell.ring();
    } else {
        shared.aside.let_go();
    }
}

/// Ends the intake, drains, and says what could not be drained; if all was, the threads of the queue have ended. Any number of calls, at once or in turn.
pub fn close<M: Memory>(shared: &Shared<M>, patience: Patience) -> Result<(), Undrained> {
    end_intake(shared);
    let result = finish(shared, patience);
    shared.aside.let_go();
    if shared.has_finished() && !shared.is_servant() {
        shared.threads.join(); // a library that closes its queues may be unloaded next
    }
    result
}

/// Drains a queue whose intake has ended, and says what could not be drained.
pub fn finish<M: Memory>(shared: &Shared<M>, patience: Patience) -> Result<(), Undrained> {
    if shared.is_servant() {
        shared.note_obstacle(Error::WouldDeadlock); // the thread goes on, and ends by itself
        return account(shared);
    }
    let finished = || shared.has_finished().then_some(());
    let Err(ended) = patience.wait(shared, finished) else {
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
        let _ = last_patience.wait(shared, finished); // either way, what is left is counted below
    }
    // Nothing is written after it has been counted as left: the flusher stops, unless a write is under way.
    shared.note_obstacle(obstacle);
    shared.set_last(Last::Stop);
    account(shared)
}

/// Whether the flusher of a queue that was closed touches its ring no more. It stops soon, also where it has not come to its end,
/// unless a write does not return.
pub fn has_stopped<M: Memory>(shared: &Shared<M>) -> bool {
    let finished = || shared.has_finished().then_some(());
    let patience = Patience::new(Some(STEP_OVER_TIME), None);
    !shared.is_servant() && patience.wait(shared, finished).is_ok()
}

/// What a queue that takes no more has left undone.
fn account<M: Memory>(shared: &Shared<M>) -> Result<(), Undrained> {
    let (done, outstanding) = shared.ring.outstanding();
    if outstanding.bytes == 0 && done.abandoned == 0 && outstanding.held == 0 {
        return Ok(());
    }
    let held = || shared.held(shared.standstill.blocked_for().unwrap_or_default());
    let cause = shared
        .failure()
        .or_else(|| shared.obstacle())
        .unwrap_or_else(held);
    Err(Undrained {
        bytes: outstanding.bytes,
        records: outstanding.records,
        abandoned: done.abandoned + outstanding.held,
        in_ring_file: shared.ring.journal().is_some(),
        cause,
    })
}
