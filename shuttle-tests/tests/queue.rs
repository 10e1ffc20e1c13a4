//! Whole queues: three or four producers that append in all ways, the flusher, and threads that
//! flush, wait, reopen or close. After each scenario the file must hold every posted record once,
//! whole, in the order of the positions.

use std::fs;

use alq::{Flags, Level, Options, Queue, Status, SyncOp};
use alq_shuttle_tests::{FarEnd, Ledger, Mood, Producer, Way, below, explore};
use shuttle::thread::{self, JoinHandle, yield_now};

fn options() -> Options {
    // Time is modelled, so no call may end by the clock.
    Options::new().capacity(4096).stall_limit(None)
}

fn open(options: Options, mood: Mood) -> (Queue, FarEnd, Ledger) {
    let far_end = FarEnd::new(mood);
    let queue = options.open_sink(far_end.clone()).unwrap();
    (queue, far_end, Ledger::default())
}

/// Starts the producers a, b, c .. with the given ways and up to `records` records each.
fn start(queue: &Queue, ledger: &Ledger, ways: &[Way], records: usize) -> Vec<JoinHandle<()>> {
    let producer = |(way, name): (&Way, char)| {
        let mut producer = Producer::new(name, queue, *way, ledger);
        let records = 1 + below(records);
        thread::spawn(move || producer.run(records))
    };
    ways.iter().zip('a'..).map(producer).collect()
}

fn join(threads: Vec<JoinHandle<()>>) {
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// Checks the accounts of a queue that was closed after `expected` was posted to it.
fn check_accounts(queue: &Queue, ledger: &Ledger, expected: &[u8]) {
    let stats = queue.stats();
    assert_eq!(stats.posted_bytes, expected.len() as u64);
    assert_eq!(stats.written_bytes, stats.posted_bytes);
    assert_eq!(stats.posted_records, ledger.len() as u64);
    assert_eq!(stats.written_records, stats.posted_records);
    assert_eq!((stats.held, stats.fill_bytes, stats.lost_bytes), (0, 0, 0));
}

fn close_and_check(queue: &Queue, far_end: &FarEnd, ledger: &Ledger) {
    queue.close(None).unwrap();
    let expected = ledger.expected();
    assert!(
        far_end.bytes() == expected,
        "the file is not what was posted"
    );
    check_accounts(queue, ledger, &expected);
}

use Way::{Lane, Shared};

/// Two producers on the shared path and two in lanes, with a sink that makes trouble.
#[test]
fn mixed_producers() {
    explore("mixed_producers", || {
        let (queue, far_end, ledger) = open(options(), Mood::Awkward);
        join(start(&queue, &ledger, &[Shared, Lane, Shared, Lane], 6));
        close_and_check(&queue, &far_end, &ledger);
    });
}

/// Only lanes, and more than the ring has room for: spans are sealed, given back, and taken record
/// by record.
#[test]
fn three_lanes() {
    explore("three_lanes", || {
        let (queue, far_end, ledger) = open(options(), Mood::Calm);
        join(start(&queue, &ledger, &[Lane, Lane, Lane], 9));
        close_and_check(&queue, &far_end, &ledger);
    });
}

/// Waiting writers get room in the order of their arrival, and every one gets it.
#[test]
fn ordered_writers() {
    explore("ordered_writers", || {
        let (queue, far_end, ledger) = open(options().ordered(true), Mood::Awkward);
        join(start(&queue, &ledger, &[Shared, Shared, Shared, Lane], 6));
        close_and_check(&queue, &far_end, &ledger);
    });
}

/// A flush, a completion and a sync, while producers append. When each returns, the bytes that it
/// covers are written or durable.
#[test]
fn flush_and_completions() {
    explore("flush_and_completions", || {
        let (queue, far_end, ledger) = open(options(), Mood::Awkward);
        let producers = start(&queue, &ledger, &[Shared, Lane], 6);
        let way = [Shared, Lane][below(2)];
        let mut mine = Producer::new('z', &queue, way, &ledger);
        for _ in 0..1 + below(3) {
            mine.run(1 + below(2));
            let record = mine.last_record();
            let is_in = |bytes: Vec<u8>| bytes.windows(record.len()).any(|part| part == record);
            match below(3) {
                0 => queue.flush().unwrap(),
                1 => {
                    let written = queue.completion(queue.position(), Level::Written);
                    written.wait().unwrap();
                }
                _ => {
                    let synced = queue.fsync(SyncOp::Data).unwrap();
                    while synced.status() == Status::InProgress {
                        yield_now();
                    }
                    synced.wait().unwrap();
                    assert!(is_in(far_end.synced()), "durable, and not synced");
                }
            }
            assert!(is_in(far_end.bytes()), "waited for, and not written");
        }
        join(producers);
        close_and_check(&queue, &far_end, &ledger);
    });
}

/// Two threads close the queue at once, while producers append. Posted records are written, and
/// later appends are refused.
#[test]
fn close_under_way() {
    explore("close_under_way", || {
        let (queue, far_end, ledger) = open(options(), Mood::Awkward);
        let producers = start(&queue, &ledger, &[Shared, Lane, Lane], 8);
        for _ in 0..below(60) {
            yield_now();
        }
        let other = queue.clone();
        let closer = thread::spawn(move || other.close(None).unwrap());
        queue.close(None).unwrap();
        closer.join().unwrap();
        join(producers);
        close_and_check(&queue, &far_end, &ledger);
    });
}

/// The last handles are dropped, one by one, and no thread closes the queue.
#[test]
fn the_last_drop() {
    explore("the_last_drop", || {
        let (queue, far_end, ledger) = open(options(), Mood::Awkward);
        let producers = start(&queue, &ledger, &[Shared, Lane, Lane], 6);
        drop(queue);
        join(producers);
        assert!(far_end.bytes() == ledger.expected());
    });
}

/// The sink may fail for good, and another file takes over at any moment. The posted records are in
/// one of the two files; only the torn head of one record is in both.
#[test]
fn failure_and_reopen() {
    explore("failure_and_reopen", || {
        let (queue, far_end, ledger) = open(options(), Mood::Failing(6));
        let producers = start(&queue, &ledger, &[Shared, Lane, Lane], 6);
        for _ in 0..below(80) {
            yield_now();
        }
        let next = tempfile::NamedTempFile::new().unwrap();
        let taken_over = queue.reopen(&next).unwrap();
        taken_over.wait().unwrap();
        join(producers);
        queue.close(None).unwrap();
        let mut bytes = far_end.bytes();
        let repeated = queue.stats().repeated_bytes as usize;
        bytes.truncate(bytes.len() - repeated);
        bytes.extend(fs::read(next.path()).unwrap());
        let expected = ledger.expected();
        assert!(bytes == expected, "the two files are not what was posted");
        check_accounts(&queue, &ledger, &expected);
    });
}

/// A thread that has seen the failure of the queue is refused from then on: through the queue, and
/// in a lane with room in its span.
#[test]
fn who_knows_of_a_failure_is_refused() {
    explore("who_knows_of_a_failure_is_refused", || {
        let (queue, _, _) = open(options(), Mood::Failing(1));
        let mut lane = queue.lane();
        lane.writen(b"in a span with room", Flags::WAITOK).unwrap();
        let failure = queue.flush().unwrap_err();
        assert_eq!(queue.writen(b"late", Flags::NOWAIT), Err(failure.clone()));
        assert_eq!(lane.writen(b"late", Flags::NOWAIT), Err(failure));
        queue.close(None).unwrap_err();
    });
}
