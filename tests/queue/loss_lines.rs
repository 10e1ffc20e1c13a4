//! With `loss_lines`, the log itself names each loss: at its place, summed up, and not too often.

use std::fs;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use crate::common::sink::{Script, queue_to};
use crate::common::{Log, TRY, WAIT, small, spawn, wait_for};
use alq::{Error, Options, Sink, SyncOp};

const RARELY: Duration = Duration::from_secs(3600);

/// The line is between the last record accepted before the loss and the first record accepted after
/// it.
#[test]
fn the_line_is_where_the_gap_is() {
    let log = Log::new();
    let queue = log.open(small().loss_lines(RARELY));
    queue.writen(b"before\n", WAIT).unwrap();
    let held = queue.getn(4000, TRY).unwrap(); // nothing after it can be written
    for len in [100, 200] {
        assert_eq!(queue.writen(&vec![b'x'; len], TRY), Err(Error::WouldBlock));
    }
    queue.writen(b"between\n", TRY).unwrap();
    drop(held);
    queue.flush().unwrap();
    queue.writen(b"after\n", WAIT).unwrap();
    queue.flush().unwrap();
    let line = "alq: 2 records, 300 bytes dropped: queue full\n";
    assert_eq!(log.text(), format!("before\n{line}between\nafter\n"));
    let stats = queue.stats();
    assert_eq!(stats.loss_line_bytes, line.len() as u64);
    assert_eq!((stats.refused_records, stats.refused_bytes), (2, 300));
    assert_eq!(
        stats.posted_bytes, stats.written_bytes,
        "the line is in no other count"
    );
}

/// Lines come at most once in the configured time. The next line, or the last one, includes the
/// losses in between.
#[test]
fn lines_do_not_flood_the_log_that_they_are_in() {
    let log = Log::new();
    let queue = log.open(small().loss_lines(RARELY));
    for i in 0..100 {
        let held = queue.getn(4096, TRY).unwrap();
        assert_eq!(queue.writen(b"lost\n", TRY), Err(Error::WouldBlock));
        drop(held);
        writeln!(queue, "record {i}").unwrap();
        queue.flush().unwrap();
    }
    queue.close(None).unwrap();
    let text = log.text();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("alq: "))
        .collect();
    assert_eq!(
        lines,
        [
            "alq: 1 record, 5 bytes dropped: queue full",
            "alq: 99 records, 495 bytes dropped: queue full",
        ]
    );
    assert_eq!(text.lines().count(), 102);
}

/// A delayed line is written when its time has come, also in a queue where nothing else happens.
#[test]
fn a_line_that_waited_comes_by_itself() {
    let log = Log::new();
    let queue = log.open(small().loss_lines(Duration::from_millis(100)));
    for lines in 1..=3 {
        let held = queue.getn(4096, TRY).unwrap();
        assert_eq!(queue.writen(b"lost\n", TRY), Err(Error::WouldBlock));
        drop(held);
        queue.activate();
        wait_for("the line", || log.text().lines().count() == lines);
    }
}

/// A sink that accepts a line in pieces, with refusals in between, gets the line whole and once.
#[test]
fn a_line_is_whole_whatever_the_sink_does() {
    let script = Script::new();
    script.fail_write(libc::EINTR);
    script.fail_write(libc::ENOSPC);
    let queue = queue_to(&script, small().loss_lines(RARELY));
    let held = queue.getn(4096, TRY).unwrap();
    assert_eq!(queue.writen(b"lost\n", TRY), Err(Error::WouldBlock));
    drop(held);
    queue.writen(b"kept\n", WAIT).unwrap();
    queue.close(None).unwrap();
    let expected = b"alq: 1 record, 5 bytes dropped: queue full\nkept\n";
    assert_eq!(script.bytes(), expected);
}

/// A sink that cuts records, as a log of whole lines does.
struct Cutting(Arc<Script>);

impl Sink for Cutting {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write(runs)
    }

    fn cuts_records(&self) -> bool {
        true
    }

    fn sync(&self, op: SyncOp) -> io::Result<()> {
        self.0.sync(op)
    }
}

/// With a sink that cuts records, no line is written before the rest of a cut record.
#[test]
fn no_line_is_inside_of_a_record_that_is_cut() {
    let script = Script::new();
    let sink = Cutting(Arc::clone(&script));
    let queue = small().loss_lines(RARELY).open_sink(sink).unwrap();
    let lose = |record: &[u8]| {
        let held = queue.getn(4096, TRY).unwrap();
        assert_eq!(queue.writen(b"lost\n", TRY), Err(Error::WouldBlock));
        drop(held);
        queue.writen(record, WAIT).unwrap();
        queue.flush().unwrap();
    };
    lose(b"one\n");
    lose(b"two\n"); // a loss that only the end of the queue reports
    let cut = script.written() + 3;
    script.take_at_most(cut, libc::ENOSPC);
    queue.writen(b"three\n", WAIT).unwrap();
    script.wait_for_bytes(cut);
    let closing = queue.clone();
    let closed = spawn(move || closing.close(None));
    wait_for("the end", || {
        matches!(queue.getn(1, TRY), Err(Error::Closed))
    });
    script.take_at_most(usize::MAX, libc::ENOSPC);
    closed.join().unwrap();
    let line = "alq: 1 record, 5 bytes dropped: queue full\n";
    // The last line also has the call that was refused while the queue closed.
    let last = "alq: 2 records, 6 bytes dropped: queue full (1), queue closed (1)\n";
    let expected = format!("{line}one\ntwo\nthree\n{last}");
    assert_eq!(String::from_utf8(script.bytes()).unwrap(), expected);
}

