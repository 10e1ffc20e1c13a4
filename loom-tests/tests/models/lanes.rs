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
    explore("a_record_in_a_lane_wakes_the_flusher", [1, 2], || {
        let (shared, flusher, file) = queue_for_lanes();
        let mut owner = shared.intake.ring.enter_lane(SPAN);
        let thread = start(flusher, &shared);
        for (letter, end) in [(b'a', 1), (b'b', 2)] {
            write_in_lane(&shared, &mut owner, letter, 1).unwrap();
            let written = || (shared.intake.ring.tail().pos >= end).then_some(());
            shared.outcome.progress.wait_until(None, written).unwrap();
        }
        assert_eq!(file.contents(), b"ab");
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

/// A flusher that waits for the owner of a span is woken when the owner posts, gives up or leaves.
#[test]
fn a_lane_that_the_flusher_waits_for_wakes_it() {
    explore("a_lane_that_the_flusher_waits_for_wakes_it", 2, || {
        let (shared, flusher, file) = queue_for_lanes();
        let mut owner = shared.intake.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut owner, b'a', 1).unwrap();
        assert!(owner.begins(1)); // at work
        let thread = start(flusher, &shared);
        let z = write(&shared, b'z', 1, true);
        let posted = owner.post(&shared.intake.ring, 0, false); // finished, without a record
        shared.intake.posted(posted);
        let written = || (shared.intake.ring.tail().pos >= z).then_some(());
        shared.outcome.progress.wait_until(None, written).unwrap();
        assert_eq!(file.contents(), b"az");
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

/// The flusher asks for the span of an owner that has begun a record. The owner goes to another
/// span, and that wakes the flusher.
#[test]
fn an_owner_that_leaves_its_span_wakes_the_flusher() {
    explore(
        "an_owner_that_leaves_its_span_wakes_the_flusher",
        [1, 2],
        || {
            let (shared, flusher, file) = queue_for_lanes();
            let mut owner = shared.intake.ring.enter_lane(SPAN);
            write_in_lane(&shared, &mut owner, b'a', 1).unwrap();
            let z = write(&shared, b'z', 1, false);
            let thread = start(flusher, &shared);
            shared.intake.bell.ring();
            write_in_lane(&shared, &mut owner, b'b', 1).unwrap();
            let written = || (shared.intake.ring.tail().pos >= z).then_some(());
            shared.outcome.progress.wait_until(None, written).unwrap();
            barrier::close(&shared, FOR_EVER()).unwrap();
            thread.join().unwrap();
            assert_eq!(file.contents().len(), 3);
        },
    );
}

/// A writer that waits for the room of an idle lane gets it.
#[test]
fn a_writer_gets_the_room_of_an_idle_lane() {
    explore("a_writer_gets_the_room_of_an_idle_lane", 1, || {
        let (shared, flusher, file) = queue_for_lanes();
        let mut idle = shared.intake.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut idle, b'i', 1).unwrap();
        let thread = start(flusher, &shared);
        let mut reservation = shared.intake.wait_reserve(16, Kind::Writen, None).unwrap();
        reservation.fill(&[b'w'; 16]);
        let posted = reservation.post(16);
        shared.intake.posted(posted);
        barrier::close(&shared, FOR_EVER()).unwrap();
        thread.join().unwrap();
        assert_eq!(file.contents().len(), 17);
    });
}

/// A writer waits for the whole ring while a lane opens a span in it, writes a record, and becomes
/// idle.
#[test]
fn a_writer_gets_the_room_that_a_lane_has_just_taken() {
    explore(
        "a_writer_gets_the_room_that_a_lane_has_just_taken",
        0,
        || {
            let (shared, flusher, _file) = queue_for_lanes();
            write(&shared, b'x', 1, false);
            let mut owner = shared.intake.ring.enter_lane(SPAN);
            let other = Arc::clone(&shared);
            let lane = thread::spawn(move || {
                write_in_lane(&other, &mut owner, b'l', 1).unwrap();
                owner
            });
            let thread = start(flusher, &shared);
            let reservation = shared.intake.wait_reserve(16, Kind::Getn, None).unwrap();
            shared.intake.posted(reservation.post(0));
            drop(lane.join().unwrap());
            shared.set_last(Last::Stop);
            thread.join().unwrap();
        },
    );
}

/// A lane that waits for the room of another lane gets it.
#[test]
fn a_lane_gets_the_room_of_another() {
    explore("a_lane_gets_the_room_of_another", 1, || {
        let (shared, flusher, _file) = queue_for_lanes();
        let mut idle = shared.intake.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut idle, b'i', 1).unwrap();
        let thread = start(flusher, &shared);
        let mut lane = shared.intake.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut lane, b'w', 16).unwrap();
        barrier::close(&shared, FOR_EVER()).unwrap();
        thread.join().unwrap();
        assert_eq!(shared.stats().written_bytes, 17);
    });
}

/// Posted records are counted once while a lane appends and the drain seals its span.
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
                "the target of a flush is after its record"
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
