//! Sustained appends with lanes: records as fast as they go to a file on tmpfs, lossless, until all is in the file.
//!
//!     cargo bench --bench lanes
//!
//! The contestants take turns, round by round; every file is checked record by record. A row is the median round in ns a
//! record, with the least and the greatest, and its ratio to two others of the same round: a plain loop of write(2) with
//! 64 KiB blocks, which is the limit, and one lane. `line` is what a cache line takes from one core to the other and
//! back, halved: below some 50 ns the cores are near, and figures of near and far runs are not to be compared.
//!
//! `ALQ_BENCH_FENCE=1` forbids membarrier(2) to the process, and so measures the form with two fences.

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use alq::{Flags, Options, Queue};
use common::{line_ns, rounds, spread};

/// Bytes of a round, whatever the length of a record.
const TOTAL: usize = 200 << 20;

/// The ring of each contestant that has one.
const CAPACITY: usize = 1 << 20;

/// Record `seq` of `writer`: both are in it.
fn fill(record: &mut [u8], writer: usize, seq: usize) {
    record[..8].copy_from_slice(&((writer as u64) << 56 | seq as u64).to_le_bytes());
}

/// The same record again and again, but for its number.
struct Records {
    record: Vec<u8>,
    writer: usize,
    seq: usize,
}

impl Records {
    fn new(len: usize, writer: usize) -> Self {
        Self {
            record: vec![b'r'; len],
            writer,
            seq: 0,
        }
    }

    #[inline]
    fn next(&mut self) -> &[u8] {
        fill(&mut self.record, self.writer, self.seq);
        self.seq += 1;
        &self.record
    }
}

/// Fails unless the file has all records of all writers, each writer's in order.
fn check(path: &Path, len: usize, writers: usize, count: usize) {
    let bytes = fs::read(path).expect("the file is there");
    assert_eq!(
        bytes.len(),
        len * count * writers,
        "every byte is in the file"
    );
    let mut next = vec![0; writers];
    let mut expected = vec![b'r'; len];
    for record in bytes.chunks_exact(len) {
        let writer = usize::from(record[7]);
        fill(&mut expected, writer, next[writer]);
        assert!(record == expected, "record {} of {writer}", next[writer]);
        next[writer] += 1;
    }
    assert_eq!(next, vec![count; writers]);
    fs::remove_file(path).expect("it is ours");
}

/// The limit: blocks of 64 KiB, filled and written.
fn write_loop(path: &Path, len: usize, _: usize, count: usize) {
    let mut file = OpenOptions::new()
        .create_new(true)
        .append(true)
        .open(path)
        .expect("a new file");
    let mut block = Vec::with_capacity(1 << 16);
    let mut records = Records::new(len, 0);
    for _ in 0..count {
        if block.len() + len > block.capacity() {
            file.write_all(&block).expect("a tmpfs takes all");
            block.clear();
        }
        block.extend_from_slice(records.next());
    }
    file.write_all(&block).expect("a tmpfs takes all");
}

/// One producer, a wait-free ring of bytes, and a thread that writes what it finds: at most so fast is a lane to be.
fn rtrb(path: &Path, len: usize, _: usize, count: usize) {
    let mut file = OpenOptions::new()
        .create_new(true)
        .append(true)
        .open(path)
        .expect("a new file");
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u8>::new(CAPACITY);
    let drain = thread::spawn(move || {
        loop {
            let found = consumer.slots();
            if found == 0 {
                if consumer.is_abandoned() {
                    return;
                }
                thread::sleep(Duration::from_micros(20));
                continue;
            }
            let chunk = consumer.read_chunk(found).expect("they are there");
            let (first, second) = chunk.as_slices();
            file.write_all(first).expect("a tmpfs takes all");
            file.write_all(second).expect("a tmpfs takes all");
            chunk.commit_all();
        }
    });
    let mut records = Records::new(len, 0);
    for _ in 0..count {
        let record = records.next();
        while producer.push_entire_slice(record).is_err() {
            std::hint::spin_loop();
        }
    }
    drop(producer);
    drain.join().expect("it drains");
}

