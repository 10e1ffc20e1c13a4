//! The seal of a lane's span, by the drain or by its owner. The heap memory tracks every byte, so a
//! copy into bytes that have another owner fails the model, even if the file comes out right.

use alq::model::Drained;
use alq_loom_tests::{
    SPAN, append, append_in_lane, explore, ring_for_lanes, take, take_all, try_append_in_lane,
};
use loom::sync::Arc;
use loom::thread;

/// A commit runs against a seal. The record is committed before the span is sealed, or it goes into
/// another span.
#[test]
fn seal_against_commit() {
    explore("seal_against_commit", 3, || {
        let (ring, mut drain) = ring_for_lanes(16, 4);
        let mut owner = ring.enter_lane(SPAN);
        append_in_lane(&ring, &mut owner, b'a', 1);
        append(&ring, b'z', 1);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let lane = thread::spawn(move || append_in_lane(&other, &mut owner, b'b', 1));
        let mut file = Vec::new();
        take(&mut drain, &ring, &mut file);
        take(&mut drain, &ring, &mut file);
        lane.join().unwrap();
        take_all(&mut drain, &ring, &mut file, 3);
        assert!(file == b"abz" || file == b"azb", "{file:?}");
        let accounts = ring.accounts();
        assert_eq!(accounts.tail.pos, accounts.bytes + accounts.padding);
    });
}

/// The drain seals a span and its room is claimed at once, while its earlier owner is late.
#[test]
fn a_late_owner_against_the_next_owner_of_its_bytes() {
    explore(
        "a_late_owner_against_the_next_owner_of_its_bytes",
        2,
        || {
            let (ring, mut drain) = ring_for_lanes(16, 4);
            let mut owner = ring.enter_lane(SPAN);
            append_in_lane(&ring, &mut owner, b'a', 1);
            append(&ring, b'z', 12); // the ring is full
            let ring = Arc::new(ring);
            let other = Arc::clone(&ring);
            let lane = thread::spawn(move || append_in_lane(&other, &mut owner, b'b', 1));
            let mut file = Vec::new();
            while file.len() < 13 {
                take(&mut drain, &ring, &mut file);
                thread::yield_now();
            }
            append(&ring, b'y', 4); // where the span was
            lane.join().unwrap();
            take_all(&mut drain, &ring, &mut file, 18);
            file.dedup();
            assert!([&b"abzy"[..], b"azby", b"azyb"].contains(&&file[..]));
        },
    );
}

/// A slot was sealed and describes another span now. The late owner of the earlier span must not
/// overwrite the slot.
#[test]
fn a_late_owner_against_a_reused_slot() {
    explore("a_late_owner_against_a_reused_slot", 2, || {
        let (ring, mut drain) = ring_for_lanes(16, 1);
        let mut owner = ring.enter_lane(SPAN);
        append_in_lane(&ring, &mut owner, b'a', 1);
        let ring = Arc::new(ring);
        let mut file = Vec::new();
        take_all(&mut drain, &ring, &mut file, 1);
        ring.lanes().want_room();
        let other = Arc::clone(&ring);
        let lane = thread::spawn(move || {
            append_in_lane(&other, &mut owner, b'b', 1);
            owner.leave(&other);
        });
        // There is one line of slots: the record gets the slot of the span once that is sealed.
        while ring
            .reserve(1)
            .map(|mut reservation| {
                reservation.fill(b"z");
                reservation.post(1)
            })
            .is_err()
        {
            take(&mut drain, &ring, &mut file);
            thread::yield_now();
        }
        take_all(&mut drain, &ring, &mut file, 3);
        lane.join().unwrap();
        assert!(file == b"abz" || file == b"azb", "{file:?}");
    });
}

/// The drain follows a span that grows, passes its end, and continues in the next one.
#[test]
fn a_drain_over_an_open_span() {
    explore("a_drain_over_an_open_span", [1, 2], || {
        let (ring, mut drain) = ring_for_lanes(16, 4);
        let mut owner = ring.enter_lane(SPAN);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let lane = thread::spawn(move || {
            for letter in *b"abc" {
                append_in_lane(&other, &mut owner, letter, 2);
            }
        });
        let mut file = Vec::new();
        take_all(&mut drain, &ring, &mut file, 6);
        lane.join().unwrap();
        assert_eq!(file, b"aabbcc");
        assert_eq!(
            ring.accounts().padding,
            0,
            "each span begins where the last ended"
        );
    });
}

