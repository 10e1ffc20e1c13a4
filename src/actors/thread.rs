//! The thread that drives the flusher: it sleeps, waits for the sink, and ends.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::flusher::{Flusher, Step};
use super::pace::{Pace, Rest};
use crate::ends::Sink;
use crate::memory::Memory;
use crate::primitives::Interest;
use crate::primitives::sync::{Arc, spawn_quiet};
use crate::words::{Error, Operation};

/// How long one wait for a sink lasts, before a close that has given up is looked for.
const READY_LIMIT: Duration = Duration::from_millis(100);

/// Starts the flusher thread, which naps for `nap_max` at most; it takes no signals and ends with the queue.
///
/// # Errors
///
/// Those of `pthread_create(3)`.
pub fn start<M, S>(flusher: Flusher<M, S>, nap_max: Duration) -> io::Result<()>
where
    M: Memory + 'static,
    S: Sink + 'static,
{
    let pace = Pace::new(flusher.shared.ring.geometry().capacity(), nap_max);
    spawn_quiet(c"alq-flusher", move || run(flusher, pace))
}

/// Drives the flusher; a panic in it (or in its sink) fails the queue, so that nobody waits for ever.
fn run<M: Memory, S: Sink>(mut flusher: Flusher<M, S>, pace: Pace) {
    let shared = Arc::clone(&flusher.shared);
    shared.enlist();
    if catch_unwind(AssertUnwindSafe(|| drive(&mut flusher, pace))).is_err() {
        shared.fail(Operation::Flusher, libc::EIO);
    }
    drop(flusher); // whoever sees the end sees the descriptor closed
    shared.flusher_ended();
}

/// Steps until the queue is finished.
pub fn drive<M: Memory, S: Sink>(flusher: &mut Flusher<M, S>, mut pace: Pace) {
    loop {
        let step = flusher.step();
        let shared = &*flusher.shared;
        shared.set_blocked(matches!(step, Step::Blocked { .. }));
        match step {
            Step::Moved { more: true, .. } | Step::Again => {}
            Step::Moved { bytes, more: false } => {
                if let Rest::Nap(nap) = pace.after_write(bytes) {
                    shared.bell.nap(nap);
                    shared.drain_counts.wakeups.add_alone(1);
                }
            }
            Step::Busy => {
                if let Err(error) = flusher.sink.wait_ready(READY_LIMIT) {
                    let errno = Error::io(Operation::Write, &error).raw_os_error();
                    shared.fail(Operation::Write, errno);
                }
            }
            Step::Empty => rest(flusher, pace.after_nothing(), Interest::Any),
            Step::Blocked { seq } => {
                rest(flusher, pace.after_nothing(), Interest::Sequence(seq));
            }
            Step::Failed => shared.bell.park(Interest::Nothing, None, || false),
            Step::Finished => return,
        }
    }
}

/// Sleeps as the pace says; parked, until something happens that `interest` names.
fn rest<M: Memory, S: Sink>(flusher: &Flusher<M, S>, rest: Rest, interest: Interest) {
    let shared = &*flusher.shared;
    match rest {
        Rest::Nap(nap) => shared.bell.nap(nap),
        Rest::Park => shared
            .bell
            .park(interest, None, || flusher.is_due(interest)),
    }
    shared.drain_counts.wakeups.add_alone(1);
}
