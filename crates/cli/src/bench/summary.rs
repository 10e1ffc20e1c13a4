//! Summarises the turns: medians and spreads, separately for near and far, and whether the figures
//! can be trusted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::case::{Case, figures};
use alq_measure::machine::{Distance, Machine, Usage};
use alq_measure::turn::{Spread, Turn, at, figure, ratio};
use alq_measure::work::QUANTILES;

/// Everything that was measured. `--json` writes this object.
#[derive(Debug, Serialize)]
pub struct Report {
    pub tool: String,
    pub unix_time: u64,
    pub is_quick: bool,
    pub rounds: u32,
    pub machine: Machine,
    pub folder: String,
    pub file_system: String,
    pub noise: Noise,
    pub cases: Vec<Entry>,
}

/// The results of one contestant with one workload.
#[derive(Debug, Serialize)]
pub struct Entry {
    #[serde(flatten)]
    pub case: Case,
    pub is_limit: bool,
    pub near: Option<Summary>,
    pub far: Option<Summary>,
    /// The number of turns that are in neither, because the distance of the cores changed during
    /// the turn.
    pub moved_turns: usize,
    pub turns: Vec<Raw>,
}

/// The figures of one turn.
#[derive(Debug, Serialize)]
pub struct Raw {
    pub round: u32,
    pub line_ns: [f64; 2],
    pub figures: BTreeMap<String, f64>,
}

/// The turns of one distance.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub turns: usize,
    pub figures: BTreeMap<String, Spread>,
    /// The duration of a call in ns at each quantile: the median of the turns.
    pub curve: Vec<Point>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Point {
    pub quantile: f64,
    pub ns: f64,
}

/// The figure that compares a contestant with the limit of its workload, as a ratio.
pub const OF_LIMIT: &str = "of_limit";

impl Entry {
    pub fn summary(&self, distance: Distance) -> Option<&Summary> {
        match distance {
            Distance::Near => self.near.as_ref(),
            Distance::Far => self.far.as_ref(),
            Distance::Moved => None,
        }
    }

    pub fn figure(&self, distance: Distance, name: &str) -> Option<&Spread> {
        self.summary(distance)?.figures.get(name)
    }
}

/// Builds the entries of all cases; `turns` holds the turns of each case.
pub fn entries(cases: &[Case], turns: &[Vec<Turn>]) -> Vec<Entry> {
    let entry = |(case, own): (&Case, &Vec<Turn>)| {
        let limit = cases.iter().position(|limit| limit.is_limit_of(case));
        let limit = limit.map_or(&[][..], |limit| &turns[limit]);
        Entry {
            case: *case,
            is_limit: case.contestant.is_limit(),
            near: summary(case, own, limit, Distance::Near),
            far: summary(case, own, limit, Distance::Far),
            moved_turns: at(own, Distance::Moved).count(),
            turns: own.iter().map(raw).collect(),
        }
    };
    cases.iter().zip(turns).map(entry).collect()
}

fn raw(turn: &Turn) -> Raw {
    Raw {
        round: turn.round,
        line_ns: turn.line_ns,
        figures: turn.measured.figures.clone(),
    }
}

fn summary(case: &Case, own: &[Turn], limit: &[Turn], distance: Distance) -> Option<Summary> {
    let first = at(own, distance).next()?;
    let spread = |name: &String| Some((name.clone(), figure(own, name, distance)?));
    let names = first.measured.figures.keys();
    let mut spreads: BTreeMap<_, _> = names.filter_map(spread).collect();
    let main = figures(case.workload)[0];
    if let Some(ratio) = ratio(own, main, limit, main, distance) {
        spreads.insert(OF_LIMIT.to_owned(), ratio);
    }
    let point = |(index, &quantile): (usize, &f64)| {
        let values = at(own, distance).filter_map(|turn| turn.measured.curve_ns.get(index));
        let ns = Spread::of(values.copied().collect())?.median;
        Some(Point { quantile, ns })
    };
    Some(Summary {
        turns: at(own, distance).count(),
        figures: spreads,
        curve: QUANTILES.iter().enumerate().filter_map(point).collect(),
    })
}

/// Whether the machine was quiet enough, and the figures that decide it.
#[derive(Debug, Default, Serialize)]
pub struct Noise {
    pub is_quiet: bool,
    /// Why it was not quiet enough.
    pub reasons: Vec<String>,
    /// The share of the time of all processors that the host of a virtual machine took.
    pub steal_share: f64,
    pub steal_share_max: f64,
    /// The share of the time of all processors that other processes used.
    pub others_share: f64,
    pub others_share_max: f64,
    /// The median of the spreads of the limits, which do the same work in each round.
    pub limit_spread: Option<f64>,
    pub limit_spread_max: f64,
}

