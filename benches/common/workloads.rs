//! The workloads. One turn of one contestant runs one workload, in a separate process.

use std::hint::{black_box, spin_loop};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use alq_measure::records::Records;
use hdrhistogram::Histogram;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use super::contestant::{Append, Log};
use super::stalled;

/// The figures of a turn, by name.
pub type Figures = Vec<(&'static str, f64)>;

/// The work of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    pub kind: Kind,
    pub producers: usize,
    pub len: usize,
    /// Bursts, records in all, or seconds.
    pub count: usize,
}

impl Work {
    /// So many bytes in all, as records of this length.
    pub const fn sustained(producers: usize, len: usize, bytes: usize) -> Self {
        Self {
            kind: Kind::Sustained,
            producers,
            len,
            count: bytes / len,
        }
    }

    /// One producer, records of 100 bytes.
    pub const fn alone(kind: Kind, count: usize) -> Self {
        Self {
            kind,
            producers: 1,
            len: 100,
            count,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bursts of 64 records with 100 us between them, so that no queue fills up.
    Bursts,
    /// At full speed, until all records are in the file.
    Sustained,
    /// One record a millisecond.
    Interval,
    /// One record a millisecond, with a busy process on the last core and the producer on the
    /// first.
    Busy,
    /// No appends after a few records.
    Idle,
    /// A pipe whose reader stops for a while.
    Stalled,
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Bursts,
        Self::Sustained,
        Self::Interval,
        Self::Busy,
        Self::Idle,
        Self::Stalled,
    ];

    /// The workloads that log to a file.
    pub const WITHOUT_PIPE: &'static [Self] = Self::ALL.split_at(5).0;

    pub fn name(self) -> &'static str {
        match self {
            Self::Bursts => "bursts",
            Self::Sustained => "sustained",
            Self::Interval => "interval",
            Self::Busy => "busy",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
        }
    }

    /// The figures to show, the most important first.
    pub fn figures(self) -> &'static [&'static str] {
        match self {
            Self::Bursts => &["ns", "p50", "p99", "p999", "p9999", "max"],
            Self::Sustained => &["ns", "cpu_ns", "gb_s", "peak_kib", "lost"],
            Self::Interval | Self::Busy => &["p999", "p50", "p99", "p9999", "max"],
            Self::Idle => &["wakeups_s", "cpu_ms_s"],
            Self::Stalled => &[
                "p999",
                "max",
                "full_p999",
                "full_max",
                "before_p999",
                "taken",
                "refused",
                "lost",
            ],
        }
    }

    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Runs one turn. The last figure is the number of drops that the log counts.
pub fn run<L: Log>(work: &Work, path: &Path) -> Figures {
    match work.kind {
        Kind::Bursts => bursts::<L>(work, path),
        Kind::Sustained => sustained::<L>(work, path),
        Kind::Interval => interval::<L>(work, path),
        Kind::Busy => {
            let _busy = Spinner::start();
            interval::<L>(work, path)
        }
        Kind::Idle => idle::<L>(work, path),
        Kind::Stalled => stalled::run::<L>(work, path),
    }
}

/// Records of a burst.
pub const BURST: usize = 64;

/// From one burst to the next.
const PAUSE: Duration = Duration::from_micros(100);

/// Bursts that are not counted: one lap of the ring, so that the ring is in the caches.
pub const WARM_UP: usize = 200;

/// All bursts of a turn of so many counted ones.
pub const fn all_bursts(counted: usize) -> usize {
    WARM_UP + 2 * counted
}

pub fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are valid")
}

/// A burst without the pause: `append` gets each record.
#[inline]
pub fn burst(records: &mut Records, block: &mut [u8], len: usize, append: &mut impl FnMut(&[u8])) {
    records.fill(black_box(block));
    for record in block.chunks_exact(len) {
        append(record);
    }
}

pub fn pause_from(start: Instant) {
    while start.elapsed() < PAUSE {
        spin_loop();
    }
}

/// Measures whole bursts between two time stamps, then single calls between two stamps.
fn bursts<L: Log>(work: &Work, path: &Path) -> Figures {
    let mut log = L::open(path);
    let mut producer = log.producer();
    let mut records = Records::new(work.len, 0).expect("a length of records");
    let mut block = vec![0; work.len * BURST];
    let (mut whole, mut calls) = (histogram(), histogram());
    for n in 0..WARM_UP + work.count {
        records.fill(black_box(&mut block));
        let start = Instant::now();
        for record in block.chunks_exact(work.len) {
            producer.append(record);
        }
        let took = start.elapsed().as_nanos() as u64;
        if n >= WARM_UP {
            whole.record(took).expect("it grows");
        }
        pause_from(start);
    }
    for _ in 0..work.count {
        let start = Instant::now();
        burst(&mut records, &mut block, work.len, &mut |record| {
            let start = Instant::now();
            producer.append(record);
            let took = start.elapsed().as_nanos() as u64;
            calls.record(took).expect("it grows");
        });
        pause_from(start);
    }
    drop(producer);
    let counted = log.finish();
    let mut figures = vec![("ns", whole.value_at_quantile(0.5) as f64 / BURST as f64)];
    figures.extend(percentiles(&calls));
    figures.push(("counted", counted as f64));
    figures
}

