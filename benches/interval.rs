//! One record of 100 bytes a millisecond, from a producer that sleeps in between: with the machine
//! for itself, and with a busy process on the last core while the producer has the first.
//!
//!     cargo bench --bench interval
//!
//! The percentiles are of single calls, in ns, with a stamp on each side. docs/benchmarks.md says
//! how the rounds work.

mod common;

use std::process::ExitCode;

use alq_measure::limits::WRITE_EACH;
use alq_measure::queues;
use alq_measure::work::{Kind, Work};
use common::aio::AIO;
use common::rings::RTRB;
use common::rounds::{Case, Place, run};

fn main() -> ExitCode {
    let mut cases = Vec::new();
    for kind in [Kind::Interval, Kind::Busy] {
        let contestants = [RTRB, WRITE_EACH, AIO].into_iter().chain(queues::ALL);
        cases.extend(contestants.map(|contestant| Case {
            contestant,
            work: Work::alone(kind, common::sized(5000)),
            place: Place::Tmpfs,
        }));
    }
    run("interval", &cases, &[WRITE_EACH], 5)
}
