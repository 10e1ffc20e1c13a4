//! The output of a benchmark: a table for people, and a JSON object for each contestant and
//! workload.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use alq_measure::Outcome;
use alq_measure::contestant::Contestant;
use alq_measure::machine::{Distance, Machine};
use alq_measure::turn::{Turn, at, figure, ratio};
use alq_measure::work::{Kind, Measured};
use serde_json::{Map, Value, json};

use super::rounds::Case;

/// The figures to show, the most important first.
fn shown(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Bursts => &["ns", "p50", "p99", "p999", "p9999", "max"],
        Kind::Sustained => &["ns", "cpu_ns", "gb_s", "peak_kib", "lost"],
        Kind::Interval | Kind::Busy => &["p999", "p50", "p99", "p9999", "max"],
        Kind::Idle => &["wakeups_s", "cpu_ms_s"],
        Kind::Stalled => &[
            "p999",
            "max",
            "full_p999",
            "full_max",
            "before_p999",
            "taken",
            "refused",
            "lost",
        ],
    }
}

/// The object of a case.
pub fn object(bench: &str, case: &Case, turns: &[Turn]) -> Value {
    let Case {
        contestant,
        work,
        place,
    } = case;
    let machine = Machine::here();
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut object = json!({
        "bench": bench,
        "contestant": contestant.name,
        "lossless": contestant.lossless,
        "workload": work.kind.name(),
        "place": place.name(),
        "producers": work.producers,
        "record_bytes": work.len,
        "count": work.count,
        "machine": {
            "cpu": machine.cpu,
            "cores": machine.cores_used.to_string(),
            "kernel": machine.kernel,
        },
        "unix_time": seconds.map_or(0, |time| time.as_secs()),
        "turns": turns.iter().map(turn_object).collect::<Vec<_>>(),
    });
    for distance in [Distance::Near, Distance::Far] {
        object[distance.name()] = summary(turns, distance);
    }
    object
}

/// Each figure's median, least and greatest.
fn summary(turns: &[Turn], distance: Distance) -> Value {
    let mut summary = Map::new();
    for name in at(turns, distance).flat_map(|turn| turn.measured.figures.keys()) {
        if let Some(spread) = figure(turns, name, distance) {
            let spread = json!([spread.median, spread.least, spread.greatest]);
            summary.insert(name.clone(), spread);
        }
    }
    let count = at(turns, distance).count();
    if count > 0 {
        summary.insert("turns".to_owned(), count.into());
    }
    summary.into()
}

fn turn_object(turn: &Turn) -> Value {
    json!({
        "round": turn.round,
        "distance": turn.distance().name(),
        "line_ns": turn.line_ns,
        "figures": turn.measured.figures,
    })
}

/// The turns of an object.
pub fn turns_of(object: &Value) -> Option<Vec<Turn>> {
    let turn = |value: &Value| {
        let figures = value.get("figures")?.as_object()?;
        let number = |(name, value): (&String, &Value)| Some((name.clone(), value.as_f64()?));
        let line = value.get("line_ns")?;
        Some(Turn {
            round: value.get("round")?.as_u64()? as u32,
            line_ns: [line.get(0)?.as_f64()?, line.get(1)?.as_f64()?],
            measured: Measured {
                figures: figures.iter().filter_map(number).collect(),
                curve_ns: Vec::new(),
            },
        })
    };
    object.get("turns")?.as_array()?.iter().map(turn).collect()
}

/// Appends the objects to the file that `ALQ_BENCH_JSON` names.
pub fn write_json(bench: &str, results: &[(Case, Vec<Turn>)]) -> Outcome<()> {
    let Some(path) = std::env::var_os("ALQ_BENCH_JSON") else {
        return Ok(());
    };
    let mut text = String::new();
    for (case, turns) in results {
        text += &object(bench, case, turns).to_string();
        text.push('\n');
    }
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    Ok(written.map_err(|error| format!("{}: {error}", Path::new(&path).display()))?)
}

/// Prints one table for each distance: medians of the figures, and the ratio of the first figure to
/// each base.
pub fn print(results: &[(Case, Vec<Turn>)], bases: &[Contestant]) {
    for distance in [Distance::Near, Distance::Far, Distance::Moved] {
        let count = results.iter().map(|(_, turns)| at(turns, distance).count());
        let count: usize = count.sum();
        println!("\n{}: {count} turns", distance.name());
        if count > 0 && distance != Distance::Moved {
            table(results, bases, distance);
        }
    }
}

fn table(results: &[(Case, Vec<Turn>)], bases: &[Contestant], distance: Distance) {
    let mut heading = None;
    for (case, turns) in results {
        let names = shown(case.work.kind);
        if heading.replace(names) != Some(names) {
            print!("{:<46}", "");
            names.iter().for_each(|name| print!(" {name:>12}"));
            let of = |base: &Contestant| format!("x {}", base.name);
            bases.iter().for_each(|base| print!(" {:>22}", of(base)));
            println!();
        }
        let row = names
            .iter()
            .map(|name| figure(turns, name, distance).map(|spread| spread.median));
        if row.clone().all(|median| median.is_none()) {
            continue;
        }
        print!("{:<46}", case.title());
        for median in row {
            let shown = median.map_or("-".to_owned(), |median| format!("{median:.2}"));
            print!(" {shown:>12}");
        }
        for base in bases {
            let base = base_of(results, case, base);
            let ratio = base.and_then(|base| ratio(turns, names[0], base, names[0], distance));
            let shown = ratio.map_or("-".to_owned(), |ratio| {
                format!(
                    "{:.2} ({:.2}-{:.2})",
                    ratio.median, ratio.least, ratio.greatest
                )
            });
            print!(" {shown:>22}");
        }
        println!();
    }
}

/// The turns of `base` with the work of `case`: with as many producers, or else with one.
fn base_of<'a>(
    results: &'a [(Case, Vec<Turn>)],
    case: &Case,
    base: &Contestant,
) -> Option<&'a [Turn]> {
    let with = |producers| {
        let mut like = *case;
        like.work.count = like.work.count * like.work.producers / producers;
        like.work.producers = producers;
        let found = results
            .iter()
            .find(|(other, _)| other.is_base_of(&like, base));
        found.map(|(_, turns)| &turns[..])
    };
    with(case.work.producers).or_else(|| with(1))
}
