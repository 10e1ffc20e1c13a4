//! Files that the note of a ring file may name stay until a recovery has found its bytes in them.

use std::io::IoSlice;

use super::{NOON, Place};
use crate::logs::log::Log;
use crate::logs::point::Script;
use crate::logs::{Compression, Rotation};
use crate::words::LogEnd;

const RUN: &[u8] = b"one\n";

/// No file is kept unless a note may name it.
fn keeps_none() -> Rotation {
    Rotation::new().keep_files(0)
}

/// A process with a ring file that is killed after its first write: returns its note.
fn write_and_die(place: &Place) -> LogEnd {
    let log = place.open_alone(keeps_none(), &place.path());
    log.expect_notes();
    log.room();
    let note = log.end().unwrap();
    assert_eq!(log.write(&[IoSlice::new(RUN)]).unwrap(), RUN.len());
    note
}

fn rotate(log: &Log) {
    log.ask(&log.asked);
    log.attend();
    assert!(!log.is_asked());
    log.go_through(Vec::new());
}

fn held(log: &Log, note: &LogEnd) -> Option<usize> {
    log.holds(note, &[IoSlice::new(RUN)])
}

#[test]
fn a_file_that_is_cut_off_before_the_queue_is_open_waits_for_the_recovery() {
    let place = Place::new();
    let note = write_and_die(&place);
    let log = place.open_alone(keeps_none(), &place.path());
    rotate(&log);
    assert_eq!(held(&log, &note), Some(RUN.len()));
    drop(log); // killed before its tail has moved
    let log = place.open_alone(keeps_none(), &place.path());
    log.go_through(Vec::new());
    log.expect_notes();
    assert_eq!(held(&log, &note), Some(RUN.len()));
    log.room();
    log.go_through(Vec::new());
    assert_eq!(
        held(&log, &note),
        Some(RUN.len()),
        "its tail may not have moved"
    );
    log.end().unwrap();
    log.write(&[IoSlice::new(b"two\n")]).unwrap();
    log.room();
    log.go_through(Vec::new());
    assert_eq!(place.files(), ["log"]);
}

#[test]
fn without_a_ring_file_the_files_of_an_earlier_process_wait_for_the_first_look_at_the_room() {
    let place = Place::new();
    write_and_die(&place);
    let log = place.open_alone(keeps_none(), &place.path());
    rotate(&log);
    assert_eq!(place.files().len(), 2);
    log.room();
    log.go_through(Vec::new());
    assert_eq!(place.files(), ["log"]);
}

/// The next check finds which file was cut off.
#[test]
fn a_file_that_a_failed_rotation_has_renamed_waits_for_the_recovery() {
    let mut place = Place::new();
    let log = place.open(Rotation::new().compress(Compression::None).keep_files(0));
    place.put(&log, "before\n");
    log.ask(&log.asked);
    let fails = Script::Fail("continue in the new file", 1, libc::EIO);
    Script::run(Some(fails), || log.attend());
    let note = log.end().unwrap();
    place.set(NOON + 1);
    log.attend();
    log.go_through(Vec::new());
    assert_eq!(held(&log, &note), Some(0), "the file is still there");
    place.put(&log, "after\n");
    log.go_through(Vec::new());
    assert_eq!(place.files(), ["log"]);
}
