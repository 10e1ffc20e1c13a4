//! A recorder with a ring file: what a killed process did last is there, whole and in order.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, thread};

use crate::common::child::{Ended, end_of_child};
use crate::common::torture::label::die;
use crate::common::{Record, TRY, WAIT, Watched, append_to, parse, spawn, wait_for};
use crate::ring_folder::{log, options};
use alq::ring_file::{RingDump, dump, inspect};
use alq::{AfterKill, Error, Framing, Options, Queue, RingFileProblem as Problem};

fn recorder(folder: &Path) -> Options {
    options(folder).recorder(true)
}

fn open(options: Options, folder: &Path) -> Queue {
    options.open(folder.join("log")).unwrap()
}

fn post(queue: &Queue, numbers: std::ops::Range<u32>) {
    for i in numbers {
        let text = format!("record {i:05}\n");
        queue.writen(text.as_bytes(), TRY).unwrap();
    }
}

fn text(numbers: std::ops::Range<u32>) -> String {
    let records: Vec<String> = numbers.map(|i| format!("record {i:05}\n")).collect();
    records.concat()
}

fn look(folder: &Path) -> RingDump {
    dump(folder.join("ring"), "a look").unwrap()
}

/// A process that posts 100 records, of which 64 fit, and is killed.
fn killed(test: &str) -> Option<Ended> {
    end_of_child(test, "", |folder| {
        let queue = open(recorder(folder), folder);
        post(&queue, 0..100);
        die();
    })
}

/// What was overwritten is counted as it happens, and is not counted as written.
#[test]
fn a_look_from_outside_counts_what_is_overwritten_and_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let queue = open(recorder(folder), folder);
    post(&queue, 0..100);
    let counts = || {
        let state = inspect(folder.join("ring")).unwrap();
        let overwritten = (state.overwritten_records, state.overwritten_bytes);
        (
            overwritten,
            (state.live.written_records, state.live.written_bytes),
        )
    };
    assert_eq!(counts(), ((36, 468), (0, 0)));
    queue.dump("a look").unwrap();
    wait_for("the counters", || counts() == ((0, 0), (64, 832)));
    post(&queue, 0..65);
    assert_eq!(counts().0, (2, 26)); // one more than was needed
}

const LINE: &str = "--- 64 records (832 bytes) follow; 36 older ones were overwritten; \
                    reason: the process was killed ---\n";

#[test]
fn the_next_process_dumps_first_what_a_killed_one_has_left() {
    let Some(ended) = killed("the_next_process_dumps_first_what_a_killed_one_has_left") else {
        return;
    };
    let folder = ended.folder.path();
    assert_eq!(log(folder), "");
    for _ in 0..2 {
        let found = look(folder); // changes nothing
        assert_eq!(found.bytes(), text(36..100).as_bytes());
        assert_eq!(found.records().last(), Some(&b"record 00099\n"[..]));
        let dump = &found.dump;
        assert_eq!((dump.records, dump.overwritten_records), (64, 36));
        assert_eq!(
            (dump.held, found.in_use, found.damaged_slots),
            (0, false, 0)
        );
    }
    let state = inspect(folder.join("ring")).unwrap();
    assert!(state.is_recorder && !state.in_use);
    assert_eq!((state.pending.bytes, state.fill_bytes), (832, 832));
    assert_eq!(
        (state.overwritten_records, state.overwritten_bytes),
        (36, 468)
    );

    let queue = open(recorder(folder), folder);
    let found = *queue.recovery().unwrap();
    assert_eq!(
        (found.bytes, found.dumped_bytes, found.spans),
        (832, 832, 64)
    );
    assert_eq!(found.discarded_bytes, 0);
    post(&queue, 100..300); // in place of all of them
    queue.flush().unwrap();
    let first = LINE.to_owned() + &text(36..100);
    assert_eq!(log(folder), first);
    let second = queue.dump("a test").unwrap();
    assert_eq!((second.records, second.overwritten_records), (64, 136));
    assert_eq!(log(folder), format!("{first}{second}\n{}", text(236..300)));
    let stats = queue.stats();
    assert_eq!(
        (stats.written_records, stats.overwritten_records),
        (128, 136)
    );
}

