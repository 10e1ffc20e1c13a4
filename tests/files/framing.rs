//! What a framing adds to the records of a queue: on every way by which a record gets into the
//! ring, and for records of all lengths.

use std::fs;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::child::{end_of_child, in_child};
use crate::common::exit::at_exit;
use crate::common::fork::{End, fork};
use crate::common::{Log, TRY, WAIT, append_to};

use alq::{Error, FileSink, Flags, Framing, FramingProblem, Options, Queue, Sink};

fn open(log: &Log, framing: Framing) -> Queue {
    log.open(Options::new().framing(framing).capacity(1 << 16))
}

/// The records of a log of lengths.
fn lengths(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let mut rest = &bytes[..];
    let mut records = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk() {
        let (record, after) = after.split_at(u32::from_le_bytes(*len) as usize);
        records.push(record.to_vec());
        rest = after;
    }
    assert!(rest.is_empty());
    records
}

/// Appends the records "a", "bb\n" and so on in every way that there is; returns them.
pub fn append_in_all_ways(queue: &Queue) -> Vec<Vec<u8>> {
    let wait = Flags::WAITOK;
    queue.writen(b"written", wait).unwrap();
    queue.writen(b"a line\n", wait).unwrap();
    let mut entry = queue.getn(9, wait).unwrap();
    assert_eq!(entry.len(), 9);
    entry.copy_from_slice(b"all of it");
    entry.post();
    let mut entry = queue.getn(100, wait).unwrap();
    write!(entry, "a part").unwrap();
    assert_eq!(
        entry.write_fmt(format_args!("{}", "x".repeat(200))),
        Err(Error::TooLarge { len: 206, max: 100 })
    );
    entry.set_bytes_used(6);
    entry.post();
    let mut entry = queue.getn(10, wait).unwrap();
    entry.set_bytes_used(0);
    entry.post(); // nothing
    drop(queue.getn(10, wait).unwrap()); // nothing
    let mut lane = queue.lane();
    lane.writen(b"in a lane", wait).unwrap();
    let mut entry = lane.getn(50, wait).unwrap();
    writeln!(entry, "its entry").unwrap();
    entry.post();
    drop(lane.getn(10, wait).unwrap());
    std::mem::forget(lane.getn(10, wait).unwrap());
    lane.writen(b"after a forgotten one", wait).unwrap();
    let long = vec![b'l'; 20_000]; // longer than a span of the lane
    lane.writen(&long, wait).unwrap();
    let mut entry = lane.getn(20_000, wait).unwrap();
    entry.fill(b'm');
    entry.post();
    std::mem::forget(lane.getn(20_000, wait).unwrap());
    lane.writen(b"after a forgotten long one", wait).unwrap();
    drop(lane);
    let mut entry = pollster::block_on(queue.reserve(20)).unwrap();
    write!(entry, "a task").unwrap();
    entry.post();
    let mut entry = queue.getn(8, wait).unwrap();
    entry.copy_from_slice(b"detached");
    queue.post_detached(entry.detach(), 5, Flags::empty());
    write!(queue, "formatted {}", 1).unwrap();
    vec![
        b"written".to_vec(),
        b"a line\n".to_vec(),
        b"all of it".to_vec(),
        b"a part".to_vec(),
        b"in a lane".to_vec(),
        b"its entry\n".to_vec(),
        b"after a forgotten one".to_vec(),
        long,
        vec![b'm'; 20_000],
        b"after a forgotten long one".to_vec(),
        b"a task".to_vec(),
        b"detac".to_vec(),
        b"formatted 1".to_vec(),
    ]
}

#[test]
fn every_record_is_a_line() {
    let log = Log::new();
    let queue = open(&log, Framing::Lines);
    let records = append_in_all_ways(&queue);
    queue.close(None).unwrap();
    let mut lines = Vec::new();
    for mut record in records {
        if !record.ends_with(b"\n") {
            record.push(b'\n');
        }
        lines.extend(record);
    }
    assert_eq!(log.bytes(), lines);
}

#[test]
fn every_record_has_its_length_before_it() {
    let log = Log::new();
    let queue = open(&log, Framing::Lengths);
    let records = append_in_all_ways(&queue);
    queue.close(None).unwrap();
    assert_eq!(lengths(&log.path()), records);
}

#[test]
fn records_of_one_length_only() {
    let log = Log::new();
    let queue = open(&log, Framing::Fixed(4));
    queue.writen(b"1234", Flags::WAITOK).unwrap();
    for len in [3, 5] {
        let refused = queue.writen(&[b'x'; 5][..len], Flags::WAITOK);
        assert_eq!(refused, Err(Error::InvalidLength { len }));
        let refused = queue.getn(len, Flags::WAITOK).map(drop);
        assert_eq!(refused, Err(Error::InvalidLength { len }));
        let refused = queue.lane().writen(&[b'x'; 5][..len], Flags::WAITOK);
        assert_eq!(refused, Err(Error::InvalidLength { len }));
    }
    let mut entry = queue.getn(4, Flags::WAITOK).unwrap();
    write!(entry, "5").unwrap();
    entry.post(); // what is not used is zeros
    let mut lane = queue.lane();
    let mut entry = lane.getn(4, Flags::WAITOK).unwrap();
    write!(entry, "67").unwrap();
    entry.post();
    drop(lane.getn(4, Flags::WAITOK).unwrap());
    queue.close(None).unwrap();
    assert_eq!(log.bytes(), b"12345\0\0\x0067\0\0");
}

