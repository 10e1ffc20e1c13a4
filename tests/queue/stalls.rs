//! While a disk is full, no byte is lost, and every wait ends as documented.

use std::fs::{self, OpenOptions};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::common::child::in_child;
use crate::common::disk::SmallDisk;
use crate::common::sink::{Script, queue_to};
use crate::common::{
    DEADLINE, Record, STALLS_SOON, TRY, WAIT, assert_accounts, assert_complete, parse, room_waits,
    small, spawn, wait_for,
};
use alq::{Error, Level, Options, Queue, SyncOp};

pub const FULL: [i32; 2] = [libc::ENOSPC, libc::EDQUOT];

pub fn stalled(errno: i32) -> Error {
    Error::Stalled {
        errno,
        target: alq::Target::default(),
    }
}

pub fn soon() -> Options {
    small().stall_limit(Some(STALLS_SOON))
}

pub fn stall_errno(queue: &Queue) -> Option<i32> {
    queue.stats().stalled.map(|stall| stall.errno)
}

/// A queue with the smallest ring on a full disk, with one record in it; and the script of the
/// disk.
pub fn on_full_disk(options: Options, errno: i32) -> (Queue, Arc<Script>) {
    let script = Script::new();
    script.fail_writes(Some(errno));
    let queue = queue_to(&script, options);
    queue.writen(b"first\n", TRY).unwrap();
    wait_for("the stall", || stall_errno(&queue) == Some(errno));
    (queue, script)
}

/// Appends until the queue is full. Returns how many bytes that took.
pub fn fill(queue: &Queue) -> u64 {
    let mut bytes = 0;
    while queue.writen(b"0123456\n", TRY) != Err(Error::WouldBlock) {
        bytes += 8;
    }
    bytes
}

#[test]
fn a_full_disk_ends_every_wait_with_its_errno_and_keeps_the_data() {
    for errno in FULL {
        let (queue, script) = on_full_disk(soon(), errno);
        assert_eq!(queue.flush(), Err(stalled(errno)));
        let written = queue.completion(queue.position(), Level::Written);
        assert_eq!(written.wait(), Err(stalled(errno)));
        let durable = queue.fsync(SyncOp::Data).unwrap();
        assert_eq!(durable.wait(), Err(stalled(errno)));
        assert_eq!(
            queue.flush_timeout(Duration::from_millis(1)),
            Err(Error::TimedOut)
        );
        let stats = queue.stats();
        assert_eq!(stats.last_error, None, "the queue has not failed");
        assert!(stats.stalled.unwrap().age >= STALLS_SOON);
        assert_accounts(&queue, 6, 6);
        queue.writen(b"second\n", TRY).unwrap();

        script.fail_writes(None); // there is room again
        queue.flush().unwrap();
        durable.wait().unwrap();
        written.wait().unwrap();
        assert_eq!(script.bytes(), b"first\nsecond\n");
        assert_eq!(stall_errno(&queue), None);
        queue.close(None).unwrap();
    }
}

#[test]
fn writers_see_a_full_queue_by_their_own_flags() {
    for errno in FULL {
        let (queue, script) = on_full_disk(small(), errno);
        let posted = 6 + fill(&queue);
        assert_eq!(queue.getn(8, TRY).unwrap_err(), Error::WouldBlock);
        let patience = Duration::from_millis(20);
        assert_eq!(
            queue.writen_timeout(b"patient\n", WAIT, patience),
            Err(Error::TimedOut)
        );
        let writer = {
            let queue = queue.clone();
            spawn(move || queue.writen(b"patient\n", WAIT))
        };
        wait_for("it sleeps", || room_waits(&queue.stats()) == 2);
        script.fail_writes(None);
        writer.join().unwrap();
        queue.close(None).unwrap();
        assert_accounts(&queue, posted + 8, 0);
        assert!(script.bytes().ends_with(b"0123456\npatient\n"));
    }
}

#[test]
fn a_waiting_writer_outlasts_the_stall_limit() {
    let (queue, script) = on_full_disk(soon(), libc::ENOSPC);
    fill(&queue);
    let writer = {
        let queue = queue.clone();
        spawn(move || queue.writen(b"patient\n", WAIT))
    };
    wait_for("three times the limit", || {
        queue
            .stats()
            .stalled
            .is_some_and(|stall| stall.age > 3 * STALLS_SOON)
    });
    assert!(writer.is_running());
    script.fail_writes(None);
    writer.join().unwrap();
    queue.close(None).unwrap();
}

