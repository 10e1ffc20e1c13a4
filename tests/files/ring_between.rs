//! Whatever other programs do to a log between the kill of its process and the next start, no
//! posted record is missing, and possible repeats are counted.

use std::fs::{self, File};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

use crate::common::child::end_of_child;
use crate::common::torture::label::{Deadly, Failing, die};
use crate::common::{LATER, NEVER_STALLS, WAIT, append_to, fill_up, pipe, read_all, wait_for};
use alq::{FileSink, Options, Recovery, Sink, SyncOp};

const RUN: &str = "one\ntwo\nthree\n";
const BEFORE: &str = "written\n";

fn options(folder: &Path) -> Options {
    Options::new()
        .capacity(4096)
        .stall_limit(Some(NEVER_STALLS))
        .ring_file(folder.join("ring"))
}

/// Runs a process that is killed when `bytes` of its second write are in the log. `others` appends
/// directly before that write.
fn live(folder: &Path, bytes: usize, others: Option<&'static [u8]>) {
    let log = folder.join("log");
    let queue = options(folder).open(&log).unwrap();
    queue.writen(BEFORE.as_bytes(), WAIT).unwrap();
    queue.close(None).unwrap();
    drop(queue);
    let deadly = Deadly {
        file: FileSink::new(append_to(&log).into()).unwrap(),
        bytes,
        others: others.map(|bytes| (log, bytes)),
    };
    let queue = options(folder).open_sink(deadly).unwrap();
    for record in RUN.split_inclusive('\n') {
        queue.writen(record.as_bytes(), LATER).unwrap();
    }
    let _ = queue.flush();
}

/// Returns what the next process finds, and what is in the log then.
fn recover(folder: &Path) -> (Recovery, String) {
    let queue = options(folder).open(folder.join("log")).unwrap();
    let recovery = *queue.recovery().unwrap();
    queue.close(None).unwrap();
    let text = fs::read_to_string(folder.join("log")).unwrap();
    (recovery, text)
}

fn cut(log: &Path, len: u64) {
    File::options()
        .write(true)
        .open(log)
        .unwrap()
        .set_len(len)
        .unwrap();
}

/// Checks that nothing was damaged, and that this many bytes were to be written or in doubt.
#[track_caller]
fn assert_found(recovery: Recovery, already_written: usize, possibly_repeated: usize) {
    let found = (
        recovery.already_written_bytes,
        recovery.possibly_repeated_bytes,
    );
    let expected = (already_written as u64, possibly_repeated as u64);
    assert_eq!(found, expected, "{recovery:?}");
    let all = (recovery.bytes, recovery.spans, recovery.damaged_slots);
    assert_eq!(all, (RUN.len() as u64, 3, 0));
}

/// The places where the second write is cut: before its first byte, inside a record, at a record's
/// end, and after its last byte.
const CUTS: [usize; 4] = [0, 6, 8, 14];

/// Runs `between` after a kill at each of the cuts, with the folder and the number of written
/// bytes.
fn at_each_cut(test: &str, between: impl Fn(&Path, usize)) {
    for written in CUTS {
        let ended = end_of_child(test, &written.to_string(), |folder| {
            live(folder, written, None);
        });
        if let Some(ended) = ended {
            let folder = ended.folder.path();
            let text = fs::read_to_string(folder.join("log")).unwrap();
            assert_eq!(text, [BEFORE, &RUN[..written]].concat());
            between(folder, written);
        }
    }
}

#[test]
fn left_alone_it_is_completed() {
    at_each_cut("left_alone_it_is_completed", |folder, written| {
        let (recovery, text) = recover(folder);
        assert_eq!(text, [BEFORE, RUN].concat());
        assert_found(recovery, written, 0);
    });
}

#[test]
fn what_others_append_makes_a_part_doubtful_but_not_the_whole() {
    let test = "what_others_append_makes_a_part_doubtful_but_not_the_whole";
    at_each_cut(test, |folder, written| {
        append_to(folder.join("log")).write_all(b"other\n").unwrap();
        let (recovery, text) = recover(folder);
        let behind = [BEFORE, &RUN[..written], "other\n"].concat();
        if written == RUN.len() {
            assert_eq!(text, behind);
            assert_found(recovery, written, 0);
        } else {
            assert_eq!(text, [&behind, RUN].concat());
            assert_found(recovery, 0, RUN.len());
        }
    });
}

