//! Other ways to append records to a file, compared with this queue.
//!
//!     cargo run --release -- rounds               what it costs
//!     cargo run --release -- tables JSON PAGE     the tables of docs/benchmarks.md, from what all
//!     benchmarks found

#[path = "../../common/mod.rs"]
mod common;
mod goals;
mod peers;
mod tables;

use std::process::ExitCode;

use alq_measure::contestant::Contestant;
use alq_measure::limits::{COPY_AND_CAS, LOCKED, WRITE_64K, WRITE_EACH};
use alq_measure::queues;
use alq_measure::work::{Kind, Work};
use common::aio::AIO;
use common::rings::RTRB;
use common::rounds::{Case, Place, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["rounds"] | ["--turn" | "--spin", ..] => rounds(),
        ["tables", json, page] => tables::write(json.as_ref(), page.as_ref()),
        _ => {
            eprintln!("usage: alq-comparison rounds | tables JSON PAGE");
            ExitCode::from(2)
        }
    }
}

/// The bytes of a turn of the longer kind.
const BYTES: usize = 400_000_000;

fn rounds() -> ExitCode {
    let plain = [COPY_AND_CAS, WRITE_64K, WRITE_EACH, LOCKED, RTRB, AIO];
    let ours = [queues::SHARED, queues::LANES, queues::FACADE];
    let contestants: Vec<Contestant> = ours.into_iter().chain(plain).chain(peers::all()).collect();
    let works = [
        (Work::alone(Kind::Bursts, common::sized(2000)), Place::Tmpfs),
        (Work::sustained(1, 100, common::sized(BYTES)), Place::Tmpfs),
        (Work::sustained(2, 100, common::sized(BYTES)), Place::Tmpfs),
        (Work::sustained(4, 100, common::sized(BYTES)), Place::Tmpfs),
        (Work::sustained(1, 100, common::sized(BYTES)), Place::Disk),
        (Work::sustained(1, 100, common::sized(BYTES)), Place::Null),
        (
            Work::sustained(1, 16, common::sized(BYTES / 6)),
            Place::Tmpfs,
        ),
        (Work::sustained(1, 1024, common::sized(BYTES)), Place::Tmpfs),
        (
            Work::alone(Kind::Interval, common::sized(2000)),
            Place::Tmpfs,
        ),
        (
            Work::alone(Kind::Stalled, common::sized(1000)),
            Place::Tmpfs,
        ),
        (Work::alone(Kind::Idle, common::sized(3000)), Place::Tmpfs),
    ];
    let mut cases = Vec::new();
    for (work, place) in works {
        cases.extend(contestants.iter().map(|contestant| Case {
            contestant: *contestant,
            work,
            place,
        }));
    }
    run("comparison", &cases, &[queues::SHARED, queues::LANES], 5)
}
