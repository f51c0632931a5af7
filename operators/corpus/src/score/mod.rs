//! Scores of a model against a corpus: pure functions with serialisable results.
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

/// Counts of entities: expected by the corpus, found by the model, and correct.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Entities that the corpus and the model have in common.
    pub correct: u64,
    /// Entities found by the model.
    pub found: u64,
    /// Entities of the corpus (the support).
    pub expected: u64,
}

impl Counts {
    /// Precision, recall and F1; 0 if the denominator is 0, as in conlleval and seqeval.
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
    /// Share of the entities found that are correct.
    pub precision: f64,
    /// Share of the expected entities that were found.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// Entities (or tokens) expected.
    pub support: u64,
}

/// Scores per category and their averages.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scores {
    /// The counts of each category.
    pub counts: BTreeMap<String, Counts>,
    /// The score of each category that occurs in the corpus or was found by the model.
    pub categories: BTreeMap<String, Score>,
    /// The score of all counts together: the usual headline figure, and the overall line of conlleval.
    pub micro: Score,
    /// The unweighted mean over categories. Its F1 is the mean of the F1s, not the F1 of the means.
    #[serde(rename = "macro")]
    pub macro_: Score,
    /// The mean over categories, weighted by support.
    pub weighted: Score,
}

impl Scores {
    /// Scores counts by category.
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

/// Why two sides cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScoreError {
    /// The sides have different numbers of sequences or documents.
    #[error("{expected} sequences or documents in the corpus but {found} from the model")]
    Length {
        /// Number of sequences or documents in the corpus.
        expected: usize,
        /// Number from the model.
        found: usize,
    },
    /// Two sequences differ in length.
    #[error("sequence {index} (from 0) has {expected} tags in the corpus but {found} from the model")]
    Tags {
        /// Its index, from 0.
        index: usize,
        /// Number of tags in the corpus.
        expected: usize,
        /// Number of tags from the model.
        found: usize,
    },
    /// Two documents have different texts, so their offsets cannot be compared.
    #[error("document {index} (from 0, {id}) has different texts in the corpus and from the model")]
    Text {
        /// Its index, from 0.
        index: usize,
        /// Its identifier, if it has one.
        id: String,
    },
}
