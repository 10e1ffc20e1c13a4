//! A recorder keeps the newest records and writes them when it is asked to, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::sink::{Script, queue_to};
use crate::common::{Log, STALLS_SOON, TRY, WAIT, append_to, small};
use alq::{Dump, Error, Framing, Level, Options, Queue, SyncOp};

fn recorder() -> Options {
    small().recorder(true)
}

/// Appends numbered lines.
fn post(queue: &Queue, numbers: std::ops::Range<u32>) {
    for i in numbers {
        queue
            .writen(format!("record {i}\n").as_bytes(), TRY)
            .unwrap();
    }
}

/// The numbers of the records of `text`, without the lines of dumps.
fn numbers(text: &str) -> Vec<u32> {
    let records = text.lines().filter_map(|line| line.strip_prefix("record "));
    records.map(|number| number.parse().unwrap()).collect()
}

#[test]
fn nothing_is_written_until_a_dump_is_asked_for() {
    let log = Log::new();
    let queue = log.open(recorder());
    post(&queue, 0..1000);
    queue.flush().unwrap();
    assert_eq!(log.bytes(), b"");
    let stats = queue.stats();
    assert_eq!((stats.posted_records, stats.written_records), (1000, 0));
    assert_eq!((stats.refused_records, stats.drains), (0, 0));

    let dump = queue.dump("a test").unwrap();
    let text = log.text();
    let found = numbers(&text);
    assert_eq!(
        found,
        (1000 - dump.records as u32..1000).collect::<Vec<_>>()
    );
    assert_eq!(dump.records + dump.overwritten_records, 1000);
    // 64 slots are the bound here, of which one may be free.
    assert!((63..=64).contains(&dump.records), "{dump:?}");
    assert!(text.starts_with(&format!("{dump}\n")), "{text}");
    let stats = queue.stats();
    assert_eq!(stats.written_records, dump.records);
    assert_eq!(stats.overwritten_records, dump.overwritten_records);
    assert_eq!(
        stats.posted_bytes,
        stats.written_bytes + stats.overwritten_bytes
    );
    assert_eq!(stats.loss_line_bytes, dump.to_string().len() as u64 + 1);
}

#[test]
fn a_dump_has_what_came_since_the_last_one() {
    let log = Log::new();
    let queue = log.open(recorder());
    post(&queue, 0..3);
    assert_eq!(queue.dump("one").unwrap().records, 3);
    let empty = queue.dump("two").unwrap();
    assert_eq!((empty.records, empty.overwritten_records), (0, 0));
    post(&queue, 3..5);
    assert_eq!(queue.dump("three").unwrap().records, 2);
    let text = log.text();
    assert_eq!(numbers(&text), [0, 1, 2, 3, 4]);
    assert!(text.contains(
        "--- 0 records (0 bytes) follow; 0 older ones were overwritten; reason: two ---\n"
    ));
}

#[test]
fn an_end_writes_only_what_was_asked_for() {
    for end in [
        |queue: Queue| queue.close(None).unwrap(),
        |queue: Queue| drop(queue),
    ] {
        let log = Log::new();
        let queue = log.open(recorder());
        post(&queue, 0..3);
        queue.request_dump();
        queue.flush().unwrap(); // so that the records that follow come too late for it
        post(&queue, 3..6);
        end(queue);
        assert_eq!(numbers(&log.text()), [0, 1, 2]);
    }
    let log = Log::new();
    let queue = log.open(recorder());
    post(&queue, 0..3);
    queue.request_dump();
    queue.close(None).unwrap();
    assert_eq!(numbers(&log.text()), [0, 1, 2]);
    assert_eq!(queue.dump("late"), Err(Error::Closed));
    assert_eq!(queue.writen(b"late", TRY), Err(Error::Closed));
    let stats = queue.stats();
    assert_eq!((stats.lost_records, stats.abandoned), (0, 0));
}

