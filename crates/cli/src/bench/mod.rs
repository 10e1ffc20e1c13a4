//! `alq bench`: measures the cost of an append on this machine, next to the limits.
//!
//! ```text
//!  args -> case (the plan) -> turn (one process per case and round)
//!                               |
//!                               v
//!                            summary (medians, spreads, noise) -> table, page
//! ```
//!
//! - A turn runs in a separate process, so that the turns do not influence each other.
//! - Figures of near and far turns are never in one median.
//! - A turn counts only if its log holds every record.
//!
//! The benchmarks of the library (`benches/`) answer more questions, but they need the sources.
//! `alq bench` uses their method on any machine with the tool: both measure with `alq-measure`,
//! which has the workloads, the contestants, the statistics and the charts.

pub mod args;
mod case;
mod page;
mod summary;
mod table;
pub mod turn;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;

use crate::report::{self, Failure};
use crate::signals::Signals;
use alq_measure::machine::{Machine, Usage, file_system, own_s};
use alq_measure::turn::Turn;
use args::Bench;
use case::{Case, LOG_BYTES_MAX};
use summary::{Noise, Report, entries};

/// How the measurement ended, if there was no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Measured,
    /// This signal came; nothing was printed.
    Signal(i32),
}

/// Measures, and prints and writes the report.
pub fn run(options: &Bench) -> Result<Ending, Failure> {
    // Opened before the measurement, so that an error comes early. The old content stays until the
    // new one is complete.
    for path in [&options.json, &options.report].into_iter().flatten() {
        let opened = File::options().create(true).append(true).open(path);
        opened.map_err(|error| cannot_write(path, &error))?;
    }
    // Before the folder is created, so that a signal does not leave it on the disk.
    let signals = Signals::handle().map_err(|error| Failure::new("signals", error))?;
    let folder = folder(options)?;
    let cases = case::plan(options.quick);
    let system = |error| Failure::new("the time of the processors", error);
    let before = Usage::now().map_err(system)?;
    let Some(turns) = rounds(options, &cases, folder.path(), &signals)? else {
        return Ok(Ending::Signal(signals.received().unwrap_or_default()));
    };
    let used = Usage::now().map_err(system)?.since(before);
    let ours_s = own_s().map_err(system)?; // includes the turns, which have ended
    let entries = entries(&cases, &turns);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let report = Report {
        tool: concat!("alq ", env!("CARGO_PKG_VERSION")).to_owned(),
        unix_time: since_1970.unwrap_or_default().as_secs(),
        is_quick: options.quick,
        rounds: options.rounds(),
        machine: Machine::here(),
        file_system: file_system(folder.path()),
        folder: parent(folder.path()).display().to_string(),
        noise: Noise::of(&entries, used, ours_s),
        cases: entries,
    };
    tell(options, &report)?;
    Ok(Ending::Measured)
}

fn tell(options: &Bench, report: &Report) -> Result<(), Failure> {
    if let Some(path) = &options.json {
        let text = serde_json::to_string(report).map_err(|error| Failure::new("JSON", error))?;
        write(path, &(text + "\n"))?;
    }
    if let Some(path) = &options.report {
        let page = page::of(report).map_err(|error| Failure::new(path.display(), error))?;
        write(path, &page)?;
    }
    report::print(&table::of(report))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(path.display(), format!("cannot write: {error}"))
}

/// Runs every case in every round. Returns `None` if a signal came.
fn rounds(
    options: &Bench,
    cases: &[Case],
    folder: &Path,
    signals: &Signals,
) -> Result<Option<Vec<Vec<Turn>>>, Failure> {
    let rounds = options.rounds();
    let bar = bar(rounds as usize * cases.len());
    let mut turns = vec![Vec::new(); cases.len()];
    for round in 0..rounds {
        bar.set_prefix(format!("round {} of {rounds}", round + 1));
        for (case, turns) in cases.iter().zip(&mut turns) {
            bar.set_message(case.title());
            let turn = turn::run(case, round, folder, signals);
            if signals.received().is_some() {
                bar.finish_and_clear();
                return Ok(None);
            }
            turns.push(turn.map_err(|error| {
                bar.finish_and_clear();
                Failure::new(case.title(), error)
            })?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(Some(turns))
}

/// The progress bar. It is drawn only between turns, so that it does not disturb them. It is hidden
/// if standard error is not a terminal.
fn bar(turns: usize) -> ProgressBar {
    let bar = ProgressBar::new(turns as u64);
    let template = "alq: {prefix} [{bar:24}] {eta} left, {wide_msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// Creates a temporary folder for the logs.
fn folder(options: &Bench) -> Result<TempDir, Failure> {
    let has_room = |path: &Path| {
        rustix::fs::statvfs(path)
            .is_ok_and(|found| found.f_bavail * found.f_frsize >= LOG_BYTES_MAX as u64)
    };
    let memory = PathBuf::from("/dev/shm");
    let path = options.dir.clone().unwrap_or_else(|| {
        if has_room(&memory) {
            memory
        } else {
            std::env::temp_dir()
        }
    });
    let failure = |problem: String| {
        Failure::new(
            path.display(),
            format!("{problem}; name another folder with --dir"),
        )
    };
    let made = tempfile::Builder::new()
        .prefix("alq-bench-")
        .tempdir_in(&path);
    let made =
        made.map_err(|error| failure(format!("cannot create a folder for the logs: {error}")))?;
    if !has_room(&path) {
        let needed = LOG_BYTES_MAX / 1_000_000;
        return Err(failure(format!(
            "it has less than {needed} MB of free space, which a log may need"
        )));
    }
    Ok(made)
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}
