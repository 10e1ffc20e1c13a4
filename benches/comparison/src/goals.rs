//! What the queue is to reach: figures, and ratios of figures of the same round.

use std::fmt::Write as _;

use crate::tables::{Entry, Results, Task, number};
use alq_measure::machine::Distance;
use alq_measure::turn::{figure, ratio};

/// What a figure is compared to.
#[derive(Clone, Copy)]
enum Base {
    /// Nothing: it is the figure itself.
    Absolute,
    /// A figure of a contestant.
    Of(&'static str, Task, &'static str),
    /// The same figure of the best lossless contestant from crates.io.
    Best,
}

/// The figure, what it is compared to, and how much it may be at most, near and far.
struct Goal(
    &'static str,
    &'static str,
    Task,
    &'static str,
    Base,
    f64,
    f64,
);

const QUEUE: &str = "queue: writen";
const LANE: &str = "lane: writen";
const FACADE: &str = "AsyncAppend";
const CAS: &str = "memcpy + CAS";
const RTRB: &str = "rtrb + plain drain";
const WRITE: &str = "write(2), 64 KiB";

/// Contestants that do not come from crates.io.
const NOT_FROM_THERE: [&str; 9] = [
    QUEUE,
    LANE,
    FACADE,
    CAS,
    WRITE,
    "write(2) each",
    "Mutex<BufWriter>",
    "glibc aio",
    "spdlog (C++)",
];

const HOT: Task = Task::new("hot_path", "bursts");
const SUSTAINED: Task = Task::new("sustained", "sustained");
const DISK: Task = SUSTAINED.place("disk");
const LANES: Task = Task::new("lanes", "sustained");
const ALL: Task = Task::new("comparison", "sustained");
const STALLED: Task = Task::new("stalled", "stalled");
const UNSTALLED: Task = Task::new("stalled", "bursts");
const IDLE: Task = Task::new("idle", "idle");
const SYNC: Task = Task::new("facade", "sustained");

/// Where there is no goal.
const ANY: f64 = f64::INFINITY;

const GOALS: [Goal; 26] = [
    Goal(
        "burst",
        QUEUE,
        HOT,
        "ns",
        Base::Of(CAS, HOT, "ns"),
        1.25,
        1.25,
    ),
    Goal(
        "burst",
        LANE,
        HOT,
        "ns",
        Base::Of(RTRB, HOT, "ns"),
        1.1,
        1.1,
    ),
    Goal(
        "burst",
        FACADE,
        HOT,
        "ns",
        Base::Of(RTRB, HOT, "ns"),
        1.1,
        1.1,
    ),
    Goal(
        "p99.9 of a call",
        QUEUE,
        HOT,
        "p999",
        Base::Absolute,
        60.0,
        ANY,
    ),
    Goal(
        "p99.99 of a call",
        QUEUE,
        HOT,
        "p9999",
        Base::Absolute,
        100.0,
        ANY,
    ),
    Goal(
        "p99.9 of a call",
        LANE,
        HOT,
        "p999",
        Base::Absolute,
        60.0,
        ANY,
    ),
    Goal(
        "p99.99 of a call",
        LANE,
        HOT,
        "p9999",
        Base::Absolute,
        100.0,
        ANY,
    ),
    Goal(
        "sustained",
        QUEUE,
        SUSTAINED,
        "ns",
        Base::Of(WRITE, SUSTAINED, "ns"),
        1.15,
        1.6,
    ),
    Goal(
        "sustained, disk",
        QUEUE,
        DISK,
        "ns",
        Base::Of(WRITE, DISK, "ns"),
        1.15,
        1.6,
    ),
    Goal(
        "sustained",
        LANE,
        SUSTAINED,
        "ns",
        Base::Of(RTRB, SUSTAINED, "ns"),
        1.0,
        1.0,
    ),
    Goal("sustained", QUEUE, ALL, "ns", Base::Best, 1.0, 1.0),
    Goal("sustained", LANE, ALL, "ns", Base::Best, 1.0, 1.0),
    Goal(
        "2 producers, to one",
        LANE,
        LANES.producers(2),
        "ns",
        Base::Of(LANE, LANES, "ns"),
        1.3,
        2.0,
    ),
    Goal(
        "4 producers, to one",
        LANE,
        LANES.producers(4),
        "ns",
        Base::Of(LANE, LANES, "ns"),
        1.3,
        2.0,
    ),
    Goal(
        "2 producers",
        LANE,
        ALL.producers(2),
        "ns",
        Base::Best,
        1.0,
        1.0,
    ),
    Goal(
        "4 producers",
        LANE,
        ALL.producers(4),
        "ns",
        Base::Best,
        1.0,
        1.0,
    ),
    Goal(
        "2 producers",
        QUEUE,
        LANES.producers(2),
        "ns",
        Base::Of(CAS, LANES.producers(2), "ns"),
        1.3,
        1.3,
    ),
    Goal(
        "4 producers",
        QUEUE,
        LANES.producers(4),
        "ns",
        Base::Of(CAS, LANES.producers(4), "ns"),
        1.3,
        1.3,
    ),
    Goal(
        "16 bytes",
        LANE,
        SUSTAINED.len(16),
        "ns",
        Base::Of(RTRB, SUSTAINED.len(16), "ns"),
        1.5,
        1.5,
    ),
    // Twice the loop's, and a fifth more.
    Goal(
        "CPU time",
        QUEUE,
        SUSTAINED,
        "cpu_ns",
        Base::Of(WRITE, SUSTAINED, "cpu_ns"),
        2.4,
        2.4,
    ),
    Goal(
        "CPU time",
        LANE,
        SUSTAINED,
        "cpu_ns",
        Base::Of(WRITE, SUSTAINED, "cpu_ns"),
        2.4,
        2.4,
    ),
    Goal(
        "idle, wake-ups a second",
        QUEUE,
        IDLE,
        "wakeups_s",
        Base::Absolute,
        0.0,
        0.0,
    ),
    Goal(
        "idle, wake-ups a second",
        LANE,
        IDLE,
        "wakeups_s",
        Base::Absolute,
        0.0,
        0.0,
    ),
    Goal(
        "p99.9 of a refusal",
        QUEUE,
        STALLED,
        "full_p999",
        Base::Of(QUEUE, UNSTALLED, "p999"),
        2.0,
        2.0,
    ),
    Goal(
        "p99.9 of a refusal",
        LANE,
        STALLED,
        "full_p999",
        Base::Of(LANE, UNSTALLED, "p999"),
        2.0,
        2.0,
    ),
    Goal(
        "sustained",
        FACADE,
        SYNC,
        "ns",
        Base::Of("glibc aio", SYNC, "ns"),
        0.01,
        0.01,
    ),
];

