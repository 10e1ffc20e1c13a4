//! A reopen cuts the log between two records: each file gets exactly its records.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::common::sink::{Script, queue_to, scripted};
use crate::common::{
    Log, Record, STALLS_SOON, TRY, WAIT, Watched, assert_accounts, assert_complete, fill_up, parse,
    pipe, read_all, room_waits, small, spawn, wait_for,
};
use alq::{Error, Flags, Operation, Options, Queue, Status, SyncOp};

pub const DONE: Status = Status::Done(Ok(()));

pub fn append_to(path: &Path) -> File {
    let options = || OpenOptions::new().append(true).create(true).to_owned();
    options().open(path).unwrap()
}

pub fn io(operation: Operation, errno: i32) -> Error {
    Error::Io {
        operation,
        errno,
        target: alq::Target::default(),
    }
}

/// Renames the log, as logrotate does. Returns the new path.
pub fn rotate(path: &Path, number: u32) -> PathBuf {
    let old = path.with_extension(number.to_string());
    fs::rename(path, &old).unwrap();
    old
}

/// Returns a file in which the queue can continue.
pub fn other() -> (Log, File) {
    let log = Log::new();
    let file = append_to(&log.path());
    (log, file)
}

/// Waits until the queue writes to another log, and returns this log.
pub fn moved(queue: &Queue) -> Log {
    let (log, file) = other();
    queue.reopen(&file).unwrap().wait().unwrap();
    log
}

#[test]
fn before_the_call_is_the_old_file_and_after_the_completion_the_new_one() {
    let log = Log::new();
    let queue = log.open(small());
    let mut old = Vec::new();
    for number in 0..20 {
        // Not written yet; it still belongs to the old file.
        let before = format!("before {number}\n");
        queue
            .writen(before.as_bytes(), TRY | Flags::NOACTIVATE)
            .unwrap();
        old.push(rotate(&log.path(), number));
        let reopened = match number % 2 {
            0 => queue.reopen_path(log.path()),
            _ => queue.reopen(append_to(&log.path())),
        };
        reopened.unwrap().wait().unwrap();
        queue
            .writen(format!("after {number}\n").as_bytes(), TRY)
            .unwrap();
        queue.flush().unwrap();
        assert_eq!(log.text(), format!("after {number}\n"));
    }
    queue.close(None).unwrap();
    assert_eq!(fs::read_to_string(&old[0]).unwrap(), "before 0\n");
    for (number, file) in old.iter().enumerate().skip(1) {
        let text = fs::read_to_string(file).unwrap();
        assert_eq!(text, format!("after {}\nbefore {number}\n", number - 1));
    }
    let stats = queue.stats();
    assert_eq!((stats.repeated_bytes, stats.lost_bytes), (0, 0));
}

/// Writers of all kinds never pause, and a rotation never waits for them, like logrotate's
/// `create`.
#[test]
fn under_load_rotation_loses_nothing_and_splits_nothing() {
    const WRITERS: usize = 3;
    let log = Log::new();
    let queue = log.open(Options::new().capacity(1 << 15));
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (queue, over) = (queue.clone(), Arc::clone(&over));
            spawn(move || write_until(&queue, &over, writer))
        })
        .collect();
    let mut files = Vec::new();
    for number in 0..40 {
        let enough = queue.stats().posted_records + 200;
        wait_for("traffic", || queue.stats().posted_records > enough);
        files.push(rotate(&log.path(), number));
        queue.reopen_path(log.path()).unwrap().wait().unwrap();
    }
    over.store(true, Ordering::Relaxed);
    let counts: Vec<u32> = writers.into_iter().map(Watched::join).collect();
    queue.close(None).unwrap();
    files.push(log.path());
    let mut records = Vec::new();
    for file in &files {
        records.extend(parse(&fs::read(file).unwrap())); // each has whole records only
    }
    assert_complete(&records, &counts);
    let bytes = files.iter().map(|file| fs::metadata(file).unwrap().len());
    assert_accounts(&queue, bytes.sum(), 0);
    assert_eq!(queue.stats().repeated_bytes, 0);
}

/// The last writer has a lane.
pub fn write_until(queue: &Queue, over: &AtomicBool, writer: usize) -> u32 {
    let mut lane = queue.lane();
    let mut seq = 0;
    while !over.load(Ordering::Relaxed) {
        let len = Record::MIN_LEN + (seq as usize * 7 + writer) % 300;
        let text = Record { writer, seq, len }.text();
        if writer == 2 {
            lane.writen(text.as_bytes(), WAIT).unwrap();
        } else {
            queue.writen(text.as_bytes(), WAIT).unwrap();
        }
        seq += 1;
    }
    seq
}

