//! Lanes: the hand-shake by which a span is sealed, under its owner's feet or by itself. The heap memory tracks every byte,
//! so a copy into bytes that have changed hands fails the model, whatever comes of it.

use alq::Error;
use alq::model::barrier::{self, Patience};
use alq::model::{Drained, Flusher, Geometry, Heap, Kind, Last, Order, Pace, Shared, drive};
use alq_loom_tests::{
    Memory, append, append_in_lane, explore, queue_on, ring_for_lanes, take, take_all, write,
    write_in_lane,
};
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

const FOR_EVER: fn() -> Patience = || Patience::new(None, None);

/// The longest span of the lanes here.
const SPAN: u32 = 4;

fn queue() -> (Arc<Shared<Heap>>, Flusher<Heap>, Memory) {
    queue_on(Geometry::new(16, 16), Order::Any)
}

fn start(mut flusher: Flusher<Heap>, shared: &Arc<Shared<Heap>>) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        drive(&mut flusher, Pace::parking(16));
        shared.finish();
    })
}

/// A commit against a seal: what is committed is final when the span is sealed, or the record goes into another span.
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

/// A late owner against bytes that have a new one: the drain seals the span, and its room is claimed at once.
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

/// A late owner against its descriptor: it has been sealed and serves another span, which an owner that comes late must
/// not overwrite.
#[test]
fn a_late_owner_against_a_recycled_descriptor() {
    explore("a_late_owner_against_a_recycled_descriptor", 2, || {
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
        // One line of descriptors: the record gets the one of the span, once that is sealed.
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

/// The drain over a span that grows, over its end, and into the next one.
#[test]
fn a_drain_over_an_open_span() {
    explore("a_drain_over_an_open_span", 2, || {
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

/// A claim of a span against the drain: from the claim on until the first commit the drain finds its owner busy.
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

/// An owner that is told by others than the drain to leave its span, and leaves it, while the drain comes to it.
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

/// Two lanes and a shared post, and a drain that seals what is in the way.
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

/// A record in a lane wakes a flusher that is parked, and one that is about to park.
#[test]
fn a_record_in_a_lane_wakes_the_flusher() {
    explore("a_record_in_a_lane_wakes_the_flusher", 2, || {
        let (shared, flusher, file) = queue();
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
        let (shared, flusher, file) = queue();
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
        let (shared, flusher, file) = queue();
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

/// A flush with an idle lane in front of what it waits for.
#[test]
fn a_flush_with_an_idle_lane() {
    explore("a_flush_with_an_idle_lane", 1, || {
        let (shared, flusher, file) = queue();
        let mut idle = shared.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut idle, b'i', 1).unwrap();
        let thread = start(flusher, &shared);
        let other = Arc::clone(&shared);
        let poster = thread::spawn(move || write(&other, b'b', 1, false));
        let mut lane = shared.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut lane, b'a', 1).unwrap();
        barrier::flush(&shared, FOR_EVER()).unwrap();
        assert!(file.contents().contains(&b'a') && file.contents().contains(&b'i'));
        poster.join().unwrap();
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

/// A close against a lane with an open span: what was accepted is in the file, and the lane gets to know.
#[test]
fn a_close_with_an_open_lane() {
    explore("a_close_with_an_open_lane", 2, || {
        let (shared, mut flusher, file) = queue();
        let mut owner = shared.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut owner, b'a', 1).unwrap();
        let other = Arc::clone(&shared);
        let lane = thread::spawn(move || {
            let more = write_in_lane(&other, &mut owner, b'b', 1);
            (owner, more)
        });
        barrier::end_intake(&shared);
        drive(&mut flusher, Pace::parking(16));
        shared.finish();
        let (mut owner, more) = lane.join().unwrap();
        assert_eq!(more.clone().err().unwrap_or(Error::Closed), Error::Closed);
        let expected: &[u8] = if more.is_ok() { b"ab" } else { b"a" };
        assert_eq!(file.contents(), expected);
        let late = write_in_lane(&shared, &mut owner, b'c', 1);
        assert_eq!(late, Err(Error::Closed));
        let stats = shared.stats();
        assert_eq!(stats.posted_bytes, expected.len() as u64);
        assert_eq!((stats.fill_bytes, stats.abandoned), (0, 0));
    });
}

/// A writer that waits for the room of a lane that does nothing gets it.
#[test]
fn a_writer_gets_the_room_of_an_idle_lane() {
    explore("a_writer_gets_the_room_of_an_idle_lane", 1, || {
        let (shared, flusher, file) = queue();
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
            let (shared, flusher, _file) = queue();
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
        let (shared, flusher, _file) = queue();
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
