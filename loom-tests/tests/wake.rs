//! Waking and sleeping: the flusher, writers that wait for room, flush and close. Time does not exist in the model,
//! so a wake-up that is lost is a dead-lock, and loom reports it; naps are switched off, so every rest is a park.

use alq::Error;
use alq::model::barrier::{self, Patience};
use alq::model::{Flusher, Heap, Kind, Last, Order, Pace, Registry, Shared, Step, drive};
use alq_loom_tests::{Memory, explore, queue, write};
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

const FOR_EVER: fn() -> Patience = || Patience::new(None, None);

/// Runs the shipping driver until the queue is closed and drained.
fn start(mut flusher: Flusher<Heap>, shared: &Arc<Shared<Heap>>) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        drive(&mut flusher, Pace::parking(8));
        shared.finish();
    })
}

/// A post against a flusher that is about to park: either the flusher's last look sees the post, or the post sees that
/// it must ring. The second post meets a flusher that is anywhere.
#[test]
fn a_post_wakes_the_flusher() {
    explore("a_post_wakes_the_flusher", 1, || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let thread = start(flusher, &shared);
        write(&shared, b'a', 2, true);
        // The file has it without any further call; the model dead-locks here if nobody wrote it.
        let written = shared.progress.wait_until(None, || {
            (shared.ring.tail().pos >= 2).then(|| file.contents())
        });
        assert_eq!(written.unwrap(), b"aa");
        write(&shared, b'b', 1, true);
        barrier::close(&shared, FOR_EVER()).unwrap();
        thread.join().unwrap();
        assert_eq!(file.contents(), b"aab");
    });
}

/// Two posters and one flusher that parks: the second may count on the first to ring, and both records go out.
#[test]
fn two_posts_wake_the_flusher() {
    explore("two_posts_wake_the_flusher", 1, || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let thread = start(flusher, &shared);
        let other = Arc::clone(&shared);
        let poster = thread::spawn(move || write(&other, b'a', 1, true));
        write(&shared, b'b', 1, true);
        let all = || (shared.ring.tail().pos == 2).then_some(());
        shared.progress.wait_until(None, all).unwrap();
        assert_eq!(file.contents().len(), 2);
        poster.join().unwrap();
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

/// Behind a reservation that is open, the flusher waits for that one: its post rings, also without the activating flag,
/// since what lies behind it was posted with it.
#[test]
fn the_post_that_is_waited_for_wakes_the_flusher() {
    explore("the_post_that_is_waited_for_wakes_the_flusher", 2, || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let mut held = shared.try_reserve(1).unwrap();
        let other = Arc::clone(&shared);
        let thread = start(flusher, &shared);
        let poster = thread::spawn(move || write(&other, b'b', 1, true));
        held.fill(b"a");
        let posted = held.post(1);
        shared.posted(posted, false);
        let all = || (shared.ring.tail().pos == 2).then_some(());
        shared.progress.wait_until(None, all).unwrap();
        assert_eq!(file.contents(), b"ab");
        poster.join().unwrap();
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

/// The same with a flusher that has seen the ring empty, and is about to park for any post: the one behind the open
/// reservation is made while it is still awake, so it must not sleep for any, but for the one that is open.
#[test]
fn a_claim_is_enough_to_look_again() {
    explore("a_claim_is_enough_to_look_again", 3, || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let thread = start(flusher, &shared);
        let mut held = shared.try_reserve(1).unwrap();
        write(&shared, b'b', 1, true);
        held.fill(b"a");
        let posted = held.post(1);
        shared.posted(posted, false);
        let all = || (shared.ring.tail().pos == 2).then_some(());
        shared.progress.wait_until(None, all).unwrap();
        assert_eq!(file.contents(), b"ab");
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

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

/// Two writers that wait on an ordered queue: the one that is first in the line goes first, and hands its turn on.
#[test]
fn ordered_writers() {
    explore("ordered_writers", 1, || {
        let (shared, mut flusher, file) = queue(4, Order::Arrival);
        write(&shared, b'x', 4, false);
        let wait = |letter: u8| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut reservation = shared.wait_reserve(2, Kind::Writen, None).unwrap();
                reservation.fill(&[letter; 2]);
                let posted = reservation.post(2);
                shared.posted(posted, true);
                posted.end
            })
        };
        let first = wait(b'a');
        let second = wait(b'b');
        flusher.step(); // room for both, at once
        let (a, b) = (first.join().unwrap(), second.join().unwrap());
        flusher.step();
        let expected: &[u8] = if a < b { b"xxxxaabb" } else { b"xxxxbbaa" };
        assert_eq!(file.contents(), expected);
        assert!(shared.try_reserve(1).is_ok(), "the line is empty");
    });
}

/// While somebody waits on an ordered queue, a caller that does not want to wait is refused, and does not sleep; once
/// nobody does, it is let in again.
#[test]
fn nobody_overtakes_an_ordered_writer() {
    explore("nobody_overtakes_an_ordered_writer", 3, || {
        let (shared, mut flusher, file) = queue(4, Order::Arrival);
        write(&shared, b'x', 3, false);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            let mut reservation = other.wait_reserve(4, Kind::Writen, None).unwrap();
            reservation.fill(b"aaaa");
            other.posted(reservation.post(4), true);
        });
        // One byte fits all the while: taken before the writer came, or refused.
        let mine = shared.try_reserve(1).map(|mut reservation| {
            reservation.fill(b"y");
            shared.posted(reservation.post(1), true);
        });
        flusher.step();
        writer.join().unwrap();
        flusher.step();
        let expected: &[u8] = if mine.is_ok() {
            b"xxxyaaaa"
        } else {
            b"xxxaaaa"
        };
        assert_eq!(file.contents(), expected);
        assert!(shared.try_reserve(1).is_ok(), "the line is empty");
    });
}

/// Who is refused by a queue that has failed is told why, not that it is closed.
#[test]
fn a_failed_queue_says_why() {
    explore("a_failed_queue_says_why", 3, || {
        let (shared, _flusher, _file) = queue(4, Order::Any);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || other.try_reserve(1).map(drop));
        shared.fail(alq::Operation::Write, 5);
        assert_ne!(writer.join().unwrap(), Err(alq::Error::Closed));
    });
}

