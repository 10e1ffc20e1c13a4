//! How a post wakes the flusher. A model has no time, so a lost wake-up is a deadlock, which loom
//! reports. Naps are switched off, so the flusher always parks.

use alq::model::{Last, Order, barrier};
use alq_loom_tests::{FOR_EVER, explore, queue, start, write};
use loom::sync::Arc;
use loom::thread;

/// A post runs against a flusher that is about to park. Either the last look of the flusher sees
/// the post, or the post sees that it must ring. The second post meets the flusher at any point.
#[test]
fn a_post_wakes_the_flusher() {
    explore("a_post_wakes_the_flusher", 1, || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let thread = start(flusher, &shared);
        write(&shared, b'a', 2, true);
        // The record reaches the file without another call. If it does not, the model deadlocks
        // here.
        let written = shared.outcome.progress.wait_until(None, || {
            (shared.intake.ring.tail().pos >= 2).then(|| file.contents())
        });
        assert_eq!(written.unwrap(), b"aa");
        write(&shared, b'b', 1, true);
        barrier::close(&shared, FOR_EVER()).unwrap();
        thread.join().unwrap();
        assert_eq!(file.contents(), b"aab");
    });
}

/// Two posters and one flusher that parks. The second poster may rely on the ring of the first, and
/// both records are written.
#[test]
fn two_posts_wake_the_flusher() {
    explore("two_posts_wake_the_flusher", 1, || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let thread = start(flusher, &shared);
        let other = Arc::clone(&shared);
        let poster = thread::spawn(move || write(&other, b'a', 1, true));
        write(&shared, b'b', 1, true);
        let all = || (shared.intake.ring.tail().pos == 2).then_some(());
        shared.outcome.progress.wait_until(None, all).unwrap();
        assert_eq!(file.contents().len(), 2);
        poster.join().unwrap();
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}

/// An open reservation blocks an activated record after it, so the flusher waits for the
/// reservation. The post of the reservation rings even if it does not activate.
#[test]
fn the_post_that_is_waited_for_wakes_the_flusher() {
    explore(
        "the_post_that_is_waited_for_wakes_the_flusher",
        [1, 2],
        || {
            let (shared, flusher, file) = queue(8, Order::Any);
            let mut held = shared.intake.try_reserve(1).unwrap();
            let other = Arc::clone(&shared);
            let thread = start(flusher, &shared);
            let poster = thread::spawn(move || write(&other, b'b', 1, true));
            held.fill(b"a");
            let posted = held.post_as(1, false);
            shared.intake.posted(posted);
            let all = || (shared.intake.ring.tail().pos == 2).then_some(());
            shared.outcome.progress.wait_until(None, all).unwrap();
            assert_eq!(file.contents(), b"ab");
            poster.join().unwrap();
            shared.set_last(Last::Stop);
            thread.join().unwrap();
        },
    );
}

/// The flusher has seen the ring empty, and is about to park until any post. A record after an open
/// reservation is posted while the flusher is still awake. So it must sleep until the post of that
/// reservation, not until any post.
#[test]
fn a_claim_is_enough_to_look_again() {
    explore("a_claim_is_enough_to_look_again", [2, 3], || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let thread = start(flusher, &shared);
        let mut held = shared.intake.try_reserve(1).unwrap();
        write(&shared, b'b', 1, true);
        held.fill(b"a");
        let posted = held.post_as(1, false);
        shared.intake.posted(posted);
        let all = || (shared.intake.ring.tail().pos == 2).then_some(());
        shared.outcome.progress.wait_until(None, all).unwrap();
        assert_eq!(file.contents(), b"ab");
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}
