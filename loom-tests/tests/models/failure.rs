//! A queue that has failed: who is refused is told why, and lanes get to know.

use alq::model::{Kind, Order};
use alq::{Error, Operation};
use alq_loom_tests::{SPAN, explore, queue, queue_for_lanes, write, write_in_lane};
use loom::sync::Arc;
use loom::thread;

/// Who is refused by a queue that has failed is told why, not that it is closed.
#[test]
fn a_failed_queue_says_why() {
    explore("a_failed_queue_says_why", 3, || {
        let (shared, _flusher, _file) = queue(4, Order::Any);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || other.try_reserve(1).map(drop).map_err(Error::from));
        shared.fail(Operation::Write, 5);
        assert_ne!(writer.join().unwrap(), Err(Error::Closed));
    });
}

/// The same for one that waits for room, or is about to.
#[test]
fn a_queue_that_fails_tells_a_writer_that_waits() {
    explore("a_queue_that_fails_tells_a_writer_that_waits", 3, || {
        let (shared, _flusher, _file) = queue(4, Order::Any);
        write(&shared, b'x', 4, false);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || other.wait_reserve(1, Kind::Writen, None).map(drop).map_err(Error::from));
        shared.fail(Operation::Write, 5);
        assert_eq!(writer.join().unwrap(), Err(shared.failure().unwrap()));
    });
}

/// A lane that opens a span as the queue fails: its next record, with room in that span, is refused.
#[test]
fn a_lane_that_opens_a_span_as_the_queue_fails() {
    explore("a_lane_that_opens_a_span_as_the_queue_fails", 3, || {
        let (shared, _flusher, _file) = queue_for_lanes();
        let mut owner = shared.ring.enter_lane(SPAN);
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

/// Whoever has been told that the queue has failed is refused.
#[test]
fn who_is_told_of_a_failure_is_refused() {
    explore("who_is_told_of_a_failure_is_refused", 3, || {
        let (shared, _flusher, _file) = queue(4, Order::Any);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            if let Some(failure) = other.failure() {
                assert_eq!(other.try_reserve(1).map(drop).map_err(Error::from), Err(failure));
            }
        });
        shared.fail(Operation::Write, 5);
        writer.join().unwrap();
    });
}