pub fn percentiles(calls: &Histogram<u64>) -> [(&'static str, f64); 5] {
    let at = |q| calls.value_at_quantile(q) as f64;
    [
        ("p50", at(0.5)),
        ("p99", at(0.99)),
        ("p999", at(0.999)),
        ("p9999", at(0.9999)),
        ("max", calls.max() as f64),
    ]
}

fn sustained<L: Log>(work: &Work, path: &Path) -> Figures {
    let mut log = L::open(path);
    let producers: Vec<_> = (0..work.producers).map(|_| log.producer()).collect();
    let count = work.count / work.producers;
    let (cpu, start) = (cpu_ns(), Instant::now());
    let append = |writer, mut producer: L::Producer| {
        let mut records = Records::new(work.len, writer).expect("few writers");
        for _ in 0..count {
            producer.append(records.next());
        }
    };
    thread::scope(|scope| {
        let mut producers = producers.into_iter().enumerate();
        let (_, first) = producers.next().expect("one producer at least");
        for (writer, producer) in producers {
            scope.spawn(move || append(writer, producer));
        }
        append(0, first);
    });
    let counted = log.finish();
    let ns = start.elapsed().as_nanos() as f64;
    let cpu = cpu_ns() - cpu;
    let records = (count * work.producers) as f64;
    vec![
        ("ns", ns / records),
        ("cpu_ns", cpu / records),
        ("gb_s", records * work.len as f64 / ns),
        ("peak_kib", peak_kib()),
        ("counted", counted as f64),
    ]
}

/// The CPU time of all threads of the process so far.
fn cpu_ns() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 * 1e9 + used.tv_nsec as f64
}

/// The most that was resident at once. Source: `proc_pid_status(5)`.
fn peak_kib() -> f64 {
    status_field("/proc/self/status", "VmHWM:")
}

fn status_field(path: &str, name: &str) -> f64 {
    let status = std::fs::read_to_string(path).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0.0)
}

fn interval<L: Log>(work: &Work, path: &Path) -> Figures {
    let mut log = L::open(path);
    let mut producer = log.producer();
    let mut records = Records::new(work.len, 0).expect("a length of records");
    let mut calls = histogram();
    if work.kind == Kind::Busy {
        pin(0); // this thread only: the log has its own already
    }
    let began = Instant::now();
    for n in 0..work.count {
        let due = began + Duration::from_millis(n as u64 + 1);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let record = records.next();
        let start = Instant::now();
        producer.append(record);
        calls
            .record(start.elapsed().as_nanos() as u64)
            .expect("it grows");
    }
    drop(producer);
    let counted = log.finish();
    let mut figures = percentiles(&calls).to_vec();
    figures.push(("counted", counted as f64));
    figures
}

/// Records before the silence of [`Kind::Idle`].
pub const BEFORE_IDLE: usize = 1000;

/// Measures the other threads while this one sleeps. Source: `proc_pid_status(5)`, a context switch
/// is a wake-up.
fn idle<L: Log>(work: &Work, path: &Path) -> Figures {
    let switches = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("proc is mounted");
        let paths = tasks.flatten().map(|task| task.path().join("status"));
        let of = |path: std::path::PathBuf| {
            let path = path.to_str().expect("digits");
            status_field(path, "voluntary_ctxt_switches:")
                + status_field(path, "nonvoluntary_ctxt_switches:")
        };
        paths.map(of).sum::<f64>()
    };
    let mut log = L::open(path);
    let mut producer = log.producer();
    let mut records = Records::new(work.len, 0).expect("a length of records");
    (0..BEFORE_IDLE).for_each(|_| producer.append(records.next()));
    thread::sleep(Duration::from_secs(1)); // what is pending is written
    let (woken, cpu) = (switches(), cpu_ns());
    thread::sleep(Duration::from_secs(work.count as u64));
    let cpu = cpu_ns() - cpu;
    let woken = switches() - woken - 1.0; // one is ours
    drop(producer);
    let counted = log.finish();
    let seconds = work.count as f64;
    vec![
        ("wakeups_s", woken.max(0.0) / seconds),
        ("cpu_ms_s", cpu / 1e6 / seconds),
        ("counted", counted as f64),
    ]
}

/// A process on the last core that never sleeps, until this value is dropped.
struct Spinner(Child);

impl Spinner {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program).arg("--spin").spawn();
        Self(child.expect("it starts"))
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ended");
    }
}

/// Runs that process.
pub fn spin() -> ! {
    pin(thread::available_parallelism().map_or(1, usize::from) - 1);
    let parent = rustix::process::getppid();
    loop {
        (0..1_000_000).for_each(|_| spin_loop());
        if rustix::process::getppid() != parent {
            std::process::exit(1); // the parent has ended
        }
    }
}

/// Binds this thread, and the threads that it starts later, to one core.
fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    // If the machine does not allow it, the benchmark runs without.
    let _ = sched_setaffinity(None, &set);
}
