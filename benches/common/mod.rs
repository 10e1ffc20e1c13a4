//! What the benchmarks share.
#![allow(dead_code, reason = "no benchmark uses all of it")]

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

/// How long a cache line takes from one core to the other and back, halved: below some 50 ns the cores are near.
pub fn line_ns() -> f64 {
    const TRIPS: u64 = 20_000;
    let ball = AtomicU64::new(0);
    let trip = |first: u64| {
        for n in 0..TRIPS {
            while ball.load(Ordering::Acquire) != 2 * n + first {
                spin_loop();
            }
            ball.store(2 * n + first + 1, Ordering::Release);
        }
    };
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| trip(0));
        trip(1);
    });
    start.elapsed().as_nanos() as f64 / (2 * TRIPS) as f64
}

/// How many rounds: `ALQ_BENCH_ROUNDS`, or so many.
pub fn rounds(default: usize) -> usize {
    std::env::var("ALQ_BENCH_ROUNDS").map_or(default, |n| n.parse().expect("a number of rounds"))
}

/// The median, the least and the greatest.
pub fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [
        values[values.len() / 2],
        values[0],
        values[values.len() - 1],
    ]
}

/// The system call filter of a process that may not use membarrier(2), which is how the queue finds itself on a kernel
/// without it. For this process, and for good.
pub fn forbid_membarrier() {
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
