//! A chain goes on over kills, restarts, rotations and other files, and never has a frame that the
//! flusher did not write.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

use crate::common::child::{end_of_child, in_child};
use crate::common::exit::at_exit;
use crate::common::fork::{End, fork};
use crate::common::sink::{Script, queue_to};
use crate::common::torture::label::die;
use crate::common::{LATER, Log, TRY, WAIT, append_to, wait_for};
use crate::{KEY, chained, read};
use alq::read::Notice;
use alq::rotate::Rotation;
use alq::{Error, Framing, FramingProblem, Options, Queue};

fn problem(error: &Error) -> FramingProblem {
    match error {
        Error::Framing { problem, .. } => (**problem).clone(),
        other => panic!("{other:?}"),
    }
}

/// How many checkpoints the file has.
fn checkpoints(path: &Path) -> usize {
    let file = crate::common::frames::read(path);
    file.frames.iter().filter(|frame| frame.kind == 4).count()
}

#[test]
fn checkpoints_come_after_64_kib_and_the_frames_are_those_of_every_way_to_append() {
    let log = Log::new();
    let queue = log.open(chained().capacity(1 << 20).stamps(true));
    let mut lane = queue.lane();
    let hole = queue.getn(1, TRY).unwrap(); // so that all of it is written at once
    let mut expected = Vec::new();
    for number in 0..2000 {
        let record = format!("{number} {}", "x".repeat(number % 200)).into_bytes();
        match number % 4 {
            0 => drop(queue.writen(&record, WAIT).unwrap()),
            1 => drop(lane.writen(&record, WAIT).unwrap()),
            2 => {
                let mut entry = queue.getn(300, WAIT).unwrap();
                entry.write_all(&record).unwrap();
                entry.post();
            }
            _ => {
                let mut entry = lane.getn(300, WAIT).unwrap();
                entry.write_all(&record).unwrap();
                entry.post();
            }
        }
        expected.push(record);
    }
    let long = vec![b'l'; 300_000];
    queue.writen(&long, WAIT).unwrap();
    expected.push(long);
    drop((lane, hole));
    queue.close(None).unwrap();
    let mut records = read(&log.path()).assert_sound().records;
    records.sort();
    expected.sort();
    assert_eq!(records, expected);
    let mut uncovered = 0;
    for frame in crate::common::frames::read(log.path()).frames {
        assert!(frame.stamp > Some(0), "{frame:?}");
        if frame.kind == 4 {
            uncovered = 0;
            continue;
        }
        let max = (64 + 16) << 10; // the records of a lane's span may be written together
        assert!(uncovered < max, "{uncovered} bytes without a checkpoint");
        uncovered += frame.payload.len() + 24;
    }
}

#[test]
fn no_checkpoint_comes_inside_a_frame_that_is_taken_in_pieces() {
    for piece in [1000, 100] {
        let script = Script::new();
        script.take_in_pieces(piece);
        let queue = queue_to(&script, chained().capacity(1 << 20));
        let count = 200;
        for _ in 0..count {
            queue.writen(&[b'r'; 990], WAIT).unwrap();
        }
        queue.close(None).unwrap();
        let log = Log::new();
        fs::write(log.path(), script.bytes()).unwrap();
        assert_eq!(read(&log.path()).assert_sound().records.len(), count);
        assert!(checkpoints(&log.path()) > 2);
    }
}

#[test]
fn an_idle_queue_writes_its_checkpoint_after_a_second() {
    let log = Log::new();
    let queue = log.open(chained());
    queue.writen(b"a record", WAIT).unwrap();
    queue.flush().unwrap();
    wait_for("the second checkpoint", || checkpoints(&log.path()) == 2);
    let found = read(&log.path());
    assert_eq!(found.faults(), [&Notice::NotClosed { frames: 0 }]);
    assert_eq!(found.frames(), 2);
    queue.close(None).unwrap();
    read(&log.path()).assert_sound();
}

#[test]
fn frames_of_a_killed_process_are_taken_in_and_said_to_be() {
    let test = "frames_of_a_killed_process_are_taken_in_and_said_to_be";
    let Some(ended) = end_of_child(test, "", |folder| {
        let queue = chained().open(folder.join("log")).unwrap();
        for _ in 0..3 {
            queue.writen(b"before the kill", WAIT).unwrap();
        }
        queue.flush().unwrap();
        die();
    }) else {
        return;
    };
    let path = ended.folder.path().join("log");
    assert_eq!(read(&path).faults(), [&Notice::NotClosed { frames: 3 }]);
    // The kill was in the middle of a write.
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(&bytes.clone()[bytes.len() - 20..]);
    fs::write(&path, &bytes).unwrap();
    let queue = chained().open(&path).unwrap();
    assert_eq!(queue.recovery().unwrap().torn_bytes, 20);
    wait_for("a checkpoint without a record", || checkpoints(&path) == 2);
    queue.writen(b"after it", WAIT).unwrap();
    queue.close(None).unwrap();
    let found = read(&path);
    assert!(found.faults().is_empty());
    let notices: Vec<&Notice> = found.notices.iter().map(|(notice, _)| notice).collect();
    let (cut, adopted) = (Notice::Cut { bytes: 20 }, Notice::Adopted { frames: 3 });
    assert_eq!(notices, [&cut, &adopted], "each once");
    assert_eq!(found.records.len(), 4);
    // What the next process took in is proved from then on.
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(15)
        .position(|part| part == b"before the kill")
        .unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(!read(&path).faults().is_empty());
}

