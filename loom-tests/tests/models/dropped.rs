//! Entries that are dropped, and reservations that the last drain steps over.

use std::io::IoSlice;

use alq::Error;
use alq::model::{Drain, Heap, Holes, Last, Order, Pace, Pending, Reach, Ring, drive};
use alq_loom_tests::{append, explore, queue, ring, take, take_all};
use loom::sync::Arc;
use loom::thread;

/// A dropped entry posts nothing and does not block the drain.
#[test]
fn dropped_entry() {
    explore("dropped_entry", [2, 3], || {
        let (ring, mut drain) = ring(8);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let dropper = thread::spawn(move || drop(other.reserve(3).expect("room")));
        let third = Arc::clone(&ring);
        let producer = thread::spawn(move || append(&third, b'b', 2));
        let mut file = Vec::new();
        take_all(&mut drain, &ring, &mut file, 2);
        dropper.join().unwrap();
        producer.join().unwrap();
        take(&mut drain, &ring, &mut file);
        assert_eq!(file, b"bb");
        assert_eq!((ring.fill(), ring.accounts().records), (0, 1));
    });
}

/// One step of the last drain, which steps over open reservations.
fn step_over(drain: &mut Drain, ring: &Ring<Heap>) {
    let taken = |runs: &[IoSlice<'_>]| Ok::<_, ()>(runs.iter().map(|run| run.len()).sum());
    drain.step(ring, u32::MAX, Holes::StepOver, taken).unwrap();
}

/// A reservation is made as the ring ends, the last drain steps over it, and it is posted after
/// all. It is in the file or counted as late. A thread that finds its bytes counted also finds its
/// position.
#[test]
fn a_post_that_comes_too_late_is_counted() {
    explore("a_post_that_comes_too_late_is_counted", 3, || {
        let (ring, mut drain) = ring(8);
        append(&ring, b'z', 1);
        let ring = Arc::new(ring);
        let other = Arc::clone(&ring);
        let poster = thread::spawn(move || match other.reserve(3) {
            Ok(mut reservation) => {
                reservation.fill(b"aaa");
                assert_eq!(reservation.post(3).end, 4);
                3
            }
            Err(_) => 0,
        });
        ring.close();
        step_over(&mut drain, &ring);
        step_over(&mut drain, &ring); // bytes and open reservations are two steps
        let late = ring.posted_too_late().bytes;
        assert!(late == 0 || (late == 3 && ring.is_too_late(4)));
        let posted = poster.join().unwrap();
        step_over(&mut drain, &ring);
        let (late, done) = (ring.posted_too_late().bytes, ring.accounts());
        assert_eq!(late + done.bytes, 1 + posted);
        assert_eq!(done.abandoned, late / 3);
        assert_eq!(ring.is_too_late(4), late == 3);
    });
}

/// The completion of a post that comes too late never succeeds.
#[test]
fn a_completion_of_a_late_post_never_succeeds() {
    explore("a_completion_of_a_late_post_never_succeeds", 2, || {
        let (shared, mut flusher, file) = queue(8, Order::Any);
        let mut held = shared.intake.try_reserve(3).unwrap();
        let theirs = Arc::clone(&shared);
        let end = thread::spawn(move || {
            theirs.intake.ring.close();
            theirs.set_last(Last::StepOver);
            drive(&mut flusher, Pace::parking(8));
            drop(flusher);
            theirs.flusher_ended();
        });
        held.fill(b"aaa");
        let posted = held.post(3);
        shared.intake.posted(posted);
        let one = Arc::new(Pending::new(posted.end, Reach::Written));
        shared.outcome.watch.add(Arc::clone(&one)).unwrap();
        shared.settle();
        let result = || one.result();
        let result = shared.outcome.resolved.wait_until(None, result).unwrap();
        end.join().unwrap();
        match result {
            Ok(()) => assert_eq!(file.contents(), b"aaa"),
            Err(error) => assert_eq!((error, file.contents()), (Error::Closed, vec![])),
        }
    });
}