/// The claim of a span runs against the drain. From the claim to the first commit, the drain finds
/// the owner busy.
#[test]
fn seal_against_claim() {
    explore("seal_against_claim", 4, || {
        let (ring, mut drain) = ring_for_lanes(16, 4);
        let mut owner = ring.enter_lane(SPAN);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let lane = thread::spawn(move || append_in_lane(&other, &mut owner, b'a', 1));
        append(&ring, b'z', 1);
        let mut file = Vec::new();
        take(&mut drain, &ring, &mut file);
        take(&mut drain, &ring, &mut file);
        lane.join().unwrap();
        take_all(&mut drain, &ring, &mut file, 2);
        assert!(file == b"az" || file == b"za", "{file:?}");
    });
}

/// A thread other than the drain asks an owner to leave its span. The owner leaves it while the
/// drain reaches the span.
#[test]
fn a_span_that_its_owner_leaves_is_sealed_once() {
    explore("a_span_that_its_owner_leaves_is_sealed_once", 2, || {
        let (ring, mut drain) = ring_for_lanes(16, 4);
        let mut owner = ring.enter_lane(SPAN);
        append_in_lane(&ring, &mut owner, b'a', 1);
        ring.ask_lanes();
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let lane = thread::spawn(move || {
            append_in_lane(&other, &mut owner, b'b', 1);
            owner.leave(&other);
        });
        append(&ring, b'z', 1);
        let mut file = Vec::new();
        take(&mut drain, &ring, &mut file);
        take(&mut drain, &ring, &mut file);
        lane.join().unwrap();
        take_all(&mut drain, &ring, &mut file, 3);
        take(&mut drain, &ring, &mut file);
        file.sort_unstable();
        assert_eq!(file, b"abz");
        assert!(!ring.lanes().hold_room(), "each span is accounted for once");
        assert_eq!(ring.fill(), 0);
    });
}

/// Two lanes and a shared post, and a drain that seals the spans before the post.
#[test]
fn two_lanes_and_a_shared_post() {
    explore("two_lanes_and_a_shared_post", 1, || {
        let (ring, mut drain) = ring_for_lanes(32, 8);
        let ring = Arc::new(ring);
        let lane = |letters: [u8; 2]| {
            let ring = Arc::clone(&ring);
            let mut owner = ring.enter_lane(SPAN);
            append_in_lane(&ring, &mut owner, letters[0], 1);
            thread::spawn(move || append_in_lane(&ring, &mut owner, letters[1], 1))
        };
        let (one, two) = (lane(*b"ab"), lane(*b"xy"));
        append(&ring, b'-', 1);
        let mut file = Vec::new();
        take(&mut drain, &ring, &mut file);
        take(&mut drain, &ring, &mut file);
        one.join().unwrap();
        two.join().unwrap();
        take_all(&mut drain, &ring, &mut file, 5);
        let at = |letter| file.iter().position(|other| *other == letter).unwrap();
        assert!(at(b'a') < at(b'b') && at(b'x') < at(b'y'), "{file:?}");
    });
}

/// A thread other than the drain asks for a span. The drain finds that it was asked for, and relies
/// on the fence of that thread.
#[test]
fn a_drain_that_finds_a_span_asked_for_already() {
    explore(
        "a_drain_that_finds_a_span_asked_for_already",
        [1, 2],
        || {
            let (ring, mut drain) = ring_for_lanes(16, 4);
            let mut owner = ring.enter_lane(SPAN);
            append_in_lane(&ring, &mut owner, b'a', 1);
            append(&ring, b'z', 12); // the ring is full
            let ring = Arc::new(ring);
            let other = Arc::clone(&ring);
            let lane = thread::spawn(move || try_append_in_lane(&other, &mut owner, b'b', 1));
            let asking = Arc::clone(&ring);
            let asker = thread::spawn(move || asking.ask_lanes());
            let mut file = Vec::new();
            take(&mut drain, &ring, &mut file);
            take(&mut drain, &ring, &mut file);
            if ring.reserve(4).map(|y| y.post(4)).is_ok() {
                assert_eq!(file.last(), Some(&b'z'), "where the span was");
            }
            lane.join().unwrap();
            asker.join().unwrap();
        },
    );
}

