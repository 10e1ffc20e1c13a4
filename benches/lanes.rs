//! Several producers: 400 MB of records as fast as they go to a file on tmpfs, until all is in the
//! file.
//!
//!     cargo bench --bench lanes
//!
//! `ns` is the time of a record over all producers, compared with a plain loop of write(2) with 64
//! KiB blocks by one thread, to as many producers that only claim and copy, and to one lane.
//! docs/benchmarks.md says how the rounds work.
//!
//! `ALQ_BENCH_FENCE=1` forbids membarrier(2) to the process, and so measures the form with two
//! fences.

mod common;

use std::process::ExitCode;

use alq_measure::limits::{COPY_AND_CAS, LOCKED, WRITE_64K};
use alq_measure::queues::{LANES, SHARED, THREAD_LANES};
use alq_measure::work::Work;
use common::rounds::{Case, Place, run};

const BYTES: usize = 400_000_000;

fn main() -> ExitCode {
    let mut bench = "lanes";
    if std::env::var_os("ALQ_BENCH_FENCE").is_some() {
        forbid_membarrier();
        bench = "lanes, two fences";
    }
    let bytes = common::sized(BYTES);
    let mut cases = Vec::new();
    for len in [100, 16] {
        for producers in [1, 2, 4] {
            let all = [WRITE_64K, COPY_AND_CAS, LOCKED, SHARED, LANES, THREAD_LANES];
            cases.extend(all.map(|contestant| Case {
                contestant,
                work: Work::sustained(producers, len, bytes),
                place: Place::Tmpfs,
            }));
        }
    }
    run(bench, &cases, &[WRITE_64K, COPY_AND_CAS, LANES], 7)
}

/// The system call filter of a process that may not use membarrier(2), which is how the queue finds
/// itself on a kernel without it. For this process and its children, and for good.
fn forbid_membarrier() {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

    let filter = SeccompFilter::new(
        [(libc::SYS_membarrier, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
        std::env::consts::ARCH
            .try_into()
            .expect("a known processor"),
    );
    let program: BpfProgram = filter.and_then(TryInto::try_into).expect("a valid filter");
    seccompiler::apply_filter(&program).expect("the filter is accepted");
}
