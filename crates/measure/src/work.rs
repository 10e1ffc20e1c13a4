//! The workloads. One turn of one contestant runs one workload, in a separate process.

use std::collections::BTreeMap;
use std::fs;
use std::hint::{black_box, spin_loop};
use std::io;
use std::path::Path;
use std::process::{Child, Command, exit};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::contestant::{Append, Log};
use crate::records::Records;
use crate::stalled;

/// The work of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// What the producers do.
    pub kind: Kind,
    /// How many threads append.
    pub producers: usize,
    /// The length of a record in bytes.
    pub len: usize,
    /// How much of it: see [`Kind`].
    pub count: usize,
}

impl Work {
    /// So many bytes in all, as records of this length.
    pub const fn sustained(producers: usize, len: usize, bytes: usize) -> Self {
        Self {
            kind: Kind::Sustained,
            producers,
            len,
            count: bytes / len / producers,
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

    /// The number of records of each producer that a log holds at the end. `None` if the number
    /// depends on the time that a call takes.
    pub fn records(&self) -> Option<u64> {
        match self.kind {
            Kind::Bursts => Some(((WARM_UP + 2 * self.count) * BURST) as u64),
            Kind::Sustained | Kind::Interval | Kind::Busy => Some(self.count as u64),
            Kind::Idle => Some(BEFORE_IDLE),
            Kind::Stalled => None,
        }
    }
}

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Bursts of 64 records with 100 us between them, so that no queue fills up. The count is the
    /// number of bursts.
    Bursts,
    /// As fast as possible, until the kernel has all records. The count is the number of records
    /// per producer.
    Sustained,
    /// One record a millisecond. The count is the number of records.
    Interval,
    /// One record a millisecond, with a busy process on the last core and the producer on the
    /// first. The count is the number of records.
    Busy,
    /// No appends after a few records. The count is in milliseconds.
    Idle,
    /// A pipe whose reader stops for a while; appends do not wait. The count is in milliseconds.
    Stalled,
}

impl Kind {
    /// All workloads.
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

    /// The name in JSON.
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

    /// Returns the workload with this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The result of a turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The figures by name.
    pub figures: BTreeMap<String, f64>,
    /// How long calls take, in ns, at each of [`QUANTILES`] that so many calls have; empty if calls
    /// were not timed.
    pub curve_ns: Vec<f64>,
}

impl Measured {
    /// The figures with these names.
    pub fn of<const N: usize>(figures: [(&str, f64); N]) -> Self {
        let mut measured = Self::default();
        measured.add(figures);
        measured
    }

    /// Adds figures.
    pub fn add<const N: usize>(&mut self, figures: [(&str, f64); N]) {
        let named = figures.map(|(name, value)| (name.to_owned(), value));
        self.figures.extend(named);
    }

