//! What an append costs its caller: bursts of 64 records of 100 bytes, with a pause of 100 us between them so that the
//! ring never fills, next to the two limits that no queue of this kind can beat, and to a ring for one producer.
//!
//!     cargo bench --bench hot_path
//!
//! The contestants take turns, some hundred bursts each, in one process; a row is the median burst divided by 64, with the 10th
//! and the 90th percentile. `line` is what a cache line takes from one core to the other and back, halved: below some
//! 50 ns the cores are near, and figures of near and far runs are not to be compared.

mod common;

use std::fs::File;
use std::hint::{black_box, spin_loop};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use alq::{Flags, Lane, Options, Queue};
use common::{line_ns, rounds};
use hdrhistogram::Histogram;

const BURST: usize = 64;
const RECORD: [u8; 100] = [b'r'; 100];
const PAUSE: Duration = Duration::from_micros(100);
const CAPACITY: usize = 1 << 20;

/// One way to append a record.
trait Append {
    fn append(&mut self, record: &[u8]);
}

/// The limit: a copy into a ring, and nothing else.
struct Copy {
    ring: Vec<u8>,
    pos: usize,
}

impl Append for Copy {
    fn append(&mut self, record: &[u8]) {
        let start = self.pos & (CAPACITY - 1);
        self.ring[start..start + record.len()].copy_from_slice(record);
        self.pos += record.len();
        black_box(&mut self.ring);
    }
}

/// The limit of a shared ring: one compare-and-swap claims, then the copy.
struct CopyAndCas {
    ring: Vec<u8>,
    head: AtomicU64,
}

impl Append for CopyAndCas {
    fn append(&mut self, record: &[u8]) {
        let len = record.len() as u64;
        let mut head = self.head.load(Ordering::Acquire);
        while let Err(now) =
            self.head
                .compare_exchange_weak(head, head + len, Ordering::AcqRel, Ordering::Acquire)
        {
            head = now;
        }
        let start = head as usize & (CAPACITY - 1);
        self.ring[start..start + record.len()].copy_from_slice(record);
        black_box(&mut self.ring);
    }
}

/// `Queue::writen`.
struct Writen(Queue);

impl Append for Writen {
    fn append(&mut self, record: &[u8]) {
        while self.0.writen(record, Flags::NOWAIT).is_err() {
            thread::yield_now(); // somebody else has both cores
        }
    }
}

/// `Queue::getn`, filled in place, and `Entry::post`.
struct GetnPost(Queue);

impl Append for GetnPost {
    fn append(&mut self, record: &[u8]) {
        let mut entry = self
            .0
            .getn(record.len(), Flags::WAITOK)
            .expect("the queue is open");
        entry.copy_from_slice(record);
        entry.post();
    }
}

/// `Lane::writen`.
struct LaneWriten(Lane);

impl Append for LaneWriten {
    fn append(&mut self, record: &[u8]) {
        while self.0.writen(record, Flags::NOWAIT).is_err() {
            thread::yield_now(); // somebody else has both cores
        }
    }
}

/// `Lane::getn`, filled in place, and `LaneEntry::post`.
struct LaneGetnPost(Lane);

impl Append for LaneGetnPost {
    fn append(&mut self, record: &[u8]) {
        let mut entry = self
            .0
            .getn(record.len(), Flags::WAITOK)
            .expect("the queue is open");
        entry.copy_from_slice(record);
        entry.post();
    }
}

/// A wait-free ring of bytes for one producer, with a thread that writes what it finds to a file.
struct Rtrb(rtrb::Producer<u8>);

impl Rtrb {
    fn start(path: &Path) -> Self {
        let mut file = File::create_new(path).expect("a new file");
        let (producer, mut consumer) = rtrb::RingBuffer::<u8>::new(CAPACITY);
        thread::spawn(move || {
            while !consumer.is_abandoned() || !consumer.is_empty() {
                let found = consumer.slots();
                if found == 0 {
                    thread::sleep(Duration::from_micros(50));
                    continue;
                }
                let chunk = consumer.read_chunk(found).expect("they are there");
                let (first, second) = chunk.as_slices();
                file.write_all(first).expect("a tmpfs takes all");
                file.write_all(second).expect("a tmpfs takes all");
                chunk.commit_all();
            }
        });
        Self(producer)
    }
}