impl Noise {
    /// `used` is the usage of all processors during the benchmark; `ours_s` is the part in seconds
    /// that the benchmark itself used.
    pub fn of(entries: &[Entry], used: Usage, ours_s: f64) -> Self {
        let limits = entries.iter().filter(|entry| entry.is_limit);
        let spreads = limits.flat_map(|entry| {
            let main = figures(entry.case.workload)[0];
            let summaries = [entry.near.as_ref(), entry.far.as_ref()];
            let repeated = summaries
                .into_iter()
                .flatten()
                .filter(|summary| summary.turns > 1);
            repeated.filter_map(|summary| Some(summary.figures.get(main)?.width()))
        });
        let all_s = used.all_s.max(f64::MIN_POSITIVE);
        let mut noise = Self {
            steal_share: used.steal_s / all_s,
            steal_share_max: 0.01,
            others_share: (used.busy_s - ours_s).max(0.0) / all_s,
            others_share_max: 0.05,
            limit_spread: Spread::of(spreads.collect()).map(|spread| spread.median),
            limit_spread_max: 0.25,
            ..Self::default()
        };
        noise.reasons = noise.complaints();
        noise.is_quiet = noise.reasons.is_empty();
        noise
    }

    fn complaints(&self) -> Vec<String> {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let mut complaints = Vec::new();
        if self.steal_share > self.steal_share_max {
            let (share, most) = (percent(self.steal_share), percent(self.steal_share_max));
            complaints.push(format!(
                "the host took {share} of the machine's time (at most {most})"
            ));
        }
        if self.others_share > self.others_share_max {
            let (share, most) = (percent(self.others_share), percent(self.others_share_max));
            complaints.push(format!(
                "others used {share} of the machine's time (at most {most})"
            ));
        }
        match self.limit_spread {
            None => {
                complaints.push("no limit had two turns to compare: use more rounds".to_owned());
            }
            Some(spread) if spread > self.limit_spread_max => {
                let (spread, most) = (percent(spread), percent(self.limit_spread_max));
                complaints.push(format!(
                    "the rounds of the limits are {spread} apart (at most {most})"
                ));
            }
            Some(_) => {}
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::{Noise, Spread, Usage, entries};
    use crate::bench::case::plan;
    use alq_measure::turn::Turn;
    use alq_measure::work::Measured;

    fn turn(round: u32, line_ns: [f64; 2], ns: f64) -> Turn {
        Turn {
            round,
            line_ns,
            measured: Measured::of([("ns", ns)]),
        }
    }

    #[test]
    fn near_and_far_are_never_in_one_median() {
        let cases = &plan(true)[1..4]; // memcpy + CAS, write(2), queue: all bursts
        let (near, far, moved) = ([9.0, 9.0], [90.0, 90.0], [9.0, 90.0]);
        let limit = vec![turn(0, near, 10.0), turn(1, near, 20.0), turn(2, far, 40.0)];
        let queue = vec![
            turn(0, near, 30.0),
            turn(1, moved, 1000.0),
            turn(2, far, 80.0),
        ];
        let entries = entries(cases, &[limit, Vec::new(), queue]);
        let [limit, missing, queue] = &entries[..] else {
            panic!()
        };
        let spread = |median, least, greatest| Spread {
            median,
            least,
            greatest,
        };
        let near = &limit.near.as_ref().unwrap();
        assert_eq!(
            (near.turns, near.figures["ns"]),
            (2, spread(15.0, 10.0, 20.0))
        );
        assert_eq!(
            limit.far.as_ref().unwrap().figures["ns"],
            spread(40.0, 40.0, 40.0)
        );
        assert!(missing.near.is_none() && missing.far.is_none());
        assert_eq!(queue.moved_turns, 1);
        assert_eq!(
            queue.near.as_ref().unwrap().figures["of_limit"],
            spread(3.0, 3.0, 3.0)
        );
        assert_eq!(
            queue.far.as_ref().unwrap().figures["of_limit"],
            spread(2.0, 2.0, 2.0)
        );
    }

    #[test]
    fn each_kind_of_noise_is_reported() {
        let cases = &plan(true)[..1];
        let noise = |ns: [f64; 2], steal_s, busy_s| {
            let turns = [0, 1].map(|round| turn(round, [9.0; 2], ns[round as usize]));
            let used = Usage {
                all_s: 100.0,
                busy_s,
                steal_s,
            };
            Noise::of(&entries(cases, &[turns.into()]), used, 50.0).reasons
        };
        assert_eq!(noise([10.0, 11.0], 0.5, 54.0), [""; 0]);
        assert!(noise([10.0, 14.0], 0.5, 54.0)[0].contains("33.3 % apart"));
        assert!(noise([10.0, 11.0], 2.0, 54.0)[0].contains("host took 2.0 %"));
        assert!(noise([10.0, 11.0], 0.5, 60.0)[0].contains("others used 10.0 %"));
        assert_eq!(noise([10.0, 14.0], 2.0, 60.0).len(), 3);
        let none = Noise::of(&[], Usage::default(), 0.0);
        assert!(!none.is_quiet && none.reasons[0].contains("more rounds"));
    }
}
