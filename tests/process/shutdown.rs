//! The shutdown of all queues writes every accepted record, refuses every later one, and reports
//! what it could not write.
//!
//! A shutdown is final for the process, so each test runs in a separate process.

use std::fs::OpenOptions;
use std::io::Read;
use std::time::Duration;

use crate::common::child::in_child;
use crate::common::task::Task;
use crate::common::{
    Log, Numbers, Record, TRY, WAIT, Watched, assert_accounts, assert_complete, fill_up, filled,
    parse, pipe, read_all, small, spawn, wait_for,
};
use alq::{AsyncAppend, Error, Flags, Options, Queue, flush_all, shutdown};

/// Flags of a post that is drained only on request.
const LATER: Flags = TRY.union(Flags::NOACTIVATE);

/// A queue on a pipe that accepts nothing, with one record in it. The caller must keep the reader.
fn stuck(options: Options, record: &[u8]) -> (impl Read + Send + use<>, Queue) {
    let (reader, writer) = pipe().unwrap();
    fill_up(&writer);
    let queue = options.open_fd(&writer).unwrap();
    queue.writen(record, TRY).unwrap();
    (reader, queue)
}

fn assert_refused(queue: &Queue) {
    for flags in [TRY, WAIT] {
        assert_eq!(queue.writen(b"late", flags), Err(Error::Closed));
        assert_eq!(queue.getn(1, flags).unwrap_err(), Error::Closed);
    }
}

#[test]
fn shutdown_writes_everything_and_refuses_everything_after() {
    in_child(
        "shutdown_writes_everything_and_refuses_everything_after",
        || {
            let logs: Vec<_> = (0..20).map(|_| Log::new()).collect();
            let queues: Vec<_> = logs.iter().map(|log| log.open(small())).collect();
            for (i, queue) in queues.iter().enumerate() {
                queue.writen(&vec![b'1'; i + 1], TRY).unwrap();
                queue.writen(&vec![b'2'; i + 1], LATER).unwrap();
            }
            drop(Log::new().open(small())); // one that has gone before
            shutdown(None).unwrap();
            for (i, (queue, log)) in queues.iter().zip(&logs).enumerate() {
                assert_eq!(log.bytes(), [vec![b'1'; i + 1], vec![b'2'; i + 1]].concat());
                assert_accounts(queue, 2 * (i as u64 + 1), 0);
                assert_refused(queue);
                queue.flush().unwrap();
                queue.close(None).unwrap();
            }
            assert_eq!(small().open(logs[0].path()).unwrap_err(), Error::Closed);
            let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
            assert_eq!(small().open_fd(&null).unwrap_err(), Error::Closed);
            wait_for("all threads end, also of refused queues", || {
                Task::named("alq-flusher").is_empty()
            });
            flush_all(None).unwrap();
            shutdown(None).unwrap();
            shutdown(Some(Duration::ZERO)).unwrap();
        },
    );
}

#[test]
fn sleeping_writers_return_at_a_shutdown() {
    in_child("sleeping_writers_return_at_a_shutdown", || {
        for_each_order(|queues| {
            let waits = |queue: &Queue| {
                let waits = queue.stats().waits;
                waits.writen_room + waits.writen_turn + waits.getn_room + waits.getn_turn
            };
            let mut sleepers = Vec::new();
            for queue in queues {
                for way in 0..4 {
                    let handle = queue.clone();
                    let hour = Duration::from_secs(3600);
                    sleepers.push(spawn(move || match way {
                        0 => handle.writen(b"late", WAIT).map(drop),
                        1 => handle.getn(4, WAIT).map(drop),
                        2 => handle.writen_timeout(b"late", WAIT, hour).map(drop),
                        _ => handle.getn_timeout(4, WAIT, hour).map(drop),
                    }));
                }
                wait_for("they sleep", || waits(queue) == 4);
            }
            let closer = spawn(|| shutdown(None));
            for sleeper in sleepers {
                assert_eq!(sleeper.join(), Err(Error::Closed));
            }
            assert!(closer.is_running(), "it waits for the readers");
            closer
        });
    });
}

/// Two full queues, one of each order, on pipes that are not read until `act` is over.
fn for_each_order(act: impl FnOnce(&[Queue]) -> Watched<Result<(), alq::Undrained>>) {
    let (readers, queues): (Vec<_>, Vec<_>) = [false, true]
        .map(|ordered| stuck(small().ordered(ordered), &[b'f'; 4096]))
        .into_iter()
        .unzip();
    let closer = act(&queues);
    let bytes: Vec<_> = readers.into_iter().map(read_all).collect();
    closer.join().unwrap();
    drop(queues);
    for bytes in bytes {
        assert!(bytes.join().ends_with(&[b'f'; 4096]), "and nothing behind");
    }
}

