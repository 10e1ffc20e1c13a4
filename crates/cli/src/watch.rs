//! `alq stat --watch`: shows a queue with a ring file again and again.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use alq::ring_file::{State, inspect};
use indicatif::DecimalBytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::report::{self, Failure};
use crate::screen::{BLOCKS_MAX, Screen, eighths, sparkline};
use crate::signals::Signals;
use crate::stat_args::Stat;
use crate::{ring, stat};

/// Shows the queue until a signal comes, which is returned, or until the ring file is removed,
/// which is an error.
pub fn run(options: &Stat) -> Result<i32, Failure> {
    let signals = Signals::handle().map_err(|error| Failure::new("signals", error))?;
    let mut screen = Screen::new();
    let mut watch = Watch::new(&options.ring);
    loop {
        let state = watch.look()?;
        let now = Instant::now();
        watch.note_owner(&state);
        if options.json {
            stat::print_json(options, &state)?;
        } else if screen.is_terminal() {
            let lines = watch.frame(&state, now, options.interval);
            let lines: Vec<_> = lines.iter().map(|line| report::visible(line)).collect();
            screen.show(&lines)?;
        } else {
            report::print(&(watch.line(&state, now) + "\n"))?;
        }
        watch.before = Some((now, state));
        if wait(&signals, options.interval)? {
            return Ok(signals.received().unwrap_or_default());
        }
    }
}

/// Waits for `limit`. Returns true if a signal came.
fn wait(signals: &Signals, limit: Duration) -> Result<bool, Failure> {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|error| Failure::new("--interval", error))?;
        let came = signals.descriptor();
        match poll(
            &mut [PollFd::from_borrowed_fd(came, PollFlags::IN)],
            Some(&left),
        ) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {} // if it was a signal of ours, the next poll finds it
            Err(error) => return Err(Failure::new("signals", error)),
        }
    }
}

/// What was seen before, in order to show what has changed.
#[derive(Debug)]
struct Watch<'a> {
    ring: &'a Path,
    before: Option<(Instant, State)>,
    /// The fill of the ring in eighths, the latest last.
    fills: VecDeque<usize>,
    /// Since when nothing has been written although there is something to write.
    standing_since: Option<Instant>,
    /// Set if the owner has ended.
    gone: Option<Gone>,
}

/// An owner that has ended, with its pid if it was known.
#[derive(Clone, Copy, Debug)]
struct Gone(Option<u32>);

/// What has happened since the previous reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Change {
    time: Duration,
    posted_bytes: u64,
    written_bytes: u64,
    written_records: u64,
    drains: u64,
    wakeups: u64,
    waits: u64,
    refused_records: u64,
}

impl<'a> Watch<'a> {
    fn new(ring: &'a Path) -> Self {
        Self {
            ring,
            before: None,
            fills: VecDeque::new(),
            standing_since: None,
            gone: None,
        }
    }

    fn look(&self) -> Result<State, Failure> {
        inspect(self.ring).map_err(|error| {
            if self.before.is_some() && ring::is_missing(&error) {
                return Failure::new(report::shown(self.ring), "the ring file has been removed");
            }
            ring::refusal(self.ring, &error)
        })
    }

    /// Notes when the owner has ended. Without a terminal, also reports it on standard error.
    fn note_owner(&mut self, state: &State) {
        if state.in_use {
            self.gone = None;
            return;
        }
        let before = self.before.as_ref().map(|(_, before)| before);
        let Some(before) = before.filter(|before| before.in_use) else {
            return;
        };
        let pid = before.pid;
        self.gone = Some(Gone(pid));
        let who = pid.map_or("its process".to_owned(), |pid| format!("process {pid}"));
        let ring = report::shown(self.ring);
        let left = match state.pending.bytes {
            0 => "and has left nothing".to_owned(),
            bytes => format!("and {bytes} bytes stay, which `alq recover {ring}` writes"),
        };
        if !Screen::new().is_terminal() {
            report::line(&format_args!("{ring}: {who} has gone, {left}"));
        }
    }

