//! The flusher thread: it calls the step function, sleeps, waits for the sink, and ends.
//!
//! It owns the clock and the sleeps, which the step does not have. It never drains the ring itself.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::flusher::{Flusher, Step};
use super::pace::{BackOff, Pace, Rest};
use super::shared::Shared;
use crate::memory::Memory;
use crate::primitives::Interest;
use crate::primitives::sync::{Arc, spawn_quiet, spin_loop};
use crate::words::{Idle, Operation, errno_of};

/// How long one wait for a sink lasts before the flusher checks whether a close has given up.
const READY_LIMIT: Duration = Duration::from_millis(100);

/// How often a flusher that spins looks at the bell and at its next slot before it takes a whole
/// step, which also does what is due by time. In a model, each look may end in a step.
const LOOKS: u32 = if cfg!(alq_model) { 1 } else { 256 };

/// Starts the flusher thread, which ends with the queue. It blocks all signals, naps for at most
/// `nap_max`, and rests as `idle` says.
///
/// # Errors
///
/// The errors of `pthread_create(3)`.
pub fn start<M: Memory + 'static>(
    flusher: Flusher<M>,
    nap_max: Duration,
    idle: Idle,
) -> io::Result<()> {
    let shared = Arc::clone(&flusher.shared);
    let intake = &shared.intake;
    let pace = Pace::new(intake.ring.geometry().capacity(), nap_max, idle);
    // A ring file may hold records of an earlier process: those are written at once.
    let is_empty = !flusher.is_due(Interest::Any) && !intake.ring.is_recorder();
    let is_parked = is_empty && pace.parks();
    if is_parked {
        intake.bell.begin_parked();
    }
    let body = move || run(flusher, pace, is_parked);
    intake.crew.threads.add(spawn_quiet(c"alq-flusher", body)?);
    Ok(())
}

/// Runs the flusher. A panic in it (or in its sink) fails the queue, so that no caller waits
/// without end.
fn run<M: Memory>(mut flusher: Flusher<M>, pace: Pace, is_parked: bool) {
    let shared = Arc::clone(&flusher.shared);
    let intake = &shared.intake;
    intake.crew.enlist("alq-flusher");
    if is_parked {
        shared.show();
        intake.bell.await_first();
    }
    if catch_unwind(AssertUnwindSafe(|| drive(&mut flusher, pace))).is_err() {
        shared.fail(Operation::Flusher, libc::EIO);
    }
    intake.trouble.standstill.end_work();
    drop(flusher); // a thread that sees the end finds the descriptor closed
    shared.flusher_ended();
}

/// Steps until the queue is finished.
pub fn drive<M: Memory>(flusher: &mut Flusher<M>, mut pace: Pace) {
    let shared = Arc::clone(&flusher.shared);
    let Shared {
        intake, outcome, ..
    } = &*shared;
    let (bell, standstill) = (&intake.bell, &intake.trouble.standstill);
    let mut back_off = BackOff::new();
    loop {
        // Both update whether the line, or the checkpoint, may be written.
        let _ = (flusher.gap_line_waits(), flusher.checkpoint_waits());
        standstill.begin_work();
        let step = flusher.step();
        let worked = standstill.end_work();
        let until_limit = match step {
            Step::Busy => shared.stalled(libc::EAGAIN, worked),
            Step::Full { errno } => shared.stalled(errno, worked),
            Step::Failed => None, // the failure is reported
            _ => {
                intake.trouble.end_hang(worked);
                None
            }
        };
        standstill.set_blocked(matches!(step, Step::Blocked { .. }));
        shared.show();
        if matches!(step, Step::Moved { .. }) {
            back_off = BackOff::new();
        }
        match step {
            Step::Moved { more: true, .. } | Step::Again => {}
            Step::Moved { bytes, more: false } => {
                if let Rest::Nap(nap) = pace.after_write(bytes) {
                    bell.nap(nap);
                    outcome.count_wakeup();
                }
            }
            Step::Busy => wait_ready(flusher, until_limit),
            Step::Full { .. } => {
                let pause = back_off.pause().min(until_limit.unwrap_or(Duration::MAX));
                // Posts need not ring. A flush, a close or a reopen does.
                bell.park(Interest::Nothing, Some(pause), || false);
                outcome.count_wakeup();
            }
            // No post wakes the flusher of a recorder. A request for a dump does.
            Step::Empty if intake.ring.is_recorder() => {
                bell.park(Interest::Nothing, None, || false);
                outcome.count_wakeup();
            }
            Step::Blocked { seq } if intake.ring.is_recorder() => flusher.wait_for_entry(seq),
            Step::Empty => rest(flusher, pace.after_nothing(), Interest::Any),
            Step::Blocked { seq } => {
                rest(flusher, pace.after_nothing(), Interest::Sequence(seq));
            }
            Step::Failed => bell.park(Interest::Nothing, None, || false),
            Step::Finished => return,
        }
    }
}

/// Sleeps as `rest` says. If it parks, it sleeps until the event of `interest`.
fn rest<M: Memory>(flusher: &mut Flusher<M>, rest: Rest, interest: Interest) {
    // A line that may be written now is written in its place. For a line or a checkpoint that must
    // wait, the flusher wakes up.
    let limits = [flusher.gap_line_waits(), flusher.checkpoint_waits()];
    let limits = limits.into_iter().flatten().filter(|left| !left.is_zero());
    let limit = limits.min();
    let Shared {
        intake, outcome, ..
    } = &*flusher.shared;
    match rest {
        Rest::Spin => return look_on(flusher),
        Rest::Nap(nap) => intake.bell.nap(nap),
        Rest::Park => intake
            .bell
            .park(interest, limit, || flusher.is_due(interest)),
    }
    outcome.count_wakeup();
}

/// Looks without a sleep until the bell rings, a post comes, or [`LOOKS`] looks have found nothing.
/// While nothing comes, both lines stay in the cache of this core.
fn look_on<M: Memory>(flusher: &Flusher<M>) {
    let bell = &flusher.shared.intake.bell;
    // `Sequence` asks only about the next slot, and leaves the line of the head to the claims.
    let is_due = || bell.take_ring() || flusher.is_due(Interest::Sequence(0));
    for _ in 0..LOOKS {
        spin_loop();
        if is_due() {
            return;
        }
    }
}

/// Waits until the sink may accept bytes again, for at most [`READY_LIMIT`], and not past the stall
/// limit.
fn wait_ready<M: Memory>(flusher: &Flusher<M>, until_limit: Option<Duration>) {
    // In whole milliseconds, as poll(2) counts, and at least one.
    let limit = until_limit.map_or(READY_LIMIT, |left| {
        READY_LIMIT.min(left + Duration::from_millis(1))
    });
    if let Err(error) = flusher.sink.wait_ready(limit) {
        flusher.shared.fail(Operation::Write, errno_of(&error));
    }
}
