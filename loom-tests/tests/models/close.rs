//! Close: every accepted record is in the file, and every later append is refused.

use alq::Error;
use alq::model::{Kind, Order, Pace, barrier, drive};
use alq_loom_tests::{
    FOR_EVER, SPAN, explore, queue, queue_for_lanes, queue_on_dropped, start, write, write_in_lane,
};
use loom::sync::Arc;
use loom::thread;

/// A close runs against a writer. The record is in the file if it was accepted, and otherwise
/// refused as closed.
#[test]
fn close_against_a_writer() {
    explore("close_against_a_writer", 1, || {
        let (shared, flusher, file) = queue(8, Order::Any);
        let thread = start(flusher, &shared);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || match other.intake.try_reserve(2) {
            Ok(mut reservation) => {
                reservation.fill(b"aa");
                let posted = reservation.post(2);
                other.intake.posted(posted);
                true
            }
            Err(error) => {
                assert_eq!(alq::Error::from(error), alq::Error::Closed);
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

/// A close wakes a writer that sleeps for room, and the writer gets `Closed`.
#[test]
fn close_wakes_a_sleeping_writer() {
    explore("close_wakes_a_sleeping_writer", 2, || {
        let (shared, mut flusher, _file) = queue(4, Order::Any);
        write(&shared, b'a', 4, false);
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            let reserved = other.intake.wait_reserve(1, Kind::Writen, None);
            reserved.map(drop).map_err(alq::Error::from)
        });
        // The flusher does not run before the close, so the writer cannot get room before it.
        shared.intake.close();
        assert_eq!(writer.join().unwrap(), Err(alq::Error::Closed));
        drive(&mut flusher, Pace::parking(4));
    });
}

/// Two closes at once: both return, and nothing is written twice.
#[test]
fn two_closes() {
    explore("two_closes", [0, 1], || {
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

/// A close runs against a lane with an open span. Accepted records are in the file, and the lane
/// gets `Closed`.
#[test]
fn a_close_with_an_open_lane() {
    explore("a_close_with_an_open_lane", 2, || {
        let (shared, mut flusher, file) = queue_for_lanes();
        let mut owner = shared.intake.ring.enter_lane(SPAN);
        write_in_lane(&shared, &mut owner, b'a', 1).unwrap();
        let other = Arc::clone(&shared);
        let lane = thread::spawn(move || {
            let more = write_in_lane(&other, &mut owner, b'b', 1);
            (owner, more)
        });
        shared.intake.close();
        drive(&mut flusher, Pace::parking(16));
        shared.finish();
        let (mut owner, more) = lane.join().unwrap();
        assert_eq!(more.clone().err().unwrap_or(Error::Closed), Error::Closed);
        let expected: &[u8] = if more.is_ok() { b"ab" } else { b"a" };
        assert_eq!(file.contents(), expected);
        let late = write_in_lane(&shared, &mut owner, b'c', 1);
        assert_eq!(late, Err(Error::Closed));
        let stats = shared.stats();
        assert_eq!(stats.posted_bytes, expected.len() as u64);
        assert_eq!((stats.fill_bytes, stats.abandoned), (0, 0));
    });
}

/// A thread that sees the end of a queue also sees that the flusher has dropped its sink, so the
/// descriptor is closed.
#[test]
fn the_end_is_visible_only_after_the_sink_is_closed() {
    explore(
        "the_end_is_visible_only_after_the_sink_is_closed",
        2,
        || {
            let (shared, mut flusher, cells) = queue_on_dropped(4);
            write(&shared, b'a', 1, false);
            let theirs = Arc::clone(&shared);
            let waiter = thread::spawn(move || {
                let finished = || theirs.has_finished().then_some(());
                theirs.outcome.progress.wait_until(None, finished).unwrap();
                cells.read(0, 1);
            });
            shared.intake.ring.close();
            drive(&mut flusher, Pace::parking(4));
            drop(flusher);
            shared.flusher_ended();
            waiter.join().unwrap();
        },
    );
}