    /// What has changed since the previous reading. `None` for the first reading, and if the queue
    /// has been opened again since.
    fn change(&self, state: &State, now: Instant) -> Option<Change> {
        let (then, before) = self.before.as_ref()?;
        let (old, new) = (&before.live, &state.live);
        if old.opened_ns != new.opened_ns {
            return None;
        }
        let posted = |state: &State| state.live.written_bytes + state.pending.bytes;
        Some(Change {
            time: now.duration_since(*then).max(Duration::from_nanos(1)),
            // The flusher publishes its numbers a moment after it has freed the bytes, so the sum
            // may seem to decrease.
            posted_bytes: posted(state).saturating_sub(posted(before)),
            written_bytes: new.written_bytes.saturating_sub(old.written_bytes),
            written_records: new.written_records.saturating_sub(old.written_records),
            drains: new.drains.saturating_sub(old.drains),
            wakeups: new.wakeups.saturating_sub(old.wakeups),
            waits: new.waits.saturating_sub(old.waits),
            refused_records: new.refused_records.saturating_sub(old.refused_records),
        })
    }

    /// For how long nothing has been written although there is something to write.
    fn standing(
        &mut self,
        state: &State,
        change: Option<&Change>,
        now: Instant,
    ) -> Option<Duration> {
        let has_moved = change.is_none_or(|change| change.written_bytes > 0);
        let has_nothing = state.pending.bytes == 0 && state.pending.skipped_entries == 0;
        if has_moved || has_nothing || !state.in_use {
            self.standing_since = None;
            return None;
        }
        // Nothing has moved since the previous reading.
        let then = self.before.as_ref().map_or(now, |(then, _)| *then);
        let since = *self.standing_since.get_or_insert(then);
        Some(now.duration_since(since))
    }

    /// One line for a file or a pipe.
    fn line(&mut self, state: &State, now: Instant) -> String {
        let change = self.change(state, now);
        let standing = self.standing(state, change.as_ref(), now);
        let live = &state.live;
        let mut parts = vec![format!(
            "fill {} % ({} bytes)",
            percent(state),
            state.fill_bytes
        )];
        if let Some(change) = change {
            parts.extend([
                format!("posted {}", change.rate(change.posted_bytes)),
                format!("written {}", change.written()),
                change.drained(),
                format!("waits +{}", change.waits),
                format!("refused +{}", change.refused_records),
            ]);
        } else {
            parts.push(format!("written {} bytes", live.written_bytes));
        }
        parts.push(format!("open {}", state.pending.skipped_entries));
        parts.extend(standing.map(|time| format!("standing {}", stat::seconds(time))));
        parts.extend(stat::stall(state).map(|stall| format!("stall {stall}")));
        parts.extend(stat::errno_name(live.failure_errno).map(|name| format!("failure {name}")));
        parts.push(self.owner(state));
        parts.join(", ")
    }

    fn owner(&self, state: &State) -> String {
        match (state.pid, self.gone) {
            (Some(pid), _) => format!("process {pid}"),
            (None, _) if state.in_use => ring::ELSEWHERE.to_owned(),
            (None, Some(Gone(Some(pid)))) => format!("no process; {pid} has gone"),
            (None, Some(Gone(None))) => "no process; the last one has gone".to_owned(),
            (None, None) => "no process".to_owned(),
        }
    }

    /// The lines of the screen on a terminal.
    fn frame(&mut self, state: &State, now: Instant, interval: Duration) -> Vec<String> {
        let change = self.change(state, now);
        let standing = self.standing(state, change.as_ref(), now);
        if self.fills.len() == BLOCKS_MAX {
            self.fills.pop_front();
        }
        let fill = eighths(state.fill_bytes, state.capacity_bytes);
        self.fills.push_back(fill);
        let ends = format!(
            "every {}; Ctrl-C ends only this display",
            stat::seconds(interval)
        );
        let rows = [
            self.what_it_is(state),
            flow(state, change.as_ref()),
            trouble(state, change.as_ref(), standing),
            vec![("", ends)],
        ];
        let rows = rows.into_iter().flatten();
        rows.map(|(label, value)| format!("{label:9}{value}"))
            .collect()
    }

