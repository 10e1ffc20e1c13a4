//! A record that was partly written when the old file failed or was full is whole in the new one.

use std::io::Read;

use crate::common::child::in_child;
use crate::common::sink::{Script, queue_to};
use crate::common::{Log, STALLS_SOON, TRY, assert_accounts, fill_up, pipe, small, wait_for};
use crate::reopen::{failed_after, five, five_records, io, moved, other, post_five};
use alq::{Error, Operation, Options};

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
