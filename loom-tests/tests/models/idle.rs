//! A flusher that does not park (`Options::idle`). In a model a nap never ends by itself: only the
//! bell ends it.

use alq::Idle;
use alq::model::{Heap, Kind, Last, Order, Shared, barrier};
use alq_loom_tests::{FOR_EVER, explore, queue, start_idle, write};
use loom::sync::Arc;
use loom::thread;

/// Waits for room for two bytes, and posts them.
fn write_in_turn(shared: &Shared<Heap>) {
    let mut reservation = shared.intake.wait_reserve(2, Kind::Writen, None).unwrap();
    reservation.fill(b"bb");
    let posted = reservation.post(2);
    shared.intake.posted(posted);
}

/// A post need not wake a flusher that naps. A writer that waits for room, and a close, do.
#[test]
fn a_nap_ends_for_a_writer_and_for_a_close() {
    explore("a_nap_ends_for_a_writer_and_for_a_close", 1, || {
        let (shared, flusher, file) = queue(4, Order::Any);
        write(&shared, b'a', 3, true);
        let thread = start_idle(flusher, &shared, Idle::Nap);
        write_in_turn(&shared);
        barrier::close(&shared, FOR_EVER()).unwrap();
        thread.join().unwrap();
        assert_eq!(file.contents(), b"aaabb");
    });
}

/// A flusher that spins takes a post that has made no call, and sees its bytes.
#[test]
fn a_flusher_that_spins_finds_each_post() {
    explore("a_flusher_that_spins_finds_each_post", 1, || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let thread = start_idle(flusher, &shared, Idle::Spin);
        let other = Arc::clone(&shared);
        let poster = thread::spawn(move || write(&other, b'a', 1, true));
        write(&shared, b'a', 1, true);
        let all = || (shared.intake.ring.tail().pos == 2).then(|| file.contents());
        let contents = shared.outcome.progress.wait_until(None, all).unwrap();
        assert_eq!(contents, b"aa");
        poster.join().unwrap();
        shared.set_last(Last::Stop);
        thread.join().unwrap();
    });
}
