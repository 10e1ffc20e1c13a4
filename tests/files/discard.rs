//! A reopen that discards: what a failed file has not taken is in no file, and every call says so.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use crate::common::child::end_of_child;
use crate::common::sink::{Script, queue_to};
use crate::common::{
    LATER, Log, STALLS_SOON, TRY, WAIT, append_to, assert_accounts, small, wait_for,
};
use alq::{Entry, Error, Flags, Framing, Level, Operation, Options, Queue, SyncOp};
use rustix::process::{Resource, Rlimit, Signal, getpid, kill_process, setrlimit};

fn failed() -> Error {
    Error::Io {
        operation: Operation::Write,
        errno: libc::EIO,
        target: alq::Target::default(),
    }
}

/// Returns a queue whose sink takes `room` bytes and then fails, with five records of 10 bytes.
fn failed_after(room: usize, options: Options) -> (Queue, Arc<Script>) {
    let script = Script::new();
    script.take_at_most(room, libc::EIO);
    let queue = queue_to(&script, options);
    let first = queue.getn(1, TRY).unwrap();
    for number in 0..5 {
        queue
            .writen(&five().as_bytes()[number * 10..][..10], TRY)
            .unwrap();
    }
    drop(first); // nothing is written before
    assert_eq!(queue.flush(), Err(failed()));
    (queue, script)
}

fn five() -> String {
    [
        "record 0.\n",
        "record 1.\n",
        "record 2.\n",
        "record 3.\n",
        "record 4.\n",
    ]
    .concat()
}

fn next() -> (Log, File) {
    let log = Log::new();
    let file = append_to(log.path());
    (log, file)
}

#[test]
fn what_a_failed_file_has_not_taken_is_in_no_file() {
    for room in [0, 1, 9, 10, 11, 25, 49] {
        let (queue, script) = failed_after(room, small());
        let (log, file) = next();
        let reopened = if room % 2 == 0 {
            queue.reopen_discarding(&file)
        } else {
            queue.reopen_discarding_path(log.path())
        };
        reopened.unwrap().wait().unwrap();
        queue.writen(b"after\n", WAIT).unwrap();
        queue.flush().unwrap();
        assert_eq!(log.text(), "after\n", "after {room} bytes");
        assert_eq!(script.bytes(), five().as_bytes()[..room]);
        let stats = queue.stats();
        let whole = room / 10 * 10;
        assert_eq!(stats.discarded_bytes, 50 - whole as u64);
        assert_eq!(stats.discarded_records, 5 - (room / 10) as u64);
        assert_eq!(stats.repeated_bytes, (room - whole) as u64);
        assert_eq!(stats.written_bytes, (whole + 6) as u64);
        assert_eq!(
            (stats.written_records, stats.posted_records),
            (room as u64 / 10 + 1, 6)
        );
        assert_eq!(
            (stats.lost_bytes, stats.last_error),
            (stats.discarded_bytes, None)
        );
        assert_eq!(
            (stats.refused_records, stats.refused.total().records),
            (0, 0)
        );
        queue.close(None).unwrap();
    }
}

/// Positions stay what they are: those of discarded records fail, those before and after do not.
#[test]
fn every_call_says_what_became_of_a_position() {
    let script = Script::new();
    script.take_at_most(10, libc::EIO);
    let queue = queue_to(&script, small());
    let first = queue.getn(1, TRY).unwrap();
    let kept = queue.writen(b"position 0", TRY).unwrap();
    let gone = queue.writen(b"position 1", TRY).unwrap();
    let last = queue.writen(b"position 2", TRY).unwrap();
    drop(first);
    assert_eq!(queue.flush(), Err(failed()));
    let before = queue.completion(last, Level::Written);
    let (log, file) = next();
    queue.reopen_discarding(&file).unwrap().wait().unwrap();
    assert_eq!(
        queue.flush(),
        Err(failed()),
        "the last record is in no file"
    );
    assert_eq!(queue.fsync(SyncOp::Data).unwrap().wait(), Err(failed()));
    let after = queue.writen(b"position 3", WAIT).unwrap();
    assert_eq!(after.bytes(), last.bytes() + 10);
    queue.flush().unwrap();
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
    let is = |position, level| queue.completion(position, level).wait();
    for level in [Level::Written, Level::Durable] {
        assert_eq!(is(gone, level), Err(failed()));
        assert_eq!(is(last, level), Err(failed()));
        assert_eq!(is(after, level), Ok(()));
        assert_eq!(is(kept, level), Ok(()));
    }
    assert_eq!(before.wait(), Err(failed()));
    assert_eq!(log.text(), "position 3");
    assert_eq!(queue.stats().syncs.synced_bytes, kept.bytes() + 10);
}