#[test]
fn the_longest_record_leaves_room_for_what_the_framing_adds() {
    for (framing, added) in [
        (Framing::Raw, 0),
        (Framing::Lines, 1),
        (Framing::Lengths, 4),
        #[cfg(feature = "frames")]
        (Framing::Checked, 16),
    ] {
        let log = Log::new();
        let queue = open(&log, framing);
        let max = (1 << 16) - added;
        queue.writen(&vec![b'x'; max], Flags::WAITOK).unwrap();
        let len = max + 1;
        let too_large = Err(Error::TooLarge { len, max });
        assert_eq!(queue.writen(&vec![b'x'; len], Flags::WAITOK), too_large);
        let mut lane = queue.lane();
        assert_eq!(lane.writen(&vec![b'x'; len], Flags::WAITOK), too_large);
        assert_eq!(
            queue.getn(len, Flags::WAITOK).map(drop),
            Err(Error::TooLarge { len, max })
        );
        assert_eq!(
            queue.writen(b"", Flags::WAITOK),
            Err(Error::InvalidLength { len: 0 })
        );
    }
}

#[test]
fn a_fixed_queue_has_room_for_its_entries_with_their_framing() {
    for framing in [
        Framing::Lengths,
        Framing::Fixed(8),
        #[cfg(feature = "frames")]
        Framing::Checked,
    ] {
        let log = Log::new();
        let options = Options::new().framing(framing).fixed(8, 512);
        let queue = options.open(log.path()).unwrap();
        let held = queue.get(Flags::NOWAIT).unwrap(); // nothing drains
        for count in 1..512_u64 {
            queue
                .write_fixed(&count.to_le_bytes(), Flags::NOWAIT)
                .unwrap();
        }
        assert_eq!(queue.get(Flags::NOWAIT).unwrap_err(), Error::WouldBlock);
        drop(held);
        queue.close(None).unwrap();
    }
}

/// Opens a log that holds `before`, appends "next" and a newline, and returns what it holds then,
/// and how many torn bytes were found.
fn continued(before: &[u8], options: Options) -> (Vec<u8>, Option<u64>) {
    let log = Log::new();
    fs::write(log.path(), before).unwrap();
    let queue = options.open(log.path()).unwrap();
    queue.writen(b"next\n", Flags::WAITOK).unwrap();
    queue.close(None).unwrap();
    (log.bytes(), queue.recovery().map(|found| found.torn_bytes))
}

#[test]
fn a_torn_line_never_takes_the_next_record_with_it() {
    let lines = || Options::new().framing(Framing::Lines);
    let torn = b"{\"a\":1}\n{\"b\":2,\"torn\":";
    let ended = [&torn[..], b"\nnext\n"].concat();
    let glued = [&torn[..], b"next\n"].concat();
    assert_eq!(continued(torn, lines()), (ended.clone(), Some(14)));
    let kept = lines().end_torn_line(false);
    assert_eq!(continued(torn, kept), (glued.clone(), Some(0)));
    assert_eq!(continued(torn, Options::new()), (glued, None));
    let raw = Options::new().end_torn_line(true);
    assert_eq!(continued(torn, raw), (ended, Some(14)));
    for whole in [&b""[..], b"a line\n", b"\n"] {
        let with_next = [whole, b"next\n"].concat();
        assert_eq!(continued(whole, lines()), (with_next, Some(0)));
    }
}

#[test]
fn a_torn_record_is_cut_off() {
    let lengths = Options::new().framing(Framing::Lengths);
    let next = b"\x05\0\0\0next\n";
    let whole = b"\x03\0\0\0abc";
    let (bytes, torn) = continued(&[&whole[..], b"\x09\0\0\0torn"].concat(), lengths);
    assert_eq!(bytes, [&whole[..], next].concat());
    assert_eq!(torn, Some(8));
    let fixed = Options::new().framing(Framing::Fixed(5));
    let (bytes, torn) = continued(b"12345123", fixed);
    assert_eq!(bytes, b"12345next\n");
    assert_eq!(torn, Some(3));
}

#[test]
fn a_log_that_cannot_have_the_framing_is_refused_and_unchanged() {
    let log = Log::new();
    let damaged = b"\0\0\0\0abc";
    fs::write(log.path(), damaged).unwrap();
    let error = Options::new()
        .framing(Framing::Lengths)
        .open(log.path())
        .unwrap_err();
    let Error::Framing { target, problem } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(target.path(), Some(&*log.path()));
    assert_eq!(**problem, FramingProblem::Damaged { offset: 0 });
    assert_eq!(error.errno(), libc::EINVAL);
    assert!(error.to_string().contains("move it away"), "{error}");
    assert_eq!(log.bytes(), damaged);
    for len in [0, 1 << 33, 4097] {
        let options = Options::new().framing(Framing::Fixed(len)).capacity(4096);
        let error = options.open(log.path()).unwrap_err();
        assert!(matches!(error, Error::InvalidOption { .. }), "{error}");
    }
    let other = Options::new().framing(Framing::Fixed(7)).fixed(8, 10);
    let error = other.open(log.path()).unwrap_err();
    assert!(matches!(error, Error::InvalidOption { .. }), "{error}");
}