#[test]
fn close_counts_what_a_full_disk_leaves_and_names_it() {
    for errno in FULL {
        let (queue, _script) = on_full_disk(soon(), errno);
        queue.writen(b"second\n", TRY).unwrap();
        for _ in 0..2 {
            let left = queue.close(None).unwrap_err();
            assert_eq!((left.bytes, left.records, left.abandoned), (13, 2, 0));
            assert_eq!(left.cause, stalled(errno));
        }
        wait_for("the end", || queue.stats().lost_bytes > 0);
        let stats = queue.stats();
        assert_eq!((stats.lost_bytes, stats.lost_records), (13, 2));
        assert_eq!((stats.late_bytes, stats.late_records), (0, 0));
        assert_eq!(stats.lost_to, Some(stalled(errno)));
        assert_eq!(stats.posted_bytes, stats.written_bytes + stats.lost_bytes);
    }
}

#[test]
fn a_flush_in_a_long_stall_tries_once_more_before_it_tells() {
    let (queue, script) = on_full_disk(soon(), libc::ENOSPC);
    wait_for("the limit", || {
        queue
            .stats()
            .stalled
            .is_some_and(|stall| stall.age > STALLS_SOON)
    });
    let before = script.writes();
    assert_eq!(queue.flush(), Err(stalled(libc::ENOSPC)));
    assert!(script.writes() > before, "it was not tried again");
    script.fail_writes(None);
    queue.close(None).unwrap();
    assert_eq!(script.bytes(), b"first\n");
}

/// Tries each error alone, inside records, on a disk that has room for only a few bytes.
#[test]
fn when_room_returns_not_one_byte_is_lost_or_doubled() {
    for errno in FULL {
        for room in [0, 1, 19, 20, 21, 100, 4000] {
            let script = Script::new();
            script.take_at_most(room, errno);
            let queue = queue_to(&script, small());
            let writer = {
                let queue = queue.clone();
                spawn(move || {
                    for seq in 0..400 {
                        let len = Record::MIN_LEN + seq as usize % 50;
                        let writer = 0;
                        let text = Record { writer, seq, len }.text();
                        queue.writen(text.as_bytes(), WAIT).unwrap();
                    }
                })
            };
            wait_for("the stall", || stall_errno(&queue) == Some(errno));
            assert_eq!(script.written(), room);
            script.take_at_most(usize::MAX, errno);
            writer.join();
            queue.close(None).unwrap();
            assert_complete(&parse(&script.bytes()), &[400]);
        }
    }
}

#[test]
fn a_sink_that_takes_0_bytes_is_a_full_one() {
    let script = Script::new();
    script.take_at_most(3, 0);
    let queue = queue_to(&script, soon());
    queue.writen(b"record\n", TRY).unwrap();
    assert_eq!(queue.flush(), Err(stalled(libc::ENOSPC)));
    script.take_at_most(usize::MAX, 0);
    queue.flush().unwrap();
    assert_eq!(script.bytes(), b"record\n");
}

#[test]
fn refused_writers_do_not_keep_the_flusher_busy() {
    let (queue, script) = on_full_disk(small(), libc::ENOSPC);
    fill(&queue);
    wait_for("the flusher takes it easy", || script.writes() >= 8);
    let before = script.writes();
    for _ in 0..100_000 {
        assert_eq!(queue.writen(b"refused\n", TRY), Err(Error::WouldBlock));
    }
    // One try for each refusal would be 100000; by the clock it is one in a quarter of a second or
    // more.
    assert!(script.writes() - before < 1000);
    script.fail_writes(None);
    queue.close(None).unwrap();
}

/// A slow sync is independent of a disk that has been full for long.
#[test]
fn a_wait_for_a_sync_only_does_not_report_a_full_disk() {
    let script = Script::new();
    let queue = queue_to(&script, soon());
    let written = queue.writen(b"written\n", TRY).unwrap();
    queue.flush().unwrap();
    script.shut_sync();
    script.fail_writes(Some(libc::ENOSPC));
    queue.writen(b"stalled\n", TRY).unwrap();
    wait_for("the limit", || {
        queue
            .stats()
            .stalled
            .is_some_and(|stall| stall.age > STALLS_SOON)
    });
    let durable = queue.completion(written, Level::Durable);
    script.wait_for_sync(1);
    assert_eq!(durable.wait(), Err(stalled(libc::EAGAIN)));
    script.open_sync();
    durable.wait().unwrap();
    script.fail_writes(None);
}

