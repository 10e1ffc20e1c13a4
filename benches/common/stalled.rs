//! A sink that stops for a second: the log writes to a pipe whose reader sleeps.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use alq_measure::Outcome;
use alq_measure::records::{Checker, Found, Records};
use rustix::fs::{CWD, Mode, mkfifoat};

use super::contestant::{Append, Log};
use super::workloads::{BURST, Figures, Work, histogram, pause_from};

/// How long the reader sleeps.
const STALL: Duration = Duration::from_secs(1);

/// The state of the reader: it is asked to stop, sleeps, and reports that it continues.
const READING: u8 = 0;
const ASKED: u8 = 1;
const RESUMED: u8 = 2;

/// Runs bursts while the reader reads, then while it sleeps, with a time stamp before and after
/// each call. A refused record is not tried again.
pub fn run<L: Log>(work: &Work, path: &Path) -> Figures {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).expect("a new pipe");
    let state = AtomicU8::new(READING);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(path, work.len, &state));
        let mut log = L::open(path);
        let mut producer = log.producer();
        let mut calls = Calls::new(work.len);
        for _ in 0..work.count {
            calls.burst(&mut producer);
        }
        let before = calls.taken.value_at_quantile(0.999);
        calls.clear();
        state.store(ASKED, Ordering::Relaxed);
        while state.load(Ordering::Relaxed) != RESUMED {
            calls.burst(&mut producer);
        }
        drop(producer);
        let counted = log.finish();
        end(path, work.len);
        let found = reader.join().expect("it reads").expect("whole records");
        calls.figures(&found, before, counted, L::LOSSLESS)
    })
}

/// The byte after the last record. It marks the end, because some logs never close their file.
const END: u8 = b'.';

fn end(path: &Path, len: usize) {
    let pipe = OpenOptions::new().write(true).open(path);
    let written = pipe.and_then(|mut pipe| pipe.write_all(&vec![END; len]));
    written.expect("it is read");
}

/// The durations of the calls.
struct Calls {
    records: Records,
    taken: hdrhistogram::Histogram<u64>,
    refused: hdrhistogram::Histogram<u64>,
    /// The number of all accepted records.
    records_taken: u64,
}

impl Calls {
    fn new(len: usize) -> Self {
        Self {
            records: Records::new(len, 0).expect("a length of records"),
            taken: histogram(),
            refused: histogram(),
            records_taken: 0,
        }
    }

    fn clear(&mut self) {
        self.taken.clear();
        self.refused.clear();
    }

    fn burst(&mut self, producer: &mut impl Append) {
        let began = Instant::now();
        for _ in 0..BURST {
            let record = self.records.next();
            let start = Instant::now();
            let taken = producer.try_append(record);
            let took = start.elapsed().as_nanos() as u64;
            let calls = if taken {
                self.records_taken += 1;
                &mut self.taken
            } else {
                &mut self.refused
            };
            calls.record(took).expect("it grows");
        }
        pause_from(began);
    }

    fn figures(&self, found: &Found, before: u64, counted: u64, lossless: bool) -> Figures {
        let lost = self.records_taken - found.records();
        assert!(!lossless || lost == 0, "{lost} records were lost");
        let mut all = self.taken.clone();
        all.add(&self.refused).expect("it grows");
        vec![
            ("p999", all.value_at_quantile(0.999) as f64),
            ("max", all.max() as f64),
            ("full_p999", self.refused.value_at_quantile(0.999) as f64),
            ("full_max", self.refused.max() as f64),
            ("before_p999", before as f64),
            ("taken", self.taken.len() as f64),
            ("refused", self.refused.len() as f64),
            ("lost", lost as f64),
            ("counted", counted as f64),
        ]
    }
}

/// Reads up to the end, and sleeps once on request.
fn read(path: &Path, len: usize, state: &AtomicU8) -> Outcome<Found> {
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
            thread::sleep(STALL);
            state.store(RESUMED, Ordering::Relaxed);
        }
    }
}
