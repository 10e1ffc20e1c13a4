//! The pictures of docs/benchmarks.md, from what the benchmarks have appended to a file of JSON
//! lines.
//!
//!     cargo run --release --bin plots -- JSON FOLDER [PAGE]
//!
//! Writes a picture for each question and distance (near, far) into FOLDER if JSON has figures for
//! it, and removes pictures without figures. With PAGE, replaces the text between the two marks in
//! it by links to the pictures.

#[path = "../../../common/mod.rs"]
mod common;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use alq_measure::chart::{self, Bars, Drawn, Line, PALETTE};
use alq_measure::machine::Distance;
use alq_measure::turn::{Turn, figure};
use common::report::turns_of;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::Value;

/// What is between these in the page is ours.
const BEGIN: &str = "<!-- pictures: begin -->";
const END: &str = "<!-- pictures: end -->";

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let drawn = match arguments[..] {
        [json, folder] => draw(json.as_ref(), folder.as_ref()).map(drop),
        [json, folder, page] => {
            draw(json.as_ref(), folder.as_ref()).and_then(|pictures| link(&pictures, page.as_ref()))
        }
        _ => {
            eprintln!("usage: plots JSON FOLDER [PAGE]");
            return ExitCode::from(2);
        }
    };
    match drawn {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// One line of the results.
struct Entry {
    object: Value,
    turns: Vec<Turn>,
}

impl Entry {
    fn of(line: &str) -> Option<Self> {
        let object: Value = serde_json::from_str(line).ok()?;
        let turns = turns_of(&object)?;
        Some(Self { object, turns })
    }

    fn is(&self, bench: &str, workload: &str, producers: u64, len: u64) -> bool {
        self.object["bench"] == bench
            && self.object["workload"] == workload
            && self.object["place"] == "tmpfs"
            && self.object["producers"] == producers
            && self.object["record_bytes"] == len
    }

    fn contestant(&self) -> &str {
        self.object["contestant"].as_str().unwrap_or("unknown")
    }

    fn spread(&self, name: &str, distance: Distance) -> Option<[f64; 3]> {
        let spread = figure(&self.turns, name, distance)?;
        Some([spread.median, spread.least, spread.greatest])
    }
}

/// A picture in the folder.
struct Picture {
    file: String,
    title: String,
}

/// What is drawn: the beginning of the name of the file, the title, and how. Nothing is drawn
/// without figures.
type Question = (
    &'static str,
    &'static str,
    fn(&[Entry], Distance, &str) -> Result<Option<String>>,
);

const QUESTIONS: [Question; 6] = [
    ("calls", "Single calls in bursts of 64", calls),
    (
        "lengths",
        "One producer, by the length of the records",
        lengths,
    ),
    (
        "producers",
        "Several producers, records of 100 bytes",
        producers,
    ),
    (
        "others",
        "As fast as it goes, one producer, records of 100 bytes",
        others,
    ),
    (
        "others-calls",
        "One call in a thousand takes longer (p99.9): bursts",
        others_calls,
    ),
    (
        "others-stalled",
        "One call in a thousand takes longer (p99.9): stall",
        others_stalled,
    ),
];

fn draw(json: &Path, folder: &Path) -> Result<Vec<Picture>> {
    let text = fs::read_to_string(json).map_err(|error| format!("{}: {error}", json.display()))?;
    let entries: Vec<_> = text.lines().filter_map(Entry::of).collect();
    if entries.is_empty() {
        return Err(format!("{}: no results of a benchmark are in it", json.display()).into());
    }
    fs::create_dir_all(folder)?;
    let mut pictures = Vec::new();
    for (name, title, draw) in QUESTIONS {
        for distance in [Distance::Near, Distance::Far] {
            let file = format!("{name}-{}.svg", distance.name());
            let title = format!("{title}, {} cores", distance.name());
            let path = folder.join(&file);
            if let Some(svg) = draw(&entries, distance, &title)? {
                fs::write(path, svg)?;
                pictures.push(Picture { file, title });
            } else if path.exists() {
                fs::remove_file(path)?;
            }
        }
    }
    println!("{} pictures in {}", pictures.len(), folder.display());
    Ok(pictures)
}

/// Links to the pictures, which lie in a folder `pictures` beside the page.
fn link(pictures: &[Picture], page: &Path) -> Result<()> {
    let old = fs::read_to_string(page)?;
    let (Some(begin), Some(end)) = (old.find(BEGIN), old.find(END)) else {
        return Err(format!("{}: no place for the pictures", page.display()).into());
    };
    let links = pictures
        .iter()
        .map(|Picture { file, title }| format!("![{title}](pictures/{file})\n\n"));
    let links: String = links.collect();
    let new = [&old[..begin + BEGIN.len()], "\n\n", &links, &old[end..]].concat();
    Ok(fs::write(page, new)?)
}

/// The same for a contestant in every chart; no chart has two of one colour.
fn colour(contestant: &str) -> RGBColor {
    PALETTE[match contestant {
        "memcpy" => 0,
        "memcpy + CAS" => 1,
        "write(2), 64 KiB" | "queue: getn + post" => 2,
        "queue: writen" => 3,
        "lane: writen" => 4,
        "rtrb + plain drain" => 5,
        "Mutex<BufWriter>" | "lane: getn + post" => 6,
        _ => 7,
    }]
}

fn calls(entries: &[Entry], distance: Distance, title: &str) -> Result<Option<String>> {
    const POINTS: [(f64, &str); 4] = [
        (0.5, "p50"),
        (0.99, "p99"),
        (0.999, "p999"),
        (0.9999, "p9999"),
    ];
    let found = entries
        .iter()
        .filter(|entry| entry.is("hot_path", "bursts", 1, 100));
    let lines = found.filter_map(|entry| {
        let point = |(quantile, name)| Some((quantile, entry.spread(name, distance)?[0]));
        let points: Option<Vec<_>> = POINTS.map(point).into_iter().collect();
        Some(Line {
            name: entry.contestant().to_owned(),
            colour: colour(entry.contestant()),
            points: points?,
        })
    });
    let lines: Vec<_> = lines.collect();
    some(!lines.is_empty(), || {
        chart::percentiles(title, "ns", &lines)
    })
}

fn lengths(entries: &[Entry], distance: Distance, title: &str) -> Result<Option<String>> {
    const LENGTHS: [u64; 6] = [16, 64, 100, 256, 1024, 4096];
    let of = |len: &u64| (format!("{len} bytes"), ("sustained", 1, *len));
    let (groups, works): (Vec<_>, Vec<_>) = LENGTHS.iter().map(of).unzip();
    let names = [
        "write(2), 64 KiB",
        "rtrb + plain drain",
        "queue: writen",
        "lane: writen",
    ];
    grouped(
        entries, &names, &groups, &works, "gb_s", "GB/s", distance, title,
    )
}

fn producers(entries: &[Entry], distance: Distance, title: &str) -> Result<Option<String>> {
    let of = |count: &u64| (format!("{count} x 100 bytes"), ("lanes", *count, 100));
    let (groups, works): (Vec<_>, Vec<_>) = [1, 2, 4].iter().map(of).unzip();
    let names = [
        "write(2), 64 KiB",
        "Mutex<BufWriter>",
        "queue: writen",
        "lane: writen",
    ];
    grouped(
        entries, &names, &groups, &works, "gb_s", "GB/s", distance, title,
    )
}

/// A group of bars for each work, a bar in each for every name.
#[allow(clippy::too_many_arguments, reason = "all of a chart, once")]
fn grouped(
    entries: &[Entry],
    names: &[&str],
    groups: &[String],
    works: &[(&str, u64, u64)],
    figure: &str,
    unit: &str,
    distance: Distance,
    title: &str,
) -> Result<Option<String>> {
    let series = names.iter().map(|name| Bars {
        name: (*name).to_owned(),
        colour: colour(name),
        bars: works
            .iter()
            .map(|(bench, producers, len)| {
                let mut found = entries
                    .iter()
                    .filter(|entry| entry.is(bench, "sustained", *producers, *len));
                found
                    .find(|entry| entry.contestant() == *name)?
                    .spread(figure, distance)
            })
            .collect(),
    });
    let series: Vec<_> = series.collect();
    let is_any = series
        .iter()
        .any(|series| series.bars.iter().any(Option::is_some));
    some(is_any, || chart::bars(title, unit, groups, &series))
}

fn some(is_any: bool, draw: impl FnOnce() -> Drawn) -> Result<Option<String>> {
    is_any.then(draw).transpose()
}

fn others(entries: &[Entry], distance: Distance, title: &str) -> Result<Option<String>> {
    ranked(
        entries,
        ("sustained", "ns"),
        "a record, shorter is better",
        distance,
        title,
    )
}

fn others_calls(entries: &[Entry], distance: Distance, title: &str) -> Result<Option<String>> {
    ranked(
        entries,
        ("bursts", "p999"),
        "shorter is better",
        distance,
        title,
    )
}

fn others_stalled(entries: &[Entry], distance: Distance, title: &str) -> Result<Option<String>> {
    ranked(
        entries,
        ("stalled", "p999"),
        "shorter is better",
        distance,
        title,
    )
}

/// A bar across for each contestant of the comparison, the least first, on a logarithmic axis; ours
/// stand out.
fn ranked(
    entries: &[Entry],
    (workload, figure): (&str, &str),
    unit: &str,
    distance: Distance,
    title: &str,
) -> Result<Option<String>> {
    const OURS: [&str; 3] = ["queue: writen", "lane: writen", "AsyncAppend"];
    const LIMITS: [&str; 2] = ["memcpy + CAS", "write(2), 64 KiB"];
    let found = entries
        .iter()
        .filter(|entry| entry.is("comparison", workload, 1, 100));
    let mut rows: Vec<(&str, f64)> = found
        .filter_map(|entry| Some((entry.contestant(), entry.spread(figure, distance)?[0])))
        .filter(|(_, value)| *value > 0.0)
        .collect();
    rows.sort_by(|a, b| a.1.total_cmp(&b.1));
    let is_any = !rows.is_empty();
    some(is_any, || {
        let rows = rows.into_iter().map(|(name, value)| {
            let colour = match name {
                _ if OURS.contains(&name) => PALETTE[4],
                _ if LIMITS.contains(&name) => PALETTE[0],
                _ => PALETTE[1],
            };
            (name, value, colour)
        });
        across(title, unit, &rows.collect::<Vec<_>>())
    })
}

/// Horizontal bars, with names on the left and values on the right.
fn across(title: &str, unit: &str, rows: &[(&str, f64, RGBColor)]) -> Drawn {
    const WIDTH: i32 = 860;
    const NAMES: i32 = 170;
    const ROW: i32 = 22;
    const TOP: i32 = 56;
    let height = TOP + ROW * rows.len() as i32 + 12;
    let logs = || rows.iter().map(|(_, value, _)| value.log10());
    let least = logs().fold(f64::INFINITY, f64::min).floor();
    let most = logs().fold(least + 1.0, f64::max);
    let mut svg = String::new();
    {
        let area =
            SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        let text = |size: i32, across, down| {
            ("sans-serif", size)
                .into_text_style(&area)
                .pos(Pos::new(across, down))
        };
        area.draw_text(title, &text(16, HPos::Center, VPos::Top), (WIDTH / 2, 8))?;
        let note = format!(
            "{unit}; a logarithmic scale from {}",
            time(10_f64.powf(least))
        );
        area.draw_text(&note, &text(12, HPos::Center, VPos::Top), (WIDTH / 2, 32))?;
        for (at, (name, value, colour)) in rows.iter().enumerate() {
            let top = TOP + ROW * at as i32;
            let room = f64::from(WIDTH - NAMES - 90);
            let len = (value.log10() - least) / (most - least) * room;
            let end = NAMES + (len as i32).max(2);
            let middle = top + ROW / 2;
            area.draw_text(
                name,
                &text(13, HPos::Right, VPos::Center),
                (NAMES - 8, middle),
            )?;
            let bar = Rectangle::new([(NAMES, top + 3), (end, top + ROW - 3)], colour.filled());
            area.draw(&bar)?;
            let shown = time(*value);
            area.draw_text(
                &shown,
                &text(12, HPos::Left, VPos::Center),
                (end + 6, middle),
            )?;
        }
        area.present()?;
    }
    Ok(chart::adapted(&svg))
}

/// A time, with three digits or so.
fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        1e6.. => (ns / 1e6, "ms"),
        1e4.. => (ns / 1e3, "us"),
        _ => (ns, "ns"),
    };
    let digits = if value < 100.0 { 1 } else { 0 };
    format!("{value:.digits$} {unit}")
}
