//! The rounds. In each round every contestant has one turn, in a separate process, and its output
//! is checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, thread};

use alq_measure::machine::{file_system, line_ns};
use alq_measure::records::{Found, check_folder};

use super::contestant::{Contestant, Leaves};
use super::turns::Turn;
use super::workloads::{BEFORE_IDLE, BURST, Kind, Work, all_bursts, spin};
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
                let program = env::current_exe().expect("this program");
                program.parent().expect("a folder").to_owned()
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

    /// How many records a turn takes.
    fn records(&self) -> u64 {
        let Work {
            producers, count, ..
        } = self.work;
        let records = match self.work.kind {
            Kind::Bursts => all_bursts(count) * BURST,
            Kind::Sustained => count / producers * producers,
            Kind::Idle => BEFORE_IDLE,
            Kind::Interval | Kind::Busy | Kind::Stalled => count,
        };
        records as u64
    }
}

/// How long a turn may take before it counts as hung.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs a benchmark: this process runs the rounds, and its children run the turns.
pub fn run(bench: &str, cases: &[Case], bases: &[Contestant], default_rounds: usize) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--spin") => spin(),
        Some("--turn") => return turn_here(cases, &arguments[1..]),
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
    report::write_json(bench, &results);
    if failures > 0 {
        eprintln!("{failures} turns failed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs a turn in a separate process and folder.
fn turn(case: &Case, round: usize) -> Result<Turn, String> {
    let folder = tempfile::Builder::new()
        .prefix("alq-bench")
        .tempdir_in(case.place.parent())
        .map_err(|error| error.to_string())?;
    let log = match case.place {
        Place::Null => PathBuf::from("/dev/null"),
        Place::Tmpfs | Place::Disk => folder.path().join("log"),
    };
    let before = line_ns();
    let mut figures = child(case, &log)?;
    let line_ns = [before, line_ns()];
    let counted = figures.get("counted").copied().unwrap_or(0.0);
    if case.place != Place::Null
        && case.contestant.leaves != Leaves::Nothing
        && case.work.kind != Kind::Stalled
    {
        let found = check_folder(folder.path(), case.work.len, case.work.producers);
        let found = found.map_err(|error| error.to_string())?;
        figures.insert("lost".to_owned(), lost(case, &found, counted)?);
    }
    Ok(Turn {
        round,
        line_ns,
        figures,
    })
}

/// Returns the number of missing records; an error if the contestant must not lose records.
fn lost(case: &Case, found: &Found, counted: f64) -> Result<f64, String> {
    let expected = case.records();
    let lost = expected.checked_sub(found.records());
    let lost = lost.ok_or_else(|| format!("{} records of {expected}", found.records()))?;
    if case.contestant.lossless && (lost > 0 || counted > 0.0 || found.gaps) {
        return Err(format!(
            "{lost} of {expected} records are missing, {counted} counted as dropped"
        ));
    }
    Ok(lost as f64)
}

/// Runs this program again, and reads its figures.
fn child(case: &Case, log: &Path) -> Result<BTreeMap<String, f64>, String> {
    let work = case.work;
    let numbers = [work.producers, work.len, work.count].map(|n| n.to_string());
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args(["--turn", case.contestant.name, work.kind.name()])
        .args(numbers)
        .arg(log)
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}", output.status, why.trim()));
    }
    let figure = |line: &str| {
        let (name, value) = line.strip_prefix("figure ")?.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    Ok(said.lines().filter_map(figure).collect())
}

/// Runs the child's part: `NAME KIND PRODUCERS LEN COUNT PATH`.
fn turn_here(cases: &[Case], arguments: &[String]) -> ExitCode {
    let [name, kind, producers, len, count, log] = arguments else {
        panic!("six arguments");
    };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let work = Work {
        kind: Kind::of(kind).expect("a workload"),
        producers: number(producers),
        len: number(len),
        count: number(count),
    };
    let is_it = |case: &&Case| case.contestant.name == name;
    let contestant = cases.iter().find(is_it).expect("a contestant").contestant;
    thread::spawn(|| {
        thread::sleep(LIMIT);
        eprintln!("it hangs");
        std::process::abort();
    });
    for (name, value) in (contestant.run)(&work, Path::new(log)) {
        println!("figure {name} {value}");
    }
    ExitCode::SUCCESS
}
