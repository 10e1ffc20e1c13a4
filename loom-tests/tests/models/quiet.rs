//! Quiet records: posted with `NOACTIVATE`, they stay in the ring until something activates the
//! queue. Then the flusher writes them although none of their posts has woken it.

use alq::model::{Flusher, Heap, Kind, Last, Missed, Order, Shared};
use alq_loom_tests::{explore, queue, queue_for_lanes, start, wait_written, write};
use loom::sync::Arc;
use loom::thread;

/// Posts in the lane of `owner`, which has a span open.
fn write_in_span(shared: &Shared<Heap>, owner: &mut alq::model::Owner, letter: u8, activate: bool) {
    assert!(owner.begins(1));
    let posted = owner.append(&shared.intake.ring, &[letter], activate);
    shared.intake.posted(posted);
}

/// Ends the flusher without a drain: what it has written, it has written by itself.
fn stop(shared: &Shared<Heap>, flusher: thread::JoinHandle<()>) {
    shared.set_last(Last::Stop);
    flusher.join().unwrap();
}

/// Runs `begin`, starts the flusher, and runs `act` against it.
fn against_the_flusher<T>(
    (shared, flusher): (&Arc<Shared<Heap>>, Flusher<Heap>),
    begin: impl FnOnce(&Shared<Heap>) -> T,
    act: impl FnOnce(&Shared<Heap>, T),
) {
    let begun = begin(shared);
    let thread = start(flusher, shared);
    act(shared, begun);
    stop(shared, thread);
}

/// The record stays, whether the flusher sees it or has seen the ring empty, and also if a record
/// before it was activated and is written.
#[test]
fn a_quiet_record_stays() {
    explore("a_quiet_record_stays", [1, 2], || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let act = |shared: &Shared<Heap>, ()| {
            let end = write(shared, b'a', 1, true);
            wait_written(shared, end);
            write(shared, b'q', 1, false);
        };
        against_the_flusher((&shared, flusher), |_| (), act);
        assert_eq!(file.contents(), b"a");
    });
}

/// A post that activates the queue takes the quiet record before it along.
#[test]
fn a_post_activates_the_quiet_record_before_it() {
    explore(
        "a_post_activates_the_quiet_record_before_it",
        [1, 2],
        || {
            let (shared, flusher, file) = queue(8, Order::Any);
            let act = |shared: &Shared<Heap>, ()| {
                write(shared, b'q', 1, false);
                let end = write(shared, b'a', 1, true);
                wait_written(shared, end);
            };
            against_the_flusher((&shared, flusher), |_| (), act);
            assert_eq!(file.contents(), b"qa");
        },
    );
}

/// A call activates the queue, also while the flusher is about to park.
#[test]
fn a_call_activates_a_quiet_record() {
    explore("a_call_activates_a_quiet_record", [1, 2], || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let act = |shared: &Shared<Heap>, ()| {
            let end = write(shared, b'q', 1, false);
            shared
                .intake
                .activate_until(shared.intake.ring.posted_end());
            wait_written(shared, end);
        };
        against_the_flusher((&shared, flusher), |_| (), act);
        assert_eq!(file.contents(), b"q");
    });
}

/// A refused caller activates the queue, although it does not ring if the flusher waits for an open
/// reservation.
#[test]
fn a_refused_caller_activates_a_quiet_record() {
    explore("a_refused_caller_activates_a_quiet_record", [1, 2], || {
        let (shared, flusher, file) = queue(2, Order::Any);
        let begin = |shared: &Shared<Heap>| {
            let held = shared.intake.try_reserve(1).unwrap().into_claim();
            write(shared, b'q', 1, false);
            held
        };
        let act = |shared: &Shared<Heap>, held| {
            let missed = shared.intake.ring.reserve_at_once(1).err();
            let Some(Missed::NoRoom(head)) = missed else {
                panic!("the ring is full: {missed:?}");
            };
            assert!(shared.intake.refuse_if_full(head, 1));
            shared
                .intake
                .posted(shared.intake.ring.post(held, 0, false));
            wait_written(shared, 2);
        };
        against_the_flusher((&shared, flusher), begin, act);
        assert_eq!(file.contents()[0], b'q'); // before the line that reports the refusal
    });
}

/// An entry is posted, and activates the queue. A quiet record was posted before, in bytes that lie
/// after it and after another entry. The drain has passed the first entry when the second is
/// posted.
#[test]
fn a_post_activates_what_follows_an_open_reservation() {
    let name = "a_post_activates_what_follows_an_open_reservation";
    explore(name, [1, 2], || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let begin = |shared: &Shared<Heap>| {
            let mut first = shared.intake.try_reserve(1).unwrap();
            let mut held = shared.intake.try_reserve(1).unwrap();
            first.fill(b"a");
            held.fill(b"h");
            write(shared, b'q', 1, false);
            let posted = first.post(1);
            shared.intake.posted(posted);
            held.into_claim()
        };
        let act = |shared: &Shared<Heap>, held| {
            let posted = shared.intake.ring.post(held, 1, false);
            shared.intake.posted(posted);
            wait_written(shared, 3);
        };
        against_the_flusher((&shared, flusher), begin, act);
        assert_eq!(file.contents(), b"ahq");
    });
}

/// A lane posts a record that activates the queue and a quiet one after it, in one span. The first
/// is written.
#[test]
fn a_quiet_record_of_a_lane_leaves_the_one_before_it_activated() {
    let name = "a_quiet_record_of_a_lane_leaves_the_one_before_it_activated";
    explore(name, [1, 2], || {
        let (shared, flusher, file) = queue_for_lanes();
        let begin = |shared: &Shared<Heap>| {
            let mut owner = shared.intake.enter_lane(true);
            owner.open(&shared.intake.ring, 1).unwrap();
            owner.post(&shared.intake.ring, 0, true);
            owner
        };
        let act = |shared: &Shared<Heap>, mut owner| {
            write_in_span(shared, &mut owner, b'a', true);
            write_in_span(shared, &mut owner, b'q', false);
            wait_written(shared, 1);
        };
        against_the_flusher((&shared, flusher), begin, act);
        assert_eq!(file.contents()[0], b'a');
    });
}

/// A writer waits for the room that a quiet record takes, and another writer takes the room that
/// comes with another quiet record. The first one still gets its room.
#[test]
fn a_writer_gets_the_room_of_quiet_records() {
    explore("a_writer_gets_the_room_of_quiet_records", [1, 2], || {
        let (shared, flusher, _file) = queue(2, Order::Any);
        write(&shared, b'q', 2, false);
        let other = Arc::clone(&shared);
        let quick = thread::spawn(move || {
            // Without a call of `try_reserve`, whose refusal would activate the queue.
            if let Ok(entry) = other.intake.ring.reserve_at_once(1) {
                other.intake.posted(entry.post_as(1, false));
            }
        });
        let thread = start(flusher, &shared);
        let entry = shared.intake.wait_reserve(2, Kind::Writen, None).unwrap();
        shared.intake.posted(entry.post_as(2, false));
        quick.join().unwrap();
        stop(&shared, thread);
    });
}
