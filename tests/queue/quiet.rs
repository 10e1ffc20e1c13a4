//! Records posted with `NOACTIVATE` stay in the ring until something activates the queue, and every
//! kind of activation writes them.

use std::thread;
use std::time::{Duration, Instant};

use alq::{Flags, Level, Options, Queue, SyncOp};

use crate::common::{DEADLINE, LATER, Log, TRY, WAIT, small, spawn, wait_for};

const QUIET: Flags = Flags::NOACTIVATE;

/// Has the flusher look at the ring: returns after a step that began after the call.
///
/// A dropped entry wakes a parked flusher and activates nothing. After two wake-ups more, the step
/// after the first of them has ended.
fn have_the_flusher_look(queue: &Queue) {
    let before = queue.stats().wakeups;
    let end = Instant::now() + DEADLINE;
    while queue.stats().wakeups < before + 2 {
        assert!(Instant::now() < end, "the flusher does not wake up");
        drop(queue.getn(1, TRY).unwrap());
        thread::sleep(Duration::from_millis(25)); // few slots are used meanwhile
    }
}

fn wait_for_text(log: &Log, text: &str) {
    wait_for(text, || log.text() == text);
}

#[test]
fn a_quiet_record_stays_right_after_the_queue_is_opened() {
    let log = Log::new();
    let queue = log.open(Options::new());
    queue.writen(b"quiet\n", TRY | QUIET).unwrap();
    have_the_flusher_look(&queue);
    assert_eq!(log.text(), "");
    queue.activate();
    wait_for_text(&log, "quiet\n");
}

#[test]
fn a_quiet_record_stays_while_the_flusher_naps_between_records() {
    let log = Log::new();
    let queue = log.open(Options::new());
    for round in 1..=20 {
        queue.writen(b"loud\n", TRY).unwrap();
        wait_for_text(&log, &"loud\nquiet\n".repeat(round)[..11 * round - 6]);
        queue.writen(b"quiet\n", TRY | QUIET).unwrap();
    }
    have_the_flusher_look(&queue);
    assert_eq!(log.text().len(), 11 * 20 - 6, "the last one stays");
}

/// An entry is quiet if its post is, also one with the framing of the queue.
#[test]
fn quiet_entries_stay() {
    for options in [
        Options::new(),
        Options::new().framing(alq::Framing::Lengths),
    ] {
        let log = Log::new();
        let queue = log.open(options);
        let post = |flags| {
            let mut entry = queue.getn(6, TRY).unwrap();
            entry.copy_from_slice(b"entry\n");
            entry.post_flags(flags).bytes()
        };
        post(QUIET);
        queue.writen(b"copied", TRY | QUIET).unwrap();
        have_the_flusher_look(&queue);
        assert_eq!(log.bytes(), b"");
        let end = post(Flags::empty());
        wait_for("all three", || log.bytes().len() as u64 == end);
    }
}

/// In one span of a lane a record activates the queue and the next one does not.
#[test]
fn a_quiet_record_of_a_lane_stays_behind_one_that_is_written() {
    let log = Log::new();
    let queue = log.open(Options::new());
    let mut lane = queue.lane();
    let mut text = String::new();
    for round in 0..10 {
        lane.writen(b"loud\n", TRY).unwrap();
        text += "loud\n";
        wait_for_text(&log, &text);
        lane.writen(b"quiet\n", TRY | QUIET).unwrap();
        let mut entry = lane.getn(6, TRY).unwrap();
        entry.copy_from_slice(b"entry\n");
        entry.post_flags(QUIET);
        if round % 5 == 0 {
            have_the_flusher_look(&queue);
            assert_eq!(log.text(), text);
        }
        text += "quiet\nentry\n";
    }
    drop(lane);
    have_the_flusher_look(&queue);
    assert_eq!(log.text().len(), text.len() - 12, "also behind the lane");
    queue.writen(b"shared\n", TRY).unwrap();
    wait_for_text(&log, &(text + "shared\n"));
}

/// A record activates what was posted before it, although it comes first in the log: its place was
/// reserved earlier.
#[test]
fn a_post_activates_quiet_records_behind_its_place() {
    let log = Log::new();
    let queue = log.open(Options::new());
    let mut lane = queue.lane();
    lane.writen(b"1", TRY | QUIET).unwrap();
    let mut entry = queue.getn(1, TRY).unwrap();
    entry.copy_from_slice(b"3");
    queue.writen(b"4", TRY | QUIET).unwrap();
    have_the_flusher_look(&queue);
    assert_eq!(log.text(), "");
    lane.writen(b"2", TRY).unwrap();
    wait_for_text(&log, "12");
    have_the_flusher_look(&queue);
    entry.post_flags(QUIET);
    wait_for_text(&log, "1234");
}

#[test]
fn every_call_that_waits_for_records_activates_them() {
    type Call = fn(&Queue, &Log);
    let calls: [(&str, Call); 6] = [
        ("activate", |queue, _| queue.activate()),
        ("flush", |queue, _| queue.flush().unwrap()),
        ("fsync", |queue, _| {
            queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
        }),
        ("completion", |queue, _| {
            let written = queue.completion(queue.position(), Level::Written);
            written.wait().unwrap();
        }),
        ("reopen", |queue, log| {
            let file = std::fs::File::options().append(true).open(log.path());
            queue.reopen(file.unwrap()).unwrap().wait().unwrap();
        }),
        ("close", |queue, _| queue.close(None).unwrap()),
    ];
    for (name, call) in calls {
        let log = Log::new();
        let queue = log.open(Options::new());
        queue.writen(b"first\n", TRY | QUIET).unwrap();
        queue.lane().writen(b"second\n", TRY | QUIET).unwrap();
        have_the_flusher_look(&queue);
        assert_eq!(log.text(), "", "before {name}");
        call(&queue, &log);
        wait_for(name, || log.text() == "first\nsecond\n");
    }
}

/// The room is needed: a caller that finds no room gets it, whether it waits or comes again.
#[test]
fn a_caller_without_room_activates_the_records_that_take_it() {
    let log = Log::new();
    let queue = log.open(small());
    let record = [b'.'; 128];
    for _ in 0..4096 / 128 {
        queue.writen(&record, LATER).unwrap();
    }
    assert_eq!(queue.writen(&record, LATER), Err(alq::Error::WouldBlock));
    wait_for("the room of all", || log.bytes().len() == 4096);
    spawn(move || {
        for _ in 0..100 {
            queue.writen(&record, WAIT | QUIET).unwrap();
        }
        drop(pollster::block_on(queue.reserve(4096)).unwrap());
    })
    .join();
    assert_eq!(log.bytes().len(), 4096 + 100 * 128, "a task, too");
}