/// A thread that has seen a lane open a span asks for room. The drain seals that span, although it
/// has not seen the span before.
#[test]
fn the_drain_seals_a_new_span_when_room_is_wanted() {
    let name = "the_drain_seals_a_new_span_when_room_is_wanted";
    explore(name, 2, || {
        let (ring, mut drain) = ring_for_lanes(32, 8);
        let mut owner = ring.enter_lane(SPAN);
        let mut idle = ring.enter_lane(SPAN);
        append_in_lane(&ring, &mut idle, b'i', 1);
        let mut file = Vec::new();
        take(&mut drain, &ring, &mut file);
        let ring = Arc::new(ring);
        let opening = Arc::clone(&ring);
        let lane = thread::spawn(move || {
            append_in_lane(&opening, &mut owner, b'l', 1);
            opening.lanes().want_room();
        });
        take(&mut drain, &ring, &mut file);
        lane.join().unwrap();
        while !matches!(take(&mut drain, &ring, &mut file), Drained::Empty) {}
        assert_eq!(file, b"il");
        assert!(ring.reserve(32).is_ok(), "both are sealed");
    });
}

/// A lane is dropped while a thread counts. Its record is counted once, and stays counted.
#[test]
fn a_lane_that_goes_away_is_counted_once() {
    explore("a_lane_that_goes_away_is_counted_once", [2, 3], || {
        let (ring, mut drain) = ring_for_lanes(16, 4);
        append(&ring, b'z', 1);
        take(&mut drain, &ring, &mut Vec::new());
        let mut owner = ring.enter_lane(SPAN);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let reader = thread::spawn(move || {
            let (done, outstanding) = other.outstanding();
            assert_eq!(
                outstanding.lane_records, outstanding.lane_records_posted,
                "{done:?} {outstanding:?}: nothing of it is written"
            );
        });
        append_in_lane(&ring, &mut owner, b'a', 1);
        owner.leave(&ring);
        owner.drop_lane();
        reader.join().unwrap();
        assert_eq!(ring.outstanding().1.lane_records_posted, 1);
    });
}

/// A thread ends and leaves its lane with an open span. The drain seals the span for the record that
/// follows it, and the record of the lane is counted before and after that.
#[test]
fn a_lane_that_is_dropped_with_an_open_span_is_sealed() {
    let name = "a_lane_that_is_dropped_with_an_open_span_is_sealed";
    explore(name, [2, 3], || {
        let (ring, mut drain) = ring_for_lanes(16, 4);
        let mut owner = ring.enter_lane(SPAN);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let lane = thread::spawn(move || {
            append_in_lane(&other, &mut owner, b'a', 1);
            owner.drop_lane();
        });
        append(&ring, b'z', 1);
        let (_, outstanding) = ring.outstanding();
        assert_eq!(
            outstanding.lane_records, outstanding.lane_records_posted,
            "{outstanding:?}: nothing is written"
        );
        let mut file = Vec::new();
        take(&mut drain, &ring, &mut file);
        lane.join().unwrap();
        while !matches!(take(&mut drain, &ring, &mut file), Drained::Empty) {}
        file.sort_unstable();
        assert_eq!(file, b"az");
        let (_, outstanding) = ring.outstanding();
        let counted = (outstanding.lanes, outstanding.lane_records_posted);
        assert_eq!(counted, (0, 1));
    });
}

/// A record that a lane has counted is in the ring or written, even if the drain has just sealed
/// its span.
#[test]
fn a_record_that_a_lane_has_counted_is_found() {
    explore("a_record_that_a_lane_has_counted_is_found", 1, || {
        let (ring, mut drain) = ring_for_lanes(16, 4);
        let mut owner = ring.enter_lane(SPAN);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let reader = thread::spawn(move || {
            let (done, outstanding) = other.outstanding();
            assert!(
                done.bytes + outstanding.bytes >= outstanding.lane_records_posted,
                "{done:?} {outstanding:?}: each has one byte"
            );
        });
        let other = Arc::clone(&ring);
        let lane = thread::spawn(move || append_in_lane(&other, &mut owner, b'a', 1));
        ring.lanes().want_room();
        take(&mut drain, &ring, &mut Vec::new());
        reader.join().unwrap();
        lane.join().unwrap();
    });
}
