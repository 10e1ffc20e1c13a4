//! On a queue without failures, each position is exact, and each completion and `fsync` is done
//! exactly when the bytes before it are written or durable.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use crate::common::sink::{Script, queue_to, scripted};
use crate::common::task::Task;
use crate::common::{Log, NEVER_STALLS, Numbers, TRY, WAIT, Watched, small, spawn, wait_for};
use alq::{Completion, Error, Level, Options, Position, Status, SyncOp};

const DONE: Status = Status::Done(Ok(()));

fn is_done(completion: &Completion) -> bool {
    completion.status() != Status::InProgress
}

#[test]
fn positions_are_exact_at_the_ends_of_records_and_grow() {
    const COUNT: usize = 5000;
    let script = Script::new();
    let queue = queue_to(&script, small());
    let writer = |writer: usize| {
        let queue = queue.clone();
        spawn(move || {
            let mut numbers = Numbers::new(writer);
            let append = |n: usize| {
                let record = format!("{writer}:{n}:{}\n", "x".repeat(numbers.below(60)));
                let position = queue.writen(record.as_bytes(), WAIT).unwrap();
                assert!(queue.position() >= position, "it was posted before");
                (position, record)
            };
            (0..COUNT).map(append).collect::<Vec<_>>()
        })
    };
    let writers: Vec<_> = (0..4).map(writer).collect();
    let mut all: Vec<(Position, String)> = Vec::new();
    for writer in writers {
        let own = writer.join();
        assert!(own.is_sorted_by(|a, b| a.0 < b.0), "a thread's own grow");
        all.extend(own);
    }
    queue.flush().unwrap();
    // No padding here: a position is the offset at which the record ends.
    let bytes = script.bytes();
    for (position, record) in &all {
        let end = position.bytes() as usize;
        assert_eq!(&bytes[end - record.len()..end], record.as_bytes());
    }
    assert_eq!(queue.position().bytes(), bytes.len() as u64);
    assert_eq!(
        all.iter().map(|(_, record)| record.len()).sum::<usize>(),
        bytes.len()
    );
}

#[test]
fn a_position_of_a_shortened_record_is_where_it_ends_after_the_give_back() {
    let (queue, _script) = scripted();
    let mut entry = queue.getn(100, TRY).unwrap();
    entry.set_bytes_used(10);
    let first = entry.post();
    assert_eq!(queue.position(), first);
    let second = queue.writen(b"12345", TRY).unwrap();
    assert!(first < second);
    assert_eq!(queue.position(), second);
    queue.completion(second, Level::Written).wait().unwrap();
}

#[test]
fn written_is_done_exactly_when_the_sink_has_taken_the_record() {
    let (queue, script) = scripted();
    script.shut_write();
    let first = queue.writen(b"first\n", TRY).unwrap();
    script.wait_for_write(1);
    let second = queue.writen(b"second\n", TRY).unwrap();
    let (first, second) = (
        queue.completion(first, Level::Written),
        queue.completion(second, Level::Written),
    );
    assert_eq!(first.status(), Status::InProgress);
    assert_eq!(second.status(), Status::InProgress);
    script.open_write();
    first.wait().unwrap();
    assert!(script.bytes().starts_with(b"first\n"));
    second.wait().unwrap();
    assert_eq!(script.bytes(), b"first\nsecond\n");
    assert_eq!((first.status(), second.status()), (DONE, DONE));
    assert!(script.syncs().is_empty(), "nobody asked for one");
}

#[test]
fn what_is_written_or_empty_is_done_at_once() {
    let (queue, script) = scripted();
    let nothing = queue.position();
    assert_eq!(nothing.bytes(), 0);
    assert_eq!(queue.completion(nothing, Level::Written).status(), DONE);
    assert_eq!(queue.completion(nothing, Level::Durable).status(), DONE);
    assert_eq!(queue.fsync(SyncOp::Full).unwrap().status(), DONE);
    let position = queue.writen(b"record\n", TRY).unwrap();
    queue.flush().unwrap();
    assert_eq!(queue.completion(position, Level::Written).status(), DONE);
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
    assert_eq!(queue.completion(position, Level::Durable).status(), DONE);
    assert_eq!(queue.fsync(SyncOp::Data).unwrap().status(), DONE);
    assert_eq!(script.syncs().len(), 1, "nothing has come since");
}