#[test]
fn what_others_append_between_the_intent_and_the_write_is_not_taken_for_ours() {
    let test = "what_others_append_between_the_intent_and_the_write_is_not_taken_for_ours";
    for written in CUTS {
        let ended = end_of_child(test, &written.to_string(), |folder| {
            live(folder, written, Some(b"other\n"));
        });
        let Some(ended) = ended else { continue };
        let (recovery, text) = recover(ended.folder.path());
        assert_eq!(text, [BEFORE, "other\n", &RUN[..written], RUN].concat());
        assert_found(recovery, 0, RUN.len());
    }
}

#[test]
fn a_log_that_is_cut_gets_back_what_was_cut_off_of_the_run() {
    let test = "a_log_that_is_cut_gets_back_what_was_cut_off_of_the_run";
    at_each_cut(test, |folder, written| {
        // To its earlier length, and into the run.
        let kept = written.saturating_sub(3);
        cut(&folder.join("log"), (BEFORE.len() + kept) as u64);
        let (recovery, text) = recover(folder);
        assert_eq!(text, [BEFORE, RUN].concat());
        assert_found(recovery, kept, 0);
    });
    at_each_cut(test, |folder, _| {
        cut(&folder.join("log"), 4);
        let (recovery, text) = recover(folder);
        assert_eq!(text, ["writ", RUN].concat());
        assert_found(recovery, 0, RUN.len());
    });
    at_each_cut(test, |folder, _| {
        // As `copytruncate` does; then another process writes more than there was.
        cut(&folder.join("log"), 0);
        append_to(folder.join("log"))
            .write_all(&[b'#'; 30])
            .unwrap();
        let (recovery, text) = recover(folder);
        assert_eq!(text, ["#".repeat(30).as_str(), RUN].concat());
        assert_found(recovery, 0, RUN.len());
    });
}

#[test]
fn a_log_that_was_renamed_leaves_the_run_to_its_successor() {
    let test = "a_log_that_was_renamed_leaves_the_run_to_its_successor";
    at_each_cut(test, |folder, written| {
        let (log, old) = (folder.join("log"), folder.join("log.1"));
        fs::rename(&log, &old).unwrap();
        let (recovery, text) = recover(folder);
        assert_eq!(text, RUN);
        assert_found(recovery, 0, RUN.len());
        let text = fs::read_to_string(old).unwrap();
        assert_eq!(text, [BEFORE, &RUN[..written]].concat());
    });
}

/// The copy holds the bytes of our log, but the fate of our log is unknown.
#[test]
fn a_copy_of_a_log_is_another() {
    at_each_cut("a_copy_of_a_log_is_another", |folder, written| {
        let (log, copy) = (folder.join("log"), folder.join("copy"));
        fs::copy(&log, &copy).unwrap();
        fs::rename(&copy, &log).unwrap();
        let (recovery, text) = recover(folder);
        assert_eq!(text, [BEFORE, &RUN[..written], RUN].concat());
        assert_found(recovery, 0, RUN.len());
    });
}

/// A file with the same inode number, and even the same bytes, is not the same file.
#[test]
fn a_number_that_comes_back_proves_nothing() {
    let test = "a_number_that_comes_back_proves_nothing";
    at_each_cut(test, |folder, written| {
        let log = folder.join("log");
        let inode = fs::metadata(&log).unwrap().ino();
        fs::remove_file(&log).unwrap();
        append_to(&log).write_all(b"another").unwrap(); // less than there was
        let again = fs::metadata(&log).unwrap().ino() == inode;
        println!("{test}: cut at {written}, the number has come back: {again}");
        let (recovery, text) = recover(folder);
        assert_eq!(text, ["another", RUN].concat());
        assert_found(recovery, 0, RUN.len());
    });
}