/// A shutdown against a queue that is being opened: the queue is closed, or it was refused.
#[test]
fn shutdown_against_open() {
    explore("shutdown_against_open", 1, || {
        let registry = Arc::new(Registry::new());
        let (shared, flusher, file) = queue(4, Order::Any);
        let thread = start(flusher, &shared);
        let (theirs, queue) = (Arc::clone(&registry), Arc::clone(&shared));
        let opener = thread::spawn(move || match theirs.enter(&queue) {
            Ok(()) => match queue.try_reserve(2) {
                Ok(mut reservation) => {
                    reservation.fill(b"aa");
                    queue.posted(reservation.post(2), true);
                    true
                }
                Err(error) => {
                    assert_eq!(error, alq::Error::Closed);
                    false
                }
            },
            Err(error) => {
                assert_eq!(error, alq::Error::Closed);
                barrier::close(&queue, FOR_EVER()).unwrap();
                false
            }
        });
        registry.shutdown(None).unwrap();
        let accepted = opener.join().unwrap();
        thread.join().unwrap(); // ends only when the queue was closed, by one or the other
        assert_eq!(file.contents(), if accepted { &b"aa"[..] } else { b"" });
    });
}

/// A flush is a barrier for what its thread posted, while another thread posts.
#[test]
fn flush() {
    explore("flush", 1, || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let thread = start(flusher, &shared);
        let other = Arc::clone(&shared);
        let poster = thread::spawn(move || write(&other, b'b', 2, true));
        write(&shared, b'a', 1, false);
        barrier::flush(&shared, FOR_EVER()).unwrap();
        assert!(file.contents().contains(&b'a'));
        poster.join().unwrap();
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

/// A close against two writers: what was accepted is in the file, what came later is refused as closed.
#[test]
fn close_against_a_writer() {
    explore("close_against_a_writer", 1, || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let thread = start(flusher, &shared);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || match other.try_reserve(2) {
            Ok(mut reservation) => {
                reservation.fill(b"aa");
                let posted = reservation.post(2);
                other.posted(posted, true);
                true
            }
            Err(error) => {
                assert_eq!(error, alq::Error::Closed);
                false
            }
        });
        barrier::close(&shared, FOR_EVER()).unwrap();
        let accepted = writer.join().unwrap();
        thread.join().unwrap();
        let expected: &[u8] = if accepted { b"aa" } else { b"" };
        assert_eq!(file.contents(), expected);
        assert_eq!(shared.stats().posted_bytes, expected.len() as u64);
    });
}