#[test]
fn fsync_returns_at_once_and_is_done_only_when_the_sync_has_returned() {
    let (queue, script) = scripted();
    script.shut_write();
    script.shut_sync();
    queue.writen(b"record\n", TRY).unwrap();
    let completion = queue.fsync(SyncOp::Data).unwrap(); // neither gate is open
    script.wait_for_write(1);
    assert!(script.syncs().is_empty(), "not before it is written");
    assert_eq!(completion.status(), Status::InProgress);
    script.open_write();
    script.wait_for_sync(1);
    assert_eq!(script.syncs()[0].written, 7);
    assert_eq!(
        completion.status(),
        Status::InProgress,
        "the sync is under way"
    );
    script.open_sync();
    completion.wait().unwrap();
    assert_eq!(script.synced(), 7);
}

#[test]
fn what_is_posted_after_the_fsync_is_neither_delayed_nor_waited_for() {
    let (queue, script) = scripted();
    script.shut_sync();
    queue.writen(b"before\n", TRY).unwrap();
    let completion = queue.fsync(SyncOp::Data).unwrap();
    script.wait_for_sync(1);
    for _ in 0..100 {
        let position = queue.writen(b"after\n", TRY).unwrap();
        queue.completion(position, Level::Written).wait().unwrap();
    }
    queue.flush().unwrap();
    assert_eq!(script.written(), 7 + 600);
    assert_eq!(completion.status(), Status::InProgress);
    // The gate is shut, so this record is not even written when the fsync is done.
    script.shut_write();
    queue.writen(b"last\n", TRY).unwrap();
    script.open_sync();
    completion.wait().unwrap();
    assert_eq!(script.syncs().len(), 1);
    script.open_write();
}

#[test]
fn fsync_does_not_wait_for_a_reservation_after_the_posted_records() {
    let (queue, script) = scripted();
    queue.writen(b"posted\n", TRY).unwrap();
    let held = queue.getn(10, TRY).unwrap();
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
    assert_eq!(script.synced(), 7);
    drop(held);
}

#[test]
fn one_sync_serves_all_who_wait_and_none_is_done_before_a_sync_that_began_after_its_record() {
    const WRITERS: usize = 64;
    let (queue, script) = scripted();
    script.shut_sync();
    queue.writen(b"the first\n", TRY).unwrap();
    let first = queue.fsync(SyncOp::Data).unwrap();
    script.wait_for_sync(1);
    let waiting = Arc::new(AtomicUsize::new(0));
    let writer = |_| {
        let (queue, script, waiting) = (queue.clone(), Arc::clone(&script), Arc::clone(&waiting));
        spawn(move || {
            let position = queue.writen(b"0123456789\n", WAIT).unwrap();
            let completion = queue.completion(position, Level::Durable);
            waiting.fetch_add(1, Ordering::Relaxed);
            completion.wait().unwrap();
            assert!(script.synced() >= position.bytes() as usize);
        })
    };
    let writers: Vec<_> = (0..WRITERS).map(writer).collect();
    wait_for("all wait", || waiting.load(Ordering::Relaxed) == WRITERS);
    queue.flush().unwrap();
    assert!(!is_done(&first));
    script.open_sync();
    writers.into_iter().for_each(Watched::join);
    let written: Vec<_> = script.syncs().iter().map(|sync| sync.written).collect();
    assert_eq!(
        written,
        [10, 10 + WRITERS * 11],
        "one for the first, one for all others"
    );
}

#[test]
fn threads_that_append_and_wait_again_and_again_never_see_a_durable_record_unsynced() {
    const WRITERS: usize = 16;
    const COUNT: usize = 50;
    let (queue, script) = scripted();
    let start = Arc::new(Barrier::new(WRITERS));
    let writer = |writer| {
        let (queue, script, start) = (queue.clone(), Arc::clone(&script), Arc::clone(&start));
        spawn(move || {
            start.wait();
            for n in 0..COUNT {
                let position = queue.writen(b"0123456789\n", WAIT).unwrap();
                let completion = if (n + writer) % 3 == 0 {
                    queue.fsync(SyncOp::Full).unwrap()
                } else {
                    queue.completion(position, Level::Durable)
                };
                completion.wait().unwrap();
                assert!(script.synced() >= position.bytes() as usize);
            }
        })
    };
    (0..WRITERS)
        .map(writer)
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(Watched::join);
    assert!(script.syncs().len() <= WRITERS * COUNT);
    assert_eq!(script.written(), WRITERS * COUNT * 11);
}

