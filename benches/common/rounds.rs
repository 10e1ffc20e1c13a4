//! The rounds. In each round every contestant has one turn, in a separate process, and its output
//! is checked.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use alq_measure::Outcome;
use alq_measure::busy::{SPIN, spin};
use alq_measure::contestant::{Contestant, Leaves};
use alq_measure::machine::file_system;
use alq_measure::records::{Found, check_folder};
use alq_measure::turn::{Turn, answer, here};
use alq_measure::work::{Kind, Measured, Work};

use super::{report, rounds};

/// Where the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Tmpfs,
    /// `ALQ_BENCH_DISK`, or the folder of the program.
    Disk,
    /// `/dev/null`
    Null,
}

impl Place {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tmpfs => "tmpfs",
            Self::Disk => "disk",
            Self::Null => "null",
        }
    }

    fn parent(self) -> PathBuf {
        if self != Self::Disk {
            return PathBuf::from("/dev/shm");
        }
        env::var_os("ALQ_BENCH_DISK").map_or_else(
            || {
                let program = env::current_exe().unwrap_or_default();
                program.parent().unwrap_or(Path::new(".")).to_owned()
            },
            PathBuf::from,
        )
    }
}

/// One contestant with one workload.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub contestant: Contestant,
    pub work: Work,
    pub place: Place,
}

impl Case {
    /// Whether this case is possible: a contestant may not support every number of producers or
    /// every path.
    pub fn is_possible(&self) -> bool {
        let contestant = &self.contestant;
        contestant.producers >= self.work.producers
            && contestant.kinds.contains(&self.work.kind)
            && (self.place == Place::Tmpfs || contestant.leaves != Leaves::Nothing)
            && (self.place != Place::Null || contestant.leaves == Leaves::TheFile)
    }

    pub fn title(&self) -> String {
        let Self {
            contestant,
            work,
            place,
        } = self;
        format!(
            "{:<22} {:<9} {:<5} {} x {}",
            contestant.name,
            work.kind.name(),
            place.name(),
            work.producers,
            work.len
        )
    }

    /// Whether this is the turn of `base` with the work of `case`.
    pub fn is_base_of(&self, case: &Self, base: &Contestant) -> bool {
        self.contestant.name == base.name && self.work == case.work && self.place == case.place
    }
}

/// The argument with which a benchmark starts itself for a turn.
const TURN: &str = "--turn";

/// Runs a benchmark: this process runs the rounds, and its children run the turns.
pub fn run(bench: &str, cases: &[Case], bases: &[Contestant], default_rounds: u32) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(SPIN) => spin(),
        Some(TURN) => return here(|| turn_here(cases, &arguments[1..])),
        _ => {}
    }
    let only = env::var("ALQ_BENCH_ONLY").unwrap_or_default();
    let chosen = |case: &Case| case.is_possible() && case.title().contains(&only);
    let mut results: Vec<(Case, Vec<Turn>)> = cases
        .iter()
        .filter(|case| chosen(case))
        .map(|case| (*case, Vec::new()))
        .collect();
    let mut failures = 0;
    for round in 0..rounds(default_rounds) {
        for (case, turns) in &mut results {
            match turn(case, round) {
                Ok(turn) => turns.push(turn),
                Err(error) => {
                    eprintln!("{}: round {round}: {error}", case.title());
                    failures += 1;
                }
            }
        }
    }
    println!(
        "{bench}: disk is {}, in rounds of {} turns",
        file_system(&Place::Disk.parent()),
        results.len()
    );
    report::print(&results, bases);
    if let Err(error) = report::write_json(bench, &results) {
        eprintln!("{error}");
        failures += 1;
    }
    if failures > 0 {
        eprintln!("{failures} turns or files failed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs a turn in a separate process and folder.
fn turn(case: &Case, round: u32) -> Outcome<Turn> {
    let folder = tempfile::Builder::new()
        .prefix("alq-bench")
        .tempdir_in(case.place.parent())?;
    let log = match case.place {
        Place::Null => PathBuf::from("/dev/null"),
        Place::Tmpfs | Place::Disk => folder.path().join("log"),
    };
    let mut turn = Turn::run(round, || child(case, &log))?;
    let counted = turn.figure("counted").unwrap_or(0.0);
    if case.place != Place::Null
        && case.contestant.leaves != Leaves::Nothing
        && let Some(records) = case.work.records()
    {
        let found = check_folder(folder.path(), case.work.len, case.work.producers)?;
        let expected = records * case.work.producers as u64;
        turn.measured
            .add([("lost", lost(case, expected, &found, counted)?)]);
    }
    Ok(turn)
}

/// Returns the number of missing records; an error if the contestant must not lose records.
fn lost(case: &Case, expected: u64, found: &Found, counted: f64) -> Outcome<f64> {
    let lost = expected.checked_sub(found.records());
    let lost = lost.ok_or_else(|| format!("{} records of {expected}", found.records()))?;
    if case.contestant.lossless && (lost > 0 || counted > 0.0 || found.gaps) {
        let message =
            format!("{lost} of {expected} records are missing, {counted} counted as dropped");
        return Err(message.into());
    }
    Ok(lost as f64)
}

/// Runs this program again, and reads its figures.
fn child(case: &Case, log: &Path) -> Outcome<Measured> {
    let work = case.work;
    let numbers = [work.producers, work.len, work.count].map(|n| n.to_string());
    let output = Command::new(env::current_exe()?)
        .args([TURN, case.contestant.name, work.kind.name()])
        .args(numbers)
        .arg(log)
        .output()?;
    answer(&output)
}

/// Runs the child's part: `NAME KIND PRODUCERS LEN COUNT PATH`.
fn turn_here(cases: &[Case], arguments: &[String]) -> Outcome<Measured> {
    let [name, kind, producers, len, count, log] = arguments else {
        return Err(format!("{TURN} takes six arguments").into());
    };
    let work = Work {
        kind: Kind::of(kind).ok_or("an unknown workload")?,
        producers: producers.parse()?,
        len: len.parse()?,
        count: count.parse()?,
    };
    let is_it = |case: &&Case| case.contestant.name == name;
    let case = cases.iter().find(is_it).ok_or("an unknown contestant")?;
    (case.contestant.run)(&work, Path::new(log))
}
