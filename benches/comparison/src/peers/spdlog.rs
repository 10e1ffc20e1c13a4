//! spdlog, the C++ library, where it is installed: `cpp/spdlog.cpp`, which `ci/bench.sh` builds
//! then, does a turn itself, with bursts and sustained appends only.

use std::path::Path;
use std::process::Command;

use crate::common::contestant::{Contestant, Leaves};
use crate::common::workloads::{Figures, Kind, Work};

/// Where the program is.
const VARIABLE: &str = "ALQ_BENCH_SPDLOG";

/// The names of its figures.
const FIGURES: [&str; 10] = [
    "ns", "p50", "p99", "p999", "p9999", "max", "cpu_ns", "gb_s", "peak_kib", "counted",
];

pub const SPDLOG: Contestant = Contestant {
    name: "spdlog (C++)",
    lossless: true,
    producers: usize::MAX,
    leaves: Leaves::TheFile,
    kinds: &[Kind::Bursts, Kind::Sustained],
    run,
};

pub fn if_built() -> Option<Contestant> {
    std::env::var_os(VARIABLE).map(|_| SPDLOG)
}

fn run(work: &Work, path: &Path) -> Figures {
    let program = std::env::var_os(VARIABLE).expect("it takes part");
    let numbers = [work.producers, work.len, work.count].map(|n| n.to_string());
    let output = Command::new(program)
        .args([SPDLOG.name, work.kind.name()])
        .args(numbers)
        .arg(path)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", output.status);
    let said = String::from_utf8(output.stdout).expect("text");
    let figure = |line: &str| {
        let (name, value) = line.strip_prefix("figure ")?.split_once(' ')?;
        let name = FIGURES.into_iter().find(|own| *own == name)?;
        Some((name, value.parse().ok()?))
    };
    said.lines().filter_map(figure).collect()
}
