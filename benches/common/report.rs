//! The output of a benchmark: a table for people, and a JSON object for each contestant and
//! workload.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::SystemTime;

use alq_measure::machine::{Distance, Machine};
use serde_json::{Map, Value, json};

use super::contestant::Contestant;
use super::rounds::Case;
use super::turns::{Turn, figure, ratio};

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
    let names = turns.iter().flat_map(|turn| turn.figures.keys());
    let mut summary = Map::new();
    for name in names {
        if let Some((spread, turns)) = figure(turns, name, distance) {
            summary.insert(name.clone(), json!(spread));
            summary.insert("turns".to_owned(), turns.into());
        }
    }
    summary.into()
}

fn turn_object(turn: &Turn) -> Value {
    json!({
        "round": turn.round,
        "distance": turn.distance().name(),
        "line_ns": turn.line_ns,
        "figures": turn.figures,
    })
}

/// The turns of an object.
pub fn turns_of(object: &Value) -> Option<Vec<Turn>> {
    let turn = |value: &Value| {
        let figures = value.get("figures")?.as_object()?;
        let number = |(name, value): (&String, &Value)| Some((name.clone(), value.as_f64()?));
        let line = value.get("line_ns")?;
        Some(Turn {
            round: value.get("round")?.as_u64()? as usize,
            line_ns: [line.get(0)?.as_f64()?, line.get(1)?.as_f64()?],
            figures: figures.iter().filter_map(number).collect(),
        })
    };
    object.get("turns")?.as_array()?.iter().map(turn).collect()
}

/// Appends the objects to the file that `ALQ_BENCH_JSON` names.
pub fn write_json(bench: &str, results: &[(Case, Vec<Turn>)]) {
    let Some(path) = std::env::var_os("ALQ_BENCH_JSON") else {
        return;
    };
    let mut text = String::new();
    for (case, turns) in results {
        text += &object(bench, case, turns).to_string();
        text.push('\n');
    }
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.expect("ALQ_BENCH_JSON can be appended to");
}

/// Prints one table for each distance: medians of the figures, and the ratio of the first figure to
/// each base.
pub fn print(results: &[(Case, Vec<Turn>)], bases: &[Contestant]) {
    for distance in [Distance::Near, Distance::Far, Distance::Moved] {
        let of = |turns: &[Turn]| turns.iter().filter(|t| t.distance() == distance).count();
        let count: usize = results.iter().map(|(_, turns)| of(turns)).sum();
        println!("\n{}: {count} turns", distance.name());
        if count > 0 && distance != Distance::Moved {
            table(results, bases, distance);
        }
    }
}

fn table(results: &[(Case, Vec<Turn>)], bases: &[Contestant], distance: Distance) {
    let mut heading = None;
    for (case, turns) in results {
        let names = case.work.kind.figures();
        if heading.replace(names) != Some(names) {
            print!("{:<46}", "");
            names.iter().for_each(|name| print!(" {name:>12}"));
            let of = |base: &Contestant| format!("x {}", base.name);
            bases.iter().for_each(|base| print!(" {:>22}", of(base)));
            println!();
        }
        let row = names
            .iter()
            .map(|name| figure(turns, name, distance).map(|(spread, _)| spread[0]));
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
            let shown = ratio.map_or("-".to_owned(), |[median, least, most]| {
                format!("{median:.2} ({least:.2}-{most:.2})")
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
        like.work.producers = producers;
        let found = results
            .iter()
            .find(|(other, _)| other.is_base_of(&like, base));
        found.map(|(_, turns)| &turns[..])
    };
    with(case.work.producers).or_else(|| with(1))
}
