//! What the benchmarks share: contestants, workloads, and the rounds in which they take turns.
#![allow(dead_code, reason = "no benchmark uses all of it")]

pub mod aio;
pub mod contestant;
pub mod limits;
pub mod ours;
pub mod report;
pub mod rings;
pub mod rounds;
pub mod stalled;
pub mod turns;
pub mod workloads;

/// The number of rounds: `ALQ_BENCH_ROUNDS`, or the given default.
pub fn rounds(default: usize) -> usize {
    std::env::var("ALQ_BENCH_ROUNDS").map_or(default, |n| n.parse().expect("a number of rounds"))
}

/// The share of the full work: `ALQ_BENCH_SIZE` in thousandths, for a quick run that measures
/// nothing.
pub fn sized(full: usize) -> usize {
    let thousandths = std::env::var("ALQ_BENCH_SIZE").map_or(1000, |n| n.parse().expect("a size"));
    (full * thousandths / 1000).max(1)
}