    /// The percentiles and the curve of single calls.
    pub fn of_calls(calls: &Histogram<u64>) -> Self {
        let at = |quantile| calls.value_at_quantile(quantile) as f64;
        // A curve ends at the last quantile that has a call beyond it.
        let beyond = |quantile: &&f64| (1.0 - **quantile) * calls.len() as f64 >= 0.999;
        let quantiles = QUANTILES.iter().take_while(beyond);
        let curve_ns = quantiles.map(|quantile| at(*quantile)).collect();
        let mut measured = Self::of([
            ("p50", at(0.5)),
            ("p99", at(0.99)),
            ("p999", at(0.999)),
            ("p9999", at(0.9999)),
            ("max", calls.max() as f64),
        ]);
        measured.curve_ns = curve_ns;
        measured
    }
}

/// The quantiles of the points of a curve.
pub const QUANTILES: [f64; 16] = [
    0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999, 0.9995, 0.9998, 0.9999,
    0.99995, 0.99999,
];

/// Runs one turn. The figure `counted` is the number of drops that the log counts.
///
/// # Errors
///
/// If the log fails, or if the machine lacks something that the workload needs.
pub fn run<L: Log>(work: &Work, path: &Path) -> Outcome<Measured> {
    match work.kind {
        Kind::Bursts => bursts::<L>(work, path),
        Kind::Sustained => sustained::<L>(work, path),
        Kind::Interval => interval::<L>(work, path),
        Kind::Busy => {
            let _busy = Spinner::start()?;
            interval::<L>(work, path)
        }
        Kind::Idle => idle::<L>(work, path),
        Kind::Stalled => stalled::run::<L>(work, path),
    }
}

/// The number of records of a burst.
pub const BURST: usize = 64;

/// The time from the start of one burst to the next.
pub const PAUSE: Duration = Duration::from_micros(100);

/// The number of bursts before the counted ones: one lap of the ring, so that it is in the caches.
const WARM_UP: usize = 200;

/// The number of records before the silence of [`Kind::Idle`].
const BEFORE_IDLE: u64 = 1000;

pub(crate) fn histogram() -> Outcome<Histogram<u64>> {
    Ok(Histogram::new(3)?)
}

pub(crate) fn ns_since(start: Instant) -> u64 {
    start.elapsed().as_nanos() as u64
}

pub(crate) fn pause_from(start: Instant) {
    while start.elapsed() < PAUSE {
        spin_loop();
    }
}

/// Ends the producer, then the log. Returns the number of drops that the log counts.
pub(crate) fn end<L: Log>(mut producer: L::Producer, log: L) -> Outcome<f64> {
    producer.end()?;
    drop(producer);
    Ok(log.finish()? as f64)
}

/// Measures whole bursts between two time stamps, then single calls between two stamps.
fn bursts<L: Log>(work: &Work, path: &Path) -> Outcome<Measured> {
    let mut log = L::open(path)?;
    let mut producer = log.producer()?;
    let mut records = Records::new(work.len, 0)?;
    let mut block = vec![0; work.len * BURST];
    let (mut whole, mut calls) = (histogram()?, histogram()?);
    for n in 0..WARM_UP + work.count {
        records.fill(black_box(&mut block));
        let start = Instant::now();
        for record in block.chunks_exact(work.len) {
            producer.append(record)?;
        }
        let took = ns_since(start);
        if n >= WARM_UP {
            whole.record(took)?;
        }
        pause_from(start);
    }
    for _ in 0..work.count {
        records.fill(black_box(&mut block));
        let burst = Instant::now();
        for record in block.chunks_exact(work.len) {
            let start = Instant::now();
            producer.append(record)?;
            calls.record(ns_since(start))?;
        }
        pause_from(burst);
    }
    let counted = end(producer, log)?;
    let mut measured = Measured::of_calls(&calls);
    let ns = whole.value_at_quantile(0.5) as f64 / BURST as f64;
    measured.add([("ns", ns), ("counted", counted)]);
    Ok(measured)
}

/// Measures from the first record until the kernel has everything.
fn sustained<L: Log>(work: &Work, path: &Path) -> Outcome<Measured> {
    let mut log = L::open(path)?;
    let producers: Outcome<Vec<_>> = (0..work.producers).map(|_| log.producer()).collect();
    let all_there = Barrier::new(work.producers + 1);
    let append = |writer, mut producer: L::Producer| {
        let records = Records::new(work.len, writer);
        all_there.wait();
        let mut records = records?;
        for _ in 0..work.count {
            producer.append(records.next())?;
        }
        Outcome::Ok(producer.end()?)
    };
    let (start, cpu) = thread::scope(|scope| {
        let append = &append;
        let threads: Vec<_> = (producers?.into_iter().enumerate())
            .map(|(writer, producer)| scope.spawn(move || append(writer, producer)))
            .collect();
        // Before the barrier opens: this thread may be the last to run again.
        let started = (Instant::now(), cpu_ns());
        all_there.wait();
        for thread in threads {
            thread.join().map_err(|_| "a producer panicked")??;
        }
        Outcome::Ok(started)
    })?;
    let counted = log.finish()?;
    let ns = ns_since(start) as f64;
    let records = (work.count * work.producers) as f64;
    Ok(Measured::of([
        ("gb_s", records * work.len as f64 / ns),
        ("ns", ns / records),
        ("cpu_ns", (cpu_ns() - cpu) / records),
        ("peak_kib", peak_kib()),
        ("counted", counted as f64),
    ]))
}

/// The CPU time of all threads of the process so far.
fn cpu_ns() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 * 1e9 + used.tv_nsec as f64
}

