//! What the benchmarks share besides `alq-measure`: two contestants, and the rounds in which all of
//! them take turns.
#![allow(dead_code, reason = "no benchmark uses all of it")]

pub mod aio;
pub mod report;
pub mod rings;
pub mod rounds;

/// A producer whose type is of another crate.
pub struct Of<T>(pub T);

/// The number of rounds: `ALQ_BENCH_ROUNDS`, or the given default.
pub fn rounds(default: u32) -> u32 {
    std::env::var("ALQ_BENCH_ROUNDS").map_or(default, |n| n.parse().expect("a number of rounds"))
}

/// The share of the full work: `ALQ_BENCH_SIZE` in thousandths, for a quick run that measures
/// nothing.
pub fn sized(full: usize) -> usize {
    let thousandths = std::env::var("ALQ_BENCH_SIZE").map_or(1000, |n| n.parse().expect("a size"));
    (full * thousandths / 1000).max(1)
}
