//! `alq check`: reads a log and its rotated files, and reports what is wrong with them.

use std::path::PathBuf;

use alq::read::{End, Item, Notice, ReadOptions};
use serde::Serialize;

use crate::key;
use crate::read_args::Check;
use crate::records::{self, Finding, failure};
use crate::report::{self, Failure, Row};

/// How many findings are listed; all are counted.
const LISTED_MAX: usize = 1000;

/// The report. The names of the fields are those of `--json`.
#[derive(Serialize)]
struct Report {
    log: String,
    is_sound: bool,
    files: u64,
    records: u64,
    bytes: u64,
    first_position: Option<u64>,
    last_position: Option<u64>,
    /// What is proved of a log with a chain.
    chain: Option<Chain>,
    /// Faults of the log.
    faults: u64,
    /// What the queue has noted itself: lost records, torn ends that were removed.
    notes: u64,
    /// The faults and notes, at most 1000 of them.
    findings: Vec<Finding>,
}

/// What the chain has proved. The names of the fields are those of `--json`.
#[derive(Serialize)]
struct Chain {
    /// The number of the first frame: 0, unless the oldest files are gone.
    first_frame: u64,
    /// For `--least`: the number of the frame after the last proved one, and a value.
    proven: String,
}

/// Checks the log. Returns how many faults it has.
pub fn run(options: &Check) -> Result<u64, Failure> {
    let log = &options.log;
    let failed = |error| failure(log, &error);
    let mut reader = ReadOptions::new().framing(options.framing);
    if let Some(file) = &options.chain {
        reader = reader.chain(key::read(file)?);
    }
    if let Some(proven) = options.least {
        reader = reader.proven(proven);
    }
    let mut reader = records::open(log, reader).map_err(failed)?;
    let mut report = Report {
        log: report::name(log),
        is_sound: true,
        files: 0,
        records: 0,
        bytes: 0,
        first_position: None,
        last_position: None,
        chain: None,
        faults: 0,
        notes: 0,
        findings: Vec::new(),
    };
    let mut file = None;
    while let Some(item) = reader.next().map_err(failed)? {
        report.take(&item, &mut file, options.running);
    }
    while let Some(item) = reader.finish() {
        report.take(&item, &mut file, options.running);
    }
    report.chain = reader.proven().map(|(first_frame, proven)| Chain {
        first_frame,
        proven: proven.to_string(),
    });
    report.is_sound = report.faults == 0;
    if options.json {
        report::json(&report)?;
    } else {
        report::table(&report.rows())?;
    }
    Ok(report.faults)
}

impl Report {
    fn take(&mut self, item: &Item<'_>, last: &mut Option<PathBuf>, is_running: bool) {
        let file = match item {
            Item::Record(record) => record.file(),
            Item::Notice(_, place) => place.file(),
            _ => return,
        };
        if last.as_deref() != Some(file) {
            self.files += 1;
            *last = Some(file.to_owned());
        }
        match item {
            Item::Record(record) => {
                self.records += u64::from(record.end() != End::Continues);
                self.bytes += record.bytes().len() as u64;
                self.first_position = self.first_position.or(record.position());
                self.last_position = record.position().or(self.last_position);
                if record.end() == End::Torn {
                    self.faults += 1;
                    let bytes = record.raw().len();
                    self.list(Finding {
                        notice: "torn",
                        file: report::name(record.file()),
                        offset: record.offset(),
                        message: format!("the file ends inside a line, after {bytes} bytes"),
                    });
                }
            }
            Item::Notice(notice, place) => {
                let is_expected = is_running && matches!(notice, Notice::NotClosed { .. });
                let count = if notice.is_fault() && !is_expected {
                    &mut self.faults
                } else {
                    &mut self.notes
                };
                *count += 1;
                self.list(Finding::of(notice, place));
            }
            _ => {}
        }
    }

    fn list(&mut self, finding: Finding) {
        if self.findings.len() < LISTED_MAX {
            self.findings.push(finding);
        }
    }

    fn rows(&self) -> Vec<Row> {
        let position = |at: Option<u64>| at.map_or("none".to_owned(), |at| at.to_string());
        let mut rows = vec![
            Row::text("log", &self.log),
            Row::count("read", self.files, "files"),
            Row::count("", self.records, "records"),
            Row::count("", self.bytes, "bytes"),
            Row::text("first position", &position(self.first_position)),
            Row::text("last position", &position(self.last_position)),
            Row::count("faults", self.faults, ""),
            Row::count("notes", self.notes, ""),
        ];
        if let Some(Chain {
            first_frame,
            proven,
        }) = &self.chain
        {
            let proved = format!("frames from {first_frame} to {proven}");
            rows.push(Row::text("proved", &proved));
        }
        rows.extend(self.findings.iter().map(|finding| {
            let Finding {
                notice,
                file,
                offset,
                message,
            } = finding;
            Row::text(notice, &format!("{file}: byte {offset}: {message}"))
        }));
        rows
    }
}