#[test]
fn every_torn_length_of_a_frame_is_continued_from_the_ring() {
    let test = "every_torn_length_of_a_frame_is_continued_from_the_ring";
    let options = |folder: &Path| chained().ring_file(folder.join("ring"));
    let Some(ended) = end_of_child(test, "", |folder| {
        let queue = options(folder).open(folder.join("log")).unwrap();
        queue.writen(b"written", WAIT).unwrap();
        queue.flush().unwrap();
        queue.writen(b"left", LATER).unwrap();
        let _hole = queue.getn(100, TRY).unwrap();
        queue.writen(b"behind", LATER).unwrap();
        die();
    }) else {
        return;
    };
    let folder = ended.folder.path();
    let (path, ring) = (folder.join("log"), folder.join("ring"));
    let kept = fs::read(&ring).unwrap();
    // The log is written in place: the ring file names its inode.
    let put = |log: &[u8], ring_bytes: &[u8]| {
        let file = File::options()
            .write(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        (&file).write_all(log).unwrap();
        let file = File::options()
            .write(true)
            .truncate(true)
            .open(&ring)
            .unwrap();
        (&file).write_all(ring_bytes).unwrap();
    };
    drop(options(folder).open(&path).unwrap());
    let bytes = fs::read(&path).unwrap();
    let from = bytes.windows(4).position(|part| part == b"left").unwrap() - 16;
    for torn in 0..=20 {
        put(&bytes[..from + torn], &kept);
        drop(options(folder).open(&path).unwrap());
        let found = read(&path);
        assert!(found.faults().is_empty(), "{torn}: {:?}", found.notices);
        assert_eq!(
            found.records,
            [&b"written"[..], b"left", b"behind"],
            "{torn}"
        );
    }
}

#[test]
fn a_rotated_log_goes_on_after_kills_in_an_empty_file_and_after_a_lone_header() {
    let test = "a_rotated_log_goes_on_after_kills_in_an_empty_file_and_after_a_lone_header";
    let open = |folder: &Path| {
        let log = Rotation::new().open(folder.join("log")).unwrap();
        let queue = chained().open_sink(log.clone()).unwrap();
        (log, queue)
    };
    let Some(ended) = end_of_child(test, "", |folder| {
        let (log, queue) = open(folder);
        queue.writen(b"first file", WAIT).unwrap();
        queue.flush().unwrap();
        log.rotate();
        log.wait_background(None).unwrap();
        die();
    }) else {
        return;
    };
    let folder = ended.folder.path();
    let path = folder.join("log");
    assert_eq!(fs::read(&path).unwrap(), b"");
    let continued = |records: usize| {
        let (log, queue) = open(folder);
        queue.writen(b"next", WAIT).unwrap();
        queue.close(None).unwrap();
        log.wait_background(None).unwrap(); // its thread holds the lock of the log
        drop((log, queue));
        let found = read(&path);
        assert!(found.faults().is_empty(), "{:?}", found.notices);
        assert_eq!(found.records.len(), records);
    };
    continued(2);
    // A process was killed after the header, and before the checkpoint, or inside of it.
    let bytes = fs::read(&path).unwrap();
    for len in [10, 64, 65, 64 + 16, 64 + 100] {
        fs::write(&path, &bytes[..len]).unwrap();
        continued(2);
    }
}

#[test]
fn a_record_as_long_as_a_file_gets_a_file_of_its_own() {
    // Header and checkpoint take room, too, and are no reason to begin the next file.
    let log = Log::new();
    let file = Rotation::new().size_bytes(1024).open(log.path()).unwrap();
    let queue = chained().open_sink(file.clone()).unwrap();
    for _ in 0..5 {
        queue.writen(&[b'r'; 950], WAIT).unwrap();
    }
    queue.close(None).unwrap();
    file.wait_background(None).unwrap();
    let found = read(&log.path()).assert_sound();
    // The last checkpoint does not fit beside the fifth record, and gets a sixth file.
    assert_eq!((found.records.len(), found.frames()), (5, 5 + 6));
}

#[test]
fn a_reopen_goes_on_in_the_next_file_and_both_are_proved() {
    let log = Log::new();
    let queue = log.open(chained());
    queue.writen(b"first file", WAIT).unwrap();
    queue.flush().unwrap();
    let mut old = log.path().into_os_string();
    old.push(".20261201T060000Z-000000");
    fs::rename(log.path(), &old).unwrap();
    queue.reopen_path(log.path()).unwrap().wait().unwrap();
    queue.writen(b"second file", WAIT).unwrap();
    queue.close(None).unwrap();
    let found = read(&log.path()).assert_sound();
    assert_eq!(found.records, [&b"first file"[..], b"second file"]);
}

#[test]
fn only_the_key_continues_a_chain() {
    let log = Log::new();
    drop(log.open(chained()));
    assert_eq!(log.bytes(), b"", "a queue without records writes nothing");
    let queue = log.open(chained());
    queue.writen(b"a record", WAIT).unwrap();
    queue.close(None).unwrap();
    let bytes = log.bytes();
    drop(log.open(chained()));
    assert_eq!(log.bytes(), bytes, "a queue without records writes nothing");
    let refused = |options: Options| problem(&options.open(log.path()).unwrap_err());
    let plain = || Options::new().framing(Framing::Checked);
    assert_eq!(refused(plain()), FramingProblem::Chained);
    assert_eq!(refused(plain().chain([0; 32])), FramingProblem::OtherKey);
    let other = Log::new();
    drop(other.open(plain()).writen(b"a record", WAIT));
    let error = chained().open(other.path()).unwrap_err();
    assert_eq!(problem(&error), FramingProblem::NotChained);
    let lines = Options::new().framing(Framing::Lines).chain(KEY);
    assert!(matches!(
        lines.open(other.path()),
        Err(Error::InvalidOption {
            option: "chain",
            ..
        })
    ));
    assert!(!format!("{:?}", chained()).contains(&format!("{:?}", &KEY[..4])));
}

#[test]
fn no_record_bypasses_the_chain_in_a_child_or_at_the_exit() {
    in_child(
        "no_record_bypasses_the_chain_in_a_child_or_at_the_exit",
        || {
            static OPEN: OnceLock<(Log, Queue)> = OnceLock::new();
            // Registered before the queue is opened, so it runs after the drain.
            at_exit(|| {
                let (log, queue) = OPEN.get().unwrap();
                assert_eq!(queue.writen(b"too late", WAIT), Err(Error::Closed));
                let found = read(&log.path()).assert_sound();
                assert_eq!(found.records, [b"of the parent"]);
            });
            let log = Log::new();
            let queue = log.open(chained());
            let (_, queue) = OPEN.get_or_init(|| (log, queue));
            queue.writen(b"of the parent", WAIT).unwrap();
            fork(End::AtOnce, || {
                assert_eq!(queue.writen(b"of a child", WAIT), Err(Error::Forked));
                let mut lane = queue.lane();
                assert_eq!(lane.writen(b"of a child", WAIT), Err(Error::Forked));
            })
            .join();
        },
    );
}

#[test]
fn refused_records_are_notes_in_the_chain() {
    let log = Log::new();
    let queue = log.open(
        chained()
            .capacity(4096)
            .loss_lines(std::time::Duration::ZERO),
    );
    let mut refused = 0;
    for _ in 0..2000 {
        refused += u32::from(queue.writen(&[b'r'; 100], TRY).is_err());
    }
    queue.writen(b"the last one", WAIT).unwrap();
    queue.close(None).unwrap();
    let found = read(&log.path());
    assert!(found.faults().is_empty(), "{:?}", found.notices);
    assert_eq!(found.records.len() as u32, 2001 - refused);
}

#[test]
fn a_file_that_fails_at_any_byte_is_continued_in_another_one() {
    for room in 0..360 {
        for discards in [false, true] {
            let script = Script::new();
            script.take_at_most(room, libc::EIO);
            let queue = queue_to(&script, chained());
            queue.writen(b"first", WAIT).unwrap();
            let _ = queue.flush();
            let _ = queue.writen(b"second", TRY); // refused if the queue has failed
            let _ = queue.flush();
            let log = Log::new();
            let next = append_to(log.path());
            let reopened = if discards {
                queue.reopen_discarding(&next)
            } else {
                queue.reopen(&next)
            };
            reopened.unwrap().wait().unwrap();
            queue.writen(b"after it", WAIT).unwrap();
            queue.close(None).unwrap();
            let mut old = log.path().into_os_string();
            old.push(".20261201T060000Z-000000");
            fs::write(&old, script.bytes()).unwrap();
            let found = read(&log.path());
            // The old file may end inside a frame. Nothing else is wrong.
            let is_torn = |fault: &&Notice| matches!(fault, Notice::Torn { .. });
            let others = found
                .faults()
                .into_iter()
                .filter(|fault| !is_torn(fault))
                .count();
            assert_eq!(others, 0, "{room} {discards}: {:?}", found.notices);
            assert_eq!(found.records.last().unwrap(), b"after it");
        }
    }
}
