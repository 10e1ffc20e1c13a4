//! The workloads. They run in the process of one turn.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hint::{black_box, spin_loop};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::case::{BEFORE_IDLE, BURST, Case, Contestant, WARM_UP, Workload};
use super::contestants::{Append, Blocks, Copy, CopyAndClaim, Lanes, Log, Shared, append_to};
use alq_measure::Outcome;
use alq_measure::records::{Checker, Found, Records};

/// The result of a turn.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// The figures by name: see [`Workload::figures`].
    pub figures: BTreeMap<String, f64>,
    /// How long calls take, in ns, at each of [`QUANTILES`] that so many calls have; empty if calls
    /// were not timed.
    pub curve_ns: Vec<f64>,
}

/// The quantiles of the points of a curve.
pub const QUANTILES: [f64; 16] = [
    0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999, 0.9995, 0.9998, 0.9999,
    0.99995, 0.99999,
];

/// Runs the workload, with the log at `path`.
pub fn run(case: &Case, path: &Path) -> Outcome<Measured> {
    match case.contestant {
        Contestant::Copy => run_as::<Copy>(case, path),
        Contestant::CopyAndClaim => run_as::<CopyAndClaim>(case, path),
        Contestant::Blocks => run_as::<Blocks>(case, path),
        Contestant::Shared => run_as::<Shared>(case, path),
        Contestant::Lane => run_as::<Lanes>(case, path),
    }
}

fn run_as<L: Log>(case: &Case, path: &Path) -> Outcome<Measured> {
    match case.workload {
        Workload::Bursts => bursts::<L>(case, append_to(path)?),
        Workload::Sustained => sustained::<L>(case, append_to(path)?),
        Workload::Stalled => stalled::<L>(case),
        Workload::Idle => idle::<L>(case, append_to(path)?),
    }
}

/// The CPU time that the threads of this process have used so far, in ns.
fn cpu_ns() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 * 1e9 + used.tv_nsec as f64
}

fn histogram() -> Outcome<Histogram<u64>> {
    Ok(Histogram::new(3)?)
}

fn ns_since(start: Instant) -> u64 {
    start.elapsed().as_nanos() as u64
}

/// Summarises the durations of single calls.
fn of_calls(calls: &Histogram<u64>) -> Measured {
    let at = |quantile| calls.value_at_quantile(quantile) as f64;
    let figures = [
        ("p50", at(0.5)),
        ("p99", at(0.99)),
        ("p999", at(0.999)),
        ("p9999", at(0.9999)),
        ("max", calls.max() as f64),
    ];
    // A curve ends at the last quantile that has a call beyond it.
    let beyond = |quantile: &&f64| (1.0 - **quantile) * calls.len() as f64 >= 0.999;
    let quantiles = QUANTILES.iter().take_while(beyond);
    Measured {
        figures: named(figures),
        curve_ns: quantiles.map(|quantile| at(*quantile)).collect(),
    }
}

fn named<const N: usize>(figures: [(&str, f64); N]) -> BTreeMap<String, f64> {
    figures.map(|(name, value)| (name.to_owned(), value)).into()
}

/// The time from the start of one burst to the next.
const PAUSE: Duration = Duration::from_micros(100);

fn pause_from(start: Instant) {
    while start.elapsed() < PAUSE {
        spin_loop();
    }
}

/// Times whole bursts, and then single calls with a time stamp on each side.
fn bursts<L: Log>(case: &Case, log: OwnedFd) -> Outcome<Measured> {
    let mut log = L::open(log)?;
    let mut producer = log.producer()?;
    let mut records = Records::new(case.record_bytes, 0)?;
    let mut block = vec![0; case.record_bytes * BURST];
    let (mut whole, mut calls) = (histogram()?, histogram()?);
    for n in 0..WARM_UP + case.count {
        records.fill(black_box(&mut block));
        let start = Instant::now();
        for record in block.chunks_exact(case.record_bytes) {
            producer.append(record)?;
        }
        let took = ns_since(start);
        if n >= WARM_UP {
            whole.record(took)?;
        }
        pause_from(start);
    }
    for _ in 0..case.count {
        records.fill(black_box(&mut block));
        let burst = Instant::now();
        for record in block.chunks_exact(case.record_bytes) {
            let start = Instant::now();
            producer.append(record)?;
            calls.record(ns_since(start))?;
        }
        pause_from(burst);
    }
    producer.finish()?;
    drop(producer);
    log.finish()?;
    let mut measured = of_calls(&calls);
    let median = whole.value_at_quantile(0.5) as f64;
    measured
        .figures
        .insert("ns".to_owned(), median / BURST as f64);
    Ok(measured)
}

