//! Each file of a log of checked frames begins with one whole header: on a pipe, in a file that is
//! empty or becomes so, after a reopen or a rotation, and on a sink that takes few bytes at a time.

use std::fs;
use std::io::{self, IoSlice, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::frames::{parse, read};
use crate::common::sink::{Script, queue_to};
use crate::common::{DEADLINE, Log, WAIT, append_to, pipe};
use crate::frames::{checked, problem};
use alq::{FramingProblem, LogEnd, Sink};

#[test]
fn a_queue_goes_on_in_an_empty_file_or_in_the_same_one_only() {
    let log = Log::new();
    let path = |name: &str| log.path().with_extension(name);
    let other = checked().open(path("other")).unwrap();
    other.writen(b"of another log", WAIT).unwrap();
    other.close(None).unwrap();
    let queue = log.open(checked());
    queue.writen(b"first", WAIT).unwrap();
    let error = queue.reopen_path(path("other")).unwrap_err();
    assert_eq!(problem(&error), FramingProblem::OtherLog);
    fs::rename(log.path(), path("1")).unwrap();
    queue.reopen_path(log.path()).unwrap().wait().unwrap();
    queue.writen(b"second", WAIT).unwrap();
    assert!(queue.reopen(append_to(path("1"))).is_err());
    queue.flush().unwrap();
    queue.reopen_path(log.path()).unwrap().wait().unwrap();
    queue.writen(b"third", WAIT).unwrap();
    queue.close(None).unwrap();
    let (first, second) = (read(path("1")), read(log.path()));
    assert_eq!(first.id, second.id);
    assert_eq!(second.first_position, 21);
    assert_eq!(second.records(), [b"second".to_vec(), b"third".to_vec()]);
    assert_eq!(first.records(), [b"first".to_vec()]);
    assert_eq!(second.frames[1].position, 21 + 22);
}

#[test]
#[cfg(feature = "rotate")]
fn every_rotated_file_has_a_header_and_the_positions_go_on() {
    use alq::rotate::Rotation;

    let log = Log::new();
    let rotation = || Rotation::new().size_bytes(4096);
    let file = rotation().open(log.path()).unwrap();
    let queue = checked().open_sink(file.clone()).unwrap();
    let mut expected = Vec::new();
    for number in 0..500 {
        let record = vec![b'r'; 20 + number % 100];
        queue.writen(&record, WAIT).unwrap();
        expected.push(record);
    }
    let long = vec![b'l'; 10_000]; // longer than a file may be
    for _ in 0..3 {
        queue.writen(&long, WAIT).unwrap();
        expected.push(long.clone());
    }
    queue.flush().unwrap();
    queue.close(None).unwrap();
    // Until its thread has ended, the log is rotated by this process.
    file.wait_background(None).unwrap();
    drop((queue, file));
    // The next queue goes on in the last file.
    let file = rotation().open(log.path()).unwrap();
    let queue = checked().open_sink(file.clone()).unwrap();
    queue.writen(b"another process", WAIT).unwrap();
    expected.push(b"another process".to_vec());
    queue.flush().unwrap();
    file.rotate();
    file.wait_background(None).unwrap();
    file.rotate(); // the new file is empty: nothing happens
    file.wait_background(None).unwrap();
    queue.writen(b"last", WAIT).unwrap();
    expected.push(b"last".to_vec());
    queue.close(None).unwrap();

    let folder = log.path().parent().unwrap().to_owned();
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = names
        .filter(|name| name.extension().is_none_or(|end| end != "lock"))
        .map(read)
        .collect();
    files.sort_by_key(|file| file.first_position);
    assert!(files.len() > 10, "{}", files.len());
    let mut records = Vec::new();
    let mut position = 0;
    for file in &files {
        assert_eq!(file.id, files[0].id);
        assert_eq!(
            file.first_position, position,
            "no file repeats or leaves out"
        );
        let (found, end) = file.records_from(position);
        assert!(!found.is_empty(), "a file without a record");
        records.extend(found);
        position = end;
    }
    assert_eq!(records, expected);
}

#[test]
fn a_pipe_gets_the_header_first() {
    let (mut reader, writer) = pipe().unwrap();
    let queue = checked().open_fd(&writer).unwrap();
    queue.writen(b"to a pipe", WAIT).unwrap();
    queue.close(None).unwrap();
    drop((queue, writer));
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    let log = Log::new();
    fs::write(log.path(), bytes).unwrap();
    assert_eq!(read(log.path()).records(), [b"to a pipe".to_vec()]);
}

#[test]
fn a_file_that_is_emptied_under_the_queue_gets_a_header_again() {
    let log = Log::new();
    let queue = log.open(checked());
    queue.writen(b"gone", WAIT).unwrap();
    queue.flush().unwrap();
    fs::File::options()
        .write(true)
        .open(log.path())
        .unwrap()
        .set_len(0)
        .unwrap();
    queue.writen(b"kept", WAIT).unwrap();
    queue.close(None).unwrap();
    let file = read(log.path());
    assert_eq!(file.first_position, 20);
    assert_eq!(file.records(), [b"kept".to_vec()]);
}

/// A log that is rotated right after the queue has asked where it ends.
#[cfg(feature = "rotate")]
struct Rotates {
    log: alq::rotate::RotatingFile,
    is_due: AtomicBool,
}

#[cfg(feature = "rotate")]
impl Sink for Rotates {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.log.write(runs)
    }

    fn inner(&self) -> Option<&dyn Sink> {
        Some(&self.log)
    }

    fn end(&self) -> Option<LogEnd> {
        let end = self.log.end();
        if self.is_due.swap(false, Ordering::Relaxed) {
            self.log.rotate();
            self.log.wait_background(Some(DEADLINE)).unwrap();
        }
        end
    }
}

#[test]
#[cfg(feature = "rotate")]
fn a_rotation_just_before_a_write_leaves_no_file_without_a_header() {
    for has_ring in [false, true] {
        let (log, folder) = (Log::new(), tempfile::tempdir_in("/dev/shm").unwrap());
        let sink = Arc::new(Rotates {
            log: alq::rotate::Rotation::new().open(log.path()).unwrap(),
            is_due: AtomicBool::new(false),
        });
        let mut options = checked();
        if has_ring {
            options = options.ring_file(folder.path().join("ring"));
        }
        let queue = options.open_sink(Arc::clone(&sink)).unwrap();
        for record in ["one", "two", "three"] {
            queue.writen(record.as_bytes(), WAIT).unwrap();
            queue.flush().unwrap();
            sink.is_due.store(true, Ordering::Relaxed);
        }
        sink.is_due.store(false, Ordering::Relaxed);
        queue.close(None).unwrap();
        assert_eq!(
            read(log.path()).records(),
            [b"three".to_vec()],
            "{has_ring}"
        );
    }
}

/// Each part of a header that is missing, over many ids of logs: no byte of an id may change how the
/// rest of the header is written.
#[test]
fn a_sink_that_takes_a_part_of_the_header_gets_the_rest_before_any_record() {
    for _ in 0..8 {
        for piece in 1..=64 {
            let script = Script::new();
            script.take_in_pieces(piece);
            let queue = queue_to(&script, checked());
            queue.writen(b"one", WAIT).unwrap();
            queue.close(None).unwrap();
            let log = parse(&script.bytes());
            assert_eq!(log.records(), [b"one".to_vec()], "{piece} bytes at a time");
        }
    }
}
