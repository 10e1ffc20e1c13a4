//! `alq dump`: copies the records out of the ring file of a recorder.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use alq::ring_file::{RingDump, dump};
use serde::Serialize;

use crate::dump_args::Dump;
use crate::report::{self, Failure};
use crate::ring;

/// The report. The names of the fields are those of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    ring: String,
    log: Option<String>,
    to: Option<String>,
    in_use: bool,
    pid: Option<u32>,
    records: u64,
    bytes: u64,
    overwritten_records: u64,
    overwritten_bytes: u64,
    open_reservations: u64,
    damaged: u64,
}

/// Writes the records. Returns the number of damaged slots, whose records are left out.
pub fn run(options: &Dump) -> Result<u64, Failure> {
    let Dump {
        ring: path,
        to,
        reason,
        json,
    } = options;
    let found = dump(path, reason).map_err(|error| ring::refusal(path, &error))?;
    if let Some(to) = to {
        append(path, to, &found)?;
    } else if !json {
        print(&found)?;
    }
    if *json {
        report::json(&Report {
            ring: report::name(path),
            log: found.log.as_deref().map(report::name),
            to: to.as_deref().map(report::name),
            in_use: found.in_use,
            pid: found.pid,
            records: found.dump.records,
            bytes: found.dump.bytes,
            overwritten_records: found.dump.overwritten_records,
            overwritten_bytes: found.dump.overwritten_bytes,
            open_reservations: found.dump.held,
            damaged: found.damaged_slots,
        })?;
    }
    if found.damaged_slots > 0 {
        report::line(&format_args!(
            "{}: {} damaged slots; their records are left out",
            report::shown(path),
            found.damaged_slots
        ));
    }
    Ok(found.damaged_slots)
}

/// Writes everything to standard output. On a terminal, what would move its cursor is escaped.
fn print(found: &RingDump) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let printed = if out.is_terminal() {
        let line = found.line();
        let texts = [&line[..], found.bytes()].map(String::from_utf8_lossy);
        texts.iter().try_for_each(|text| {
            let mut lines = text.split_inclusive('\n');
            lines.try_for_each(|line| {
                let text = line.trim_end_matches('\n');
                let end = &line[text.len()..];
                write!(out, "{}{end}", report::visible(text))
            })
        })
    } else {
        out.write_all(&found.line())
            .and_then(|()| out.write_all(found.bytes()))
    };
    printed
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new("standard output", error))
}

/// Appends everything to `to`, with one write(2) if it is not too long for one, and syncs it if it
/// is a file.
fn append(ring: &Path, to: &Path, found: &RingDump) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(report::shown(to), error);
    if is_same(ring, to) {
        return Err(Failure::new(
            report::shown(to),
            "it is the ring file itself",
        ));
    }
    let mut file = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(to)
        .map_err(failed)?;
    file.write_all(&[&found.line()[..], found.bytes()].concat())
        .map_err(failed)?;
    if file.metadata().map_err(failed)?.is_file() {
        file.sync_data().map_err(failed)?;
    }
    Ok(())
}

fn is_same(one: &Path, other: &Path) -> bool {
    let id = |path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    matches!((id(one), id(other)), (Ok(one), Ok(other)) if one == other)
}
