//! Measures the cost of a ring file for its caller: bursts of 64 records of 100 bytes, with a pause
//! of 100 us between them so that the ring never fills, with the ring in memory and in a file on
//! tmpfs and on disk. Every log is on tmpfs.
//!
//!     cargo bench --bench ring_file
//!
//! The contestants take turns, some hundred bursts each, in one process. A row is the median burst
//! divided by 64, its ratio to the ring in memory of the same round (median over the rounds), and
//! the 99th and 99.9th percentile of single calls (a stamp on each side of the call included).

mod common;

use std::hint::spin_loop;
use std::path::Path;
use std::time::{Duration, Instant};

use alq::{Flags, Options, Queue};
use alq_measure::machine::line_ns;
use alq_measure::turn::Spread;
use common::rounds;
use hdrhistogram::Histogram;

const BURST: usize = 64;
const BURSTS: usize = 300;
const WARM_UP: usize = 50;
const RECORD: [u8; 100] = [b'r'; 100];
const PAUSE: Duration = Duration::from_micros(100);

/// One queue, and the durations of its calls.
struct Contestant {
    name: &'static str,
    queue: Queue,
    /// Median burst of each round, a record of it, in ns.
    medians: Vec<f64>,
    calls: Histogram<u64>,
}

fn main() {
    let rounds = rounds(15) as usize;
    let folder = |parent: &Path| {
        let mut builder = tempfile::Builder::new();
        builder
            .prefix("alq-bench")
            .tempdir_in(parent)
            .expect("a folder")
    };
    let tmpfs = folder(Path::new("/dev/shm"));
    let disk = folder(&std::env::temp_dir());
    let open = |name: &'static str, ring: Option<&Path>| {
        let mut options = Options::new();
        if let Some(folder) = ring {
            options = options.ring_file(folder.join(name));
        }
        let log = tmpfs.path().join(format!("{name}.log"));
        Contestant {
            name,
            queue: options.open(log).expect("a log on tmpfs"),
            medians: Vec::new(),
            calls: Histogram::new(3).expect("three digits"),
        }
    };
    let mut contestants = [
        open("memory", None),
        open("file on tmpfs", Some(tmpfs.path())),
        open("file on disk", Some(disk.path())),
    ];
    let line_before = line_ns();
    for _ in 0..rounds {
        for contestant in &mut contestants {
            contestant.round();
        }
    }
    println!(
        "line: {line_before:.0} ns before, {:.0} ns after",
        line_ns()
    );
    println!(
        "{:<14} {:>22} {:>22} {:>8} {:>8}",
        "ring", "ns a record", "ratio", "p99", "p99.9"
    );
    let base = contestants[0].medians.clone();
    for Contestant {
        name,
        queue,
        medians,
        calls,
    } in contestants
    {
        queue.flush().expect("a tmpfs takes all");
        let posted = (rounds * (WARM_UP + 2 * BURSTS) * BURST) as u64;
        assert_eq!(
            queue.stats().written_records,
            posted,
            "every record is in the file"
        );
        let ratios = medians.iter().zip(&base).map(|(own, base)| own / base);
        let show = |values: Vec<f64>, digits| {
            let spread = Spread::of(values).expect("a round at least");
            let (least, most) = (spread.least, spread.greatest);
            format!(
                "{:.digits$} ({least:.digits$}-{most:.digits$})",
                spread.median
            )
        };
        println!(
            "{name:<14} {:>22} {:>22} {:>8} {:>8}",
            show(medians.clone(), 1),
            show(ratios.collect(), 2),
            calls.value_at_quantile(0.99),
            calls.value_at_quantile(0.999),
        );
    }
}

impl Contestant {
    fn round(&mut self) {
        let mut bursts = Histogram::<u64>::new(3).expect("three digits");
        for n in 0..WARM_UP + BURSTS {
            let start = Instant::now();
            for _ in 0..BURST {
                self.append();
            }
            let took = start.elapsed().as_nanos() as u64;
            if n >= WARM_UP {
                bursts.record(took).expect("in range");
            }
            pause();
        }
        self.medians
            .push(bursts.value_at_quantile(0.5) as f64 / BURST as f64);
        for _ in 0..BURSTS {
            for _ in 0..BURST {
                let start = Instant::now();
                self.append();
                let took = start.elapsed().as_nanos() as u64;
                self.calls.record(took).expect("in range");
            }
            pause();
        }
    }

    fn append(&self) {
        while self.queue.writen(&RECORD, Flags::NOWAIT).is_err() {
            std::thread::yield_now(); // other processes use both cores
        }
    }
}

fn pause() {
    let end = Instant::now() + PAUSE;
    while Instant::now() < end {
        spin_loop();
    }
}
