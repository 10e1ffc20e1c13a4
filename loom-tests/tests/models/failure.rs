//! A queue that has failed: who is refused is told why.

use alq::model::Order;
use alq_loom_tests::{explore, queue};
use loom::sync::Arc;
use loom::thread;

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
