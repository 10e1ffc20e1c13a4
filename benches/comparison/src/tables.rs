//! The tables of docs/benchmarks.md, from what the benchmarks appended to a file of JSON lines.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use crate::common::report::turns_of;
use crate::goals;
use alq_measure::machine::Distance;
use alq_measure::turn::{Turn, figure};

/// What is between these in the page is ours.
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// What a contestant did with one workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    pub bench: &'static str,
    pub workload: &'static str,
    pub place: &'static str,
    pub producers: u64,
    pub len: u64,
}

impl Task {
    pub const fn new(bench: &'static str, workload: &'static str) -> Self {
        Self {
            bench,
            workload,
            place: "tmpfs",
            producers: 1,
            len: 100,
        }
    }

    pub const fn place(self, place: &'static str) -> Self {
        Self { place, ..self }
    }

    pub const fn producers(self, producers: u64) -> Self {
        Self { producers, ..self }
    }

    pub const fn len(self, len: u64) -> Self {
        Self { len, ..self }
    }
}

/// One line of the file.
pub struct Entry {
    pub contestant: String,
    pub lossless: bool,
    pub turns: Vec<Turn>,
    object: Value,
}

impl Entry {
    fn of(line: &str) -> Option<Self> {
        let object: Value = serde_json::from_str(line).ok()?;
        Some(Self {
            contestant: object.get("contestant")?.as_str()?.to_owned(),
            lossless: object.get("lossless")?.as_bool()?,
            turns: turns_of(&object)?,
            object,
        })
    }

    pub fn is(&self, task: &Task) -> bool {
        let text = |name: &str| self.object[name].as_str();
        text("bench") == Some(task.bench)
            && text("workload") == Some(task.workload)
            && text("place") == Some(task.place)
            && self.object["producers"].as_u64() == Some(task.producers)
            && self.object["record_bytes"].as_u64() == Some(task.len)
    }
}

/// All lines of the file.
pub struct Results(pub Vec<Entry>);

impl Results {
    pub fn find(&self, task: &Task, contestant: &str) -> Option<&Entry> {
        let mut found = self.0.iter().filter(|entry| entry.is(task));
        found.find(|entry| entry.contestant == contestant)
    }
}

/// A figure of a workload.
struct Column(&'static str, Task, &'static str);

const COMPARED: Task = Task::new("comparison", "sustained");
const BURSTS: Task = Task::new("comparison", "bursts");
const STALLED: Task = Task::new("comparison", "stalled");
const INTERVAL: Task = Task::new("comparison", "interval");
const IDLE: Task = Task::new("comparison", "idle");
const LANES: Task = Task::new("lanes", "sustained");
const SIZES: Task = Task::new("sustained", "sustained");
const ALONE: Task = Task::new("interval", "interval");
const BUSY: Task = Task::new("interval", "busy");
const FACADE: Task = Task::new("facade", "sustained");

type Table = (&'static str, &'static [Column]);

const TABLES: [Table; 7] = [
    (
        "Stalls and losses. The longest calls, in ns, while the sink accepts nothing for a second\n\
         (if the contestant refuses records, the longest refusal), and at one record a\n\
         millisecond; and the records refused and lost.",
        &[
            Column("stalled: p99.9", STALLED, "p999"),
            Column("max", STALLED, "max"),
            Column("refused", STALLED, "refused"),
            Column("lost", STALLED, "lost"),
            Column("a millisecond: p99.9", INTERVAL, "p999"),
            Column("max", INTERVAL, "max"),
            Column("sustained: lost", COMPARED, "lost"),
            Column("idle: wake-ups/s", IDLE, "wakeups_s"),
            Column("CPU ms/s", IDLE, "cpu_ms_s"),
        ],
    ),
    (
        "What a call costs, in ns: a record of a burst, and single calls.",
        &[
            Column("burst", BURSTS, "ns"),
            Column("p50", BURSTS, "p50"),
            Column("p99", BURSTS, "p99"),
            Column("p99.9", BURSTS, "p999"),
            Column("p99.99", BURSTS, "p9999"),
            Column("max", BURSTS, "max"),
        ],
    ),
    (
        "At full speed, until the kernel has all records: ns a record, except for GB/s and KiB.",
        &[
            Column("1 producer", COMPARED, "ns"),
            Column("CPU", COMPARED, "cpu_ns"),
            Column("2 producers", COMPARED.producers(2), "ns"),
            Column("4 producers", COMPARED.producers(4), "ns"),
            Column("disk", COMPARED.place("disk"), "ns"),
            Column("/dev/null", COMPARED.place("null"), "ns"),
            Column("16 bytes", COMPARED.len(16), "ns"),
            Column("1024 bytes, GB/s", COMPARED.len(1024), "gb_s"),
            Column("peak, KiB", COMPARED, "peak_kib"),
        ],
    ),
    (
        "The length of a record: GB/s.",
        &[
            Column("16", SIZES.len(16), "gb_s"),
            Column("64", SIZES.len(64), "gb_s"),
            Column("100", SIZES, "gb_s"),
            Column("256", SIZES.len(256), "gb_s"),
            Column("1024", SIZES.len(1024), "gb_s"),
            Column("4096", SIZES.len(4096), "gb_s"),
        ],
    ),
    (
        "Several producers: ns a record.",
        &[
            Column("1 x 100", LANES, "ns"),
            Column("2 x 100", LANES.producers(2), "ns"),
            Column("4 x 100", LANES.producers(4), "ns"),
            Column("1 x 16", LANES.len(16), "ns"),
            Column("2 x 16", LANES.producers(2).len(16), "ns"),
            Column("4 x 16", LANES.producers(4).len(16), "ns"),
        ],
    ),
    (
        "One record a millisecond, alone and with a busy process on the other core: single calls,\n\
         in ns.",
        &[
            Column("p50", ALONE, "p50"),
            Column("p99.9", ALONE, "p999"),
            Column("max", ALONE, "max"),
            Column("busy: p50", BUSY, "p50"),
            Column("p99.9", BUSY, "p999"),
            Column("max", BUSY, "max"),
        ],
    ),
    (
        "`AsyncAppend` and what one would use in its place: ns a record.",
        &[
            Column("burst", Task::new("facade", "bursts"), "ns"),
            Column("p99.9", Task::new("facade", "bursts"), "p999"),
            Column("tmpfs", FACADE, "ns"),
            Column("CPU", FACADE, "cpu_ns"),
            Column("disk", FACADE.place("disk"), "ns"),
        ],
    ),
];