#[test]
fn who_comes_during_a_sync_gets_another_one_only_if_that_one_does_not_cover_it() {
    let (queue, script) = scripted();
    script.shut_sync();
    let covered = queue.writen(b"covered\n", TRY).unwrap();
    let first = queue.fsync(SyncOp::Data).unwrap();
    script.wait_for_sync(1);
    let late_but_covered = queue.completion(covered, Level::Durable);
    let uncovered = queue.writen(b"uncovered\n", TRY).unwrap();
    queue.flush().unwrap(); // written while the sync runs, which need not have seen it
    let late = queue.completion(uncovered, Level::Durable);
    script.open_sync();
    first.wait().unwrap();
    late_but_covered.wait().unwrap();
    late.wait().unwrap();
    let written: Vec<_> = script.syncs().iter().map(|sync| sync.written).collect();
    assert_eq!(written, [8, 18]);
}

/// Otherwise each write would wake every thread that waits for a sync, only to sleep again.
#[test]
fn a_write_does_not_wake_a_thread_that_waits_for_a_sync() {
    const WRITES: u64 = 200;
    let (queue, script) = scripted();
    script.shut_sync();
    let first = queue.writen(b"first", WAIT).unwrap();
    let completion = queue.completion(first, Level::Durable);
    let (sender, receiver) = mpsc::channel();
    let waiter = spawn(move || {
        sender.send(Task::current()).unwrap();
        completion.wait()
    });
    let waiter_task = receiver.recv().unwrap();
    script.wait_for_sync(1);
    wait_for("the waiter to sleep", || waiter_task.is_asleep());
    let before = waiter_task.sleeps();
    for _ in 0..WRITES {
        queue.writen(b"more", WAIT).unwrap();
        queue.flush().unwrap();
    }
    let wakes = waiter_task.sleeps() - before;
    script.open_sync();
    waiter.join().unwrap();
    assert!(wakes < WRITES / 10, "{wakes} wake-ups by {WRITES} writes");
}

#[test]
fn full_satisfies_data_and_data_does_not_satisfy_full() {
    let (queue, script) = scripted();
    queue.writen(b"one\n", TRY).unwrap();
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
    queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    assert_eq!(script.ops(), [SyncOp::Data, SyncOp::Full]);
    queue.writen(b"two\n", TRY).unwrap();
    queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    assert_eq!(queue.fsync(SyncOp::Data).unwrap().status(), DONE);
    assert_eq!(script.ops()[2..], [SyncOp::Full]);
    // Both at once: one call, of the stronger kind.
    script.shut_write();
    queue.writen(b"three\n", TRY).unwrap();
    let both = [SyncOp::Data, SyncOp::Full].map(|op| queue.fsync(op).unwrap());
    script.open_write();
    both.iter().for_each(|one| one.wait().unwrap());
    assert_eq!(script.ops()[3..], [SyncOp::Full]);
}

#[test]
fn a_full_wait_that_comes_during_a_data_sync_gets_its_own() {
    let (queue, script) = scripted();
    script.shut_sync();
    queue.writen(b"one\n", TRY).unwrap();
    let data = queue.fsync(SyncOp::Data).unwrap();
    script.wait_for_sync(1);
    let full = queue.fsync(SyncOp::Full).unwrap();
    script.open_sync();
    data.wait().unwrap();
    full.wait().unwrap();
    assert_eq!(script.ops(), [SyncOp::Data, SyncOp::Full]);
}

#[test]
fn completions_of_a_log_on_disk_are_done_while_others_post() {
    let log = Log::new();
    let queue = log.open(Options::new().stall_limit(Some(NEVER_STALLS)));
    let stop = Arc::new(AtomicBool::new(false));
    let noise = {
        let (queue, stop) = (queue.clone(), Arc::clone(&stop));
        spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                queue.writen(b"noise\n", WAIT).unwrap();
                thread::yield_now();
            }
        })
    };
    for n in 0..10 {
        let record = format!("durable {n}\n");
        let position = queue.writen(record.as_bytes(), WAIT).unwrap();
        queue.completion(position, Level::Durable).wait().unwrap();
        assert!(log.text().contains(&record));
        queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    noise.join();
    queue.close(None).unwrap();
}

#[test]
fn a_position_of_another_queue_is_invalid() {
    let (queue, _script) = scripted();
    let (other, _other_script) = scripted();
    queue.writen(b"as long as the other\n", TRY).unwrap();
    let elsewhere = other.writen(b"short\n", TRY).unwrap();
    for level in [Level::Written, Level::Durable] {
        let completion = queue.completion(elsewhere, level);
        assert_eq!(
            completion.status(),
            Status::Done(Err(Error::InvalidPosition))
        );
        assert_eq!(completion.wait(), Err(Error::InvalidPosition));
    }
}