/// The table of all of them.
pub fn table(results: &Results) -> String {
    let mut text = "| what | of | to | near | far | at most, near / far | reached |\n\
                    |---|---|---|---|---|---|---|\n"
        .to_owned();
    for goal in &GOALS {
        let Goal(what, contestant, _, _, base, near, far) = goal;
        let to = match base {
            Base::Absolute => "-".to_owned(),
            Base::Of(name, ..) => format!("`{name}`"),
            Base::Best => "the best from crates.io".to_owned(),
        };
        let found =
            [Distance::Near, Distance::Far].map(|distance| measured(results, goal, distance));
        let show = |found: &Option<(f64, String)>| {
            found
                .as_ref()
                .map_or("-".to_owned(), |(value, whose)| number(*value) + whose)
        };
        let bound = |bound: f64| {
            if bound.is_finite() {
                bound.to_string()
            } else {
                "-".to_owned()
            }
        };
        writeln!(
            text,
            "| {what} | `{contestant}` | {to} | {} | {} | {} / {} | {} |",
            show(&found[0]),
            show(&found[1]),
            bound(*near),
            bound(*far),
            reached(&found, [*near, *far])
        )
        .expect("a String grows");
    }
    text
}

/// In both distances, or in those that were measured and have a goal.
fn reached(found: &[Option<(f64, String)>; 2], bounds: [f64; 2]) -> &'static str {
    let pairs = found.iter().zip(bounds);
    let mut pairs = pairs.filter_map(|(found, bound)| Some((found.as_ref()?.0, bound)));
    let mut pairs = pairs
        .by_ref()
        .filter(|(_, bound)| bound.is_finite())
        .peekable();
    if pairs.peek().is_none() {
        return "not measured";
    }
    if pairs.all(|(value, bound)| value <= bound) {
        "yes"
    } else {
        "no"
    }
}

/// The median, with the name of the contestant if that is not clear.
fn measured(results: &Results, goal: &Goal, distance: Distance) -> Option<(f64, String)> {
    let Goal(_, contestant, task, name, base, ..) = goal;
    let own = results.find(task, contestant)?;
    match base {
        Base::Absolute => {
            let spread = figure(&own.turns, name, distance)?;
            Some((spread.median, String::new()))
        }
        Base::Of(other, base_task, base_name) => {
            let other = results.find(base_task, other)?;
            let spread = ratio(&own.turns, name, &other.turns, base_name, distance)?;
            Some((spread.median, String::new()))
        }
        Base::Best => {
            let is_one = |entry: &&Entry| {
                entry.is(task) && entry.lossless && !NOT_FROM_THERE.contains(&&*entry.contestant)
            };
            let ratios = results.0.iter().filter(is_one).filter_map(|other| {
                let spread = ratio(&own.turns, name, &other.turns, name, distance)?;
                Some((spread.median, format!(" ({})", other.contestant)))
            });
            ratios.max_by(|a, b| a.0.total_cmp(&b.0))
        }
    }
}