/// After a reopen the line is in the new file, if its place is there.
#[test]
fn a_line_goes_where_its_place_is() {
    let log = Log::new();
    let queue = log.open(small().loss_lines(RARELY));
    queue.writen(b"old\n", WAIT).unwrap();
    let moved = log.path().with_extension("1");
    fs::rename(log.path(), &moved).unwrap();
    queue.reopen_path(log.path()).unwrap().wait().unwrap();
    let held = queue.getn(4096, TRY).unwrap();
    assert_eq!(queue.writen(b"lost\n", TRY), Err(Error::WouldBlock));
    drop(held);
    queue.writen(b"new\n", WAIT).unwrap();
    queue.close(None).unwrap();
    assert_eq!(fs::read(moved).unwrap(), b"old\n");
    assert_eq!(
        log.text(),
        "alq: 1 record, 5 bytes dropped: queue full\nnew\n"
    );
}

/// All causes are in one line, also of records that never came to the ring, while the queue sleeps.
#[test]
fn a_line_names_every_cause_and_comes_by_itself() {
    let log = Log::new();
    let queue = log.open(small().loss_lines(RARELY));
    queue.writen(&[b'x'; 5000], WAIT).unwrap_err();
    let line = "alq: 1 record, 5000 bytes dropped: too large\n";
    wait_for("the line", || log.text() == line);
    let held = queue.getn(4096, TRY).unwrap();
    queue.writen(b"12345", TRY).unwrap_err();
    let soon = Duration::from_millis(1);
    queue.writen_timeout(b"123456", WAIT, soon).unwrap_err();
    drop(held);
    queue.close(None).unwrap();
    queue.writen(b"late", TRY).unwrap_err();
    let next = "alq: 2 records, 11 bytes dropped: queue full (1), waited in vain (1)\n";
    assert_eq!(log.text(), format!("{line}{next}"));
}

/// What a failed file has refused is reported in the next one.
#[test]
fn a_line_after_a_failure_is_in_the_next_file() {
    let script = Script::new();
    script.fail_writes(Some(libc::EIO));
    let queue = queue_to(&script, small().loss_lines(RARELY));
    queue.writen(b"kept\n", WAIT).unwrap();
    queue.flush().unwrap_err();
    queue.writen(b"refused\n", WAIT).unwrap_err();
    let log = Log::new();
    let next = crate::common::append_to(log.path());
    queue.reopen(next).unwrap().wait().unwrap();
    queue.close(None).unwrap();
    let line = "alq: 1 record, 8 bytes dropped: write failed\n";
    assert_eq!(log.text(), format!("kept\n{line}"));
}

fn lose_one(options: Options) -> Log {
    let log = Log::new();
    let queue = log.open(options);
    let held = queue.getn(4000, TRY).unwrap();
    assert_eq!(queue.writen(&[b'x'; 100], TRY), Err(Error::WouldBlock));
    drop(held);
    queue.close(None).unwrap();
    log
}

#[test]
fn a_line_has_the_format_of_the_log() {
    let json = |lost: &alq::Refusals| format!("{{\"lost\":{}}}\n", lost.full.records);
    let log = lose_one(small().loss_lines_with(RARELY, json));
    assert_eq!(log.text(), "{\"lost\":1}\n");
    let none = lose_one(small().loss_lines_with(RARELY, |_| ""));
    assert_eq!(none.text(), "");
    // A panic in the format leaves the plain line, and a queue that works.
    let panics = |_: &alq::Refusals| -> String { panic!("in the format") };
    let plain = lose_one(small().loss_lines_with(RARELY, panics));
    assert_eq!(
        plain.text(),
        "alq: 1 record, 100 bytes dropped: queue full\n"
    );
}

/// A line is a record like the others: with its length, or with its newline.
#[test]
fn a_line_has_the_framing_of_the_log() {
    let options = small().loss_lines_with(RARELY, |_| "lost");
    let lengths = lose_one(options.clone().framing(alq::Framing::Lengths));
    assert_eq!(lengths.bytes(), b"\x04\0\0\0lost");
    let lines = lose_one(options.clone().framing(alq::Framing::Lines));
    assert_eq!(lines.bytes(), b"lost\n");
    let fixed = options.framing(alq::Framing::Fixed(8));
    let refused = fixed.open(Log::new().path()).unwrap_err();
    assert!(matches!(
        refused,
        Error::InvalidOption {
            option: "loss_lines",
            ..
        }
    ));
}

#[test]
fn a_fixed_queue_has_no_lines() {
    let log = Log::new();
    let options = Options::new().fixed(8, 10).loss_lines(RARELY);
    let error = options.open(log.path()).unwrap_err();
    assert!(matches!(
        error,
        Error::InvalidOption {
            option: "loss_lines",
            ..
        }
    ));
    assert!(!log.path().exists());
}