#[test]
fn what_is_kept_is_in_the_next_dump() {
    let Some(ended) = killed("what_is_kept_is_in_the_next_dump") else {
        return;
    };
    let folder = ended.folder.path();
    let queue = open(recorder(folder).after_kill(AfterKill::Keep), folder);
    let found = *queue.recovery().unwrap();
    assert_eq!(
        (found.bytes, found.dumped_bytes, found.discarded_bytes),
        (832, 0, 0)
    );
    queue.flush().unwrap();
    assert_eq!(log(folder), "");
    post(&queue, 100..110);
    let dump = queue.dump("a test").unwrap();
    assert_eq!((dump.records, dump.overwritten_records), (64, 46));
    assert_eq!(log(folder), format!("{dump}\n{}", text(46..110)));
}

#[test]
fn what_is_discarded_is_nowhere() {
    let Some(ended) = killed("what_is_discarded_is_nowhere") else {
        return;
    };
    let folder = ended.folder.path();
    let queue = open(recorder(folder).after_kill(AfterKill::Discard), folder);
    let found = *queue.recovery().unwrap();
    assert_eq!(
        (found.bytes, found.dumped_bytes, found.discarded_bytes),
        (832, 0, 832)
    );
    post(&queue, 100..110);
    let dump = queue.dump("a test").unwrap();
    assert_eq!((dump.records, dump.overwritten_records), (10, 0));
    assert_eq!(log(folder), format!("{dump}\n{}", text(100..110)));
}

/// With another capacity or framing, the records cannot stay where they are.
#[test]
fn a_ring_of_another_size_or_framing_is_dumped_and_made_anew() {
    let test = "a_ring_of_another_size_or_framing_is_dumped_and_made_anew";
    let Some(ended) = killed(test) else { return };
    let folder = ended.folder.path();
    let ring = fs::read(folder.join("ring")).unwrap();
    let larger = || recorder(folder).capacity(1 << 16);
    let framed = || recorder(folder).framing(Framing::Lines);
    for options in [larger(), larger().after_kill(AfterKill::Keep), framed()] {
        fs::write(folder.join("ring"), &ring).unwrap();
        fs::write(folder.join("log"), "").unwrap();
        let queue = open(options, folder);
        let found = queue.recovery().unwrap();
        assert_eq!((found.bytes, found.dumped_bytes), (832, 832));
        assert_eq!(log(folder), LINE.to_owned() + &text(36..100));
        post(&queue, 0..1);
        assert_eq!(queue.dump("").unwrap().overwritten_records, 0);
    }
    assert_eq!(
        inspect(folder.join("ring")).unwrap().framing,
        Some(Framing::Lines)
    );
}

#[test]
fn a_close_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for round in 0..3 {
        let queue = open(recorder(folder), folder);
        assert_eq!(queue.recovery().unwrap().bytes, 0, "{round}");
        post(&queue, 0..100);
        let held = (round == 1).then(|| queue.getn(5, WAIT).unwrap());
        let _ = queue.close(None);
        drop(held);
        drop(queue);
        assert_eq!(look(folder).dump.records, 0);
    }
    assert_eq!(log(folder), "");
}

/// A disk that is full, or hangs, takes no dump. The records stay until a dump is written.
#[test]
fn a_kill_in_a_dump_loses_nothing() {
    let test = "a_kill_in_a_dump_loses_nothing";
    let ended = end_of_child(test, "", |folder| {
        let queue = recorder(folder).open_fd(append_to("/dev/full")).unwrap();
        post(&queue, 0..50);
        queue.request_dump();
        post(&queue, 50..100);
        wait_for("the dump", || queue.stats().stalled.is_some());
        die();
    });
    let Some(ended) = ended else { return };
    let folder = ended.folder.path();
    let error = recorder(folder).open(folder.join("log")).unwrap_err();
    assert!(matches!(error, Error::RingFile { .. }), "{error}"); // for another log
    let queue = open(recorder(folder).other_log(true), folder);
    queue.flush().unwrap();
    assert!(log(folder).ends_with(&text(36..100)), "{}", log(folder));
    assert_eq!(queue.recovery().unwrap().dumped_bytes, 832);
}

