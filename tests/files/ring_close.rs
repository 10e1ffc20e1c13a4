//! After the end of a queue its ring file holds the records that could not be written, and nothing
//! else.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

use crate::common::torture::label::Failing;
use crate::common::{LATER, Numbers, STALLS_SOON, TRY, WAIT, append_to};
use crate::ring_folder::{open, options};
use alq::{FileSink, Flags, Queue, Recovery, SyncOp};

/// A log that accepts 6 bytes and then fails.
fn failing(folder: &Path, errno: i32) -> Queue {
    let failing = Failing {
        file: FileSink::new(append_to(folder.join("log")).into()).unwrap(),
        left: AtomicUsize::new(6),
        errno,
    };
    let options = options(folder)
        .stall_limit(Some(STALLS_SOON))
        .on_error(|_| {});
    options.open_sink(failing).unwrap()
}

#[test]
fn what_a_close_or_a_drop_has_given_up_is_written_by_the_next_queue() {
    for errno in [libc::EIO, libc::ENOSPC, libc::EAGAIN] {
        for is_closed in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let queue = failing(folder, errno);
            let mut lane = queue.lane();
            queue.writen(b"one\n", LATER).unwrap();
            queue.writen(b"two\n", LATER).unwrap();
            lane.writen(b"three\n", LATER).unwrap();
            drop(lane);
            if is_closed {
                let undrained = queue.close(None).unwrap_err();
                assert_eq!(undrained.bytes, 8, "{errno}: {undrained}");
            }
            drop(queue);
            println!("errno {errno}, closed {is_closed}");
            let queue = open(folder);
            let recovery = *queue.recovery().unwrap();
            assert_eq!((recovery.bytes, recovery.already_written_bytes), (10, 2));
            assert_eq!(
                (recovery.possibly_repeated_bytes, recovery.damaged_slots),
                (0, 0)
            );
            queue.writen(b"four\n", TRY).unwrap();
            queue.close(None).unwrap();
            let text = fs::read_to_string(folder.join("log")).unwrap();
            assert_eq!(text, "one\ntwo\nthree\nfour\n", "{errno}");
        }
    }
}

/// The close steps over reservations that are never posted, so the next queue does not see them
/// either.
#[test]
fn a_close_that_comes_to_its_end_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for has_held in [false, true] {
        let queue = options(folder)
            .stall_limit(Some(STALLS_SOON))
            .open(folder.join("log"))
            .unwrap();
        queue.writen(b"one\n", LATER).unwrap();
        let held = has_held.then(|| queue.getn(10, TRY).unwrap());
        queue.writen(b"two\n", LATER).unwrap();
        let left = queue
            .close(None)
            .map_err(|left| (left.bytes, left.abandoned));
        assert_eq!(left, if has_held { Err((0, 1)) } else { Ok(()) });
        drop(held);
        drop(queue);
        let state = alq::ring_file::inspect(folder.join("ring")).unwrap();
        assert_eq!((state.pending, state.pid), (Recovery::default(), None));
        let queue = open(folder);
        assert_eq!(queue.recovery(), Some(&Recovery::default()), "{has_held}");
    }
    let text = fs::read_to_string(folder.join("log")).unwrap();
    assert_eq!(text, "one\ntwo\n".repeat(2));
}

#[test]
fn a_ring_file_is_free_when_the_last_handle_is_dropped_whatever_was_done() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let folder = folder.path();
    let mut numbers = Numbers::new(5);
    let mut expected = 0;
    for _ in 0..200 {
        let queue = open(folder);
        assert_eq!(queue.recovery(), Some(&Recovery::default()));
        let mut lane = queue.lane();
        for _ in 0..numbers.below(20) {
            let flags = [WAIT, LATER, WAIT | Flags::NOACTIVATE][numbers.below(3)];
            let record = &b"a record\n"[..];
            match numbers.below(3) {
                0 => lane.writen(record, flags).map(drop).unwrap(),
                1 => queue.writen(record, flags).map(drop).unwrap(),
                _ => {
                    let mut entry = queue.getn(50, WAIT).unwrap();
                    entry[..9].copy_from_slice(record);
                    entry.set_bytes_used(9);
                    entry.post();
                }
            }
            expected += 9;
        }
        let other = queue.clone();
        let completion = (numbers.below(8) == 0).then(|| queue.fsync(SyncOp::Data).unwrap());
        match numbers.below(4) {
            0 => queue.close(None).unwrap(),
            1 => queue.flush().unwrap(),
            2 => drop(queue.reopen(append_to(folder.join("log")))),
            _ => {}
        }
        drop(queue);
        if numbers.below(2) == 0 {
            std::thread::spawn(move || drop(other)).join().unwrap();
            drop(lane);
        } else {
            drop((lane, other));
        }
        drop(completion);
    }
    assert_eq!(fs::metadata(folder.join("log")).unwrap().len(), expected);
}
