//! Shutdown of all queues of the process, and its end.

use alq::model::{Order, Registry, barrier};
use alq_loom_tests::{FOR_EVER, explore, queue, start};
use loom::sync::Arc;
use loom::thread;

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
