//! `flush_all` writes everything that was posted to any queue of the process, also if one queue
//! fails or takes all of its time.
//!
//! Each test runs in a separate process, because it flushes all queues of its process.

use std::time::Duration;

use crate::common::child::in_child;
use crate::common::{Log, STALLS_SOON, TRY, fill_up, pipe, small};
use alq::{Error, Flags, Operation, flush_all, shutdown};

/// Flags of a post that is drained only on request.
const LATER: Flags = TRY.union(Flags::NOACTIVATE);

#[test]
fn flush_all_writes_everything_that_was_posted_anywhere() {
    in_child(
        "flush_all_writes_everything_that_was_posted_anywhere",
        || {
            let logs: Vec<_> = (0..10).map(|_| Log::new()).collect();
            let queues: Vec<_> = logs.iter().map(|log| log.open(small())).collect();
            for limit in [None, Some(crate::common::DEADLINE), Some(Duration::MAX)] {
                for queue in &queues {
                    queue.writen(b"posted\n", LATER).unwrap();
                }
                flush_all(limit).unwrap();
                for (queue, log) in queues.iter().zip(&logs) {
                    assert_eq!(log.bytes().len() as u64, queue.stats().posted_bytes);
                }
            }
        },
    );
}

#[test]
fn flush_all_tells_of_one_that_fails_and_flushes_the_others() {
    in_child(
        "flush_all_tells_of_one_that_fails_and_flushes_the_others",
        || {
            let logs = [Log::new(), Log::new()];
            let first = logs[0].open(small());
            let (reader, writer) = pipe().unwrap();
            drop(reader);
            let failing = small().open_fd(&writer).unwrap();
            let last = logs[1].open(small());
            for queue in [&first, &failing, &last] {
                queue.writen(b"posted\n", LATER).unwrap();
            }
            let error = Error::Io {
                operation: Operation::Write,
                errno: libc::EPIPE,
                target: alq::Target::default(),
            };
            assert_eq!(flush_all(None), Err(error.clone()));
            assert!(logs.iter().all(|log| log.text() == "posted\n"));
            assert_eq!(flush_all(Some(Duration::ZERO)), Err(error.clone()));
            let left = shutdown(None).unwrap_err();
            assert_eq!((left.bytes, left.records), (7, 1));
            assert_eq!(left.cause, error);
        },
    );
}

#[test]
fn flush_all_flushes_the_others_also_when_one_takes_all_of_its_time() {
    in_child(
        "flush_all_flushes_the_others_also_when_one_takes_all_of_its_time",
        || {
            let (_reader, writer) = pipe().unwrap();
            fill_up(&writer);
            let stuck = small()
                .stall_limit(Some(STALLS_SOON))
                .open_fd(&writer)
                .unwrap();
            stuck.writen(b"stuck\n", TRY).unwrap();
            let logs: Vec<_> = (0..5).map(|_| Log::new()).collect();
            let queues: Vec<_> = logs.iter().map(|log| log.open(small())).collect();
            for round in 1..=20 {
                for queue in &queues {
                    queue.writen(b"posted\n", LATER).unwrap();
                }
                let flushed = flush_all(Some(Duration::from_millis(100)));
                assert_eq!(flushed, Err(Error::TimedOut));
                for log in &logs {
                    assert_eq!(log.bytes().len(), 7 * round, "round {round}");
                }
            }
        },
    );
}
