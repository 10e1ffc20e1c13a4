//! Children of fork(2) append to a log while it is rotated, packed, synced and recovered: each
//! record is in the files once.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use alq::rotate::{Compression, RotatingFile, Rotation};
use alq::{Options, Queue, SyncOp};

use crate::common::fork::{End, fork, shared};
use crate::common::{Record, WAIT, assert_complete, parse, wait_for};
use crate::rotated::{BACKGROUND, Folder};

/// Memory that the parent and its children share.
struct Board {
    stop: AtomicBool,
    counts: [AtomicU32; 4],
}

fn board() -> &'static Board {
    // SAFETY: the type consists of atomics.
    #[allow(unsafe_code, reason = "memory that children share")]
    unsafe {
        shared()
    }
}

fn record(writer: usize, seq: u32) -> String {
    let len = Record::MIN_LEN + seq as usize % 100;
    Record { writer, seq, len }.text()
}

/// Appends until `stop` is set, and counts the records.
fn append(queue: &Queue, writer: usize, board: &Board) {
    let mut seq = 0;
    while !board.stop.load(Ordering::Relaxed) {
        queue.writen(record(writer, seq).as_bytes(), WAIT).unwrap();
        seq += 1;
        board.counts[writer].store(seq, Ordering::Relaxed);
    }
}

fn rotate_all_the_time(queue: &Queue, log: &RotatingFile, board: &Board) {
    let mut seq = 0;
    wait_for("appends of all children", || {
        queue.writen(record(0, seq).as_bytes(), WAIT).unwrap();
        seq += 1;
        log.rotate();
        queue.flush().unwrap();
        if seq % 8 == 0 {
            queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
        }
        let counts = &board.counts[1..];
        seq > 200
            && counts
                .iter()
                .all(|count| count.load(Ordering::Relaxed) > 500)
    });
    board.stop.store(true, Ordering::Relaxed);
    board.counts[0].store(seq, Ordering::Relaxed);
}

#[test]
fn children_lose_nothing_while_the_log_is_rotated_and_packed() {
    for form in [Compression::Gzip, Compression::Zstd, Compression::None] {
        let (folder, board) = (Folder::new(), board());
        let (log, queue) = folder.open(Rotation::new().size_bytes(2_000).compress(form));
        let children: Vec<_> = (1..4)
            .map(|writer| fork(End::AtOnce, || append(&queue, writer, board)))
            .collect();
        rotate_all_the_time(&queue, &log, board);
        children
            .into_iter()
            .for_each(crate::common::fork::Child::join);
        queue.close(None).unwrap();
        log.wait_background(BACKGROUND).unwrap();
        let counts = board
            .counts
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed));
        assert_complete(&parse(&folder.content()), &counts);
    }
}

/// The child inherited a file that was rotated and packed long ago.
#[test]
fn a_child_that_inherited_a_removed_file_appends_to_the_log() {
    let folder = Folder::new();
    let (log, queue) = folder.open(Rotation::new().compress(Compression::Gzip));
    let board = board();
    queue.writen(record(0, 0).as_bytes(), WAIT).unwrap();
    queue.flush().unwrap();
    let child = fork(End::AtOnce, || {
        while !board.stop.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        queue.writen(record(1, 0).as_bytes(), WAIT).unwrap();
        queue.writen(record(1, 1).as_bytes(), WAIT).unwrap();
    });
    for seq in 1..4 {
        log.rotate();
        log.wait_background(BACKGROUND).unwrap();
        queue.writen(record(0, seq).as_bytes(), WAIT).unwrap();
        queue.flush().unwrap();
    }
    board.stop.store(true, Ordering::Relaxed);
    child.join();
    assert_eq!(parse(folder.text().as_bytes()).len(), 3);
    assert_complete(&parse(&folder.content()), &[4, 2]);
}

/// The bytes of a child come after those that the parent has noted. A recovery compares only what
/// was noted, and the next process finds both.
#[test]
fn records_of_a_child_do_not_hinder_the_next_process() {
    let folder = Folder::new();
    let ring = folder.path().join("ring");
    let open = || {
        let log = Rotation::new().open(folder.log()).unwrap();
        let options = Options::new().ring_file(&ring);
        (log.clone(), options.open_sink(log).unwrap())
    };
    let (log, queue) = open();
    queue.writen(record(0, 0).as_bytes(), WAIT).unwrap();
    queue.flush().unwrap();
    fork(End::AtOnce, || {
        queue.writen(record(1, 0).as_bytes(), WAIT).unwrap();
        log.rotate(); // changes nothing
        queue.writen(record(1, 1).as_bytes(), WAIT).unwrap();
    })
    .join();
    queue.close(None).unwrap();
    drop((log, queue));
    let mut again = None;
    wait_for("the end of the flusher", || {
        let log = Rotation::new().open(folder.log());
        again = log.ok();
        again.is_some()
    });
    let queue = Options::new()
        .ring_file(&ring)
        .open_sink(again.unwrap())
        .unwrap();
    queue.writen(record(0, 1).as_bytes(), WAIT).unwrap();
    queue.close(None).unwrap();
    assert_complete(&parse(&folder.content()), &[2, 2]);
}
