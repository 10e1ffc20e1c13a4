//! A log of checked frames holds each record once, in order, and says where records are missing: on
//! every way into the log, over openings, forks, torn ends and damage.

use std::fs;
use std::sync::OnceLock;

use crate::common::child::{end_of_child, in_child};
use crate::common::exit::at_exit;
use crate::common::fork::{End, fork};
use crate::common::frames::{Frame, read};
use crate::common::{Log, TRY, WAIT};
use crate::framing::append_in_all_ways;
use alq::{Error, Framing, FramingProblem, Options, Queue};

pub fn checked() -> Options {
    Options::new().framing(Framing::Checked).capacity(1 << 16)
}

pub fn problem(error: &Error) -> FramingProblem {
    match error {
        Error::Framing { problem, .. } => (**problem).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_record_has_a_frame_and_positions_go_on_over_openings() {
    let log = Log::new();
    let mut expected = Vec::new();
    let mut end = 0;
    for opening in 0..3 {
        let queue = log.open(checked());
        assert_eq!(queue.recovery().unwrap().torn_bytes, 0);
        assert_eq!(queue.position().bytes(), end, "opening {opening}");
        expected.extend(append_in_all_ways(&queue));
        queue.close(None).unwrap();
        let file = read(log.path());
        assert_eq!(file.records(), expected);
        end = file.records_from(0).1;
    }
}

#[test]
fn a_position_is_known_before_the_post_and_is_the_one_in_the_frame() {
    let log = Log::new();
    let queue = log.open(checked());
    let mut expected = Vec::new();
    let ends = |len| queue.position().bytes() - 16 - len;
    let end = queue.writen(b"a record", WAIT).unwrap();
    assert_eq!(end, queue.position());
    expected.push(ends(8));
    let mut entry = queue.getn(100, WAIT).unwrap();
    let position = entry.position().unwrap().bytes();
    write!(entry, "I am at {position}").unwrap();
    entry.post();
    expected.push(position);
    let mut lane = queue.lane();
    for len in [10, 30_000] {
        let mut entry = lane.getn(len, WAIT).unwrap();
        let position = entry.position().unwrap().bytes();
        write!(entry, "I am at {position}").unwrap();
        entry.post();
        expected.push(position);
    }
    queue.close(None).unwrap();
    let frames = read(log.path()).frames;
    let records = frames.iter().filter(|frame| frame.kind == 0);
    let positions: Vec<u64> = records.clone().map(|frame| frame.position).collect();
    assert_eq!(positions, expected);
    for frame in records.skip(1) {
        let text = format!("I am at {}", frame.position);
        assert_eq!(frame.payload, text.as_bytes()[..frame.payload.len()]);
    }
}

#[test]
fn positions_without_a_record_have_a_note() {
    let log = Log::new();
    let queue = log.open(checked());
    let first = queue.getn(100, WAIT).unwrap();
    let second = queue.getn(50, WAIT).unwrap();
    let mut third = queue.getn(50, WAIT).unwrap();
    third.fill(b'x');
    drop(second);
    let mut first = first;
    first[0] = b'y';
    first.set_bytes_used(1);
    third.post();
    first.post();
    queue.close(None).unwrap();
    let frame = |kind, position, payload: &[u8]| Frame {
        kind,
        position,
        stamp: None,
        payload: payload.to_vec(),
    };
    let third = 116 + 66;
    assert_eq!(
        read(log.path()).frames,
        [
            frame(0, 0, b"y"),
            frame(1, third, &[0; 16]),
            frame(0, third, &[b'x'; 50]),
        ]
    );
}

#[test]
fn refused_records_have_a_note_with_their_number() {
    let log = Log::new();
    let options = checked().loss_lines(std::time::Duration::ZERO);
    let queue = log.open(options);
    queue.writen(b"before", WAIT).unwrap();
    let held = queue.getn((1 << 16) - 100, WAIT).unwrap();
    for len in [100, 200] {
        assert_eq!(queue.writen(&vec![0; len], TRY), Err(Error::WouldBlock));
    }
    drop(held);
    queue.flush().unwrap();
    queue.writen(b"after", WAIT).unwrap();
    queue.close(None).unwrap();
    let file = read(log.path());
    assert_eq!(file.records(), [b"before".to_vec(), b"after".to_vec()]);
    let lost: Vec<(u64, u64)> = file
        .frames
        .iter()
        .filter(|frame| frame.kind == 1)
        .map(|frame| {
            let number =
                |at: usize| u64::from_le_bytes(frame.payload[at..at + 8].try_into().unwrap());
            (number(0), number(8))
        })
        .collect();
    let sum = |of: fn(&(u64, u64)) -> u64| lost.iter().map(of).sum::<u64>();
    assert_eq!(sum(|lost| lost.0), 2, "{lost:?}");
    assert_eq!(sum(|lost| lost.1), 300 + 32, "with their frames");
}

#[test]
fn stamps_are_the_time_of_the_post_and_a_log_keeps_what_it_has() {
    let log = Log::new();
    let now = || {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap();
        since.as_nanos() as u64
    };
    let before = now();
    for stamps in [true, false] {
        let queue = log.open(checked().stamps(stamps));
        queue.writen(b"stamped", WAIT).unwrap();
        queue.lane().writen(b"in a lane", WAIT).unwrap();
        queue.close(None).unwrap();
    }
    let file = read(log.path());
    assert_eq!(file.records().len(), 4);
    let mut last = before;
    for frame in &file.frames {
        let stamp = frame.stamp.unwrap();
        assert!(stamp >= last && stamp <= now());
        last = stamp;
    }
}

/// A log of the records "one", "two" and "three".
fn of_three() -> Log {
    let log = Log::new();
    let queue = log.open(checked());
    for record in [&b"one"[..], b"two", b"three"] {
        queue.writen(record, WAIT).unwrap();
    }
    queue.close(None).unwrap();
    drop(queue);
    log
}

#[test]
fn every_torn_end_is_cut_off_and_the_log_goes_on() {
    let log = of_three();
    let whole = log.bytes();
    let ends = [64, 64 + 19, 64 + 38, whole.len()];
    for len in 0..=whole.len() {
        fs::write(log.path(), &whole[..len]).unwrap();
        let queue = log.open(checked());
        let torn = queue.recovery().unwrap().torn_bytes;
        queue.writen(b"next", WAIT).unwrap();
        queue.close(None).unwrap();
        let file = read(log.path());
        let records = file.records();
        let kept = ends.iter().rposition(|end| *end <= len);
        assert_eq!(records.len(), kept.unwrap_or(0) + 1, "{len}");
        assert_eq!(records.last().unwrap(), b"next");
        let expected = len - kept.map_or(0, |kept| ends[kept]);
        assert_eq!(torn, expected as u64, "{len}");
        let cuts: Vec<&Frame> = file.frames.iter().filter(|frame| frame.kind == 2).collect();
        if torn > 0 && kept.is_some() {
            assert_eq!(cuts[0].payload, torn.to_le_bytes());
        } else {
            assert_eq!(cuts.len(), 0);
        }
    }
}

#[test]
fn damage_in_the_middle_is_reported_and_loses_nothing_after_it() {
    let log = of_three();
    let mut bytes = log.bytes();
    bytes[64 + 19 + 16] ^= 1; // in "two"
    fs::write(log.path(), &bytes).unwrap();
    let queue = log.open(checked());
    let found = queue.recovery().unwrap();
    assert_eq!((found.unreadable_bytes, found.torn_bytes), (19, 0));
    assert_eq!(queue.position().bytes(), 19 + 19 + 21);
    queue.close(None).unwrap();
    assert_eq!(log.bytes(), bytes);
}

#[test]
fn a_log_and_a_queue_of_different_framings_refuse_each_other() {
    let log = Log::new();
    let refused = |options: Options| {
        let before = fs::read(log.path()).unwrap();
        let error = options.open(log.path()).unwrap_err();
        assert_eq!(fs::read(log.path()).unwrap(), before);
        let name = log.path().display().to_string();
        assert!(error.to_string().starts_with(&name), "{error}");
        problem(&error)
    };
    fs::write(log.path(), b"some text\n").unwrap();
    assert_eq!(refused(checked()), FramingProblem::NotFramed);
    fs::remove_file(log.path()).unwrap();
    let queue = log.open(checked());
    queue.writen(b"a record", WAIT).unwrap();
    queue.flush().unwrap(); // nothing changes the file from here on
    assert_eq!(refused(checked()), FramingProblem::InUse);
    queue.close(None).unwrap();
    for framing in [Framing::Raw, Framing::Lines, Framing::Lengths] {
        let other = Options::new().framing(framing);
        assert_eq!(refused(other), FramingProblem::Framed);
    }
    let whole = log.bytes();
    let mut damaged = whole.clone();
    damaged[20] ^= 1;
    fs::write(log.path(), &damaged).unwrap();
    assert_eq!(refused(checked()), FramingProblem::DamagedHeader);
    damaged[..64].fill(0); // frames follow, so this is no file that was never written
    fs::write(log.path(), &damaged).unwrap();
    assert_eq!(refused(checked()), FramingProblem::DamagedHeader);
    let file = fs::File::create(log.path()).unwrap(); // not open for appending
    fs::write(log.path(), &whole).unwrap();
    let error = checked().open_fd(&file).unwrap_err();
    assert_eq!(problem(&error), FramingProblem::Unreadable);
}

#[test]
#[cfg(feature = "rotate")]
fn a_log_that_is_cut_between_lines_cannot_have_frames() {
    let log = Log::new();
    let rotation = alq::rotate::Rotation::new().whole_lines(1000);
    let file = rotation.open(log.path()).unwrap();
    let error = checked().open_sink(file).unwrap_err();
    assert_eq!(problem(&error), FramingProblem::CutsRecords);
}

#[test]
fn a_child_of_fork_writes_frames_without_a_position() {
    in_child("a_child_of_fork_writes_frames_without_a_position", || {
        let log = Log::new();
        let queue = log.open(checked());
        queue.writen(b"parent", WAIT).unwrap();
        fork(End::WithHandlers, || {
            queue.writen(b"child", WAIT).unwrap();
            let mut entry = queue.getn(10, WAIT).unwrap();
            assert_eq!(entry.position(), None);
            write!(entry, "entry").unwrap();
            entry.post();
            let error = queue.reopen_path(log.path()).unwrap_err();
            assert_eq!(problem(&error), FramingProblem::InUse);
        })
        .join();
        queue.writen(b"again", WAIT).unwrap();
        queue.close(None).unwrap();
        let records: [&[u8]; 4] = [b"parent", b"child", b"entry", b"again"];
        assert_eq!(read(log.path()).records(), records);
        // An empty file gets its header from the child.
        let log = Log::new();
        let queue = log.open(checked());
        fs::write(log.path(), b"").unwrap();
        fork(End::WithHandlers, || {
            queue.writen(b"child", WAIT).unwrap();
        })
        .join();
        queue.writen(b"parent", WAIT).unwrap();
        queue.close(None).unwrap();
        let records: [&[u8]; 2] = [b"child", b"parent"];
        assert_eq!(read(log.path()).records(), records);
    });
}

#[test]
fn the_end_of_the_process_writes_frames_too() {
    let test = "the_end_of_the_process_writes_frames_too";
    let ended = end_of_child(test, "", |folder| {
        let queue: &'static OnceLock<Queue> = Box::leak(Box::default());
        at_exit(|| {
            queue.get().unwrap().writen(b"late", TRY).unwrap();
        });
        let path = crate::common::exit::log(folder);
        let queue = queue.get_or_init(|| checked().open(path).unwrap());
        queue.writen(b"posted", TRY).unwrap();
    });
    let Some(ended) = ended else { return };
    ended.assert_code(0);
    let log = Log::new();
    fs::write(log.path(), ended.file("log")).unwrap();
    let records: [&[u8]; 2] = [b"posted", b"late"];
    assert_eq!(read(log.path()).records(), records);
}

#[test]
fn many_threads_leave_every_record_once_and_in_order() {
    const RECORDS: u32 = 2000;
    let log = Log::new();
    let queue = log.open(checked().capacity(1 << 14));
    std::thread::scope(|scope| {
        for thread in 0..6_u32 {
            let queue = &queue;
            scope.spawn(move || {
                let mut lane = queue.lane();
                for record in 0..RECORDS {
                    let text = format!("{thread} {record}");
                    let len = text.len() + record as usize % 50;
                    match thread {
                        0 | 1 => drop(queue.writen(text.as_bytes(), WAIT).unwrap()),
                        2 => {
                            let mut entry = queue.getn(len, WAIT).unwrap();
                            write!(entry, "{text}").unwrap();
                            entry.post();
                            drop(queue.getn(len, WAIT).unwrap());
                        }
                        3 | 4 => drop(lane.writen(text.as_bytes(), WAIT).unwrap()),
                        _ => {
                            let mut entry = lane.getn(len, WAIT).unwrap();
                            write!(entry, "{text}").unwrap();
                            entry.post();
                        }
                    }
                }
            });
        }
    });
    queue.close(None).unwrap();
    let mut next = [0; 6];
    for record in read(log.path()).records() {
        let text = String::from_utf8(record).unwrap();
        let (thread, record) = text.split_once(' ').unwrap();
        let next = &mut next[thread.parse::<usize>().unwrap()];
        assert_eq!(record.parse(), Ok(*next), "thread {thread}");
        *next += 1;
    }
    assert_eq!(next, [RECORDS; 6]);
}
