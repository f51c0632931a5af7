//! Which generation of PubMed is in force.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{Committed, Error};

/// What the files of a baseline are, by someone who has seen them all, such as a mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// The number of its last file.
    pub last: i32,
    /// Numbers of the generation that were never issued.
    pub gaps: BTreeSet<i32>,
}

/// Baselines by year.
pub type Baselines = BTreeMap<i32, Baseline>;

/// Which generation is in force, and what is known about it and others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Generations {
    /// The generation in force; `None` if no input belongs to any.
    pub in_force: Option<i32>,
    /// Whether its baseline is known to be complete.
    pub is_complete: bool,
    /// Numbers missing in it, up to the highest that is committed.
    pub missing: Vec<i32>,
    /// Newer generations that are not yet complete.
    pub waiting: Vec<Waiting>,
}

/// A generation that is not in force because its baseline is not known to be complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The year of its baseline.
    pub generation: i32,
    /// Its inputs so far.
    pub inputs: usize,
    /// The number of the last baseline file; `None` until an update file is committed.
    pub last_of_baseline: Option<i32>,
    /// Numbers missing up to the last that is known.
    pub missing: usize,
}

/// The inputs of one generation.
#[derive(Default)]
struct Numbers {
    /// What is known of its baseline.
    baseline: Option<Baseline>,
    /// Read to the end.
    whole: BTreeSet<i32>,
    /// The lowest number of an update file.
    first_update: Option<i32>,
    last: i32,
    inputs: usize,
}

impl Generations {
    /// Decides which generation is in force: the newest whose baseline is complete, and never one older than the
    /// `published` one. While none is complete, the oldest is.
    ///
    /// Numbers run on from the baseline into the update files, so the first update file tells which baseline file is the
    /// last, unless `baselines` does; the baseline is complete if all files up to that are committed and were read to
    /// their end. NLM requires update files to be applied after the baseline, and `pubtag sync` fetches them only then.
    ///
    /// # Errors
    /// If the `wanted` generation does not exist.
    pub fn of(
        commits: &[Committed],
        baselines: &Baselines,
        published: Option<i32>,
        wanted: Option<i32>,
    ) -> Result<Self, Error> {
        let all = numbers(commits, baselines);
        let complete = all.iter().rev().find(|(_, numbers)| numbers.is_complete()).map(|(year, _)| *year);
        let standing = published.filter(|year| all.contains_key(year));
        let in_force = match wanted {
            Some(year) if !all.contains_key(&year) => {
                return Err(Error::NoGeneration { wanted: year, found: all.into_keys().collect() });
            }
            Some(year) => Some(year),
            None => complete.max(standing).or_else(|| all.keys().next().copied()),
        };
        let of_force = in_force.and_then(|year| all.get(&year));
        let newer = all.iter().filter(|(year, _)| Some(**year) > in_force);
        Ok(Self {
            in_force,
            is_complete: of_force.is_some_and(Numbers::is_complete),
            missing: of_force.map(|numbers| numbers.missing(numbers.last)).unwrap_or_default(),
            waiting: newer.map(|(year, numbers)| numbers.waiting(*year)).collect(),
        })
    }

    /// Whether an input counts: it belongs to the generation in force, or to none.
    pub fn counts(&self, commit: &Committed) -> bool {
        commit.generation.is_none() || commit.generation == self.in_force
    }
}

fn numbers(commits: &[Committed], baselines: &Baselines) -> BTreeMap<i32, Numbers> {
    let mut all = BTreeMap::<i32, Numbers>::new();
    for commit in commits {
        let (Some(generation), Some(number)) = (commit.generation, commit.file_seq) else { continue };
        let numbers = all.entry(generation).or_default();
        numbers.baseline = baselines.get(&generation).cloned();
        numbers.inputs += 1;
        numbers.last = numbers.last.max(number);
        if commit.is_whole() {
            numbers.whole.insert(number);
        }
        if commit.is_update() {
            numbers.first_update = Some(numbers.first_update.map_or(number, |first| first.min(number)));
        }
    }
    all
}

impl Numbers {
    fn last_of_baseline(&self) -> Option<i32> {
        let known = self.baseline.as_ref().map(|baseline| baseline.last);
        known.or(self.first_update.map(|first| first - 1)).filter(|last| *last > 0)
    }

    fn is_complete(&self) -> bool {
        self.last_of_baseline().is_some_and(|last| self.missing(last).is_empty())
    }

    fn missing(&self, last: i32) -> Vec<i32> {
        let is_gap = |number: &i32| self.baseline.as_ref().is_some_and(|baseline| baseline.gaps.contains(number));
        (1..=last).filter(|number| !self.whole.contains(number) && !is_gap(number)).collect()
    }

    fn waiting(&self, generation: i32) -> Waiting {
        let last_of_baseline = self.last_of_baseline();
        let missing = self.missing(last_of_baseline.unwrap_or(self.last)).len();
        Waiting { generation, inputs: self.inputs, last_of_baseline, missing }
    }
}
