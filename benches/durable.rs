//! Durable appends: threads that append a record of 100 bytes and wait until it is on disk,
//! compared with one write and one fdatasync for each record. Also measures the cost of a running
//! sync for an append that does not wait.
//!
//!     cargo bench --bench durable
//!
//! The contestants take turns, round by round, on files in the target directory's file system; each
//! file is checked after its round. A row is the median round, with the least and the greatest.

mod common;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use alq::{Flags, Level, Options, SyncOp};
use alq_measure::machine::file_system;
use alq_measure::turn::Spread;
use hdrhistogram::Histogram;

const LEN: usize = 100;
const RECORD: [u8; LEN] = [b'r'; LEN];

/// Records a thread and round, by the number of threads.
const ROUNDS: [(usize, usize); 3] = [(1, 100), (8, 50), (64, 20)];

/// Runs `append` in every thread `count` times, and says how many a second that made.
fn rate(threads: usize, count: usize, append: impl Fn() + Sync) -> f64 {
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..count).for_each(|_| append()));
        }
    });
    (threads * count) as f64 / began.elapsed().as_secs_f64()
}

fn check(path: &Path, records: usize) {
    let bytes = std::fs::read(path).expect("the file is there");
    assert_eq!(bytes.len(), records * LEN, "every record is in the file");
    assert!(bytes.iter().all(|byte| *byte == b'r'));
    std::fs::remove_file(path).expect("it is ours");
}

fn queue_round(path: &Path, threads: usize, count: usize) -> f64 {
    let queue = Options::new().open(path).expect("a new log");
    let rate = rate(threads, count, || {
        let position = queue.writen(&RECORD, Flags::WAITOK).expect("appended");
        let completion = queue.completion(position, Level::Durable);
        completion.wait().expect("durable");
    });
    queue.close(None).expect("drained");
    check(path, threads * count);
    rate
}

fn file_round(path: &Path, threads: usize, count: usize) -> f64 {
    let file = OpenOptions::new().append(true).create_new(true).open(path);
    let file = file.expect("a new file");
    let rate = rate(threads, count, || {
        (&file).write_all(&RECORD).expect("written");
        file.sync_data().expect("synced");
    });
    check(path, threads * count);
    rate
}

/// Nanoseconds an append that does not wait, with a loop of syncs beside it or without.
fn append_ns(path: &Path, count: usize, with_sync: bool) -> (Histogram<u64>, u32) {
    let queue = Options::new()
        .capacity(1 << 22)
        .open(path)
        .expect("a new log");
    let stop = AtomicBool::new(false);
    let mut times = Histogram::new(3).expect("3 digits are valid");
    let mut appended = 0;
    let syncs = thread::scope(|scope| {
        let syncer = scope.spawn(|| {
            let mut syncs = 0;
            while with_sync && !stop.load(Ordering::Relaxed) {
                let completion = queue.fsync(SyncOp::Data).expect("open");
                completion.wait().expect("durable");
                syncs += 1;
            }
            syncs
        });
        for n in 0..count {
            let began = Instant::now();
            let result = queue.writen(&RECORD, Flags::NOWAIT);
            times
                .record(began.elapsed().as_nanos() as u64)
                .expect("it grows");
            appended += usize::from(result.is_ok());
            if n % 64 == 63 {
                thread::sleep(std::time::Duration::from_micros(100)); // the ring does not fill up
            }
        }
        stop.store(true, Ordering::Relaxed);
        syncer.join().expect("it syncs")
    });
    queue.close(None).expect("drained");
    check(path, appended);
    (times, syncs)
}

fn main() {
    let rounds = common::rounds(7) as usize;
    let place = option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(place).expect("a directory");
    let path = dir.path().join("log");
    drop(File::open(dir.path()).and_then(|dir| dir.sync_all()));
    println!("on {}, {rounds} rounds", file_system(dir.path()));
    println!(
        "{:>7} {:<22} {:>10} {:>18}",
        "threads", "durable records/s", "median", "least - most"
    );
    for (threads, count) in ROUNDS {
        let mut rates: [Vec<f64>; 2] = Default::default();
        for round in 0..rounds {
            for turn in 0..2 {
                let which = (round + turn) % 2;
                let run = [queue_round, file_round][which];
                rates[which].push(run(&path, threads, count));
            }
        }
        for (name, rates) in ["queue", "write + fdatasync"].into_iter().zip(rates) {
            let Spread {
                median,
                least,
                greatest,
            } = Spread::of(rates).expect("a round");
            println!("{threads:>7} {name:<22} {median:>10.0} {least:>8.0} -{greatest:>8.0}");
        }
    }
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>7}",
        "writen(NOWAIT), ns", "p50", "p99", "p99.9", "syncs"
    );
    let mut all = [(); 2].map(|()| (Histogram::<u64>::new(3).expect("valid"), 0));
    for _ in 0..rounds {
        for (with_sync, (sum, syncs)) in [false, true].into_iter().zip(&mut all) {
            let (times, more) = append_ns(&path, 20_000, with_sync);
            sum.add(times).expect("it grows");
            *syncs += more;
        }
    }
    for (name, (times, syncs)) in ["alone", "with a loop of syncs"].into_iter().zip(all) {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|q| times.value_at_quantile(q));
        println!("{name:<22} {p50:>9} {p99:>9} {p999:>9} {syncs:>7}");
    }
}
