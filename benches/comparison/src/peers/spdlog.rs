//! spdlog, the C++ library, where it is installed: `cpp/spdlog.cpp`, which `ci/bench.sh` builds
//! then, does a turn itself, with bursts and sustained appends only.

use std::path::Path;
use std::process::Command;

use alq_measure::Outcome;
use alq_measure::contestant::{Contestant, Leaves};
use alq_measure::work::{Kind, Measured, Work};

/// The variable with the path of the program.
const VARIABLE: &str = "ALQ_BENCH_SPDLOG";

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

fn run(work: &Work, path: &Path) -> Outcome<Measured> {
    let program = std::env::var_os(VARIABLE).ok_or("it is not built")?;
    // The program counts the records of all producers.
    let count = match work.kind {
        Kind::Sustained => work.count * work.producers,
        _ => work.count,
    };
    let numbers = [work.producers, work.len, count].map(|n| n.to_string());
    let output = Command::new(program)
        .args([SPDLOG.name, work.kind.name()])
        .args(numbers)
        .arg(path)
        .output()?;
    if !output.status.success() {
        return Err(output.status.to_string().into());
    }
    let said = String::from_utf8(output.stdout)?;
    let figure = |line: &str| {
        let (name, value) = line.strip_prefix("figure ")?.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    Ok(Measured {
        figures: said.lines().filter_map(figure).collect(),
        curve_ns: Vec::new(),
    })
}
