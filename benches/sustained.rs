//! One producer, 400 MB of records as fast as they go, until all is in the file: 100 bytes to
//! tmpfs, to a disk's file system and to `/dev/null`, and other lengths to tmpfs.
//!
//!     cargo bench --bench sustained
//!
//! `ns` and `cpu_ns` are a record's, the latter of all threads; `peak_kib` is what was resident at
//! once, with a ring counted as often as it is mapped. docs/benchmarks.md says how the rounds work.

mod common;

use std::process::ExitCode;

use alq_measure::limits::{BUFFERED, WRITE_64K, WRITE_EACH};
use alq_measure::queues::{FACADE, LANES, LANES_IN_PLACE, SHARED, SHARED_IN_PLACE};
use alq_measure::work::Work;
use common::rings::RTRB;
use common::rounds::{Case, Place, run};

const BYTES: usize = 400_000_000;

fn main() -> ExitCode {
    let bytes = common::sized(BYTES);
    let mut cases = Vec::new();
    let mut add = |contestants: &[_], len, place| {
        cases.extend(contestants.iter().map(|contestant| Case {
            contestant: *contestant,
            work: Work::sustained(1, len, bytes),
            place,
        }));
    };
    for place in [Place::Tmpfs, Place::Disk, Place::Null] {
        let plain = [WRITE_64K, RTRB, BUFFERED, WRITE_EACH];
        let ours = [SHARED, SHARED_IN_PLACE, LANES, LANES_IN_PLACE, FACADE];
        add(&[&plain[..], &ours].concat(), 100, place);
    }
    for len in [16, 64, 256, 1024, 4096] {
        add(&[WRITE_64K, RTRB, SHARED, LANES], len, Place::Tmpfs);
    }
    run("sustained", &cases, &[WRITE_64K, RTRB], 7)
}
