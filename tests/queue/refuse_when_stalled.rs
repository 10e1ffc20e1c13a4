//! With `Options::refuse_when_stalled`, no call waits for a file without room, and appenders drop
//! what does not fit.
//!
//! There is no stall limit, so a call that still waits hangs, and its test fails.

use std::fs::File;
use std::sync::Arc;

use crate::common::sink::{Script, queue_to};
use crate::common::{
    Log, STALLS_SOON, TRY, WAIT, append_to, fill_up, pipe, small, spawn, wait_for,
};
use alq::{AsyncAppend, Error, Level, Operation, Options, Queue};

fn stalled(errno: i32) -> Error {
    Error::Stalled {
        errno,
        target: alq::Target::default(),
    }
}

fn no_room() -> Error {
    stalled(libc::ENOSPC)
}

fn refusing() -> Options {
    small().stall_limit(None).refuse_when_stalled(true)
}

fn full() -> File {
    append_to("/dev/full")
}

/// A queue whose ring is full in front of a file that has no room.
fn stuck() -> Queue {
    let queue = refusing().open_fd(full()).unwrap();
    queue.writen(&[b'x'; 4096], WAIT).unwrap();
    queue
}

#[test]
fn an_append_is_refused_at_once_and_counted_and_a_reopen_ends_that() {
    let queue = stuck();
    for refused in 1..=3 {
        assert_eq!(queue.writen(b"no room\n", WAIT), Err(no_room()));
        assert_eq!(queue.stats().refused_for_stall, refused);
        assert_eq!(queue.stats().refused_bytes, 8 * refused);
    }
    assert_eq!(queue.getn(8, WAIT).unwrap_err(), no_room());
    assert_eq!(queue.writen(b"no room\n", TRY), Err(Error::WouldBlock));
    assert_eq!(queue.stats().refused_for_stall, 5);

    let log = Log::new();
    queue.reopen(append_to(log.path())).unwrap().wait().unwrap();
    queue.writen(b"room\n", WAIT).unwrap();
    queue.flush().unwrap();
    assert_eq!(log.text(), "x".repeat(4096) + "room\n");
}

#[test]
fn who_sleeps_for_room_is_woken_when_the_disk_is_full() {
    let script = Script::new();
    script.shut_write();
    let queue = queue_to(&script, refusing());
    queue.writen(&[b'x'; 4096], WAIT).unwrap();
    script.wait_for_write(1);
    let sleepers: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            spawn(move || queue.writen(b"y", WAIT).map(drop))
        })
        .collect();
    wait_for("three that wait for room", || {
        queue.stats().waits.writen_room == 3
    });
    script.fail_writes(Some(libc::EDQUOT));
    script.open_write();
    let over_quota = stalled(libc::EDQUOT);
    for sleeper in sleepers {
        assert_eq!(sleeper.join(), Err(over_quota.clone()));
    }
    script.fail_writes(None);
    queue.flush().unwrap();
    assert_eq!(script.written(), 4096);
}

#[test]
fn flush_completions_close_and_drop_give_up_at_once() {
    let queue = stuck();
    let position = queue.position();
    assert_eq!(queue.flush(), Err(no_room()));
    let written = queue.completion(position, Level::Written);
    assert_eq!(written.wait(), Err(no_room()));
    let undrained = queue.close(None).unwrap_err();
    assert_eq!((undrained.bytes, undrained.records), (4096, 1));
    assert_eq!(undrained.cause, no_room());
    drop(queue);
    drop(stuck());
}

/// The limit is the only one here: without it, a write never counts as hung.
#[test]
fn a_write_that_does_not_return_has_no_room() {
    let hung = stalled(libc::EAGAIN);
    let script = Script::new();
    script.shut_write();
    let queue = queue_to(&script, refusing().stall_limit(Some(STALLS_SOON)));
    queue.writen(&[b'x'; 4096], WAIT).unwrap();
    script.wait_for_write(1);
    let sleeper = {
        let queue = queue.clone();
        spawn(move || queue.writen(b"y", WAIT).map(drop))
    };
    assert_eq!(sleeper.join(), Err(hung.clone()));
    assert_eq!(queue.writen(b"y", WAIT), Err(hung.clone()));
    assert_eq!(queue.flush(), Err(hung.clone()));
    assert_eq!(queue.stats().refused_for_stall, 2);
    let left = queue.close(None).unwrap_err();
    assert_eq!((left.bytes, left.cause), (4096, hung));
    script.open_write();
}

#[test]
fn each_call_has_the_file_tried_once_more() {
    let script = Script::new();
    script.fail_writes(Some(libc::ENOSPC));
    let queue = queue_to(&script, refusing());
    queue.writen(b"first\n", WAIT).unwrap();
    assert_eq!(queue.flush(), Err(no_room()));
    script.fail_writes(None);
    queue.flush().unwrap();
    assert_eq!(script.bytes(), b"first\n");
}

#[test]
fn a_reader_that_is_only_slow_is_waited_for() {
    let (reader, writer) = pipe().unwrap();
    let filler = fill_up(&writer);
    let queue = Arc::new(refusing().open_fd(writer).unwrap());
    queue.writen(&[b'x'; 4096], WAIT).unwrap();
    wait_for("the stall", || queue.stats().stalled.is_some());
    let waiting = {
        let queue = Arc::clone(&queue);
        spawn(move || queue.writen(b"y", WAIT).map(drop))
    };
    wait_for("one that waits for room", || {
        queue.stats().waits.writen_room == 1
    });
    assert!(waiting.is_running());
    let read = crate::common::read_all(reader);
    waiting.join().unwrap();
    queue.close(None).unwrap();
    drop(queue);
    assert_eq!(read.join().len(), filler + 4097);
}

#[test]
fn an_appender_drops_what_finds_no_room_and_goes_on() {
    let file = full();
    let options = AsyncAppend::options().capacity(4096).stall_limit(None);
    let mut appender = AsyncAppend::with_options(std::os::fd::AsFd::as_fd(&file), options);
    assert!(appender.start());
    let line = [b'x'; 128];
    wait_for("a write that is refused", || {
        appender.write(&line) == Err(no_room())
    });
    assert_eq!(appender.write(&line), Err(no_room()));
    assert!(appender.stats().unwrap().refused_for_stall >= 2);
    assert_eq!(appender.flush(), Err(no_room()));
    assert_eq!(appender.close().unwrap_err().cause, no_room());
}

#[test]
fn an_appender_tries_a_file_that_has_failed_again() {
    let (reader, writer) = pipe().unwrap();
    let mut appender = AsyncAppend::new(&writer);
    assert!(appender.start());
    drop(reader);
    appender.write(b"nobody reads\n").unwrap();
    let broken = Error::Io {
        operation: Operation::Write,
        errno: libc::EPIPE,
        target: alq::Target::default(),
    };
    assert_eq!(appender.flush(), Err(broken.clone()));
    // The first refused append makes the queue try the pipe again, which is still broken.
    assert_eq!(appender.write(b"dropped\n"), Err(broken.clone()));
    assert_eq!(appender.flush(), Err(broken));
    assert_eq!(appender.stats().unwrap().refused.failed.records, 1);
}
