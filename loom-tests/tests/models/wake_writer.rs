//! How a writer that waits for room is woken.

use alq::model::{Heap, Kind, Last, Order, Shared, barrier};
use alq_loom_tests::{FOR_EVER, explore, queue, start, write};
use loom::sync::Arc;
use loom::thread;

/// The drain wakes a writer that sleeps for room. (A quiet record would add accesses that order more
/// than the mutants `line.join` and `line.notify` weaken.)
#[test]
fn a_drain_wakes_the_writer() {
    explore("a_drain_wakes_the_writer", 1, || {
        let (shared, flusher, file) = queue(4, Order::Any);
        write(&shared, b'a', 3, true);
        let thread = start(flusher, &shared);
        let mut reservation = shared.intake.wait_reserve(2, Kind::Writen, None).unwrap();
        reservation.fill(b"bb");
        let posted = reservation.post(2);
        shared.intake.posted(posted);
        barrier::close(&shared, FOR_EVER()).unwrap();
        thread.join().unwrap();
        assert_eq!(file.contents(), b"aaabb");
    });
}

/// Room that is given back wakes a writer, although the drain has nothing to write.
#[test]
fn a_give_back_wakes_the_writer() {
    explore("a_give_back_wakes_the_writer", [0, 1], || {
        let (shared, flusher, _file) = queue(4, Order::Any);
        let newest = shared.intake.try_reserve(4).unwrap();
        let thread = start(flusher, &shared);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            drop(other.intake.wait_reserve(3, Kind::Getn, None).unwrap());
        });
        let posted = newest.post_as(0, false);
        assert!(posted.gave_back);
        shared.intake.posted(posted);
        writer.join().unwrap();
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

/// A waiter that is woken sees the room for which it was woken, even if the fence of the notifier
/// is not a processor fence. (The waiter joins the line before, so the mutant `line.notify` alone
/// does no harm here.)
#[test]
fn a_wake_up_carries_the_room() {
    explore("a_wake_up_carries_the_room", 3, || {
        let (shared, mut flusher, _file) = queue(4, Order::Any);
        write(&shared, b'a', 4, true);
        let ticket = shared.intake.waiters.join(2, || ());
        let drainer = thread::spawn(move || flusher.step());
        let reservation = loop {
            ticket.look();
            match shared.intake.ring.reserve_in_turn(2) {
                Ok(reservation) => break reservation,
                Err(_) => ticket.sleep(None),
            }
        };
        reservation.post(2);
        ticket.leave(|| ());
        drainer.join().unwrap();
    });
}

/// Two writers wait, and the first posts without activating. The second, which sleeps for the room
/// that this record takes, still gets it.
#[test]
fn a_writer_that_leaves_the_line_makes_the_flusher_look_again() {
    let name = "a_writer_that_leaves_the_line_makes_the_flusher_look_again";
    explore(name, 0, || {
        let (shared, flusher, _file) = queue(4, Order::Any);
        write(&shared, b'x', 4, false);
        let other = Arc::clone(&shared);
        let append = |shared: &Shared<Heap>| {
            let entry = shared.intake.wait_reserve(3, Kind::Writen, None).unwrap();
            shared.intake.posted(entry.post_as(3, false));
        };
        let writer = thread::spawn(move || append(&other));
        let thread = start(flusher, &shared);
        append(&shared);
        writer.join().unwrap();
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}