/// Measures from the first record until the kernel has everything.
fn sustained<L: Log>(case: &Case, log: OwnedFd) -> Outcome<Measured> {
    let mut log = L::open(log)?;
    let producers: Outcome<Vec<_>> = (0..case.producers).map(|_| log.producer()).collect();
    let all_there = Barrier::new(case.producers + 1);
    let append = |writer, mut producer: L::Producer| {
        let records = Records::new(case.record_bytes, writer);
        all_there.wait();
        let mut records = records?;
        for _ in 0..case.count {
            producer.append(records.next())?;
        }
        Outcome::Ok(producer.finish()?)
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
    log.finish()?;
    let ns = ns_since(start) as f64;
    let records = (case.count * case.producers as u64) as f64;
    Ok(Measured {
        figures: named([
            ("gb_s", records * case.record_bytes as f64 / ns),
            ("ns", ns / records),
            ("cpu_ns", (cpu_ns() - cpu) / records),
        ]),
        ..Measured::default()
    })
}

/// Measures refusals while the pipe of the log is not read. Then reads the pipe and checks that it
/// holds every accepted record.
fn stalled<L: Log>(case: &Case) -> Outcome<Measured> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut log = L::open(writer)?;
    let mut producer = log.producer()?;
    let (wake, asleep) = channel();
    let reading = thread::spawn({
        let (len, reader) = (case.record_bytes, File::from(reader));
        move || read(reader, len, &asleep)
    });
    let mut records = Records::new(case.record_bytes, 0)?;
    let mut record = records.next().to_vec();
    let (mut taken, mut refused) = (0, histogram()?);
    let mut first_refusal = None::<Instant>;
    let limit = Duration::from_millis(case.count);
    while first_refusal.is_none_or(|first| first.elapsed() < limit) {
        let burst = Instant::now();
        for _ in 0..BURST {
            let start = Instant::now();
            if producer.try_append(&record) {
                taken += 1;
                record.copy_from_slice(records.next());
            } else {
                refused.record(ns_since(start))?;
                first_refusal.get_or_insert(start);
            }
        }
        pause_from(burst);
    }
    drop(producer);
    wake.send(())?;
    log.finish()?;
    let found = reading.join().map_err(|_| "the reader panicked")??;
    if !found.is_all(taken) {
        return Err(format!(
            "{taken} records were taken, and {:?} came out of the pipe",
            found.of_each
        )
        .into());
    }
    let mut measured = of_calls(&refused);
    let count = refused.len() as f64;
    measured.figures.insert("refused".to_owned(), count);
    Ok(measured)
}

/// Waits for `asleep`, then reads the pipe to its end. Returns the records that it found.
fn read(mut pipe: File, len: usize, asleep: &Receiver<()>) -> Outcome<Found> {
    asleep.recv()?;
    let mut checker = Checker::new(len, 1)?;
    let mut block = vec![0; 1 << 16];
    loop {
        match pipe.read(&mut block)? {
            0 => return checker.end(),
            len => checker.take(&block[..len])?,
        }
    }
}

/// Measures the wake-ups and the CPU time of the other threads while this one sleeps.
fn idle<L: Log>(case: &Case, log: OwnedFd) -> Outcome<Measured> {
    const SETTLING: Duration = Duration::from_millis(500); // by then, pending records are written
    let mut log = L::open(log)?;
    let mut producer = log.producer()?;
    let mut records = Records::new(case.record_bytes, 0)?;
    for _ in 0..BEFORE_IDLE {
        producer.append(records.next())?;
    }
    thread::sleep(SETTLING);
    let (woken, cpu, start) = (switches_of_others()?, cpu_ns(), Instant::now());
    thread::sleep(Duration::from_millis(case.count));
    let (cpu, seconds) = (cpu_ns() - cpu, start.elapsed().as_secs_f64());
    let woken = switches_of_others()?.saturating_sub(woken);
    producer.finish()?;
    drop(producer);
    log.finish()?;
    Ok(Measured {
        figures: named([
            ("wakeups_s", woken as f64 / seconds),
            ("cpu_ms_s", cpu / 1e6 / seconds),
        ]),
        ..Measured::default()
    })
}

/// Returns the number of context switches of the other threads. Source: `proc_pid_status(5)`.
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

#[cfg(test)]
mod tests {
    use super::{QUANTILES, histogram, of_calls};

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
            let points = of_calls(&histogram).curve_ns.len();
            assert_eq!(
                points.checked_sub(1).map(|at| QUANTILES[at]),
                last,
                "{calls}"
            );
        }
    }
}
