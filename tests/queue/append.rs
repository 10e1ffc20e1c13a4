//! Every appended byte is in the file once, in the order of the claims, from any number of threads.

use crate::common::{
    Log, Numbers, Record, TRY, WAIT, assert_complete, parse, small, spawn, wait_until_parked,
};
use alq::{Flags, Queue};

#[test]
fn records_of_every_length_go_round_the_ring_unchanged() {
    let log = Log::new();
    let queue = log.open(small());
    let mut expected = Vec::new();
    let mut record = Vec::with_capacity(4096);
    for len in 1..=4096_usize {
        record.clear();
        record.extend((0..len).map(|i| (len * 31 + i * 7 + i / 251) as u8));
        queue.writen(&record, WAIT).unwrap();
        expected.extend_from_slice(&record);
    }
    queue.close(None).unwrap();
    assert!(log.bytes() == expected, "the file differs");
    let stats = queue.stats();
    assert_eq!(stats.written_bytes, expected.len() as u64);
    assert_eq!((stats.written_records, stats.padding_bytes), (4096, 0));
}

#[test]
fn a_record_of_the_whole_capacity_fits_an_empty_queue_at_every_offset() {
    let log = Log::new();
    let queue = log.open(small());
    let mut expected = Vec::new();
    for round in 0..130_usize {
        let odd = vec![b'a' + (round % 26) as u8; 1 + round * 37 % 4095];
        let whole: Vec<u8> = (0..4096).map(|i| (round + i * 3) as u8).collect();
        queue.writen(&odd, TRY).unwrap();
        queue.flush().unwrap(); // empty again, and the next record starts at an odd place
        let mut entry = queue.getn(4096, TRY).unwrap();
        entry.copy_from_slice(&whole);
        entry.post();
        queue.flush().unwrap();
        expected.extend_from_slice(&odd);
        expected.extend_from_slice(&whole);
    }
    assert!(log.bytes() == expected, "the file differs");
}

/// Appends one record in one of the possible ways.
fn append(queue: &Queue, record: Record, numbers: &mut Numbers) {
    let text = record.text();
    let roomy = record.len + numbers.below(200);
    match numbers.below(5) {
        0 => drop(queue.writen(text.as_bytes(), WAIT).unwrap()),
        1 => {
            let mut entry = queue.getn(record.len, WAIT).unwrap();
            entry.copy_from_slice(text.as_bytes());
            entry.post();
        }
        2 => {
            let (first, last) = text.split_at(text.len() / 2);
            let mut entry = queue.getn(roomy, WAIT).unwrap();
            write!(entry, "{first}").unwrap();
            write!(entry, "{last}").unwrap();
            entry.post();
        }
        3 => {
            let mut entry = queue.getn(roomy, WAIT).unwrap();
            entry.fill(b'!'); // the bytes after the used ones are in no file
            entry[..text.len()].copy_from_slice(text.as_bytes());
            entry.set_bytes_used(text.len());
            entry.post_flags(Flags::NOACTIVATE);
        }
        _ => {
            let mut dropped = queue.getn(roomy, WAIT).unwrap();
            dropped.fill(b'?');
            drop(dropped);
            queue.writen(text.as_bytes(), WAIT).unwrap();
        }
    }
}

#[test]
fn four_threads_in_a_tiny_ring_append_each_record_once_whole_and_in_order() {
    const COUNT: u32 = 4000;
    let log = Log::new();
    let queue = log.open(small());
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let queue = queue.clone();
            spawn(move || {
                let mut numbers = Numbers::new(writer);
                for seq in 0..COUNT {
                    let len = Record::MIN_LEN + numbers.below(700);
                    append(&queue, Record { writer, seq, len }, &mut numbers);
                }
            })
        })
        .collect();
    writers.into_iter().for_each(crate::common::Watched::join);
    queue.close(None).unwrap();
    assert_complete(&parse(&log.bytes()), &[COUNT; 4]);
    let stats = queue.stats();
    assert_eq!(stats.posted_records, 4 * u64::from(COUNT));
    assert_eq!(stats.written_bytes, log.bytes().len() as u64);
}

#[test]
fn positions_grow_in_each_thread_and_their_order_is_that_of_the_file() {
    let log = Log::new();
    let queue = log.open(small().capacity(1 << 14));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let queue = queue.clone();
            spawn(move || {
                let mut numbers = Numbers::new(writer + 40);
                let mut posted = Vec::new();
                for seq in 0..3000 {
                    let len = Record::MIN_LEN + numbers.below(100);
                    let text = Record { writer, seq, len }.text();
                    let position = if seq % 3 == 0 {
                        let mut entry = queue.getn(len + 9, WAIT).unwrap();
                        write!(entry, "{text}").unwrap();
                        entry.post()
                    } else {
                        queue.writen(text.as_bytes(), WAIT).unwrap()
                    };
                    posted.push((position, text));
                }
                posted
            })
        })
        .collect();
    let mut all = Vec::new();
    for posted in writers.into_iter().map(crate::common::Watched::join) {
        assert!(posted.windows(2).all(|pair| pair[0].0 < pair[1].0));
        all.extend(posted);
    }
    queue.close(None).unwrap();
    all.sort_by_key(|(position, _)| position.bytes());
    let mut distinct = all.windows(2);
    assert!(distinct.all(|pair| pair[0].0.bytes() + pair[1].1.len() as u64 <= pair[1].0.bytes()));
    let expected: String = all.into_iter().map(|(_, text)| text).collect();
    assert!(log.text() == expected, "the file has another order");
}

#[test]
fn clones_come_and_go_and_the_drop_of_the_last_one_drains() {
    let log = Log::new();
    let first = log.open(small());
    let second = first.clone();
    first.writen(b"1\n", TRY).unwrap();
    drop(first);
    second.writen(b"2\n", TRY).unwrap(); // the queue stays open
    let third = second.clone();
    drop(second);
    wait_until_parked(&third); // so that only the drop can cause the last write
    third.writen(b"3\n", TRY | Flags::NOACTIVATE).unwrap();
    spawn(move || drop(third)).join(); // on a thread that never used it
    assert_eq!(log.text(), "1\n2\n3\n");
}
