//! Full rings, again and again: a tiny ring in front of a pipe whose reader is slow, bursty, and stops for a while.
//!
//! Some seconds by default; `ALQ_STRESS_SECONDS` says for how long each test runs.

mod common;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use alq::{Flags, Queue};
use common::{
    Numbers, Record, TRY, WAIT, Watched, assert_complete, nonblocking, parse, pipe, room_waits,
    small, spawn,
};

fn duration() -> Duration {
    let seconds = std::env::var("ALQ_STRESS_SECONDS").map(|text| text.parse().unwrap());
    Duration::from_millis(seconds.map_or(700, |seconds: u64| seconds * 1000))
}

/// Appends records until `stop`, by all ways and flags, through the queue as `writer` and through a lane as `writer + 1`;
/// says how many each.
fn produce(queue: &Queue, writer: usize, stop: &AtomicBool) -> [u32; 2] {
    let mut numbers = Numbers::new(writer + 900);
    let mut lane = queue.lane();
    let mut seqs = [0; 2];
    while !stop.load(Ordering::Relaxed) {
        let longest = if numbers.below(50) == 0 { 4000 } else { 150 };
        let len = Record::MIN_LEN + numbers.below(longest);
        let way = numbers.below(2);
        let record = Record {
            writer: writer + way,
            seq: seqs[way],
            len,
        };
        let (text, room) = (record.text(), (len + numbers.below(300)).min(4096));
        let quiet = if numbers.below(3) == 0 {
            Flags::NOACTIVATE
        } else {
            Flags::empty()
        };
        let flags = [TRY, WAIT][numbers.below(2)] | quiet;
        let drops = numbers.below(4) == 0;
        let appended = match (way, numbers.below(2)) {
            (0, 0) => queue.writen(text.as_bytes(), flags),
            (0, _) => queue.getn(room, flags).map(|mut entry| {
                write!(entry, "{text}").unwrap();
                entry.post_flags(quiet)
            }),
            (_, 0) => lane.writen(text.as_bytes(), flags),
            (_, _) => lane.getn(room, flags).map(|mut entry| {
                write!(entry, "{text}").unwrap();
                entry.post_flags(quiet)
            }),
        };
        match appended {
            Ok(_) => seqs[way] += 1,
            // Not taken: the same number comes again.
            Err(error) => assert_eq!((error, flags.contains(TRY)), (alq::Error::WouldBlock, true)),
        }
        if drops {
            let len = 1 + numbers.below(4096);
            drop(queue.getn(len, WAIT).unwrap());
            drop(lane.getn(len, WAIT).unwrap());
        }
        if numbers.below(100) == 0 {
            lane = queue.lane();
        }
    }
    seqs
}

/// Reads in bursts, with pauses, and checks that every record is whole.
fn consume(mut reader: impl Read) -> Vec<Record> {
    let mut numbers = Numbers::new(1);
    let mut bytes = Vec::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match numbers.below(400) {
            0 => std::thread::sleep(Duration::from_millis(30)), // stops: everything before it fills up
            1..40 => std::thread::yield_now(),
            _ => {}
        }
        let longest = if numbers.below(10) == 0 {
            piece.len()
        } else {
            300
        };
        let len = 1 + numbers.below(longest);
        match reader.read(&mut piece[..len]).unwrap() {
            0 => return parse(&bytes),
            len => bytes.extend_from_slice(&piece[..len]),
        }
    }
}

fn everything_arrives(producers: usize, is_nonblocking: bool) {
    let (reader, writer) = pipe().unwrap();
    let queue = if is_nonblocking {
        small().from_fd(nonblocking(&writer)).unwrap()
    } else {
        small().from_fd(&writer).unwrap()
    };
    drop(writer);
    let reader = spawn(move || consume(reader));
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..producers)
        .map(|writer| {
            let (queue, stop) = (queue.clone(), Arc::clone(&stop));
            spawn(move || produce(&queue, 2 * writer, &stop))
        })
        .collect();
    let end = Instant::now() + duration();
    while Instant::now() < end {
        queue.flush().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    stop.store(true, Ordering::Relaxed);
    let counts: Vec<_> = writers.into_iter().flat_map(Watched::join).collect();
    queue.close(None).unwrap();
    let stats = queue.stats();
    assert!(room_waits(&stats) > 0, "the ring was never full");
    assert_eq!(
        stats.posted_records,
        counts.iter().map(|&count| u64::from(count)).sum()
    );
    assert_eq!(stats.written_bytes, stats.posted_bytes);
    drop(queue);
    assert_complete(&reader.join(), &counts);
}

#[test]
fn one_to_four_producers_lose_nothing_in_front_of_a_bursty_reader() {
    for producers in 1..=4 {
        for is_nonblocking in [false, true] {
            everything_arrives(producers, is_nonblocking);
        }
    }
}
