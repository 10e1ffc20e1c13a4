//! How a writer that waits for room is woken.

use alq::model::{Kind, Last, Order, barrier};
use alq_loom_tests::{FOR_EVER, explore, queue, start, write};
use loom::sync::Arc;
use loom::thread;

/// A writer asleep on a full ring is woken by the drain, whatever flags filled the ring.
#[test]
fn a_drain_wakes_the_writer() {
    explore("a_drain_wakes_the_writer", 1, || {
        let (shared, flusher, file) = queue(4, Order::Any);
        write(&shared, b'a', 3, false);
        let thread = start(flusher, &shared);
        let mut reservation = shared.wait_reserve(2, Kind::Writen, None).unwrap();
        reservation.fill(b"bb");
        let posted = reservation.post(2);
        shared.posted(posted, true);
        barrier::close(&shared, FOR_EVER()).unwrap();
        thread.join().unwrap();
        assert_eq!(file.contents(), b"aaabb");
    });
}

/// Room that is given back wakes a writer, though the drain has nothing to write.
#[test]
fn a_give_back_wakes_the_writer() {
    explore("a_give_back_wakes_the_writer", 1, || {
        let (shared, flusher, _file) = queue(4, Order::Any);
        let newest = shared.try_reserve(4).unwrap();
        let thread = start(flusher, &shared);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            drop(other.wait_reserve(3, Kind::Getn, None).unwrap());
        });
        let posted = newest.post(0);
        assert!(posted.gave_back);
        shared.posted(posted, false);
        writer.join().unwrap();
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}