#[test]
fn records_of_a_lane_are_cut_as_any_others() {
    let log = Log::new();
    let queue = log.open(small());
    let mut lane = queue.lane();
    lane.writen(b"before\n", WAIT).unwrap();
    let old = rotate(&log.path(), 1);
    queue.reopen_path(log.path()).unwrap().wait().unwrap();
    lane.writen(b"after\n", WAIT).unwrap(); // in the same span
    queue.flush().unwrap();
    assert_eq!(fs::read_to_string(old).unwrap(), "before\n");
    assert_eq!(log.text(), "after\n");
}

/// Returns a queue with five records, and its sink, which accepts `room` bytes and then fails with
/// `errno`.
pub fn failed_after(room: usize, errno: i32) -> (Queue, Arc<Script>) {
    let script = Script::new();
    script.take_at_most(room, errno);
    let queue = queue_to(&script, small());
    post_five(&queue);
    assert_eq!(queue.flush(), Err(io(Operation::Write, errno)));
    (queue, script)
}

pub fn five_records() -> String {
    five().map(Record::text).collect()
}

pub fn five() -> impl Iterator<Item = Record> {
    (0..5).map(|seq| Record {
        writer: 0,
        seq,
        len: 30,
    })
}

/// Posts the five records. Nothing is written before all are posted.
pub fn post_five(queue: &Queue) {
    let first = queue.getn(1, TRY).unwrap();
    for record in five() {
        queue.writen(record.text().as_bytes(), TRY).unwrap();
    }
    drop(first);
}

#[test]
fn it_waits_for_a_reservation_in_front_of_something_posted_and_for_no_other() {
    let log = Log::new();
    let queue = log.open(small().stall_limit(Some(STALLS_SOON)));
    let mut held = queue.getn(5, TRY).unwrap();
    held.copy_from_slice(b"held\n");
    queue.writen(b"behind\n", TRY).unwrap();
    let newest = queue.getn(5, TRY).unwrap();
    let old = rotate(&log.path(), 1);
    let reopened = queue.reopen_path(log.path()).unwrap();
    assert!(matches!(reopened.wait(), Err(Error::Held { .. })));
    assert_eq!(reopened.status(), Status::InProgress);
    held.post();
    reopened.wait().unwrap();
    queue.writen(b"after\n", TRY).unwrap();
    drop(newest);
    queue.flush().unwrap();
    assert_eq!(fs::read_to_string(old).unwrap(), "held\nbehind\n");
    assert_eq!(log.text(), "after\n");
}

#[test]
fn a_sink_of_the_callers_is_dropped_when_a_descriptor_takes_its_place() {
    let (queue, script) = scripted();
    queue.writen(b"before\n", TRY).unwrap();
    let log = moved(&queue);
    queue.writen(b"after\n", TRY).unwrap();
    queue.flush().unwrap();
    assert_eq!(script.bytes(), b"before\n");
    assert_eq!(log.text(), "after\n");
    wait_for("the sink is synced and dropped", || {
        Arc::strong_count(&script) == 1
    });
    assert_eq!(script.ops(), [SyncOp::Full]);
}

#[test]
fn a_queue_whose_flusher_has_gone_cannot_be_reopened() {
    struct Panics;
    impl alq::Sink for Panics {
        fn write(&self, _: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
            panic!("this sink panics, as it was told")
        }
        fn sync(&self, _: SyncOp) -> std::io::Result<()> {
            Ok(())
        }
    }
    let queue = small().open_sink(Panics).unwrap();
    queue.writen(b"record\n", TRY).unwrap();
    let panicked = io(Operation::Flusher, libc::EIO);
    assert_eq!(queue.flush(), Err(panicked.clone()));
    let (_log, file) = other();
    wait_for("its end", || queue.reopen(&file).is_err());
    assert_eq!(queue.reopen(&file).unwrap_err(), panicked);
}

#[test]
fn writers_that_got_the_failure_may_try_again() {
    let (reader, writer) = pipe().unwrap();
    fill_up(&writer);
    let queue = small().open_fd(&writer).unwrap();
    queue.writen(&[b'x'; 4096], TRY).unwrap();
    let sleeper = {
        let queue = queue.clone();
        spawn(move || queue.writen(b"x", WAIT))
    };
    wait_for("it sleeps", || room_waits(&queue.stats()) == 1);
    drop(reader);
    let broken = io(Operation::Write, libc::EPIPE);
    assert_eq!(sleeper.join(), Err(broken.clone()));
    assert_eq!(queue.getn(1, TRY).unwrap_err(), broken);
    let mut lane = queue.lane();
    assert_eq!(lane.writen(b"x", TRY), Err(broken));
    let log = moved(&queue);
    lane.writen(b"lane\n", WAIT).unwrap();
    queue.writen(b"shared\n", WAIT).unwrap();
    queue.close(None).unwrap();
    let bytes = log.bytes();
    assert!(bytes.starts_with(&[b'x'; 4096]));
    assert_eq!(&bytes[4096..], b"lane\nshared\n");
}