#[test]
fn records_of_a_recorder_are_for_no_other_queue() {
    let test = "records_of_a_recorder_are_for_no_other_queue";
    let Some(ended) = killed(test) else { return };
    let folder = ended.folder.path();
    let problem = |options: Options| match options.open(folder.join("log")) {
        Err(Error::RingFile { problem, .. }) => *problem,
        other => panic!("{other:?}"),
    };
    let found = Problem::OtherUse {
        is_recorder: true,
        bytes: 832,
    };
    assert_eq!(problem(options(folder)), found);
    assert!(found.to_string().contains("alq dump"));
    drop(open(recorder(folder), folder)); // dumps them

    // An empty ring may change its use, both ways.
    let queue = open(options(folder), folder);
    assert!(!inspect(folder.join("ring")).unwrap().is_recorder);
    let error = dump(folder.join("ring"), "").unwrap_err();
    assert!(
        error.to_string().contains("writes all its records"),
        "{error}"
    );
    queue.writen(b"record\n", WAIT).unwrap();
    drop(queue);
    drop(open(recorder(folder), folder));
    assert!(inspect(folder.join("ring")).unwrap().is_recorder);
}

#[test]
fn a_recorder_refuses_the_records_of_a_queue() {
    let test = "a_recorder_refuses_the_records_of_a_queue";
    let ended = end_of_child(test, "", |folder| {
        let queue = options(folder).open_fd(append_to("/dev/full")).unwrap();
        queue.writen(b"record\n", TRY).unwrap();
        die();
    });
    let Some(ended) = ended else { return };
    let folder = ended.folder.path();
    let error = recorder(folder)
        .open_fd(append_to("/dev/full"))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("7 bytes of a queue that is no recorder"),
        "{error}"
    );
}

/// A copy from outside while threads append: whole records, of each thread without a gap, and the
/// last ones that were posted before.
#[test]
fn a_copy_of_a_ring_at_work_is_consistent() {
    const WRITERS: usize = 2;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let queue = open(recorder(folder).capacity(1 << 16), folder);
    let posted: Arc<[AtomicU32; WRITERS]> = Arc::default();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (queue, posted) = (queue.clone(), Arc::clone(&posted));
            spawn(move || {
                for seq in 0..200_000 {
                    let len = Record::MIN_LEN + seq as usize % 90;
                    let record = Record { writer, seq, len }.text();
                    while queue.writen(record.as_bytes(), TRY).is_err() {
                        thread::yield_now();
                    }
                    posted[writer].store(seq + 1, Ordering::Release);
                }
            })
        })
        .collect();
    let mut looks = 0;
    while writers.iter().any(Watched::is_running) {
        let before: Vec<_> = posted.iter().map(|n| n.load(Ordering::Acquire)).collect();
        let found = match dump(folder.join("ring"), "a look") {
            Ok(found) => found,
            Err(Error::RingFile { problem, .. }) if *problem == Problem::KeepsChanging => continue,
            Err(error) => panic!("{error}"),
        };
        looks += 1;
        let records = parse(found.bytes());
        assert!(
            !records.is_empty() || before == [0; WRITERS],
            "look {looks}"
        );
        assert_eq!(records.len() as u64, found.dump.records);
        for (writer, before) in before.into_iter().enumerate() {
            let mut of_writer = records.iter().filter(|one| one.writer == writer);
            let Some(first) = of_writer.next() else {
                continue; // the other one has overwritten all of them
            };
            let last = of_writer.fold(first.seq, |last, one| {
                assert_eq!(one.seq, last + 1, "of writer {writer}, look {looks}");
                one.seq
            });
            assert!(
                last + 1 >= before,
                "writer {writer} was at {before}, {last} is the last"
            );
        }
    }
    writers.into_iter().for_each(Watched::join);
    assert!(look(folder).in_use && looks > 1);
}
