//! A reopen cuts the log between two records: each file gets exactly its records, in whatever state
//! the old file is.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::common::child::in_child;
use crate::common::sink::{Script, queue_to, scripted, sync_error};
use crate::common::{
    Log, NEVER_STALLS, Record, STALLS_SOON, TRY, WAIT, Watched, assert_accounts, assert_complete,
    fill_up, parse, pipe, read_all, room_waits, small, spawn, wait_for,
};
use alq::{Error, Flags, Level, Operation, Options, Queue, Status, SyncOp};

const DONE: Status = Status::Done(Ok(()));

fn append_to(path: &Path) -> File {
    let options = || OpenOptions::new().append(true).create(true).to_owned();
    options().open(path).unwrap()
}

fn io(operation: Operation, errno: i32) -> Error {
    Error::Io {
        operation,
        errno,
        target: alq::Target::default(),
    }
}

/// Renames the log, as logrotate does. Returns the new path.
fn rotate(path: &Path, number: u32) -> PathBuf {
    let old = path.with_extension(number.to_string());
    fs::rename(path, &old).unwrap();
    old
}

/// Returns a file in which the queue can continue.
fn other() -> (Log, File) {
    let log = Log::new();
    let file = append_to(&log.path());
    (log, file)
}

/// Waits until the queue writes to another log, and returns this log.
fn moved(queue: &Queue) -> Log {
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
fn write_until(queue: &Queue, over: &AtomicBool, writer: usize) -> u32 {
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
fn failed_after(room: usize, errno: i32) -> (Queue, Arc<Script>) {
    let script = Script::new();
    script.take_at_most(room, errno);
    let queue = queue_to(&script, small());
    post_five(&queue);
    assert_eq!(queue.flush(), Err(io(Operation::Write, errno)));
    (queue, script)
}

fn five_records() -> String {
    five().map(Record::text).collect()
}

fn five() -> impl Iterator<Item = Record> {
    (0..5).map(|seq| Record {
        writer: 0,
        seq,
        len: 30,
    })
}

/// Posts the five records. Nothing is written before all are posted.
fn post_five(queue: &Queue) {
    let first = queue.getn(1, TRY).unwrap();
    for record in five() {
        queue.writen(record.text().as_bytes(), TRY).unwrap();
    }
    drop(first);
}

/// Cuts at every byte of the first record and around the boundaries of the others.
#[test]
fn a_record_that_was_cut_is_whole_in_another_file() {
    for room in (0..=32).chain([59, 60, 61, 119, 120, 149]) {
        let (queue, script) = failed_after(room, libc::EIO);
        assert_eq!(
            queue.writen(b"refused", TRY),
            Err(io(Operation::Write, libc::EIO))
        );
        let log = moved(&queue);
        assert_eq!(queue.stats().last_error, None);
        queue.writen(b"appends are taken again\n", TRY).unwrap();
        queue.flush().unwrap();

        let torn = room % 30;
        let expected = format!(
            "{}appends are taken again\n",
            &five_records()[room - torn..]
        );
        assert_eq!(log.text(), expected, "after {room} bytes");
        assert_eq!(script.bytes(), five_records().as_bytes()[..room]);
        let stats = queue.stats();
        assert_eq!(stats.repeated_bytes, torn as u64);
        assert_eq!(
            (room + log.bytes().len()) as u64,
            stats.written_bytes + stats.repeated_bytes
        );
        assert_accounts(&queue, 150 + 24, 0);
        assert_eq!((stats.written_records, stats.lost_bytes), (6, 0));
        queue.close(None).unwrap();
    }
}

/// The file that should get the cut record whole fails too, inside the record; a third file gets it
/// whole.
#[test]
fn a_record_that_was_cut_twice_is_whole_in_the_third_file() {
    in_child(
        "a_record_that_was_cut_twice_is_whole_in_the_third_file",
        || {
            let (queue, _script) = failed_after(45, libc::EIO);
            let (second, file) = other();
            limit_files(7);
            let reopened = queue.reopen(&file).unwrap();
            reopened.wait().unwrap();
            wait_for("the second failure", || {
                queue.stats().last_error == Some(io(Operation::Write, libc::EFBIG))
            });
            assert_eq!(second.text(), five_records()[30..37]);
            assert_eq!(queue.stats().repeated_bytes, 15);
            assert_eq!(queue.stats().written_bytes, 30 + 7);
            // The same file first: it continues at the next byte.
            limit_files(10);
            queue.reopen(&file).unwrap().wait().unwrap();
            wait_for("the third failure", || second.bytes().len() == 10);
            wait_for("it is told", || queue.stats().last_error.is_some());
            assert_eq!(second.text(), five_records()[30..40]);
            limit_files(1 << 20);
            let (third, file) = other();
            queue.reopen(&file).unwrap().wait().unwrap();
            queue.close(None).unwrap();
            assert_eq!(third.text(), five_records()[30..]);
            assert_eq!(queue.stats().repeated_bytes, 10 + 15);
            assert_accounts(&queue, 150, 0);
        },
    );
}

/// How long a file of this process may be.
fn limit_files(len: u64) {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Fsize);
    limit.current = Some(len);
    setrlimit(Resource::Fsize, limit).unwrap();
}

/// With a real limit on the length of files, the record is cut and SIGXFSZ ends no process. On the
/// same file the queue continues at the next byte.
#[test]
fn on_the_same_file_it_goes_on_at_the_very_byte() {
    in_child("on_the_same_file_it_goes_on_at_the_very_byte", || {
        let log = Log::new();
        let queue = log.open(small());
        limit_files(75);
        post_five(&queue);
        assert_eq!(queue.flush(), Err(io(Operation::Write, libc::EFBIG)));
        assert_eq!(log.text(), five_records()[..75]);
        limit_files(1 << 20);
        queue.reopen_path(log.path()).unwrap().wait().unwrap();
        queue.close(None).unwrap();
        assert_eq!(log.text(), five_records());
        assert_eq!(queue.stats().repeated_bytes, 0);
        assert_accounts(&queue, 150, 0);
    });
}

/// A sink accepts a few bytes at a time, so that most writes end inside a record: the cut waits for
/// the record's end.
#[test]
fn a_sink_that_goes_on_is_not_left_inside_a_record() {
    for piece in 1..=31 {
        let script = Script::new();
        script.take_in_pieces(piece);
        script.shut_write();
        let queue = queue_to(&script, small());
        let (log, file) = other();
        for (seq, record) in five().enumerate() {
            queue.writen(record.text().as_bytes(), TRY).unwrap();
            if seq == 0 {
                script.wait_for_write(1); // the next write gets all of the others
            }
            if seq == 2 {
                queue.reopen(&file).unwrap();
            }
        }
        script.open_write();
        queue.close(None).unwrap();
        let (old, new) = (script.bytes(), log.bytes());
        assert_eq!(old.len() % 30, 0, "{piece}");
        assert!(old.len() >= 90, "what was posted before the call");
        assert_eq!([old, new].concat(), five_records().as_bytes());
        assert_eq!(queue.stats().repeated_bytes, 0);
    }
}

#[test]
fn a_full_disk_is_left_at_once() {
    for errno in [libc::ENOSPC, libc::EDQUOT] {
        let script = Script::new();
        script.take_at_most(40, errno);
        let queue = queue_to(&script, small());
        post_five(&queue);
        wait_for("the stall", || queue.stats().stalled.is_some());
        let (log, file) = other();
        let reopened = queue.reopen(&file).unwrap();
        reopened.wait_timeout(crate::common::DEADLINE).unwrap();
        queue.flush_timeout(crate::common::DEADLINE).unwrap();
        assert_eq!(log.text(), five_records()[30..]);
        let stats = queue.stats();
        assert_eq!((stats.repeated_bytes, stats.stalled), (10, None));
        assert_accounts(&queue, 150, 0);
    }
}

#[test]
fn a_full_disk_that_has_room_again_gets_what_was_posted_before() {
    let script = Script::new();
    script.fail_writes(Some(libc::ENOSPC));
    let queue = queue_to(&script, small());
    queue.writen(b"before\n", TRY).unwrap();
    wait_for("the stall", || queue.stats().stalled.is_some());
    script.fail_writes(None);
    let log = moved(&queue);
    queue.writen(b"after\n", TRY).unwrap();
    queue.close(None).unwrap();
    assert_eq!(
        (&*script.bytes(), &*log.text()),
        (&b"before\n"[..], "after\n")
    );
}

#[test]
fn a_reader_that_is_only_slow_gets_what_was_posted_before() {
    let (mut reader, writer) = pipe().unwrap();
    let filler = fill_up(&writer);
    let queue = small().open_fd(&writer).unwrap();
    drop(writer);
    queue.writen(b"before\n", TRY).unwrap();
    wait_for("the stall", || queue.stats().stalled.is_some());
    let (log, file) = other();
    let reopened = queue.reopen(&file).unwrap();
    assert_eq!(
        reopened.wait_timeout(std::time::Duration::from_millis(300)),
        Err(Error::TimedOut)
    );
    let mut bytes = vec![0; filler + 7];
    reader.read_exact(&mut bytes).unwrap();
    reopened.wait().unwrap();
    queue.writen(b"after\n", TRY).unwrap();
    queue.flush().unwrap();
    assert_eq!(&bytes[filler..], b"before\n");
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "the pipe is closed");
    assert_eq!(log.text(), "after\n");
}