pub fn errors_of(options: Options) -> (Options, Receiver<Error>) {
    let (sender, errors) = channel();
    let options = options.on_error(move |report| sender.send(report.error.clone()).unwrap());
    (options, errors)
}

/// All queues together wait for the stall limit once, since the time that a stall has lasted
/// counts.
#[test]
fn a_shutdown_with_several_full_disks_names_the_cause_and_the_sums() {
    let test = "a_shutdown_with_several_full_disks_names_the_cause_and_the_sums";
    in_child(test, || {
        let queues: Vec<_> = (0..5).map(|_| on_full_disk(soon(), libc::ENOSPC)).collect();
        assert_eq!(alq::flush_all(None), Err(stalled(libc::ENOSPC)));
        let left = alq::shutdown(None).unwrap_err();
        assert_eq!((left.bytes, left.records), (30, 5));
        assert_eq!(left.cause, stalled(libc::ENOSPC));
        drop(queues);
    });
}

#[test]
fn dev_full() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (options, errors) = errors_of(soon());
    let queue = options.open_fd(&full).unwrap();
    queue.writen(b"record\n", TRY).unwrap();
    assert_eq!(queue.flush(), Err(stalled(libc::ENOSPC)));
    assert_eq!(errors.recv_timeout(DEADLINE), Ok(stalled(libc::ENOSPC)));
    let left = queue.close(None).unwrap_err();
    assert_eq!((left.bytes, left.records), (7, 1));
    assert_eq!(left.cause, stalled(libc::ENOSPC));
}

/// A disk that fills up under the log, twice, and is emptied again: the log is complete.
#[test]
fn a_real_disk_that_fills_up_and_is_emptied() {
    let Some(disk) = SmallDisk::mount("a_real_disk_that_fills_up_and_is_emptied") else {
        return;
    };
    let path = disk.path().join("app.log");
    let queue = soon().open(&path).unwrap();
    let mut count = 0;
    let append = |count: u32| {
        let len = Record::MIN_LEN + count as usize % 700;
        let record = Record {
            writer: 0,
            seq: count,
            len,
        };
        queue.writen(record.text().as_bytes(), TRY)
    };
    for _ in 0..2 {
        disk.fill();
        while append(count) != Err(Error::WouldBlock) {
            count += 1;
        }
        assert_eq!(queue.flush(), Err(stalled(libc::ENOSPC)));
        let stats = queue.stats();
        assert_eq!(stall_errno(&queue), Some(libc::ENOSPC));
        assert_eq!(fs::metadata(&path).unwrap().len(), stats.written_bytes);
        disk.make_room();
        queue.flush().unwrap();
    }
    queue.fsync(SyncOp::Full).unwrap().wait().unwrap();
    queue.close(None).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_accounts(&queue, bytes.len() as u64, 0);
    assert_complete(&parse(&bytes), &[count]);
}

/// Appends more than the disk holds through a small ring: the file is an exact prefix, and the rest
/// is counted.
#[test]
fn a_real_disk_that_stays_full() {
    let Some(disk) = SmallDisk::mount("a_real_disk_that_stays_full") else {
        return;
    };
    let path = disk.path().join("app.log");
    let queue = soon().open(&path).unwrap();
    let line = b"0123456789abcdefghijklmnopqrstuvwxy\n";
    let mut posted = Vec::new();
    loop {
        match queue.writen_timeout(line, WAIT, 2 * STALLS_SOON) {
            Ok(_) => posted.extend_from_slice(line),
            Err(error) => break assert_eq!(error, Error::TimedOut),
        }
    }
    let left = queue.close(None).unwrap_err();
    assert_eq!(left.cause, stalled(libc::ENOSPC));
    let bytes = fs::read(&path).unwrap();
    assert!(posted.starts_with(&bytes));
    assert_eq!(bytes.len() as u64 + left.bytes, posted.len() as u64);
    assert!(bytes.len() > 900_000, "{}", bytes.len());
}