#[test]
fn shutdown_tells_the_sums_of_what_is_left_and_the_other_queues_are_drained() {
    in_child(
        "shutdown_tells_the_sums_of_what_is_left_and_the_other_queues_are_drained",
        || {
            let log = Log::new();
            let before = log.open(small());
            before.writen(b"before\n", LATER).unwrap();
            let (_one, first) = stuck(small(), &[b'1'; 100]);
            first.writen(&[b'1'; 50], TRY).unwrap();
            let (_two, second) = stuck(small(), &[b'2'; 1000]);
            let held_log = Log::new();
            let holder = held_log.open(small());
            let held = filled(&holder, 10, b'h');
            holder.writen(b"behind\n", LATER).unwrap();
            let last_log = Log::new();
            let last = last_log.open(small());
            last.writen(b"last\n", LATER).unwrap();

            let left = shutdown(Some(Duration::from_millis(300))).unwrap_err();
            assert_eq!((left.bytes, left.records, left.abandoned), (1150, 3, 1));
            assert_eq!(left.cause, Error::TimedOut);
            assert_eq!(log.text(), "before\n");
            assert_eq!(last_log.text(), "last\n");
            assert_eq!(held_log.text(), "behind\n", "written all the same");
            held.post();
            for queue in [&before, &first, &second, &holder, &last] {
                assert_refused(queue);
            }
            let again = shutdown(Some(Duration::ZERO)).unwrap_err();
            assert_eq!((again.bytes, again.records, again.abandoned), (1150, 3, 1));
            assert_accounts(&first, 150, 150);
            assert_accounts(&second, 1000, 1000);
        },
    );
}

#[test]
fn of_active_writers_exactly_what_was_taken_is_in_the_files() {
    in_child(
        "of_active_writers_exactly_what_was_taken_is_in_the_files",
        || {
            let logs: Vec<_> = (0..4).map(|_| Log::new()).collect();
            let queues: Vec<_> = (0..4)
                .map(|i| logs[i].open(small().ordered(i % 2 == 0)))
                .collect();
            let writers: Vec<Vec<_>> = queues
                .iter()
                .map(|queue| {
                    let writer = |writer| {
                        let queue = queue.clone();
                        spawn(move || write_until_closed(&queue, writer))
                    };
                    (0..3).map(writer).collect()
                })
                .collect();
            wait_for("traffic", || {
                let busy = |queue: &Queue| queue.stats().posted_records > 500;
                queues.iter().all(busy)
            });
            // Twice at the same time, while another thread flushes; all of them return.
            let calls = [
                spawn(|| shutdown(None)),
                spawn(|| shutdown(Some(crate::common::DEADLINE))),
                spawn(|| {
                    let _ = flush_all(None);
                    shutdown(None)
                }),
            ];
            for call in calls {
                call.join().unwrap();
            }
            for ((log, queue), writers) in logs.iter().zip(&queues).zip(writers) {
                let bytes = log.bytes(); // complete already: shutdown has returned
                let counts: Vec<_> = writers.into_iter().map(Watched::join).collect();
                assert_complete(&parse(&bytes), &counts);
                assert_accounts(queue, bytes.len() as u64, 0);
                assert!(log.bytes() == bytes, "nothing comes later");
            }
        },
    );
}

/// Appends until the queue is closed. Returns how many records were accepted.
fn write_until_closed(queue: &Queue, writer: usize) -> u32 {
    let mut numbers = Numbers::new(writer);
    for seq in 0.. {
        let len = Record::MIN_LEN + numbers.below(500);
        let text = Record { writer, seq, len }.text();
        let taken = match seq % 2 {
            0 => queue.writen(text.as_bytes(), WAIT).map(drop),
            _ => queue.getn(len, WAIT).map(|mut entry| {
                entry.copy_from_slice(text.as_bytes());
                entry.post();
            }),
        };
        if let Err(refused) = taken {
            assert_eq!(refused, Error::Closed);
            return seq;
        }
    }
    unreachable!()
}

#[test]
fn an_appender_goes_on_synchronously_after_a_shutdown_and_keeps_its_order() {
    in_child(
        "an_appender_goes_on_synchronously_after_a_shutdown_and_keeps_its_order",
        || {
            alq::async_append::enable();
            let file = Log::new();
            let log = OpenOptions::new()
                .create(true)
                .append(true)
                .open(file.path())
                .unwrap();
            let mut idle = AsyncAppend::new(&log);
            idle.write(b"first\n").unwrap();
            assert!(idle.is_async());

            // An appender that is inside a long write to a pipe that is not read yet.
            let (mut reader, writer) = pipe().unwrap();
            let bytes: Vec<u8> = (0..3_000_000_u32)
                .map(|i| (i * 7 + i / 251) as u8)
                .collect();
            let (sender, task) = std::sync::mpsc::channel();
            let appending = {
                let bytes = bytes.clone();
                spawn(move || {
                    sender.send(Task::current()).unwrap();
                    let mut appender = AsyncAppend::new(&writer);
                    for piece in bytes.chunks(1_300_001) {
                        appender.write(piece).unwrap();
                    }
                    assert!(!appender.is_async());
                    appender.flush().unwrap();
                })
            };
            let task = task.recv().unwrap();
            wait_for("the pipe is full", || {
                flush_all(Some(Duration::ZERO)).is_err()
            });
            wait_for("it sleeps", || task.is_asleep());
            let closer = spawn(|| shutdown(None));
            let other = Log::new();
            wait_for("the shutdown", || small().open(other.path()).is_err());
            let mut read = vec![0; bytes.len()];
            let reader = spawn(move || {
                reader.read_exact(&mut read).unwrap();
                assert_eq!(reader.read(&mut [0]).unwrap(), 0, "and nothing more");
                read
            });
            appending.join();
            closer.join().unwrap();
            assert!(reader.join() == bytes, "the order has changed");

            idle.write(b"second\n").unwrap();
            assert!(!idle.is_async());
            assert_eq!(file.text(), "first\nsecond\n", "at once");
            idle.flush().unwrap();
            let mut new = AsyncAppend::new(&log);
            new.write(b"third\n").unwrap();
            assert!(!new.is_async());
            drop((idle, new));
            assert_eq!(file.text(), "first\nsecond\nthird\n");
        },
    );
}
