//! Flush: a barrier for the records that were posted before.

use std::io::IoSlice;

use alq::model::{Holes, Last, Order, barrier};
use alq_loom_tests::{
    FOR_EVER, SPAN, append, explore, queue, queue_for_lanes, ring, start, write, write_in_lane,
};
use loom::sync::Arc;
use loom::thread;

/// A flush is a barrier for the records of its thread, while another thread posts.
#[test]
fn flush() {
    explore("flush", 1, || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let thread = start(flusher, &shared);
        let other = Arc::clone(&shared);
        let poster = thread::spawn(move || write(&other, b'b', 2, true));
        let end = write(&shared, b'a', 1, false);
        barrier::flush(&shared, FOR_EVER()).unwrap();
        assert!(file.first(end).contains(&b'a'));
        poster.join().unwrap();
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

/// The target of a flush is never before the last record of its own thread. This holds although
/// tail and head are two words, and both advance by more than the distance between them.
#[test]
fn a_flush_target_includes_the_own_record() {
    explore("a_flush_target_includes_the_own_record", 2, || {
        let (ring, mut drain) = ring(4);
        let ring = Arc::new(ring);
        append(&ring, b'x', 1);
        append(&ring, b'y', 1);
        let mine = append(&ring, b'm', 2);
        let other = Arc::clone(&ring);
        let flush = thread::spawn(move || assert!(other.posted_end() >= mine));
        let taken = |runs: &[IoSlice<'_>]| Ok::<_, ()>(runs.iter().map(|run| run.len()).sum());
        drain.step(&ring, 2, Holes::Wait, taken).unwrap(); // x and y
        append(&ring, b'b', 1);
        append(&ring, b'c', 1);
        flush.join().unwrap();
    });
}

/// A flush waits for a record that comes after the open span of an idle lane.
#[test]
fn a_flush_with_an_idle_lane() {
    explore("a_flush_with_an_idle_lane", 1, || {
        let (shared, flusher, file) = queue_for_lanes();
        let mut idle = shared.intake.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut idle, b'i', 1).unwrap();
        let thread = start(flusher, &shared);
        let other = Arc::clone(&shared);
        let poster = thread::spawn(move || write(&other, b'b', 1, false));
        let mut lane = shared.intake.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut lane, b'a', 1).unwrap();
        barrier::flush(&shared, FOR_EVER()).unwrap();
        assert!(file.contents().contains(&b'a') && file.contents().contains(&b'i'));
        poster.join().unwrap();
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

/// The target of a flush is never before the last record of its own thread, while the next record
/// is seen in part: its state is visible, and its place is not yet.
#[test]
fn a_flush_target_includes_the_own_record_while_the_next_is_half_visible() {
    let name = "a_flush_target_includes_the_own_record_while_the_next_is_half_visible";
    explore(name, 3, || {
        let (ring, _drain) = ring(8);
        let ring = Arc::new(ring);
        let mine = append(&ring, b'm', 2);
        let other = Arc::clone(&ring);
        let flush = thread::spawn(move || assert!(other.posted_end() >= mine));
        append(&ring, b'b', 1);
        flush.join().unwrap();
    });
}
