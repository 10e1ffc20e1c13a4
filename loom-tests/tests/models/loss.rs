//! Lines in the log that report losses.

use alq::Error;
use alq::model::{Order, Step};
use alq_loom_tests::{explore, queue, write};
use loom::sync::Arc;
use loom::thread;

/// A record is refused as the queue ends. A line reports it with its bytes, or there is no line.
#[test]
fn a_loss_line_has_the_bytes_of_the_loss() {
    explore("a_loss_line_has_the_bytes_of_the_loss", 3, || {
        let (shared, mut flusher, file) = queue(4, Order::Any);
        write(&shared, b'x', 4, true);
        let other = Arc::clone(&shared);
        let refused = thread::spawn(move || {
            let error = other
                .intake
                .try_reserve(2)
                .map(drop)
                .map_err(Error::from)
                .unwrap_err();
            assert!(matches!(error, Error::WouldBlock | Error::Closed));
        });
        shared.intake.ring.close();
        while flusher.step() != Step::Finished {}
        refused.join().unwrap();
        let file = String::from_utf8(file.contents()).unwrap();
        let line = file.strip_prefix("xxxx").unwrap();
        assert!(
            ["", "alq: 1 record, 2 bytes dropped: queue full\n"].contains(&line),
            "{line}"
        );
    });
}