/// The old sink stops inside a record. The process continues in another file or in the same one,
/// and is killed.
#[test]
fn a_record_that_was_cut_before_a_reopen_is_whole_in_the_file_that_is_open_then() {
    let test = "a_record_that_was_cut_before_a_reopen_is_whole_in_the_file_that_is_open_then";
    for is_same in [false, true] {
        let name = if is_same { "log" } else { "log.2" };
        let ended = end_of_child(test, name, |folder| {
            let log = folder.join("log");
            let failing = Failing {
                file: FileSink::new(append_to(&log).into()).unwrap(),
                left: AtomicUsize::new(6),
                errno: libc::ENOSPC,
            };
            let queue = options(folder).open_sink(failing).unwrap();
            queue.writen(b"one\ntwo\n", WAIT).unwrap();
            wait_for("a cut record", || fs::metadata(&log).unwrap().len() == 6);
            queue.writen(b"three\n", LATER).unwrap();
            let reopened = queue.reopen_path(folder.join(name)).unwrap();
            reopened.wait().unwrap();
            queue.flush().unwrap();
            crate::common::wait_until_parked(&queue);
            queue.writen(b"four\n", LATER).unwrap();
            die();
        });
        let Some(ended) = ended else { continue };
        let folder = ended.folder.path();
        let queue = options(folder).open(folder.join(name)).unwrap();
        let recovery = *queue.recovery().unwrap();
        assert_eq!((recovery.bytes, recovery.possibly_repeated_bytes), (5, 0));
        queue.close(None).unwrap();
        let text = fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(text, "one\ntwo\nthree\nfour\n");
    }
}

/// Nothing shows how much a pipe or a socket has accepted. So the bytes of a tried write count as
/// in doubt, and bytes that were not tried do not. The process is killed in a write of this sink.
struct Fatal;

impl Sink for Fatal {
    fn write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        die();
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_pipe_or_a_socket_gets_what_was_posted_at_least_once() {
    let test = "a_pipe_or_a_socket_gets_what_was_posted_at_least_once";
    // A write that reported 0 bytes repeats nothing; the result of a write that did not return is
    // unknown.
    for (way, is_tried) in [
        ("pipe tried", true),
        ("pipe", false),
        ("socket tried", true),
        ("killed in a write", false),
    ] {
        let is_socket = way.starts_with("socket");
        let ended = end_of_child(test, way, |folder| {
            let post = |to: &dyn AsFd| {
                let queue = options(folder).open_fd(to.as_fd()).unwrap();
                queue.writen(RUN.as_bytes(), LATER).unwrap();
                if is_tried {
                    queue.activate();
                    wait_for("a stall", || queue.stats().stalled.is_some());
                }
                die();
            };
            if way == "killed in a write" {
                let queue = options(folder).open_sink(Fatal).unwrap();
                queue.writen(RUN.as_bytes(), WAIT).unwrap();
                let _ = queue.flush();
            } else if is_socket {
                let (mut near, _far) = UnixStream::pair().unwrap();
                near.set_nonblocking(true).unwrap();
                while near.write(&[b'#'; 4096]).is_ok() {}
                post(&near);
            } else {
                let (_reader, writer) = pipe().unwrap();
                fill_up(&writer);
                post(&writer);
            }
        });
        let Some(ended) = ended else { continue };
        let check = |to: &dyn AsFd| {
            let queue = options(ended.folder.path()).open_fd(to.as_fd()).unwrap();
            let recovery = *queue.recovery().unwrap();
            let in_doubt = way == "killed in a write";
            let doubt = if in_doubt { RUN.len() as u64 } else { 0 };
            assert_eq!(recovery.bytes, RUN.len() as u64, "{way}");
            assert_eq!(recovery.possibly_repeated_bytes, doubt, "{way}");
            queue.close(None).unwrap();
        };
        let read: Box<dyn Read + Send> = if is_socket {
            let (near, far) = UnixStream::pair().unwrap();
            check(&near);
            Box::new(far)
        } else {
            let (reader, writer) = pipe().unwrap();
            check(&writer);
            Box::new(reader)
        };
        assert_eq!(read_all(read).join(), RUN.as_bytes(), "{way}");
    }
}