impl Append for Rtrb {
    fn append(&mut self, record: &[u8]) {
        while self.0.push_entire_slice(record).is_err() {
            thread::yield_now();
        }
    }
}

fn main() {
    let rounds = rounds(15);
    let dir = tempfile::Builder::new()
        .prefix("alq-bench")
        .tempdir_in("/dev/shm")
        .expect("a tmpfs at /dev/shm");
    let open = |name| {
        let options = Options::new().capacity(CAPACITY);
        options.open(dir.path().join(name)).expect("a log on tmpfs")
    };
    let ring = || vec![1; CAPACITY + RECORD.len()];
    let [writen, getn, lane, lane_getn] = ["writen", "getn", "lane", "lane getn"].map(open);
    let mut contestants: Vec<(&str, Box<dyn Append>)> = vec![
        (
            "memcpy",
            Box::new(Copy {
                ring: ring(),
                pos: 0,
            }),
        ),
        (
            "memcpy + CAS",
            Box::new(CopyAndCas {
                ring: ring(),
                head: AtomicU64::new(0),
            }),
        ),
        ("writen(NOWAIT)", Box::new(Writen(writen.clone()))),
        ("getn + post", Box::new(GetnPost(getn.clone()))),
        ("rtrb", Box::new(Rtrb::start(&dir.path().join("rtrb")))),
        ("lane: writen(NOWAIT)", Box::new(LaneWriten(lane.lane()))),
        (
            "lane: getn + post",
            Box::new(LaneGetnPost(lane_getn.lane())),
        ),
    ];
    let line_before = line_ns();
    let times = measure(&mut contestants, rounds);
    let line_after = line_ns();

    for queue in [writen, getn, lane, lane_getn] {
        queue.flush().expect("a tmpfs takes all");
        let posted = rounds * (WARM_UP + BURSTS) * BURST;
        assert_eq!(
            queue.stats().written_records,
            posted as u64,
            "every record is in the file"
        );
    }
    let mut out = std::io::stdout().lock();
    let _ = report(&mut out, &contestants, &times, (line_before, line_after));
}

/// Bursts of a turn that are not counted: once round the ring, so that it is in the caches as when it is used alone.
const WARM_UP: usize = 200;

/// Bursts of a turn that are.
const BURSTS: usize = 400;

/// Picoseconds a record, one histogram a contestant.
fn measure(contestants: &mut [(&str, Box<dyn Append>)], rounds: usize) -> Vec<Histogram<u64>> {
    let histogram = || Histogram::new(3).expect("3 digits are valid");
    let mut times: Vec<_> = contestants.iter().map(|_| histogram()).collect();
    for _ in 0..rounds {
        for ((_, contestant), times) in contestants.iter_mut().zip(&mut times) {
            for burst in 0..WARM_UP + BURSTS {
                let start = Instant::now();
                for _ in 0..BURST {
                    contestant.append(black_box(&RECORD));
                }
                let elapsed = start.elapsed();
                if burst >= WARM_UP {
                    let picoseconds = elapsed.as_nanos() as u64 * 1000 / BURST as u64;
                    times.record(picoseconds).expect("it grows");
                }
                while start.elapsed() < PAUSE {
                    spin_loop();
                }
            }
        }
    }
    times
}

fn report(
    out: &mut impl Write,
    contestants: &[(&str, Box<dyn Append>)],
    times: &[Histogram<u64>],
    (before, after): (f64, f64),
) -> std::io::Result<()> {
    let ns = |picoseconds: u64| picoseconds as f64 / 1000.0;
    let [limit, rtrb] = [1, 4].map(|row| ns(times[row].value_at_quantile(0.5)));
    writeln!(out, "line: {before:.0} ns before, {after:.0} ns after")?;
    writeln!(
        out,
        "{:<22} {:>10} {:>16} {:>18} {:>8}",
        "ns a record", "median", "p10 - p90", "x (memcpy + CAS)", "x rtrb"
    )?;
    for ((name, _), times) in contestants.iter().zip(times) {
        let [low, median, high] = [0.1, 0.5, 0.9].map(|q| ns(times.value_at_quantile(q)));
        writeln!(
            out,
            "{name:<22} {median:>10.2} {low:>8.2} -{high:>6.2} {:>18.2} {:>8.2}",
            median / limit,
            median / rtrb
        )?;
    }
    Ok(())
}
