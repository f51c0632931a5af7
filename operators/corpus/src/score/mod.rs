//! How well a model finds what a corpus says: pure functions, serialisable results.
//!
//! ```text
//! tag sequences ─► tags::score ─► precision, recall, F1 per category, micro, macro, weighted
//! documents     ─► spans::score (strict, overlapping) ─► bootstrap (intervals, paired comparison)
//!                  errors::list (missed, spurious, boundary, category; confusion)
//! ```

pub mod bootstrap;
pub mod errors;
pub mod spans;
pub mod tags;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Entities counted: expected by the corpus, found by the model, and both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Entities that the corpus and the model agree on.
    pub correct: u64,
    /// Entities that the model found.
    pub found: u64,
    /// Entities of the corpus (the support).
    pub expected: u64,
}

impl Counts {
    /// Precision, recall and F1; 0 where a denominator is, as conlleval and seqeval have it.
    pub fn score(self) -> Score {
        let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let (precision, recall) = (ratio(self.correct, self.found), ratio(self.correct, self.expected));
        Score { precision, recall, f1: f1(precision, recall), support: self.expected }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.correct += other.correct;
        self.found += other.found;
        self.expected += other.expected;
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, counts| {
            sum += counts;
            sum
        })
    }
}

/// The harmonic mean of precision and recall; 0 if both are.
fn f1(precision: f64, recall: f64) -> f64 {
    let sum = precision + recall;
    if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum }
}

/// Precision, recall and F1, each from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Correct among those found.
    pub precision: f64,
    /// Correct among those expected.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// Entities (or tokens) expected.
    pub support: u64,
}

/// Scores of each category and their averages.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scores {
    /// What was counted in each category.
    pub counts: BTreeMap<String, Counts>,
    /// The score of each category that the corpus or the model has.
    pub categories: BTreeMap<String, Score>,
    /// The score of all counts together: the usual headline, and conlleval's overall line.
    pub micro: Score,
    /// The unweighted mean over categories. Its F1 is the mean of F1s, not the F1 of means.
    #[serde(rename = "macro")]
    pub macro_: Score,
    /// The mean over categories, weighted by support.
    pub weighted: Score,
}

impl Scores {
    /// Scores what was counted.
    pub fn of(counts: BTreeMap<String, Counts>) -> Self {
        let categories: BTreeMap<String, Score> =
            counts.iter().map(|(name, counts)| (name.clone(), counts.score())).collect();
        let micro = counts.values().copied().sum::<Counts>().score();
        let macro_ = mean(categories.values(), micro.support, |_| 1.0);
        let weighted = mean(categories.values(), micro.support, |score| score.support as f64);
        Self { counts, categories, micro, macro_, weighted }
    }
}

fn mean<'a>(scores: impl Iterator<Item = &'a Score> + Clone, support: u64, weight: impl Fn(&Score) -> f64) -> Score {
    let total: f64 = scores.clone().map(&weight).sum();
    let of = |value: fn(&Score) -> f64| {
        if total == 0.0 { 0.0 } else { scores.clone().map(|score| value(score) * weight(score)).sum::<f64>() / total }
    };
    Score { precision: of(|s| s.precision), recall: of(|s| s.recall), f1: of(|s| s.f1), support }
}

/// Says that two sides cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScoreError {
    /// There are more sequences or documents on one side.
    #[error("{expected} on the corpus's side and {found} on the model's: they must go one by one")]
    Length {
        /// Sequences or documents of the corpus.
        expected: usize,
        /// Those of the model.
        found: usize,
    },
    /// Two sequences differ in length.
    #[error("sequence {index} (from 0) has {expected} tags in the corpus and {found} of the model")]
    Tags {
        /// Which one, from 0.
        index: usize,
        /// Tags of the corpus.
        expected: usize,
        /// Tags of the model.
        found: usize,
    },
    /// Two documents have different texts, so that their offsets mean different things.
    #[error("document {index} (from 0, {id}) has different texts on the two sides")]
    Text {
        /// Which one, from 0.
        index: usize,
        /// Its identifier, where it has one.
        id: String,
    },
}
