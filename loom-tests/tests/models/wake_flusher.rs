//! How a post wakes the flusher. Time does not exist in the model, so a wake-up that is lost is a dead-lock, and loom reports it;
//! naps are switched off, so every rest is a park.

use alq::model::{Last, Order, barrier};
use alq_loom_tests::{FOR_EVER, explore, queue, start, write};
use loom::sync::Arc;
use loom::thread;

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
