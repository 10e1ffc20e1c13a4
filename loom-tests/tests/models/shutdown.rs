//! Shutdown of all queues of the process, and the end of the process.

use alq::Error;
use alq::model::{Order, Registry, barrier};
use alq_loom_tests::{FOR_EVER, Memory, explore, queue, queue_with_sync, start};
use loom::sync::Arc;
use loom::thread;

/// A shutdown runs against the opening of a queue. The queue is closed, or its opening is refused.
#[test]
fn shutdown_against_open() {
    explore("shutdown_against_open", 1, || {
        let registry = Arc::new(Registry::new());
        let (shared, flusher, file) = queue(4, Order::Any);
        let thread = start(flusher, &shared);
        let (theirs, queue) = (Arc::clone(&registry), Arc::clone(&shared));
        let opener = thread::spawn(move || match theirs.enter(&queue) {
            Ok(()) => match queue.intake.try_reserve(2) {
                Ok(mut reservation) => {
                    reservation.fill(b"aa");
                    queue.intake.posted(reservation.post(2));
                    true
                }
                Err(error) => {
                    assert_eq!(alq::Error::from(error), alq::Error::Closed);
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
        thread.join().unwrap(); // ends only when one of the two has closed the queue
        assert_eq!(file.contents(), if accepted { &b"aa"[..] } else { b"" });
    });
}

/// The end of the process runs against a writer. Records in the ring are drained, and later records
/// bypass the ring and come after them.
#[test]
fn the_end_of_the_process_against_a_writer() {
    explore("the_end_of_the_process_against_a_writer", 1, || {
        let registry = Registry::new();
        let file = Memory::default();
        let (shared, flusher) = queue_with_sync(4, std::sync::Arc::new(file.clone()));
        registry.enter(&shared).unwrap();
        let thread = start(flusher, &shared);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || match other.intake.try_reserve(2) {
            Ok(mut reservation) => {
                reservation.fill(b"aa");
                other.intake.posted(reservation.post_as(2, false));
                false
            }
            Err(error) => {
                assert_eq!(Error::from(error), Error::Closed);
                assert!(other.intake.ring.is_aside());
                let finished = || other.has_finished().then_some(());
                other.outcome.progress.wait_until(None, finished).unwrap();
                assert!(other.intake.ring.is_drained());
                let written = other.aside.append([b"", b"", b"bb", b""], true, || ());
                assert_eq!(written, Ok(()));
                true
            }
        });
        assert!(registry.exit().is_empty());
        let is_aside = writer.join().unwrap();
        thread.join().unwrap();
        assert_eq!(file.contents(), if is_aside { b"bb" } else { b"aa" });
    });
}
