//! Turns and their statistics. A turn runs in a separate process, so that threads, memory and
//! caches of one turn do not disturb another. Medians are over turns of one distance, or over
//! ratios of two turns of one round.

use std::io::{self, Write};
use std::process::{ExitCode, Output, exit};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::Outcome;
use crate::machine::{Distance, line_ns};
use crate::work::Measured;

/// The result of one turn of one contestant.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The round, from 0.
    pub round: u32,
    /// The time in ns that a cache line takes from core to core, before and after the turn.
    pub line_ns: [f64; 2],
    /// The figures.
    pub measured: Measured,
}

impl Turn {
    /// Runs a turn with `run`, and measures the distance of the cores before and after it.
    ///
    /// # Errors
    ///
    /// The error of `run`.
    pub fn run(round: u32, run: impl FnOnce() -> Outcome<Measured>) -> Outcome<Self> {
        let before = line_ns();
        let measured = run()?;
        Ok(Self {
            round,
            line_ns: [before, line_ns()],
            measured,
        })
    }

    /// The distance of the cores.
    pub fn distance(&self) -> Distance {
        Distance::of(self.line_ns[0], self.line_ns[1])
    }

    /// The figure with this name.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.measured.figures.get(name).copied()
    }
}

/// The longest time of a turn; a longer one counts as hung.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs a turn in this process, and prints the result for [`answer`].
pub fn here(run: impl FnOnce() -> Outcome<Measured>) -> ExitCode {
    thread::spawn(|| {
        thread::sleep(LIMIT);
        let _ = writeln!(io::stderr(), "the turn has not ended after {LIMIT:?}");
        exit(1);
    });
    let said = run().and_then(|measured| {
        let json = serde_json::to_string(&measured)?;
        Ok(writeln!(io::stdout(), "{json}")?)
    });
    match said {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}"); // the process that started this one reads it
            ExitCode::FAILURE
        }
    }
}

/// Reads the result that a process has printed with [`here`].
///
/// # Errors
///
/// If the turn failed: what the process has said.
pub fn answer(output: &Output) -> Outcome<Measured> {
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout)?);
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(match why.trim() {
        "" => output.status.to_string(),
        why => why.to_owned(),
    }
    .into())
}

/// The median, the least and the greatest of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle value, or the mean of the two in the middle.
    pub median: f64,
    /// The least value.
    pub least: f64,
    /// The greatest value.
    pub greatest: f64,
}

impl Spread {
    /// Returns `None` if there is no value.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => f64::midpoint(*values.get(middle.checked_sub(1)?)?, values[middle]),
            _ => values[middle],
        };
        Some(Self {
            median,
            least: *values.first()?,
            greatest: *values.last()?,
        })
    }

    /// The difference of the greatest and the least, divided by the median.
    pub fn width(&self) -> f64 {
        if self.greatest > self.least {
            (self.greatest - self.least) / self.median
        } else {
            0.0
        }
    }
}

/// The turns of one distance.
pub fn at(turns: &[Turn], distance: Distance) -> impl Iterator<Item = &Turn> {
    turns.iter().filter(move |turn| turn.distance() == distance)
}

/// The spread of a figure over the turns of one distance.
pub fn figure(turns: &[Turn], name: &str, distance: Distance) -> Option<Spread> {
    let values = at(turns, distance).filter_map(|turn| turn.figure(name));
    Spread::of(values.collect())
}

/// The spread of the ratios of a figure to a figure of another contestant, over the rounds in which
/// both had this distance: other load on the machine has hit both.
pub fn ratio(
    turns: &[Turn],
    name: &str,
    base: &[Turn],
    base_name: &str,
    distance: Distance,
) -> Option<Spread> {
    let ratios = at(turns, distance).filter_map(|turn| {
        let base = at(base, distance).find(|base| base.round == turn.round)?;
        Some(turn.figure(name)? / base.figure(base_name)?)
    });
    Spread::of(ratios.filter(|ratio| ratio.is_finite()).collect())
}
