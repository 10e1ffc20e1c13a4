//! A queue that has failed: refused callers get the cause, and so do lanes.

use alq::model::{Kind, Order};
use alq::{Error, Operation};
use alq_loom_tests::{SPAN, explore, queue, queue_for_lanes, write, write_in_lane};
use loom::sync::Arc;
use loom::thread;

/// A caller that a failed queue refuses gets the failure as its error, not `Closed`.
#[test]
fn a_failed_queue_says_why() {
    explore("a_failed_queue_says_why", 3, || {
        let (shared, _flusher, _file) = queue(4, Order::Any);
        let other = Arc::clone(&shared);
        let writer =
            thread::spawn(move || other.intake.try_reserve(1).map(drop).map_err(Error::from));
        shared.fail(Operation::Write, 5);
        assert_ne!(writer.join().unwrap(), Err(Error::Closed));
    });
}

/// A writer that waits for room, or is about to wait, gets the failure as its error.
#[test]
fn a_failure_wakes_a_waiting_writer_with_its_cause() {
    explore("a_failure_wakes_a_waiting_writer_with_its_cause", 3, || {
        let (shared, _flusher, _file) = queue(4, Order::Any);
        write(&shared, b'x', 4, false);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            let reserved = other.intake.wait_reserve(1, Kind::Writen, None);
            reserved.map(drop).map_err(Error::from)
        });
        shared.fail(Operation::Write, 5);
        assert_eq!(writer.join().unwrap(), Err(shared.failure().unwrap()));
    });
}

/// A lane opens a span as the queue fails. Its next record is refused, although the span has room.
#[test]
fn a_lane_that_opens_a_span_as_the_queue_fails() {
    explore("a_lane_that_opens_a_span_as_the_queue_fails", 3, || {
        let (shared, _flusher, _file) = queue_for_lanes();
        let mut owner = shared.intake.ring.enter_lane(SPAN);
        let other = Arc::clone(&shared);
        let lane = thread::spawn(move || {
            let first = write_in_lane(&other, &mut owner, b'a', 1);
            (owner, first)
        });
        shared.fail(Operation::Write, 5);
        let (mut owner, first) = lane.join().unwrap();
        assert_ne!(first, Err(Error::Closed));
        let second = write_in_lane(&shared, &mut owner, b'b', 1);
        assert_eq!(second, Err(shared.failure().unwrap()));
    });
}

/// A thread that has seen the failure of the queue is refused.
#[test]
fn a_thread_that_sees_the_failure_is_refused() {
    explore("a_thread_that_sees_the_failure_is_refused", 3, || {
        let (shared, _flusher, _file) = queue(4, Order::Any);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            if let Some(failure) = other.failure() {
                assert_eq!(
                    other.intake.try_reserve(1).map(drop).map_err(Error::from),
                    Err(failure)
                );
            }
        });
        shared.fail(Operation::Write, 5);
        writer.join().unwrap();
    });
}
