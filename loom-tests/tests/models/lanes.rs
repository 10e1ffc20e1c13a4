//! Lanes in a queue: they wake the flusher, give up their room, and are counted.

use alq::model::barrier;
use alq::model::{Drained, Kind, Last};
use alq_loom_tests::{
    FOR_EVER, SPAN, append, append_in_lane, explore, queue_for_lanes, ring_for_lanes, start, take,
    write, write_in_lane,
};
use loom::sync::Arc;
use loom::thread;

/// A record in a lane wakes a flusher that is parked, and one that is about to park.
#[test]
fn a_record_in_a_lane_wakes_the_flusher() {
    explore("a_record_in_a_lane_wakes_the_flusher", 2, || {
        let (shared, flusher, file) = queue_for_lanes();
        let mut owner = shared.ring.enter_lane(SPAN);
        let thread = start(flusher, &shared);
        for (letter, end) in [(b'a', 1), (b'b', 2)] {
            write_in_lane(&shared, &mut owner, letter, 1).unwrap();
            let written = || (shared.ring.tail().pos >= end).then_some(());
            shared.progress.wait_until(None, written).unwrap();
        }
        assert_eq!(file.contents(), b"ab");
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

/// A flusher that waits for the owner of a span is woken by it: when it posts, when it gives up, and when it leaves.
#[test]
fn who_is_waited_for_in_a_lane_wakes_the_flusher() {
    explore("who_is_waited_for_in_a_lane_wakes_the_flusher", 2, || {
        let (shared, flusher, file) = queue_for_lanes();
        let mut owner = shared.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut owner, b'a', 1).unwrap();
        assert!(owner.begins(1)); // at work
        let thread = start(flusher, &shared);
        let z = write(&shared, b'z', 1, true);
        let posted = owner.post(&shared.ring, 0); // and done, without a record
        shared.posted(posted, false);
        let written = || (shared.ring.tail().pos >= z).then_some(());
        shared.progress.wait_until(None, written).unwrap();
        assert_eq!(file.contents(), b"az");
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

/// The same with an owner that goes on: it has begun when it is asked, and goes to another span.
#[test]
fn an_owner_that_leaves_its_span_wakes_the_flusher() {
    explore("an_owner_that_leaves_its_span_wakes_the_flusher", 2, || {
        let (shared, flusher, file) = queue_for_lanes();
        let mut owner = shared.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut owner, b'a', 1).unwrap();
        let z = write(&shared, b'z', 1, false);
        let thread = start(flusher, &shared);
        shared.bell.ring();
        write_in_lane(&shared, &mut owner, b'b', 1).unwrap();
        let written = || (shared.ring.tail().pos >= z).then_some(());
        shared.progress.wait_until(None, written).unwrap();
        barrier::close(&shared, FOR_EVER()).unwrap();
        thread.join().unwrap();
        assert_eq!(file.contents().len(), 3);
    });
}

/// A writer that waits for the room of a lane that does nothing gets it.
#[test]
fn a_writer_gets_the_room_of_an_idle_lane() {
    explore("a_writer_gets_the_room_of_an_idle_lane", 1, || {
        let (shared, flusher, file) = queue_for_lanes();
        let mut idle = shared.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut idle, b'i', 1).unwrap();
        let thread = start(flusher, &shared);
        let mut reservation = shared.wait_reserve(16, Kind::Writen, None).unwrap();
        reservation.fill(&[b'w'; 16]);
        let posted = reservation.post(16);
        shared.posted(posted, true);
        barrier::close(&shared, FOR_EVER()).unwrap();
        thread.join().unwrap();
        assert_eq!(file.contents().len(), 17);
    });
}

/// A writer that waits for all of the room, while a lane opens a span in it, writes a record, and does nothing more.
#[test]
fn a_writer_gets_the_room_that_a_lane_takes_meanwhile() {
    explore(
        "a_writer_gets_the_room_that_a_lane_takes_meanwhile",
        0,
        || {
            let (shared, flusher, _file) = queue_for_lanes();
            write(&shared, b'x', 1, false);
            let mut owner = shared.ring.enter_lane(SPAN);
            let other = Arc::clone(&shared);
            let lane = thread::spawn(move || {
                write_in_lane(&other, &mut owner, b'l', 1).unwrap();
                owner
            });
            let thread = start(flusher, &shared);
            let reservation = shared.wait_reserve(16, Kind::Getn, None).unwrap();
            shared.posted(reservation.post(0), true);
            drop(lane.join().unwrap());
            shared.set_last(Last::Stop);
            thread.join().unwrap();
        },
    );
}

/// A lane that waits for room while another lane holds it.
#[test]
fn a_lane_gets_the_room_of_another() {
    explore("a_lane_gets_the_room_of_another", 1, || {
        let (shared, flusher, _file) = queue_for_lanes();
        let mut idle = shared.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut idle, b'i', 1).unwrap();
        let thread = start(flusher, &shared);
        let mut lane = shared.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut lane, b'w', 16).unwrap();
        barrier::close(&shared, FOR_EVER()).unwrap();
        thread.join().unwrap();
        assert_eq!(shared.stats().written_bytes, 17);
    });
}

/// What is posted is counted once while a lane goes on and the drain seals it.
#[test]
fn accounts_of_lanes_belong_together() {
    explore("accounts_of_lanes_belong_together", 1, || {
        let (ring, mut drain) = ring_for_lanes(16, 4);
        let mut owner = ring.enter_lane(SPAN);
        append_in_lane(&ring, &mut owner, b'a', 1);
        append(&ring, b'z', 1);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let reader = thread::spawn(move || {
            let (done, outstanding) = other.outstanding();
            assert_eq!(done.tail.pos, done.bytes + done.padding);
            assert_eq!(
                done.bytes + outstanding.bytes,
                2,
                "{done:?} {outstanding:?}"
            );
            assert!(
                other.posted_end() >= 2,
                "its record is in front of what a flush waits for"
            );
            assert_eq!(outstanding.lane_records_posted, 1);
            assert_eq!(
                done.records + outstanding.records + 1 - outstanding.lane_records,
                2
            );
        });
        let mut file = Vec::new();
        while !matches!(take(&mut drain, &ring, &mut file), Drained::Empty) {}
        reader.join().unwrap();
        assert_eq!(file, b"az");
    });
}