/// A close wakes a writer that sleeps for room, and tells it.
#[test]
fn close_wakes_a_sleeping_writer() {
    explore("close_wakes_a_sleeping_writer", 2, || {
        let (shared, mut flusher, _file) = queue(4, Order::Any);
        write(&shared, b'a', 4, false);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || other.wait_reserve(1, Kind::Writen, None).map(drop));
        // The flusher does not run before the close, so the writer cannot get room before it.
        barrier::end_intake(&shared);
        assert_eq!(writer.join().unwrap(), Err(alq::Error::Closed));
        drive(&mut flusher, Pace::parking(4));
    });
}

/// Two closes at once: both return, and nothing is written twice.
#[test]
fn two_closes() {
    explore("two_closes", 1, || {
        let (shared, flusher, file) = queue(4, Order::Any);
        write(&shared, b'a', 2, false);
        let thread = start(flusher, &shared);
        let other = Arc::clone(&shared);
        let closer = thread::spawn(move || barrier::close(&other, FOR_EVER()));
        barrier::close(&shared, FOR_EVER()).unwrap();
        closer.join().unwrap().unwrap();
        thread.join().unwrap();
        assert_eq!(file.contents(), b"aa");
    });
}

/// A reopen against a flusher that is about to park: it is woken for it. What was posted before the call is in the old
/// file, what is posted after the completion in the new one.
#[test]
fn a_reopen_wakes_the_flusher_and_cuts_between_before_and_after() {
    let name = "a_reopen_wakes_the_flusher_and_cuts_between_before_and_after";
    explore(name, 1, || {
        let (shared, flusher, old) = queue(8, Order::Any);
        let new = Memory::default();
        let thread = start(flusher, &shared);
        write(&shared, b'a', 1, false);
        let reopened = shared.reopen(std::sync::Arc::new(new.clone())).unwrap();
        let done = || reopened.result();
        assert_eq!(shared.progress.wait_until(None, done), Some(Ok(())));
        write(&shared, b'b', 1, true);
        shared.ring.close();
        shared.bell.ring();
        thread.join().unwrap();
        assert_eq!((old.contents(), new.contents()), (vec![b'a'], vec![b'b']));
    });
}

/// A reopen against the end of a queue: it takes place, or is refused, or told that the queue is closed; never left.
#[test]
fn a_reopen_as_the_queue_ends_is_told() {
    explore("a_reopen_as_the_queue_ends_is_told", 3, || {
        let (shared, mut flusher, _) = queue(4, Order::Any);
        let theirs = Arc::clone(&shared);
        let end = thread::spawn(move || {
            theirs.ring.close();
            while flusher.step() != Step::Finished {}
            drop(flusher);
            theirs.flusher_ended();
        });
        match shared.reopen(std::sync::Arc::new(Memory::default())) {
            Ok(reopened) => {
                let done = || reopened.result();
                let result = shared.progress.wait_until(None, done);
                assert!(matches!(result, Some(Ok(()) | Err(Error::Closed))));
            }
            Err(error) => assert_eq!(error, Error::Closed),
        }
        end.join().unwrap();
    });
}