/// The most memory that was resident at once. Source: `proc_pid_status(5)`.
fn peak_kib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0.0)
}

/// Measures single calls, one in each millisecond.
fn interval<L: Log>(work: &Work, path: &Path) -> Outcome<Measured> {
    let mut log = L::open(path)?;
    let mut producer = log.producer()?;
    let mut records = Records::new(work.len, 0)?;
    let mut calls = histogram()?;
    if work.kind == Kind::Busy {
        pin(0); // this thread only: the threads of the log exist already
    }
    let began = Instant::now();
    for n in 0..work.count {
        let due = began + Duration::from_millis(n as u64 + 1);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let record = records.next();
        let start = Instant::now();
        producer.append(record)?;
        calls.record(ns_since(start))?;
    }
    let counted = end(producer, log)?;
    let mut measured = Measured::of_calls(&calls);
    measured.add([("counted", counted)]);
    Ok(measured)
}

/// Measures the wake-ups and the CPU time of the other threads while this one sleeps.
fn idle<L: Log>(work: &Work, path: &Path) -> Outcome<Measured> {
    const SETTLING: Duration = Duration::from_secs(1); // by then, pending records are written
    let mut log = L::open(path)?;
    let mut producer = log.producer()?;
    let mut records = Records::new(work.len, 0)?;
    for _ in 0..BEFORE_IDLE {
        producer.append(records.next())?;
    }
    thread::sleep(SETTLING);
    let (woken, cpu, start) = (switches_of_others()?, cpu_ns(), Instant::now());
    thread::sleep(Duration::from_millis(work.count as u64));
    let (cpu, seconds) = (cpu_ns() - cpu, start.elapsed().as_secs_f64());
    let woken = switches_of_others()?.saturating_sub(woken);
    let counted = end(producer, log)?;
    Ok(Measured::of([
        ("wakeups_s", woken as f64 / seconds),
        ("cpu_ms_s", cpu / 1e6 / seconds),
        ("counted", counted),
    ]))
}

/// Returns the number of context switches of the other threads; each is a wake-up. Source:
/// `proc_pid_status(5)`.
fn switches_of_others() -> Outcome<u64> {
    let this = fs::read_link("/proc/thread-self")?;
    let mut switches = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        if this.file_name() == Some(&task.file_name()) {
            continue;
        }
        let status = fs::read_to_string(task.path().join("status"))?;
        let fields = status.lines().filter_map(|line| line.split_once(":\t"));
        let counts = fields.filter(|(name, _)| name.ends_with("voluntary_ctxt_switches"));
        switches += counts
            .map(|(_, count)| count.parse().unwrap_or(0))
            .sum::<u64>();
    }
    Ok(switches)
}

/// The argument with which a program of benchmarks starts itself as the busy process of
/// [`Kind::Busy`]. The program must call [`spin`] then.
pub const SPIN: &str = "--spin";

/// A process on the last core that never sleeps, until this value is dropped.
struct Spinner(Child);

impl Spinner {
    fn start() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        Command::new(program).arg(SPIN).spawn().map(Self)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        // It ends by itself if this fails: its parent is gone soon.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Runs that process.
pub fn spin() -> ! {
    pin(thread::available_parallelism().map_or(1, usize::from) - 1);
    let parent = rustix::process::getppid();
    loop {
        (0..1_000_000).for_each(|_| spin_loop());
        if rustix::process::getppid() != parent {
            exit(1); // the parent has ended
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

#[cfg(test)]
mod tests {
    use super::{Kind, Measured, QUANTILES, histogram};

    #[test]
    fn a_curve_ends_at_the_last_quantile_with_a_call_beyond_it() {
        for (calls, last) in [
            (0, None),
            (1, Some(0.0)),
            (1000, Some(0.999)),
            (999_999, Some(0.99999)),
        ] {
            let mut histogram = histogram().unwrap();
            (1..=calls).for_each(|ns| histogram.record(ns).unwrap());
            let points = Measured::of_calls(&histogram).curve_ns.len();
            assert_eq!(
                points.checked_sub(1).map(|at| QUANTILES[at]),
                last,
                "{calls}"
            );
        }
    }

    #[test]
    fn names_are_those_of_the_json() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(Kind::of(kind.name()), Some(kind));
        }
    }
}