/// The records of lanes, quiet ones and padding go too. A lane begins a new span afterwards.
#[test]
fn records_of_all_kinds_are_discarded() {
    let script = Script::new();
    let queue = queue_to(&script, small());
    let mut lane = queue.lane();
    lane.writen(b"kept\n", WAIT).unwrap();
    queue.flush().unwrap();
    script.fail_writes(Some(libc::EIO));
    lane.writen(b"lane\n", LATER).unwrap();
    queue.writen(b"shared\n", LATER).unwrap();
    let mut short = queue.getn(20, TRY).unwrap();
    lane.writen(b"lane again\n", LATER).unwrap();
    short.write_all(b"short\n").unwrap();
    short.post();
    assert_eq!(queue.flush(), Err(failed()));
    let (log, file) = next();
    queue.reopen_discarding(&file).unwrap().wait().unwrap();
    lane.writen(b"lane after\n", WAIT).unwrap();
    queue.writen(b"after\n", WAIT).unwrap();
    drop(lane);
    queue.flush().unwrap();
    assert_eq!(log.text(), "lane after\nafter\n");
    assert_eq!(queue.stats().discarded_bytes, 29);
    assert_accounts(&queue, 5 + 29 + 17, 29);
}

/// Returns a failed queue with a record, an open entry of 5 bytes, and another record.
fn with_open_entry<'a>(queue: &'a Queue, script: &Script) -> Entry<'a> {
    script.shut_write();
    queue.writen(b"first\n", TRY).unwrap();
    let held = queue.getn(5, TRY).unwrap();
    queue.writen(b"last\n", TRY).unwrap();
    script.fail_writes(Some(libc::EIO));
    script.open_write();
    wait_for("the failure", || queue.stats().last_error.is_some());
    held
}

#[test]
fn an_open_entry_is_waited_for_and_discarded() {
    let script = Script::new();
    let queue = queue_to(&script, small().stall_limit(Some(STALLS_SOON)));
    let mut held = with_open_entry(&queue, &script);
    let (log, file) = next();
    let reopened = queue.reopen_discarding(&file).unwrap();
    assert!(matches!(reopened.wait(), Err(Error::Held { .. })));
    assert_eq!(queue.writen(b"refused\n", TRY), Err(failed()));
    held.copy_from_slice(b"held\n");
    let position = held.post();
    reopened.wait().unwrap();
    let of_held = queue.completion(position, Level::Written);
    assert_eq!(of_held.wait(), Err(failed()));
    assert_eq!(queue.stats().discarded_records, 3);
    queue.writen(b"after\n", WAIT).unwrap();
    queue.flush().unwrap();
    assert_eq!(log.text(), "after\n");
}

/// A quiet record that is posted after the call is discarded as well: nothing else activates it.
#[test]
fn a_quiet_record_that_comes_late_is_discarded() {
    let script = Script::new();
    let queue = queue_to(&script, small());
    script.shut_write();
    queue.writen(b"first\n", TRY).unwrap();
    let mut held = queue.getn(5, TRY).unwrap();
    script.fail_writes(Some(libc::EIO));
    script.open_write();
    wait_for("the failure", || queue.stats().last_error.is_some());
    let (log, file) = next();
    let reopened = queue.reopen_discarding(&file).unwrap();
    wait_for("the first discard", || queue.stats().discarded_records == 1);
    held.copy_from_slice(b"held\n");
    held.post_flags(Flags::NOACTIVATE);
    reopened.wait().unwrap();
    queue.writen(b"after\n", WAIT).unwrap();
    queue.flush().unwrap();
    assert_eq!(log.text(), "after\n");
    assert_eq!(queue.stats().discarded_records, 2);
}

#[test]
fn without_a_failed_write_nothing_is_discarded() {
    let script = Script::new();
    script.take_at_most(0, libc::ENOSPC);
    let queue = queue_to(&script, small());
    queue.writen(b"a full disk is no failure\n", TRY).unwrap();
    wait_for("the stall", || queue.stats().stalled.is_some());
    let (log, file) = next();
    queue.reopen_discarding(&file).unwrap().wait().unwrap();
    queue.flush().unwrap();
    assert_eq!(log.text(), "a full disk is no failure\n");
    assert_eq!(queue.stats().discarded_bytes, 0);
}

#[test]
fn a_line_in_the_next_file_counts_what_was_discarded() {
    let (queue, _script) = failed_after(25, small().loss_lines(Duration::from_secs(3600)));
    let (log, file) = next();
    queue.reopen_discarding(&file).unwrap().wait().unwrap();
    queue.writen(b"after\n", WAIT).unwrap();
    queue.close(None).unwrap();
    let line = "alq: 3 records, 30 bytes dropped: discarded by a reopen\n";
    assert_eq!(log.text(), format!("{line}after\n"));
}