#[test]
fn a_reader_that_has_not_read_for_the_stall_limit_is_left() {
    let (mut reader, writer) = pipe().unwrap();
    let queue = Options::new()
        .capacity(1 << 18)
        .stall_limit(Some(STALLS_SOON))
        .open_fd(&writer)
        .unwrap();
    drop(writer);
    let record = vec![b'r'; 150_000]; // more than a pipe holds: it is cut
    queue.writen(&record, TRY).unwrap();
    queue.writen(b"the next\n", TRY).unwrap();
    assert_eq!(
        queue.flush(),
        Err(Error::Stalled {
            errno: libc::EAGAIN,
            target: alq::Target::default()
        })
    );
    let log = moved(&queue);
    queue.flush().unwrap();
    assert_eq!(log.bytes(), [&record[..], b"the next\n"].concat());
    let mut head = Vec::new();
    reader.read_to_end(&mut head).unwrap();
    assert!(!head.is_empty() && record.starts_with(&head));
    assert_eq!(queue.stats().repeated_bytes, head.len() as u64);
    assert_accounts(&queue, 150_009, 0);
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
fn a_sink_that_got_nothing_or_is_durable_is_not_synced_again() {
    let (queue, script) = scripted();
    let _log = moved(&queue);
    wait_for("the sink is dropped", || Arc::strong_count(&script) == 1);
    assert_eq!(script.ops(), []);

    let (queue, script) = scripted();
    queue.writen(b"record\n", TRY).unwrap();
    queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    let _log = moved(&queue);
    wait_for("the sink is dropped", || Arc::strong_count(&script) == 1);
    assert_eq!(script.ops(), [SyncOp::Full]);
}

#[test]
fn what_cannot_be_opened_leaves_the_old_file_in_use() {
    let log = Log::new();
    let queue = log.open(small());
    let read_only = File::open(log.path()).unwrap();
    assert_eq!(queue.reopen(&read_only).unwrap_err(), Error::BadDescriptor);
    let missing = log.path().with_file_name("no/such/dir.log");
    assert_eq!(
        queue.reopen_path(missing).unwrap_err(),
        io(Operation::Open, libc::ENOENT)
    );
    queue.writen(b"as before\n", TRY).unwrap();
    queue.flush().unwrap();
    assert_eq!(log.text(), "as before\n");

    let none_outstanding = log.open(small().outstanding_max(0));
    assert_eq!(
        none_outstanding.reopen_path(log.path()).unwrap_err(),
        Error::TooManyOutstanding
    );
    queue.close(None).unwrap();
    assert_eq!(queue.reopen_path(log.path()).unwrap_err(), Error::Closed);
}

#[test]
fn the_rules_of_open_hold_for_a_path() {
    let log = Log::new();
    let queue = log.open(small().mode(0o640));
    let new = log.path().with_extension("new");
    queue.reopen_path(&new).unwrap().wait().unwrap();
    let mode = fs::metadata(&new).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    let link = log.path().with_extension("link");
    symlink(&new, &link).unwrap();
    assert_eq!(
        queue.reopen_path(&link).unwrap_err(),
        io(Operation::Open, libc::ELOOP)
    );
    let following = log.open(small().follow_links(true));
    following.reopen_path(&link).unwrap().wait().unwrap();
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

#[test]
fn no_descriptor_stays_open() {
    in_child("no_descriptor_stays_open", || {
        let open = || fs::read_dir("/proc/self/fd").unwrap().count();
        let log = Log::new();
        let queue = log.open(small());
        let before = open();
        for number in 0..50 {
            queue.writen(b"record\n", TRY).unwrap();
            rotate(&log.path(), number);
            queue.reopen_path(log.path()).unwrap().wait().unwrap();
        }
        wait_for("the old ones are closed", || open() == before);
        let (_log, file) = other();
        let _waits_in_vain = queue.getn(1, TRY).unwrap();
        queue.writen(b"behind it\n", TRY).unwrap();
        queue.reopen(&file).unwrap();
        queue.close(Some(std::time::Duration::ZERO)).unwrap_err();
        drop(file);
        wait_for("all are closed", || open() < before);
    });
}

#[test]
fn nothing_in_the_new_file_is_durable_before_the_old_one_is() {
    let script = Script::new();
    let queue = queue_to(&script, small().stall_limit(Some(NEVER_STALLS)));
    let before = queue.writen(b"before\n", TRY).unwrap();
    queue.flush().unwrap();
    script.shut_sync();
    let _log = moved(&queue);
    script.wait_for_sync(1); // by itself: no caller has asked yet
    let after = queue.writen(b"after\n", TRY).unwrap();
    queue.completion(after, Level::Written).wait().unwrap();
    let durable = [
        queue.completion(before, Level::Durable),
        queue.completion(after, Level::Durable),
        queue.fsync(SyncOp::Full).unwrap(),
    ];
    for completion in &durable {
        assert_eq!(completion.status(), Status::InProgress);
    }
    script.open_sync();
    for completion in &durable {
        completion.wait().unwrap();
    }
    assert_eq!(script.ops(), [SyncOp::Full]);
    assert_eq!(script.synced(), 7);
}

#[test]
fn after_a_failed_sync_durability_starts_anew_behind_what_was_written_then() {
    let (queue, script) = scripted();
    let durable = queue.writen(b"durable\n", TRY).unwrap();
    queue.completion(durable, Level::Durable).wait().unwrap();
    script.fail_sync(libc::EIO);
    let lost = queue.writen(b"lost\n", TRY).unwrap();
    let error = Err(sync_error(libc::EIO));
    assert_eq!(queue.completion(lost, Level::Durable).wait(), error);
    let later = queue.writen(b"later\n", TRY).unwrap();
    let too_early = queue.completion(later, Level::Durable);
    assert_eq!(too_early.wait(), error, "before the reopen");
    queue.flush().unwrap();

    let _log = moved(&queue);
    let new = queue.writen(b"new\n", TRY).unwrap();
    queue.completion(new, Level::Durable).wait().unwrap();
    queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    queue.completion(later, Level::Durable).wait().unwrap(); // its own sync was a new one
    for _ in 0..3 {
        assert_eq!(queue.completion(lost, Level::Durable).wait(), error);
        assert_eq!(queue.completion(durable, Level::Durable).wait(), Ok(()));
    }
    assert_eq!(too_early.wait(), error, "a result stays");
    queue.close(None).unwrap();
}

#[test]
fn an_old_file_that_cannot_be_synced_any_more_leaves_a_gap_and_is_told() {
    let (sender, errors) = std::sync::mpsc::channel();
    let script = Script::new();
    let options = small().on_error(move |report| sender.send(report.error.clone()).unwrap());
    let queue = queue_to(&script, options);
    let old = queue.writen(b"old\n", TRY).unwrap();
    queue.flush().unwrap();
    script.fail_sync(libc::EIO);
    let _log = moved(&queue);
    assert_eq!(
        errors.recv_timeout(crate::common::DEADLINE),
        Ok(sync_error(libc::EIO))
    );
    let new = queue.writen(b"new\n", TRY).unwrap();
    queue.completion(new, Level::Durable).wait().unwrap();
    assert_eq!(
        queue.completion(old, Level::Durable).wait(),
        Err(sync_error(libc::EIO))
    );
    assert_eq!(script.syncs().len(), 1, "it is not believed a second time");
}

#[test]
fn a_sync_that_is_under_way_at_the_cut_covers_only_what_it_began_with() {
    let (queue, script) = scripted();
    script.shut_sync();
    let first = queue.writen(b"first\n", TRY).unwrap();
    let first = queue.completion(first, Level::Durable);
    script.wait_for_sync(1);
    let second = queue.writen(b"second\n", TRY).unwrap();
    queue.flush().unwrap();
    let _log = moved(&queue);
    let second = queue.completion(second, Level::Durable);
    script.open_sync();
    first.wait().unwrap();
    second.wait().unwrap();
    assert_eq!(script.synced(), 13);
}

/// An fdatasync of the whole old file does not replace an fsync.
#[test]
fn an_old_file_with_its_data_on_disk_is_synced_in_full_on_request() {
    let (queue, script) = scripted();
    script.shut_sync();
    let position = queue.writen(b"record\n", TRY).unwrap();
    let data = queue.completion(position, Level::Durable);
    script.wait_for_sync(1);
    let full = queue.fsync(SyncOp::Full).unwrap();
    let _log = moved(&queue);
    script.open_sync();
    data.wait().unwrap();
    full.wait().unwrap();
    assert_eq!(script.ops(), [SyncOp::Data, SyncOp::Full]);
}

#[test]
fn what_went_to_a_pipe_is_never_durable_and_what_goes_to_a_file_is() {
    let (_reader, writer) = pipe().unwrap();
    let queue = small().open_fd(&writer).unwrap();
    let piped = queue.writen(b"piped\n", TRY).unwrap();
    queue.flush().unwrap();
    let log = Log::new();
    queue.reopen_path(log.path()).unwrap().wait().unwrap();
    let filed = queue.writen(b"filed\n", TRY).unwrap();
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
    queue.completion(filed, Level::Durable).wait().unwrap();
    assert_eq!(
        queue.completion(piped, Level::Durable).wait(),
        Err(Error::NotSyncable)
    );
    queue.reopen(&writer).unwrap().wait().unwrap();
    assert_eq!(queue.fsync(SyncOp::Data).unwrap_err(), Error::NotSyncable);
    queue.completion(filed, Level::Durable).wait().unwrap();
}

/// A pipe that was in use for a moment and got nothing does not affect the durability of earlier
/// bytes.
#[test]
fn a_pipe_that_got_nothing_leaves_no_gap() {
    let (queue, script) = scripted();
    script.shut_sync();
    let position = queue.writen(b"record\n", TRY).unwrap();
    let (_reader, writer) = pipe().unwrap();
    queue.reopen(&writer).unwrap().wait().unwrap();
    let _log = moved(&queue);
    script.open_sync();
    queue.completion(position, Level::Durable).wait().unwrap();
}

#[test]
fn a_sink_that_panics_in_sync_spoils_nothing_after_the_cut() {
    let (queue, script) = scripted();
    script.panic_in_sync();
    let lost = queue.writen(b"lost\n", TRY).unwrap();
    let lost = queue.completion(lost, Level::Durable);
    assert_eq!(lost.wait(), Err(sync_error(libc::EIO)));
    let _log = moved(&queue);
    let new = queue.writen(b"new\n", TRY).unwrap();
    queue.completion(new, Level::Durable).wait().unwrap();
    assert_eq!(lost.wait(), Err(sync_error(libc::EIO)));
    queue.close(None).unwrap();
}

#[test]
fn a_deleted_file_goes_on_taking_bytes_until_the_reopen() {
    let log = Log::new();
    let queue = log.open(small());
    let mut old = File::open(log.path()).unwrap();
    fs::remove_file(log.path()).unwrap();
    queue.writen(b"unseen\n", TRY).unwrap();
    queue.flush().unwrap();
    queue.reopen_path(log.path()).unwrap().wait().unwrap();
    queue.writen(b"seen\n", TRY).unwrap();
    queue.close(None).unwrap();
    let mut unseen = String::new();
    old.read_to_string(&mut unseen).unwrap();
    assert_eq!((&*unseen, &*log.text()), ("unseen\n", "seen\n"));
    assert_accounts(&queue, 12, 0);
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
fn without_a_free_descriptor_the_old_file_stays_in_use() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    in_child(
        "without_a_free_descriptor_the_old_file_stays_in_use",
        || {
            let log = Log::new();
            let queue = log.open(small());
            let file = append_to(&log.path());
            let before = getrlimit(Resource::Nofile);
            let mut none = before;
            none.current = Some(0);
            setrlimit(Resource::Nofile, none).unwrap();
            let duplicated = queue.reopen(&file).unwrap_err();
            let opened = queue.reopen_path(log.path()).unwrap_err();
            setrlimit(Resource::Nofile, before).unwrap();
            assert_eq!(opened, io(Operation::Open, libc::EMFILE));
            assert!(matches!(
                duplicated,
                Error::Io {
                    operation: Operation::Duplicate,
                    ..
                }
            ));
            queue.writen(b"as before\n", TRY).unwrap();
            queue.close(None).unwrap();
            assert_eq!(log.text(), "as before\n");
        },
    );
}

/// Does by hand what logrotate's `copytruncate` does. Bytes between its two steps may be lost, but
/// our writes leave neither a hole nor half a record.
#[test]
fn a_file_that_is_truncated_under_the_queue_has_neither_holes_nor_torn_records() {
    let log = Log::new();
    let queue = log.open(small());
    let over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (queue, over) = (queue.clone(), Arc::clone(&over));
        spawn(move || write_until(&queue, &over, 0))
    };
    let truncating = OpenOptions::new().write(true).open(log.path()).unwrap();
    let mut seen = Vec::new();
    for _ in 0..50 {
        let enough = queue.stats().written_bytes + 5000;
        wait_for("traffic", || queue.stats().written_bytes > enough);
        let copy = log.bytes();
        truncating.set_len(0).unwrap();
        let end = copy
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        seen.extend(parse(&copy[..end]));
    }
    over.store(true, Ordering::Relaxed);
    writer.join();
    queue.close(None).unwrap();
    seen.extend(parse(&log.bytes()));
    assert!(seen.is_sorted_by_key(|record| record.seq));
    assert_eq!(queue.stats().lost_bytes, 0);
}

/// Other code in the process closes our descriptor: that is an error, and a reopen repairs it.
#[test]
fn a_descriptor_that_was_closed_behind_our_back() {
    in_child("a_descriptor_that_was_closed_behind_our_back", || {
        let log = Log::new();
        let queue = log.open(small());
        let descriptors = fs::read_dir("/proc/self/fd")
            .unwrap()
            .map(|entry| entry.unwrap());
        let ours: i32 = descriptors
            .filter(|entry| fs::read_link(entry.path()).is_ok_and(|path| path == log.path()))
            .map(|entry| entry.file_name().into_string().unwrap().parse().unwrap())
            .next()
            .unwrap();
        nix::unistd::close(ours).unwrap();
        queue.writen(b"record\n", TRY).unwrap();
        assert_eq!(queue.flush(), Err(io(Operation::Write, libc::EBADF)));
        // The number is used again before the queue closes it.
        let plug = File::open("/dev/null").unwrap();
        assert_eq!(std::os::fd::AsRawFd::as_raw_fd(&plug), ours);
        std::mem::forget(plug);
        queue.reopen_path(log.path()).unwrap().wait().unwrap();
        queue.close(None).unwrap();
        assert_eq!(log.text(), "record\n");
    });
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
