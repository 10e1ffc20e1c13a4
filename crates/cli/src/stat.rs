//! `alq stat`: shows what a ring file holds and what its queue is doing. `--watch` is in
//! `watch.rs`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alq::ring_file::{Live, State};
use nix::errno::Errno;
use serde::Serialize;

use crate::report::{self, Failure, Row};
use crate::ring;
use crate::stat_args::Stat;

/// The report. The names of the fields are those of `--json`, where a missing value is null.
#[derive(Debug, Serialize)]
struct Report {
    ring: String,
    log: Option<String>,
    /// Where the log is, if it is no file.
    place: Option<String>,
    /// Which ring this is, and how its records are framed.
    id: Option<String>,
    framing: Option<String>,
    /// Why the ring file is not trusted.
    untrusted: Option<String>,
    /// Whether it is the ring of a recorder.
    recorder: bool,
    in_use: bool,
    /// The process that has the ring file open.
    pid: Option<u32>,
    /// The process that published the numbers since `opened_ns`.
    shown_by: Option<u32>,
    read_ns: u64,
    opened_ns: Option<u64>,
    shown_ns: Option<u64>,
    capacity_bytes: u64,
    entry_bytes: Option<usize>,
    entries: Option<usize>,
    fill_bytes: u64,
    high_water_bytes: u64,
    pending_bytes: u64,
    pending_spans: u64,
    overwritten_bytes: u64,
    overwritten_records: u64,
    already_written_bytes: u64,
    possibly_repeated_bytes: u64,
    open_reservations: u64,
    damaged: u64,
    written_bytes: u64,
    drains: u64,
    refused_records: u64,
    refused_bytes: u64,
    stall: Option<String>,
    /// Why the log accepts no data, in the words of its sink.
    stall_reason: Option<String>,
    stall_ns: u64,
    failure: Option<String>,
    written_records: u64,
    waits: u64,
    longest_wait_ns: u64,
    wakeups: u64,
    syncs: u64,
    /// For how long a write has not returned; 0 if none is in progress.
    write_ns: u64,
}

/// Prints the state of the ring file.
pub fn run(options: &Stat) -> Result<(), Failure> {
    let state = ring::look(&options.ring)?;
    if options.json {
        print_json(options, &state)
    } else {
        report::table(&Report::of(options, &state).rows())
    }
}

/// Prints the state as a JSON object on one line.
pub fn print_json(options: &Stat, state: &State) -> Result<(), Failure> {
    report::json(&Report::of(options, state))
}

impl Report {
    fn of(options: &Stat, state: &State) -> Self {
        let State { pending, live, .. } = state;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let if_shown = |value| (live.shown_ns > 0).then_some(value);
        Self {
            ring: report::name(&options.ring),
            log: state.log.as_deref().map(report::name),
            place: state.place.clone(),
            id: state.id.as_ref().map(ToString::to_string),
            framing: state.framing.map(|framing| format!("{framing:?}")),
            untrusted: state.untrusted.as_ref().map(ToString::to_string),
            recorder: state.is_recorder,
            in_use: state.in_use,
            pid: state.pid,
            shown_by: (live.shown_ns > 0).then_some(live.pid),
            read_ns: since_1970.unwrap_or_default().as_nanos() as u64,
            opened_ns: if_shown(live.opened_ns),
            shown_ns: if_shown(live.shown_ns),
            capacity_bytes: state.capacity_bytes,
            entry_bytes: state.fixed.map(|(len, _)| len),
            entries: state.fixed.map(|(_, count)| count),
            fill_bytes: state.fill_bytes,
            high_water_bytes: live.high_water_bytes,
            pending_bytes: pending.bytes,
            pending_spans: pending.spans,
            overwritten_bytes: state.overwritten_bytes,
            overwritten_records: state.overwritten_records,
            already_written_bytes: pending.already_written_bytes,
            possibly_repeated_bytes: pending.possibly_repeated_bytes,
            open_reservations: pending.skipped_entries,
            damaged: pending.damaged_slots,
            written_bytes: live.written_bytes,
            drains: live.drains,
            refused_records: live.refused_records,
            refused_bytes: live.refused_bytes,
            stall: errno_name(live.stall_errno),
            stall_reason: state.stall_reason.clone(),
            stall_ns: live.stall_ns,
            failure: errno_name(live.failure_errno),
            written_records: live.written_records,
            waits: live.waits,
            longest_wait_ns: live.longest_wait_ns,
            wakeups: live.wakeups,
            syncs: live.syncs,
            write_ns: if state.in_use { write_ns(live) } else { 0 },
        }
    }