#[test]
fn a_close_ends_a_discard_that_waits_for_an_entry() {
    let script = Script::new();
    let queue = queue_to(&script, small().stall_limit(Some(STALLS_SOON)));
    let held = with_open_entry(&queue, &script);
    let (log, file) = next();
    let reopened = queue.reopen_discarding(&file).unwrap();
    let left = queue.close(None).unwrap_err();
    assert_eq!((left.bytes, left.abandoned), (0, 1));
    assert_eq!(reopened.wait(), Ok(()));
    assert_eq!((queue.stats().discarded_bytes, log.text().len()), (11, 0));
    drop(held);
}

/// Limits the length of the files of this process.
fn limit_files(current: Option<u64>) {
    let maximum = None;
    setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
}

/// The next process finds nothing of what was discarded, even if it was killed.
#[test]
fn a_recovery_does_not_bring_back_what_was_discarded() {
    let test = "a_recovery_does_not_bring_back_what_was_discarded";
    let ended = end_of_child(test, "", |folder| {
        let options = Options::new().capacity(4096).ring_file(folder.join("ring"));
        let queue = options.open(folder.join("log")).unwrap();
        limit_files(Some(15));
        let held = queue.getn(1, TRY).unwrap();
        for _ in 0..5 {
            queue.writen(b"discarded\n", LATER).unwrap();
        }
        drop(held);
        assert!(queue.flush().is_err());
        let next = append_to(folder.join("next"));
        queue.reopen_discarding(&next).unwrap().wait().unwrap();
        queue.writen(b"kept\n", LATER).unwrap();
        kill_process(getpid(), Signal::KILL).unwrap();
    });
    let Some(ended) = ended else { return };
    let folder = ended.folder.path();
    assert_eq!(
        std::fs::read(folder.join("log")).unwrap(),
        b"discarded\ndisca"
    );
    let options = Options::new().capacity(4096).ring_file(folder.join("ring"));
    let queue = options.open(folder.join("next")).unwrap();
    let recovery = *queue.recovery().unwrap();
    assert_eq!((recovery.bytes, recovery.possibly_repeated_bytes), (5, 0));
    queue.close(None).unwrap();
    assert_eq!(std::fs::read(folder.join("next")).unwrap(), b"kept\n");
}

/// On the same file, the part of a record that was written is put right as the framing says.
#[test]
fn the_same_file_is_continued_as_its_framing_says() {
    for (framing, expected) in [
        (Framing::Raw, "record 0.\nrecorlast one.\n"),
        (Framing::Lines, "record 0.\nrecor\nlast one.\n"),
        (Framing::Fixed(10), "record 0.\nlast one.\n"),
    ] {
        let test = "the_same_file_is_continued_as_its_framing_says";
        let part = format!("{framing:?}");
        let ended = end_of_child(test, &part, |folder| {
            limit_files(Some(15));
            let options = Options::new().capacity(4096).framing(framing);
            let queue = options.open(folder.join("log")).unwrap();
            let held = queue.getn(10, TRY).unwrap();
            for number in 0..5 {
                queue
                    .writen(&five().as_bytes()[number * 10..][..10], TRY)
                    .unwrap();
            }
            drop(held);
            assert!(queue.flush().is_err());
            limit_files(None);
            let same = append_to(folder.join("log"));
            queue.reopen_discarding(&same).unwrap().wait().unwrap();
            queue.writen(b"last one.\n", WAIT).unwrap();
            queue.close(None).unwrap();
        });
        let Some(ended) = ended else { continue };
        ended.assert_code(0);
        let log = std::fs::read(ended.folder.path().join("log")).unwrap();
        assert_eq!(String::from_utf8(log).unwrap(), expected, "{framing:?}");
    }
}

#[cfg(feature = "frames")]
#[test]
fn a_log_of_frames_has_a_gap_with_the_count() {
    use crate::common::frames;

    let test = "a_log_of_frames_has_a_gap_with_the_count";
    let ended = end_of_child(test, "", |folder| {
        limit_files(Some(150));
        let options = Options::new().framing(Framing::Checked);
        let queue = options.open(folder.join("log")).unwrap();
        let held = queue.getn(1, TRY).unwrap();
        for _ in 0..10 {
            queue.writen(b"discarded", LATER).unwrap();
        }
        drop(held);
        assert!(queue.flush().is_err());
        let written = queue.stats().written_records;
        let next = append_to(folder.join("next"));
        queue.reopen_discarding(&next).unwrap().wait().unwrap();
        assert_eq!(queue.stats().discarded_records, 10 - written);
        queue.writen(b"kept", WAIT).unwrap();
        queue.close(None).unwrap();
    });
    let Some(ended) = ended else { return };
    let folder = ended.folder.path();
    ended.assert_code(0);
    let before = frames::read(folder.join("log")).frames;
    let discarded = 10 - before.iter().filter(|frame| frame.kind == 0).count() as u64;
    let next = frames::read(folder.join("next"));
    assert_eq!(next.records(), [b"kept"]);
    let counts = [discarded, discarded * (16 + 9)]
        .map(u64::to_le_bytes)
        .concat();
    assert_eq!((next.frames[0].kind, &next.frames[0].payload), (1, &counts));
}
