//! `alq check`: reads a log and its rotated files, and reports what is wrong with them.

use alq::read::{End, Item, ReadOptions};
use serde::Serialize;

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
    /// Faults of the log.
    faults: u64,
    /// What the queue has noted itself: lost records, torn ends that were removed.
    notes: u64,
    /// The faults and notes, at most 1000 of them.
    findings: Vec<Finding>,
}

/// Checks the log. Returns how many faults it has.
pub fn run(options: &Check) -> Result<u64, Failure> {
    let log = &options.log;
    let failed = |error| failure(log, &error);
    let reader = ReadOptions::new().framing(options.framing);
    let mut reader = records::open(log, reader).map_err(failed)?;
    let mut report = Report {
        log: report::name(log),
        is_sound: true,
        files: 0,
        records: 0,
        bytes: 0,
        first_position: None,
        last_position: None,
        faults: 0,
        notes: 0,
        findings: Vec::new(),
    };
    let mut file = None;
    while let Some(item) = reader.next().map_err(failed)? {
        report.take(&item, &mut file);
    }
    while let Some(item) = reader.finish() {
        report.take(&item, &mut file);
    }
    report.is_sound = report.faults == 0;
    if options.json {
        report::json(&report)?;
    } else {
        report::table(&report.rows())?;
    }
    Ok(report.faults)
}

impl Report {
    fn take(&mut self, item: &Item<'_>, last: &mut Option<std::path::PathBuf>) {
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
                let count = if notice.is_fault() {
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
