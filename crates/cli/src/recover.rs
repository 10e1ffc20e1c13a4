//! `alq recover`: what a process has left in a ring file goes to its log.

use std::path::Path;

use alq::ring_file::State;
use alq::{Recovery, RingFileProblem as Problem};
use serde::Serialize;

use crate::args::Recover;
use crate::report::{self, Failure, Row};
use crate::ring;
use crate::target::Target;

/// What is printed; with `--json`, under these names.
#[derive(Debug, Serialize)]
struct Report {
    ring: String,
    log: Option<String>,
    dry_run: bool,
    bytes: u64,
    spans: u64,
    already_written: u64,
    possibly_repeated: u64,
    skipped: u64,
    damaged: u64,
}

/// Recovers what is in the ring file, and prints the report.
pub fn run(options: &Recover) -> Result<Recovery, Failure> {
    let Recover {
        ring,
        into,
        dry_run,
        json,
    } = options;
    let state = ring::look(ring)?;
    if let Some(pid) = state.pid {
        let problem = Problem::InUse { pid: Some(pid) };
        let way_out = "which writes by itself what it has posted: `alq stat` shows it";
        return Err(Failure::new(
            ring.display(),
            format!("{problem}, {way_out}"),
        ));
    }
    let log = into.as_ref().or(state.log.as_ref());
    // With nothing to write, no log is made and nothing is touched.
    let recovery = if *dry_run || state.pending.bytes == 0 {
        state.pending
    } else {
        let log = log.ok_or_else(|| {
            let problem =
                "it is not known which log it is for (a pipe, say): name a file with --into FILE";
            Failure::new(ring.display(), problem)
        })?;
        write(ring, log, &state)?
    };
    let report = Report {
        ring: ring.display().to_string(),
        log: log.map(|log| log.display().to_string()),
        dry_run: *dry_run,
        bytes: recovery.bytes,
        spans: recovery.spans,
        already_written: recovery.already_written,
        possibly_repeated: recovery.possibly_repeated,
        skipped: recovery.skipped,
        damaged: recovery.damaged,
    };
    if *json {
        report::json(&report)?;
    } else {
        report::table(&report.rows())?;
    }
    Ok(recovery)
}

/// Appends to `log` what is in the ring file at `ring`, until it is there and, if it is a file, on disk.
fn write(ring: &Path, log: &Path, state: &State) -> Result<Recovery, Failure> {
    let target = Target::recover(log, ring, ring::sizes(state))?;
    let recovery = target.queue().recovery().copied().unwrap_or_default();
    let synced = target.sync(); // fails with the cause of a failed write, which the close tells better
    target.close().and(synced)?;
    Ok(recovery)
}

impl Report {
    fn rows(&self) -> Vec<Row> {
        let log = self.log.as_deref().unwrap_or("not known");
        vec![
            Row::text("ring", &self.ring),
            Row::text("log", log),
            Row::count("found", self.bytes, "bytes"),
            Row::count("", self.spans, "spans"),
            Row::count("already written", self.already_written, "bytes"),
            Row::count("possibly repeated", self.possibly_repeated, "bytes"),
            Row::count("never posted", self.skipped, "reservations"),
            Row::count("damaged", self.damaged, "descriptors"),
        ]
    }
}