#[test]
fn an_entry_that_stays_open_refuses_appends_and_is_stepped_over() {
    let log = Log::new();
    let queue = log.open(recorder());
    let held = queue.getn(10, TRY).unwrap();
    post(&queue, 0..63);
    for flags in [TRY, WAIT] {
        let refused = queue.writen(b"no room\n", flags).unwrap_err();
        assert!(
            matches!(
                refused,
                Error::Held {
                    age: Duration::ZERO,
                    ..
                }
            ),
            "{refused}"
        );
        assert!(
            refused
                .to_string()
                .contains("keeps the room of the oldest record"),
            "{refused}"
        );
    }
    assert!(matches!(queue.getn(1, WAIT), Err(Error::Held { .. })));
    assert!(matches!(
        queue.lane().writen(b"no room\n", WAIT),
        Err(Error::Held { .. })
    ));
    assert_eq!(queue.stats().refused.held.records, 4);

    let dump = queue.dump("held").unwrap();
    assert_eq!((dump.records, dump.held), (63, 1));
    held.post();
    post(&queue, 63..64);
    let again = queue.dump("again").unwrap();
    // The entry was overwritten, and one record more: see `recorder`.
    assert_eq!((again.records, again.held), (63, 0));
    let found = numbers(&log.text());
    let expected = [(0..63), (1..64)].into_iter().flatten();
    assert!(found.into_iter().eq(expected));
}

/// The sink is stuck in the middle of a dump, and appends go on.
#[test]
fn no_append_waits_for_the_disk() {
    let script = Script::new();
    let queue = queue_to(&script, recorder());
    post(&queue, 0..10);
    script.shut_write();
    queue.request_dump();
    script.wait_for_write(1);
    for i in 10..1000 {
        queue
            .writen(format!("record {i}\n").as_bytes(), WAIT)
            .unwrap();
    }
    script.open_write();
    queue.flush().unwrap();
    let dump = queue.dump("after it").unwrap();
    let text = String::from_utf8(script.bytes()).unwrap();
    let found = numbers(&text);
    assert_eq!(found[..10], (0..10).collect::<Vec<_>>());
    assert_eq!(
        found[10..],
        (1000 - dump.records as u32..1000).collect::<Vec<_>>()
    );
    assert_eq!(queue.stats().refused_records, 0);
}

/// However little the sink takes at a time, a dump is whole.
#[test]
fn a_dump_survives_short_writes() {
    for piece in [1, 7, 64, 1000] {
        let script = Script::new();
        script.take_in_pieces(piece);
        let queue = queue_to(&script, recorder());
        post(&queue, 0..20);
        let dump = queue.dump("pieces").unwrap();
        let records: Vec<_> = (0..20).map(|i| format!("record {i}\n")).collect();
        let records = records.concat();
        assert_eq!(
            String::from_utf8(script.bytes()).unwrap(),
            format!("{dump}\n{records}")
        );
    }
}

#[test]
fn a_dump_that_cannot_be_written_says_so_and_is_left_by_a_close() {
    let script = Script::new();
    script.take_at_most(0, libc::ENOSPC);
    let queue = queue_to(&script, recorder().stall_limit(Some(STALLS_SOON)));
    post(&queue, 0..5);
    let stalled = queue.dump("full").unwrap_err();
    assert!(
        matches!(
            stalled,
            Error::Stalled {
                errno: libc::ENOSPC,
                ..
            }
        ),
        "{stalled}"
    );
    post(&queue, 5..200);
    let left = queue.close(None).unwrap_err();
    assert_eq!((left.records, left.abandoned), (5, 0));
    assert_eq!(left.bytes, 5 * 9);
}

#[test]
fn a_reopen_continues_a_dump_in_the_other_file() {
    let script = Script::new();
    script.fail_write(libc::EIO);
    let queue = queue_to(&script, recorder());
    post(&queue, 0..5);
    let failed = queue.dump("broken").unwrap_err();
    assert!(
        matches!(
            failed,
            Error::Io {
                errno: libc::EIO,
                ..
            }
        ),
        "{failed}"
    );
    assert!(queue.writen(b"refused\n", TRY).is_err());
    let log = Log::new();
    queue.reopen(append_to(log.path())).unwrap().wait().unwrap();
    queue.flush().unwrap();
    assert_eq!(numbers(&log.text()), [0, 1, 2, 3, 4]);
    post(&queue, 5..6);
    queue.dump("mended").unwrap();
    assert_eq!(numbers(&log.text()), [0, 1, 2, 3, 4, 5]);
}

