//! A sink that stops for a second: the log writes to a pipe whose reader sleeps, and the producer
//! goes on without waiting, in bursts of 64 records of 100 bytes with 100 us between them. Next to
//! the same bursts into a file.
//!
//!     cargo bench --bench stalled
//!
//! `p999` and `max` are of all calls during the second, `full_*` of those that were refused,
//! `before_p999` of those before it (in ns, with a stamp on each side); a record that was taken is
//! in the file in the end. docs/benchmarks.md says how the rounds work.

mod common;

use std::process::ExitCode;

use alq_measure::limits::{BUFFERED, WRITE_EACH};
use alq_measure::queues::{LANES, LANES_IN_PLACE, SHARED, SHARED_IN_PLACE};
use alq_measure::work::{Kind, Work};
use common::rings::RTRB;
use common::rounds::{Case, Place, run};

fn main() -> ExitCode {
    let contestants = [
        RTRB,
        BUFFERED,
        WRITE_EACH,
        SHARED,
        SHARED_IN_PLACE,
        LANES,
        LANES_IN_PLACE,
    ];
    let mut cases = Vec::new();
    for (kind, count) in [(Kind::Bursts, 2000), (Kind::Stalled, 1000)] {
        cases.extend(contestants.map(|contestant| Case {
            contestant,
            work: Work::alone(kind, common::sized(count)),
            place: Place::Tmpfs,
        }));
    }
    run("stalled", &cases, &[], 7)
}
