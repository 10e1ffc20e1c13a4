//! Records that were posted to a ring file outlive the process: the next process writes them.

use std::fs;
use std::path::Path;

use crate::common::child::end_of_child;
use crate::common::{LATER, TRY, WAIT};
use alq::{Options, Queue};
use rustix::process::{Pid, Signal, getpid, kill_process};

fn options(folder: &Path) -> Options {
    Options::new().capacity(4096).ring_file(folder.join("ring"))
}

fn open(folder: &Path) -> Queue {
    options(folder).open(folder.join("log")).unwrap()
}

fn log(folder: &Path) -> String {
    String::from_utf8(fs::read(folder.join("log")).unwrap()).unwrap()
}

fn die() -> ! {
    let me: Pid = getpid();
    kill_process(me, Signal::KILL).unwrap();
    unreachable!("nobody outlives SIGKILL")
}

/// Returns what a queue found, and what the log holds once the queue is closed.
fn recover(folder: &Path) -> (alq::Recovery, String) {
    let queue = open(folder);
    let recovery = *queue.recovery().unwrap();
    queue.close(None).unwrap();
    (recovery, log(folder))
}

#[test]
fn inspection_shows_the_records_of_lanes_too() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path());
    let mut lane = queue.lane();
    for record in ["a\n", "b\n", "c\n"] {
        lane.writen(record.as_bytes(), WAIT).unwrap();
    }
    queue.writen(b"d\n", WAIT).unwrap();
    queue.flush().unwrap();
    crate::common::wait_for("all four are shown", || {
        let state = alq::ring_file::inspect(dir.path().join("ring")).unwrap();
        state.live.written_records == 4
    });
    assert_eq!(queue.stats().written_records, 4);
}

#[test]
fn what_was_posted_and_not_written_is_written_by_the_next_process() {
    let test = "what_was_posted_and_not_written_is_written_by_the_next_process";
    let ended = end_of_child(test, "", |folder| {
        let queue = open(folder);
        assert_eq!(queue.recovery(), Some(&alq::Recovery::default()));
        queue.writen(b"written\n", WAIT).unwrap();
        queue.flush().unwrap();
        let mut lane = queue.lane();
        queue.writen(b"one\n", LATER).unwrap();
        let mut held = queue.getn(100, TRY).unwrap();
        held[..4].copy_from_slice(b"held");
        queue.writen(b"two\n", LATER).unwrap();
        lane.writen(b"lane 1\n", LATER).unwrap();
        lane.writen(b"lane 2\n", LATER).unwrap();
        let mut half = lane.getn(50, TRY).unwrap();
        half[..4].copy_from_slice(b"half");
        die();
    });
    let Some(ended) = ended else { return };
    let folder = ended.folder.path();
    let state = alq::ring_file::inspect(folder.join("ring")).unwrap();
    assert_eq!(
        (state.pending.bytes, state.pending.skipped_entries),
        (22, 1)
    );
    assert_eq!(state.pid, None);
    let (recovery, text) = recover(folder);
    assert_eq!(text, "written\none\ntwo\nlane 1\nlane 2\n");
    assert_eq!(
        (recovery.bytes, recovery.spans, recovery.skipped_entries),
        (22, 3, 1)
    );
    assert_eq!(
        (recovery.damaged_slots, recovery.possibly_repeated_bytes),
        (0, 0)
    );
    let (recovery, text) = recover(folder);
    assert_eq!(recovery, alq::Recovery::default(), "once");
    assert_eq!(text.len(), 30);
}
