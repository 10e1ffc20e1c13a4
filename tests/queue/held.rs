//! An entry that stays open delays only the drain. No other append waits for it, and every wait for
//! it ends.

use std::time::Duration;

use crate::common::{Log, STALLS_SOON, TRY, WAIT, filled, room_waits, small, spawn, wait_for};
use alq::{Entry, Error};

#[test]
fn a_held_entry_delays_only_the_drain() {
    let log = Log::new();
    let queue = log.open(small());
    let held = filled(&queue, 100, b'h');
    let mut accepted = 0_u8;
    let refusal = loop {
        match queue.writen(&[b'a' + accepted % 26; 64], TRY) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refusal, Error::WouldBlock);
    assert_eq!(
        u64::from(accepted),
        (4096 - 100) / 64,
        "every byte of the ring is used"
    );
    let stats = queue.stats();
    assert_eq!((stats.held, stats.oldest_held_bytes), (1, 100));
    assert_eq!(
        (
            stats.written_bytes,
            stats.refused_records,
            stats.refused_bytes
        ),
        (0, 1, 64)
    );
    assert_eq!(stats.posted_records, u64::from(accepted));

    held.post();
    queue.writen(b"\n", WAIT).unwrap();
    queue.close(None).unwrap();
    let mut expected = vec![b'h'; 100];
    (0..accepted).for_each(|i| expected.extend([b'a' + i % 26; 64]));
    expected.push(b'\n');
    assert!(log.bytes() == expected);
}

#[test]
fn flush_does_not_wait_for_an_entry_after_everything_posted() {
    let log = Log::new();
    let queue = log.open(small());
    queue.writen(b"before\n", TRY).unwrap();
    let held = filled(&queue, 10, b'h');
    let empty = queue.getn(5, TRY).unwrap();
    drop(empty); // 0 bytes are nothing to wait for
    queue.flush().unwrap();
    assert_eq!(log.text(), "before\n");
    held.post();
    queue.flush().unwrap();
    assert_eq!(log.text(), "before\nhhhhhhhhhh");
}

#[test]
fn flush_names_the_entry_that_it_waits_for_and_succeeds_after_its_post() {
    let log = Log::new();
    let queue = log.open(small().stall_limit(Some(STALLS_SOON)));
    let before = queue.writen(b"before\n", TRY).unwrap();
    queue.flush().unwrap();
    let held = filled(&queue, 10, b'h');
    queue.writen(b"behind\n", TRY).unwrap();
    match queue.flush() {
        Err(Error::Held { position, age }) => {
            assert_eq!(position, before, "the drain stands behind what it wrote");
            assert!(age > Duration::ZERO);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(log.text(), "before\n");
    held.post();
    queue.flush().unwrap();
    assert_eq!(log.text(), "before\nhhhhhhhhhhbehind\n");
}

#[test]
fn a_forgotten_entry_hangs_no_call_and_close_writes_what_follows_it() {
    let log = Log::new();
    let queue = log.open(small().stall_limit(Some(STALLS_SOON)));
    queue.writen(b"before\n", TRY).unwrap();
    std::mem::forget(filled(&queue, 10, b'!'));
    queue.writen(b"behind\n", TRY).unwrap();
    std::mem::forget(filled(&queue, 20, b'?'));
    let handle = queue.clone();
    let flushed = spawn(move || handle.flush()).join();
    assert!(matches!(flushed, Err(Error::Held { .. })), "{flushed:?}");

    let closer = queue.clone();
    let undrained = spawn(move || closer.close(None)).join().unwrap_err();
    assert_eq!((undrained.bytes, undrained.records), (0, 0));
    assert_eq!(undrained.abandoned, 2);
    assert!(
        matches!(undrained.cause, Error::Held { .. }),
        "{undrained:?}"
    );
    assert_eq!(log.text(), "before\nbehind\n");
    let stats = queue.stats();
    assert_eq!(
        (stats.abandoned, stats.posted_bytes, stats.written_bytes),
        (2, 14, 14)
    );
}

#[test]
fn the_drop_of_the_last_handle_writes_what_follows_a_forgotten_entry() {
    let log = Log::new();
    let queue = log.open(small().stall_limit(Some(STALLS_SOON)));
    std::mem::forget(filled(&queue, 10, b'!'));
    queue.writen(b"behind\n", TRY).unwrap();
    spawn(move || drop(queue)).join();
    assert_eq!(log.text(), "behind\n");
}

#[test]
fn an_entry_that_close_has_stepped_over_is_lost_when_it_is_posted_and_counted() {
    let log = Log::new();
    let queue = log.open(small());
    let held = filled(&queue, 10, b'!');
    queue.writen(b"behind\n", TRY).unwrap();
    let undrained = queue.close(Some(STALLS_SOON)).unwrap_err();
    assert_eq!((undrained.bytes, undrained.abandoned), (0, 1));
    held.post();
    assert_eq!(queue.close(None).unwrap_err().abandoned, 1);
    assert_eq!(log.text(), "behind\n");
    let stats = queue.stats();
    assert_eq!((stats.posted_bytes, stats.written_bytes), (17, 7));
    assert_eq!((stats.lost_bytes, stats.lost_records), (10, 1));
}

/// A writer sleeps on a full ring whose drain is blocked by a held entry: only room that is given
/// back can wake it.
fn a_sleeper_is_woken_by(give_back: impl FnOnce(Entry<'_>)) {
    let log = Log::new();
    let queue = log.open(small());
    let held = filled(&queue, 1000, b'h');
    let newest = filled(&queue, 3096, b'n');
    let writer = {
        let queue = queue.clone();
        spawn(move || queue.writen(&[b'w'; 2000], WAIT))
    };
    wait_for("the writer sleeps", || room_waits(&queue.stats()) == 1);
    assert!(writer.is_running());
    give_back(newest);
    writer.join().unwrap();
    assert_eq!(queue.stats().written_bytes, 0, "the drain has not moved");
    held.post();
    queue.close(None).unwrap();
    let bytes = log.bytes();
    assert!(bytes.starts_with(&[b'h'; 1000]) && bytes.ends_with(&[b'w'; 2000]));
    assert_eq!(queue.stats().written_bytes, bytes.len() as u64);
}

#[test]
fn a_writer_asleep_on_a_full_ring_is_woken_by_the_drop_of_the_newest_entry() {
    a_sleeper_is_woken_by(|newest| drop(newest));
}

#[test]
fn a_writer_asleep_on_a_full_ring_is_woken_by_a_short_post_of_the_newest_entry() {
    a_sleeper_is_woken_by(|mut newest| {
        newest.set_bytes_used(1000);
        newest.post();
    });
}
