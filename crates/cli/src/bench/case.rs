//! The plan of the measurements: which contestant does which workload.

use std::path::Path;

use alq_measure::contestant::Leaves;
use alq_measure::work::{Kind, Measured, Work};
use alq_measure::{Outcome, contestant, limits, queues};
use serde::{Deserialize, Serialize};

/// What appends the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Contestant {
    /// Only a copy into a private ring.
    #[serde(rename = "memcpy")]
    Copy,
    /// One claim from a shared head, then the copy.
    #[serde(rename = "memcpy + CAS")]
    CopyAndClaim,
    /// Blocks of 64 KiB, filled and written by the caller.
    #[serde(rename = "write(2), 64 KiB")]
    Blocks,
    /// `Queue::writen`.
    #[serde(rename = "queue")]
    Shared,
    /// `Lane::writen`.
    #[serde(rename = "lane")]
    Lane,
}

impl Contestant {
    pub const ALL: [Self; 5] = [
        Self::Copy,
        Self::CopyAndClaim,
        Self::Blocks,
        Self::Shared,
        Self::Lane,
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Copy => "memcpy",
            Self::CopyAndClaim => "memcpy + CAS",
            Self::Blocks => "write(2), 64 KiB",
            Self::Shared => "queue",
            Self::Lane => "lane",
        }
    }

    /// Returns true for a limit that no queue can beat, false for a queue.
    pub fn is_limit(self) -> bool {
        !matches!(self, Self::Shared | Self::Lane)
    }

    fn measured(self) -> contestant::Contestant {
        match self {
            Self::Copy => limits::COPY,
            Self::CopyAndClaim => limits::COPY_AND_CAS,
            Self::Blocks => limits::WRITE_64K,
            Self::Shared => queues::SHARED,
            Self::Lane => queues::LANES,
        }
    }
}

/// The names of the figures of a workload; the first is the most important.
pub fn figures(workload: Kind) -> &'static [&'static str] {
    match workload {
        Kind::Bursts | Kind::Interval | Kind::Busy => &["ns", "p50", "p99", "p999", "p9999", "max"],
        Kind::Sustained => &["gb_s", "ns", "cpu_ns"],
        Kind::Stalled => &["p999", "p50", "p99", "max", "refused"],
        Kind::Idle => &["wakeups_s", "cpu_ms_s"],
    }
}

/// The turn of one contestant with one workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub contestant: Contestant,
    pub workload: Kind,
    pub producers: usize,
    pub record_bytes: usize,
    /// See [`Kind`].
    pub count: usize,
}

/// The lengths of the records of [`Kind::Sustained`], in bytes.
pub const SIZES: [usize; 5] = [16, 64, 256, 1024, 4096];

/// The numbers of producers that append at the same time.
pub const PRODUCERS: [usize; 3] = [1, 2, 4];

/// The largest log in bytes.
pub const LOG_BYTES_MAX: usize = 100_000_000;

/// The most records in a log.
const LOG_RECORDS_MAX: usize = 2_000_000;

impl Case {
    fn work(&self) -> Work {
        Work {
            kind: self.workload,
            producers: self.producers,
            len: self.record_bytes,
            count: self.count,
        }
    }

    /// Runs the turn in this process, with the log at `path`.
    pub fn run(&self, path: &Path) -> Outcome<Measured> {
        let mut measured = (self.contestant.measured().run)(&self.work(), path)?;
        if self.workload == Kind::Stalled {
            // Here only the calls count that a full queue has refused.
            let of_refused = |(name, value): (&String, &f64)| {
                Some((name.strip_prefix("full_")?.to_owned(), *value))
            };
            let refused: Vec<_> = measured.figures.iter().filter_map(of_refused).collect();
            measured.figures.extend(refused);
        }
        Ok(measured)
    }

    /// The number of records per producer in the log at the end. `None` if no file is left that
    /// can be checked.
    pub fn records(&self) -> Option<u64> {
        let is_there = self.contestant.measured().leaves != Leaves::Nothing;
        self.work().records().filter(|_| is_there)
    }

    /// The limit to compare this case with.
    pub fn limit(&self) -> Option<Contestant> {
        match self.workload {
            Kind::Bursts => Some(Contestant::CopyAndClaim),
            Kind::Sustained => Some(Contestant::Blocks),
            Kind::Stalled | Kind::Idle | Kind::Interval | Kind::Busy => None,
        }
    }

    /// Returns true if this is the limit of `case`. A limit has one producer, even if the case has
    /// several.
    pub fn is_limit_of(&self, case: &Self) -> bool {
        Some(self.contestant) == case.limit()
            && self.workload == case.workload
            && self.record_bytes == case.record_bytes
    }

    /// The name of the case for messages.
    pub fn title(&self) -> String {
        let Self {
            contestant,
            workload,
            producers,
            record_bytes,
            ..
        } = self;
        let (contestant, workload) = (contestant.name(), workload.name());
        format!("{workload}, {contestant}, {producers} x {record_bytes} bytes")
    }
}

/// Returns all cases, in the order of a round.
pub fn plan(is_quick: bool) -> Vec<Case> {
    let part = if is_quick { 8 } else { 1 };
    let case = |contestant, workload, count| Case {
        contestant,
        workload,
        producers: 1,
        record_bytes: 100,
        count,
    };
    let queues = [Contestant::Shared, Contestant::Lane];
    let mut cases: Vec<_> = Contestant::ALL
        .map(|contestant| case(contestant, Kind::Bursts, 2000 / part))
        .into();
    for record_bytes in SIZES {
        let records = (LOG_BYTES_MAX / record_bytes).min(LOG_RECORDS_MAX) / part;
        for contestant in [Contestant::Blocks, Contestant::Shared, Contestant::Lane] {
            let producers = PRODUCERS.iter().copied();
            let is_possible = |producers: &usize| *producers == 1 || !contestant.is_limit();
            cases.extend(producers.filter(is_possible).map(|producers| Case {
                producers,
                record_bytes,
                ..case(contestant, Kind::Sustained, records / producers)
            }));
        }
    }
    cases.extend(queues.map(|queue| case(queue, Kind::Stalled, 800 / part)));
    cases.push(case(Contestant::Shared, Kind::Idle, 4000 / part));
    cases
}

#[cfg(test)]
mod tests {
    use super::{LOG_BYTES_MAX, plan};

    #[test]
    fn every_log_fits_and_every_case_has_its_limit() {
        for is_quick in [false, true] {
            let cases = plan(is_quick);
            for case in &cases {
                let records = case.records().unwrap_or(0) * case.producers as u64;
                assert!(
                    records * case.record_bytes as u64 <= LOG_BYTES_MAX as u64,
                    "{case:?}"
                );
                let limits = cases.iter().filter(|limit| limit.is_limit_of(case));
                assert_eq!(limits.count(), usize::from(case.limit().is_some()));
            }
        }
    }

    #[test]
    fn names_are_those_of_the_json() {
        for case in plan(false) {
            let json = serde_json::to_value(case).unwrap();
            assert_eq!(json["contestant"], case.contestant.name());
            assert_eq!(json["workload"], case.workload.name());
            assert!(case.contestant.measured().kinds.contains(&case.workload));
        }
    }
}