fn open(path: &Path) -> Queue {
    Options::new()
        .capacity(CAPACITY)
        .open(path)
        .expect("a new log")
}

/// `writers` threads that append through the queue itself.
fn shared(path: &Path, len: usize, writers: usize, count: usize) {
    let queue = open(path);
    thread::scope(|scope| {
        for writer in 0..writers {
            let queue = &queue;
            scope.spawn(move || {
                let mut records = Records::new(len, writer);
                for _ in 0..count {
                    queue
                        .writen(records.next(), Flags::WAITOK)
                        .expect("appended");
                }
            });
        }
    });
    queue.close(None).expect("drained");
}

/// `writers` threads with a lane each.
fn lanes(path: &Path, len: usize, writers: usize, count: usize) {
    let queue = open(path);
    thread::scope(|scope| {
        for writer in 0..writers {
            let mut lane = queue.lane();
            scope.spawn(move || {
                let mut records = Records::new(len, writer);
                for _ in 0..count {
                    lane.writen(records.next(), Flags::WAITOK)
                        .expect("appended");
                }
            });
        }
    });
    queue.close(None).expect("drained");
}

type Run = fn(&Path, usize, usize, usize);

/// What takes part: the name, the number of producers, the length of a record.
const CONTESTANTS: [(&str, usize, usize, Run); 12] = [
    ("write(2), 64 KiB", 1, 100, write_loop),
    ("rtrb + plain drain", 1, 100, rtrb),
    ("queue", 1, 100, shared),
    ("queue", 2, 100, shared),
    ("lane", 1, 100, lanes),
    ("lanes", 2, 100, lanes),
    ("lanes", 4, 100, lanes),
    ("write(2), 64 KiB", 1, 16, write_loop),
    ("rtrb + plain drain", 1, 16, rtrb),
    ("queue", 1, 16, shared),
    ("lane", 1, 16, lanes),
    ("lanes", 2, 16, lanes),
];

fn main() {
    let fences = if std::env::var_os("ALQ_BENCH_FENCE").is_some() {
        common::forbid_membarrier();
        "two fences"
    } else {
        "membarrier"
    };
    let rounds = rounds(7);
    let dir = tempfile::Builder::new()
        .prefix("alq-bench")
        .tempdir_in("/dev/shm")
        .expect("a tmpfs at /dev/shm");
    let path = dir.path().join("log");
    let mut times = vec![Vec::new(); CONTESTANTS.len()];
    let before = line_ns();
    for _ in 0..rounds {
        for ((_, writers, len, run), times) in CONTESTANTS.iter().zip(&mut times) {
            let count = TOTAL / len / writers;
            let began = Instant::now();
            run(&path, *len, *writers, count);
            let elapsed = began.elapsed();
            check(&path, *len, *writers, count);
            times.push(elapsed.as_nanos() as f64 / (count * writers) as f64);
        }
    }
    println!(
        "{fences}, {rounds} rounds; line: {before:.0} ns before, {:.0} ns after",
        line_ns()
    );
    println!(
        "{:>5} {:<20} {:>9} {:>10} {:>18} {:>12} {:>10}",
        "bytes", "", "producers", "ns/record", "least - most", "x write(2)", "x one lane"
    );
    for (i, (name, writers, len, _)) in CONTESTANTS.iter().enumerate() {
        let index = |wanted: &str| {
            let is_it = |c: &(&str, usize, usize, Run)| c.0 == wanted && c.2 == *len;
            CONTESTANTS
                .iter()
                .position(is_it)
                .expect("each length has one")
        };
        let ratio = |other: usize| {
            let ratios = times[i].iter().zip(&times[other]).map(|(a, b)| a / b);
            spread(ratios.collect())[0]
        };
        let [median, least, most] = spread(times[i].clone());
        println!(
            "{len:>5} {name:<20} {writers:>9} {median:>10.2} {least:>9.2} -{most:>7.2} {:>12.2} {:>10.2}",
            ratio(index("write(2), 64 KiB")),
            ratio(index("lane")),
        );
    }
}
