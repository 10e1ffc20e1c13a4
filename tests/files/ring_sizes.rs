//! A ring file of another size, or an empty one, does not stop a start: its records are written,
//! and the ring gets the new size.

use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::common::child::end_of_child;
use crate::common::torture::label::die;
use crate::common::{LATER, NEVER_STALLS, TRY, wait_until_parked};
use alq::{Error, Options, Queue, Recovery, RingFileProblem as Problem};

fn options(ring: &Path, capacity: usize) -> Options {
    Options::new()
        .capacity(capacity)
        .stall_limit(Some(NEVER_STALLS))
        .ring_file(ring)
}

/// Fails unless the queue takes a record that fills its ring.
fn assert_works(queue: &Queue, log: &Path, before: &[u8]) {
    let record = vec![b'x'; queue.capacity()];
    queue.writen(&record, TRY).unwrap();
    queue.flush().unwrap();
    assert!(fs::read(log).unwrap() == [before, &record].concat());
}

#[test]
fn a_ring_without_a_byte_or_with_zeros_only_holds_nothing_and_is_made_anew() {
    for len in [0, 1, 8, 63, 64, 4096, 16_384, 200_000] {
        let folder = tempfile::tempdir().unwrap();
        let [ring, log] = ["ring", "log"].map(|name| folder.path().join(name));
        let file = File::create_new(&ring).unwrap();
        file.set_len(len).unwrap();
        let state = alq::ring_file::inspect(&ring).unwrap();
        assert_eq!(
            (state.capacity_bytes, state.pending),
            (0, Recovery::default())
        );
        let queue = options(&ring, 4096).open(&log).unwrap();
        assert_eq!(queue.recovery(), Some(&Recovery::default()), "{len}");
        assert_works(&queue, &log, b"");
        drop(queue);
        assert_eq!(fs::metadata(&ring).unwrap().len(), 8192 + 4096 + 4096);
        drop(options(&ring, 4096).open(&log).unwrap());
    }
}

#[test]
fn one_byte_among_the_zeros_is_not_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [ring, log] = ["ring", "log"].map(|name| folder.path().join(name));
    let mut bytes = vec![0; 100_000];
    bytes[99_999] = 1;
    fs::write(&ring, &bytes).unwrap();
    let Error::RingFile { problem, .. } = options(&ring, 4096).open(&log).unwrap_err() else {
        panic!("another error");
    };
    let begins_with = vec![0; 8];
    assert_eq!(*problem, Problem::NotARingFile { begins_with });
    assert!(fs::read(&ring).unwrap() == bytes);
}

#[test]
fn an_empty_ring_of_another_capacity_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let [ring, log] = ["ring", "log"].map(|name| folder.path().join(name));
    for capacity in [4096, 1 << 20, 8192] {
        let _ = fs::remove_file(&log);
        let queue = options(&ring, capacity).open(&log).unwrap();
        assert_eq!(queue.capacity(), capacity);
        assert_eq!(queue.recovery(), Some(&Recovery::default()));
        assert_works(&queue, &log, b"");
        queue.close(None).unwrap();
    }
    let fixed = |count| options(&folder.path().join("fixed"), 1).fixed(16, count);
    for count in [3, 100, 4] {
        let queue = fixed(count).open(&log).unwrap();
        assert_eq!(queue.capacity(), 16 * count);
    }
}

