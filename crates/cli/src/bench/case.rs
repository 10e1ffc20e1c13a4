//! The plan of the measurements: which contestant does which workload.

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

    /// Returns true if the records are in a file at the end.
    pub fn leaves_a_file(self) -> bool {
        !matches!(self, Self::Copy | Self::CopyAndClaim)
    }
}

/// What a contestant does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// Bursts of 64 records with 100 us between them, so that no queue fills up. The count is the
    /// number of bursts.
    Bursts,
    /// As fast as possible, until the kernel has everything. The count is the number of records per
    /// producer.
    Sustained,
    /// A pipe that is not read for a while; appends do not wait. The count is in milliseconds.
    Stalled,
    /// An open queue without appends. The count is in milliseconds.
    Idle,
}

impl Workload {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bursts => "bursts",
            Self::Sustained => "sustained",
            Self::Stalled => "stalled",
            Self::Idle => "idle",
        }
    }

    /// The names of the figures; the first is the most important.
    pub fn figures(self) -> &'static [&'static str] {
        match self {
            Self::Bursts => &["ns", "p50", "p99", "p999", "p9999", "max"],
            Self::Sustained => &["gb_s", "ns", "cpu_ns"],
            Self::Stalled => &["p999", "p50", "p99", "max", "refused"],
            Self::Idle => &["wakeups_s", "cpu_ms_s"],
        }
    }
}

/// The turn of one contestant with one workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub contestant: Contestant,
    pub workload: Workload,
    pub producers: usize,
    pub record_bytes: usize,
    pub count: u64,
}

/// The number of records of a burst.
pub const BURST: usize = 64;

/// The number of bursts before the counted ones. They fill the ring once, so that it is in the
/// caches, as when nothing else uses them.
pub const WARM_UP: u64 = 200;

/// The number of records before the idle time of [`Workload::Idle`].
pub const BEFORE_IDLE: u64 = 1000;

/// The lengths of the records of [`Workload::Sustained`], in bytes.
pub const SIZES: [usize; 5] = [16, 64, 256, 1024, 4096];

/// The numbers of producers that append at the same time.
pub const PRODUCERS: [usize; 3] = [1, 2, 4];

/// The largest log in bytes.
pub const LOG_BYTES_MAX: u64 = 100_000_000;

/// The most records in a log.
const LOG_RECORDS_MAX: u64 = 2_000_000;

impl Case {
    /// The number of records per producer in the file at the end, if there is a file.
    pub fn records(&self) -> u64 {
        match self.workload {
            Workload::Bursts => (WARM_UP + 2 * self.count) * BURST as u64,
            Workload::Sustained => self.count,
            Workload::Idle => BEFORE_IDLE,
            Workload::Stalled => 0, // writes to a pipe, which is read during the turn
        }
    }

    /// Returns true if the log is a file that can be checked afterwards.
    pub fn leaves_a_file(&self) -> bool {
        self.contestant.leaves_a_file() && self.workload != Workload::Stalled
    }

    /// The limit to compare this case with.
    pub fn limit(&self) -> Option<Contestant> {
        match self.workload {
            Workload::Bursts => Some(Contestant::CopyAndClaim),
            Workload::Sustained => Some(Contestant::Blocks),
            Workload::Stalled | Workload::Idle => None,
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
        .map(|contestant| case(contestant, Workload::Bursts, 2000 / part))
        .into();
    for record_bytes in SIZES {
        let records = (LOG_BYTES_MAX / record_bytes as u64).min(LOG_RECORDS_MAX) / part;
        for contestant in [Contestant::Blocks, Contestant::Shared, Contestant::Lane] {
            let producers = PRODUCERS.iter().copied();
            let is_possible = |producers: &usize| *producers == 1 || !contestant.is_limit();
            cases.extend(producers.filter(is_possible).map(|producers| Case {
                producers,
                record_bytes,
                ..case(contestant, Workload::Sustained, records / producers as u64)
            }));
        }
    }
    cases.extend(queues.map(|queue| case(queue, Workload::Stalled, 800 / part)));
    cases.push(case(Contestant::Shared, Workload::Idle, 4000 / part));
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
                let records = case.records() * case.producers as u64;
                assert!(
                    records * case.record_bytes as u64 <= LOG_BYTES_MAX,
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
        }
    }
}
