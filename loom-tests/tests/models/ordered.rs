//! Writers that wait in turn.

use alq::model::{Kind, Order};
use alq_loom_tests::{explore, queue, write};
use loom::sync::Arc;
use loom::thread;

/// Two writers wait on an ordered queue. The first in the line goes first, and passes its turn on.
#[test]
fn ordered_writers() {
    explore("ordered_writers", 1, || {
        let (shared, mut flusher, file) = queue(4, Order::Arrival);
        write(&shared, b'x', 4, true);
        let wait = |letter: u8| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut reservation = shared.intake.wait_reserve(2, Kind::Writen, None).unwrap();
                reservation.fill(&[letter; 2]);
                let posted = reservation.post(2);
                shared.intake.posted(posted);
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
        assert!(shared.intake.try_reserve(1).is_ok(), "the line is empty");
    });
}

/// While a writer waits on an ordered queue, a caller that does not want to wait is refused and
/// does not sleep. Once no writer waits, such a caller is accepted again.
#[test]
fn no_caller_overtakes_an_ordered_writer() {
    explore("no_caller_overtakes_an_ordered_writer", 3, || {
        let (shared, mut flusher, file) = queue(4, Order::Arrival);
        write(&shared, b'x', 3, true);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            let mut reservation = other.intake.wait_reserve(4, Kind::Writen, None).unwrap();
            reservation.fill(b"aaaa");
            other.intake.posted(reservation.post(4));
        });
        // One byte fits all the time: it is accepted before the writer came, or refused.
        let mine = shared.intake.try_reserve(1).map(|mut reservation| {
            reservation.fill(b"y");
            shared.intake.posted(reservation.post(1));
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
        assert!(shared.intake.try_reserve(1).is_ok(), "the line is empty");
    });
}