#[test]
fn a_descriptor_and_a_reopened_file_are_put_right_too() {
    let log = Log::new();
    fs::write(log.path(), b"torn").unwrap();
    let other = log.path().with_extension("other");
    fs::write(&other, b"also torn").unwrap();
    let lines = Options::new().framing(Framing::Lines);
    let queue = lines.open_fd(append_to(log.path())).unwrap();
    queue.writen(b"one", Flags::WAITOK).unwrap();
    queue.reopen(append_to(&other)).unwrap().wait().unwrap();
    queue.writen(b"two", Flags::WAITOK).unwrap();
    queue.reopen_path(&other).unwrap().wait().unwrap(); // the same file
    queue.writen(b"three", Flags::WAITOK).unwrap();
    queue.close(None).unwrap();
    assert_eq!(log.bytes(), b"torn\none\n");
    assert_eq!(fs::read(&other).unwrap(), b"also torn\ntwo\nthree\n");
}

/// A log on a disk that is full for the first writes.
struct Full(FileSink, AtomicU32);

impl Sink for Full {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.1.load(Ordering::Relaxed) > 0 {
            self.1.fetch_sub(1, Ordering::Relaxed);
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.0.write(runs)
    }

    fn inner(&self) -> Option<&dyn Sink> {
        Some(&self.0)
    }
}

#[test]
fn a_disk_that_is_full_at_the_start_gets_the_newline_first() {
    let log = Log::new();
    fs::write(log.path(), b"torn").unwrap();
    let file = FileSink::new(append_to(log.path()).into()).unwrap();
    let lines = Options::new().framing(Framing::Lines);
    let queue = lines.open_sink(Full(file, AtomicU32::new(3))).unwrap();
    assert_eq!(queue.recovery().unwrap().torn_bytes, 4);
    assert_eq!(log.bytes(), b"torn");
    queue.writen(b"next", WAIT).unwrap();
    queue.close(None).unwrap();
    assert_eq!(log.bytes(), b"torn\nnext\n");
}

#[test]
fn a_child_of_fork_frames_its_records_too() {
    in_child("a_child_of_fork_frames_its_records_too", || {
        for (framing, expected) in [
            (Framing::Lines, &b"parent\nchild\nentry\n"[..]),
            (
                Framing::Lengths,
                b"\x06\0\0\0parent\x05\0\0\0child\x05\0\0\0entry",
            ),
            (Framing::Fixed(6), b"parentchild\0entry\0"),
        ] {
            let log = Log::new();
            let queue = open(&log, framing);
            let record = |text: &'static [u8]| match framing {
                Framing::Fixed(_) => [text, &[0; 6][text.len()..]].concat(),
                _ => text.to_vec(),
            };
            let mut open_entry = queue.getn(6, WAIT).unwrap();
            open_entry.copy_from_slice(b"parent");
            fork(End::WithHandlers, || {
                queue.writen(&record(b"child"), WAIT).unwrap();
                let mut lane = queue.lane();
                let mut entry = lane.getn(6, WAIT).unwrap();
                write!(entry, "entry").unwrap();
                entry.post();
            })
            .join();
            open_entry.post();
            queue.close(None).unwrap();
            let mut expected = expected.to_vec();
            let parent = match framing {
                Framing::Lines => 7,
                Framing::Lengths => 10,
                _ => 6,
            };
            expected.rotate_left(parent); // the parent posts after the child
            assert_eq!(log.bytes(), expected);
        }
    });
}

#[test]
fn the_end_of_the_process_frames_its_records_too() {
    let test = "the_end_of_the_process_frames_its_records_too";
    let ended = end_of_child(test, "", |folder| {
        let queue: &'static OnceLock<Queue> = Box::leak(Box::default());
        // Registered before the queue: it runs after the drain.
        at_exit(|| {
            let queue = queue.get().unwrap();
            queue.writen(b"late", TRY).unwrap();
            let mut entry = queue.getn(10, TRY).unwrap();
            write!(entry, "later").unwrap();
            entry.post();
            let mut lane = queue.lane();
            lane.writen(b"in a lane\n", TRY).unwrap();
        });
        let options = Options::new().framing(Framing::Lines);
        let queue = queue.get_or_init(|| options.open(crate::common::exit::log(folder)).unwrap());
        queue.writen(b"posted", TRY).unwrap();
    });
    let Some(ended) = ended else { return };
    ended.assert_code(0);
    assert_eq!(ended.file("log"), b"posted\nlate\nlater\nin a lane\n");
}
