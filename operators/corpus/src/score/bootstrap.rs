//! Confidence intervals of scores: percentile bootstrap over documents or sentences (Efron 1979), and the paired bootstrap
//! test of two systems on the same data (Berg-Kirkpatrick, Burkett and Klein 2012).

use std::collections::BTreeMap;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::Counts;

/// Settings of the bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Number of samples.
    pub samples: u32,
    /// The seed; the same seed and data give the same interval.
    pub seed: u64,
    /// Confidence level, such as 0.95.
    pub level: f64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { samples: 1000, seed: 1, level: 0.95 }
    }
}

/// A micro F1 and its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The value for the data.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The difference between the micro F1 of two systems.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Second system minus first.
    pub difference: Interval,
    /// Share of samples with at least twice the observed difference: the one-sided probability of the observed difference
    /// if the systems were equal.
    pub p_value: f64,
}

impl Bootstrap {
    /// The interval of micro F1 over units (documents or sentences).
    ///
    /// `units` comes from [`tags::count`](super::tags::count) or [`spans::count`](super::spans::count). Without units, the
    /// result is 0.
    pub fn interval(&self, units: &[BTreeMap<String, Counts>]) -> Interval {
        let totals = totals(units);
        let f1 = |counts: Counts| counts.score().f1;
        let mut drawn = self.draw(totals.len(), |sample| f1(sample.iter().map(|&unit| totals[unit]).sum()));
        self.around(f1(totals.iter().copied().sum()), &mut drawn)
    }

    /// Compares two systems on the same units, in the same order; surplus units of one side are ignored.
    pub fn compare(&self, first: &[BTreeMap<String, Counts>], second: &[BTreeMap<String, Counts>]) -> Comparison {
        let (first, second) = (totals(first), totals(second));
        let units = first.len().min(second.len());
        let difference = |sample: &[usize]| {
            let f1 = |side: &[Counts]| sample.iter().map(|&unit| side[unit]).sum::<Counts>().score().f1;
            f1(&second) - f1(&first)
        };
        let all: Vec<usize> = (0..units).collect();
        let observed = difference(&all);
        let mut drawn = self.draw(units, difference);
        // Mirrored if the second system is worse, so that the value is about the better one.
        let beyond = drawn
            .iter()
            .filter(|&&drawn| if observed >= 0.0 { drawn >= 2.0 * observed } else { drawn <= 2.0 * observed });
        let p_value = if drawn.is_empty() { 1.0 } else { beyond.count() as f64 / drawn.len() as f64 };
        Comparison { difference: self.around(observed, &mut drawn), p_value }
    }

    /// The statistic of each sample, which draws as many units as there are, with replacement.
    fn draw(&self, units: usize, statistic: impl Fn(&[usize]) -> f64) -> Vec<f64> {
        if units == 0 {
            return Vec::new();
        }
        let mut random = SplitMix64::seed_from_u64(self.seed);
        let mut sample = vec![0; units];
        let samples = (0..self.samples).map(|_| {
            sample.fill_with(|| below(&mut random, units));
            statistic(&sample)
        });
        samples.collect()
    }

    fn around(&self, value: f64, drawn: &mut [f64]) -> Interval {
        drawn.sort_by(f64::total_cmp);
        let tail = (1.0 - self.level.clamp(0.0, 1.0)) / 2.0;
        let at = |share: f64| {
            let last = drawn.len().saturating_sub(1);
            drawn.get(((share * last as f64).round() as usize).min(last)).copied().unwrap_or(value)
        };
        Interval { value, low: at(tail), high: at(1.0 - tail) }
    }
}

fn totals(units: &[BTreeMap<String, Counts>]) -> Vec<Counts> {
    units.iter().map(|unit| unit.values().copied().sum()).collect()
}

/// A number below `bound`, by multiplication; the bias is below 2⁻⁴⁰ for any corpus.
fn below(random: &mut SplitMix64, bound: usize) -> usize {
    ((u128::from(random.next_u64()) * bound as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(correct: &[u64]) -> Vec<BTreeMap<String, Counts>> {
        let unit = |&correct| BTreeMap::from([("D".to_owned(), Counts { correct, found: 2, expected: 2 })]);
        correct.iter().map(unit).collect()
    }

    #[test]
    fn the_interval_contains_the_value_and_depends_only_on_the_seed() {
        let data: Vec<u64> = (0..200).map(|i| if i % 10 < 7 { 2 } else { 0 }).collect();
        let bootstrap = Bootstrap::default();
        let interval = bootstrap.interval(&units(&data));
        assert!((interval.value - 0.7).abs() < 1e-12);
        // The standard error of a share of 0.7 among 200 is 0.0324, and the interval about two of them on each side.
        assert!((interval.low - (0.7 - 1.96 * 0.0324)).abs() < 0.02, "{interval:?}");
        assert!((interval.high - (0.7 + 1.96 * 0.0324)).abs() < 0.02, "{interval:?}");
        assert_eq!(interval, bootstrap.interval(&units(&data)));
        assert_ne!(interval, Bootstrap { seed: 2, ..bootstrap }.interval(&units(&data)));
    }

    #[test]
    fn data_without_variance_have_an_interval_of_width_zero() {
        let interval = Bootstrap::default().interval(&units(&[2; 20]));
        assert_eq!((interval.value, interval.low, interval.high), (1.0, 1.0, 1.0));
        let nothing = Bootstrap::default().interval(&[]);
        assert_eq!((nothing.value, nothing.low, nothing.high), (0.0, 0.0, 0.0));
    }

    #[test]
    fn a_clear_difference_is_significant_and_noise_is_not() {
        let first: Vec<u64> = (0..100).map(|i| u64::from(i % 2 == 0)).collect();
        let better: Vec<u64> = first.iter().map(|n| n + 1).collect();
        let comparison = Bootstrap::default().compare(&units(&first), &units(&better));
        assert!((comparison.difference.value - 0.5).abs() < 1e-12 && comparison.p_value < 0.01, "{comparison:?}");
        let shifted: Vec<u64> = (0..100).map(|i| u64::from(i % 2 == 1 || i == 0)).collect();
        let noise = Bootstrap::default().compare(&units(&first), &units(&shifted));
        assert!(noise.p_value > 0.05 && noise.difference.low < 0.0 && noise.difference.high > 0.0, "{noise:?}");
    }
}
