//! A log of checked frames whose queue has a ring file: each frame is written once, at its
//! position, and the stream goes on over kills, openings and files.

use std::fs;
use std::path::Path;

use crate::common::child::end_of_child;
use crate::common::frames::{found, read};
use crate::common::torture::label::die;
use crate::common::{LATER, NEVER_STALLS, TRY, WAIT};
use alq::{Error, Framing, Options, Queue, Recovery, RingFileProblem as Problem};

fn options(folder: &Path) -> Options {
    Options::new()
        .framing(Framing::Checked)
        .capacity(4096)
        .stall_limit(Some(NEVER_STALLS))
        .ring_file(folder.join("ring"))
}

fn open(folder: &Path) -> Queue {
    options(folder).open(folder.join("log")).unwrap()
}

fn problem(result: Result<Queue, Error>) -> Problem {
    match result.unwrap_err() {
        Error::RingFile { problem, .. } => *problem,
        other => panic!("{other}"),
    }
}

/// The records in the log, after a check that it is whole and that both readers agree.
fn records(log: &Path) -> Vec<Vec<u8>> {
    let records = read(log).records();
    assert_eq!(found(log), records);
    records
}

/// A process that has written one record, and was killed with two posted ones: with a hole between
/// them, or in one span of a lane.
fn killed(test: &str, way: &str) -> Option<tempfile::TempDir> {
    let ended = end_of_child(test, way, |folder| {
        let queue = open(folder);
        queue.writen(b"written", WAIT).unwrap();
        queue.flush().unwrap();
        if way.starts_with("lane") {
            let mut lane = queue.lane();
            lane.writen(b"left", LATER).unwrap();
            lane.writen(b"behind", LATER).unwrap();
            die();
        }
        queue.writen(b"left", LATER).unwrap();
        let _hole = queue.getn(100, TRY).unwrap();
        queue.writen(b"behind", LATER).unwrap();
        die();
    })?;
    Some(ended.folder)
}

#[test]
fn frames_of_a_killed_process_are_written_once_and_holes_are_gaps() {
    let test = "frames_of_a_killed_process_are_written_once_and_holes_are_gaps";
    let Some(folder) = killed(test, "") else {
        return;
    };
    let (folder, log) = (folder.path(), folder.path().join("log"));
    // With other sizes, the ring is made anew once its records are written.
    for (opening, capacity) in [4096, 1 << 14, 4096].into_iter().enumerate() {
        let queue = options(folder).capacity(capacity).open(&log).unwrap();
        let found = *queue.recovery().unwrap();
        if opening == 0 {
            assert_eq!((found.bytes, found.spans), (42, 2));
            assert_eq!((found.skipped_entries, found.damaged_slots), (1, 0));
        } else {
            assert_eq!(found, Recovery::default());
        }
        queue.flush().unwrap();
        let before = queue.position();
        assert_eq!(read(&log).records_from(0).1, before.bytes());
        queue.writen(b"next", WAIT).unwrap();
        queue.close(None).unwrap();
    }
    let expected: [&[u8]; 6] = [b"written", b"left", b"behind", b"next", b"next", b"next"];
    assert_eq!(records(&log), expected);
    // The frame with its 116 bytes was never posted.
    let frames = read(&log).frames;
    let gap = frames.iter().find(|frame| frame.kind == 1).unwrap();
    assert_eq!(gap.position, 23 + 20 + 116);
}

#[test]
fn a_log_that_was_moved_away_goes_on_in_a_new_file() {
    let test = "a_log_that_was_moved_away_goes_on_in_a_new_file";
    for is_empty in [false, true] {
        let Some(folder) = killed(test, &is_empty.to_string()) else {
            continue;
        };
        let (folder, log) = (folder.path(), folder.path().join("log"));
        if is_empty {
            open(folder).close(None).unwrap();
        }
        fs::rename(&log, folder.join("before")).unwrap();
        let queue = open(folder);
        queue.writen(b"next", WAIT).unwrap();
        queue.close(None).unwrap();
        let (before, after) = (read(folder.join("before")), read(&log));
        assert_eq!(before.id, after.id);
        let (mut records, end) = before.records_from(0);
        assert!(after.first_position >= end);
        records.extend(after.records());
        let expected: [&[u8]; 4] = [b"written", b"left", b"behind", b"next"];
        assert_eq!(records, expected);
    }
}