#[test]
fn a_close_while_a_reopen_waits_resolves_it() {
    let script = Script::new();
    script.shut_write();
    let queue = queue_to(&script, small().stall_limit(Some(STALLS_SOON)));
    queue.writen(b"in the write\n", TRY).unwrap();
    script.wait_for_write(1);
    queue.writen(b"left\n", TRY).unwrap();
    let (reader, writer) = pipe().unwrap();
    let reopened = queue.reopen(&writer).unwrap();
    drop(writer);
    assert_eq!(queue.close(None).unwrap_err().bytes, 18);
    script.open_write();
    wait_for("the end", || reopened.status() != Status::InProgress);
    assert_eq!(reopened.wait(), Err(Error::Closed));
    assert_eq!(
        read_all(reader).join(),
        b"",
        "it is closed, though the queue is still there"
    );
    assert_eq!(queue.stats().lost_bytes, 5);
}

#[test]
fn a_failed_queue_that_is_reopened_and_closed_at_once_is_drained() {
    let (queue, _script) = failed_after(0, libc::EIO);
    let (log, file) = other();
    let reopened = queue.reopen(&file).unwrap();
    queue.close(None).unwrap();
    assert_eq!(reopened.status(), DONE);
    assert_eq!(log.text(), five_records());
}

#[test]
fn many_at_once_take_effect_one_after_the_other() {
    let log = Log::new();
    let queue = log.open(small());
    let callers: Vec<_> = (0..4)
        .map(|caller| {
            let (queue, path) = (queue.clone(), log.path().with_extension(caller.to_string()));
            spawn(move || {
                for seq in 0..50 {
                    let len = Record::MIN_LEN;
                    let writer = caller;
                    let text = Record { writer, seq, len }.text();
                    queue.writen(text.as_bytes(), WAIT).unwrap();
                    queue.reopen_path(&path).unwrap().wait().unwrap();
                }
            })
        })
        .collect();
    callers.into_iter().for_each(Watched::join);
    queue.close(None).unwrap();
    let files = fs::read_dir(log.path().parent().unwrap()).unwrap();
    let mut records: Vec<_> = files
        .flat_map(|file| parse(&fs::read(file.unwrap().path()).unwrap()))
        .collect();
    records.sort_by_key(|record| (record.writer, record.seq));
    assert_complete(&records, &[50; 4]);
}

/// The typical use of `on_error`: the callback itself reopens the queue with another file.
#[test]
fn a_callback_may_reopen_the_queue_that_has_failed() {
    let (log, file) = other();
    let handle: Arc<Mutex<Option<Queue>>> = Arc::default();
    let theirs = Arc::clone(&handle);
    let options = small().on_error(move |report| {
        assert_eq!(report.error.errno(), libc::EPIPE);
        let handle = theirs.lock().unwrap();
        let queue = handle.as_ref().unwrap();
        queue.reopen(&file).unwrap().wait().unwrap();
    });
    let (reader, writer) = pipe().unwrap();
    let queue = options.open_fd(&writer).unwrap();
    *handle.lock().unwrap() = Some(queue.clone());
    drop(reader);
    queue.writen(b"kept\n", TRY).unwrap();
    wait_for("the new file", || log.text() == "kept\n");
    queue.writen(b"next\n", WAIT).unwrap();
    *handle.lock().unwrap() = None;
    queue.close(None).unwrap();
    assert_eq!(log.text(), "kept\nnext\n");
}

#[test]
fn a_fixed_queue_can_be_reopened() {
    let log = Log::new();
    let queue = log.open(Options::new().fixed(8, 4));
    queue.write_fixed(b"before.\n", TRY).unwrap();
    let old = rotate(&log.path(), 1);
    queue.reopen_path(log.path()).unwrap().wait().unwrap();
    queue.write_fixed(b"after..\n", TRY).unwrap();
    queue.close(None).unwrap();
    assert_eq!(fs::read_to_string(old).unwrap(), "before.\n");
    assert_eq!(log.text(), "after..\n");
}
