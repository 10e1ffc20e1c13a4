//! The page for a browser. It contains everything that it shows, and its policy forbids it to load
//! anything.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use humantime::format_rfc3339_seconds;

use super::case::{Contestant, PRODUCERS, SIZES};
use super::summary::{Entry, Report};
use super::table::{self, Cell, Table};
use alq_measure::Outcome;
use alq_measure::chart::{self, Bars, Colour, Drawn, Line, PALETTE};
use alq_measure::machine::Distance;
use alq_measure::work::Kind;

const STYLE: &str = "\
:root{color-scheme:light dark}
body{font:15px/1.5 sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.5rem}
table{border-collapse:collapse;margin:.5rem 0 1.5rem;display:block;overflow-x:auto}
caption,figcaption{text-align:left;padding:.3rem 0;font-weight:600}
th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #8885}
th,td{font-variant-numeric:tabular-nums;white-space:nowrap}
th:first-child{text-align:left;font-weight:400}
td small{opacity:.65;margin-left:.3rem}
figure{margin:1rem 0}
.verdict{border-left:.4rem solid #009e73;padding:.5rem 1rem}
.verdict.noisy{border-color:#d55e00}";

/// Builds the page of a report.
pub fn of(report: &Report) -> Drawn {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>alq bench</title><style>{STYLE}</style></head><body>\n\
         <h1>What an append costs on this machine</h1>\n<ul class=\"facts\">\n"
    );
    for fact in table::facts(report) {
        writeln!(page, "<li>{}</li>", escaped(&fact))?;
    }
    let class = if report.noise.is_quiet { "" } else { " noisy" };
    let verdict = escaped(&table::verdict(report));
    write!(page, "</ul>\n<p class=\"verdict{class}\">{verdict}</p>\n")?;
    for distance in [Distance::Near, Distance::Far] {
        let tables = table::tables(report, distance);
        if tables.is_empty() {
            continue;
        }
        writeln!(
            page,
            "<h2>{}</h2>",
            escaped(&capitalised(&table::title(distance)))
        )?;
        let mut charts = charts(report, distance)?.into_iter();
        for table in &tables {
            page += &html(table);
            for chart in charts.by_ref().take(if table.rows.len() > 5 {
                PRODUCERS.len()
            } else {
                1
            }) {
                writeln!(page, "<figure>{chart}</figure>")?;
            }
        }
    }
    write!(
        page,
        "<p>Figures are medians of the rounds. The small numbers are the spread of the rounds \
         (greatest less least, divided by the median); the thin lines in the bars show it too. \
         Limits do the part of the work that no queue can leave out. Measured by {}, {}.</p>\n\
         </body></html>\n",
        escaped(&report.tool),
        format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(report.unix_time))
    )?;
    Ok(page)
}

fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at(text.len().min(1));
    first.to_uppercase() + rest
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

fn html(table: &Table) -> String {
    let columns = table
        .columns
        .iter()
        .map(|name| format!("<th>{}</th>", escaped(name)));
    let mut text = format!(
        "<table><caption>{}</caption>\n<tr><th></th>{}</tr>\n",
        escaped(&table.title),
        columns.collect::<String>()
    );
    for row in &table.rows {
        let cells = row.cells.iter().map(data);
        let _ = writeln!(
            text,
            "<tr><th>{}</th>{}</tr>",
            escaped(&row.name),
            cells.collect::<String>()
        ); // a `String` accepts every write
    }
    text + "</table>\n"
}

/// A cell. Its `data-key` names the figure, for `tests/tool/report.rs`.
fn data(cell: &Cell) -> String {
    let Some(spread) = cell.spread else {
        return "<td>-</td>".to_owned();
    };
    format!(
        "<td data-key=\"{}\" title=\"{} to {}\">{}<small>{}</small></td>",
        escaped(&cell.key),
        table::number(spread.least),
        table::number(spread.greatest),
        table::number(spread.median),
        cell.apart()
    )
}

fn colour(contestant: Contestant) -> Colour {
    let at = Contestant::ALL
        .iter()
        .position(|other| *other == contestant);
    PALETTE[at.unwrap_or(0)]
}

/// Draws the charts in the order of the tables: the calls of bursts; the throughput for each number
/// of producers; the refusals.
fn charts(report: &Report, distance: Distance) -> Outcome<Vec<String>> {
    let name = distance.name();
    let mut charts = vec![curves(
        report,
        Kind::Bursts,
        distance,
        &format!("Single calls, {name}"),
    )?];
    for producers in PRODUCERS {
        charts.push(throughput(report, producers, distance)?);
    }
    charts.push(curves(
        report,
        Kind::Stalled,
        distance,
        &format!("Refusals of a full queue, {name}"),
    )?);
    Ok(charts)
}

fn curves(report: &Report, workload: Kind, distance: Distance, title: &str) -> Drawn {
    let line = |entry: &Entry| {
        let curve = &entry.summary(distance)?.curve;
        Some(Line {
            name: entry.case.contestant.name().to_owned(),
            colour: colour(entry.case.contestant),
            points: curve
                .iter()
                .map(|point| (point.quantile, point.ns))
                .collect(),
        })
    };
    let entries = report
        .cases
        .iter()
        .filter(|entry| entry.case.workload == workload);
    chart::percentiles(title, "ns", &entries.filter_map(line).collect::<Vec<_>>())
}

/// Draws the throughput with `producers` producers. The limit is always measured with one producer.
fn throughput(report: &Report, producers: usize, distance: Distance) -> Drawn {
    let series = [Contestant::Blocks, Contestant::Shared, Contestant::Lane].map(|contestant| {
        let bar = |record_bytes| {
            let is_it = |entry: &&Entry| {
                let case = &entry.case;
                let wanted = if contestant.is_limit() { 1 } else { producers };
                (case.workload, case.contestant) == (Kind::Sustained, contestant)
                    && (case.producers, case.record_bytes) == (wanted, record_bytes)
            };
            let spread = report.cases.iter().find(is_it)?.figure(distance, "gb_s")?;
            Some([spread.median, spread.least, spread.greatest])
        };
        let by_one = if contestant.is_limit() {
            " by one thread"
        } else {
            ""
        };
        Bars {
            name: contestant.name().to_owned() + by_one,
            colour: colour(contestant),
            bars: SIZES.map(bar).into(),
        }
    });
    let plural = if producers == 1 { "" } else { "s" };
    let title = format!(
        "Throughput of {producers} producer{plural}, {}",
        distance.name()
    );
    let groups = SIZES.map(|len| format!("{len} bytes"));
    chart::bars(&title, "GB/s", &groups, &series)
}
