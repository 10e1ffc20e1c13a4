//! Compares `AsyncAppend` with its alternatives: glibc's aio as Open vSwitch uses it, a
//! `BufWriter`, and one write(2) for each record. Measures the cost of a call, and 400 MB at full
//! speed.
//!
//!     cargo bench --bench facade
//!
//! docs/benchmarks.md says how the rounds work.

mod common;

use std::process::ExitCode;

use alq_measure::limits::{BUFFERED, WRITE_EACH};
use alq_measure::queues::FACADE;
use alq_measure::work::{Kind, Work};
use common::aio::AIO;
use common::rounds::{Case, Place, run};

const BYTES: usize = 400_000_000;

fn main() -> ExitCode {
    let bursts = Work::alone(Kind::Bursts, common::sized(2000));
    let sustained = Work::sustained(1, 100, common::sized(BYTES));
    let works = [
        (bursts, Place::Tmpfs),
        (sustained, Place::Tmpfs),
        (sustained, Place::Disk),
    ];
    let mut cases = Vec::new();
    for (work, place) in works {
        cases.extend([AIO, WRITE_EACH, BUFFERED, FACADE].map(|contestant| Case {
            contestant,
            work,
            place,
        }));
    }
    run("facade", &cases, &[AIO], 7)
}
