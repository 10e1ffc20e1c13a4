//! A fixed queue has exactly the requested number of entries, each of exactly the requested length.

use std::io::Write;
use std::time::Duration;

use crate::common::{
    Log, NEVER_STALLS, Numbers, Record, TRY, WAIT, Watched, assert_complete, parse, room_waits,
    spawn, wait_for,
};
use alq::{Entry, Error, Flags, Options, Queue};

fn fixed(entry_len: usize, count: usize) -> Options {
    Options::new()
        .fixed(entry_len, count)
        .stall_limit(Some(NEVER_STALLS))
}

/// An entry that is full of `letter`. It waits for the drain of what was posted before.
fn entry_of(queue: &Queue, letter: u8) -> Entry<'_> {
    let mut entry = queue.get(WAIT).unwrap();
    entry.fill(letter);
    entry
}

fn assert_full(queue: &Queue, entry_len: usize) {
    let record = vec![b'!'; entry_len];
    assert_eq!(queue.write_fixed(&record, TRY), Err(Error::WouldBlock));
    assert_eq!(queue.get(TRY).unwrap_err(), Error::WouldBlock);
}

fn exactly_count_may_be_outstanding(entry_len: usize, count: usize) {
    let log = Log::new();
    let queue = log.open(fixed(entry_len, count));
    assert_eq!(queue.capacity(), entry_len * count);
    assert!(queue.stats().capacity_bytes >= queue.capacity() as u64);
    let mut expected = Vec::new();
    for lap in 0..3_u8 {
        // The first one holds the drain up, so all of them stay outstanding.
        let first = entry_of(&queue, b'A' + lap);
        assert_eq!(first.len(), entry_len);
        expected.extend(vec![b'A' + lap; entry_len]);
        for i in 1..count {
            let record = vec![i as u8; entry_len];
            if i % 2 == 0 {
                queue.write_fixed(&record, WAIT).unwrap();
            } else {
                entry_of(&queue, i as u8).post();
            }
            expected.extend(record);
        }
        assert_full(&queue, entry_len);
        first.post();
        queue.flush().unwrap();
        assert_eq!(queue.stats().fill_bytes, 0);
        // Now all entries are open at the same time, and then dropped.
        let entries: Vec<_> = (0..count).map(|_| entry_of(&queue, b'?')).collect();
        assert_eq!(queue.stats().held, count as u64);
        assert_full(&queue, entry_len);
        drop(entries);
    }
    queue.close(None).unwrap();
    assert!(log.bytes() == expected, "{count} of {entry_len}");
    assert_eq!(queue.stats().written_records, 3 * count as u64);
}

#[test]
fn exactly_as_many_entries_as_asked_for_may_be_outstanding() {
    for entry_len in [1, 7, 64, 4096, 5000] {
        for count in [1, 2, 3, 5, 100] {
            exactly_count_may_be_outstanding(entry_len, count);
        }
    }
}

#[test]
fn the_whole_count_is_there_again_wherever_the_queue_stands() {
    let log = Log::new();
    let queue = log.open(fixed(64, 5));
    for round in 0..200_usize {
        // Some are posted, some are posted short, some are dropped, in any order.
        let mut entries: Vec<_> = (0..5).map(|_| entry_of(&queue, b'e')).collect();
        assert_full(&queue, 64);
        let mut numbers = Numbers::new(round);
        while !entries.is_empty() {
            let mut entry = entries.swap_remove(numbers.below(entries.len()));
            entry.set_bytes_used(numbers.below(65));
            if numbers.below(3) > 0 {
                entry.post();
            }
        }
    }
    queue.close(None).unwrap();
    assert_eq!(queue.stats().written_bytes, log.bytes().len() as u64);
}

#[test]
fn an_entry_that_is_posted_short_puts_only_its_bytes_in_the_file_and_counts_as_one() {
    let log = Log::new();
    let queue = log.open(fixed(100, 3));
    let first = entry_of(&queue, b'1');
    for text in ["two", "three"] {
        let mut entry = queue.get(TRY).unwrap();
        write!(entry, "{text}").unwrap();
        entry.post(); // the newest entry: its bytes are given back, the entry is not
    }
    assert_full(&queue, 100);
    first.post();
    queue.flush().unwrap();
    let expected = "1".repeat(100) + "twothree";
    assert_eq!(log.text(), expected);
    let stats = queue.stats();
    assert_eq!((stats.written_records, stats.written_bytes), (3, 108));
}

#[test]
fn a_writer_waits_for_an_entry_and_gets_it() {
    for ordered in [false, true] {
        let log = Log::new();
        let queue = log.open(fixed(8, 2).ordered(ordered));
        let (first, second) = (entry_of(&queue, b'1'), entry_of(&queue, b'2'));
        let handle = queue.clone();
        let writer = spawn(move || handle.write_fixed(b"33333333", WAIT));
        wait_for("it waits", || queue.stats().waits.writen_room == 1);
        let handle = queue.clone();
        let getter = spawn(move || entry_of(&handle, b'4').post());
        let waits = || queue.stats().waits;
        wait_for("it waits", || waits().getn_room + waits().getn_turn == 1);
        first.post();
        second.post();
        writer.join().unwrap();
        getter.join();
        queue.close(None).unwrap();
        let mut bytes = log.bytes();
        assert!(bytes.starts_with(b"1111111122222222"));
        if !ordered {
            bytes.sort_unstable();
        }
        assert_eq!(bytes, b"11111111222222223333333344444444");
    }
}