    fn rows(&self) -> Vec<Row> {
        let none = || "none".to_owned();
        let mut rows = vec![
            Row::text("ring", &self.ring),
            Row::text("id", self.id.as_deref().unwrap_or("none")),
            Row::text("log", &self.log()),
            Row::text("framing", self.framing.as_deref().unwrap_or("not known")),
            Row::text(
                "use",
                if self.recorder {
                    "a recorder"
                } else {
                    "a queue"
                },
            ),
            Row::text("owner", &self.owner()),
            Row::text("shown", &self.age(self.shown_ns)),
            Row::count("capacity", self.capacity_bytes, "bytes"),
        ];
        if let Some(problem) = &self.untrusted {
            rows.insert(0, Row::text("not trusted", problem));
        }
        if let (Some(len), Some(count)) = (self.entry_bytes, self.entries) {
            rows.push(Row::count("entries", count as u64, "at most"));
            rows.push(Row::count("", len as u64, "bytes each"));
        }
        rows.extend([
            Row::count("fill", self.fill_bytes, "bytes"),
            Row::count("high water", self.high_water_bytes, "bytes"),
            Row::count(
                if self.recorder { "kept" } else { "pending" },
                self.pending_bytes,
                "bytes",
            ),
            Row::count("", self.pending_spans, "spans"),
        ]);
        if self.recorder {
            let records = self.overwritten_records;
            rows.push(Row::count(
                "overwritten",
                records,
                "records since the last dump",
            ));
            rows.push(Row::count("", self.overwritten_bytes, "bytes"));
        }
        if !self.in_use && !self.recorder {
            rows.push(Row::count(
                "already written",
                self.already_written_bytes,
                "bytes",
            ));
            rows.push(Row::count(
                "possibly repeated",
                self.possibly_repeated_bytes,
                "bytes",
            ));
        }
        rows.extend([
            Row::count("open", self.open_reservations, "reservations"),
            Row::count("damaged", self.damaged, "slots"),
            Row::count("written", self.written_bytes, "bytes"),
            Row::count("", self.written_records, "records"),
            Row::count("", self.drains, "drains"),
            Row::count("", self.syncs, "syncs"),
            Row::count("waits", self.waits, "appends"),
            Row::text(
                "longest",
                &seconds(Duration::from_nanos(self.longest_wait_ns)),
            ),
            Row::count("refused", self.refused_records, "records"),
            Row::count("", self.refused_bytes, "bytes"),
            Row::text("stall", &self.stall().unwrap_or_else(none)),
            Row::text("failure", self.failure.as_deref().unwrap_or("none")),
        ]);
        rows
    }

    fn stall(&self) -> Option<String> {
        let why = [&self.stall_reason, &self.stall].map(Option::as_deref);
        stall_text(why, self.stall_ns, self.write_ns)
    }

    fn log(&self) -> String {
        let place = self.place.clone();
        let log = self.log.clone().or(place);
        log.unwrap_or_else(|| "not known".to_owned())
    }

    fn owner(&self) -> String {
        match (self.pid, self.shown_by) {
            (Some(pid), Some(shown_by)) if pid == shown_by => {
                format!("process {pid}, opened {}", self.age(self.opened_ns))
            }
            (Some(pid), _) => format!("process {pid}"),
            (None, _) if self.in_use => ring::ELSEWHERE.to_owned(),
            (None, Some(last)) => {
                format!(
                    "none; the last was process {last}, opened {}",
                    self.age(self.opened_ns)
                )
            }
            (None, None) => "none".to_owned(),
        }
    }

    /// The time from `ns` to the reading, in words.
    fn age(&self, ns: Option<u64>) -> String {
        ns.map_or_else(
            || "never".to_owned(),
            |ns| {
                format!(
                    "{} ago",
                    seconds(Duration::from_nanos(self.read_ns.saturating_sub(ns)))
                )
            },
        )
    }
}

/// A time in seconds, as text.
pub fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

/// Why the log accepts no data, and for how long; `None` if it is not stalled.
pub fn stall(
    State {
        live, stall_reason, ..
    }: &State,
) -> Option<String> {
    let errno = errno_name(live.stall_errno);
    let why = [stall_reason, &errno].map(Option::as_deref);
    stall_text(why, live.stall_ns, write_ns(live))
}

/// A write that takes longer is shown as a stall.
const LONG_WRITE: Duration = Duration::from_secs(1);

fn stall_text([reason, errno]: [Option<&str>; 2], stall_ns: u64, write_ns: u64) -> Option<String> {
    let write_time = Duration::from_nanos(write_ns);
    let (otherwise, time) = match errno {
        Some(errno) => (errno, Duration::from_nanos(stall_ns)),
        None if write_time >= LONG_WRITE => ("a write has not returned", write_time),
        None => return None,
    };
    // A sink may say anything, also several lines.
    let why = report::visible(reason.unwrap_or(otherwise));
    Some(format!("{why}, for {}", seconds(time)))
}

/// For how long the write that is in progress has not returned.
fn write_ns(live: &Live) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ns = now.unwrap_or_default().as_nanos() as u64;
    match live.write_began_ns {
        0 => 0,
        began_ns => now_ns.saturating_sub(began_ns),
    }
}

/// The name of an errno, such as `EAGAIN`; `None` for 0.
pub fn errno_name(errno: u32) -> Option<String> {
    let errno = i32::try_from(errno).ok().filter(|errno| *errno != 0)?;
    match Errno::from_raw(errno) {
        Errno::UnknownErrno => Some(errno.to_string()),
        errno => Some(format!("{errno:?}")),
    }
}