/// The records of an earlier process are in the log before the ring gets its new size: once, and
/// counted.
#[test]
fn what_a_ring_of_another_capacity_holds_is_written_first() {
    let test = "what_a_ring_of_another_capacity_holds_is_written_first";
    for capacity in [1 << 16, 4096] {
        let ended = end_of_child(test, &capacity.to_string(), |folder| {
            let queue = options(&folder.join("ring"), 8192);
            let queue = queue.open(folder.join("log")).unwrap();
            wait_until_parked(&queue);
            let _never_posted = queue.getn(10, TRY).unwrap();
            for _ in 0..100 {
                queue
                    .writen(b"left by a process that was killed\n", LATER)
                    .unwrap();
            }
            die();
        });
        let Some(ended) = ended else { continue };
        let [ring, log] = ["ring", "log"].map(|name| ended.folder.path().join(name));
        let queue = options(&ring, capacity).open(&log).unwrap();
        assert_eq!(queue.capacity(), capacity);
        let left = b"left by a process that was killed\n".repeat(100);
        let recovery = *queue.recovery().unwrap();
        let len = left.len() as u64;
        assert_eq!((recovery.bytes, recovery.drained_bytes), (len, len));
        assert_eq!((recovery.spans, recovery.skipped_entries), (100, 1));
        assert!(fs::read(&log).unwrap() == left, "before the queue opens");
        assert_eq!(queue.stats().written_bytes, 0);
        assert_works(&queue, &log, &left);
        queue.close(None).unwrap();
        drop(queue);
        let queue = options(&ring, capacity).open(&log).unwrap();
        assert_eq!(queue.recovery(), Some(&Recovery::default()), "once");
    }
}

/// A log that accepts nothing does not prevent the start: the ring keeps its old size.
#[test]
fn what_cannot_be_written_now_keeps_its_ring() {
    let test = "what_cannot_be_written_now_keeps_its_ring";
    let ended = end_of_child(test, "", |folder| {
        let queue = options(&folder.join("ring"), 8192);
        let queue = queue.open("/dev/full").unwrap();
        queue.writen(b"for later\n", TRY).unwrap();
        die();
    });
    let Some(ended) = ended else { return };
    let [ring, log] = ["ring", "log"].map(|name| ended.folder.path().join(name));
    let told = Arc::new(Mutex::new(Vec::new()));
    let errors = Arc::clone(&told);
    let queue = options(&ring, 1 << 16)
        .ring_on_disk(true)
        .stall_limit(Some(std::time::Duration::from_millis(50)))
        .on_error(move |report| errors.lock().unwrap().push(report.error.clone()))
        .open("/dev/full")
        .unwrap();
    assert_eq!(queue.capacity(), 8192);
    assert_eq!(queue.recovery().unwrap().bytes, 10);
    let is_full = |error: &Error| {
        matches!(
            error,
            Error::Stalled {
                errno: libc::ENOSPC,
                ..
            }
        )
    };
    let has_told = || told.lock().unwrap().iter().any(is_full);
    crate::common::wait_for("the reason", has_told);
    assert!(queue.close(None).is_err());
    drop(queue);
    let queue = options(&ring, 1 << 16).other_log(true).open(&log).unwrap();
    assert_eq!(queue.capacity(), 1 << 16);
    assert_eq!(fs::read(&log).unwrap(), b"for later\n");
}

#[test]
fn with_an_optional_ring_none_of_this_stops_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let [ring, log] = ["ring", "log"].map(|name| folder.path().join(name));
    drop(options(&ring, 4096).open(&log).unwrap());
    let whole = fs::read(&ring).unwrap();
    let changed = |at: usize, to: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let files: [(&str, Vec<u8>); 6] = [
        ("format version 4", changed(16, &4_u64.to_ne_bytes())),
        (
            "byte order",
            changed(8, &0x0102_0304_0506_0708_u64.swap_bytes().to_ne_bytes()),
        ),
        ("the sizes", changed(24, &[0xff])),
        ("the words of its identity", changed(384, &[0xff])),
        ("the words of its tail", changed(72, &[0xff; 8])),
        (
            "not a ring file",
            b"root:x:0:0:root:/root:/bin/sh\n".repeat(9),
        ),
    ];
    for (why, bytes) in files {
        fs::write(&ring, &bytes).unwrap();
        let error = options(&ring, 4096).open(&log).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert!(!error.contains("remove it"), "not ours to remove: {error}");
        let optional = options(&ring, 4096).ring_optional(true);
        assert_eq!(optional.open(&log).unwrap().recovery(), None, "{why}");
        assert!(fs::read(&ring).unwrap() == bytes, "left as it is");
    }
}
