//! `alq recover`: writes what a process left in a ring file to its log.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use alq::ring_file::State;
use alq::{Recovery, RingFileProblem as Problem};
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::Serialize;

use crate::args::Recover;
use crate::report::{self, Failure, Row};
use crate::ring;
use crate::shipping;
use crate::target::Target;

/// The report. The names of the fields are those of `--json`.
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
    check(ring, &state)?;
    let log = into.as_ref().or(state.log.as_ref());
    // If there is nothing to write, no log is created and nothing is changed.
    let recovery = if *dry_run || state.pending.bytes == 0 {
        state.pending
    } else {
        write(ring, into.as_deref(), &state)?
    };
    let report = Report {
        ring: report::name(ring),
        log: log.map(|log| report::name(log)),
        dry_run: *dry_run,
        bytes: recovery.bytes,
        spans: recovery.spans,
        already_written: recovery.already_written_bytes,
        possibly_repeated: recovery.possibly_repeated_bytes,
        skipped: recovery.skipped_entries,
        damaged: recovery.damaged_slots,
    };
    if *json {
        report::json(&report)?;
    } else {
        report::table(&report.rows())?;
    }
    Ok(recovery)
}

/// Refuses a ring file that is in use, or that another user may write to: it could name any file
/// and hold anything.
fn check(ring: &Path, state: &State) -> Result<(), Failure> {
    if state.is_recorder {
        let problem = "it is the ring of a recorder, which writes only dumps: \
                       `alq dump` writes what it keeps";
        return Err(Failure::new(report::shown(ring), problem));
    }
    if let Some(problem) = &state.untrusted {
        return Err(Failure::new(report::shown(ring), problem));
    }
    if state.in_use {
        let problem = Problem::InUse { pid: state.pid };
        let way_out = "which writes what it has posted: `alq stat` shows it";
        return Err(Failure::new(
            report::shown(ring),
            format!("{problem}, {way_out}"),
        ));
    }
    Ok(())
}

/// Appends what is in the ring file at `ring` to the log that it names, or to `into`. Waits until
/// everything is written and, if the log is a file, on disk.
fn write(ring: &Path, into: Option<&Path>, state: &State) -> Result<Recovery, Failure> {
    let sizes = ring::sizes(state);
    let target = if let Some(into) = into {
        Target::recover(into, None, ring, sizes)?
    } else {
        let (log, file) = noted_log(ring, state)?;
        Target::recover(log, Some(file), ring, sizes)?
    };
    let recovery = target.queue().recovery().copied().unwrap_or_default();
    // After a failed write, the sync fails with the same cause. The close describes it better.
    let synced = target.sync();
    target.close().and(synced)?;
    Ok(recovery)
}

/// Opens the log that the ring names for appending, if it is still the same file. Creates no file,
/// follows no link and does not wait.
fn noted_log<'a>(ring: &Path, state: &'a State) -> Result<(&'a Path, File), Failure> {
    let refuse = |problem: String| {
        let problem = format!("{problem}: name a file with --into FILE");
        Err(Failure::new(report::shown(ring), problem))
    };
    if let Some(place) = &state.place {
        let how = shipping::recovery(ring, place).unwrap_or_else(|| {
            "start the program that writes there, which goes on with it".to_owned()
        });
        return refuse(format!(
            "its log is no file, but {}: {how}, or take the records out",
            report::visible(place)
        ));
    }
    let (Some(log), Some(end)) = (&state.log, &state.log_end) else {
        return refuse("it does not name its log (which may be a pipe)".to_owned());
    };
    let shown = report::shown(log);
    let other = "is another file now (rotated or replaced)";
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = File::options();
    let flags = i32::try_from(flags.bits()).expect("flags of open(2) are an int");
    options.append(true).custom_flags(flags);
    let file = match options.open(log) {
        Ok(file) => file,
        Err(error) => {
            return match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::NOENT | Errno::NOTDIR) => {
                    refuse(format!("its log, {shown}, no longer exists"))
                }
                // A symbolic link, a folder, a FIFO without a reader, a socket.
                Some(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => {
                    refuse(format!("its log, {shown}, {other}"))
                }
                _ => refuse(format!("cannot open its log, {shown}: {error}")),
            };
        }
    };
    let metadata = file
        .metadata()
        .map_err(|error| Failure::new(&shown, error))?;
    let is_it = (metadata.dev(), metadata.ino()) == (end.device, end.inode);
    if !is_it || !metadata.is_file() {
        return refuse(format!("its log, {shown}, {other}"));
    }
    Ok((log, file))
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
            Row::count("damaged", self.damaged, "slots"),
        ]
    }
}
