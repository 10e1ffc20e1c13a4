//! The tables of a report, as text.

use std::fmt::Write;

use super::case::{self, Contestant, PRODUCERS, SIZES};
use super::summary::{Entry, OF_LIMIT, Report};
use alq_measure::machine::{Distance, NEAR_NS};
use alq_measure::turn::Spread;
use alq_measure::work::Kind;

/// A table: its title, the names of its columns, and its rows.
#[derive(Debug)]
pub struct Table {
    pub title: String,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

#[derive(Debug)]
pub struct Row {
    pub name: String,
    pub cells: Vec<Cell>,
}

/// One figure, and its place in the JSON.
#[derive(Clone, Debug)]
pub struct Cell {
    /// `WORKLOAD/CONTESTANT/PRODUCERS/RECORD_BYTES/DISTANCE/FIGURE`
    pub key: String,
    pub spread: Option<Spread>,
    /// The number of turns.
    pub turns: usize,
}

impl Cell {
    /// The median with three digits, and the spread.
    fn text(&self) -> String {
        let Some(spread) = self.spread else {
            return "-".to_owned();
        };
        let apart = self.apart();
        let gap = if apart.is_empty() { "" } else { " " };
        format!("{}{gap}{apart}", number(spread.median))
    }

    /// The spread of the rounds; empty if there was only one.
    pub fn apart(&self) -> String {
        let spread = self.spread.filter(|_| self.turns > 1);
        spread.map_or_else(String::new, |spread| match spread.width() {
            width if width.is_finite() => format!("~{:.0}%", width * 100.0),
            _ => format!("to {}", number(spread.greatest)), // the median is 0: no ratio
        })
    }
}

/// A number with at most three decimals, rounded to three digits if it is less than 1000.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// The name of a figure as a column shows it.
fn heading(figure: &str, workload: Kind) -> &str {
    match (figure, workload) {
        ("ns", Kind::Bursts) => "a record, ns",
        ("p999", _) => "p99.9",
        ("p9999", _) => "p99.99",
        ("wakeups_s", _) => "wake-ups/s",
        ("cpu_ms_s", _) => "CPU ms/s",
        (OF_LIMIT, Kind::Bursts) => "x memcpy + CAS",
        (figure, _) => figure,
    }
}

/// The title of a distance, with its meaning.
pub fn title(distance: Distance) -> String {
    match distance {
        Distance::Near => {
            format!("near (a cache line takes less than {NEAR_NS} ns from core to core)")
        }
        _ => format!("far (a cache line takes {NEAR_NS} ns or more from core to core)"),
    }
}

/// The tables of one distance; empty if no turn had it.
pub fn tables(report: &Report, distance: Distance) -> Vec<Table> {
    let of = |workload| {
        let entries = report
            .cases
            .iter()
            .filter(move |entry| entry.case.workload == workload);
        entries.collect::<Vec<_>>()
    };
    if report
        .cases
        .iter()
        .all(|entry| entry.summary(distance).is_none())
    {
        return Vec::new();
    }
    vec![
        figures(
            "The cost of a call for its caller: bursts of 64 records of 100 bytes with 100 us \
             between them; single calls in ns",
            &of(Kind::Bursts),
            Kind::Bursts,
            distance,
            Some(OF_LIMIT),
        ),
        throughput(&of(Kind::Sustained), distance),
        figures(
            "A full queue whose sink has stalled: appends that do not wait and are refused, in ns",
            &of(Kind::Stalled),
            Kind::Stalled,
            distance,
            None,
        ),
        figures(
            "An open queue without appends",
            &of(Kind::Idle),
            Kind::Idle,
            distance,
            None,
        ),
    ]
}

fn cell(entry: &Entry, distance: Distance, figure: &str) -> Cell {
    let case = &entry.case;
    Cell {
        key: format!(
            "{}/{}/{}/{}/{}/{figure}",
            case.workload.name(),
            case.contestant.name(),
            case.producers,
            case.record_bytes,
            distance.name()
        ),
        spread: entry.figure(distance, figure).copied(),
        turns: entry.summary(distance).map_or(0, |summary| summary.turns),
    }
}

fn figures(
    title: &str,
    entries: &[&Entry],
    workload: Kind,
    distance: Distance,
    more: Option<&'static str>,
) -> Table {
    let names: Vec<_> = case::figures(workload)
        .iter()
        .copied()
        .chain(more)
        .collect();
    let row = |entry: &&Entry| Row {
        name: entry.case.contestant.name().to_owned(),
        cells: names
            .iter()
            .map(|figure| cell(entry, distance, figure))
            .collect(),
    };
    Table {
        title: title.to_owned(),
        columns: names
            .iter()
            .map(|name| heading(name, workload).to_owned())
            .collect(),
        rows: entries.iter().map(row).collect(),
    }
}

/// The table of throughput. A row is a contestant with a number of producers; a column is a length
/// of records.
fn throughput(entries: &[&Entry], distance: Distance) -> Table {
    let mut rows = Vec::new();
    for contestant in [Contestant::Blocks, Contestant::Shared, Contestant::Lane] {
        for producers in PRODUCERS {
            let is_row = |entry: &&&Entry| {
                entry.case.contestant == contestant && entry.case.producers == producers
            };
            let cells: Vec<_> = entries
                .iter()
                .filter(is_row)
                .map(|entry| cell(entry, distance, "gb_s"))
                .collect();
            if !cells.is_empty() {
                let name = format!("{} x {producers}", contestant.name());
                rows.push(Row { name, cells });
            }
        }
    }
    Table {
        title: "At full speed, until the kernel has everything: GB/s, by length and producers"
            .to_owned(),
        columns: SIZES.map(|len| format!("{len} bytes")).into(),
        rows,
    }
}

/// The lines about the machine and the measurement.
pub fn facts(report: &Report) -> Vec<String> {
    let machine = &report.machine;
    let of_cores = match machine.cores_used {
        used if used == machine.cores => format!("{used} cores"),
        used => format!("{used} of {} cores", machine.cores),
    };
    let moved: usize = report.cases.iter().map(|entry| entry.moved_turns).sum();
    let turns: usize = report.cases.iter().map(|entry| entry.turns.len()).sum();
    let mut facts = vec![
        format!("{}, {of_cores}, Linux {}", machine.cpu, machine.kernel),
        format!("logs in {}, {}", report.folder, report.file_system),
        format!(
            "{} rounds, {turns} turns, every record of every log found{}",
            report.rounds,
            if report.is_quick {
                "; an eighth of the work"
            } else {
                ""
            }
        ),
    ];
    if moved > 0 {
        facts.push(format!(
            "{moved} turns during which the distance of the cores changed are left out"
        ));
    }
    facts
}

/// The sentence that says whether the figures can be trusted.
pub fn verdict(report: &Report) -> String {
    let noise = &report.noise;
    if !noise.is_quiet {
        return format!("Too noisy to trust: {}.", noise.reasons.join("; "));
    }
    format!(
        "Quiet enough to trust: the host took {:.1} % of the time of the processors \
         (at most {:.0} %), others {:.1} % (at most {:.0} %), \
         and the rounds of the limits are {:.1} % apart (at most {:.0} %).",
        noise.steal_share * 100.0,
        noise.steal_share_max * 100.0,
        noise.others_share * 100.0,
        noise.others_share_max * 100.0,
        noise.limit_spread.unwrap_or_default() * 100.0,
        noise.limit_spread_max * 100.0,
    )
}

/// The whole report as text.
pub fn of(report: &Report) -> String {
    let mut text = facts(report).join("\n") + "\n";
    for distance in [Distance::Near, Distance::Far] {
        for (at, table) in tables(report, distance).iter().enumerate() {
            if at == 0 {
                let _ = write!(text, "\n{}\n", title(distance)); // a `String` accepts every write
            }
            let _ = write!(text, "\n{}", plain(table));
        }
    }
    let _ = write!(
        text,
        "\nMedians of the rounds; after ~, the spread of the rounds \
         (greatest less least, divided by the median).\n{}\n",
        verdict(report)
    );
    text
}

fn plain(table: &Table) -> String {
    let names = table
        .rows
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or(0);
    let width = |column: usize| {
        let cells = table.rows.iter().filter_map(|row| row.cells.get(column));
        let widest = cells.map(|cell| cell.text().len()).max().unwrap_or(0);
        widest.max(table.columns[column].len())
    };
    let mut text = format!("{}\n{:names$}", table.title, "");
    for (column, name) in table.columns.iter().enumerate() {
        let _ = write!(text, "  {name:>0$}", width(column)); // as above
    }
    text.push('\n');
    for row in &table.rows {
        let _ = write!(text, "{:names$}", row.name);
        for (column, cell) in row.cells.iter().enumerate() {
            let _ = write!(text, "  {:>1$}", cell.text(), width(column));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Cell, Spread, number};

    #[test]
    fn a_median_of_nothing_has_no_parts() {
        let text = |median, turns| {
            let spread = Spread {
                median,
                least: 0.0,
                greatest: 0.25,
            };
            let (key, spread) = (String::new(), Some(spread));
            Cell { key, spread, turns }.text()
        };
        assert_eq!(text(0.0, 5), "0.000 to 0.250");
        assert_eq!(text(0.125, 5), "0.125 ~200%");
        assert_eq!(text(0.0, 1), "0.000");
    }

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.0, 0.1234, 1.234, 12.34, 123.4, 1234.5].map(number);
        assert_eq!(shown, ["0.000", "0.123", "1.23", "12.3", "123", "1234"]);
    }
}