/// Another queue has used the positions of the frames in the ring.
#[test]
fn a_log_that_went_on_without_the_ring_is_left_alone() {
    let test = "a_log_that_went_on_without_the_ring_is_left_alone";
    let Some(folder) = killed(test, "") else {
        return;
    };
    let (folder, log) = (folder.path(), folder.path().join("log"));
    let queue = Options::new().framing(Framing::Checked).open(&log).unwrap();
    queue.writen(b"other", WAIT).unwrap();
    queue.close(None).unwrap();
    drop(queue);
    let before = fs::read(&log).unwrap();
    let refused = problem(options(folder).open(&log));
    assert_eq!(refused, Problem::LogWentOn { bytes: 42 });
    assert!(refused.to_string().contains("--into FILE"));
    assert_eq!(fs::read(&log).unwrap(), before);
    let into = folder.join("into");
    let queue = options(folder).other_log(true).open(&into).unwrap();
    queue.close(None).unwrap();
    drop(queue);
    let expected: [&[u8]; 2] = [b"left", b"behind"];
    assert_eq!(records(&into), expected);
    // The ring is empty now, and goes on where the log is.
    let queue = open(folder);
    queue.writen(b"next", WAIT).unwrap();
    queue.close(None).unwrap();
    let expected: [&[u8]; 3] = [b"written", b"other", b"next"];
    assert_eq!(records(&log), expected);
}

/// The check of a frame contains the id of its log.
#[test]
fn frames_never_go_to_a_log_with_another_id() {
    let test = "frames_never_go_to_a_log_with_another_id";
    let Some(folder) = killed(test, "") else {
        return;
    };
    let (folder, other) = (folder.path(), folder.path().join("other"));
    let queue = Options::new().framing(Framing::Checked);
    queue.open(&other).unwrap().close(None).unwrap();
    let refused = problem(options(folder).other_log(true).open(&other));
    let log = other.canonicalize().unwrap();
    assert_eq!(refused, Problem::OtherFrames { log, bytes: 42 });
    open(folder).close(None).unwrap();
    let expected: [&[u8]; 3] = [b"written", b"left", b"behind"];
    assert_eq!(records(&folder.join("log")), expected);
}

/// A kill inside a write: the log has a part of the first frame, or other bytes. In a span of a
/// lane, it may have the first frame and a part of the second.
#[test]
fn a_torn_frame_is_continued_from_the_ring_or_cut() {
    let test = "a_torn_frame_is_continued_from_the_ring_or_cut";
    let ways = [
        ("ours", true, 20),
        ("not", false, 20),
        ("lane, ours", true, 42),
        ("lane, not", false, 42),
    ];
    for (way, is_ours, len) in ways {
        let Some(folder) = killed(test, way) else {
            continue;
        };
        let (folder, log) = (folder.path(), folder.path().join("log"));
        let before = fs::read(&log).unwrap();
        let copy = tempfile::tempdir().unwrap();
        for name in ["log", "ring"] {
            fs::copy(folder.join(name), copy.path().join(name)).unwrap();
        }
        let copied = options(copy.path()).other_log(true);
        copied
            .open(copy.path().join("log"))
            .unwrap()
            .close(None)
            .unwrap();
        let next = fs::read(copy.path().join("log")).unwrap();
        for torn in 1..len {
            let mut left = next[..before.len() + torn].to_vec();
            if !is_ours {
                *left.last_mut().unwrap() ^= 1;
            }
            let ring = fs::read(folder.join("ring")).unwrap();
            fs::write(&log, &left).unwrap();
            let queue = open(folder);
            let found = *queue.recovery().unwrap();
            let whole = if torn > 20 { 20 } else { 0 };
            let written = if is_ours { torn } else { whole };
            let cut = torn - written;
            assert_eq!(found.already_written_bytes, written as u64);
            assert_eq!(found.torn_bytes, cut as u64);
            assert_eq!(found.possibly_repeated_bytes, 0);
            queue.close(None).unwrap();
            drop(queue);
            let expected: [&[u8]; 3] = [b"written", b"left", b"behind"];
            assert_eq!(records(&log), expected, "{way} {torn}");
            fs::write(folder.join("ring"), ring).unwrap();
        }
    }
}