    /// The rows that say which queue this is, and how full it is.
    fn what_it_is(&self, state: &State) -> Vec<Row> {
        let log = state.log.as_deref().map(report::shown);
        let log = log.or_else(|| state.place.as_deref().map(report::visible));
        let log = log.unwrap_or_else(|| "not known".to_owned());
        let State {
            fill_bytes,
            capacity_bytes,
            live,
            ..
        } = state;
        let bytes = format!(
            "{fill_bytes} of {capacity_bytes} bytes, {} at most",
            live.high_water_bytes
        );
        vec![
            ("ring", report::shown(self.ring)),
            ("log", log),
            ("owner", self.owner(state)),
            (
                "fill",
                format!("{} {:>3} %", sparkline(&self.fills), percent(state)),
            ),
            ("", bytes),
        ]
    }
}

/// A label and its value.
type Row = (&'static str, String);

/// The rows about the flow of bytes.
fn flow(state: &State, change: Option<&Change>) -> Vec<Row> {
    let since = |text: &dyn Fn(&Change) -> String| change.map_or("-".to_owned(), text);
    let drains = |change: &Change| {
        let wakeups = change.per_second(change.wakeups);
        format!("{}, {wakeups:.0} wake-ups/s", change.drained())
    };
    let pending = &state.pending;
    vec![
        ("posted", since(&|change| change.rate(change.posted_bytes))),
        ("written", since(&Change::written)),
        ("drains", since(&drains)),
        (
            "pending",
            format!("{} bytes in {} spans", pending.bytes, pending.spans),
        ),
    ]
}

/// The rows about reservations, waits, refusals, stalls and failures.
fn trouble(state: &State, change: Option<&Change>, standing: Option<Duration>) -> Vec<Row> {
    let State { live, pending, .. } = state;
    let more = |count: u64, more: Option<u64>| match more {
        None | Some(0) => count.to_string(),
        Some(more) => format!("{count} (+{more})"),
    };
    let waits = more(live.waits, change.map(|change| change.waits));
    let longest = stat::seconds(Duration::from_nanos(live.longest_wait_ns));
    let refused = more(
        live.refused_records,
        change.map(|change| change.refused_records),
    );
    let behind = if pending.skipped_entries > 0 {
        " after the oldest"
    } else {
        ""
    };
    let standing = standing.map_or_else(String::new, |time| {
        format!(
            "; nothing has been written{behind} for {}",
            stat::seconds(time)
        )
    });
    let none = || "none".to_owned();
    vec![
        (
            "open",
            format!("{} reservations{standing}", pending.skipped_entries),
        ),
        ("waits", format!("{waits}, the longest {longest}")),
        ("refused", format!("{refused} records")),
        ("stall", stat::stall(state).unwrap_or_else(none)),
        (
            "failure",
            stat::errno_name(live.failure_errno).unwrap_or_else(none),
        ),
    ]
}

impl Change {
    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.time.as_secs_f64()
    }

    fn rate(&self, bytes: u64) -> String {
        let a_second = u128::from(bytes) * 1_000_000_000 / self.time.as_nanos();
        format!("{}/s", DecimalBytes(a_second as u64))
    }

    fn written(&self) -> String {
        let records = self.per_second(self.written_records);
        format!("{}, {records:.0} records/s", self.rate(self.written_bytes))
    }

    /// The number of drains per second, and the average size of one.
    fn drained(&self) -> String {
        let each = self.written_bytes.checked_div(self.drains).unwrap_or(0);
        format!(
            "{:.0} drains/s of {}",
            self.per_second(self.drains),
            DecimalBytes(each)
        )
    }
}

fn percent(state: &State) -> u64 {
    state.fill_bytes * 100 / state.capacity_bytes.max(1)
}
