//! Measures an open log without appends for ten seconds: the wake-ups and the CPU time of its
//! threads.
//!
//!     cargo bench --bench idle
//!
//! docs/benchmarks.md says how the rounds work.

mod common;

use std::process::ExitCode;

use alq_measure::queues::{FACADE, LANES, SHARED};
use alq_measure::work::{Kind, Work};
use common::rings::RTRB;
use common::rounds::{Case, Place, run};

fn main() -> ExitCode {
    let work = Work::alone(Kind::Idle, common::sized(10_000));
    let cases = [RTRB, SHARED, LANES, FACADE].map(|contestant| Case {
        contestant,
        work,
        place: Place::Tmpfs,
    });
    run("idle", &cases, &[], 3)
}
