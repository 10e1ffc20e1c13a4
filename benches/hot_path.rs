//! Measures the cost of an append for its caller: bursts of 64 records of 100 bytes, with a pause
//! of 100 us between them so that the ring never fills, next to the two limits that no queue of
//! this kind can beat, and to a ring for one producer.
//!
//!     cargo bench --bench hot_path
//!
//! `ns` is the median burst divided by 64; the percentiles are of single calls, in ns, between two
//! time stamps (which add about 20 ns). docs/benchmarks.md says how the rounds work.

mod common;

use std::process::ExitCode;

use alq_measure::limits::{COPY, COPY_AND_CAS};
use alq_measure::queues;
use alq_measure::work::{Kind, Work};
use common::rings::RTRB;
use common::rounds::{Case, Place, run};

fn main() -> ExitCode {
    let work = Work::alone(Kind::Bursts, common::sized(2000));
    let contestants = [COPY, COPY_AND_CAS, RTRB].into_iter().chain(queues::ALL);
    let cases: Vec<_> = contestants
        .map(|contestant| Case {
            contestant,
            work,
            place: Place::Tmpfs,
        })
        .collect();
    run("hot_path", &cases, &[COPY_AND_CAS, RTRB], 15)
}