/// Puts the tables of the results into the page.
pub fn write(json: &Path, page: &Path) -> ExitCode {
    let text = fs::read_to_string(json).expect("the results can be read");
    let results = Results(text.lines().filter_map(Entry::of).collect());
    let old = fs::read_to_string(page).expect("the page can be read");
    let (Some(begin), Some(end)) = (old.find(BEGIN), old.find(END)) else {
        eprintln!("{}: no place for the tables", page.display());
        return ExitCode::FAILURE;
    };
    let measured = measured(&results);
    let new = [&old[..begin + BEGIN.len()], &measured, &old[end..]].concat();
    fs::write(page, new).expect("the page can be written");
    ExitCode::SUCCESS
}

fn measured(results: &Results) -> String {
    let mut text = machine(results);
    text += "\n### Goals\n\n";
    text += &goals::table(results);
    text += "\n### Figures\n";
    for (title, columns) in &TABLES {
        text += &table(results, title, columns);
    }
    text
}

fn machine(results: &Results) -> String {
    let Some(first) = results.0.first() else {
        return "\n\nNothing was measured yet.\n".to_owned();
    };
    let fact = |name: &str| first.object["machine"][name].as_str().unwrap_or("unknown");
    let all = || results.0.iter().flat_map(|entry| &entry.turns);
    let count = |distance| all().filter(|turn| turn.distance() == distance).count();
    format!(
        "\n\nMeasured on: {}, {} cores, Linux {}. {} turns with near cores, {} with far\n\
         ones; {} during which that changed are in no figure.\n",
        fact("cpu"),
        fact("cores"),
        fact("kernel"),
        count(Distance::Near),
        count(Distance::Far),
        count(Distance::Moved)
    )
}

fn table(results: &Results, title: &str, columns: &[Column]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for Column(_, task, _) in columns {
        for entry in results.0.iter().filter(|entry| entry.is(task)) {
            if !names.contains(&&*entry.contestant) {
                names.push(&entry.contestant);
            }
        }
    }
    let mut text = format!("\n{title}\n\n| near / far |");
    columns
        .iter()
        .for_each(|column| write!(text, " {} |", column.0).expect("a String grows"));
    text += "\n|---|";
    text += &"---|".repeat(columns.len());
    for name in names {
        write!(text, "\n| `{name}` |").expect("a String grows");
        for Column(_, task, figure) in columns {
            let entry = results.find(task, name);
            let cell = entry.map_or("-".to_owned(), |entry| cell(&entry.turns, figure));
            write!(text, " {cell} |").expect("a String grows");
        }
    }
    text + "\n"
}

fn cell(turns: &[Turn], name: &str) -> String {
    let median = |distance| {
        let found = figure(turns, name, distance);
        found.map_or("-".to_owned(), |spread| number(spread.median))
    };
    let [near, far] = [Distance::Near, Distance::Far].map(median);
    if near == far {
        return near;
    }
    format!("{near} / {far}")
}

/// Three digits that count.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
