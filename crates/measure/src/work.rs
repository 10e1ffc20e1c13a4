//! The work of a turn, and its result. `run.rs` carries it out.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::run::{BEFORE_IDLE, BURST, WARM_UP};

/// The work of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// What the producers do.
    pub kind: Kind,
    /// How many threads append.
    pub producers: usize,
    /// The length of a record in bytes.
    pub len: usize,
    /// How much of it: see [`Kind`].
    pub count: usize,
}

impl Work {
    /// So many bytes in all, as records of this length.
    pub const fn sustained(producers: usize, len: usize, bytes: usize) -> Self {
        Self {
            kind: Kind::Sustained,
            producers,
            len,
            count: bytes / len / producers,
        }
    }

    /// One producer, records of 100 bytes.
    pub const fn alone(kind: Kind, count: usize) -> Self {
        Self {
            kind,
            producers: 1,
            len: 100,
            count,
        }
    }

    /// The number of records of each producer that a log holds at the end. `None` if the number
    /// depends on the time that a call takes.
    pub fn records(&self) -> Option<u64> {
        match self.kind {
            Kind::Bursts => Some(((WARM_UP + 2 * self.count) * BURST) as u64),
            Kind::Sustained | Kind::Interval | Kind::Busy => Some(self.count as u64),
            Kind::Idle => Some(BEFORE_IDLE),
            Kind::Stalled => None,
        }
    }
}

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Bursts of 64 records with 100 us between them, so that no queue fills up. The count is the
    /// number of bursts.
    Bursts,
    /// As fast as possible, until the kernel has all records. The count is the number of records
    /// per producer.
    Sustained,
    /// One record a millisecond. The count is the number of records.
    Interval,
    /// One record a millisecond, with a busy process on the last core and the producer on the
    /// first. The count is the number of records.
    Busy,
    /// No appends after a few records. The count is in milliseconds.
    Idle,
    /// A pipe whose reader stops for a while; appends do not wait. The count is in milliseconds.
    Stalled,
}

impl Kind {
    /// All workloads.
    pub const ALL: [Self; 6] = [
        Self::Bursts,
        Self::Sustained,
        Self::Interval,
        Self::Busy,
        Self::Idle,
        Self::Stalled,
    ];

    /// The workloads that log to a file.
    pub const WITHOUT_PIPE: &'static [Self] = Self::ALL.split_at(5).0;

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bursts => "bursts",
            Self::Sustained => "sustained",
            Self::Interval => "interval",
            Self::Busy => "busy",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
        }
    }

    /// Returns the workload with this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The result of a turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The figures by name.
    pub figures: BTreeMap<String, f64>,
    /// How long calls take, in ns, at each of [`QUANTILES`] that so many calls have; empty if calls
    /// were not timed.
    pub curve_ns: Vec<f64>,
}

impl Measured {
    /// The figures with these names.
    pub fn of<const N: usize>(figures: [(&str, f64); N]) -> Self {
        let mut measured = Self::default();
        measured.add(figures);
        measured
    }

    /// Adds figures.
    pub fn add<const N: usize>(&mut self, figures: [(&str, f64); N]) {
        let named = figures.map(|(name, value)| (name.to_owned(), value));
        self.figures.extend(named);
    }

    /// The percentiles and the curve of single calls.
    pub fn of_calls(calls: &Histogram<u64>) -> Self {
        let at = |quantile| calls.value_at_quantile(quantile) as f64;
        // A curve ends at the last quantile that has a call beyond it.
        let beyond = |quantile: &&f64| (1.0 - **quantile) * calls.len() as f64 >= 0.999;
        let quantiles = QUANTILES.iter().take_while(beyond);
        let curve_ns = quantiles.map(|quantile| at(*quantile)).collect();
        let mut measured = Self::of([
            ("p50", at(0.5)),
            ("p99", at(0.99)),
            ("p999", at(0.999)),
            ("p9999", at(0.9999)),
            ("max", calls.max() as f64),
        ]);
        measured.curve_ns = curve_ns;
        measured
    }
}

/// The quantiles of the points of a curve.
pub const QUANTILES: [f64; 16] = [
    0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999, 0.9995, 0.9998, 0.9999,
    0.99995, 0.99999,
];

#[cfg(test)]
mod tests {
    use super::{Kind, Measured, QUANTILES};
    use crate::run::histogram;

    #[test]
    fn a_curve_ends_at_the_last_quantile_with_a_call_beyond_it() {
        for (calls, last) in [
            (0, None),
            (1, Some(0.0)),
            (1000, Some(0.999)),
            (999_999, Some(0.99999)),
        ] {
            let mut histogram = histogram().unwrap();
            (1..=calls).for_each(|ns| histogram.record(ns).unwrap());
            let points = Measured::of_calls(&histogram).curve_ns.len();
            assert_eq!(
                points.checked_sub(1).map(|at| QUANTILES[at]),
                last,
                "{calls}"
            );
        }
    }

    #[test]
    fn names_are_those_of_the_json() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(Kind::of(kind.name()), Some(kind));
        }
    }
}
