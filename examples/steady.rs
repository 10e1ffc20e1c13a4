//! Appends records of 100 bytes at a steady rate, and prints what the calls took.
//!
//!     cargo run --release --example steady FILE [RECORDS_A_SECOND [SECONDS [park|nap|spin]]]
//!
//! 1000 records a second for one second, and `park`, are the defaults. Each wake-up of the flusher
//! by an append is a line of
//!
//!     strace -f -e trace=futex target/release/examples/steady FILE 1000000 10 2>&1 | grep _WAKE

use std::error::Error;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use alq::{Flags, Idle, Options};
use hdrhistogram::Histogram;

/// The producer sleeps until so long before a record is due, and spins for the rest.
const SPIN: Duration = Duration::from_micros(200);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((path, rate, seconds, idle)) = parse(&arguments) else {
        eprintln!("usage: steady FILE [RECORDS_A_SECOND [SECONDS [park|nap|spin]]]");
        return ExitCode::from(2);
    };
    match run(path, rate, seconds, idle) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("steady: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the path, the rate, the time and what the flusher does without records.
fn parse(arguments: &[String]) -> Option<(&str, u32, u32, Idle)> {
    let (path, rest) = arguments.split_first()?;
    let number = |at: usize, default: u32| match rest.get(at) {
        Some(text) => text.parse().ok().filter(|number| *number > 0),
        None => Some(default),
    };
    let idle = match rest.get(2).map(String::as_str) {
        None | Some("park") => Idle::Park,
        Some("nap") => Idle::Nap,
        Some("spin") => Idle::Spin,
        Some(_) => return None,
    };
    (rest.len() <= 3).then_some((path, number(0, 1000)?, number(1, 1)?, idle))
}

fn run(path: &str, rate: u32, seconds: u32, idle: Idle) -> Result<(), Box<dyn Error>> {
    let queue = Options::new().idle(idle).open(path)?;
    let mut calls = Histogram::<u64>::new(3)?;
    let record = [[b'.'; 99].as_slice(), b"\n"].concat();
    let period = Duration::from_secs(1) / rate;
    let mut due = Instant::now();
    let end = due + Duration::from_secs(seconds.into());
    while due < end {
        sleep(
            due.saturating_duration_since(Instant::now())
                .saturating_sub(SPIN),
        );
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        let start = Instant::now();
        queue.writen(&record, Flags::WAITOK)?;
        calls.record(start.elapsed().as_nanos() as u64)?;
        // After a delay of this thread, the rate goes on as before, without a burst.
        due = start.max(due) + period;
    }
    queue.close(None)?;
    let stats = queue.stats();
    let at = |quantile| calls.value_at_quantile(quantile);
    println!(
        "{} records written; a call took {} ns (p50), {} ns (p99.9), {} ns at most; the flusher \
         woke up {} times",
        stats.written_records,
        at(0.5),
        at(0.999),
        calls.max(),
        stats.wakeups,
    );
    Ok(())
}
