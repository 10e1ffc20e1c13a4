//! A sink that stops for a while: the log writes to a pipe whose reader sleeps.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::fs::{CWD, Mode, mkfifoat};

use crate::Outcome;
use crate::contestant::{Append, Log};
use crate::records::{Checker, Found, Records};
use crate::run::{BURST, PAUSE, end, histogram, ns_since, pause_from};
use crate::work::{Measured, Work};

/// The state of the reader: it is asked to stop, sleeps, and reports that it continues.
const READING: u8 = 0;
const ASKED: u8 = 1;
const RESUMED: u8 = 2;

/// Runs bursts while the reader reads, then while it sleeps, with a time stamp before and after
/// each call. A refused record is not tried again.
pub(crate) fn run<L: Log>(work: &Work, path: &Path) -> Outcome<Measured> {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?;
    let stall = Duration::from_millis(work.count as u64);
    let state = AtomicU8::new(READING);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let found = read(path, work.len, stall, &state);
            state.store(RESUMED, Ordering::Relaxed); // also after an error, so that nothing waits
            found
        });
        let appended = append::<L>(work, stall, path, &state);
        let ended = write_end(path, work.len);
        let found = reader.join().map_err(|_| "the reader panicked")??;
        ended?;
        let (calls, counted) = appended?;
        calls.figures(&found, counted, L::LOSSLESS)
    })
}

/// Runs the bursts. Returns their calls, and the number of drops that the log counts.
fn append<L: Log>(
    work: &Work,
    stall: Duration,
    path: &Path,
    state: &AtomicU8,
) -> Outcome<(Calls, f64)> {
    let mut log = L::open(path)?;
    let mut producer = log.producer()?;
    let mut calls = Calls::new(work.len)?;
    // For a fifth of the stall, unless calls are slow.
    let before = stall.as_nanos() / 5 / PAUSE.as_nanos();
    for _ in 0..before.max(1) {
        calls.burst(&mut producer)?;
    }
    calls.before_p999 = calls.taken.value_at_quantile(0.999);
    calls.taken.clear();
    calls.refused.clear();
    state.store(ASKED, Ordering::Relaxed);
    while state.load(Ordering::Relaxed) != RESUMED {
        calls.burst(&mut producer)?;
    }
    let counted = end(producer, log)?;
    Ok((calls, counted))
}

/// The byte after the last record. It marks the end, because some logs never close their file.
const END: u8 = b'.';

fn write_end(path: &Path, len: usize) -> io::Result<()> {
    let mut pipe = OpenOptions::new().write(true).open(path)?;
    pipe.write_all(&vec![END; len])
}

/// The durations of the calls.
struct Calls {
    records: Records,
    taken: Histogram<u64>,
    refused: Histogram<u64>,
    before_p999: u64,
    /// The number of all accepted records.
    records_taken: u64,
}

impl Calls {
    fn new(len: usize) -> Outcome<Self> {
        Ok(Self {
            records: Records::new(len, 0)?,
            taken: histogram()?,
            refused: histogram()?,
            before_p999: 0,
            records_taken: 0,
        })
    }

    fn burst(&mut self, producer: &mut impl Append) -> Outcome<()> {
        let began = Instant::now();
        for _ in 0..BURST {
            let record = self.records.next();
            let start = Instant::now();
            let taken = producer.try_append(record);
            let took = ns_since(start);
            let calls = if taken {
                self.records_taken += 1;
                &mut self.taken
            } else {
                &mut self.refused
            };
            calls.record(took)?;
        }
        pause_from(began);
        Ok(())
    }

    /// The curve is that of the refused calls.
    fn figures(&self, found: &Found, counted: f64, is_lossless: bool) -> Outcome<Measured> {
        let (taken, found) = (self.records_taken, found.records());
        let lost = taken
            .checked_sub(found)
            .filter(|lost| !is_lossless || *lost == 0);
        let lost = lost.ok_or_else(|| {
            format!("{taken} records were taken, and {found} came out of the pipe")
        })?;
        let mut all = self.taken.clone();
        all.add(&self.refused)?;
        let full = Measured::of_calls(&self.refused);
        let mut measured = Measured::of([
            ("p999", all.value_at_quantile(0.999) as f64),
            ("max", all.max() as f64),
            ("before_p999", self.before_p999 as f64),
            ("taken", self.taken.len() as f64),
            ("refused", self.refused.len() as f64),
            ("lost", lost as f64),
            ("counted", counted),
        ]);
        let of_refused = |(name, value)| (format!("full_{name}"), value);
        measured
            .figures
            .extend(full.figures.into_iter().map(of_refused));
        measured.curve_ns = full.curve_ns;
        Ok(measured)
    }
}

/// Reads up to the end, and sleeps once on request.
fn read(path: &Path, len: usize, stall: Duration, state: &AtomicU8) -> Outcome<Found> {
    let mut both = OpenOptions::new(); // also a writer, so that read(2) sees no end before the mark
    let mut pipe = both.read(true).write(true).open(path)?;
    let mut checker = Checker::new(len, 1)?;
    let mut block = vec![0; 1 << 16];
    loop {
        let read = pipe.read(&mut block)?;
        let end = block[..read].iter().position(|byte| *byte == END); // no record contains it
        checker.take(&block[..end.unwrap_or(read)])?;
        if end.is_some() {
            return checker.end();
        }
        if state.load(Ordering::Relaxed) == ASKED {
            thread::sleep(stall);
            state.store(RESUMED, Ordering::Relaxed);
        }
    }
}