/// Threads append, in lanes too, while others ask for dumps. Each thread's records come in order,
/// and a record is dumped or overwritten, never both and never neither.
#[test]
fn every_record_is_dumped_or_overwritten() {
    const EACH: u32 = 20_000;
    let log = Log::new();
    let queue = log.open(recorder().capacity(1 << 14));
    let is_over = Arc::new(AtomicBool::new(false));
    let dumper = {
        let (queue, is_over) = (queue.clone(), Arc::clone(&is_over));
        thread::spawn(move || {
            let mut sum = Dump::default();
            while !is_over.load(Ordering::Relaxed) {
                let dump = queue.dump("now").unwrap();
                sum.held += dump.held;
                sum.records += dump.records;
                sum.overwritten_records += dump.overwritten_records;
            }
            sum
        })
    };
    let appended: u64 = thread::scope(|scope| {
        let append = |thread: u32| {
            let queue = &queue;
            scope.spawn(move || {
                let mut lane = (thread == 0).then(|| queue.lane());
                let mut refused = 0;
                for i in 0..EACH {
                    let record = format!("record {}\n", thread * EACH + i);
                    let appended = match &mut lane {
                        Some(lane) => lane.writen(record.as_bytes(), TRY),
                        None => queue.writen(record.as_bytes(), TRY),
                    };
                    match appended {
                        Ok(_) => {}
                        // A dump was preempted in its copy, or a thread between claim and post.
                        Err(Error::WouldBlock | Error::Held { .. }) => refused += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
                u64::from(EACH) - refused
            })
        };
        let threads = [0, 1, 2].map(append);
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    is_over.store(true, Ordering::Relaxed);
    let mut sum = dumper.join().unwrap();
    let last = queue.dump("the last").unwrap();
    sum.records += last.records;
    sum.overwritten_records += last.overwritten_records;
    if sum.held > 0 {
        return; // a thread was preempted in its append for 100 ms: the next dump has its records
    }
    assert_eq!(sum.records + sum.overwritten_records, appended);
    let stats = queue.stats();
    assert_eq!(stats.posted_records, appended);
    assert_eq!(stats.refused_records, 3 * u64::from(EACH) - appended);
    let found = numbers(&log.text());
    assert_eq!(found.len() as u64, sum.records);
    for thread in 0..3 {
        let own = found.iter().filter(|number| *number / EACH == thread);
        assert!(own.is_sorted_by(|a, b| a < b), "thread {thread}");
    }
}

#[test]
fn dumps_have_the_framing_of_the_log() {
    let log = Log::new();
    let queue = log.open(recorder().framing(Framing::Lengths));
    queue.writen(b"one", TRY).unwrap();
    let dump = queue.dump("lengths").unwrap();
    let line = format!("{dump}\n");
    let mut expected = (line.len() as u32).to_le_bytes().to_vec();
    expected.extend(line.as_bytes());
    expected.extend([3, 0, 0, 0, b'o', b'n', b'e']);
    assert_eq!(log.bytes(), expected);

    let log = Log::new();
    let queue = log.open(Options::new().fixed(4, 8).recorder(true));
    for i in 0..100_u32 {
        queue.write_fixed(&i.to_le_bytes(), TRY).unwrap();
    }
    queue.dump("fixed").unwrap();
    let expected: Vec<u8> = (92..100_u32).flat_map(u32::to_le_bytes).collect();
    assert_eq!(log.bytes(), expected);
}

#[test]
fn a_formatter_that_panics_gives_the_plain_line() {
    let log = Log::new();
    let broken = |_: &Dump| -> Vec<u8> { panic!("a formatter") };
    let queue = log.open(recorder().dump_line_with(broken));
    let dump = queue.dump("a test").unwrap();
    assert_eq!(log.bytes(), format!("{dump}\n").into_bytes());
}

#[test]
fn calls_and_options_of_other_queues_are_refused() {
    let log = Log::new();
    let queue = log.open(recorder());
    let position = queue.writen(b"one\n", TRY).unwrap();
    assert_eq!(queue.fsync(SyncOp::Data).unwrap_err(), Error::WrongMode);
    let completion = queue.completion(position, Level::Written);
    assert_eq!(completion.wait(), Err(Error::WrongMode));
    let ordinary = log.open(small());
    assert_eq!(ordinary.dump("no recorder"), Err(Error::WrongMode));
    ordinary.request_dump();
    ordinary.flush().unwrap();
    assert_eq!(log.bytes(), b"");

    let second = Duration::from_secs(1);
    let wrong = [
        ("loss_lines", recorder().loss_lines(second)),
        (
            "sync_every",
            recorder().sync_every(alq::SyncPolicy::new().bytes(1)),
        ),
        ("capacity", recorder().capacity((1 << 30) + 1)),
    ];
    for (name, options) in wrong {
        let error = options.open(log.path()).unwrap_err();
        assert!(
            matches!(error, Error::InvalidOption { option, .. } if option == name),
            "{error}"
        );
    }
}
