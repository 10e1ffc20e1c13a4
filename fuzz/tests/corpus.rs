//! Runs the targets without libFuzzer: on the recorded corpus, and on pseudo-random bytes that are
//! the same in every run. `ALQ_FUZZ_RUNS` is the number of pseudo-random inputs.

use std::fs;
use std::path::Path;

/// Decodes a line of a corpus from hexadecimal.
fn input(line: &str) -> Vec<u8> {
    assert!(
        line.len().is_multiple_of(2),
        "half a byte at the end of {line}"
    );
    let bytes = (0..line.len()).step_by(2).map(|at| &line[at..at + 2]);
    let bytes = bytes.map(|digits| u8::from_str_radix(digits, 16));
    bytes.collect::<Result<_, _>>().expect("hexadecimal digits")
}

/// Runs `target` on every line of its corpus, and on `runs` pseudo-random inputs of at most `len`
/// bytes.
fn run(name: &str, target: fn(&[u8]), runs: usize, len: usize) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("corpus/{name}.hex"));
    let mut recorded = 0;
    for line in fs::read_to_string(corpus).expect("its corpus").lines() {
        target(&input(line));
        recorded += 1;
    }
    assert!(recorded > 0, "nothing is recorded");
    let runs = std::env::var("ALQ_FUZZ_RUNS").map_or(runs, |runs| runs.parse().expect("a number"));
    let mut numbers = Numbers(7);
    for _ in 0..runs {
        let len = numbers.next() as usize % len;
        let bytes: Vec<u8> = (0..len).map(|_| numbers.next() as u8).collect();
        target(&bytes);
    }
    println!("{name}: {recorded} recorded, {runs} made up");
}

/// The generator splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[test]
fn chain() {
    run("chain", alq_fuzz::chain, 5_000, 120);
}

#[test]
fn frames() {
    run("frames", alq_fuzz::frames, 20_000, 120);
}

#[test]
fn operations() {
    run("operations", alq_fuzz::operations, 200, 600);
}

#[test]
fn ring() {
    run("ring", alq_fuzz::ring, 20_000, 400);
}

#[test]
fn ring_file() {
    run("ring_file", alq_fuzz::ring_file, 500, 400);
}

#[test]
fn words() {
    run("words", alq_fuzz::words, 200_000, 64);
}
