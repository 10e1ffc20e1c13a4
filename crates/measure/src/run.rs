//! Runs the workloads. One turn of one contestant runs one workload, in a separate process.

use std::fs;
use std::hint::{black_box, spin_loop};
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};

use crate::Outcome;
use crate::busy::{Spinner, pin};
use crate::contestant::{Append, Log};
use crate::records::Records;
use crate::stalled;
use crate::work::{Kind, Measured, Work};

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
pub(crate) const WARM_UP: usize = 200;

/// The number of records before the silence of [`Kind::Idle`].
pub(crate) const BEFORE_IDLE: u64 = 1000;

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
