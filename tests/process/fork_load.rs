//! Children that are forked at any moment, while the parent's threads append, lose nothing, double
//! nothing and do not hang.
//!
//! Each test runs in a separate process that forks. `ALQ_FORKS` sets the number of children; the
//! default is 200.

use std::fs::{self};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{mem, thread};

use crate::common::LATER;
use crate::common::child::in_child;
use crate::common::fork::{End, fork};
use crate::common::load::append;
use crate::common::{Log, NEVER_STALLS, Numbers, Record, TRY, WAIT, parse, small, spawn, wait_for};
use alq::{Error, Level, Notify, Options, Queue, Status, SyncOp, flush_all};

const WRITERS: usize = 2;

fn forks() -> u32 {
    let forks = std::env::var("ALQ_FORKS").map(|text| text.parse().unwrap());
    forks.unwrap_or(200)
}

/// Appends until it must stop. Returns the number of records.
fn write_until(queue: &Queue, writer: usize, stop: &AtomicBool) -> u32 {
    let mut numbers = Numbers::new(writer);
    let mut lane = queue.lane();
    let mut seq = 0;
    while !stop.load(Ordering::Relaxed) {
        let len = Record::MIN_LEN + numbers.below(200);
        let lane = (writer == WRITERS - 1).then_some(&mut lane);
        append(queue, lane, &mut numbers, Record { writer, seq, len });
        seq += 1;
        if numbers.below(20) == 0 {
            thread::sleep(Duration::from_micros(50)); // the load is to last, not to fill the disk
        }
    }
    seq
}

/// Takes every lock of the library, again and again.
fn take_locks(queue: &Queue, stop: &AtomicBool) {
    let log = Log::new();
    let mut turn = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let completion = queue.completion(queue.position(), Level::Written);
        let _ = completion.notify(Notify::Callback(Box::new(drop)));
        let _ = queue.flush();
        let _ = (queue.stats(), flush_all(None));
        if turn % 16 == 0 {
            let _ = queue
                .fsync(SyncOp::Data)
                .and_then(|completion| completion.wait());
            let other = log.open(small());
            let _ = other.writen(b"x", TRY);
        }
        turn += 1;
    }
}

/// The work of each child: one append to the parent's queue, and a queue that it opens, fills and
/// drops.
fn live(queue: &Queue, text: &str, number: u32, folder: &Path) {
    if number % 2 == 0 {
        queue.writen(text.as_bytes(), WAIT).unwrap();
    } else {
        let mut entry = queue.getn(text.len(), TRY).unwrap();
        entry.copy_from_slice(text.as_bytes());
        entry.post();
    }
    queue.flush().unwrap();
    drop(queue.stats());
    if number % 4 == 0 {
        let own = small().open(folder.join(number.to_string())).unwrap();
        own.writen(b"own\n", LATER).unwrap();
        own.completion(own.position(), Level::Durable)
            .wait()
            .unwrap();
        own.writen(b"end\n", LATER).unwrap();
        if number % 8 == 0 {
            mem::forget(own);
        }
    }
}

#[test]
fn children_under_load_lose_nothing_double_nothing_and_do_not_hang() {
    in_child(
        "children_under_load_lose_nothing_double_nothing_and_do_not_hang",
        || {
            let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
            let options = Options::new().capacity(1 << 14);
            let queue = log.open(options.stall_limit(Some(NEVER_STALLS)));
            let stop = Arc::new(AtomicBool::new(false));
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (queue, stop) = (queue.clone(), Arc::clone(&stop));
                    spawn(move || write_until(&queue, writer, &stop))
                })
                .collect();
            let locks = {
                let (queue, stop) = (queue.clone(), Arc::clone(&stop));
                spawn(move || take_locks(&queue, &stop))
            };
            for number in 0..forks() {
                let record = Record {
                    writer: WRITERS,
                    seq: number,
                    len: 100,
                };
                let text = record.text();
                let end = if number % 3 == 0 {
                    End::AtOnce
                } else {
                    End::WithHandlers
                };
                let held = queue.getn(10, WAIT).unwrap();
                let completion = queue.completion(queue.position(), Level::Written);
                let child = fork(end, || {
                    assert_eq!(completion.status(), Status::Done(Err(Error::Forked)));
                    drop(completion.clone());
                    live(&queue, &text, number, folder.path());
                });
                drop(held);
                child.join();
                if number % 4 == 0 {
                    let own = fs::read_to_string(folder.path().join(number.to_string())).unwrap();
                    let whole = end == End::WithHandlers || number % 8 != 0;
                    let expected = if whole { "own\nend\n" } else { "own\n" };
                    assert!(own.starts_with(expected), "{number}: {own:?}");
                    fs::remove_file(folder.path().join(number.to_string())).unwrap();
                }
            }
            stop.store(true, Ordering::Relaxed);
            let mut counts: Vec<u32> = writers
                .into_iter()
                .map(crate::common::Watched::join)
                .collect();
            locks.join();
            queue.close(None).unwrap();
            counts.push(forks());
            crate::common::assert_complete(&parse(&log.bytes()), &counts);
        },
    );
}

#[test]
fn a_process_may_fork_and_exec_while_it_appends() {
    in_child("a_process_may_fork_and_exec_while_it_appends", || {
        let log = Log::new();
        let queue = log.open(small());
        let stop = Arc::new(AtomicBool::new(false));
        let posted = Arc::new(AtomicU64::new(0));
        let writer = {
            let (queue, stop, posted) = (queue.clone(), Arc::clone(&stop), Arc::clone(&posted));
            spawn(move || {
                let count = write_until(&queue, 0, &stop);
                posted.store(u64::from(count), Ordering::Relaxed);
                count
            })
        };
        for _ in 0..20 {
            assert!(Command::new("true").status().unwrap().success());
        }
        wait_for("load", || queue.stats().posted_records > 100);
        stop.store(true, Ordering::Relaxed);
        let count = writer.join();
        queue.close(None).unwrap();
        crate::common::assert_complete(&parse(&log.bytes()), &[count]);
    });
}