#[test]
fn the_calls_of_the_other_mode_are_refused() {
    let log = Log::new();
    let queue = log.open(fixed(8, 2));
    let moment = Duration::from_millis(1);
    for flags in [TRY, WAIT] {
        assert_eq!(queue.writen(b"12345678", flags), Err(Error::WrongMode));
        assert_eq!(queue.writen(b"", flags), Err(Error::WrongMode));
        assert_eq!(queue.getn(8, flags).unwrap_err(), Error::WrongMode);
        let written = queue.writen_timeout(b"12345678", flags, moment);
        assert_eq!(written, Err(Error::WrongMode));
        let entry = queue.getn_timeout(8, flags, moment);
        assert_eq!(entry.unwrap_err(), Error::WrongMode);
    }
    assert_eq!(write!(queue, "12345678"), Err(Error::WrongMode));
    assert_eq!(
        (&queue).write(b"12345678").unwrap_err().raw_os_error(),
        std::io::Error::from(Error::WrongMode).raw_os_error()
    );
    for len in [0, 1, 7, 9, 16, 4096] {
        let record = vec![b'x'; len];
        assert_eq!(
            queue.write_fixed(&record, TRY),
            Err(Error::InvalidLength { len })
        );
    }
    for flags in [Flags::empty(), TRY | WAIT] {
        let invalid = Error::InvalidFlags { flags };
        assert_eq!(queue.write_fixed(b"12345678", flags), Err(invalid.clone()));
        assert_eq!(queue.get(flags).unwrap_err(), invalid);
    }
    queue.close(None).unwrap();
    assert_eq!(log.bytes(), b"", "nothing of all that was appended");
    assert_eq!(queue.write_fixed(b"12345678", TRY), Err(Error::Closed));
    assert_eq!(queue.get(WAIT).unwrap_err(), Error::Closed);

    let variable = Log::new().open(Options::new());
    assert_eq!(variable.write_fixed(b"x", TRY), Err(Error::WrongMode));
    assert_eq!(variable.write_fixed(b"", WAIT), Err(Error::WrongMode));
    assert_eq!(variable.get(WAIT).unwrap_err(), Error::WrongMode);
    assert_eq!(variable.stats().posted_records, 0);
}

#[test]
fn a_count_of_zero_makes_a_variable_queue() {
    let log = Log::new();
    let queue = log.open(fixed(5000, 0));
    assert_eq!(queue.capacity(), 8192);
    queue.writen(b"any length\n", TRY).unwrap();
    assert_eq!(queue.get(TRY).unwrap_err(), Error::WrongMode);
    queue.close(None).unwrap();
    assert_eq!(log.text(), "any length\n");
    // The last call counts.
    assert_eq!(log.open(fixed(10, 10).fixed(1, 0)).capacity(), 4096);
    assert_eq!(log.open(fixed(10, 0).fixed(10, 10)).capacity(), 100);
}

#[test]
fn sizes_that_cannot_be_are_refused_before_the_file_is_made() {
    const GIB: usize = 1 << 30;
    let log = Log::new();
    for (entry_len, count) in [
        (0, 1),
        (0, 100),
        (0, 0),
        (2 * GIB + 1, 1),
        (GIB, 3),
        (100, GIB),
        (1, (1 << 26) + 1),
        (1, usize::MAX),
        (usize::MAX, 1),
        (usize::MAX, 2),
        (usize::MAX, usize::MAX),
        (1 << 32, 1 << 32),
        (2 * GIB + 1, 0),
    ] {
        match fixed(entry_len, count).open(log.path()).unwrap_err() {
            Error::InvalidOption { option, .. } => {
                assert_eq!(option, if count == 0 { "capacity" } else { "fixed" });
            }
            other => panic!("{entry_len} x {count}: {other:?}"),
        }
    }
    assert!(!log.path().exists());
}

#[test]
fn four_threads_append_each_record_once_over_many_laps() {
    const COUNT: u32 = 3000;
    for (len, entries) in [(24, 3), (64, 5), (200, 100)] {
        let log = Log::new();
        let queue = log.open(fixed(len, entries));
        let writer = |writer| {
            let queue = queue.clone();
            spawn(move || {
                for seq in 0..COUNT {
                    let text = Record { writer, seq, len }.text();
                    if seq % 2 == 0 {
                        queue.write_fixed(text.as_bytes(), WAIT).unwrap();
                    } else {
                        let mut entry = queue.get(WAIT).unwrap();
                        entry.copy_from_slice(text.as_bytes());
                        entry.post();
                    }
                    // Dropped entries in between change nothing.
                    drop(queue.get(TRY));
                }
            })
        };
        let writers: Vec<_> = (0..4).map(writer).collect();
        writers.into_iter().for_each(Watched::join);
        queue.close(None).unwrap();
        assert_complete(&parse(&log.bytes()), &[COUNT; 4]);
        let stats = queue.stats();
        assert_eq!(stats.posted_records, 4 * u64::from(COUNT));
        assert!(entries > 5 || room_waits(&stats) > 0);
    }
}
