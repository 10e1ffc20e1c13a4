//! Turns and their statistics: medians over turns of one distance, and over ratios of turns of one
//! round.

use std::collections::BTreeMap;

use alq_measure::machine::Distance;

/// The result of one turn of one contestant.
#[derive(Clone, Debug)]
pub struct Turn {
    pub round: usize,
    pub line_ns: [f64; 2],
    pub figures: BTreeMap<String, f64>,
}

impl Turn {
    pub fn distance(&self) -> Distance {
        Distance::of(self.line_ns[0], self.line_ns[1])
    }
}

/// The median, the least and the greatest.
pub fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [
        values[values.len() / 2],
        values[0],
        values[values.len() - 1],
    ]
}

/// The spread of a figure over the turns of one distance, and the number of these turns.
pub fn figure(turns: &[Turn], name: &str, distance: Distance) -> Option<([f64; 3], usize)> {
    let of = |turn: &&Turn| turn.distance() == distance;
    let values: Vec<f64> = turns
        .iter()
        .filter(of)
        .filter_map(|turn| turn.figures.get(name).copied())
        .collect();
    let count = values.len();
    (count > 0).then(|| (spread(values), count))
}

/// The spread of the ratios of a figure to a figure of another contestant, over the rounds in which
/// both had this distance.
pub fn ratio(
    turns: &[Turn],
    name: &str,
    base: &[Turn],
    base_name: &str,
    distance: Distance,
) -> Option<[f64; 3]> {
    let ratios: Vec<f64> = turns
        .iter()
        .filter(|turn| turn.distance() == distance)
        .filter_map(|turn| {
            let same =
                |base: &&Turn| base.round == turn.round && base.distance() == turn.distance();
            let base = base.iter().find(same)?;
            Some(turn.figures.get(name)? / base.figures.get(base_name)?)
        })
        .filter(|ratio| ratio.is_finite())
        .collect();
    (!ratios.is_empty()).then(|| spread(ratios))
}
